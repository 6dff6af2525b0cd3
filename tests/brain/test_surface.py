"""Meshes, geodesic discs, and maps on surfaces."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import xarray as xr
from nibabel.gifti import GiftiDataArray, GiftiImage
from nilearn.datasets import load_fsaverage
from numpy.testing import assert_array_equal
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import ConvexHull

from neurodnn import DataWarning, InputError
from neurodnn.brain.surface import (
    Mesh,
    disc_neighbors,
    load_surface_patterns,
    read_gifti,
    read_mesh,
    scores_to_surface,
)


@pytest.fixture(scope="module")
def ball():
    """400 vertices on a sphere of 30 mm, unevenly spaced, triangulated."""
    points = np.random.default_rng(0).normal(size=(400, 3))
    points *= 30 / np.linalg.norm(points, axis=1, keepdims=True)
    return Mesh(points, ConvexHull(points).simplices)


def brute(mesh, radius):
    return dijkstra(mesh.paths()) <= radius + 1e-9


@pytest.mark.parametrize("radius", [0.5, 7.0, 20.0, 200.0])
def test_discs_equal_all_shortest_paths(ball, radius):
    discs = disc_neighbors(ball, radius)
    assert_array_equal(discs.toarray(), brute(ball, radius))
    assert discs.has_sorted_indices and discs.indices.dtype == np.int32


def test_discs_hold_their_centre_are_symmetric_and_grow(ball):
    small, large = (disc_neighbors(ball, r).toarray() for r in (6.0, 9.0))
    assert small.diagonal().all()
    assert_array_equal(small, small.T)
    assert (large | ~small).all() and large.sum() > small.sum()


def test_a_disc_does_not_jump_across_a_fold():
    # Two sheets 1 mm apart, joined along one edge: near in space, far along the surface.
    x, y = np.meshgrid(np.arange(12.0), np.arange(6.0), indexing="ij")
    top, bottom = (np.stack([x, y, np.full_like(x, z)], -1).reshape(-1, 3) for z in (0, 1.0))
    corner = (6 * np.arange(11)[:, None] + np.arange(5)).reshape(-1, 1)
    faces = np.concatenate([corner + [0, 1, 6], corner + [1, 6, 7]])
    faces = np.concatenate([faces, faces + 72])
    step = np.arange(5)[:, None]
    seam = np.concatenate([step + [0, 1, 72], step + [1, 72, 73]])
    mesh = Mesh(np.concatenate([top, bottom]), np.concatenate([faces, seam]))
    far = 10 * 6 + 3
    row = disc_neighbors(mesh, 3.0)[[far]].indices
    assert row.max() < 72 and row.size > 10
    near = disc_neighbors(mesh, 3.0)[[0]].indices
    assert near.max() >= 72


def test_a_mask_limits_centres_and_members_not_paths(ball):
    mask = ball.coordinates[:, 0] < 10
    everything = brute(ball, 20.0)
    expected = everything[np.ix_(mask, mask)]
    discs = disc_neighbors(ball, 20.0, mask=mask, min_share=0)
    assert_array_equal(discs.toarray(), expected)
    share = expected.sum(axis=1) / everything[mask].sum(axis=1)
    for least in (0.5, 0.8, 1.0):
        some = disc_neighbors(ball, 20.0, mask=mask, min_share=least).toarray()
        assert_array_equal(some, expected & (share >= least)[:, None])
        assert 0 < some.any(axis=1).sum() < mask.sum()
    for wrong in (mask[:-1], np.zeros(400, bool)):
        with pytest.raises(InputError, match="one truth value per vertex"):
            disc_neighbors(ball, 20.0, mask=wrong)


def test_fsaverage_in_files_and_memory_agrees(tmp_path):
    part = load_fsaverage("fsaverage5")["white_matter"].parts["left"]
    mesh = read_mesh(part)
    assert mesh.n_vertices == 10242
    discs = disc_neighbors(mesh, 8.0)
    rows = [0, 17, 5000, 10241]
    expected = dijkstra(mesh.paths(), indices=rows) <= 8.0 + 1e-9
    assert_array_equal(discs[rows].toarray(), expected)
    arrays = [
        GiftiDataArray(mesh.coordinates.astype("f4"), intent="NIFTI_INTENT_POINTSET"),
        GiftiDataArray(mesh.faces.astype("i4"), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    path = tmp_path / "lh.surf.gii"
    GiftiImage(darrays=arrays).to_filename(path)
    assert_array_equal(read_mesh(path).faces, mesh.faces)


def write(path, arrays):
    GiftiImage(darrays=[GiftiDataArray(np.asarray(a, "f4")) for a in arrays]).to_filename(path)
    return path


def test_maps_of_one_or_many_files_become_patterns(ball, tmp_path):
    data = np.random.default_rng(1).normal(size=(3, 400)).astype("f4")
    data[1, 5] = np.nan
    together = write(tmp_path / "all.func.gii", data)
    apart = [write(tmp_path / f"{i}.shape.gii", data[i : i + 1]) for i in range(3)]
    table = write(tmp_path / "table.func.gii", [data.T])  # one array of several columns
    for files in (together, apart, table):
        patterns = load_surface_patterns(files, ["cat", "dog", "tree"], ball)
        assert_array_equal(patterns.measurements, data.astype(float))
        assert patterns.obs_descriptors == {"stimulus": ["cat", "dog", "tree"]}
    mask = ball.coordinates[:, 2] > 0
    kept = load_surface_patterns(apart, ["a", "a", "b"], ball, runs=["1", "2", "1"], mask=mask)
    assert_array_equal(kept.measurements, data[:, mask])
    assert_array_equal(kept.channel_descriptors["vertex"], np.flatnonzero(mask))
    assert kept.obs_descriptors["run"] == ["1", "2", "1"]
    with pytest.raises(InputError, match="3 volumes but 2 labels"):
        load_surface_patterns(apart, ["a", "b"], ball)
    data[2] = 0
    with pytest.warns(DataWarning, match="nothing but 0 and NaN.*tree"):
        load_surface_patterns(write(together, data), ["cat", "dog", "tree"], ball)


def test_scores_go_back_to_their_vertices(ball, tmp_path):
    mask = ball.coordinates[:, 1] > 0
    scores = np.random.default_rng(2).normal(size=mask.sum())
    image = scores_to_surface(scores, ball, mask=mask, hemisphere="R")
    path = tmp_path / "map.func.gii"
    image.to_filename(path)
    back = read_gifti(path)
    data = back.darrays[0].data
    assert data.dtype == np.float32 and data.shape == (400,)
    assert_array_equal(np.isnan(data), ~mask)
    np.testing.assert_allclose(data[mask], scores, rtol=1e-6)
    assert dict(back.meta) == {"AnatomicalStructurePrimary": "CortexRight"}
    assert isinstance(nib.load(path), GiftiImage)
    with pytest.raises(InputError, match=r"shape \(3,\) do not fit 400 vertices"):
        scores_to_surface(np.zeros(3), ball)


def test_scores_of_both_hemispheres_find_their_own(ball):
    masks = {"left": ball.coordinates[:, 2] > 5, "right": ball.coordinates[:, 2] < 0}
    vertices = [np.flatnonzero(mask) for mask in masks.values()]
    sides = [side for side, own in zip(masks, vertices, strict=True) for _ in own]
    scores = xr.DataArray(
        np.random.default_rng(4).normal(size=len(sides)), dims="vertex",
        coords={"vertex": np.concatenate(vertices), "hemisphere": ("vertex", sides)},
    )  # fmt: skip
    for side, own in zip(masks, vertices, strict=True):
        given_mask = scores_to_surface(scores, ball, mask=masks[side], hemisphere=side)
        image = scores_to_surface(scores, ball, hemisphere=side[0].upper())
        data = image.darrays[0].data
        assert_array_equal(data, given_mask.darrays[0].data)
        assert_array_equal(np.flatnonzero(np.isfinite(data)), own)
        wanted = scores.values[np.array(sides) == side]
        np.testing.assert_allclose(data[own], wanted, rtol=1e-6)  # float32
        assert image.meta["AnatomicalStructurePrimary"] == f"Cortex{side.title()}"
    with pytest.raises(InputError, match="more than one hemisphere"):
        scores_to_surface(scores, ball)
    with pytest.raises(InputError, match="not of the right one"):
        scores_to_surface(scores[: vertices[0].size], ball, hemisphere="right")
    with pytest.raises(InputError, match="not those of the mesh and the mask"):
        scores_to_surface(scores, ball, mask=masks["left"], hemisphere="right")
    left = Mesh(ball.coordinates, ball.faces, "lh", hemisphere="left")
    assert_array_equal(
        scores_to_surface(scores, left).darrays[0].data,
        scores_to_surface(scores, ball, hemisphere="left").darrays[0].data,
    )
    with pytest.raises(InputError, match="belongs to the left hemisphere"):
        scores_to_surface(scores, left, hemisphere="right")


def test_maps_of_the_other_hemisphere_are_refused_though_they_fit(ball, tmp_path):
    image = scores_to_surface(np.ones(400), ball, hemisphere="right")
    image.to_filename(tmp_path / "rh.func.gii")
    left, right = (Mesh(ball.coordinates, ball.faces, hemisphere=s) for s in ("left", "right"))
    with pytest.raises(InputError, match="belongs to the right hemisphere.*Exchange"):
        load_surface_patterns(tmp_path / "rh.func.gii", ["cat"], left)
    assert load_surface_patterns(tmp_path / "rh.func.gii", ["cat"], right).measurements.sum() == 400


@pytest.mark.parametrize(("noted", "shape"), [("Anatomical", ""), ("Inflated", "inflated"),
                                              ("VeryInflated", "inflated"), ("Flat", "flat"),
                                              ("Spherical", "sphere")])  # fmt: skip
def test_meshes_say_what_they_are(ball, tmp_path, noted, shape):
    notes = {"GeometricType": noted, "AnatomicalStructurePrimary": "CortexRight"}
    arrays = [
        GiftiDataArray(ball.coordinates.astype("f4"), intent="NIFTI_INTENT_POINTSET", meta=notes),
        GiftiDataArray(ball.faces.astype("i4"), intent="NIFTI_INTENT_TRIANGLE"),
    ]
    path = tmp_path / "rh.surf.gii"
    GiftiImage(darrays=arrays).to_filename(path)
    mesh = read_mesh(path)
    assert (mesh.hemisphere, mesh.shape) == ("right", shape)
    if shape:
        with pytest.raises(InputError, match=f"is {shape}: distances on it are not"):
            disc_neighbors(path, 5.0)
    else:
        assert disc_neighbors(path, 5.0).shape == (400, 400)


def test_faulty_meshes_are_refused():
    points = np.eye(3)
    with pytest.raises(InputError, match="faces name vertices that are not among the 3"):
        Mesh(points, [[0, 1, 3]])
    with pytest.raises(InputError, match="not all finite"):
        Mesh(points * np.nan, [[0, 1, 2]])
    with pytest.raises(InputError, match="three columns"):
        Mesh(points[:, :2], [[0, 1, 2]])
    with pytest.raises(InputError, match="radius: is not a valid number.*mm"):
        disc_neighbors(Mesh(points, [[0, 1, 2]]), -1)


def test_scores_of_two_sides_without_their_names_are_refused(ball):
    vertices = np.tile(np.arange(ball.n_vertices), 2)
    scores = xr.DataArray(vertices * 1.0, dims="vertex", coords={"vertex": vertices})
    with pytest.raises(InputError, match="hold a vertex more than once"):
        scores_to_surface(scores, ball)
