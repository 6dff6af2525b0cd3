"""fsaverage5 as nilearn ships it: no file of the user, no download.

The wheel of nilearn holds, for either hemisphere, the surfaces white, pial, inflated, sphere and
flat and the shapes sulc, curv, thick and area, all with 10,242 vertices (measured in nilearn
0.14.1). It holds no medial wall and no other density.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from neurodnn._checks import InputError, check_choice, message
from neurodnn.brain.hemispheres import hemisphere_name
from neurodnn.brain.mesh import Mesh

SURFACES = ("midthickness", "white", "pial", "inflated", "sphere", "flat")
SHAPES = {"sulc": "sulcal", "curv": "curvature", "thickness": "thickness", "area": "area"}
_LOOKS = {"inflated": "inflated", "sphere": "sphere", "flat": "flat"}
_NILEARN = {"white": "white_matter"}
_THIN = 1.0  # mm


def load_fsaverage(
    hemisphere: str, *, surface: str = "midthickness", density: str = "fsaverage5"
) -> Mesh:
    """Return one hemisphere of fsaverage5, from nilearn's own files.

    Parameters
    ----------
    hemisphere : {"left", "right"}
        ``"L"`` and ``"R"`` are understood.
    surface : {"midthickness", "white", "pial", "inflated", "sphere", "flat"}
        ``"midthickness"`` (default) is the mean of white and pial, where grey matter lies: the
        one to measure distances on. The last three are there to look at, and discs on them are
        refused.
    density : {"fsaverage5"}
        10,242 vertices; nilearn ships no other.

    Returns
    -------
    Mesh
        Coordinates in mm in the space of fsaverage (MNI305), which differs from MNI152 by some
        millimetres [2]_.

    Raises
    ------
    InputError
        For another hemisphere, surface or density; files of other densities are given as paths.

    References
    ----------
    .. [1] Fischl et al. (1999), High-resolution intersubject averaging and a coordinate system
       for the cortical surface, Human Brain Mapping 8:272.
    .. [2] Wu et al. (2018), Accurate nonlinear mapping between MNI volumetric and FreeSurfer
       surface coordinate systems, Human Brain Mapping 39:3793.

    Examples
    --------
    >>> load_fsaverage("left").n_vertices
    10242
    """
    side = hemisphere_name(hemisphere)
    check_choice("surface", surface, SURFACES)
    if density != "fsaverage5":
        remedy = "Give the path of your .surf.gii of that density wherever a mesh is asked for."
        what = "is not shipped with nilearn, and nothing is downloaded"
        allowed = "fsaverage5"
        raise InputError(message("density", what, got=density, allowed=allowed, remedy=remedy))
    where = f"fsaverage5 {surface} {side}"
    if surface != "midthickness":
        points, faces = _nilearn_mesh(side, surface)
        return Mesh(points, faces, where, hemisphere=side, shape=_LOOKS.get(surface, ""))
    white, faces = _nilearn_mesh(side, "white")
    pial, _ = _nilearn_mesh(side, "pial")
    return Mesh((white + pial) / 2, faces, where, hemisphere=side)


def fsaverage_shape(hemisphere: str, kind: str = "sulc") -> NDArray:
    """Return what nilearn ships about every vertex of fsaverage5.

    Parameters
    ----------
    hemisphere : {"left", "right"}
    kind : {"sulc", "curv", "thickness", "area"}
        Depth of the sulci (positive inside), curvature, thickness in mm, area in mm2.

    Returns
    -------
    array of float, shape (10242,)

    Examples
    --------
    >>> fsaverage_shape("left", "thickness").shape
    (10242,)
    """
    from nilearn.datasets import load_fsaverage_data

    side = hemisphere_name(hemisphere)
    check_choice("kind", kind, SHAPES)
    image = load_fsaverage_data("fsaverage5", data_type=SHAPES[kind])
    return np.asarray(image.data.parts[side], float)


def fsaverage_cortex(hemisphere: str) -> NDArray:
    """Return which vertices of fsaverage5 are cortex: all but the medial wall.

    nilearn ships no medial wall. Here it is the connected patch of vertices whose thickness is
    below 1 mm, where FreeSurfer found no grey matter between white and pial, and what that patch
    encloses. FreeSurfer's own label (``?h.cortex.label``) is drawn by hand and excludes a
    somewhat larger area; where you have it, give that instead.

    Parameters
    ----------
    hemisphere : {"left", "right"}

    Returns
    -------
    array of bool, shape (10242,)
        For the `mask` of `load_surface_patterns`, `disc_neighbors` and `vertex_adjacency`.

    Examples
    --------
    >>> 9000 < int(fsaverage_cortex("left").sum()) < 10242
    True
    """
    thin = fsaverage_shape(hemisphere, "thickness") < _THIN
    edges = load_fsaverage(hemisphere, surface="white").edges()
    wall = _largest_patch(edges, thin)
    return _largest_patch(edges, ~wall)


def _largest_patch(edges: csr_array, inside: NDArray) -> NDArray:
    """Return the largest connected part of some vertices."""
    places = np.flatnonzero(inside)
    _, part = connected_components(edges[places][:, places], directed=False)
    largest = np.zeros(inside.size, bool)
    largest[places[part == np.bincount(part).argmax()]] = True
    return largest


def _nilearn_mesh(side: str, surface: str) -> tuple[NDArray, NDArray]:
    from nilearn import datasets

    mesh = datasets.load_fsaverage("fsaverage5")[_NILEARN.get(surface, surface)].parts[side]
    return np.array(mesh.coordinates, float), np.array(mesh.faces, np.int64)
