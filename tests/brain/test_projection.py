"""Volumes to surfaces: mm through the affine, edges of the mask neither bent nor filled."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine, from_matvec
from nibabel.gifti import GiftiCoordSystem, GiftiDataArray, GiftiImage
from nilearn.surface import InMemoryMesh, vol_to_surf
from numpy.testing import assert_allclose, assert_array_equal
from rsatoolbox.data import Dataset
from scipy.ndimage import map_coordinates

from neurodnn import InputError, disc_neighbors, load_fsaverage, project_patterns
from neurodnn.brain.mesh import Mesh
from neurodnn.brain.projection import project_image

TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
AFFINE = from_matvec(TURN @ np.diag([2.0, 3.0, 2.5]), [1.0, -20.0, 7.0])
SHAPE = (12, 10, 11)


@pytest.fixture(scope="module")
def ribbon():
    """White and pial of 60 vertices well inside an oblique, anisotropic volume."""
    rng = np.random.default_rng(1)
    index = rng.uniform(3, np.array(SHAPE) - 4, size=(60, 3))
    white = apply_affine(AFFINE, index)
    pial = white + rng.normal(size=(60, 3))
    faces = rng.permuted(np.tile(np.arange(60), (80, 1)), axis=1)[:, :3]
    return Mesh(white, faces), Mesh(pial, faces)


def whole(shape=SHAPE, affine=AFFINE):
    return nibabel.Nifti1Image(np.ones(shape, "u1"), affine)


def dataset(volumes, inside):
    names = [f"s{i}" for i in range(len(volumes))]
    return Dataset(np.array([v[inside] for v in volumes]), obs_descriptors={"stimulus": names})


def linear(affine=AFFINE, shape=SHAPE):
    world = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    return world @ [0.3, -0.2, 0.7] + 5


def test_a_linear_field_in_mm_is_read_at_the_middle_of_the_ribbon(ribbon):
    white, pial = ribbon
    patterns = dataset([linear(), 2 * linear()], np.ones(SHAPE, bool))
    found = project_patterns(patterns, whole(), pial, white=white)
    truth = (white.coordinates + pial.coordinates) / 2 @ [0.3, -0.2, 0.7] + 5
    assert_allclose(found.measurements, [truth, 2 * truth], rtol=1e-10)
    assert found.obs_descriptors["stimulus"] == ["s0", "s1"]
    assert_array_equal(found.channel_descriptors["vertex"], np.arange(60))


def test_any_volume_is_the_mean_of_interpolated_points(ribbon):
    white, pial = ribbon
    volume = np.random.default_rng(2).normal(size=SHAPE)
    found = project_patterns(dataset([volume], volume < 9), whole(), pial, white=white, n_samples=7)
    depth = np.linspace(0, 1, 7)[:, None, None]
    points = white.coordinates * (1 - depth) + pial.coordinates * depth
    index = apply_affine(np.linalg.inv(AFFINE), points)
    wanted = map_coordinates(volume, np.moveaxis(index, -1, 0), order=1).mean(axis=0)
    assert_allclose(found.measurements[0], wanted, atol=1e-10)
    assert_allclose(project_image(nibabel.Nifti1Image(volume, AFFINE), pial, white=white,
                                  n_samples=7), wanted, atol=1e-10)  # fmt: skip


def test_without_a_white_surface_points_lie_along_the_normals_as_in_nilearn():
    mesh = load_fsaverage("left", surface="pial")
    shape, affine = (20, 26, 22), from_matvec(8 * np.eye(3), [-80, -110, -60])
    volume = np.random.default_rng(3).normal(size=shape)
    image = nibabel.Nifti1Image(volume, affine)
    theirs = vol_to_surf(image, InMemoryMesh(mesh.coordinates.copy(), mesh.faces), kind="line",
                         radius=2.0, n_samples=5)  # fmt: skip
    ours = project_image(image, mesh, radius=2.0, n_samples=5)
    assert_allclose(ours, theirs, atol=1e-10)


def test_edges_of_the_mask_do_not_bend_values(ribbon):
    white, pial = ribbon
    inside = np.zeros(SHAPE, bool)
    inside[:6] = True
    mask = nibabel.Nifti1Image(inside.astype("u1"), AFFINE)
    found = project_patterns(dataset([np.full(SHAPE, 7.0)], inside), mask, pial, white=white)
    values = found.measurements[0]
    depth = np.linspace(0, 1, 10)[:, None, None]
    points = white.coordinates * (1 - depth) + pial.coordinates * depth
    index = apply_affine(np.linalg.inv(AFFINE), points)
    share = map_coordinates(inside.astype(float), np.moveaxis(index, -1, 0), order=1).mean(axis=0)
    assert_array_equal(np.isnan(values), share < 0.5)
    assert ((share > 0.5) & (share < 0.99)).any()  # some vertices do lie at the edge
    assert_allclose(values[share >= 0.5], 7.0, rtol=1e-12)
    strict = project_patterns(dataset([np.full(SHAPE, 7.0)], inside), mask, pial, white=white,
                              min_share=1.0)  # fmt: skip
    assert_array_equal(np.isnan(strict.measurements[0]), share < 1 - 1e-9)


def test_voxels_without_a_value_in_one_observation_take_no_part_in_any(ribbon):
    white, pial = ribbon
    volumes = [np.full(SHAPE, 3.0), np.full(SHAPE, 4.0)]
    volumes[1][7:] = np.nan
    everywhere = np.ones(SHAPE, bool)
    found = project_patterns(dataset(volumes, everywhere), whole(), pial, white=white)
    lost = np.isnan(found.measurements)
    assert_array_equal(lost[0], lost[1])
    assert 0 < lost[0].sum() < 60
    assert_allclose(found.measurements[:, ~lost[0]], np.full((2, (~lost[0]).sum()), [[3.0], [4.0]]))


def test_every_storage_of_one_volume_gives_the_same_surface(ribbon):
    white, pial = ribbon
    image = nibabel.Nifti1Image(np.random.default_rng(4).normal(size=SHAPE), AFFINE)
    expected = project_image(image, pial, white=white)
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            turned = image.as_reoriented(np.array(list(zip(order, signs, strict=True))))
            assert_allclose(project_image(turned, pial, white=white), expected, atol=1e-10)


def test_an_effect_on_the_right_stays_on_the_right():
    shape, affine = (20, 26, 22), from_matvec(np.diag([-8.0, 8, 8]), [76, -110, -60])
    world = apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    blob = np.exp(-((world - [40, -50, -16]) ** 2).sum(axis=-1) / 400)
    image = nibabel.Nifti1Image(blob, affine)
    left, right = (
        project_image(image, load_fsaverage(side, surface="pial"),
                      white=load_fsaverage(side, surface="white")) for side in ("left", "right")
    )  # fmt: skip
    assert np.nanmax(right) > 0.7 and np.nanmax(left) < 0.05
    peak = load_fsaverage("right").coordinates[np.nanargmax(right)]
    assert np.linalg.norm(peak - [40, -50, -16]) < 8


def test_vertices_beyond_the_volume_are_nan_and_one_slice_is_enough(ribbon):
    white, pial = ribbon
    affine = AFFINE @ from_matvec(np.eye(3), [0, 0, 5])
    slab = nibabel.Nifti1Image(np.full((12, 10, 1), 2.0), affine)
    found = project_image(slab, pial, white=white, min_share=0.6)
    assert np.isnan(found).any() and np.isfinite(found).any()
    assert_allclose(found[np.isfinite(found)], 2.0)


def test_storage_mask_and_blocks_change_nothing(ribbon):
    white, pial = ribbon
    rng = np.random.default_rng(5)
    patterns = Dataset(rng.normal(size=(35, 1320)).astype("f4"),
                       obs_descriptors={"stimulus": [f"s{i}" for i in range(35)]})  # fmt: skip
    found = project_patterns(patterns, whole(), pial, white=white)
    assert found.measurements.dtype == np.float32
    keep = np.arange(60) % 3 == 0
    some = project_patterns(patterns, whole(), pial, white=white, mask=keep)
    assert_array_equal(some.measurements, found.measurements[:, keep])
    assert_array_equal(some.channel_descriptors["vertex"], np.flatnonzero(keep))
    last = project_patterns(Dataset(patterns.measurements[-1:]), whole(), pial, white=white)
    assert_array_equal(last.measurements, found.measurements[-1:])


def test_what_does_not_fit_is_refused(ribbon):
    white, pial = ribbon
    patterns = dataset([linear()], np.ones(SHAPE, bool))
    other = load_fsaverage("left", surface="white")
    with pytest.raises(InputError, match="not surfaces of the same vertices.*10242 and 60"):
        project_patterns(patterns, whole(), pial, white=other)
    with pytest.raises(InputError, match="belongs to the left hemisphere"):
        project_patterns(patterns, whole(), load_fsaverage("right", surface="pial"), white=other)
    with pytest.raises(InputError, match="is inflated: its vertices do not lie in the brain"):
        project_patterns(patterns, whole(), load_fsaverage("left", surface="inflated"))
    with pytest.raises(InputError, match="1320 channels do not fit a mask of 1200"):
        project_patterns(patterns, whole((12, 10, 10)), pial)
    with pytest.raises(InputError, match="image: holds no finite value"):
        project_image(nibabel.Nifti1Image(np.full(SHAPE, np.nan), AFFINE), pial)
    with pytest.raises(InputError, match="n_samples"):
        project_patterns(patterns, whole(), pial, n_samples=0)


def test_points_that_wait_for_a_transformation_are_refused(ribbon, tmp_path):
    white, _ = ribbon
    for number, shift in enumerate((0.0, 12.5)):
        system = GiftiCoordSystem(xform=from_matvec(np.eye(3), [shift, 0, 0]))
        arrays = [
            GiftiDataArray(white.coordinates.astype("f4"), intent="NIFTI_INTENT_POINTSET",
                           coordsys=system),
            GiftiDataArray(white.faces.astype("i4"), intent="NIFTI_INTENT_TRIANGLE"),
        ]  # fmt: skip
        GiftiImage(darrays=arrays).to_filename(tmp_path / f"{number}.surf.gii")
    image = nibabel.Nifti1Image(linear(), AFFINE)
    assert np.isfinite(project_image(image, tmp_path / "0.surf.gii", radius=1.0)).all()
    with pytest.raises(InputError, match="names a transformation of its coordinates"):
        project_image(image, tmp_path / "1.surf.gii", radius=1.0)
    assert disc_neighbors(tmp_path / "1.surf.gii", 3.0).shape == (60, 60)  # not needed here
