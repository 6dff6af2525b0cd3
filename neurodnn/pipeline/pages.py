"""Pages and references, built from what stands in the output folder and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import find_subjects, read_json, write_derivative
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_inputs import KINDS
from neurodnn.pipeline.logs import LOGGER


def summaries(output_dir: Path) -> list[dict[str, Any]]:
    """Return the content of all summaries, subjects first."""
    found = _of_subjects(output_dir, "*")
    for kind in KINDS.values():
        found += sorted(output_dir.glob(f"group/*{kind}.json"))
    return [read_json(path) for path in found]


def _of_subjects(output_dir: Path, label: str) -> list[Path]:
    return [
        path for kind in KINDS.values()
        for path in sorted(output_dir.glob(f"sub-{label}/figures/*_{kind}.json"))
    ]  # fmt: skip


def write_citations(output_dir: Path) -> None:
    """Write ``logs/CITATION.md`` and ``.bib`` with what the summaries cite."""
    from neurodnn.report.citations import to_bibtex, to_markdown

    keys = {key for each in summaries(output_dir) for key in each.get("Citations", [])}
    write_derivative(output_dir / "logs" / "CITATION.md", to_markdown(keys))
    write_derivative(output_dir / "logs" / "CITATION.bib", to_bibtex(keys))


def rebuild(output_dir: Path, subjects: tuple[str, ...]) -> int:
    """Write all pages anew and return the exit code.

    Raises
    ------
    InputError
        The folder holds no results.
    """
    from neurodnn.report import write_index, write_subject_report

    output_dir = Path(output_dir)
    if not output_dir.is_dir():
        raise InputError(message(str(output_dir), "is no folder",
                                 remedy="Give an OUTPUT_DIR that neurodnn has written."))
    labels = find_subjects(output_dir, wanted=subjects or None)
    labels = [each for each in labels if _of_subjects(output_dir, each)]
    if not labels:
        raise InputError(message(str(output_dir), "holds no summary of a subject",
                                 remedy="Run the participant level first."))  # fmt: skip
    for label in labels:
        LOGGER.info("page of sub-%s", label)
        write_subject_report(output_dir, label)
    LOGGER.info("%s", write_index(output_dir).name)
    write_citations(output_dir)
    return 0


def methods_text(config: Config) -> str:
    """Return the methods paragraphs of an output folder, each once, and their references.

    Raises
    ------
    InputError
        Nothing has been computed yet.
    """
    from neurodnn.report.citations import to_markdown

    found = summaries(config.output_dir) if config.output_dir.is_dir() else []
    if not found:
        raise InputError(message(str(config.output_dir), "holds no summary to describe",
                                 remedy="Run the participant level first."))  # fmt: skip
    texts = list(dict.fromkeys(str(each.get("Methods", "")) for each in found))
    keys = {key for each in found for key in each.get("Citations", [])}
    return "\n\n".join([*texts, "References", to_markdown(keys)])
