"""Left and right named, told apart, and joined so that one analysis covers both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, check_choice, message
from neurodnn.brain.mesh import Mesh, MeshLike, kept_vertices, read_mesh

HEMISPHERES = ("left", "right")
_NAMES = {"left": "left", "right": "right", "L": "left", "R": "right"}

MeshesLike = MeshLike | Mapping[str, MeshLike]
MasksLike = NDArray | Mapping[str, NDArray] | None


class Side(NamedTuple):
    """One hemisphere of an analysis: its name (may be empty), mesh and kept vertices."""

    name: str
    mesh: Mesh
    keep: NDArray


def hemisphere_name(value: str, argument: str = "hemisphere") -> str:
    """Return ``"left"`` or ``"right"``; ``"L"`` and ``"R"`` are understood.

    Examples
    --------
    >>> hemisphere_name("L")
    'left'
    """
    return _NAMES[check_choice(argument, value, _NAMES)]


def by_hemisphere(values: Mapping[str, Any], argument: str) -> dict[str, Any]:
    """Return a mapping with the keys ``left`` and ``right``, in that order.

    Raises
    ------
    InputError
        For other keys, the same side twice, or none.

    Examples
    --------
    >>> by_hemisphere({"R": 2, "L": 1}, "mesh")
    {'left': 1, 'right': 2}
    """
    named = [(hemisphere_name(key, argument), value) for key, value in values.items()]
    found = dict(named)
    if not found or len(found) < len(named):
        what = "does not name each hemisphere once"
        raise InputError(message(argument, what, got=list(values), allowed="left, right"))
    return {side: found[side] for side in HEMISPHERES if side in found}


def hemisphere_sides(mesh: MeshesLike, mask: MasksLike = None) -> list[Side]:
    """Return the hemispheres of an analysis with their kept vertices, the left one first.

    Parameters
    ----------
    mesh : path or Mesh, or mapping of ``left`` and ``right`` to them
    mask : array of bool, or mapping of ``left`` and ``right`` to them, optional
        In the form of `mesh`.

    Raises
    ------
    InputError
        If one is a mapping and the other is not, sides differ, or a mesh is of the other side.

    Examples
    --------
    >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> [side.name for side in hemisphere_sides({"R": triangle, "L": triangle})]
    ['left', 'right']
    """
    if not isinstance(mesh, Mapping):
        if isinstance(mask, Mapping):
            remedy = "Give the meshes as a mapping too, or the mask of this mesh."
            raise InputError(message("mask", "names hemispheres, the mesh does not", remedy=remedy))
        single = read_mesh(mesh)
        return [Side(single.hemisphere, single, kept_vertices(mask, single))]
    meshes = {side: read_mesh(one) for side, one in by_hemisphere(mesh, "mesh").items()}
    for side, one in meshes.items():
        check_same_side(one.hemisphere, side, one.where)
    if mask is None:
        masks: dict[str, NDArray | None] = dict.fromkeys(meshes)
    elif isinstance(mask, Mapping):
        masks = by_hemisphere(mask, "mask")
        check_same_sides(masks, meshes, "mask")
    else:
        allowed = f"a mapping with {' and '.join(meshes)}"
        what = "does not say which hemisphere it is of"
        raise InputError(message("mask", what, got=type(mask).__name__, allowed=allowed))
    return [Side(side, one, kept_vertices(masks[side], one)) for side, one in meshes.items()]


def check_same_sides(values: Mapping[str, Any], meshes: Mapping[str, Any], argument: str) -> None:
    """Refuse a mapping whose hemispheres are not those of the meshes."""
    if list(values) != list(meshes):
        what = "has other hemispheres than the mesh"
        got, allowed = ", ".join(values), ", ".join(meshes)
        raise InputError(message(argument, what, got=got, allowed=allowed))


def check_same_side(found: str, wanted: str, where: str) -> None:
    """Refuse what is known to belong to the other side; sides of fsaverage look alike."""
    if found and wanted and found != wanted:
        what = f"belongs to the {found} hemisphere and was given for the {wanted} one"
        raise InputError(message(where, what, remedy="Exchange the two."))


def join_hemispheres(patterns: Mapping[str, Dataset]) -> Dataset:
    """Return the patterns of both hemispheres side by side, the left one first.

    Parameters
    ----------
    patterns : mapping of ``left`` and ``right`` to rsatoolbox.data.Dataset
        With the same observations in the same order.

    Returns
    -------
    rsatoolbox.data.Dataset
        Channel descriptors ``vertex``, the number within the mesh of its side, and
        ``hemisphere``. In the order of `disc_neighbors` and `vertex_adjacency` with both meshes.

    Raises
    ------
    InputError
        If the observations differ, or hemispheres are named wrongly.

    Examples
    --------
    >>> left, right = (Dataset(np.ones((2, n)), obs_descriptors={"stimulus": ["cat", "dog"]})
    ...                for n in (3, 2))
    >>> both = join_hemispheres({"left": left, "right": right})
    >>> both.measurements.shape, both.channel_descriptors["hemisphere"]
    ((2, 5), ['left', 'left', 'left', 'right', 'right'])
    """
    sides = by_hemisphere(patterns, "patterns")
    first = next(iter(sides.values()))
    rows = _observations(first)
    for side, part in sides.items():
        if _observations(part) != rows:
            what = f"the observations of the {side} hemisphere differ from those of the other"
            remedy = "Load both with the same labels in the same order."
            raise InputError(message("patterns", what, remedy=remedy))
    vertices = [vertex_numbers(part) for part in sides.values()]
    names = [side for side, own in zip(sides, vertices, strict=True) for _ in own]
    return Dataset(
        np.concatenate([part.measurements for part in sides.values()], axis=1),
        descriptors=dict(first.descriptors),
        obs_descriptors={key: list(values) for key, values in first.obs_descriptors.items()
                         if key != "index"},
        channel_descriptors={"vertex": np.concatenate(vertices), "hemisphere": names},
    )  # fmt: skip


def joined_patterns(
    patterns: Dataset | Mapping[str, Dataset], mesh: MeshesLike, argument: str = "patterns"
) -> Dataset:
    """Return patterns of one hemisphere as they are, of several joined, in the form of the mesh.

    Raises
    ------
    InputError
        If one is a mapping and the other is not, or their hemispheres differ.

    Examples
    --------
    >>> triangle = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> one = Dataset(np.ones((2, 3)), obs_descriptors={"stimulus": ["cat", "dog"]})
    >>> joined_patterns({"left": one}, {"left": triangle}).measurements.shape
    (2, 3)
    """
    if isinstance(patterns, Mapping) != isinstance(mesh, Mapping):
        what = "and mesh do not both name hemispheres"
        remedy = "Give both as they are, or both as mappings with left and right."
        raise InputError(message(argument, what, remedy=remedy))
    if not isinstance(patterns, Mapping):
        return patterns
    meshes = by_hemisphere(mesh, "mesh")
    check_same_sides(by_hemisphere(patterns, argument), meshes, argument)
    return join_hemispheres(patterns)


def vertex_numbers(patterns: Dataset) -> NDArray:
    """Return the vertices that the channels are, all in order where nothing is noted."""
    own = (patterns.channel_descriptors or {}).get("vertex")
    return np.arange(patterns.measurements.shape[1]) if own is None else np.asarray(own)


def _observations(patterns: Dataset) -> dict[str, list[str]]:
    return {key: [str(value) for value in values]
            for key, values in patterns.obs_descriptors.items() if key != "index"}  # fmt: skip
