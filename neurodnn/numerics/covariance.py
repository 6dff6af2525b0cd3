"""Covariance of the noise from residuals, shrunk so that it can be inverted.

Axes: residuals are time points x channels. Both estimators have a closed form that needs the
cross product once and sums of fourth powers, never a product per pair of channels, which is
what lets every sphere of a searchlight have its own precision matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, check_choice, message

TARGETS = ("diagonal", "identity")


class ShrunkCovariance(NamedTuple):
    """A covariance matrix and how far it was shrunk (0: not at all, 1: to the target)."""

    covariance: NDArray[np.float64]
    shrinkage: float


def centred_by_run(residuals: ArrayLike, runs: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return residuals with the mean of every run removed from each channel.

    Parameters
    ----------
    residuals : array (time points x channels)
    runs : array (time points,), optional
        Label of the run of every time point; without it all are one run.

    Examples
    --------
    >>> centred_by_run([[1.0], [3.0], [10.0], [14.0]], ["a", "a", "b", "b"]).ravel()
    array([-1.,  1., -2.,  2.])
    """
    residuals = np.array(residuals, dtype=np.float64)
    if runs is None:
        return residuals - residuals.mean(axis=0)
    runs = np.asarray(runs)
    for run in np.unique(runs):
        rows = runs == run
        residuals[rows] -= residuals[rows].mean(axis=0)
    return residuals


def shrunk_covariance(
    residuals: ArrayLike,
    *,
    target: str = "diagonal",
    degrees_of_freedom: int | None = None,
) -> ShrunkCovariance:
    """Return the covariance of centred residuals, shrunk towards a simple target.

    With n time points, x_k the residuals at time k and nu the degrees of freedom:

    * ``"diagonal"`` (default): the variances stay, covariances are multiplied by 1 - lambda
      (Schaefer & Strimmer 2005), where lambda is the summed variance of the correlations,
      ``n / nu^2 (sum_k z_ki^2 z_kj^2 / nu - r_ij^2)``, over the summed squared correlations.
      Voxels differ in noise by an order of magnitude, and this target keeps that.
    * ``"identity"``: a convex combination with the mean variance times the identity (Ledoit &
      Wolf 2004), estimated with division by n and then multiplied by ``n / nu``.

    Parameters
    ----------
    residuals : array (time points x channels)
        Centred; see `centred_by_run`.
    target : {"diagonal", "identity"}
    degrees_of_freedom : int, optional
        nu; by default time points - 1. With several runs: time points - runs.

    Returns
    -------
    ShrunkCovariance
        ``covariance`` (channels x channels) in the squared unit of the residuals, normalised by
        nu, and the ``shrinkage`` lambda in [0, 1].

    Raises
    ------
    InputError
        If a value is not finite, a channel does not vary, or nu is not positive.

    References
    ----------
    Ledoit, O., & Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance
    matrices. Journal of Multivariate Analysis, 88, 365-411.
    Schaefer, J., & Strimmer, K. (2005). A shrinkage approach to large-scale covariance matrix
    estimation. Statistical Applications in Genetics and Molecular Biology, 4(1), 32.

    Examples
    --------
    >>> noise = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    >>> shrunk_covariance(noise).covariance.round(3)
    array([[1.333, 0.   ],
           [0.   , 1.333]])
    """
    check_choice("target", target, TARGETS)
    residuals = np.asarray(residuals, dtype=np.float64)
    if residuals.ndim != 2 or not np.isfinite(residuals).all():
        raise InputError(
            message("residuals", "must be time points x channels and finite", got=residuals.shape)
        )
    n = residuals.shape[0]
    nu = n - 1 if degrees_of_freedom is None else degrees_of_freedom
    if nu < 1:
        raise InputError(message("residuals", "too few time points", got=n, allowed=">= 2"))
    product = residuals.T @ residuals
    if not (np.diag(product) > 0).all():
        raise InputError(
            message("residuals", "a channel does not vary", remedy="Leave such channels out.")
        )
    shrink = _towards_diagonal if target == "diagonal" else _towards_identity
    return shrink(residuals, product, nu)


def precision_of(covariance: ArrayLike) -> NDArray[np.float64]:
    """Return the inverse of a covariance matrix, exactly symmetric.

    Raises
    ------
    InputError
        If `covariance` is not positive definite.

    Examples
    --------
    >>> precision_of([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    try:
        half = np.linalg.inv(np.linalg.cholesky(np.asarray(covariance, dtype=np.float64)))
    except np.linalg.LinAlgError as error:
        raise InputError(
            message("covariance", "is not positive definite", remedy="Shrink it first.")
        ) from error
    return half.T @ half


def _towards_diagonal(residuals: NDArray, product: NDArray, nu: int) -> ShrunkCovariance:
    n = residuals.shape[0]
    covariance = product / nu
    variances = np.diag(covariance)
    squares = residuals**2 / variances
    # Sum over pairs i != j of sum_k z_ki^2 z_kj^2, without forming the pairs.
    fourth = (squares.sum(axis=1) ** 2).sum() - (squares**2).sum()
    correlations = covariance / np.sqrt(np.outer(variances, variances))
    squared = (correlations**2).sum() - (np.diag(correlations) ** 2).sum()
    variance = n / nu**2 * (fourth / nu - squared)
    shrinkage = min(max(variance / squared, 0.0), 1.0) if squared > 0 else 1.0
    shrunk = (1.0 - shrinkage) * covariance
    np.fill_diagonal(shrunk, variances)
    return ShrunkCovariance(shrunk, float(shrinkage))


def _towards_identity(residuals: NDArray, product: NDArray, nu: int) -> ShrunkCovariance:
    n, n_channels = residuals.shape
    covariance = product / n
    mean_variance = np.trace(covariance) / n_channels
    identity = np.eye(n_channels)
    distance = ((covariance - mean_variance * identity) ** 2).sum()
    fourth = ((residuals**2).sum(axis=1) ** 2).sum() / n
    noise = min((fourth - (covariance**2).sum()) / n, distance)
    shrinkage = noise / distance if distance > 0 else 1.0
    shrunk = shrinkage * mean_variance * identity + (1.0 - shrinkage) * covariance
    return ShrunkCovariance(shrunk * (n / nu), float(shrinkage))
