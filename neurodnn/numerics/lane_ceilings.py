"""Noise ceilings from the lanes of several subjects at the same places, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn.numerics.lanes import COSINE, PEARSON, RHO_A, SPEARMAN, fill_lane
from neurodnn.numerics.ranks import make_rank_work
from neurodnn.numerics.spheres import OK, Rule


def lane_ceilings(
    lanes: NDArray, scales: NDArray[np.float64], weights: NDArray[np.float64], rule: Rule
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper bound of the mean score over subjects, per place.

    Subjects are averaged on the scale that the comparison sees, each is compared with the mean
    of all (upper) and with the mean of the others (lower).

    Parameters
    ----------
    lanes : array (subjects x places x pairs)
        As of `neurodnn.numerics.lanes.fill_lane`; a place that is undefined in a subject has
        scale 0 there.
    scales, weights : array (subjects x places)
        What makes a lane one of unit length; what it counts by in the mean.
    rule : Rule

    Examples
    --------
    >>> lanes = np.array([[[3.0, 4.0, 0.0]], [[3.0, 4.0, 0.0]]])
    >>> scales = np.full((2, 1), 0.2)
    >>> lower, upper = lane_ceilings(lanes, scales, scales, Rule(0, 2, 1, 1, 1e-16))
    >>> lower.round(12), upper.round(12)
    (array([1.]), array([1.]))
    """
    n_places, n_pairs = lanes.shape[1:]
    ranked = rule.comparison in (SPEARMAN, RHO_A)
    # Whitened lanes are averaged as they are, and distances in them have no mean to be removed.
    as_seen = rule.comparison if ranked or rule.comparison == PEARSON else COSINE
    lower, upper = np.full(n_places, np.nan), np.full(n_places, np.nan)
    _bounds(
        lanes, scales, weights, rule._replace(comparison=as_seen),
        np.empty(n_pairs), np.empty(n_pairs), np.empty(n_pairs),
        make_rank_work(n_pairs, "float64"), lower, upper,
    )  # fmt: skip
    return lower, upper


@njit(nogil=True, cache=True)
def _bounds(lanes, scales, weights, rule, total, others, lane, ranking, lower, upper):
    n_subjects, n_places, n_pairs = lanes.shape
    for place in range(n_places):
        if scales[:, place].min() <= 0.0:
            continue
        total[:] = 0.0
        for subject in range(n_subjects):
            for pair in range(n_pairs):
                total[pair] += weights[subject, place] * lanes[subject, place, pair]
        reason, scale, _ = fill_lane(rule, total, lane, ranking, others)
        bound = 0.0
        for subject in range(n_subjects):
            bound += _product(lanes[subject, place], lane, scales[subject, place] * scale)
        upper[place] = bound / n_subjects if reason == OK else np.nan
        bound = 0.0
        for subject in range(n_subjects):
            weight = weights[subject, place]
            for pair in range(n_pairs):
                others[pair] = total[pair] - weight * lanes[subject, place, pair]
            reason, scale, _ = fill_lane(rule, others, lane, ranking, others)
            score = _product(lanes[subject, place], lane, scales[subject, place] * scale)
            bound += score if reason == OK else np.nan
        lower[place] = bound / n_subjects


@njit(nogil=True, cache=True)
def _product(x, y, scale):
    total = 0.0
    for pair in range(x.size):
        total += x[pair] * y[pair]
    return min(max(total * scale, -1.0), 1.0)
