"""From the Datasets of a movie to the frames that the compiled loop reads, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from rsatoolbox.data import Dataset
from scipy.sparse import csr_array

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.numerics.kendall import Ordered, in_order, make_concordance_work
from neurodnn.numerics.movie import (
    all_channels,
    make_bounds,
    make_work,
    score_frame_orders,
    score_frames,
)
from neurodnn.numerics.searchlight import COMPARISON_CODES, METRIC_CODES, Rule
from neurodnn.rsa.conditions import condition_folds, condition_means, observation_names
from neurodnn.rsa.names import canonical_order, stimulus_names
from neurodnn.rsa.rdm import MIN_STIMULI
from neurodnn.rsa.searchlight import run_blocks, score_places
from neurodnn.rsa.spheres import DTYPES, SearchlightOptions, prepare

# Times per block, a multiple of the kernel's lanes; few, so that they are read from the cache.
# Fixed, so that how work is cut never depends on who does it.
BLOCK = 32


class MovieOptions(NamedTuple):
    """How the RDMs of a movie are computed.

    Parameters
    ----------
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance of patterns, as for `neurodnn.compute_rdms`.
    noise : {"pooled", "per-fold"}
        Noise covariance of crossnobis with residuals.
    dtype : {"float64", "float32"}
        float64 is exact to 1e-12; float32 is a little faster and differs by some 1e-6.
    min_features : int
        Times with fewer usable channels get NaN.
    n_jobs : int
        Threads; the result is the same bits for any number.

    Examples
    --------
    >>> MovieOptions(metric="crossnobis").noise
    'pooled'
    """

    metric: str = "correlation"
    noise: str = "pooled"
    dtype: str = "float64"
    min_features: int = 2
    n_jobs: int = 1


DEFAULT_OPTIONS = MovieOptions()


class Layout(NamedTuple):
    """Which observations make the patterns of a Dataset; the same for all that are labelled so."""

    observed: tuple  # what the labels were
    names: list[str]  # canonical
    rows: np.ndarray | None  # folds x stimuli, where each pattern is one observation
    n_channels: int


class Found(NamedTuple):
    """What the loop returns for all times."""

    products: np.ndarray  # times x columns
    n_features: np.ndarray
    reasons: np.ndarray
    n_channels: int


def least_features(comparison: str, options: MovieOptions) -> int:
    """Return the least number of channels that counts; refuse unknown options.

    Examples
    --------
    >>> least_features("spearman", MovieOptions(min_features=1))
    2
    """
    check_choice("comparison", comparison, COMPARISON_CODES)
    check_choice("metric", options.metric, METRIC_CODES)
    check_choice("dtype", options.dtype, DTYPES)
    least = int(check_number("min_features", options.min_features, minimum=1))
    return max(least, 2) if options.metric == "correlation" else least


def _labels(patterns: Dataset) -> tuple:
    described = patterns.obs_descriptors
    return tuple(list(described[key]) for key in ("stimulus", "run") if key in described)


def find_layout(patterns: Dataset, wanted: list[str], metric: str, where: str) -> Layout:
    """Return where the patterns of a Dataset stand; refuse stimuli that are not those wanted.

    Examples
    --------
    >>> names = {"stimulus": list("bacd")}
    >>> find_layout(Dataset(np.eye(4), obs_descriptors=names), list("abcd"), "cosine", "x").rows
    array([[1, 0, 2, 3]])
    """
    observation_names(patterns, where)  # refuses what is no Dataset in the right words
    select = condition_folds if metric == "crossnobis" else condition_means
    places = np.arange(float(len(patterns.measurements)))[:, np.newaxis]
    described = {key: list(values) for key, values in patterns.obs_descriptors.items()}
    names, rows = select(Dataset(places, obs_descriptors=described), where)
    if len(names) < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message(where, "too few stimuli", got=len(names), allowed=allowed))
    order, _, names = canonical_order(names, wanted, where, "references")
    rows = np.atleast_2d(rows[..., 0])[:, order].astype(np.intp)
    single = rows.size == len(places)  # otherwise these are means of places, not places
    return Layout(_labels(patterns), names, rows if single else None,
                   patterns.measurements.shape[1])  # fmt: skip


def _read(patterns: Dataset, layout: Layout, metric: str, where: str, frame: np.ndarray) -> None:
    """Write the patterns of a time, folds x stimuli x channels in canonical order, to a frame."""
    alike = isinstance(patterns, Dataset) and _labels(patterns) == layout.observed
    own = layout if alike else find_layout(patterns, layout.names, metric, where)
    if patterns.measurements.shape[1] != layout.n_channels:
        fault = "has another number of channels than the first time"
        got = patterns.measurements.shape[1]
        raise InputError(message(where, fault, got=got, allowed=str(layout.n_channels)))
    if own is not layout and metric == "crossnobis":
        n_folds = len(set(stimulus_names(patterns.obs_descriptors["run"], "run")))
        if n_folds != len(frame):
            fault = "has another number of runs than the first time"
            raise InputError(message(where, fault, got=n_folds, allowed=str(len(frame))))
    if own.rows is not None and patterns.measurements.dtype == frame.dtype:
        # All rows are valid; with the default mode NumPy would copy twice.
        np.take(patterns.measurements, own.rows, axis=0, out=frame, mode="clip")
    elif own.rows is not None:
        frame[...] = patterns.measurements[own.rows]
    else:
        select = condition_folds if metric == "crossnobis" else condition_means
        names, values = select(patterns, where)
        frame[...] = values[..., np.argsort(np.array(names)), :].reshape(frame.shape)


def _shape(
    patterns: Mapping[float, Dataset], times: list[float], layout: Layout, metric: str
) -> tuple[tuple[int, int, int], type]:
    """Return the shape of a frame and the type in which frames are read."""
    n_folds = 1
    if metric == "crossnobis":
        n_folds = len(set(stimulus_names(patterns[times[0]].obs_descriptors["run"], "run")))
    # Folds are means, which are float64: whether a channel varies is then judged as elsewhere.
    single = metric != "crossnobis" and all(
        getattr(patterns[time], "measurements", np.empty(0)).dtype == np.float32 for time in times
    )
    return (n_folds, len(layout.names), layout.n_channels), np.float32 if single else np.float64


def in_blocks(
    patterns: Mapping[float, Dataset],
    times: list[float],
    layout: Layout,
    columns: np.ndarray,
    comparison: str,
    least: int,
    options: MovieOptions,
) -> Found:
    """Score all times with the compiled loop; distances need no noise."""
    shape, dtype = _shape(patterns, times, layout, options.metric)
    n_folds, n_stimuli, n_channels = shape
    spheres = all_channels(n_channels, n_folds * n_stimuli, columns, options.dtype)
    eps = float(np.finfo(options.dtype).eps)
    rule = Rule(METRIC_CODES[options.metric], COMPARISON_CODES[comparison], n_folds, least, eps)
    orders = None
    if comparison == "tau-a":
        sides = [in_order(column) for column in spheres.references.T]
        orders = Ordered(*(np.stack(parts) for parts in zip(*sides, strict=True)))
    found = Found(np.empty((len(times), columns.shape[1])), np.zeros(len(times), np.int32),
                   np.zeros(len(times), np.uint8), n_channels)  # fmt: skip

    def score_block(start: int, stop: int) -> None:
        frames = np.empty((stop - start, *shape), dtype)
        for frame, time in zip(frames, times[start:stop], strict=True):
            _read(patterns[time], layout, options.metric, f"patterns at {time:g} s", frame)
        work, bounds = make_work(spheres, rule), make_bounds(n_channels)
        own = [array[start:stop] for array in found[:3]]
        if orders is None:
            score_frames(frames, spheres, rule, work, bounds, *own)
        else:
            buffers = make_concordance_work(len(columns), spheres.references.dtype)
            score_frame_orders(frames, spheres, rule, work, bounds, orders, buffers, *own)

    for _ in run_blocks(score_block, len(times), BLOCK, SearchlightOptions(n_jobs=options.n_jobs)):
        pass
    return found


def one_by_one(
    patterns: Mapping[float, Dataset],
    times: list[float],
    names: list[str],
    columns: np.ndarray,
    comparison: str,
    residuals: Dataset | Mapping[float, Dataset] | None,
    options: MovieOptions,
) -> Found:
    """Score each time as a searchlight of one sphere: the noise is estimated for each."""
    settings = SearchlightOptions(
        options.metric, options.noise, options.dtype, options.min_features, "time", options.n_jobs
    )
    parts = []
    for time in times:
        own = residuals
        if isinstance(residuals, Mapping):
            if time not in residuals:
                raise InputError(message("residuals", f"there are none for {time:g} s"))
            own = residuals[time]
        observation_names(patterns[time], f"patterns at {time:g} s")
        every = csr_array(np.ones((1, patterns[time].measurements.shape[1]), dtype=bool))
        ready = prepare(patterns[time], every, names, comparison=comparison, residuals=own,
                        options=settings, where=f"patterns at {time:g} s")  # fmt: skip
        products, _, n_features, reasons = score_places(
            ready.with_columns(columns), ready, settings
        )
        parts.append((products, n_features, reasons))
    found = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Found(*found, every.shape[1])
