"""Observations -> one pattern per stimulus, or one per stimulus and run.

A stimulus that was shown several times needs a rule, and the runs give it: distances that are
not cross-validated are taken from the mean over runs, cross-validated ones use runs as folds.
Two patterns of the same stimulus are never compared with each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, closest, message
from neurodnn.rsa.names import shorten_list, stimulus_names


class Conditions(NamedTuple):
    """Patterns per stimulus, stimuli in order of first appearance."""

    names: list[str]
    patterns: np.ndarray  # (stimuli, channels), or (runs, stimuli, channels)


def observation_names(patterns: Dataset, where: str = "patterns") -> list[str]:
    """Return the stimulus of every observation.

    Parameters
    ----------
    patterns : Dataset
    where : str
        What the patterns are called in messages.

    Returns
    -------
    list of str, one per observation

    Raises
    ------
    InputError
        If `patterns` is no Dataset, has no observations, or lacks the descriptor ``stimulus``.

    Examples
    --------
    >>> observation_names(Dataset(np.eye(2), obs_descriptors={"stimulus": [b"cat", "dog "]}))
    ['cat', 'dog']
    """
    if not isinstance(patterns, Dataset):
        allowed = "an rsatoolbox Dataset, stimuli x channels"
        got = type(patterns).__name__
        raise InputError(message(where, "is not a Dataset", got=got, allowed=allowed))
    if "stimulus" not in patterns.obs_descriptors:
        near = closest("stimulus", patterns.obs_descriptors)
        remedy = "Name them: Dataset(values, obs_descriptors={'stimulus': [...]})."
        if near:
            remedy += f" Did you mean {near} to be the names?"
        raise InputError(message(where, "the observations have no stimulus names", remedy=remedy))
    if 0 in patterns.measurements.shape:
        raise InputError(message(where, "holds no values", got=patterns.measurements.shape))
    return stimulus_names(patterns.obs_descriptors["stimulus"], where)


def condition_means(patterns: Dataset, where: str = "patterns") -> Conditions:
    """Return one pattern per stimulus: the mean over runs where it was shown more than once.

    Parameters
    ----------
    patterns : Dataset
        Observations x channels with ``obs_descriptors["stimulus"]`` and, if a stimulus occurs
        more than once, ``obs_descriptors["run"]``. Presentations within a run are averaged
        first, so that every run counts the same.
    where : str
        What the patterns are called in messages.

    Returns
    -------
    Conditions
        ``patterns`` (stimuli, channels). Without repeats values and dtype are untouched.

    Raises
    ------
    InputError
        If stimuli repeat and there are no runs to say how to treat that.

    Examples
    --------
    >>> values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    >>> descriptors = {"stimulus": ["a", "b", "a", "b"], "run": ["1", "1", "2", "2"]}
    >>> condition_means(Dataset(values, obs_descriptors=descriptors)).patterns
    array([[3., 4.],
           [5., 6.]])
    """
    observed = observation_names(patterns, where)
    names = list(dict.fromkeys(observed))
    if len(names) == len(observed):
        return Conditions(names, patterns.measurements)
    if "run" not in patterns.obs_descriptors:
        twice = [name for name in names if observed.count(name) > 1]
        fault = f"{shorten_list(twice)} occur more than once, and no run tells them apart"
        remedy = "Give obs_descriptors['run'] to average over runs, or average them yourself."
        raise InputError(message(where, fault, remedy=remedy))
    cells = _cells(observed, patterns)
    means = np.empty((len(names), patterns.measurements.shape[1]))
    for row, name in enumerate(names):
        runs = sorted(run for stimulus, run in cells if stimulus == name)
        means[row] = np.mean([_mean(patterns, cells[name, run]) for run in runs], axis=0)
    return Conditions(names, means)


def condition_folds(patterns: Dataset, where: str = "patterns") -> Conditions:
    """Return one pattern per run and stimulus, for distances cross-validated over runs.

    Parameters
    ----------
    patterns : Dataset
        Observations x channels with ``obs_descriptors["stimulus"]`` and
        ``obs_descriptors["run"]``; every stimulus in every run. Presentations within a run are
        averaged.
    where : str
        What the patterns are called in messages.

    Returns
    -------
    Conditions
        ``patterns`` (runs, stimuli, channels), runs in sorted order.

    Raises
    ------
    InputError
        If there are fewer than two runs, or a stimulus is missing from one; it is named.

    Examples
    --------
    >>> values = np.arange(8.0).reshape(4, 2)
    >>> descriptors = {"stimulus": ["a", "b", "b", "a"], "run": ["1", "1", "2", "2"]}
    >>> condition_folds(Dataset(values, obs_descriptors=descriptors)).patterns[:, 0]
    array([[0., 1.],
           [6., 7.]])
    """
    observed = observation_names(patterns, where)
    if "run" not in patterns.obs_descriptors:
        remedy = "Give obs_descriptors['run'], or choose a metric without cross-validation."
        raise InputError(message(where, "crossnobis needs runs, but has none", remedy=remedy))
    names, cells = list(dict.fromkeys(observed)), _cells(observed, patterns)
    runs = sorted({run for _, run in cells})
    if len(runs) < 2:
        fault = "crossnobis needs at least two runs"
        raise InputError(message(where, fault, got=runs, remedy="Choose another metric."))
    missing = [f"{name} (run {run})" for run in runs for name in names if (name, run) not in cells]
    if missing:
        fault = "every stimulus must occur in every run, but these are missing: "
        raise InputError(message(where, fault + shorten_list(missing)))
    folds = [[_mean(patterns, cells[name, run]) for name in names] for run in runs]
    return Conditions(names, np.array(folds))


def _cells(observed: list[str], patterns: Dataset) -> dict[tuple[str, str], list[int]]:
    """Return (stimulus, run) -> observations."""
    cells: dict[tuple[str, str], list[int]] = {}
    runs = stimulus_names(patterns.obs_descriptors["run"], "run")
    for row, cell in enumerate(zip(observed, runs, strict=True)):
        cells.setdefault(cell, []).append(row)
    return cells


def _mean(patterns: Dataset, rows: list[int]) -> np.ndarray:
    # Sorted, so that the order of presentations in a run does not change a bit of their sum.
    return np.sort(patterns.measurements[rows], axis=0).mean(axis=0, dtype=np.float64)
