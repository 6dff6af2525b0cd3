"""Time courses of the tree: tables of scores by time, read as arrays, drawn as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neurodnn._checks import InputError, message
from neurodnn.bids import read_tsv
from neurodnn.bids.tables import read_numbers
from neurodnn.report.tree import Summary, file_inside

_SAME = 1e-6  # of a score: the subjects' tables make up the group's mean


@dataclass(frozen=True)
class Courses:
    """The time courses of one network, of one subject or of a group.

    Attributes
    ----------
    model : str
        Label of the network.
    values : DataArray (time, reference)
        Scores, or their mean over subjects; times in seconds.
    statistics : mapping of str to DataArray (time, reference)
        ``t``, ``p``, ``pmax``, ``p_stimuli``, as far as there are any.
    subjects : DataArray (subject, time, reference) or None
        The subjects' own courses, where all can be read and their mean is `values`.
    """

    model: str
    values: xr.DataArray
    statistics: dict[str, xr.DataArray] = field(default_factory=dict)
    subjects: xr.DataArray | None = None

    @property
    def names(self) -> list[str]:
        """The references."""
        return [str(name) for name in self.values["reference"].values]

    @property
    def p(self) -> xr.DataArray | None:
        """p of the clusters; of the maximum statistic where there is none."""
        return self.statistics.get("p", self.statistics.get("pmax"))


def read_series(root: Path, relative: object) -> xr.DataArray:
    """Return a table of time courses as (time, reference), in the order of its columns.

    Raises
    ------
    InputError
        If it is missing, outside the tree or damaged, or has no times or no course.
    """
    path = file_inside(root, relative)
    where = path.name
    table = read_tsv(path, required=["time"])
    names = [str(name) for name in table.columns if name != "time"]
    if not names or not len(table):
        raise InputError(message(where, "holds no time course"))
    times = read_numbers(table, "time", where=where)
    if not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise InputError(message(where, "has times that do not rise"))
    values = np.stack([read_numbers(table, name, where=where) for name in names], axis=1)
    return xr.DataArray(values, dims=("time", "reference"),
                        coords={"time": times, "reference": names})  # fmt: skip


def subject_courses(summary: Summary) -> list[Courses]:
    """Return the time courses of a subject, one per network, as far as they can be read."""
    found = []
    for entry in summary.entries("TimeSeries"):
        model = str(entry.get("Model") or "")
        try:
            found.append(Courses(model, read_series(summary.root, entry.get("Path"))))
        except InputError as error:
            summary.complain(f"The time courses of {model or 'a network'}", error)
    return found


def group_courses(
    summary: Summary, subjects: Sequence[Summary] = (), *, key: str = "TimeSeries"
) -> list[Courses]:
    """Return the time courses of a group, one per network, as far as they can be read.

    Parameters
    ----------
    summary : Summary
        Of the group.
    subjects : sequence of Summary
        Results of single subjects, of whom those that the group names and that belong to its
        study give the bands of error.
    key : str
        ``"TimeSeries"``, or ``"Contrasts"`` for the differences.
    """
    found = []
    for entry in summary.entries(key):
        given = entry.get("Statistics")
        paths = given if isinstance(given, Mapping) else {}
        model = str(entry.get("Model") or "")
        what = f"The time courses of {entry.get('Pair') or model or 'a network'}"
        read: dict[str, xr.DataArray] = {}
        for name in ("mean", "t", "p", "pmax", "p_stimuli"):
            if paths.get(name) is None and name != "mean":
                continue
            try:
                table = read_series(summary.root, paths.get(name))
                read[name] = _like(table, read.get("mean"), str(paths.get(name)))
            except InputError as error:
                summary.complain(f"{what} ({name})", error)
                if name == "mean":
                    break
        if "mean" not in read:
            continue
        mean = read.pop("mean")
        alone = _of_subjects(summary, subjects, model, mean) if key == "TimeSeries" else None
        found.append(Courses(model, mean, read, alone))
    return found


def _like(table: xr.DataArray, first: xr.DataArray | None, where: str) -> xr.DataArray:
    """A table with the times and references of the first, in its order."""
    if first is None:
        return table
    missing = set(first["reference"].values) - set(table["reference"].values)
    if missing or table.sizes["time"] != first.sizes["time"] or not np.allclose(
        table["time"], first["time"], rtol=0, atol=1e-6
    ):
        raise InputError(message(Path(where).name, "has other times or references than the mean"))
    return table.sel(reference=first["reference"]).assign_coords(time=first["time"])


def _of_subjects(
    summary: Summary, subjects: Sequence[Summary], model: str, mean: xr.DataArray
) -> xr.DataArray | None:
    """The subjects' own courses, if they are those of which `mean` is the mean."""
    wanted = {str(name).removeprefix("sub-") for name in summary.list_of("Subjects")}
    tables = {}
    for each in subjects:
        label = each.text("Subject").removeprefix("sub-")
        if label not in wanted or each.study != summary.study:
            continue
        for entry in each.entries("TimeSeries"):
            if str(entry.get("Model") or "") == model:
                try:
                    tables[label] = _like(read_series(each.root, entry.get("Path")), mean, label)
                except InputError:
                    return None
    if set(tables) != wanted or not tables:
        return None
    stacked = xr.concat([tables[label] for label in sorted(tables)], "subject")
    stacked = stacked.assign_coords(subject=sorted(tables))
    same = np.allclose(stacked.mean("subject"), mean, rtol=0, atol=_SAME, equal_nan=True)
    return stacked if same else None


def read_ceiling(summary: Summary) -> xr.Dataset | None:
    """Return the noise ceiling over time, ``lower`` and ``upper``; None where there is none."""
    given = summary.content.get("Ceiling")
    relative = given.get("Path") if isinstance(given, Mapping) else given
    if relative is None:
        return None
    try:
        table = read_series(summary.root, relative)
        return xr.Dataset({name: table.sel(reference=name, drop=True)
                           for name in ("lower", "upper")})  # fmt: skip
    except InputError as error:
        summary.complain("The noise ceiling", error)
    except KeyError:
        summary.complain("The noise ceiling", "the table has no columns lower and upper")
    return None


def read_rows(summary: Summary, key: str, what: str, required: Sequence[str]) -> pd.DataFrame:
    """Return a table that a summary names, as text; empty where it is missing or damaged."""
    given = summary.content.get(key)
    relative = given.get("Path") if isinstance(given, Mapping) else given
    if relative is None:
        return pd.DataFrame(columns=list(required))
    try:
        return read_tsv(file_inside(summary.root, relative), required=required)
    except InputError as error:
        summary.complain(what, error)
        return pd.DataFrame(columns=list(required))


def number(value: Any) -> float:
    """A cell of a table as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def ms(value: object) -> str:
    """Seconds as milliseconds for a table, a true minus sign, a dash where there is none.

    Examples
    --------
    >>> ms(0.1), ms(-0.02), ms(0.1025), ms(float("nan"))
    ('100', '−20', '102.5', '–')
    """
    seconds = number(value)
    if not np.isfinite(seconds):
        return "–"
    return f"{round(1000 * seconds, 1) + 0.0:g}".replace("-", "\N{MINUS SIGN}")


def span_ms(low: object, high: object) -> str:
    """An interval in milliseconds.

    Examples
    --------
    >>> span_ms(0.08, 0.12), span_ms(0.08, float("nan"))
    ('80 to 120', '–')
    """
    first, last = ms(low), ms(high)
    return "–" if "–" in (first, last) else f"{first} to {last}"
