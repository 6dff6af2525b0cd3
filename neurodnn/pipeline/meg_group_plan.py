"""Which subjects' MEG would be tested together, in time and on the cortex, and faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodnn._checks import message
from neurodnn.bids import build_name
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_inputs import KINDS, first_difference

TEMPLATE = "fsaverage"
_WORDS = {"meg_timecourse": "meg", "meg_source_searchlight": "meg source"}
_SAME_TIME = 1e-6  # s


@dataclass(frozen=True)
class MegGroupJob:
    """Subjects whose time courses, or whose maps of the cortex, are tested together."""

    workflow: str
    session: str | None
    task: str | None
    results: tuple[dict[str, Any], ...]

    @property
    def subjects(self) -> list[str]:
        """Labels without ``sub-``."""
        return [str(each["Subject"]) for each in self.results]

    @property
    def name(self) -> str:
        """How the job is called in the log."""
        parts = ("group", _WORDS[self.workflow], self.session, self.task)
        return " ".join(part for part in parts if part)

    @property
    def references(self) -> list[dict[str, str]]:
        """Name, Label and RDM of what was compared, in the order of the first subject."""
        return list(self.results[0]["References"])

    @property
    def results_path(self) -> Path:
        """Return where the results of the group are told, relative to the output folder."""
        return self.path(suffix=KINDS[self.workflow], extension=".json")

    def path(self, **entities: str | None) -> Path:
        """Return where a file of this group stands, relative to the output folder."""
        return Path("group") / build_name({"ses": self.session, "task": self.task, **entities})


def plan_meg_groups(
    workflow: str, results: Sequence[dict[str, Any]], config: Config
) -> tuple[list[MegGroupJob], list[str]]:
    """Return the groups of one workflow and the faults that stand against them."""
    groups: dict[tuple[Any, Any], list[dict[str, Any]]] = {}
    for each in results:
        groups.setdefault((each.get("Session"), each.get("Task")), []).append(each)
    jobs = [MegGroupJob(workflow, *key, tuple(found)) for key, found in groups.items()]
    faults = [fault for job in jobs for fault in _faults(job, config)]
    return jobs, faults


def _faults(job: MegGroupJob, config: Config) -> list[str]:
    from neurodnn.pipeline.group_tests import find_pairs

    first, faults = job.results[0], []
    for each in job.results[1:]:
        faults += _unlike(each, first)
    for each in job.results:
        faults += [message(path, "is missing", remedy="Run the participant level again.")
                   for path in needed_paths(job, each)
                   if not (config.output_dir / path).is_file()]  # fmt: skip
    names = [str(each["Name"]) for each in job.references]
    _, wrong = find_pairs(config.contrast, names)
    if wrong:
        faults.append(message("--contrast", "does not name one pair of references", got=wrong,
                              allowed=", ".join(names)))  # fmt: skip
    if job.workflow == "meg_source_searchlight" and job.workflow in config.workflow:
        # asked for by name; where it was not, the results tell why there is none
        faults += [reason for reason in [unlike_spaces(job)] if reason]
    return faults


def _unlike(one: dict[str, Any], first: dict[str, Any]) -> list[str]:
    """Return in what a subject differs from the first one that must be the same in all."""
    who, other = f"sub-{one['Subject']}", f"sub-{first['Subject']}"
    faults = []
    if one.get("ParameterHash") != first.get("ParameterHash"):
        faults.append(message(f"MEG of {who}", f"was analysed with other options than {other}",
                              got=first_difference(one, first),
                              remedy="Run it again with --overwrite, or choose "
                              "--participant-label."))  # fmt: skip
    names = [[each["Name"] for each in own["References"]] for own in (one, first)]
    if names[0] != names[1]:
        faults.append(message(f"MEG of {who}", "was compared with other references", got=names[0],
                              allowed=", ".join(names[1])))  # fmt: skip
    elif any(one.get(key) != first.get(key) for key in ("References", "Nuisance")):
        faults.append(
            message(f"MEG of {who}", "was compared with other RDMs, network weights or images "
                    f"than {other}, though they bear the same names",
                    remedy="Run all subjects again with --overwrite.")
        )  # fmt: skip
    if not _same_times(one["Times"], first["Times"]):
        faults.append(message(f"MEG of {who}", f"has other times than {other}",
                              got=_in_words(one["Times"]), allowed=_in_words(first["Times"]),
                              remedy="Bring all subjects to one rate with --resample, and give "
                              "them the same --tmin, --tmax, --time-window and --time-step."))
    return faults


def _same_times(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["Count"] != other["Count"]:
        return False
    return all(abs(one[key] - other[key]) <= _SAME_TIME for key in ("Start", "End"))


def _in_words(times: dict[str, Any]) -> str:
    return f"{times['Count']} from {times['Start']:g} to {times['End']:g} s"


def needed_paths(job: MegGroupJob, result: dict[str, Any]) -> list[str]:
    """Return the files of a subject without which nothing can be tested."""
    if job.workflow == "meg_timecourse":
        return [str(result["RDM"]), *(str(each["Path"]) for each in result["TimeSeries"])]
    return [str(each["Path"]) for each in result["Maps"]]


def unlike_spaces(job: MegGroupJob) -> str:
    """Return why the maps of the cortex cannot be laid over one another; "" if they can.

    Maps on fsaverage are taken as they are, others as they were brought to it.
    """
    lacking = [
        f"sub-{each['Subject']} ({each['Space']})" for each in job.results
        if each["Space"] != TEMPLATE and not all(entry.get("Morphed") for entry in each["Maps"])
    ]  # fmt: skip
    if not lacking:
        return ""
    return message(
        job.name, "the maps lie on different cortices, where equal numbers are different places",
        got=", ".join(lacking[:10]), allowed=f"maps on {TEMPLATE}",
        remedy=f"Put FreeSurfer's folders of these subjects and of {TEMPLATE} into "
        "BIDS_DIR/derivatives/freesurfer (or make the source spaces on "
        f"{TEMPLATE}), and run the participant level again with --overwrite: it brings "
        "the maps there (morphing).",
    )  # fmt: skip
