"""The interactive viewer's data: maps and underlay packed for one page that needs no network.

Values travel as 16-bit steps of each map's own scale (error below 2e-5 of its largest value),
only for voxels that have one; the page unpacks them with the browser's own gzip.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from neurodnn.plotting import slices, style

_STEPS = 32_000
_NOTHING = -32_768  # a voxel of the mask that has no value in this map
_MARGIN = 8.0  # mm around the brain, for the letters of the sides


@dataclass(frozen=True)
class ViewerMap:
    """One map of a viewer.

    Attributes
    ----------
    name : str
        Such as ``"features.2"``.
    unit : str
        What the values are, such as ``"Spearman rho"``.
    image : nibabel image
        3-D, NaN where there is no value.
    limit : float
        Value at the strong end of the colours.
    threshold : float
        Where the threshold slider stands at first.
    start : tuple of float
        Where the crosshair goes, x, y, z in mm.
    note : str
        A sentence about the values.
    """

    name: str
    unit: str
    image: Any
    limit: float
    threshold: float
    start: tuple[float, float, float]
    note: str = ""


def viewer_data(maps: Sequence[ViewerMap], *, on_template: bool, title: str) -> dict[str, Any]:
    """Return everything the viewer's page draws, ready for JSON.

    Parameters
    ----------
    maps : sequence of ViewerMap
        In the order of the menu.
    on_template : bool
        Whether the maps are in an MNI space. Otherwise the underlay is their own extent: the
        anatomy of a participant never enters a page as a volume.
    title : str
        Heading, untrusted text.
    """
    images = [each.image for each in maps]
    underlay = slices.template_underlay() if on_template else slices.extent_underlay(images)
    grids: list[dict[str, Any]] = []
    masks: list[np.ndarray] = []
    packed = []
    for each in maps:
        data = np.asarray(each.image.get_fdata(dtype=np.float32))
        grid = _grid_of(each.image, data, images, grids, masks)
        packed.append(_pack_map(each, data[masks[grid]], grid))
    return {
        "title": title,
        "underlayNote": underlay.note,
        "low": [float(value) - _MARGIN for value in underlay.low],
        "high": [float(value) + _MARGIN for value in underlay.high],
        "underlay": packed_underlay(underlay, on_template=on_template),
        "grids": grids,
        "maps": packed,
        "colours": colour_tables(),
    }


def colour_tables() -> dict[str, list[int]]:
    """The colours of values that may be negative, and of those that may not."""
    return {"signed": _table(style.diverging_map()), "positive": _table(style.sequential_map())}


def packed_underlay(underlay: slices.Underlay, *, on_template: bool) -> dict[str, Any]:
    """An underlay as the page takes it."""
    return _packed_template() if on_template else _pack_underlay(underlay)


@cache
def _packed_template() -> dict[str, Any]:
    """The template, packed once per process: it is the same in every viewer."""
    return _pack_underlay(_halved(slices.template_underlay()))


def _halved(underlay: slices.Underlay) -> slices.Underlay:
    """The underlay in voxels of twice the size, each the mean of its eight."""
    shape = tuple(size // 2 * 2 for size in underlay.grey.shape)
    grey = np.nan_to_num(underlay.grey[: shape[0], : shape[1], : shape[2]])
    coarse = np.mean(
        [grey[i::2, j::2, k::2] for i in (0, 1) for j in (0, 1) for k in (0, 1)], axis=0
    )
    affine = underlay.affine @ np.array(
        [[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]]
    )
    return slices.Underlay(coarse, affine, underlay.low, underlay.high, underlay.note)


def _pack_underlay(underlay: slices.Underlay) -> dict[str, Any]:
    grey = np.nan_to_num(underlay.grey)
    return {
        "shape": list(grey.shape),
        "toVoxel": inverse(underlay.affine),
        "values": pack(np.rint(255 * np.clip(grey, 0, 1)).astype("u1")),
    }


def _grid_of(image, data: np.ndarray, images, grids: list, masks: list) -> int:
    """Number of the grid that this image stands on; added with its mask where it is new."""
    matrix = inverse(image.affine)
    for number, grid in enumerate(grids):
        if grid["shape"] == list(data.shape) and grid["toVoxel"] == matrix:
            return number
    mask = np.zeros(data.shape, dtype=bool)
    for other in images:
        if other.shape == image.shape and inverse(other.affine) == matrix:
            mask |= np.isfinite(np.asarray(other.dataobj, dtype=np.float32))
    masks.append(mask)
    grids.append(
        {
            "shape": list(data.shape),
            "toVoxel": matrix,
            "mask": pack(np.packbits(mask.ravel(), bitorder="little")),
        }
    )
    return len(grids) - 1


def _pack_map(each: ViewerMap, values: np.ndarray, grid: int) -> dict[str, Any]:
    finite = np.isfinite(values)
    largest = float(np.abs(values[finite]).max(initial=0.0)) or 1.0
    steps = np.full(values.shape, _NOTHING, dtype="<i2")
    steps[finite] = np.rint(values[finite] / largest * _STEPS).astype("<i2")
    return {
        "name": each.name,
        "unit": each.unit,
        "note": each.note,
        "grid": grid,
        "step": largest / _STEPS,
        "limit": float(each.limit),
        "largest": largest,
        "threshold": float(each.threshold),
        "signed": bool((values[finite] < 0).any()),
        "start": [float(value) for value in each.start],
        "values": pack(steps),
    }


def pack(array: np.ndarray) -> str:
    """Bytes in C order, gzipped without a date, as base64."""
    data = gzip.compress(np.ascontiguousarray(array).tobytes(), compresslevel=6, mtime=0)
    return base64.b64encode(data).decode("ascii")


def inverse(affine: np.ndarray) -> list[float]:
    """World mm to voxel, the upper three rows, row by row."""
    return [round(float(value), 9) for value in np.linalg.inv(affine)[:3].ravel()]


def _table(colours) -> list[int]:
    """256 colours as r, g, b, r, g, b ... of 0 to 255."""
    return np.rint(255 * colours(np.linspace(0, 1, 256))[:, :3]).astype(int).ravel().tolist()
