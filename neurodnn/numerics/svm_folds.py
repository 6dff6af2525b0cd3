"""One leave-one-out fold of a pair whose points do not all lie on the margin.

Q is the inverse of the Gram matrix of all 2L points under sum(weights) = 0 (`numerics.svm`).
With residuals e = y - decision value, every solution has weights = Q (y - e), whichever points
are held out, bounded or unused: e is zero for the points on the margin, and the weights of all
others are known (0, or C y). So each guess of who lies where costs one small symmetric system in
the e of those others. Guess, solve, move the points that break the conditions, repeat; where
that does not settle, sequential minimal optimisation takes over. Where the Gram matrix is
singular, Q is that of a slightly different matrix; it then serves to guess alone.

Small functions are inlined and take buffers out of the tuple once: counting references to every
buffer at every call would cost more than the arithmetic.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neurodnn.numerics.svm_singular import BOUND, FREE, HELD_OUT, UNUSED, exact_weights
from neurodnn.numerics.svm_smo import smo, threshold

# Guesses that move all points at once: nearly always two to seven are enough, but they may go
# round in circles, which moving the first offender alone hardly ever does.
_AT_ONCE = 8
_MOST_GUESSES = 60
# How far from its bounds (of C, of the largest weight) a weight lies to settle the threshold.
_INSIDE = 1e-7
_SLACK = 1e-12  # relative to the margin, or to the largest weight
_ROUNDING = 64 * 2.0**-52
ACTIVE_SET, AT_BOUND, BY_STEPS, UNSETTLED = range(1, 5)


@njit(nogil=True, cache=True, error_model="numpy")
def solve_fold(work, fold, cost, trusted):
    """Return the decision values of the two points held out, and how they were found.

    `work.gram`, `work.q` and `work.full` must be filled; where Q is not to be trusted, by
    `neurodnn.numerics.svm_singular.ridge_inverse`.
    """
    second = fold + work.y.size // 2
    work.state[:] = FREE
    work.state[fold] = work.state[second] = HELD_OUT
    way = _guess_and_solve(work, fold, second, cost)
    if way == ACTIVE_SET and trusted:
        return (work.y[fold] - work.residuals[fold],
                work.y[second] - work.residuals[second], way)  # fmt: skip
    if way == ACTIVE_SET:
        exact, middle = exact_weights(work, cost)
        if not (exact and _some_inside(work, cost)):
            way = BY_STEPS
    elif way == AT_BOUND:
        _, middle = _take_bounded(work, fold, second, cost)
    if way == BY_STEPS:
        middle, way = _take_steps(work, fold, second, cost)
    return _value(work, fold, middle), _value(work, second, middle), way


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _guess_and_solve(work, first, second, cost):
    """Look for the active set; return ACTIVE_SET, AT_BOUND (all weights are C) or BY_STEPS."""
    for guess in range(_MOST_GUESSES):
        if _none_free(work):
            optimal, _ = _take_bounded(work, first, second, cost)
            if optimal:
                return AT_BOUND
            _free_extremes(work)
            continue
        if not _solve_system(work, cost):
            return BY_STEPS
        if not _move_points(work, cost, guess >= _AT_ONCE):
            if _some_inside(work, cost):
                return ACTIVE_SET
            # All weights are 0 or C, which leaves the threshold open.
            optimal, _ = _take_bounded(work, first, second, cost)
            return AT_BOUND if optimal else BY_STEPS
    return BY_STEPS


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _none_free(work):
    states = work.state
    for i in range(states.size):
        if states[i] == FREE:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _solve_system(work, cost):
    """Write residuals and weights that belong to the present guess; False if it is singular."""
    states, y, full, q = work.state, work.y, work.full, work.q
    weights, residuals, others, system = work.weights, work.residuals, work.others, work.system
    m = 0
    for i in range(y.size):
        residuals[i] = 0.0
        if states[i] != FREE:
            others[m] = i
            weights[i] = cost * y[i] if states[i] == BOUND else 0.0
            m += 1
    if not _factorise(q, others, system, m):
        return False
    for a in range(m):
        value = full[others[a]] - weights[others[a]]
        for b in range(a):
            value -= system[a, b] * residuals[others[b]]
        residuals[others[a]] = value * system[a, a]
    for a in range(m - 1, -1, -1):
        value = residuals[others[a]]
        for b in range(a + 1, m):
            value -= system[b, a] * residuals[others[b]]
        residuals[others[a]] = value * system[a, a]
    for i in range(y.size):
        if states[i] == FREE:
            weight = full[i]
            for a in range(m):
                weight -= q[i, others[a]] * residuals[others[a]]
            weights[i] = weight
    return True


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _factorise(q, others, system, m):
    """Write the Cholesky factor of Q among the others, its diagonal inverted; False if singular."""
    for a in range(m):
        for b in range(a):
            value = q[others[a], others[b]]
            for k in range(b):
                value -= system[a, k] * system[b, k]
            system[a, b] = value * system[b, b]
        value = q[others[a], others[a]]
        least = 1e-9 * value
        for k in range(a):
            value -= system[a, k] * system[a, k]
        if not value > least:
            return False
        system[a, a] = 1.0 / np.sqrt(value)
    return True


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _move_points(work, cost, only_first):
    """Change the state of every point that breaks a condition of optimality; True if any."""
    states, y, weights, residuals = work.state, work.y, work.weights, work.residuals
    largest = 0.0
    for i in range(y.size):
        largest = max(largest, abs(weights[i]))
    moved = False
    for i in range(y.size):
        state = states[i]
        alpha = y[i] * weights[i]
        short = y[i] * residuals[i]  # by how much the point falls short of the margin
        if state == FREE and alpha < -_SLACK * largest:
            states[i] = UNUSED
        elif state == FREE and alpha > cost + _SLACK * largest:
            states[i] = BOUND
        elif (state == UNUSED and short > _SLACK) or (state == BOUND and short < -_SLACK):
            states[i] = FREE
        if state != states[i]:
            moved = True
            if only_first:
                break
    return moved


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _some_inside(work, cost):
    """Return whether a weight lies clearly between 0 and C.

    One free point alone does not: all weights sum to zero, so its own is 0 or C as well.
    """
    states, y, weights = work.state, work.y, work.weights
    largest = 0.0
    for i in range(y.size):
        largest = max(largest, abs(weights[i]))
    n_free = 0
    inside = False
    for i in range(y.size):
        if states[i] == FREE:
            n_free += 1
            inside |= _INSIDE * largest < y[i] * weights[i] < (1.0 - _INSIDE) * cost
    return inside and n_free > 1


@njit(nogil=True, cache=True, error_model="numpy")
def _take_bounded(work, first, second, cost):
    """Take all training points at the bound; return whether that is optimal, and the threshold.

    `work.fits` receives the fits of all points. Labels are kept apart from fits, which are far
    below their rounding where the data are small.
    """
    states, y, weights, gram, fits = work.state, work.y, work.weights, work.gram, work.fits
    for i in range(y.size):
        states[i] = BOUND
        weights[i] = cost * y[i]
    for i in (first, second):
        states[i] = HELD_OUT
        weights[i] = 0.0
    high = -np.inf  # of the fits of the first stimulus, whose weights can only fall
    low = np.inf  # of the second, whose weights can only rise
    for i in range(y.size):
        fit = 0.0
        for j in range(y.size):
            fit += gram[i, j] * weights[j]
        fits[i] = fit
        if states[i] == BOUND and y[i] > 0:
            high = max(high, fit)
        elif states[i] == BOUND:
            low = min(low, fit)
    return high - low <= 2.0, -0.5 * (high + low)


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _free_extremes(work):
    """Free the two points, one of each stimulus, that lie farthest beyond the margin."""
    states, y, fits = work.state, work.y, work.fits
    high = -1
    low = -1
    for i in range(y.size):
        if states[i] == HELD_OUT:
            continue
        if y[i] > 0:
            if high < 0 or fits[i] > fits[high]:
                high = i
        elif low < 0 or fits[i] < fits[low]:
            low = i
    states[high] = FREE
    states[low] = FREE


@njit(nogil=True, cache=True, error_model="numpy")
def _take_steps(work, first, second, cost):
    """Solve the fold without Q; return the threshold and how far it settled."""
    gram, others, part, part_weights = work.gram, work.others, work.part, work.part_weights
    weights, fits = work.weights, work.fits
    n = weights.size
    m = 0
    for i in range(n):
        weights[i] = 0.0
        if i != first and i != second:
            others[m] = i
            m += 1
    for a in range(m):
        for b in range(m):
            part[a, b] = gram[others[a], others[b]]
    settled = smo(part, work.part_y, cost, m, part_weights, fits)
    middle, _ = threshold(work.part_y, cost, m, part_weights, fits)
    for a in range(m):
        weights[others[a]] = part_weights[a]
    for i in range(n):
        fit = 0.0
        for j in range(n):
            fit += gram[i, j] * weights[j]
        fits[i] = fit
    return middle, BY_STEPS if settled else UNSETTLED


@njit(nogil=True, cache=True, error_model="numpy")
def _value(work, i, middle):
    """Return fit + threshold, exactly zero where only rounding parts them."""
    states, weights, gram = work.state, work.weights, work.gram
    noise = abs(middle)
    for j in range(states.size):
        if states[j] != HELD_OUT:
            noise += abs(gram[i, j] * weights[j])
    value = work.fits[i] + middle
    return value if abs(value) > _ROUNDING * noise else 0.0
