"""Similarity of RDMs: rows of condensed RDMs against rows of condensed RDMs.

Axes: `a` is n_a x pairs, `b` is n_b x pairs (a single row may be given as a vector); what comes
out is float64, n_a x n_b. Shared rules:

* a pair that is NaN in one of the two rows is left out of that comparison, and of no other;
* a row that is constant (range at most ``64 eps max|x|``; for the cosine: zero) has no defined
  similarity: its cells are NaN, and no other cell changes;
* every cell has the bits that the two rows alone would give.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message
from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import average_ranks

Row = NDArray[np.float64]


def pearson(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the Pearson correlation of every row of `a` with every row of `b`.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> pearson([[1, 2, 3]], [[1, 2, 3], [3, 2, 1], [5, 5, 5]])
    array([[ 1., -1., nan]])
    """
    return _compare(a, b, _centred_unit)


def spearman(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Spearman's rank correlation (average ranks) of every row with every row.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> spearman([[1, 2, 30]], [[1, 2, 3], [3, 2, 1]])
    array([[ 1., -1.]])
    """
    return _compare(a, b, _rank_unit)


def cosine(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of every row of `a` with every row of `b`.

    Zero keeps its meaning, as it should for cross-validated distances.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is zero.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Examples
    --------
    >>> cosine([[3, 4]], [[4, 3], [0, 0]])
    array([[0.96,  nan]])
    """
    return _compare(a, b, _unit)


def rho_a(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return rho-a: Spearman's correlation averaged over all ways to break ties.

    With ties in a model RDM Spearman's correlation prefers models with ties; rho-a does not.
    Without ties the two are the same number.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    References
    ----------
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> rho_a([[1, 2, 3, 4, 5, 6]], [[1, 1, 2, 2, 3, 3]]).round(4)
    array([[0.9143]])
    """
    return _compare(a, b, _rank_untied)


def tau_a(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's tau-a: concordant less discordant pairs, over all pairs of entries.

    Parameters
    ----------
    a, b : array (rows x pairs)

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant.

    Raises
    ------
    InputError
        If the numbers of pairs differ.

    Notes
    -----
    The time grows with the square of the number of entries (some 10 ms for 4,186), which is
    why the searchlight offers `rho_a` in its place.

    Examples
    --------
    >>> tau_a([[1, 2, 3, 4, 5, 6]], [[1, 1, 2, 2, 3, 3]])
    array([[0.8]])
    """
    a, b = _rows(a, "a"), _rows(b, "b")
    _check_pairs(a, b)
    result = np.empty((a.shape[0], b.shape[0]))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            both = ~(np.isnan(left) | np.isnan(right))
            x, y = left[both], right[both]
            n = x.size
            defined = n > 1 and not (is_constant(x) or is_constant(y))
            result[i, j] = _concordance(x, y) / (n * (n - 1) / 2) if defined else np.nan
    return result


COMPARISONS: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "cosine": cosine,
    "pearson": pearson,
    "rho-a": rho_a,
    "spearman": spearman,
    "tau-a": tau_a,
}


def is_constant(row: Row) -> bool:
    """Return whether the range of `row` is rounding noise beside its largest value.

    Examples
    --------
    >>> is_constant(np.array([0.7, 0.7 + 1e-16]))
    True
    """
    low, high = row.min(), row.max()
    return bool(high - low <= ZERO_FACTOR * np.finfo(float).eps * max(abs(low), abs(high)))


def normalise(row: Row, comparison: str) -> Row:
    """Return `row` so that the comparison is the dot product of two such rows.

    Parameters
    ----------
    row : array (pairs,)
        Without NaN.
    comparison : {"spearman", "pearson", "cosine", "rho-a"}

    Returns
    -------
    array of float64 (pairs,)
        All NaN where the row is constant (cosine: zero).

    Examples
    --------
    >>> normalise(np.array([3.0, 4.0]), "cosine")
    array([0.6, 0.8])
    """
    return _NORMALISERS[comparison](np.asarray(row, dtype=np.float64))


def _rows(values: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if values.ndim != 2:
        raise InputError(message(name, "must be rows of condensed RDMs", got=values.shape))
    return values


def _check_pairs(a: NDArray, b: NDArray) -> None:
    if a.shape[1] != b.shape[1]:
        fault = "has another number of pairs than a"
        raise InputError(message("b", fault, got=b.shape[1], allowed=str(a.shape[1])))


def _compare(a: ArrayLike, b: ArrayLike, normaliser: Callable[[Row], Row]) -> NDArray:
    a, b = _rows(a, "a"), _rows(b, "b")
    _check_pairs(a, b)
    gaps_a, gaps_b = np.isnan(a).any(axis=1), np.isnan(b).any(axis=1)
    left = [None if gap else normaliser(row) for row, gap in zip(a, gaps_a, strict=True)]
    right = [None if gap else normaliser(row) for row, gap in zip(b, gaps_b, strict=True)]
    result = np.empty((len(left), len(right)))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            if x is None or y is None:
                result[i, j] = _compare_without_gaps(a[i], b[j], normaliser)
            else:
                # One dot product a cell: in a matrix product the bits of a row may depend on
                # how many rows stand beside it.
                result[i, j] = x @ y
    return np.clip(result, -1.0, 1.0)


def _compare_without_gaps(x: Row, y: Row, normaliser: Callable[[Row], Row]) -> float:
    both = ~(np.isnan(x) | np.isnan(y))
    return float(normaliser(x[both]) @ normaliser(y[both])) if both.any() else np.nan


def _undefined(row: Row) -> Row:
    return np.full(row.size, np.nan)


def _unit(row: Row) -> Row:
    largest = np.abs(row).max()
    if not largest > 0:
        return _undefined(row)
    row = row / largest  # keeps squares of very small or large values in range
    return row / np.sqrt(row @ row)


def _centred_unit(row: Row) -> Row:
    return _undefined(row) if is_constant(row) else _unit(row - row.mean())


def _centred_ranks(row: Row) -> Row:
    return average_ranks(row) - (row.size + 1) / 2  # exact: halves of whole numbers


def _rank_unit(row: Row) -> Row:
    return _undefined(row) if is_constant(row) else _unit(_centred_ranks(row))


def _rank_untied(row: Row) -> Row:
    if is_constant(row):
        return _undefined(row)
    n = float(row.size)
    return _centred_ranks(row) / np.sqrt((n**3 - n) / 12)


_NORMALISERS: dict[str, Callable[[Row], Row]] = {
    "cosine": _unit,
    "pearson": _centred_unit,
    "rho-a": _rank_untied,
    "spearman": _rank_unit,
}


@njit(nogil=True, cache=True)
def _concordance(x, y):
    total = 0
    for i in range(x.size):
        for j in range(i):
            total += np.sign(x[i] - x[j]) * np.sign(y[i] - y[j])
    return total
