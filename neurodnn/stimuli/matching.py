"""Where the events of an experiment meet the stimulus table, with counts of what met."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._checks import DataWarning, InputError, check_choice, closest, message
from ..bids import read_tsv, require_columns, same_text
from .keys import RULES, some, stimulus_key

#: Columns of an events table tried in this order.
EVENT_COLUMNS = ("stim_file", "stim_id", "file_path", "condition", "image")


@dataclass(frozen=True)
class MatchReport:
    """How the cells of an events table met the stimuli; what ``check`` prints.

    Attributes
    ----------
    column : str
        The column of the events table.
    key_rule : str
        ``name``, ``path`` or ``id``.
    n_rows : int
        Rows of the table.
    n_rows_matched : int
        Rows that show a known stimulus.
    matched, only_in_events, only_in_table : tuple of str
        Distinct stimuli on both sides (as the stimulus side spells them); cells that met none;
        stimuli never shown. Sorted.
    """

    column: str
    key_rule: str
    n_rows: int
    n_rows_matched: int
    matched: tuple[str, ...]
    only_in_events: tuple[str, ...]
    only_in_table: tuple[str, ...]

    @property
    def n_in_events(self) -> int:
        """Distinct stimuli named in the events."""
        return len(self.matched) + len(self.only_in_events)

    @property
    def n_in_table(self) -> int:
        """Stimuli in the stimulus table."""
        return len(self.matched) + len(self.only_in_table)

    def lines(self) -> list[str]:
        """Return the report as lines of text for the count table."""
        lines = [
            f"stimuli: {len(self.matched)} matched of {self.n_in_events} in the events and "
            f"{self.n_in_table} in the stimulus table "
            f"(column {self.column!r}, key rule {self.key_rule!r}; "
            f"{self.n_rows_matched} of {self.n_rows} rows)"
        ]
        if self.only_in_events:
            lines.append(f"  only in the events: {some(self.only_in_events)}")
        if self.only_in_table:
            lines.append(f"  only in the stimulus table: {some(self.only_in_table)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the report for summary files; lists hold at most 20 names."""
        return {
            "Column": self.column,
            "KeyRule": self.key_rule,
            "Matched": len(self.matched),
            "InEvents": self.n_in_events,
            "InTable": self.n_in_table,
            "OnlyInEvents": list(self.only_in_events[:20]),
            "OnlyInTable": list(self.only_in_table[:20]),
        }


def match_stimuli(
    events: pd.DataFrame,
    stimuli: pd.DataFrame | Sequence[str],
    *,
    column: str | None = None,
    key: str = "name",
    table: pd.DataFrame | str | os.PathLike[str] | None = None,
    min_stimuli: int | None = None,
) -> tuple[pd.Series, MatchReport]:
    """Return for each row of an events table the stimulus that it shows.

    Parameters
    ----------
    events : pandas.DataFrame
        As given by `neurodnn.bids.read_tsv`: text. Rows of several runs may be joined.
    stimuli : pandas.DataFrame or sequence of str
        As given by `read_stimuli`, or names such as those of a reference RDM.
    column : str, optional
        The column that names the image; default the first of ``stim_file, stim_id, file_path,
        condition, image`` that has any cell.
    key : {"name", "path", "id"}, default "name"
        The key rule, see `stimulus_key`.
    table : pandas.DataFrame or path, optional
        Maps codes to stimuli, such as image numbers: a column named as the events' column (or
        ``code``, or simply the first) and a column ``stimulus_id``.
    min_stimuli : int, optional
        How many different stimuli must be matched.

    Returns
    -------
    keys : pandas.Series
        Index of `events`; the name as the stimulus side spells it, NaN where a row shows none.
    report : MatchReport
        Counts and names, to be printed always.

    Raises
    ------
    InputError
        If no column is there, nothing is matched (five of each side and the rule are shown),
        two names of the stimulus side have one key, or fewer than `min_stimuli` are matched.

    Examples
    --------
    >>> events = pd.DataFrame({"stim_file": ["meg/u032.bmp", "func/U014.BMP", np.nan]})
    >>> keys, report = match_stimuli(events, ["u014", "u032", "u099"])
    >>> keys.tolist(), report.only_in_table
    (['u032', 'u014', nan], ('u099',))
    """
    check_choice("stimulus-key", key, RULES)
    known = _known(stimuli, key)
    column = _choose_column(events, column, known, key)
    codes = None if table is None else _read_codes(table, column)
    cells = [_text(cell) for cell in events[column]]
    meant = {cell: _meet(cell, known, codes, key) for cell in cells if cell is not None}
    if codes is None:
        _warn_of_merged(meant, key)
    met = [None if cell is None else meant[cell] for cell in cells]
    matched = sorted({name for name in meant.values() if name is not None})
    report = MatchReport(
        column=column,
        key_rule=key,
        n_rows=len(events),
        n_rows_matched=sum(name is not None for name in met),
        matched=tuple(matched),
        only_in_events=tuple(sorted(cell for cell, name in meant.items() if name is None)),
        only_in_table=tuple(sorted(set(known.names.values()) - set(matched))),
    )
    if not matched:
        raise InputError(_nothing_matched(events, known, report))
    if min_stimuli is not None and len(matched) < min_stimuli:
        fault = "; ".join(line.strip() for line in report.lines())
        raise InputError(message("min-stimuli", fault, allowed=f">= {min_stimuli} matched"))
    keys = [np.nan if name is None else name for name in met]
    return pd.Series(keys, index=events.index, name="stimulus", dtype=object), report


class _Known(NamedTuple):
    """What may be met: names by key, and names by the ``stimulus_id`` of the table."""

    names: dict[str, str]
    ids: dict[str, str]


def _text(cell: object) -> str | None:
    """A cell as text; None where the row shows no stimulus."""
    text = "" if cell is None or cell is pd.NA or cell != cell else same_text(str(cell))
    return None if text.lower() in ("", "n/a") else text


def _choose_column(events: pd.DataFrame, column: str | None, known: _Known, rule: str) -> str:
    if column is not None:
        require_columns(events, [column], where="events (--stimulus-column)")
        return column
    for name in EVENT_COLUMNS:
        if name in events.columns and any(_text(cell) is not None for cell in events[name]):
            return name
    present = ", ".join(map(str, events.columns))
    fault = f"none of the columns {', '.join(EVENT_COLUMNS)} names a stimulus"
    better = _column_that_meets(events, known, rule)
    remedy = f"Try --stimulus-column {better}." if better else "Give --stimulus-column."
    raise InputError(message("events", fault, got=present, remedy=remedy))


def _column_that_meets(events: pd.DataFrame, known: _Known, rule: str) -> str | None:
    """A column of which several cells are stimuli; numbers of onsets may be so by chance."""
    for name in events.columns:
        cells = {_text(cell) for cell in events[name].iloc[:1000]} - {None}
        hits = sum(_meet(cell, known, None, rule) is not None for cell in cells)
        if hits > 1 and name not in ("onset", "duration"):
            return str(name)
    return None


def _known(stimuli: pd.DataFrame | Sequence[str], rule: str) -> _Known:
    """Every name as it stands, and by its key; two names with one key are refused."""
    ids = {}
    if isinstance(stimuli, pd.DataFrame):
        require_columns(stimuli, ["stimulus"], where="stimuli")
        names = [str(name) for name in stimuli["stimulus"]]
        if "stimulus_id" in stimuli.columns:
            given = [stimulus_key(each, "id") for each in stimuli["stimulus_id"]]
            ids = dict(zip(given, names, strict=True))
    else:
        names = [str(name) for name in stimuli]
    known = {same_text(name): name for name in names}
    for name in names:
        key = stimulus_key(name, rule)
        if known.setdefault(key, name) != name:
            fault = f"{known[key]!r} and {name!r} have one key {key!r} by the rule {rule!r}"
            raise InputError(message("stimuli", fault, remedy="Give --stimulus-key path or id."))
    return _Known(known, ids)


def _read_codes(table: pd.DataFrame | str | os.PathLike[str], column: str) -> dict[str, str]:
    where = "stimulus-table"
    if not isinstance(table, pd.DataFrame):
        where, table = str(table), read_tsv(table)
    require_columns(table, ["stimulus_id"], where=where)
    others = [str(name) for name in table.columns if name != "stimulus_id"]
    if not others:
        raise InputError(message(where, "has no column of codes beside stimulus_id"))
    source = next((name for name in (column, "code") if name in others), others[0])
    codes: dict[str, str] = {}
    for code, name in table[[source, "stimulus_id"]].dropna().itertuples(index=False):
        code = stimulus_key(code, "id")
        if codes.setdefault(code, name) != name:
            raise InputError(message(where, f"the code {code!r} has two stimuli"))
    return codes


def _meet(cell: str, known: _Known, codes: dict[str, str] | None, rule: str) -> str | None:
    """The stimulus that a cell means, or None."""
    if codes is None:
        return known.names.get(stimulus_key(cell, rule), known.names.get(cell))
    given = codes.get(stimulus_key(cell, "id"))
    if given is None:
        return None
    by_name = known.names.get(stimulus_key(given, rule))
    return known.ids.get(stimulus_key(given, "id"), by_name)


def _warn_of_merged(meant: dict[str, str | None], rule: str) -> None:
    """Warn where cells that may be different images count as presentations of one stimulus."""
    cells: dict[str, dict[str, str]] = {}
    for cell, name in meant.items():
        if name is not None:
            cells.setdefault(name, {}).setdefault(stimulus_key(cell, "path").casefold(), cell)
    merged = {name: list(found.values()) for name, found in cells.items() if len(found) > 1}
    if merged:
        name, found = next(iter(merged.items()))
        fault = (
            f"{len(merged)} stimuli are shown under several names, which count as one by the "
            f"rule {rule!r}: {some(found)} are {name!r}"
        )
        remedy = "Give --stimulus-key path if they are different images."
        warnings.warn(message("stimuli", fault, remedy=remedy), DataWarning, stacklevel=3)


def _nothing_matched(events: pd.DataFrame, known: _Known, report: MatchReport) -> str:
    """The message, with five of each side and the column that would have matched."""
    fault = (
        f"no stimulus matched: column {report.column!r} by the rule {report.key_rule!r} has "
        f"{some(report.only_in_events) or 'no cell'}; the stimulus table has "
        f"{some(report.only_in_table) or 'no stimulus'}"
    )
    better = _column_that_meets(events, known, report.key_rule)
    if better:
        return message("stimuli", fault, remedy=f"Try --stimulus-column {better}.")
    remedy = "Try another --stimulus-key or --stimulus-column, or give --stimulus-table."
    cells = [stimulus_key(cell, report.key_rule) for cell in report.only_in_events[:1]]
    # Finding a near name among tens of thousands would take longer than the whole preflight.
    near = closest(cells[0], report.only_in_table[:2000]) if cells else None
    return message("stimuli", fault, remedy=f"Did you mean {near}? {remedy}" if near else remedy)
