"""The sample subject of MNE, a real recording on a Neuromag system, where the data are there."""

from __future__ import annotations

import warnings

import mne
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neurodnn import DataWarning, InputError
from neurodnn.brain.meg import label_events, load_meg_epochs, read_meg, window_patterns
from neurodnn.brain.meg_channels import sensor_names
from neurodnn.brain.sensors import scores_to_evokeds, sensor_adjacency, sensor_neighbors

BAD = ["MEG 2443", "EEG 053"]  # known to be bad, but not marked in these files
TABLE = pd.DataFrame({"name": BAD, "status": "bad"})


@pytest.fixture
def sample(real_data):
    return real_data("meg_mne_sample")


def test_evokeds_come_without_their_bad_channels(sample):
    path = sample / "test-ave.fif.gz"
    with pytest.raises(InputError, match="test-ave.fif.gz: bad channels: MEG 2443, EEG 053"):
        read_meg(path, channels_table=TABLE, bad_channels="refuse")
    with pytest.warns(DataWarning, match="2 bad channels are left out: MEG 2443, EEG 053"):
        epochs = read_meg(path, channels_table=TABLE)
    assert len(epochs.metadata["stimulus"].unique()) == 4
    assert not set(BAD) & set(epochs.ch_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows = window_patterns(epochs, width=0.02, step=0.01, channels="grad")
        eeg = window_patterns(epochs, width=0.02, step=0.01, channels="eeg")
    evoked = mne.read_evokeds(path, verbose="ERROR")[1]
    kept = list(windows[0.1].channel_descriptors["sensor"])
    assert len(kept) == 203 and eeg[0.1].n_channel == 59
    row = windows[0.1].obs_descriptors["stimulus"].index(evoked.comment)
    k = np.abs(evoked.times - 0.1).argmin()
    expected = evoked.get_data(picks=kept)[:, k - 6 : k + 7].mean(axis=1)  # 10 ms at 600.6 Hz
    assert np.allclose(windows[0.1].measurements[row], expected, rtol=1e-12, atol=0)


def test_the_response_to_pictures_is_where_it_is_known_to_be(sample):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epochs = read_meg(sample / "test-ave.fif.gz")
    windows = window_patterns(epochs, width=0.02, step=0.01, tmin=-0.15, tmax=0.4, channels="grad")
    rows = [i for i, name in enumerate(windows[0.1].obs_descriptors["stimulus"])
            if name.endswith("visual")]  # fmt: skip
    assert len(rows) == 2
    power = {t: np.mean(windows[t].measurements[rows] ** 2) for t in windows}
    assert 0.15 <= max(power, key=power.get) <= 0.2


def test_raw_data_and_their_events_become_epochs(sample):
    path = sample / "sample_audvis_trunc_raw_sss.fif"
    with pytest.warns(DataWarning, match="2 bad channels"):
        raw = read_meg(path, channels_table=TABLE)
    assert raw.first_samp > 0 and not set(BAD) & set(raw.ch_names)
    start = raw.first_samp + 100
    events = label_events(np.array([[start, 0, 1], [start + 90, 0, 2]]), {"left": 1, "right": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epochs = load_meg_epochs(raw, events, tmin=-0.1, tmax=0.25, resample=100.0)
        assert epochs.times[[0, -1]].tolist() == pytest.approx([-0.1, 0.25], abs=1e-9)
        eeg = load_meg_epochs(raw, events, tmin=-0.1, tmax=0.25, channels="eeg")
    assert set(epochs.get_channel_types()) == {"mag", "grad"}
    data = raw.get_data(picks=eeg.ch_names)
    sfreq = raw.info["sfreq"]
    cut = data[:, 100 - round(0.1 * sfreq) : 100 + round(0.25 * sfreq) + 1]
    # The average reference of the EEG is a projection, applied to epochs, not to raw data.
    assert [p["desc"] for p in raw.info["projs"]] != []
    cut = cut - cut.mean(axis=0)
    before = cut[:, : round(0.1 * sfreq) + 1].mean(axis=1, keepdims=True)
    assert np.corrcoef(eeg.get_data()[0].ravel(), (cut - before).ravel())[0, 1] > 0.999


def test_scores_go_on_the_real_sensors(sample, tmp_path):
    with pytest.warns(DataWarning):
        epochs = read_meg(sample / "test-ave.fif.gz", channels_table=TABLE)
    for channels, n in (("mag", 102), ("grad", 203), ("eeg", 59)):
        names = sensor_names(epochs.info, channels)
        assert len(names) == n
        table = sensor_neighbors(epochs.info, channels=channels, radius=0.04)
        touch = sensor_adjacency(epochs.info, channels=channels)
        assert 3 < np.diff(table.indptr).mean() < 40
        assert touch.shape == (n, n) and (touch.sum(axis=1) > 0).all()
        coords = {"sensor": names, "time": [0.1, 0.12], "reference": ["conv1"]}
        scores = xr.DataArray(np.zeros((n, 2, 1)), dims=tuple(coords), coords=coords)
        evokeds = scores_to_evokeds(scores, epochs.info)
        mne.write_evokeds(tmp_path / f"{channels}-ave.fif", evokeds, verbose="ERROR")
        again = mne.read_evokeds(tmp_path / f"{channels}-ave.fif", verbose="ERROR")[0]
        assert again.ch_names == names and again.info["subject_info"] is None


def test_a_cut_copy_of_a_real_file_is_refused(sample, tmp_path):
    whole = (sample / "sample_audvis_trunc_raw_sss.fif").read_bytes()
    for share in (0.5, 0.9):
        path = tmp_path / "cut_raw_sss.fif"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="cut_raw_sss.fif: the file was cut short"):
            read_meg(path)
    packed = bytearray((sample / "test-ave.fif.gz").read_bytes())
    packed[len(packed) // 2] ^= 8
    (tmp_path / "flipped-ave.fif.gz").write_bytes(packed)
    with pytest.raises(InputError, match="flipped-ave.fif.gz: .*damaged"):
        read_meg(tmp_path / "flipped-ave.fif.gz")
