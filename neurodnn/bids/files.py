"""Which files a BIDS data set holds: files by entities, derivatives, sidecars.

Folders are listed one subject at a time, so that a job of an array starts in milliseconds even
in data sets of a hundred thousand files; nothing is indexed. Names that begin with a dot are
dropped: macOS leaves ``._`` copies of every file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import InputError, closest, message
from .names import ENTITY_ORDER, INDEX_ENTITIES, LONG_NAMES, Entities, check_label, parse_name
from .paths import absolute, check_link, user_path
from .subjects import list_folders
from .text import read_json

#: What a filter may ask of an entity: a label, one of several, or None for "must be absent".
Filter = str | Sequence[str] | None

_FILTER_KEYS = (*ENTITY_ORDER, "suffix", "extension", "datatype")


def find_bids_files(
    root: str | os.PathLike[str],
    *,
    subject: str | None = None,
    suffix: str | None = None,
    extension: str | Sequence[str] | None = None,
    datatype: str | None = None,
    filters: Mapping[str, Filter] | None = None,
    follow_external_links: bool = False,
) -> list[Path]:
    """Return the files of a data set whose names carry the entities asked for.

    Parameters
    ----------
    root : path
        A data set, raw or derivative.
    subject : str, optional
        One label; default all subjects' folders.
    suffix : str, optional
        Such as ``"bold"``.
    extension : str or sequence of str, optional
        Such as ``".nii.gz"``; default any.
    datatype : str, optional
        Folder, such as ``"func"``; default any.
    filters : mapping, optional
        Entity, short or long (``"run"``, ``"space"``, ``"res"`` or ``"resolution"``, ``"hemi"``,
        ``"den"``, ...), to a label, to several, or to None where the entity must be absent.
        Numbers meet: ``run="1"`` finds ``run-01``.
    follow_external_links : bool, default False
        Whether a symbolic link may lead out of the data set.

    Returns
    -------
    list of Path
        Sorted by subject, session, task, run as a number, then name. Empty if nothing fits.

    Raises
    ------
    InputError
        If a file found is a link out of the data set, or the folder cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = pathlib.Path(root, "sub-01", "func")
    ...     folder.mkdir(parents=True)
    ...     for run in (10, 2):
    ...         (folder / f"sub-01_task-T_run-{run}_bold.nii.gz").touch()
    ...     [path.name for path in find_bids_files(root, suffix="bold")]
    ['sub-01_task-T_run-2_bold.nii.gz', 'sub-01_task-T_run-10_bold.nii.gz']
    """
    root = user_path(root)
    asked = _asked(filters)
    kinds = asked.pop("datatype", None)
    kinds = (datatype,) if datatype else kinds
    endings = (extension,) if isinstance(extension, str) else extension
    subjects = [f"sub-{check_label('sub', subject.removeprefix('sub-'))}"] if subject else None
    found = []
    for path in _walk(root, subjects or list_folders(root, "sub-"), kinds):
        try:
            entities = parse_name(path)
        except InputError:
            continue  # not a BIDS name: some programs put their own files beside
        if "sub" not in entities or (suffix is not None and entities["suffix"] != suffix):
            continue
        if endings is not None and entities["extension"] not in endings:
            continue
        if all(_fits(entities, key, want) for key, want in asked.items()):
            check_link(path, [root], follow_external_links=follow_external_links)
            found.append((_order(entities), path))
    return [path for _, path in sorted(found)]


def _asked(filters: Mapping[str, Filter] | None) -> dict[str, tuple[str, ...] | None]:
    asked: dict[str, tuple[str, ...] | None] = {}
    for key, want in (filters or {}).items():
        short = LONG_NAMES.get(key, key)
        if short not in _FILTER_KEYS:
            near = closest(key, _FILTER_KEYS)
            remedy = f"Did you mean {near}?" if near else None
            allowed = ", ".join(_FILTER_KEYS)
            fault = f"{key!r} is no entity"
            raise InputError(message("filters", fault, allowed=allowed, remedy=remedy))
        asked[short] = None if want is None else (want,) if isinstance(want, str) else tuple(want)
    return asked


def _fits(entities: Entities, key: str, want: tuple[str, ...] | None) -> bool:
    label = entities.get(key)
    if want is None or label is None:
        return want is None and label is None
    if label in want:
        return True
    return key in INDEX_ENTITIES and label.lstrip("0") in {str(w).lstrip("0") for w in want}


def _order(entities: Entities) -> tuple[Any, ...]:
    first = tuple(entities.get(key, "") for key in ("sub", "ses", "task"))
    run = entities.get("run", "")
    number = int(run) if run.isdigit() else -1
    return (*first, number, tuple(entities.items()))


def _walk(
    root: Path, subjects: Iterable[str], datatypes: tuple[str, ...] | None
) -> Iterable[Path]:
    """Files in sub-*/[ses-*/][datatype/]; nothing deeper, since MEG folders hold thousands."""
    for subject in subjects:
        if not (root / subject).is_dir():
            continue
        for session in ["", *list_folders(root / subject, "ses-")]:
            folder = root / subject / session
            kinds = ["", *list_folders(folder)] if datatypes is None else datatypes
            for kind in kinds:
                if kind.startswith((".", "ses-")) or not (folder / kind).is_dir():
                    continue
                with os.scandir(folder / kind) as entries:
                    names = sorted(entry.name for entry in entries)
                yield from (folder / kind / name for name in names if not name.startswith("."))


def find_derivatives(folder: str | os.PathLike[str]) -> Path:
    """Return the folder that holds ``sub-*``: the one given, or its ``fmriprep`` (legacy).

    Parameters
    ----------
    folder : path
        As given by the user; fMRIPrep before 21.0 wrote one level further down.

    Raises
    ------
    InputError
        If neither holds a subject.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     pathlib.Path(root, "fmriprep", "sub-01").mkdir(parents=True)
    ...     find_derivatives(root).name
    'fmriprep'
    """
    folder = user_path(folder)
    if list_folders(folder, "sub-"):
        return folder
    legacy = folder / "fmriprep"
    if legacy.is_dir() and list_folders(legacy, "sub-"):
        return legacy
    raise InputError(message(str(folder), "holds no sub-* folders, nor does its fmriprep/"))


def read_sidecar(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the metadata of a file: the JSONs that apply, from the root down, nearest wins.

    A JSON applies if it stands in the file's folder or above, has the file's suffix, and its
    entities are among the file's.

    Parameters
    ----------
    path : path
        A data file inside `root`.
    root : path
        The data set.

    Returns
    -------
    dict
        Empty if no JSON applies.

    Raises
    ------
    InputError
        If the file is not inside the root, or a JSON that applies cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     _ = pathlib.Path(root, "task-T_bold.json").write_text('{"RepetitionTime": 2}')
    ...     read_sidecar(pathlib.Path(root, "sub-01", "sub-01_task-T_bold.nii.gz"), root)
    {'RepetitionTime': 2}
    """
    path, root = absolute(path), absolute(user_path(root))
    if not path.is_relative_to(root):
        raise InputError(message(str(path), "is not inside the data set", allowed=str(root)))
    entities = parse_name(path)
    folders = [root]
    for part in path.relative_to(root).parts[:-1]:
        folders.append(folders[-1] / part)
    merged: dict[str, Any] = {}
    for folder in folders:
        found = [other for other in folder.glob("*.json") if _applies(other, entities)]
        # Within one folder the more specific name is the nearer one.
        for other in sorted(found, key=lambda each: (len(parse_name(each)), each.name)):
            merged.update(read_json(other))
    return merged


def _applies(other: Path, entities: Entities) -> bool:
    if other.name.startswith("."):
        return False
    try:
        theirs = parse_name(other)
    except InputError:
        return False
    theirs.pop("extension")
    return all(entities.get(key) == label for key, label in theirs.items())
