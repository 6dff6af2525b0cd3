"""The stimulus table and its one key rule: which image a cell of an events table means.

The column that should name the image differs between MEG and fMRI of the same experiment, in
directory, extension and case. One rule per input turns a cell into a key: ``name`` (the file's
name without folder and extension, case-folded), ``path`` (relative to the stimulus folder), or
``id`` (the cell is a ``stimulus_id``).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from ._checks import DataWarning, InputError, check_choice, closest, message
from .bids import read_tsv, require_columns, require_file, resolve_inside, same_text, sha256_file

RULES = ("name", "path", "id")
#: Columns of an events table tried in this order.
EVENT_COLUMNS = ("stim_file", "stim_id", "file_path", "condition", "image")
#: Columns of a stimulus table that may hold the path, in this order.
PATH_COLUMNS = ("path", "stim_file", "file_path", "filename", "file")
#: Image formats that can be opened safely; others in the folder are left out.
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

_SHOWN = 5
# An extension begins with a letter: the 7 of "face_0.7" belongs to the name.
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,5}$")
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


def stimulus_key(value: object, rule: str = "name") -> str:
    """Return the key of one cell or file.

    Parameters
    ----------
    value : object
        Text (compared after Unicode NFC and stripping) or a number; ``25149.0``, as tables with
        gaps write whole numbers, is ``25149``.
    rule : {"name", "path", "id"}
        ``name``: no folder, no last extension, case-folded. ``path``: relative to the stimulus
        folder, forward slashes. ``id``: as it stands.

    Raises
    ------
    InputError
        If nothing is left, or the rule is unknown.

    Examples
    --------
    >>> stimulus_key("meg/U032.bmp"), stimulus_key("25149.0"), stimulus_key("a/B.png", "path")
    ('u032', '25149', 'a/B.png')
    """
    check_choice("stimulus-key", rule, RULES)
    text = same_text(str(value))
    whole = _WHOLE_FLOAT.fullmatch(text)
    text = whole.group(1) if whole else text
    if rule != "id":
        text = text.replace("\\", "/")
    if rule == "path":
        text = str(PurePosixPath(text)) if text else ""
    elif rule == "name":
        text = same_text(_EXTENSION.sub("", text.rstrip("/").rpartition("/")[2]).casefold())
    if not text or text == ".":
        raise InputError(message("stimulus", f"has no key by the rule {rule!r}", got=value))
    return text


def read_stimuli(
    path: str | os.PathLike[str],
    *,
    key: str = "name",
    checksums: bool = True,
    follow_external_links: bool = False,
) -> pd.DataFrame:
    """Return the stimulus table, one row per image, sorted by its key.

    Parameters
    ----------
    path : path
        A ``stimuli.tsv``, or a folder: its ``stimuli.tsv`` if there is one, otherwise all images
        in it and below. Hidden files are dropped.
    key : {"name", "path", "id"}, default "name"
        The key rule, see `stimulus_key`. With ``id`` the table needs a column ``stimulus_id``.
    checksums : bool, default True
        Whether each file is hashed; without, the column ``sha256`` is as read, or missing, and
        the files are only looked for. Preflight does without.
    follow_external_links : bool, default False
        Whether links may lead out of the folder.

    Returns
    -------
    pandas.DataFrame
        ``stimulus`` (unique text key), ``path`` (relative to the folder; NaN if the table names
        no files), ``sha256``, then further columns as read, all text.

    Raises
    ------
    InputError
        If there is no image, two images have one key (with the remedy), a file is missing, or a
        path leads out of the folder.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("B.png", "a.jpg", "._a.jpg"):
    ...         _ = pathlib.Path(folder, name).write_bytes(b"x")
    ...     table = read_stimuli(folder)
    >>> table[["stimulus", "path"]].values.tolist()
    [['a', 'a.jpg'], ['b', 'B.png']]
    """
    check_choice("stimulus-key", key, RULES)
    path = Path(path)
    listing = path / "stimuli.tsv" if path.is_dir() else path
    if path.is_dir() and not os.path.lexists(listing):
        table, folder = _list_images(path), path
    else:
        table, folder = read_tsv(listing), listing.parent
    if table.empty:
        raise InputError(message(str(path), "holds no stimulus"))
    column = next((name for name in PATH_COLUMNS if name in table.columns), None)
    table["stimulus"] = _keys(table, column, key, str(listing))
    _refuse_collisions(table, column, key, str(path))
    table = table.sort_values("stimulus", ignore_index=True)
    if column is None:
        table["path"] = np.nan
    else:
        table["path"] = [_relative(cell, folder, follow_external_links) for cell in table[column]]
        if checksums:
            table["sha256"] = [sha256_file(require_file(folder / each)) for each in table["path"]]
    first = [name for name in ("stimulus", "path", "sha256") if name in table.columns]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def _list_images(folder: Path) -> pd.DataFrame:
    """Every image in the folder and below, and a warning for files that are none."""
    paths, others = [], []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            relative = Path(where, name).relative_to(folder).as_posix()
            (paths if name.lower().endswith(IMAGE_ENDINGS) else others).append(relative)
    if others:
        note = f"{len(others)} files are no images and were left out: {_some(others)}"
        warnings.warn(message(str(folder), note), DataWarning, stacklevel=3)
    if not paths:
        allowed = ", ".join(IMAGE_ENDINGS)
        raise InputError(message(str(folder), "holds no image", allowed=allowed))
    return pd.DataFrame({"path": paths})


def _keys(table: pd.DataFrame, column: str | None, rule: str, where: str) -> list[str]:
    source = column if rule != "id" and column else "stimulus_id"
    if source == "stimulus_id" and rule != "id" and source not in table.columns:
        allowed = ", ".join(map(str, table.columns))
        fault = "has neither a column of paths nor stimulus_id"
        raise InputError(message(where, fault, allowed=allowed, remedy="Name one 'path'."))
    require_columns(table, [source], where=where)
    gaps = table.index[table[source].isna()]
    if len(gaps):
        fault = f"column {source!r} is empty in data row {gaps[0] + 1}"
        raise InputError(message(where, fault, remedy="Remove the row or fill it."))
    return [stimulus_key(cell, rule) for cell in table[source]]


def _refuse_collisions(table: pd.DataFrame, column: str | None, rule: str, where: str) -> None:
    twice = table[table["stimulus"].duplicated(keep=False)]
    if twice.empty:
        return
    name = twice["stimulus"].iloc[0]
    shown = _some(twice.loc[twice["stimulus"] == name, column or "stimulus_id"].tolist())
    remedies = {"name": "Give --stimulus-key path, or rename one."}
    fault = f"{shown} have one key {name!r} by the rule {rule!r}"
    raise InputError(message(where, fault, remedy=remedies.get(rule, "Remove one of the rows.")))


def _relative(cell: str, folder: Path, follow: bool) -> str:
    path = resolve_inside(cell.replace("\\", "/"), folder, follow_external_links=follow)
    if not os.path.lexists(path):
        fault = "the stimulus file is missing"
        raise InputError(message(str(path), fault, remedy="Restore it or remove its row."))
    return Path(os.path.relpath(path, folder)).as_posix()


def _some(items: Iterable[str]) -> str:
    items = [str(item) for item in items]
    tail = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + tail


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
            lines.append(f"  only in the events: {_some(self.only_in_events)}")
        if self.only_in_table:
            lines.append(f"  only in the stimulus table: {_some(self.only_in_table)}")
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
    column = _choose_column(events, column)
    known = _known(stimuli, key)
    codes = None if table is None else _read_codes(table, column)
    meant: dict[str, str | None] = {}
    for cell in events[column].dropna().unique():
        meant[cell] = _meet(cell, known, codes, key)
    keys = pd.Series([meant.get(cell, np.nan) or np.nan for cell in events[column]],
                     index=events.index, name="stimulus", dtype=object)  # fmt: skip
    matched = sorted({name for name in meant.values() if name is not None})
    strangers = sorted({str(cell) for cell, name in meant.items() if name is None})
    unseen = sorted(set(known.values()) - set(matched))
    report = MatchReport(column, key, len(events), int(keys.notna().sum()), tuple(matched),
                         tuple(strangers), tuple(unseen))  # fmt: skip
    if not matched:
        raise InputError(_nothing_matched(events, known, report))
    if min_stimuli is not None and len(matched) < min_stimuli:
        fault = "; ".join(line.strip() for line in report.lines())
        raise InputError(message("min-stimuli", fault, allowed=f">= {min_stimuli} matched"))
    return keys, report


def _choose_column(events: pd.DataFrame, column: str | None) -> str:
    if column is not None:
        require_columns(events, [column], where="events (--stimulus-column)")
        return column
    for name in EVENT_COLUMNS:
        if name in events.columns and events[name].notna().any():
            return name
    present = ", ".join(map(str, events.columns))
    fault = f"none of the columns {', '.join(EVENT_COLUMNS)} names a stimulus"
    remedy = "Give --stimulus-column with one of those present."
    raise InputError(message("events", fault, got=present, remedy=remedy))


def _known(stimuli: pd.DataFrame | Sequence[str], rule: str) -> dict[str, str]:
    """Key to name. A name is found as it stands, and by its key where that is no other's."""
    if isinstance(stimuli, pd.DataFrame):
        require_columns(stimuli, ["stimulus"], where="stimuli")
        names = stimuli["stimulus"].tolist()
    else:
        names = list(stimuli)
    known = {same_text(str(name)): name for name in names}
    for name in names:
        key = stimulus_key(name, rule)
        if known.setdefault(key, name) != name:
            fault = f"{known[key]!r} and {name!r} have one key {key!r} by the rule {rule!r}"
            raise InputError(message("stimuli", fault, remedy="Give --stimulus-key path or id."))
    if isinstance(stimuli, pd.DataFrame) and "stimulus_id" in stimuli.columns:
        for name, given in zip(names, stimuli["stimulus_id"], strict=True):
            # What --stimulus-table maps to; found under a mark that no key can have.
            known["\0" + stimulus_key(given, "id")] = name
    return known


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


def _meet(
    cell: object, known: dict[str, str], codes: dict[str, str] | None, rule: str
) -> str | None:
    if codes is None:
        key = stimulus_key(cell, rule)
        return known.get(key, known.get(same_text(str(cell))))
    given = codes.get(stimulus_key(cell, "id"))
    if given is None:
        return None
    return known.get("\0" + stimulus_key(given, "id"), known.get(stimulus_key(given, rule)))


def _nothing_matched(events: pd.DataFrame, known: dict[str, str], report: MatchReport) -> str:
    events_side = _some(report.only_in_events) or "none"
    fault = (
        f"no stimulus matched: column {report.column!r} by the rule {report.key_rule!r} has "
        f"{events_side}; the stimulus table has {_some(report.only_in_table) or 'none'}"
    )
    remedy = "Try another --stimulus-key or --stimulus-column, or give --stimulus-table."
    for name in events.columns:
        if name == report.column:
            continue
        cells = events[name].dropna().unique()[:1000]
        hits = [cell for cell in cells if same_text(str(cell)) and
                _meet(cell, known, None, report.key_rule)]  # fmt: skip
        if len(hits) > 1:
            return message("stimuli", fault, remedy=f"Try --stimulus-column {name}.")
    near = closest(report.only_in_events[0], report.only_in_table) if report.only_in_events else ""
    return message("stimuli", fault, remedy=f"Did you mean {near}? {remedy}" if near else remedy)
