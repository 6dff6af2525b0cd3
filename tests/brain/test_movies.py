"""Movies on disk: the axis of time, the grid, and what is outside."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import xarray as xr
from nilearn.image import index_img

from neurodnn._checks import InputError
from neurodnn.brain.mesh import Mesh
from neurodnn.brain.movies import movie_frame, movie_times, scores_to_movie, scores_to_surface_movie

AFFINE = np.array([[0, 0, 4.0, -10], [2.0, 0, 0, 5], [0, 2.0, 0, 7], [0, 0, 0, 1]])
TIMES = [round(-0.2 + 0.01 * i, 2) for i in range(31)]


@pytest.fixture
def mask():
    inside = np.zeros((3, 4, 5), np.int16)
    inside[1:, 1:3] = 1
    image = nibabel.Nifti1Image(inside, AFFINE)
    image.header["descrip"] = b"Jane Doe"
    image.header["toffset"] = 77
    return image


def scores(n, place="voxel", times=TIMES, **coords):
    values = np.random.default_rng(0).normal(size=(n, len(times)))
    return xr.DataArray(values, dims=(place, "time"), coords={"time": times, **coords})


def test_time_axis_survives_the_file(mask, tmp_path):
    own = scores(20)
    scores_to_movie(own, mask).to_filename(tmp_path / "fusion_statmap.nii.gz")
    image = nibabel.load(tmp_path / "fusion_statmap.nii.gz")
    header = image.header
    assert header["toffset"] == pytest.approx(-0.2) and header["pixdim"][4] == pytest.approx(0.01)
    assert header.get_xyzt_units() == ("mm", "sec") and header.get_zooms()[:3] == (2, 2, 4)
    assert header.get_data_dtype() == np.float32 and bytes(header["descrip"]).strip(b"\0") == b""
    assert np.array_equal(image.affine, AFFINE) and image.shape == (3, 4, 5, 31)
    assert movie_times(image).tolist() == TIMES
    assert movie_times(str(tmp_path / "fusion_statmap.nii.gz")).tolist() == TIMES
    data, inside = image.get_fdata(), np.asarray(mask.dataobj) > 0
    assert np.abs(data[inside] - own.values).max() <= 1e-7 * np.abs(own.values).max()
    assert np.isnan(data[~inside]).all()


def test_a_frame_has_no_time_of_another(mask):
    movie = scores_to_movie(scores(20), mask)
    frame = movie_frame(movie, 0.05)
    assert frame.shape == (3, 4, 5) and frame.header["toffset"] == 0
    assert np.array_equal(frame.get_fdata(), movie.get_fdata()[..., 25], equal_nan=True)
    assert index_img(movie, 25).header["toffset"] != 0  # the trap that movie_frame is for
    assert np.array_equal(movie_frame(movie, 0.0541).get_fdata(),
                          movie_frame(movie, 0.05).get_fdata(), equal_nan=True)  # fmt: skip
    with pytest.raises(InputError, match=r"outside the movie .*-0.2 to 0.1 s"):
        movie_frame(movie, 0.12)


def test_other_units_of_time_are_seconds(mask):
    movie = scores_to_movie(scores(20), mask)
    movie.header.set_xyzt_units("mm", "msec")
    movie.header["pixdim"][4], movie.header["toffset"] = 10, -200
    assert movie_times(movie).tolist() == TIMES
    movie.header.set_xyzt_units("mm", "hz")
    with pytest.raises(InputError, match="no fourth axis in seconds"):
        movie_times(movie)
    with pytest.raises(InputError, match="no fourth axis in seconds"):
        movie_times(mask)


def test_scores_that_are_no_movie(mask):
    with pytest.raises(InputError, match="must rise in even steps"):
        scores_to_movie(scores(20, times=[0.0, 0.01, 0.03]), mask)
    with pytest.raises(InputError, match="must rise in even steps"):
        scores_to_movie(scores(20, times=[0.0]), mask)
    with pytest.raises(InputError, match="must rise in even steps"):
        scores_to_movie(scores(20, times=[0.1, 0.0]), mask)
    with pytest.raises(InputError, match="Choose one: scores.sel"):
        scores_to_movie(scores(20).expand_dims(subject=["01"]), mask)
    with pytest.raises(InputError, match="19"):
        scores_to_movie(scores(19), mask)
    with pytest.raises(InputError, match="are not those of the mask"):
        scores_to_movie(scores(20, voxel=np.arange(20)), mask)


def test_surface_movie_keeps_vertices_and_times(tmp_path):
    mesh = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]],
                hemisphere="left")  # fmt: skip
    own = scores(3, "vertex", vertex=[0, 1, 3])
    scores_to_surface_movie(own, mesh).to_filename(tmp_path / "hemi-L_statmap.func.gii")
    image = nibabel.load(tmp_path / "hemi-L_statmap.func.gii")
    assert len(image.darrays) == 31
    data = np.stack([array.data for array in image.darrays], axis=1)
    assert np.isnan(data[2]).all() and np.allclose(data[[0, 1, 3]], own, rtol=1e-6)
    meta = dict(image.meta)
    assert (meta["TimeOffset"], meta["TimeStep"]) == ("-0.2", "0.01")
    assert meta["AnatomicalStructurePrimary"] == "CortexLeft"


def test_damaged_files_are_refused_by_name(mask, tmp_path):
    path = tmp_path / "x_statmap.nii.gz"
    scores_to_movie(scores(20), mask).to_filename(path)
    whole = path.read_bytes()
    assert np.isclose(movie_frame(path, 0.05).get_fdata()[1, 1, 0], scores(20)[0, 25], atol=1e-6)
    path.write_bytes(whole[: len(whole) // 2])
    for read in (movie_times, lambda own: movie_frame(own, 0.0)):
        with pytest.raises(InputError, match="x_statmap.nii.gz: .*(cut short|too early)"):
            read(path)
        with pytest.raises(InputError, match="nowhere.nii.gz: no such file"):
            read(tmp_path / "nowhere.nii.gz")
    flipped = bytearray(whole)
    flipped[-6] ^= 1  # of the checksum: no other reader sees a changed voxel
    path.write_bytes(bytes(flipped))
    with pytest.raises(InputError, match="x_statmap.nii.gz"):
        movie_frame(path, 0.0)


def test_an_axis_without_a_step_is_no_time(mask):
    image = scores_to_movie(scores(20), mask)
    for step in (0.0, np.nan, -0.01):
        image.header["pixdim"][4] = step
        with pytest.raises(InputError, match="does not say when its volumes are"):
            movie_frame(image, -0.1)
    with pytest.raises(InputError, match="time: is not a valid number"):
        movie_frame(scores_to_movie(scores(20), mask), np.nan)
