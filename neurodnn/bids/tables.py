"""Tables of BIDS data sets, read as text, and the faults that they come with.

Everything is text at first: ``01`` stays ``01``, ``n/a`` and empty cells become NaN. UTF-8 is
the rule of BIDS. A byte-order mark, Windows line ends and non-breaking spaces are read with a
`DataWarning`; UTF-16, other encodings and rows of uneven length are refused.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._checks import DataWarning, InputError, closest, message

#: What BIDS and habit write for a missing value.
MISSING = frozenset({"n/a", ""})


def require_file(path: str | Path) -> Path:
    """Return `path` if its content is here; say what to do if it is not.

    Only the name and, for small files, the first bytes are looked at.

    Parameters
    ----------
    path : path
        An input file.

    Raises
    ------
    InputError
        If it does not exist, is a folder, is empty, or is a git-annex pointer without content.

    Examples
    --------
    >>> require_file("no-such-file.tsv")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no-such-file.tsv: does not exist.
    """
    path = Path(path)
    fetch = f"Run: datalad get {path}"
    if path.is_symlink() and not path.exists():
        fault = "dangling link, the content is not here"
        raise InputError(message(str(path), fault, remedy=fetch))
    if not path.exists():
        raise InputError(message(str(path), "does not exist"))
    if not path.is_file():
        raise InputError(message(str(path), "is not a file"))
    size = path.stat().st_size
    if size == 0:
        raise InputError(message(str(path), "is empty", remedy="Fetch or restore it."))
    if size < 1024:
        with open(path, "rb") as stream:
            if b"/annex/objects/" in stream.read():
                fault = "git-annex pointer, the content is not here"
                raise InputError(message(str(path), fault, remedy=fetch))
    return path


def read_text(path: str | Path) -> str:
    """Return the text of a UTF-8 file with plain line ends; refuse other encodings.

    Parameters
    ----------
    path : path
        A table or JSON file.

    Raises
    ------
    InputError
        If the file is missing, UTF-16 or UTF-32, binary, or not UTF-8.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (pathlib.Path(folder) / "a").write_bytes(b"x\\n")
    ...     read_text(pathlib.Path(folder) / "a")
    'x\\n'
    """
    raw = require_file(path).read_bytes()
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    if utf16 or b"\0" in raw[:4096]:
        fault = "is UTF-16, not UTF-8" if utf16 else "holds NUL bytes, so it is not UTF-8 text"
        remedy = f"Convert it: iconv -f UTF-16 -t UTF-8 {Path(path).name} > new"
        raise InputError(message(str(path), fault, remedy=remedy))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8: byte {error.start} cannot be read"
        remedy = f"Convert it: iconv -f LATIN1 -t UTF-8 {Path(path).name} > new"
        raise InputError(message(str(path), fault, remedy=remedy)) from error
    oddities = []
    if text.startswith("\ufeff"):
        oddities.append("begins with a byte-order mark")
    if "\r" in text:
        oddities.append("ends its lines with CR")
    if "\u00a0" in text:
        oddities.append("holds non-breaking spaces (taken for spaces at the ends of cells)")
    if oddities:
        note = f"{' and '.join(oddities)}; it was read all the same, but BIDS asks for plain UTF-8"
        warnings.warn(message(str(path), note), DataWarning, stacklevel=2)
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


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


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises
    ------
    InputError
        If the file is missing, not UTF-8, not JSON, or holds no object.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (pathlib.Path(folder) / "a.json").write_text('{"RepetitionTime": 2}')
    ...     read_json(pathlib.Path(folder) / "a.json")
    {'RepetitionTime': 2}
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        fault = f"is not valid JSON: {error}"
        raise InputError(message(str(path), fault, remedy="Correct or restore it.")) from error
    if not isinstance(content, Mapping):
        raise InputError(message(str(path), "holds no JSON object", got=type(content).__name__))
    return dict(content)


def same_text(text: str) -> str:
    """Return `text` in the form in which names are compared: NFC, stripped at the ends.

    Examples
    --------
    >>> same_text(" e\\u0301 ") == "\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text).strip()
