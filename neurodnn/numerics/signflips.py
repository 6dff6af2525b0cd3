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


def signed_sums(scores: NDArray[np.float64], group: int = GROUP) -> NDArray[np.float64]:
    """Return every signed sum of each group of subjects.

    Parameters
    ----------
    scores : array (subjects x places)
    group : int
        Subjects in a group: 8, or 4 where 256 rows of very many places would need too much
        memory (see `split_codes`).

    Returns
    -------
    array (groups, 2**group, places)
        At least two groups; those without subjects are zero. Row k of a group holds the sum in
        which subject i of the group is negated where bit i of k is set. Rows with bits
        beyond the last subject are zero and of no use.

    Examples
    --------
    >>> signed_sums(np.array([[1.0], [10.0]]))[0, :4, 0]
    array([ 11.,   9.,  -9., -11.])
    """
    n, n_places = scores.shape
    tables = np.zeros((max(2, -(-n // group)), 2**group, n_places))
    for i, score in enumerate(scores):
        table, half = tables[i // group], 2 ** (i % group)
        np.subtract(table[:half], score, out=table[half : 2 * half])
        table[:half] += score
    return tables


def split_codes(codes: NDArray[np.uint8], n_groups: int) -> NDArray[np.uint8]:
    """Return codes of groups of eight subjects as codes of groups of four.

    Parameters
    ----------
    codes : array of uint8 (flips x groups of eight)
    n_groups : int
        Groups of four that hold subjects, at least 2.

    Returns
    -------
    array of uint8 (flips x n_groups)

    Examples
    --------
    >>> split_codes(np.array([[0x21, 0x03]], dtype=np.uint8), 3)
    array([[1, 2, 3]], dtype=uint8)
    """
    halves = np.stack([codes & 15, codes >> 4], axis=2).reshape(len(codes), -1)
    return np.ascontiguousarray(halves[:, :n_groups])


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
    # Rows are short: a call, or a view of an array, would cost more than the sums. Offsets are
    # unsigned, since a signed one might count from the end and would keep loops from vectors.
    size, n_rows, n_groups = least.size, tables.shape[1], codes.shape[1]
    row = np.empty(size)
    bits, flat = row.view(np.int64), tables.ravel()
    for flip in range(codes.shape[0]):
        one = np.uint64(codes[flip, 0] * size)
        two = np.uint64((n_rows + codes[flip, 1]) * size)
        for i in range(size):
            row[i] = flat[one + np.uint64(i)] + flat[two + np.uint64(i)]
        for group in range(2, n_groups):
            start = np.uint64((group * n_rows + codes[flip, group]) * size)
            for i in range(size):
                row[i] += flat[start + np.uint64(i)]
        if mirrored:
            for i in range(size):
                row[i] = abs(row[i])
        for i in range(size):
            count[i] += 1 if row[i] >= least[i] else 0
        # Compilers make vectors of a maximum of integers, not of floats. Read as integers, floats
        # are in their order if any is positive, and in the reverse order if all are negative.
        found = bits[0]
        for i in range(size):
            found = max(found, bits[i])
        if found < 0:
            for i in range(size):
                found = min(found, bits[i])
        bits[0] = found
        largest[flip] = max(largest[flip], row[0])


@njit(nogil=True, cache=True)
def tally_best(tables, codes, n_references, least, mirrored, largest, count):
    """Add up every flip; tally the best of several references at each place.

    Parameters
    ----------
    tables : array of float64 (groups, rows, references * places)
        From `signed_sums`; columns by reference, then place. Without NaN.
    codes : array of uint8 (flips x groups)
    n_references : int
    least : array of float64 (places,)
        What the best sum of a place must reach to be counted.
    mirrored : bool
        Whether the magnitude of the sum counts (two-sided).
    largest : array of float64 (flips,)
        Raised to the largest sum over places and references; begin with -inf.
    count : array of int64 (places,)
        Added to.
    """
    row, best = np.empty(tables.shape[2]), np.empty(least.size)
    for flip in range(codes.shape[0]):
        add_flip(tables, codes[flip], row)
        if mirrored:
            for i in range(row.size):
                row[i] = abs(row[i])
        for i in range(best.size):
            best[i] = row[i]
        for reference in range(1, n_references):
            start = np.uint64(reference * best.size)
            for i in range(best.size):
                best[i] = max(best[i], row[start + np.uint64(i)])
        top = largest[flip]
        for i in range(best.size):
            top = max(top, best[i])
            count[i] += 1 if best[i] >= least[i] else 0
        largest[flip] = top


@njit(nogil=True, cache=True)
def add_flips(tables, codes):
    """Return the signed sums of every flip (flips x places)."""
    sums = np.empty((codes.shape[0], tables.shape[2]))
    for flip in range(codes.shape[0]):
        add_flip(tables, codes[flip], sums[flip])
    return sums


@njit(nogil=True, cache=True)
def add_flip(tables, code, row):
    """Write the signed sums of one flip, one code for each group of `tables`, to `row`."""
    one, two = tables[0, code[0]], tables[1, code[1]]
    for i in range(row.size):
        row[i] = one[i] + two[i]
    for group in range(2, code.size):
        more = tables[group, code[group]]
        for i in range(row.size):
            row[i] += more[i]
