"""Slices of a volume in world millimetres: sampling through the affine, colouring, tiling.

Nothing here looks at the order in which an image is stored: every pixel of a slice is a point
in millimetres, and the affine alone says which voxel lies there. A flipped storage therefore
cannot flip a picture. Left is drawn on the left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from nibabel.affines import apply_affine

AXES = {"x": 0, "y": 1, "z": 2}
# axis of the cut -> (world axis drawn to the right, world axis drawn upwards)
DRAWN = {"x": (1, 2), "y": (0, 2), "z": (0, 1)}
_TEMPLATE_BRAIN = 0.15  # of the template's largest value; below lies nothing but rounding
_GREY_LOW, _GREY_HIGH = 0.52, 0.98  # light greys, so that dark colours mean strong effects
_FLAT_GREY = 0.86


@dataclass(frozen=True)
class Underlay:
    """The grey picture below a map, sampled like the map itself.

    Attributes
    ----------
    grey : numpy.ndarray
        3-D, 0 to 1, NaN where nothing is to be drawn.
    affine : numpy.ndarray
        4 x 4, voxel indices to mm.
    low, high : numpy.ndarray
        Corners of the box in mm that holds everything drawn.
    note : str
        What it is, a sentence for the caption.
    """

    grey: np.ndarray
    affine: np.ndarray
    low: np.ndarray
    high: np.ndarray
    note: str


def _box(inside: np.ndarray, affine: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners in mm of the voxels that are True, whole voxels and a margin included."""
    if not inside.any():
        inside = np.ones(inside.shape, dtype=bool)
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append((hit[0] - 0.5, hit[-1] + 0.5))
    corners = np.array(np.meshgrid(*spans, indexing="ij")).reshape(3, -1).T
    world = apply_affine(affine, corners)
    return world.min(axis=0) - margin, world.max(axis=0) + margin


@cache
def template_underlay(resolution: int = 1) -> Underlay:
    """The ICBM 152 brain that nilearn ships, resampled once per process."""
    from nilearn.datasets import load_mni152_template

    image = load_mni152_template(resolution=resolution)
    data = np.asarray(image.get_fdata(dtype=np.float32))
    inside = data > _TEMPLATE_BRAIN * data.max()
    grey = np.where(inside, data / data.max(), np.nan).astype(np.float32)
    low, high = _box(inside, image.affine, 2.0)
    note = "Underlay: the ICBM 152 (2009) average brain in MNI space."
    return Underlay(grey, np.asarray(image.affine), low, high, note)


def image_underlay(image) -> Underlay:
    """A picture of the user's own as underlay: its 2nd to 98th percentile become the greys."""
    data = np.asarray(image.get_fdata(dtype=np.float32))
    inside = np.isfinite(data) & (data != 0)
    if inside.any():
        low, high = np.percentile(data[inside], [2, 98])
        scaled = np.clip((data - low) / max(high - low, 1e-30), 0, 1)
    else:
        scaled = np.zeros_like(data)
    grey = np.where(inside, scaled, np.nan).astype(np.float32)
    note = "Underlay: the image that was given as background."
    return Underlay(grey, np.asarray(image.affine), *_box(inside, image.affine, 2.0), note)


def extent_underlay(maps: Sequence) -> Underlay:
    """Plain grey where any of the maps has a value: for spaces without a template."""
    inside = np.zeros(maps[0].shape[:3], dtype=bool)
    for image in maps:
        if image.shape[:3] == inside.shape and np.allclose(image.affine, maps[0].affine):
            inside |= np.isfinite(np.asarray(image.dataobj, dtype=np.float32))
    grey = np.where(inside, 0.5, np.nan).astype(np.float32)
    note = "Underlay: none in this space; grey marks the voxels that have a score."
    return Underlay(
        grey, np.asarray(maps[0].affine), *_box(inside, maps[0].affine, 2.0), note
    )


def plane(cut: tuple[str, float], low: np.ndarray, high: np.ndarray, step: float) -> np.ndarray:
    """Points in mm of one slice, shape (rows, columns, 3); row 0 is the top of the picture."""
    axis, position = cut
    right, up = DRAWN[axis]
    across = np.arange(low[right] + step / 2, high[right], step)
    upwards = np.arange(low[up] + step / 2, high[up], step)[::-1]
    points = np.empty((upwards.size, across.size, 3))
    points[..., AXES[axis]] = position
    points[..., right] = across[None, :]
    points[..., up] = upwards[:, None]
    return points


def sample(volume: np.ndarray, affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Value of the voxel that holds each point in mm; NaN outside the volume."""
    index = np.rint(apply_affine(np.linalg.inv(affine), points)).astype(np.intp)
    i, j, k = np.moveaxis(index, -1, 0)
    inside = np.ones(i.shape, dtype=bool)
    for part, size in zip((i, j, k), volume.shape[:3], strict=True):
        inside &= (part >= 0) & (part < size)
    values = np.full(i.shape, np.nan, dtype=np.float32)
    values[inside] = volume[i[inside], j[inside], k[inside]]
    return values


def grey_picture(underlay: Underlay, points: np.ndarray) -> np.ndarray:
    """RGB of the underlay on a white page, shape (rows, columns, 3), 0 to 1."""
    grey = sample(underlay.grey, underlay.affine, points)
    tone = _GREY_LOW + (_GREY_HIGH - _GREY_LOW) * grey
    flat = np.isfinite(grey) & (np.nanmax(grey, initial=0) == np.nanmin(grey, initial=1))
    tone = np.where(flat, _FLAT_GREY, tone)
    return np.repeat(np.where(np.isfinite(tone), tone, 1.0)[..., None], 3, axis=-1)


def opacity(values: np.ndarray, vmax: float, threshold: float | None) -> np.ndarray:
    """How opaque a value is drawn, 0 to 1.

    With a threshold: all that reaches it, nothing else. Without: rising from 0 at zero to full
    at a third of `vmax`, so that weak values fade into the anatomy and are not hidden.
    """
    size = np.nan_to_num(np.abs(values), nan=0.0)
    shown = np.isfinite(values)
    if threshold is not None:
        return (shown & (size >= threshold)).astype(float)
    return np.where(shown, np.clip(3 * size / vmax, 0, 1) ** 1.25, 0.0)


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a True region that touch its outside."""
    padded = np.pad(mask, 1)
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~core


def peak_position(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """World x, y, z in mm of the largest value, or of the largest absolute one if none is > 0."""
    finite = np.isfinite(data)
    if not finite.any():
        return apply_affine(affine, (np.array(data.shape[:3]) - 1) / 2)
    size = np.where(finite, data, -np.inf)
    if size.max() <= 0:
        size = np.where(finite, np.abs(data), -np.inf)
    return apply_affine(affine, np.unravel_index(int(np.argmax(size)), data.shape[:3]))
