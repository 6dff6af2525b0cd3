"""Patterns x neighbours x references -> scores: the loop over centres, compiled.

Axes: ``rows`` is channels x width, where width is the number of conditions, or folds x
conditions laid one fold after the other; neighbours are the ``indptr`` and ``indices`` of a
sparse row per centre; ``references`` is pairs x references, normalised by
`neurodnn.numerics.similarity.normalise`; scores are centres x references.

Per centre: copy the rows of its members, centre them (two passes, float64 sums), one Gram
product, distances of the upper triangle, ranks. `LANES` centres share one product with all
references. Nothing is allocated per centre and nothing of a centre is kept. What happens at one
centre depends on nothing but its own members, so neither a fault in another sphere nor the
number of workers can change a bit.

Compiled code is cached on disk and renewed when *this* file changes: after an edit of a module
that it calls (`spheres`, `ranks`, `_blas`), remove the ``__pycache__`` beside them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import extremes, rank_into
from neurodnn.numerics.spheres import (
    FLAT_RDM,
    LANES,
    METRIC_CODES,
    NOT_FINITE,
    OK,
    REASONS,
    TOO_FEW,
    Rule,
    Spheres,
    Work,
    gather,
    make_work,
    sphere_distances,
)

__all__ = [
    "COMPARISON_CODES",
    "METRIC_CODES",
    "REASONS",
    "Rule",
    "Spheres",
    "Work",
    "make_work",
    "score_centres",
]

COMPARISON_CODES = {"spearman": 0, "pearson": 1, "cosine": 2, "rho-a": 3}
_SPEARMAN, _PEARSON, _COSINE, _RHO_A = COMPARISON_CODES.values()


@njit(nogil=True, cache=True)
def score_centres(spheres, rule, work, start, stop, scores, n_features, reasons):
    """Write scores, numbers of features and reason codes of the centres start ... stop - 1."""
    for first in range(start, stop, LANES):
        last = min(first + LANES, stop)
        for centre in range(first, last):
            lane = centre - first
            n = gather(spheres, work, centre)
            n_features[centre] = n
            reason = TOO_FEW
            if n >= rule.min_features:
                reason = sphere_distances(spheres, rule, work, n)
            if reason == OK:
                reason = _fill_lane(rule, work, lane)
            reasons[centre] = reason
            if reason != OK:
                work.block[lane, :] = 0
        # Always all lanes: the bits of a row must not depend on how many stand beside it.
        for lane in range(last - first, LANES):
            work.block[lane, :] = 0
        np.dot(work.block, spheres.references, work.product)
        for centre in range(first, last):
            _write(work, centre - first, scores[centre], reasons, centre)


@njit(nogil=True, cache=True)
def _write(work, lane, scores, reasons, centre):
    for reference in range(scores.size):
        if reasons[centre] != OK:
            scores[reference] = np.nan
        else:
            score = work.product[lane, reference] * work.lane_scale[lane]
            scores[reference] = min(max(score, -1.0), 1.0)


@njit(nogil=True, cache=True)
def _fill_lane(rule, work, lane):
    """Turn distances into what is multiplied with the references; return a reason code."""
    values = work.distances
    n = values.size
    low, high = extremes(values)
    largest = max(abs(low), abs(high))
    if not np.isfinite(largest):
        return NOT_FINITE
    if not largest > 0.0:
        return FLAT_RDM
    if rule.comparison != _COSINE and high - low <= ZERO_FACTOR * rule.eps * largest:
        return FLAT_RDM
    lane_values = work.block[lane]
    if rule.comparison == _SPEARMAN or rule.comparison == _RHO_A:
        ties = rank_into(values, low, high, lane_values, 0.5 * (n + 1), work.ranking)
        if rule.comparison == _RHO_A:
            ties = 0.0
        squares = (float(n) ** 3 - n - ties) / 12.0
    else:
        squares = _centre(values, lane_values, rule.comparison == _PEARSON, largest)
    work.lane_scale[lane] = 1.0 / np.sqrt(squares)
    return OK


@njit(nogil=True, cache=True)
def _centre(values, out, centred, largest):
    """Write values over `largest`, less their mean if asked; return their sum of squares."""
    mean = 0.0
    if centred:
        for pair in range(values.size):
            mean += values[pair]
        mean /= values.size
    squares = 0.0
    for pair in range(values.size):
        value = (values[pair] - mean) / largest
        out[pair] = value
        squares += value * value
    return squares
