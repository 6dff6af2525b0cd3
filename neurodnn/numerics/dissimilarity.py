"""Dissimilarities of patterns: one array of patterns in, one condensed RDM out.

Axes: `X` is conditions x features, `F` is folds x conditions x features; what comes out is
float64 in the order of ``numpy.triu_indices(n_conditions, 1)``. The measures share three rules:

* a feature that holds a value that is not finite, or that is constant over conditions (range
  at most ``64 eps max|x|``: 0.7 repeated has a variance that is not exactly zero), is dropped
  for all conditions, as if it had never been measured;
* a distance that is zero up to rounding is set to exactly zero, so that rounding noise is
  never ranked;
* what is undefined is NaN, never zero.

The compiled searchlight (`neurodnn.numerics.searchlight`) obeys the same rules for every
sphere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message
from neurodnn.numerics.features import ZERO_FACTOR, feature_eps, floating, usable_features

# Features per block of the Gram product: bounds memory for layers with millions of units and
# depends on nothing but the data, so that a result is always the same bits.
_FEATURES_PER_BLOCK = 16384


def correlation_distance(X: ArrayLike) -> NDArray[np.float64]:
    """Return 1 minus the Pearson correlation of every two patterns.

    Parameters
    ----------
    X : array (conditions x features)
        Patterns, in any unit: the measure ignores scale and offset of each pattern.

    Returns
    -------
    array of float64 (pairs,)
        In [0, 2]. NaN for pairs with a pattern that is constant over features, and everywhere
        if fewer than two features are usable.

    Raises
    ------
    InputError
        If `X` is not two-dimensional.

    References
    ----------
    Kriegeskorte, N., Mur, M., & Bandettini, P. (2008). Representational similarity analysis.
    Frontiers in Systems Neuroscience, 2, 4.

    Examples
    --------
    >>> correlation_distance([[1, 2, 3], [2, 4, 6], [3, 2, 1]])
    array([0., 2., 2.])
    """
    X = _patterns(X, 2, "X")
    kept = np.flatnonzero(usable_features(X))
    if kept.size < 2:
        return _undefined(X.shape[0])
    total = np.zeros(X.shape[0])
    low, high = np.full(X.shape[0], np.inf), np.full(X.shape[0], -np.inf)
    for block in _blocks(X, kept):
        total += block.sum(axis=1)
        low, high = np.minimum(low, block.min(axis=1)), np.maximum(high, block.max(axis=1))
    means = (total / kept.size)[:, np.newaxis]
    # A second pass over centred values: sums of squares of raw values would cancel.
    gram = sum(centred @ centred.T for centred in (b - means for b in _blocks(X, kept)))
    largest = np.maximum(np.abs(low), np.abs(high))
    flat = high - low <= ZERO_FACTOR * feature_eps(X.dtype) * largest
    norms = np.where(flat, np.nan, np.sqrt(np.diag(gram)))
    rows, columns = np.triu_indices(X.shape[0], 1)
    distances = 1.0 - gram[rows, columns] / norms[rows] / norms[columns]
    tolerance = ZERO_FACTOR * np.finfo(np.float64).eps * kept.size
    return np.clip(_without_noise(distances, tolerance), 0.0, 2.0)


def euclidean_distance(X: ArrayLike) -> NDArray[np.float64]:
    """Return the squared Euclidean distance of every two patterns, per usable feature.

    Parameters
    ----------
    X : array (conditions x features)

    Returns
    -------
    array of float64 (pairs,)
        In the squared unit of `X`; times the number of usable features it is the plain squared
        distance. All NaN without a usable feature.

    Raises
    ------
    InputError
        If `X` is not two-dimensional.

    Examples
    --------
    >>> euclidean_distance([[0, 0], [3, 4]])
    array([12.5])
    """
    X = _patterns(X, 2, "X")
    kept = np.flatnonzero(usable_features(X))
    if kept.size == 0:
        return _undefined(X.shape[0])
    # Distances do not feel a shift of all conditions; without it the Gram form would cancel.
    centred = (block - block.mean(axis=0) for block in _blocks(X, kept))
    gram = sum(block @ block.T for block in centred)
    return distances_of_gram(gram, np.diag(gram), kept.size, signed=False)


def mahalanobis_distance(X: ArrayLike, precision: ArrayLike) -> NDArray[np.float64]:
    """Return the squared Mahalanobis distance of every two patterns, per usable feature.

    Parameters
    ----------
    X : array (conditions x features)
    precision : array (features x features)
        Inverse covariance of the noise, symmetric and positive definite; see
        `neurodnn.numerics.covariance`. Where features of `X` are dropped, the precision of the
        others alone is used (the inverse of their part of the covariance).

    Returns
    -------
    array of float64 (pairs,)

    Raises
    ------
    InputError
        If shapes do not fit or `precision` is not positive definite.

    References
    ----------
    Walther, A., et al. (2016). Reliability of dissimilarity measures for multi-voxel pattern
    analysis. NeuroImage, 137, 188-200.

    Examples
    --------
    >>> mahalanobis_distance([[0, 0], [3, 4]], [[1, 0], [0, 0.5]])
    array([8.5])
    """
    X = _patterns(X, 2, "X")
    kept = usable_features(X)
    if not kept.any():
        return _undefined(X.shape[0])
    whitened = X[:, kept].astype(np.float64)
    whitened = (whitened - whitened.mean(axis=0)) @ _whitener(precision, kept)
    gram = whitened @ whitened.T
    return distances_of_gram(gram, np.diag(gram), int(kept.sum()), signed=False)


def crossnobis_distance(
    F: ArrayLike, precision: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the cross-validated squared Mahalanobis distance, per usable feature.

    For every ordered pair of different folds the difference of two conditions in one fold is
    multiplied with that in the other; the mean over all pairs of folds equals leaving one run
    out and testing it against the mean of the others. Noise of one run is independent of noise
    of another, so the expectation is zero where two conditions do not differ, and values may
    be negative: they are neither clipped nor rooted.

    Parameters
    ----------
    F : array (folds x conditions x features)
        At least two folds (runs), the same conditions in each.
    precision : array (features x features), optional
        Noise precision, as in `mahalanobis_distance`; without it the identity, which gives the
        cross-validated squared Euclidean distance.

    Returns
    -------
    array of float64 (pairs,)

    Raises
    ------
    InputError
        If there are fewer than two folds, shapes do not fit or `precision` is not positive
        definite.

    References
    ----------
    Walther, A., et al. (2016). Reliability of dissimilarity measures for multi-voxel pattern
    analysis. NeuroImage, 137, 188-200.

    Examples
    --------
    >>> crossnobis_distance([[[0, 0], [2, 1]], [[0, 0], [1, -1]]])
    array([0.5])
    """
    F = _patterns(F, 3, "F")
    n_folds, n_conditions, _ = F.shape
    if n_folds < 2:
        raise InputError(
            message("F", "crossnobis needs at least two folds (runs)", got=n_folds)
        )
    kept = usable_features(F)
    if not kept.any():
        return _undefined(n_conditions)
    folds = F[:, :, kept].astype(np.float64)
    folds -= folds.mean(axis=1, keepdims=True)
    if precision is not None:
        folds = folds @ _whitener(precision, kept)
    total = folds.sum(axis=0)
    within = sum(fold @ fold.T for fold in folds)
    n_pairs = n_folds * (n_folds - 1)
    # Sum over pairs of different folds of X_m X_n' = S S' - sum X_m X_m': no loop over pairs.
    gram = (total @ total.T - within) / n_pairs
    scale = (np.diag(total @ total.T) + np.diag(within)) / n_pairs
    return distances_of_gram(gram, scale, int(kept.sum()), signed=True)


METRICS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "correlation": correlation_distance,
    "crossnobis": crossnobis_distance,
    "euclidean": euclidean_distance,
    "mahalanobis": mahalanobis_distance,
}


def _patterns(values: ArrayLike, ndim: int, name: str) -> NDArray:
    values = floating(values)
    if values.ndim != ndim:
        axes = "conditions x features" if ndim == 2 else "folds x conditions x features"
        raise InputError(message(name, f"must be {axes}", got=values.shape))
    return values


def _undefined(n_conditions: int) -> NDArray[np.float64]:
    return np.full(n_conditions * (n_conditions - 1) // 2, np.nan)


def _blocks(X: NDArray, kept: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, kept.size, _FEATURES_PER_BLOCK):
        yield X[:, kept[start : start + _FEATURES_PER_BLOCK]].astype(np.float64)


def _without_noise(distances: NDArray, tolerance: float | NDArray) -> NDArray[np.float64]:
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
    distances = _without_noise(distances, tolerance) / n_features
    return distances if signed else np.maximum(distances, 0.0)


def _whitener(precision: ArrayLike, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return L with L L' = the precision of the kept features."""
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
