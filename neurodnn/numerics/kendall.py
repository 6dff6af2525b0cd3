"""Kendall's rank correlations in n log n steps: exact counts, ties included.

One side is brought into order once (`in_order`). Laid in that order, and sorted within ties of
it, the values of the other side stand in a wrong sequence exactly as often as two pairs of
entries disagree; a merge sort counts that while it sorts (Knight 1966). All counts are whole
numbers, so that the result is that of the double loop to the last bit.

References
----------
Knight, W. R. (1966). A computer method for calculating Kendall's tau with ungrouped data.
Journal of the American Statistical Association, 61, 436-439.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neurodnn.numerics.rows import Row, as_row_pair, is_constant

_RUN = 12  # runs of so many values are put in order by insertion before they are merged


class Ordered(NamedTuple):
    """The order of one side; see `in_order`."""

    order: NDArray[np.int32]
    starts: NDArray[np.bool_]


class ConcordanceWork(NamedTuple):
    """Buffers for `concordance`; see `make_concordance_work`."""

    laid: NDArray
    spare: NDArray


def in_order(values: ArrayLike) -> Ordered:
    """Return the order of one side, and where in it a new value starts.

    Examples
    --------
    >>> order, starts = in_order([0.5, 0.1, 0.5])
    >>> order.tolist(), starts.tolist()
    ([1, 0, 2], [True, True, False])
    """
    values = np.asarray(values)
    order = np.argsort(values, kind="stable").astype(np.int32)
    laid = values[order]
    starts = np.ones(values.size, dtype=bool)
    starts[1:] = laid[1:] != laid[:-1]
    return Ordered(order, starts)


def make_concordance_work(n: int, dtype: DTypeLike = np.float64) -> ConcordanceWork:
    """Return the buffers that `concordance` needs for n values of `dtype`.

    Examples
    --------
    >>> make_concordance_work(6).laid.shape
    (6,)
    """
    return ConcordanceWork(np.empty(n, dtype), np.empty(n, dtype))


def tau_a(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's tau-a: concordant less discordant pairs, over all pairs of entries.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant. With ties no row reaches 1, not even with
        itself: a model that predicts ties gains nothing by them.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> tau_a([[1, 2, 3, 4, 5, 6]], [[1, 1, 2, 2, 3, 3]])
    array([[0.8]])
    """
    return _compare_orders(a, b, untied=False)


def tau_b(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's tau-b: concordant less discordant pairs, over those without ties.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant. The divisor is the geometric mean of the pairs
        that are untied in `a` and in `b`, so that ties in a model favour it, as they do with
        Spearman's correlation.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> tau_b([[1, 2, 3, 4, 5, 6]], [[1, 1, 2, 2, 3, 3]]).round(4)
    array([[0.8944]])
    """
    return _compare_orders(a, b, untied=True)


@njit(nogil=True, cache=True)
def concordance(values, order, starts, work):
    """Return concordant less discordant pairs of entries of `values` and an ordered side.

    `order` and `starts` are those of `in_order` for the other side. Neither side may hold NaN.
    Nothing is allocated. Over n (n - 1) / 2 it is tau-a.
    """
    return _counts(values, order, starts, work)[0]


@njit(nogil=True, cache=True)
def _counts(values, order, starts, work):
    """Return concordant less discordant pairs, and the pairs tied in either side."""
    laid, spare = work.laid, work.spare
    n = values.size
    for i in range(n):
        laid[i] = values[order[i]]
    tied_order = 0
    tied_both = 0
    first = 0
    while first < n:
        stop = first + 1
        while stop < n and not starts[stop]:
            stop += 1
        if stop - first > 1:
            tied_order += (stop - first) * (stop - first - 1) // 2
            _sort(laid, spare, first, stop)
            tied_both += _tied(laid, first, stop)
        first = stop
    discordant = _sort(laid, spare, 0, n)
    tied_values = _tied(laid, 0, n)
    untied = n * (n - 1) // 2 - tied_values - tied_order + tied_both
    return untied - 2 * discordant, tied_values, tied_order


@njit(nogil=True, cache=True)
def _tied(laid, first, stop):
    """Return how many pairs of sorted values are equal."""
    pairs = 0
    length = 1
    for i in range(first + 1, stop):
        if laid[i] == laid[i - 1]:
            pairs += length
            length += 1
        else:
            length = 1
    return pairs


@njit(nogil=True, cache=True)
def _sort(laid, spare, first, stop):
    """Sort laid[first:stop] and return how many pairs stood in the wrong sequence."""
    inversions = 0
    for start in range(first, stop, _RUN):
        inversions += _insert(laid, start, min(start + _RUN, stop))
    width = _RUN
    while width < stop - first:
        for start in range(first, stop - width, 2 * width):
            middle = start + width
            if laid[middle - 1] > laid[middle]:
                inversions += _merge(laid, spare, start, middle, min(middle + width, stop))
        width *= 2
    return inversions


@njit(nogil=True, cache=True)
def _insert(laid, start, stop):
    """Sort a short run by insertion; return over how many values others were moved."""
    moved = 0
    for i in range(start + 1, stop):
        value = laid[i]
        j = i - 1
        while j >= start and laid[j] > value:
            laid[j + 1] = laid[j]
            j -= 1
        laid[j + 1] = value
        moved += i - 1 - j
    return moved


@njit(nogil=True, cache=True)
def _merge(laid, spare, start, middle, end):
    """Merge sorted neighbours; what comes from the right passes all that the left still holds."""
    for i in range(start, middle):
        spare[i] = laid[i]
    inversions = 0
    left, right, place = start, middle, start
    while left < middle and right < end:
        passes = laid[right] < spare[left]
        laid[place] = laid[right] if passes else spare[left]
        inversions += (middle - left) * passes
        left += not passes
        right += passes
        place += 1
    for i in range(left, middle):
        laid[place] = spare[i]
        place += 1
    return inversions


def _compare_orders(a: ArrayLike, b: ArrayLike, *, untied: bool) -> NDArray[np.float64]:
    a, b = as_row_pair(a, b)
    work = make_concordance_work(a.shape[1])
    orders = [None if np.isnan(row).any() else in_order(row) for row in b]
    gaps = np.isnan(a).any(axis=1)
    result = np.empty((len(a), len(b)))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            x, y, order = left, right, orders[j]
            if order is None or gaps[i]:
                both = ~(np.isnan(left) | np.isnan(right))
                x, y = left[both], right[both]
                order = in_order(y)
            result[i, j] = _tau(x, y, order, work, untied)
    return result


def _tau(x: Row, y: Row, order: Ordered, work: ConcordanceWork, untied: bool) -> float:
    if x.size < 2 or is_constant(x) or is_constant(y):
        return np.nan
    difference, tied_x, tied_y = _counts(x, order.order, order.starts, work)
    pairs = x.size * (x.size - 1) // 2
    if not untied:
        return difference / pairs
    # A product of roots: the same bits whichever side is which.
    tau = difference / (np.sqrt(float(pairs - tied_x)) * np.sqrt(float(pairs - tied_y)))
    return min(max(tau, -1.0), 1.0)
