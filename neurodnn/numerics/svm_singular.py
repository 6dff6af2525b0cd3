"""Where the Gram matrix of a pair is singular: fewer channels than points, or equal points.

There the weights are not unique, and no Q exists; but the points on the margin that support the
border are, in all but contrived cases, affinely independent. A small ridge leads to them, and
the weights are then solved for without it and checked against all conditions of optimality.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREE, UNUSED, BOUND, HELD_OUT = range(4)  # on the margin, weight 0, weight C, not in training
_RIDGE = 1e-6  # of the mean diagonal
_PIVOT = 1e-9
_SLACK = 1e-9  # of the conditions of optimality, in units of the margin


class FoldWork(NamedTuple):
    """Buffers for the folds of one pair of n = 2L points; see `make_fold_work`."""

    gram: NDArray[np.float64]  # (n, n), of all points
    q: NDArray[np.float64]  # (n, n)
    y: NDArray[np.float64]
    full: NDArray[np.float64]  # Q y: the weights if no point were held out
    state: NDArray[np.int64]
    weights: NDArray[np.float64]
    residuals: NDArray[np.float64]
    fits: NDArray[np.float64]
    others: NDArray[np.int64]
    system: NDArray[np.float64]
    part: NDArray[np.float64]  # Gram matrix of the training points
    part_y: NDArray[np.float64]
    part_weights: NDArray[np.float64]
    bordered: NDArray[np.float64]  # (n + 1, n + 2), system of exact weights and its right side


def make_fold_work(n: int) -> FoldWork:
    """Return buffers for pairs of n points: first those of one stimulus, then of the other.

    Examples
    --------
    >>> make_fold_work(4).y
    array([ 1.,  1., -1., -1.])
    """
    half = n // 2
    signs = np.where(np.arange(n) < half, 1.0, -1.0)
    training = np.where(np.arange(n - 2) < half - 1, 1.0, -1.0)
    return FoldWork(
        np.empty((n, n)), np.empty((n, n)), signs, np.empty(n), np.empty(n, np.int64),
        np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64), np.empty((n, n)),
        np.empty((n, n)), training, np.empty(n), np.empty((n + 1, n + 2)),
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def ridge_inverse(work):
    """Write Q and Q y of `work.gram` with a ridge, by exchanging one variable after the other."""
    q, n = work.q, work.y.size
    mean = 0.0
    for i in range(n):
        mean += work.gram[i, i] / n
    for i in range(n):
        for j in range(n):
            q[i, j] = work.gram[i, j] + mean
        q[i, i] += _RIDGE * mean
    for k in range(n):
        pivot = 1.0 / q[k, k]
        for i in range(n):
            if i != k:
                factor = q[i, k] * pivot
                for j in range(n):
                    if j != k:
                        q[i, j] -= factor * q[k, j]
                q[i, k] = -factor
        for j in range(n):
            q[k, j] *= pivot
        q[k, k] = pivot
    sums = work.fits
    total = 0.0
    for i in range(n):
        sums[i] = q[i].sum()
        total += sums[i]
    for i in range(n):
        work.full[i] = 0.0
        for j in range(n):
            q[i, j] -= sums[i] * sums[j] / total
            work.full[i] += q[i, j] * work.y[j]


@njit(nogil=True, cache=True, error_model="numpy")
def exact_weights(work, cost):
    """Solve for the weights of the points taken as free; return success and the threshold.

    `work.fits` receives the fits of all points.
    """
    n = work.y.size
    m = 0
    for i in range(n):
        work.weights[i] = cost * work.y[i] if work.state[i] == BOUND else 0.0
        if work.state[i] == FREE:
            work.others[m] = i
            m += 1
    _fill_bordered(work, m)
    if not _eliminate(work.bordered, m + 1):
        return False, 0.0
    for a in range(m):
        work.weights[work.others[a]] = work.bordered[a, m + 1]
    middle = work.bordered[m, m + 1]
    return _optimal(work, cost, middle), middle


@njit(nogil=True, cache=True, error_model="numpy")
def _fill_bordered(work, m):
    """Write the conditions that free points lie on the margin and all weights sum to zero."""
    n, system = work.y.size, work.bordered
    rest = 0.0
    for j in range(n):
        rest += work.weights[j]
    for a in range(m):
        i = work.others[a]
        fit = 0.0
        for j in range(n):
            fit += work.gram[i, j] * work.weights[j]
        for b in range(m):
            system[a, b] = work.gram[i, work.others[b]]
        system[a, m] = system[m, a] = 1.0
        system[a, m + 1] = work.y[i] - fit
    system[m, m] = 0.0
    system[m, m + 1] = -rest


@njit(nogil=True, cache=True, error_model="numpy")
def _eliminate(system, n):
    """Solve the first n rows in place, the right side in column n; False if singular."""
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(system[i, k]) > abs(system[best, k]):
                best = i
        largest = 0.0
        for i in range(n):
            largest = max(largest, abs(system[i, k]))
        if not abs(system[best, k]) > _PIVOT * largest:
            return False
        for j in range(n + 1):
            system[k, j], system[best, j] = system[best, j], system[k, j]
        for i in range(n):
            if i != k:
                factor = system[i, k] / system[k, k]
                for j in range(k, n + 1):
                    system[i, j] -= factor * system[k, j]
    for k in range(n):
        system[k, n] /= system[k, k]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def _optimal(work, cost, middle):
    """Write all fits; return whether weights and margins fulfil every condition."""
    n = work.y.size
    optimal = True
    for i in range(n):
        fit = 0.0
        for j in range(n):
            fit += work.gram[i, j] * work.weights[j]
        work.fits[i] = fit
        alpha = work.y[i] * work.weights[i]
        margin = work.y[i] * (fit + middle) - 1.0
        state = work.state[i]
        if state == FREE:
            optimal &= 0.0 <= alpha <= cost and abs(margin) <= _SLACK
        elif state == UNUSED:
            optimal &= margin >= -_SLACK
        elif state == BOUND:
            optimal &= margin <= _SLACK
    return optimal
