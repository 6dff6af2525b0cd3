"""Sums of scores under sign flips: one addition per place and flip for each eight subjects.

A flip of n subjects is a sum over groups of at most eight. Each group has 256 signed sums at
most, which are made once; after that a flip only adds one row of every group's table. That is
exact in float64 and several times faster than the matrix product, whose inner dimension (the
subjects) is too short to be efficient.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

GROUP = 8


def signed_sums(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every signed sum of each group of eight subjects.

    Parameters
    ----------
    scores : array (subjects x places)

    Returns
    -------
    array (groups, 256, places)
        At least two groups; those without subjects are zero. Row k of a group holds the sum in which subject i of the group is negated where bit i of
        k is set. Bits beyond the last subject mean nothing.

    Examples
    --------
    >>> signed_sums(np.array([[1.0], [10.0]]))[0, :4, 0]
    array([ 11.,   9.,  -9., -11.])
    """
    n, n_places = scores.shape
    tables = np.zeros((max(2, -(-n // GROUP)), 2**GROUP, n_places))
    for i, score in enumerate(scores):
        table, half = tables[i // GROUP], 2 ** (i % GROUP)
        np.subtract(table[:half], score, out=table[half : 2 * half])
        table[:half] += score
    return tables


@njit(nogil=True, cache=True)
def tally_flips(tables, codes, least, mirrored, largest, count):
    """Add up every flip; keep its largest sum and count where a sum reaches `least`.

    Parameters
    ----------
    tables : array of float64 (groups, 256, places)
        From `signed_sums`, without NaN.
    codes : array of uint8 (flips x groups)
        The row of each table that makes up a flip; one column for each group of `tables`.
    least : array of float64 (places,)
        What a sum must reach to be counted.
    mirrored : bool
        Whether the magnitude of the sum counts (two-sided).
    largest : array of float64 (flips,)
        Raised to the largest sum over places; begin with -inf.
    count : array of int64 (places,)
        Added to.
    """
    row = np.empty(least.size)
    last = codes.shape[1] - 1
    for flip in range(codes.shape[0]):
        first = tables[0, codes[flip, 0]]
        for group in range(1, last):
            _join(first, tables[group, codes[flip, group]], row)
            first = row
        if mirrored:
            _join_magnitude(first, tables[last, codes[flip, last]], row)
        else:
            _join(first, tables[last, codes[flip, last]], row)
        largest[flip] = max(largest[flip], _largest(row))
        _count(row, least, count)


# Small functions, each one loop: so that every one of them becomes vector instructions.
@njit(nogil=True, cache=True)
def _join(first, second, row):
    for i in range(row.size):
        row[i] = first[i] + second[i]


@njit(nogil=True, cache=True)
def _join_magnitude(first, second, row):
    for i in range(row.size):
        row[i] = abs(first[i] + second[i])


@njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def _largest(row):
    found = -np.inf
    for i in range(row.size):
        found = max(found, row[i])
    return found


@njit(nogil=True, cache=True)
def _count(row, least, count):
    for i in range(row.size):
        count[i] += 1 if row[i] >= least[i] else 0
