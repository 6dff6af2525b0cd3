"""Checks of one subject's recordings: rates, windows, trials of each stimulus, all subjects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.meg_jobs import MegJob, MegRun
from neurodnn.stimuli.keys import some

if TYPE_CHECKING:
    from neurodnn.pipeline.findings import Findings

_SAME_RATE = 1e-6


def check_filters(config: Config, rate: float, recording: Path) -> None:
    """Refuse filters and rates that a recording does not allow."""
    if config.low_pass is not None and config.low_pass >= rate / 2:
        raise InputError(message("--low-pass", f"is not below half the rate of {recording.name}",
                                 got=config.low_pass, allowed=f"< {rate / 2:g} Hz"))  # fmt: skip
    if config.resample is not None and config.resample > rate:
        raise InputError(message("--resample", f"is above the sampling rate of {recording.name}",
                                 got=config.resample, allowed=f"<= {rate:g} Hz"))  # fmt: skip


def check_rates(found: Findings, runs: Sequence[MegRun]) -> None:
    """Refuse runs of different sampling rates, which have no common samples."""
    first = runs[0]
    for run in runs[1:]:
        if found.config.resample is None and not _alike(first.rate, run.rate):
            found.faults.append(
                message(str(run.files.recording), f"has a sampling rate of {run.rate:g} Hz, "
                        f"{first.files.recording.name} one of {first.rate:g} Hz",
                        remedy="Bring them to one rate with --resample, or leave one out "
                        "(--run-id).")
            )  # fmt: skip


def check_subjects(found: Findings, jobs: Sequence[MegJob]) -> None:
    """Refuse subjects of different sampling rates; tell of different sensors."""
    if not jobs:
        return
    first = jobs[0]
    for job in jobs[1:]:
        rates = first.runs[0].rate, job.runs[0].rate
        if found.config.resample is None and not _alike(*rates):
            text = message(
                str(job.runs[0].files.recording), f"has a sampling rate of {rates[1]:g} Hz, "
                f"{first.runs[0].files.recording.name} one of {rates[0]:g} Hz",
                remedy="Bring all subjects to one rate with --resample.",
            )  # fmt: skip
            if text not in found.faults:
                found.faults.append(text)
    sensors = {job.subject: set(job.runs[0].present) for job in jobs}
    every = set().union(*sensors.values())
    common = set.intersection(*sensors.values())
    if len(common) < len(every):
        lacking = [f"sub-{label} lacks {some(sorted(every - own))}"
                   for label, own in sensors.items() if every - own][:3]  # fmt: skip
        found.notes.append(
            f"the sensors of the subjects differ, {len(common)} of {len(every)} are common to all "
            f"({'; '.join(lacking)}); each subject keeps its own, a group has the common ones"
        )


def times_of(config: Config, rates: Sequence[float]) -> list[float]:
    """Return the centres of the windows in seconds; refuse windows that no epoch holds.

    Parameters
    ----------
    config : Config
    rates : sequence of float
        Of the recordings, in Hz.
    """
    from neurodnn.brain.meg_window_plan import window_plan

    rate = config.resample or rates[0]
    first, last = int(round(config.tmin * rate)), int(round(config.tmax * rate))
    times = np.arange(first, last + 1) / rate
    try:
        return window_plan(times, rate, width=config.time_window, step=config.time_step).centres
    except InputError as error:
        raise InputError(f"--time-window, --time-step: {error}") from error


def check_counts(
    found: Findings, runs: Sequence[MegRun], stimuli: Sequence[str], where: str
) -> list[str]:
    """Refuse too few trials for what is to be computed; return warnings about single ones."""
    config = found.config
    scaled = config.meg_noise == "baseline" or config.meg_metric == "decoding"
    if scaled and config.tmin >= 0:
        found.faults.append(message("--tmin", "sensors are scaled by their noise before the "
                                    "stimulus", got=f"{config.tmin:g} s", allowed="< 0 s",
                                    remedy="Begin the epochs earlier."))  # fmt: skip
    totals = {name: sum(run.counts.get(name, 0) for run in runs) for name in stimuli}
    if config.meg_metric == "crossnobis":
        _check_folds(found, runs, stimuli, where)
        return []
    if config.meg_metric == "decoding":
        _check_pseudo_trials(found, totals, where)
        return []
    single = sorted(name for name, count in totals.items() if count == 1)
    noisy = config.meg_metric == "mahalanobis" or config.meg_noise == "mvnn"
    if noisy and len(single) == len(totals):
        option = "--meg-metric mahalanobis" if config.meg_noise == "none" else "--meg-noise mvnn"
        found.faults.append(message(option, f"{where}: no stimulus has two epochs, so that the "
                                    "noise cannot be told from the signal"))  # fmt: skip
    if not single:
        return []
    fault = f"{len(single)} of {len(totals)} stimuli have one epoch, too few for a mean"
    return [message("epochs", f"{fault}: {some(single)}")]


def _check_folds(
    found: Findings, runs: Sequence[MegRun], stimuli: Sequence[str], where: str
) -> None:
    if len(runs) < 2:
        found.faults.append(
            message("--meg-metric crossnobis", f"{where}: needs two runs, between which it "
                    "cross-validates", got=f"{len(runs)} run",
                    remedy="Choose decoding, or a metric without cross-validation.")
        )  # fmt: skip
        return
    missing = [f"{name} (run {run.label})" for run in runs for name in stimuli
               if not run.counts.get(name)]  # fmt: skip
    if missing:
        found.faults.append(
            message("--meg-metric crossnobis", f"{where}: {len(missing)} stimuli have no epoch in "
                    f"a run: {some(missing)}",
                    remedy="Every run must show every stimulus; leave the run out (--run-id), or "
                    "choose another metric.")
        )  # fmt: skip


def _check_pseudo_trials(found: Findings, totals: dict[str, int], where: str) -> None:
    size = found.config.pseudo_trials
    few = [f"{name} ({count})" for name, count in totals.items() if count // size < 2]
    if few:
        found.faults.append(
            message("--meg-metric decoding", f"{where}: stimuli have too few epochs for two "
                    f"pseudo-trials of {size}: {some(few)}",
                    remedy="Average fewer with --pseudo-trials, or choose another metric.")
        )  # fmt: skip


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME_RATE * max(one, other)
