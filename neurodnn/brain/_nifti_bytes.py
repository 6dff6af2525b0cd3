"""The bytes behind an image: how they are found, measured against the header and unpacked."""

from __future__ import annotations

import io
import os
import warnings
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.arrayproxy import ArrayProxy

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.brain._files import GzipPieces, user_path
from neurodnn.brain._headers import (
    Fault,
    affine_and_faults,
    data_bytes,
    displacement,
    header_faults,
    image_shape,
    parse_header,
    scaling,
)

# A gzip stream cannot hold more than this many bytes a byte (deflate's limit is 1032).
_MOST_COMPRESSION = 1040
_HEADER_NEEDED = 544
_AGAIN = "Fetch it again or restore it from the source."


def repetition_time(header: nibabel.Nifti1Header) -> float | None:
    """Return the seconds between volumes that a header states, or None.

    Examples
    --------
    >>> import nibabel
    >>> header = nibabel.Nifti1Header()
    >>> header.set_data_shape((2, 2, 2, 10))
    >>> header.set_zooms((3, 3, 3, 2000))
    >>> header.set_xyzt_units("mm", "msec")
    >>> repetition_time(header)
    2.0
    """
    if int(header["dim"][0]) < 4:
        return None
    unit, step = int(header["xyzt_units"]) & 56, float(header["pixdim"][4])
    if unit == 0 and step == 1:  # what libraries write when they know nothing
        return None
    seconds = step / {8: 1.0, 16: 1e3, 24: 1e6}.get(unit, 1.0)
    return seconds if np.isfinite(seconds) and seconds > 0 else None


def image_path(path: str | os.PathLike, ndim: int | None, orientation: str | None) -> Path:
    if ndim not in (None, 3, 4):
        raise InputError(message("ndim", "is not possible", got=ndim, allowed="3, 4 or None"))
    if orientation is not None:
        check_choice("orientation", orientation, ["sform", "qform"])
    path = user_path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        what = "the name does not say that it is NIfTI"
        raise InputError(message(str(path), what, got=path.name, allowed=".nii, .nii.gz",
                                 remedy="Convert it to NIfTI, or correct its name."))
    return path


def is_gzip(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def check_name(path: Path, head: bytes) -> None:
    gzipped = head.startswith(b"\x1f\x8b")
    if is_gzip(path) and not gzipped:
        if parse_header(head)[0] is not None:
            what = "is named .gz but is not compressed: a plain NIfTI"
            remedy = "Rename it to .nii or compress it."
        else:
            what, remedy = "is named .gz but holds no gzip data", _AGAIN
        raise InputError(message(str(path), what, remedy=remedy))
    if gzipped and not is_gzip(path):
        what = "is compressed with gzip but not named .nii.gz"
        raise InputError(message(str(path), what, remedy="Rename it to .nii.gz or unpack it."))


def first_header(path: Path, head: bytes) -> tuple[nibabel.Nifti1Header | None, list[Fault]]:
    if is_gzip(path):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEADER_NEEDED)
        except zlib.error as error:
            what = f"the compressed data cannot be unpacked ({error}); the file is damaged"
            return None, [Fault(what, remedy=_AGAIN)]
    return parse_header(head)


def size_faults(path: Path, header: nibabel.Nifti1Header) -> list[Fault]:
    needed = int(header["vox_offset"]) + data_bytes(header)
    on_disk = path.stat().st_size
    if not is_gzip(path):
        return _short(int(header["vox_offset"]), data_bytes(header), on_disk)
    if needed > on_disk * _MOST_COMPRESSION:
        return [_absurd(header, on_disk)]
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        stated = int.from_bytes(file.read(4), "little")
    if stated == needed % 2**32:
        return []
    total = sum(len(piece) for piece in GzipPieces(path))
    return _short(int(header["vox_offset"]), data_bytes(header), total)


def _short(offset: int, size: int, available: int) -> list[Fault]:
    if available >= offset + size:
        return []
    if available <= offset:
        what = "vox_offset points past the end of the file"
        return [Fault(what, offset, f"< {available}", _AGAIN)]
    what = "the image data end too early; the file was cut short"
    return [Fault(what, f"{available - offset} bytes", f"{size} bytes", _AGAIN)]


def _absurd(header: nibabel.Nifti1Header, on_disk: int) -> Fault:
    what = f"shape {image_shape(header)} claims more data than the file can hold"
    return Fault(what, f"{data_bytes(header) / 1e9:.3g} GB", f"from {on_disk} bytes", _AGAIN)


def refuse(path: Path, faults: list[Fault]) -> None:
    if faults:
        raise InputError("\n".join(fault.say(path) for fault in faults))


def read_gzip(
    path: Path, head: bytes, ndim: int | None, orientation: str | None
) -> nibabel.Nifti1Image:
    pieces = GzipPieces(path)
    stream = iter(pieces)
    start = b""
    while len(start) < _HEADER_NEEDED and (piece := next(stream, b"")):
        start += piece
    header, faults = parse_header(start)
    if header is not None:
        faults = faults + header_faults(header, ndim=ndim, orientation=orientation)
    if header is not None and not faults:
        on_disk = path.stat().st_size
        if int(header["vox_offset"]) + data_bytes(header) > on_disk * _MOST_COMPRESSION:
            faults = [_absurd(header, on_disk)]
    if faults:
        for _ in stream:  # a damaged stream explains a broken header: its message comes first
            pass
        refuse(path, faults)
    offset, size = int(header["vox_offset"]), data_bytes(header)
    buffer, total = io.BytesIO(), 0
    while start:
        lower, upper = max(offset - total, 0), max(offset + size - total, 0)
        buffer.write(start[lower:upper])
        total += len(start)
        start = next(stream, b"")
    refuse(path, _short(offset, size, total))
    _warn_trailing(path, pieces.trailing or total - offset - size)
    return _checked(path, header, ndim, orientation, (buffer, 0))


def read_plain(
    path: Path, head: bytes, ndim: int | None, orientation: str | None
) -> nibabel.Nifti1Image:
    header, faults = parse_header(head)
    if header is not None:
        faults = faults + header_faults(header, ndim=ndim, orientation=orientation)
    refuse(path, faults)
    offset, size, on_disk = int(header["vox_offset"]), data_bytes(header), path.stat().st_size
    refuse(path, _short(offset, size, on_disk))
    _warn_trailing(path, on_disk - offset - size)
    return _checked(path, header, ndim, orientation, (str(path), offset))


def _warn_trailing(path: Path, count: int) -> None:
    if count > 0:
        what = "bytes follow the end of the image and are ignored"
        text = message(str(path), what, got=f"{count} bytes", remedy="Save it again to be sure.")
        warnings.warn(text, DataWarning, stacklevel=4)


def volume_shape(header: nibabel.Nifti1Header, ndim: int | None) -> tuple[int, ...]:
    shape = image_shape(header)
    return shape[:3] if ndim == 3 else shape


def _checked(
    path: Path,
    header: nibabel.Nifti1Header,
    ndim: int | None,
    orientation: str | None,
    source: tuple[io.BytesIO | str, int],
) -> nibabel.Nifti1Image:
    slope, inter, unscaled = scaling(header)
    if unscaled:
        what = "scl_slope asks for no scaling; the stored values are used as they are"
        got = float(header["scl_slope"])
        text = message(str(path), what, got=got, remedy="Check the unit of the values.")
        warnings.warn(text, DataWarning, stacklevel=4)
    affine, _ = affine_and_faults(header, orientation)
    shape = volume_shape(header, ndim)
    data = ArrayProxy(source[0], (shape, header.get_data_dtype(), source[1], slope, inter))
    sform = int(header["sform_code"]) > 0 and orientation != "qform"
    code = int(header["sform_code" if sform else "qform_code"])
    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    image = build_image(data, affine, code, kind)
    tr = repetition_time(header)
    if len(shape) == 4:
        image.header["pixdim"][4] = tr or 0
    image.set_filename(str(path))
    return image


def build_image(
    data: ArrayProxy | np.ndarray, affine: np.ndarray, code: int, kind: type
) -> nibabel.Nifti1Image:
    header = kind.header_class()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header["pixdim"][1:4] = voxel_sizes(affine)
    header.set_xyzt_units("mm", "sec")
    code = code if code in range(1, 6) else 2  # unknown codes: aligned to something
    header.set_sform(affine, code)
    header.set_qform(affine, code, strip_shears=True)
    # A qform cannot hold a sheared affine; a wrong second opinion is worse than none.
    if displacement(header.get_qform(), affine, data.shape) > 1e-3:
        header["qform_code"] = 0
        header["pixdim"][1:4] = voxel_sizes(affine)
    return kind(data, affine, header)


def has_content(image: nibabel.Nifti1Image) -> bool:
    for k in range(image.shape[-1]):
        values = np.asarray(image.dataobj[..., k])
        if np.any(np.isfinite(values) & (values != 0)):
            return True
    return False
