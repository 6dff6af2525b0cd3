"""Headers of recordings: which epochs are whole, by MNE's own count; which files hold the data."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from neurodnn._checks import InputError
from neurodnn.brain.meg_bids import MegFiles
from neurodnn.brain.meg_header import meg_header, open_recording, whole_epochs


def recording(first=0, rate=100.0, n=1500, dated=False):
    info = mne.create_info(["A", "B"], rate, "mag")
    if dated:
        info.set_meas_date(1_000_000.0)
    noise = np.random.default_rng(0).normal(size=(2, n))
    return mne.io.RawArray(noise, info, first_samp=first, verbose="ERROR")


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("first", [0, 730])
@pytest.mark.parametrize(("tmin", "tmax"), [(-0.1, 0.4), (0.0, 0.333), (-0.255, 0.1)])
def test_whole_epochs_are_those_that_mne_keeps(dated, first, tmin, tmax):
    raw = recording(first, dated=dated)
    notes = mne.Annotations(
        [2.0, 5.01, 9.5, 12.0], [0.5, 0.0, 0.3, 1.0], ["BAD_a", "bad", "EDGE", "blink"]
    )
    raw.set_annotations(notes)
    samples = first + np.arange(0, 1500, 7)
    events = np.c_[samples, np.zeros_like(samples), np.ones_like(samples)]
    epochs = mne.Epochs(raw, events, tmin=tmin, tmax=tmax, baseline=None, preload=True,
                        verbose="ERROR")  # fmt: skip
    kept = np.zeros(len(samples), bool)
    kept[epochs.selection] = True
    found = whole_epochs(raw, samples.tolist(), tmin, tmax)
    assert found.whole.tolist() == kept.tolist()
    assert found.beyond + found.marked == (~kept).sum()
    assert found.marked > 0
    assert found.beyond > 0


def test_header_names_rate_sensors_and_every_part_of_the_data(tmp_path):
    raw = recording()
    path = tmp_path / "sub-01_task-T_meg.fif"
    raw.save(path, verbose="ERROR")
    files = MegFiles(path, None, None)
    header = meg_header(open_recording(files, tmp_path), files)
    assert header == (100.0, 1500, ("A", "B"), (path,))


def test_a_file_of_epochs_is_refused(tmp_path):
    path = tmp_path / "sub-01_task-T_meg.fif"
    info = mne.create_info(["A", "B"], 100.0, "mag")
    mne.EpochsArray(np.ones((2, 2, 5)), info, verbose="ERROR").save(path, verbose="ERROR")
    with pytest.raises(InputError, match="holds epochs or averages"):
        open_recording(MegFiles(path, None, None), tmp_path)


def test_too_few_sensors_name_the_file():
    with pytest.raises(InputError, match="x_meg.fif: channels: 0 good channels of type 'eeg'"):
        meg_header(recording(), MegFiles(Path("x_meg.fif"), None, None), channels="eeg")
