"""fsaverage5 from nilearn's own files: what is there, what is refused, where the cortex ends."""

from __future__ import annotations

import numpy as np
import pytest
from nilearn import datasets
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.csgraph import connected_components

from neurodnn import InputError, disc_neighbors, fsaverage_cortex, load_fsaverage, vertex_adjacency
from neurodnn.brain.fsaverage import SURFACES, fsaverage_shape


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_has_the_same_vertices_on_its_side(side, surface):
    mesh = load_fsaverage(side, surface=surface)
    assert mesh.n_vertices == 10242 and mesh.hemisphere == side
    if surface in ("midthickness", "white", "pial"):
        assert np.sign(np.median(mesh.coordinates[:, 0])) == (-1 if side == "left" else 1)
        assert_array_equal(mesh.faces, load_fsaverage(side, surface="inflated").faces)
    else:
        with pytest.raises(InputError, match=f"fsaverage5 {surface} {side}: is {surface}"):
            disc_neighbors(mesh)


def test_midthickness_lies_in_the_middle_and_the_files_are_nilearns():
    surfaces = ("white", "midthickness", "pial")
    white, middle, pial = (load_fsaverage("R", surface=surface) for surface in surfaces)
    theirs = datasets.load_fsaverage("fsaverage5")
    assert_array_equal(pial.coordinates, theirs["pial"].parts["right"].coordinates)
    assert_allclose(middle.coordinates - white.coordinates, pial.coordinates - middle.coordinates,
                    atol=1e-12)  # fmt: skip


def test_a_mesh_may_be_changed_without_changing_the_next_one():
    load_fsaverage("left").coordinates[:] = 0
    assert load_fsaverage("left").coordinates.any()


@pytest.mark.parametrize(("arguments", "words"), [
    (("middle", {}), "hemisphere='middle' is not known"),
    (("left", {"surface": "smoothwm"}), "surface='smoothwm' is not known"),
    (("left", {"density": "fsaverage6"}), "fsaverage6.*Give the path of your .surf.gii"),
])  # fmt: skip
def test_what_is_not_shipped_is_refused(arguments, words):
    side, options = arguments
    with pytest.raises(InputError, match=words):
        load_fsaverage(side, **options)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_medial_wall_is_one_thin_patch_at_the_midline(side):
    cortex = fsaverage_cortex(side)
    thickness = fsaverage_shape(side, "thickness")
    mesh = load_fsaverage(side)
    wall = ~cortex
    assert 0.05 < wall.mean() < 0.09
    assert (thickness[wall] < 1.0).mean() > 0.98  # enclosed islands may be thicker
    assert (thickness[cortex] >= 1.0).mean() > 0.998
    assert np.abs(mesh.coordinates[wall, 0]).max() < 40
    assert np.median(np.abs(mesh.coordinates[wall, 0])) < 15
    assert connected_components(vertex_adjacency(mesh, mask=wall))[0] == 1
    assert connected_components(vertex_adjacency(mesh, mask=cortex))[0] == 1
