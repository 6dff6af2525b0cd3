"""The count table: what was found and matched, what would be made, what it would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurodnn.pipeline.config import option_value
from neurodnn.pipeline.meg_jobs import MegJob

if TYPE_CHECKING:
    from neurodnn.pipeline.jobs import Job, Plan

_SHOWN_NAMES = 5
_SHOWN_NOTES = 20


def plan_table(plan: Plan) -> str:
    """Return the table that ``check`` prints and every run shows first."""
    if plan.config.level == "group":
        from neurodnn.pipeline.group_plan import group_table

        return group_table(plan)
    return count_table(plan)


def count_table(plan: Plan) -> str:
    """Return the table as text: one line per job, then what is compared and the resources."""
    config = plan.config
    meg = [job for job in plan.jobs if isinstance(job, MegJob)]
    rows = [["subject", "task", "space", "kind", "runs", "trials with a stimulus" if meg else
             "volumes with a stimulus", "mask", "stimuli", "memory", "time"]]  # fmt: skip
    rows += [_meg_row(job) if isinstance(job, MegJob) else _row(job) for job in plan.jobs]
    rows += [[f"sub-{label}", "", "", "none", "", "", "", "", "", ""]
             for label, _ in plan.skipped]  # fmt: skip
    if meg:
        for row, modality in zip(rows, ["modality", *map(_modality, plan.jobs)], strict=False):
            row.insert(2, modality)
        for row in rows[1 + len(plan.jobs) :]:
            row.insert(2, "")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [f"sub-{label}: {reason}" for label, reason in plan.skipped]
    lines += plan.left_out
    lines += _stimulus_lines(plan)
    lines += _reference_lines(plan)
    if plan.jobs and config.level == "participant":
        peak = max(job.memory_mb for job in plan.jobs)
        lines.append(
            f"resources: about {peak:,.0f} MB of {plan.available_mb:,.0f} MB available, about "
            f"{_duration(sum(job.seconds for job in plan.jobs))} for {len(plan.jobs)} jobs"
        )
        kept = sum(job.disk_mb for job in plan.jobs)
        if kept or not meg:
            lines.append(f"on disk: about {kept:,.0f} MB of patterns are kept for the group level")
    notes = [*plan.notes, *_job_notes(plan)]
    lines += [f"warning: {note}" for note in notes[:_SHOWN_NOTES]]
    if len(notes) > _SHOWN_NOTES:
        lines.append(f"warning: {len(notes) - _SHOWN_NOTES} more, in the log and the reports")
    return "\n".join(lines)


def _row(job: Job) -> list[str]:
    used = sum(name is not None for run in job.runs for name in run.stimuli)
    masks = sum(run.mask is not None for run in job.runs)
    mask = "computed" if not masks else "given" if masks == 1 else f"{masks}, intersected"
    space = job.space or "as the images"
    if job.resolution:
        space += f":res-{job.resolution}"
    return [
        f"sub-{job.subject}" + (f" ses-{job.session}" if job.session else ""),
        job.task or "",
        space,
        job.kind,
        str(len(job.runs)),
        str(used),
        mask,
        str(len(job.stimuli)),
        f"{job.memory_mb:,.0f} MB",
        _duration(job.seconds),
    ]


def _job_notes(plan: Plan) -> list[str]:
    """Notes of all jobs; two jobs of the same recordings say the same once."""
    told: dict[tuple[str, str], str] = {}
    for job in plan.jobs:
        for note in job.notes:
            told.setdefault((job.subject, note), f"{job.name}: {note}")
    return list(told.values())


def _modality(job: Job | MegJob) -> str:
    return job.datatype if isinstance(job, MegJob) else "fmri"


def _meg_row(job: MegJob) -> list[str]:
    """Return a row of a job of MEG or EEG: whole epochs stand for volumes."""
    used = sum(count for run in job.runs for name, count in run.counts.items()
               if name in job.stimuli)  # fmt: skip
    space = f"{len(job.runs[0].sensors)} sensors"
    if job.source is not None:
        space = "sources" if job.source.inverse else "sources (forward)"
    return [
        f"sub-{job.subject}" + (f" ses-{job.session}" if job.session else ""), job.task or "",
        space, f"{job.n_times} windows", str(len(job.runs)), str(used), "",
        str(len(job.stimuli)), f"{job.memory_mb:,.0f} MB", _duration(job.seconds),
    ]  # fmt: skip


def _stimulus_lines(plan: Plan) -> list[str]:
    """One paragraph for all jobs that were matched alike, so that 600 subjects stay readable."""
    seen: dict[str, list[str]] = {}
    own = plan.config.network == "none" and plan.config.stimuli is None
    other = "your RDMs" if own else "the stimulus table"
    for job in plan.jobs:
        match = job.match
        text = (
            f"stimuli: {match['Matched']} matched of {match['InEvents']} in the events and "
            f"{match['InTable']} in {other} (column {match['Column']!r}, key rule "
            f"{match['KeyRule']!r})"
        )
        for key, where in (("OnlyInEvents", "the events"), ("OnlyInTable", other)):
            names = list(match[key])
            if names:
                total = match["InEvents" if key == "OnlyInEvents" else "InTable"]
                more = int(total) - int(match["Matched"]) - _SHOWN_NAMES
                tail = f" and {more} more" if more > 0 else ""
                text += f"\n  only in {where}: {', '.join(names[:_SHOWN_NAMES])}{tail}"
        seen.setdefault(text, []).append(job.name)
    if len(seen) == 1:
        return list(seen)
    return [f"{', '.join(names)}: {text}" for text, names in seen.items()]


def _reference_lines(plan: Plan) -> list[str]:
    config, lines = plan.config, []
    if config.network != "none":
        layers = ", ".join(config.layers) or "one per block (neurodnn layers lists them all)"
        network = option_value(config, "network")
        lines.append(f"network: {network}, layers: {layers}, {plan.n_images} images")
    for path, rdms in plan.user_rdms:
        names = ", ".join(map(str, rdms.rdm_descriptors["reference"]))
        lines.append(f"your RDMs: {path.name}: {names} over {rdms.n_cond} stimuli")
    for path, rdms in plan.nuisance:
        names = ", ".join(map(str, rdms.rdm_descriptors["reference"]))
        lines.append(f"held constant: {path.name}: {names} over {rdms.n_cond} stimuli")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
