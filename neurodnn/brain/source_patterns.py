"""Epochs and an inverse operator -> patterns over the sources, for every window of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import mne
import numpy as np
from mne.minimum_norm import InverseOperator
from numpy.typing import NDArray
from rsatoolbox.data import Dataset
from threadpoolctl import threadpool_limits

from neurodnn._checks import InputError, message
from neurodnn.brain.meg_trials import run_labels, stimulus_labels, trial_labels
from neurodnn.brain.meg_window_plan import WindowPlan, window_plan
from neurodnn.brain.meg_windows import _means, _warn_of_missing, _warn_of_single
from neurodnn.brain.source_inverse import Kernel, inverse_kernel
from neurodnn.stimuli.keys import some

# Sources whose three directions stand in memory together.
_BLOCK = 1024


class Sources(NamedTuple):
    """Which places the columns of patterns are."""

    vertices: NDArray
    hemispheres: list[str]


class SourceWindows(Mapping[float, Dataset]):
    """Patterns over sources by the centre of their window in seconds, made when asked for.

    Sources x times x stimuli would fill gigabytes; sensors do not.

    Parameters
    ----------
    values : array (observations, channels, times)
    picks : list of int
        The channels of the kernel.
    plan : WindowPlan
    labels : dict
        Observation descriptors.
    kernel : Kernel
    samples : bool
        Whether each sample of a window is a feature, instead of their mean.
    """

    def __init__(
        self, values: NDArray, picks: list[int], plan: WindowPlan, labels: dict[str, list],
        kernel: Kernel, samples: bool = False,
    ) -> None:  # fmt: skip
        self._values, self._picks, self._plan = values, picks, plan
        self._labels, self._kernel, self._samples = labels, kernel, samples
        self._places = dict(zip(plan.centres, plan.samples, strict=True))

    def __getitem__(self, centre: float) -> Dataset:
        place, half = self._places[centre], self._plan.half
        window = self._values[:, self._picks, place - half : place + half + 1]
        # The bits of a product may depend on how many threads share it.
        with threadpool_limits(1, user_api="blas"):
            patterns = _estimated(window, self._kernel.matrix, self._samples)
        sources = Sources(self._kernel.vertices, self._kernel.hemispheres)
        return source_dataset(patterns, sources, self._labels, centre, self._plan.width)

    def __iter__(self) -> Iterator[float]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def source_patterns(
    epochs: mne.BaseEpochs,
    inverse: InverseOperator,
    *,
    width: float = 0.02,
    step: float | None = None,
    tmin: float | None = None,
    tmax: float | None = None,
    method: str = "dSPM",
    snr: float = 3.0,
    orientation: str = "normal",
    trials: bool = False,
    by_run: bool = False,
    samples: bool = False,
) -> SourceWindows:
    """Return the patterns of all stimuli over the sources, for every window of time.

    The inverse solution is applied to the mean over the trials of a stimulus, which is the mean
    of the solutions of the trials where `orientation` is ``"normal"``.

    Parameters
    ----------
    epochs : mne.Epochs
        With a column ``stimulus`` in their metadata; without it the names of their events are
        the stimuli.
    inverse : mne.minimum_norm.InverseOperator
        From `read_inverse` or `make_inverse`, of this subject's cortex and these sensors.
    width, step, tmin, tmax : float
        In seconds, as in `window_patterns`.
    method : {"dSPM", "MNE", "sLORETA", "eLORETA"}
        Default dSPM: in units of the noise, so that no part of the cortex rules a disc by its
        depth.
    snr : float
        Assumed ratio of the amplitudes of signal and noise; the solution is regularised with
        1 / snr^2. Default 3, the custom for averages.
    orientation : {"normal", "free"}
        ``"normal"`` (default): the signed current out of the cortex. ``"free"``: the length of
        the current in all directions, of each sample before the mean over a window.
    trials : bool
        One pattern per trial instead of the mean over the trials of a stimulus.
    by_run : bool
        One pattern per stimulus and run, for cross-validated distances.
    samples : bool
        True: every sample of a window is a feature of its own, sources x samples; default: their
        mean, so that features are places.

    Returns
    -------
    Mapping of float -> rsatoolbox.data.Dataset
        In order of time; the keys are the centres in seconds. Observations x sources. Channel
        descriptors ``vertex`` (its number on the surface) and ``hemisphere`` (``"left"``,
        ``"right"``), with `samples` also ``sample`` (the first is 0). Observation descriptors
        and order as in `window_patterns`. Unit: that of `method` (A m with MNE, else none), for
        one average: solutions of dSPM, which grow with the number of trials in MNE, do not here,
        so that stimuli with more trials are not larger.

    Raises
    ------
    InputError
        If the operator needs a channel that the epochs lack, or that is bad, flat or not finite
        there; if its source space is no surface; if it has no such orientation; or if no window
        fits.

    References
    ----------
    Dale, A. M., et al. (2000). Dynamic statistical parametric mapping: combining fMRI and MEG for
    high-resolution imaging of cortical activity. Neuron, 26, 55-67.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import head_model, source_space
    >>> trans, sphere = head_model()
    >>> sensors = mne.channels.read_meg_canonical_info("neuromag", verbose="ERROR")["chs"][::9]
    >>> info = mne.create_info([each["ch_name"] for each in sensors], 100.0, "grad")
    >>> for channel, own in zip(info["chs"], sensors):
    ...     channel["loc"][:], channel["coil_type"] = own["loc"], own["coil_type"]
    >>> with info._unlock():
    ...     info["dev_head_t"] = mne.transforms.Transform("meg", "head")
    >>> forward = mne.make_forward_solution(info, trans, source_space(3), sphere, eeg=False,
    ...                                     verbose="ERROR")
    >>> noise = mne.make_ad_hoc_cov(info, verbose="ERROR")
    >>> inverse = mne.minimum_norm.make_inverse_operator(info, forward, noise, verbose="ERROR")
    >>> values = 1e-12 * np.random.default_rng(0).normal(size=(4, len(sensors), 31))
    >>> events = np.array([[0, 0, 1], [40, 0, 2], [80, 0, 1], [120, 0, 2]])
    >>> epochs = mne.EpochsArray(values, info, events, tmin=-0.1, event_id={"cat": 1, "dog": 2},
    ...                          verbose="ERROR")
    >>> windows = source_patterns(epochs, inverse, width=0.04, step=0.05)
    >>> patterns = windows[0.05]
    >>> len(patterns.measurements), sorted(set(patterns.channel_descriptors["hemisphere"]))
    (2, ['left', 'right'])
    """
    names = stimulus_labels(epochs)
    if trials and by_run:
        raise InputError(message("by_run", "trials are not averaged within runs", got=True,
                                 remedy="Take one of trials and by_run."))  # fmt: skip
    kernel = inverse_kernel(epochs.info, inverse, method=method, snr=snr, orientation=orientation)
    plan = window_plan(
        epochs.times, epochs.info["sfreq"], width=width, step=step, tmin=tmin, tmax=tmax
    )
    picks = [epochs.ch_names.index(name) for name in kernel.channels]
    data = epochs.get_data(copy=False)
    _check_values(data, picks, kernel.channels)
    values, labels = _arranged(epochs, data, names, trials=trials, by_run=by_run)
    return SourceWindows(values, picks, plan, labels, kernel, samples)


def source_dataset(
    patterns: NDArray, sources: Sources, labels: dict[str, list], centre: float, width: float
) -> Dataset:
    """Return patterns of one window, observations x sources (x samples), with their labels."""
    vertices, sides = sources.vertices, sources.hemispheres
    described: dict[str, object] = {"vertex": vertices, "hemisphere": list(sides)}
    if patterns.ndim == 3:
        n = patterns.shape[2]
        described = {
            "vertex": np.repeat(vertices, n), "hemisphere": np.repeat(sides, n).tolist(),
            "sample": np.tile(np.arange(n), len(vertices)),
        }  # fmt: skip
        patterns = patterns.reshape(len(patterns), -1)
    return Dataset(
        patterns,
        descriptors={"time": centre, "width": width},
        obs_descriptors={name: list(each) for name, each in labels.items()},
        channel_descriptors=described,
    )


def _estimated(window: NDArray, matrix: NDArray, samples: bool) -> NDArray:
    """Return observations x sources, or with `samples` observations x sources x samples."""
    n_sources, n_parts, n_channels = matrix.shape
    if n_parts == 1 and not samples:
        return window.mean(axis=2) @ matrix[:, 0].T
    n_observations, _, n_samples = window.shape
    columns = np.ascontiguousarray(window.transpose(1, 0, 2)).reshape(n_channels, -1)
    shape = (n_observations, n_sources) + ((n_samples,) if samples else ())
    found = np.empty(shape)
    for start in range(0, n_sources, _BLOCK):
        own = matrix[start : start + _BLOCK]
        currents = (own.reshape(-1, n_channels) @ columns).reshape(len(own), n_parts, -1)
        amounts = currents[:, 0] if n_parts == 1 else np.linalg.norm(currents, axis=1)
        amounts = amounts.reshape(len(own), n_observations, n_samples).swapaxes(0, 1)
        found[:, start : start + len(own)] = amounts if samples else amounts.mean(axis=2)
    return found


def _arranged(
    epochs: mne.BaseEpochs, data: NDArray, names: list[str], *, trials: bool, by_run: bool
) -> tuple[NDArray, dict[str, list]]:
    """Return trials, or means over those of a stimulus (and run), and their labels."""
    runs = run_labels(epochs)
    if trials:
        labels = {"stimulus": names, "trial": trial_labels(epochs)}
        return data, labels | ({"run": runs} if runs else {})
    if not by_run:
        _warn_of_single(epochs, names, "a mean")
        values, kept = _means(data, [(name,) for name in names])
        return values, {"stimulus": [cell[0] for cell in kept]}
    if runs is None:
        remedy = "Load runs together, or divide the trials with assign_folds."
        raise InputError(message("by_run", "the epochs have no runs", remedy=remedy))
    cells = list(zip(names, runs, strict=True))
    _warn_of_missing(cells)
    values, kept = _means(data, cells)
    return values, {"stimulus": [cell[0] for cell in kept], "run": [cell[1] for cell in kept]}


def _check_values(data: NDArray, picks: list[int], channels: list[str]) -> None:
    """Refuse channels that are not finite or flat: the operator would spread them everywhere."""
    faults: dict[str, list[str]] = {"not finite": [], "flat": []}
    for pick, name in zip(picks, channels, strict=True):
        own = data[:, pick]
        if not np.isfinite(own).all():
            faults["not finite"].append(name)
        elif own.size and own.min() == own.max():
            faults["flat"].append(name)
    listed = "; ".join(f"{some(names)} ({why})" for why, names in faults.items() if names)
    if listed:
        remedy = "Mark them bad and make a new inverse operator without them."
        raise InputError(message("epochs", f"channels of the inverse: {listed}", remedy=remedy))
