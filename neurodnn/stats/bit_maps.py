"""Thousands of maps as bits: which places of which map are beyond a threshold in p.

A threshold in p needs every map's value at a place before the first cluster can be formed. Places
are therefore ranked in blocks, and what is kept of a block is one bit for each map and place:
10,000 maps of 50,000 places take 63 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from neurodnn.numerics.clusters import tally_packed
from neurodnn.numerics.place_ranks import rank_cuts
from neurodnn.stats.graph_maps import sweep

_PLACES = 64  # places per job, a multiple of 8: whole bytes


class BitMaps(NamedTuple):
    """Maps x bytes, and p of the first map."""

    packed: np.ndarray  # uint8, first place in the lowest bit
    p: np.ndarray  # float64 (places,)


def threshold_maps(
    values_of: Callable[[slice], np.ndarray],
    n_maps: int,
    n_places: int,
    alpha: float,
    *,
    average: bool,
    first_inclusive: bool,
    n_jobs: int,
) -> BitMaps:
    """Return the places with p < alpha of each map, p by rank among all maps.

    Parameters
    ----------
    values_of : callable
        Returns the values (maps x places) of a slice of places; map 0 is the observed one.
    n_maps, n_places : int
    alpha : float
    average : bool
        Whether ties get their mean rank; otherwise p is the share of maps that reach a value.
    first_inclusive : bool
        Whether the observed map needs p <= alpha only.
    n_jobs : int

    Returns
    -------
    BitMaps

    Examples
    --------
    >>> maps = threshold_maps(lambda part: np.array([[3.0], [1], [2], [0]])[:, part], 4, 1, 0.3,
    ...                       average=True, first_inclusive=False, n_jobs=1)
    >>> maps.p, maps.packed.ravel()
    (array([0.25]), array([1, 0, 0, 0], dtype=uint8))
    """
    packed = np.zeros((n_maps, -(-n_places // 8)), dtype=np.uint8)
    p = np.empty(n_places)

    def work(start: int) -> None:
        part = slice(start, min(start + _PLACES, n_places))
        values = values_of(part)
        cut = np.empty(values.shape[1])
        ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
        rank_cuts(ordered, np.ascontiguousarray(values[0]), alpha, average, cut, p[part])
        inside = values >= cut
        if first_inclusive:
            inside[0] = p[part] <= alpha
        bits = np.packbits(inside, axis=1, bitorder="little")
        packed[:, start // 8 : start // 8 + bits.shape[1]] = bits

    # Jobs write bytes of their own: the result is the same for any number of threads.
    Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(work)(start) for start in range(0, n_places, _PLACES)
    )
    return BitMaps(packed, p)


def cluster_maps(
    maps: BitMaps,
    graph: tuple[np.ndarray, np.ndarray],
    *,
    sums: tuple[np.ndarray, np.ndarray, float] | None,
    n_jobs: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each map's largest cluster and how many clusters of each size null maps have.

    Parameters
    ----------
    maps : BitMaps
    graph : tuple of indptr and indices
    sums : tuple of tables, codes and degrees of freedom, optional
        Given, clusters are measured by their sum of |t|; otherwise by their number of places.
    n_jobs : int

    Returns
    -------
    largest : array (maps,)
    histogram : array of int (places + 1,)
        Over all maps but the first; empty for sums.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> line, maps = line_adjacency(3), BitMaps(np.array([[7], [5]], dtype=np.uint8), np.ones(3))
    >>> cluster_maps(maps, (line.indptr, line.indices), sums=None, n_jobs=1)
    (array([3., 1.]), array([0, 2, 0, 0]))
    """
    n_maps, n_places = len(maps.packed), maps.p.size
    largest = np.zeros(n_maps)
    tables, codes, freedom = sums or (
        np.empty((1, 1, 1)), np.zeros((n_maps, 1), dtype=np.uint8), 1.0
    )  # fmt: skip

    def work(rows: slice) -> np.ndarray:
        histogram = np.zeros(0 if sums else n_places + 1, dtype=np.int64)
        tally_packed(
            maps.packed[rows], n_places, graph, sums is not None, tables, codes[rows], freedom,
            largest[rows], histogram,
        )  # fmt: skip
        return histogram

    return largest, sum(sweep(n_maps, work, n_jobs)) - work(slice(0, 1))
