"""One RDM as a comparison sees it, compiled: ranks, centred values, whitened values.

A *lane* times its scale has unit length, and the comparison of two RDMs is the dot product of
two such lanes (`neurodnn.numerics.similarity.normalise` is the same on whole rows). Only Kendall's
tau-a has no such form: its lane holds the distances themselves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import extremes, rank_into
from neurodnn.numerics.spheres import FLAT_RDM, NOT_FINITE, OK
from neurodnn.numerics.whitened import half_whitened_into

COMPARISON_CODES = {
    "spearman": 0, "pearson": 1, "cosine": 2, "rho-a": 3, "tau-a": 4, "corr_cov": 5,
    "cosine_cov": 6,
}  # fmt: skip
SPEARMAN, PEARSON, COSINE, RHO_A, TAU_A, CORR_COV, COSINE_COV = COMPARISON_CODES.values()


@njit(nogil=True, cache=True)
def fill_lane(rule, values, lane, ranking, kernel):
    """Turn the values of an RDM into its lane; return reason code, scale and norm.

    The norm is the length of what the values are before they are scaled to unit length: of
    centred ranks, of centred distances, of distances. `kernel` is float64, one value a stimulus.
    """
    n = values.size
    low, high = extremes(values)
    largest = max(abs(low), abs(high))
    if not np.isfinite(largest):
        return NOT_FINITE, 0.0, 0.0
    if not largest > 0.0:
        return FLAT_RDM, 0.0, 0.0
    comparison = rule.comparison
    of_angle = comparison == COSINE or comparison == COSINE_COV
    if not of_angle and high - low <= ZERO_FACTOR * rule.eps * largest:
        return FLAT_RDM, 0.0, 0.0
    if comparison == TAU_A:
        lane[:] = values
        return OK, 1.0, 1.0
    if comparison == SPEARMAN or comparison == RHO_A:
        ties = rank_into(values, low, high, lane, 0.5 * (n + 1), ranking)
        if comparison == RHO_A:
            ties = 0.0
        norm = np.sqrt((float(n) ** 3 - n - ties) / 12.0)
        return OK, 1.0 / norm, norm
    norm = np.sqrt(_centre(values, lane, not of_angle, largest))
    if comparison == CORR_COV or comparison == COSINE_COV:
        squares = half_whitened_into(lane, kernel.size, kernel, lane)
        return OK, 1.0 / np.sqrt(squares), norm * largest
    return OK, 1.0 / norm, norm * largest


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
