"""Meshes to GIFTI: points in mm and triangles, with nothing but the hemisphere beside them."""

from __future__ import annotations

import numpy as np
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from neurodnn.brain.mesh import Mesh

_STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}


def mesh_to_gifti(mesh: Mesh) -> GiftiImage:
    """Return a mesh as a GIFTI image of points and triangles.

    Parameters
    ----------
    mesh : Mesh
        One hemisphere; coordinates in mm.

    Returns
    -------
    nibabel.gifti.GiftiImage

    Examples
    --------
    >>> image = mesh_to_gifti(Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]))
    >>> [array.data.shape for array in image.darrays]
    [(3, 3), (1, 3)]
    """
    structure = _STRUCTURES.get(mesh.hemisphere)
    notes = GiftiMetaData({"AnatomicalStructurePrimary": structure} if structure else {})
    points = GiftiDataArray(
        np.asarray(mesh.coordinates, dtype=np.float32), intent="NIFTI_INTENT_POINTSET", meta=notes
    )
    faces = GiftiDataArray(
        np.asarray(mesh.faces, dtype=np.int32), intent="NIFTI_INTENT_TRIANGLE"
    )
    return GiftiImage(darrays=[points, faces])
