"""Rows of condensed RDMs: shape, number of stimuli, and when a row says nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message
from neurodnn.numerics.features import ZERO_FACTOR

Row = NDArray[np.float64]


def as_rows(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return values as float64 rows of condensed RDMs; a vector is one row.

    Raises
    ------
    InputError
        If `values` has more than two axes.

    Examples
    --------
    >>> as_rows([1, 2, 3], "a")
    array([[1., 2., 3.]])
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if values.ndim != 2:
        raise InputError(message(name, "must be rows of condensed RDMs", got=values.shape))
    return values


def as_row_pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both sides as rows with the same number of pairs.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> left, right = as_row_pair([1, 2, 3], [[1, 2, 3], [3, 2, 1]])
    >>> left.shape, right.shape
    ((1, 3), (2, 3))
    """
    a, b = as_rows(a, "a"), as_rows(b, "b")
    if a.shape[1] != b.shape[1]:
        fault = "has another number of pairs than a"
        raise InputError(message("b", fault, got=b.shape[1], allowed=str(a.shape[1])))
    return a, b


def n_stimuli_of(n_pairs: int) -> int:
    """Return how many stimuli have so many pairs.

    Raises
    ------
    InputError
        If no whole number of stimuli has.

    Examples
    --------
    >>> n_stimuli_of(4186)
    92
    """
    n = (1 + int(np.sqrt(1 + 8 * n_pairs))) // 2
    if n * (n - 1) // 2 != n_pairs:
        fault = "is not the number of pairs of any number of stimuli"
        raise InputError(message("pairs", fault, got=n_pairs, allowed="n (n - 1) / 2"))
    return n


def is_constant(row: Row) -> bool:
    """Return whether the range of `row` is rounding noise beside its largest value.

    Examples
    --------
    >>> is_constant(np.array([0.7, 0.7 + 1e-16]))
    True
    """
    low, high = row.min(), row.max()
    return bool(high - low <= ZERO_FACTOR * np.finfo(float).eps * max(abs(low), abs(high)))


def undefined_row(row: Row) -> Row:
    """Return a row of NaN as long as `row`.

    Examples
    --------
    >>> undefined_row(np.ones(2))
    array([nan, nan])
    """
    return np.full(row.size, np.nan)
