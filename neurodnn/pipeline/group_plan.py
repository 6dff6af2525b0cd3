"""What the group level would test together, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.jobs import Plan


@dataclass(frozen=True)
class GroupJob:
    """Subjects whose maps are tested together: one task, session and space."""

    key: tuple[str | None, ...]
    summaries: tuple[dict[str, Any], ...]

    @property
    def subjects(self) -> list[str]:
        """Labels without ``sub-``."""
        return [str(each["Subject"]) for each in self.summaries]

    @property
    def name(self) -> str:
        """How the job is called in the log."""
        return "group " + " ".join(part for part in self.key if part)


def key_of(summary: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Return what subjects must share to be tested together."""
    return tuple(summary.get(name) for name in ("Session", "Task", "Space"))


def count_groups(out: Path) -> int:
    """Return how many groups the subjects in a folder make, chosen or not."""
    return len({key_of(read_json(path)) for path in _summary_paths(out)})


def _summary_paths(out: Path) -> list[Path]:
    return sorted(out.glob("sub-*/figures/*_summary.json"))


def plan_group(config: Config) -> Plan:
    """Return the plan of the group level; unlike subjects and missing maps are faults."""
    faults: list[str] = []
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    try:
        for summary in _summaries(config):
            groups.setdefault(key_of(summary), []).append(summary)
    except InputError as error:
        faults.append(str(error))
    jobs = [GroupJob(key, tuple(found)) for key, found in groups.items()]
    for job in jobs:
        faults += _faults(job, config.output_dir)
        faults += _contrast_faults(job, config)
    return Plan(config=config, jobs=tuple(jobs), faults=tuple(faults))


def _summaries(config: Config) -> list[dict[str, Any]]:
    out = config.output_dir
    found = [read_json(path) for path in _summary_paths(out)]
    wanted = {label.removeprefix("sub-") for label in config.participant_label}
    there = sorted({str(each["Subject"]) for each in found})
    if not found:
        raise InputError(message(str(out), "holds no summary of a subject",
                                 remedy="Run the participant level first."))  # fmt: skip
    for label in sorted(wanted - set(there)):
        raise InputError(message("--participant-label", "has no results", got=label,
                                 allowed=", ".join(there)))  # fmt: skip
    tasks = {label.removeprefix("task-") for label in config.task_id}
    kept = [each for each in found if not wanted or str(each["Subject"]) in wanted]
    kept = [each for each in kept if not tasks or each.get("Task") in tasks]
    if not kept:
        listed = ", ".join(sorted({str(each.get("Task")) for each in found}))
        raise InputError(message("--task-id", "has no results", got=list(config.task_id),
                                 allowed=listed))  # fmt: skip
    return kept


def _faults(job: GroupJob, out: Path) -> list[str]:
    faults = []
    first = job.summaries[0]
    for each in job.summaries[1:]:
        if each.get("ParameterHash") != first.get("ParameterHash"):
            other = _first_difference(each, first)
            faults.append(
                message(f"sub-{each['Subject']}", "was analysed with other options than "
                        f"sub-{first['Subject']}", got=other,
                        remedy="Run it again with --overwrite, or choose --participant-label.")
            )  # fmt: skip
        names = [entry["Reference"] for entry in each["Maps"]]
        if names != [entry["Reference"] for entry in first["Maps"]]:
            faults.append(message(f"sub-{each['Subject']}", "has maps of other references",
                                  got=names))  # fmt: skip
        elif any(each.get(key) != first.get(key) for key in ("References", "Nuisance")):
            faults.append(
                message(f"sub-{each['Subject']}", "was compared with other RDMs, network weights "
                        f"or images than sub-{first['Subject']}, though they bear the same names",
                        remedy="Run all subjects again with --overwrite.")
            )  # fmt: skip
    for each in job.summaries:
        for entry in each["Maps"]:
            if not (out / entry["Path"]).is_file():
                faults.append(message(entry["Path"], "is missing",
                                      remedy="Run the participant level again."))  # fmt: skip
    return faults


def _contrast_faults(job: GroupJob, config: Config) -> list[str]:
    from neurodnn.pipeline.group_tests import find_pairs

    names = [str(entry["Reference"]) for entry in job.summaries[0]["Maps"]]
    _, wrong = find_pairs(config.contrast, names)
    if not wrong:
        return []
    allowed = ", ".join(names)
    return [message("--contrast", "does not name one pair of references", got=wrong,
                    allowed=allowed)]  # fmt: skip


def _first_difference(a: dict[str, Any], b: dict[str, Any]) -> str:
    ours, theirs = a.get("Parameters", {}), b.get("Parameters", {})
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            return f"{key}: {ours.get(key)} and {theirs.get(key)}"
    return "network weights or versions"


def _resources(job: GroupJob, plan: Plan) -> list[str]:
    """Return a line about the memory of the test over stimuli, where there is one."""
    from neurodnn.pipeline.estimate import estimate_group

    config = plan.config
    masks = [config.output_dir / str(each.get("MaskPath")) for each in job.summaries]
    if config.label_permutations == 0 or len(masks) < 2 or not all(map(Path.is_file, masks)):
        return []
    needed = estimate_group(job.summaries, config.output_dir, config.label_permutations)
    return [f"resources: about {needed:,.0f} MB for the patterns of all subjects (p over stimuli)"]


def group_table(plan: Plan) -> str:
    """Return what the group level found: one line per group of subjects."""
    lines = []
    for job in plan.jobs:
        maps = len(job.summaries[0]["Maps"])
        lines.append(f"{job.name}: {len(job.subjects)} subjects, {maps} references "
                     f"({', '.join(job.subjects[:20])})")  # fmt: skip
        lines += _resources(job, plan)
    return "\n".join(lines)
