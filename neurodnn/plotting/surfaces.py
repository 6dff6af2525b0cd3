"""Maps on the cortical surface, one row per layer, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.plotting import style
from neurodnn.plotting.colour_bar import draw_colour_bar
from neurodnn.plotting.cortex import (
    VIEWS,
    Surface,
    by_side,
    colour_surface,
    draw_surface,
    flat_map,
    outline_vertices,
    read_surfaces,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE, _FOOT, _HEAD = 0.32, 0.62, 0.17  # inches: title, colour bar, views above the first row
_NAME, _GAP = 0.2, 0.04  # inches: a layer's name above its row, between rows
_FLAT = 0.74  # height of a panel by its width: the brain is longer than high


def plot_surface_maps(
    maps: Mapping[str, Mapping[str, Any]],
    mesh: Mapping[str, Any] | None = None,
    *,
    background: Mapping[str, Any] | None = None,
    views: Sequence[str] = ("lateral", "medial", "ventral"),
    vmax: float | None = None,
    threshold: float | None = None,
    outlines: Mapping[str, Mapping[str, Any]] | None = None,
    unit: str = "score",
    title: str | None = None,
) -> Figure:
    """Return a figure with one row of cortical surfaces per map, all on the same colour scale.

    Rows are layers, columns the views of the left and of the right hemisphere. nilearn draws the
    surfaces; the colours of a triangle are those of the mean of its three vertices.

    Parameters
    ----------
    maps : mapping of str to mapping of ``left`` and ``right`` to map
        Layer name -> hemisphere -> array (n_vertices,) or GIFTI image of `scores_to_surface`. One
        hemisphere may be missing everywhere. NaN is not drawn.
    mesh : mapping of ``left`` and ``right`` to mesh, optional
        Objects with ``coordinates`` and ``faces``, such as `load_fsaverage` gives. Default: the
        inflated fsaverage5 that nilearn ships.
    background : mapping of ``left`` and ``right`` to array (n_vertices,), optional
        Depth of the sulci, positive inside, drawn in two soft greys. Default: that of fsaverage5
        where `mesh` is the default, else plain grey.
    views : sequence of str
        From ``lateral, medial, dorsal, ventral, anterior, posterior``.
    vmax : float, optional
        Value at the strong end of the colours, > 0. Default: over all maps, the 99.9th percentile
        of absolute values, but never below 0.75 of the largest one.
    threshold : float, optional
        Draw only values whose size reaches it. Default: no threshold; values below a third of
        `vmax` fade into the surface.
    outlines : mapping of str to mapping of ``left`` and ``right`` to array of bool, optional
        Layer name -> hemisphere -> vertices to draw a line around, such as those with p < 0.05.
        On folded surfaces a line that a fold hides may shine through.
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
        If there is no map, a map does not fit its mesh, or a view or number is not valid.

    Examples
    --------
    >>> score = np.zeros(10242)
    >>> score[:50] = 0.3
    >>> figure = plot_surface_maps({"features.2": {"left": score}}, views=["lateral"])
    >>> len(figure.axes)
    1
    """
    views = [views] if isinstance(views, str) else list(views)
    for view in views:
        check_choice("views", view, VIEWS)
    if not views:
        raise InputError(message("views", "is empty", allowed=", ".join(VIEWS)))
    values = _read_maps(maps)
    sides = list(next(iter(values.values())))
    surfaces = read_surfaces(mesh, background, sides)
    _check_sizes(values, surfaces, "maps")
    edges = {} if outlines is None else _read_maps(outlines, "outlines")
    _check_sizes(edges, surfaces, "outlines")
    if unknown := sorted(set(edges) - set(values)):
        raise InputError(message("outlines", "name layers without a map", got=unknown))
    arrays = [array for row in values.values() for array in row.values()]
    limit = style.score_limit(arrays)
    if vmax is not None:
        limit = check_number("vmax", vmax, minimum=0, strict=True)
    if threshold is not None:
        check_number("threshold", threshold, minimum=0)
    signed = any(np.nanmin(array, initial=0) < 0 for array in arrays)
    panels = _panels(sides, views)
    figure, boxes = _grid(list(values), panels, _TITLE if title else 0.06)
    for (label, number), box in boxes.items():
        side, view = panels[number]
        axes = draw_surface(figure, box, surfaces[side], side, view)
        colour_surface(axes, surfaces[side], values[label][side], (limit, threshold, signed))
        if side in edges.get(label, {}):
            outline_vertices(axes, surfaces[side], np.nan_to_num(edges[label][side]) != 0)
    draw_colour_bar(figure, limit, signed, unit, _beyond(arrays, limit))
    style.figure_title(figure, title, space=_TITLE)
    return figure


def _read_maps(maps: Any, argument: str = "maps") -> dict[str, dict[str, np.ndarray]]:
    """Return layer -> side -> float array, every layer with the same sides, left first."""
    if not isinstance(maps, Mapping) or not maps:
        allowed = "a mapping of layer name to a mapping of hemisphere to map"
        raise InputError(message(argument, "needs at least one map", got=type(maps).__name__,
                                 allowed=allowed))  # fmt: skip
    found = {str(label): by_side(row, f"{argument}[{label!r}]") for label, row in maps.items()}
    if argument == "maps" and len({tuple(row) for row in found.values()}) > 1:
        got = {label: list(row) for label, row in found.items()}
        raise InputError(message(argument, "layers differ in their hemispheres", got=got))
    return {label: {side: flat_map(value) for side, value in row.items()}
            for label, row in found.items()}  # fmt: skip


def _check_sizes(
    rows: Mapping[str, Mapping[str, np.ndarray]], surfaces: Mapping[str, Surface], argument: str
) -> None:
    for label, row in rows.items():
        for side, array in row.items():
            if side not in surfaces:
                what = f"is of the {side} hemisphere, which has no map"
                raise InputError(message(f"{argument}[{label!r}]", what))
            size = len(surfaces[side].points)
            if array.shape != (size,):
                what = f"does not fit the {side} mesh"
                raise InputError(message(f"{argument}[{label!r}]", what, got=array.shape,
                                         allowed=f"({size},)",
                                         remedy="Give one value per vertex, NaN outside a mask."))


def _panels(sides: Sequence[str], views: Sequence[str]) -> list[tuple[str, str]]:
    """Return (side, view) of each column: the right hemisphere mirrors the left one."""
    left = [("left", view) for view in views] if "left" in sides else []
    right = [("right", view) for view in reversed(views)] if "right" in sides else []
    return left + right


def _grid(
    labels: Sequence[str], panels: Sequence[tuple[str, str]], head: float
) -> tuple[Figure, dict[tuple[str, int], tuple[float, float, float, float]]]:
    """Return an empty figure with its texts, and the box of every panel as shares of it."""
    wide = min(style.PAGE_WIDTH * 0.98 / len(panels), 2.4)
    high = _FLAT * wide
    top = head + _HEAD
    step = _NAME + high + _GAP
    height = top + step * len(labels) + _FOOT
    figure = style.new_figure(style.PAGE_WIDTH, height)
    start = (style.PAGE_WIDTH - wide * len(panels)) / 2
    small = {"fontsize": style.SMALL, "color": style.FAINT, "ha": "center", "va": "center"}
    for number, (side, view) in enumerate(panels):
        middle = (start + (number + 0.5) * wide) / style.PAGE_WIDTH
        figure.text(middle, 1 - (head + 0.08) / height, f"{side} {view}", **small)
    boxes = {}
    for row, label in enumerate(labels):
        upper = height - top - row * step
        figure.text(
            0.012, (upper - 0.1) / height, style.plain(label, 60),
            fontsize=style.TEXT, fontweight="bold", color=style.INK, va="center",
        )  # fmt: skip
        for number in range(len(panels)):
            left, low = start + number * wide, upper - _NAME - (high + wide) / 2
            # Square, as mplot3d wants it, and so transparent that rows may overlap.
            boxes[label, number] = (
                left / style.PAGE_WIDTH, low / height, wide / style.PAGE_WIDTH, wide / height,
            )  # fmt: skip
    return figure, boxes


def _beyond(arrays: Sequence[np.ndarray], limit: float) -> str:
    """Which ends of the colour bar are pointed: values exist beyond the colours."""
    above = any(np.nanmax(array, initial=0) > limit for array in arrays)
    below = any(np.nanmin(array, initial=0) < -limit for array in arrays)
    return {(0, 0): "neither", (1, 0): "max", (0, 1): "min", (1, 1): "both"}[above, below]
