"""Which recordings belong to which job, and which inverse solutions to which subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message
from neurodnn.bids import find_bids_files, parse_name
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.inputs import asked_entities, run_label
from neurodnn.pipeline.meg_jobs import SourceFiles

if TYPE_CHECKING:
    from neurodnn.brain.meg_bids import MegFiles

SOLUTIONS = {"inverse": "inv", "forward": "fwd", "covariance": "cov"}


def find_recordings(
    subject: str, config: Config, filters: Mapping[str, Mapping]
) -> tuple[str, list[MegFiles]]:
    """Return the datatype and the recordings of a subject that the options choose.

    EEG is looked for in the folder ``eeg``, and where there is none in recordings of MEG, which
    often hold both.
    """
    from neurodnn.brain.meg_bids import find_meg_files

    kinds = ("eeg", "meg") if config.sensors == "eeg" else ("meg",)
    for kind in kinds:
        asked = {**asked_entities(config), **filters.get(kind, {})}
        found = find_meg_files(config.bids_dir, subject=subject, modality=kind, filters=asked)
        if found:
            return kind, found
    return kinds[0], []


def tasks_there(subject: str, config: Config) -> list[str]:
    """Return the tasks of all recordings of a subject, chosen or not."""
    anything = replace(config, task_id=(), run_id=(), session_label=())
    _, found = find_recordings(subject, anything, {})
    return sorted({parse_name(each.recording).get("task", "") for each in found})


def has_recordings(config: Config) -> bool:
    """Whether any subject has a folder of recordings; names of folders alone are looked at."""
    kinds = ("meg", "eeg") if config.sensors == "eeg" else ("meg",)
    folders = ("sub-*", "sub-*/ses-*")
    patterns = [f"{folder}/{kind}/*_{kind}.*" for kind in kinds for folder in folders]
    return any(next(config.bids_dir.glob(each), None) is not None for each in patterns)


def group_by_task(files: Sequence[MegFiles]) -> list[list[MegFiles]]:
    """Return the recordings of each task, in the order of the names."""
    groups: dict[str | None, list[MegFiles]] = {}
    for each in files:
        groups.setdefault(parse_name(each.recording).get("task"), []).append(each)
    return list(groups.values())


def label_runs(files: Sequence[MegFiles]) -> dict[str, MegFiles]:
    """Return the recordings of a job by the label of their run.

    Raises
    ------
    InputError
        Two recordings are one run: they differ in something that does not make a run, such as
        ``proc``.
    """
    several = len({parse_name(each.recording).get("ses") for each in files}) > 1
    labelled: dict[str, MegFiles] = {}
    for each in files:
        label = run_label(parse_name(each.recording), several)
        if label in labelled:
            names = f"{labelled[label].recording.name}, {each.recording.name}"
            raise InputError(message(f"run {label}", "has two recordings", got=names,
                                     remedy='Choose one in --bids-filter-file: {"meg": {"proc": '
                                     '"clean"}}.'))  # fmt: skip
        labelled[label] = each
    return labelled


def find_solution(
    root: Path | None, subject: str, session: str | None, task: str | None
) -> tuple[SourceFiles | None, str]:
    """Return the inverse solution of a subject, or None and the reason.

    A file applies if what its name says of session and task is what the recordings say; of
    several the one that says most.

    Raises
    ------
    InputError
        Two files apply that say equally much.
    """
    if root is None:
        return None, "no folder of inverse solutions (--derivatives mne=PATH)"
    found = {
        kind: _most_specific(root, subject, session, task, suffix)
        for kind, suffix in SOLUTIONS.items()
    }
    files = SourceFiles(**found)
    if files.inverse is not None:
        return SourceFiles(files.inverse, None, None), ""
    if files.forward is not None and files.covariance is not None:
        return files, ""
    missing = "a forward solution" if files.forward is None else "a noise covariance"
    reason = f"no inverse operator in {root.name}, nor {missing} to make one (_inv, _fwd, _cov.fif)"
    return None, reason


def _most_specific(
    root: Path, subject: str, session: str | None, task: str | None, suffix: str
) -> Path | None:
    if not (root / f"sub-{subject}").is_dir():
        return None
    known = {"ses": session, "task": task}
    fitting: list[tuple[int, Path]] = []
    for path in find_bids_files(root, subject=subject, suffix=suffix, extension=".fif"):
        entities = parse_name(path)
        named = {key: entities[key] for key in known if key in entities}
        if all(known[key] == label for key, label in named.items()):
            fitting.append((len(named), path))
    if not fitting:
        return None
    most = max(number for number, _ in fitting)
    best = [path for number, path in fitting if number == most]
    if len(best) > 1:
        names = ", ".join(path.name for path in best[:3])
        raise InputError(message(f"sub-{subject}", f"has several files _{suffix}.fif", got=names,
                                 remedy="Leave one of them in the folder of --derivatives mne."))
    return best[0]
