"""Sensors on a flat head: where they lie, what is drawn between them, and the head itself.

A sensor is drawn in its direction from the origin of the head, at a distance that grows with its
angle from the vertical: 1 is the height of the ears. The nose is up, left is on the left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.plotting import style

if TYPE_CHECKING:
    import mne
    from matplotlib.axes import Axes

_PIXELS = 96  # of a map, each way
_SAME_PLACE = 0.012  # of a quarter turn, about 2 mm at a helmet
_MARGIN = 0.75  # of the usual distance between neighbours: how far a map goes beyond its sensors
_TYPES = {"mag": "magnetometers", "grad": "gradiometers", "eeg": "EEG"}


class Scalp(NamedTuple):
    """One type of sensor: where its places are, who sits there, and the pixels between them."""

    kind: str
    places: np.ndarray  # places x 2
    members: list[list[int]]  # of each place, positions among all sensors
    extent: tuple[float, float, float, float]
    inside: np.ndarray  # pixels x pixels, bool
    pixels: np.ndarray  # those inside, n x 2


def read_scalps(info: mne.Info, names: list[str]) -> list[Scalp]:
    """Return the layout of each type of sensor among `names`, in the order of first appearance.

    Sensors of one type at one place, such as a pair of planar gradiometers, share a place.

    Raises
    ------
    InputError
        If a sensor is not in `info`, has no position, or is of a type that is not drawn.
    """
    known = {name: number for number, name in enumerate(info["ch_names"])}
    unknown = [name for name in names if name not in known]
    if unknown:
        fault = f"lacks {len(unknown)} sensors of the scores"
        raise InputError(message("info", fault, got=unknown[:5]))
    types = info.get_channel_types()
    kinds = [types[known[name]] for name in names]
    strange = sorted(set(kinds) - set(_TYPES))
    if strange:
        allowed = ", ".join(_TYPES)
        raise InputError(message("info", "a type is not drawn", got=strange, allowed=allowed))
    flat = _flattened(info, [known[name] for name in names], names)
    return [_layout(kind, flat, [i for i, own in enumerate(kinds) if own == kind])
            for kind in dict.fromkeys(kinds)]  # fmt: skip


def type_name(scalp: Scalp) -> str:
    """Return what a type of sensor is called above its maps."""
    paired = any(len(own) > 1 for own in scalp.members)
    return _TYPES[scalp.kind] + (" (mean of each place)" if paired else "")


def at_places(scalp: Scalp, values: np.ndarray) -> np.ndarray:
    """Return the mean score of the sensors of each place, NaN where none has a score."""
    found = np.full(len(scalp.members), np.nan)
    for place, own in enumerate(scalp.members):
        there = values[own][np.isfinite(values[own])]
        if there.size:
            found[place] = there.mean()
    return found


def interpolated(scalp: Scalp, values: np.ndarray) -> np.ndarray:
    """Return the picture of scores at places; NaN outside, and everywhere if there are none.

    A smooth surface through the scores (thin plate), held within their range: between sensors no
    value is drawn that is larger than any measured one. Places without a score take no part.
    """
    from scipy.interpolate import RBFInterpolator

    picture = np.full(scalp.inside.shape, np.nan)
    known = np.isfinite(values)
    if not known.any():
        return picture
    places, own = scalp.places[known], values[known]
    spread = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    if len(places) > 3 and spread[-1] > 1e-3:
        surface = RBFInterpolator(places, own, kernel="thin_plate_spline")
    else:  # on one line, a plane through the scores is not defined
        surface = RBFInterpolator(places, own, kernel="linear", degree=0)
    picture[scalp.inside] = np.clip(surface(scalp.pixels), own.min(), own.max())
    return picture


def draw_scalp(axes: Axes, scalp: Scalp, values: np.ndarray, limit: float, signed: bool) -> Any:
    """Draw one map: the head, the scores between the sensors, and the sensors."""
    picture = interpolated(scalp, values)
    colours = style.score_colours(np.nan_to_num(picture), limit, signed)
    alpha = np.isfinite(picture).astype(float)[..., None]
    image = axes.imshow(
        np.concatenate([colours, alpha], axis=-1), extent=scalp.extent, origin="lower",
        interpolation="antialiased", zorder=1,
    )  # fmt: skip
    _draw_head(axes)
    known = np.isfinite(values)
    size = 0.9 if len(values) > 40 else 1.6
    axes.plot(*scalp.places[known].T, linestyle="none", marker=".", markersize=size,
              markeredgewidth=0, color=style.INK, alpha=0.7, zorder=4)  # fmt: skip
    axes.plot(*scalp.places[~known].T, linestyle="none", marker="x", markersize=2.4,
              markeredgewidth=0.6, color=style.INK, zorder=5)  # fmt: skip
    axes.set_axis_off()
    left, right, low, high = scalp.extent
    reach = 1.04 * max(1.16, -left, right, -low, high)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    return image


def _draw_head(axes: Axes) -> None:
    turn = np.linspace(0, 2 * np.pi, 181)
    line = {"color": style.FAINT, "linewidth": 0.7, "zorder": 3, "solid_capstyle": "round"}
    axes.plot(np.sin(turn), np.cos(turn), **line)
    axes.plot((-0.16, 0.0, 0.16), (0.985, 1.16, 0.985), **line)  # the nose
    ear = np.linspace(-0.95, 0.95, 31) * np.pi / 2
    for side in (-1, 1):
        axes.plot(side * (1.0 + 0.085 * np.cos(ear)), 0.2 * np.sin(ear), **line)


def _flattened(info: mne.Info, places: list[int], names: list[str]) -> np.ndarray:
    """Return the sensors' places on the flat head, sensors x 2."""
    from mne.io.constants import FIFF
    from mne.transforms import apply_trans

    points = np.array([info["chs"][place]["loc"][:3] for place in places], dtype=float)
    lost = ~np.isfinite(points).all(axis=1) | (points == 0).all(axis=1)
    if lost.any():
        got = [name for name, out in zip(names, lost, strict=True) if out][:5]
        fault = f"{int(lost.sum())} sensors have no position"
        raise InputError(message("info", fault, got=got))
    in_device = np.array(
        [info["chs"][place]["coord_frame"] == FIFF.FIFFV_COORD_DEVICE for place in places]
    )
    if info["dev_head_t"] is not None and in_device.any():
        points[in_device] = apply_trans(info["dev_head_t"], points[in_device])
    across = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(across, points[:, 2]) / (np.pi / 2)
    return points[:, :2] / np.where(across > 0, across, 1.0)[:, None] * angle[:, None]


def _layout(kind: str, flat: np.ndarray, own: list[int]) -> Scalp:
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    tree = KDTree(flat[own])
    near = tree.sparse_distance_matrix(tree, _SAME_PLACE, output_type="coo_matrix")
    near.data[:] = 1.0  # sensors at one point have a distance of zero, and are neighbours too
    count, label = connected_components(near, directed=False)
    members = [[own[i] for i in np.flatnonzero(label == place)] for place in range(count)]
    places = np.array([flat[sensors].mean(axis=0) for sensors in members])
    among = KDTree(places)
    usual = float(np.median(among.query(places, k=2)[0][:, 1])) if count > 1 else 0.2
    reach = max(_MARGIN * usual, 0.04)
    low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
    edges = [np.linspace(low[i], high[i], _PIXELS + 1) for i in range(2)]
    across, up = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    inside = _within(places, grid, reach)
    extent = (low[0], high[0], low[1], high[1])
    return Scalp(kind, places, members, extent, inside, grid[inside])


def _within(places: np.ndarray, grid: np.ndarray, reach: float) -> np.ndarray:
    """Pixels between the sensors, and those no further than `reach` from the line round them."""
    from scipy.spatial import ConvexHull, KDTree, QhullError

    if len(places) < 3:
        return KDTree(places).query(grid)[0] <= reach
    try:
        hull = ConvexHull(places)
    except QhullError:  # all on one line
        return KDTree(places).query(grid)[0] <= reach
    between = (grid @ hull.equations[:, :2].T + hull.equations[:, 2] <= 0).all(axis=-1)
    apart = np.full(grid.shape[:2], np.inf)
    for start, stop in places[hull.simplices]:
        along = stop - start
        share = np.clip((grid - start) @ along / (along @ along), 0, 1)
        apart = np.minimum(apart, np.linalg.norm(grid - start - share[..., None] * along, axis=-1))
    return between | (apart <= reach)
