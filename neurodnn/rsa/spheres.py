"""From Datasets and RDMs to the plain arrays that the compiled searchlight reads."""

from __future__ import annotations

import warnings

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array, issparse

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.numerics.features import usable_features
from neurodnn.numerics.similarity import normalise
from neurodnn.rsa.compare import check_references
from neurodnn.rsa.conditions import condition_folds, condition_means
from neurodnn.rsa.names import canonical_order, names_of
from neurodnn.rsa.rdm import MIN_STIMULI, align_to, noise_freedom


def checked_neighbors(neighbors: csr_array, patterns: Dataset) -> csr_array:
    """Return neighbours as sorted csr rows of members, of as many channels as the patterns."""
    if not issparse(neighbors) or neighbors.ndim != 2:
        got = type(neighbors).__name__
        allowed = "a sparse array, centres x channels"
        raise InputError(message("neighbors", "is not sparse", got=got, allowed=allowed))
    n_channels = patterns.measurements.shape[1] if isinstance(patterns, Dataset) else None
    if n_channels is not None and neighbors.shape[1] != n_channels:
        raise InputError(
            message(
                "neighbors",
                "has another number of channels than the patterns",
                got=neighbors.shape[1],
                allowed=str(n_channels),
                remedy="Build both from the same mask.",
            )
        )
    neighbors = csr_array(neighbors)
    if not (neighbors.has_canonical_format and np.all(neighbors.data)):
        neighbors = neighbors.copy()
        neighbors.sum_duplicates()
        neighbors.eliminate_zeros()
    return neighbors


def aligned_patterns(
    patterns: Dataset, references: RDMs, metric: str
) -> tuple[np.ndarray, list[str]]:
    """Return (runs x) stimuli x channels in the canonical order of the stimuli."""
    select = condition_folds if metric == "crossnobis" else condition_means
    names, values = select(patterns)
    if len(names) < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message("patterns", "too few stimuli", got=len(names), allowed=allowed))
    order, _, names = canonical_order(names, names_of(references, "references"), "patterns",
                                      "references")  # fmt: skip
    return values[..., order, :], names


def voxel_major(values: np.ndarray, metric: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return channels x width in the working type, and which channels are usable."""
    values = np.asarray(values, dtype=np.float64)
    # A power of two changes no bit; it keeps squares of tesla or of raw counts in range.
    largest = np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
    scaled = np.ldexp(values, -int(np.frexp(largest)[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        working = scaled.astype(dtype, copy=False)
        usable = usable_features(working)
        if metric != "correlation":
            # Differences of conditions do not feel it, and Gram products no longer cancel.
            working = (scaled - scaled.mean(axis=-2, keepdims=True)).astype(dtype, copy=False)
    width = working.size // working.shape[-1]
    return np.ascontiguousarray(working.reshape(width, -1).T), usable


def noise_rows(
    residuals: Dataset | None, metric: str, usable: np.ndarray, dtype: np.dtype
) -> tuple[np.ndarray, int, np.ndarray]:
    """Return residuals (channels x time, centred by run), their degrees of freedom, and which
    channels are usable in both."""
    if residuals is None:
        if metric == "mahalanobis":
            remedy = "Give the residuals of the first-level model, or choose another metric."
            raise InputError(message("residuals", "mahalanobis needs residuals", remedy=remedy))
        return np.empty((0, 0), dtype), 0, usable
    if metric not in ("mahalanobis", "crossnobis"):
        text = f"residuals: are not used by the {metric} distance."
        warnings.warn(text, DataWarning, stacklevel=3)
        return np.empty((0, 0), dtype), 0, usable
    values = np.asarray(residuals.measurements)
    n_times, n_channels = values.shape
    if n_channels != usable.size:
        fault = "have another number of channels than the patterns"
        raise InputError(
            message("residuals", fault, got=n_channels, allowed=str(usable.size))
        )
    runs = np.asarray(residuals.obs_descriptors.get("run", np.zeros(n_times)), dtype=str)
    degrees = noise_freedom(residuals, n_times - len(np.unique(runs)))
    if degrees < 1:
        raise InputError(message("residuals", "too few time points", got=n_times))
    noise = np.empty((n_channels, n_times), dtype)
    for run in np.unique(runs):
        times = np.flatnonzero(runs == run)
        own = values[times].astype(np.float64)
        with np.errstate(invalid="ignore"):
            noise[:, times] = (own - own.mean(axis=0)).T
    return noise, degrees, usable & usable_features(values)


def normalised_references(
    references: RDMs, names: list[str], comparison: str, dtype: np.dtype
) -> np.ndarray:
    """Return the references as pairs x references, in canonical order, ready for a product."""
    check_references(references, comparison)
    rows = align_to(names, references).dissimilarities
    return np.ascontiguousarray(np.stack([normalise(row, comparison) for row in rows], 1), dtype)
