"""Linear C-SVC on a Gram matrix by sequential minimal optimisation: works for any Gram matrix.

The dual in signed weights b = y a: minimise b'Kb/2 - y'b under sum(b) = 0 and 0 <= y b <= C.
What it leaves open (the threshold where no point lies on the margin) is settled as libsvm does:
in the middle of the interval that the conditions of optimality allow. (libsvm itself takes an
end of the interval where its rounding leaves a weight 1e-16 off its bound.)

Fan, R.-E., Chen, P.-H., & Lin, C.-J. (2005). Working set selection using second order
information for training support vector machines. Journal of Machine Learning Research, 6,
1889-1918.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message

TOLERANCE = 1e-11  # of the conditions of optimality, in units of the margin
_MOST_STEPS = 200_000
_ROUNDING = 64 * 2.0**-52
_SNAP = 1e-10  # relative distance from a bound that is the rounding of many steps


def solve_svm(
    gram: ArrayLike, y: ArrayLike, cost: float
) -> tuple[NDArray[np.float64], float]:
    """Return the signed weights and the threshold of a linear C-SVC.

    Parameters
    ----------
    gram : array (points x points)
        Dot products of the training points.
    y : array (points,)
        1 or -1; both must occur.
    cost : float
        C, the largest weight of a point.

    Returns
    -------
    weights : array (points,)
        The decision value of a point is its dot products with the training points times
        `weights`, plus `threshold`.
    threshold : float

    Raises
    ------
    InputError
        If a class has no point, or shapes do not fit.

    Examples
    --------
    >>> solve_svm([[1.0, -1.0], [-1.0, 1.0]], [1, -1], 1.0)
    (array([ 0.5, -0.5]), 0.0)
    """
    gram = np.ascontiguousarray(gram, dtype=np.float64)
    y = np.ascontiguousarray(y, dtype=np.float64)
    if set(y.tolist()) != {-1.0, 1.0} or gram.shape != (y.size, y.size):
        raise InputError(message("y", "must be 1 or -1 for each row of gram, and hold both"))
    weights, fits = np.zeros(y.size), np.zeros(y.size)
    smo(gram, y, float(cost), y.size, weights, fits)
    return weights, float(threshold(y, float(cost), y.size, weights, fits)[0])


@njit(nogil=True, cache=True, error_model="numpy")
def smo(gram, y, cost, n, weights, fits):
    """Solve for the first `n` points; write `weights` and `fits` = gram weights.

    Returns False if the tolerance was not reached within `_MOST_STEPS`.
    """
    weights[:n] = 0.0
    fits[:n] = 0.0
    largest = 0.0
    refreshed = True
    for _ in range(_MOST_STEPS):
        up, low = _extremes(y, cost, n, weights, fits)
        # Where the fits are large, rounding alone exceeds the tolerance.
        tolerance = max(TOLERANCE, _ROUNDING * largest)
        if (y[up] - y[low]) - (fits[up] - fits[low]) <= tolerance:
            if refreshed:
                _snap(gram, y, cost, n, weights, fits)
                return True
            _fit(gram, n, weights, fits)  # what the steps have lost by rounding
            refreshed = True
            continue
        refreshed = False
        low = _partner(gram, y, cost, n, weights, fits, up)
        largest = max(largest, _step(gram, y, cost, n, weights, fits, up, low))
    _snap(gram, y, cost, n, weights, fits)
    return False


@njit(nogil=True, cache=True, error_model="numpy")
def threshold(y, cost, n, weights, fits):
    """Return the threshold, and whether the conditions of optimality leave room for it."""
    total = 0.0
    free = 0
    for i in range(n):
        if 0.0 < y[i] * weights[i] < cost:
            total += y[i] - fits[i]
            free += 1
    if free > 0:
        return total / free, True
    up, low = _extremes(y, cost, n, weights, fits)
    # Labels apart from fits: fits of 1e-20 (data in tesla) would vanish beside the labels.
    middle = 0.5 * (y[up] + y[low]) - 0.5 * (fits[up] + fits[low])
    room = (y[low] - y[up]) - (fits[low] - fits[up])
    return middle, room >= 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _may_rise(y, weight, cost):
    return weight < cost if y > 0 else weight < 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def _may_fall(y, weight, cost):
    return weight > 0.0 if y > 0 else weight > -cost


@njit(nogil=True, cache=True, error_model="numpy")
def _extremes(y, cost, n, weights, fits):
    """Return which point may rise with the largest y - fit, and may fall with the smallest."""
    up = -1
    low = -1
    for i in range(n):
        if _may_rise(y[i], weights[i], cost):
            if up < 0 or (y[i] - y[up]) - (fits[i] - fits[up]) > 0.0:
                up = i
        if _may_fall(y[i], weights[i], cost):
            if low < 0 or (y[i] - y[low]) - (fits[i] - fits[low]) < 0.0:
                low = i
    return up, low


@njit(nogil=True, cache=True, error_model="numpy")
def _partner(gram, y, cost, n, weights, fits, up):
    """Return the point that may fall with the largest gain of a step; -1 if there is none."""
    best = -1
    gain = 0.0
    for j in range(n):
        if _may_fall(y[j], weights[j], cost):
            slope = (y[up] - y[j]) - (fits[up] - fits[j])
            if slope > 0.0:
                curve = gram[up, up] + gram[j, j] - 2.0 * gram[up, j]
                found = slope * slope / max(curve, 1e-12)
                if found > gain:
                    gain = found
                    best = j
    return best


@njit(nogil=True, cache=True, error_model="numpy")
def _step(gram, y, cost, n, weights, fits, up, low):
    """Raise `up` and lower `low` by the best common amount; return the largest fit."""
    slope = (y[up] - y[low]) - (fits[up] - fits[low])
    curve = gram[up, up] + gram[low, low] - 2.0 * gram[up, low]
    room_up = (cost if y[up] > 0 else 0.0) - weights[up]
    room_low = weights[low] - (0.0 if y[low] > 0 else -cost)
    amount = min(slope / max(curve, 1e-12), room_up, room_low)
    weights[up] += amount
    weights[low] -= amount
    # Exactly at the bound, which sums of rounded numbers would miss.
    if amount == room_up:
        weights[up] = cost if y[up] > 0 else 0.0
    if amount == room_low:
        weights[low] = 0.0 if y[low] > 0 else -cost
    largest = 0.0
    for i in range(n):
        fits[i] += amount * (gram[up, i] - gram[low, i])
        largest = max(largest, abs(fits[i]))
    return largest


@njit(nogil=True, cache=True, error_model="numpy")
def _snap(gram, y, cost, n, weights, fits):
    """Put weights that rounding alone parts from 0 or C there: they must not pass for free."""
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(weights[i]))
    for i in range(n):
        alpha = y[i] * weights[i]
        if alpha <= _SNAP * largest:
            weights[i] = 0.0
        elif alpha >= (1.0 - _SNAP) * cost:
            weights[i] = cost * y[i]
    _fit(gram, n, weights, fits)


@njit(nogil=True, cache=True, error_model="numpy")
def _fit(gram, n, weights, fits):
    for i in range(n):
        fit = 0.0
        for j in range(n):
            fit += gram[i, j] * weights[j]
        fits[i] = fit
