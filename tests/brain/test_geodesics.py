"""Ways along a surface: exact across two triangles, near the truth where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import Delaunay

from neurodnn.brain.fsaverage import load_fsaverage
from neurodnn.brain.mesh import Mesh


def folded(angle, tip=0.5):
    """Two triangles that share the edge from 0 to 1, the second one folded up by an angle."""
    second = [tip, 0.8 * np.cos(angle), 0.8 * np.sin(angle)]
    return Mesh([[0, 0, 0], [1, 0, 0], [0.4, -0.6, 0], second], [[0, 1, 2], [1, 0, 3]])


@pytest.mark.parametrize("angle", [0.0, 0.7, 2.0, 3.0])
def test_the_way_across_an_edge_does_not_feel_the_fold(angle):
    assert_allclose(folded(angle).paths()[2, 3], np.hypot(0.1, 1.4), rtol=1e-12)


def test_a_line_that_misses_the_edge_is_no_way():
    mesh = folded(0.0, tip=3.0)
    assert mesh.paths()[2, 3] == 0
    assert mesh.paths().nnz == mesh.edges().nnz


@pytest.mark.parametrize("faces", [[[0, 1, 2]], [[0, 1, 2], [0, 1, 2]],
                                   [[0, 1, 2], [1, 0, 3], [0, 1, 4]]])  # fmt: skip
def test_borders_doubled_triangles_and_seams_of_three_add_nothing(faces):
    points = [[0, 0, 0], [1, 0, 0], [0.4, -0.6, 0], [0.4, 0.6, 0], [0.4, 0, 0.6]]
    mesh = Mesh(points, faces)
    assert mesh.paths().nnz == mesh.edges().nnz


def test_of_an_edge_and_a_way_across_the_shorter_one_counts():
    # A tetrahedron: every pair of tips across an edge is joined by an edge as well.
    mesh = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
                [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])  # fmt: skip
    assert_allclose(mesh.paths().toarray(), mesh.edges().toarray(), rtol=1e-12)


def test_paths_on_a_plane_are_never_shorter_than_straight_and_little_longer():
    points = np.random.default_rng(0).uniform(0, 30, size=(1500, 2))
    mesh = Mesh(np.c_[points, np.zeros(1500)], Delaunay(points).simplices)
    inner = np.flatnonzero((np.abs(points - 15) < 6).all(axis=1))
    length = dijkstra(mesh.paths(), indices=inner)
    straight = np.linalg.norm(points[inner, None] - points[None], axis=2)
    near = (straight > 3) & (straight < 9)
    ratio = length[near] / straight[near]
    assert ratio.min() >= 1 - 1e-12
    assert ratio.mean() < 1.03
    assert (dijkstra(mesh.edges(), indices=inner)[near] / straight[near]).mean() > 1.04


def test_even_triangles_keep_to_the_bound_that_the_docstring_states():
    i, j = np.meshgrid(np.arange(41), np.arange(41), indexing="ij")
    points = np.stack([i + 0.5 * j, j * np.sqrt(0.75), 0.0 * i], axis=-1).reshape(-1, 3)
    corner = (i[:-1, :-1] * 41 + j[:-1, :-1]).ravel()
    faces = np.concatenate([np.stack([corner, corner + 41, corner + 1], axis=1),
                            np.stack([corner + 41, corner + 42, corner + 1], axis=1)])  # fmt: skip
    mesh, centre = Mesh(points, faces), 20 * 41 + 20
    straight = np.linalg.norm(points - points[centre], axis=1)
    near = (straight > 0) & (straight < 9)
    ratios = [dijkstra(graph, indices=centre)[near] / straight[near]
              for graph in (mesh.paths(), mesh.edges())]  # fmt: skip
    assert 1.02 < ratios[0].max() <= 1.036  # 1 / cos(15 degrees) = 1.0353
    assert_allclose(ratios[1].max(), 2 / np.sqrt(3), atol=0.002)  # nearest direction of a lattice


def test_paths_on_the_sphere_of_fsaverage_are_near_great_circles():
    sphere = load_fsaverage("left", surface="sphere")
    points = sphere.coordinates / np.linalg.norm(sphere.coordinates, axis=1, keepdims=True)
    mesh, rows = Mesh(100 * points, sphere.faces), [0, 5000, 9000]
    circle = 100 * np.arccos(np.clip(points[rows] @ points.T, -1, 1))
    near = (circle > 10) & (circle < 40)
    ratio = dijkstra(mesh.paths(), indices=rows, limit=60)[near] / circle[near]
    assert 0.999 < ratio.min() and ratio.mean() < 1.03 and ratio.max() < 1.06
