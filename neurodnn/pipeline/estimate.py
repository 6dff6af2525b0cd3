"""What a job will cost: memory and time, told before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from neurodnn.pipeline.config import Config

# The process with the searchlight's libraries, and with torch beside them; measured, MB.
BASE_MB = 500.0
TORCH_MB = 450.0
BRAIN_SHARE = 0.24  # of an MNI bounding box; stands in where there is no mask

# Seconds per centre = n²·members·GRAM + pairs·RANK, one worker; see benchmarks/searchlight.py.
GRAM = 6e-11
RANK = 2.2e-8
GLM_SECONDS = 8e-9  # per voxel and squared volume: design, whitening, residuals


def estimate_job(
    shape: Sequence[int],
    zooms: Sequence[float],
    voxels: int,
    rows: int,
    volumes: Sequence[int],
    n_stimuli: int,
    n_references: int,
    config: Config,
) -> tuple[float, float]:
    """Return (memory in MB, seconds) of one subject.

    Parameters
    ----------
    shape, zooms : three numbers each
        Grid and voxel size in mm.
    voxels : int
        In the mask.
    rows : int
        Rows of patterns: stimuli times runs.
    volumes : sequence of int
        Volumes of each image that is read.
    n_stimuli, n_references : int
        Size of the comparison.
    config : Config
        Radius, metric, dtype.
    """
    members = max(1.0, 4 / 3 * math.pi * config.radius**3 / float(np.prod(zooms)))
    members = min(members, voxels)
    item = 8 if config.dtype == "float64" else 4
    pairs = n_stimuli * (n_stimuli - 1) / 2
    memory = voxels * rows * 8.0  # patterns as read
    if config.metric == "crossnobis":
        memory += voxels * rows * 8 * 4  # folds, their sum, and both voxel by voxel
    else:
        memory += voxels * n_stimuli * (8 + item)  # means over runs, and voxel by voxel
    memory += voxels * members * 5  # csr with 32-bit indices and one byte of data
    memory += voxels * n_references * 8 * 3 + np.prod(shape[:3]) * 4 * 3
    memory += max(volumes, default=0) * float(np.prod(shape[:3])) * 4  # one image unpacked
    seconds = voxels * (n_stimuli**2 * members * GRAM + pairs * (RANK + 1e-9 * n_references))
    if config.metric in ("mahalanobis", "crossnobis"):
        memory += voxels * sum(volumes) * 4
        seconds += voxels * members**2 * (sum(volumes) + members / 3) * 1e-10
        seconds *= 1 + rows / max(n_stimuli, 1) / 2
    if rows != sum(volumes):  # a linear model is fitted
        memory += max(volumes, default=0) * voxels * 8 * 3
        seconds += sum(voxels * t**2 * GLM_SECONDS for t in volumes)
    base = BASE_MB + (TORCH_MB if config.network != "none" else 0.0)
    drawing = 3.0 + 0.7 * n_references
    return base + memory / 1e6, drawing + seconds / max(1, config.n_cpus or 1)


@lru_cache(maxsize=64)
def mask_voxels(path: Path) -> int:
    """Return the number of voxels in a mask; read once per file."""
    from neurodnn.brain.masks import mask_array
    from neurodnn.brain.nifti import read_image

    return int(mask_array(read_image(path, ndim=3, allow_empty=True)).sum())
