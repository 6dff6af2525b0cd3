"""The distances of one sphere, compiled: gather, centre or whiten, one Gram product.

The rules are those of `neurodnn.numerics.dissimilarity`; here they work on buffers that every
centre uses again. Axes are told in `neurodnn.numerics.searchlight`, the noise in
`neurodnn.numerics.sphere_noise`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn.numerics._blas import columns_gram, letters
from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import RankWork, make_rank_work
from neurodnn.numerics.sphere_noise import paired_fold_gram, whiten

REASONS: dict[int, str] = {
    0: "ok",
    1: "too few features",
    2: "pattern constant so its correlation is undefined",
    3: "brain RDM constant",
    4: "not finite",
    5: "pattern zero so its cosine is undefined",
    6: "brain RDM explained by the nuisance RDMs without rest",
}
OK, TOO_FEW, FLAT_PATTERN, FLAT_RDM, NOT_FINITE, ZERO_PATTERN, NO_REST = REASONS

METRIC_CODES = {
    "correlation": 0, "euclidean": 1, "mahalanobis": 2, "crossnobis": 3, "cosine": 4,
}  # fmt: skip
CORRELATION, _, _, CROSSNOBIS, COSINE = METRIC_CODES.values()

# Centres whose ranks share one product with the references.
LANES = 16


class Spheres(NamedTuple):
    """What the kernel reads; see the module's text for the axes.

    ``usable`` marks the channels that may enter a sphere. ``residuals`` is channels x time
    points, centred by run, or empty where distances are not noise-normalised; ``run_starts`` and
    ``degrees`` say where in it each noise covariance begins and its degrees of freedom: one for
    all, or one per fold.
    """

    rows: NDArray
    usable: NDArray[np.bool_]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    residuals: NDArray
    run_starts: NDArray[np.int64]
    degrees: NDArray[np.float64]
    references: NDArray


class Rule(NamedTuple):
    """What is computed: codes of metric and comparison, and their constants."""

    metric: int
    comparison: int
    n_folds: int
    min_features: int
    eps: float


class Work(NamedTuple):
    """Buffers of one worker, sized for the largest sphere."""

    sphere: NDArray
    total: NDArray
    noise: NDArray
    covariances: NDArray
    mean_covariance: NDArray
    pair: NDArray
    gram: NDArray
    means: NDArray[np.float64]
    scale: NDArray
    distances: NDArray
    block: NDArray
    product: NDArray
    lane_scale: NDArray[np.float64]
    lane_norm: NDArray[np.float64]
    ranking: RankWork
    kernel: NDArray[np.float64]
    plus: NDArray
    add: NDArray
    minus: NDArray
    sizes: NDArray[np.int32]
    letters: NDArray[np.uint8]


def make_work(spheres: Spheres, rule: Rule, largest: int = 1) -> Work:
    """Return the buffers that `score_centres` needs, a few megabytes.

    `largest` is for spheres that share them: the largest number of members anywhere.

    Examples
    --------
    >>> none = np.zeros(0)
    >>> spheres = Spheres(np.zeros((5, 4)), np.ones(5, bool), np.array([0, 3]),
    ...                   np.arange(3, dtype=np.int32), np.zeros((0, 0)), np.zeros(1, np.int64),
    ...                   none, np.zeros((6, 2)))
    >>> make_work(spheres, Rule(0, 0, 1, 2, 1e-16)).sphere.shape
    (3, 4)
    """
    dtype = spheres.rows.dtype
    width = spheres.rows.shape[1]
    n_pairs, n_references = spheres.references.shape
    largest = max(int(np.diff(spheres.indptr).max(initial=0)), largest, 1)
    n_conditions = width // rule.n_folds
    n_noises = spheres.degrees.size
    per_fold = largest if n_noises > 1 else 1
    n_times = int(np.diff(spheres.run_starts).max(initial=0))
    return Work(
        sphere=np.empty((largest, width), dtype),
        total=np.empty((largest if rule.metric == CROSSNOBIS else 1, n_conditions), dtype),
        noise=np.empty((largest if n_noises else 1, n_times), dtype),
        covariances=np.empty((n_noises, largest**2 if n_noises else 1), dtype),
        mean_covariance=np.empty(per_fold**2, dtype),
        pair=np.empty((per_fold, 2 * n_conditions), dtype),
        gram=np.zeros((n_conditions, n_conditions), dtype),
        means=np.empty(width),
        scale=np.empty(n_conditions, dtype),
        distances=np.empty(n_pairs, dtype),
        block=np.empty((LANES, n_pairs), dtype),
        product=np.empty((LANES, n_references), dtype),
        lane_scale=np.empty(LANES),
        lane_norm=np.empty(LANES),
        ranking=make_rank_work(n_pairs, dtype),
        kernel=np.empty(n_conditions),
        plus=np.array([1, 0], dtype),
        add=np.array([1, 1], dtype),
        minus=np.array([-1, 1], dtype),
        sizes=np.zeros(3, np.int32),
        letters=letters(),
    )


@njit(nogil=True, cache=True)
def gather(spheres, work, centre):
    """Copy the usable members' rows and sum them; return their number."""
    width = spheres.rows.shape[1]
    n = 0
    work.means[:] = 0.0
    for k in range(spheres.indptr[centre], spheres.indptr[centre + 1]):
        channel = spheres.indices[k]
        if spheres.usable[channel]:
            for column in range(width):
                value = spheres.rows[channel, column]
                work.sphere[n, column] = value
                work.means[column] += value
            n += 1
    return n


@njit(nogil=True, cache=True)
def sphere_distances(spheres, rule, work, centre, n):
    """Write the distances of one sphere of n features; return a reason code."""
    if rule.metric == CORRELATION or rule.metric == COSINE:
        return _angles(rule, work, n)
    if spheres.degrees.size > 1:
        if not paired_fold_gram(spheres, work, centre, n):
            return NOT_FINITE
    else:
        if spheres.degrees.size == 1 and not whiten(spheres, work, centre, n):
            return NOT_FINITE
        _difference_gram(rule, work, n)
    return _squared_differences(rule, work)


@njit(nogil=True, cache=True)
def _angles(rule, work, n):
    """1 - Pearson correlation, or without centring 1 - cosine, of every two patterns."""
    sphere, gram, means, scale = work.sphere, work.gram, work.means, work.scale
    n_conditions = gram.shape[0]
    centred = rule.metric == CORRELATION
    for column in range(n_conditions):
        means[column] = means[column] / n if centred else 0.0
    if centred:
        for row in range(n):
            for column in range(n_conditions):
                sphere[row, column] -= means[column]
    columns_gram(sphere, n, 0, gram, work.plus, work.sizes, work.letters)
    for i in range(n_conditions):
        norm = float(gram[i, i])
        # Only a pattern this close to its mean can be constant; the rule itself looks at it.
        doubtful = n * ((ZERO_FACTOR + 1.0) * rule.eps * means[i]) ** 2
        if centred and norm <= doubtful and _is_flat(sphere, n, i, means[i], rule.eps):
            return FLAT_PATTERN
        if norm == 0.0 and not centred:
            return ZERO_PATTERN
        if not (norm > 0.0 and np.isfinite(norm)):
            return NOT_FINITE
        scale[i] = 1.0 / np.sqrt(norm)
    # float32 sums of n products err with the root of n; 64 eps n would zero honest distances.
    spread = float(n) if sphere.itemsize == 8 else np.sqrt(float(n))
    tolerance = sphere.dtype.type(ZERO_FACTOR * rule.eps * spread)
    one, two = sphere.dtype.type(1.0), sphere.dtype.type(2.0)
    pair = 0
    for i in range(n_conditions):
        for j in range(i + 1, n_conditions):
            distance = one - gram[i, j] * scale[i] * scale[j]
            if abs(distance) <= tolerance:
                distance = sphere.dtype.type(0.0)
            elif abs(two - distance) <= tolerance:
                distance = two
            work.distances[pair] = distance
            pair += 1
    return OK


@njit(nogil=True, cache=True)
def _is_flat(sphere, n, column, mean, eps):
    low = np.inf
    high = -np.inf
    for row in range(n):
        low = min(low, sphere[row, column])
        high = max(high, sphere[row, column])
    return high - low <= ZERO_FACTOR * eps * max(abs(low + mean), abs(high + mean))


@njit(nogil=True, cache=True)
def _difference_gram(rule, work, n):
    """Gram of rows that were centred over conditions, within folds where there are any."""
    sphere, gram, scale = work.sphere, work.gram, work.scale
    n_conditions = gram.shape[0]
    if rule.metric == CROSSNOBIS:
        _sum_folds(work, n, rule.n_folds)
        columns_gram(work.total, n, 0, gram, work.plus, work.sizes, work.letters)
        for i in range(n_conditions):
            scale[i] = 2.0 * gram[i, i]
        for fold in range(rule.n_folds):
            columns_gram(
                sphere, n, fold * n_conditions, gram, work.minus, work.sizes, work.letters
            )
        for i in range(n_conditions):
            scale[i] -= gram[i, i]
    else:
        columns_gram(sphere, n, 0, gram, work.plus, work.sizes, work.letters)
        for i in range(n_conditions):
            scale[i] = gram[i, i]


@njit(nogil=True, cache=True)
def _squared_differences(rule, work):
    """Squared distances from the Gram of differences, noise of rounding set to zero."""
    gram, scale = work.gram, work.scale
    n_conditions = gram.shape[0]
    tolerance = gram.dtype.type(ZERO_FACTOR * rule.eps)
    two = gram.dtype.type(2.0)
    finite = 0.0
    pair = 0
    for i in range(n_conditions):
        finite += gram[i, i]
        for j in range(i + 1, n_conditions):
            distance = gram[i, i] + gram[j, j] - two * gram[i, j]
            zero = abs(distance) <= tolerance * (scale[i] + scale[j])
            work.distances[pair] = 0.0 if zero else distance
            pair += 1
    return OK if np.isfinite(finite) else NOT_FINITE


@njit(nogil=True, cache=True)
def _sum_folds(work, n, n_folds):
    n_conditions = work.total.shape[1]
    for row in range(n):
        for column in range(n_conditions):
            work.total[row, column] = work.sphere[row, column]
        for fold in range(1, n_folds):
            for column in range(n_conditions):
                work.total[row, column] += work.sphere[row, fold * n_conditions + column]
