"""Source spaces: discs against all distances, adjacency against MNE, coordinates."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components, dijkstra
from small_cortex import small_forward, small_inverse

from neurodnn import InputError
from neurodnn.brain.fsaverage import load_fsaverage
from neurodnn.brain.source import source_adjacency, source_meshes, source_neighbors
from neurodnn.simulate.meg_cortex import source_space


def test_discs_hold_what_is_near_along_the_whole_surface():
    src = source_space(3)
    found = source_neighbors(src, 25.0)
    first = src[0]["nuse"]
    assert found.shape == (first + src[1]["nuse"],) * 2
    assert found[:first][:, first:].nnz == 0
    assert (found != found.T).nnz == 0
    for side, offset in ((0, 0), (1, first)):
        mesh = load_fsaverage(("left", "right")[side])
        used = src[side]["vertno"]
        for place in (0, 100, 300):
            far = dijkstra(mesh.paths(), indices=used[place])[used]
            row = found[[offset + place]].indices - offset
            assert np.array_equal(np.sort(row), np.flatnonzero(far <= 25.0))
            assert row.size > 10


def test_an_operator_has_the_discs_and_the_coordinates_of_its_surface():
    src, inverse, forward = source_space(3), small_inverse(), small_forward()
    assert inverse["src"][0]["coord_frame"] == 4
    for other in (inverse, forward):
        assert (source_neighbors(src, 25.0) != source_neighbors(other, 25.0)).nnz == 0
        meshes = source_meshes(other)
        for side in ("left", "right"):
            points = load_fsaverage(side).coordinates
            np.testing.assert_allclose(meshes[side].coordinates, points, atol=1e-3)  # float32 head
            assert meshes[side].hemisphere == side


def test_adjacency_is_that_of_mne():
    src = source_space(3)
    expected = mne.spatial_src_adjacency(src, verbose="ERROR").toarray() > 0
    np.fill_diagonal(expected, False)
    found = source_adjacency(src).toarray()
    assert np.array_equal(found, expected)


def test_adjacency_of_all_vertices_is_that_of_the_surface():
    src = source_space(5)
    for side in src:
        side["use_tris"], side["nuse_tri"] = None, 0
    found = source_adjacency(src)
    edges = load_fsaverage("left").edges()[src[0]["vertno"]][:, src[0]["vertno"]]
    n = src[0]["nuse"]
    assert (found[:n][:, :n] != (edges > 0)).nnz == 0


def test_sources_without_triangles_touch_through_their_regions():
    src = source_space(3)
    expected = source_adjacency(src).toarray()
    for side in src:
        side["use_tris"], side["nuse_tri"] = None, 0
    found = source_adjacency(src).toarray()
    assert np.array_equal(found, found.T) and not found.diagonal().any()
    assert connected_components(found)[0] == 2
    share = (found & expected).sum() / expected.sum()
    assert share > 0.95  # regions of a folded surface miss an edge here and there


def test_the_mesh_of_the_sources_alone():
    src = source_space(3)
    mesh = source_meshes(src, decimated=True)["right"]
    np.testing.assert_allclose(mesh.coordinates, 1000 * src[1]["rr"][src[1]["vertno"]])
    for side in src:
        side["use_tris"], side["nuse_tri"] = None, 0
    with pytest.raises(InputError, match="no triangles between the sources"):
        source_meshes(src, decimated=True)


def test_what_has_no_surface_is_refused():
    volume = mne.setup_volume_source_space(pos=40.0, sphere=(0, 0, 0, 0.08), verbose="ERROR")
    with pytest.raises(InputError, match="is no surface"):
        source_neighbors(volume)
    with pytest.raises(InputError, match="is no source space"):
        source_adjacency([1, 2])
    turned = mne.SourceSpaces(list(source_space(3))[::-1])
    with pytest.raises(InputError, match="left hemisphere, then the right"):
        source_neighbors(turned)


@pytest.mark.parametrize("radius, word", [(0.02, "20 mm are 20"), (-3, "radius"),
                                          (np.nan, "radius"), (2.0, "no disc holds a second")])  # fmt: skip
def test_radii_that_cannot_be_meant_are_refused(radius, word):
    with pytest.raises(InputError, match=word):
        source_neighbors(source_space(3), radius)


def test_one_hemisphere_alone():
    src = mne.SourceSpaces(source_space(3)[1:])
    n = src[0]["nuse"]
    assert source_neighbors(src).shape == (n, n) == source_adjacency(src).shape
    assert list(source_meshes(src)) == ["right"]
