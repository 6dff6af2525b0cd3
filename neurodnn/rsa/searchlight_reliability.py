"""How reliable the RDM of every place of one subject is: split halves of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from scipy.sparse import csr_array

from neurodnn._checks import InputError, check_number, message
from neurodnn.numerics.searchlight import LANES, fill_lanes, make_work
from neurodnn.rsa.conditions import observation_names
from neurodnn.rsa.names import shorten_list, stimulus_names
from neurodnn.rsa.readouts import check_linear
from neurodnn.rsa.searchlight import BLOCK, label_places, run_blocks
from neurodnn.rsa.spheres import (
    DEFAULT_OPTIONS,
    Prepared,
    SearchlightOptions,
    prepare,
    warn_of_losses,
)

_STAGE = 9  # first part of the seeds of these splits; every stage of the package has its own


def searchlight_reliability(
    patterns: Dataset,
    neighbors: csr_array,
    *,
    comparison: str = "spearman",
    residuals: Dataset | None = None,
    n_splits: int = 10,
    seed: int = 0,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.Dataset:
    """Return how well the RDM of every place is reproduced, from halves of one subject's runs.

    Runs are split into halves; the RDMs of the two halves are compared, the similarity r is
    averaged over splits and stepped up to all runs by Spearman and Brown's formula. It bounds
    what any model can reach with one subject: a true model scores about the root of it.

    Parameters
    ----------
    patterns : Dataset
        As for `searchlight`, ``obs_descriptors["run"]``; every stimulus in both halves of every
        split.
    neighbors : csr_array (places x channels)
    comparison : {"spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov"}
        The same as for the models.
    residuals : Dataset, optional
        As for `searchlight`; a half takes those of its own runs.
    n_splits : int
        All splits into halves are used where these are no more, otherwise so many at random.
        With an odd number of runs one half has one more.
    seed : int
        Seed of the random splits.
    options : SearchlightOptions
        With crossnobis every half needs two runs.

    Returns
    -------
    Dataset
        ``correlation`` (mean r over splits) and ``reliability``, ``2 r / (1 + |r|)``, each of
        places, as `split_half_reliability`; NaN where undefined in any half. attrs: n_splits,
        n_runs.

    Raises
    ------
    InputError
        If there are no runs, too few of them, or what `searchlight` refuses.

    References
    ----------
    Spearman, C. (1910). Correlation calculated from faulty data. British Journal of
    Psychology, 3, 271-295.
    Brown, W. (1910). Some experimental results in the correlation of mental abilities. British
    Journal of Psychology, 3, 296-322.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> descriptors = {"stimulus": list("abcdefgh") * 2, "run": ["1"] * 8 + ["2"] * 8}
    >>> signal = np.vstack([rng.normal(size=(8, 4))] * 2)
    >>> patterns = Dataset(signal + 0.1 * rng.normal(size=(16, 4)), obs_descriptors=descriptors)
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> bool((searchlight_reliability(patterns, neighbors).reliability > 0.9).all())
    True
    """
    check_linear(comparison)
    splits = _splits(patterns, int(check_number("n_splits", n_splits, minimum=1)), seed, options)
    n_places = neighbors.shape[0]
    total, undefined = np.zeros(n_places), np.zeros(n_places, np.uint8)
    n_features = np.full(n_places, np.iinfo(np.int32).max, np.int32)
    for halves in splits:
        pair = [
            prepare(_of_runs(patterns, half), neighbors, None, comparison=comparison,
                    residuals=_of_runs(residuals, half), options=options, where="patterns")
            for half in halves
        ]  # fmt: skip
        first, second = _same_channels(pair)
        found, sizes, reasons = _similarities(first, second, options)
        total += found
        n_features = np.minimum(n_features, sizes)
        undefined = np.where(undefined, undefined, reasons)
    warn_of_losses(first.spheres.usable, undefined, options.place)
    r = np.where(undefined, np.nan, total / len(splits))
    values = {"correlation": r, "reliability": 2.0 * r / (1.0 + np.abs(r))}
    labelled = label_places(values, n_features, undefined, [], first, options)
    return labelled.drop_vars("reference").assign_attrs(
        comparison=comparison, n_splits=len(splits), n_runs=sum(map(len, splits[0]))
    )


def _splits(
    patterns: Dataset, n_splits: int, seed: int, options: SearchlightOptions
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return which runs make the two halves, once per split."""
    observation_names(patterns)  # refuses what is no Dataset
    if "run" not in patterns.obs_descriptors:
        remedy = "Give obs_descriptors['run']."
        raise InputError(message("patterns", "split halves need runs", remedy=remedy))
    runs = sorted(set(stimulus_names(patterns.obs_descriptors["run"], "run")))
    least = 4 if options.metric == "crossnobis" else 2
    if len(runs) < least:
        fault = f"split halves with {options.metric} need {least} runs or more"
        raise InputError(message("patterns", fault, got=runs))
    seed = int(check_number("seed", seed, minimum=0))
    size = len(runs) // 2
    even = len(runs) % 2 == 0
    if comb(len(runs), size) // (2 if even else 1) <= n_splits:
        chosen = list(_all_halves(runs, size, even))
    else:
        chosen = []
        for index in range(n_splits):
            key = np.random.SeedSequence(seed, spawn_key=(_STAGE, index))
            order = np.random.default_rng(key).permutation(len(runs))
            chosen.append(tuple(runs[i] for i in sorted(order[:size])))
    return [(half, tuple(run for run in runs if run not in half)) for half in chosen]


def _all_halves(runs: list[str], size: int, even: bool) -> Iterator[tuple[str, ...]]:
    for half in combinations(runs, size):
        # Of a split and its mirror, the one that holds the first run.
        if not even or runs[0] in half:
            yield half


def _of_runs(dataset: Dataset | None, runs: tuple[str, ...]) -> Dataset | None:
    """Return the observations of some runs; what tells no runs apart stays whole."""
    if dataset is None or "run" not in dataset.obs_descriptors:
        return dataset
    own = stimulus_names(dataset.obs_descriptors["run"], "run")
    rows = [i for i, run in enumerate(own) if run in runs]
    if not rows:
        raise InputError(message("residuals", f"have nothing of run {shorten_list(runs)}"))
    descriptors = dict(dataset.descriptors or {})
    if "degrees_of_freedom" in descriptors:
        share = len(rows) / len(own)
        descriptors["degrees_of_freedom"] = int(descriptors["degrees_of_freedom"] * share)
    return Dataset(
        dataset.measurements[rows],
        descriptors=descriptors,
        obs_descriptors={
            key: [values[i] for i in rows] for key, values in dataset.obs_descriptors.items()
        },
        channel_descriptors={
            key: list(values) for key, values in dataset.channel_descriptors.items()
        },
    )


def _same_channels(pair: list[Prepared]) -> tuple[Prepared, Prepared]:
    """Return both halves on the channels that are usable in both, with the same stimuli."""
    if pair[0].names != pair[1].names:
        differing = sorted(set(pair[0].names) ^ set(pair[1].names))
        fault = f"not in every half of the runs: {shorten_list(differing)}"
        raise InputError(message("patterns", fault, remedy="Leave these stimuli out."))
    usable = pair[0].spheres.usable & pair[1].spheres.usable
    first, second = (one._replace(spheres=one.spheres._replace(usable=usable)) for one in pair)
    return first, second


def _similarities(
    first: Prepared, second: Prepared, options: SearchlightOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the similarity of the two halves at all places, numbers of features, reasons."""
    n_places = first.spheres.indptr.size - 1
    found = np.zeros(n_places)
    sizes, reasons = np.zeros((2, n_places), np.int32), np.zeros((2, n_places), np.uint8)

    def compare_block(start: int, stop: int) -> None:
        works = [make_work(half.spheres, half.rule) for half in (first, second)]
        for low in range(start, stop, LANES):
            high = min(low + LANES, stop)
            for side, (half, work) in enumerate(zip((first, second), works, strict=True)):
                fill_lanes(half.spheres, half.rule, work, low, high, sizes[side], reasons[side])
            products = np.einsum("ij,ij->i", works[0].block, works[1].block)
            products = products * works[0].lane_scale * works[1].lane_scale
            found[low:high] = np.clip(products[: high - low], -1.0, 1.0)

    for _ in run_blocks(compare_block, n_places, BLOCK, options):
        pass
    return found, sizes[0], np.where(reasons[0], reasons[0], reasons[1])
