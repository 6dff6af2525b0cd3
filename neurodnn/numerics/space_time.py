"""Clusters in space and time: a graph of places, each of which has a line of times.

Places touch as their graph says at the same time, and themselves at the time before and after:
the Cartesian product of a graph and a line, as `combine_adjacency` writes it out. Written out it
has (degree + 2) entries for every place and time, gigabytes for a brain; here it is only walked.
Cells are numbered with places slow and times fast.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from neurodnn.numerics.clusters import find_root, t_of
from neurodnn.numerics.signflips import add_flip


def label_space_time(
    inside: NDArray[np.bool_], adjacency: csr_array, n_times: int
) -> NDArray[np.int64]:
    """Return the cluster of each cell: 0 outside, then 1, 2, ... by first cell.

    Parameters
    ----------
    inside : array of bool (places * times,)
    adjacency : csr_array (places x places)
        Symmetric, without its diagonal.
    n_times : int

    Returns
    -------
    array of int64 (places * times,)

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> inside = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    >>> label_space_time(inside.ravel(), line_adjacency(3), 3).reshape(3, 3)
    array([[1, 1, 0],
           [0, 1, 0],
           [2, 0, 0]])
    """
    cells = np.flatnonzero(inside)
    parent = np.full(inside.size, -1, dtype=np.int64)
    _join(cells, adjacency.indptr, adjacency.indices, n_times, parent)
    labels = np.zeros(inside.size, dtype=np.int64)
    if cells.size:
        # The root of a cluster is its first cell, so roots in order are clusters in order.
        labels[cells] = np.unique(parent[cells], return_inverse=True)[1].reshape(-1) + 1
    return labels


@njit(nogil=True, cache=True)
def _join(cells, indptr, indices, n_times, parent):
    """Point `parent` of ascending `cells` at the first cell of their cluster; -1 elsewhere."""
    for cell in cells:
        parent[cell] = cell
        place, time = cell // n_times, cell % n_times
        if time > 0 and parent[cell - 1] >= 0:
            _unite(parent, cell - 1, cell)
        for k in range(indptr[place], indptr[place + 1]):
            other = indices[k] * n_times + time
            if other < cell and parent[other] >= 0:
                _unite(parent, other, cell)
    for cell in cells:
        parent[cell] = find_root(parent, cell)


@njit(nogil=True, cache=True)
def _unite(parent, one, two):
    one, two = find_root(parent, one), find_root(parent, two)
    if one < two:
        parent[two] = one
    else:
        parent[one] = two


@njit(nogil=True, cache=True)
def tally_space_time(tables, codes, cut, freedom, mirrored, graph, n_times, masses, heights):
    """Raise `masses` to the largest cluster mass of each flip, `heights` to its largest c.

    Parameters
    ----------
    tables : array of float64 (groups, rows, cells)
        From `signed_sums`, scores scaled so that a sum is c; 0 in cells that take no part.
    codes : array of uint8 (flips x groups)
    cut : float
        Cells with c > cut are clustered.
    freedom : float
        Degrees of freedom, subjects - 1.
    mirrored : bool
        Whether cells with c < -cut are clustered too, apart, and heights are those of \\|c\\|.
    graph : tuple of indptr and indices
        Of the places, not of the cells.
    n_times : int
    masses, heights : array of float64 (flips,)
    """
    indptr, indices = graph
    n_cells = tables.shape[2]
    row, parent = np.empty(n_cells), np.full(n_cells, -1, np.int64)
    # Room for the cells beyond the threshold, which are few; it grows when they are not.
    cells, total = np.empty(1024, np.int64), np.zeros(n_cells)
    for flip in range(codes.shape[0]):
        add_flip(tables, codes[flip], row)
        for side in range(2 if mirrored else 1):
            sign = -1.0 if side else 1.0
            n = 0
            for i in range(n_cells):
                value = sign * row[i]
                if value > cut:
                    if n == cells.size:
                        cells = np.concatenate((cells, np.empty(n, np.int64)))
                    cells[n] = i
                    n += 1
                if value > heights[flip]:
                    heights[flip] = value
            found = cells[:n]
            _join(found, indptr, indices, n_times, parent)
            for cell in found:
                total[parent[cell]] += t_of(abs(row[cell]), freedom)
            for cell in found:
                if parent[cell] == cell:
                    masses[flip] = max(masses[flip], total[cell])
            for cell in found:
                parent[cell] = -1
                total[cell] = 0.0
