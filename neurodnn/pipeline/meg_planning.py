"""Which subjects have recordings, and which jobs come of them; what is left out, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from neurodnn._checks import message
from neurodnn.pipeline import meg_inputs
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.meg_jobs import RESULTS, MegJob

if TYPE_CHECKING:
    from neurodnn.pipeline.findings import Findings


@dataclass
class MegPlans:
    """The jobs of all subjects, and who has no recordings."""

    jobs: list[MegJob] = field(default_factory=list)
    without: dict[str, str] = field(default_factory=dict)  # subject -> reason


def wanted_workflows(config: Config) -> list[str]:
    """Return the workflows of MEG that a run of the participant level is asked for."""
    return [name for name in RESULTS if not config.workflow or name in config.workflow]


def plan_meg(found: Findings, subjects: list[str]) -> MegPlans:
    """Return the jobs of all subjects; faults go to the findings."""
    from neurodnn.pipeline.meg_checks import check_subjects
    from neurodnn.pipeline.meg_plan import plan_meg_jobs

    plans = MegPlans()
    workflows = wanted_workflows(found.config)
    for subject in subjects:
        recordings = found.attempt(
            lambda subject=subject: meg_inputs.find_recordings(subject, found.config, found.filters)
        )
        if recordings is None:
            continue
        kind, files = recordings
        if not files:
            plans.without[subject] = f"no recordings ({kind}) in {found.config.bids_dir.name}"
            continue
        for group in meg_inputs.group_by_task(files):
            plans.jobs += plan_meg_jobs(found, subject, kind, group, workflows)
    check_subjects(found, [job for job in plans.jobs if job.workflow == plans.jobs[0].workflow])
    _check_found(found, plans, workflows)
    return plans


def _check_found(found: Findings, plans: MegPlans, workflows: list[str]) -> None:
    """Refuse a workflow that was asked for by name and can run for nobody; two jobs of one file."""
    made = {job.workflow for job in plans.jobs}
    for name in workflows:
        if name in found.config.workflow and name not in made and not found.faults:
            reasons = [line.partition(": ")[2] for line in found.left_out_lines() if name in line]
            reasons += sorted(set(plans.without.values()))
            found.faults.append(message("--workflow", f"{name} can run for no subject",
                                        got="; ".join(reasons[:3])))  # fmt: skip
    names = [str(job.results_path) for job in plans.jobs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.faults.append(message(name, "two jobs would write this file",
                                    remedy="Choose with --task-id or --session-label."))
