"""Average ranks without a comparison sort: exact, and several times faster than sorting.

Values are spread over buckets by a linear map between their minimum and maximum, counted, laid
down in bucket order, and put right by one insertion pass over the then almost sorted array.
The map only decides how fast that is: where buckets are crowded (heavy ties, outliers) a merge
sort takes over, and ties are found by comparing the values themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, DTypeLike, NDArray

# Mean number of bucket mates above which insertion would cost more than sorting.
_CROWDED = 12


class RankWork(NamedTuple):
    """Buffers for the ranks of up to ``keys.size`` values; see `make_rank_work`."""

    counts: NDArray
    keys: NDArray
    laid: NDArray
    order: NDArray
    spare: NDArray


def make_rank_work(n: int, dtype: DTypeLike) -> RankWork:
    """Return the buffers that ranking n values of `dtype` needs.

    Places below 65,536 are kept in 16 bits, so that all tables stay in the nearest caches.

    Examples
    --------
    >>> work = make_rank_work(4186, "float32")
    >>> work.counts.size, work.counts.dtype.name
    (16384, 'uint16')
    """
    place = np.uint16 if n < 2**16 else np.int32
    # A quarter of a value per bucket: fewer buckets collide, more cost time to add up.
    n_buckets = 2 ** min(max(round(np.log2(4 * max(n, 1))), 4), 20)
    key = np.uint16 if n_buckets <= 2**16 else np.int32
    return RankWork(
        counts=np.empty(n_buckets, place),
        keys=np.empty(n, key),
        laid=np.empty(n, dtype),
        order=np.empty(n, place),
        spare=np.empty(n, place),
    )


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the ranks along the last axis, 1 for the smallest; ties share their mean rank.

    Parameters
    ----------
    values : array (..., n)
        Any real numbers. NaN is not ranked: it stays NaN, and the others are ranked among
        themselves.

    Returns
    -------
    array of float64 (..., n)

    Examples
    --------
    >>> average_ranks([10.0, 30.0, 10.0, 20.0])
    array([1.5, 4. , 1.5, 3. ])
    """
    values = np.asarray(values)
    if values.dtype != np.float32 or not values.dtype.isnative:
        values = values.astype(np.float64)
    rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1] if values.ndim else 1)
    ranks = np.full(rows.shape, np.nan)
    _rank_rows(rows, ranks, make_rank_work(rows.shape[1], rows.dtype))
    return ranks.reshape(values.shape)


@njit(nogil=True, cache=True)
def _rank_rows(rows, ranks, work):
    n_rows, n = rows.shape
    kept = np.empty(n, rows.dtype)
    found = np.empty(n, np.float64)
    for row in range(n_rows):
        size = 0
        for i in range(n):
            if not np.isnan(rows[row, i]):
                kept[size] = rows[row, i]
                size += 1
        if size > 0:
            low, high = extremes(kept[:size])
            rank_into(kept[:size], low, high, found, 0.0, work)
        size = 0
        for i in range(n):
            if not np.isnan(rows[row, i]):
                ranks[row, i] = found[size]
                size += 1


@njit(nogil=True, cache=True)
def extremes(values):
    """Return the smallest and the largest of at least one value."""
    low = values[0]
    high = values[0]
    for i in range(values.size):
        low = min(low, values[i])
        high = max(high, values[i])
    return low, high


@njit(nogil=True, cache=True)
def rank_into(values, low, high, ranks, offset, work):
    """Write average ranks less `offset` to `ranks`; return the tie term, sum of t^3 - t.

    `values` must hold no NaN; `low` and `high` are its `extremes`. Nothing is allocated. The
    tie term gives the exact sum of squares of the centred ranks, ``(n^3 - n - ties) / 12``.
    """
    n = values.size
    if not high > low:
        for i in range(n):
            ranks[i] = 0.5 * (n + 1) - offset
        return float(n) ** 3 - n
    if not _lay_in_buckets(values, low, high, work):
        _merge_sort(values, work.order, work.spare)
        for i in range(n):
            work.laid[i] = values[work.order[i]]
    return _ranks_of_sorted(work.laid, work.order, ranks, offset, n)


@njit(nogil=True, cache=True)
def _lay_in_buckets(values, low, high, work):
    """Sort into `laid` and `order` through buckets; False where buckets are too crowded."""
    n = values.size
    counts, keys, laid, order = work.counts, work.keys, work.laid, work.order
    last = np.int32(counts.size - 1)
    scale = float(last) / (float(high) - float(low))
    if not (scale > 0.0 and np.isfinite(scale)):  # an infinity, or a range beyond the type
        return False
    factor = values.dtype.type(scale)
    if not np.isfinite(factor):
        return False
    counts[:] = 0
    for i in range(n):
        # A rounding step may lead past the last bucket, never before the first.
        keys[i] = min(np.int32((values[i] - low) * factor), last)
    for i in range(n):
        counts[keys[i]] += 1
    start = 0
    crowd = 0
    for bucket in range(counts.size):
        count = np.int64(counts[bucket])
        crowd += count * count
        counts[bucket] = start
        start += count
    if crowd > _CROWDED * n:
        return False
    for i in range(n):
        place = counts[keys[i]]
        counts[keys[i]] = place + 1
        laid[place] = values[i]
        order[place] = i
    _insert(laid, order, n)
    return True


@njit(nogil=True, cache=True)
def _insert(laid, order, n):
    for i in range(1, n):
        value = laid[i]
        if value < laid[i - 1]:
            index = order[i]
            j = i - 1
            while j >= 0 and laid[j] > value:
                laid[j + 1] = laid[j]
                order[j + 1] = order[j]
                j -= 1
            laid[j + 1] = value
            order[j + 1] = index


@njit(nogil=True, cache=True)
def _merge_sort(values, order, spare):
    """Fill `order` with the indices that sort `values`: bottom-up merge sort, no allocation."""
    n = values.size
    for i in range(n):
        order[i] = i
    width = 1
    while width < n:
        for start in range(0, n, 2 * width):
            middle = min(start + width, n)
            end = min(start + 2 * width, n)
            left = start
            right = middle
            for k in range(start, end):
                if left < middle and (
                    right >= end or values[order[left]] <= values[order[right]]
                ):
                    spare[k] = order[left]
                    left += 1
                else:
                    spare[k] = order[right]
                    right += 1
        for i in range(n):
            order[i] = spare[i]
        width *= 2


@njit(nogil=True, cache=True)
def _ranks_of_sorted(laid, order, ranks, offset, n):
    ties = 0.0
    i = 0
    while i < n:
        j = i + 1
        while j < n and laid[j] == laid[i]:
            j += 1
        if j == i + 1:
            ranks[order[i]] = i + 1 - offset
        else:
            rank = 0.5 * (i + 1 + j) - offset
            for k in range(i, j):
                ranks[order[k]] = rank
            length = float(j - i)
            ties += length**3 - length
        i = j
    return ties
