"""Which places touch: voxels that share a face, edge or corner, vertices that share an edge.

Cluster tests and TFCE take these tables; see `neurodnn.numerics.adjacency` for products with
time.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import block_diag, csr_array

from neurodnn._checks import InputError, message
from neurodnn.brain.hemispheres import MasksLike, MeshesLike, Side, hemisphere_sides
from neurodnn.brain.masks import ImageLike, mask_array, read_mask
from neurodnn.numerics.adjacency import grid_adjacency

CONNECTIVITIES = (6, 18, 26)


def voxel_adjacency(mask_img: ImageLike, *, connectivity: int = 18) -> csr_array:
    """Return which voxels of a mask touch each other.

    Parameters
    ----------
    mask_img : path or nibabel image, 3-D
    connectivity : {6, 18, 26}
        Voxels that share a face (6), a face or an edge (18, the default: as in SPM), or a
        corner at least (26). Where results depend on it, it belongs into the paper.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Voxels x voxels in C order of ``numpy.flatnonzero(mask)``; symmetric, without a diagonal.

    Raises
    ------
    InputError
        For a faulty mask or another connectivity.

    Examples
    --------
    >>> import nibabel
    >>> mask = nibabel.Nifti1Image(np.ones((2, 2, 1), "u1"), np.eye(4))
    >>> voxel_adjacency(mask, connectivity=6).toarray().astype(int).tolist()
    [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]]
    """
    if isinstance(connectivity, bool) or connectivity not in CONNECTIVITIES:
        allowed = ", ".join(map(str, CONNECTIVITIES))
        raise InputError(message("connectivity", "is not known", got=connectivity, allowed=allowed))
    return grid_adjacency(mask_array(read_mask(mask_img)), int(connectivity))


def vertex_adjacency(mesh: MeshesLike, *, mask: MasksLike = None) -> csr_array:
    """Return which vertices of a mesh are joined by an edge.

    Parameters
    ----------
    mesh : path or Mesh, or mapping of ``left`` and ``right`` to them
        Of any shape: edges join the same vertices on a white and on an inflated surface. Of
        both hemispheres: one table of blocks, the left one first, so that one test covers both
        as one family and no cluster spans the midline.
    mask : array of bool, shape (n_vertices,), optional
        The mask that made the patterns; a mapping where `mesh` is one.

    Returns
    -------
    scipy.sparse.csr_array, bool
        Kept vertices x kept vertices; symmetric, without a diagonal.

    Raises
    ------
    InputError
        For a faulty mesh, or a mask of another shape.

    Notes
    -----
    Sizes of clusters over this table are numbers of vertices, not mm2.

    Examples
    --------
    >>> from neurodnn.brain.mesh import Mesh
    >>> strip = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], [[0, 1, 2], [1, 3, 2]])
    >>> vertex_adjacency(strip).toarray().astype(int).tolist()
    [[0, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]]
    """
    parts = [_edges(side) for side in hemisphere_sides(mesh, mask)]
    joined = csr_array(block_diag(parts, format="csr", dtype=bool))
    joined.sort_indices()
    return joined


def _edges(side: Side) -> csr_array:
    kept = csr_array(side.mesh.edges()[side.keep][:, side.keep])
    return csr_array((np.ones(kept.nnz, bool), kept.indices, kept.indptr), shape=kept.shape)
