"""Decision values of linear support vector machines for all pairs of stimuli, left one out.

Axes: a *panel* is the Gram matrix of pseudo-trials of some stimuli (rows) with those of more
stimuli (columns), with the pseudo-trial before the stimulus on both axes; *own* is pseudo-trials
x pseudo-trials x stimuli, the Gram matrix of each stimulus with itself.

With few training points in many dimensions nearly every point lies on the margin, and the dual
of the support vector machine is one symmetric linear system (Q below). Every fold that leaves
one pseudo-trial of either stimulus out follows from the same Q by a system of two unknowns:
with r = Q y and S the two points held out, their residuals are e = inv(Q[S, S]) r[S], their
decision values y[S] - e, and the weights of the others r - Q[:, S] e. Sixteen pairs stand side
by side in the last axis, which the compiler turns into vector instructions. Where a weight is
negative or above C, `neurodnn.numerics.svm_folds` solves that fold for itself.

Compiled code is cached on disk and renewed when *this* file changes: after an edit of a module
that it calls (`svm_folds`, `svm_singular`, `svm_smo`), remove the ``__pycache__`` beside them.

Boser, B. E., Guyon, I. M., & Vapnik, V. N. (1992). A training algorithm for optimal margin
classifiers. Proceedings of COLT '92, 144-152.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn.numerics.svm_folds import solve_fold
from neurodnn.numerics.svm_singular import ridge_inverse

LANES = 16
# How a fold was solved; `ways` counts them.
WAYS = ("closed form", "active set", "all at the bound", "steps", "steps, not settled")
# Pivot beside its diagonal element, below which Q is not trusted: at 1e-8 decision values would
# be off by 1e-5 already.
_SINGULAR = 1e-5


class PairWork(NamedTuple):
    """Buffers for `LANES` pairs of n points; see `make_pair_work`. Lanes are the last axis."""

    gram: NDArray[np.float64]  # (n, n, lanes); lower triangle
    q: NDArray[np.float64]  # (n, n, lanes); lower triangle
    column: NDArray[np.float64]  # (n, lanes)
    full: NDArray[np.float64]  # (n, lanes), Q y
    total: NDArray[np.float64]  # (lanes,)
    held: NDArray[np.float64]  # (groups, 2, lanes), residuals of the points held out
    least: NDArray[np.float64]  # (groups, lanes), smallest weight of a training point
    most: NDArray[np.float64]
    trusted: NDArray[np.bool_]
    columns: NDArray[np.int64]


def make_pair_work(n_groups: int) -> PairWork:
    """Return buffers for pairs of stimuli with `n_groups` pseudo-trials each.

    Examples
    --------
    >>> make_pair_work(6).q.shape
    (12, 12, 16)
    """
    n = 2 * n_groups
    return PairWork(
        np.empty((n, n, LANES)), np.empty((n, n, LANES)), np.empty((n, LANES)),
        np.empty((n, LANES)), np.empty(LANES), np.empty((n_groups, 2, LANES)),
        np.empty((n_groups, LANES)), np.empty((n_groups, LANES)), np.empty(LANES, np.bool_),
        np.empty(LANES, np.int64),
    )  # fmt: skip


@njit(nogil=True, cache=True, error_model="numpy")
def decide_pairs(panel, own, first, cost, work, single, decisions, ways):
    """Write the decision values of every pair of a row's stimulus with a later stimulus.

    Parameters
    ----------
    panel : array of float64 (groups * rows, groups * columns)
        The first row and the first column are the same stimulus.
    own : array of float64 (groups, groups, columns)
    first : int
        Where in `decisions` the first pair stands; the pairs follow in the order of the upper
        triangle.
    cost : float
        C of the support vector machine.
    work : PairWork
    single : FoldWork
        From `neurodnn.numerics.svm_singular.make_fold_work`, for twice as many points as groups.
    decisions : array of float64 (pairs, groups, 2)
        Written: decision values of the pseudo-trials held out in each fold, that of the first
        stimulus of the pair and that of the second. Positive speaks for the first stimulus.
    ways : array of int64 (len(WAYS),)
        Raised by the number of folds that were solved in each way.
    """
    n_groups, _, n_columns = own.shape
    n_rows = panel.shape[0] // n_groups
    pair = first
    for row in range(n_rows):
        for start in range(row + 1, n_columns, LANES):
            used = min(LANES, n_columns - start)
            for lane in range(LANES):  # lanes beyond the last pair repeat it
                work.columns[lane] = start + min(lane, used - 1)
            _gather(panel, own, row, n_rows, work)
            _invert(work)
            for fold in range(n_groups):
                _solve_lanes(work, fold)
            for lane in range(used):
                _settle_lane(work, single, lane, cost, decisions[pair + lane], ways)
            pair += used
    return pair


@njit(nogil=True, cache=True, error_model="numpy")
def _gather(panel, own, row, n_rows, work):
    """Copy the lower triangles of the Gram matrices of a row's pairs, lanes last."""
    n_groups, _, n_columns = own.shape
    for i in range(n_groups):
        for j in range(n_groups):
            across = work.gram[n_groups + j, i]
            source = panel[i * n_rows + row]
            for lane in range(LANES):
                across[lane] = source[j * n_columns + work.columns[lane]]
            if j <= i:
                work.gram[i, j, :] = own[i, j, row]
                later = work.gram[n_groups + i, n_groups + j]
                for lane in range(LANES):
                    later[lane] = own[i, j, work.columns[lane]]


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _invert(work):
    """Write Q and Q y; say which lanes can be trusted.

    Q does not change if a constant is added to the whole Gram matrix, and the matrix of points
    that are centred on their mean would be singular without.
    """
    gram, q, column, total = work.gram, work.q, work.column, work.total
    n, _, lanes = gram.shape
    total[:] = 0.0
    for i in range(n):
        for lane in range(lanes):
            total[lane] += gram[i, i, lane] / n
    for i in range(n):
        for j in range(i + 1):
            for lane in range(lanes):
                q[i, j, lane] = gram[i, j, lane] + total[lane]
    work.trusted[:] = True
    for k in range(n):
        _sweep(q, column, k, gram, total, work.trusted)
    _constrain(work)


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _sweep(q, column, k, gram, shift, trusted):
    """Exchange variable k: after all sweeps the lower triangle holds minus the inverse."""
    n, _, lanes = q.shape
    for lane in range(lanes):
        enough = q[k, k, lane] > _SINGULAR * (gram[k, k, lane] + shift[lane])
        trusted[lane] &= enough
        column[k, lane] = 1.0 / q[k, k, lane] if enough else 0.0
    for i in range(n):
        if i != k:
            for lane in range(lanes):
                column[i, lane] = q[i, k, lane] if i > k else q[k, i, lane]
    for i in range(n):
        if i == k:
            continue
        for j in range(i + 1):
            if j != k:
                for lane in range(lanes):
                    scaled = column[i, lane] * column[k, lane]
                    q[i, j, lane] -= scaled * column[j, lane]
    for i in range(n):
        for lane in range(lanes):
            value = -column[k, lane] if i == k else column[i, lane] * column[k, lane]
            if i >= k:
                q[i, k, lane] = value
            else:
                q[k, i, lane] = value


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _constrain(work):
    """Turn minus the inverse M into Q = M - u u' / sum(u), u = M 1, and write Q y."""
    q, column, total, full = work.q, work.column, work.total, work.full
    n, _, lanes = q.shape
    column[:] = 0.0
    total[:] = 0.0
    full[:] = 0.0
    for i in range(n):
        for j in range(n):
            for lane in range(lanes):
                column[i, lane] -= q[i, j, lane] if i >= j else q[j, i, lane]
        for lane in range(lanes):
            total[lane] += column[i, lane]
    for i in range(n):
        for j in range(i + 1):
            for lane in range(lanes):
                q[i, j, lane] = -q[i, j, lane] - column[i, lane] * column[j, lane] / total[lane]
    for i in range(n):
        for j in range(n):
            sign = 1.0 if j < n // 2 else -1.0
            for lane in range(lanes):
                full[i, lane] += sign * (q[i, j, lane] if i >= j else q[j, i, lane])


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _solve_lanes(work, fold):
    """Write the residuals of the points held out, and the extreme weights of the others."""
    q, full, held = work.q, work.full, work.held[fold]
    least, most = work.least[fold], work.most[fold]
    n, _, lanes = q.shape
    half = n // 2
    other = fold + half
    for lane in range(lanes):
        a, b, c = q[fold, fold, lane], q[other, fold, lane], q[other, other, lane]
        scale = 1.0 / (a * c - b * b)
        held[0, lane] = (c * full[fold, lane] - b * full[other, lane]) * scale
        held[1, lane] = (a * full[other, lane] - b * full[fold, lane]) * scale
        least[lane] = np.inf
        most[lane] = -np.inf
    for i in range(n):
        if i == fold or i == other:
            continue
        sign = 1.0 if i < half else -1.0
        for lane in range(lanes):
            left = q[i, fold, lane] if i > fold else q[fold, i, lane]
            right = q[i, other, lane] if i > other else q[other, i, lane]
            alpha = sign * (full[i, lane] - left * held[0, lane] - right * held[1, lane])
            least[lane] = alpha if alpha < least[lane] else least[lane]
            most[lane] = alpha if alpha > most[lane] else most[lane]


@njit(nogil=True, cache=True, error_model="numpy")
def _settle_lane(work, single, lane, cost, decisions, ways):
    """Take the closed form of a pair's folds where it is optimal, else solve the fold itself."""
    loaded = False
    for fold in range(decisions.shape[0]):
        optimal = work.least[fold, lane] >= 0.0 and work.most[fold, lane] < cost
        if work.trusted[lane] and optimal:
            decisions[fold, 0] = 1.0 - work.held[fold, 0, lane]
            decisions[fold, 1] = -1.0 - work.held[fold, 1, lane]
            ways[0] += 1
            continue
        if not loaded:
            _load(work, single, lane)
            loaded = True
        found = solve_fold(single, fold, cost, work.trusted[lane])
        decisions[fold, 0], decisions[fold, 1], way = found
        ways[way] += 1


@njit(nogil=True, cache=True, error_model="numpy")
def _load(work, single, lane):
    """Copy one lane to where single folds are solved."""
    n = work.gram.shape[0]
    for i in range(n):
        single.full[i] = work.full[i, lane]
        for j in range(i + 1):
            single.gram[i, j] = single.gram[j, i] = work.gram[i, j, lane]
            single.q[i, j] = single.q[j, i] = work.q[i, j, lane]
    if not work.trusted[lane]:
        ridge_inverse(single)
