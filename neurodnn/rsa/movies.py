"""Patterns in time -> scores of every time with every reference, and the RDMs of all times.

A movie of patterns is a mapping of time in seconds to a Dataset. Its scores are those of
`compare_rdms` on the RDMs of `compute_rdms`, but no RDM is kept: memory holds the patterns, and
the patterns of a block of times once more.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_number, message
from neurodnn.numerics.rows import n_stimuli_of
from neurodnn.numerics.searchlight import REASONS
from neurodnn.rsa.movie_frames import (
    DEFAULT_OPTIONS,
    Found,
    MovieOptions,
    find_layout,
    in_blocks,
    least_features,
    one_by_one,
)
from neurodnn.rsa.names import names_of
from neurodnn.rsa.rdm import compute_rdms
from neurodnn.rsa.readouts import Readout, finish, make_readout, nuisance_attributes
from neurodnn.rsa.spheres import warn_of_losses

__all__ = ["MovieOptions", "checked_times", "movie_descriptors", "rdm_movie", "score_movie"]


def rdm_movie(
    patterns: Mapping[float, Dataset],
    *,
    metric: str = "correlation",
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    noise: str = "pooled",
) -> RDMs:
    """Return one RDM per time, with its time in seconds.

    All RDMs are kept: 1,000 times of 92 stimuli take 33 MB. `score_movie` keeps none.

    Parameters
    ----------
    patterns : mapping of time in seconds -> Dataset
        Observations x channels, ``obs_descriptors["stimulus"]``; the same stimuli at all times.
    metric, residuals, noise
        As for `compute_rdms`; residuals of each time may be given under that time.

    Returns
    -------
    RDMs
        Rows by rising time, ``rdm_descriptors["time"]`` in seconds.

    Raises
    ------
    InputError
        As for `compute_rdms`; a key is no time.

    References
    ----------
    Cichy, R. M., Pantazis, D., & Oliva, A. (2014). Resolving human object recognition in space
    and time. Nature Neuroscience, 17, 455-462.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcd")}
    >>> movie = rdm_movie({t: Dataset(rng.normal(size=(4, 9)), obs_descriptors=names)
    ...                    for t in (0.1, 0.2)})
    >>> movie.dissimilarities.shape, list(movie.rdm_descriptors["time"])
    ((2, 6), [0.1, 0.2])
    """
    times = _times_of(patterns)
    arranged = {time: patterns[time] for time in times}
    rdms = compute_rdms(arranged, metric=metric, residuals=residuals, noise=noise)
    return RDMs(
        rdms.dissimilarities,
        dissimilarity_measure=metric,
        descriptors=movie_descriptors(arranged),
        rdm_descriptors={"time": times},
        pattern_descriptors={"stimulus": names_of(rdms)},
    )


def score_movie(
    patterns: Mapping[float, Dataset],
    references: RDMs,
    *,
    comparison: str = "spearman",
    nuisance: RDMs | None = None,
    semi: bool = False,
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    options: MovieOptions = DEFAULT_OPTIONS,
) -> xr.DataArray:
    """Return how alike the RDM of every time and every reference RDM are.

    Parameters
    ----------
    patterns : mapping of time in seconds -> Dataset
        Observations x channels with ``obs_descriptors["stimulus"]`` and, where stimuli repeat,
        ``["run"]``; the same stimuli and as many channels at all times. Channels that hold a
        value that is not finite, or that are constant over stimuli, are left out at that time.
    references : RDMs
        Of the same stimuli, in any order, without gaps.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        Similarity of RDMs, as for `neurodnn.searchlight`.
    nuisance : RDMs, optional
        Taken out of both sides: the partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only.
    residuals : Dataset or mapping of time -> Dataset, optional
        Noise of the same channels, for mahalanobis and crossnobis; see `compute_rdms`.
    options : MovieOptions

    Returns
    -------
    DataArray (time x reference)
        float64, by rising time; NaN where undefined, under a warning. Coordinates ``time`` in
        seconds, ``reference``, ``n_features`` and ``reason`` (code, 0 = computed).

    Raises
    ------
    InputError
        If names of stimuli differ, the number of channels changes, a key is no time, or as for
        `neurodnn.searchlight`.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> movie = {t: Dataset(rng.normal(size=(5, 9)), obs_descriptors=names) for t in (0.1, 0.2)}
    >>> layers = RDMs(rng.random((1, 10)), rdm_descriptors={"reference": ["conv1"]},
    ...               pattern_descriptors=names)
    >>> score_movie(movie, layers).sel(time=0.2, reference="conv1").shape
    ()
    """
    times = _times_of(patterns)
    least = least_features(comparison, options)
    wanted = names_of(references, "references")
    layout = find_layout(patterns[times[0]], wanted, options.metric, f"patterns at {times[0]:g} s")
    readout = make_readout(references, layout.names, comparison, nuisance, semi)
    columns = readout.units.T if comparison == "tau-a" else readout.columns
    if options.metric == "mahalanobis" or residuals is not None:
        found = one_by_one(patterns, times, layout.names, columns, comparison, residuals, options)
    else:
        found = in_blocks(patterns, times, layout, columns, comparison, least, options)
    return _labelled(found, times, readout, patterns, comparison, nuisance, options)


def checked_times(times: Any, where: str = "patterns") -> list[float]:
    """Return times in seconds, rising; refuse what is no time, or none at all.

    Examples
    --------
    >>> checked_times([0.1, -0.1, 0])
    [-0.1, 0.0, 0.1]
    """
    found = []
    for time in times:
        if isinstance(time, (bool, bytes, str)):  # text would sort as text
            raise InputError(message(where, "a time is no number", got=time, allowed="seconds"))
        found.append(check_number(f"time of {where}", time))
    if not found or not np.isfinite(found).all():
        raise InputError(message(where, "hold no times, or an infinite one", got=found[:5]))
    if len(set(found)) < len(found):
        raise InputError(message(where, "a time occurs more than once", got=sorted(found)))
    return sorted(found)


def movie_descriptors(patterns: Mapping[float, Dataset]) -> dict[str, float]:
    """Return the width of the windows in seconds, where the patterns say it and it is one.

    Examples
    --------
    >>> movie_descriptors({0.1: Dataset(np.eye(2), descriptors={"width": 0.02})})
    {'width': 0.02}
    """
    widths = {(each.descriptors or {}).get("width") for each in patterns.values()}
    return {"width": float(widths.pop())} if len(widths) == 1 and None not in widths else {}


def _times_of(patterns: Mapping[float, Dataset]) -> list[float]:
    if not isinstance(patterns, Mapping):
        got, allowed = type(patterns).__name__, "{time in seconds: Dataset}"
        raise InputError(message("patterns", "are no movie", got=got, allowed=allowed))
    return checked_times(patterns)


def _labelled(
    found: Found,
    times: list[float],
    readout: Readout,
    patterns: Mapping[float, Dataset],
    comparison: str,
    nuisance: RDMs | None,
    options: MovieOptions,
) -> xr.DataArray:
    eps = float(np.finfo(options.dtype).eps)
    scores = finish(found.products, found.reasons, readout, eps)
    lost = found.n_channels - found.n_features
    if lost.any():
        fault = f"up to {lost.max()} of {found.n_channels} channels hold values that are not " \
            f"finite, or do not vary, and are left out at {(lost > 0).sum()} of {len(times)} times"
        warnings.warn(message("patterns", fault), DataWarning, stacklevel=3)
    warn_of_losses(np.ones(1, dtype=bool), found.reasons, "time")
    attrs = {
        "reason_codes": "; ".join(f"{code}: {text}" for code, text in REASONS.items()),
        "units": "1", "metric": options.metric, "dtype": options.dtype, "comparison": comparison,
        "n_stimuli": n_stimuli_of(readout.units.shape[1]), **movie_descriptors(patterns),
        **nuisance_attributes(nuisance, readout.semi),
    }  # fmt: skip
    if options.noise != "pooled":
        attrs["noise"] = options.noise
    return xr.DataArray(
        scores, dims=("time", "reference"), name=comparison, attrs=attrs,
        coords={
            "time": ("time", times, {"units": "s"}), "reference": readout.labels,
            "n_features": ("time", found.n_features), "reason": ("time", found.reasons),
        },
    )  # fmt: skip
