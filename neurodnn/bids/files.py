"""Which files a BIDS data set holds: subjects, sessions, files by entities, sidecars.

Folders are listed one subject at a time, so that a job of an array starts in milliseconds even
in data sets of a hundred thousand files; nothing is indexed. Names that begin with a dot are
dropped: macOS leaves ``._`` copies of every file.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import DataWarning, InputError, closest, message
from .names import INDEX_ENTITIES, Entities, check_label, parse_name, short_keys
from .paths import resolve_inside
from .tables import read_json, read_tsv

#: What a filter may ask of an entity: a label, one of several, or None for "must be absent".
Filter = str | Sequence[str] | None


def find_subjects(
    root: str | os.PathLike[str], *, wanted: Iterable[str] | None = None
) -> list[str]:
    """Return the labels of the subjects of a data set, sorted, without ``sub-``.

    Subjects are the folders ``sub-*`` in the root without ``sub-emptyroom``; where there is a
    ``participants.tsv``, those that it lists.

    Parameters
    ----------
    root : path
        A data set, raw or derivative.
    wanted : iterable of str, optional
        Labels asked for, with or without ``sub-``; default all.

    Raises
    ------
    InputError
        If there is no subject; if ``sub-1`` and ``sub-01`` are both there, or
        ``participants.tsv`` lists one twice; if a wanted label is missing (those there are
        listed).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("sub-02", "sub-01", "sub-emptyroom", "._sub-01"):
    ...         pathlib.Path(root, name).mkdir()
    ...     find_subjects(root)
    ['01', '02']
    """
    root = Path(root)
    labels = []
    for name in _folders(root, "sub-"):
        label = name.removeprefix("sub-")
        try:
            labels.append(check_label("sub", label))
        except InputError as error:
            warnings.warn(f"{name}: skipped. {error}", DataWarning, stacklevel=2)
    labels = sorted(set(labels) - {"emptyroom"})
    _refuse_twins(labels, str(root))
    listed = _participants(root)
    if listed is not None:
        dropped = [label for label in labels if label not in listed]
        if dropped:
            note = f"participants.tsv does not list {', '.join(dropped)}; left out"
            warnings.warn(message(str(root), note), DataWarning, stacklevel=2)
        labels = [label for label in labels if label in listed]
    if not labels:
        remedy = "Give the folder that holds sub-*; fMRIPrep's may be one level down."
        raise InputError(message(str(root), "holds no subject (sub-*)", remedy=remedy))
    return labels if wanted is None else _choose(labels, wanted)


def _folders(root: Path, start: str) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if e.name.startswith(start) and e.is_dir())
    except OSError as error:
        fault = f"cannot be read as a folder: {error.strerror}"
        raise InputError(message(str(root), fault)) from error


def _refuse_twins(labels: Iterable[str], where: str) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.lstrip("0").casefold(), label)
        if other != label:
            fault = f"sub-{other} and sub-{label} may be the same subject"
            remedy = "Rename or remove one of the folders."
            raise InputError(message(where, fault, remedy=remedy))


def _participants(root: Path) -> set[str] | None:
    path = root / "participants.tsv"
    if not os.path.lexists(path):
        return None
    ids = read_tsv(path, required=["participant_id"])["participant_id"].dropna()
    labels = [label.removeprefix("sub-") for label in ids]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(message(str(path), f"lists sub-{label} twice"))
    return set(labels)


def _choose(labels: Sequence[str], wanted: Iterable[str]) -> list[str]:
    chosen = sorted({label.removeprefix("sub-") for label in wanted})
    for label in chosen:
        if label not in labels:
            twins = [each for each in labels if each.lstrip("0") == label.lstrip("0")]
            near = twins[0] if twins else closest(label, labels)
            remedy = f"Did you mean {near}?" if near else None
            there = ", ".join(labels)
            fault = "no such subject"
            raise InputError(
                message("participant-label", fault, got=label, allowed=there, remedy=remedy)
            )
    return chosen


def find_sessions(root: str | os.PathLike[str], subject: str) -> list[str]:
    """Return the sessions of one subject, sorted, without ``ses-``; empty if there are none.

    Sessions are never assumed to be those of another subject.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     pathlib.Path(root, "sub-01", "ses-mri").mkdir(parents=True)
    ...     find_sessions(root, "01")
    ['mri']
    """
    folder = Path(root) / f"sub-{check_label('sub', subject.removeprefix('sub-'))}"
    return [name.removeprefix("ses-") for name in _folders(folder, "ses-")]


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
    root = Path(root)
    asked = _asked(filters)
    endings = (extension,) if isinstance(extension, str) else extension
    subjects = [f"sub-{check_label('sub', subject.removeprefix('sub-'))}"] if subject else None
    found = []
    for path in _walk(root, subjects or _folders(root, "sub-"), datatype):
        try:
            entities = parse_name(path)
        except InputError:
            continue  # not a BIDS name: some programs put their own files beside
        if suffix is not None and entities["suffix"] != suffix:
            continue
        if endings is not None and entities["extension"] not in endings:
            continue
        if all(_fits(entities, key, want) for key, want in asked.items()):
            resolve_inside(path, root, follow_external_links=follow_external_links)
            found.append((_order(entities), path))
    return [path for _, path in sorted(found)]


def _asked(filters: Mapping[str, Filter] | None) -> dict[str, tuple[str, ...] | None]:
    asked = {}
    for key, want in (filters or {}).items():
        short = next(iter(short_keys({key: ""})))
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


def _walk(root: Path, subjects: Iterable[str], datatype: str | None) -> Iterable[Path]:
    """Files in sub-*/[ses-*/]datatype/; nothing deeper, since MEG folders hold thousands."""
    for subject in subjects:
        for session in ["", *_folders(root / subject, "ses-")]:
            folder = root / subject / session
            kinds = _folders(folder, "") if datatype is None else [datatype]
            for kind in kinds:
                if kind.startswith((".", "ses-")) or not (folder / kind).is_dir():
                    continue
                with os.scandir(folder / kind) as entries:
                    yield from (Path(e.path) for e in entries if re.match(r"[^.]", e.name))


def find_derivatives(folder: str | os.PathLike[str]) -> Path:
    """Return the folder that holds ``sub-*``: the one given, or its ``fmriprep`` (legacy).

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
    folder = Path(folder)
    if _folders(folder, "sub-"):
        return folder
    legacy = folder / "fmriprep"
    if legacy.is_dir() and _folders(legacy, "sub-"):
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
    path, root = Path(os.path.abspath(path)), Path(os.path.abspath(root))
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
