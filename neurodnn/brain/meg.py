"""MEG and EEG: recordings -> epochs with the stimulus of each, ready for `window_patterns`."""

from __future__ import annotations

import logging
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import mne
import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.bids import require_columns
from neurodnn.brain.meg_channels import CHANNELS, drop_bad_channels, sensor_names
from neurodnn.brain.meg_events import label_events, read_meg_events
from neurodnn.brain.meg_reading import guarded_read, read_meg
from neurodnn.brain.meg_resampling import resample_epochs
from neurodnn.brain.meg_runs import align_recordings, join_runs
from neurodnn.brain.meg_windows import window_patterns, window_residuals
from neurodnn.stimuli.keys import some

__all__ = [
    "align_recordings",
    "label_events",
    "load_meg_epochs",
    "read_meg",
    "read_meg_events",
    "window_patterns",
    "window_residuals",
]

RawSource = str | os.PathLike | mne.io.BaseRaw
_log = logging.getLogger(__name__)


def load_meg_epochs(
    raw: RawSource | Sequence[RawSource],
    events: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    tmin: float = -0.1,
    tmax: float = 0.8,
    baseline: tuple[float | None, float | None] | None = (None, 0.0),
    high_frequency: float | None = None,
    resample: float | None = None,
    channels: str = "meg",
    reject: Mapping[str, float] | None = None,
) -> mne.Epochs | mne.EpochsArray:
    """Return the epochs around all presentations, with the stimulus of each.

    Parameters
    ----------
    raw : path or mne.io.Raw, or a sequence of them
        One recording, or one for each run. A path is read by `read_meg`; of a BIDS data set,
        where a table marks bad channels, read it with `read_bids_meg`.
    events : pandas.DataFrame, or a sequence of them
        From `read_meg_events` or `label_events`, one for each recording: ``sample`` (with the
        first sample of the recording, as MNE counts) and ``stimulus``; a column ``run`` names
        the run. Several recordings without it are runs ``1``, ``2``, ...
    tmin, tmax : float
        Seconds from the onset, both included.
    baseline : (float or None, float or None), optional
        Seconds; the mean of this span is taken off each epoch and channel. None stands for the
        end of the epoch; ``baseline=None`` takes nothing off.
    high_frequency : float, optional
        Low-pass filter in Hz (MNE's default: linear phase, no delay), on the recording before it
        is cut, so that no epoch has an edge of it.
    resample : float, optional
        New sampling rate in Hz, of the epochs, so that no event moves; what lies above half of
        it is filtered out. See `resample_epochs`.
    channels : {"meg", "mag", "grad", "eeg"}
        Sensors that are kept; see `sensor_names`.
    reject : mapping, optional
        Largest peak-to-peak amplitude of an epoch by type, such as ``{"mag": 4e-12}``, in T, T/m
        and V. Epochs in spans that the recording's annotations call bad are always left out.

    Returns
    -------
    mne.Epochs, or mne.EpochsArray (several runs, or resampled)
        Loaded, with the projections that the recording carries (SSP, average reference) applied,
        as MNE does. The metadata hold ``stimulus``, ``trial`` (a
        name of the trial), ``run`` where there are runs, and the other columns of `events`.

    Raises
    ------
    InputError
        If an event has no stimulus, ``tmin >= tmax``, the baseline is not in the epoch, no epoch
        is left (the reasons are counted), or runs differ in sampling rate. Channels that not all
        runs have are left out with a DataWarning, as are bad, flat and not finite ones.

    Examples
    --------
    >>> info = mne.create_info(3, 250.0, "mag")
    >>> noise = np.random.default_rng(0).normal(0, 1e-13, (3, 2000))
    >>> raw = mne.io.RawArray(noise, info, first_samp=500, verbose="ERROR")
    >>> events = pd.DataFrame({"sample": [1000, 1500], "stimulus": ["cat", "dog"]})
    >>> epochs = load_meg_epochs(raw, events, tmin=-0.1, tmax=0.5)
    >>> epochs.metadata["stimulus"].tolist(), len(epochs.times)
    (['cat', 'dog'], 151)
    """
    check_choice("channels", channels, CHANNELS)
    tmin = check_number("tmin", tmin, maximum=1e5, unit="s")
    tmax = check_number("tmax", tmax, maximum=1e5, unit="s")
    if tmin >= tmax:
        allowed = "tmin < tmax"
        raise InputError(message("tmin", "the epoch is empty", got=(tmin, tmax), allowed=allowed))
    _check_baseline(baseline, tmin, tmax)
    _check_reject(reject, channels)
    recordings = [raw] if isinstance(raw, (str, os.PathLike, mne.io.BaseRaw)) else list(raw)
    tables = [events] if isinstance(events, pd.DataFrame) else list(events)
    strange = [type(each).__name__ for each in tables if not isinstance(each, pd.DataFrame)]
    if strange and len(recordings) == len(tables):
        allowed = "DataFrames with sample and stimulus"
        raise InputError(message("events", "is no table", got=strange[0], allowed=allowed))
    if not recordings or len(recordings) != len(tables):
        fault = f"{len(recordings)} recordings but {len(tables)} tables of events"
        raise InputError(message("events", fault, remedy="Give one for each recording."))
    runs: dict[str, mne.BaseEpochs] = {}
    for number, (source, table) in enumerate(zip(recordings, tables, strict=True), start=1):
        one = _checked_raw(source)
        label = _run_label(table, number if len(tables) > 1 else None)
        if label in runs:
            raise InputError(message("events", "two recordings are one run", got=label))
        cut = _cut(one, table, (tmin, tmax), baseline, high_frequency, channels, reject)
        cut = _named(cut, one, label)
        runs[label] = cut if resample is None else resample_epochs(cut, resample)
    epochs = next(iter(runs.values())) if len(runs) == 1 else join_runs(runs)
    _warn_of_lost(tables, epochs)
    return epochs


def _check_baseline(baseline: object, tmin: float, tmax: float) -> None:
    if baseline is None:
        return
    try:
        low, high = baseline  # type: ignore[misc]
    except (TypeError, ValueError) as error:
        allowed = "None or (start, stop) in seconds"
        fault = "is no span"
        raise InputError(message("baseline", fault, got=baseline, allowed=allowed)) from error
    low = tmin if low is None else check_number("baseline", low, unit="s")
    high = tmax if high is None else check_number("baseline", high, unit="s")
    if low > high or low < tmin or high > tmax:
        allowed = f"{tmin:g} to {tmax:g} s"
        remedy = "Begin the epoch earlier, or give baseline=None."
        fault = "is not within the epoch"
        raise InputError(message("baseline", fault, got=baseline, allowed=allowed, remedy=remedy))


def _check_reject(reject: Mapping[str, float] | None, channels: str) -> None:
    kinds = ("mag", "grad") if channels == "meg" else (channels,)
    for kind, limit in (reject or {}).items():
        check_choice("reject", kind, kinds)
        check_number(f"reject[{kind!r}]", limit, minimum=0, strict=True, unit="T, T/m or V")


def _checked_raw(source: RawSource) -> mne.io.BaseRaw:
    raw = read_meg(source)
    if not isinstance(raw, mne.io.BaseRaw):
        remedy = "Epochs and evokeds go straight to window_patterns."
        got = type(raw).__name__
        raise InputError(message("raw", "is no continuous recording", got=got, remedy=remedy))
    return raw


def _run_label(table: pd.DataFrame, number: int | None) -> str:
    require_columns(table, ["sample", "stimulus"], where="events")
    if not len(table):
        raise InputError(message("events", "the table has no rows"))
    for column in {"stimulus", "run"} & set(table.columns):
        lost = table[column].isna()  # as text it would be a stimulus or run named "nan"
        if lost.any():
            fault = f"{int(lost.sum())} rows have no {column}"
            raise InputError(message("events", fault, remedy="Leave them out, or name it."))
    if "run" not in table.columns:
        return "" if number is None else str(number)
    labels = sorted({str(run) for run in table["run"]})
    if len(labels) > 1:
        fault = "one recording holds several runs"
        raise InputError(message("events", fault, got=labels[:5], remedy="Give a table for each."))
    return labels[0]


def _cut(
    raw: mne.io.BaseRaw, table: pd.DataFrame, span: tuple[float, float],
    baseline: tuple[float | None, float | None] | None, high_frequency: float | None,
    channels: str, reject: Mapping[str, float] | None,
) -> mne.Epochs:  # fmt: skip
    """Return the loaded epochs of one recording; refuse it if none is left."""
    where = str(raw.filenames[0]) if raw.filenames and raw.filenames[0] else "recording"
    names = sensor_names(raw.info, channels)
    table, array, code = _event_array(table)
    raw = raw.copy().pick(names, verbose="ERROR")
    if high_frequency is not None:
        _low_pass(raw, high_frequency, where)
    limits = {kind: limit for kind, limit in (reject or {}).items() if kind in raw}
    epochs = guarded_read(
        lambda: mne.Epochs(
            raw, array, code, *span, baseline=baseline, picks="all", metadata=table,
            reject=limits or None, preload=True, on_missing="ignore", verbose="ERROR",
        ),
        Path(where),
    )  # fmt: skip
    counts = Counter(reason for log in epochs.drop_log for reason in set(log))
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(counts.items()))
    if not len(epochs):
        fault = f"no epochs are left of {len(table)}"
        remedy = "Relax reject, or check onsets, tmin and tmax."
        raise InputError(message(where, fault, got=reasons or "none", remedy=remedy))
    short = counts["NO_DATA"] + counts["TOO_SHORT"]
    if short:
        fault = f"{short} of {len(table)} epochs reach beyond the recording and are left out"
        warnings.warn(message(where, fault), DataWarning, stacklevel=4)
    lost = f" ({reasons})" if reasons else ""
    name = Path(where).name  # a log is shared; folders name people
    _log.info("%s: %d of %d epochs are kept%s", name, len(epochs), len(table), lost)
    return drop_bad_channels(epochs, channels=channels, where=where)


def _event_array(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
    """The table in order of time, its events array, and the code of each stimulus."""
    samples = pd.to_numeric(table["sample"], errors="coerce").to_numpy(float)
    broken = samples[~np.isfinite(samples) | (samples != np.floor(samples))]
    if broken.size:
        fault = "samples are not whole numbers"
        raise InputError(message("events", fault, got=float(broken[0])))
    if len(set(samples.tolist())) < len(samples):
        raise InputError(message("events", "several stimuli begin at one sample"))
    table = table.iloc[np.argsort(samples, kind="stable")].reset_index(drop=True)
    stimuli = sorted({str(name) for name in table["stimulus"]})
    code = {name: i + 1 for i, name in enumerate(stimuli)}
    array = np.zeros((len(table), 3), dtype=int)
    array[:, 0] = np.sort(samples).astype(int)
    array[:, 2] = [code[str(name)] for name in table["stimulus"]]
    return table, array, code


def _low_pass(raw: mne.io.BaseRaw, high_frequency: float, where: str) -> None:
    half = raw.info["sfreq"] / 2
    high = check_number("high_frequency", high_frequency, minimum=0, strict=True, unit="Hz")
    if high >= half:
        fault = "is not below half the sampling rate"
        raise InputError(message("high_frequency", fault, got=high, allowed=f"< {half:g} Hz"))
    guarded_read(lambda: raw.load_data(verbose="WARNING"), Path(where))
    # A gap spreads over the length of the filter, within its channel; epochs are checked later.
    guarded_read(lambda: raw.filter(None, high, picks="all", verbose="WARNING"), Path(where))


def _named(epochs: mne.BaseEpochs, raw: mne.io.BaseRaw, run: str) -> mne.BaseEpochs:
    """Give the metadata their columns run and trial."""
    file = Path(raw.filenames[0]).name if raw.filenames and raw.filenames[0] else ""
    place = run or file or "recording"
    table = epochs.metadata.assign(stimulus=epochs.metadata["stimulus"].astype(str))
    if run:
        table["run"] = run
    table["trial"] = [f"{place}:{sample}" for sample in epochs.events[:, 0]]
    with mne.utils.use_log_level("ERROR"):
        epochs.metadata = table
    return epochs


def _warn_of_lost(tables: list[pd.DataFrame], epochs: mne.BaseEpochs) -> None:
    shown = {str(name) for table in tables for name in table["stimulus"]}
    lost = sorted(shown - set(epochs.metadata["stimulus"]))
    if lost:
        fault = f"{len(lost)} of {len(shown)} stimuli have no epoch left: {some(lost)}"
        warnings.warn(message("epochs", fault), DataWarning, stacklevel=3)
