"""Source spaces on the cortex: their meshes, discs along them, and which sources touch."""

from __future__ import annotations

from typing import NamedTuple

import mne
import numpy as np
from mne.minimum_norm import InverseOperator
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_array
from scipy.sparse.csgraph import dijkstra

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.discs import disc_neighbors
from neurodnn.brain.mesh import Mesh

_SIDES = {101: "left", 102: "right"}  # FIFFV_MNE_SURF_LEFT_HEMI, ..._RIGHT_HEMI
_HEAD = 4  # FIFFV_COORD_HEAD

SourceLike = mne.SourceSpaces | mne.Forward | InverseOperator


class SourceSide(NamedTuple):
    """The sources of one hemisphere.

    ``points`` in mm and ``faces`` are the whole surface, ``used`` the vertices that are sources,
    ``coarse`` the triangles between sources alone, with numbers of the whole surface; it may be
    empty.
    """

    name: str
    points: NDArray
    faces: NDArray
    used: NDArray
    coarse: NDArray


def source_sides(src: SourceLike, where: str = "src") -> list[SourceSide]:
    """Return the hemispheres of a surface source space, the left one first.

    Parameters
    ----------
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator
        Of the last two, points are moved back from the head to the coordinates of the surface.
    where : str
        What it is called in messages.

    Raises
    ------
    InputError
        If it is no source space, or has volumes or single dipoles.
    """
    spaces, head = src, None
    if isinstance(src, (mne.Forward, InverseOperator)):
        spaces, head = src["src"], src["mri_head_t"]
    if not isinstance(spaces, mne.SourceSpaces):
        allowed = "SourceSpaces, a Forward or an InverseOperator of MNE"
        got = type(src).__name__
        raise InputError(message(where, "is no source space", got=got, allowed=allowed))
    kinds = {str(each["type"]) for each in spaces}
    names = [_SIDES.get(int(each["id"]), "?") for each in spaces]
    if kinds != {"surf"} or any(not len(each["tris"]) for each in spaces):
        fault = "is no surface: discs along the cortex need its triangles"
        remedy = "Make it with mne.setup_source_space."
        raise InputError(message(where, fault, got=sorted(kinds), remedy=remedy))
    if names not in (["left", "right"], ["left"], ["right"]):
        fault = "does not hold the left hemisphere, then the right one"
        raise InputError(message(where, fault, got=names))
    return [_side(name, each, head) for name, each in zip(names, spaces, strict=True)]


def source_subject(src: SourceLike) -> str | None:
    """Return the name of the subject whose surface it is, where the source space tells it."""
    spaces = src if isinstance(src, mne.SourceSpaces) else src["src"]
    name = spaces[0].get("subject_his_id")
    return str(name) if name else None


def source_neighbors(src: SourceLike, radius: float = 20.0) -> csr_array:
    """Return the sources of the geodesic disc around each source.

    Distances are measured along the whole surface (see `disc_neighbors`), also where only some
    of its vertices are sources.

    Parameters
    ----------
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator
        Surfaces. Give the operator that makes the patterns: MNE leaves sources out that lie too
        near to the skull.
    radius : float
        mm, inclusive. Default 20: between sources 7 mm apart a disc then holds some 25.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Sources x sources, the left hemisphere first; no disc in both. The order is that of the
        channels of `source_patterns`.

    Raises
    ------
    InputError
        For a volume, a radius below 1 mm (metres are not meant), or one so small that no disc
        holds two sources.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import source_space
    >>> neighbors = source_neighbors(source_space(3), 20.0)
    >>> neighbors.shape[0] == neighbors.shape[1], bool(neighbors.diagonal().all())
    (True, True)
    """
    radius = check_number("radius", radius, minimum=0, strict=True, unit="mm")
    if radius < 1:
        remedy = "20 mm are 20, not 0.02."
        raise InputError(
            message("radius", "is below 1 mm", got=radius, allowed=">= 1 mm", remedy=remedy)
        )
    meshes, masks = {}, {}
    for side in source_sides(src):
        meshes[side.name] = _mesh(side)
        masks[side.name] = np.isin(np.arange(len(side.points)), side.used)
    # Sources may be few of the vertices on purpose: their share says nothing about borders.
    discs = disc_neighbors(meshes, radius, mask=masks, min_share=0.0)
    if int(np.diff(discs.indptr).max()) < 2:
        fault = "no disc holds a second source"
        remedy = "Take a larger one."
        raise InputError(message("radius", fault, got=radius, remedy=remedy))
    return discs


def source_adjacency(src: SourceLike) -> csr_array:
    """Return which sources touch, for cluster tests.

    Parameters
    ----------
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator

    Returns
    -------
    scipy.sparse.csr_array, bool
        Sources x sources, the left hemisphere first; symmetric, without a diagonal. Over time:
        ``combine_adjacency(source_adjacency(src), line_adjacency(n_times))``.

    Raises
    ------
    InputError
        For a volume.

    Notes
    -----
    Sources touch that share a triangle of the decimated surface, where the source space holds
    it (as in MNE), or of the whole one. Where neither joins them, two sources touch if their
    regions do: the vertices that are nearer to each, along the surface, than to all others.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import source_space
    >>> table = source_adjacency(source_space(3))
    >>> int(table.sum(axis=1).max())
    6
    """
    parts = [touching_sources(side) for side in source_sides(src)]
    joined = csr_array(block_diag(parts, format="csr", dtype=bool))
    joined.sort_indices()
    return joined


def source_meshes(src: SourceLike, *, decimated: bool = False) -> dict[str, Mesh]:
    """Return the surface of each hemisphere.

    Parameters
    ----------
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator
        Of the last two, coordinates are those of the surface (MRI), not of the head.
    decimated : bool
        True: the mesh of the sources alone, in the order of `source_neighbors`; it needs their
        own triangles in the source space. Default: the whole surface, whose vertices the
        coordinate ``vertex`` of scores numbers.

    Returns
    -------
    dict of ``left`` and ``right`` to Mesh
        Coordinates in mm. The key of a hemisphere without sources is missing.

    Raises
    ------
    InputError
        For a volume, or if there are no triangles of the sources alone.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import source_space
    >>> {side: mesh.n_vertices for side, mesh in source_meshes(source_space(3)).items()}
    {'left': 10242, 'right': 10242}
    """
    meshes = {}
    for side in source_sides(src):
        meshes[side.name] = _mesh(side)
        if decimated:
            place = np.full(len(side.points), -1)
            place[side.used] = np.arange(side.used.size)
            faces = side.faces if side.used.size == len(side.points) else side.coarse
            faces = place[faces]
            faces = faces[(faces >= 0).all(axis=1)]
            if not len(faces):
                fault = f"has no triangles between the sources of the {side.name} hemisphere"
                raise InputError(message("src", fault, remedy="Take decimated=False."))
            where = f"sources of the {side.name} hemisphere"
            points = side.points[side.used]
            meshes[side.name] = Mesh(points, faces, where, hemisphere=side.name)
    return meshes


def _side(name: str, space: dict, head: mne.transforms.Transform | None) -> SourceSide:
    points = np.asarray(space["rr"], dtype=float)
    if head is not None and int(space["coord_frame"]) == _HEAD:
        back = head if head["to"] != _HEAD else mne.transforms.invert_transform(head)
        points = mne.transforms.apply_trans(back, points)
    # Absent triangles of the sources are None in memory, and an empty table from a file.
    coarse = space.get("use_tris")
    coarse = np.empty((0, 3), np.int64) if coarse is None else np.asarray(coarse).reshape(-1, 3)
    used = np.asarray(space["vertno"], dtype=np.int64)
    return SourceSide(name, 1000 * points, np.asarray(space["tris"]), used, coarse)


def _mesh(side: SourceSide) -> Mesh:
    where = f"source space of the {side.name} hemisphere"
    return Mesh(side.points, side.faces, where, hemisphere=side.name)


def touching_sources(side: SourceSide) -> csr_array:
    """Return which sources of a hemisphere touch; see `source_adjacency`."""
    tables = [_joined(faces, side) for faces in (side.coarse, side.faces) if len(faces)]
    for table in tables:
        # Sources at the border of a patch may have lost all neighbours; most have some.
        if np.median(np.diff(table.indptr)) >= 2:
            return table
    return _touching_regions(side)


def _joined(faces: NDArray, side: SourceSide) -> csr_array:
    place = np.full(len(side.points), -1)
    place[side.used] = np.arange(side.used.size)
    pairs = np.concatenate([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    return _table(place[pairs], side.used.size)


def _touching_regions(side: SourceSide) -> csr_array:
    """Two sources touch if an edge of the surface joins their regions."""
    edges = _mesh(side).edges()
    far, _, nearest = dijkstra(
        edges, directed=False, indices=side.used, min_only=True, return_predecessors=True
    )
    place = np.full(len(side.points), -1)
    place[side.used] = np.arange(side.used.size)
    own = np.where(np.isfinite(far), nearest, -1)
    region = np.where(own >= 0, place[own], -1)
    table = edges.tocoo()
    return _table(np.stack([region[table.row], region[table.col]], axis=1), side.used.size)


def _table(pairs: NDArray, n: int) -> csr_array:
    pairs = pairs[(pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])]
    both = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return csr_array((np.ones(len(both), bool), (both[:, 0], both[:, 1])), shape=(n, n))
