"""Threshold-free cluster enhancement on any graph: one sort and one pass of union-find.

The score of a place of height t is the integral over thresholds h from 0 to t of
extent(h)**E * h**H, where extent(h) is the size of the cluster around the place at threshold h.
Between two places that join a cluster its extent does not change, so the integral is a sum over
the tree of joins: exact with the primitive S(h) = h**(H + 1) / (H + 1), and equal to the sum over
thresholds step, 2 step, ... below h with the primitive that adds those up. No threshold is
labelled; the tree gives every score in one more pass, as a sum of terms that are never negative.

Flips need only their largest score. A cluster's increments are the same for all its places, so it
is enough to carry the largest score of each cluster, and no tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from neurodnn.numerics.clusters import find_root, t_of
from neurodnn.numerics.descending import descend, sort_space
from neurodnn.numerics.signflips import add_flip

_LEVELS = 2**17  # beyond so many steps the sum is an integral to 12 digits


class Enhancement(NamedTuple):
    """Exponents and step as the compiled loops want them."""

    extent: np.ndarray  # extent**E for every extent up to the number of places
    exponent: float  # H
    step: float  # 0 for the exact integral
    levels: np.ndarray  # sums of k**H up to each k


def prepare(n_places: int, exponents: tuple[float, float], step: float | None) -> Enhancement:
    """Return the tables of an enhancement.

    Parameters
    ----------
    n_places : int
    exponents : (E, H)
    step : float or None
        None: exact integral.

    Returns
    -------
    Enhancement

    Examples
    --------
    >>> prepare(4, (0.5, 2.0), None).extent[4]
    np.float64(2.0)
    """
    extent = np.arange(n_places + 1, dtype=np.float64) ** exponents[0]
    extent[0] = 0.0
    levels = np.zeros(1)
    if step is not None:
        levels = np.arange(_LEVELS, dtype=np.float64) ** exponents[1]
        levels[0] = 0.0
        levels = np.cumsum(levels)
    return Enhancement(extent, float(exponents[1]), float(step or 0.0), levels)


def tfce_scores(
    values: NDArray[np.float64],
    adjacency: csr_array,
    *,
    exponents: tuple[float, float] = (0.5, 2.0),
    step: float | None = None,
) -> NDArray[np.float64]:
    """Return the enhanced value of each place, with the sign of the value.

    Parameters
    ----------
    values : array (places,)
        Heights, t for instance; finite. Positive and negative places are enhanced apart.
    adjacency : csr_array (places x places)
        Symmetric.
    exponents : (E, H)
        Of extent and height.
    step : float, optional
        Sum over thresholds step, 2 step, ... strictly below the value, in place of the exact
        integral.

    Returns
    -------
    array (places,)

    References
    ----------
    Smith S. M. and Nichols T. E. (2009). Threshold-free cluster enhancement: addressing
    problems of smoothing, threshold dependence and localisation in cluster inference.
    NeuroImage 44, 83-98.

    Examples
    --------
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> tfce_scores(np.full(5, 3.0), line_adjacency(5)).round(4)
    array([20.1246, 20.1246, 20.1246, 20.1246, 20.1246])
    """
    heights = np.ascontiguousarray(values, dtype=np.float64)
    scores = np.zeros(heights.size)
    enhancement = prepare(heights.size, exponents, step)
    graph = (adjacency.indptr, adjacency.indices)
    for sign in (1.0, -1.0):
        _enhance_side(heights, sign, graph, enhancement, scores)
    return scores


@njit(nogil=True, cache=True)
def _enhance_side(values, sign, graph, enhancement, scores):
    """Write the scores of the places whose value has this sign; leave the others."""
    indptr, indices = graph
    space = sort_space(values.size)
    n = descend(values, sign, space)
    order, height = space[2], space[3]
    # The clusters so far; at a root, their size and lowest place.
    root = np.full(values.size, -1, np.int32)
    size, lowest = np.empty_like(root), np.empty_like(root)
    # The tree: the place that joined a place's cluster to its own, and the extent until then.
    joined, extent, primitive = np.full_like(root, -1), np.empty_like(root), np.empty(values.size)
    for i in range(n):
        place = order[i]
        primitive[place] = _primitive(height[i], enhancement)
        root[place], size[place] = place, 1
        own = place
        for k in range(indptr[place], indptr[place + 1]):
            if root[indices[k]] < 0:  # lower than this place, or of the other sign
                continue
            other = find_root(root, indices[k])
            if other == own:
                continue
            joined[lowest[other]] = place
            if size[other] > size[own]:
                own, other = other, own
            root[other] = own
            size[own] += size[other]
        lowest[own], extent[place] = place, size[own]
    # A place's cluster keeps its extent down to the place that joined it; lowest place first.
    for i in range(n - 1, -1, -1):
        place = order[i]
        below, score = primitive[place], 0.0
        if joined[place] >= 0:
            below = max(0.0, below - primitive[joined[place]])
            score = abs(scores[joined[place]])
        scores[place] = sign * (score + enhancement.extent[extent[place]] * below)


@njit(nogil=True, cache=True)
def tally_tfce(tables, codes, freedom, mirrored, graph, enhancement, largest):
    """Raise `largest` to the largest score of each flip.

    Parameters
    ----------
    tables : array of float64 (groups, rows, places)
        From `signed_sums`, scores scaled so that a sum is c.
    codes : array of uint8 (flips x groups)
    freedom : float
        Degrees of freedom, subjects - 1.
    mirrored : bool
        Whether places of negative t are enhanced too, apart.
    graph : tuple of indptr and indices
    enhancement : Enhancement
    largest : array of float64 (flips,)
    """
    n_places = tables.shape[2]
    row, label = np.empty(n_places), np.full(n_places, -1, np.int32)
    space, clusters = sort_space(n_places), _cluster_space(n_places, graph[0])
    for flip in range(codes.shape[0]):
        add_flip(tables, codes[flip], row)
        for i in range(n_places):
            row[i] = t_of(row[i], freedom)
        for side in range(2 if mirrored else 1):
            found = _largest_of_side(row, 1.0 - 2.0 * side, graph, enhancement, space, label,
                                     clusters)  # fmt: skip
            largest[flip] = max(largest[flip], found)


@njit(nogil=True, cache=True)
def _cluster_space(n_places, indptr):
    """Return, per cluster, parent, size, largest score and S of its lowest place; and a list."""
    degree = 1
    for i in range(n_places):
        degree = max(degree, indptr[i + 1] - indptr[i])
    return (
        np.empty(n_places, np.int32),
        np.empty(n_places, np.int32),
        np.empty(n_places),
        np.empty(n_places),
        np.empty(degree, np.int32),
    )


@njit(nogil=True, cache=True)
def _largest_of_side(values, sign, graph, enhancement, space, label, clusters):
    """Return the largest score of the places whose value has this sign.

    Clusters are numbered as they arise, so that they stay few and near in memory. `label`: the
    cluster that a place joined, -1 before and after.
    """
    indptr, indices = graph
    parent, size, score, level, touched = clusters
    n, n_clusters = descend(values, sign, space), 0
    order, height = space[2], space[3]
    for i in range(n):
        place, now = order[i], _primitive(height[i], enhancement)
        # Without a branch: whether a neighbour is higher cannot be predicted.
        m, latest = 0, np.int32(-1)
        for k in range(indptr[place], indptr[place + 1]):
            other = label[indices[k]]
            new = (other >= 0) & (other != latest)
            touched[m] = other
            m += 1 if new else 0
            latest = other if new else latest
        if m == 0:
            own, top = n_clusters, 0.0
            parent[own], size[own] = own, 0
            n_clusters += 1
        else:
            own = find_root(parent, touched[0])
            top = score[own] + enhancement.extent[size[own]] * (level[own] - now)
            for k in range(1, m):
                other = find_root(parent, touched[k])
                if other == own:
                    continue
                rest = enhancement.extent[size[other]] * (level[other] - now)
                top = max(top, score[other] + rest)
                if size[other] > size[own]:
                    own, other = other, own
                parent[other] = own
                size[own] += size[other]
        size[own] += 1
        score[own], level[own], label[place] = top, now, own
    top = 0.0
    for own in range(n_clusters):
        if parent[own] == own:
            top = max(top, score[own] + enhancement.extent[size[own]] * level[own])
    label[:] = -1
    return top


@njit(nogil=True, cache=True)
def _primitive(height, enhancement):
    """Return the integral, or the sum, of h**H from 0 to a height above 0."""
    exponent, step = enhancement.exponent, enhancement.step
    if step == 0.0:
        if exponent == 2.0:
            return height * height * height / 3.0
        return height ** (exponent + 1.0) / (exponent + 1.0)
    k = np.ceil(height / step) - 1.0
    while k * step >= height:
        k -= 1.0
    while (k + 1.0) * step < height:
        k += 1.0
    last = enhancement.levels.size - 1
    if k <= last:
        total = enhancement.levels[int(k)]
    else:  # the midpoint rule, whose relative error is below 1e-11 out here
        power = exponent + 1.0
        total = enhancement.levels[last] + ((k + 0.5) ** power - (last + 0.5) ** power) / power
    return total * step ** (exponent + 1.0)
