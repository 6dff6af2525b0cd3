"""One subject's recordings -> epochs -> patterns in time, the noise beside them, and their RDMs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from neurodnn._checks import InputError, message
from neurodnn.bids import read_tsv
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.config_checks import baseline_span
from neurodnn.pipeline.meg_jobs import MegJob, MegRun
from neurodnn.stimuli.keys import some

if TYPE_CHECKING:
    import pandas as pd


class MegLoaded(NamedTuple):
    """What the recordings of one job came to: epochs, and an entry per recording."""

    epochs: Any
    recordings: list[dict[str, Any]]


class MegPatterns(NamedTuple):
    """Patterns by time in seconds, what their noise is estimated from, and how they were scaled."""

    windows: Mapping[float, Any]
    residuals: Mapping[float, Any] | None
    noise: str  # "none", "baseline", "mvnn" or "residuals"


def presentations(
    table: pd.DataFrame, stimuli: Sequence[str | None], wanted: Sequence[str], raw: Any,
    where: Path,
) -> pd.DataFrame:  # fmt: skip
    """Return the events that show one of the stimuli, with their samples.

    Parameters
    ----------
    table : DataFrame
        The events of the recording.
    stimuli : sequence of str or None
        What each row shows, as the references spell it.
    wanted : sequence of str
        Those that are compared.
    raw : mne.io.Raw
    where : path
        Of the table, for messages.
    """
    from neurodnn.brain.meg_events import read_meg_events

    kept = [name in set(wanted) for name in stimuli]
    shown = table[kept].assign(stimulus=[name for name in stimuli if name in set(wanted)])
    try:
        events, _ = read_meg_events(shown, raw, sorted(set(wanted)), column="stimulus", key="id")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return events


def load_epochs(job: MegJob, config: Config) -> MegLoaded:
    """Return the epochs of the compared stimuli over all runs of a job."""
    from neurodnn.brain.meg import load_meg_epochs
    from neurodnn.brain.meg_header import open_recording

    raws, tables = [], []
    for run in job.runs:
        raw = open_recording(run.files, config.bids_dir, bad_channels=config.bad_channels)
        events = presentations(
            read_tsv(run.files.events), run.stimuli, job.stimuli, raw, run.files.events
        )
        raws.append(raw)
        tables.append(events.assign(run=run.label))
    epochs = load_meg_epochs(
        raws, tables, tmin=config.tmin, tmax=config.tmax, baseline=baseline_span(config),
        high_frequency=config.low_pass, resample=config.resample, channels=config.sensors,
    )  # fmt: skip
    if config.bad_channels == "refuse":
        _refuse_lost(job, epochs)
    absent = sorted(set(job.stimuli) - set(epochs.metadata["stimulus"]))
    if absent:
        raise InputError(message(job.name, f"stimuli have no epoch left: {some(absent)}",
                                 remedy="Leave them out of the references."))  # fmt: skip
    entries = [_entry(run, table, epochs) for run, table in zip(job.runs, tables, strict=True)]
    return MegLoaded(epochs, entries)


def _refuse_lost(job: MegJob, epochs: Any) -> None:
    """Marked channels were refused when the files were opened; flat ones show in the data."""
    for run in job.runs:
        lost = sorted(set(run.sensors) - set(epochs.ch_names))
        if lost:
            raise InputError(
                message(str(run.files.recording), f"bad channels (flat or not finite, or not in "
                        f"all runs): {some(lost)}",
                        remedy="Repair or interpolate them, or give --bad-channels drop.")
            )  # fmt: skip


def _entry(run: MegRun, table: Any, epochs: Any) -> dict[str, Any]:
    """Return what the results say of one recording; its path comes later."""
    trials = int((epochs.metadata["run"] == run.label).sum())
    used = set(epochs.ch_names)
    return {
        "Run": run.label,
        "SamplingFrequency": run.rate,
        "Trials": trials,
        "Bad": [name for name in run.present if name not in used],
        "Dropped": len(table) - trials,
    }


def sensor_patterns(epochs: Any, config: Config) -> MegPatterns:
    """Return the patterns of all windows as the metric needs them."""
    from neurodnn.brain.meg_windows import window_patterns, window_residuals

    metric, noise = config.meg_metric, config.meg_noise
    cut = {"width": config.time_window, "step": config.time_step, "channels": config.sensors}
    if metric == "decoding":
        windows = window_patterns(epochs, trials=True, whiten="baseline", **cut)
        return MegPatterns(windows, None, "baseline")
    if metric == "crossnobis":
        whiten = "baseline" if noise == "baseline" else None
        windows = window_patterns(epochs, by_run=True, whiten=whiten, **cut)
        if noise == "mvnn":
            return MegPatterns(windows, window_residuals(epochs, **cut), "residuals")
        return MegPatterns(windows, None, noise)
    if metric == "mahalanobis":
        windows = window_patterns(epochs, **cut)
        return MegPatterns(windows, window_residuals(epochs, **cut), "residuals")
    whiten = None if noise == "none" else noise
    return MegPatterns(window_patterns(epochs, whiten=whiten, **cut), None, noise)


def patterns_movie(patterns: MegPatterns, config: Config, *, n_jobs: int, progress: bool) -> Any:
    """Return one RDM per time, over the stimuli of the patterns."""
    if config.meg_metric == "decoding":
        from neurodnn.rsa.decoding import decoding_rdms

        return decoding_rdms(
            patterns.windows, trials_per_pseudo=config.pseudo_trials,
            n_repeats=config.decoding_repeats, seed=config.random_seed, n_jobs=n_jobs,
            progress=progress,
        )  # fmt: skip
    from neurodnn.rsa.movies import rdm_movie

    return rdm_movie(patterns.windows, metric=config.meg_metric, residuals=patterns.residuals)
