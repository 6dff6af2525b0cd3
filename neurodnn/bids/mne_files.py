"""Evoked responses and source estimates of MNE to bytes: no dates, no ids of machines."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import InputError, message

HEMISPHERES = ("lh", "rh")
_TAG = struct.Struct(">iIii")
_ID_TYPE = 31  # of FIF: version, two words of the machine, seconds, microseconds
_ID = struct.Struct(">5i")
_NO_DATE = (0, 2**31 - 1)  # by which MNE means that none is known


def evokeds_bytes(evokeds: Sequence[Any]) -> bytes:
    """Return a FIF file of evoked responses; equal responses give equal bytes.

    MNE writes ids that tell the machine and the moment; here they tell neither. Dates of the
    measurement, the subject and other free text of `info` are refused, not carried along:
    `neurodnn.scores_to_evokeds` makes responses without them.

    Parameters
    ----------
    evokeds : sequence of mne.Evoked
        On the same sensors; data are stored as float32.

    Raises
    ------
    InputError
        If there is none, sensors differ, or the header names a person or a date.

    Examples
    --------
    >>> import mne
    >>> evoked = mne.EvokedArray(np.zeros((2, 3)), mne.create_info(2, 100.0, "mag"))
    >>> evokeds_bytes([evoked]) == evokeds_bytes([evoked])
    True
    """
    import mne

    evokeds = list(evokeds)
    if not evokeds:
        raise InputError(message("evokeds", "are none"))
    for evoked in evokeds:
        told = [key for key in ("subject_info", "meas_date", "experimenter", "description",
                                "proj_name") if evoked.info.get(key)]  # fmt: skip
        if told:
            remedy = "Make them with scores_to_evokeds."
            raise InputError(message("evokeds", f"tell {', '.join(told)}", remedy=remedy))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made_ave.fif")
        try:
            mne.write_evokeds(path, evokeds, overwrite=True, verbose="ERROR")
        except (RuntimeError, ValueError) as error:
            raise InputError(message("evokeds", f"cannot be written: {error}")) from error
        return without_ids(path.read_bytes())


def without_ids(content: bytes) -> bytes:
    """Return a FIF file whose ids hold no machine and no time.

    Parameters
    ----------
    content : bytes
        A chain of tags in their order, as MNE writes it.

    Examples
    --------
    >>> tag = _TAG.pack(100, _ID_TYPE, _ID.size, 0) + _ID.pack(65540, 1, 2, 3, 4)
    >>> _ID.unpack(without_ids(tag)[_TAG.size :])
    (65540, 0, 0, 0, 2147483647)
    """
    changed = bytearray(content)
    place = 0
    while place + _TAG.size <= len(changed):
        _, kind, length, _ = _TAG.unpack_from(changed, place)
        if kind == _ID_TYPE and length == _ID.size:
            version = _ID.unpack_from(changed, place + _TAG.size)[0]
            _ID.pack_into(changed, place + _TAG.size, version, 0, 0, *_NO_DATE)
        place += _TAG.size + length
    return bytes(changed)


def stc_bytes(estimate: Any) -> dict[str, bytes]:
    """Return the two files of a source estimate on the cortex, by hemisphere.

    Parameters
    ----------
    estimate : mne.SourceEstimate
        Real numbers; stored as float32.

    Returns
    -------
    dict
        ``"lh"`` and ``"rh"``.

    Examples
    --------
    >>> import mne
    >>> vertices = [np.array([0, 4]), np.array([2])]
    >>> both = stc_bytes(mne.SourceEstimate(np.ones((3, 2)), vertices, tmin=-0.1, tstep=0.02))
    >>> [len(both[side]) for side in ("lh", "rh")]
    [40, 28]
    """
    values = np.asarray(estimate.data)
    if values.dtype.kind != "f" or len(estimate.vertices) != 2:
        allowed = "real values on two hemispheres"
        raise InputError(message("source estimate", "cannot be written", got=values.dtype,
                                 allowed=allowed))  # fmt: skip
    left, right = (np.asarray(each) for each in estimate.vertices)
    # by length, not from the end: a hemisphere may hold no vertex
    parts = {"lh": (left, values[: len(left)]), "rh": (right, values[len(left) :])}
    head = np.array([1000 * estimate.tmin, 1000 * estimate.tstep], dtype=">f4").tobytes()
    return {
        side: b"".join([
            head,
            np.array(len(vertices), dtype=">u4").tobytes(),
            vertices.astype(">u4").tobytes(),
            np.array(data.shape[1], dtype=">u4").tobytes(),
            np.ascontiguousarray(data.T).astype(">f4").tobytes(),
        ])
        for side, (vertices, data) in parts.items()
    }  # fmt: skip


def stc_pair(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the two files of a source map, left first.

    Parameters
    ----------
    path : path
        ``..._statmap.stc``, or the name of one of the two.

    Examples
    --------
    >>> [each.name for each in stc_pair("sub-01_desc-source_statmap.stc")]
    ['sub-01_desc-source_statmap-lh.stc', 'sub-01_desc-source_statmap-rh.stc']
    """
    path = Path(path)
    stem = path.name.removesuffix(".stc")
    for side in HEMISPHERES:
        stem = stem.removesuffix(f"-{side}")
    left, right = (path.with_name(f"{stem}-{side}.stc") for side in HEMISPHERES)
    return left, right
