"""GIFTI files read with care, meshes, and geodesic discs on them."""

from __future__ import annotations

import binascii
import os
import zlib
from xml.parsers.expat import ExpatError

import numpy as np
from nibabel.gifti import GiftiImage
from nibabel.gifti.parse_gifti_fast import GiftiParseError
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain._files import read_head, user_path

_AGAIN = "Fetch it again or restore it from the source."
# What nibabel and expat raise on broken GIFTI, measured on truncated and scrambled files.
_BROKEN = (
    ExpatError, GiftiParseError, binascii.Error, zlib.error, ValueError, TypeError, KeyError,
    IndexError, AttributeError, AssertionError, OverflowError, EOFError,
)  # fmt: skip


class Mesh:
    """Vertices and triangles of one hemisphere.

    Parameters
    ----------
    coordinates : array of float, shape (n_vertices, 3)
        mm.
    faces : array of int, shape (n_faces, 3)
        Vertex indices.
    where : str
        How messages call it.

    Raises
    ------
    InputError
        For coordinates that are not finite, or faces that name no vertex.

    Examples
    --------
    >>> Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]).n_vertices
    3
    """

    def __init__(self, coordinates: NDArray, faces: NDArray, where: str = "mesh") -> None:
        self.coordinates = np.asarray(coordinates, float)
        self.faces = np.asarray(faces, np.int64)
        self.where = where
        for name, array in (("coordinates", self.coordinates), ("faces", self.faces)):
            if array.ndim != 2 or array.shape[1] != 3 or not len(array):
                what = f"{name} are not a table of three columns"
                raise InputError(message(where, what, got=array.shape, remedy=_AGAIN))
        if not np.isfinite(self.coordinates).all():
            raise InputError(message(where, "coordinates are not all finite", remedy=_AGAIN))
        if self.faces.min() < 0 or self.faces.max() >= len(self.coordinates):
            what = f"faces name vertices that are not among the {len(self.coordinates)}"
            raise InputError(message(where, what, got=int(self.faces.max()), remedy=_AGAIN))

    @property
    def n_vertices(self) -> int:
        """Number of vertices."""
        return len(self.coordinates)

    def edges(self) -> csr_array:
        """Return the lengths of the edges in mm, symmetric, vertices x vertices."""
        sides = np.concatenate([self.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
        sides = np.unique(np.sort(sides, axis=1), axis=0)
        sides = sides[sides[:, 0] != sides[:, 1]]
        length = np.linalg.norm(np.diff(self.coordinates[sides], axis=1)[:, 0], axis=1)
        # An explicit zero would read as "no edge": coincident vertices keep a tiny length.
        length = np.maximum(length, 1e-12)
        rows, columns = np.concatenate([sides, sides[:, ::-1]]).T
        shape = (self.n_vertices, self.n_vertices)
        return csr_array((np.tile(length, 2), (rows, columns)), shape=shape)


MeshLike = str | os.PathLike | Mesh


def read_gifti(path: str | os.PathLike) -> GiftiImage:
    """Return a GIFTI file; refuse what is damaged or would reach outside the file.

    Parameters
    ----------
    path : str or path
        ``.gii``. Entities (an expansion bomb needs them) and data in external files are
        refused.

    Returns
    -------
    nibabel.gifti.GiftiImage

    Raises
    ------
    InputError
        Naming the file, the reason and what to do.

    Examples
    --------
    >>> read_gifti("nowhere.func.gii")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: nowhere.func.gii: no such file. Check the spelling and the folder.
    """
    path = user_path(path)
    where = str(path)
    if not path.name.lower().endswith(".gii"):
        raise InputError(message(where, "the name does not say that it is GIFTI", allowed=".gii"))
    read_head(path)
    raw = path.read_bytes()
    if b"<!ENTITY" in raw:
        what = "the XML defines entities, which GIFTI never needs; they can exhaust the memory"
        raise InputError(message(where, what, remedy="Get the file from its source."))
    if b"ExternalFileBinary" in raw:
        what = "the data lie in another file"
        remedy = "Save it with the data inside (wb_command -gifti-convert GZIP_BASE64_BINARY)."
        raise InputError(message(where, what, remedy=remedy))
    try:
        image = GiftiImage.from_bytes(raw)
    except _BROKEN as error:
        what = f"is not intact GIFTI ({error or type(error).__name__})"
        raise InputError(message(where, what, remedy=_AGAIN)) from error
    if not isinstance(image, GiftiImage) or any(array.data is None for array in image.darrays):
        raise InputError(message(where, "is not intact GIFTI (no data)", remedy=_AGAIN))
    return image


def read_mesh(mesh: MeshLike) -> Mesh:
    """Return the mesh of one hemisphere.

    Parameters
    ----------
    mesh : path, Mesh, or object with ``coordinates`` and ``faces``
        A ``.surf.gii`` file (white, midthickness or pial: distances are measured on it, so
        not inflated, not a sphere), or a mesh as nilearn loads it.

    Returns
    -------
    Mesh

    Raises
    ------
    InputError
        For faulty files, or GIFTI without points and triangles.

    Examples
    --------
    >>> read_mesh(Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])).edges().nnz
    6
    """
    if isinstance(mesh, Mesh):
        return mesh
    if hasattr(mesh, "coordinates") and hasattr(mesh, "faces"):
        return Mesh(mesh.coordinates, mesh.faces)
    image = read_gifti(mesh)
    points = image.agg_data("pointset")
    triangles = image.agg_data("triangle")
    if not isinstance(points, np.ndarray) or not isinstance(triangles, np.ndarray):
        what = "holds no single set of points and triangles"
        remedy = "Give a .surf.gii of one hemisphere."
        raise InputError(message(str(mesh), what, remedy=remedy))
    return Mesh(points, triangles, where=str(mesh))


def disc_neighbors(
    mesh: MeshLike, radius: float = 9.0, *, mask: NDArray | None = None
) -> csr_array:
    """Return the vertices of the geodesic disc around each vertex.

    Distance is the length of the shortest path along edges, which is longer than the true
    geodesic by a few percent on meshes of even triangles.

    Parameters
    ----------
    mesh : path or Mesh
        White, midthickness or pial.
    radius : float
        mm; vertices at exactly the radius belong to the disc.
    mask : array of bool, shape (n_vertices,), optional
        As in `load_surface_patterns`: centres and members are the kept vertices. Paths may
        cross the others.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Kept vertices x kept vertices.

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
    mesh = read_mesh(mesh)
    radius = check_number("radius", radius, minimum=0, strict=True, unit="mm")
    keep = kept_vertices(mask, mesh)
    column = np.full(mesh.n_vertices, -1, np.int32)
    column[keep] = np.arange(keep.size, dtype=np.int32)
    edges, tree = mesh.edges(), cKDTree(mesh.coordinates)
    members: list[NDArray] = [np.empty(0, np.int32)] * keep.size
    cubes = np.floor((mesh.coordinates[keep] - mesh.coordinates.min(axis=0)) / radius)
    _, cube_of = np.unique(cubes, axis=0, return_inverse=True)
    order = np.argsort(cube_of.ravel(), kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(cube_of.ravel()[order])) + 1):
        centres = keep[group]
        points = mesh.coordinates[centres]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        reach = np.linalg.norm(points - middle, axis=1).max() + radius * (1 + 1e-9)
        near = np.sort(np.asarray(tree.query_ball_point(middle, reach), np.int64))
        local = edges[near][:, near]
        distance = dijkstra(local, indices=np.searchsorted(near, centres), limit=radius + 1e-9)
        for place, row in zip(group, distance, strict=True):
            found = column[near[np.isfinite(row)]]
            members[place] = found[found >= 0]  # sorted: near and keep are
    sizes = np.array([found.size for found in members])
    indices = np.concatenate(members)
    # One width for both: scipy would widen the indices to that of the pointers.
    narrow = np.int32 if indices.size < 2**31 else np.int64
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(narrow)
    return csr_array(
        (np.ones(indices.size, bool), indices, indptr), shape=(keep.size, keep.size)
    )


def kept_vertices(mask: NDArray | None, mesh: Mesh) -> NDArray:
    """Return the indices of the vertices inside a mask, all without one; refuse other shapes."""
    if mask is None:
        return np.arange(mesh.n_vertices)
    mask = np.asarray(mask).astype(bool)
    if mask.shape != (mesh.n_vertices,) or not mask.any():
        what = "is not one truth value per vertex with at least one true"
        got, allowed = f"{mask.shape}, {mask.sum()} true", f"({mesh.n_vertices},)"
        raise InputError(message("mask", what, got=got, allowed=allowed))
    return np.flatnonzero(mask)
