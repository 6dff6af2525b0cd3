"""Events of an MEG or EEG experiment: samples of the recording with the stimulus of each.

Onsets of ``events.tsv`` count from the first stored sample of the file; samples of MNE count
from the start of the acquisition, which is `first_samp` samples earlier. Adding that here, once,
is what keeps responses from moving by seconds.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import mne
import numpy as np
import pandas as pd

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import read_numbers, read_tsv, require_columns
from neurodnn.brain._files import user_path
from neurodnn.stimuli.keys import some, stimulus_key
from neurodnn.stimuli.matching import EVENT_COLUMNS, MatchReport, match_stimuli


def read_meg_events(
    events: str | os.PathLike | pd.DataFrame,
    raw: mne.io.BaseRaw,
    stimuli: pd.DataFrame | Sequence[str] | None = None,
    *,
    column: str | None = None,
    key: str = "name",
    table: pd.DataFrame | str | os.PathLike | None = None,
    min_stimuli: int | None = None,
) -> tuple[pd.DataFrame, MatchReport]:
    """Return the events that show a stimulus, with their samples, and how the names met.

    Parameters
    ----------
    events : path or pandas.DataFrame
        ``events.tsv`` of the recording: the column ``onset`` in seconds from its first sample.
        A column ``sample``, which programs fill by different rules, is not read.
    raw : mne.io.Raw
        The recording that the events belong to: the whole file. One that was cropped or
        resampled after reading is understood.
    stimuli : pandas.DataFrame or sequence of str, optional
        As in `match_stimuli`; None takes every name of the column as a stimulus.
    column, key, table, min_stimuli
        As in `match_stimuli`.

    Returns
    -------
    events : pandas.DataFrame
        One row per presentation, in order of time: ``sample`` (int, with the first sample of the
        recording added, as MNE counts), ``onset`` (seconds), ``stimulus``, and the other columns
        of the table as text.
    report : MatchReport
        Counts and names, to be printed always.

    Raises
    ------
    InputError
        If columns are missing, an onset is no number, no name matches, two presentations fall
        on one sample, or all lie outside the recording (some of them: a DataWarning).

    Examples
    --------
    >>> info = mne.create_info(2, 500.0, "mag")
    >>> raw = mne.io.RawArray(np.zeros((2, 2000)), info, first_samp=10_000, verbose="ERROR")
    >>> table = pd.DataFrame({"onset": ["1.5", "2.0"], "stim_file": ["a.png", "b.png"]})
    >>> events, report = read_meg_events(table, raw, ["a", "b"])
    >>> events["sample"].tolist(), events["stimulus"].tolist()
    ([10750, 11000], ['a', 'b'])
    """
    where = "events"
    if not isinstance(events, pd.DataFrame):
        where = str(user_path(events))
        events = read_tsv(user_path(events))
    require_columns(events, ["onset"], where=where)
    events = events.reset_index(drop=True)
    known = _every_name(events, column, key, where) if stimuli is None else stimuli
    keys, report = match_stimuli(
        events, known, column=column, key=key, table=table, min_stimuli=min_stimuli
    )
    shown = keys.notna().to_numpy()
    kept = events[shown].drop(columns=["stimulus", "sample"], errors="ignore")
    onsets = read_numbers(kept, "onset", where=where)
    if not np.isfinite(onsets).all():
        row = int(np.flatnonzero(~np.isfinite(onsets))[0])
        fault = "an event with a stimulus has no onset"
        raise InputError(message(where, fault, got=str(keys[shown].iloc[row])))
    sfreq = raw.info["sfreq"]
    samples = recording_start(raw) + np.floor(onsets * sfreq + 0.5).astype(np.int64)
    kept = kept.assign(onset=onsets, stimulus=keys[shown].astype(str))
    kept.insert(0, "sample", samples)
    kept = kept.sort_values("sample", kind="stable").reset_index(drop=True)
    _check_samples(kept, raw, where)
    return kept, report


def label_events(events: np.ndarray, names: Mapping[str, int]) -> pd.DataFrame:
    """Return an events array of MNE as a table with the stimulus of each event.

    Parameters
    ----------
    events : array of int, shape (n_events, 3)
        Sample (first sample of the recording included, as `mne.find_events` and ``-eve.fif``
        have it), previous value, code.
    names : mapping of str to int
        Stimulus to code; events with other codes are left out.

    Returns
    -------
    pandas.DataFrame
        ``sample`` and ``stimulus``.

    Raises
    ------
    InputError
        For another shape, or if no event has one of the codes.

    Examples
    --------
    >>> label_events(np.array([[700, 0, 2], [900, 0, 1]]), {"cat": 1, "dog": 2})
       sample stimulus
    0     700      dog
    1     900      cat
    """
    events = np.asarray(events)
    if events.ndim != 2 or events.shape[1] != 3 or not np.issubdtype(events.dtype, np.integer):
        allowed = "integers, events x 3"
        raise InputError(message("events", "is no events array", got=events.shape, allowed=allowed))
    by_code = {int(code): str(name) for name, code in names.items()}
    if len(by_code) < len(names):
        raise InputError(message("names", "two stimuli have one code", got=dict(names)))
    kept = np.isin(events[:, 2], list(by_code))
    if not kept.any():
        found = sorted(set(events[:, 2].tolist()))
        fault = "no event has a code of the stimuli"
        raise InputError(message("events", fault, got=found[:10], allowed=str(sorted(by_code))))
    events = events[kept]
    stimuli = [by_code[int(code)] for code in events[:, 2]]
    return pd.DataFrame({"sample": events[:, 0].astype(np.int64), "stimulus": stimuli})


def recording_start(raw: mne.io.BaseRaw) -> int:
    """Return the sample, in MNE's count, at which the file of a recording begins.

    It is `first_samp`, but for data that were cropped after they were read: those keep their
    count of samples, while onsets still count from the beginning of the file. The file is asked
    where it is FIF or NSx; recordings of the other formats begin at 0, as in MNE.

    Examples
    --------
    >>> info = mne.create_info(2, 500.0, "mag")
    >>> recording_start(mne.io.RawArray(np.zeros((2, 9)), info, first_samp=70, verbose="ERROR"))
    70
    """
    source = raw.filenames[0] if raw.filenames else None
    if source is None or not os.path.exists(source):
        return int(raw.first_samp)
    if not str(source).endswith((".fif", ".fif.gz")) and not Path(source).suffix[:3] == ".ns":
        return 0  # the file of its data (.eeg, .meg4) is none that MNE would open
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were given when the recording was read
        header = mne.io.read_raw(source, preload=False, verbose="ERROR")
    start = header.first_samp * raw.info["sfreq"] / header.info["sfreq"]
    if header.info["sfreq"] == raw.info["sfreq"]:
        return int(header.first_samp)
    # Resampling rounds the first sample, so that one sample apart is the same beginning.
    return int(raw.first_samp) if abs(start - raw.first_samp) <= 1 else int(np.floor(start + 0.5))


def _every_name(events: pd.DataFrame, column: str | None, key: str, where: str) -> list[str]:
    """All names of the column of stimuli, as keys."""
    if column is not None:
        require_columns(events, [column], where=where)
    tried = EVENT_COLUMNS if column is None else (column,)
    for name in tried:
        if name in events.columns:
            cells = [cell for cell in events[name].dropna().astype(str)
                     if cell.strip().lower() not in ("", "n/a")]  # fmt: skip
            if cells:
                return sorted({stimulus_key(cell, key) for cell in cells})
    present = ", ".join(map(str, events.columns))
    fault = f"none of the columns {', '.join(tried)} names a stimulus"
    raise InputError(message(where, fault, got=present, remedy="Give column=."))


def _check_samples(events: pd.DataFrame, raw: mne.io.BaseRaw, where: str) -> None:
    twice = events["sample"].duplicated(keep=False)
    if twice.any():
        fault = "several stimuli begin at one sample"
        got = [f"{row.stimulus} at {row.onset:g} s" for row in events[twice].itertuples()][:4]
        raise InputError(message(where, fault, got=got, remedy="Keep one row of each."))
    seconds = raw.n_times / raw.info["sfreq"]
    outside = ~events["sample"].between(raw.first_samp, raw.last_samp)
    if outside.all():
        fault = f"all events lie outside the recording of {seconds:g} s"
        got = f"onsets from {events['onset'].min():g} to {events['onset'].max():g} s"
        remedy = "Are they of this recording, in seconds?"
        raise InputError(message(where, fault, got=got, remedy=remedy))
    if outside.any():
        names = some(events["stimulus"][outside])
        fault = f"{int(outside.sum())} events lie outside the recording of {seconds:g} s: {names}"
        warnings.warn(message(where, fault), DataWarning, stacklevel=3)
