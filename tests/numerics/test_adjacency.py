"""Graphs of places against distances between indices, MNE's product, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from neurodnn._checks import InputError
from neurodnn.numerics.adjacency import (
    check_adjacency,
    combine_adjacency,
    grid_adjacency,
    line_adjacency,
)

REACH = {(3, 6): 1, (3, 18): 2, (3, 26): 3, (2, 4): 1, (2, 8): 2, (1, 2): 1}


@pytest.mark.parametrize(("ndim", "connectivity"), REACH)
def test_neighbours_are_one_step_away_along_few_axes(ndim, connectivity):
    mask = np.random.default_rng(0).random((6, 5, 4)[:ndim]) > 0.3
    steps = np.abs(np.argwhere(mask)[:, None] - np.argwhere(mask))
    expected = (steps.max(axis=2) == 1) & (steps.sum(axis=2) <= REACH[ndim, connectivity])
    graph = grid_adjacency(mask, connectivity)
    np.testing.assert_array_equal(graph.toarray(), expected)
    assert graph.dtype == bool and graph.has_sorted_indices


def test_full_volume_has_the_neighbours_of_its_name_inside():
    for connectivity in (6, 18, 26):
        graph = grid_adjacency(np.ones((3, 3, 3)), connectivity)
        assert graph.sum(axis=1).max() == graph[[13]].sum() == connectivity


def test_product_equals_that_of_mne():
    mne = pytest.importorskip("mne")
    mask = np.random.default_rng(1).random((5, 4, 3)) > 0.4
    space = grid_adjacency(mask, 18)
    theirs = mne.stats.combine_adjacency(space.astype(int), 5, 3).toarray() > 0
    np.fill_diagonal(theirs, False)  # MNE holds a place beside itself
    np.testing.assert_array_equal(combine_adjacency(space, 5, 3).toarray(), theirs)


def test_product_of_lines_is_a_plane():
    plane = grid_adjacency(np.ones((4, 6)), 4)
    product = combine_adjacency(4, line_adjacency(6))
    np.testing.assert_array_equal(product.toarray(), plane.toarray())


def test_a_checked_graph_is_tidy():
    rows, columns = [0, 1, 1, 2, 2, 1], [1, 0, 2, 1, 2, 0]
    messy = coo_array((np.array([1, 1, 2, 2, 5, 0.5]), (rows, columns)), shape=(3, 3))
    for given in (messy, csr_array(messy), messy.toarray()):
        graph = check_adjacency(given, 3)
        np.testing.assert_array_equal(graph.toarray(), line_adjacency(3).toarray())
        assert graph.indices.dtype == graph.indptr.dtype == np.int32


@pytest.mark.parametrize(
    ("adjacency", "match"),
    [
        (line_adjacency(5), "spans 5 places, but the scores have 4: time .4.*same order"),
        (csr_array(np.triu(np.ones((4, 4)), 1)), "not symmetric: 6 pairs.*adjacency.T"),
        (csr_array(np.eye(4)), "joins no two places.*sign_flip_test"),
        (csr_array((3, 4)), "must be square"),
        ([[0, 1], [1, 0]], "is no graph"),
        (None, "is no graph"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(adjacency, match):
    with pytest.raises(InputError, match=match):
        check_adjacency(adjacency, 4, "time (4)")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: grid_adjacency(np.zeros((2, 2, 2)), 6), "at least one place inside"),
        (lambda: grid_adjacency(np.ones((2, 2, 2, 2)), 6), "one to three dimensions"),
        (lambda: grid_adjacency(np.ones((2, 2, 2)), 8), "allowed: 6, 18, 26"),
        (lambda: line_adjacency(0), "not a valid number"),
        (lambda: line_adjacency(2.5), "whole number"),
        (lambda: combine_adjacency(), "no graph was given"),
    ],
)
def test_refusals(call, match):
    with pytest.raises(InputError, match=match):
        call()


def test_one_sample_has_no_neighbours():
    assert line_adjacency(1).nnz == 0
