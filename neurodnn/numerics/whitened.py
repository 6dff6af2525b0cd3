"""Whitened cosine and correlation of RDMs: distances that share a stimulus are not independent.

If the patterns of n stimuli are estimated with errors of covariance Sigma (n x n), the errors of
their squared distances have, up to a factor, the covariance V = (C Sigma C')^2, squared element
by element, where C holds one contrast (+1, -1) per pair. The measures are the cosine under
V^-1, of the distances (cosine_cov) or of the distances less their mean (corr_cov).

For Sigma = I nothing of the size pairs x pairs is ever formed. V is 2 I + M M', where M says
which two stimuli make a pair, and has three eigenvalues only: 2 n for the mean over all pairs,
n for what single stimuli add to all their distances, and 2 for the rest. So V^-1 d is minus the
off-diagonal part of the doubly centred kernel -1/2 H D H, and the cosine under V^-1 is the
linear CKA of the two kernels.

References
----------
Diedrichsen, J., Berlot, E., Mur, M., Schuett, H. H., Shahbazi, M., & Kriegeskorte, N. (2021).
Comparing representational geometries using whitened unbiased-distance-matrix similarity.
Neurons, Behavior, Data Analysis, and Theory, 5(3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular

from neurodnn._checks import InputError, message
from neurodnn.numerics.rows import Row, as_row_pair, is_constant, n_stimuli_of, undefined_row


def cosine_cov(
    a: ArrayLike, b: ArrayLike, sigma_k: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the whitened cosine of every row of `a` with every row of `b`.

    Parameters
    ----------
    a, b : array (rows x pairs)
        Pairs in the order of ``numpy.triu_indices(n, 1)``. A pair that is NaN in one of the two
        rows is left out of that comparison; V is then that of the pairs that are left.
    sigma_k : array (n stimuli x n stimuli), optional
        Covariance of the errors of the patterns between stimuli; without it the identity:
        equally and independently estimated patterns.

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is zero.

    Raises
    ------
    InputError
        If the numbers of pairs differ or are no n (n - 1) / 2, or `sigma_k` is not a symmetric
        matrix that makes V positive definite. A vector is refused: it could be variances or
        standard deviations, and peers take it for neither.

    Examples
    --------
    >>> cosine_cov([[1, 2, 3, 4, 5, 6]], [[2, 1, 4, 3, 6, 5]]).round(4)
    array([[0.9447]])
    """
    return _compare_whitened(a, b, sigma_k, _scaled)


def corr_cov(
    a: ArrayLike, b: ArrayLike, sigma_k: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the whitened correlation of every row of `a` with every row of `b`.

    Parameters
    ----------
    a, b : array (rows x pairs)
        As for `cosine_cov`.
    sigma_k : array (n stimuli x n stimuli), optional
        As for `cosine_cov`.

    Returns
    -------
    array of float64 (rows of a x rows of b)
        In [-1, 1]; NaN where a row is constant.

    Raises
    ------
    InputError
        As for `cosine_cov`.

    Examples
    --------
    >>> corr_cov([[1, 2, 3, 4, 5, 6]], [[2, 1, 4, 3, 6, 5]]).round(4)
    array([[0.8286]])
    """
    return _compare_whitened(a, b, sigma_k, _centred)


def half_whitened(row: ArrayLike) -> Row:
    """Return V^-1/2 times a complete row of distances, for Sigma = I.

    The plain cosine of two such rows is the whitened cosine of the rows.

    Parameters
    ----------
    row : array (pairs,)
        Without NaN.

    Examples
    --------
    >>> x, y = np.arange(1.0, 7), np.array([2.0, 1, 4, 3, 6, 5])
    >>> left, right = half_whitened(x), half_whitened(y)
    >>> bool(np.isclose(left @ right / np.sqrt(left @ left * (right @ right)), cosine_cov(x, y)))
    True
    """
    row = np.ascontiguousarray(row, dtype=np.float64)
    n = n_stimuli_of(row.size)
    out = np.empty(row.size)
    half_whitened_into(row, n, np.empty(n), out)
    return out


def checked_sigma(sigma_k: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return the covariance of pattern errors between n stimuli as a matrix.

    Raises
    ------
    InputError
        If it is a vector, another shape, not symmetric or not finite.

    Examples
    --------
    >>> checked_sigma(np.eye(2), 2).shape
    (2, 2)
    """
    sigma = np.asarray(sigma_k, dtype=np.float64)
    if sigma.ndim == 1:
        fault = "is a vector, which could mean variances or standard deviations"
        remedy = "Give the covariance matrix: numpy.diag(variances)."
        raise InputError(message("sigma_k", fault, got=sigma.shape, remedy=remedy))
    if sigma.shape != (n, n) or not np.isfinite(sigma).all() or not np.allclose(sigma, sigma.T):
        fault = "must be a finite, symmetric matrix of stimuli x stimuli"
        raise InputError(message("sigma_k", fault, got=sigma.shape, allowed=f"({n}, {n})"))
    return sigma


def whitened_size(row: Row) -> float:
    """Return the root mean square of the present distances after whitening, for Sigma = I.

    Examples
    --------
    >>> whitened_size(np.array([1.0, 1, 1, np.nan, 1, 1])) < 1
    True
    """
    kept = ~np.isnan(row)
    if not kept.any():
        return np.nan
    whitened = _whitener(kept, n_stimuli_of(row.size), None)(row[kept])
    return float(np.sqrt((whitened**2).mean()))


@njit(nogil=True, cache=True)
def whitened_into(distances, n, kernel, out):
    """Write V^-1 d into `out` and return d . V^-1 d, for Sigma = I.

    Its partner in a dot product is a plain row b: ``out . b / sqrt(d . out) / sqrt(b . V^-1 b)``
    is the whitened cosine. `kernel` is a float64 buffer of at least n values; `out` may be
    `distances` itself. Nothing is allocated, and the sums are float64.
    """
    means = kernel.reshape(-1)
    mean = _stimulus_means(distances, n, means)
    squares = 0.0
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            value = distances[pair]
            # Minus one half of the doubly centred matrix: diagonal included, so means are over n.
            whitened = 0.5 * (value - means[i] - means[j] + mean)
            out[pair] = whitened
            squares += value * whitened
            pair += 1
    return squares


@njit(nogil=True, cache=True)
def half_whitened_into(distances, n, kernel, out):
    """Write V^-1/2 d into `out` and return its sum of squares, for Sigma = I.

    Its partner in a dot product is another such row. `kernel` is a float64 buffer of at least n
    values; `out` may be `distances` itself.
    """
    means = kernel.reshape(-1)
    mean = _stimulus_means(distances, n, means)
    overall = mean * n / (n - 1.0)  # mean over pairs
    for i in range(n):
        # What stimulus i adds to each of its distances: the part of eigenvalue n.
        means[i] = (means[i] * n - (n - 1.0) * overall) / (n - 2.0) if n > 2 else 0.0
    of_mean = overall / np.sqrt(2.0 * n)
    of_stimulus = 1.0 / np.sqrt(float(n))
    of_rest = 1.0 / np.sqrt(2.0)
    squares = 0.0
    pair = 0
    for i in range(n):
        for j in range(i + 1, n):
            stimuli = means[i] + means[j]
            rest = distances[pair] - overall - stimuli
            whitened = of_mean + of_stimulus * stimuli + of_rest * rest
            out[pair] = whitened
            squares += whitened * whitened
            pair += 1
    return squares


@njit(nogil=True, cache=True)
def _stimulus_means(distances, n, means):
    """Write the row means of the square matrix, zero diagonal included; return their mean."""
    means[:n] = 0.0
    pair = 0
    for i in range(n):
        own = 0.0
        for j in range(i + 1, n):
            value = distances[pair]
            own += value
            means[j] += value
            pair += 1
        means[i] += own
    total = 0.0
    for i in range(n):
        total += means[i]
        means[i] /= n
    return total / n / n


def _compare_whitened(
    a: ArrayLike, b: ArrayLike, sigma_k: ArrayLike | None, scale: Callable[[Row], Row]
) -> NDArray[np.float64]:
    a, b = as_row_pair(a, b)
    n = n_stimuli_of(a.shape[1])
    sigma = None if sigma_k is None else checked_sigma(sigma_k, n)
    whiteners: dict[bytes, Callable[[Row], Row]] = {}

    def unit(row: Row, kept: NDArray[np.bool_]) -> Row:
        """Return the kept part of a row, scaled, whitened and of unit length."""
        key = kept.tobytes()
        if key not in whiteners:
            whiteners.clear()  # one at a time: each may hold a matrix of pairs x pairs
            whiteners[key] = _whitener(kept, n, sigma)
        whitened = whiteners[key](scale(row[kept]))
        return whitened / np.sqrt(whitened @ whitened)

    every = np.ones(a.shape[1], dtype=bool)
    left = [None if np.isnan(row).any() else unit(row, every) for row in a]
    right = [None if np.isnan(row).any() else unit(row, every) for row in b]
    result = np.empty((len(a), len(b)))
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            if x is None or y is None:
                both = ~(np.isnan(a[i]) | np.isnan(b[j]))
                result[i, j] = unit(a[i], both) @ unit(b[j], both) if both.any() else np.nan
            else:
                result[i, j] = x @ y  # a cell at a time, so that its bits are its own
    return np.clip(result, -1.0, 1.0)


def _scaled(row: Row) -> Row:
    largest = np.abs(row).max()
    return row / largest if largest > 0 else undefined_row(row)


def _centred(row: Row) -> Row:
    if is_constant(row):
        return undefined_row(row)
    row = row / np.abs(row).max()
    return _scaled(row - row.mean())


def _whitener(
    kept: NDArray[np.bool_], n: int, sigma: NDArray[np.float64] | None
) -> Callable[[Row], Row]:
    """Return the map after which a plain dot product is that under V^-1 of the kept pairs."""
    if sigma is None:
        return half_whitened if kept.all() else _gap_whitener(kept, n)
    first, second = (index[kept] for index in np.triu_indices(n, 1))
    by_pair = sigma[first] - sigma[second]
    try:
        factor = cholesky((by_pair[:, first] - by_pair[:, second]) ** 2, lower=True)
    except np.linalg.LinAlgError as error:
        fault = "makes the covariance of the distances singular"
        remedy = "Shrink it towards its diagonal first."
        raise InputError(message("sigma_k", fault, remedy=remedy)) from error
    return lambda row: solve_triangular(factor, row, lower=True, check_finite=False)


def _gap_whitener(kept: NDArray[np.bool_], n: int) -> Callable[[Row], Row]:
    """As `half_whitened` where pairs are missing: V = 2 I + M M' of the pairs that are left."""
    first, second = (index[kept] for index in np.triu_indices(n, 1))
    incidence = np.zeros((first.size, n))
    incidence[np.arange(first.size), first] = 1.0
    incidence[np.arange(first.size), second] = 1.0
    basis, singular, _ = np.linalg.svd(incidence, full_matrices=False)
    weights = 1.0 / np.sqrt(2.0 + singular**2) - 1.0 / np.sqrt(2.0)
    return lambda row: row / np.sqrt(2.0) + basis @ (weights * (basis.T @ row))
