"""When time courses of scores peak and begin, with intervals over subjects."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn._checks import DataWarning, message
from neurodnn.stats.bootstrap import draws_p, percentile_interval
from neurodnn.stats.courses import (
    arrange_courses,
    course_coordinates,
    mean_courses,
    subject_draws,
    subject_names,
)

_EDGE = 0.025  # share of draws at the edge from which a limit of the interval is only a bound


def bootstrap_peak_latency(
    courses: xr.DataArray,
    *,
    window: tuple[float, float] | None = None,
    n_bootstrap: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return when the mean time course of each reference peaks, with intervals and differences.

    Parameters
    ----------
    courses : DataArray (subject, time) or (subject, time, reference)
        Scores; ``time`` in seconds. A time that lacks a score in any subject takes no part.
    window : (float, float), optional
        First and last time in seconds in which the peak (the largest value) is sought, both
        included. Default: all times.
    n_bootstrap : int
        Draws of subjects with replacement. Default 10,000.
    seed : int
        The draws are the same for all references, so that differences are paired.
    confidence : float
        Of the percentile intervals. Default 0.95.

    Returns
    -------
    Dataset
        Per ``reference``: ``latency`` with ``low`` and ``high`` in seconds, ``peak`` (the mean
        score there), ``n_edge`` (draws that peak at the first or last time; they stay in the
        interval, whose limit is then only a bound, under a warning) and ``reason``. A mean
        course that peaks at an edge has no peak there: its latency, interval and differences
        are NaN. Per ``reference`` x ``other``: ``difference`` of latencies in seconds (the
        first less the other) with ``difference_low``, ``difference_high``, two-sided ``p`` and
        ``p_fwe``, times the number of pairs (Bonferroni). ``subject_latency`` (subject,
        reference): the peak of each subject's own course, noisier, for `hierarchy_test`. attrs:
        generalises_to "subjects".

    Raises
    ------
    InputError
        If there are fewer than 2 subjects, subjects or times repeat, a dimension is missing, or
        the window holds fewer than 3 times.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.
    Efron, B., & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall.

    Examples
    --------
    >>> time = np.arange(-0.1, 0.5, 0.01)
    >>> rng = np.random.default_rng(0)
    >>> shape = np.exp(-(((time - 0.17) / 0.05) ** 2))
    >>> courses = xr.DataArray(shape + rng.normal(0, 0.02, (12, time.size)),
    ...                        dims=("subject", "time"), coords={"time": time})
    >>> found = bootstrap_peak_latency(courses, n_bootstrap=500)
    >>> bool(0.15 < found.low <= found.latency <= found.high < 0.19)
    True
    """
    array, times = arrange_courses(courses, window)
    draws = subject_draws(len(array), n_bootstrap, seed)
    usable = np.isfinite(array).all(axis=0)  # times x references
    _warn_of_gaps(usable)
    place, edge = _peaks(array.mean(axis=0)[None], usable)
    empty = usable.sum(axis=0) < 3
    known = ~(edge[0] | empty)
    parts = [_peaks(means, usable) for means in mean_courses(array, draws)]
    places, at_edge = (np.concatenate(each) for each in zip(*parts, strict=True))
    _warn_of_edges(at_edge.mean(axis=0)[known])
    latency = np.where(known, times[place[0]], np.nan)
    values = np.where(known, times[places], np.nan)
    low, high = percentile_interval(values, confidence)
    peak = np.where(known, array.mean(axis=0)[place[0], np.arange(known.size)], np.nan)
    reason = np.select([empty, edge[0]], ["no scores", "peak at the edge of the window"], "")
    own, own_edge = _peaks(array, usable)
    own = np.where(own_edge | empty, np.nan, times[own])
    columns = {
        "latency": latency, "low": low, "high": high, "peak": peak,
        "n_edge": at_edge.sum(axis=0), "reason": reason.astype(object),
    }  # fmt: skip
    result = xr.Dataset(
        {name: ("reference", column) for name, column in columns.items()}
        | _differences(latency, values, confidence)
        | {"subject_latency": (("subject", "reference"), own)},
        coords=course_coordinates(courses) | {"subject": sorted(subject_names(courses))},
        attrs={
            "n_subjects": len(array), "n_bootstrap": len(draws), "seed": int(seed),
            "confidence": float(confidence), "window": [float(times[0]), float(times[-1])],
            "tail": "two-sided", "family": ["pairs of references"],
            "minimum_p": min(1.0, 2 / (1 + len(draws))), "generalises_to": "subjects",
        },
    )  # fmt: skip
    for name in ("latency", "low", "high", "subject_latency",
                 "difference", "difference_low", "difference_high"):  # fmt: skip
        result[name].attrs["units"] = "s"
    return result


def _peaks(means: NDArray, usable: NDArray[np.bool_]) -> tuple[NDArray, NDArray[np.bool_]]:
    """Return the place of the largest mean among usable times, and whether that is an end."""
    place = np.where(usable, means, -np.inf).argmax(axis=1)
    first = usable.argmax(axis=0)
    last = len(usable) - 1 - usable[::-1].argmax(axis=0)
    return place, (place == first) | (place == last)


def _differences(latency: NDArray, values: NDArray, confidence: float) -> dict[str, tuple]:
    """Return latencies less one another, their intervals and p values, reference x other."""
    n = latency.size
    names = ("difference_low", "difference_high", "p", "p_fwe")
    tables = {name: np.full((n, n), np.nan) for name in names}
    for i, j in zip(*np.triu_indices(n, 1), strict=True):
        drawn = values[:, i] - values[:, j]
        low, high = percentile_interval(drawn, confidence)
        p = draws_p(drawn)
        n_pairs = n * (n - 1) // 2
        for name, above, below in zip(
            names, (low, high, p, p * n_pairs), (-high, -low, p, p * n_pairs), strict=True
        ):
            tables[name][i, j], tables[name][j, i] = above, below
    tables["p_fwe"] = np.minimum(tables["p_fwe"], 1.0)
    tables["difference"] = latency[:, None] - latency
    return {name: (("reference", "other"), table) for name, table in tables.items()}


def _warn_of_gaps(usable: NDArray[np.bool_]) -> None:
    count = int((~usable).any(axis=1).sum())
    if count:
        text = f"{count} times lack a score in some subject and are left out"
        warnings.warn(message("courses", text), DataWarning, stacklevel=3)


def _warn_of_edges(shares: NDArray[np.float64]) -> None:
    if shares.size and shares.max() > _EDGE:
        text = f"up to {shares.max():.0%} of the draws peak at the edge of the window"
        remedy = "Intervals that reach the edge are bounds only; widen the window."
        warnings.warn(message("courses", text, remedy=remedy), DataWarning, stacklevel=3)
