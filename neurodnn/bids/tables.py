"""Tables of BIDS data sets, read as text, and the faults that they come with.

Everything is text at first: ``01`` stays ``01``, ``n/a`` and empty cells become NaN. UTF-8 is
the rule of BIDS. A byte-order mark, Windows line ends and non-breaking spaces are read with a
`DataWarning`; UTF-16, other encodings and rows of uneven length are refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .._checks import InputError, closest, message
from .text import read_text

#: What BIDS and habit write for a missing value.
MISSING = frozenset({"n/a", ""})


def read_tsv(path: str | Path, *, required: Iterable[str] = ()) -> pd.DataFrame:
    """Return a tab-separated table as text.

    Parameters
    ----------
    path : path
        ``events.tsv``, ``participants.tsv``, ``stimuli.tsv``.
    required : iterable of str
        Columns that must be there.

    Returns
    -------
    pandas.DataFrame
        All columns as text (never numbers), in the order of the file, stripped at the ends;
        ``n/a`` and empty cells are NaN.

    Raises
    ------
    InputError
        If the file is missing or not UTF-8, has no header, a repeated or empty column name, rows
        of uneven length, or lacks a required column (the columns present are listed).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "events.tsv"
    ...     _ = path.write_text("onset\\tstim_file\\n1.5\\t01\\n3\\tn/a\\n")
    ...     table = read_tsv(path, required=["stim_file"])
    >>> table["stim_file"].tolist()
    ['01', nan]
    """
    rows = _rows(read_text(path), path)
    if not rows:
        raise InputError(message(str(path), "holds no header and no rows"))
    header = [_clean(cell) for cell in rows[0][1]]
    for name in header:
        if name == "" or header.count(name) > 1:
            fault = "has an empty or repeated column name"
            raise InputError(message(str(path), fault, got=name))
    for line, row in rows[1:]:
        if len(row) != len(header):
            fault = f"line {line} has {len(row)} cells, the header has {len(header)}"
            raise InputError(message(str(path), fault, remedy="Write n/a into empty cells."))
    columns = zip(*(row for _, row in rows[1:]), strict=True) if rows[1:] else [()] * len(header)
    cells = {
        name: [_value(cell) for cell in column]
        for name, column in zip(header, columns, strict=True)
    }
    table = pd.DataFrame(cells, dtype=object)
    if int(pd.__version__.split(".")[0]) >= 3:
        table = table.astype("str")
    require_columns(table, required, where=str(path))
    return table


def _rows(text: str, path: str | Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        fault = f"line {reader.line_num} cannot be read: {error}"
        remedy = 'A cell that begins with " must end with it.'
        raise InputError(message(str(path), fault, remedy=remedy)) from error


def _clean(cell: str) -> str:
    return cell.replace("\u00a0", " ").strip()


def _value(cell: str) -> str | float:
    text = cell.strip()
    return np.nan if text.lower() in MISSING else text


def require_columns(table: pd.DataFrame, required: Iterable[str], *, where: str) -> None:
    """Refuse a table that lacks a column, with the columns that it has.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    required : iterable of str
        Columns that must be there.
    where : str
        The path, for the message.

    Raises
    ------
    InputError
        With the columns present and the nearest name.

    Examples
    --------
    >>> require_columns(pd.DataFrame({"onset": []}), ["onset"], where="events.tsv")
    """
    for name in required:
        if name in table.columns:
            continue
        present = ", ".join(map(str, table.columns))
        near = closest(name, table.columns)
        remedy = f"Did you mean {near}?" if near else None
        if len(table.columns) == 1 and ("," in present or ";" in present):
            remedy = "Its cells seem to be separated by commas: BIDS tables use tabs."
        fault = f"has no column {name!r}"
        raise InputError(message(where, fault, allowed=present, remedy=remedy))


def read_numbers(table: pd.DataFrame, column: str, *, where: str) -> np.ndarray:
    """Return a column of text as float64; NaN where the cell is missing.

    Parameters
    ----------
    table : pandas.DataFrame
        As given by `read_tsv`.
    column : str
        Such as ``"onset"``.
    where : str
        The path, for messages.

    Raises
    ------
    InputError
        If the column is missing or a cell is no number.

    Examples
    --------
    >>> read_numbers(pd.DataFrame({"onset": ["1.5", "2"]}), "onset", where="events.tsv")
    array([1.5, 2. ])
    """
    require_columns(table, [column], where=where)
    numbers = np.empty(len(table))
    for row, cell in enumerate(table[column]):
        try:
            numbers[row] = float(cell)
        except (TypeError, ValueError) as error:
            fault = f"column {column!r} holds no number in data row {row + 1}"
            raise InputError(message(where, fault, got=cell)) from error
    return numbers
