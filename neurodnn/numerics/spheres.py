"""The distances of one sphere, compiled: gather, centre or whiten, one Gram product.

The rules are those of `neurodnn.numerics.dissimilarity`, and the noise covariance is that of
`neurodnn.numerics.covariance` with the diagonal target; here they work on buffers that every
centre uses again. Axes are told in `neurodnn.numerics.searchlight`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn.numerics._blas import cholesky_upper, columns_gram, letters, rows_gram, solve_upper
from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import RankWork, make_rank_work

REASONS: dict[int, str] = {
    0: "ok",
    1: "too few features",
    2: "pattern constant so its correlation is undefined",
    3: "brain RDM constant",
    4: "not finite",
}
OK, TOO_FEW, FLAT_PATTERN, FLAT_RDM, NOT_FINITE = REASONS

METRIC_CODES = {"correlation": 0, "euclidean": 1, "mahalanobis": 2, "crossnobis": 3}
CORRELATION, _, _, CROSSNOBIS = METRIC_CODES.values()

# Centres whose ranks share one product with the references.
LANES = 16


class Spheres(NamedTuple):
    """What the kernel reads; see the module's text for the axes.

    ``usable`` marks the channels that may enter a sphere. ``residuals`` is channels x time
    points, centred by run, or empty where distances are not noise-normalised.
    """

    rows: NDArray
    usable: NDArray[np.bool_]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    residuals: NDArray
    references: NDArray


class Rule(NamedTuple):
    """What is computed: codes of metric and comparison, and their constants."""

    metric: int
    comparison: int
    n_folds: int
    min_features: int
    degrees_of_freedom: int
    eps: float


class Work(NamedTuple):
    """Buffers of one worker, sized for the largest sphere."""

    sphere: NDArray
    total: NDArray
    noise: NDArray
    covariance: NDArray
    gram: NDArray
    means: NDArray[np.float64]
    scale: NDArray
    distances: NDArray
    block: NDArray
    product: NDArray
    lane_scale: NDArray[np.float64]
    ranking: RankWork
    plus: NDArray
    minus: NDArray
    sizes: NDArray[np.int32]
    letters: NDArray[np.uint8]


def make_work(spheres: Spheres, rule: Rule) -> Work:
    """Return the buffers that `score_centres` needs, a few megabytes.

    Examples
    --------
    >>> empty = np.zeros((0, 0))
    >>> spheres = Spheres(np.zeros((5, 4)), np.ones(5, bool), np.array([0, 3]),
    ...                   np.arange(3, dtype=np.int32), empty, np.zeros((6, 2)))
    >>> make_work(spheres, Rule(0, 0, 1, 2, 0, 1e-16)).sphere.shape
    (3, 4)
    """
    dtype = spheres.rows.dtype
    width = spheres.rows.shape[1]
    n_pairs, n_references = spheres.references.shape
    largest = max(int(np.diff(spheres.indptr).max(initial=0)), 1)
    n_conditions = width // rule.n_folds
    noisy = spheres.residuals.size > 0
    return Work(
        sphere=np.empty((largest, width), dtype),
        total=np.empty((largest if rule.metric == CROSSNOBIS else 1, n_conditions), dtype),
        noise=np.empty((largest if noisy else 1, spheres.residuals.shape[1]), dtype),
        covariance=np.empty(largest**2 if noisy else 1, dtype),
        gram=np.zeros((n_conditions, n_conditions), dtype),
        means=np.empty(width),
        scale=np.empty(n_conditions, dtype),
        distances=np.empty(n_pairs, dtype),
        block=np.empty((LANES, n_pairs), dtype),
        product=np.empty((LANES, n_references), dtype),
        lane_scale=np.empty(LANES),
        ranking=make_rank_work(n_pairs, dtype),
        plus=np.array([1, 0], dtype),
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
            if work.noise.shape[1] > 0:
                for column in range(work.noise.shape[1]):
                    work.noise[n, column] = spheres.residuals[channel, column]
            n += 1
    return n


@njit(nogil=True, cache=True)
def sphere_distances(spheres, rule, work, n):
    """Write the distances of one sphere of n features; return a reason code."""
    if rule.metric == CORRELATION:
        return _correlation(rule, work, n)
    if work.noise.shape[1] > 0:
        if not _whiten(rule, work, n):
            return NOT_FINITE
    return _squared_differences(rule, work, n)


@njit(nogil=True, cache=True)
def _correlation(rule, work, n):
    sphere, gram, means, scale = work.sphere, work.gram, work.means, work.scale
    n_conditions = gram.shape[0]
    for column in range(n_conditions):
        means[column] /= n
    for row in range(n):
        for column in range(n_conditions):
            sphere[row, column] -= means[column]
    columns_gram(sphere, n, 0, gram, work.plus, work.sizes, work.letters)
    for i in range(n_conditions):
        norm = float(gram[i, i])
        # Only a pattern this close to its mean can be constant; the rule itself looks at it.
        doubtful = n * ((ZERO_FACTOR + 1.0) * rule.eps * means[i]) ** 2
        if norm <= doubtful and _is_flat(sphere, n, i, means[i], rule.eps):
            return FLAT_PATTERN
        if not (norm > 0.0 and np.isfinite(norm)):
            return NOT_FINITE
        scale[i] = 1.0 / np.sqrt(norm)
    # float32 sums of n products err with the root of n; 64 eps n would zero honest distances.
    spread = float(n) if sphere.itemsize == 8 else np.sqrt(float(n))
    tolerance = sphere.dtype.type(ZERO_FACTOR * rule.eps * spread)
    one = sphere.dtype.type(1.0)
    pair = 0
    for i in range(n_conditions):
        for j in range(i + 1, n_conditions):
            distance = one - gram[i, j] * scale[i] * scale[j]
            work.distances[pair] = distance if abs(distance) > tolerance else 0.0
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
def _whiten(rule, work, n):
    """Solve with the Cholesky factor of the shrunk noise covariance; False if it has none."""
    noise, covariance = work.noise, work.covariance
    rows_gram(noise, n, covariance, work.plus, work.sizes, work.letters)
    nu = float(rule.degrees_of_freedom)
    keep = 1.0 - _shrinkage_to_diagonal(noise, covariance, n, nu)
    for i in range(n):
        covariance[i * n + i] /= nu
        for j in range(i + 1, n):
            covariance[i * n + j] *= keep / nu
    if not cholesky_upper(covariance, n, work.sizes, work.letters):
        return False
    solve_upper(covariance, n, work.sphere, work.plus, work.sizes, work.letters)
    return True


@njit(nogil=True, cache=True)
def _shrinkage_to_diagonal(noise, products, n, nu):
    """Return lambda of `covariance.shrunk_covariance` from the cross products."""
    n_times = noise.shape[1]
    squared = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            product = float(products[i * n + j])
            squared += 2.0 * product / products[i * n + i] * product / products[j * n + j]
    fourth = 0.0
    for time in range(n_times):
        total = 0.0
        own = 0.0
        for i in range(n):
            square = float(noise[i, time]) ** 2 * nu / products[i * n + i]
            total += square
            own += square * square
        fourth += total * total - own
    if not squared > 0.0:
        return 1.0
    variance = n_times / nu**2 * (fourth / nu - squared)
    return min(max(variance / squared, 0.0), 1.0)


@njit(nogil=True, cache=True)
def _squared_differences(rule, work, n):
    """Distances of rows that were centred over conditions, within folds where there are any."""
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
    tolerance = sphere.dtype.type(ZERO_FACTOR * rule.eps)
    two = sphere.dtype.type(2.0)
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


