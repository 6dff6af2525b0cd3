"""Text files of data sets: is the content here, is it UTF-8, is it JSON."""

from __future__ import annotations

import json
import unicodedata
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._checks import DataWarning, InputError, message


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


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Parameters
    ----------
    path : path
        A sidecar, description or filter file.

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

    Parameters
    ----------
    text : str
        macOS spells ``é`` as two characters, Linux as one; both must meet.

    Examples
    --------
    >>> same_text(" e\\u0301 ") == "\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", text).strip()
