"""The noise of one sphere, compiled: shrunk covariances and what they whiten.

The covariance is that of `neurodnn.numerics.covariance` with the diagonal target; here it works
on buffers that every centre uses again. ``run_starts`` cuts the columns of the residuals: in one
piece where one covariance serves all folds, or in one per fold, each with its own degrees of
freedom. Axes are told in `neurodnn.numerics.searchlight`.
"""

from __future__ import annotations

from numba import njit

from neurodnn.numerics._blas import cholesky_upper, columns_gram, rows_gram, solve_upper


@njit(nogil=True, cache=True)
def whiten(spheres, work, centre, n):
    """Solve with the Cholesky factor of the noise covariance; False if it has none."""
    fill_covariance(spheres, work, centre, n, 0)
    covariance = work.covariances[0]
    if not cholesky_upper(covariance, n, work.sizes, work.letters):
        return False
    solve_upper(covariance, n, work.sphere, work.plus, work.sizes, work.letters)
    return True


@njit(nogil=True, cache=True)
def fill_covariance(spheres, work, centre, n, run):
    """Write the shrunk covariance (upper triangle) of the noise of one run."""
    noise, covariance = work.noise, work.covariances[run]
    first, stop = spheres.run_starts[run], spheres.run_starts[run + 1]
    row = 0
    for k in range(spheres.indptr[centre], spheres.indptr[centre + 1]):
        channel = spheres.indices[k]
        if spheres.usable[channel]:
            for time in range(first, stop):
                noise[row, time - first] = spheres.residuals[channel, time]
            # A shorter run: zeros add nothing to a product.
            noise[row, stop - first :] = 0
            row += 1
    rows_gram(noise, n, covariance, work.plus, work.sizes, work.letters)
    nu = spheres.degrees[run]
    keep = 1.0 - _shrinkage_to_diagonal(noise, covariance, n, stop - first, nu)
    for i in range(n):
        covariance[i * n + i] /= nu
        for j in range(i + 1, n):
            covariance[i * n + j] *= keep / nu


@njit(nogil=True, cache=True)
def _shrinkage_to_diagonal(noise, products, n, n_times, nu):
    """Return lambda of `covariance.shrunk_covariance` from the cross products."""
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
def paired_fold_gram(spheres, work, centre, n):
    """Gram of crossnobis with a covariance per fold; False if a covariance is singular.

    For every pair of folds both are whitened with the mean of their covariances, and
    A'B + B'A = (A + B)'(A + B) - A'A - B'B is added up. `work.scale` gets what the rounding of
    each condition is judged by.
    """
    gram, covariance = work.gram, work.mean_covariance
    n_conditions = gram.shape[0]
    n_folds = spheres.run_starts.size - 1
    for run in range(n_folds):
        fill_covariance(spheres, work, centre, n, run)
    gram[:, :] = 0
    work.scale[:] = 0
    for a in range(n_folds):
        for b in range(a + 1, n_folds):
            for i in range(n):
                for k in range(i * n + i, i * n + n):
                    covariance[k] = (work.covariances[a, k] + work.covariances[b, k]) / 2
            if not cholesky_upper(covariance, n, work.sizes, work.letters):
                return False
            _copy_folds(work, n, a, b)
            solve_upper(covariance, n, work.pair, work.plus, work.sizes, work.letters)
            for row in range(n):
                for column in range(n_conditions):
                    left, right = work.pair[row, column], work.pair[row, n_conditions + column]
                    work.total[row, column] = left + right
                    work.scale[column] += 2 * (left * left + right * right)
            columns_gram(work.total, n, 0, gram, work.add, work.sizes, work.letters)
            for part in range(2):
                columns_gram(
                    work.pair, n, part * n_conditions, gram, work.minus, work.sizes, work.letters
                )
    return True


@njit(nogil=True, cache=True)
def _copy_folds(work, n, a, b):
    n_conditions = work.gram.shape[0]
    for row in range(n):
        for column in range(n_conditions):
            work.pair[row, column] = work.sphere[row, a * n_conditions + column]
            work.pair[row, n_conditions + column] = work.sphere[row, b * n_conditions + column]
