"""Images in and out: fresh headers, no text carried along, geometry kept."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from neurodnn import DataWarning
from neurodnn.brain.fmri import read_mask, scores_to_image
from neurodnn.brain.nifti import fresh_image, image_info, read_image

CANARIES = [b"DOE^JANE", b"clinic-7", b"/home/jane/x", b"19700101", b"Patient 4711"]


def oblique() -> np.ndarray:
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [30, 20, 40], degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([2, 2, 4])
    affine[:3, 3] = (-40, 12, 3)
    return affine


@pytest.fixture
def with_names(tmp_path):
    """A mask whose header and extension name a person."""
    image = nib.Nifti1Image(np.ones((4, 4, 4), "i2"), oblique())
    image.set_sform(oblique(), 4)
    image.set_qform(oblique(), 4)
    for field, text in zip(("descrip", "db_name", "aux_file", "intent_name"), CANARIES):
        image.header[field] = text
    image.header.extensions.append(Nifti1Extension("comment", CANARIES[4]))
    path = tmp_path / "mask.nii.gz"
    image.to_filename(path)
    raw = gzip.decompress(path.read_bytes())
    assert all(canary in raw for canary in CANARIES)
    return path


def test_no_text_of_the_input_reaches_an_output(with_names):
    mask = read_mask(with_names)
    for image in (read_image(with_names), mask, scores_to_image(np.arange(64.0), mask)):
        raw = image.to_bytes()
        assert not [canary for canary in CANARIES if canary in raw]
        assert image.header["sform_code"] == 4
        assert_allclose(image.affine, oblique(), atol=1e-5)


def test_scores_of_an_integer_mask_stay_float_and_nan(with_names, tmp_path):
    values = np.random.default_rng(0).normal(0, 1e-3, 64)
    values[5] = np.nan
    path = tmp_path / "map.nii.gz"
    scores_to_image(values, with_names).to_filename(path)
    back = nib.load(path)
    assert back.get_data_dtype() == np.float32
    assert np.isnan(back.get_fdata().ravel()[5])
    assert_allclose(back.get_fdata().ravel(), values, rtol=1e-7, atol=1e-9)


def test_a_written_map_passes_our_own_reader_even_sheared(tmp_path):
    sheared = oblique()
    sheared[0, 1] += 0.8
    for affine, code in ((oblique(), 2), (sheared, 0)):
        like = nib.Nifti1Image(np.ones((9, 9, 9), "u1"), affine)
        image = fresh_image(np.ones((9, 9, 9), "f4"), like)
        path = tmp_path / "map.nii.gz"
        image.to_filename(path)
        assert image.header["qform_code"] == code
        assert_allclose(read_image(path).affine, affine, atol=1e-5)
        assert_allclose(image.header.get_zooms(), nib.affines.voxel_sizes(affine), rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "unit", "seconds"), [(2.5, "sec", 2.5), (720, "msec", 0.72), (1, None, None)]
)
def test_repetition_time_follows_the_unit(tmp_path, step, unit, seconds):
    image = nib.Nifti1Image(np.ones((3, 3, 3, 4), "f4"), np.eye(4))
    image.header.set_zooms((1, 1, 1, step))
    image.header.set_xyzt_units("mm", unit)
    path = tmp_path / "bold.nii.gz"
    image.to_filename(path)
    assert image_info(path).tr == (None if seconds is None else pytest.approx(seconds))
    again = read_image(path).header
    assert again.get_zooms()[3] == pytest.approx(seconds or 0)
    assert again.get_xyzt_units() == ("mm", "sec")


def test_qform_alone_gives_the_affine(tmp_path):
    image = nib.Nifti1Image(np.ones((4, 4, 4), "f4"), oblique())
    image.set_sform(None, 0)
    image.set_qform(oblique(), 1)
    path = tmp_path / "q.nii.gz"
    image.to_filename(path)
    assert_allclose(read_image(path).affine, oblique(), atol=1e-5)
    assert_allclose(image_info(path).affine, read_image(path).affine)


def test_volumes_are_sliced_from_memory_after_the_file_is_gone(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("f4")
    path = tmp_path / "bold.nii.gz"
    nib.Nifti1Image(data, np.eye(4)).to_filename(path)
    image = read_image(path)
    path.unlink()
    assert_array_equal(image.dataobj[..., 2], data[..., 2])


def test_warnings_name_the_file_and_point_at_the_caller(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(nib.Nifti1Image(np.ones((3, 3, 3), "f4"), np.eye(4)).to_bytes() + b"x")
    with pytest.warns(DataWarning, match="a.nii: bytes follow") as caught:
        read_image(path)
    assert caught[0].filename == __file__
