"""Sensors picked by type, bad ones left out with a warning, and recordings aligned by name."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import mne
import numpy as np

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.stimuli.keys import some

CHANNELS = ("meg", "mag", "grad", "eeg")
ON_BAD = ("drop", "refuse")
LEAST = 2  # one sensor alone has no pattern
# A channel of a millionth of its fellows' range holds rounding errors of a constant.
_FLAT = 1e-6


def sensor_names(info: mne.Info, channels: str = "meg") -> list[str]:
    """Return the names of the sensors of a type, in the order of `info`, bad ones left out.

    Parameters
    ----------
    info : mne.Info
        Such as ``epochs.info``.
    channels : {"meg", "mag", "grad", "eeg"}
        ``"meg"`` means magnetometers and gradiometers. Axial gradiometers of CTF and KIT
        measure tesla and are magnetometers in this sense, as in MNE. Reference sensors of the
        system are never taken.

    Raises
    ------
    InputError
        If there are fewer than two; the types that are there are listed.

    Examples
    --------
    >>> sensor_names(mne.create_info(["A", "B", "ECG"], 100.0, ["mag", "mag", "ecg"]))
    ['A', 'B']
    """
    check_choice("channels", channels, CHANNELS)
    types = info.get_channel_types()
    wanted = ("mag", "grad") if channels == "meg" else (channels,)
    bads = set(info["bads"])
    names = [name for name, kind in zip(info["ch_names"], types, strict=True)
             if kind in wanted and name not in bads]  # fmt: skip
    if len(names) < LEAST:
        present = ", ".join(f"{types.count(kind)} {kind}" for kind in sorted(set(types)))
        fault = f"{len(names)} good channels of type {channels!r}, too few for a pattern"
        raise InputError(message("channels", fault, got=present, allowed=f">= {LEAST}"))
    return names


def drop_bad_channels(
    recording: mne.BaseEpochs, *, channels: str = "meg", on_bad: str = "drop",
    where: str = "epochs",
) -> mne.BaseEpochs:  # fmt: skip
    """Return a copy with the good sensors of a type alone.

    Left out are channels that are marked bad, flat in all epochs (less than a millionth of the
    median range of their type), or not finite somewhere.

    Parameters
    ----------
    recording : mne.Epochs
        Loaded when needed.
    channels : {"meg", "mag", "grad", "eeg"}
    on_bad : {"drop", "refuse"}
        Whether bad channels are left out with a DataWarning that names them, or refused.
    where : str
        What the recording is called in messages.

    Raises
    ------
    InputError
        If fewer than two good channels are there, or with ``on_bad="refuse"`` if one is bad.

    Examples
    --------
    >>> values = np.random.default_rng(0).normal(size=(2, 3, 5))
    >>> values[:, 1] = 0
    >>> epochs = mne.EpochsArray(values, mne.create_info(3, 100.0, "mag"), verbose="ERROR")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     drop_bad_channels(epochs).ch_names
    ['0', '2']
    """
    check_choice("bad_channels", on_bad, ON_BAD)
    names = sensor_names(recording.info, channels)
    marked = _marked(recording.info, channels)
    data = recording.get_data(copy=False)
    place = {name: i for i, name in enumerate(recording.ch_names)}
    # One channel at a time: a copy of all would double the memory of the epochs.
    ranges = np.array([_range(data[:, place[name]]) for name in names])
    lost = ~np.isfinite(ranges)
    flat = _flat_channels(ranges, recording.get_channel_types(picks=names)) & ~lost
    reasons = {
        "marked bad": marked,
        "not finite": [name for name, out in zip(names, lost, strict=True) if out],
        "flat": [name for name, out in zip(names, flat, strict=True) if out],
    }
    report_bad_channels(reasons, on_bad=on_bad, where=where)
    good = [name for name, out in zip(names, lost | flat, strict=True) if not out]
    if len(good) < LEAST:
        fault = f"{len(good)} good channels are left of {len(names) + len(marked)}"
        raise InputError(message(where, fault, allowed=f">= {LEAST}"))
    if good == list(recording.ch_names):
        return recording
    return recording.copy().pick(good, verbose="ERROR")


def report_bad_channels(
    reasons: dict[str, list[str]], *, on_bad: str, where: str
) -> None:
    """Warn of channels that are left out, by reason, or refuse them.

    Examples
    --------
    >>> report_bad_channels({"flat": ["MEG 001"]}, on_bad="refuse", where="a_raw.fif")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: a_raw.fif: bad channels: MEG 001 (flat). Repair them.
    """
    parts = [f"{some(names)} ({reason})" for reason, names in reasons.items() if names]
    if not parts:
        return
    listed = "; ".join(parts)
    if on_bad == "refuse":
        remedy = "Repair or interpolate them, or leave them out with bad_channels='drop'."
        raise InputError(message(where, f"bad channels: {listed}", remedy=remedy))
    n_bad = sum(map(len, reasons.values()))
    text = message(where, f"{n_bad} bad channels are left out: {listed}")
    warnings.warn(text, DataWarning, stacklevel=4)


def align_channels(
    recordings: Sequence[mne.BaseEpochs], labels: Sequence[str]
) -> list[mne.BaseEpochs]:
    """Return recordings with the channels that all of them have, in the order of the first.

    Parameters
    ----------
    recordings : sequence of mne.Epochs
    labels : sequence of str
        What each is called in messages: a run or subject.

    Raises
    ------
    InputError
        If fewer than two channels are common.

    Examples
    --------
    >>> def made(names):
    ...     info = mne.create_info(list(names), 100.0, "mag")
    ...     return mne.EpochsArray(np.ones((1, len(names), 3)), info, verbose="ERROR")
    >>> [each.ch_names for each in align_channels([made("AB"), made("BA")], ["1", "2"])]
    [['A', 'B'], ['A', 'B']]
    """
    sets = [set(each.ch_names) for each in recordings]
    common = [name for name in recordings[0].ch_names if all(name in each for each in sets)]
    every = set().union(*sets)
    if len(common) < LEAST:
        fault = f"{len(common)} channels are common to {some(labels)}"
        remedy = "Are they of one system, and named alike?"
        raise InputError(message("channels", fault, got=sorted(every)[:5], remedy=remedy))
    if len(common) < len(every):
        missing = [f"{label} lacks {some(sorted(every - own))}"
                   for label, own in zip(labels, sets, strict=True) if every - own]  # fmt: skip
        fault = f"the channel sets differ, {len(common)} of {len(every)} are common"
        text = message("channels", f"{fault}: {'; '.join(missing)}", remedy="These are kept.")
        warnings.warn(text, DataWarning, stacklevel=4)
    return [each if list(each.ch_names) == common else each.copy().pick(common, verbose="ERROR")
            for each in recordings]  # fmt: skip


def _marked(info: mne.Info, channels: str) -> list[str]:
    kinds = ("mag", "grad") if channels == "meg" else (channels,)
    types = dict(zip(info["ch_names"], info.get_channel_types(), strict=True))
    return [name for name in info["bads"] if types[name] in kinds]


def _range(values: np.ndarray) -> float:
    """The largest peak-to-peak amplitude of an epoch; NaN if a value is not finite."""
    if not np.isfinite(values).all():
        return np.nan
    return float(np.ptp(values, axis=1).max()) if values.size else 0.0


def _flat_channels(ranges: np.ndarray, types: list[str]) -> np.ndarray:
    """Whether the range of a channel is nothing beside that of its type."""
    flat = ranges == 0
    kinds = np.array(types)
    for kind in set(types):
        own = kinds == kind
        moving = ranges[own & (ranges > 0)]
        if moving.size:
            flat[own] |= ranges[own] <= _FLAT * np.median(moving)
    return flat
