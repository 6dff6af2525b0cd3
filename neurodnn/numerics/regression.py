"""Regression and partial correlation of RDMs: one row explained by several others.

Every function takes one comparison at a time, without gaps: who calls leaves out the pairs that
are missing in any of the rows that meet. An intercept is taken out by centring, also for
non-negative weights (the intercept itself is free).

A rest counts as rounding noise when it holds no more than ``64 eps`` of a row's sum of squares:
the share of variance explained is then 1 up to rounding, and the direction of what is left says
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.rows import Row, is_constant

_REST = float(np.sqrt(ZERO_FACTOR * np.finfo(np.float64).eps))


class Fit(NamedTuple):
    """Weights of the predictors, the intercept, the share of variance explained, and whether
    no other weights fit as well."""

    weights: NDArray[np.float64]
    intercept: float
    r2: float
    unique: bool


def partial_correlation(
    x: Row, y: Row, nuisance: NDArray[np.float64], *, ranks: bool, semi: bool
) -> float:
    """Return the correlation of two rows after nuisance rows are taken out.

    Parameters
    ----------
    x, y : array (pairs,)
        Data and reference.
    nuisance : array (rows x pairs)
        Any number; rows that say nothing beyond the others change nothing.
    ranks : bool
        Whether everything is turned into average ranks first (Spearman).
    semi : bool
        Whether the nuisance is taken out of `y` only, and `x` stays whole.

    Returns
    -------
    float
        In [-1, 1]; NaN if nothing but rounding noise is left of `x` or `y`, or if fewer than
        two degrees of freedom are left, where every correlation is 1 or -1.

    Examples
    --------
    >>> x, y, z = np.array([[1.0, 2, 4, 3, 5], [2.0, 1, 3, 5, 4], [1.0, 1, 2, 2, 3]])
    >>> round(partial_correlation(x, y, z[np.newaxis], ranks=False, semi=False), 4)
    -0.5333
    """
    if is_constant(x) or is_constant(y):
        return np.nan
    if ranks:
        x, y, nuisance = average_ranks(x), average_ranks(y), average_ranks(nuisance)
    basis = span(nuisance)
    if x.size - 1 - basis.shape[1] < 2:
        return np.nan
    x, y = _centred(x), _centred(y)
    rest_y = _rest(y, basis)
    rest_x = x if semi else _rest(x, basis)
    if rest_x is None or rest_y is None:
        return np.nan
    correlation = rest_x @ rest_y / np.sqrt(rest_x @ rest_x) / np.sqrt(rest_y @ rest_y)
    return float(min(max(correlation, -1.0), 1.0))


def span(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of centred rows, without those that others make up.

    Parameters
    ----------
    rows : array (rows x pairs)

    Returns
    -------
    array (pairs x rank)

    Examples
    --------
    >>> span(np.array([[1.0, 2, 3], [2.0, 4, 6]])).shape
    (3, 1)
    """
    basis = np.empty((rows.shape[1], 0))
    for row in rows:
        if is_constant(row):
            continue
        rest = _rest(_centred(row), basis)
        if rest is not None:
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
    return basis


def explained(y: Row, predictors: NDArray[np.float64]) -> float:
    """Return the share of variance that rows explain together by least squares.

    Parameters
    ----------
    y : array (pairs,)
    predictors : array (rows x pairs)
        Any number; with none, or with constant ones only, 0.

    Returns
    -------
    float
        In [0, 1]; NaN if `y` is constant.

    Examples
    --------
    >>> round(explained(np.array([1.0, 2, 3, 4]), np.array([[1.0, 2, 3, 5]])), 4)
    0.9657
    """
    if is_constant(y):
        return np.nan
    y = _centred(y)
    weights = span(predictors).T @ y
    return min(float(weights @ weights / (y @ y)), 1.0)


def fit_rows(
    y: Row, predictors: NDArray[np.float64], *, method: str, intercept: bool = True
) -> Fit:
    """Return weights with which the sum of rows comes closest to `y`.

    Parameters
    ----------
    y : array (pairs,)
    predictors : array (rows x pairs)
    method : {"ols", "nnls"}
        Least squares, free or with weights that are not negative.
    intercept : bool
        Whether a constant is added (free with both methods). Without it the share of variance
        is that of the sum of squares about zero.

    Returns
    -------
    Fit
        Weights in the unit of `y` per unit of the predictors; where some predictor is made up
        by the others, those of least length, and not `unique`. ``r2`` is NaN if `y` is
        constant (without an intercept: zero).

    Examples
    --------
    >>> fit_rows(np.array([3.0, 5, 7]), np.array([[1.0, 2, 3]]), method="ols").weights.round(12)
    array([2.])
    """
    n_rows = len(predictors)
    if is_constant(y) if intercept else not np.abs(y).max() > 0:
        return Fit(np.full(n_rows, np.nan), np.nan, np.nan, True)
    means = predictors.mean(axis=1) if intercept else np.zeros(n_rows)
    mean = y.mean() if intercept else 0.0
    rows = [row - means[i] for i, row in enumerate(predictors)]
    # Columns of unit length: predictors may differ in unit by orders of magnitude.
    sizes = np.array([np.sqrt(row @ row) for row in rows])
    flat = [is_constant(row) if intercept else not sizes[i] for i, row in enumerate(predictors)]
    sizes[flat] = np.inf
    columns, target = np.array(rows).T / sizes, y - mean
    solve = _least_squares if method == "ols" else _non_negative
    scaled = solve(columns, target)
    rest = target - columns @ scaled
    r2 = max(1.0 - float(rest @ rest) / float(target @ target), 0.0)
    weights = scaled / sizes
    return Fit(weights, float(mean - weights @ means), r2, _independent(columns))


def held_out_r2(
    y: Row,
    predictors: NDArray[np.float64],
    splits: Sequence[tuple[NDArray, NDArray]],
    *,
    method: str,
    ranks: bool,
) -> float:
    """Return the share of variance that weights from some pairs explain of others.

    Parameters
    ----------
    y : array (pairs,)
    predictors : array (rows x pairs)
    splits : sequence of (training, test)
        Places of pairs, which share no stimulus.
    method : {"ols", "nnls"}
    ranks : bool
        Whether values are turned into ranks over their number, in training and test apart.

    Returns
    -------
    float
        One less the summed squared errors of all tests over those of the training mean; below
        zero where the weights predict worse than that. NaN if a training set is constant.

    Examples
    --------
    >>> y = np.array([1.0, 2, 3, 5, 4, 6])
    >>> splits = [(np.arange(3), np.arange(3, 6)), (np.arange(3, 6), np.arange(3))]
    >>> held_out_r2(2 * y, y[np.newaxis], splits, method="ols", ranks=False)
    1.0
    """
    errors = total = 0.0
    for training, test in splits:
        scale = _shares_of_ranks if ranks else np.asarray
        learnt, known = scale(y[training]), scale(predictors[:, training])
        unseen, given = scale(y[test]), scale(predictors[:, test])
        fit = fit_rows(learnt, known, method=method)
        errors += float(((unseen - fit.intercept - fit.weights @ given) ** 2).sum())
        total += float(((unseen - learnt.mean()) ** 2).sum())
    return 1.0 - errors / total if total > 0 else np.nan


def _shares_of_ranks(rows: NDArray) -> NDArray[np.float64]:
    return (average_ranks(rows) - 0.5) / rows.shape[-1]


def _least_squares(columns: NDArray, target: NDArray) -> NDArray[np.float64]:
    return np.linalg.lstsq(columns, target, rcond=_REST)[0]


def _non_negative(columns: NDArray, target: NDArray) -> NDArray[np.float64]:
    return nnls(columns, target)[0]


def _independent(columns: NDArray) -> bool:
    singular = np.linalg.svd(columns, compute_uv=False)
    enough = columns.shape[0] >= columns.shape[1]
    return bool(enough and singular[-1] > _REST * singular[0])


def _centred(row: Row) -> Row:
    row = row - row.mean()
    return row / np.abs(row).max()  # squares stay in range


def _rest(row: Row, basis: NDArray[np.float64]) -> Row | None:
    """Return what a basis does not explain of a centred row, None if that is rounding noise."""
    rest = row - basis @ (basis.T @ row)
    rest = rest - basis @ (basis.T @ rest)  # twice is enough: the first pass leaves rounding
    rest = rest - rest.mean()
    return rest if rest @ rest > _REST**2 * (row @ row) else None
