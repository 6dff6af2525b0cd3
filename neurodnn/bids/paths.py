"""Paths that come out of tables, and paths that go into outputs, kept where they belong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .._checks import InputError, message


def resolve_inside(
    value: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    allowed: Iterable[str | os.PathLike[str]] = (),
    follow_external_links: bool = False,
) -> Path:
    """Return the path that a table or name means, if it stays under its root.

    Parameters
    ----------
    value : str or Path
        As it stands in the table; relative paths count from `root`.
    root : path
        Data set or stimulus folder. git-annex links into its own ``.git/annex`` are inside.
    allowed : iterable of paths, optional
        Further roots.
    follow_external_links : bool, default False
        Whether a symbolic link may lead out; the path as written may not, in any case.

    Returns
    -------
    Path
        Not resolved, so that names and extensions stay those of the data set.

    Raises
    ------
    InputError
        For ``../`` out of the root, absolute paths elsewhere, ``file://`` and other URLs,
        ``\\\\host\\share``, NUL, and links out of the root.

    Examples
    --------
    >>> resolve_inside("faces/a.png", "stimuli").as_posix()
    'stimuli/faces/a.png'
    """
    text = os.fspath(value)
    root = Path(root)
    roots = [root, *map(Path, allowed)]
    if "\0" in text or not text:
        raise InputError(message("path", "is empty or holds a NUL character", got=text))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) or text.startswith(("\\\\", "//")):
        remedy = "Copy the file into the data set and give its path relative to it."
        raise InputError(message("path", "is a URL or network path", got=text, remedy=remedy))
    # The folder above a table may be given relative to where we stand, the value never is.
    path = Path(text)
    if not path.is_absolute() and not _under(path, roots):
        path = root / path
    if not _under(path, roots):
        allowed_text = ", ".join(map(str, roots))
        fault = "leads out of its folder"
        raise InputError(message("path", fault, got=text, allowed=f"inside {allowed_text}"))
    real = Path(os.path.realpath(path))
    bases = [Path(os.path.realpath(each)) for each in roots]
    if not follow_external_links and not any(real.is_relative_to(base) for base in bases):
        remedy = "Copy the file into the data set, or give --follow-external-links."
        raise InputError(message(str(path), "is a link out of the data set", remedy=remedy))
    return path


def _under(path: Path, roots: Iterable[Path]) -> bool:
    """Whether the path as written, without following links, lies under one of the roots."""
    written = Path(os.path.abspath(path))
    return any(written.is_relative_to(os.path.abspath(root)) for root in roots)


def relative_path(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str:
    """Return `path` relative to `root` with forward slashes, so that outputs can be moved.

    Examples
    --------
    >>> relative_path("data/sub-01/a.tsv", "data")
    'sub-01/a.tsv'
    """
    return Path(os.path.relpath(path, root)).as_posix()


def bids_uri(
    path: str | os.PathLike[str], links: Mapping[str, str | os.PathLike[str]]
) -> str:
    """Return the BIDS URI of an input, such as ``bids:fmriprep:sub-01/func/...``.

    Parameters
    ----------
    path : path
        A file.
    links : mapping
        Name of each source data set (``raw``, ``fmriprep``) to its folder, as in
        ``DatasetLinks``. The deepest folder that holds the file counts.

    Raises
    ------
    InputError
        If the file is in none of them.

    Examples
    --------
    >>> bids_uri("data/derivatives/prep/sub-01/a.tsv", {"raw": "data", "prep":
    ...          "data/derivatives/prep"})
    'bids:prep:sub-01/a.tsv'
    """
    written = Path(os.path.abspath(path))
    folders = {name: Path(os.path.abspath(folder)) for name, folder in links.items()}
    homes = [name for name, folder in folders.items() if written.is_relative_to(folder)]
    if not homes:
        allowed = ", ".join(sorted(links))
        raise InputError(message(str(path), "is in no source data set", allowed=allowed))
    home = max(homes, key=lambda name: len(folders[name].parts))
    return f"bids:{home}:{written.relative_to(folders[home]).as_posix()}"
