"""Events and BIDS: onsets become samples once and rightly, and tables belong to their file."""

from __future__ import annotations

import json

import mne
import numpy as np
import pandas as pd
import pytest
from small_meg import ONSETS, STIMULI, chosen, events_table, planted_raw, system_info

from neurodnn import DataWarning, InputError
from neurodnn.brain.meg_bids import find_meg_files, read_bids_meg
from neurodnn.brain.meg_events import label_events, read_meg_events, recording_start
from neurodnn.brain.meg_reading import read_meg


def a_raw(sfreq=250.0, first_samp=0, n=4):
    return planted_raw(chosen(system_info("ctf", sfreq), n), first_samp=first_samp)


@pytest.mark.parametrize("sfreq", [250.0, 600.615, 1000.0])
@pytest.mark.parametrize("first_samp", [0, 25_801])
def test_onsets_become_samples_with_the_first_one_added(sfreq, first_samp):
    events, report = read_meg_events(events_table(), a_raw(sfreq, first_samp), ["cat", "dog"])
    expected = [first_samp + round(onset * sfreq) for onset in ONSETS]
    assert events["sample"].tolist() == expected
    assert events["sample"].dtype.kind == "i"
    assert events["stimulus"].tolist() == list(STIMULI)
    assert report.column == "stim_file" and report.n_rows_matched == 8


def test_other_columns_stay_and_a_column_sample_is_not_believed():
    table = events_table().assign(sample="7", trial_type="face", stimulus="wrong")
    events, _ = read_meg_events(table, a_raw(first_samp=90), ["cat", "dog"])
    assert events["sample"].tolist() == [90 + round(onset * 250) for onset in ONSETS]
    assert events["trial_type"].unique().tolist() == ["face"]
    assert events["stimulus"].tolist() == list(STIMULI)


def test_rows_are_sorted_by_time_whatever_their_order():
    table = events_table()
    shuffled, _ = read_meg_events(table.sample(frac=1, random_state=3), a_raw(), ["cat", "dog"])
    pd.testing.assert_frame_equal(shuffled, read_meg_events(table, a_raw(), ["cat", "dog"])[0])


def test_a_cropped_or_resampled_recording_is_understood(tmp_path):
    path = tmp_path / "a_raw.fif"
    a_raw(first_samp=1000).save(path, verbose="ERROR")
    whole = read_meg(path)
    table = events_table()
    samples = read_meg_events(table, whole, ["cat", "dog"])[0]["sample"].tolist()
    cropped = whole.copy().crop(2.0, None)
    assert cropped.first_samp == 1500 and recording_start(cropped) == 1000
    with pytest.warns(DataWarning, match="2 events lie outside the recording of 7.004 s: cat, dog"):
        late, _ = read_meg_events(table, cropped.crop(0, 7), ["cat", "dog"])
    assert late["sample"].tolist() == samples
    slow = whole.copy().load_data(verbose="ERROR").resample(125.0, verbose="ERROR")
    assert recording_start(slow) == slow.first_samp == 500
    found = read_meg_events(table, slow, ["cat", "dog"])[0]["sample"].tolist()
    assert found == [500 + int(np.floor(onset * 125 + 0.5)) for onset in ONSETS]


def test_without_stimuli_every_name_is_one():
    events, report = read_meg_events(events_table(), a_raw())
    assert sorted(set(events["stimulus"])) == ["cat", "dog"]
    assert report.only_in_events == ()
    table = events_table().drop(columns="stim_file").assign(trial_type=list(STIMULI))
    with pytest.raises(InputError, match="none of the columns stim_file.*Give column="):
        read_meg_events(table, a_raw())
    events, _ = read_meg_events(table, a_raw(), column="trial_type")
    assert events["stimulus"].tolist() == list(STIMULI)


def test_rows_without_a_stimulus_are_left_out_even_without_an_onset():
    table = events_table()
    extra = pd.DataFrame({"onset": [np.nan], "duration": "0", "stim_file": [np.nan]})
    events, _ = read_meg_events(pd.concat([table, extra]), a_raw(), ["cat", "dog"])
    assert len(events) == 8
    table.loc[2, "onset"] = np.nan
    with pytest.raises(InputError, match="has no onset.*cat"):
        read_meg_events(table, a_raw(), ["cat", "dog"])


def test_faulty_tables_are_refused_by_name(tmp_path):
    path = tmp_path / "sub-01_events.tsv"
    path.write_text("time\tstim_file\n1.0\tcat.png\n")
    with pytest.raises(InputError, match=r"sub-01_events.tsv: has no column 'onset'"):
        read_meg_events(path, a_raw(), ["cat"])
    path.write_text("onset\tstim_file\nsoon\tcat.png\n")
    with pytest.raises(InputError, match=r"sub-01_events.tsv: column 'onset' holds no number"):
        read_meg_events(path, a_raw(), ["cat"])
    path.write_text("onset\tstim_file\n1.0\tcat.png\n1.001\tdog.png\n")
    with pytest.raises(InputError, match=r"several stimuli begin at one sample.*dog at 1.001 s"):
        read_meg_events(path, a_raw(), ["cat", "dog"])
    path.write_text("onset\tstim_file\n1000\tcat.png\n2000\tdog.png\n")
    with pytest.raises(InputError, match="all events lie outside the recording of 10.6 s"):
        read_meg_events(path, a_raw(), ["cat", "dog"])
    with pytest.raises(InputError, match="no stimulus matched"):
        read_meg_events(events_table(), a_raw(), ["bird"])
    with pytest.warns(DataWarning, match="1 events lie outside.*dog"):
        path.write_text("onset\tstim_file\n1.0\tcat.png\n2000\tdog.png\n")
        read_meg_events(path, a_raw(), ["cat", "dog"])


def test_events_of_mne_are_labelled():
    array = np.array([[700, 0, 2], [900, 0, 1], [950, 0, 32]])
    table = label_events(array, {"cat": 1, "dog": 2})
    assert table["sample"].tolist() == [700, 900]
    assert table["stimulus"].tolist() == ["dog", "cat"]
    with pytest.raises(InputError, match="no event has a code.*got .1, 2, 32.*5"):
        label_events(array, {"cat": 5})
    with pytest.raises(InputError, match="two stimuli have one code"):
        label_events(array, {"cat": 1, "dog": 1})
    with pytest.raises(InputError, match="is no events array"):
        label_events(np.zeros((2, 2)), {"cat": 1})


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "sub-01" / "ses-meg" / "meg"
    folder.mkdir(parents=True)
    start = "sub-01_ses-meg_task-look"
    for run in (1, 2, 10):
        a_raw(first_samp=100 * run).save(folder / f"{start}_run-{run}_meg.fif", verbose="ERROR")
        text = events_table().assign(stim_file=f"run{run}.png").to_csv(sep="\t", index=False)
        (folder / f"{start}_run-{run}_events.tsv").write_text(text)
    (folder / f"{start}_channels.tsv").write_text("name\tstatus\nMLC11-2908\tbad\n")
    (folder / "sub-01_ses-meg_acq-crosstalk_meg.fif").write_bytes(b"x")
    (folder / f"._{start}_run-1_meg.fif").write_bytes(b"x")
    (folder / f"{start}_run-1_meg.json").write_text(json.dumps({"SamplingFrequency": 250}))
    (folder / f"{start}_run-2_meg.json").write_text(json.dumps({"SamplingFrequency": 1000}))
    return tmp_path


def test_recordings_of_a_data_set_come_with_their_own_tables(dataset):
    found = find_meg_files(dataset, subject="01")
    assert [files.recording.name.split("_")[3] for files in found] == ["run-1", "run-2", "run-10"]
    assert [files.events.name.split("_")[3] for files in found] == ["run-1", "run-2", "run-10"]
    assert {files.channels.name for files in found} == {"sub-01_ses-meg_task-look_channels.tsv"}
    assert len(find_meg_files(dataset, filters={"run": "2"})) == 1
    assert find_meg_files(dataset, modality="eeg") == []
    with pytest.warns(DataWarning, match=r"left out: MLC11-2908 \(marked bad\)"):
        raw = read_bids_meg(found[0], dataset)
    assert len(raw.ch_names) == 3
    with pytest.raises(InputError, match="bad channels: MLC11-2908"):
        read_bids_meg(found[0], dataset, bad_channels="refuse")


def test_a_sampling_rate_that_differs_from_the_sidecar_is_named(dataset):
    files = find_meg_files(dataset, filters={"run": "2"})[0]
    with pytest.warns(DataWarning) as found:
        assert read_bids_meg(files, dataset).info["sfreq"] == 250.0
    text = " ".join(str(each.message) for each in found)
    assert "has 250 Hz, but its sidecar says SamplingFrequency 1000" in text


def test_of_a_split_recording_the_first_part_is_listed(tmp_path):
    folder = tmp_path / "sub-01" / "meg"
    folder.mkdir(parents=True)
    for part in ("01", "02"):
        (folder / f"sub-01_task-look_split-{part}_meg.fif").touch()
    (folder / "sub-01_task-look_events.tsv").write_text("onset\n1\n")
    (found,) = find_meg_files(tmp_path)
    assert found.recording.name == "sub-01_task-look_split-01_meg.fif"
    assert found.events.name == "sub-01_task-look_events.tsv"
    found.recording.unlink()
    with pytest.raises(InputError, match="first part.*is missing.*split-02.*Fetch split-01"):
        find_meg_files(tmp_path)


def test_a_table_higher_up_applies_where_there_is_none_nearer(tmp_path):
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    (folder / "sub-01_task-look_eeg.vhdr").touch()
    (tmp_path / "task-look_events.tsv").touch()
    (tmp_path / "task-other_events.tsv").touch()
    (found,) = find_meg_files(tmp_path, modality="eeg")
    assert found.events.name == "task-look_events.tsv"
    # of two beside each other the one with more of the recording's entities
    for name in ("sub-01_events.tsv", "sub-01_task-look_events.tsv", "zzz_events.tsv"):
        (folder / name).touch()
    (found,) = find_meg_files(tmp_path, modality="eeg")
    assert found.events.name == "sub-01_task-look_events.tsv"


def test_mne_agrees_on_where_events_are():
    raw = a_raw(first_samp=333)
    events, _ = read_meg_events(events_table(), raw, ["cat", "dog"])
    raw.set_annotations(mne.Annotations(list(ONSETS), 0.5, list(STIMULI)))
    theirs, _ = mne.events_from_annotations(raw, verbose="ERROR")
    assert events["sample"].tolist() == theirs[:, 0].tolist()


def test_a_recording_cropped_by_one_sample_keeps_its_events(tmp_path):
    path = tmp_path / "a_raw.fif"
    a_raw(first_samp=1000).save(path, verbose="ERROR")
    cropped = read_meg(path).crop(1 / 250, None)
    assert cropped.first_samp == 1001 and recording_start(cropped) == 1000


def test_events_of_a_format_with_its_data_in_another_file(tmp_path):
    version, about = "Brain Vision Data Exchange {} File, Version 1.0", "Codepage=UTF-8"
    common = f"[Common Infos]\n{about}\nDataFile=b.eeg\n"
    layout = "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=3\n"
    (tmp_path / "b.vhdr").write_text(
        f"{version.format('Header')}\n{common}MarkerFile=b.vmrk\n{layout}SamplingInterval=4000\n"
        "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n"
        "[Channel Infos]\nCh1=Fz,,1,µV\nCh2=Cz,,1,µV\nCh3=Pz,,1,µV\n", encoding="utf-8",
    )  # fmt: skip
    (tmp_path / "b.vmrk").write_text(
        f"{version.format('Marker')}\n{common}[Marker Infos]\nMk1=New Segment,,1,1,0\n"
    )
    np.random.default_rng(0).normal(size=(2500, 3)).astype("f4").tofile(tmp_path / "b.eeg")
    raw = read_meg(tmp_path / "b.vhdr")
    events, _ = read_meg_events(events_table(), raw, ["cat", "dog"])
    assert events["sample"].tolist() == [round(onset * 250) for onset in ONSETS]
    late, _ = read_meg_events(events_table(), raw.copy().crop(0.5, None), ["cat", "dog"])
    assert late["sample"].tolist() == events["sample"].tolist()
