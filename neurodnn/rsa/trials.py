"""Single trials -> trials in a common order, ready to be averaged to pseudo-trials."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from rsatoolbox.data import Dataset

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.numerics.features import usable_features
from neurodnn.numerics.pseudo_trials import draw_groups
from neurodnn.rsa.conditions import observation_names
from neurodnn.rsa.names import shorten_list


class TrialPlan(NamedTuple):
    """What all times have in common."""

    observed: list[str]  # stimulus of every trial
    names: list[str]  # stimuli, sorted
    order: np.ndarray  # brings the trials of the first stimulus to the front, and so on
    groups: np.ndarray  # repeats x pseudo-trials x stimuli x trials of each


def check_times(times: list) -> None:
    """Refuse keys that are no finite numbers; None stands for patterns without a time.

    Examples
    --------
    >>> check_times([0.1, None])
    """
    if not times:
        raise InputError(message("patterns", "are empty"))
    for time in times:
        number = isinstance(time, (int, float, np.integer, np.floating))
        if time is not None and not (number and math.isfinite(time)):
            fault = "must be keyed by time"
            raise InputError(message("patterns", fault, got=time, allowed="seconds, as numbers"))


def plan_trials(observed: list[str], size: int, n_repeats: int, seed: int, least: int) -> TrialPlan:
    """Return the order of trials and their groups; refuse stimuli with too few trials.

    Parameters
    ----------
    observed : list of str
        Stimulus of every trial.
    size : int
        Trials in a group.
    n_repeats, seed : int
        See `neurodnn.numerics.pseudo_trials.draw_groups`.
    least : int
        Groups that every stimulus must give.

    Examples
    --------
    >>> plan_trials(["b", "a", "b", "a"], 1, 1, 0, 2).order.tolist()
    [1, 3, 0, 2]
    """
    names = sorted(set(observed))
    if len(names) < 2:
        raise InputError(message("patterns", "one stimulus alone has no pairs", got=names))
    labels = np.array(observed)
    counts = [int((labels == name).sum()) for name in names]
    few = [f"{name} ({count} trials)" for name, count in zip(names, counts, strict=True)
           if count // size < least]  # fmt: skip
    if few:
        fault = f"too few trials for {least} pseudo-trials of {size}: {shorten_list(few)}"
        remedy = "Average fewer trials with trials_per_pseudo, or leave these stimuli out."
        raise InputError(message("patterns", fault, remedy=remedy))
    if max(counts) // size > min(counts) // size:
        fewest = names[int(np.argmin(counts))]
        text = (
            f"patterns: stimuli have {min(counts)} to {max(counts)} trials; each gives"
            f" {min(counts) // size} pseudo-trials, as the trials of {fewest} allow."
        )
        warnings.warn(text, DataWarning, stacklevel=3)
    order = np.concatenate([np.flatnonzero(labels == name) for name in names])
    return TrialPlan(observed, names, order, draw_groups(names, counts, size, n_repeats, seed))


def prepared_trials(
    dataset: Dataset, plan: TrialPlan, time: float | None
) -> tuple[np.ndarray, int]:
    """Return centred trials, in the order of the plan, and how many channels were left out.

    Examples
    --------
    >>> plan = plan_trials(["b", "a", "b", "a"], 1, 1, 0, 2)
    >>> trials = Dataset(np.array([[1.0, 5], [2, 5], [3, 5], [6, 5]]),
    ...                  obs_descriptors={"stimulus": ["b", "a", "b", "a"]})
    >>> prepared_trials(trials, plan, None)[0].ravel().tolist()
    [-1.0, 3.0, -2.0, 0.0]
    """
    where = "patterns" if time is None else f"patterns at {time:g} s"
    if observation_names(dataset, where) != plan.observed:
        fault = "the stimuli of the trials are not those of the first time"
        remedy = "Row i must be the same trial at every time."
        raise InputError(message(where, fault, remedy=remedy))
    trials = np.asarray(dataset.measurements)[plan.order].astype(np.float64)
    gaps = ~np.isfinite(trials).any(axis=1)
    if gaps.any():
        bad = sorted(int(plan.order[i]) + 1 for i in np.flatnonzero(gaps))
        fault = f"trials without a finite value: {shorten_list([str(i) for i in bad])}"
        raise InputError(message(where, fault, remedy="Leave these trials out."))
    usable = usable_features(trials)
    trials = np.ascontiguousarray(trials[:, usable])
    # No classifier feels a pattern that all trials share, but products of large numbers do.
    trials -= trials.mean(axis=0)
    return trials, int((~usable).sum())
