"""Scores in space and time -> 4-D NIfTI and GIFTI whose fourth axis is time, and back."""

from __future__ import annotations

import os
from collections.abc import Sequence

import nibabel
import numpy as np
import xarray as xr
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain._files import read_head, user_path
from neurodnn.brain._nifti_bytes import first_header, repetition_time
from neurodnn.brain.fmri import scores_to_image
from neurodnn.brain.masks import ImageLike, mask_array, open_image, read_mask
from neurodnn.brain.mesh import MeshLike
from neurodnn.brain.nifti import check_image, fresh_image, read_image
from neurodnn.brain.surface import scores_to_surface

_STEP = 1e-6  # seconds: times are those of a regular axis within a microsecond
_SECONDS = {0: 1.0, 8: 1.0, 16: 1e-3, 24: 1e-6}  # of the unit codes of NIfTI


def scores_to_movie(scores: xr.DataArray, mask: ImageLike) -> nibabel.Nifti1Image:
    """Return a map of one score per voxel and time, NaN outside the mask.

    Parameters
    ----------
    scores : DataArray (voxel, time)
        Voxels in C order of ``numpy.flatnonzero(mask)``; times in seconds, evenly spaced.
    mask : path or nibabel image, 3-D

    Returns
    -------
    nibabel.Nifti1Image
        4-D float32 with affine and orientation code of the mask and an otherwise fresh header.
        The fourth axis is time in seconds: ``toffset`` is the first time, ``pixdim[4]`` the
        step. Tools that cut volumes out of it often keep ``toffset``: take `movie_frame`.

    Raises
    ------
    InputError
        If there are fewer than two times, they are not evenly spaced, or voxels are not those of
        the mask.

    Examples
    --------
    >>> mask = nibabel.Nifti1Image(np.ones((2, 1, 1), "u1"), np.eye(4))
    >>> scores = xr.DataArray(np.zeros((2, 3)), dims=("voxel", "time"),
    ...                       coords={"time": [-0.1, 0.0, 0.1]})
    >>> movie_times(scores_to_movie(scores, mask)).tolist()
    [-0.1, 0.0, 0.1]
    """
    first, step = _time_axis(scores, "voxel")
    mask_img = mask if isinstance(mask, nibabel.Nifti1Pair) else read_mask(mask)
    inside = mask_array(mask_img)
    frames = [scores.isel(time=number) for number in range(scores.sizes["time"])]
    scores_to_image(frames[0], mask_img)  # refuses other voxels in the right words
    volumes = np.full((*inside.shape, len(frames)), np.nan, np.float32)
    for number, frame in enumerate(frames):
        volumes[inside, number] = frame
    image = fresh_image(volumes, mask_img)
    image.header["pixdim"][4] = step
    image.header["toffset"] = first
    return image


def movie_times(image: ImageLike) -> np.ndarray:
    """Return the time of every volume in seconds, to the microsecond.

    Parameters
    ----------
    image : path or nibabel image, 4-D
        Of a path the header is read as it stands, once size and header have passed
        `check_image`: images that `read_image` returns have fresh headers, which start at 0.
        Without a unit the axis is taken to be in seconds.

    Raises
    ------
    InputError
        If the file is damaged, it is not 4-D, or its fourth axis has another unit or no step.

    Examples
    --------
    >>> image = nibabel.Nifti1Image(np.zeros((1, 1, 1, 2), "f4"), np.eye(4))
    >>> image.header.set_xyzt_units("mm", "msec")
    >>> image.header["pixdim"][4], image.header["toffset"] = 20, -100
    >>> movie_times(image).tolist()
    [-0.1, -0.08]
    """
    header, shape = _header_of(image)
    unit = int(header["xyzt_units"]) & 56
    if len(shape) != 4 or unit not in _SECONDS:
        fault = "has no fourth axis in seconds"
        raise InputError(message("image", fault, got=f"shape {shape}, unit code {unit}"))
    step, first = repetition_time(header), float(header["toffset"]) * _SECONDS[unit]
    if shape[3] > 1 and step is None or not np.isfinite(first):
        fault = "does not say when its volumes are"
        got = f"pixdim[4] {float(header['pixdim'][4]):g}, toffset {first:g}"
        raise InputError(message("image", fault, got=got))
    return np.round(first + (step or 0.0) * np.arange(shape[3]), 6) + 0.0


def movie_frame(image: ImageLike, time: float) -> nibabel.Nifti1Image:
    """Return the volume nearest to a time, without a time axis.

    Parameters
    ----------
    image : path or nibabel image, 4-D
    time : float
        In seconds; within half a step of a volume.

    Returns
    -------
    nibabel.Nifti1Image
        3-D, float32.

    Raises
    ------
    InputError
        If the time lies outside the movie, or as for `movie_times` and `read_image`.

    Examples
    --------
    >>> image = nibabel.Nifti1Image(np.arange(2.0, dtype="f4").reshape(1, 1, 1, 2), np.eye(4))
    >>> image.header.set_xyzt_units("mm", "sec")
    >>> image.header["pixdim"][4] = 0.1
    >>> movie_frame(image, 0.1).get_fdata().item()
    1.0
    """
    times = movie_times(image)
    time = check_number("time", time, unit="s")
    if isinstance(image, (str, os.PathLike)):
        image = read_image(image, ndim=4, allow_empty=True)
    step = float(np.diff(times[:2]).sum()) or 1.0
    place = int(np.argmin(np.abs(times - time)))
    if not abs(times[place] - time) <= step / 2 + _STEP:
        allowed = f"{times[0]:g} to {times[-1]:g} s"
        raise InputError(message("time", "lies outside the movie", got=time, allowed=allowed))
    volume = np.asarray(open_image(image).dataobj[..., place], dtype=np.float32)
    return fresh_image(volume, image)


def _header_of(image: ImageLike) -> tuple[nibabel.Nifti1Header, tuple[int, ...]]:
    """Return header and shape; of a path, when the file has passed its checks."""
    if not isinstance(image, (str, os.PathLike)):
        image = open_image(image)
        return image.header, image.shape
    faults = check_image(image)
    if faults:
        raise InputError("\n".join(faults))
    path = user_path(image)
    header, _ = first_header(path, read_head(path))
    return header, header.get_data_shape()


def scores_to_surface_movie(
    scores: xr.DataArray, mesh: MeshLike, *, hemisphere: str | None = None
) -> GiftiImage:
    """Return a map of one score per vertex and time, NaN at vertices without scores.

    Parameters
    ----------
    scores : DataArray (vertex, time)
        As for `scores_to_surface`; times in seconds, evenly spaced.
    mesh : path or Mesh
        Of one hemisphere.
    hemisphere : {"left", "right", "L", "R"}, optional
        As for `scores_to_surface`.

    Returns
    -------
    nibabel.gifti.GiftiImage
        One float32 array of n_vertices per time, a time series by intent; the first time and the
        step in seconds stand in the metadata as ``TimeOffset`` and ``TimeStep``.

    Raises
    ------
    InputError
        As for `scores_to_surface` and `scores_to_movie`.

    Examples
    --------
    >>> from neurodnn.brain.mesh import Mesh
    >>> mesh = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> scores = xr.DataArray(np.zeros((3, 2)), dims=("vertex", "time"),
    ...                       coords={"time": [0.0, 0.02]})
    >>> len(scores_to_surface_movie(scores, mesh).darrays)
    2
    """
    first, step = _time_axis(scores, "vertex")
    maps = [scores_to_surface(scores.isel(time=number), mesh, hemisphere=hemisphere)
            for number in range(scores.sizes["time"])]  # fmt: skip
    intent, kind = "NIFTI_INTENT_TIME_SERIES", "NIFTI_TYPE_FLOAT32"
    arrays = [GiftiDataArray(each.darrays[0].data, intent=intent, datatype=kind) for each in maps]
    notes = dict(maps[0].meta) | {"TimeOffset": f"{first:g}", "TimeStep": f"{step:g}"}
    return GiftiImage(darrays=arrays, meta=GiftiMetaData(notes))


def _time_axis(scores: xr.DataArray, place: str) -> tuple[float, float]:
    """Return the first time and the step; refuse scores without an even time axis."""
    dims: Sequence[str] = getattr(scores, "dims", ())
    if tuple(dims) != (place, "time") or "time" not in scores.coords:
        fault, remedy = f"must be {place} x time, with times in seconds", None
        if "subject" in dims or "reference" in dims:
            remedy = "Choose one: scores.sel(subject=..., reference=...)."
        raise InputError(message("scores", fault, got=tuple(dims), remedy=remedy))
    times = np.asarray(scores["time"].values, dtype=np.float64)
    steps = np.diff(times)
    if not steps.size or not steps[0] > 0 or np.abs(steps - steps.mean()).max() > _STEP:
        fault = "times must rise in even steps, at least two"
        remedy = "Take windows at a fixed step, or save single maps."
        raise InputError(message("scores", fault, got=times[:5].tolist(), remedy=remedy))
    return float(times[0]), float(steps.mean())
