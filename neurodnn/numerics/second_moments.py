"""RDMs compared as geometries: through the second moments of the patterns behind them.

Squared Euclidean distances D of n patterns tell their centred second moment, the kernel
-1/2 H D H with H = I - 1/n. These measures compare such kernels as positive semi-definite
matrices. They want squared distances (Euclidean, Mahalanobis, crossnobis) of all pairs: a row
with a missing pair has no kernel and gives NaN. What noise makes negative counts as zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from neurodnn.numerics.rows import Row, as_row_pair, n_stimuli_of

_GRID = np.linspace(-12.0, 12.0, 49)  # log of noise over signal where the search begins


def bures(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the Bures similarity of every row of `a` and of `b`: fidelity over mean trace.

    For kernels A and B it is ``tr (A^1/2 B A^1/2)^1/2 / (tr A tr B)^1/2``, the normalised
    nuclear norm of the cross product of the patterns: the cosine after the best rotation.

    Parameters
    ----------
    a, b : array (rows x pairs)
        Squared distances.

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [0, 1], 1 for the same geometry up to scale; NaN where a row has a missing pair or
        no positive part.

    Raises
    ------
    InputError
        If the numbers of pairs differ or are no n (n - 1) / 2.

    References
    ----------
    Harvey, S. E., Larsen, B. W., & Williams, A. H. (2023). Duality of Bures and shape distances
    with implications for comparing neural representations. Proceedings of Machine Learning
    Research, 243.

    Examples
    --------
    >>> bures([[1, 4, 1]], [[2, 8, 2]]).round(12)
    array([[1.]])
    """
    return _pairwise(a, b, _bures)


def bures_metric(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return the squared Bures distance of every row of `a` and of `b`: 0 is alike, not 1.

    ``tr A + tr B - 2 tr (A^1/2 B A^1/2)^1/2``: the squared distance of the patterns after the
    best rotation, in the unit of the distances.

    Parameters
    ----------
    a, b : array (rows x pairs)
        Squared distances, both in the same unit.

    Returns
    -------
    array of float64 (rows of a x rows of b)
        At least 0; NaN where a row has a missing pair or no positive part.

    Raises
    ------
    InputError
        If the numbers of pairs differ or are no n (n - 1) / 2.

    Examples
    --------
    >>> bures_metric([[1, 4, 1]], [[4, 16, 4]]).round(12)
    array([[2.]])
    """
    return _pairwise(a, b, _bures_metric)


def neg_riem_dist(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return minus the Riemannian distance of every row of `a` from every model in `b`.

    The kernels (of the patterns less that of the first stimulus) are covariance matrices; their
    affine-invariant distance is ``(sum log^2 lambda)^1/2`` over the eigenvalues of the model
    relative to the data. The model is first given the scale and the amount of independent,
    equal noise of the patterns under which it comes closest to the data. It is not symmetric.

    Parameters
    ----------
    a : array (rows x pairs)
        Squared distances of the data.
    b : array (rows x pairs)
        Squared distances of the models.

    Returns
    -------
    array of float64 (rows of a x rows of b)
        At most 0, which is the best; NaN where a row has a missing pair or the data's kernel
        is not positive definite (fewer channels than stimuli, or noise of crossnobis).

    Raises
    ------
    InputError
        If the numbers of pairs differ or are no n (n - 1) / 2.

    References
    ----------
    Shahbazi, M., Shirali, A., Aghajan, H., & Nili, H. (2021). Using distance on the Riemannian
    manifold to compare representations in brain and in models. NeuroImage, 239.

    Examples
    --------
    >>> data = np.array([2.0, 3.0, 4.0, 3.0, 3.0, 2.0])
    >>> bool(neg_riem_dist(data, 7 * data)[0, 0] > -1e-6)
    True
    """
    return _pairwise(a, b, _neg_riem_dist)


KERNEL_COMPARISONS: dict[str, Callable[[ArrayLike, ArrayLike], NDArray[np.float64]]] = {
    "bures": bures,
    "bures_metric": bures_metric,
    "neg_riem_dist": neg_riem_dist,
}


def _pairwise(
    a: ArrayLike, b: ArrayLike, measure: Callable[[NDArray, NDArray], float]
) -> NDArray[np.float64]:
    a, b = as_row_pair(a, b)
    n = n_stimuli_of(a.shape[1])
    result = np.full((len(a), len(b)), np.nan)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            if np.isfinite(x).all() and np.isfinite(y).all():
                result[i, j] = measure(_square(x, n), _square(y, n))
    return result


def _square(row: Row, n: int) -> NDArray[np.float64]:
    square = np.zeros((n, n))
    square[np.triu_indices(n, 1)] = row
    return square + square.T


def _half(square: NDArray) -> NDArray[np.float64]:
    """Return a root R of the kernel, R R' = -1/2 H D H, without what is negative."""
    means = square.mean(axis=0)
    kernel = -0.5 * (square - means - means[:, np.newaxis] + means.mean())
    values, vectors = np.linalg.eigh(kernel)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _traces(x: NDArray, y: NDArray) -> tuple[float, float, float]:
    """Return the traces of both kernels and their fidelity."""
    x, y = _half(x), _half(y)
    # Singular values, not roots of eigenvalues: those would leave the root of rounding noise.
    fidelity = np.linalg.svd(x.T @ y, compute_uv=False).sum()
    return float((x**2).sum()), float((y**2).sum()), float(fidelity)


def _bures(x: NDArray, y: NDArray) -> float:
    trace_x, trace_y, fidelity = _traces(x, y)
    if not (trace_x > 0 and trace_y > 0):
        return np.nan
    return min(fidelity / np.sqrt(trace_x) / np.sqrt(trace_y), 1.0)


def _bures_metric(x: NDArray, y: NDArray) -> float:
    trace_x, trace_y, fidelity = _traces(x, y)
    if not (trace_x > 0 and trace_y > 0):
        return np.nan
    return max(trace_x + trace_y - 2.0 * fidelity, 0.0)


def _from_first(square: NDArray) -> NDArray[np.float64]:
    """Return the second moment of the patterns less that of the first stimulus."""
    own = square[0, 1:]
    return 0.5 * (own + own[:, np.newaxis] - square[1:, 1:])


def _neg_riem_dist(data: NDArray, model: NDArray) -> float:
    target, moment = _from_first(data), _from_first(model)
    noise = np.eye(len(moment)) + 1.0  # of differences from the first: its own noise is shared
    smallest, largest = np.linalg.eigvalsh(target)[[0, -1]]
    size = np.trace(moment)
    if not (smallest > 64 * len(moment) * np.finfo(float).eps * largest and size > 0):
        return np.nan
    moment = moment / size * np.trace(target)
    noise = noise / np.trace(noise) * np.trace(target)

    def squared(log_noise: float) -> float:
        # Together never larger than the target's trace: no overflow at either end.
        share = 1.0 / (1.0 + np.exp(-log_noise))
        values = eigh((1.0 - share) * moment + share * noise, target, eigvals_only=True)
        if not values[0] > 0:
            return np.inf
        # Best over the scale: the mean of the logarithms goes.
        logs = np.log(values)
        return float(((logs - logs.mean()) ** 2).sum())

    found = [squared(log_noise) for log_noise in _GRID]
    best = int(np.argmin(found))
    low, high = _GRID[max(best - 1, 0)], _GRID[min(best + 1, _GRID.size - 1)]
    refined = minimize_scalar(squared, bounds=(low, high), method="bounded",
                              options={"xatol": 1e-9}).fun  # fmt: skip
    # The ends: no noise at all, or nothing else.
    ends = squared(-np.inf), squared(np.inf)
    return -float(np.sqrt(min(found[best], refined, *ends)))
