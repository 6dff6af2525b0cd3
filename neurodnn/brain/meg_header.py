"""What the header of a recording tells before any sample is read: rates, sensors, whole epochs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np
from numpy.typing import NDArray

from neurodnn._checks import InputError, message
from neurodnn.brain.meg_bids import MegFiles, read_bids_meg
from neurodnn.brain.meg_channels import sensor_names
from neurodnn.brain.meg_reading import guarded_read

_BESIDE = {
    ".vhdr": (".eeg", ".vmrk", ".dat"),
    ".set": (".fdt",),
}  # data that lie beside a header of the same stem


class MegHeader(NamedTuple):
    """Of one recording: Hz, samples, the good sensors of the type, and all files of its data."""

    rate: float
    samples: int
    sensors: tuple[str, ...]
    files: tuple[Path, ...]


class EpochCounts(NamedTuple):
    """Which epochs can be cut: one bool per event, and how many are lost to what."""

    whole: NDArray[np.bool_]
    beyond: int  # they reach beyond the recording
    marked: int  # they touch a span that annotations call bad


def open_recording(
    files: MegFiles, root: str | os.PathLike, *, bad_channels: str = "drop"
) -> mne.io.BaseRaw:
    """Return the recording of a run, its data not read.

    Parameters
    ----------
    files, root, bad_channels
        As in `read_bids_meg`.

    Raises
    ------
    InputError
        As `read_bids_meg`; or the file holds epochs, whose events cannot be counted again.

    Examples
    --------
    >>> open_recording(MegFiles(Path("no_meg.fif"), None, None), ".")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no_meg.fif: no such file. Check the spelling and the folder.
    """
    raw = read_bids_meg(files, root, bad_channels=bad_channels)
    if not isinstance(raw, mne.io.BaseRaw):
        remedy = "Give the continuous recording; epochs are cut from it."
        raise InputError(message(str(files.recording), "holds epochs or averages", remedy=remedy))
    return raw


def meg_header(raw: mne.io.BaseRaw, files: MegFiles, *, channels: str = "meg") -> MegHeader:
    """Return what the header of a recording says.

    Parameters
    ----------
    raw : mne.io.Raw
        From `open_recording`.
    files : MegFiles
    channels : {"meg", "mag", "grad", "eeg"}

    Raises
    ------
    InputError
        If there are fewer than two good sensors of the type.

    Examples
    --------
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> raw = mne.io.RawArray(np.zeros((2, 9)), info, verbose="ERROR")
    >>> meg_header(raw, MegFiles(Path("a_meg.fif"), None, None)).sensors
    ('A', 'B')
    """
    try:
        names = sensor_names(raw.info, channels)
    except InputError as error:
        raise InputError(f"{files.recording}: {error}") from error
    data = _data_files(raw, files.recording)
    return MegHeader(float(raw.info["sfreq"]), int(raw.n_times), tuple(names), data)


def whole_epochs(
    raw: mne.io.BaseRaw, samples: Sequence[int], tmin: float, tmax: float
) -> EpochCounts:
    """Return which epochs lie within the recording and outside spans that are marked bad.

    The rules are those by which MNE cuts epochs, so that the count is known beforehand.

    Parameters
    ----------
    raw : mne.io.Raw
    samples : sequence of int
        Of the events, with the first sample of the recording.
    tmin, tmax : float
        Seconds, both included.

    Examples
    --------
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> raw = mne.io.RawArray(np.zeros((2, 500)), info, first_samp=50, verbose="ERROR")
    >>> _ = raw.set_annotations(mne.Annotations([2.0], [0.5], ["BAD_jump"]))
    >>> whole_epochs(raw, [55, 150, 270], -0.1, 0.5).whole.tolist()
    [False, True, False]
    """
    rate = raw.info["sfreq"]
    starts = np.asarray(samples, dtype=np.int64) + int(round(tmin * rate)) - raw.first_samp
    stops = starts + int(round(tmax * rate)) - int(round(tmin * rate)) + 1
    inside = (starts >= 0) & (stops <= raw.n_times)
    clean = np.ones(len(starts), dtype=bool)
    for onset, end in _bad_spans(raw):
        clean &= (end <= starts / rate) | (onset >= stops / rate)
    return EpochCounts(inside & clean, int((~inside).sum()), int((inside & ~clean).sum()))


def sensors_in_file(path: str | os.PathLike, channels: str = "meg") -> list[str]:
    """Return all sensors of a type that a recording holds, bad ones too.

    Parameters
    ----------
    path : path
    channels : {"meg", "mag", "grad", "eeg"}

    Examples
    --------
    >>> import tempfile
    >>> info = mne.create_info(["A", "B", "C"], 100.0, "mag")
    >>> info["bads"] = ["B"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a_raw.fif")
    ...     raw = mne.io.RawArray(np.zeros((3, 9)), info, verbose="ERROR")
    ...     _ = raw.save(path, verbose="ERROR")
    ...     sensors_in_file(path)
    ['A', 'B', 'C']
    """
    raw = guarded_read(lambda: mne.io.read_raw(path, verbose="ERROR"), Path(path))
    kinds = ("mag", "grad") if channels == "meg" else (channels,)
    types = raw.get_channel_types()
    return [name for name, kind in zip(raw.ch_names, types, strict=True) if kind in kinds]


def _bad_spans(raw: mne.io.BaseRaw) -> list[tuple[float, float]]:
    """Spans marked bad, in seconds from the first sample of the data."""
    notes = raw.annotations
    offset = raw.first_time  # once set, onsets of annotations count from the acquisition
    return [
        (float(onset) - offset, float(onset) - offset + float(duration))
        for onset, duration, text in zip(
            notes.onset, notes.duration, notes.description, strict=True
        )
        if str(text).upper().startswith("BAD")
    ]


def _data_files(raw: mne.io.BaseRaw, recording: Path) -> tuple[Path, ...]:
    """All files that hold the recording: parts, the content of a folder, data beside a header."""
    if recording.is_dir():
        return tuple(sorted(path for path in recording.rglob("*") if path.is_file()))
    found = {recording, *(Path(each) for each in raw.filenames if each)}
    for ending in _BESIDE.get(recording.suffix, ()):
        found.add(recording.with_suffix(ending))
    return tuple(sorted(path for path in found if path.is_file()))
