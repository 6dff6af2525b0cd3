"""Clusters as rows: what the test found, and where, in millimetres through the affine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

COLUMNS = {
    "cluster": {"Description": "Number of the cluster within its reference"},
    "reference": {"Description": "Layer, RDM or difference"},
    "sign": {"Description": "Whether the scores are above (+) or below (-) zero"},
    "size_voxels": {"Description": "Voxels"},
    "size_mm3": {"Description": "Volume", "Units": "mm^3"},
    "mass": {"Description": "Sum of the size of t over its voxels"},
    "p": {"Description": "Corrected over all voxels and references, over subjects"},
    "x": {"Description": "Of the voxel with the largest t, to the right", "Units": "mm"},
    "y": {"Description": "To the front", "Units": "mm"},
    "z": {"Description": "Upwards", "Units": "mm"},
    "side": {"Description": "left, right or midline, by the sign of x"},
    "peak_t": {"Description": "t there"},
    "peak_mean": {"Description": "Mean score there"},
}


def in_millimetres(table: pd.DataFrame, grid: Any) -> pd.DataFrame:
    """Return clusters with their size in mm^3 and their peak in mm, strongest first.

    Parameters
    ----------
    table : pandas.DataFrame
        As `neurodnn.stats.cluster_table.cluster_table` gives it; ``peak_voxel`` is the flat
        index of the peak in the grid.
    grid : nibabel image
        Where the voxels lie.
    """
    affine = np.asarray(grid.affine, dtype=float)
    index = np.unravel_index(table["peak_voxel"].to_numpy(int), grid.shape[:3])
    world = np.stack(index, axis=1) @ affine[:3, :3].T + affine[:3, 3]
    # a voxel on the midline must not be put to a side by rounding
    side = np.where(np.abs(world[:, 0]) < 1e-6, "midline",
                    np.where(world[:, 0] > 0, "right", "left"))  # fmt: skip
    size = table["size"].to_numpy(int)
    found = pd.DataFrame({
        "cluster": table["cluster"].to_numpy(int),
        "reference": table["reference"].astype(str).to_numpy(),
        "sign": np.where(table["sign"].to_numpy(int) > 0, "+", "-"),
        "size_voxels": size,
        "size_mm3": np.round(size * abs(np.linalg.det(affine[:3, :3])), 6),
        "mass": table["mass"].to_numpy(float),
        "p": table["p_fwe"].to_numpy(float),
        **{axis: np.round(world[:, i], 3) + 0.0 for i, axis in enumerate("xyz")},
        "side": side,
        "peak_t": table["peak_t"].to_numpy(float),
        "peak_mean": table["peak_mean"].to_numpy(float),
    })  # fmt: skip
    return found.sort_values(["p", "mass"], ascending=[True, False], kind="stable",
                             ignore_index=True)  # fmt: skip


def described_columns(table: pd.DataFrame) -> dict[str, Any]:
    """Return the sidecar's description of the columns that a table has."""
    return {name: COLUMNS[name] for name in table.columns}
