"""Adjacency: against counting by hand, SciPy's labels and MNE's; masks, hemispheres, faults."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from neurodnn import InputError, vertex_adjacency, voxel_adjacency
from neurodnn.brain.fsaverage import fsaverage_cortex, load_fsaverage
from neurodnn.brain.mesh import Mesh

STEPS = {6: 1, 18: 2, 26: 3}  # squared length of the longest step, in voxels


@pytest.fixture(scope="module")
def mask():
    inside = np.random.default_rng(0).random((7, 8, 6)) < 0.35
    affine = np.array([[0, 2.0, 0, -5], [-3.0, 0, 0, 4], [0, 0, 4.0, 1], [0, 0, 0, 1]])
    return nibabel.Nifti1Image(inside.astype("u1"), affine)


@pytest.fixture(scope="module")
def ball():
    points = np.random.default_rng(0).normal(size=(200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return Mesh(points, ConvexHull(points).simplices)


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_voxels_touch_within_the_step(mask, connectivity):
    index = np.argwhere(np.asarray(mask.dataobj) > 0)
    apart = ((index[:, None] - index[None]) ** 2).max(axis=2)
    squared = ((index[:, None] - index[None]) ** 2).sum(axis=2)
    expected = (apart == 1) & (squared <= STEPS[connectivity])
    found = voxel_adjacency(mask, connectivity=connectivity)
    assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_components_are_the_clusters_of_scipy(mask, connectivity):
    inside = np.asarray(mask.dataobj) > 0
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    labels, n = ndimage.label(inside, structure)
    count, found = connected_components(voxel_adjacency(mask, connectivity=connectivity))
    assert count == n
    pairs = {pair for pair in zip(labels[inside], found, strict=True)}
    assert len(pairs) == n


def test_the_default_of_voxels_is_18(mask):
    assert_array_equal(
        voxel_adjacency(mask).toarray(), voxel_adjacency(mask, connectivity=18).toarray()
    )


@pytest.mark.parametrize("wrong", [4, "18", 18.5, True, None])
def test_other_connectivities_are_refused(mask, wrong):
    with pytest.raises(InputError, match="connectivity: is not known.*6, 18, 26"):
        voxel_adjacency(mask, connectivity=wrong)


def test_vertices_touch_where_a_triangle_joins_them(ball):
    expected = np.zeros((200, 200), bool)
    for face in ball.faces:
        for one in face:
            for other in face:
                expected[one, other] |= one != other
    found = vertex_adjacency(ball)
    assert_array_equal(found.toarray(), expected)
    assert found.dtype == bool and found.has_sorted_indices and not found.diagonal().any()
    some = ball.coordinates[:, 2] > 0
    assert_array_equal(vertex_adjacency(ball, mask=some).toarray(), expected[np.ix_(some, some)])


def test_vertices_of_fsaverage_touch_as_in_mne():
    mne = pytest.importorskip("mne")
    mesh = load_fsaverage("left")
    theirs = mne.spatial_tris_adjacency(mesh.faces).tocsr()
    theirs.setdiag(0)
    theirs.eliminate_zeros()
    ours = vertex_adjacency(mesh)
    assert ours.nnz == theirs.nnz
    assert (ours != theirs.astype(bool)).nnz == 0


def test_both_hemispheres_are_blocks_and_nothing_crosses():
    meshes = {side: load_fsaverage(side) for side in ("right", "left")}  # order does not count
    masks = {side: fsaverage_cortex(side) for side in meshes}
    both = vertex_adjacency(meshes, mask=masks)
    left, right = (vertex_adjacency(meshes[s], mask=masks[s]) for s in ("left", "right"))
    n = left.shape[0]
    assert both.shape == (n + right.shape[0],) * 2
    assert (both[:n, :n] != left).nnz == 0 and (both[n:, n:] != right).nnz == 0
    assert both[:n, n:].nnz == 0
    # the cortex of a hemisphere is one piece
    assert connected_components(both)[0] == 2


def test_masks_of_another_form_or_size_are_refused(ball):
    for wrong in (np.ones(199, bool), np.ones((200, 1), bool), np.zeros(200, bool), ["a"] * 200):
        with pytest.raises(InputError, match="one truth value per vertex"):
            vertex_adjacency(ball, mask=wrong)
    with pytest.raises(InputError, match="NaN, which is neither in nor out"):
        vertex_adjacency(ball, mask=np.r_[np.nan, np.ones(199)])
    with pytest.raises(InputError, match="mask: names hemispheres, the mesh does not"):
        vertex_adjacency(ball, mask={"left": np.ones(200)})
    with pytest.raises(InputError, match="mask: does not say which hemisphere"):
        vertex_adjacency({"left": ball, "right": ball}, mask=np.ones(200))
    with pytest.raises(InputError, match="mask: has other hemispheres than the mesh"):
        vertex_adjacency({"left": ball}, mask={"right": np.ones(200)})
