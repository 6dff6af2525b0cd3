"""One subject's jobs of MEG or EEG as headers and tables tell them; every fault is listed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import parse_name, read_tsv, require_columns
from neurodnn.pipeline import meg_inputs
from neurodnn.pipeline.matching import refuse_absent_images, shared_stimuli
from neurodnn.pipeline.meg_checks import check_counts, check_filters, check_rates, times_of
from neurodnn.pipeline.meg_estimate import estimate_meg
from neurodnn.pipeline.meg_jobs import MegJob, MegRun
from neurodnn.pipeline.subject_plan import match_tables

if TYPE_CHECKING:
    from neurodnn.brain.meg_bids import MegFiles
    from neurodnn.pipeline.findings import Findings


def plan_meg_jobs(
    found: Findings, subject: str, datatype: str, files: Sequence[MegFiles],
    workflows: Sequence[str],
) -> list[MegJob]:  # fmt: skip
    """Return the jobs of one subject and task, one per workflow; none if a fault stands."""
    before = len(found.faults)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        job = found.attempt(lambda: _plan(found, subject, datatype, files))
    if job is None or len(found.faults) > before:
        return []
    notes = [str(item.message) for item in caught if issubclass(item.category, DataWarning)]
    job = replace(job, notes=tuple(dict.fromkeys((*notes, *job.notes))))
    jobs = []
    for workflow in workflows:
        one = replace(job, workflow=workflow)
        if workflow == "meg_source_searchlight":
            one = found.attempt(lambda one=one: _with_solution(found, one))
        if one is not None:
            memory, seconds = estimate_meg(one, found.config, _n_references(found))
            jobs.append(replace(one, memory_mb=memory, seconds=seconds))
    return jobs


def _plan(
    found: Findings, subject: str, datatype: str, files: Sequence[MegFiles]
) -> MegJob | None:
    config, where = found.config, f"sub-{subject}"
    labelled = meg_inputs.label_runs(files)
    raws = {label: found.attempt(lambda each=each: _open(each, found))
            for label, each in labelled.items()}  # fmt: skip
    tables = {label: found.attempt(lambda each=each: _read_events(each))
              for label, each in labelled.items()}  # fmt: skip
    if any(table is None for table in tables.values()):
        return None
    matched = found.attempt(lambda: match_tables(found, tables))
    if matched is None or any(raw is None for raw in raws.values()):
        return None
    named, report = matched
    refuse_absent_images(report.only_in_events, found, where, datatype)
    runs = [
        _run(found, label, each, raws[label], tables[label][1], named[label])
        for label, each in labelled.items()
    ]
    if any(run is None for run in runs):
        return None
    check_rates(found, runs)
    shown, notes = _with_epochs(report.matched, runs)
    shared, more = shared_stimuli(shown, report.only_in_events, found, where)
    notes += [*more, *check_counts(found, runs, shared, where), *_strangers(report, where)]
    times = found.attempt(lambda: times_of(config, [run.rate for run in runs]), [])
    entities = [parse_name(each.recording) for each in files]
    sessions = {each.get("ses") for each in entities}
    return MegJob(
        workflow="meg_timecourse",
        subject=subject,
        session=entities[0].get("ses") if len(sessions) == 1 else None,
        task=entities[0].get("task"),
        datatype=datatype,
        runs=tuple(runs),
        stimuli=shared,
        match=report.to_dict(),
        notes=tuple(notes),
        n_times=len(times),
    )


def _open(files: MegFiles, found: Findings) -> Any:
    from neurodnn.brain.meg_header import open_recording

    config = found.config
    return open_recording(files, config.bids_dir, bad_channels=config.bad_channels)


def _read_events(files: MegFiles) -> tuple[Path, Any]:
    if files.events is None:
        name = files.recording.name
        wanted = name.replace("_" + parse_name(name)["suffix"] + parse_name(name)["extension"],
                              "_events.tsv")  # fmt: skip
        raise InputError(message(name, "has no events table", allowed=wanted,
                                 remedy="Add it beside the recording, or leave the run out."))
    table = read_tsv(files.events)
    require_columns(table, ["onset"], where=str(files.events))
    return files.events, table


def _run(
    found: Findings, label: str, files: MegFiles, raw: Any, table: Any,
    stimuli: Sequence[str | None],
) -> MegRun | None:  # fmt: skip
    """Return a run with its header and the whole epochs of each stimulus."""
    from neurodnn.brain.meg_header import meg_header, sensors_in_file

    config = found.config
    header = found.attempt(lambda: meg_header(raw, files, channels=config.sensors))
    counts = found.attempt(lambda: _count(found, files, raw, table, stimuli))
    if header is None or counts is None:
        return None
    found.attempt(lambda: check_filters(config, header.rate, files.recording))
    every = tuple(sensors_in_file(files.recording, config.sensors))
    return MegRun(
        label, files, header.files, header.rate, header.samples, header.sensors, every,
        tuple(stimuli), counts,
    )  # fmt: skip


def _count(
    found: Findings, files: MegFiles, raw: Any, table: Any, stimuli: Sequence[str | None]
) -> dict[str, int]:
    """Return the whole epochs of each stimulus; the same refusals and warnings as in the run."""
    from neurodnn.brain.meg_header import whole_epochs
    from neurodnn.pipeline.meg_patterns import presentations

    names = sorted({name for name in stimuli if name is not None})
    if not names:
        raise InputError(message(str(files.events), "shows no known stimulus",
                                 remedy="See --stimulus-column, or leave the run out."))
    events = presentations(table, stimuli, names, raw, files.events)
    config, where = found.config, str(raw.filenames[0])
    epochs = whole_epochs(raw, events["sample"].tolist(), config.tmin, config.tmax)
    if not epochs.whole.any():
        reasons = f"beyond the recording: {epochs.beyond}, marked bad: {epochs.marked}"
        remedy = "Check onsets, --tmin, --tmax and the annotations of the recording."
        raise InputError(message(where, f"no epochs are left of {len(events)}", got=reasons,
                                 remedy=remedy))  # fmt: skip
    if epochs.beyond:
        fault = f"{epochs.beyond} of {len(events)} epochs reach beyond the recording"
        fault += " and are left out"
        warnings.warn(message(where, fault), DataWarning, stacklevel=2)
    if epochs.marked:
        fault = f"{epochs.marked} of {len(events)} epochs touch spans marked bad and are left out"
        warnings.warn(message(where, fault), DataWarning, stacklevel=2)
    left = [str(name) for name in events["stimulus"][epochs.whole]]
    return {name: left.count(name) for name in names}


def _with_epochs(
    shown: Sequence[str], runs: Sequence[MegRun]
) -> tuple[tuple[str, ...], list[str]]:
    """Return the stimuli that have an epoch left, and what is to be said of the others."""
    from neurodnn.stimuli.keys import some

    left = tuple(name for name in shown if any(run.counts.get(name) for run in runs))
    lost = sorted(set(shown) - set(left))
    if not lost:
        return left, []
    return left, [f"epochs: {len(lost)} of {len(shown)} stimuli have no epoch left: {some(lost)}."]


def _strangers(report: Any, where: str) -> list[str]:
    names = report.only_in_events
    if not names:
        return []
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    text = f"{where}: {len(names)} names are no known stimulus ({listed}) and their events were "
    return [text + "left out."]


def _with_solution(found: Findings, job: MegJob) -> MegJob | None:
    """Return the job with its inverse solution; without one, say why there is none."""
    if found.config.meg_metric == "decoding":
        found.leave_out(job.workflow, f"sub-{job.subject}", "decoding is offered for sensors alone")
        return None
    if found.config.sensors == "eeg" and job.datatype == "meg":
        reason = "the solutions of recordings of MEG are not used for their EEG"
        found.leave_out(job.workflow, f"sub-{job.subject}", reason)
        return None
    files, reason = meg_inputs.find_solution(found.mne_root, job.subject, job.session, job.task)
    if files is None:
        found.leave_out(job.workflow, f"sub-{job.subject}", reason)
        return None
    return replace(job, source=files)


def _n_references(found: Findings) -> int:
    number = sum(len(rdms.dissimilarities) for _, rdms in found.user_rdms)
    return number + ((len(found.config.layers) or 8) if found.config.network != "none" else 0)
