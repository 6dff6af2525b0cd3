"""The cortex of the simulated MEG: fsaverage as nilearn ships it, and where layers live on it."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pandas as pd
from mne.io.constants import FIFF
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

from ..brain.fsaverage import fsaverage_cortex, load_fsaverage

PATCH = 15.0  # mm along the surface
SIDES = ("left", "right")
_ICO = {3: 642, 4: 2562, 5: 10242}  # vertices of a hemisphere: the first so many of fsaverage


def source_space(ico: int = 4) -> mne.SourceSpaces:
    """Return sources all over the cortex of fsaverage, in metres, in MRI coordinates.

    The surface is the midthickness of fsaverage5. Its vertices are numbered as those of the
    full fsaverage, whose first ones they are, so that estimates go by their vertex numbers to
    any program that knows that brain.

    Parameters
    ----------
    ico : {3, 4, 5}
        642, 2562 or 10242 vertices a hemisphere are used, less the medial wall.

    Examples
    --------
    >>> [int(side["vertno"].max()) for side in source_space(3)]
    [641, 641]
    """
    return mne.SourceSpaces([_hemisphere(side, ico) for side in SIDES])


def _hemisphere(side: str, ico: int) -> dict:
    mesh = load_fsaverage(side)
    points, faces = mesh.coordinates / 1000, mesh.faces
    used = np.zeros(len(points), dtype=np.int32)
    used[: _ICO[ico]] = fsaverage_cortex(side)[: _ICO[ico]]
    coarse = faces
    for level in range(4, ico - 1, -1):
        coarse = coarser_faces(coarse, _ICO[level])
    coarse = coarse[(used[coarse] > 0).all(axis=1)]
    return {
        "id": int(FIFF.FIFFV_MNE_SURF_LEFT_HEMI if side == "left"
                  else FIFF.FIFFV_MNE_SURF_RIGHT_HEMI),
        "type": "surf", "coord_frame": int(FIFF.FIFFV_COORD_MRI), "np": len(points),
        "rr": points, "nn": vertex_normals(points, faces), "ntri": len(faces),
        "tris": faces.astype(np.int32), "inuse": used, "nuse": int(used.sum()),
        "vertno": np.flatnonzero(used), "nuse_tri": len(coarse),
        "use_tris": coarse.astype(np.int32), "nearest": None, "nearest_dist": None,
        "pinfo": None, "patch_inds": None, "dist": None, "dist_limit": None,
        "subject_his_id": "fsaverage",
    }  # fmt: skip


def vertex_normals(points: NDArray, faces: NDArray) -> NDArray:
    """Return outward unit normals of a closed surface, weighted by the areas of the faces.

    Parameters
    ----------
    points : array (n_vertices, 3)
    faces : array of int (n_faces, 3)
        Counter-clockwise seen from outside.

    Examples
    --------
    >>> vertex_normals(np.eye(3), np.array([[0, 1, 2]])).round(3)[0].tolist()
    [0.577, 0.577, 0.577]
    """
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def coarser_faces(faces: NDArray, n_coarse: int) -> NDArray:
    """Return the triangles of an icosahedral mesh before its last subdivision.

    A subdivision puts a vertex on the middle of each edge and a triangle of three such vertices
    inside each triangle; the vertices that were there keep their numbers.

    Parameters
    ----------
    faces : array of int (n_faces, 3)
    n_coarse : int
        Vertices of the coarser mesh.

    Examples
    --------
    >>> coarser_faces(np.array([[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]), 3).tolist()
    [[0, 1, 2]]
    """
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    sides = np.concatenate([sides, sides[:, ::-1]])
    sides = np.unique(sides[(sides[:, 0] >= n_coarse) & (sides[:, 1] < n_coarse)], axis=0)
    # Each vertex in the middle of an edge has exactly the two ends of the edge here.
    ends = np.zeros((faces.max() + 1, 2), dtype=faces.dtype)
    ends[sides[::2, 0]] = np.stack([sides[::2, 1], sides[1::2, 1]], axis=1)
    inner = faces[(faces >= n_coarse).all(axis=1)]
    edges = ends[inner]
    corners = []
    for here, there in ((0, 2), (1, 0), (2, 1)):
        first, second = edges[:, here], edges[:, there]
        common = (first[:, :1] == second).any(axis=1)
        corners.append(np.where(common, first[:, 0], first[:, 1]))
    return np.stack(corners, axis=1)


def planted_patches(places: pd.DataFrame) -> dict[tuple[str, str], NDArray]:
    """Return the vertices of fsaverage5 where each layer lives, by layer and hemisphere.

    Parameters
    ----------
    places : pandas.DataFrame
        As `neurodnn.simulate.brain.planted_places` makes it. The patch is the disc of 15 mm
        along the cortex around the vertex nearest to the place.

    Examples
    --------
    >>> from neurodnn.simulate.brain import planted_places
    >>> patches = planted_patches(planted_places(["conv1"]))
    >>> sorted(patches), 20 < patches["conv1", "left"].size < 200
    ([('conv1', 'left'), ('conv1', 'right')], True)
    """
    patches = {}
    for hemisphere, here in places.groupby("hemisphere"):
        side = "left" if hemisphere == "L" else "right"
        mesh, cortex = load_fsaverage(side), fsaverage_cortex(side)
        gaps = cdist(here[["x", "y", "z"]], mesh.coordinates)
        gaps[:, ~cortex] = np.inf
        along = dijkstra(mesh.paths(), indices=gaps.argmin(axis=1), limit=PATCH)
        for layer, distances in zip(here["layer"], along, strict=True):
            patches[layer, side] = np.flatnonzero((distances <= PATCH) & cortex)
    return patches


def head_model() -> tuple[mne.transforms.Transform, mne.bem.ConductorModel]:
    """Return where the head of fsaverage lies in its MRI, and a sphere that conducts like it.

    Its centre is that of the sphere which fits the inner skull of fsaverage, as MNE ships it,
    best in least squares, in head coordinates; MEG of a sphere does not depend on its radius.

    Examples
    --------
    >>> trans, sphere = head_model()
    >>> bool(abs(sphere["r0"][0]) < 0.005), bool(0.03 < sphere["r0"][2] < 0.07)  # m
    (True, True)
    """
    folder = Path(mne.__file__).parent / "data" / "fsaverage"
    trans = mne.read_trans(folder / "fsaverage-trans.fif")
    skull = mne.read_bem_surfaces(folder / "fsaverage-inner_skull-bem.fif", verbose="ERROR")[0]
    points = mne.transforms.apply_trans(mne.transforms.invert_transform(trans), skull["rr"])
    # |p - c|^2 = r^2 is linear in the centre c and in r^2 - |c|^2, which is not needed.
    solved = np.linalg.lstsq(np.column_stack([2 * points, np.ones(len(points))]),
                             (points**2).sum(axis=1), rcond=None)[0]  # fmt: skip
    sphere = mne.make_sphere_model(r0=solved[:3], head_radius=None, verbose="ERROR")
    return trans, sphere
