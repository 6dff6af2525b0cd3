"""Epochs -> one pattern per stimulus in every window of time; see `meg_window_plan`."""

from __future__ import annotations

import warnings
from collections import Counter

import mne
import numpy as np
from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.brain.meg_channels import drop_bad_channels
from neurodnn.brain.meg_noise import Whitener, baseline_scaler, fit_whitener
from neurodnn.brain.meg_trials import run_labels, stimulus_labels, trial_labels
from neurodnn.brain.meg_window_plan import WindowPlan, Windows, window_plan
from neurodnn.stimuli.keys import some


def window_patterns(
    epochs: mne.BaseEpochs,
    *,
    width: float = 0.02,
    step: float | None = None,
    tmin: float | None = None,
    tmax: float | None = None,
    channels: str = "meg",
    trials: bool = False,
    by_run: bool = False,
    whiten: str | Whitener | None = None,
) -> Windows:
    """Return the patterns of all stimuli over sensors, for every window of time.

    Parameters
    ----------
    epochs : mne.Epochs
        With a column ``stimulus`` in their metadata (`load_meg_epochs` makes it); without it the
        names of their events are the stimuli.
    width : float
        Of a window, in seconds. 0: single samples.
    step : float, optional
        From one centre to the next, in seconds. Default: `width`, or with ``width=0`` every
        sample.
    tmin, tmax : float, optional
        The first centre, and the last one allowed, in seconds. Default: all multiples of `step`
        whose windows lie within the epochs, so that 0 is a centre at any sampling rate.
    channels : {"meg", "mag", "grad", "eeg"}
        Which sensors; see `sensor_names`. Bad, flat and not finite ones are left out with a
        DataWarning.
    trials : bool
        One pattern per trial (for decoding) instead of the mean over the trials of a stimulus.
    by_run : bool
        One pattern per stimulus and run (for cross-validated distances). Where trials are few,
        `assign_folds` makes runs of them.
    whiten : None, "baseline", "mvnn" or Whitener
        ``"baseline"``: each sensor in units of its standard deviation before 0 s; see
        `baseline_scaler`. A Whitener is multivariate noise normalisation, from `fit_whitener`.
        ``"mvnn"`` fits it on these epochs; that is for distances without cross-validation, and
        refused with `trials` and `by_run`, as is a Whitener that has seen any of these trials.

    Returns
    -------
    Mapping of float -> rsatoolbox.data.Dataset
        In order of time; the keys are the centres in seconds. Observation descriptors:
        ``stimulus``, and ``trial`` or ``run`` where asked for (``run`` of trials where they have
        one). Channel descriptor ``sensor``, the names. Descriptors ``time`` and ``width``.
        Stimuli are sorted by name; trials are in the order of the epochs. Units are those of MNE
        (T, T/m, V), or without unit where whitened.

    Raises
    ------
    InputError
        If no window fits, a window leaves the epochs, no epochs or fewer than two sensors are
        left, or a whitener has seen the trials.

    Notes
    -----
    Magnetometers (T) and planar gradiometers (T/m) taken together without whitening give a
    DataWarning: their numbers are of different size for the same signal, so that one type rules
    most distances.

    References
    ----------
    Guggenmos, M., Sterzer, P., & Cichy, R. M. (2018). Multivariate pattern analysis for MEG: A
    comparison of dissimilarity measures. NeuroImage, 173, 434-447.

    Examples
    --------
    >>> info = mne.create_info(3, 100.0, "mag")
    >>> values = np.random.default_rng(0).normal(size=(4, 3, 31))
    >>> events = np.array([[0, 0, 1], [40, 0, 2], [80, 0, 1], [120, 0, 2]])
    >>> epochs = mne.EpochsArray(values, info, events, tmin=-0.1, event_id={"cat": 1, "dog": 2},
    ...                          verbose="ERROR")
    >>> windows = window_patterns(epochs, width=0.04, step=0.05)
    >>> list(windows)
    [-0.05, 0.0, 0.05, 0.1, 0.15]
    >>> windows[0.05].measurements.shape
    (2, 3)
    """
    if trials and by_run:
        raise InputError(message("by_run", "trials are not averaged within runs", got=True,
                                 remedy="Take one of trials and by_run."))  # fmt: skip
    names = stimulus_labels(epochs)
    given, epochs = epochs, drop_bad_channels(epochs, channels=channels)
    sensors = list(epochs.ch_names)
    plan = window_plan(
        epochs.times, epochs.info["sfreq"], width=width, step=step, tmin=tmin, tmax=tmax
    )
    whitener = _whitener(whiten, epochs, channels, separate=trials or by_run)
    if whitener is None:
        _warn_of_units(epochs)
    # Single trials are averaged later: not over an array that its owner may change meanwhile.
    data = epochs.get_data(copy=trials and epochs is given)
    runs = run_labels(epochs)
    if trials:
        labels = {"stimulus": names, "trial": trial_labels(epochs)}
        _warn_of_single(epochs, names, "decoding")
        return Windows(data, plan, labels | ({"run": runs} if runs else {}), sensors, whitener)
    if by_run and runs is None:
        remedy = "Load runs together, or divide the trials with assign_folds."
        raise InputError(message("by_run", "the epochs have no runs", remedy=remedy))
    cells = list(zip(names, runs, strict=True)) if by_run else [(name,) for name in names]
    if by_run:
        _warn_of_missing(cells)
    else:
        _warn_of_single(epochs, names, "a mean")
    values, kept = _means(data, cells)
    labels = {"stimulus": [cell[0] for cell in kept]}
    if by_run:
        labels["run"] = [cell[1] for cell in kept]
    return Windows(values, plan, labels, sensors, whitener)


def window_residuals(
    epochs: mne.BaseEpochs, *, width: float = 0.02, step: float | None = None,
    tmin: float | None = None, tmax: float | None = None, channels: str = "meg",
) -> Windows:  # fmt: skip
    """Return what trials differ from the mean of their stimulus, for every window of time.

    What Mahalanobis and crossnobis distances estimate the covariance of the noise from.

    Parameters
    ----------
    epochs, width, step, tmin, tmax, channels
        As in `window_patterns`.

    Returns
    -------
    Mapping of float -> rsatoolbox.data.Dataset
        Trials x sensors. Means are taken within runs where there are runs, and ``run`` is then
        an observation descriptor. ``descriptors["degrees_of_freedom"]`` is the number of trials
        less the number of means.

    Raises
    ------
    InputError
        As `window_patterns`, or if no stimulus (of a run) has two trials.

    Examples
    --------
    >>> info = mne.create_info(3, 100.0, "mag")
    >>> values = np.random.default_rng(0).normal(size=(4, 3, 31))
    >>> epochs = mne.EpochsArray(values, info, tmin=-0.1, verbose="ERROR")
    >>> residuals = window_residuals(epochs, step=0.1)
    >>> residuals[0.0].descriptors["degrees_of_freedom"]
    3
    """
    names = stimulus_labels(epochs)
    epochs = drop_bad_channels(epochs, channels=channels)
    plan = window_plan(
        epochs.times, epochs.info["sfreq"], width=width, step=step, tmin=tmin, tmax=tmax
    )
    runs = run_labels(epochs)
    cells = list(zip(names, runs, strict=True)) if runs else [(name,) for name in names]
    data = epochs.get_data(copy=False)
    means, kept = _means(data, cells)
    freedom = len(cells) - len(kept)
    if freedom < 1:
        fault = "no stimulus has two trials, so that there are no residuals"
        raise InputError(message("epochs", fault))
    place = {cell: row for row, cell in enumerate(kept)}
    residuals = data - means[[place[cell] for cell in cells]]
    labels = {"stimulus": names} | ({"run": runs} if runs else {})
    return _Residuals(residuals, plan, labels, list(epochs.ch_names), freedom)


class _Residuals(Windows):
    """Windows whose Datasets also say how many degrees of freedom the means left."""

    def __init__(
        self, values: NDArray, plan: WindowPlan, labels: dict[str, list],
        sensors: list[str], freedom: int,
    ) -> None:  # fmt: skip
        super().__init__(values, plan, labels, sensors)
        self._freedom = freedom

    def __getitem__(self, centre: float) -> Dataset:
        dataset = super().__getitem__(centre)
        dataset.descriptors["degrees_of_freedom"] = self._freedom
        return dataset


def _whitener(
    whiten: str | Whitener | None, epochs: mne.BaseEpochs, channels: str, *, separate: bool
) -> Whitener | None:
    remedy = "Fit one on other trials with fit_whitener, or go through whitened_folds."
    if whiten is None:
        return None
    if isinstance(whiten, Whitener):
        seen = whiten.trials & set(trial_labels(epochs))
        if separate and seen:
            fault = f"the whitener has seen {len(seen)} of the {len(epochs)} trials"
            raise InputError(message("whiten", fault, got=sorted(seen)[:3], remedy=remedy))
        whiten.apply(np.zeros(len(epochs.ch_names)), epochs.ch_names)  # refused now, not later
        return whiten
    if isinstance(whiten, str) and whiten == "baseline":
        return baseline_scaler(epochs)
    if not isinstance(whiten, str) or whiten != "mvnn":
        allowed = "None, 'baseline', 'mvnn' or a Whitener"
        raise InputError(message("whiten", "is not known", got=whiten, allowed=allowed))
    if separate:
        fault = "trials and runs that are to be cross-validated cannot whiten themselves"
        raise InputError(message("whiten", fault, got=whiten, remedy=remedy))
    return fit_whitener(epochs, channels=channels)


def _means(data: NDArray, cells: list[tuple]) -> tuple[NDArray, list[tuple]]:
    """Mean over the trials of each cell, cells sorted."""
    rows: dict[tuple, list[int]] = {}
    for row, cell in enumerate(cells):
        rows.setdefault(cell, []).append(row)
    kept = sorted(rows)
    return np.stack([data[rows[cell]].mean(axis=0) for cell in kept]), kept


def _warn_of_units(epochs: mne.BaseEpochs) -> None:
    if {"mag", "grad"} <= set(epochs.get_channel_types()):
        fault = "magnetometers (T) and gradiometers (T/m) stand together in different units"
        remedy = "Whiten them, or take channels='mag' or 'grad'."
        text = message("channels", fault, remedy=remedy)
        warnings.warn(text, DataWarning, stacklevel=3)


def _warn_of_single(epochs: mne.BaseEpochs, names: list[str], what: str) -> None:
    averages = epochs.metadata is not None and "averaged" in epochs.metadata.columns
    counts = Counter(names)
    single = sorted(name for name, count in counts.items() if count == 1)
    if single and not averages:
        fault = f"{len(single)} of {len(counts)} stimuli have one epoch, too few for {what}"
        text = message("epochs", f"{fault}: {some(single)}")
        warnings.warn(text, DataWarning, stacklevel=3)


def _warn_of_missing(cells: list[tuple]) -> None:
    names, runs = sorted({cell[0] for cell in cells}), sorted({cell[1] for cell in cells})
    there = set(cells)
    missing = [f"{name} (run {run})" for run in runs for name in names if (name, run) not in there]
    if missing:
        fault = f"{len(missing)} stimuli are missing from a run, and cross-validation will refuse"
        text = message("epochs", f"{fault}: {some(missing)}")
        warnings.warn(text, DataWarning, stacklevel=3)
