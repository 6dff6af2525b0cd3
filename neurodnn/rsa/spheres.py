"""From Datasets and RDMs to the plain arrays that the compiled searchlight reads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rsatoolbox.data import Dataset
from scipy.sparse import csr_array, issparse

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.numerics.features import usable_features
from neurodnn.numerics.searchlight import COMPARISON_CODES, METRIC_CODES, REASONS, Rule, Spheres
from neurodnn.rsa.conditions import condition_folds, condition_means
from neurodnn.rsa.names import canonical_order, stimulus_names
from neurodnn.rsa.noise import NOISES, check_channels, fold_freedom, noise_freedom
from neurodnn.rsa.rdm import MIN_STIMULI

DTYPES = ("float64", "float32")
_ANGLES = ("correlation", "cosine")  # metrics without a unit
_WHITENED = ("mahalanobis", "crossnobis")  # metrics that heed the noise


class SearchlightOptions(NamedTuple):
    """How the spheres of a searchlight are computed, for all functions that run one.

    Parameters
    ----------
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance of patterns, as for `neurodnn.searchlight`.
    noise : {"pooled", "per-fold"}
        Noise covariance of crossnobis: one of all runs, or one of each run.
    dtype : {"float64", "float32"}
        float64 is exact to 1e-12; float32 is faster and differs by some 1e-6, more where values
        are far from zero beside their spread.
    min_features : int
        Spheres with fewer usable channels get NaN.
    place : str
        Name of the dimension of centres: ``"voxel"``, ``"vertex"``, ``"region"``, ...
    n_jobs : int
        Threads; -1 for one per core. The result is the same bits for any number.
    progress : bool
        Whether to show a progress bar.

    Examples
    --------
    >>> SearchlightOptions(metric="crossnobis", n_jobs=2).dtype
    'float64'
    """

    metric: str = "correlation"
    noise: str = "pooled"
    dtype: str = "float64"
    min_features: int = 2
    place: str = "voxel"
    n_jobs: int = 1
    progress: bool = False


DEFAULT_OPTIONS = SearchlightOptions()


class Prepared(NamedTuple):
    """What the compiled loop reads, without references, and what labels its results."""

    spheres: Spheres
    rule: Rule
    names: list[str]  # of stimuli, in canonical order
    places: np.ndarray | None  # labels of the centres, where centres are channels
    # What the loop's squared distances, summed over features, are multiplied with to be in the
    # squared unit of the patterns; 1 where distances have no unit.
    unit: float

    def with_columns(self, columns: np.ndarray) -> Spheres:
        """Return the spheres with what their lanes are multiplied with, pairs x columns."""
        columns = np.ascontiguousarray(columns, self.spheres.rows.dtype)
        return self.spheres._replace(references=columns)


def prepare(
    patterns: Dataset,
    neighbors: csr_array,
    stimuli: Sequence[str] | None,
    *,
    comparison: str,
    residuals: Dataset | None,
    options: SearchlightOptions,
    where: str = "patterns",
) -> Prepared:
    """Return one subject's arrays for the loop over centres; every fault of the input is told.

    Parameters
    ----------
    patterns, neighbors, residuals
        As for `neurodnn.searchlight`.
    stimuli : sequence of str or None
        Names of the other side's stimuli; None where there is no other side.
    comparison : str
    options : SearchlightOptions
    where : str
        What the patterns are called in messages.

    Raises
    ------
    InputError
        As for `neurodnn.searchlight`.
    """
    metric, dtype = options.metric, options.dtype
    check_choice("metric", metric, METRIC_CODES)
    check_choice("comparison", comparison, COMPARISON_CODES)
    check_choice("dtype", dtype, DTYPES)
    check_choice("noise", options.noise, NOISES)
    least = 2 if metric == "correlation" else 1
    least = max(int(check_number("min_features", options.min_features, minimum=1)), least)
    neighbors = checked_neighbors(neighbors, patterns)
    if residuals is not None and metric in _WHITENED:
        check_channels(residuals, patterns, where)
    values, names = aligned_patterns(patterns, stimuli, metric, where)
    rows, usable, exponent = voxel_major(values, metric, dtype)
    runs = fold_runs(patterns, residuals, options)
    noise, starts, degrees, usable = noise_rows(residuals, metric, usable, rows.dtype, runs)
    n_folds = len(values) if values.ndim == 3 else 1
    n_pairs = len(names) * (len(names) - 1) // 2
    spheres = Spheres(
        rows, usable, neighbors.indptr.astype(np.int64), neighbors.indices.astype(np.int32),
        noise, starts, degrees, np.empty((n_pairs, 0), rows.dtype),
    )  # fmt: skip
    rule = Rule(
        METRIC_CODES[metric], COMPARISON_CODES[comparison], n_folds, least,
        float(np.finfo(rows.dtype).eps),
    )  # fmt: skip
    own = (patterns.channel_descriptors or {}).get(options.place)
    square = neighbors.shape[0] == neighbors.shape[1]
    places = np.asarray(own) if own is not None and square else None
    unit = 1.0
    if metric not in _ANGLES:
        unit = 4.0**exponent / max(n_folds * (n_folds - 1), 1)
    return Prepared(spheres, rule, names, places, unit)


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
    patterns: Dataset, stimuli: Sequence[str] | None, metric: str, where: str = "patterns"
) -> tuple[np.ndarray, list[str]]:
    """Return (runs x) stimuli x channels in the canonical order of the stimuli."""
    select = condition_folds if metric == "crossnobis" else condition_means
    names, values = select(patterns, where)
    if len(names) < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message(where, "too few stimuli", got=len(names), allowed=allowed))
    others = names if stimuli is None else stimuli
    order, _, names = canonical_order(names, others, where, "references")
    return values[..., order, :], names


def voxel_major(
    values: np.ndarray, metric: str, dtype: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return channels x width in the working type, which channels are usable, and an exponent.

    The values given are those returned times 2 to the power of the exponent.
    """
    values = np.asarray(values, dtype=np.float64)
    # A power of two changes no bit; it keeps squares of tesla or of raw counts in range.
    exponent = _usual_exponent(values)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.ldexp(values, -exponent)
        working = scaled.astype(dtype, copy=False)
        usable = usable_features(working)
        if metric not in _ANGLES:
            # Differences of conditions do not feel it, and Gram products no longer cancel.
            working = (scaled - scaled.mean(axis=-2, keepdims=True)).astype(dtype, copy=False)
    width = working.size // working.shape[-1]
    return np.ascontiguousarray(working.reshape(width, -1).T), usable, exponent


def _usual_exponent(values: np.ndarray) -> int:
    """Return the power of two of the median channel: a broken one must not decide for others."""
    sizes = np.abs(values).reshape(-1, values.shape[-1])
    sizes[~np.isfinite(sizes)] = 0.0
    largest = sizes.max(axis=0)
    largest = largest[largest > 0]
    return int(np.frexp(np.median(largest))[1]) if largest.size else 0


def fold_runs(
    patterns: Dataset, residuals: Dataset | None, options: SearchlightOptions
) -> list[str] | None:
    """Return the runs that are folds where each has a noise covariance of its own."""
    if options.noise != "per-fold":
        return None
    if options.metric != "crossnobis" or residuals is None:
        fault = "per-fold noise needs crossnobis and residuals"
        remedy = "Give the residuals of every run, or take noise='pooled'."
        raise InputError(message("noise", fault, got=options.metric, remedy=remedy))
    return sorted(set(stimulus_names(patterns.obs_descriptors["run"], "run")))


def noise_rows(
    residuals: Dataset | None,
    metric: str,
    usable: np.ndarray,
    dtype: np.dtype,
    runs: list[str] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the residuals as the compiled loop reads them.

    Residuals are channels x time, centred by run; then come where in them each covariance begins
    and ends, its degrees of freedom (one covariance in all, or one for each of `runs`), and
    which channels are usable in patterns and residuals.
    """
    nothing = np.empty((0, 0), dtype), np.zeros(1, np.int64), np.empty(0), usable
    if residuals is None:
        if metric == "mahalanobis":
            remedy = "Give the residuals of the first-level model, or choose another metric."
            raise InputError(message("residuals", "mahalanobis needs residuals", remedy=remedy))
        return nothing
    if metric not in _WHITENED:
        text = f"residuals: are not used by the {metric} distance."
        warnings.warn(text, DataWarning, stacklevel=4)
        return nothing
    values = np.asarray(residuals.measurements)
    n_times, n_channels = values.shape
    if n_channels != usable.size:
        fault = "have another number of channels than the patterns"
        raise InputError(message("residuals", fault, got=n_channels, allowed=str(usable.size)))
    usable = usable & usable_features(values)
    named = np.asarray(residuals.obs_descriptors.get("run", np.zeros(n_times)), dtype=str)
    if runs is None:
        parts, lengths = [np.flatnonzero(named == run) for run in np.unique(named)], [n_times]
        degrees = [noise_freedom(residuals, n_times - len(parts))]
        order = np.arange(n_times)
    else:
        parts, degrees = fold_freedom(residuals, runs)
        lengths, order = [len(part) for part in parts], np.concatenate(parts)
        for part in parts:  # a channel that was flat in one run has no noise there
            usable = usable & usable_features(values[part])
    if min(degrees) <= 0:
        raise InputError(message("residuals", "too few time points", got=n_times))
    noise = np.empty((n_channels, n_times), dtype)
    place = np.argsort(order)
    for part in parts:
        own = values[part].astype(np.float64)
        with np.errstate(invalid="ignore"):
            noise[:, place[part]] = (own - own.mean(axis=0)).T
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return noise, starts, np.array(degrees, dtype=np.float64), usable


def warn_of_losses(
    usable: np.ndarray, reasons: np.ndarray, place: str, where: str = "patterns"
) -> None:
    """Warn of channels that take no part, and of centres without a score."""
    of_whom = where.removeprefix("patterns")
    lost = int((~usable).sum())
    if lost:
        text = (
            f"{where}: {lost} of {usable.size} channels hold values that are not finite, or do"
            " not vary, and are left out."
        )
        warnings.warn(text, DataWarning, stacklevel=3)
    for code, reason in REASONS.items():
        count = int((reasons == code).sum())
        if code > 1 and count:
            text = f"{count} of {reasons.size} {place} scores{of_whom} are undefined (NaN)"
            warnings.warn(f"{text}: {reason}.", DataWarning, stacklevel=3)
