"""Recordings in: every kind of file, and the bad ones B31 to B34 with path, reason and remedy."""

from __future__ import annotations

import gzip
import re
import struct
import warnings

import mne
import numpy as np
import pytest
from small_meg import chosen, noise_epochs, planted_raw, system_info

from neurodnn import DataWarning, InputError
from neurodnn.bids import sha256_file
from neurodnn.brain._fif import fif_content
from neurodnn.brain.meg_reading import read_meg
from neurodnn.brain.meg_resampling import resample_epochs
from neurodnn.brain.meg_windows import window_patterns


@pytest.fixture
def raw_file(tmp_path):
    path = tmp_path / "sub-01_task-look_meg.fif"
    raw = planted_raw(chosen(system_info("neuromag"), 12), first_samp=700)
    raw.save(path, buffer_size_sec=1.0, verbose="ERROR")
    return path


def split_files(folder, name="sub-01_task-look_meg.fif", naming="bids"):
    info = chosen(system_info("ctf", 1000.0), 20)
    values = np.random.default_rng(0).normal(0, 1e-13, (20, 50_000))
    raw = mne.io.RawArray(values, info, first_samp=4321, verbose="ERROR")
    raw.save(folder / name, split_size="2MB", split_naming=naming, buffer_size_sec=1.0,
             verbose="ERROR")  # fmt: skip
    return sorted(folder.glob("*.fif")), values


def refused(path, *parts, **options):
    with pytest.raises(InputError, match=re.escape(str(path))) as caught:
        read_meg(path, **options)
    for part in parts:
        assert re.search(part, str(caught.value)), (part, str(caught.value))


def quietly(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_meg(path, **options)


def test_raw_epochs_and_evokeds_come_as_they_were_saved(tmp_path, raw_file):
    raw = quietly(raw_file)
    expected = mne.io.read_raw_fif(raw_file, preload=True, verbose="ERROR")
    assert raw.first_samp == expected.first_samp == 700
    assert np.array_equal(raw.get_data(), expected.get_data())

    epochs = noise_epochs()
    epochs.save(tmp_path / "a-epo.fif", verbose="ERROR")
    again = quietly(tmp_path / "a-epo.fif")
    assert again.metadata["stimulus"].tolist() == epochs.metadata["stimulus"].tolist()
    assert np.allclose(again.get_data(), epochs.get_data(), rtol=1e-6, atol=0)  # saved as float32

    evokeds = [epochs[epochs.metadata["stimulus"] == n].average() for n in ("cat", "dog")]
    for evoked, name in zip(evokeds, ("cat", "dog"), strict=True):
        evoked.comment = name
    mne.write_evokeds(tmp_path / "a-ave.fif", evokeds, verbose="ERROR")
    again = quietly(tmp_path / "a-ave.fif")
    assert again.metadata["stimulus"].tolist() == ["cat", "dog"]
    assert again.metadata["averaged"].tolist() == [4, 4]
    windows = window_patterns(again, width=0)
    assert np.allclose(windows[0.05].measurements[1], evokeds[1].data[:, 15], rtol=1e-6, atol=0)


def test_objects_of_mne_go_through_untouched():
    raw = planted_raw(chosen(system_info("kit"), 8))
    assert quietly(raw) is raw
    assert quietly([noise_epochs().average()]).metadata["stimulus"].tolist() != []
    with pytest.raises(InputError, match="source: is no recording.*got 'dict'"):
        read_meg({})
    with pytest.raises(InputError, match="comments occur twice"):
        read_meg([noise_epochs().average(), noise_epochs().average()])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_b31_a_cut_fif_is_refused(raw_file, share):
    whole = raw_file.read_bytes()
    raw_file.write_bytes(whole[: int(len(whole) * share)])
    refused(raw_file, "cut short", "byte", "Fetch it again")


def test_b31_a_file_cut_between_two_buffers_is_refused_though_mne_reads_it(raw_file):
    whole, place, buffers = raw_file.read_bytes(), 0, []
    while place < len(whole):
        kind, _, size, _ = struct.unpack(">iIii", whole[place : place + 16])
        buffers += [place] if kind == 300 else []
        place += 16 + size
    raw_file.write_bytes(whole[: buffers[len(buffers) // 2]])
    shorter = mne.io.read_raw_fif(raw_file, verbose="ERROR")
    assert shorter.n_times < 2000  # the peer's silence
    refused(raw_file, "cut short")


@pytest.mark.parametrize("kind", ["epo", "ave"])
def test_b31_cut_epochs_and_evokeds_are_refused(tmp_path, kind):
    path = tmp_path / f"a-{kind}.fif"
    if kind == "epo":
        noise_epochs().save(path, verbose="ERROR")
    else:
        noise_epochs().average().save(path, verbose="ERROR")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    refused(path, "cut short", "Fetch it again")


def test_b32_empty_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a_raw.fif"
    path.write_bytes(b"")
    refused(path, "empty", "Fetch")
    path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    refused(path, "web page")
    path.write_bytes(b"../.git/annex/objects/ab/MD5E-s12--ff.fif")
    refused(path, "git-annex", "datalad get")
    path.write_bytes(bytes(4000))
    refused(path, "is not a FIF file")
    refused(tmp_path / "none_raw.fif", "no such file")
    (tmp_path / "a.txt").write_text("text")
    refused(tmp_path / "a.txt", "cannot be read")
    refused(tmp_path, "is a folder")


def test_b33_a_flipped_bit_is_found_where_there_is_a_sha256(raw_file):
    known = sha256_file(raw_file)
    quietly(raw_file, sha256=known)
    raw = bytearray(raw_file.read_bytes())
    raw[-3000] ^= 16
    raw_file.write_bytes(raw)
    quietly(raw_file)  # defined: FIF holds no checksum
    refused(raw_file, "sha256 differs", "Fetch", sha256=known)


def test_b33_a_flipped_bit_in_a_compressed_file_is_found_by_its_checksum(tmp_path):
    plain, path = tmp_path / "a-ave.fif", tmp_path / "b-ave.fif.gz"
    noise_epochs().average().save(plain, verbose="ERROR")
    packed = bytearray(gzip.compress(plain.read_bytes(), mtime=0))
    path.write_bytes(packed)
    quietly(path)
    packed[-6] ^= 1
    path.write_bytes(packed)
    refused(path, "checksum|damaged")
    path.write_bytes(plain.read_bytes())
    refused(path, "is not compressed, against its name", "Rename")


def test_b33_what_follows_the_end_is_ignored_with_a_warning(raw_file):
    whole = raw_file.read_bytes()
    raw_file.write_bytes(whole + b"garbage" * 9)
    with pytest.warns(DataWarning, match="bytes follow its end"):
        assert len(read_meg(raw_file).times) == len(mne.io.read_raw(raw_file, verbose=0).times)
    raw_file.write_bytes(whole[:-16])
    with pytest.warns(DataWarning) as found:
        read_meg(raw_file)
    assert "its last tag is missing; all blocks of data are complete" in str(found[0].message)


@pytest.mark.parametrize("naming", ["bids", "neuromag"])
def test_b34_a_missing_part_of_a_split_recording_is_refused(tmp_path, naming):
    name = "sub-01_task-look_meg.fif" if naming == "bids" else "look_raw.fif"
    paths, values = split_files(tmp_path, name, naming)
    assert len(paths) > 2
    first = next(p for p in paths if "split-01" in p.name or p.name == name)
    raw = quietly(first)
    assert np.allclose(raw.get_data(), values, rtol=1e-6, atol=0)  # saved as float32
    assert raw.first_samp == 4321
    second = sorted(set(paths) - {first})[0]
    refused(second, "later part of a split recording", "Give its first part")
    second.unlink()
    refused(first, "a part of this split recording is missing", second.name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    cov = mne.compute_covariance(noise_epochs(), tmax=0, verbose="ERROR")
    cov.save(tmp_path / "a-cov.fif", verbose="ERROR")
    assert fif_content(tmp_path / "a-cov.fif").kind == "other"
    refused(tmp_path / "a-cov.fif", "holds no raw data, epochs or evokeds")


def test_a_ctf_folder_without_its_data_is_refused(tmp_path):
    folder = tmp_path / "sub-01_task-look_meg.ds"
    folder.mkdir()
    refused(folder, "no .meg4 file")
    (folder / "a.meg4").write_bytes(b"MEG41CP" + bytes(50))
    (folder / "a.res4").write_bytes(b"")
    with pytest.raises(InputError, match="a.res4: the file is empty"):
        read_meg(folder)
    (folder / "a.res4").write_bytes(b"MEG42RS" + bytes(50))
    refused(folder, "cannot be read")


def test_a_damaged_kit_file_is_refused(tmp_path):
    path = tmp_path / "sub-01_task-look_meg.con"
    path.write_bytes(bytes(range(256)) * 8)
    refused(path, "cannot be read", "damaged or of another format")


def write_brainvision(path, values, rate=250.0):
    """One header, one marker file and the samples: the format of most EEG amplifiers."""
    names = ["Fz", "Cz", "Pz", "Oz"]
    rows = "\n".join(f"Ch{i + 1}={name},,1,µV" for i, name in enumerate(names))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels=4\nSamplingInterval={1e6 / rate:g}\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{rows}\n",
        encoding="utf-8",
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\n[Marker Infos]\nMk1=New Segment,,1,1,0,0\n",
        encoding="utf-8",
    )
    path.with_suffix(".eeg").write_bytes(values.T.astype("<f4").tobytes())


def test_eeg_comes_through_the_same_door(tmp_path):
    values = np.random.default_rng(0).normal(0, 20, (4, 500))
    path = tmp_path / "sub-01_task-look_eeg.vhdr"
    write_brainvision(path, values)
    raw = quietly(path)
    assert raw.get_channel_types() == ["eeg"] * 4
    assert np.allclose(raw.get_data(), values * 1e-6, rtol=1e-6, atol=0)  # stored as float32
    path.with_suffix(".eeg").unlink()
    refused(path, "cannot be read")


def test_marked_channels_are_left_out_or_refused(tmp_path):
    info = chosen(system_info("neuromag"), 12)
    info["bads"] = ["MEG 0122"]
    path = tmp_path / "a_raw.fif"
    planted_raw(info).save(path, verbose="ERROR")
    with pytest.warns(DataWarning, match=r"1 bad channels are left out: MEG 0122 \(marked bad\)"):
        assert "MEG 0122" not in read_meg(path).ch_names
    refused(path, r"bad channels: MEG 0122 \(marked bad\)", "Repair", bad_channels="refuse")
    with pytest.raises(InputError, match="bad_channels='skip' is not known"):
        read_meg(path, bad_channels="skip")


def test_the_table_of_channels_marks_bad_ones(tmp_path):
    raw = planted_raw(chosen(system_info("neuromag"), 12))
    table = tmp_path / "sub-01_channels.tsv"
    table.write_text("name\ttype\tstatus\nMEG 0111\tMEGMAG\tbad\nMEG 0112\tMEGGRADPLANAR\tgood\n")
    with pytest.warns(DataWarning, match="MEG 0111"):
        kept = read_meg(raw, channels_table=table)
    assert "MEG 0111" not in kept.ch_names and "MEG 0112" in kept.ch_names
    assert "MEG 0111" in raw.ch_names  # what was given stays as it was
    table.write_text("name\tstatus\nMEG 9999\tbad\n")
    with pytest.warns(DataWarning, match="not in the recording.*MEG 9999"):
        read_meg(raw, channels_table=table)


def test_what_is_bad_in_one_evoked_is_bad_in_all():
    epochs = noise_epochs()
    evokeds = [epochs.average(), epochs.average()]
    for evoked, name in zip(evokeds, ("cat", "dog"), strict=True):
        evoked.comment = name
    evokeds[1].info["bads"] = [epochs.ch_names[2]]
    with pytest.warns(DataWarning, match=f"{epochs.ch_names[2]}.*marked bad"):
        found = read_meg(evokeds)
    assert found.ch_names == [n for n in epochs.ch_names if n != epochs.ch_names[2]]


def test_shifted_evokeds_keep_their_times():
    epochs = noise_epochs()
    evoked = epochs.average()
    evoked.comment = "cat"
    evoked.shift_time(-0.0345)  # a delay of the screen, 3.45 samples
    assert np.allclose(read_meg(evoked).times, epochs.times - 0.0345, rtol=0, atol=1e-9)
    shifted = epochs.copy().shift_time(-0.0345)
    slow = resample_epochs(shifted, 50.0)
    whole = resample_epochs(epochs.copy().shift_time(-0.03), 50.0)
    assert np.allclose(slow.times, whole.times - 0.0045, rtol=0, atol=1e-9)
    assert np.array_equal(slow.get_data(), whole.get_data())
