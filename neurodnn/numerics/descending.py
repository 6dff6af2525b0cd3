"""Places in descending order of height, in linear time: buckets first, then the rest.

Heights of one sign are spread over buckets of equal width, which leaves each place a few steps
from its rank; insertion finishes that. Buckets that hold many places are sorted as heaps before,
so that no data make the time quadratic.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_CROWD = 16  # places of a bucket that insertion may sort
_SMALLEST = 1e-280  # below this the width of a bucket would not be a normal number


@njit(nogil=True, cache=True)
def sort_space(n_places):
    """Return what `descend` needs and fills: places, values, order, heights and buckets.

    Examples
    --------
    >>> space = sort_space(4)
    >>> n = descend(np.array([0.5, -1.0, 2.0, 0.5]), 1.0, space)
    >>> space[2][:n].tolist(), space[3][:n].tolist()
    ([2, 0, 3], [2.0, 0.5, 0.5])
    """
    n_buckets = 256
    while n_buckets < min(n_places, 32768):
        n_buckets *= 2
    return (
        np.empty(n_places, np.int32),
        np.empty(n_places),
        np.empty(n_places, np.int32),
        np.empty(n_places),
        np.zeros(n_buckets, np.int32),
    )


@njit(nogil=True, cache=True)
def descend(values, sign, space):
    """Sort the places with sign * value > 0, highest first; return how many there are.

    Parameters
    ----------
    values : array of float64 (places,)
        Finite.
    sign : float
        1 or -1.
    space : tuple
        From `sort_space`. Its third array gets the places, its fourth their heights; places of
        equal height stand in their own order.
    """
    places, raw, order, height, buckets = space
    n, high = 0, 0.0
    for place in range(values.size):
        value = sign * values[place]
        places[n], raw[n] = place, value
        n += 1 if value > 0.0 else 0
    for i in range(n):
        high = max(high, raw[i])
    last = buckets.size - 1
    scale = last / high if high > _SMALLEST else 0.0
    for i in range(n):
        buckets[last - int(raw[i] * scale)] += 1
    start, crowd = 0, 0
    for bucket in range(buckets.size):
        size = buckets[bucket]
        crowd = max(crowd, size)
        buckets[bucket] = start
        start += size
    for i in range(n):
        bucket = last - int(raw[i] * scale)
        rank = buckets[bucket]
        order[rank], height[rank] = places[i], raw[i]
        buckets[bucket] = rank + 1
    if crowd > _CROWD:
        _sort_crowds(order, height, buckets)
    _insert(order[:n], height[:n])
    buckets[:] = 0
    return n


@njit(nogil=True, cache=True)
def _insert(order, height):
    for i in range(1, order.size):
        place, value, j = order[i], height[i], i
        while j > 0 and value > height[j - 1]:
            order[j], height[j] = order[j - 1], height[j - 1]
            j -= 1
        order[j], height[j] = place, value


@njit(nogil=True, cache=True)
def _sort_crowds(order, height, buckets):
    """Sort every bucket of many places; `buckets` holds where each one ends."""
    start = 0
    for stop in buckets:
        size = stop - start
        if size > _CROWD:
            for i in range(size // 2 - 1, -1, -1):
                _sift(order[start:stop], height[start:stop], i, size)
            for end in range(size - 1, 0, -1):
                _swap(order[start:stop], height[start:stop], 0, end)
                _sift(order[start:stop], height[start:stop], 0, end)
        start = stop


@njit(nogil=True, cache=True)
def _sift(order, height, i, n):
    """Let the place at `i` sink in a heap whose top comes last of all."""
    while 2 * i + 1 < n:
        child = 2 * i + 1
        if child + 1 < n and _after(order, height, child + 1, child):
            child += 1
        if not _after(order, height, child, i):
            return
        _swap(order, height, i, child)
        i = child


@njit(nogil=True, cache=True)
def _after(order, height, one, two):
    """Whether the place at `one` comes after that at `two`: a total order, ties by place."""
    return height[one] < height[two] or (height[one] == height[two] and order[one] > order[two])


@njit(nogil=True, cache=True)
def _swap(order, height, one, two):
    order[one], order[two] = order[two], order[one]
    height[one], height[two] = height[two], height[one]
