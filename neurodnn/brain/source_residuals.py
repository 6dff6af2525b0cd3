"""Trials on the cortex -> what each differs from the mean of its stimulus, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, message


class SourceResiduals(Mapping[float, Dataset]):
    """Residuals by the centre of their window in seconds; one window is made when asked for.

    What Mahalanobis distances estimate the covariance of the noise from. Means are taken within
    runs where the trials name their run, as in `window_residuals`.

    Parameters
    ----------
    trials : mapping of time in seconds -> Dataset
        From `source_patterns` with ``trials=True``.

    Raises
    ------
    InputError
        If no stimulus (of a run) has two trials.

    Examples
    --------
    >>> names = {"stimulus": ["a", "a", "b", "b"]}
    >>> trials = {0.1: Dataset(np.array([[1.0], [3], [5], [9]]), obs_descriptors=names)}
    >>> residuals = SourceResiduals(trials)[0.1]
    >>> residuals.measurements.ravel().tolist(), residuals.descriptors["degrees_of_freedom"]
    ([-1.0, 1.0, -2.0, 2.0], 2)
    """

    def __init__(self, trials: Mapping[float, Dataset]) -> None:
        self._trials = trials
        described = trials[next(iter(trials))].obs_descriptors
        names = [described[key] for key in ("stimulus", "run") if key in described]
        cells = ["\0".join(map(str, cell)) for cell in zip(*names, strict=True)]
        _, self._cells, counts = np.unique(cells, return_inverse=True, return_counts=True)
        self._freedom = len(cells) - len(counts)
        if self._freedom < 1:
            fault = "no stimulus has two trials, so that there are no residuals"
            raise InputError(message("trials", fault))

    def __getitem__(self, centre: float) -> Dataset:
        found = self._trials[centre]
        values = np.array(found.measurements, dtype=float)
        for cell in range(self._cells.max() + 1):
            rows = self._cells == cell
            values[rows] -= values[rows].mean(axis=0)
        described = {key: list(each) for key, each in found.obs_descriptors.items()
                     if key in ("stimulus", "run")}  # fmt: skip
        return Dataset(
            values,
            descriptors={**found.descriptors, "degrees_of_freedom": self._freedom},
            obs_descriptors=described,
            channel_descriptors={k: list(v) for k, v in found.channel_descriptors.items()},
        )

    def __iter__(self) -> Iterator[float]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)
