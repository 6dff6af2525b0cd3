"""MEG and EEG recordings read with every fault named: FIF, CTF, KIT and the EEG formats."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import mne
import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.bids import parse_name, read_tsv, sha256_file
from neurodnn.brain._fif import fif_content
from neurodnn.brain._files import read_head, user_path
from neurodnn.brain.meg_channels import ON_BAD, report_bad_channels

MegSource = str | os.PathLike | mne.io.BaseRaw | mne.BaseEpochs | mne.Evoked | list
_T = TypeVar("_T")
# What readers raise on bytes that are not what the format says.
_READ_FAULTS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_RESTORE = "Fetch it again or restore it from the source."
_DATA_CHANNELS = {"mag", "grad", "eeg"}


def read_meg(
    source: MegSource,
    *,
    bad_channels: str = "drop",
    channels_table: str | os.PathLike | pd.DataFrame | None = None,
    sha256: str | None = None,
) -> mne.io.BaseRaw | mne.BaseEpochs:
    """Return a recording, checked: continuous data, or epochs.

    Responses that are averages already (``-ave.fif``) become epochs, one for each, whose
    stimulus is its comment.

    Parameters
    ----------
    source : path, mne.io.Raw, mne.Epochs, mne.Evoked or list of mne.Evoked
        ``.fif`` and ``.fif.gz`` (raw, epochs or evokeds), ``.ds`` (CTF), ``.sqd`` and ``.con``
        (KIT), ``.vhdr``, ``.edf``, ``.bdf``, ``.set`` (EEG) and whatever else `mne.io.read_raw`
        knows. Of a recording that was split give the first part; the others are found beside it.
    bad_channels : {"drop", "refuse"}
        Sensors that the file or `channels_table` mark bad are left out with a DataWarning that
        names them, or refused.
    channels_table : path or pandas.DataFrame, optional
        ``channels.tsv`` of BIDS; sensors with status ``bad`` count as marked.
    sha256 : str, optional
        Of the file, from a manifest. FIF holds no checksum: without this a bit that flipped
        among the samples is not seen.

    Returns
    -------
    mne.io.Raw or mne.Epochs
        Raw data are not loaded into memory. An object that was given is copied only if channels
        are left out. Units and first sample are as MNE gives them.

    Raises
    ------
    InputError
        If the file is missing, empty, cut short, of another kind, a later part of a split
        recording, or lacks one of its parts; or if a channel is marked bad and bad ones are
        refused.

    Examples
    --------
    >>> info = mne.create_info(["A", "B", "C"], 100.0, "mag")
    >>> info["bads"] = ["B"]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     read_meg(mne.io.RawArray(np.zeros((3, 50)), info, verbose="ERROR")).ch_names
    ['A', 'C']
    """
    check_choice("bad_channels", bad_channels, ON_BAD)
    if isinstance(source, (str, os.PathLike)):
        path = user_path(source)
        where = str(path)
        recording = _read_file(path, sha256)
    else:
        where, recording = "recording", _of_evokeds(source)
        if not isinstance(recording, (mne.io.BaseRaw, mne.BaseEpochs)):
            allowed = "a path, or Raw, Epochs or Evoked of MNE"
            got = type(source).__name__
            raise InputError(message("source", "is no recording", got=got, allowed=allowed))
    return _without_marked(recording, channels_table, bad_channels, where)


def _read_file(path: Path, sha256: str | None) -> mne.io.BaseRaw | mne.BaseEpochs:
    is_fif = path.name.endswith((".fif", ".fif.gz"))
    content = _check_content(path, is_fif)
    if sha256 is not None and path.is_file() and sha256_file(path) != sha256.lower():
        fault = "is not the file of the manifest: its sha256 differs"
        raise InputError(message(str(path), fault, remedy=_RESTORE))
    if not is_fif or content == "raw":
        return guarded_read(lambda: mne.io.read_raw(path, verbose="WARNING"), path)
    if content == "epochs":
        epochs = guarded_read(lambda: mne.read_epochs(path, preload=True, verbose="WARNING"), path)
        if not len(epochs):
            raise InputError(message(str(path), "holds no epochs", remedy="Relax the rejection."))
        return epochs
    # Baselines and projections stay as they were saved.
    evokeds = guarded_read(lambda: mne.read_evokeds(path, verbose="WARNING"), path)
    return _of_evokeds(evokeds)


def _check_content(path: Path, is_fif: bool) -> str:
    """Return the kind of a FIF file; for others check what can be seen before reading."""
    if is_fif:
        kind, later = fif_content(path)
        if kind == "other":
            fault = "holds no raw data, epochs or evokeds"
            raise InputError(message(str(path), fault, remedy="Give the recording itself."))
        if later or _split_number(path) > 1:
            fault = "is a later part of a split recording"
            raise InputError(message(str(path), fault, remedy="Give its first part."))
        return kind
    if path.is_dir():
        if path.suffix != ".ds":
            raise InputError(message(str(path), "is a folder, not a recording"))
        parts = [part for part in path.iterdir() if part.suffix in (".meg4", ".res4")]
        for ending in (".meg4", ".res4"):
            if not any(part.suffix == ending for part in parts):
                fault = f"the CTF folder has no {ending} file"
                raise InputError(message(str(path), fault, remedy=_RESTORE))
        for part in parts:
            read_head(part)
    else:
        read_head(path)
    return "raw"


def _split_number(path: Path) -> int:
    try:
        label = parse_name(path).get("split", "1")
    except InputError:
        return 1  # not a BIDS name
    return int(label) if label.isdigit() else 1


def guarded_read(read: Callable[[], _T], path: Path) -> _T:
    """Return what a reader gives, its faults and warnings under the name of the file.

    Examples
    --------
    >>> guarded_read(lambda: 1 / 0, Path("a_raw.fif"))
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: a_raw.fif: cannot be read ...
    """
    try:
        with _warnings_named(path):
            return read()
    except _READ_FAULTS as error:
        text = str(error)
        if "split" in text.lower() and isinstance(error, (ValueError, OSError)):
            fault = "a part of this split recording is missing"
            remedy = f"Put all parts beside it under their names. ({text.splitlines()[0]})"
            raise InputError(message(str(path), fault, remedy=remedy)) from error
        known = text.splitlines()[0] if text else type(error).__name__
        fault = f"cannot be read, the file is damaged or of another format: {known}"
        raise InputError(message(str(path), fault, remedy=_RESTORE)) from error


@contextmanager
def _warnings_named(path: Path) -> Iterator[None]:
    """Give the reader's warnings again as DataWarnings, but for those on naming habits."""
    # MNE also writes its warnings to the standard output, which belongs to results.
    with mne.utils.catch_logging(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in {str(warning.message): warning for warning in caught}.values():
        if issubclass(each.category, RuntimeWarning) and "naming conv" not in str(each.message):
            text = message(str(path), str(each.message).rstrip("."))
            warnings.warn(text, DataWarning, stacklevel=6)


def _of_evokeds(source: MegSource) -> MegSource:
    """Evokeds as epochs whose stimulus is the comment; anything else untouched."""
    evokeds = [source] if isinstance(source, mne.Evoked) else source
    if not isinstance(evokeds, list) or not all(isinstance(e, mne.Evoked) for e in evokeds):
        return source
    if not evokeds:
        raise InputError(message("source", "holds no evokeds"))
    names = [str(evoked.comment) for evoked in evokeds]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        remedy = "Give each its stimulus: evoked.comment = ..."
        raise InputError(message("evokeds", "comments occur twice", got=twice[:5], remedy=remedy))
    first = evokeds[0]
    for evoked in evokeds[1:]:
        same = evoked.ch_names == first.ch_names and np.array_equal(evoked.times, first.times)
        if not same:
            fault = f"{evoked.comment!r} has other channels or times than {first.comment!r}"
            raise InputError(message("evokeds", fault))
    info = first.info.copy()
    # What is bad in one of them is bad in the table that they become.
    info["bads"] = [name for name in first.ch_names if any(name in e.info["bads"] for e in evokeds)]
    events = np.c_[np.arange(len(names)), np.zeros(len(names), int), np.arange(1, len(names) + 1)]
    epochs = mne.EpochsArray(
        np.array([evoked.get_data() for evoked in evokeds]), info, events=events,
        tmin=first.times[0], event_id={name: i + 1 for i, name in enumerate(names)}, proj=False,
        metadata=pd.DataFrame({"stimulus": names, "averaged": [e.nave for e in evokeds]}),
        verbose="ERROR",
    )  # fmt: skip
    # As tmin, times that were shifted (delay of a screen) are rounded to whole samples; what a
    # file with its float32 has lost may be.
    shift = float(first.times[0] - epochs.times[0])
    return epochs.shift_time(shift) if abs(shift) * info["sfreq"] > 1e-3 else epochs


def _without_marked(
    recording: mne.io.BaseRaw | mne.BaseEpochs,
    table: str | os.PathLike | pd.DataFrame | None,
    on_bad: str,
    where: str,
) -> mne.io.BaseRaw | mne.BaseEpochs:
    marked = list(recording.info["bads"])
    if table is not None:
        marked += [name for name in _bad_in_table(table, recording, where) if name not in marked]
    types = dict(zip(recording.ch_names, recording.get_channel_types(), strict=True))
    listed = [name for name in marked if types[name] in _DATA_CHANNELS]
    report_bad_channels({"marked bad": listed}, on_bad=on_bad, where=where)
    if len(marked) == len(recording.ch_names):
        fault = f"all {len(marked)} channels are marked bad"
        raise InputError(message(where, fault, remedy="Correct the marks."))
    return recording.copy().drop_channels(marked) if marked else recording


def _bad_in_table(
    table: str | os.PathLike | pd.DataFrame, recording: mne.io.BaseRaw, where: str
) -> list[str]:
    if not isinstance(table, pd.DataFrame):
        where, table = str(table), read_tsv(table, required=["name"])
    if "status" not in table.columns:
        return []
    names = [str(name) for name in table["name"][table["status"].astype(str) == "bad"]]
    strange = sorted(set(names) - set(recording.ch_names))
    if strange:
        fault = "bad channels of the table are not in the recording"
        text = message(where, fault, got=strange[:5], remedy="Is it the table of this file?")
        warnings.warn(text, DataWarning, stacklevel=4)
    return [name for name in names if name in recording.ch_names]
