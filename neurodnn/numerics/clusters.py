"""Clusters on any graph: union-find over the places beyond a threshold, and nothing else.

Positive and negative places never share a cluster. Only places beyond the threshold are
visited, so that a flip costs little more than its sums.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from neurodnn.numerics.signflips import add_flip

# 1 - c**2 never falls below this: scores of equal size would otherwise make t infinite, and
# rounding would order such flips at random.
_FLOOR = 1e-10


def label_clusters(inside: NDArray[np.bool_], adjacency: csr_array) -> NDArray[np.int64]:
    """Return the cluster of each place: 0 outside, then 1, 2, ... by first place.

    Parameters
    ----------
    inside : array of bool (places,)
    adjacency : csr_array (places x places)
        Symmetric.

    Returns
    -------
    array of int64 (places,)

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> label_clusters(np.array([True, True, False, True]), line_adjacency(4))
    array([1, 1, 0, 2])
    """
    places = np.flatnonzero(inside)
    parent = np.full(inside.size, -1, dtype=np.int32)
    join_clusters(places, adjacency.indptr, adjacency.indices, parent)
    labels = np.zeros(inside.size, dtype=np.int64)
    if places.size:
        # The root of a cluster is its first place, so roots in order are clusters in order.
        labels[places] = np.unique(parent[places], return_inverse=True)[1].reshape(-1) + 1
    return labels


@njit(nogil=True, cache=True)
def join_clusters(places, indptr, indices, parent):
    """Point `parent` of ascending `places` at the first place of their cluster.

    `parent` holds -1 everywhere else, before and after.
    """
    for place in places:
        parent[place] = place
        for k in range(indptr[place], indptr[place + 1]):
            other = indices[k]
            if other < place and parent[other] >= 0:
                one, two = find_root(parent, other), find_root(parent, place)
                if one < two:
                    parent[two] = one
                else:
                    parent[one] = two
    for place in places:
        parent[place] = find_root(parent, place)


@njit(nogil=True, cache=True)
def find_root(parent, place):
    """Return the root of a place, halving the path on the way."""
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@njit(nogil=True, cache=True)
def largest_cluster(places, weights, indptr, indices, parent, total, histogram):
    """Return the largest sum of weights over a cluster; 0 without places.

    Parameters
    ----------
    places : array of int32
        Ascending.
    weights : array of float64 (len(places),)
    indptr, indices : array of int32
        The graph.
    parent : array of int32 (all places,)
        Work space, -1 everywhere before and after.
    total : array of float64 (all places,)
        Work space, 0 everywhere before and after.
    histogram : array of int64 (all places + 1,) or of size 0
        Raised at the sum of each cluster, where it has room: for weights of 1.
    """
    join_clusters(places, indptr, indices, parent)
    largest = 0.0
    for i in range(places.size):
        root = parent[places[i]]
        total[root] += weights[i]
    for i in range(places.size):
        if parent[places[i]] == places[i]:
            largest = max(largest, total[places[i]])
            if histogram.size:
                histogram[int(total[places[i]])] += 1
    for place in places:
        parent[place] = -1
        total[place] = 0.0
    return largest


@njit(nogil=True, cache=True)
def t_of(c, freedom):
    """Return Student's t of c = sum(x) / sqrt(n sum(x**2)), with n - 1 degrees of freedom."""
    return c * np.sqrt(freedom / np.maximum(1.0 - c * c, _FLOOR))


@njit(nogil=True, cache=True)
def tally_clusters(tables, codes, cut, freedom, by_mass, mirrored, graph, largest):
    """Raise `largest` to the largest cluster of each flip.

    Parameters
    ----------
    tables : array of float64 (groups, rows, places)
        From `signed_sums`, scores scaled so that a sum is c.
    codes : array of uint8 (flips x groups)
    cut : float
        Places with c > cut are clustered.
    freedom : float
        Degrees of freedom, subjects - 1.
    by_mass : bool
        Sum of |t| if true, otherwise number of places.
    mirrored : bool
        Whether places with c < -cut are clustered too, apart.
    graph : tuple of indptr and indices
    largest : array of float64 (flips,)
    """
    indptr, indices = graph
    n_places = tables.shape[2]
    row, total = np.empty(n_places), np.zeros(n_places)
    parent, places = np.full(n_places, -1, np.int32), np.empty(n_places, np.int32)
    weights, no_histogram = np.ones(n_places), np.empty(0, np.int64)
    below = np.empty_like(places)
    for flip in range(codes.shape[0]):
        add_flip(tables, codes[flip], row)
        n_above, n_below = _beyond(row, cut, places, below)
        for side in range(2 if mirrored else 1):
            found = below[:n_below] if side else places[:n_above]
            if by_mass:
                for i in range(found.size):
                    weights[i] = t_of(abs(row[found[i]]), freedom)
            sum_found = largest_cluster(
                found, weights[: found.size], indptr, indices, parent, total, no_histogram
            )
            largest[flip] = max(largest[flip], sum_found)


@njit(nogil=True, cache=True)
def tally_packed(packed, n_places, graph, weighted, tables, codes, freedom, largest, histogram):
    """Raise `largest` to the largest cluster of each map of packed bits.

    Parameters
    ----------
    packed : array of uint8 (maps x bytes)
        Bits of the places to be clustered, first place in the lowest bit.
    n_places : int
    graph : tuple of indptr and indices
    weighted : bool
        Sum of |t| if true, with t of `tables` and `codes` as in `tally_clusters`; otherwise
        number of places, and `tables` and `codes` mean nothing.
    tables, codes, freedom
        As in `tally_clusters`.
    largest : array of float64 (maps,)
    histogram : array of int64 (places + 1,) or of size 0
        Raised by the number of clusters of each size, where it has room.
    """
    indptr, indices = graph
    parent, places = np.full(n_places, -1, np.int32), np.empty(n_places, np.int32)
    total, weights = np.zeros(n_places), np.ones(n_places)
    for i in range(packed.shape[0]):
        n = _unpack(packed[i], places)
        if weighted:
            for k in range(n):
                c = 0.0
                for group in range(codes.shape[1]):
                    c += tables[group, codes[i, group], places[k]]
                weights[k] = abs(t_of(c, freedom))
        found = largest_cluster(
            places[:n], weights[:n], indptr, indices, parent, total, histogram
        )
        largest[i] = max(largest[i], found)


@njit(nogil=True, cache=True)
def _unpack(bits, places):
    """Write the numbers of the bits that are set to `places`; return how many."""
    n = 0
    for byte in range(bits.size):
        if bits[byte]:
            for k in range(8):
                if bits[byte] >> k & 1:
                    places[n] = 8 * byte + k
                    n += 1
    return n


@njit(nogil=True, cache=True)
def _beyond(row, cut, above, below):
    """Write the places with value > cut and with value < -cut; return how many of each."""
    n_above, n_below = 0, 0
    for i in range(row.size):
        if abs(row[i]) > cut:  # rare, so that this branch costs nothing
            if row[i] > 0.0:
                above[n_above] = i
                n_above += 1
            else:
                below[n_below] = i
                n_below += 1
    return n_above, n_below
