"""Decision values of a shrunk linear discriminant for all pairs of stimuli, left one out.

The covariance within classes is shrunk towards a multiple of the identity with the weight of
Ledoit and Wolf, from the training points of the fold alone:
S = (1 - s) R'R / n + s m I, with R the training points less the mean of their class, m the mean
of the diagonal of R'R / n. Its inverse times the difference of class means is needed at single
points only, which takes dot products of points and no matrix of channels. Axes as in
`neurodnn.numerics.svm`.

Ledoit, O., & Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance
matrices. Journal of Multivariate Analysis, 88, 365-411.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_ROUNDING = 64 * 2.0**-52


class LdaWork(NamedTuple):
    """Buffers for one pair of n = 2L points; see `make_lda_work`."""

    gram: NDArray[np.float64]  # (n, n), of all points
    training: NDArray[np.int64]  # (n - 2,), which points train
    means: NDArray[np.float64]  # (n, 2), dot products of points with the class means
    middle: NDArray[np.float64]  # (2, 2), of the class means with each other
    within: NDArray[np.float64]  # (n - 2, n - 2), R R'
    factor: NDArray[np.float64]
    across: NDArray[np.float64]  # (n - 2,), R (difference of class means)
    solved: NDArray[np.float64]


def make_lda_work(n_groups: int) -> LdaWork:
    """Return buffers for pairs of stimuli with `n_groups` pseudo-trials each.

    Examples
    --------
    >>> make_lda_work(6).within.shape
    (10, 10)
    """
    n = 2 * n_groups
    m = n - 2
    return LdaWork(
        np.empty((n, n)), np.empty(m, np.int64), np.empty((n, 2)), np.empty((2, 2)),
        np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m),
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def weigh_pairs(panel, own, first, n_channels, work, decisions):
    """Write the decision values of every pair of a row's stimulus with a later stimulus.

    Parameters are those of `neurodnn.numerics.svm.decide_pairs`; `n_channels` is the number of
    dimensions that the covariance is shrunk in. Returns where the next pair stands.
    """
    n_groups, _, n_columns = own.shape
    n_rows = panel.shape[0] // n_groups
    pair = first
    for row in range(n_rows):
        for column in range(row + 1, n_columns):
            for i in range(n_groups):
                for j in range(n_groups):
                    across = panel[i * n_rows + row, j * n_columns + column]
                    work.gram[i, n_groups + j] = work.gram[n_groups + j, i] = across
                    work.gram[i, j] = own[i, j, row]
                    work.gram[n_groups + i, n_groups + j] = own[i, j, column]
            for fold in range(n_groups):
                _decide_fold(work, fold, n_channels, decisions[pair, fold])
            pair += 1
    return pair


@njit(nogil=True, cache=True, error_model="numpy")
def _decide_fold(work, fold, n_channels, decisions):
    n = work.gram.shape[0]
    m = 0
    for i in range(n):
        if i != fold and i != fold + n // 2:
            work.training[m] = i
            m += 1
    _class_means(work)
    _residual_products(work)
    shrinkage, variance = _shrinkage(work, n_channels)
    ridge = shrinkage * variance
    weight = (1.0 - shrinkage) / m
    if not ridge > 0.0:  # no residuals: the identity stands for S
        ridge, weight = 1.0, 0.0
    _solve(work, ridge, weight)
    for side in range(2):
        decisions[side] = _decision(work, fold + side * (n // 2), ridge, weight)


@njit(nogil=True, cache=True, error_model="numpy")
def _class_means(work):
    """Write dot products of all points, and of the class means, with the class means."""
    m = work.training.size // 2
    work.means[:] = 0.0
    work.middle[:] = 0.0
    for i in range(work.gram.shape[0]):
        for a in range(2 * m):
            work.means[i, a // m] += work.gram[i, work.training[a]] / m
    for a in range(2 * m):
        for half in range(2):
            work.middle[a // m, half] += work.means[work.training[a], half] / m


@njit(nogil=True, cache=True, error_model="numpy")
def _residual_products(work):
    """Write R R' and R (difference of class means)."""
    size = work.training.size
    means, middle = work.means, work.middle
    for a in range(size):
        i, left = work.training[a], 2 * a // size
        for b in range(size):
            j, right = work.training[b], 2 * b // size
            value = work.gram[i, j] - means[i, right] - means[j, left] + middle[left, right]
            work.within[a, b] = value
        work.across[a] = means[i, 0] - means[i, 1] - middle[left, 0] + middle[left, 1]


@njit(nogil=True, cache=True, error_model="numpy")
def _shrinkage(work, p):
    """Return the weight of Ledoit and Wolf (points centred already), and the mean variance."""
    n = work.training.size
    trace = 0.0
    fourth = 0.0
    squares = 0.0
    for a in range(n):
        trace += work.within[a, a] / n
        fourth += work.within[a, a] ** 2 / n
        for b in range(n):
            squares += (work.within[a, b] / n) ** 2
    variance = trace / p
    noise = (fourth - squares) / (p * n)
    spread = (squares - 2.0 * variance * trace + p * variance**2) / p
    if not spread > 0.0:
        return 1.0, variance
    return min(max(noise, 0.0), spread) / spread, variance


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(work, ridge, weight):
    """Write inv(ridge I + weight R R') R (difference of class means)."""
    n = work.training.size
    for i in range(n):
        for j in range(i + 1):
            value = weight * work.within[i, j]
            if i == j:
                value += ridge
            for k in range(j):
                value -= work.factor[i, k] * work.factor[j, k]
            work.factor[i, j] = np.sqrt(value) if i == j else value / work.factor[j, j]
    for i in range(n):
        value = work.across[i]
        for k in range(i):
            value -= work.factor[i, k] * work.solved[k]
        work.solved[i] = value / work.factor[i, i]
    for i in range(n - 1, -1, -1):
        value = work.solved[i]
        for k in range(i + 1, n):
            value -= work.factor[k, i] * work.solved[k]
        work.solved[i] = value / work.factor[i, i]


@njit(nogil=True, cache=True, error_model="numpy")
def _decision(work, point, ridge, weight):
    """Return (x - middle of the class means)' inv(S) (difference of class means).

    Exactly zero where only rounding parts the sum from it.
    """
    size = work.training.size
    means, middle = work.means, work.middle
    value = means[point, 0] - means[point, 1] - 0.5 * (middle[0, 0] - middle[1, 1])
    noise = abs(means[point, 0]) + abs(means[point, 1]) + 0.5 * (middle[0, 0] + middle[1, 1])
    for a in range(size):
        i, half = work.training[a], 2 * a // size
        # R (x - middle of the class means)
        here = work.gram[i, point] - means[point, half]
        between = 0.5 * (means[i, 0] + means[i, 1] - middle[half, 0] - middle[half, 1])
        value -= weight * (here - between) * work.solved[a]
        noise += weight * (abs(here) + abs(between)) * abs(work.solved[a])
    return value / ridge if abs(value) > _ROUNDING * noise else 0.0
