"""Files of the simulated MEG: recordings, tables and inverse operators, without dates."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pandas as pd
from mne.io.constants import FIFF
from numpy.typing import NDArray

from ..bids import write_atomic
from .files import TASK, write_json, write_table

_TAG = struct.Struct(">iIii")
_ID = struct.Struct(">iiiii")
_ID_TYPE = int(FIFF.FIFFT_ID_STRUCT)


def fif_bytes(write: Callable[[Path], object], name: str) -> bytes:
    """Return the FIF file that a function of MNE writes, without machine and time of writing.

    Parameters
    ----------
    write : callable
        Takes the path to write to.
    name : str
        Of the file; MNE checks endings.

    Examples
    --------
    >>> info = mne.create_info(1, 100.0, "mag")
    >>> raw = mne.io.RawArray(np.zeros((1, 9)), info, verbose="ERROR")
    >>> save = lambda path: raw.save(path, verbose="ERROR")
    >>> fif_bytes(save, "a_meg.fif") == fif_bytes(save, "a_meg.fif")
    True
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(path)
        content = bytearray(path.read_bytes())
    place = 0
    while place < len(content):
        _, kind, size, following = _TAG.unpack_from(content, place)
        if kind == _ID_TYPE:
            version = _ID.unpack_from(content, place + _TAG.size)[0]
            _ID.pack_into(content, place + _TAG.size, version, 0, 0, 0, 0)
        if following == -1:
            break
        place = following if following > 0 else place + _TAG.size + size
    return bytes(content)


def write_recording(path: Path, info: mne.Info, data: NDArray, first: int) -> None:
    """Write a recording in whole numbers of 16 bits.

    Parameters
    ----------
    path : Path
        ``..._meg.fif``
    info : mne.Info
        Of `neurodnn.simulate.meg_sensors.helmet_info`: its ``cal`` are the steps.
    data : array (n_channels, n_samples)
        T, T/m, and the triggers last.
    first : int
        Sample of the acquisition with which the file begins.
    """
    steps = np.array([channel["cal"] for channel in info["chs"]])
    largest = 32767 * steps[:, None]
    np.clip(data, -largest, largest, out=data)
    raw = mne.io.RawArray(data, info.copy(), first_samp=first, copy="auto", verbose="ERROR")
    content = fif_bytes(lambda to: raw.save(to, fmt="short", verbose="ERROR"), path.name)
    write_atomic(path, content)


def write_inverse(
    path: Path, info: mne.Info, forward: mne.Forward, covariance: mne.Covariance
) -> None:
    """Write an inverse operator as ``..._inv.fif``.

    Parameters
    ----------
    path : Path
    info : mne.Info
    forward : mne.Forward
    covariance : mne.Covariance
        Of the noise.
    """
    inverse = mne.minimum_norm.make_inverse_operator(
        info, forward, covariance, loose=0.2, depth=0.8, verbose="ERROR"
    )
    content = fif_bytes(
        lambda to: mne.minimum_norm.write_inverse_operator(to, inverse, verbose="ERROR"),
        path.name,
    )
    write_atomic(path, content)


def write_run_tables(path: Path, info: mne.Info, events: pd.DataFrame, n_samples: int) -> None:
    """Write what stands beside a recording: sidecar, channels and events.

    Parameters
    ----------
    path : Path
        Of the recording.
    info : mne.Info
    events : pandas.DataFrame
    n_samples : int
    """
    stem = str(path).removesuffix("_meg.fif")
    types = info.get_channel_types()
    count = {kind: types.count(kind) for kind in ("mag", "grad", "stim")}
    write_json(Path(stem + "_meg.json"), {
        "TaskName": TASK, "SamplingFrequency": info["sfreq"], "PowerLineFrequency": 50,
        "DewarPosition": "upright", "SoftwareFilters": "n/a", "DigitizedLandmarks": True,
        "DigitizedHeadPoints": False, "ContinuousHeadLocalization": False,
        "Manufacturer": "neurodnn", "RecordingType": "continuous",
        "RecordingDuration": n_samples / info["sfreq"],
        "MEGChannelCount": count["mag"] + count["grad"], "MEGREFChannelCount": 0,
        "EEGChannelCount": 0, "EOGChannelCount": 0, "ECGChannelCount": 0, "EMGChannelCount": 0,
        "MiscChannelCount": 0, "TriggerChannelCount": count["stim"],
    })  # fmt: skip
    words = {"mag": ("MEGMAG", "T", "Magnetometer"), "stim": ("TRIG", "V", "Trigger"),
             "grad": ("MEGGRADPLANAR", "T/m", "Planar gradiometer")}  # fmt: skip
    bad = [name in info["bads"] for name in info["ch_names"]]
    write_table(Path(stem + "_channels.tsv"), pd.DataFrame({
        "name": info["ch_names"], "type": [words[kind][0] for kind in types],
        "units": [words[kind][1] for kind in types],
        "description": [words[kind][2] for kind in types],
        "sampling_frequency": info["sfreq"],
        "status": ["bad" if each else "good" for each in bad],
        "status_description": ["holds garbage" if each else "n/a" for each in bad],
    }))  # fmt: skip
    write_table(Path(stem + "_events.tsv"), events)


def write_coordinates(path: Path, info: mne.Info) -> None:
    """Write the coordinate systems of one subject.

    Parameters
    ----------
    path : Path
        ``..._coordsystem.json``
    info : mne.Info
        Its landmarks are those of the head.
    """
    words = {int(FIFF.FIFFV_POINT_LPA): "LPA", int(FIFF.FIFFV_POINT_NASION): "NAS",
             int(FIFF.FIFFV_POINT_RPA): "RPA"}  # fmt: skip
    places = {words[int(point["ident"])]: [round(float(each), 6) for each in point["r"]]
              for point in info["dig"]}  # fmt: skip
    write_json(path, {
        "MEGCoordinateSystem": "ElektaNeuromag", "MEGCoordinateUnits": "m",
        "MEGCoordinateSystemDescription": "RAS orientation and the origin between the ears",
        "HeadCoilCoordinates": places, "HeadCoilCoordinateSystem": "ElektaNeuromag",
        "HeadCoilCoordinateUnits": "m", "AnatomicalLandmarkCoordinates": places,
        "AnatomicalLandmarkCoordinateSystem": "ElektaNeuromag",
        "AnatomicalLandmarkCoordinateUnits": "m",
    })  # fmt: skip


