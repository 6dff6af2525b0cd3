"""What distances share: their input, the noise of rounding, and Gram products."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message
from neurodnn.numerics.features import ZERO_FACTOR, floating


def as_patterns(values: ArrayLike, ndim: int, name: str) -> NDArray:
    """Return patterns as native floats; refuse another number of axes than `ndim`.

    Examples
    --------
    >>> as_patterns([[1, 2], [3, 4]], 2, "X").dtype.name
    'float64'
    """
    values = floating(values)
    if values.ndim != ndim:
        axes = "conditions x features" if ndim == 2 else "folds x conditions x features"
        raise InputError(message(name, f"must be {axes}", got=values.shape))
    return values


def undefined_distances(n_conditions: int) -> NDArray[np.float64]:
    """Return a condensed RDM of NaN.

    Examples
    --------
    >>> undefined_distances(3)
    array([nan, nan, nan])
    """
    return np.full(n_conditions * (n_conditions - 1) // 2, np.nan)


def without_noise(distances: NDArray, tolerance: float | NDArray) -> NDArray[np.float64]:
    """Return distances, those within `tolerance` of zero set to exactly zero.

    Examples
    --------
    >>> without_noise(np.array([1e-16, 0.5]), 1e-14)
    array([0. , 0.5])
    """
    return np.where(np.abs(distances) <= tolerance, 0.0, distances)


def distances_of_gram(
    gram: NDArray, scale: NDArray, n_features: int, *, signed: bool
) -> NDArray[np.float64]:
    """Return squared distances per feature, condensed, from a Gram matrix of patterns.

    Parameters
    ----------
    gram : array (conditions x conditions)
        Dot products of (centred, whitened) patterns.
    scale : array (conditions,)
        Squared lengths against which a difference counts as rounding noise.
    n_features : int
    signed : bool
        Whether distances may be negative (cross-validated); otherwise they are clipped at 0.

    Examples
    --------
    >>> distances_of_gram(np.diag([9.0, 16.0]), np.array([9.0, 16.0]), 2, signed=False)
    array([12.5])
    """
    rows, columns = np.triu_indices(gram.shape[0], 1)
    norms = np.diag(gram)
    distances = norms[rows] + norms[columns] - 2.0 * gram[rows, columns]
    eps = np.finfo(np.float64).eps
    tolerance = ZERO_FACTOR * eps * (scale[rows] + scale[columns])
    distances = without_noise(distances, tolerance) / n_features
    return distances if signed else np.maximum(distances, 0.0)


def whitener(precision: ArrayLike, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return L with L L' = the precision of the kept features.

    Parameters
    ----------
    precision : array (features x features)
    kept : array of bool (features,)

    Raises
    ------
    InputError
        If the shape is another or the precision is not positive definite.

    Examples
    --------
    >>> whitener(np.diag([4.0, 9.0]), np.array([True, False]))
    array([[2.]])
    """
    precision = np.asarray(precision, dtype=np.float64)
    if precision.shape != (kept.size, kept.size):
        raise InputError(
            message(
                "precision",
                "must be features x features",
                got=precision.shape,
                allowed=f"({kept.size}, {kept.size})",
            )
        )
    try:
        if not kept.all():
            covariance = np.linalg.inv(precision)[np.ix_(kept, kept)]
            precision = np.linalg.inv(covariance)
        return np.linalg.cholesky((precision + precision.T) / 2.0)
    except np.linalg.LinAlgError as error:
        raise InputError(
            message(
                "precision",
                "is not positive definite",
                remedy="Shrink the covariance before inverting it.",
            )
        ) from error
