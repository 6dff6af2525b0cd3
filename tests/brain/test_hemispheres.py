"""Both hemispheres as one analysis: joined in one order, never exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rsatoolbox.data import Dataset
from scipy.spatial import ConvexHull

from neurodnn import InputError, disc_neighbors, join_hemispheres
from neurodnn.brain.discs import pattern_discs
from neurodnn.brain.hemispheres import by_hemisphere, hemisphere_sides, joined_patterns
from neurodnn.brain.mesh import Mesh


def ball(seed, n, side=""):
    points = np.random.default_rng(seed).normal(size=(n, 3))
    points *= 30 / np.linalg.norm(points, axis=1, keepdims=True)
    return Mesh(points, ConvexHull(points).simplices, hemisphere=side)


def patterns(n, names=("a", "b", "c", "d"), vertex=None):
    channels = {} if vertex is None else {"vertex": np.asarray(vertex)}
    return Dataset(np.random.default_rng(n).normal(size=(len(names), n)),
                   obs_descriptors={"stimulus": list(names)}, channel_descriptors=channels)


def test_discs_of_both_are_the_blocks_of_each():
    left, right = ball(0, 150), ball(1, 120)
    keep = {"right": right.coordinates[:, 0] > -10, "left": left.coordinates[:, 1] > -10}
    both = disc_neighbors({"right": right, "left": left}, 15.0, mask=keep).toarray()
    one = disc_neighbors(left, 15.0, mask=keep["left"]).toarray()
    other = disc_neighbors(right, 15.0, mask=keep["right"]).toarray()
    n = len(one)
    assert_array_equal(both[:n, :n], one)
    assert_array_equal(both[n:, n:], other)
    assert not both[:n, n:].any() and not both[n:, :n].any()


def test_patterns_stand_side_by_side_with_their_vertices():
    left, right = patterns(3, vertex=[4, 7, 9]), patterns(2)
    both = join_hemispheres({"right": right, "left": left})
    assert_array_equal(both.measurements, np.hstack([left.measurements, right.measurements]))
    assert_array_equal(both.channel_descriptors["vertex"], [4, 7, 9, 0, 1])
    assert both.channel_descriptors["hemisphere"] == ["left"] * 3 + ["right"] * 2
    assert both.obs_descriptors["stimulus"] == ["a", "b", "c", "d"]


def test_observations_in_another_order_are_refused():
    with pytest.raises(InputError, match="right hemisphere differ"):
        join_hemispheres({"left": patterns(3), "right": patterns(2, ("b", "a", "c", "d"))})
    with pytest.raises(InputError, match="right hemisphere differ"):
        join_hemispheres({"left": patterns(3), "right": patterns(2, ("a", "b", "c"))})


@pytest.mark.parametrize("keys", [("L", "left"), ("left", "rigth"), ()])
def test_hemispheres_named_wrongly_are_refused(keys):
    with pytest.raises(InputError, match="hemisphere|mesh"):
        by_hemisphere(dict.fromkeys(keys, 1), "mesh")


def test_an_exchanged_mesh_is_refused():
    with pytest.raises(InputError, match="belongs to the right hemisphere.*left one"):
        hemisphere_sides({"left": ball(0, 30, "right"), "right": ball(1, 30)})


def test_patterns_and_mesh_must_have_one_form():
    mesh = ball(0, 30)
    with pytest.raises(InputError, match="patterns: and mesh do not both name hemispheres"):
        joined_patterns(patterns(30), {"left": mesh})
    with pytest.raises(InputError, match="patterns: has other hemispheres"):
        joined_patterns({"left": patterns(30)}, {"left": mesh, "right": mesh})


def test_discs_with_too_few_usable_patterns_are_left_out():
    mesh, data = ball(2, 200), patterns(200)
    lost = mesh.coordinates[:, 2] > 5
    data.measurements[1, lost] = np.nan
    full = disc_neighbors(mesh, 15.0).toarray()
    share = (full & ~lost).sum(axis=1) / full.sum(axis=1)
    found = pattern_discs(data, mesh, 15.0, min_share=0.5).toarray()
    assert_array_equal(found, full & (share >= 0.5)[:, None])
    with pytest.raises(InputError, match="not the 200 kept vertices"):
        pattern_discs(patterns(199), mesh, 15.0)
    with pytest.raises(InputError, match="not the 199 kept vertices"):
        pattern_discs(patterns(199), mesh, 15.0, mask=np.arange(200) != 0)
