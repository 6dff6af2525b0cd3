"""Paths that come out of tables, and paths that go into outputs, kept where they belong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .._checks import InputError, message


def user_path(value: str | os.PathLike[str]) -> Path:
    """Return `value` as a path, with ``~`` for the home folder unless a file bears that name.

    The shell expands ``~`` only at the start of a word, not in ``fmriprep=~/data``.

    Parameters
    ----------
    value : path
        As given by the user.

    Raises
    ------
    InputError
        If no such user is known here.

    Examples
    --------
    >>> user_path("data/sub-01").as_posix()
    'data/sub-01'
    """
    path = Path(value)
    if not path.parts or not path.parts[0].startswith("~") or os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InputError(message(str(path), "names no home folder known here")) from error


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return `path` from the root of the file system, as written: links are not followed.

    Parameters
    ----------
    path : path
        Relative to the working folder, or full.

    Raises
    ------
    InputError
        If the path is relative and the working folder has been deleted.

    Examples
    --------
    >>> absolute("/data/x/../y").as_posix()
    '/data/y'
    """
    try:
        return Path(os.path.abspath(path))
    except FileNotFoundError as error:
        remedy = "Change to a folder that exists, or give paths that begin with /."
        fault = "is relative, and the working folder has been deleted"
        raise InputError(message(str(path), fault, remedy=remedy)) from error


def resolve_inside(
    value: str | os.PathLike[str],
    root: str | os.PathLike[str],
    *,
    allowed: Iterable[str | os.PathLike[str]] = (),
    follow_external_links: bool = False,
) -> Path:
    """Return the path that a cell of a table means, if it stays under its root.

    Parameters
    ----------
    value : str or Path
        As it stands in the table; a relative one counts from `root`.
    root : path
        Data set or stimulus folder.
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
    roots = [Path(root), *map(Path, allowed)]
    if not text or "\0" in text:
        raise InputError(message("path", "is empty or holds a NUL character", got=text))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text) or text.startswith(("\\\\", "//")):
        remedy = "Copy the file into the data set and give its path relative to it."
        raise InputError(message("path", "is a URL or network path", got=text, remedy=remedy))
    path = Path(root) / text
    if not any(absolute(path).is_relative_to(absolute(each)) for each in roots):
        inside = f"inside {', '.join(map(str, roots))}"
        raise InputError(message("path", "leads out of its folder", got=text, allowed=inside))
    return check_link(path, roots, follow_external_links=follow_external_links)


def check_link(
    path: Path, roots: Iterable[Path], *, follow_external_links: bool = False
) -> Path:
    """Return `path` if, all links followed, it lies in one of `roots`; refuse it otherwise.

    git-annex links into the data set's own ``.git/annex`` are inside. A root may itself be a
    link.

    Parameters
    ----------
    path : Path
        A file of the data set; it need not exist.
    roots : iterable of Path
        Folders that may hold it.
    follow_external_links : bool, default False
        Whether it may lie elsewhere.

    Raises
    ------
    InputError
        If it lies elsewhere.

    Examples
    --------
    >>> check_link(Path("a.tsv"), [Path(".")]).name
    'a.tsv'
    """
    if follow_external_links:
        return path
    real = Path(os.path.realpath(absolute(path)))
    if not any(real.is_relative_to(os.path.realpath(absolute(root))) for root in roots):
        remedy = "Copy the file into the data set, or give --follow-external-links."
        raise InputError(message(str(path), "is a link out of the data set", remedy=remedy))
    return path


def relative_path(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str:
    """Return `path` relative to `root` with forward slashes, so that outputs can be moved.

    Parameters
    ----------
    path, root : path
        Neither needs to exist; links are not followed.

    Examples
    --------
    >>> relative_path("data/sub-01/a.tsv", "data")
    'sub-01/a.tsv'
    """
    return Path(os.path.relpath(absolute(path), absolute(root))).as_posix()


def bids_uri(path: str | os.PathLike[str], links: Mapping[str, str | os.PathLike[str]]) -> str:
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
    >>> links = {"raw": "data", "prep": "data/derivatives/prep"}
    >>> bids_uri("data/derivatives/prep/sub-01/a.tsv", links)
    'bids:prep:sub-01/a.tsv'
    """
    written = absolute(path)
    folders = {name: absolute(folder) for name, folder in links.items()}
    homes = [name for name, folder in folders.items() if written.is_relative_to(folder)]
    if not homes:
        allowed = ", ".join(sorted(links))
        raise InputError(message(str(path), "is in no source data set", allowed=allowed))
    home = max(homes, key=lambda name: len(folders[name].parts))
    return f"bids:{home}:{written.relative_to(folders[home]).as_posix()}"
