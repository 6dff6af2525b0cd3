"""Do later layers come later, or sit further along the stream? Rank correlations and their test."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.ranks import average_ranks
from neurodnn.stats.bootstrap import percentile_interval
from neurodnn.stats.courses import subject_draws, subject_names
from neurodnn.stats.flips import Flips, check_reach, plan_flips

_DRAWS = 512  # draws ranked at a time, which bounds the memory
_TIE = 1e-12  # flips that tie in exact arithmetic differ by rounding


def hierarchy_test(
    positions: xr.DataArray,
    *,
    levels: Sequence[float] | None = None,
    n_permutations: int | str = 10_000,
    n_bootstrap: int = 10_000,
    tail: str = "two-sided",
    seed: int = 0,
    confidence: float = 0.95,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return how positions follow the order of levels, with interval and test over subjects.

    Positions may be the peak latency of each layer (does a later layer peak later?), or the
    best layer of each region (does a later region go with a later layer?). The levels
    are fixed, not a sample of layers: an order that all subjects share by accident of these few
    counts as one.

    Parameters
    ----------
    positions : DataArray (subject, one other dimension)
        A position of each level (layer, region) in each subject, such as the variable
        ``subject_latency`` of `bootstrap_peak_latency`; NaN where there is none.
    levels : sequence of float, optional
        Numbers of the levels along the other dimension. Default 1, 2, 3, ... as they stand.
    n_permutations : int or "exact"
        Sign flips, as in `sign_flip_test`: under the null hypothesis the order of the levels
        may as well be the reverse in any subject.
    n_bootstrap : int
        Draws of subjects for the intervals.
    tail : {"two-sided", "greater"}
        "greater": positions rise with the level.
    seed : int
    confidence : float
        Of the percentile intervals. Default 0.95.
    allow_small : bool
        True: go on, under a warning, where so few subjects cannot reach p <= .05.

    Returns
    -------
    Dataset
        ``correlation``: Spearman's, over all levels and subjects together, as in the reference
        study, with ``low``, ``high`` and ``p`` (of the part within subjects, which is all of it
        where no position is missing); ``mean_correlation``: the mean of each
        subject's own Spearman correlation, which differences between subjects cannot dilute,
        with ``mean_low``, ``mean_high`` and ``mean_p``; ``subject_correlation`` (subject), 0
        where all positions of a subject are equal. attrs: generalises_to "subjects".

    Raises
    ------
    InputError
        If there are too few subjects or levels, or `levels` do not fit.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> latencies = 0.1 + 0.01 * np.arange(8) + rng.normal(0, 0.02, (12, 8))
    >>> positions = xr.DataArray(latencies, dims=("subject", "reference"))
    >>> found = hierarchy_test(positions, n_bootstrap=500)
    >>> bool(found.low > 0.3), bool(found.p < 0.01)
    (True, True)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    array, numbers = _arranged(positions, levels)
    names = sorted(subject_names(positions))
    own = _own_correlations(array, numbers)
    kept = np.isfinite(own)
    if not kept.all():
        text = f"{int((~kept).sum())} subjects have fewer than 2 positions and are left out"
        warnings.warn(message("positions", text), DataWarning, stacklevel=2)
    array, own = array[kept], own[kept]
    flips = plan_flips([name for name, keep in zip(names, kept, strict=True) if keep],
                       n_permutations, tail, seed)  # fmt: skip
    check_reach(flips, allow_small)
    p, mean_p = _reversal_p(np.stack([_pulls(array, numbers), own], axis=1), flips, tail)
    draws = subject_draws(len(array), n_bootstrap, seed, "positions")
    pooled = np.concatenate(
        [_pooled(array[part], numbers) for part in np.array_split(draws, -(-len(draws) // _DRAWS))]
    )
    low, high = percentile_interval(pooled, confidence)
    mean_low, mean_high = percentile_interval(own[draws].mean(axis=1), confidence)
    everyone = np.full(len(names), np.nan)
    everyone[kept] = own
    return xr.Dataset(
        {
            "correlation": _pooled(array[None], numbers)[0], "low": low, "high": high,
            "p": p, "mean_correlation": own.mean(),
            "mean_low": mean_low, "mean_high": mean_high, "mean_p": mean_p,
            "subject_correlation": ("subject", everyone),
        },
        coords={"subject": names},
        attrs={
            "levels": [float(number) for number in numbers], "n_bootstrap": len(draws),
            "confidence": float(confidence), "family": ["one correlation"],
        }
        | {
            "n_subjects": len(array), "n_flips": flips.n_flips, "exact": int(flips.exact),
            "tail": tail, "seed": int(seed), "minimum_p": 1.0 / flips.n_rows,
            "generalises_to": "subjects",
        },
    )  # fmt: skip


def _arranged(
    positions: xr.DataArray, levels: Sequence[float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return subjects (sorted by name) x levels, and the numbers of the levels."""
    allowed = "(subject, reference) or (subject, region)"
    if not isinstance(positions, xr.DataArray) or "subject" not in positions.dims:
        raise InputError(message("positions", "has no subjects", allowed=allowed))
    if positions.ndim != 2:
        raise InputError(message("positions", "has other dimensions", got=positions.dims,
                                 allowed=allowed))  # fmt: skip
    array = positions.transpose("subject", ...).values.astype(np.float64)
    numbers = np.arange(1.0, array.shape[1] + 1) if levels is None else np.array(levels, float)
    if numbers.shape != (array.shape[1],) or np.unique(numbers).size < max(2, numbers.size):
        allowed = f"{array.shape[1]} different numbers, at least 2"
        raise InputError(message("levels", "do not fit positions", got=levels, allowed=allowed))
    names = subject_names(positions)
    if len(set(names)) < len(names):
        raise InputError(message("positions", "a subject occurs more than once"))
    return array[sorted(range(len(names)), key=names.__getitem__)], numbers


def _own_correlations(array: NDArray, numbers: NDArray) -> NDArray[np.float64]:
    """Return each subject's Spearman correlation; 0 where its positions are all the same."""
    levels = np.where(np.isnan(array), np.nan, numbers)
    own = _correlation(average_ranks(levels), average_ranks(array))
    enough = np.isfinite(array).sum(axis=1) > 1
    return np.where(enough, np.nan_to_num(own), np.nan)


def _pooled(stack: NDArray, numbers: NDArray) -> NDArray[np.float64]:
    """Return Spearman's correlation over all subjects and levels of each draw."""
    flat = stack.reshape(len(stack), -1)
    levels = np.where(np.isnan(stack), np.nan, numbers).reshape(len(stack), -1)
    return _correlation(average_ranks(levels), average_ranks(flat))


def _pulls(array: NDArray, numbers: NDArray) -> NDArray[np.float64]:
    """Return what the order within each subject adds to the pooled correlation.

    Reversing the levels that a subject has turns the sign of its part, so that flipping signs is
    flipping the order. Late subjects that lack early levels are no order: nothing between
    subjects counts.
    """
    ranks = average_ranks(array.ravel()).reshape(array.shape)
    order = average_ranks(np.where(np.isnan(array), np.nan, numbers))
    ranks, order = (x - np.nanmean(x, axis=1, keepdims=True) for x in (ranks, order))
    return np.nansum(ranks * order, axis=1)


def _reversal_p(parts: NDArray, flips: Flips, tail: str) -> NDArray[np.float64]:
    """Return p of the sums of parts (subjects x measures) among those of all reversals.

    Sums, not t values: a hierarchy that is the same in every subject has no t.
    """
    observed = parts.sum(axis=0)
    scale = np.abs(parts).sum(axis=0)
    count = np.zeros(len(observed))
    for codes in np.array_split(flips.codes, -(-flips.n_rows // 2**14)):
        negative = np.unpackbits(codes, axis=1, bitorder="little")[:, : len(parts)]
        sums = (1.0 - 2.0 * negative) @ parts
        if tail == "two-sided":
            sums, least = np.abs(sums), np.abs(observed)
        else:
            least = observed
        count += (sums >= least - _TIE * scale).sum(axis=0)
    return count / flips.n_rows


def _correlation(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return Pearson's correlation along the last axis, NaN left out."""
    with np.errstate(invalid="ignore", divide="ignore"):
        count = np.isfinite(a).sum(axis=-1, keepdims=True)
        a = a - np.nansum(a, axis=-1, keepdims=True) / count
        b = b - np.nansum(b, axis=-1, keepdims=True) / count
        scale = np.nansum(a * a, axis=-1) * np.nansum(b * b, axis=-1)
        return np.nansum(a * b, axis=-1) / np.sqrt(scale)
