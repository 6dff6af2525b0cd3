"""Multivariate noise normalisation: a whitener learnt from training trials alone.

A whitener that has seen the trials on which something is tested makes the test optimistic. So
it is fitted on one set of epochs, remembers them, and `window_patterns` refuses to whiten single
trials or runs, which will be cross-validated, by a whitener that has seen any of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mne
import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import DataWarning, InputError, check_number, message
from neurodnn.brain.meg_channels import drop_bad_channels
from neurodnn.brain.meg_trials import run_labels, stimulus_labels, trial_labels
from neurodnn.numerics.whitening import inverse_root, mean_covariance
from neurodnn.stimuli.keys import some


class Whitener(NamedTuple):
    """What whitens patterns of sensors, and which trials taught it.

    Attributes
    ----------
    matrix : array (sensors, sensors)
        Symmetric; patterns (rows) times it have noise of variance 1 without correlations.
    sensors : tuple of str
        Names, in the order of the matrix.
    trials : frozenset of str
        The trials that it was fitted on.
    n_stimuli : int
        Stimuli with at least two trials, whose covariances were averaged.
    shrinkage : float
        Mean over stimuli and times: 0 is the raw covariance, 1 its diagonal.
    """

    matrix: NDArray[np.float64]
    sensors: tuple[str, ...]
    trials: frozenset[str]
    n_stimuli: int
    shrinkage: float

    def apply(self, values: ArrayLike, sensors: Sequence[str]) -> NDArray[np.float64]:
        """Return whitened patterns, with the sensors in the order of `sensors`.

        Parameters
        ----------
        values : array (..., sensors)
        sensors : sequence of str
            Their names; the whitener's own, in any order.

        Raises
        ------
        InputError
            If the sensors are not those that it was fitted on.

        Examples
        --------
        >>> whitener = Whitener(np.diag([1.0, 2.0]), ("A", "B"), frozenset(), 1, 0.0)
        >>> whitener.apply([[10.0, 1.0]], ["B", "A"])
        array([[20.,  1.]])
        """
        sensors = list(map(str, sensors))
        if sorted(sensors) != sorted(self.sensors):
            ours, theirs = set(self.sensors), set(sensors)
            fault = "the sensors of the patterns are not those of the whitener"
            got = f"only here: {some(sorted(theirs - ours)) or 'none'}"
            allowed = f"also there: {some(sorted(ours - theirs)) or 'none'}"
            raise InputError(message("whiten", fault, got=got, allowed=allowed))
        place = {name: i for i, name in enumerate(self.sensors)}
        order = [place[name] for name in sensors]
        return np.asarray(values, dtype=np.float64) @ self.matrix[np.ix_(order, order)]


class RunFold(NamedTuple):
    """One run left out: its label, the other runs' trials, its own, and their whitener."""

    run: str
    training: mne.BaseEpochs
    test: mne.BaseEpochs
    whitener: Whitener


def fit_whitener(
    training: mne.BaseEpochs, *, channels: str = "meg", tmin: float | None = None,
    tmax: float | None = None,
) -> Whitener:  # fmt: skip
    """Return what whitens sensor patterns, from training trials alone.

    Parameters
    ----------
    training : mne.Epochs
        Trials with their stimulus. Give those of the training folds, or of other runs.
    channels : {"meg", "mag", "grad", "eeg"}
        As in `window_patterns`.
    tmin, tmax : float, optional
        Seconds, both included; default the whole epoch. ``tmax=0`` learns from the baseline.

    Returns
    -------
    Whitener

    Raises
    ------
    InputError
        If no stimulus has two trials (those with one are passed over, with a DataWarning), or
        the times are not in the epochs.

    Notes
    -----
    With magnetometers and gradiometers together, in tesla and tesla per metre, the covariance
    is shrunk in units of each channel's own noise; the root is taken in the units given, as the
    published code does.

    References
    ----------
    Guggenmos, M., Sterzer, P., & Cichy, R. M. (2018). Multivariate pattern analysis for MEG: A
    comparison of dissimilarity measures. NeuroImage, 173, 434-447.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> names = pd.DataFrame({"stimulus": ["cat", "dog"] * 20})
    >>> values = rng.normal(0, 3e-13, (40, 2, 8))
    >>> epochs = mne.EpochsArray(values, info, metadata=names, verbose="ERROR")
    >>> whitener = fit_whitener(epochs)
    >>> bool(np.allclose(np.diag(whitener.matrix) * 3e-13, 1, atol=0.2)), whitener.n_stimuli
    (True, 2)
    """
    training = drop_bad_channels(training, channels=channels, where="training")
    samples = _samples(training, tmin, tmax)
    labels = np.array(stimulus_labels(training))
    names, counts = np.unique(labels, return_counts=True)
    single = [str(name) for name, count in zip(names, counts, strict=True) if count < 2]
    if single and len(single) < len(names):
        fault = f"{len(single)} stimuli have one trial and say nothing of the noise"
        text = message("training", f"{fault}: {some(single)}")
        warnings.warn(text, DataWarning, stacklevel=2)
    data = training.get_data(picks=training.ch_names)[:, :, samples]
    noise = mean_covariance(data, labels)
    return Whitener(
        inverse_root(noise.covariance), tuple(training.ch_names),
        frozenset(trial_labels(training)), int((counts > 1).sum()), noise.shrinkage,
    )  # fmt: skip


def baseline_scaler(epochs: mne.BaseEpochs) -> Whitener:
    """Return what divides each sensor by the standard deviation of its baseline.

    It learns nothing but one number per sensor from the samples before 0 s, without the names
    of the stimuli, and so may be applied to the same trials before they are cross-validated.

    Parameters
    ----------
    epochs : mne.Epochs
        Of good sensors alone.

    Returns
    -------
    Whitener
        With a diagonal matrix; ``trials`` is empty, ``n_stimuli`` is 0.

    Raises
    ------
    InputError
        If there are fewer than two samples before 0 s, or a sensor does not vary there.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(0, 2e-13, (50, 2, 40))
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> epochs = mne.EpochsArray(values, info, tmin=-0.2, verbose="ERROR")
    >>> (np.diag(baseline_scaler(epochs).matrix) * 2e-13).round(1)
    array([1., 1.])
    """
    before = epochs.times < -0.5 / epochs.info["sfreq"]
    if before.sum() < 2:
        fault = "'baseline' needs two samples before 0 s"
        got = f"epochs that begin at {epochs.times[0]:g} s"
        raise InputError(message("whiten", fault, got=got, remedy="Begin earlier with tmin."))
    spread = epochs.get_data(picks=epochs.ch_names)[:, :, before].std(axis=(0, 2))
    still = [name for name, one in zip(epochs.ch_names, spread, strict=True) if not one > 0]
    if still:
        fault = f"sensors do not vary before 0 s: {some(still)}"
        raise InputError(message("whiten", fault, remedy="Leave them out."))
    return Whitener(np.diag(1 / spread), tuple(epochs.ch_names), frozenset(), 0, 1.0)


def whitened_folds(
    epochs: mne.BaseEpochs, *, channels: str = "meg", tmin: float | None = None,
    tmax: float | None = None,
) -> Iterator[RunFold]:  # fmt: skip
    """Return an iterator: each run left out once, with a whitener that the other runs taught.

    Parameters
    ----------
    epochs : mne.Epochs
        With a column ``run`` in their metadata; `assign_folds` makes one from trials.
    channels, tmin, tmax
        As in `fit_whitener`.

    Returns
    -------
    iterator of RunFold
        ``run``, ``training``, ``test`` and ``whitener``; runs in sorted order.

    Raises
    ------
    InputError
        If there are fewer than two runs.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> names = pd.DataFrame({"stimulus": ["cat", "dog"] * 4, "run": ["1"] * 4 + ["2"] * 4})
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> epochs = mne.EpochsArray(rng.normal(size=(8, 2, 5)), info, metadata=names,
    ...                          verbose="ERROR")
    >>> [(fold.run, len(fold.training), len(fold.test)) for fold in whitened_folds(epochs)]
    [('1', 4, 4), ('2', 4, 4)]
    """
    # One set of sensors for all folds, or the whitener of one would not fit the test of another.
    epochs = drop_bad_channels(epochs, channels=channels)
    runs = np.array(run_labels(epochs))
    names = sorted(set(runs.tolist()))
    if len(names) < 2:
        remedy = "Load several, or divide the trials with assign_folds."
        raise InputError(message("epochs", "hold fewer than two runs", got=names, remedy=remedy))
    for run in names:
        training = epochs[runs != run]
        whitener = fit_whitener(training, channels=channels, tmin=tmin, tmax=tmax)
        yield RunFold(run, training, epochs[runs == run], whitener)


def _samples(epochs: mne.BaseEpochs, tmin: float | None, tmax: float | None) -> slice:
    first, last = epochs.times[0], epochs.times[-1]
    low = first if tmin is None else check_number("tmin", tmin, unit="s")
    high = last if tmax is None else check_number("tmax", tmax, unit="s")
    half = 0.5 / epochs.info["sfreq"]
    if low > high or low < first - half or high > last + half:
        allowed = f"tmin <= tmax, from {first:g} to {last:g} s"
        fault = "the times are not in the epochs"
        raise InputError(message("tmin, tmax", fault, got=(low, high), allowed=allowed))
    start, stop = np.floor((np.array([low, high]) - first) * epochs.info["sfreq"] + 0.5)
    return slice(int(start), int(stop) + 1)
