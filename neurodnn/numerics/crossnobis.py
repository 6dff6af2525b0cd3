"""Crossnobis: distances cross-validated over runs, with one covariance of the noise or one each.

Axes: `F` is folds x conditions x features; what comes out is float64 in the order of
``numpy.triu_indices(n_conditions, 1)``. The rules of `neurodnn.numerics.dissimilarity` hold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from neurodnn._checks import InputError, message
from neurodnn.numerics.features import usable_features
from neurodnn.numerics.gram import as_patterns, distances_of_gram, undefined_distances, whitener


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
    folds, kept = _centred_folds(F)
    n_folds, n_conditions, _ = folds.shape
    if not kept.any():
        return undefined_distances(n_conditions)
    if precision is not None:
        folds = folds @ whitener(precision, kept)
    total = folds.sum(axis=0)
    within = sum(fold @ fold.T for fold in folds)
    n_pairs = n_folds * (n_folds - 1)
    # Sum over pairs of different folds of X_m X_n' = S S' - sum X_m X_m': no loop over pairs.
    gram = (total @ total.T - within) / n_pairs
    scale = (np.diag(total @ total.T) + np.diag(within)) / n_pairs
    return distances_of_gram(gram, scale, int(kept.sum()), signed=True)


def crossnobis_per_fold(F: ArrayLike, covariances: ArrayLike) -> NDArray[np.float64]:
    """Return the crossnobis distance with a covariance of the noise for every fold.

    The product of the differences of two conditions in two folds is taken under the inverse of
    the mean of the covariances of these two folds, and the mean over all pairs of folds is the
    distance. Where the noise of runs differs, each run is then weighted by its own; if it does
    not, one covariance from all runs is the better estimate (`crossnobis_distance`).

    Parameters
    ----------
    F : array (folds x conditions x features)
        At least two folds (runs), the same conditions in each.
    covariances : array (folds x features x features)
        Covariance of the noise of every fold, symmetric and positive definite.

    Returns
    -------
    array of float64 (pairs,)

    Raises
    ------
    InputError
        If there are fewer than two folds, shapes do not fit or a covariance is not positive
        definite.

    References
    ----------
    Walther, A., et al. (2016). Reliability of dissimilarity measures for multi-voxel pattern
    analysis. NeuroImage, 137, 188-200.

    Examples
    --------
    >>> folds = [[[0, 0], [2, 1]], [[0, 0], [1, -1]]]
    >>> crossnobis_per_fold(folds, [np.diag([1.0, 1.0]), np.diag([3.0, 1.0])])
    array([0.])
    """
    folds, kept = _centred_folds(F)
    n_folds, n_conditions, _ = folds.shape
    covariances = np.asarray(covariances, dtype=np.float64)
    if covariances.shape != (n_folds, kept.size, kept.size):
        allowed = f"({n_folds}, {kept.size}, {kept.size})"
        fault = "must be folds x features x features"
        raise InputError(message("covariances", fault, got=covariances.shape, allowed=allowed))
    if not kept.any():
        return undefined_distances(n_conditions)
    covariances = covariances[:, kept][:, :, kept]
    gram, scale = np.zeros((n_conditions, n_conditions)), np.zeros(n_conditions)
    for first in range(n_folds):
        for second in range(first + 1, n_folds):
            own, other = _whitened_pair(folds, covariances, first, second)
            product = own @ other.T
            gram += product + product.T
            scale += (own**2).sum(axis=1) + (other**2).sum(axis=1)
    n_pairs = n_folds * (n_folds - 1)
    return distances_of_gram(gram / n_pairs, scale / n_pairs, int(kept.sum()), signed=True)


def _whitened_pair(
    folds: NDArray, covariances: NDArray, first: int, second: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two folds, whitened by the mean of their covariances."""
    mean = (covariances[first] + covariances[second]) / 2.0
    try:
        factor = np.linalg.cholesky((mean + mean.T) / 2.0)
    except np.linalg.LinAlgError as error:
        fault = f"the mean of those of folds {first + 1} and {second + 1} is not positive definite"
        remedy = "Shrink them first."
        raise InputError(message("covariances", fault, remedy=remedy)) from error
    return tuple(
        solve_triangular(factor, folds[fold].T, lower=True).T for fold in (first, second)
    )


def _centred_folds(F: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the usable features of every fold, less their mean in it, and which they are."""
    F = as_patterns(F, 3, "F")
    if len(F) < 2:
        raise InputError(message("F", "crossnobis needs at least two folds (runs)", got=len(F)))
    kept = usable_features(F)
    folds = F[:, :, kept].astype(np.float64)
    return folds - folds.mean(axis=1, keepdims=True), kept
