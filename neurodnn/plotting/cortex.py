"""Hemispheres as pictures: the surface that nilearn draws, its colours, lines on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurodnn._checks import InputError, check_choice, message
from neurodnn.plotting import style
from neurodnn.plotting.slices import opacity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VIEWS = ("lateral", "medial", "dorsal", "ventral", "anterior", "posterior")
_SIDES = {"left": "left", "right": "right", "L": "left", "R": "right"}
_SULCUS, _GYRUS = 0.70, 0.88  # greys of the surface below the map


class Surface(NamedTuple):
    """One hemisphere as it is drawn: points in mm around their mean, triangles, grey levels."""

    points: np.ndarray
    faces: np.ndarray
    grey: np.ndarray  # of each triangle


def by_side(values: Any, argument: str) -> dict[str, Any]:
    if not isinstance(values, Mapping) or not values:
        allowed = "a mapping with left, right or both"
        raise InputError(message(argument, "does not name hemispheres", got=type(values).__name__,
                                 allowed=allowed))  # fmt: skip
    named = {_SIDES[check_choice(argument, key, _SIDES)]: value for key, value in values.items()}
    return {side: named[side] for side in ("left", "right") if side in named}


def flat_map(value: Any) -> np.ndarray:
    """Return one map as a float array; a GIFTI image gives its data."""
    return np.asarray(value.agg_data() if hasattr(value, "agg_data") else value, float)


def read_surfaces(
    mesh: Any, background: Any, sides: Sequence[str]
) -> dict[str, Surface]:
    """Return what is drawn below the maps, from the user or from nilearn's own files."""
    if mesh is None:
        from nilearn import datasets

        mesh = datasets.load_fsaverage("fsaverage5")["inflated"].parts
        if background is None:
            background = datasets.load_fsaverage_data("fsaverage5", data_type="sulcal").data.parts
    meshes = by_side(mesh, "mesh")
    depths = {} if background is None else by_side(background, "background")
    surfaces = {}
    for side in sides:
        if side not in meshes:
            raise InputError(message("mesh", f"has no {side} hemisphere", got=list(meshes)))
        # A copy: nilearn moves the points of the mesh that it is given to their middle.
        points = np.array(meshes[side].coordinates, float)
        faces = np.asarray(meshes[side].faces, np.int64)
        depth = np.zeros(len(points)) if side not in depths else flat_map(depths[side])
        if depth.shape != (len(points),):
            got, allowed = depth.shape, f"({len(points)},)"
            what = f"does not fit the {side} mesh"
            raise InputError(message("background", what, got=got, allowed=allowed))
        inside = 1 / (1 + np.exp(-8 * np.nan_to_num(depth[faces].mean(axis=1))))
        grey = _GYRUS + (_SULCUS - _GYRUS) * inside
        # nilearn moves the mean of the points to zero; lines drawn later must follow.
        surfaces[side] = Surface(points - points.mean(axis=0), faces, grey)
    return surfaces


def draw_surface(figure: Figure, box: tuple, surface: Surface, side: str, view: str) -> Any:
    """Draw one bare hemisphere and return its axes."""
    from nilearn.plotting import plot_surf
    from nilearn.surface import InMemoryMesh

    axes = figure.add_axes(box, projection="3d", computed_zorder=False)
    axes.set_proj_type("ortho")
    shape = InMemoryMesh(surface.points.copy(), surface.faces)
    plot_surf(
        shape, hemi=side, view=view, engine="matplotlib", axes=axes, figure=figure, colorbar=False,
    )  # fmt: skip
    # One scale for all axes and panels: nilearn stretches the third axis to fill the box.
    low, high = surface.points.min(axis=0), surface.points.max(axis=0)
    middle, reach = (low + high) / 2, (high - low).max() / 2
    limits = zip(middle - reach, middle + reach, strict=True)
    axes.set(**dict(zip(("xlim", "ylim", "zlim"), limits, strict=True)))
    axes.set_box_aspect((1, 1, 1), zoom=1.57)
    axes.patch.set_visible(False)
    axes.collections[0].set_clip_on(False)
    return axes


def colour_surface(
    axes: Any, surface: Surface, values: np.ndarray, scale: tuple[float, float | None, bool]
) -> None:
    """Colour every triangle: the map over the grey of the surface."""
    limit, threshold, signed = scale
    mean = values[surface.faces].mean(axis=1)
    alpha = opacity(mean, limit, threshold)[:, None]
    below = np.repeat(surface.grey[:, None], 3, axis=1)
    colours = below * (1 - alpha) + style.score_colours(np.nan_to_num(mean), limit, signed) * alpha
    triangles = axes.collections[0]
    triangles.set_facecolors(np.clip(colours, 0, 1))
    # Edges in the colour of the triangle close the hair lines between neighbours.
    triangles.set_edgecolors(np.clip(colours, 0, 1))
    triangles.set_linewidth(0.25)
    triangles.set_antialiased(True)


def outline_vertices(axes: Any, surface: Surface, inside: np.ndarray) -> None:
    """Draw a line around vertices, where it faces the viewer."""
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    corners = surface.points[surface.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # Triangles of a closed surface may all be listed the other way round.
    outward = np.sign((normals * corners.mean(axis=1)).sum() or 1.0)
    turn, tilt = np.deg2rad(axes.azim), np.deg2rad(axes.elev)
    eye = np.array([np.cos(tilt) * np.cos(turn), np.cos(tilt) * np.sin(turn), np.sin(tilt)])
    facing = surface.faces[outward * (normals @ eye) > 0]
    segments = boundary_segments(surface.points, facing, inside)
    if not len(segments):  # mplot3d cannot add nothing
        return
    shift = 0.01 * np.abs(surface.points).max() * eye
    for colour, width, order in (("white", 1.5, 10), (style.INK, 0.7, 11)):
        axes.add_collection3d(
            Line3DCollection(segments + shift, colors=colour, linewidths=width, zorder=order,
                             capstyle="round")
        )  # fmt: skip


def boundary_segments(points: np.ndarray, faces: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the line between vertices inside and outside, shape (n_segments, 2, 3).

    In a triangle that the line crosses, it runs between the middles of the two sides that join
    an inner with an outer vertex.

    Examples
    --------
    >>> points = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    >>> boundary_segments(points, np.array([[0, 1, 2]]), np.array([True, False, False])).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    marks = inside[faces]
    segments = []
    for odd in range(3):
        first, second = (odd + 1) % 3, (odd + 2) % 3
        # The vertex that stands alone against the two others.
        alone = (marks[:, odd] != marks[:, first]) & (marks[:, first] == marks[:, second])
        tip, one, two = (points[faces[alone, corner]] for corner in (odd, first, second))
        segments.append(np.stack([(tip + one) / 2, (tip + two) / 2], axis=1))
    return np.concatenate(segments)
