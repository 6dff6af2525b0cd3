"""NIfTI headers: parse the block of bytes, list every fault, settle the affine.

Nothing here trusts a header: nibabel is asked for fields only, never to repair, because its
repairs (an x axis flipped by default, a zero voxel size set to 1) are silent and wrong.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import nibabel
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.spatialimages import HeaderDataError

from neurodnn._checks import message
from neurodnn.brain._files import looks_like_html

SIZES = {348: (nibabel.Nifti1Header, b"n+1"), 540: (nibabel.Nifti2Header, b"n+2")}
_OTHER_UNITS = {1: "metres", 3: "micrometres"}
_COMPLEX = {32, 1792, 2048}
_COLOUR = {128, 2304}
_ALIKE_MM = 0.1
_RECONVERT = "Convert it again from the source."


class Fault(NamedTuple):
    """One thing wrong with a header, in the parts of the house's message."""

    what: str
    got: object = None
    allowed: str | None = None
    remedy: str = _RECONVERT

    def say(self, path: object) -> str:
        return message(
            str(path), self.what, got=self.got, allowed=self.allowed, remedy=self.remedy
        )


def parse_header(block: bytes) -> tuple[nibabel.Nifti1Header | None, list[Fault]]:
    """Return (header, faults) of the first bytes of an uncompressed NIfTI; header may be None."""
    for order in "<>":
        size = int(np.frombuffer(block[:4].ljust(4, b"\0"), order + "i4")[0])
        if size in SIZES:
            break
    else:
        if looks_like_html(block):
            remedy = "Download the file itself, not the page about it."
            return None, [Fault("is a web page, not an image", remedy=remedy)]
        what = "is not a NIfTI image: no NIfTI header at its start"
        return None, [Fault(what, got=block[:4], allowed="NIfTI-1 or NIfTI-2 in one file")]
    if len(block) < size:
        got = f"{len(block)} bytes"
        return None, [Fault("the file ends inside its header", got=got, allowed=f">= {size}")]
    kind, magic = SIZES[size]
    # The byte order comes from sizeof_hdr: nibabel would guess it from dim, which may be broken.
    header = kind(block[:size], endianness=order, check=False)
    found = header["magic"].item()
    if found == magic:
        return header, []
    if found in (b"ni1", b"ni2"):
        what = "is the header of a .hdr/.img pair"
        return header, [Fault(what, got=found, remedy="Save it as one .nii or .nii.gz file.")]
    what = "the NIfTI magic is broken"
    return header, [Fault(what, got=found, allowed=magic.decode())]


def image_shape(header: nibabel.Nifti1Header) -> tuple[int, ...]:
    """Return the shape that a header claims, without trailing axes of length 1 beyond the 4th."""
    dims = [int(d) for d in header["dim"]]
    shape = dims[1 : 1 + max(0, min(dims[0], 7))]
    while len(shape) > 4 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def data_bytes(header: nibabel.Nifti1Header) -> int:
    """Return the bytes that the image data claim (a Python integer: the claim may be absurd)."""
    return math.prod(image_shape(header)) * header.get_data_dtype().itemsize


def header_faults(
    header: nibabel.Nifti1Header, *, ndim: int | None = None, orientation: str | None = None
) -> list[Fault]:
    """Return all faults of a header for an image of `ndim` axes (None: 3 or 4)."""
    faults = _shape_faults(header, ndim) + _storage_faults(header)
    with np.errstate(invalid="ignore"):
        zooms = np.asarray(header["pixdim"][1:4], float)
    if not (np.isfinite(zooms) & (zooms > 0)).all():
        got = tuple(zooms.tolist())
        faults.append(Fault("voxel size (pixdim) is not positive", got, allowed="> 0 mm"))
    unit = _OTHER_UNITS.get(int(header["xyzt_units"]) & 7)
    if unit is not None:
        faults.append(Fault("voxel size is not in millimetres", got=unit, allowed="mm"))
    if not any(fault.what.startswith("shape") for fault in faults):
        faults += affine_and_faults(header, orientation)[1]
    return faults


def _shape_faults(header: nibabel.Nifti1Header, ndim: int | None) -> list[Fault]:
    raw = [int(d) for d in header["dim"]]
    shape = image_shape(header)
    if not 1 <= raw[0] <= 7 or min(shape, default=0) < 1:
        return [Fault("shape (dim) has an axis below 1", got=raw, allowed="1 or more")]
    good = {None: len(shape) in (3, 4), 3: len(shape) == 3 or shape[3:] == (1,)}
    if good.get(ndim, len(shape) == ndim):
        return []
    wanted = "3 or 4 axes" if ndim is None else f"{ndim} axes"
    remedy = {
        3: "Give one volume (a 3-D image).",
        4: "Give the time series or the stack of estimates (a 4-D image).",
    }.get(ndim, "Give a 3-D or 4-D image.")
    what = f"shape has {len(shape)} axes where {wanted} are needed"
    return [Fault(what, got=shape, allowed=wanted, remedy=remedy)]


def _storage_faults(header: nibabel.Nifti1Header) -> list[Fault]:
    faults = []
    code = int(header["datatype"])
    if code in _COMPLEX or code in _COLOUR:
        kind = "complex" if code in _COMPLEX else "RGB colour"
        remedy = "Save magnitudes or one channel as real numbers."
        faults.append(Fault(f"values are {kind} (datatype)", code, "real numbers", remedy))
    else:
        try:
            known = header.get_data_dtype().itemsize > 0
        except (HeaderDataError, KeyError):
            known = False
        if not known:
            faults.append(Fault("datatype code is unknown", got=code))
    least = int(header["sizeof_hdr"]) + 4
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset >= least):
        faults.append(Fault("vox_offset lies inside the header", offset, f">= {least}"))
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if math.isinf(slope):
        faults.append(Fault("scl_slope is infinite", slope, "a finite number"))
    elif math.isfinite(slope) and slope != 0 and not math.isfinite(inter):
        faults.append(Fault("scl_inter is not finite", inter, "a finite number"))
    return faults


def scaling(header: nibabel.Nifti1Header) -> tuple[float, float, bool]:
    """Return (slope, intercept, whether the header asked for none by a slope of 0 or NaN)."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if math.isnan(slope) or slope == 0:
        return 1.0, 0.0, True
    return slope, inter, False


def affine_and_faults(
    header: nibabel.Nifti1Header, orientation: str | None = None
) -> tuple[np.ndarray | None, list[Fault]]:
    """Return (affine voxel -> world in mm, faults); `orientation` picks sform or qform."""
    codes = {name: int(header[name + "_code"]) for name in ("sform", "qform")}
    if not (codes["sform"] > 0 or codes["qform"] > 0):
        what = "sform and qform codes are both 0: the orientation is unknown"
        return None, [Fault(what, got=0, allowed="a code > 0", remedy=_RECONVERT)]
    chosen = orientation or ("sform" if codes["sform"] > 0 else "qform")
    if codes[chosen] <= 0:
        return None, [Fault(f"has no {chosen} (code 0)", remedy="Choose the other orientation.")]
    affine = _affine(header, chosen)
    if not np.isfinite(affine).all():
        return None, [Fault(f"{chosen} holds values that are not finite")]
    sizes = voxel_sizes(affine)
    if sizes.min() <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * sizes.prod():
        return None, [Fault(f"{chosen} is singular: its axes do not span space")]
    if orientation is None and min(codes.values()) > 0:
        apart = displacement(affine, _affine(header, "qform"), image_shape(header))
        if not apart <= _ALIKE_MM:
            what = "sform and qform put the image in different places"
            remedy = "Pass orientation='sform' or orientation='qform', or repair the header."
            return None, [Fault(what, f"{apart:.3g} mm apart", f"<= {_ALIKE_MM} mm", remedy)]
    return affine, []


def _affine(header: nibabel.Nifti1Header, name: str) -> np.ndarray:
    if name == "sform":
        return np.asarray(header.get_sform(), float)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(header.get_qform(), float)
    except (HeaderDataError, ValueError):  # a quaternion longer than 1
        return np.full((4, 4), np.nan)


def displacement(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return by how many mm two affines disagree at the worst corner of a volume.

    Corners, not matrix entries: an entry that is off by 0.001 moves the far voxels by 0.1 mm.
    """
    corners = list(itertools.product(*[(0, n - 1) for n in shape[:3]]))
    return float(np.linalg.norm(apply_affine(a, corners) - apply_affine(b, corners), axis=1).max())
