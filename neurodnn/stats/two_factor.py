"""Scores and their bootstrap draws -> tests for new subjects, new stimuli, and both.

Three questions, one table: would the result hold for other subjects (sign flips), for other
stimuli, and for other subjects who see other stimuli (t tests on the bootstrap variances)?
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn.stats.bootstrap import KINDS, Inference, group_draws, holm, infer
from neurodnn.stats.permutation import sign_flip_test

TESTS = ("sign flips over subjects", "t, bootstrap of stimuli", "t, two-factor bootstrap")

_PAIRS = 2048  # pairs of models whose draws are held at a time


class Settings(NamedTuple):
    """How the tests are made; see `compare_models`."""

    tail: str = "two-sided"
    n_permutations: int | str = 10_000
    seed: int = 0
    confidence: float = 0.95
    allow_small: bool = False
    n_jobs: int = 1


class Resamples(NamedTuple):
    """What the draws gave; the same draws for all references and regions."""

    scores: NDArray  # draws of stimuli x subjects x references
    subject_counts: NDArray  # draws x subjects
    n_stimuli: int


def two_factor_tests(
    scores: xr.DataArray, draws: NDArray, n_stimuli: int, settings: Settings
) -> xr.Dataset:
    """Return means with standard errors, intervals and p for each kind of generalisation.

    Parameters
    ----------
    scores : DataArray (subject, one other dimension)
    draws : array (`KINDS` x draws x other dimension)
        As `group_draws` gives them.
    n_stimuli : int
    settings : Settings

    Returns
    -------
    Dataset
        ``mean`` (other), and per ``generalises_to``: ``standard_error``, ``low``, ``high``,
        ``p`` and ``p_fwe``, corrected over the other dimension (subjects: maximum statistic;
        else Holm's steps). For subjects p is that of exact or random sign flips. What varies
        between subjects is NaN with a single one.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(1, 1, (8, 2)), dims=("subject", "reference"))
    >>> draws = group_draws(scores.values, rng.normal(1, 1, (50, 8, 2)), np.ones((50, 8)))
    >>> dict(two_factor_tests(scores, draws, 20, Settings()).p.sizes)
    {'generalises_to': 3, 'reference': 2}
    """
    n = scores.sizes["subject"]
    dim = next(str(name) for name in scores.dims if name != "subject")
    values = scores.transpose("subject", dim)
    found = infer(
        values.values.mean(axis=0), draws, n_subjects=n, n_stimuli=n_stimuli,
        confidence=settings.confidence, tail=settings.tail,
    )  # fmt: skip
    return _with_flips(values, found, settings)


def _with_flips(values: xr.DataArray, found: Inference, settings: Settings) -> xr.Dataset:
    """Lay out an inference, with the sign flips of the scores (subject, other) in their place."""
    n, dim = values.sizes["subject"], str(values.dims[1])
    mean = values.values.mean(axis=0)
    p = found.p.copy()
    p_fwe = np.stack([holm(row) for row in p])
    attributes: dict[str, object] = {"n_flips": 0, "exact": 0}
    if n > 1:
        flips = sign_flip_test(
            values, n_permutations=settings.n_permutations, tail=settings.tail,
            seed=settings.seed, family=dim, n_jobs=settings.n_jobs,
            allow_small=settings.allow_small,
        )  # fmt: skip
        p[0], p_fwe[0] = flips["p"].values, flips["p_fwe"].values
        attributes = {key: flips.attrs[key] for key in ("n_flips", "exact", "minimum_p")}
    per_kind = {
        "standard_error": found.standard_error, "low": found.low, "high": found.high,
        "p": p, "p_fwe": p_fwe,
    }  # fmt: skip
    return xr.Dataset(
        {"mean": (dim, mean)}
        | {name: (("generalises_to", dim), array) for name, array in per_kind.items()},
        coords={
            "generalises_to": list(KINDS), "test": ("generalises_to", list(TESTS)),
            "dof": ("generalises_to", found.dof), "n_draws": ("generalises_to", found.n_draws),
        }
        | {dim: values[dim].values if dim in values.coords else np.arange(mean.size)},
        attrs=attributes,
    )  # fmt: skip


def model_tests(
    scores: xr.DataArray,
    resamples: Resamples,
    ceilings: NDArray,
    ceiling_draws: NDArray,
    settings: Settings,
) -> xr.Dataset:
    """Return references tested against zero, the lower noise ceiling and one another.

    Parameters
    ----------
    scores : DataArray (subject, reference)
    resamples : Resamples
    ceilings : array (subjects x 2)
        Scores with the pool of the other subjects, and of all.
    ceiling_draws : array (`KINDS` x draws x 2)
        Lower and upper ceiling in the draws.
    settings : Settings
        Its tail is that of the tests against zero; all others are two-sided.

    Returns
    -------
    Dataset
        See `compare_models`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(1, 1, (8, 2)), dims=("subject", "reference"),
    ...                       coords={"reference": ["a", "b"]})
    >>> resamples = Resamples(rng.normal(1, 1, (50, 8, 2)), np.ones((50, 8)), 20)
    >>> tests = model_tests(scores, resamples, np.ones((8, 2)), np.ones((3, 50, 2)), Settings())
    >>> bool(tests.difference.sel(reference="a", other="b") == -tests.difference[1, 0])
    True
    """
    draws = group_draws(scores.values, resamples.scores, resamples.subject_counts)
    zero = two_factor_tests(scores, draws, resamples.n_stimuli, settings)
    settings = settings._replace(tail="two-sided")
    below = two_factor_tests(
        scores - ceilings[:, :1], draws - ceiling_draws[..., :1], resamples.n_stimuli, settings
    )
    n_draws_ceiling = below["n_draws"].values
    below = below.drop_vars("n_draws")
    tests = zero.rename({"n_draws": "n_draws_scores"}).assign(
        ceiling=("bound", ceilings.mean(axis=0)),
        to_ceiling=below["mean"], to_ceiling_error=below["standard_error"],
        p_ceiling=below["p"], p_ceiling_fwe=below["p_fwe"], score=scores,
    )  # fmt: skip
    tests = tests.assign_coords(
        bound=["lower", "upper"], n_draws_ceiling=("generalises_to", n_draws_ceiling)
    )
    differences = _difference_tests(scores, draws, resamples.n_stimuli, settings)
    return tests.merge(differences, compat="override", combine_attrs="override")


def slope_weights(levels: NDArray) -> NDArray[np.float64]:
    """Return the weights whose dot product with scores is their least-squares slope on levels.

    Examples
    --------
    >>> float(slope_weights(np.array([1.0, 2, 3])) @ np.array([5.0, 7, 9]))
    2.0
    """
    centred = np.asarray(levels, dtype=np.float64) - np.mean(levels)
    return centred / (centred @ centred)


def _difference_tests(
    scores: xr.DataArray, draws: NDArray, n_stimuli: int, settings: Settings
) -> xr.Dataset:
    """Test all pairs, as one family, and lay the results out as reference x other."""
    names = scores["reference"].values
    first, second = np.triu_indices(len(names), 1)
    shape = (len(KINDS), len(names), len(names))
    filled = {"difference_error": np.nan, "p_difference": np.nan, "p_difference_fwe": np.nan}
    arrays = {name: np.full(shape, value) for name, value in filled.items()}
    difference = scores.values.mean(axis=0)
    difference = difference[:, None] - difference
    if first.size:
        values = scores.transpose("subject", "reference").values
        pairs = xr.DataArray(
            values[:, first] - values[:, second], dims=("subject", "pair"),
            coords={"subject": scores["subject"]} if "subject" in scores.coords else None,
        )  # fmt: skip
        found = _with_flips(pairs, _infer_pairs(pairs, draws, n_stimuli, settings), settings)
        for name, source in zip(arrays, ("standard_error", "p", "p_fwe"), strict=True):
            arrays[name][:, first, second] = arrays[name][:, second, first] = found[source]
    dims = ("generalises_to", "reference", "other")
    return xr.Dataset(
        {"difference": (dims[1:], difference)}
        | {name: (dims, array) for name, array in arrays.items()},
        coords={"reference": names, "other": names},
    )


def _infer_pairs(
    pairs: xr.DataArray, draws: NDArray, n_stimuli: int, settings: Settings
) -> Inference:
    """Return the inference on all pairs, some at a time: hundreds of models have many pairs."""
    # The same draws for all pairs: one that lacks a score anywhere is left out everywhere.
    draws = np.where(np.isfinite(draws).all(axis=2, keepdims=True), draws, np.nan)
    first, second = np.triu_indices(draws.shape[2], 1)
    mean = pairs.values.mean(axis=0)
    parts = []
    for start in range(0, first.size, _PAIRS):
        some = slice(start, start + _PAIRS)
        parts.append(
            infer(
                mean[some], draws[..., first[some]] - draws[..., second[some]],
                n_subjects=len(pairs), n_stimuli=n_stimuli, confidence=settings.confidence,
            )
        )  # fmt: skip
    joined = (np.concatenate([part[i] for part in parts], axis=1) for i in range(5))
    return Inference(*joined, parts[0].dof, parts[0].n_draws)
