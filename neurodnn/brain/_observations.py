"""Labels of observations, one text per volume; and the cleaning that all patterns share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, closest, message


def observation_labels(
    stimuli: pd.DataFrame | Sequence[str],
    runs: Sequence[str] | None,
    counts: list[int],
    where: str,
) -> dict[str, list[str]]:
    """Return the observation descriptors, one text per volume."""
    if isinstance(stimuli, pd.DataFrame):
        if "stimulus" not in stimuli.columns:
            near = closest("stimulus", stimuli.columns)
            remedy = f"Did you mean {near}? Rename it." if near else "Add it."
            got = [str(column) for column in stimuli.columns]
            what = "the table has no column 'stimulus'"
            raise InputError(message("stimuli", what, got=got, remedy=remedy))
        if runs is None and "run" in stimuli.columns:
            runs = list(stimuli["run"])
        stimuli = list(stimuli["stimulus"])
    names = list(stimuli)
    total = sum(counts)
    if len(names) != total:
        what = f"{total} volumes but {len(names)} labels"
        raise InputError(message(where, what, remedy="Give one label per volume, in order."))
    labels = {"stimulus": _texts("stimuli", names)}
    if runs is not None:
        runs = list(runs)
        if len(runs) == len(counts) and len(runs) != total:
            runs = [run for run, n in zip(runs, counts, strict=True) for _ in range(n)]
        if len(runs) != total:
            what = f"{total} volumes in {len(counts)} images but {len(runs)} runs"
            raise InputError(message("runs", what, remedy="Give one per volume or per image."))
        labels["run"] = _texts("runs", runs)
    _check_repeats(labels)
    return labels


def _texts(where: str, values: list) -> list[str]:
    missing = [i for i, value in enumerate(values) if pd.isna(value) or not str(value).strip()]
    if missing:
        what = f"{len(missing)} labels are missing, the first at position {missing[0]}"
        raise InputError(message(where, what, remedy="Give every volume a label."))
    return [str(value) for value in values]


def _check_repeats(labels: dict[str, list[str]]) -> None:
    seen: set[tuple[str, ...]] = set()
    repeated = []
    for key in zip(*labels.values(), strict=True):
        if key in seen:
            repeated.append(key[0])
        seen.add(key)
    if repeated:
        what = "a stimulus stands for more than one volume" + (
            " of one run" if "run" in labels else ""
        )
        remedy = "Give runs=, or average the repeats first."
        raise InputError(message("stimuli", what, got=repeated[:5], remedy=remedy))


def clean_patterns(patterns: np.ndarray, names: list[str]) -> None:
    """Turn infinite values into NaN in place, and name stimuli that hold no pattern at all."""
    infinite = 0
    empty = []
    for row, name in zip(patterns, names, strict=True):
        bad = np.isinf(row)
        infinite += int(bad.sum())
        row[bad] = np.nan
        if not np.any(np.isfinite(row) & (row != 0)):
            empty.append(name)
    if infinite:
        text = message("images", "infinite values count as missing (NaN)", got=infinite)
        warnings.warn(text, DataWarning, stacklevel=3)
    if empty:
        what = "volumes hold nothing but 0 and NaN inside the mask"
        text = message("images", what, got=empty[:5], remedy="Leave these stimuli out.")
        warnings.warn(text, DataWarning, stacklevel=3)
