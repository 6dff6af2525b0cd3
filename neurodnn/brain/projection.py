"""From voxels to vertices: what a volume holds in the grey matter below each vertex."""

from __future__ import annotations

import warnings

import nibabel
import numpy as np
from nibabel.affines import from_matvec
from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.hemispheres import check_same_side
from neurodnn.brain.masks import ImageLike, check_channels, mask_array, open_image, read_mask
from neurodnn.brain.mesh import Mesh, MeshLike, kept_vertices, read_mesh
from neurodnn.brain.nifti import fresh_image

_TOGETHER = 16  # volumes handed over at once: memory, never the result


def project_patterns(
    patterns: Dataset,
    mask_img: ImageLike,
    pial: MeshLike,
    *,
    white: MeshLike | None = None,
    mask: NDArray | None = None,
    radius: float = 3.0,
    n_samples: int = 10,
    min_share: float = 0.5,
) -> Dataset:
    """Return patterns over vertices, made of patterns over voxels.

    Each vertex gets the mean of points in the grey matter below it, each point by trilinear
    interpolation (`nilearn.surface.vol_to_surf`). Voxels outside the mask, and voxels without a
    finite value for every observation, take no part: neither as zeros nor as NaN. Weights of
    the others are scaled to one.

    Parameters
    ----------
    patterns : rsatoolbox.data.Dataset
        Observations x voxels of the mask.
    mask_img : path or nibabel image
        The brain mask that made the patterns; its affine says where voxels lie in mm.
    pial, white : path or Mesh
        Of one hemisphere, in the mm of the volume: nothing is registered here. With both, points
        lie evenly from white to pial; with the first alone, evenly along its normals from
        -radius to +radius.
    mask : array of bool, shape (n_vertices,), optional
        Vertices to keep, for example without the medial wall.
    radius : float
        mm; used without `white` only.
    n_samples : int
        Points below each vertex.
    min_share : float
        Vertices with less than this share of their weights on usable voxels become NaN. Points
        beyond the volume do not count.

    Returns
    -------
    rsatoolbox.data.Dataset
        Observations x kept vertices, with the observation descriptors of `patterns` and the
        channel descriptor ``vertex``.

    Raises
    ------
    InputError
        If channels and mask disagree, or the meshes do not fit each other.

    References
    ----------
    .. [1] Operto et al. (2008), Projection of fMRI data onto the cortical surface using
       anatomically-informed convolution kernels, NeuroImage 39:127.

    Examples
    --------
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), "u1"), np.eye(4))
    >>> patterns = Dataset(np.ones((2, 27)), obs_descriptors={"stimulus": ["cat", "dog"]})
    >>> sheet = Mesh([[0, 0, 1], [2, 0, 1], [0, 2, 1]], [[0, 1, 2]])
    >>> project_patterns(patterns, mask, sheet, radius=1.0).measurements.shape
    (2, 3)
    """
    mask_img = read_mask(mask_img)
    inside = mask_array(mask_img)
    values = np.asarray(patterns.measurements)
    check_channels(values.shape[1], inside)
    mesh, line = _line(pial, white, radius, n_samples)
    keep = kept_vertices(mask, mesh)
    usable = np.isfinite(values).all(axis=0)
    share = _sampled(usable[None].astype(float), inside, mask_img, line)[0]
    low = _outside(share, min_share)
    projected = np.empty((len(values), keep.size), np.result_type(values.dtype, np.float32))
    for start in range(0, len(values), _TOGETHER):
        block = np.where(usable, values[start : start + _TOGETHER], 0)
        sums = _sampled(block, inside, mask_img, line)
        with np.errstate(invalid="ignore", divide="ignore"):
            projected[start : start + _TOGETHER] = np.where(low, np.nan, sums / share)[:, keep]
    return Dataset(
        projected,
        descriptors=dict(patterns.descriptors),
        obs_descriptors={key: list(labels) for key, labels in patterns.obs_descriptors.items()
                         if key != "index"},
        channel_descriptors={"vertex": keep},
    )  # fmt: skip


def project_image(
    image: ImageLike,
    pial: MeshLike,
    *,
    white: MeshLike | None = None,
    radius: float = 3.0,
    n_samples: int = 10,
    min_share: float = 0.5,
) -> NDArray:
    """Return one map over vertices, made of a map over voxels; NaN voxels take no part.

    Parameters
    ----------
    image : path or nibabel image, 3-D
        For example of `scores_to_image`: NaN outside the mask.
    pial, white, radius, n_samples, min_share
        As in `project_patterns`.

    Returns
    -------
    array of float, shape (n_vertices,)

    Raises
    ------
    InputError
        If the image is faulty or holds no finite value, or the meshes do not fit each other.

    Examples
    --------
    >>> image = nibabel.Nifti1Image(np.full((3, 3, 3), 0.5, "f4"), np.eye(4))
    >>> project_image(image, Mesh([[0, 0, 1], [2, 0, 1], [0, 2, 1]], [[0, 1, 2]])).tolist()
    [0.5, 0.5, 0.5]
    """
    image = open_image(image, ndim=3)
    volume = np.asarray(image.dataobj, float)
    inside = np.isfinite(volume)
    if not inside.any():
        raise InputError(message("image", "holds no finite value", remedy="Give another map."))
    grid = fresh_image(inside.astype(np.uint8), image)
    found = project_patterns(
        Dataset(volume[inside][None]), grid, pial, white=white, radius=radius,
        n_samples=n_samples, min_share=min_share,
    )  # fmt: skip
    return found.measurements[0]


def _outside(share: NDArray, min_share: float) -> NDArray:
    """Return the vertices that lie too far outside; NaN shares lie outside the volume."""
    least = check_number("min_share", min_share, minimum=0, maximum=1)
    return ~(share >= max(least, 1e-6) - 1e-9)


def _line(
    pial: MeshLike, white: MeshLike | None, radius: float, n_samples: int
) -> tuple[Mesh, dict[str, object]]:
    """Return the outer mesh, and where points lie as nilearn's options."""
    radius = check_number("radius", radius, minimum=0, strict=True, unit="mm")
    count = int(check_number("n_samples", n_samples, minimum=1))
    mesh = read_mesh(pial)
    options: dict[str, object] = {"surf_mesh": _pair(mesh), "n_samples": count}
    if white is None:
        return mesh, options | {"kind": "line", "radius": radius}
    inner = read_mesh(white)
    check_same_side(inner.hemisphere, mesh.hemisphere, inner.where)
    if inner.n_vertices != mesh.n_vertices:
        got = f"{inner.n_vertices} and {mesh.n_vertices} vertices"
        what = "white and pial are not surfaces of the same vertices"
        raise InputError(message("white", what, got=got, remedy="Give two of one hemisphere."))
    return mesh, options | {"kind": "depth", "inner_mesh": _pair(inner)}


def _pair(mesh: Mesh) -> object:
    """Return a mesh for nilearn; a copy, since nilearn moves the points of what it is given."""
    from nilearn.surface import InMemoryMesh

    if mesh.moved:
        what = "names a transformation of its coordinates into the space of an image"
        remedy = "Apply it first (FreeSurfer: mris_convert --to-scanner)."
        raise InputError(message(mesh.where, what, remedy=remedy))
    if mesh.shape:
        what = f"is {mesh.shape}: its vertices do not lie in the brain"
        raise InputError(message(mesh.where, what, remedy="Give the white and pial surfaces."))
    return InMemoryMesh(mesh.coordinates.copy(), mesh.faces.copy())


def _sampled(
    rows: NDArray, inside: NDArray, grid: nibabel.Nifti1Image, line: dict[str, object]
) -> NDArray:
    """Return rows x vertices: the mean over each vertex's points, voxels outside counted as 0."""
    from nilearn.surface import vol_to_surf

    # A border of zeros: else points at the edge are extrapolated, and one slice is no grid.
    volumes = np.zeros((*(n + 2 for n in inside.shape), len(rows)))
    volumes[1:-1, 1:-1, 1:-1][inside] = rows.T
    affine = grid.affine @ from_matvec(np.eye(3), [-1, -1, -1])
    with warnings.catch_warnings():
        # A vertex outside the volume has no point: its mean is NaN, which is what is wanted.
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        image = nibabel.Nifti1Image(volumes, affine)
        return np.asarray(vol_to_surf(image, interpolation="linear", **line)).T
