"""Maps of scores on sensors and on the cortex, read back from FIF and stc files."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import xarray as xr

from neurodnn._checks import InputError, message
from neurodnn.brain._fif import fif_content
from neurodnn.brain._files import read_head, user_path

_AGAIN = "Fetch it again or restore it from the source."
# What MNE raises on cut and scrambled stc files, measured; nothing else is caught.
_BROKEN = (OSError, ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError)


def read_sensor_maps(path: str | Path) -> list[mne.Evoked]:
    """Return the maps of scores on the sensors that a file holds, one per reference.

    Parameters
    ----------
    path : path
        An ``_ave.fif`` file, as written from `scores_to_evokeds`.

    Returns
    -------
    list of mne.Evoked
        The comments are the names of the references; the data are scores, not tesla.

    Raises
    ------
    InputError
        If the file is absent, damaged, or holds no evokeds.

    Examples
    --------
    >>> read_sensor_maps("nowhere_ave.fif")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: nowhere_ave.fif: no such file. Check the spelling and the folder.
    """
    path = user_path(path)
    kind = fif_content(path).kind
    if kind != "evokeds":
        raise InputError(message(str(path), "holds no maps on sensors", got=kind))
    try:
        found = mne.read_evokeds(path, proj=False, verbose="ERROR")
    except _BROKEN as error:
        raise InputError(message(str(path), f"cannot be read: {error}", remedy=_AGAIN)) from error
    return list(found)


def read_source_map(path: str | Path) -> xr.DataArray:
    """Return the map of scores on the cortex over time that a pair of stc files holds.

    Parameters
    ----------
    path : path
        Of the left hemisphere, ``...-lh.stc``; the right one, ``...-rh.stc``, stands beside it.

    Returns
    -------
    DataArray (vertex, time)
        Left before right; coordinates ``hemisphere`` and ``vertex`` (its number on the surface)
        along the vertices, times in seconds.

    Raises
    ------
    InputError
        If a file is absent or damaged.

    Examples
    --------
    >>> import tempfile
    >>> stc = mne.SourceEstimate(np.ones((3, 2)), [np.array([0, 5]), np.array([1])], 0.1, 0.02)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stc.save(Path(folder, "a"), verbose="ERROR")
    ...     read_source_map(Path(folder, "a-lh.stc"))["hemisphere"].values.tolist()
    ['left', 'left', 'right']
    """
    path = user_path(path)
    if not path.name.endswith("-lh.stc"):
        allowed = "the name of the left hemisphere, ...-lh.stc"
        raise InputError(message(str(path), "is no map of the left hemisphere", allowed=allowed))
    for side in ("-lh.stc", "-rh.stc"):
        read_head(path.with_name(path.name.removesuffix("-lh.stc") + side))
    try:
        stc = mne.read_source_estimate(path)
        values = np.asarray(stc.data, dtype=float)
        numbers = np.concatenate([np.asarray(each, dtype=int) for each in stc.vertices])
    except _BROKEN as error:
        raise InputError(message(str(path), f"cannot be read: {error}", remedy=_AGAIN)) from error
    sides = np.repeat(["left", "right"], [len(each) for each in stc.vertices])
    if values.ndim != 2 or values.shape[0] != numbers.size or not values.size:
        raise InputError(message(str(path), "holds no values", got=values.shape, remedy=_AGAIN))
    # the file holds single precision, of which the microsecond is what was meant
    times = np.round(np.asarray(stc.times, dtype=float), 6) + 0.0
    return xr.DataArray(
        values, dims=("vertex", "time"),
        coords={"vertex": numbers, "hemisphere": ("vertex", sides), "time": times},
    )  # fmt: skip
