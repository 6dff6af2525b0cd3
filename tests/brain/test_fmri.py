"""NIfTI to patterns, spheres and regions; scores back to NIfTI."""

from __future__ import annotations

import itertools
import logging
import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.orientations import io_orientation, ornt_transform
from nilearn.masking import apply_mask
from numpy.testing import assert_array_equal
from scipy.spatial.transform import Rotation

from neurodnn import DataWarning, InputError
from neurodnn.brain.fmri import (
    compute_mask,
    load_fmri_patterns,
    read_mask,
    region_patterns,
    scores_to_image,
    sphere_neighbors,
)

AFFINE = np.diag([-3.0, 3.0, 4.0, 1.0])
NAMES = ["cat", "dog", "tree", "house"]


@pytest.fixture
def betas():
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 4)).astype("f4")
    return nib.Nifti1Image(data, AFFINE)


@pytest.fixture
def mask():
    inside = np.random.default_rng(1).random((4, 5, 6)) > 0.4
    return nib.Nifti1Image(inside.astype("u1"), AFFINE)


def save(image, path):
    image.to_filename(path)
    return path


# Patterns


def test_one_image_many_images_and_runs_hold_the_same_patterns(betas, mask, tmp_path):
    expected = apply_mask(betas, mask)
    one = save(betas, tmp_path / "all.nii.gz")
    singles = [save(betas.slicer[..., t], tmp_path / f"{t}.nii") for t in range(4)]
    halves = [save(betas.slicer[..., t : t + 2], tmp_path / f"h{t}.nii.gz") for t in (0, 2)]
    for images in (betas, one, singles, halves, [halves[0], *singles[2:]]):
        patterns = load_fmri_patterns(images, NAMES, mask)
        assert_array_equal(patterns.measurements, expected.astype(float))
        assert patterns.measurements.dtype == np.float64
        assert patterns.obs_descriptors == {"stimulus": NAMES}
    voxels = patterns.channel_descriptors["voxel"]
    assert_array_equal(voxels, np.flatnonzero(np.asarray(mask.dataobj)))


def test_float32_storage_and_scaled_integers(betas, mask, tmp_path):
    betas.set_data_dtype("i2")
    path = save(betas, tmp_path / "int.nii.gz")
    patterns = load_fmri_patterns(path, NAMES, mask, dtype="float32")
    assert patterns.measurements.dtype == np.float32
    assert np.abs(patterns.measurements - apply_mask(betas, mask)).max() < 1e-3


def test_labels_and_runs_from_a_table_or_per_image(betas, mask):
    table = pd.DataFrame({"stimulus": ["cat", "dog"] * 2, "run": [1, 1, 2, 2]})
    labels = load_fmri_patterns(betas, table, mask).obs_descriptors
    assert labels == {"stimulus": ["cat", "dog"] * 2, "run": ["1", "1", "2", "2"]}
    parts = [betas.slicer[..., :2], betas.slicer[..., 2:]]
    assert load_fmri_patterns(parts, ["cat", "dog"] * 2, mask, runs=[1, 2]).obs_descriptors == (
        labels
    )


@pytest.mark.parametrize(
    ("stimuli", "runs", "text"),
    [
        (NAMES[:3], None, "4 volumes but 3 labels"),
        (["cat", "dog", "cat", "dog"], None, "more than one volume.*'cat', 'dog'.*runs="),
        (["cat"] * 2 + NAMES[:2], ["a", "a", "b", "b"], "more than one volume of one run"),
        (["cat", None, "tree", "house"], None, "1 labels are missing.*position 1"),
        (NAMES, ["a", "b", "c"], "4 volumes in 1 images but 3 runs"),
        (pd.DataFrame({"stimuls": NAMES}), None, "no column 'stimulus'.*Did you mean stimuls"),
    ],
)
def test_labels_that_do_not_fit_are_refused(betas, mask, stimuli, runs, text):
    with pytest.raises(InputError, match=text):
        load_fmri_patterns(betas, stimuli, mask, runs=runs)


def test_nan_is_kept_infinity_becomes_nan_and_empty_volumes_are_named(mask):
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 4))
    where = np.argwhere(np.asarray(mask.dataobj))
    data[(*where[3], 1)] = np.nan
    data[(*where[4], 2)] = -np.inf
    data[..., 3] = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patterns = load_fmri_patterns(nib.Nifti1Image(data, AFFINE), NAMES, mask).measurements
    texts = [str(w.message) for w in caught if w.category is DataWarning]
    assert any("infinite values" in text and "got 1" in text for text in texts)
    assert any("nothing but 0 and NaN" in text and "house" in text for text in texts)
    assert np.isnan(patterns[1, 3]) and np.isnan(patterns[2, 4]) and np.isnan(patterns).sum() == 2


def test_images_on_different_grids_are_refused(betas, mask):
    moved = AFFINE.copy()
    moved[2, 3] += 0.01
    other = nib.Nifti1Image(np.asarray(betas.dataobj), moved)
    with pytest.raises(InputError, match="another grid"):
        load_fmri_patterns([betas, other], [*NAMES, *"abcd"], mask)


# Masks


def test_computed_masks_say_so(betas):
    data = np.asarray(betas.dataobj).copy()
    data[0] = 0
    data[1, 0, 0, 2] = np.nan
    with pytest.warns(DataWarning, match=r"No mask was given: it was computed.*\(89 voxels\)"):
        mask = compute_mask(nib.Nifti1Image(data, AFFINE), kind="betas")
    assert np.asarray(mask.dataobj).sum() == 4 * 5 * 6 - 30 - 1
    with pytest.warns(DataWarning, match="No mask was given"):
        assert load_fmri_patterns(betas, NAMES).n_channel == 120
    with pytest.raises(InputError, match="no mask can be computed.*Give a brain mask"):
        compute_mask(nib.Nifti1Image(np.zeros((3, 3, 3, 2), "f4"), AFFINE))


def test_epi_mask_finds_the_bright_ball_and_a_slab_falls_back():
    grid = np.indices((20, 20, 20)) - 9.5
    ball = np.sqrt((grid**2).sum(axis=0)) < 7
    rng = np.random.default_rng(0)
    data = np.abs(rng.normal(20, 5, (20, 20, 20, 5))) + 1000 * ball[..., None]
    with pytest.warns(DataWarning, match="compute_epi_mask"):
        found = np.asarray(compute_mask(nib.Nifti1Image(data, AFFINE)).dataobj) > 0
    assert (found & ball).sum() > 0.9 * ball.sum() and (found & ~ball).sum() < 0.05 * ball.sum()
    with pytest.warns(DataWarning, match="finite and not 0"):
        compute_mask(nib.Nifti1Image(data[:, :, :1], AFFINE))


# Spheres


def test_spheres_in_mm_count_their_voxels_and_say_so(caplog):
    mask = nib.Nifti1Image(np.ones((9, 9, 9), "u1"), np.diag([2.0, 2, 3, 1]))
    for radius, inclusive, count in ((3, 0, 9), (3, 1, 11), (4, 1, 23), (6, 0, 67), (6, 1, 73)):
        with caplog.at_level(logging.DEBUG, "neurodnn"):
            neighbors = sphere_neighbors(mask, radius, inclusive=bool(inclusive))
        assert neighbors.sum(axis=1).max() == count
        assert f"holds up to {count} voxels" in caplog.text
    sizes = sphere_neighbors(mask, 6.0, min_share=1.0).sum(axis=1)
    assert set(np.asarray(sizes).ravel()) == {0, 73}


@pytest.mark.parametrize("swap", [False, True])
def test_oblique_and_permuted_affines_find_71_neighbours(swap):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [30, 20, 40], degrees=True).as_matrix()
    affine[:3, :3] = [[0, 0, 4], [2, 0, 0], [0, 2, 0]] if swap else turn @ np.diag([2, 2, 4])
    mask = nib.Nifti1Image(np.ones((7, 7, 7), "u1"), affine)
    row = sphere_neighbors(mask, 6.1, inclusive=False)[[3 * 49 + 3 * 7 + 3]]
    index = np.array(np.unravel_index(row.indices, (7, 7, 7))).T
    assert row.nnz == 71
    assert (np.linalg.norm((index - 3) @ affine[:3, :3].T, axis=1) < 6.1).all()


def test_smoothing_beyond_half_the_radius_is_a_warning():
    mask = nib.Nifti1Image(np.ones((5, 5, 5), "u1"), AFFINE)
    with pytest.warns(DataWarning, match="smoothed by more than half the radius of 9 mm"):
        sphere_neighbors(mask, 9.0, smoothing_fwhm=5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sphere_neighbors(mask, 9.0, smoothing_fwhm=4.0)


ORIENTATIONS = [
    np.array([order, flips]).T
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


@pytest.fixture(scope="module")
def anisotropic():
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [10, -25, 5], degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([2.0, 3.0, 4.5])
    affine[:3, 3] = (-11, 7, 2)
    rng = np.random.default_rng(3)
    inside = (rng.random((6, 7, 5)) > 0.3).astype("u1")
    # Whole numbers: their sums do not depend on the order of addition.
    values = rng.integers(-99, 99, (6, 7, 5)).astype("f8")
    return nib.Nifti1Image(inside, affine), nib.Nifti1Image(values, affine)


def sphere_sums(mask, values):
    patterns = load_fmri_patterns(values, ["cat"], mask)
    neighbors = sphere_neighbors(mask, 6.0, min_share=0)
    return scores_to_image(neighbors @ patterns.measurements[0], mask)


@pytest.mark.parametrize("target", ORIENTATIONS, ids=lambda o: "".join(map(str, o.ravel())))
def test_48_storage_orientations_give_one_map(anisotropic, target):
    mask, values = anisotropic
    expected = sphere_sums(mask, values)
    turned = sphere_sums(mask.as_reoriented(target), values.as_reoriented(target))
    # Back by the affine alone, as any other program would do it.
    way = ornt_transform(io_orientation(turned.affine), io_orientation(expected.affine))
    back = turned.as_reoriented(way)
    assert np.abs(back.affine - expected.affine).max() < 1e-5
    assert_array_equal(back.get_fdata(), expected.get_fdata())
    assert np.isnan(back.get_fdata()).sum() == (np.asarray(mask.dataobj) == 0).sum()


@pytest.mark.parametrize("flip", [1, -1])
def test_a_blob_on_the_right_stays_on_the_right(flip, tmp_path):
    affine = np.diag([flip * 3.0, 3, 3, 1])
    affine[0, 3] = -flip * 15
    mask = nib.Nifti1Image(np.ones((11, 11, 11), "u1"), affine)
    world = np.array([9.0, 12.0, 15.0])
    place = np.round(nib.affines.apply_affine(np.linalg.inv(affine), world)).astype(int)
    data = np.zeros((11, 11, 11), "f4")
    data[tuple(place)] = 1
    patterns = load_fmri_patterns(nib.Nifti1Image(data, affine), ["cat"], mask)
    path = tmp_path / "map.nii.gz"
    scores_to_image(sphere_neighbors(mask, 3.0) @ patterns.measurements[0], mask).to_filename(path)
    image = nib.load(path)
    found = np.argwhere(image.get_fdata() > 0).mean(axis=0)
    assert_array_equal(nib.affines.apply_affine(image.affine, found), world)


# Regions and maps


def test_regions_take_their_voxels(betas, mask):
    numbers = np.random.default_rng(4).integers(0, 4, (4, 5, 6))
    atlas = nib.Nifti1Image(numbers.astype("u1"), AFFINE)
    patterns = load_fmri_patterns(betas, NAMES, mask)
    regions = region_patterns(patterns, mask, atlas, {2: "V1", 3: "IT"})
    assert list(regions) == ["V1", "IT"]
    chosen = (numbers == 2) & (np.asarray(mask.dataobj) > 0)
    assert_array_equal(regions["V1"].measurements, betas.get_fdata()[chosen].T)
    assert_array_equal(regions["V1"].channel_descriptors["voxel"], np.flatnonzero(chosen))
    assert list(region_patterns(patterns, mask, atlas)) == ["1", "2", "3"]
    with pytest.warns(DataWarning, match=r"without a voxel.*'MT'"):
        assert list(region_patterns(patterns, mask, atlas, {1: "V1", 9: "MT"})) == ["V1"]
    with pytest.raises(InputError, match="no region of the atlas.*MT"):
        region_patterns(patterns, mask, atlas, {9: "MT"})
    with pytest.raises(InputError, match="whole numbers"):
        region_patterns(patterns, mask, nib.Nifti1Image(numbers / 2, AFFINE))


def test_scores_must_fit_the_mask(mask):
    count = int(np.asarray(mask.dataobj).sum())
    with pytest.raises(InputError, match=f"{count - 1} channels do not fit.*{count} voxels"):
        scores_to_image(np.zeros(count - 1), mask)
    with pytest.raises(InputError, match="one score per voxel.*sel"):
        scores_to_image(np.zeros((count, 2)), mask)
    voxels = np.flatnonzero(np.asarray(mask.dataobj))
    scores = xr.DataArray(np.ones(count), dims="voxel", coords={"voxel": voxels})
    image = scores_to_image(scores, mask)
    assert np.isnan(image.get_fdata()).sum() == 120 - count
    with pytest.raises(InputError, match="not those of the mask"):
        scores_to_image(scores.assign_coords(voxel=voxels + 1), mask)


def test_read_mask_gives_zeros_and_ones_on_the_same_grid(mask, tmp_path):
    path = save(mask, tmp_path / "mask.nii.gz")
    read = read_mask(path, like=path)
    assert read.get_data_dtype() == np.uint8
    assert_array_equal(np.asarray(read.dataobj), np.asarray(mask.dataobj))
    assert_array_equal(read.affine, AFFINE)
