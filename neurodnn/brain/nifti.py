"""NIfTI images in and out: read with the checksum checked, refuse what would be silently wrong."""

from __future__ import annotations

import os
from typing import NamedTuple

import nibabel
import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.brain._files import read_head, user_path
from neurodnn.brain._headers import affine_and_faults, displacement, header_faults
from neurodnn.brain._nifti_bytes import (
    build_image,
    check_name,
    first_header,
    has_content,
    image_path,
    is_gzip,
    read_gzip,
    read_plain,
    repetition_time,
    size_faults,
    volume_shape,
)

_GRID_MM = 1e-3


class ImageInfo(NamedTuple):
    """What a header says: shape, affine (4 x 4, mm), and TR in seconds (None if not stated)."""

    shape: tuple[int, ...]
    affine: np.ndarray
    tr: float | None


def read_image(
    path: str | os.PathLike,
    *,
    ndim: int | None = None,
    orientation: str | None = None,
    allow_empty: bool = False,
) -> nibabel.Nifti1Image:
    """Return a NIfTI image whose bytes, header and orientation have been checked.

    Compressed files are unpacked once, in their stored data type, so that the checksum in the
    file is compared: most readers stop at the last voxel and never see a flipped bit. Volumes
    are then sliced from memory (``image.dataobj[..., t]``) without another read. Uncompressed
    files are memory-mapped; they hold no checksum.

    Parameters
    ----------
    path : str or path
        A ``.nii`` or ``.nii.gz`` file, NIfTI-1 or NIfTI-2, header and data in one file.
    ndim : {3, 4}, optional
        The axes needed. None accepts both. A 4-D image of one volume passes as 3-D.
    orientation : {"sform", "qform"}, optional
        Which affine to take. The default takes the sform (the qform where there is no sform)
        and refuses an image whose two affines disagree by more than 0.1 mm at a corner.
    allow_empty : bool
        Whether an image without any value other than 0 and NaN is accepted.

    Returns
    -------
    nibabel.Nifti1Image or nibabel.Nifti2Image
        With a fresh header: shape, data type, affine and its code, voxel size in mm, TR. Free
        text of the file (``descrip``, ``db_name``, extensions) may name people, and is not
        carried along.

    Raises
    ------
    InputError
        Naming the file, the reason and what to do.

    Warns
    -----
    DataWarning
        Bytes after the end of the image; a ``scl_slope`` of 0 or NaN, which the standard
        defines as unscaled.

    Examples
    --------
    >>> import tempfile, pathlib, nibabel, numpy
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beta.nii.gz"
    >>> nibabel.Nifti1Image(numpy.ones((3, 4, 5), "f4"), numpy.eye(4)).to_filename(path)
    >>> read_image(path).shape
    (3, 4, 5)
    """
    path = image_path(path, ndim, orientation)
    head = read_head(path)
    check_name(path, head)
    try:
        reader = read_gzip if is_gzip(path) else read_plain
        image = reader(path, head, ndim, orientation)
    except MemoryError as error:
        remedy = "Free memory, or save it uncompressed (.nii): that is read piece by piece."
        raise InputError(message(str(path), "does not fit in memory", remedy=remedy)) from error
    if not allow_empty and not has_content(image):
        what = "every value of the image is 0 or NaN"
        raise InputError(message(str(path), what, remedy="Check how it was made."))
    return image


def check_image(
    path: str | os.PathLike, *, ndim: int | None = None, orientation: str | None = None
) -> list[str]:
    """Return the faults of an image as far as its first bytes and its size tell; [] if none.

    Takes about a millisecond: for a preflight over many files. The data are read only where the
    length stored at the end of a compressed file contradicts the header.

    Parameters
    ----------
    path, ndim, orientation
        As in `read_image`.

    Returns
    -------
    list of str
        Complete messages, one a fault, all of them.

    Examples
    --------
    >>> check_image("nowhere.nii.gz")
    ['nowhere.nii.gz: no such file. Check the spelling and the folder.']
    """
    try:
        path = image_path(path, ndim, orientation)
        head = read_head(path)
        check_name(path, head)
        header, faults = first_header(path, head)
        if header is not None:
            faults = faults + header_faults(header, ndim=ndim, orientation=orientation)
        if header is not None and not faults:
            faults = size_faults(path, header)
        return [fault.say(path) for fault in faults]
    except InputError as error:
        return [str(error)]


def image_info(
    path: str | os.PathLike, *, ndim: int | None = None, orientation: str | None = None
) -> ImageInfo:
    """Return shape, affine and TR from the header alone.

    Parameters
    ----------
    path, ndim, orientation
        As in `read_image`.

    Returns
    -------
    ImageInfo
        ``shape``, ``affine`` (mm), ``tr`` (s; None for 3-D images and where it is not stated).

    Raises
    ------
    InputError
        With all faults that `check_image` finds.
    """
    faults = check_image(path, ndim=ndim, orientation=orientation)
    if faults:
        raise InputError("\n".join(faults))
    path = user_path(path)
    header, _ = first_header(path, read_head(path))
    affine, _ = affine_and_faults(header, orientation)
    return ImageInfo(volume_shape(header, ndim), affine, repetition_time(header))


def check_same_grid(
    a: nibabel.Nifti1Image,
    b: nibabel.Nifti1Image,
    *,
    names: tuple[str, str] = ("image", "mask"),
) -> None:
    """Refuse two images that do not share one voxel grid. Nothing is ever resampled in silence.

    Parameters
    ----------
    a, b : nibabel image
        Compared in their first three axes.
    names : pair of str
        How the message calls them where they have no file name.

    Raises
    ------
    InputError
        If shapes differ, or affines by more than 0.001 mm at any corner of the volume.

    Examples
    --------
    >>> import nibabel, numpy
    >>> ones, affine = numpy.ones((4, 4, 4), "f4"), numpy.eye(4)
    >>> check_same_grid(*[nibabel.Nifti1Image(ones, affine)] * 2)
    """
    where, other = (
        image.get_filename() or name for image, name in zip((a, b), names, strict=True)
    )
    remedy = f"Resample one of them, for example nilearn.image.resample_to_img, {names[1]} with \
interpolation='nearest'."
    if a.shape[:3] != b.shape[:3]:
        what = f"does not have the shape of {other}"
        raise InputError(message(where, what, got=a.shape[:3], allowed=str(b.shape[:3]),
                                 remedy=remedy))
    apart = displacement(a.affine, b.affine, a.shape)
    if not apart <= _GRID_MM:
        what = f"lies on another grid than {other}"
        raise InputError(message(where, what, got=f"affines {apart:.3g} mm apart",
                                 allowed=f"<= {_GRID_MM} mm", remedy=remedy))


def fresh_image(data: np.ndarray, like: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    """Return `data` as a NIfTI-1 image on the grid of `like`, with a header that says no more.

    Parameters
    ----------
    data : ndarray, first three axes as `like`
        Stored in its own data type, unscaled.
    like : nibabel image
        Gives affine and orientation code, nothing else: copied headers carry names and ids.

    Returns
    -------
    nibabel.Nifti1Image
    """
    code = max(int(like.header["sform_code"]), 0) or max(int(like.header["qform_code"]), 0) or 2
    return build_image(np.asarray(data), like.affine, code, nibabel.Nifti1Image)


