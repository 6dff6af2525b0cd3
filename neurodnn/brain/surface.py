"""GIFTI to patterns, scores back to GIFTI."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, check_choice, message
from neurodnn.brain._observations import clean_patterns, observation_labels
from neurodnn.brain.discs import disc_neighbors
from neurodnn.brain.hemispheres import check_same_side, hemisphere_name, join_hemispheres
from neurodnn.brain.mesh import (
    Mesh,
    MeshLike,
    kept_vertices,
    noted_hemisphere,
    read_gifti,
    read_mesh,
    structure_notes,
)

__all__ = [
    "Mesh",
    "disc_neighbors",
    "join_hemispheres",
    "load_surface_patterns",
    "read_gifti",
    "read_mesh",
    "scores_to_surface",
]


def load_surface_patterns(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    stimuli: pd.DataFrame | Sequence[str],
    mesh: MeshLike,
    *,
    runs: Sequence[str] | None = None,
    mask: NDArray | None = None,
    dtype: str = "float64",
) -> Dataset:
    """Return one pattern per map of estimated responses on a surface.

    Parameters
    ----------
    files : path or sequence of paths
        ``.func.gii`` or ``.shape.gii`` of one hemisphere; each data array is one map.
    stimuli : pandas.DataFrame or sequence of str
        The stimulus of each map. A table needs the column ``stimulus`` and may have ``run``.
    mesh : path or Mesh
        Its number of vertices must be that of the maps, and where both say of which hemisphere
        they are, they must agree.
    runs : sequence of str, optional
        The run of each map, or of each file.
    mask : array of bool, shape (n_vertices,), optional
        Vertices to keep, for example without the medial wall.
    dtype : {"float64", "float32"}
        Storage of the patterns.

    Returns
    -------
    rsatoolbox.data.Dataset
        Maps x vertices. Channel descriptor ``vertex``; observation descriptors ``stimulus``
        and, where there are runs, ``run``. NaN is kept; infinite values become NaN.

    Raises
    ------
    InputError
        For faulty files, another number of vertices than the mesh's, the other hemisphere, or
        labels that do not fit the maps.

    Examples
    --------
    >>> import pathlib, tempfile, nibabel, numpy
    >>> from nibabel.gifti import GiftiDataArray, GiftiImage
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beta.func.gii"
    >>> maps = [GiftiDataArray(numpy.ones(3, "f4")) for _ in range(2)]
    >>> GiftiImage(darrays=maps).to_filename(path)
    >>> mesh = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> load_surface_patterns(path, ["cat", "dog"], mesh).measurements.shape
    (2, 3)
    """
    check_choice("dtype", dtype, ["float64", "float32"])
    mesh = read_mesh(mesh)
    files = [files] if isinstance(files, (str, os.PathLike)) else list(files)
    keep = kept_vertices(mask, mesh)
    maps = [_maps(path, mesh) for path in files]
    counts = [len(rows) for rows in maps]
    where = str(files[0]) if len(files) == 1 else f"{len(files)} files"
    labels = observation_labels(stimuli, runs, counts, where)
    patterns = np.array([row[keep] for rows in maps for row in rows], dtype)
    clean_patterns(patterns, labels["stimulus"])
    return Dataset(patterns, obs_descriptors=labels, channel_descriptors={"vertex": keep})


def scores_to_surface(
    scores: xr.DataArray | NDArray,
    mesh: MeshLike,
    *,
    mask: NDArray | None = None,
    hemisphere: str | None = None,
) -> GiftiImage:
    """Return a map of one score per vertex, NaN outside the mask.

    Parameters
    ----------
    scores : xarray.DataArray or ndarray, shape (n_kept_vertices,)
        With a coordinate ``vertex`` it says itself where scores belong. With a coordinate
        ``hemisphere`` (both sides analysed together), those of one side are taken.
    mesh : path or Mesh
        Of one hemisphere.
    mask : array of bool, shape (n_vertices,), optional
        The mask that made the patterns; must agree with ``vertex`` where that is there.
    hemisphere : {"left", "right", "L", "R"}, optional
        Noted in the file, so that viewers pick the right side. Default: what the mesh, or scores
        of one side, say.

    Returns
    -------
    nibabel.gifti.GiftiImage
        One float32 data array of n_vertices, without free text.

    Raises
    ------
    InputError
        If the number of scores is not that of the kept vertices, their vertices are not those of
        the mask or occur twice, or it is not clear which hemisphere is meant.

    Examples
    --------
    >>> mesh = Mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    >>> scores_to_surface([0.5], mesh, mask=[0, 1, 0]).darrays[0].data.tolist()
    [nan, 0.5, nan]
    """
    mesh = read_mesh(mesh)
    side = hemisphere_name(hemisphere) if hemisphere is not None else mesh.hemisphere
    check_same_side(mesh.hemisphere, side, mesh.where)
    scores, side = _of_one_side(scores, side)
    keep = _places(scores, mask, mesh)
    values = np.asarray(scores, float)
    if values.shape != (keep.size,):
        what = f"scores of shape {values.shape} do not fit {keep.size} vertices"
        raise InputError(message("scores", what, remedy="Choose one map, and its mask."))
    data = np.full(mesh.n_vertices, np.nan, np.float32)
    data[keep] = values
    meta = {"AnatomicalStructurePrimary": f"Cortex{side.title()}"} if side else {}
    array = GiftiDataArray(data, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32")
    return GiftiImage(darrays=[array], meta=GiftiMetaData(meta))


def _of_one_side(scores: xr.DataArray | NDArray, side: str) -> tuple[xr.DataArray | NDArray, str]:
    """Return the scores of a hemisphere, and its name."""
    if "hemisphere" not in getattr(scores, "coords", {}):
        return scores, side
    sides = np.atleast_1d(scores["hemisphere"].values).astype(str)
    found = sorted(set(sides))
    if not side and len(found) == 1:
        side = found[0]
    if side not in found:
        what = "are of more than one hemisphere" if not side else f"are not of the {side} one"
        remedy = "Say which: hemisphere='left' or 'right'."
        raise InputError(message("scores", what, got=", ".join(found), remedy=remedy))
    if scores["hemisphere"].ndim == 0:
        return scores, side
    return scores.isel({scores["hemisphere"].dims[0]: np.flatnonzero(sides == side)}), side


def _places(scores: xr.DataArray | NDArray, mask: NDArray | None, mesh: Mesh) -> NDArray:
    """Return the vertices that the scores belong to."""
    keep = kept_vertices(mask, mesh)
    if "vertex" not in getattr(scores, "coords", {}):
        return keep
    own = np.atleast_1d(scores["vertex"].values)
    if np.unique(own).size < own.size:
        what = "hold a vertex more than once: two hemispheres, or two maps"
        remedy = "Keep the coordinate hemisphere, or choose one map of one side."
        raise InputError(message("scores", what, got=own.size, remedy=remedy))
    inside = own.size and own.dtype.kind in "iu" and 0 <= own.min() <= own.max() < mesh.n_vertices
    if not inside or (mask is not None and not np.array_equal(own, keep)):
        what = "the vertices of the scores are not those of the mesh and the mask"
        raise InputError(message("scores", what, remedy="Give those that made the patterns."))
    return own


def _maps(path: str | os.PathLike, mesh: Mesh) -> list[NDArray]:
    image = read_gifti(path)
    check_same_side(noted_hemisphere(structure_notes(image)), mesh.hemisphere, str(path))
    arrays = [np.asarray(array.data) for array in image.darrays]
    arrays = [column for array in arrays for column in np.atleast_2d(array.T)]
    if not arrays:
        raise InputError(message(str(path), "holds no data array", remedy="Fetch it again."))
    for array in arrays:
        if array.shape != (mesh.n_vertices,):
            what = f"has {array.size} vertices where the mesh {mesh.where} has {mesh.n_vertices}"
            remedy = "Give the mesh of the same hemisphere and density."
            raise InputError(message(str(path), what, remedy=remedy))
    return arrays
