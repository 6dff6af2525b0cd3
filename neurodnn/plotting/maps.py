"""Brain maps as rows of slices, one row per layer, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import InputError, check_number, message
from neurodnn.plotting import slices as cutting
from neurodnn.plotting import style
from neurodnn.plotting.colour_bar import draw_colour_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GAP = 12  # mm between slices
_HEAD, _TALLEST = 0.36, 1.7  # inches: a row's name and positions above its slices; its slices
_TITLE, _FOOT = 0.42, 0.56  # inches above the first and below the last row
_SIDE = 0.012  # of the width, left and right of the slices


def plot_layer_maps(
    images: Mapping[str, Any],
    *,
    background: Any = None,
    vmax: float | None = None,
    threshold: float | None = None,
    slices: Sequence[tuple[str, float]] | None = None,
    outlines: Mapping[str, Any] | None = None,
    unit: str = "score",
    title: str | None = None,
) -> Figure:
    """Return a figure with one row of brain slices per map, all on the same colour scale.

    Every pixel is a point in millimetres that is looked up through the image's affine (nearest
    voxel, no smoothing), so storage order cannot flip a picture. Left is drawn on the left, and
    every slice that has sides is marked L and R.

    Parameters
    ----------
    images : mapping of str to 3-D nibabel image
        Layer name -> map. NaN is not drawn.
    background : 3-D nibabel image, "extent" or None
        What lies below. None, the default, is the MNI brain that nilearn ships: right for maps
        in an MNI space only. ``"extent"`` shows in plain grey where the maps have values: right
        for any space.
    vmax : float, optional
        Value at the strong end of the colours, > 0. Default: over all maps, the 99.9th
        percentile of absolute values, but never below 0.75 of the largest one.
    threshold : float, optional
        Draw only values whose size reaches it. Default: no threshold; values below a third of
        `vmax` fade into the anatomy.
    slices : sequence of (str, float), optional
        Cuts as ``("x", -20.0)``, position in mm. Default: for each map the three cuts through
        its peak, then five horizontal cuts that all maps share.
    outlines : mapping of str to 3-D nibabel image, optional
        Layer name -> image, nonzero where a thin line is to be drawn around, such as the voxels
        with p < 0.05.
    unit : str
        Label of the colour bar, such as ``"Spearman rho"``.
    title : str, optional
        Heading.

    Returns
    -------
    matplotlib.figure.Figure
        183 mm wide; save it with ``figure.savefig("maps.png", dpi=300)``.

    Raises
    ------
    InputError
        If there is no map, a map is not 3-D, or a number is out of range.

    Examples
    --------
    >>> import numpy as np, nibabel as nib
    >>> data = np.zeros((10, 12, 10), dtype=np.float32)
    >>> data[2, 4, 5] = 0.3
    >>> image = nib.Nifti1Image(data, np.diag([10.0, 10.0, 10.0, 1.0]))
    >>> figure = plot_layer_maps({"features.2": image}, background="extent", unit="Spearman rho")
    >>> len(figure.axes)
    1
    """
    volumes = _read_maps(images)
    limit = _limit(volumes, vmax)
    if threshold is not None:
        check_number("threshold", threshold, minimum=0)
    underlay = _underlay(background, list(images.values()))
    signed = any(np.nanmin(data, initial=0) < 0 for data, _ in volumes.values())
    rows = []
    for label, (data, affine) in volumes.items():
        cuts = list(slices) if slices is not None else default_slices(data, affine, underlay)
        edge = _edge(outlines, label)
        row = _compose(cuts, underlay, (data, affine), edge, (limit, threshold, signed))
        peak = None if slices is not None else cutting.peak_position(data, affine)
        rows.append((label, row, cuts, underlay, peak))
    figure = _draw_rows(rows, _TITLE if title else 0.1)
    draw_colour_bar(figure, limit, signed, unit, _beyond(volumes, limit))
    style.figure_title(figure, title, space=_TITLE)
    return figure


def default_slices(
    data: np.ndarray, affine: np.ndarray, underlay: cutting.Underlay
) -> list[tuple[str, float]]:
    """Three cuts through the map's peak, then five horizontal ones shared by all maps."""
    x, y, z = cutting.peak_position(data, affine)
    cuts = [("x", float(x)), ("y", float(y)), ("z", float(z))]
    low, high = underlay.low[2], underlay.high[2]
    shared = np.round(low + (high - low) * np.array([0.26, 0.38, 0.5, 0.62, 0.76]))
    return cuts + [("z", float(position)) for position in shared]


def _read_maps(images: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not isinstance(images, Mapping) or not images:
        raise InputError(
            message("images", "needs at least one map", got=type(images).__name__,
                    allowed="a mapping of layer name to 3-D image")
        )  # fmt: skip
    volumes = {}
    for label, image in images.items():
        data = np.asarray(image.get_fdata(dtype=np.float32))
        if data.ndim == 4 and data.shape[3] == 1:
            data = data[..., 0]
        if data.ndim != 3:
            raise InputError(
                message(f"images[{label!r}]", "is not a 3-D map", got=data.shape,
                        remedy="Give one 3-D image per layer.")
            )  # fmt: skip
        volumes[str(label)] = (data, np.asarray(image.affine, dtype=float))
    return volumes


def _limit(volumes: Mapping[str, tuple[np.ndarray, np.ndarray]], vmax: float | None) -> float:
    if vmax is None:
        return style.score_limit(data for data, _ in volumes.values())
    return check_number("vmax", vmax, minimum=0, strict=True)


def _underlay(background: Any, images: list) -> cutting.Underlay:
    if background is None:
        return cutting.template_underlay()
    if isinstance(background, str):
        if background != "extent":
            raise InputError(
                message("background", "is not known", got=background,
                        allowed="None, 'extent' or a 3-D image")
            )  # fmt: skip
        return cutting.extent_underlay(images)
    return cutting.image_underlay(background)


def _edge(outlines: Mapping[str, Any] | None, label: str):
    if outlines is None or label not in outlines:
        return None
    image = outlines[label]
    inside = np.nan_to_num(np.asarray(image.get_fdata(dtype=np.float32))) != 0
    return inside.astype(np.float32), np.asarray(image.affine, dtype=float)


def _beyond(volumes: Mapping[str, tuple[np.ndarray, np.ndarray]], limit: float) -> str:
    """Which ends of the colour bar are pointed: values exist beyond the colours."""
    above = any(np.nanmax(data, initial=0) > limit for data, _ in volumes.values())
    below = any(np.nanmin(data, initial=0) < -limit for data, _ in volumes.values())
    return {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[above, below]


def _compose(cuts, underlay, volume, edge, scale) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """One row as RGB bytes, and each slice's left column, right column and top row."""
    limit, threshold, signed = scale
    pictures = []
    for cut in cuts:
        points = cutting.plane(cut, underlay.low, underlay.high, 1.0)
        picture = cutting.grey_picture(underlay, points)
        values = cutting.sample(*volume, points)
        alpha = cutting.opacity(values, limit, threshold)[..., None]
        colours = style.score_colours(np.nan_to_num(values), limit, signed)
        picture = picture * (1 - alpha) + colours * alpha
        if edge is not None:
            inside = np.nan_to_num(cutting.sample(*edge, points)) > 0
            rim = cutting.outline(inside)
            # dark on light colours, light on dark ones: seen on every value of the scale
            picture[rim] = np.where(picture[rim].mean(axis=-1, keepdims=True) > 0.45, 0.06, 0.97)
        pictures.append(np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8))
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] + _GAP for picture in pictures) - _GAP
    row = np.full((height, width, 3), 255, dtype=np.uint8)
    places, left = [], 0
    for picture in pictures:
        rows, columns = picture.shape[:2]
        top = (height - rows) // 2
        row[top : top + rows, left : left + columns] = picture
        places.append((left, left + columns, top))
        left += columns + _GAP
    return row, places


def _draw_rows(rows: list, head: float) -> Figure:
    """A figure as high as its rows need; all rows have the same scale."""
    width = style.PAGE_WIDTH * (1 - 2 * _SIDE)
    columns = max(row[1][0].shape[1] for row in rows)
    tallest = max(row[1][0].shape[0] for row in rows)
    inches = min(width / columns, _TALLEST / tallest)  # per mm
    step = _HEAD + tallest * inches + 0.1
    figure = style.new_figure(style.PAGE_WIDTH, head + step * len(rows) + _FOOT)
    for number, row in enumerate(rows):
        _draw_row(figure, figure.get_figheight() - head - number * step, inches, row)
    return figure


def _draw_row(figure, top: float, inches: float, content) -> None:
    """One row whose name begins `top` inches above the figure's lower edge."""
    label, (picture, places), cuts, underlay, peak = content
    rows, columns = picture.shape[:2]
    total, width = figure.get_figheight(), figure.get_figwidth()
    high, wide = rows * inches, columns * inches
    axes = figure.add_axes((_SIDE, (top - _HEAD - high) / total, wide / width, high / total))
    axes.imshow(picture, extent=(0, columns, rows, 0), interpolation="antialiased")
    axes.set_axis_off()
    figure.text(
        _SIDE, (top - 0.1) / total, style.plain(label, 60),
        fontsize=style.TEXT, fontweight="bold", color=style.INK, va="center",
    )  # fmt: skip
    for cut, place in zip(cuts, places, strict=True):
        _mark_slice(axes, cut, place, rows)
        if peak is not None and cut in zip("xyz", map(float, peak), strict=True):
            _cross(axes, cut, place, underlay, peak)


def _mark_slice(axes, cut: tuple[str, float], place: tuple[int, int, int], rows: int) -> None:
    """Position in mm above the slice; L and R, or P and A, at its lower corners."""
    left, right, _ = place
    number = f"{cut[1]:+.0f}".replace("-", "\N{MINUS SIGN}")
    number = "0" if number[1:] == "0" else number
    axes.text(
        (left + right) / 2, -4, f"{cut[0]} = {number} mm",
        fontsize=style.SMALL - 1, color=style.FAINT, ha="center", va="bottom",
    )  # fmt: skip
    names = ("P", "A") if cut[0] == "x" else ("L", "R")
    weight = "normal" if cut[0] == "x" else "bold"
    for name, position, align in zip(names, (left + 3, right - 3), ("left", "right"), strict=True):
        axes.text(
            position, rows, name,
            fontsize=style.SMALL - 0.5, color=style.INK, fontweight=weight,
            ha=align, va="bottom",
        )  # fmt: skip


def _cross(axes, cut, place, underlay, peak) -> None:
    """Thin lines through the peak that leave the peak itself free."""
    from matplotlib.collections import LineCollection

    right_axis, up_axis = cutting.DRAWN[cut[0]]
    left, right, top = place
    column = left + peak[right_axis] - underlay.low[right_axis]
    span = underlay.high[up_axis] - underlay.low[up_axis]
    row = top + underlay.high[up_axis] - peak[up_axis]
    lines = [
        [(left, row), (column - 9, row)], [(column + 9, row), (right, row)],
        [(column, top), (column, row - 9)], [(column, row + 9), (column, top + span)],
    ]  # fmt: skip
    axes.add_collection(
        LineCollection(lines, colors=style.INK, linewidths=0.4, alpha=0.55), autolim=False
    )
