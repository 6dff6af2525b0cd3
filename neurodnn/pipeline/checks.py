"""Checks of one subject's files: headers, grids, tables; every fault goes to the findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.pipeline.jobs import Run

if TYPE_CHECKING:
    from neurodnn.pipeline.findings import Findings

_GRID_MM = 1e-3


def check_headers(found: Findings, images: Sequence[Path], ndim: int | None) -> dict[Path, Any]:
    """Return the header of each image; all must lie on one grid."""
    from neurodnn.brain.nifti import image_info

    infos: dict[Path, Any] = {}
    for path in images:
        info = found.attempt(lambda path=path: image_info(path, ndim=ndim))
        if info is None:
            continue
        first = next(iter(infos.values()), info)
        if _other_grid(info, first):
            found.faults.append(
                message(str(path), "lies on another grid than the subject's first image",
                        got=info.shape[:3], allowed=f"{first.shape[:3]} with the same affine",
                        remedy="Resample it, or leave the run out.")
            )  # fmt: skip
        infos[path] = info
    return infos


def _other_grid(a: Any, b: Any) -> bool:
    return a.shape[:3] != b.shape[:3] or bool(np.abs(a.affine - b.affine).max() > _GRID_MM)


def check_repeats(
    found: Findings, path: Path, stimuli: Sequence[str | None], runs: Sequence[str] | None
) -> None:
    """Refuse a stimulus that stands twice in one run of betas."""
    seen: dict[tuple[str, str], int] = {}
    for row, name in enumerate(stimuli):
        if name is None:
            continue
        key = (name, runs[row] if runs else "")
        if key in seen:
            found.faults.append(
                message(str(path), f"stimulus {name!r} stands in rows {seen[key] + 1} and "
                        f"{row + 1}" + (f" of run {key[1]}" if runs else ""),
                        remedy="Add a column run, or average the repeats.")
            )  # fmt: skip
            return
        seen[key] = row


def check_confounds(found: Findings, image: Path, confounds: Path | None) -> None:
    """Check the header alone: these tables are large, and there is one per run."""
    from neurodnn.brain.confounds import STRATEGIES

    strategy = found.config.confounds
    if strategy == "none" or strategy not in STRATEGIES:
        return
    if confounds is None:
        raise InputError(
            message(str(image), "has no desc-confounds_timeseries.tsv beside it",
                    remedy="Give --confounds none, or add the table.")
        )  # fmt: skip
    with open(confounds, encoding="utf-8", errors="replace") as stream:
        columns = stream.readline().strip("\ufeff\r\n").split("\t")
    missing = [name for name in STRATEGIES[strategy][0] if name not in columns]
    if missing:
        raise InputError(
            message(str(confounds), f"lacks {len(missing)} columns of --confounds {strategy}",
                    got=missing[:6], remedy="Choose another strategy, or none.")
        )  # fmt: skip


def check_masks(found: Findings, runs: Sequence[Run], infos: dict[Path, Any]) -> None:
    """Refuse a mask that is faulty or lies on another grid than the images."""
    from neurodnn.brain.nifti import image_info

    first = next(iter(infos.values()))
    for mask in sorted({run.mask for run in runs if run.mask is not None}):
        info = found.attempt(lambda mask=mask: image_info(mask, ndim=3))
        if info is not None and _other_grid(info, first):
            found.faults.append(
                message(str(mask), "the mask lies on another grid than the images",
                        got=info.shape, allowed=f"{first.shape[:3]} with the same affine",
                        remedy="Give the mask of the same space and resolution.")
            )  # fmt: skip
