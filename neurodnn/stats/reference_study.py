"""The cluster test of the reference study in its original form, for results to be repeated.

The original code (D. Pantazis) turns every permutation into a map of p by its ranks among all
permutations at a place, and clusters places below a threshold in p. `cluster_test` is the test
to use otherwise: it enumerates all flips where that is affordable, corrects over all maps at once
and never joins places of opposite sign.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.numerics.clusters import label_clusters, t_of
from neurodnn.numerics.signflips import add_flips, signed_sums
from neurodnn.stats.bit_maps import BitMaps, cluster_maps, threshold_maps
from neurodnn.stats.clusters import ranked
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.graph_maps import (
    GraphMap,
    as_dataset,
    each_map,
    flip_tables,
    on_graph,
    reached,
    spread,
)
from neurodnn.stats.group_scores import attributes, warn_of_data


def reference_cluster_test(
    scores: xr.DataArray | np.ndarray,
    adjacency: Any,
    *,
    cluster_alpha: float = 0.001,
    alpha: float = 0.05,
    weighted: bool = False,
    tail: str = "two-sided",
    n_permutations: int = 10_000,
    seed: int = 0,
    places: str | Sequence[str] | None = None,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return clusters and their significance by the original algorithm of the reference study.

    1. The statistic is mean / standard deviation over subjects (t without the root of n), its
       magnitude if two-sided. Permutation 1 is the data; in the others each subject's whole map
       is multiplied by a random sign.
    2. At each place ``p = (P + 1 - rank) / P`` with the mean rank of ties among all P
       permutations.
    3. Clusters join touching places with p <= `cluster_alpha` in the data, and with
       p < `cluster_alpha` in the other permutations. Two-sided, both signs share clusters.
    4. The threshold is number ``P * (1 - alpha)`` of the sorted largest clusters of the
       permutations, the data's included; clusters strictly above it are significant.

    Each map is a family of its own: with several references, correct `alpha` for their number.
    The test generalises to subjects, not to stimuli.

    Parameters
    ----------
    scores : DataArray with a dimension ``subject``, or ndarray with subjects first
        As in `cluster_test`.
    adjacency : sparse array (places x places)
        In the original code places touch unless all their indices differ: 18 neighbours in a
        volume, 4 in a plane.
    cluster_alpha : float
        Cluster-defining threshold in p.
    alpha : float
        Significance; ``n_permutations * (1 - alpha)`` must be whole.
    weighted : bool
        Cluster mass, the sum of the statistic, in place of the number of places.
    tail : "two-sided" or "greater"
    n_permutations : int
        Always random, repeats included.
    seed, n_jobs, allow_small
        As in `neurodnn.sign_flip_test`.
    places : str or sequence of str, optional
        As in `cluster_test`.

    Returns
    -------
    Dataset
        ``mean``, ``t``, ``skewness``, ``p`` (per place, of step 2), and per place of its
        cluster: ``cluster``, ``statistic``, ``significant`` and ``p_fwe``, the share of
        permutations whose largest cluster reaches it (``p_fwe <= alpha`` says the same as
        ``significant``). ``cluster_threshold``: that of step 4, for each map.

    Raises
    ------
    InputError
        If there are too few subjects, the adjacency does not fit, or an argument is not valid.

    References
    ----------
    Cichy R. M., Khosla A., Pantazis D., Torralba A. and Oliva A. (2016). Comparison of deep
    neural networks to spatio-temporal cortical dynamics of human visual object recognition
    reveals hierarchical correspondence. Scientific Reports 6, 27755.

    Examples
    --------
    >>> import numpy as np
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> scores = np.random.default_rng(0).normal(size=(15, 40))
    >>> scores[:, 10:20] += 1.5
    >>> test = reference_cluster_test(scores, line_adjacency(40), n_permutations=1000)
    >>> bool(test.significant[15]), bool(test.significant[30])
    (True, False)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    check_number("cluster_alpha", cluster_alpha, minimum=0, strict=True, maximum=0.5)
    position = _position(n_permutations, alpha)
    arranged = on_graph(scores, adjacency, places)
    flips = plan_flips(arranged.subjects, n_permutations, tail, seed, enumerate_few=False)
    check_reach(flips, allow_small)
    parts = [
        _test_map(part, flips, cluster_alpha, position, weighted, tail, n_jobs)
        for part in each_map(arranged)
    ]
    warn_of_data(parts, flips.n_subjects)
    _warn_if_out_of_reach(parts, flips, cluster_alpha)
    for part in parts:
        del part["fault"], part["largest"]
    thresholds = np.array([part.pop("threshold") for part in parts])
    attrs = attributes(flips, tail, arranged.places, seed)
    attrs |= {"cluster_alpha": float(cluster_alpha), "alpha": float(alpha)}
    attrs |= {"cluster_statistic": "mass" if weighted else "size"}
    result = as_dataset(arranged, parts, attrs)
    rest = [dim for dim in arranged.family if dim not in arranged.places]
    shape = [arranged.array.sizes[dim] for dim in rest]
    return result.assign(cluster_threshold=(rest, thresholds.reshape(shape)))


def _position(n_permutations: int, alpha: float) -> int:
    """Return which of the sorted largest clusters is the threshold, from 1."""
    check_number("alpha", alpha, minimum=0, strict=True, maximum=0.5)
    if not isinstance(n_permutations, (int, np.integer)) or n_permutations < 2:
        allowed = "a whole number of at least 2"
        raise InputError(
            message("n_permutations", "is not valid", got=n_permutations, allowed=allowed)
        )
    position = n_permutations * (1 - alpha)
    if abs(position - round(position)) > 1e-6 or round(position) < 1:
        fault = f"times 1 - alpha ({alpha:g}) is {position:g}, which is no whole number"
        remedy = "The original test takes that number of the sorted permutations: change either."
        raise InputError(message("n_permutations", fault, got=n_permutations, remedy=remedy))
    return round(position)


def _test_map(
    part: GraphMap, flips: Flips, cluster_alpha: float, position: int, weighted: bool, tail: str,
    n_jobs: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the clusters of one map, its permutations' largest and the threshold."""
    graph = (part.graph.indptr, part.graph.indices)
    maps = _bits(part, flips, cluster_alpha, tail, n_jobs)
    freedom = flips.n_subjects - 1.0
    sums = (*flip_tables(part.units, flips), freedom) if weighted else None
    largest = cluster_maps(maps, graph, sums=sums, n_jobs=n_jobs)[0]
    inside = np.unpackbits(maps.packed[0], bitorder="little")[: maps.p.size].astype(bool)
    labels = label_clusters(inside, part.graph)
    weights = np.ones(labels.size)
    if weighted:
        weights = np.abs(t_of(part.units.sum(axis=0), freedom))
    labels, values = ranked(labels, weights)
    threshold = np.sort(largest)[position - 1]
    p = np.where(labels > 0, reached(largest, values)[labels], 1.0)
    # Strictly above: the data's own cluster may be the threshold, to rounding.
    above = (labels > 0) & (values[labels] * (1 - 1e-9) > threshold)
    scale = np.sqrt(flips.n_subjects) if weighted else 1.0  # |t| -> mean / standard deviation
    described = part.described
    return {name: described[name] for name in ("mean", "t", "skewness", "fault")} | {
        "p": spread(maps.p, part.keep, np.nan),
        "cluster": spread(labels, part.keep, 0),
        "statistic": spread(values[labels] / scale, part.keep, np.nan),
        "significant": spread(above, part.keep, False),
        "p_fwe": spread(p, part.keep, np.nan),
        "threshold": threshold / scale,
        "largest": largest,
    }


def _bits(part: GraphMap, flips: Flips, alpha: float, tail: str, n_jobs: int) -> BitMaps:
    def values_of(places: slice) -> np.ndarray:
        # c in place of mean / standard deviation: the one rises with the other.
        sums = add_flips(signed_sums(np.ascontiguousarray(part.units[:, places])), flips.codes)
        return np.abs(sums) if tail == "two-sided" else sums

    return threshold_maps(
        values_of, flips.n_rows, part.units.shape[1], alpha, average=True, first_inclusive=True,
        n_jobs=n_jobs,
    )  # fmt: skip


def _warn_if_out_of_reach(parts: list[dict[str, Any]], flips: Flips, alpha: float) -> None:
    if not any(part["largest"].any() for part in parts):
        fault = (
            f"no place has p < {alpha:g} in any permutation, so that nothing can be found:"
            f" {flips.n_subjects} subjects have only {flips.n_distinct} different statistics"
        )
        remedy = "Take a larger cluster_alpha, or use cluster_test."
        warnings.warn(message("cluster_alpha", fault, remedy=remedy), DataWarning, stacklevel=3)
