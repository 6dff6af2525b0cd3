"""Patterns in time x references -> scores: one RDM per time, compared and forgotten, compiled.

Axes: ``frames`` is times x folds x stimuli x channels, one fold where nothing is cross-validated;
``references`` is pairs x references, normalised by `neurodnn.numerics.similarity.normalise`;
scores are times x references.

A time is the sphere of all channels, so that distances and lanes are those of the searchlight
(`neurodnn.numerics.spheres`, `neurodnn.numerics.lanes`). Only the way in differs: patterns of
sensors come stimulus by stimulus, and each time has channels of its own that do not count. Nothing
is allocated per time, nothing of a time is kept, and what happens at one time depends on no other.

Compiled code is cached on disk and renewed when *this* file changes: after an edit of a module
that it calls (`lanes`, `spheres`, `ranks`, `whitened`, `kendall`, `_blas`), remove the
``__pycache__`` beside them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.kendall import concordance
from neurodnn.numerics.lanes import fill_lane
from neurodnn.numerics.spheres import (
    CORRELATION,
    COSINE,
    LANES,
    OK,
    TOO_FEW,
    Spheres,
    make_work,
    sphere_distances,
)

__all__ = ["all_channels", "make_bounds", "make_work", "score_frame_orders", "score_frames"]


def all_channels(n_channels: int, width: int, columns: NDArray, dtype: DTypeLike) -> Spheres:
    """Return the sphere of all channels, without values: they come frame by frame.

    Parameters
    ----------
    n_channels : int
    width : int
        Folds x stimuli.
    columns : array (pairs x columns)
        What the lanes are multiplied with.
    dtype : float64 or float32

    Examples
    --------
    >>> all_channels(306, 92, np.zeros((4186, 8)), "float64").indptr.tolist()
    [0, 306]
    """
    return Spheres(
        np.empty((0, width), dtype), np.empty(0, np.bool_), np.array([0, n_channels], np.int64),
        np.empty(0, np.int32), np.empty((0, 0), dtype), np.zeros(1, np.int64), np.empty(0),
        np.ascontiguousarray(columns, dtype),
    )  # fmt: skip


def make_bounds(n_channels: int) -> NDArray[np.float64]:
    """Return the buffer in which channels are judged: lowest and highest value, and gaps.

    Examples
    --------
    >>> make_bounds(306).shape
    (4, 306)
    """
    return np.empty((4, n_channels))


@njit(nogil=True, cache=True)
def score_frames(frames, spheres, rule, work, bounds, products, n_features, reasons):
    """Write products with the references, numbers of features and reason codes of all frames.

    Products of a frame that is undefined are NaN.
    """
    for first in range(0, len(frames), LANES):
        last = min(first + LANES, len(frames))
        _fill(frames, spheres, rule, work, bounds, first, last, n_features, reasons)
        np.dot(work.block, spheres.references, work.product)
        for time in range(first, last):
            scale = work.lane_scale[time - first] if reasons[time] == OK else np.nan
            for column in range(products.shape[1]):
                products[time, column] = work.product[time - first, column] * scale


@njit(nogil=True, cache=True)
def score_frame_orders(
    frames, spheres, rule, work, bounds, orders, buffers, products, n_features, reasons
):
    """As `score_frames` for Kendall's tau-a, which is no product.

    `orders` are references x pairs, order and starts as of `neurodnn.numerics.kendall.in_order`.
    """
    n = work.distances.size
    pairs = n * (n - 1) / 2.0
    for first in range(0, len(frames), LANES):
        last = min(first + LANES, len(frames))
        _fill(frames, spheres, rule, work, bounds, first, last, n_features, reasons)
        for time in range(first, last):
            for column in range(products.shape[1]):
                if reasons[time] == OK:
                    count = concordance(
                        work.block[time - first], orders.order[column], orders.starts[column],
                        buffers,
                    )  # fmt: skip
                    products[time, column] = count / pairs
                else:
                    products[time, column] = np.nan


@njit(nogil=True, cache=True)
def _fill(frames, spheres, rule, work, bounds, first, last, n_features, reasons):
    """Fill the lanes of at most `LANES` frames; a lane without a frame is zero."""
    for time in range(first, last):
        lane = time - first
        n = _gather(frames[time], rule, work, bounds)
        n_features[time] = n
        reason = TOO_FEW
        if n >= rule.min_features:
            reason = sphere_distances(spheres, rule, work, 0, n)
        if reason == OK:
            reason, scale, _ = fill_lane(
                rule, work.distances, work.block[lane], work.ranking, work.kernel
            )
            work.lane_scale[lane] = scale
        reasons[time] = reason
        if reason != OK:
            work.block[lane, :] = 0
    # Always all lanes: the bits of a row must not depend on how many stand beside it.
    for lane in range(last - first, LANES):
        work.block[lane, :] = 0


@njit(nogil=True, cache=True)
def _gather(frame, rule, work, bounds):
    """Copy the usable channels of a frame, channels x width, and sum them; return their number."""
    n_folds, n_stimuli, n_channels = frame.shape
    largest = _judge(frame, max(rule.eps, _eps_of(frame)), bounds)
    # A power of two changes no bit; it keeps squares of tesla in the range of float32.
    exponent = max(math.frexp(largest)[1], -1000)
    factor = math.ldexp(1.0, -exponent)
    shifted = rule.metric != CORRELATION and rule.metric != COSINE
    work.means[:] = 0.0
    n = 0
    for channel in range(n_channels):
        if bounds[3, channel] != 0.0:
            continue
        for fold in range(n_folds):
            start = fold * n_stimuli
            mean = 0.0
            if shifted:  # differences do not feel it, and Gram products no longer cancel
                for stimulus in range(n_stimuli):
                    mean += frame[fold, stimulus, channel] * factor
                mean /= n_stimuli
            for stimulus in range(n_stimuli):
                value = frame[fold, stimulus, channel] * factor - mean
                work.sphere[n, start + stimulus] = value
                work.means[start + stimulus] += work.sphere[n, start + stimulus]
        n += 1
    return n


@njit(nogil=True, cache=True)
def _judge(frame, eps, bounds):
    """Mark channels that hold a gap or are constant in a fold; return the largest usable value.

    The rule is that of `neurodnn.numerics.features.usable_features`; the mark is not 0.
    """
    n_folds, n_stimuli, n_channels = frame.shape
    low, high, gaps, marks = bounds[0], bounds[1], bounds[2], bounds[3]
    marks[:] = 0.0
    top = 0.0
    for fold in range(n_folds):
        for channel in range(n_channels):
            low[channel] = high[channel] = frame[fold, 0, channel]
            gaps[channel] = 0.0
        for stimulus in range(n_stimuli):
            for channel in range(n_channels):
                value = float(frame[fold, stimulus, channel])
                gaps[channel] += value - value  # NaN if the value is not finite
                low[channel] = value if value < low[channel] else low[channel]
                high[channel] = value if value > high[channel] else high[channel]
        for channel in range(n_channels):
            largest = max(abs(low[channel]), abs(high[channel]))
            spread = high[channel] - low[channel]
            finite = gaps[channel] == 0.0 and np.isfinite(spread)
            if not (finite and spread > ZERO_FACTOR * eps * largest):
                marks[channel] = 1.0
            elif largest > top:
                top = largest
    return top


@njit(nogil=True, cache=True)
def _eps_of(values):
    return 2.0**-23 if values.itemsize == 4 else 2.0**-52
