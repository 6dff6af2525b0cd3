"""Scores of regions x layers, and their draws -> tests, slopes and best layers."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn._checks import InputError, message
from neurodnn.stats.bootstrap import KINDS, draws_p, group_draws, percentile_interval
from neurodnn.stats.hierarchy import hierarchy_test
from neurodnn.stats.two_factor import Resamples, Settings, slope_weights, two_factor_tests

_PER_KIND = ("standard_error", "low", "high", "p", "p_fwe")


def region_tests(
    scores: xr.DataArray, resamples: Resamples, levels: NDArray, settings: Settings
) -> xr.Dataset:
    """Return tests of each region x layer, of each region's slope, and of the order of regions.

    Parameters
    ----------
    scores : DataArray (subject, region, reference)
        Regions in their order along the stream, references in the order of layers.
    resamples : Resamples
        Its scores: draws x subjects x region x reference.
    levels : array (references,)
        Numbers of the layers.
    settings : Settings

    Returns
    -------
    Dataset
        See `region_hierarchy`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(1, 1, (8, 2, 3)), dims=("subject", "region", "reference"))
    >>> resamples = Resamples(rng.normal(1, 1, (50, 8, 2, 3)), np.ones((50, 8), int), 20)
    >>> tests = region_tests(scores, resamples, np.arange(3.0), Settings(confidence=0.9))
    >>> dict(tests.slope_p.sizes)
    {'generalises_to': 3, 'region': 2}
    """
    cells, draws = _cell_tests(scores, resamples, settings)
    weights = slope_weights(levels)
    slopes = two_factor_tests(
        (scores * xr.DataArray(weights, dims="reference")).sum("reference", skipna=False),
        draws @ weights, resamples.n_stimuli, settings._replace(tail="two-sided"),
    )  # fmt: skip
    slopes = slopes.drop_vars("n_draws").rename({"mean": "slope"})
    slopes = slopes.rename({name: f"slope_{name}" for name in _PER_KIND})
    found = [cells, slopes, _best_layers(scores, draws, levels, settings)]
    merged = xr.merge(found, compat="override", combine_attrs="override", join="exact")
    return merged.assign(score=scores)


def gain_tests(
    scores: xr.DataArray,
    resamples: Resamples,
    control: xr.DataArray,
    control_resamples: Resamples,
    settings: Settings,
) -> xr.Dataset:
    """Return how far scores exceed those of a control, layer by layer, with two-sided tests.

    Parameters
    ----------
    scores : DataArray (subject, region, reference)
    resamples : Resamples
        As in `region_tests`.
    control, control_resamples
        The same of the control, in the same draws.
    settings : Settings

    Returns
    -------
    Dataset
        ``gain`` (region, reference) and, per ``generalises_to``, ``gain_standard_error``,
        ``gain_low``, ``gain_high``, ``gain_p`` and ``gain_p_fwe`` (over all cells).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(1, 1, (8, 2, 3)), dims=("subject", "region", "reference"))
    >>> resamples = Resamples(rng.normal(1, 1, (50, 8, 2, 3)), np.ones((50, 8), int), 20)
    >>> control = Resamples(0 * resamples.scores, resamples.subject_counts, 20)
    >>> sorted(gain_tests(scores, resamples, 0 * scores, control, Settings()).data_vars)[0]
    'gain'
    """
    differences = resamples._replace(scores=resamples.scores - control_resamples.scores)
    settings = settings._replace(tail="two-sided")
    cells, _ = _cell_tests(scores - control.values, differences, settings)
    cells = cells.drop_vars("n_draws").rename({"mean": "gain"})
    return cells.rename({name: f"gain_{name}" for name in _PER_KIND})


def _cell_tests(
    scores: xr.DataArray, resamples: Resamples, settings: Settings
) -> tuple[xr.Dataset, NDArray]:
    """Test all regions x references as one family; also return the draws of their means."""
    flat = resamples.scores.reshape(*resamples.scores.shape[:2], -1)
    shape = scores.shape[1:]
    values = scores.values.reshape(len(scores), -1)
    draws = group_draws(values, flat, resamples.subject_counts)
    subject = {"subject": scores["subject"]} if "subject" in scores.coords else None
    cells = two_factor_tests(
        xr.DataArray(values, dims=("subject", "cell"), coords=subject), draws,
        resamples.n_stimuli, settings,
    )  # fmt: skip
    dims = ("region", "reference")
    found = {
        name: (("generalises_to", *dims), cells[name].values.reshape(-1, *shape))
        for name in _PER_KIND
    }
    result = xr.Dataset(
        {"mean": (dims, cells["mean"].values.reshape(shape))} | found,
        coords={name: cells[name] for name in ("generalises_to", "test", "dof", "n_draws")}
        | {name: scores[name] for name in dims if name in scores.coords},
        attrs=cells.attrs,
    )  # fmt: skip
    return result, draws.reshape(*draws.shape[:2], *shape)


def _best_layers(
    scores: xr.DataArray, cube: NDArray, levels: NDArray, settings: Settings
) -> xr.Dataset:
    """Return the best layer of each region, and whether it rises from region to region."""
    mean = scores.values.mean(axis=0)
    best = levels[_argmax(mean)]
    drawn = np.where(np.isfinite(cube).all(axis=3), levels[_argmax(cube)], np.nan)
    low, high = percentile_interval(drawn, settings.confidence, axis=1)
    found = {
        "best_layer": ("region", best),
        "best_layer_low": (("generalises_to", "region"), low),
        "best_layer_high": (("generalises_to", "region"), high),
    }
    if scores.sizes["region"] < 2:
        return xr.Dataset(found, coords={"generalises_to": list(KINDS)})
    weights = slope_weights(np.arange(1.0, scores.sizes["region"] + 1))
    rise = drawn @ weights
    low, high = percentile_interval(rise, settings.confidence, axis=1)
    p = draws_p(rise, axis=1)
    if scores.sizes["subject"] < 2:
        low[[0, 2]] = high[[0, 2]] = p[[0, 2]] = np.nan
    found |= {
        "order_slope": ((), best @ weights), "order_slope_low": ("generalises_to", low),
        "order_slope_high": ("generalises_to", high), "order_slope_p": ("generalises_to", p),
    }  # fmt: skip
    result = xr.Dataset(found, coords={"generalises_to": list(KINDS)})
    return result if scores.sizes["subject"] < 2 else result.assign(
        _order_over_subjects(scores, levels, settings)
    )  # fmt: skip


def _order_over_subjects(
    scores: xr.DataArray, levels: NDArray, settings: Settings
) -> dict[str, object]:
    """Test the order of regions by each subject's own best layers."""
    own = xr.DataArray(
        levels[_argmax(scores.values)], dims=("subject", "region"),
        coords={"subject": scores["subject"]} if "subject" in scores.coords else None,
    )  # fmt: skip
    order = hierarchy_test(
        own, n_permutations=settings.n_permutations, seed=settings.seed,
        confidence=settings.confidence, allow_small=settings.allow_small,
    )  # fmt: skip
    names = {"correlation": "order_correlation", "low": "order_correlation_low",
             "high": "order_correlation_high", "p": "order_p"}  # fmt: skip
    return {new: order[old] for old, new in names.items()} | {"subject_best_layer": own}


def _argmax(scores: NDArray) -> NDArray[np.int64]:
    """Return the place of the largest score along the last axis; NaN never wins."""
    return np.where(np.isnan(scores), -np.inf, scores).argmax(axis=-1)


def check_levels(levels: object, n_references: int) -> NDArray[np.float64]:
    """Return the numbers of layers: 1, 2, 3, ... unless others are given.

    Examples
    --------
    >>> check_levels(None, 3).tolist()
    [1.0, 2.0, 3.0]
    """
    numbers = np.arange(1.0, n_references + 1) if levels is None else np.asarray(levels, float)
    if numbers.shape != (n_references,) or np.unique(numbers).size < max(2, n_references):
        allowed = f"{n_references} different numbers, one per reference, at least 2"
        raise InputError(message("layers", "do not fit the references", got=levels,
                                 allowed=allowed))  # fmt: skip
    return numbers
