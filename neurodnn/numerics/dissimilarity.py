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

from neurodnn.numerics.crossnobis import crossnobis_distance
from neurodnn.numerics.features import ZERO_FACTOR, feature_eps, usable_features
from neurodnn.numerics.gram import (
    as_patterns,
    distances_of_gram,
    undefined_distances,
    whitener,
    without_noise,
)

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
    X = as_patterns(X, 2, "X")
    kept = np.flatnonzero(usable_features(X))
    if kept.size < 2:
        return undefined_distances(X.shape[0])
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
    return _one_minus_cosine(gram, norms, kept.size)


def cosine_distance(X: ArrayLike) -> NDArray[np.float64]:
    """Return 1 minus the cosine of every two patterns.

    Unlike the correlation distance it heeds the mean of a pattern over features: zero is where
    the patterns say it is.

    Parameters
    ----------
    X : array (conditions x features)
        Patterns, in any unit: the measure ignores the scale of each pattern.

    Returns
    -------
    array of float64 (pairs,)
        In [0, 2]. NaN for pairs with a pattern that is zero, and everywhere without a usable
        feature.

    Raises
    ------
    InputError
        If `X` is not two-dimensional.

    Examples
    --------
    >>> cosine_distance([[3, 4], [6, 8], [4, 3]]).round(12)
    array([0.  , 0.04, 0.04])
    """
    X = as_patterns(X, 2, "X")
    kept = np.flatnonzero(usable_features(X))
    if kept.size == 0:
        return undefined_distances(X.shape[0])
    # A power of two changes no bit; it keeps squares of very small or large values in range.
    largest = np.abs(X[:, kept]).max(axis=1).astype(np.float64)
    powers = -np.frexp(largest)[1][:, np.newaxis]
    scaled = (np.ldexp(block, powers) for block in _blocks(X, kept))
    gram = sum(block @ block.T for block in scaled)
    norms = np.where(largest > 0, np.sqrt(np.diag(gram)), np.nan)
    return _one_minus_cosine(gram, norms, kept.size)


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
    X = as_patterns(X, 2, "X")
    kept = np.flatnonzero(usable_features(X))
    if kept.size == 0:
        return undefined_distances(X.shape[0])
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
    X = as_patterns(X, 2, "X")
    kept = usable_features(X)
    if not kept.any():
        return undefined_distances(X.shape[0])
    whitened = X[:, kept].astype(np.float64)
    whitened = (whitened - whitened.mean(axis=0)) @ whitener(precision, kept)
    gram = whitened @ whitened.T
    return distances_of_gram(gram, np.diag(gram), int(kept.sum()), signed=False)


METRICS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "correlation": correlation_distance,
    "cosine": cosine_distance,
    "crossnobis": crossnobis_distance,
    "euclidean": euclidean_distance,
    "mahalanobis": mahalanobis_distance,
}


def _blocks(X: NDArray, kept: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, kept.size, _FEATURES_PER_BLOCK):
        yield X[:, kept[start : start + _FEATURES_PER_BLOCK]].astype(np.float64)


def _one_minus_cosine(gram: NDArray, norms: NDArray, n_features: int) -> NDArray[np.float64]:
    rows, columns = np.triu_indices(norms.size, 1)
    distances = 1.0 - gram[rows, columns] / norms[rows] / norms[columns]
    tolerance = ZERO_FACTOR * np.finfo(np.float64).eps * n_features
    # Opposite patterns too: ranks must not follow what rounding makes of their distance.
    distances[np.abs(2.0 - distances) <= tolerance] = 2.0
    return np.clip(without_noise(distances, tolerance), 0.0, 2.0)
