"""Cluster labels and sums against scipy.ndimage, on grids and on graphs of chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from neurodnn.numerics.adjacency import grid_adjacency
from neurodnn.numerics.clusters import label_clusters, largest_cluster, t_of, tally_clusters
from neurodnn.numerics.signflips import add_flips, signed_sums, split_codes

RANK = {4: 1, 8: 2, 6: 1, 18: 2, 26: 3}


@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.05, 0.95),
    grid=st.sampled_from([((7, 9), 4), ((7, 9), 8), ((5, 4, 6), 6), ((5, 4, 6), 18),
                          ((5, 4, 6), 26)]),
)  # fmt: skip
def test_labels_equal_those_of_scipy(seed, share, grid):  # P45
    shape, connectivity = grid
    inside = np.random.default_rng(seed).random(shape) < share
    structure = ndimage.generate_binary_structure(len(shape), RANK[connectivity])
    expected, _ = ndimage.label(inside, structure)
    labels = label_clusters(inside.ravel(), grid_adjacency(np.ones(shape), connectivity))
    np.testing.assert_array_equal(labels, expected.ravel())


def _random_graph(rng, n, n_edges):
    one, two = rng.integers(0, n, (2, n_edges))
    dense = np.zeros((n, n), dtype=bool)
    dense[one, two] = dense[two, one] = True
    np.fill_diagonal(dense, False)
    graph = csr_array(dense)
    graph.indices, graph.indptr = graph.indices.astype("i4"), graph.indptr.astype("i4")
    return graph


@given(seed=st.integers(0, 2**32 - 1), n_edges=st.integers(1, 120))
def test_largest_sum_on_any_graph(seed, n_edges):
    rng = np.random.default_rng(seed)
    graph, weights = _random_graph(rng, 40, n_edges), rng.random(40)
    inside = rng.random(40) < 0.6
    places = np.flatnonzero(inside).astype(np.int32)
    parent, total = np.full(40, -1, np.int32), np.zeros(40)
    histogram = np.zeros(41, dtype=np.int64)
    count, labels = connected_components(graph[inside][:, inside], directed=False)
    expected = np.bincount(labels, weights[inside]).max(initial=0)
    found = largest_cluster(places, weights[inside], graph.indptr, graph.indices, parent, total,
                            histogram[:0])  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-13)
    ones = largest_cluster(places, np.ones(places.size), graph.indptr, graph.indices, parent, total,
                           histogram)  # fmt: skip
    sizes = np.bincount(labels, minlength=count) if count else np.zeros(0, dtype=int)
    assert ones == sizes.max(initial=0)
    np.testing.assert_array_equal(histogram, np.bincount(sizes, minlength=41))
    assert (parent == -1).all() and (total == 0).all()  # the work space is left as it was


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("by_mass", [False, True])
def test_tally_equals_labelling_every_flip(mirrored, by_mass):
    rng = np.random.default_rng(0)
    mask = rng.random((6, 5, 4)) > 0.2
    graph, n = grid_adjacency(mask, 18), 11
    x = rng.normal(0.3, 1, size=(n, int(mask.sum())))
    units = x / np.sqrt(n * (x**2).sum(axis=0))
    negative = rng.random((30, n)) < 0.5
    codes = np.packbits(negative, axis=1, bitorder="little")
    tables, cut, largest = signed_sums(units), 0.35, np.zeros(30)
    pair = (graph.indptr, graph.indices)
    tally_clusters(tables, codes, cut, n - 1.0, by_mass, mirrored, pair, largest)
    for flip, sums in enumerate((1 - 2.0 * negative) @ units):
        t, best = sums * np.sqrt((n - 1) / (1 - sums**2)), 0.0
        for side in (1, -1) if mirrored else (1,):
            grid = np.zeros(mask.shape)
            grid[mask] = np.where(side * sums > cut, np.abs(t) if by_mass else 1, 0)
            labels, count = ndimage.label(grid > 0, ndimage.generate_binary_structure(3, 2))
            best = max(best, *ndimage.sum(grid, labels, range(1, count + 1)), 0.0)
        assert largest[flip] == pytest.approx(best, rel=1e-12)


def test_groups_of_four_add_up_as_groups_of_eight_do():
    rng = np.random.default_rng(0)
    for n in (3, 8, 9, 13, 21):
        x, negative = rng.normal(size=(n, 7)), rng.random((50, n)) < 0.5
        codes = np.packbits(negative, axis=1, bitorder="little")
        codes = np.pad(codes, ((0, 0), (0, max(0, 2 - codes.shape[1]))))
        expected = (1 - 2.0 * negative) @ x
        np.testing.assert_allclose(add_flips(signed_sums(x), codes), expected, atol=1e-13)
        few = signed_sums(x, 4)
        halves = split_codes(codes, len(few))
        np.testing.assert_allclose(add_flips(few, halves), expected, atol=1e-13)


def test_t_of_equal_scores_is_large_not_infinite():
    assert np.isfinite(t_of(np.array([1.0, -1.0, 1 + 1e-15]), 7.0)).all()
    assert t_of(1.0, 7.0) > 1e5
