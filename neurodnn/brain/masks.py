"""Which voxels are analysed: masks read, or computed and said so."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import nibabel
import numpy as np

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.brain.nifti import check_same_grid, fresh_image, image_info, read_image

ImageLike = str | os.PathLike | nibabel.Nifti1Image


def open_image(source: ImageLike, *, ndim: int | None = None) -> nibabel.Nifti1Image:
    """Return `source` as an image: paths through `read_image`, images checked for their shape.

    Raises
    ------
    InputError
        For a faulty file, or an image in memory with the wrong number of axes.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_image(source, ndim=ndim)
    if not isinstance(source, nibabel.Nifti1Pair):
        what = "is neither a path nor a NIfTI image"
        raise InputError(message("image", what, got=type(source).__name__))
    shape = source.shape
    if ndim == 3 and len(shape) == 4 and shape[3] == 1:
        return source.slicer[..., 0]
    if len(shape) != ndim if ndim else len(shape) not in (3, 4):
        where = source.get_filename() or "image"
        what = f"shape has {len(shape)} axes where {ndim or '3 or 4'} are needed"
        raise InputError(message(where, what, got=shape))
    return source


def mask_array(mask_img: nibabel.Nifti1Image) -> np.ndarray:
    """Return a mask image as a boolean array: inside is whatever is finite and not 0."""
    values = np.asarray(mask_img.dataobj)
    return np.isfinite(values) & (values != 0)


def read_mask(
    mask: ImageLike, *, like: ImageLike | None = None, threshold: float | None = None
) -> nibabel.Nifti1Image:
    """Return a brain mask as a uint8 image of zeros and ones.

    Parameters
    ----------
    mask : path or nibabel image, 3-D
        Every finite value other than 0 is inside, unless `threshold` is given.
    like : path or nibabel image, optional
        The data: shape and affine must agree with it to 0.001 mm.
    threshold : float, optional
        Values above it are inside; for probability maps.

    Returns
    -------
    nibabel.Nifti1Image

    Raises
    ------
    InputError
        If the mask is faulty, empty, or on another grid than `like`.

    Warns
    -----
    DataWarning
        If values other than 0 and 1 were found without a threshold, or one voxel is left.

    Examples
    --------
    >>> import nibabel, numpy
    >>> image = nibabel.Nifti1Image(numpy.ones((3, 3, 3), "u1"), numpy.eye(4))
    >>> int(read_mask(image).dataobj[:].sum())
    27
    """
    if isinstance(mask, (str, os.PathLike)):
        image = read_image(mask, ndim=3, allow_empty=True)
    else:
        image = open_image(mask, ndim=3)
    where = image.get_filename() or "mask"
    values = np.asarray(image.dataobj)
    inside = mask_array(image) if threshold is None else np.nan_to_num(values) > threshold
    if not inside.any():
        remedy = "Give another mask or a lower threshold." if threshold else "Give another mask."
        raise InputError(message(where, "the mask is empty: no voxel is inside", remedy=remedy))
    found = values[inside]
    if threshold is None and (found != 1).any():
        what = "the mask is not binary; every value other than 0 counts as inside"
        got = f"values from {found.min():g} to {found.max():g}, {inside.sum()} voxels inside"
        text = message(where, what, got=got, remedy="Pass threshold= for a probability map.")
        warnings.warn(text, DataWarning, stacklevel=2)
    if inside.sum() == 1:
        text = message(where, "the mask holds one voxel", remedy="Check that it is the right one.")
        warnings.warn(text, DataWarning, stacklevel=2)
    result = fresh_image(inside.astype(np.uint8), image)
    result.set_filename(where if where != "mask" else "mask.nii")
    if like is not None:
        grid = open_image(like) if not isinstance(like, (str, os.PathLike)) else _grid(like)
        check_same_grid(result, grid, names=("mask", "data"))
    return result


def compute_mask(
    images: ImageLike | Sequence[ImageLike], *, kind: str = "bold"
) -> nibabel.Nifti1Image:
    """Return a mask computed from the data, and say so with a DataWarning.

    Parameters
    ----------
    images : path, nibabel image or a sequence of them
        All on one grid.
    kind : {"bold", "betas"}
        ``"bold"``: nilearn's ``compute_epi_mask`` of the mean image, within the voxels that
        are finite and not 0 throughout. ``"betas"`` (and images too thin for the former, such
        as one slice): those voxels alone.

    Returns
    -------
    nibabel.Nifti1Image, uint8

    Raises
    ------
    InputError
        If images lie on different grids, or no voxel is left.

    Examples
    --------
    >>> import nibabel, numpy, warnings
    >>> image = nibabel.Nifti1Image(numpy.eye(3, dtype="f4")[..., None], numpy.eye(4))
    >>> with warnings.catch_warnings(record=True):
    ...     int(compute_mask(image, kind="betas").dataobj[:].sum())
    3
    """
    check_choice("kind", kind, ["bold", "betas"])
    if isinstance(images, (str, os.PathLike)) or hasattr(images, "dataobj"):
        images = [images]
    first, inside, total = None, None, None
    for source in images:
        image = open_image(source)
        if first is None:
            first = image.slicer[..., 0] if image.ndim == 4 else image
            inside = np.ones(image.shape[:3], bool)
            total = np.zeros(image.shape[:3])
        check_same_grid(image, first, names=("image", "first image"))
        for volume in volumes(image):
            inside &= np.isfinite(volume) & (volume != 0)
            total += volume
    if first is None or not inside.any():
        what = "no voxel is finite and not 0 in every volume, so no mask can be computed"
        raise InputError(message("images", what, remedy="Give a brain mask."))
    how = "the voxels that are finite and not 0 in every volume"
    if kind == "bold":
        brain = _epi_mask(np.where(inside, total, 0), first) & inside
        if brain.any():
            inside, how = brain, "nilearn's compute_epi_mask of the mean image"
    text = f"No mask was given: it was computed as {how} ({inside.sum()} voxels)."
    warnings.warn(text, DataWarning, stacklevel=2)
    return fresh_image(inside.astype(np.uint8), first)


def volumes(image: nibabel.Nifti1Image):
    """Yield the volumes of a 3-D or 4-D image one by one, so that no whole float copy exists."""
    if image.ndim == 3:
        yield np.asarray(image.dataobj)
        return
    for t in range(image.shape[3]):
        yield np.asarray(image.dataobj[..., t])


def check_channels(count: int, inside: np.ndarray) -> None:
    """Refuse patterns or scores whose number of channels is not that of the mask."""
    if count != inside.sum():
        what = f"{count} channels do not fit a mask of {inside.sum()} voxels"
        raise InputError(message("mask", what, remedy="Give the mask that made the patterns."))


def _grid(path: str | os.PathLike) -> nibabel.Nifti1Image:
    """An image of nothing on the grid of a file, from its header alone."""
    info = image_info(path)
    # One byte seen from everywhere: a grid needs a shape, not memory.
    image = nibabel.Nifti1Image(
        np.broadcast_to(np.uint8(0), info.shape[:3]), info.affine, dtype=np.uint8
    )
    image.set_filename(str(path))
    return image


def _epi_mask(mean: np.ndarray, like: nibabel.Nifti1Image) -> np.ndarray:
    if min(mean.shape) < 5:  # its opening by 2 voxels would erase a slab
        return np.zeros(mean.shape, bool)
    from nilearn.masking import compute_epi_mask

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty mask is dealt with by the caller
        return mask_array(compute_epi_mask(fresh_image(mean.astype(np.float32), like)))
