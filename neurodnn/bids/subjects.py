"""Which subjects and sessions a data set holds. Never those of another subject."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from .._checks import DataWarning, InputError, closest, message
from .names import check_label
from .paths import user_path
from .tables import read_tsv


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
    root = user_path(root)
    labels = []
    for name in list_folders(root, "sub-"):
        label = name.removeprefix("sub-")
        try:
            labels.append(check_label("sub", label))
        except InputError as error:
            warnings.warn(f"{name}: skipped. {error}", DataWarning, stacklevel=2)
    labels = sorted(set(labels) - {"emptyroom"})
    listed = _participants(root)
    _refuse_twins([*labels, *sorted(listed or ())], str(root))
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


def list_folders(root: Path, start: str = "") -> list[str]:
    """Return the names of the folders in `root` that begin with `start`, sorted.

    Parameters
    ----------
    root : Path
        Any folder.
    start : str, default ""
        First letters of the names; default all folders.

    Raises
    ------
    InputError
        If `root` is no folder or may not be read.

    Examples
    --------
    >>> list_folders(Path("."), "no-such-start")
    []
    """
    try:
        with os.scandir(root) as entries:
            return sorted(e.name for e in entries if e.name.startswith(start) and e.is_dir())
    except OSError as error:
        fault = f"cannot be read as a folder: {error.strerror}"
        raise InputError(message(str(root), fault)) from error


def _refuse_twins(labels: Iterable[str], where: str) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        number = label.lstrip("0") if label.isdigit() else label
        other = seen.setdefault(number, label)
        if other != label:
            fault = f"sub-{other} and sub-{label} may be the same subject"
            remedy = "Rename or remove one, among the folders or in participants.tsv."
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

    Parameters
    ----------
    root : path
        A data set, raw or derivative.
    subject : str
        Label, with or without ``sub-``.

    Raises
    ------
    InputError
        If the subject has no folder, or the label is not allowed.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as root:
    ...     pathlib.Path(root, "sub-01", "ses-mri").mkdir(parents=True)
    ...     find_sessions(root, "01")
    ['mri']
    """
    folder = user_path(root) / f"sub-{check_label('sub', subject.removeprefix('sub-'))}"
    return [name.removeprefix("ses-") for name in list_folders(folder, "ses-")]
