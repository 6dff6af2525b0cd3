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
from numpy.typing import ArrayLike, NDArray

from neurodnn.numerics.kendall import tau_a, tau_b
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.rows import Row, as_row_pair, is_constant, undefined_row
from neurodnn.numerics.whitened import corr_cov, cosine_cov, half_whitened

__all__ = [
    "COMPARISONS",
    "corr_cov",
    "cosine",
    "cosine_cov",
    "is_constant",
    "normalise",
    "pearson",
    "rho_a",
    "spearman",
    "tau_a",
    "tau_b",
]


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


COMPARISONS: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "corr_cov": corr_cov,
    "cosine": cosine,
    "cosine_cov": cosine_cov,
    "pearson": pearson,
    "rho-a": rho_a,
    "spearman": spearman,
    "tau-a": tau_a,
    "tau-b": tau_b,
}


def normalise(row: Row, comparison: str) -> Row:
    """Return `row` so that the comparison is the dot product of two such rows.

    Parameters
    ----------
    row : array (pairs,)
        Without NaN.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "cosine_cov", "corr_cov"}
        For the whitened two both rows are multiplied with V^-1/2, so that the product of the
        two is that under V^-1 (Sigma = I; see `neurodnn.numerics.whitened`).

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


def _compare(a: ArrayLike, b: ArrayLike, normaliser: Callable[[Row], Row]) -> NDArray:
    a, b = as_row_pair(a, b)
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


def _unit(row: Row) -> Row:
    largest = np.abs(row).max()
    if not largest > 0:
        return undefined_row(row)
    row = row / largest  # keeps squares of very small or large values in range
    return row / np.sqrt(row @ row)


def _centred_unit(row: Row) -> Row:
    return undefined_row(row) if is_constant(row) else _unit(row - row.mean())


def _centred_ranks(row: Row) -> Row:
    return average_ranks(row) - (row.size + 1) / 2  # exact: halves of whole numbers


def _rank_unit(row: Row) -> Row:
    return undefined_row(row) if is_constant(row) else _unit(_centred_ranks(row))


def _rank_untied(row: Row) -> Row:
    if is_constant(row):
        return undefined_row(row)
    n = float(row.size)
    return _centred_ranks(row) / np.sqrt((n**3 - n) / 12)


def _whitened_unit(row: Row) -> Row:
    row = _unit(row)
    return row if np.isnan(row).any() else _unit(half_whitened(row))


def _whitened_centred_unit(row: Row) -> Row:
    row = _centred_unit(row)
    return row if np.isnan(row).any() else _unit(half_whitened(row))


_NORMALISERS: dict[str, Callable[[Row], Row]] = {
    "corr_cov": _whitened_centred_unit,
    "cosine": _unit,
    "cosine_cov": _whitened_unit,
    "pearson": _centred_unit,
    "rho-a": _rank_untied,
    "spearman": _rank_unit,
}
