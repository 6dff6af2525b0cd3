"""Sign-flip test of maps in space and time: one map in memory at a time, one family for all.

Cells (places x times) are some million; the graph of places alone is held, times are its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.sparse import csr_array
from scipy.stats import t as student

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.numerics.adjacency import check_adjacency
from neurodnn.numerics.clusters import t_of
from neurodnn.numerics.signflips import add_flip, signed_sums
from neurodnn.numerics.space_time import label_space_time, tally_space_time
from neurodnn.stats.clusters import ranked
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.graph_maps import reached, sweep
from neurodnn.stats.group_scores import arranged, attributes, describe, scaled, warn_of_data

_DEFINING_P = 0.001
_CELLS = 2**15  # cells described at a time
_TABLES = 2**29  # bytes of signed sums; above them groups of fewer subjects do
_TIE = 1e-12
Maps = Mapping[str, xr.DataArray | Callable[[], xr.DataArray]]


class _Family(NamedTuple):
    """What all maps of a test have in common."""

    flips: Flips
    places: csr_array
    tail: str
    height: float  # t that lets a cell into a cluster
    masses: np.ndarray  # largest of each flip, over all maps
    heights: np.ndarray  # largest c of each flip


def space_time_test(
    maps: Maps,
    adjacency: Any,
    *,
    threshold: float | None = None,
    tail: str = "two-sided",
    n_permutations: int | str = 10_000,
    seed: int = 0,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return mean, t, and p of clusters and of cells, corrected over space, time and all maps.

    One sign per subject flips all maps at once. Clusters are cells beyond the threshold that
    touch in space at the same time, or follow in time at the same place; positive and negative
    ones apart. A cluster's p holds for the cluster as a whole and does not say where in it the
    effect is; the p of the largest statistic holds for the cell. The test generalises to
    subjects, not to stimuli, and to no more than what differs between subjects: whatever all of
    them share (one mean MEG movie) is taken as given.

    Parameters
    ----------
    maps : mapping of name -> DataArray, or -> function that returns it
        Each (subject, place, time), of the same subjects, places and times; a name becomes the
        ``reference``. Functions are called when their map's turn comes, so that one map is in
        memory at a time. Cells that lack a score in any subject take no part.
    adjacency : sparse array (places x places)
        Nonzero where two places touch, `neurodnn.voxel_adjacency` or `neurodnn.vertex_adjacency`:
        of the places alone, not of places and times.
    threshold : float, optional
        Cluster-defining t; by default that of p < .001, as for `neurodnn.cluster_test`.
    tail, n_permutations, seed, n_jobs, allow_small
        As for `neurodnn.sign_flip_test`.

    Returns
    -------
    Dataset
        dims (place, time, reference), float32: ``mean``, ``t``, ``p_cluster`` (mass; 1 outside
        clusters), ``p_max``, and ``cluster`` (int32: 0 none, then by falling mass within each
        map), ``mass`` of each cell's cluster. NaN where undefined. attrs: as of
        `neurodnn.cluster_test`.

    Raises
    ------
    InputError
        As for `neurodnn.cluster_test`; maps differ in their dimensions or subjects.

    Notes
    -----
    Memory: for each cell, 8 bytes of every subject once as units and, in groups of four
    subjects, 32 bytes of each as sums of signs; and 24 bytes of every map's results. 900,000
    cells of 16 subjects take some 0.7 GB, however many maps there are.

    References
    ----------
    Maris E. and Oostenveld R. (2007). Nonparametric statistical testing of EEG- and MEG-data.
    Journal of Neuroscience Methods 164, 177-190.
    Nichols T. E. and Holmes A. P. (2002). Nonparametric permutation tests for functional
    neuroimaging. Human Brain Mapping 15, 1-25.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> scores = np.random.default_rng(0).normal(size=(12, 20, 9))
    >>> scores[:, 5:9, 3:6] += 2.0
    >>> maps = {"conv1": xr.DataArray(scores, dims=("subject", "voxel", "time"))}
    >>> test = space_time_test(maps, line_adjacency(20))
    >>> int(test["cluster"][5, 4, 0]), float(test["p_cluster"][5, 4, 0]) < 0.05
    (1, True)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    if not isinstance(maps, Mapping) or not maps:
        raise InputError(message("maps", "hold no map", allowed="{name: scores}"))
    family, parts, like, names = None, [], None, [str(name) for name in maps]
    for name, given in maps.items():
        array = _checked(given() if callable(given) else given, like, str(name))
        if family is None:
            family = _plan(array, adjacency, threshold, tail, n_permutations, seed, allow_small)
            like = array.isel({dim: slice(0) for dim in array.dims[1:]}), array.shape
            coords = {key: c for key, c in array.coords.items() if "subject" not in c.dims}
            dims = array.dims[1:]
        parts.append(_test_map(array, family, n_jobs))
        del array
    # Faults and skewness have been told of each map's cells; here they are told once for all.
    warn_of_data([part.pop("told") for part in parts], family.flips.n_subjects)
    for part in parts:
        _settle(part, family)
    shape = like[1][1:]
    values = {
        key: ((*dims, "reference"),
              np.stack([part[key].reshape(shape) for part in parts], axis=-1))
        for key in parts[0]
    }  # fmt: skip
    attrs = attributes(family.flips, tail, [*map(str, dims), "reference"], seed)
    return xr.Dataset(values, coords={**coords, "reference": names}, attrs=attrs | {
        "threshold_t": family.height, "cluster_statistic": "mass", "places": list(map(str, dims)),
    })  # fmt: skip


def _checked(array: xr.DataArray, like: Any, name: str) -> xr.DataArray:
    """Return a map with its subjects sorted by name; refuse another shape than the first's."""
    dims = getattr(array, "dims", ())
    if len(dims) != 3 or dims[0] != "subject" or dims[2] != "time":
        raise InputError(message(f"map {name}", "must be subject x place x time", got=dims))
    array, _ = arranged(array, None)
    if like is not None and (
        array.shape != like[1] or array.dims != like[0].dims
        or not array["subject"].equals(like[0]["subject"])
    ):  # fmt: skip
        fault = "has other subjects, places or times than the first"
        raise InputError(message(f"map {name}", fault, got=dict(array.sizes)))
    return array


def _plan(
    array: xr.DataArray, adjacency: Any, threshold: float | None, tail: str,
    n_permutations: int | str, seed: int, allow_small: bool,
) -> _Family:  # fmt: skip
    dim = str(array.dims[1])
    places = check_adjacency(adjacency, array.sizes[dim], f"{dim} ({array.sizes[dim]})")
    flips = plan_flips([str(s) for s in array["subject"].values], n_permutations, tail, seed)
    check_reach(flips, allow_small)
    if threshold is None:
        threshold = threshold_of(_DEFINING_P, flips.n_subjects, tail)
    height = check_number("threshold", threshold, minimum=0, strict=True)
    heights = np.full(flips.n_rows, -np.inf)
    return _Family(flips, places, tail, float(height), np.zeros(flips.n_rows), heights)


def _test_map(array: xr.DataArray, family: _Family, n_jobs: int) -> dict[str, Any]:
    """Raise the largest statistics by one map's flips; return what is kept of the map."""
    flips, two_sided = family.flips, family.tail == "two-sided"
    freedom, n_times = flips.n_subjects - 1.0, array.sizes["time"]
    cut = family.height / np.sqrt(freedom + family.height**2)
    kept, units = _described(array.values.reshape(flips.n_subjects, -1))
    tables, codes = _tables(units, flips)
    del units  # the sums hold all that is needed
    graph = (family.places.indptr, family.places.indices)

    def work(rows: slice) -> None:
        tally_space_time(tables, codes[rows], cut, freedom, two_sided, graph, n_times,
                         family.masses[rows], family.heights[rows])  # fmt: skip

    sweep(flips.n_rows, work, n_jobs)
    c = np.empty(tables.shape[2])
    add_flip(tables, codes[0], c)  # the data, added up as every flip is
    labels = label_space_time(c > cut, family.places, n_times)
    if two_sided:
        negative = label_space_time(c < -cut, family.places, n_times)
        labels[negative > 0] = negative[negative > 0] + labels.max(initial=0)
    labels, sums = ranked(labels, np.where(labels > 0, np.abs(t_of(c, freedom)), 0.0))
    return kept | {"cluster": labels.astype(np.int32), "sums": sums, "c": c}


def _described(x: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return mean, t and faults of the cells, and scores whose signed sums are c.

    In blocks, because what it takes to describe cells is several times their scores.
    """
    units = np.zeros(x.shape)
    mean, t = np.empty((2, x.shape[1]), np.float32)
    told: dict[str, list[np.ndarray]] = {"fault": [], "skewness": []}
    for start in range(0, x.shape[1], _CELLS):
        part = slice(start, start + _CELLS)
        block = np.ascontiguousarray(x[:, part], dtype=np.float64)
        found = describe(block)
        sound = found["fault"] == 0
        units[:, part][:, sound] = scaled(block[:, sound])  # others stay 0 and reach nothing
        mean[part], t[part] = found["mean"], found["t"]
        told["fault"].append(found["fault"].astype(np.int8))
        told["skewness"].append(found["skewness"].astype(np.float32))
    joined = {name: np.concatenate(values) for name, values in told.items()}
    return {"mean": mean, "t": t, "told": joined, "undefined": joined["fault"] > 0}, units


def _tables(units: np.ndarray, flips: Flips) -> tuple[np.ndarray, np.ndarray]:
    """Return signed sums in the largest groups of subjects that memory allows, and their codes."""
    n, n_cells = units.shape
    for group in (8, 4, 2):
        if max(2, -(-n // group)) * 2**group * n_cells * 8 <= _TABLES or group == 2:
            break
    tables = signed_sums(units, group)
    bits = np.unpackbits(flips.codes, axis=1, bitorder="little")[:, :n]
    bits = np.pad(bits, ((0, 0), (0, len(tables) * group - n)))
    weights = (1 << np.arange(group)).astype(np.uint8)
    return tables, np.ascontiguousarray(
        (bits.reshape(len(bits), len(tables), group) * weights).sum(axis=2, dtype=np.uint8)
    )


def _settle(part: dict[str, Any], family: _Family) -> None:
    """Turn statistics into p, once the largest of every flip over all maps are known."""
    undefined, labels, sums, c = (part.pop(key) for key in ("undefined", "cluster", "sums", "c"))
    of_cluster = reached(family.masses, sums)
    of_cluster[0] = 1.0
    heights = np.sort(family.heights)
    c = np.abs(c) if family.tail == "two-sided" else c
    of_cell = (heights.size - np.searchsorted(heights, c - _TIE)) / heights.size
    hide = partial(np.where, undefined, np.float32(np.nan))
    part["cluster"] = labels
    part["mass"] = hide(sums[labels].astype(np.float32))
    part["p_cluster"] = hide(of_cluster[labels].astype(np.float32))
    part["p_max"] = hide(of_cell.astype(np.float32))


def threshold_of(p: float, n_subjects: int, tail: str) -> float:
    """Return the t whose p, with subjects - 1 degrees of freedom, is `p`.

    Parameters
    ----------
    p : float
        Of both sides together if `tail` is ``"two-sided"``.
    n_subjects : int
    tail : {"two-sided", "greater"}

    Examples
    --------
    >>> round(threshold_of(0.001, 8, "two-sided"), 3)
    5.408
    """
    return float(student.isf(p / (2 if tail == "two-sided" else 1), n_subjects - 1))
