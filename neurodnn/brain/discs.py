"""Geodesic discs: which vertices lie near a vertex, along the surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rsatoolbox.data import Dataset
from scipy.sparse import block_diag, csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.hemispheres import (
    MasksLike,
    MeshesLike,
    Side,
    hemisphere_sides,
    vertex_numbers,
)
from neurodnn.brain.mesh import Mesh
from neurodnn.numerics.features import usable_features


def disc_neighbors(
    mesh: MeshesLike,
    radius: float = 9.0,
    *,
    mask: MasksLike = None,
    min_share: float = 0.5,
) -> csr_array:
    """Return the vertices of the geodesic disc around each vertex.

    Distance is the length of the shortest path along edges and straight across pairs of
    triangles (`Mesh.paths`), which is longer than the true geodesic by a few percent at most
    on meshes of even triangles.

    Parameters
    ----------
    mesh : path or Mesh, or mapping of ``left`` and ``right`` to them
        White, midthickness or pial: on an inflated one distances are not those of the brain.
        Of both hemispheres: one table of blocks, the left one first, no disc in both.
    radius : float
        mm; vertices at exactly the radius belong to the disc.
    mask : array of bool, shape (n_vertices,), optional
        As in `load_surface_patterns`: centres and members are the kept vertices. Paths may
        cross the others. A mapping where `mesh` is one.
    min_share : float
        Discs with less than this share of their vertices inside the mask are not computed:
        their row is empty.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Kept vertices x kept vertices.

    Raises
    ------
    InputError
        For a mesh to look at only (inflated, sphere, flat), a mask of another shape, or a
        number out of range.

    Notes
    -----
    No path of length r leaves the ball of radius r around its start. Vertices are therefore
    taken cube by cube, and the shortest paths of a cube are found among the vertices near it:
    a table of all distances never exists.

    References
    ----------
    .. [1] Oosterhof et al. (2011), A comparison of volume-based and surface-based multi-voxel
       pattern analysis, NeuroImage 56:593.

    Examples
    --------
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> disc_neighbors(strip, 1.0).toarray().astype(int).tolist()
    [[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]]
    """
    sides = hemisphere_sides(mesh, mask)
    usable = np.ones(sum(side.keep.size for side in sides), bool)
    return _covered_discs(sides, radius, usable, min_share)


def pattern_discs(
    patterns: Dataset,
    mesh: MeshesLike,
    radius: float = 9.0,
    *,
    mask: MasksLike = None,
    min_share: float = 0.5,
) -> csr_array:
    """Return `disc_neighbors`, less the discs that hold too few usable patterns.

    Vertices without usable values are no better than vertices outside the mask, so both count
    against `min_share`.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Channels are the kept vertices (of both hemispheres: see `join_hemispheres`).
    mesh, radius, mask, min_share
        As in `disc_neighbors`.

    Raises
    ------
    InputError
        If the channels are not the kept vertices.

    Examples
    --------
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> lost = Dataset(np.array([[0, 1, 2, np.nan], [1, 0, 5, 1]]))
    >>> pattern_discs(lost, strip, 1.0, min_share=0.7).sum(axis=1).tolist()
    [3, 0, 0, 0]
    """
    sides = hemisphere_sides(mesh, mask)
    keep = np.concatenate([side.keep for side in sides])
    if not np.array_equal(vertex_numbers(patterns), keep):
        what = f"channels are not the {keep.size} kept vertices of the mesh"
        got = patterns.measurements.shape[1]
        remedy = "Give the mesh and the mask that made the patterns."
        raise InputError(message("patterns", what, got=got, remedy=remedy))
    return _covered_discs(sides, radius, usable_features(patterns.measurements), min_share)


def _covered_discs(
    sides: list[Side], radius: float, usable: NDArray, min_share: float
) -> csr_array:
    """Return the discs of all sides, rows emptied where too little of a disc is usable."""
    radius = check_number("radius", radius, minimum=0, strict=True, unit="mm")
    min_share = check_number("min_share", min_share, minimum=0, maximum=1)
    found = [_discs(side.mesh, radius, side.keep) for side in sides]
    discs, full = found[0]
    if len(found) > 1:
        discs = csr_array(block_diag([table for table, _ in found], format="csr", dtype=bool))
        full = np.concatenate([sizes for _, sizes in found])
    # No row is empty yet, as `reduceat` needs it: every disc holds its centre.
    covered = np.add.reduceat(usable[discs.indices], discs.indptr[:-1], dtype=np.int64)
    enough = covered >= min_share * full - 1e-9
    sizes = np.where(enough, np.diff(discs.indptr), 0)
    indices = discs.indices
    if not enough.all():
        indices = indices[np.repeat(enough, np.diff(discs.indptr))]
    # One width for both: scipy would widen the indices to that of the pointers.
    narrow = np.int32 if indices.size < 2**31 else np.int64
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(narrow)
    data = np.ones(indices.size, bool)
    return csr_array((data, indices.astype(narrow, copy=False), indptr), shape=discs.shape)


def _discs(mesh: Mesh, radius: float, keep: NDArray) -> tuple[csr_array, NDArray]:
    """Return kept x kept members of the discs, and how many vertices each has without a mask."""
    if mesh.shape:
        what = f"is {mesh.shape}: distances on it are not distances in the brain"
        remedy = "Give the white, midthickness or pial surface of the same vertices."
        raise InputError(message(mesh.where, what, remedy=remedy))
    column = np.full(mesh.n_vertices, -1, np.int32)
    column[keep] = np.arange(keep.size, dtype=np.int32)
    paths, tree = mesh.paths(), cKDTree(mesh.coordinates)
    members: list[NDArray] = [np.empty(0, np.int32)] * keep.size
    full = np.zeros(keep.size, np.int64)
    cubes = np.floor((mesh.coordinates[keep] - mesh.coordinates.min(axis=0)) / radius)
    _, cube_of = np.unique(cubes, axis=0, return_inverse=True)
    order = np.argsort(cube_of.ravel(), kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(cube_of.ravel()[order])) + 1):
        centres = keep[group]
        points = mesh.coordinates[centres]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        reach = np.linalg.norm(points - middle, axis=1).max() + radius * (1 + 1e-9)
        near = np.sort(np.asarray(tree.query_ball_point(middle, reach), np.int64))
        local = paths[near][:, near]
        distance = dijkstra(local, indices=np.searchsorted(near, centres), limit=radius + 1e-9)
        for place, row in zip(group, distance, strict=True):
            reached = near[np.isfinite(row)]
            found = column[reached]
            members[place] = found[found >= 0]  # sorted: near and keep are
            full[place] = reached.size
    sizes = np.array([found.size for found in members])
    indices = np.concatenate(members)
    narrow = np.int32 if indices.size < 2**31 else np.int64
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(narrow)
    shape = (keep.size, keep.size)
    return csr_array((np.ones(indices.size, bool), indices, indptr), shape=shape), full
