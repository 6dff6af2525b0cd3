"""Noise covariance over conditions and times, and the matrix that whitens by it.

Axes: trials x channels x times. The shrinkage of every condition and time has a closed form in
the inner products of trials (few) instead of channels (hundreds), and the shrunk covariances of
all of them add up to one product over all weighted residuals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurodnn._checks import InputError, message

_TIMES = 64  # times per block, fixed: how work is cut never depends on who does it


class NoiseCovariance(NamedTuple):
    """The mean covariance (channels x channels) and the mean shrinkage (0 none, 1 all)."""

    covariance: NDArray[np.float64]
    shrinkage: float


def mean_covariance(trials: ArrayLike, labels: ArrayLike) -> NoiseCovariance:
    """Return the covariance of trials around the mean of their condition, over all times.

    For each condition and time: channels in units of their own standard deviation, covariance
    shrunk to the identity by Ledoit and Wolf, and back to the units of the data; that leaves
    variances as they are. Then the mean over times, and the mean over conditions.

    Parameters
    ----------
    trials : array (trials, channels, times)
        Finite.
    labels : array (trials,)
        Condition of each. Conditions with one trial have no covariance and are passed over.

    Returns
    -------
    NoiseCovariance
        In squared units of the trials; divided by trials - 1, so that the variance after
        whitening is 1.

    Raises
    ------
    InputError
        If a value is not finite, no condition has two trials, or a channel never varies.

    References
    ----------
    Guggenmos, M., Sterzer, P., & Cichy, R. M. (2018). Multivariate pattern analysis for MEG: A
    comparison of dissimilarity measures. NeuroImage, 173, 434-447.
    Ledoit, O., & Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance
    matrices. Journal of Multivariate Analysis, 88, 365-411.

    Examples
    --------
    >>> trials = np.array([[[1.0], [0.0]], [[-1.0], [0.0]], [[0.0], [2.0]], [[0.0], [-2.0]]])
    >>> mean_covariance(trials, ["a", "a", "a", "a"]).covariance.round(3)
    array([[0.667, 0.   ],
           [0.   , 2.667]])
    """
    trials = np.asarray(trials, dtype=np.float64)
    labels = np.asarray(labels)
    if trials.ndim != 3 or labels.shape != trials.shape[:1] or 0 in trials.shape:
        got = (trials.shape, labels.shape)
        raise InputError(message("trials", "must be trials x channels x times", got=got))
    if not np.isfinite(trials).all():
        raise InputError(message("trials", "hold values that are not finite"))
    names, counts = np.unique(labels, return_counts=True)
    names = names[counts > 1]
    if not names.size:
        fault = "no condition has two trials, so that there is no noise to estimate"
        raise InputError(message("trials", fault))
    n_channels, n_times = trials.shape[1:]
    total = np.zeros((n_channels, n_channels))
    shrinkage = 0.0
    for name in names:
        own = trials[labels == name]
        for start in range(0, n_times, _TIMES):
            block = np.ascontiguousarray(own[:, :, start : start + _TIMES].transpose(2, 0, 1))
            shrinkage += _add_shrunk(block, total)
    n_cells = names.size * n_times
    total = (total + total.T) / (2 * n_cells)
    if not (np.diag(total) > 0).all():
        remedy = "Leave such channels out."
        raise InputError(message("trials", "a channel does not vary", remedy=remedy))
    return NoiseCovariance(total, float(shrinkage / n_cells))


def inverse_root(covariance: ArrayLike) -> NDArray[np.float64]:
    """Return the symmetric inverse square root of a covariance matrix.

    Patterns (rows) times it have the identity as covariance; of all matrices that do that it
    changes the patterns least, so that a channel stays the channel it was.

    Parameters
    ----------
    covariance : array (channels, channels)
        Symmetric, positive definite.

    Raises
    ------
    InputError
        If it is not positive definite.

    Examples
    --------
    >>> inverse_root([[4.0, 0.0], [0.0, 0.25]])
    array([[0.5, 0. ],
           [0. , 2. ]])
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    values, vectors = np.linalg.eigh(covariance)
    if not (values > values.max() * len(values) * np.finfo(float).eps).all():
        remedy = "Shrink it, or leave out channels that are sums of others."
        raise InputError(message("covariance", "is not positive definite", remedy=remedy))
    root = (vectors / np.sqrt(values)) @ vectors.T
    return (root + root.T) / 2


def _add_shrunk(block: NDArray, total: NDArray) -> float:
    """Add the shrunk covariances of one condition, times x trials x channels; sum of weights."""
    n_times, n, n_channels = block.shape
    centred = block - block.mean(axis=1, keepdims=True)
    variances = (centred**2).mean(axis=1)
    scales = np.sqrt(variances)
    scaled = np.divide(centred, scales[:, None], out=np.zeros_like(centred),
                       where=scales[:, None] > 0)  # fmt: skip
    # Of the standardised covariance S: mean variance, |S|^2 and sum of fourth powers of lengths.
    gram = scaled @ scaled.transpose(0, 2, 1)
    lengths = np.diagonal(gram, axis1=1, axis2=2)
    mean_variance = lengths.sum(axis=1) / (n * n_channels)
    square = (gram**2).sum(axis=(1, 2)) / n**2
    distance = square - n_channels * mean_variance**2
    noise = ((lengths**2).sum(axis=1) / n - square) / n
    weights = np.ones(n_times)
    np.divide(noise, distance, out=weights, where=distance > 0)
    weights = np.clip(weights, 0.0, 1.0)
    kept = centred * np.sqrt((1.0 - weights) / (n - 1))[:, None, None]
    kept = kept.reshape(-1, n_channels)
    total += kept.T @ kept
    towards = (weights * mean_variance)[:, None] * variances * (n / (n - 1))
    total[np.diag_indices(n_channels)] += towards.sum(axis=0)
    return float(weights.sum())
