"""Recordings of several runs or subjects: alike in times, aligned in channels, joined."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import mne
import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.brain.meg_channels import align_channels


def align_recordings(recordings: Mapping[str, mne.BaseEpochs]) -> dict[str, mne.BaseEpochs]:
    """Return the epochs of several subjects or runs with the same channels, in one order.

    Parameters
    ----------
    recordings : mapping of label -> mne.Epochs

    Returns
    -------
    dict
        In the order given. Channels that not all have are left out, with a DataWarning that
        names them; the order is that of the first.

    Raises
    ------
    InputError
        If sampling rates or times differ, or fewer than two channels are common.

    Examples
    --------
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> epochs = mne.EpochsArray(np.zeros((1, 2, 9)), info, verbose="ERROR")
    >>> list(align_recordings({"sub-01": epochs, "sub-02": epochs}))
    ['sub-01', 'sub-02']
    """
    if not recordings:
        raise InputError(message("recordings", "are empty"))
    labels = list(map(str, recordings))
    check_recordings_alike(dict(zip(labels, recordings.values(), strict=True)))
    return dict(zip(labels, align_channels(list(recordings.values()), labels), strict=True))


def check_recordings_alike(recordings: dict[str, mne.BaseEpochs]) -> None:
    """Refuse epochs of several runs or subjects that differ in sampling rate or times.

    Parameters
    ----------
    recordings : dict of label -> mne.Epochs

    Raises
    ------
    InputError
        With the labels and what they have.

    Examples
    --------
    >>> info = mne.create_info(2, 100.0, "mag")
    >>> epochs = mne.EpochsArray(np.zeros((1, 2, 9)), info, tmin=-0.05, verbose="ERROR")
    >>> check_recordings_alike({"sub-01": epochs, "sub-02": epochs})
    """
    labels = list(recordings)
    first = recordings[labels[0]]
    for label in labels[1:]:
        other = recordings[label]
        if not np.isclose(other.info["sfreq"], first.info["sfreq"], rtol=1e-6, atol=0):
            fault = (
                f"{labels[0]} has a sampling rate of {first.info['sfreq']:g} Hz, "
                f"{label} of {other.info['sfreq']:g} Hz"
            )
            remedy = "Bring them to one rate with resample=."
            raise InputError(message("recordings", fault, remedy=remedy))
        # Half a sample would already move what is averaged.
        if other.times.size != first.times.size or (
            np.abs(other.times - first.times).max() > 0.1 / first.info["sfreq"]
        ):
            fault = f"{labels[0]} has {_span(first)}, {label} has {_span(other)}"
            remedy = "Cut all to the same tmin and tmax."
            raise InputError(message("recordings", fault, remedy=remedy))


def _span(epochs: mne.BaseEpochs) -> str:
    return f"{epochs.times.size} samples from {epochs.times[0]:g} to {epochs.times[-1]:g} s"


def join_runs(runs: dict[str, mne.BaseEpochs]) -> mne.EpochsArray:
    """Return the epochs of all runs, on the channels that all have, in the order of the first.

    Parameters
    ----------
    runs : dict of label -> mne.Epochs
        With metadata. Where the head lay differently a DataWarning is given.

    Raises
    ------
    InputError
        As `align_recordings`.

    Examples
    --------
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> table = pd.DataFrame({"stimulus": ["cat"]})
    >>> epochs = mne.EpochsArray(np.zeros((1, 2, 9)), info, metadata=table, verbose="ERROR")
    >>> len(join_runs({"1": epochs, "2": epochs}))
    2
    """
    aligned = align_recordings(runs)
    first = next(iter(aligned.values()))
    heads = [each.info["dev_head_t"] for each in aligned.values()]
    if any(not _same_head(heads[0], head) for head in heads[1:]):
        fault = "the head lay differently in the runs; sensor patterns are not of one place"
        remedy = "Bring them to one position (Maxwell filter), or cross-validate within runs."
        text = message("recordings", fault, remedy=remedy)
        warnings.warn(text, DataWarning, stacklevel=3)
    tables = pd.concat([each.metadata for each in aligned.values()], ignore_index=True)
    names = sorted(set(tables["stimulus"]))
    code = {name: i + 1 for i, name in enumerate(names)}
    events = np.zeros((len(tables), 3), dtype=int)
    # Samples of several recordings would meet; the metadata keep the true ones.
    events[:, 0] = np.arange(len(tables))
    events[:, 2] = [code[name] for name in tables["stimulus"]]
    data = np.concatenate([each.get_data(picks=each.ch_names) for each in aligned.values()])
    return mne.EpochsArray(
        data, first.info, events, tmin=first.times[0], event_id=code, metadata=tables,
        baseline=None, proj=False, verbose="ERROR",
    )  # fmt: skip


def _same_head(one: mne.transforms.Transform | None, other: object) -> bool:
    if one is None or other is None:
        return one is other
    return np.allclose(one["trans"], other["trans"], rtol=0, atol=1e-4)  # 0.1 mm
