"""Sign-flip test of clusters: how large a cluster chance alone would make anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from neurodnn._checks import check_choice, check_number
from neurodnn.numerics.clusters import label_clusters, t_of, tally_clusters
from neurodnn.numerics.signflips import add_flip
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.graph_maps import (
    GraphMap,
    as_dataset,
    each_map,
    flip_tables,
    on_graph,
    reached,
    spread,
    sweep,
)
from neurodnn.stats.group_scores import attributes, warn_of_data

_DEFINING_P = 0.001


def cluster_test(
    scores: xr.DataArray | np.ndarray,
    adjacency: Any,
    *,
    statistic: str = "mass",
    threshold: float | None = None,
    tail: str = "two-sided",
    n_permutations: int | str = 10_000,
    seed: int = 0,
    places: str | Sequence[str] | None = None,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return clusters of places beyond a threshold with familywise-corrected p.

    A cluster's p says how often the largest cluster of a sign flip, anywhere in the family, is
    as large. It holds for the cluster as a whole, not for each of its places: it does not say
    where in the cluster the effect is. The test generalises to subjects, not to stimuli.

    Parameters
    ----------
    scores : DataArray with a dimension ``subject``, or ndarray with subjects first
        One score per subject and place. Places that lack a score (NaN) in any subject take no
        part: they join no clusters and may part them.
    adjacency : sparse array (places x places)
        Nonzero where two places touch: `neurodnn.voxel_adjacency`, `neurodnn.vertex_adjacency`,
        `line_adjacency` and `combine_adjacency` of `neurodnn.numerics.adjacency`, or MNE's.
    statistic : "mass" or "size"
        ``"mass"``: sum of \\|t\\| over the cluster (the magnitude of MNE's cluster statistic).
        ``"size"``: number of places.
    threshold : float, optional
        Cluster-defining t; places with \\|t\\| above it are clustered. By default the t of
        p < .001 with n - 1 degrees of freedom (two-sided, or one-sided with ``"greater"``):
        higher thresholds localise better, and clusters of laxer ones say little.
    tail : "two-sided" or "greater"
        Two-sided, positive and negative places are clustered apart.
    n_permutations, seed, n_jobs, allow_small
        As in `neurodnn.sign_flip_test`.
    places : str or sequence of str, optional
        Dimensions that `adjacency` spans, in its order; by default all but ``subject`` and
        ``reference``. Along the others (``reference``, say) each map is clustered on its own,
        and the largest cluster is taken over all of them together.

    Returns
    -------
    Dataset
        ``mean``, ``t``, ``skewness``, and per place of its cluster: ``cluster`` (0 none, then
        from 1 by falling statistic within each map), ``statistic`` (0 outside) and ``p_fwe`` (1
        outside, NaN where undefined). attrs: as in `sign_flip_test`, with threshold_t,
        cluster_statistic and places.

    Raises
    ------
    InputError
        If there are too few subjects, the adjacency does not fit the scores, or an argument is
        unknown.

    References
    ----------
    Bullmore E. T. et al. (1999). Global, voxel, and cluster tests, by theory and permutation,
    for a difference between two groups of structural MR images of the brain. IEEE Transactions
    on Medical Imaging 18, 32-42.
    Maris E. and Oostenveld R. (2007). Nonparametric statistical testing of EEG- and MEG-data.
    Journal of Neuroscience Methods 164, 177-190.

    Examples
    --------
    >>> import numpy as np
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> scores = np.random.default_rng(0).normal(size=(12, 40))
    >>> scores[:, 10:20] += 1.5
    >>> test = cluster_test(scores, line_adjacency(40))
    >>> int(test.cluster[15]), float(test.p_fwe[15]) < 0.05
    (1, True)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    check_choice("statistic", statistic, ["mass", "size"])
    arranged = on_graph(scores, adjacency, places)
    flips = plan_flips(arranged.subjects, n_permutations, tail, seed)
    check_reach(flips, allow_small)
    height = _threshold(threshold, flips.n_subjects, tail)
    largest, parts = np.zeros(flips.n_rows), []
    for part in each_map(arranged):
        parts.append(_test_map(part, flips, height, statistic, tail, n_jobs, largest))
    warn_of_data(parts, flips.n_subjects)
    for part in parts:
        p = np.where(part["cluster"] > 0, reached(largest, part["statistic"]), 1.0)
        part["p_fwe"] = np.where(part.pop("fault") > 0, np.nan, p)
    attrs = attributes(flips, tail, arranged.family, seed)
    return as_dataset(
        arranged, parts, attrs | {"threshold_t": height, "cluster_statistic": statistic}
    )


def _threshold(threshold: float | None, n: int, tail: str) -> float:
    if threshold is not None:
        return check_number("threshold", threshold, minimum=0, strict=True, maximum=1e4)
    return float(student.isf(_DEFINING_P / (2 if tail == "two-sided" else 1), n - 1))


def _test_map(
    part: GraphMap, flips: Flips, height: float, statistic: str, tail: str, n_jobs: int,
    largest: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Raise `largest` by one map's flips; return its own clusters."""
    freedom, mass, two_sided = flips.n_subjects - 1.0, statistic == "mass", tail == "two-sided"
    cut = height / np.sqrt(freedom + height**2)
    tables, codes = flip_tables(part.units, flips)
    graph = (part.graph.indptr, part.graph.indices)

    def work(rows: slice) -> None:
        tally_clusters(tables, codes[rows], cut, freedom, mass, two_sided, graph, largest[rows])

    sweep(flips.n_rows, work, n_jobs)
    c = np.empty(part.units.shape[1])
    add_flip(tables, codes[0], c)  # the data, added up as every flip is
    weights = np.abs(t_of(c, freedom)) if mass else np.ones(c.size)
    labels = label_clusters(c > cut, part.graph)
    if two_sided:
        negative = label_clusters(c < -cut, part.graph)
        labels[negative > 0] = negative[negative > 0] + labels.max(initial=0)
    labels, sums = ranked(labels, weights)
    described = part.described
    return {name: described[name] for name in ("mean", "t", "skewness", "fault")} | {
        "cluster": spread(labels, part.keep, 0),
        "statistic": spread(sums[labels], part.keep, np.nan),
    }


def ranked(labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels numbered by falling sum of weights, and the sums, 0 for label 0.

    Examples
    --------
    >>> ranked(np.array([1, 0, 2, 2]), np.ones(4))
    (array([2, 0, 1, 1]), array([0., 2., 1.]))
    """
    sums = np.bincount(labels, weights, minlength=labels.max(initial=0) + 1)
    order = np.argsort(-sums[1:], kind="stable") + 1
    number = np.zeros(sums.size, dtype=np.int64)
    number[order] = np.arange(1, sums.size)
    return number[labels], np.concatenate([[0.0], sums[order]])
