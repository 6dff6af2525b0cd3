"""Neighbourhoods on a voxel grid, as sparse rows: offsets once, then table look-ups.

Axes: a mask is a boolean grid; its voxels are numbered in C order of ``numpy.flatnonzero`` and
serve both as centres (rows) and as channels (columns).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from neurodnn._checks import InputError, check_choice, check_number, message

# Distances are sums of rounded products; a voxel at exactly the radius must not fall out.
_SLACK = 1e-9
UNITS = ("mm", "voxel")


def ball_neighbors(
    mask: ArrayLike,
    affine: ArrayLike,
    radius: float,
    *,
    inclusive: bool = True,
    unit: str = "mm",
    min_share: float = 0.5,
) -> csr_array:
    """Return which voxels of a mask lie in the ball around each of its voxels.

    Parameters
    ----------
    mask : array of bool (i, j, k)
        Voxels that take part, as centres and as members.
    affine : array (4, 4) or (3, 3)
        From voxel indices to mm; distances use its 3 x 3 part, so anisotropic, permuted and
        oblique grids need nothing special.
    radius : float
        In mm, or in voxels with ``unit="voxel"``; > 0.
    inclusive : bool
        True (default): members have distance <= radius, as in CoSMoMVPA, PyMVPA and nilearn.
        False: < radius, as in mne-rsa and rsatoolbox.
    unit : {"mm", "voxel"}
        With ``"voxel"`` the affine is not used.
    min_share : float
        A centre with fewer members than this share of the full ball gets an empty row (default
        0.5: spheres cut by the edge of the mask are noisier and would look like a weaker
        effect).

    Returns
    -------
    scipy.sparse.csr_array of bool (voxels x voxels)
        Sorted int32 indices.

    Raises
    ------
    InputError
        If the mask is not a three-dimensional grid with at least one voxel, the affine is not
        finite or singular, or the radius is not positive.

    Examples
    --------
    >>> neighbors = ball_neighbors(np.ones((5, 5, 5), bool), np.diag([2, 2, 3, 1]), 4.0)
    >>> int(neighbors.sum(axis=1).max())
    23
    """
    mask = np.asarray(mask, dtype=bool)
    if mask.ndim != 3 or not mask.any():
        fault = "must be a 3-D grid with at least one voxel inside"
        raise InputError(message("mask", fault, got=f"{mask.shape}, {int(mask.sum())} inside"))
    share = check_number("min_share", min_share, minimum=0, maximum=1)
    offsets = ball_offsets(affine, radius, inclusive=inclusive, unit=unit)
    voxels = np.flatnonzero(mask)
    channel = np.full(mask.size, -1, dtype=np.int32)
    channel[voxels] = np.arange(voxels.size, dtype=np.int32)
    least = int(np.ceil(share * len(offsets) - _SLACK))
    sizes = _count_members(voxels, channel, offsets, mask.shape)
    sizes[sizes < least] = 0
    indptr = np.zeros(voxels.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    indices = np.empty(indptr[-1], dtype=np.int32)
    _fill_members(voxels, channel, offsets, mask.shape, indptr, indices)
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    data = np.ones(indices.size, dtype=bool)
    neighbors = csr_array((data, indices, indptr), shape=(voxels.size, voxels.size))
    neighbors.has_sorted_indices = True
    return neighbors


def full_ball_size(
    affine: ArrayLike, radius: float, *, inclusive: bool = True, unit: str = "mm"
) -> int:
    """Return the number of voxels of a ball that no mask cuts.

    Parameters
    ----------
    affine, radius, inclusive, unit
        As in `ball_neighbors`.

    Returns
    -------
    int

    Raises
    ------
    InputError
        As in `ball_neighbors`.

    Examples
    --------
    >>> full_ball_size(np.eye(4), 3.0), full_ball_size(np.eye(4), 3.0, inclusive=False)
    (123, 93)
    """
    return len(ball_offsets(affine, radius, inclusive=inclusive, unit=unit))


def ball_offsets(
    affine: ArrayLike, radius: float, *, inclusive: bool = True, unit: str = "mm"
) -> NDArray[np.int64]:
    """Return the index steps from a centre to all voxels of its ball, in C order.

    Parameters
    ----------
    affine, radius, inclusive, unit
        As in `ball_neighbors`.

    Returns
    -------
    array of int64 (members x 3)
        Holds the centre itself.

    Raises
    ------
    InputError
        As in `ball_neighbors`.

    Examples
    --------
    >>> ball_offsets(np.eye(4), 1.0).tolist()
    [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    check_choice("unit", unit, UNITS)
    radius = check_number("radius", radius, minimum=0, strict=True, unit=unit)
    steps = np.eye(3) if unit == "voxel" else _steps(affine)
    # Along index axis a the ball reaches radius x |row a of the inverse|.
    reach = np.floor(radius * np.linalg.norm(np.linalg.inv(steps), axis=1) + _SLACK).astype(int)
    grid = np.indices(2 * reach + 1).reshape(3, -1).T - reach
    distances = np.linalg.norm(grid @ steps.T, axis=1)
    inside = distances <= radius + _SLACK if inclusive else distances < radius - _SLACK
    return np.ascontiguousarray(grid[inside], dtype=np.int64)


def _steps(affine: ArrayLike) -> NDArray[np.float64]:
    """Return the 3 x 3 part of an affine: column a is the step in mm along index axis a."""
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape not in ((4, 4), (3, 3)):
        raise InputError(message("affine", "must be 4 x 4 or 3 x 3", got=affine.shape))
    steps = affine[:3, :3]
    sizes = np.linalg.norm(steps, axis=0)
    flat = not np.isfinite(steps).all() or not (sizes > 0).all()
    if flat or abs(np.linalg.det(steps / sizes)) < 1e-6:
        raise InputError(message("affine", "does not span three dimensions", got=steps.tolist()))
    return steps


@njit(nogil=True, cache=True)
def _count_members(voxels, channel, offsets, shape):
    sizes = np.empty(voxels.size, np.int64)
    for row in range(voxels.size):
        sizes[row] = _visit(voxels[row], channel, offsets, shape, 0, channel[:0])
    return sizes


@njit(nogil=True, cache=True)
def _fill_members(voxels, channel, offsets, shape, indptr, indices):
    for row in range(voxels.size):
        members = indices[indptr[row] : indptr[row + 1]]
        if members.size > 0:
            _visit(voxels[row], channel, offsets, shape, members.size, members)


@njit(nogil=True, cache=True)
def _visit(voxel, channel, offsets, shape, limit, members):
    """Count the channels around a voxel; write the first `limit` of them to `members`."""
    k = voxel % shape[2]
    j = voxel // shape[2] % shape[1]
    i = voxel // (shape[2] * shape[1])
    n = 0
    # Steps in C order meet flat indices, and so channels, in ascending order.
    for step in range(offsets.shape[0]):
        x = i + offsets[step, 0]
        y = j + offsets[step, 1]
        z = k + offsets[step, 2]
        if 0 <= x < shape[0] and 0 <= y < shape[1] and 0 <= z < shape[2]:
            found = channel[(x * shape[1] + y) * shape[2] + z]
            if found >= 0:
                if n < limit:
                    members[n] = found
                n += 1
    return n
