"""Time x time: at which other times the geometry of a time is found again."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs
from threadpoolctl import threadpool_limits

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.similarity import COMPARISONS, normalise
from neurodnn.rsa.names import canonical_order, names_of
from neurodnn.rsa.rdm import MIN_STIMULI, align_to
from neurodnn.rsa.rdm_movies import movie_times
from neurodnn.rsa.sides import check_data

_PRODUCTS = ("spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov")
_BLOCK = 128  # times per product; fixed, so that results are always the same bits


def time_generalisation(
    movie: RDMs,
    other: RDMs | None = None,
    *,
    comparison: str = "spearman",
    nan_policy: str = "raise",
) -> xr.DataArray:
    """Return the similarity of the RDMs of every two times.

    A geometry that stays gives a square, one that passes a narrow diagonal, one that comes back
    a patch beside it.

    Parameters
    ----------
    movie : RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds.
    other : RDMs, optional
        A second movie of the same stimuli: of other trials, another subject, another task. With
        `movie` alone the noise of a time is shared with itself and, through filters and
        overlapping windows, with its neighbours: its diagonal is 1 whatever the data are, and
        only times well apart say something. Two movies of independent trials have no such bias.
    comparison : str
        As for `compare_rdms`, without the measures of second moments.
    nan_policy : {"raise", "omit"}
        What happens to missing distances; see `compare_rdms`.

    Returns
    -------
    DataArray (time x other_time)
        Of `movie` x of `other`. NaN where an RDM is constant.

    Raises
    ------
    InputError
        If stimuli differ, there are fewer than 4, a movie has no times, or distances are missing
        and `nan_policy` is "raise".

    References
    ----------
    King, J.-R., & Dehaene, S. (2014). Characterizing the dynamics of mental representations: the
    temporal generalization method. Trends in Cognitive Sciences, 18, 203-210.

    Examples
    --------
    >>> movie = RDMs(np.array([[1.0, 2, 3, 4, 5, 6], [6.0, 5, 4, 3, 2, 1]]),
    ...              rdm_descriptors={"time": [0.1, 0.2]},
    ...              pattern_descriptors={"stimulus": list("abcd")})
    >>> time_generalisation(movie).values
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    check_choice("comparison", comparison, COMPARISONS)
    check_choice("nan_policy", nan_policy, ["raise", "omit"])
    second = movie if other is None else other
    times = movie_times(movie, "movie"), movie_times(second, "other")
    _, _, names = canonical_order(names_of(movie), names_of(second), "movie", "other")
    if len(names) < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message("movie", "too few stimuli", got=len(names), allowed=allowed))
    sides = [np.asarray(align_to(names, each).dissimilarities, dtype=np.float64)
             for each in ((movie,) if other is None else (movie, other))]  # fmt: skip
    gone = [check_data(rows, names, "time", [f"{time:g} s" for time in own], comparison, nan_policy)
            for rows, own in zip(sides, times, strict=False)]  # fmt: skip
    if comparison in _PRODUCTS and not any(np.isnan(rows).any() for rows in sides):
        scores = _products(sides, comparison)
    else:
        scores = COMPARISONS[comparison](sides[0], sides[-1])
    scores[gone[0]] = np.nan
    scores[:, gone[-1]] = np.nan
    attrs = {"comparison": comparison, "n_stimuli": len(names), "units": "1",
             "movies": "one" if other is None else "two"}  # fmt: skip
    return xr.DataArray(
        scores, dims=("time", "other_time"), name=comparison, attrs=attrs,
        coords={"time": ("time", times[0], {"units": "s"}),
                "other_time": ("other_time", times[1], {"units": "s"})},
    )  # fmt: skip


def _products(sides: list[np.ndarray], comparison: str) -> np.ndarray:
    """Return all dot products of normalised rows, in blocks; of one movie exactly symmetric."""
    units = [np.stack([normalise(row, comparison) for row in rows]) for rows in sides]
    left, right = units[0], units[-1]
    scores = np.empty((len(left), len(right)))
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, len(left), _BLOCK):
            for first in range(0, len(right), _BLOCK):
                rows, columns = slice(start, start + _BLOCK), slice(first, first + _BLOCK)
                scores[rows, columns] = left[rows] @ right[columns].T
    if len(units) == 1:
        lower = np.tril_indices(len(scores), -1)
        scores[lower] = scores.T[lower]
    return np.clip(scores, -1.0, 1.0)
