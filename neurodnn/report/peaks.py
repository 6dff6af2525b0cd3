"""Peaks of a map in world millimetres: read off the map itself, through its affine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine

_MIDLINE = 1e-6  # mm; a peak this near to x = 0 belongs to no side


@dataclass(frozen=True)
class Peak:
    """A local maximum: its value and place in mm (x to the right, y to the front, z up)."""

    value: float
    x: float
    y: float
    z: float
    index: tuple[int, int, int]

    @property
    def side(self) -> str:
        """``"left"``, ``"right"`` or ``"midline"``, from the sign of x alone."""
        if abs(self.x) < _MIDLINE:
            return "midline"
        return "right" if self.x > 0 else "left"


def find_peaks(
    data: np.ndarray, affine: np.ndarray, *, count: int = 3, distance: float = 20.0
) -> list[Peak]:
    """Return the highest values of a map that lie at least `distance` apart, highest first.

    Parameters
    ----------
    data : numpy.ndarray
        3-D; NaN is no candidate. Of equal values the first in storage order counts.
    affine : numpy.ndarray
        4 x 4, voxel indices to mm.
    count : int
        How many at most.
    distance : float
        In mm. 20 keeps two peaks from falling into one searchlight of 9 mm radius.

    Examples
    --------
    >>> data = np.zeros((5, 5, 5)); data[4, 2, 2] = 1.0
    >>> peak = find_peaks(data, np.diag([-10.0, 10.0, 10.0, 1.0]), count=1)[0]
    >>> peak.x, peak.side
    (-40.0, 'left')
    """
    finite = np.isfinite(data)
    places = np.argwhere(finite)
    values = data[finite].astype(float)
    world = apply_affine(affine, places)
    free = np.ones(values.size, dtype=bool)
    peaks: list[Peak] = []
    while len(peaks) < count and free.any():
        best = int(np.argmax(np.where(free, values, -np.inf)))
        x, y, z = (float(part) for part in world[best])
        index = tuple(int(part) for part in places[best])
        peaks.append(Peak(float(values[best]), x, y, z, index))
        free &= np.linalg.norm(world - world[best], axis=1) >= distance
    return peaks
