"""Which sources touch, told by surface and numbers alone: for maps read back from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import block_diag, csr_array

from neurodnn._checks import InputError, message
from neurodnn.brain.mesh import Mesh
from neurodnn.brain.source_space import SourceSide, touching_sources

_SIDES = ("left", "right")
_JUMP = 2.5  # of the median link; none of the sources of fsaverage that touch is longer


def mesh_source_adjacency(
    meshes: Mapping[str, Mesh], vertices: Mapping[str, ArrayLike] | Sequence[ArrayLike]
) -> csr_array:
    """Return which sources touch, for cluster tests of maps whose source space is not at hand.

    Parameters
    ----------
    meshes : mapping of ``left`` and ``right`` to Mesh
        The whole surfaces, in mm.
    vertices : mapping of ``left`` and ``right`` to array, or both in this order
        Numbers of the sources on their surface, rising.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Sources x sources, the left hemisphere first; symmetric, without a diagonal.

    Raises
    ------
    InputError
        A number is not on the surface, or numbers do not rise.

    Notes
    -----
    Sources touch that share a triangle of the surface; where they are few of its vertices, two
    touch if their regions do: the vertices that are nearer to each, along the surface, than to
    all others. Regions also meet in the middle of what has no sources, such as the medial wall:
    where sources are sparse, links longer than 2.5 times the median are therefore left out.

    Examples
    --------
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> found = mesh_source_adjacency({"left": strip}, {"left": [0, 1, 2, 3]})
    >>> found.toarray().astype(int).tolist()
    [[0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]]
    """
    given = vertices if isinstance(vertices, Mapping) else dict(zip(_SIDES, vertices, strict=True))
    parts = []
    for side in _SIDES:
        used = np.asarray(given.get(side, []), dtype=np.int64)
        if not used.size:
            continue
        if side not in meshes:
            raise InputError(message("meshes", f"lack the {side} hemisphere"))
        mesh = meshes[side]
        if used[0] < 0 or used[-1] >= mesh.n_vertices or (np.diff(used) <= 0).any():
            fault = f"of the {side} hemisphere do not rise, or are not on its surface"
            raise InputError(message("vertices", fault, allowed=f"0 to {mesh.n_vertices - 1}"))
        empty = np.empty((0, 3), np.int64)
        whole = SourceSide(side, mesh.coordinates, mesh.faces, used, empty)
        parts.append(_without_jumps(touching_sources(whole), mesh, used))
    if not parts:
        raise InputError(message("vertices", "are none"))
    joined = csr_array(block_diag(parts, format="csr", dtype=bool))
    joined.sort_indices()
    return joined


def _without_jumps(table: csr_array, mesh: Mesh, used: np.ndarray) -> csr_array:
    """Return the links of a hemisphere without those across what has no sources."""
    if 2 * used.size > mesh.n_vertices or not table.nnz:
        return table
    points, links = mesh.coordinates[used], table.tocoo()
    length = np.linalg.norm(points[links.row] - points[links.col], axis=1)
    near = length <= _JUMP * np.median(length)
    kept = (links.row[near], links.col[near])
    return csr_array((np.ones(int(near.sum()), bool), kept), shape=table.shape)
