"""Clusters of a group against maps of permuted labels, after Stelzer et al. (2013)."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.numerics.clusters import label_clusters
from neurodnn.stats.bit_maps import cluster_maps, threshold_maps
from neurodnn.stats.clusters import ranked
from neurodnn.stats.graph_maps import GraphScores, as_dataset, on_graph, reached, spread
from neurodnn.stats.multiplicity import fdr

_STAGE = 5  # first part of the seeds of this test; every stage of the package has its own


def stelzer_test(
    scores: xr.DataArray,
    nulls: xr.DataArray,
    adjacency: Any,
    *,
    voxel_alpha: float = 0.001,
    tail: str = "two-sided",
    n_permutations: int = 10_000,
    seed: int = 0,
    places: str | Sequence[str] | None = None,
    n_jobs: int = 1,
) -> xr.Dataset:
    """Return clusters of the mean map, tested by maps of permuted labels drawn per subject.

    Each null map of the group is the mean of one permuted map of every subject, drawn at random
    and apart for each. A place's p is the share of group maps that reach its value; places with
    p < `voxel_alpha` are clustered, in every map by its own p, and a cluster's p is the share of
    all null clusters that are as large.

    The published drawing per subject asks whether subjects are above chance on average: **it
    generalises to subjects only**. Stimuli that all subjects saw remain a fixed set, even
    though their labels were permuted; `neurodnn.searchlight_label_test` draws one permutation
    for all subjects and generalises to stimuli.

    Parameters
    ----------
    scores : DataArray (``subject``, places, perhaps ``reference``)
        The scores with true labels.
    nulls : DataArray (``subject``, ``permutation``, places, perhaps ``reference``)
        Scores with permuted labels, the same permutation for all places of a map; about 100 a
        subject. Subjects meet by name.
    adjacency : sparse array (places x places)
        Nonzero where two places touch.
    voxel_alpha : float
        Cluster-defining p of single places; half of it for either sign if two-sided.
    tail : "two-sided" or "greater"
        ``"greater"`` as published. Two-sided, both signs are clustered apart.
    n_permutations : int
        Maps of the group, the true one included; 10,000 resolve p < .001.
    seed : int
        Of the draws.
    places : str or sequence of str, optional
        As in `cluster_test`.
    n_jobs : int
        Threads; the result is the same bits for any number.

    Returns
    -------
    Dataset
        ``mean``, ``p`` (per place, of the tail in which it lies, doubled if two-sided), and per
        place of its cluster: ``cluster``, ``statistic`` (places), ``p_cluster`` (among all null
        clusters of its map), ``p_fdr`` (that, adjusted over all clusters found) and ``p_fwe``
        (among the largest clusters of the null maps).

    Raises
    ------
    InputError
        If subjects or dimensions differ, there are fewer than two subjects or ten permuted maps,
        or so few maps that no place can have p < `voxel_alpha`.

    References
    ----------
    Stelzer J., Chen Y. and Turner R. (2013). Statistical inference and multiple testing
    correction in classification-based multi-voxel pattern analysis (MVPA): random permutations
    and cluster size control. NeuroImage 65, 69-82.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(size=(8, 40)), dims=("subject", "voxel"))
    >>> scores[:, 10:20] += 1.5
    >>> nulls = xr.DataArray(rng.normal(size=(8, 50, 40)), dims=("subject", "permutation", "voxel"))
    >>> test = stelzer_test(scores, nulls, line_adjacency(40), voxel_alpha=0.01,
    ...                     n_permutations=1000)
    >>> bool(test.p_fdr[15] < 0.05), test.attrs["generalises_to"]
    (True, 'subjects')
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    arranged = on_graph(scores, adjacency, places)
    permuted = _aligned(nulls, arranged)
    alpha = _checked(voxel_alpha, n_permutations, tail)
    n_subjects, n_null = permuted.shape[:2]
    draws = _draws(arranged.subjects, n_permutations, n_null, seed)
    true = arranged.array.values.reshape(n_subjects, -1, arranged.graph.shape[0])
    parts, largest = [], np.zeros(n_permutations)
    for i in range(true.shape[1]):
        x, y = np.asarray(true[:, i], dtype=np.float64), permuted[:, :, i]
        parts.append(_test_map(x, y, draws, arranged.graph, alpha, tail, n_jobs, largest))
    _add_p(parts, largest)
    attrs = {
        "n_subjects": n_subjects, "n_permutations": int(n_permutations), "exact": 0,
        "n_maps_per_subject": n_null, "tail": tail, "family": list(arranged.family),
        "seed": int(seed), "minimum_p": 1.0 / n_permutations, "voxel_alpha": float(voxel_alpha),
        "cluster_statistic": "size", "drawing": "per-subject", "generalises_to": "subjects",
    }  # fmt: skip
    return as_dataset(arranged, parts, attrs)


def _aligned(nulls: xr.DataArray, scores: GraphScores) -> np.ndarray:
    """Return permuted maps as (subject, permutation, maps, places), subjects as in the scores."""
    dims = ("subject", "permutation", *scores.array.dims[1:])
    if not isinstance(nulls, xr.DataArray) or set(nulls.dims) != set(dims):
        allowed = f"a DataArray with the dimensions {', '.join(map(str, dims))}"
        got = getattr(nulls, "dims", type(nulls).__name__)
        raise InputError(message("nulls", "do not fit the scores", got=got, allowed=allowed))
    for dim in dims[2:]:
        same = nulls.sizes[dim] == scores.array.sizes[dim]
        if same and dim in nulls.coords and dim in scores.array.coords:
            same = bool((nulls[dim].values == scores.array[dim].values).all())
        if not same:
            remedy = "Make both with the same mask and references."
            raise InputError(message("nulls", f"and scores differ along {dim}", remedy=remedy))
    if nulls.sizes["permutation"] < 10:
        got, allowed = nulls.sizes["permutation"], "10 permuted maps a subject or more"
        raise InputError(message("nulls", "are too few", got=got, allowed=allowed))
    if "subject" not in nulls.coords:
        nulls = nulls.assign_coords(subject=np.arange(nulls.sizes["subject"]))
    names = [str(name) for name in nulls["subject"].values]
    if sorted(names) != scores.subjects:
        fault = "hold other subjects than the scores"
        got = sorted(set(names) ^ set(scores.subjects)) or names
        raise InputError(message("nulls", fault, got=got))
    if len(names) < 2:
        raise InputError(message("scores", f"a group test needs subjects, not {len(names)}"))
    nulls = nulls.isel(subject=[names.index(name) for name in scores.subjects]).transpose(*dims)
    return nulls.values.reshape(*nulls.shape[:2], -1, scores.graph.shape[0])


def _checked(voxel_alpha: float, n_permutations: int, tail: str) -> float:
    """Return the threshold in p of one sign; refuse one that no place can reach."""
    if not isinstance(n_permutations, (int, np.integer)) or n_permutations < 2:
        allowed = "a whole number of at least 2"
        raise InputError(
            message("n_permutations", "is not valid", got=n_permutations, allowed=allowed)
        )
    alpha = check_number("voxel_alpha", voxel_alpha, minimum=0, strict=True, maximum=0.5)
    alpha /= 2 if tail == "two-sided" else 1
    if 1 / n_permutations >= alpha:
        fault = f"{n_permutations} maps cannot give a place p < {voxel_alpha:g}, {tail}"
        remedy = f"Take more than {np.ceil(1 / alpha):.0f}, or a larger voxel_alpha."
        raise InputError(message("n_permutations", fault, remedy=remedy))
    return alpha


def _draws(subjects: list[str], n_maps: int, n_null: int, seed: int) -> np.ndarray:
    """Return which permuted map each subject gives to each null map of the group."""
    draws = np.empty((len(subjects), n_maps - 1), dtype=np.int64)
    for row, name in zip(draws, subjects, strict=True):
        key = (_STAGE, zlib.crc32(name.encode()))
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        # One uniform number a draw: a longer run begins with the draws of a shorter one.
        row[:] = generator.random(row.size) * n_null
    return draws


def _test_map(
    x: np.ndarray, permuted: np.ndarray, draws: np.ndarray, graph: Any, alpha: float, tail: str,
    n_jobs: int, largest: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the clusters of one map; raise `largest` by those of its null maps."""
    keep = np.isfinite(x).all(axis=0) & np.isfinite(permuted).all(axis=(0, 1))
    _warn_of_losses(x, keep)
    kept, graph = np.flatnonzero(keep), graph[keep][:, keep]
    p, found = np.ones(kept.size), np.zeros(kept.size, dtype=np.int64)
    histogram = np.zeros(kept.size + 1, dtype=np.int64)
    for sign in (1, -1) if tail == "two-sided" else (1,):

        def values_of(part: slice, sign: int = sign) -> np.ndarray:
            return sign * _group_maps(x, permuted, draws, kept[part])

        maps = threshold_maps(
            values_of, len(largest), kept.size, alpha, average=False, first_inclusive=False,
            n_jobs=n_jobs,
        )  # fmt: skip
        tops, sizes = cluster_maps(maps, (graph.indptr, graph.indices), sums=None, n_jobs=n_jobs)
        np.maximum(largest, tops, out=largest)
        histogram += sizes
        inside = np.unpackbits(maps.packed[0], bitorder="little")[: kept.size].astype(bool)
        labels = label_clusters(inside, graph)
        found += np.where(labels > 0, labels + found.max(initial=0), 0)
        p = np.minimum(p, maps.p)
    labels, sizes = ranked(found, np.ones(kept.size))
    return {
        "mean": np.where(keep, x.mean(axis=0), np.nan),
        "p": spread(np.minimum(2 * p, 1.0) if tail == "two-sided" else p, keep, np.nan),
        "cluster": spread(labels, keep, 0),
        "statistic": spread(sizes[labels], keep, np.nan),
        "p_cluster": spread(_share(sizes, histogram)[labels], keep, np.nan),
    }


def _warn_of_losses(x: np.ndarray, keep: np.ndarray) -> None:
    """Warn of places left out, but for those outside everybody's mask."""
    count = int((~keep & ~np.isnan(x).all(axis=0)).sum())
    if count:
        fault = f"{count} places lack a finite score in some subject or permutation"
        remedy = "They are left out."
        warnings.warn(message("scores", fault, remedy=remedy), DataWarning, stacklevel=4)


def _group_maps(
    x: np.ndarray, permuted: np.ndarray, draws: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return the true mean map and the null ones at some places (maps x places)."""
    total = np.zeros((draws.shape[1] + 1, places.size))
    for subject, drawn in enumerate(draws):
        total[0] += x[subject, places]
        maps = np.ascontiguousarray(permuted[subject][:, places], dtype=np.float64)
        total[1:] += maps[drawn]
    return total / len(x)


def _share(sizes: np.ndarray, histogram: np.ndarray) -> np.ndarray:
    """Return p of each cluster size among all null clusters; 1 for 0, outside clusters."""
    as_large = np.cumsum(histogram[::-1])[::-1]
    p = (1 + as_large[sizes.astype(np.int64)]) / (1 + as_large[0])
    p[0] = 1.0
    return p


def _add_p(parts: list[dict[str, np.ndarray]], largest: np.ndarray) -> None:
    """Add to each map p over the family: of the largest cluster, and adjusted by FDR."""
    first = [np.unique(part["cluster"], return_index=True) for part in parts]
    single = [
        part["p_cluster"][index[labels > 0]]
        for part, (labels, index) in zip(parts, first, strict=True)
    ]
    adjusted = np.split(fdr(np.concatenate(single)), np.cumsum([p.size for p in single])[:-1])
    for part, p in zip(parts, adjusted, strict=True):
        inside = part["cluster"] > 0
        outside = np.where(np.isnan(part["statistic"]), np.nan, 1.0)
        part["p_fdr"] = np.where(inside, np.concatenate([[1.0], p])[part["cluster"]], outside)
        part["p_fwe"] = np.where(inside, reached(largest, part["statistic"]), outside)
