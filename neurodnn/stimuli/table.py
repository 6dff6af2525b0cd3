"""The stimulus table: one row per image, under a unique key."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from .._checks import DataWarning, InputError, check_choice, message
from ..bids import read_tsv, require_columns, require_file, resolve_inside, sha256_file, user_path
from .keys import RULES, some, stimulus_key

#: Columns of a stimulus table that may hold the path, in this order.
PATH_COLUMNS = ("path", "stim_file", "file_path", "filename", "file")
#: Image formats that can be opened safely; others in the folder are left out.
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


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
    path = user_path(path)
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
        table["path"] = _locate(table[column], folder, follow_external_links)
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
        note = f"files that are no images were left out ({len(others)}): {some(others)}"
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
    shown = some(twice.loc[twice["stimulus"] == name, column or "stimulus_id"].tolist())
    remedies = {"name": "Give --stimulus-key path, or rename one."}
    fault = f"{shown} have one key {name!r} by the rule {rule!r}"
    raise InputError(message(where, fault, remedy=remedies.get(rule, "Remove one of the rows.")))


def _locate(cells: Iterable[str], folder: Path, follow: bool) -> list[str]:
    """Paths relative to the folder, each there and inside it.

    Following every part of every path would take seconds in sets of tens of thousands: a folder
    is followed once, then only its links are.
    """
    trusted: dict[str, str] = {}
    paths = []
    for cell in cells:
        parent, _, name = cell.rpartition("/")
        if parent in trusted and name not in ("", "..") and _is_plain(folder, cell):
            paths.append(trusted[parent] + name)
            continue
        paths.append(_relative(cell, folder, follow))
        if parent not in trusted and "\\" not in cell and _is_inside(parent, folder, follow):
            trusted[parent] = paths[-1].removesuffix(paths[-1].rpartition("/")[2])
    return paths


def _is_inside(parent: str, folder: Path, follow: bool) -> bool:
    """Whether a folder lies inside: its first file may be a link inside while it leads out."""
    try:
        resolve_inside(parent or ".", folder, follow_external_links=follow)
    except InputError:
        return False
    return True


def _is_plain(folder: Path, cell: str) -> bool:
    """Whether a file that is no link stands there."""
    try:
        return stat.S_ISREG(os.lstat(f"{folder}/{cell}").st_mode)
    except (OSError, ValueError):
        return False


def _relative(cell: str, folder: Path, follow: bool) -> str:
    path = resolve_inside(cell, folder, follow_external_links=follow)
    if not os.path.lexists(path):  # perhaps a table made on Windows
        path = resolve_inside(cell.replace("\\", "/"), folder, follow_external_links=follow)
    if not os.path.lexists(path):
        fault = "the stimulus file is missing"
        raise InputError(message(str(path), fault, remedy="Restore it or remove its row."))
    return Path(os.path.relpath(path, folder)).as_posix()
