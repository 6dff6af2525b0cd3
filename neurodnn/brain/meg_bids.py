"""MEG and EEG in a BIDS data set: recordings, their events and their tables of channels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import mne

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.bids import Filter, find_bids_files, parse_name, read_sidecar
from neurodnn.bids.paths import absolute
from neurodnn.brain.meg_reading import read_meg
from neurodnn.stimuli.keys import some

MODALITIES = ("meg", "eeg")
EXTENSIONS = {
    "meg": (".fif", ".ds", ".sqd", ".con"),
    "eeg": (".vhdr", ".edf", ".bdf", ".set"),
}
# Between neighbouring clocks of one device rates differ by less; a typing error by far more.
_RATE = 1e-3


class MegFiles(NamedTuple):
    """One run of one subject: the recording, its events and its channels (None if absent)."""

    recording: Path
    events: Path | None
    channels: Path | None


def find_meg_files(
    root: str | os.PathLike,
    *,
    subject: str | None = None,
    modality: str = "meg",
    filters: Mapping[str, Filter] | None = None,
    follow_external_links: bool = False,
) -> list[MegFiles]:
    """Return the recordings of a data set, each with the tables that belong to it.

    Parameters
    ----------
    root : path
        A BIDS data set, raw or derivative.
    subject : str, optional
        One label; default all.
    modality : {"meg", "eeg"}
    filters, follow_external_links
        As in `find_bids_files`. Empty rooms (``sub-emptyroom``, ``task-noise``,
        ``acq-calibration``, ``acq-crosstalk``) are left out.

    Returns
    -------
    list of MegFiles
        By subject, session, task and run. Of a split recording the first part alone. A table
        applies if it stands in the folder or above, and its entities are among the recording's;
        the nearest and most specific one wins.

    Raises
    ------
    InputError
        If the first part of a split recording is missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = Path(root, "sub-01", "meg")
    ...     folder.mkdir(parents=True)
    ...     for end in ("meg.fif", "events.tsv"):
    ...         (folder / f"sub-01_task-T_{end}").touch()
    ...     found = find_meg_files(root)
    >>> found[0].events.name, found[0].channels
    ('sub-01_task-T_events.tsv', None)
    """
    check_choice("modality", modality, MODALITIES)
    paths = find_bids_files(
        root, subject=subject, suffix=modality, extension=EXTENSIONS[modality],
        datatype=modality, filters=filters, follow_external_links=follow_external_links,
    )  # fmt: skip
    recordings = [path for path in paths if not _is_noise(path)]
    parts: dict[tuple, list[Path]] = {}
    for path in recordings:
        named = {key: label for key, label in parse_name(path).items() if key != "split"}
        parts.setdefault((path.parent, *sorted(named.items())), []).append(path)
    return [
        MegFiles(first, _table(first, root, "events"), _table(first, root, "channels"))
        for first in map(_first_part, parts.values())
    ]


def read_bids_meg(
    files: MegFiles, root: str | os.PathLike, *, bad_channels: str = "drop"
) -> mne.io.BaseRaw:
    """Return the recording of a run, with the bad channels of its table left out.

    Parameters
    ----------
    files : MegFiles
        From `find_meg_files`.
    root : path
        The data set.
    bad_channels : {"drop", "refuse"}
        As in `read_meg`.

    Returns
    -------
    mne.io.Raw or mne.Epochs

    Raises
    ------
    InputError
        As `read_meg`. A sampling rate in the sidecar that is not the file's gives a DataWarning:
        the file's counts.

    Examples
    --------
    >>> read_bids_meg(MegFiles(Path("no_meg.fif"), None, None), ".")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no_meg.fif: no such file. Check the spelling and the folder.
    """
    raw = read_meg(files.recording, bad_channels=bad_channels, channels_table=files.channels)
    stated = read_sidecar(files.recording, root).get("SamplingFrequency")
    rate = raw.info["sfreq"]
    if isinstance(stated, (int, float)) and abs(stated - rate) > _RATE * rate:
        fault = f"has {rate:g} Hz, but its sidecar says SamplingFrequency {stated:g}"
        text = message(str(files.recording), fault, remedy="The rate of the file is taken.")
        warnings.warn(text, DataWarning, stacklevel=2)
    return raw


def _is_noise(path: Path) -> bool:
    entities = parse_name(path)
    return (
        entities["sub"] == "emptyroom"
        or entities.get("task") == "noise"
        or entities.get("acq") in ("calibration", "crosstalk")
    )


def _first_part(parts: list[Path]) -> Path:
    numbers = {path: parse_name(path).get("split") for path in parts}
    if len(parts) == 1 and numbers[parts[0]] is None:
        return parts[0]
    for path, number in numbers.items():
        if number is not None and number.isdigit() and int(number) == 1:
            return path
    names = some(path.name for path in parts)
    fault = f"the first part of this split recording is missing, there are {names}"
    raise InputError(message(str(parts[0].parent), fault, remedy="Fetch split-01."))


def _table(recording: Path, root: str | os.PathLike, suffix: str) -> Path | None:
    """The table that applies: nearest folder first, then the most entities."""
    entities = parse_name(recording)
    top = absolute(root)
    folder = absolute(recording).parent
    while folder.is_relative_to(top):
        found = []
        for path in sorted(folder.glob(f"*{suffix}.tsv")):
            try:
                theirs = parse_name(path)
            except InputError:
                continue  # not a BIDS name
            named = {k: v for k, v in theirs.items() if k not in ("suffix", "extension")}
            fits = all(entities.get(key) == label for key, label in named.items())
            if theirs["suffix"] == suffix and fits and not path.name.startswith("."):
                found.append((len(named), path))
        if found:
            return max(found)[1]
        folder = folder.parent
    return None
