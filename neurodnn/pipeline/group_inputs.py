"""The results of subjects in an output folder that the options of a group choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json
from neurodnn.pipeline.config import Config

#: Workflow -> last word of the names of its subjects' results.
KINDS = {
    "fmri_searchlight": "summary",
    "meg_timecourse": "megresults",
    "meg_source_searchlight": "sourceresults",
}


def result_paths(out: Path, kind: str) -> list[Path]:
    """Return the results of one kind of all subjects, sorted.

    Parameters
    ----------
    out : path
        The output folder.
    kind : str
        One of ``KINDS``' values.
    """
    return sorted(out.glob(f"sub-*/figures/*_{kind}.json"))


def chosen_results(config: Config) -> dict[str, list[dict[str, Any]]]:
    """Return the results of the chosen subjects and tasks, by workflow.

    Raises
    ------
    InputError
        There are none, or none of a subject, task or workflow that was named.
    """
    out = config.output_dir
    found = {name: [read_json(path) for path in result_paths(out, kind)]
             for name, kind in KINDS.items()}  # fmt: skip
    every = [each for own in found.values() for each in own]
    if not every:
        raise InputError(message(str(out), "holds no summary of a subject",
                                 remedy="Run the participant level first."))  # fmt: skip
    wanted = {label.removeprefix("sub-") for label in config.participant_label}
    there = sorted({str(each["Subject"]) for each in every})
    for label in sorted(wanted - set(there)):
        raise InputError(message("--participant-label", "has no results", got=label,
                                 allowed=", ".join(there)))  # fmt: skip
    tasks = {label.removeprefix("task-") for label in config.task_id}
    kept = {
        name: [each for each in own if (not wanted or str(each["Subject"]) in wanted)
               and (not tasks or each.get("Task") in tasks)]
        for name, own in found.items()
    }  # fmt: skip
    if not any(kept.values()):
        listed = ", ".join(sorted({str(each.get("Task")) for each in every}))
        raise InputError(message("--task-id", "has no results", got=list(config.task_id),
                                 allowed=listed))  # fmt: skip
    return {name: own for name, own in kept.items() if _is_asked(name, own, found, config)}


def _is_asked(
    name: str, own: list[dict[str, Any]], found: dict[str, list[dict[str, Any]]], config: Config
) -> bool:
    """Whether a workflow is to be tested; refuse one that was named and has no results."""
    if not config.workflow:
        return bool(own)
    if name not in config.workflow:
        return False
    if not own:
        allowed = ", ".join(each for each, there in found.items() if there)
        raise InputError(message("--workflow", "has no results of the chosen subjects", got=name,
                                 allowed=allowed,
                                 remedy="Run the participant level first."))  # fmt: skip
    return True


def first_difference(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Return the first option in which two subjects differ, in words."""
    ours, theirs = a.get("Parameters", {}), b.get("Parameters", {})
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            return f"{key}: {ours.get(key)} and {theirs.get(key)}"
    return "network weights or versions"
