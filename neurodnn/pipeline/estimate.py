"""What a job will cost: memory and time, told before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from neurodnn.pipeline.config import Config

# Of the available memory; what is left serves the system's file cache and other people.
MEMORY_SHARE = 0.9
# The process with the searchlight's libraries, and with torch beside them; measured, MB.
BASE_MB = 500.0
TORCH_MB = 450.0
BRAIN_SHARE = 0.24  # of an MNI bounding box; stands in where there is no mask

# Seconds per centre = n²·members·GRAM + pairs·RANK, one worker; see benchmarks/searchlight.py.
GRAM = 6e-11
RANK = 2.2e-8
GLM_SECONDS = 8e-9  # per voxel and squared volume: design, whitening, residuals
# Seconds per voxel, pair, reference and shuffle; bytes of shuffled references that are kept.
SHUFFLE = 6e-11
SHUFFLED_BYTES = 3.2e8
SPLITS = 10  # into halves of the runs, for the reliability


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
    grid = float(np.prod(shape[:3]))
    # one image unpacked, and patterns (or a run's residuals) with their copy as bytes
    written = pattern_volumes(rows, n_stimuli, config)
    if config.metric in ("mahalanobis", "crossnobis") and rows != sum(volumes):
        written = max(written, *volumes)
    memory += max(max(volumes, default=0) * 4, written * 9) * grid
    seconds = voxels * (n_stimuli**2 * members * GRAM + pairs * (RANK + 1e-9 * n_references))
    seconds *= 1 + 2 * _splits(rows, n_stimuli)  # two halves of each split
    if config.label_permutations:
        memory += _shuffled(n_stimuli, n_references, config.label_permutations, item)
        seconds += voxels * pairs * n_references * config.label_permutations * SHUFFLE
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


def _shuffled(n_stimuli: int, n_references: int, n_permutations: int, item: int) -> float:
    """Return the bytes of shuffled references that are held at once, and of their scores."""
    pairs = n_stimuli * (n_stimuli - 1) / 2
    return min(pairs * n_references * n_permutations * item, SHUFFLED_BYTES) + 5e7


def pattern_volumes(rows: int, n_stimuli: int, config: Config) -> int:
    """Return how many volumes of patterns are written: one per stimulus, or per run as well."""
    return rows if config.metric == "crossnobis" else min(rows, n_stimuli)


def kept_mb(
    voxels: int, rows: int, volumes: Sequence[int], n_stimuli: int, config: Config
) -> float:
    """Return the MB on disk of what is kept for the group level: patterns, and residuals if used.

    Parameters
    ----------
    voxels, rows, volumes, n_stimuli, config
        As of `estimate_job`.
    """
    kept = pattern_volumes(rows, n_stimuli, config)
    if config.metric in ("mahalanobis", "crossnobis") and rows != sum(volumes):
        kept += sum(volumes)
    return voxels * kept * 4 / 1e6  # float32 noise hardly shrinks when it is compressed


def _splits(rows: int, n_stimuli: int) -> int:
    """Return into how many pairs of halves the runs are split for the reliability."""
    runs = rows // max(n_stimuli, 1)
    return 0 if runs < 2 else min(SPLITS, math.comb(runs, runs // 2) // (2 - runs % 2))


def estimate_group(
    summaries: Sequence[Mapping[str, Any]], output_dir: Path, n_permutations: int
) -> float:
    """Return the memory in MB that the test over stimuli of a group needs.

    Parameters
    ----------
    summaries : sequence of mapping
        Of the subjects.
    output_dir : path
        Where their masks stand.
    n_permutations : int
        Shuffles of the stimuli.
    """
    from neurodnn.brain.nifti import image_info

    first = summaries[0]
    affine = image_info(output_dir / str(first["MaskPath"]), ndim=3).affine
    ball = 4 / 3 * math.pi * float(first["Parameters"]["radius"]) ** 3
    members = max(1.0, ball / abs(float(np.linalg.det(affine[:3, :3]))))
    item = 4 if first["Parameters"].get("dtype") == "float32" else 8
    stimuli = int(first.get("Stimuli", {}).get("Compared", 0))
    memory = _shuffled(stimuli, len(first["Maps"]), n_permutations, item)
    for each in summaries:
        patterns = each.get("Patterns", {})
        rows = 3 * int(patterns.get("Volumes", 0))  # as read, and voxel by voxel in float64
        rows += 2 * int(patterns.get("ResidualVolumes", 0))
        memory += int(each["MaskVoxels"]) * (4.0 * rows + 5 * members)
    return BASE_MB + memory / 1e6


@lru_cache(maxsize=64)
def mask_voxels(path: Path) -> int:
    """Return the number of voxels in a mask; read once per file."""
    from neurodnn.brain.masks import mask_array
    from neurodnn.brain.nifti import read_image

    return int(mask_array(read_image(path, ndim=3, allow_empty=True)).sum())


def workers(config: Config) -> int:
    """Return the number of workers asked for, or that this process may use."""
    if config.n_cpus:
        return config.n_cpus
    import joblib

    return joblib.cpu_count()
