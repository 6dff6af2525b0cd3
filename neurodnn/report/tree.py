"""The output tree as the pages see it: summaries, maps, RDMs; nothing else is ever read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json, resolve_inside

#: Kinds of results in ``figures/`` and ``group/``: fMRI maps, MEG in time, MEG sources.
FMRI, MEG, SOURCE = KINDS = ("summary", "megresults", "sourceresults")


@dataclass(frozen=True)
class Summary:
    """One ``*summary.json`` or ``*results.json`` of the tree.

    Attributes
    ----------
    root : pathlib.Path
        The output folder.
    path : pathlib.Path
        The summary's file.
    content : dict
        What it holds, absolute paths of the machine taken out of every text.
    problems : list of str
        Filled while a page is made: files that are missing or damaged.
    kind : str
        Which of `KINDS` it is.
    """

    root: Path
    path: Path
    content: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    kind: str = FMRI

    @property
    def stem(self) -> str:
        """File name without ``summary.json``, such as ``sub-01_task-faces_``."""
        return self.path.name.removesuffix(f"{self.kind}.json")

    @property
    def study(self) -> tuple[str, str]:
        """Session and task, without their prefixes: results of one study share them."""
        return (self.text("Session").removeprefix("ses-"), self.text("Task").removeprefix("task-"))

    def entries(self, key: str) -> list[dict[str, Any]]:
        """The objects of a list of the summary."""
        return [dict(each) for each in self.list_of(key) if isinstance(each, Mapping)]

    def complain(self, what: str, error: object) -> None:
        """Put a file that cannot be shown on the list of problems, without paths of the machine."""
        text = f"{what} cannot be shown: {error}"
        self.problems.append(without_paths(text, (self.root.absolute(),)))

    def text(self, key: str, default: str = "") -> str:
        """A value of the summary as text; `default` where it is missing or null."""
        value = self.content.get(key)
        return default if value is None else str(value)

    def list_of(self, key: str) -> list[Any]:
        """A list of the summary; empty where it is missing or something else."""
        value = self.content.get(key)
        return list(value) if isinstance(value, list) else []

    def mapping(self, key: str) -> dict[str, Any]:
        """An object of the summary; empty where it is missing or something else."""
        value = self.content.get(key)
        return dict(value) if isinstance(value, Mapping) else {}

    def title(self) -> str:
        """Task and session, as far as there are any."""
        parts = []
        if self.text("Session"):
            parts.append("session " + self.text("Session").removeprefix("ses-"))
        if self.text("Task"):
            parts.append("task " + self.text("Task").removeprefix("task-"))
        return ", ".join(parts)


def subject_summaries(
    root: str | Path, subject: str | None = None, *, kind: str = FMRI
) -> list[Summary]:
    """Return the summaries of one subject, or of all, in the order of their paths.

    Parameters
    ----------
    root : path
        Output folder.
    subject : str, optional
        Label with or without ``sub-``. Default: every subject.
    kind : str
        Which of `KINDS`.
    """
    root = Path(root)
    label = "*" if subject is None else subject.removeprefix("sub-")
    found = [
        path
        for folder in (f"sub-{label}", f"sub-{label}/ses-*")
        for path in root.glob(f"{folder}/figures/*_{kind}.json")
    ]
    return [_read(root, path, kind) for path in sorted(found) if not path.name.startswith(".")]


def group_summaries(root: str | Path, *, kind: str = FMRI) -> list[Summary]:
    """Return the summaries below ``group/``, in the order of their paths."""
    root = Path(root)
    found = [path for path in root.glob(f"group/*{kind}.json") if not path.name.startswith(".")]
    return [_read(root, path, kind) for path in sorted(found)]


def _read(root: Path, path: Path, kind: str) -> Summary:
    """One summary; of a damaged one, what its name tells, and that it is damaged."""
    try:
        content = read_json(path)
    except InputError as error:
        content = {"Failures": [f"The results of this level cannot be read: {error}"]}
        for key, entity in (("Subject", "sub"), ("Session", "ses"), ("Task", "task")):
            named = re.search(rf"(?:^|_){entity}-([A-Za-z0-9+]+)_", path.name)
            if named:
                content[key] = named[1]
    return Summary(root, path, without_paths(content, (root, Path.home())), kind=kind)


def without_paths(value: Any, private: Iterable[Path] = ()) -> Any:
    """Return `value` with every absolute path in its texts cut down to its last part.

    Pages are shared. A path of the machine names its user and often the study's participants,
    so ``/data/study7/sub-01_bold.nii.gz`` becomes ``…/sub-01_bold.nii.gz``. Addresses
    (``https://...``) and relative paths stay.

    Parameters
    ----------
    value : object
        Text, or nested lists and mappings of texts.
    private : iterable of Path
        Folders whose names are taken out first, even where they hold blanks.

    Examples
    --------
    >>> without_paths({"Warnings": ["cannot read '/home/jane/data/a.nii.gz' (1/2 mm)"]})
    {'Warnings': ["cannot read '…/data/a.nii.gz' (1/2 mm)"]}
    """
    if isinstance(value, str):
        folders = {str(folder) for folder in private if folder.is_absolute()} - {"/"}
        for folder in sorted(folders, key=len, reverse=True):
            value = value.replace(folder, "…")
        return _cut_paths(value.replace("file://", ""))
    if isinstance(value, Mapping):
        return {
            without_paths(str(key), private): without_paths(item, private)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_paths(item, private) for item in value]
    return value


_PART = r"[^\s/\\'\",;:<>()]+"
_HOME = re.compile(rf"(?:/home|/Users|\b[A-Za-z]:\\Users)[/\\]{_PART}")
# a slash that begins a path: not within a word or an address, not after a dot
_PATH = re.compile(rf"(?<![\w./…])(?:/{_PART})+/({_PART})")
_DRIVE = re.compile(rf"\b[A-Za-z]:\\(?:{_PART}\\)*({_PART})")


def _cut_paths(text: str) -> str:
    text = _HOME.sub("…", text)
    return _DRIVE.sub(r"…/\1", _PATH.sub(r"…/\1", text))


def file_inside(root: Path, relative: object) -> Path:
    """Return the file that a summary names, if it stands below the output folder.

    Raises
    ------
    InputError
        If the name is no text, leads out of the folder, or no such file exists.
    """
    if not isinstance(relative, str):
        raise InputError(message("path", "is no text", got=relative))
    path = resolve_inside(relative, root)
    if not path.is_file():
        raise InputError(message(relative, "is not in the output folder"))
    return path


def read_map(root: Path, relative: object):
    """Return the 3-D image that a summary names, checksum verified.

    Raises
    ------
    InputError
        If it is missing, outside the tree or damaged.
    """
    from neurodnn.brain.nifti import read_image

    return read_image(file_inside(root, relative), ndim=3, allow_empty=True)


def read_references(root: Path, references: Iterable[Mapping[str, Any]]):
    """Return the reference RDMs of a summary as one `RDMs`, in the summary's order.

    Returns
    -------
    (rsatoolbox.rdm.RDMs or None, list of str)
        None if not one could be read; a sentence for each that could not.
    """
    from rsatoolbox.rdm import RDMs

    from neurodnn.rsa.rdm_files import read_rdms

    rows, names, stimuli, problems = [], [], None, []
    for reference in references:
        try:
            rdms = read_rdms(file_inside(root, reference.get("RDM")))
            own = [str(name) for name in rdms.pattern_descriptors["stimulus"]]
            if stimuli is not None and own != stimuli:
                raise InputError(message(str(reference.get("RDM")), "has other stimuli"))
        except InputError as error:
            problems.append(without_paths(f"RDM of {reference.get('Name')}: {error}", (root,)))
            continue
        stimuli = own
        rows.append(np.asarray(rdms.dissimilarities[0], dtype=float))
        names.append(str(reference.get("Name")))
    if not rows:
        return None, problems
    found = RDMs(
        np.vstack(rows),
        rdm_descriptors={"reference": names},
        pattern_descriptors={"stimulus": stimuli},
    )
    return found, problems


def link(path: Path, start: Path) -> str:
    """Return a relative address of `path` as seen from the page `start`, quoted for a browser."""
    relative = Path(os.path.relpath(path, start.parent)).as_posix()
    # "./" keeps a colon in the first part from being taken for a scheme (javascript:...)
    return "./" + quote(relative)
