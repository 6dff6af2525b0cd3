"""The entry page: what the group shows, and who went in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.report import facts
from neurodnn.report.group import group_section
from neurodnn.report.meg import has_meg, meg_group_sections
from neurodnn.report.pages import render, write_page
from neurodnn.report.tree import (
    MEG,
    SOURCE,
    Summary,
    group_summaries,
    link,
    subject_summaries,
)


def write_index(output_dir: str | Path) -> Path:
    """Write ``index.html`` and the group's viewers from the files of the output tree.

    The page holds, for every group level: what was tested and what each p means, peaks with p
    over subjects, p over stimuli and the noise ceiling, clusters, differences; the mean maps with
    outlines around the voxels with p below 0.05, the maps of t, of every p and of the ceiling;
    then a table of all subjects, and their failures and warnings.

    Parameters
    ----------
    output_dir : path
        Output folder; subjects alone, or a group level alone, are enough.

    Returns
    -------
    pathlib.Path
        ``<output_dir>/index.html``.

    Raises
    ------
    InputError
        If the folder has no summary at all.

    Examples
    --------
    >>> write_index("no_such_folder")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no_such_folder: has no summary of any subject. Run the \
participant level first.
    """
    root = Path(output_dir)
    subjects, groups = subject_summaries(root), group_summaries(root)
    if not subjects and not groups and not has_meg(root):
        fault, remedy = "has no summary of any subject", "Run the participant level first."
        raise InputError(message(str(output_dir), fault, remedy=remedy))
    page = root / "index.html"
    sections = [group_section(summary, page, number) for number, summary in enumerate(groups)]
    faults = _subject_faults(subjects, page)
    meg = meg_group_sections(root)
    contents = [(section["anchor"], section["title"]) for section in [*sections, *meg]]
    contents += [("subjects", "Subjects")] + ([("failures", "Failures")] if faults else [])
    everybody = [*subjects, *subject_summaries(root, kind=MEG),
                 *subject_summaries(root, kind=SOURCE)]  # fmt: skip
    count = len({summary.path.parts[len(root.parts)] for summary in everybody})
    content = {
        "title": "Where the layers fit the brain",
        "lead": f"{count} subject{'' if count == 1 else 's'}."
        + (" " + _networks([*subjects, *groups]) if _networks([*subjects, *groups]) else ""),
        "contents": contents,
        "groups": sections,
        "meg_studies": meg,
        "subjects": _subjects_table(subjects or everybody, page),
        "failures": faults,
        "version": _version([*groups, *subjects]),
    }
    return write_page(page, render("index.html", content))


def _version(summaries: list[Summary]) -> str:
    versions = (each.mapping("SoftwareVersions").get("neurodnn") for each in summaries)
    return next((str(version) for version in versions if version), "")


def _networks(summaries: list[Summary]) -> str:
    networks = [each.mapping("Network") for each in summaries]
    names = sorted({str(net.get("label") or net.get("name")) for net in networks if net})
    return f"Network: {', '.join(names)}." if names else ""


def _page_of(summary: Summary) -> Path:
    return summary.root / f"{summary.path.relative_to(summary.root).parts[0]}.html"


def _subjects_table(subjects: list[Summary], page: Path) -> dict[str, Any]:
    names = []
    for summary in subjects:
        names += [str(e.get("Reference", "–")) for e in summary.list_of("Maps")
                  if isinstance(e, dict)]  # fmt: skip
    references = list(dict.fromkeys(names))
    rows = []
    for summary in subjects:
        best = {
            str(entry.get("Reference", "–")): (entry.get("Peak") or {}).get("Value")
            for entry in summary.list_of("Maps")
            if isinstance(entry, dict) and isinstance(entry.get("Peak") or {}, dict)
        }
        target = _page_of(summary)
        rows.append(
            [{"href": link(target, page), "text": target.stem}, summary.title() or "–",
             str(summary.mapping("Stimuli").get("Matched", "–")),
             *(facts.score(best.get(name)) for name in references)]
        )  # fmt: skip
    columns = ("Subject", "Data", "#Stimuli", *(f"#{name}" for name in references))
    return facts.table("Subjects and the highest score of each layer", columns, rows)


def _subject_faults(subjects: list[Summary], page: Path) -> dict[str, Any] | None:
    rows = []
    for summary in subjects:
        target = _page_of(summary)
        cell = {"href": link(target, page), "text": target.stem}
        for kind, key in (("failed", "Failures"), ("warning", "Warnings")):
            rows += [[cell, kind, text] for text in facts.sentences(summary.list_of(key))]
    return facts.table("Failures and warnings", ("Subject", "", "What"), rows) if rows else None
