"""NIfTI to patterns, spheres and regions; scores back to NIfTI."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence

import nibabel
import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.data import Dataset
from scipy.sparse import csr_array

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.brain._observations import clean_patterns, observation_labels
from neurodnn.brain.masks import (
    ImageLike,
    check_channels,
    compute_mask,
    mask_array,
    open_image,
    read_mask,
    volumes,
)
from neurodnn.brain.nifti import check_same_grid, fresh_image, image_info
from neurodnn.brain.regions import region_patterns
from neurodnn.numerics.neighbors import ball_neighbors, full_ball_size

__all__ = [
    "compute_mask",
    "load_fmri_patterns",
    "read_mask",
    "region_patterns",
    "scores_to_image",
    "sphere_neighbors",
]

_log = logging.getLogger(__name__)


def load_fmri_patterns(
    images: ImageLike | Sequence[ImageLike],
    stimuli: pd.DataFrame | Sequence[str],
    mask: ImageLike | None = None,
    *,
    runs: Sequence[str] | None = None,
    dtype: str = "float64",
) -> Dataset:
    """Return one pattern per volume of estimated responses (betas or t values).

    Volumes are masked one by one while they are read, so that memory holds the masked patterns
    and one volume, never the whole image in floating point.

    Parameters
    ----------
    images : path, nibabel image or a sequence of them
        One 4-D image, one 3-D image per stimulus, or several 4-D images, for example one a
        run; their volumes are joined in the order given.
    stimuli : pandas.DataFrame or sequence of str
        The stimulus of each volume. A table needs the column ``stimulus`` and may have the
        column ``run``.
    mask : path or nibabel image, optional
        3-D, on the grid of the images. None: computed from the images, with a DataWarning.
    runs : sequence of str, optional
        The run of each volume, or of each image in `images`. Overrides the table.
    dtype : {"float64", "float32"}
        Storage of the patterns; float32 halves the memory.

    Returns
    -------
    rsatoolbox.data.Dataset
        Measurements volumes x voxels inside the mask, in the unit of the images. Voxels stand
        in C order of ``numpy.flatnonzero(mask)``, kept as channel descriptor ``voxel``.
        Observation descriptors: ``stimulus`` and, where there are runs, ``run``. NaN is kept;
        infinite values become NaN with a DataWarning.

    Raises
    ------
    InputError
        If the numbers of volumes and labels differ, a stimulus repeats without runs, the mask
        lies on another grid, or an image is faulty.

    Examples
    --------
    >>> import nibabel, numpy
    >>> betas = nibabel.Nifti1Image(numpy.ones((2, 2, 2, 3), "f4"), numpy.eye(4))
    >>> mask = nibabel.Nifti1Image(numpy.ones((2, 2, 2), "u1"), numpy.eye(4))
    >>> load_fmri_patterns(betas, ["cat", "dog", "tree"], mask).measurements.shape
    (3, 8)
    """
    check_choice("dtype", dtype, ["float64", "float32"])
    sources = _as_list(images)
    counts = [_n_volumes(source) for source in sources]
    labels = observation_labels(stimuli, runs, counts, _where(sources))
    if mask is None:
        mask_img = compute_mask(sources, kind="betas")
    else:
        mask_img = read_mask(mask, like=sources[0])
    inside = mask_array(mask_img)
    patterns = np.empty((sum(counts), int(inside.sum())), dtype)
    row = 0
    for source in sources:
        image = open_image(source)
        check_same_grid(image, mask_img, names=("image", "mask"))
        for volume in volumes(image):
            patterns[row] = volume[inside]
            row += 1
    clean_patterns(patterns, labels["stimulus"])
    return Dataset(
        patterns, obs_descriptors=labels, channel_descriptors={"voxel": np.flatnonzero(inside)}
    )


def sphere_neighbors(
    mask: ImageLike,
    radius: float = 9.0,
    *,
    inclusive: bool = True,
    unit: str = "mm",
    min_share: float = 0.5,
    smoothing_fwhm: float | None = None,
) -> csr_array:
    """Return the voxels of the sphere around each voxel of a mask.

    Parameters
    ----------
    mask : path or nibabel image, 3-D
    radius : float
        In `unit`. 9 mm holds 123 voxels of 3 mm.
    inclusive : bool
        Whether a voxel at exactly the radius belongs to the sphere (``<=``, the default) or
        not (``<``, as some other packages have it).
    unit : {"mm", "voxel"}
        ``"mm"`` measures through the affine, so anisotropic and oblique voxels are right.
    min_share : float
        Spheres with less than this share of their full voxel count inside the mask are not
        computed: their row is empty.
    smoothing_fwhm : float, optional
        Smoothing of the data in mm, where known: neighbouring spheres then share noise, and
        a DataWarning is given if it exceeds half the radius.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Centres x channels; both are the voxels of ``numpy.flatnonzero(mask)``.

    Examples
    --------
    >>> import nibabel, numpy
    >>> mask = nibabel.Nifti1Image(numpy.ones((9, 9, 9), "u1"), numpy.diag([3., 3, 3, 1]))
    >>> int(sphere_neighbors(mask, 9.0).sum(axis=1).max())
    123
    """
    mask_img = read_mask(mask)
    if smoothing_fwhm is not None and unit == "mm" and smoothing_fwhm > radius / 2:
        what = f"the data are smoothed by more than half the radius of {radius:g} mm"
        remedy = "Use data smoothed less, or read the map as blurred."
        text = message("smoothing", what, got=f"{smoothing_fwhm:g} mm", remedy=remedy)
        warnings.warn(text, DataWarning, stacklevel=2)
    inside = mask_array(mask_img)
    options = {"inclusive": inclusive, "unit": unit}
    neighbors = ball_neighbors(inside, mask_img.affine, radius, min_share=min_share, **options)
    _log.debug(  # several steps of one subject lay the same spheres
        "A sphere of %g %s holds up to %d voxels; %d of %d centres have enough of them.",
        radius, unit, full_ball_size(mask_img.affine, radius, **options),
        int((np.diff(neighbors.indptr) > 0).sum()), neighbors.shape[0],
    )  # fmt: skip
    return neighbors


def scores_to_image(scores: xr.DataArray | np.ndarray, mask: ImageLike) -> nibabel.Nifti1Image:
    """Return a map of one score per voxel, NaN outside the mask.

    Parameters
    ----------
    scores : xarray.DataArray or ndarray, shape (n_voxels,)
        In C order of ``numpy.flatnonzero(mask)``.
    mask : path or nibabel image

    Returns
    -------
    nibabel.Nifti1Image
        float32, with the affine and orientation code of the mask and an otherwise fresh
        header: an integer header would round scores, and free text may name people.

    Raises
    ------
    InputError
        If the number of scores, or their ``voxel`` coordinate, is not that of the mask.

    Examples
    --------
    >>> import nibabel, numpy
    >>> mask = nibabel.Nifti1Image(numpy.eye(2, dtype="u1")[..., None], numpy.eye(4))
    >>> scores_to_image(numpy.array([0.25, 0.5]), mask).get_fdata()[:, :, 0].tolist()
    [[0.25, nan], [nan, 0.5]]
    """
    mask_img = mask if isinstance(mask, nibabel.Nifti1Pair) else read_mask(mask)
    inside = mask_array(mask_img)
    values = np.asarray(scores)
    if values.ndim != 1:
        remedy = "Choose one: scores.sel(reference=...)."
        what = "a map takes one score per voxel"
        raise InputError(message("scores", what, got=f"shape {values.shape}", remedy=remedy))
    check_channels(values.size, inside)
    known = getattr(scores, "coords", {})
    if "voxel" in known and not np.array_equal(known["voxel"], np.flatnonzero(inside)):
        what = "the voxels of the scores are not those of the mask"
        raise InputError(message("scores", what, remedy="Give the mask that made the patterns."))
    volume = np.full(inside.shape, np.nan, np.float32)
    volume[inside] = values
    return fresh_image(volume, mask_img)


def _as_list(images: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    if isinstance(images, (str, os.PathLike)) or hasattr(images, "dataobj"):
        return [images]
    images = list(images)
    if not images:
        raise InputError(message("images", "is empty", remedy="Give at least one image."))
    return images


def _n_volumes(source: ImageLike) -> int:
    is_path = isinstance(source, (str, os.PathLike))
    shape = image_info(source).shape if is_path else open_image(source).shape
    return shape[3] if len(shape) == 4 else 1


def _where(sources: list[ImageLike]) -> str:
    first = sources[0]
    name = str(first) if isinstance(first, (str, os.PathLike)) else first.get_filename()
    name = name or "images"
    return name if len(sources) == 1 else f"{name} and {len(sources) - 1} more"
