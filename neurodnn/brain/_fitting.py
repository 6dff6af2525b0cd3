"""The fit itself: voxels that carry signal, scaled, in blocks of bounded memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.brain.design import Design
from neurodnn.brain.glm_settings import GLMSettings

if TYPE_CHECKING:
    from nilearn.glm import OLSModel

_BINS = 100  # autocorrelations are rounded to 1/100 towards 0, as nilearn does
_BLOCK = 1 << 15  # voxels fitted at once: bounds the copies that a fit makes of its data


def fit_voxels(
    data: np.ndarray, design: Design, settings: GLMSettings, where: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (stimuli x voxels estimates, volumes x voxels residuals or None)."""
    good = _usable(data, where)
    gain = _gain(data, good, settings.scaling, where)
    estimates = np.full((len(design.stimuli), data.shape[1]), np.nan)
    residuals = np.full(data.shape, np.nan, np.float32) if settings.keep_residuals else None
    matrix = design.table.to_numpy(float)
    for model, members in _models(data, matrix, np.flatnonzero(good), settings.noise_model):
        for voxels in _blocks(members):
            result = model.fit(data[:, voxels] * gain[voxels])
            weights = result.theta[design.columns]
            rest = result.whitened_residuals
            if settings.estimate == "t":
                # By the rank, not by the number of columns: confounds may repeat each other.
                variance = (rest**2).sum(axis=0) / design.degrees_of_freedom
                deviation = np.sqrt(np.maximum(variance, np.finfo(float).tiny))
                error = np.sqrt(np.diag(result.cov)[design.columns])
                weights = weights / (error[:, None] * deviation)
                rest = rest / deviation
            estimates[:, voxels] = weights
            if residuals is not None:
                residuals[:, voxels] = rest
    return estimates, residuals


def _models(
    data: np.ndarray, matrix: np.ndarray, voxels: np.ndarray, noise_model: str
) -> Iterator[tuple[OLSModel, np.ndarray]]:
    """Yield (model, voxels it holds for); voxels of one autocorrelation share a model."""
    from nilearn.glm import ARModel, OLSModel
    from nilearn.glm.first_level import run_glm

    if noise_model == "ols":
        yield OLSModel(matrix), voxels
    elif noise_model == "ar1":
        # run_glm does the same, but solves one small system per voxel: 4 times slower.
        project = np.linalg.pinv(matrix)
        rho = [
            autocorrelation(data[:, block] - matrix @ (project @ data[:, block]))
            for block in _blocks(voxels)
        ]
        bins = (np.concatenate(rho) * _BINS).astype(int)
        for value in np.unique(bins):
            yield ARModel(matrix, value / _BINS), voxels[bins == value]
    else:
        labels, results = run_glm(
            data[:, voxels].astype(float), matrix, noise_model=noise_model, random_state=0
        )
        for label, result in results.items():
            yield result.model, voxels[labels == label]


def _blocks(voxels: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, voxels.size, _BLOCK):
        yield voxels[start : start + _BLOCK]


def autocorrelation(residuals: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of order 1 of each column; 0 where nothing is left.

    Examples
    --------
    >>> import numpy
    >>> autocorrelation(numpy.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])).tolist()
    [-1.0, 0.0]
    """
    n = len(residuals)
    variance = np.einsum("tv,tv->v", residuals, residuals) / n
    shared = np.einsum("tv,tv->v", residuals[:-1], residuals[1:]) / (n - 1)
    rho = np.divide(shared, variance, out=np.zeros_like(shared), where=variance > 0)
    return np.clip(rho, -1, 1)


def _usable(data: np.ndarray, where: str) -> np.ndarray:
    """Return which voxels carry signal; constant ones have no noise to divide by."""
    finite = np.isfinite(data).all(axis=0)
    with np.errstate(invalid="ignore"):
        spread = data.max(axis=0) - data.min(axis=0)
        least = 64 * np.finfo(np.float32).eps * np.abs(data).max(axis=0)
        good = finite & (spread > least)
    if not good.any():
        remedy = "Check mask and run: the data do not change over time."
        raise InputError(message(where, "no voxel of the mask carries a signal", remedy=remedy))
    if not good.all():
        what = "voxels of the mask are constant or not finite over the run; they become NaN"
        got = f"{(~good).sum()} of {good.size}"
        warnings.warn(message(where, what, got=got), DataWarning, stacklevel=4)
    return good


def _gain(data: np.ndarray, good: np.ndarray, scaling: str, where: str) -> np.ndarray:
    """Return the factor of each voxel, float64."""
    if scaling == "none":
        return np.ones(data.shape[1])
    means = data.mean(axis=0, dtype=np.float64)
    if scaling == "grand-mean":
        means = np.full_like(means, means[good].mean())
    bad = good & ~(means > 0)
    if not bad.any():
        return 100 / np.where(good, means, 100)
    if scaling == "grand-mean":
        what = "the mean signal is not positive (data already centred?); it is left unscaled"
        text = message(where, what, got=f"{means[0]:.3g}", remedy="Give data with their mean.")
        warnings.warn(text, DataWarning, stacklevel=4)
        return np.ones(data.shape[1])
    what = f"{bad.sum()} voxels have a mean that is not positive; scaling='voxel' fails"
    raise InputError(message(where, what, remedy="Use scaling='grand-mean'."))
