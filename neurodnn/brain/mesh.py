"""GIFTI files read with care, and meshes: vertices, triangles, ways along the surface."""

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

from neurodnn._checks import InputError, message
from neurodnn.brain._files import read_head, user_path

_AGAIN = "Fetch it again or restore it from the source."
# What nibabel and expat raise on broken GIFTI, measured on truncated and scrambled files.
_BROKEN = (
    ExpatError, GiftiParseError, binascii.Error, zlib.error, ValueError, TypeError, KeyError,
    IndexError, AttributeError, AssertionError, OverflowError, EOFError,
)  # fmt: skip

# GIFTI's words for surfaces that show the cortex and do not measure it.
_SHAPES = {
    "inflated": "inflated", "veryinflated": "inflated", "spherical": "sphere",
    "semi-spherical": "sphere", "ellipsoid": "sphere", "flat": "flat", "hull": "hull",
}  # fmt: skip


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
    hemisphere : {"", "left", "right"}
        The side, where known: data of the other side are then refused, although they have as
        many vertices on meshes like fsaverage.
    shape : str
        ``"inflated"``, ``"sphere"`` or ``"flat"`` for a mesh to look at, on which millimetres
        mean nothing; empty for a surface of the brain.
    moved : bool
        Whether the file names a transformation of the coordinates into the space of an image.
        It is not applied: ways along the surface do not need it, projections do.

    Raises
    ------
    InputError
        For coordinates that are not finite, or faces that name no vertex.

    Examples
    --------
    >>> Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]).n_vertices
    3
    """

    def __init__(
        self,
        coordinates: NDArray,
        faces: NDArray,
        where: str = "mesh",
        *,
        hemisphere: str = "",
        shape: str = "",
        moved: bool = False,
    ) -> None:
        self.coordinates = np.asarray(coordinates, float)
        self.faces = np.asarray(faces, np.int64)
        self.where, self.hemisphere, self.shape, self.moved = where, hemisphere, shape, moved
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
        length = np.linalg.norm(np.diff(self.coordinates[sides], axis=1)[:, 0], axis=1)
        return _symmetric(sides, length, self.n_vertices)

    def paths(self) -> csr_array:
        """Return the lengths of edges and of straight ways across two triangles, in mm.

        Where the two triangles at an edge, folded flat, let a straight line from tip to tip
        cross that edge, the line is a way along the surface too. Shortest paths of edges alone
        are up to 15 % (10 % on average) longer than straight lines on even triangles, with
        these ways up to 3.5 %.
        """
        sides, length = _ways_across(self.coordinates, self.faces)
        edges = self.edges().tocoo()
        sides = np.concatenate([np.stack([edges.row, edges.col], axis=1), sides])
        return _symmetric(sides, np.concatenate([edges.data, length]), self.n_vertices)


def _symmetric(sides: NDArray, length: NDArray, n: int) -> csr_array:
    """Return lengths as a symmetric table; of several ways between two vertices the shortest."""
    # An explicit zero would read as "no edge": coincident vertices keep a tiny length.
    sides, length = np.sort(sides, axis=1), np.maximum(length, 1e-12)
    order = np.lexsort((length, sides[:, 1], sides[:, 0]))
    sides, length = sides[order], length[order]
    first = np.r_[True, (sides[1:] != sides[:-1]).any(axis=1)] & (sides[:, 0] != sides[:, 1])
    rows, columns = np.concatenate([sides[first], sides[first][:, ::-1]]).T
    return csr_array((np.tile(length[first], 2), (rows, columns)), shape=(n, n))


def _ways_across(points: NDArray, faces: NDArray) -> tuple[NDArray, NDArray]:
    """Return pairs of vertices that face each other across an edge, and their distance in mm."""
    corners = np.concatenate([faces[:, [a, b, c]] for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1))])
    corners[:, :2] = np.sort(corners[:, :2], axis=1)
    corners = corners[np.lexsort(corners.T[::-1])]
    same = (corners[1:, :2] == corners[:-1, :2]).all(axis=1)
    # Edges of exactly two triangles: neither a border nor a seam of three.
    two = same & ~np.r_[False, same[:-1]] & ~np.r_[same[1:], False]
    a, b, c = corners[:-1][two].T
    d = corners[1:][two][:, 2]
    edge = points[b] - points[a]
    width = np.linalg.norm(edge, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        (along_c, up_c), (along_d, up_d) = (
            _in_plane(points[tip] - points[a], edge, width) for tip in (c, d)
        )
        crossing = along_c + (along_d - along_c) * up_c / (up_c + up_d)
        straight = (crossing > 0) & (crossing < width) & (c != d)
    length = np.hypot(along_c - along_d, up_c + up_d)
    return np.stack([c, d], axis=1)[straight], length[straight]


def _in_plane(tip: NDArray, edge: NDArray, width: NDArray) -> tuple[NDArray, NDArray]:
    """Return how far each tip lies along its edge, and how far from it."""
    along = (tip * edge).sum(axis=1) / width
    return along, np.linalg.norm(np.cross(tip, edge), axis=1) / width


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
    if not isinstance(mesh, (str, os.PathLike)):
        allowed = "a path, a Mesh, or an object with coordinates and faces"
        raise InputError(message("mesh", "is none", got=type(mesh).__name__, allowed=allowed))
    image = read_gifti(mesh)
    points = image.agg_data("pointset")
    triangles = image.agg_data("triangle")
    if not isinstance(points, np.ndarray) or not isinstance(triangles, np.ndarray):
        what = "holds no single set of points and triangles"
        remedy = "Give a .surf.gii of one hemisphere."
        raise InputError(message(str(mesh), what, remedy=remedy))
    notes = structure_notes(image)
    return Mesh(
        points, triangles, str(mesh), hemisphere=noted_hemisphere(notes), moved=_is_moved(image),
        shape=_SHAPES.get(notes.get("GeometricType", "").lower().replace(" ", ""), ""),
    )  # fmt: skip


def _is_moved(image: GiftiImage) -> bool:
    """Whether a transformation other than none stands beside the points."""
    (points,) = image.get_arrays_from_intent("NIFTI_INTENT_POINTSET")
    matrix = getattr(points.coordsys, "xform", None)
    return matrix is not None and not np.allclose(matrix, np.eye(4), atol=1e-3)


def structure_notes(image: GiftiImage) -> dict[str, str]:
    """Return the metadata of a GIFTI file and of its first array as one mapping."""
    notes: dict[str, str] = {}
    for holder in (*image.darrays[:1], image):
        notes |= {str(key): str(value) for key, value in dict(holder.meta or {}).items()}
    return notes


def noted_hemisphere(notes: dict[str, str]) -> str:
    """Return the side that a file's metadata name, or nothing.

    Examples
    --------
    >>> noted_hemisphere({"AnatomicalStructurePrimary": "CortexRight"})
    'right'
    """
    structure = notes.get("AnatomicalStructurePrimary", "").lower()
    return next((side for side in ("left", "right") if structure.endswith(side)), "")


def kept_vertices(mask: NDArray | None, mesh: Mesh) -> NDArray:
    """Return the indices of the vertices inside a mask, all without one; refuse other shapes."""
    if mask is None:
        return np.arange(mesh.n_vertices)
    mask = np.asarray(mask)
    inside = mask.astype(bool) if mask.ndim == 1 and mask.dtype.kind in "biuf" else None
    if inside is None or inside.shape != (mesh.n_vertices,) or not inside.any():
        what = "is not one truth value per vertex with at least one true"
        got = f"{mask.shape}, {mask.dtype}"
        if inside is not None:
            got = f"{inside.shape}, {inside.sum()} true"
        raise InputError(message("mask", what, got=got, allowed=f"({mesh.n_vertices},)"))
    if mask.dtype.kind == "f" and np.isnan(mask).any():
        raise InputError(message("mask", "holds NaN, which is neither in nor out",
                                 remedy="Decide it: numpy.isfinite(mask) & (mask != 0)."))
    return np.flatnonzero(inside)
