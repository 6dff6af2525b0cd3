"""What the group level would test together, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_inputs import chosen_results, first_difference, result_paths
from neurodnn.pipeline.jobs import Plan
from neurodnn.pipeline.meg_group_plan import plan_meg_groups


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
    """Return how many groups of maps the subjects in a folder make, chosen or not."""
    return len({key_of(read_json(path)) for path in result_paths(out, "summary")})


def plan_group(config: Config) -> Plan:
    """Return the plan of the group level; unlike subjects and missing maps are faults."""
    faults: list[str] = []
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        found = chosen_results(config)
    except InputError as error:
        faults.append(str(error))
    groups: dict[tuple[str | None, ...], list[dict[str, Any]]] = {}
    for summary in found.pop("fmri_searchlight", []):
        groups.setdefault(key_of(summary), []).append(summary)
    jobs: list[Any] = [GroupJob(key, tuple(own)) for key, own in groups.items()]
    for job in jobs:
        faults += _faults(job, config.output_dir)
        faults += _contrast_faults(job, config)
    for workflow, results in found.items():
        more, against = plan_meg_groups(workflow, results, config)
        jobs, faults = [*jobs, *more], [*faults, *against]
    return Plan(config=config, jobs=tuple(jobs), faults=tuple(faults))


def _faults(job: GroupJob, out: Path) -> list[str]:
    faults = []
    first = job.summaries[0]
    for each in job.summaries[1:]:
        if each.get("ParameterHash") != first.get("ParameterHash"):
            other = first_difference(each, first)
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
        if not isinstance(job, GroupJob):
            listed = ", ".join(job.subjects[:20])
            lines.append(f"{job.name}: {len(job.subjects)} subjects ({listed})")
            continue
        maps = len(job.summaries[0]["Maps"])
        lines.append(f"{job.name}: {len(job.subjects)} subjects, {maps} references "
                     f"({', '.join(job.subjects[:20])})")  # fmt: skip
        lines += _resources(job, plan)
    return "\n".join([*lines, *plan.left_out])
