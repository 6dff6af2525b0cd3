"""Evoked responses and source estimates as files: the same bytes always, pairs whole or absent."""

from __future__ import annotations

import json
import os
import time

import mne
import numpy as np
import pytest

from neurodnn._checks import InputError
from neurodnn.bids import State, content_hash, derivative_state, is_done, write_derivative
from neurodnn.bids.mne_files import evokeds_bytes, stc_bytes
from neurodnn.bids.serialize import to_bytes

HASHES = {"InputHash": "a", "ParameterHash": "b"}


def evokeds():
    info = mne.create_info(["A", "B"], 50.0, "mag")
    data = np.random.default_rng(0).normal(size=(2, 2, 7))
    return [mne.EvokedArray(each, info, tmin=-0.04, comment=name, verbose="ERROR")
            for name, each in zip(("conv1", "fc 6"), data, strict=True)]  # fmt: skip


def estimate(seed=0):
    data = np.random.default_rng(seed).normal(size=(5, 4))
    return mne.SourceEstimate(data, [np.array([0, 3, 9]), np.array([2, 4])], tmin=-0.1, tstep=0.02)


def test_evokeds_have_the_same_bytes_whenever_and_wherever(monkeypatch):
    first = evokeds_bytes(evokeds())
    moment = time.time()
    monkeypatch.setattr("time.time", lambda: moment + 1e6)
    monkeypatch.setattr("mne._fiff.write.get_machid", lambda: np.array([7, 9]))
    monkeypatch.setattr("uuid.getnode", lambda: 42)
    assert evokeds_bytes(evokeds()) == first


def test_evokeds_come_back_with_names_times_and_no_date(tmp_path):
    path = tmp_path / "sub-01_desc-sensors_ave.fif"
    write_derivative(path, evokeds(), HASHES)
    assert is_done(path, "a", "b")
    back = mne.read_evokeds(path, verbose="ERROR")
    assert [each.comment for each in back] == ["conv1", "fc 6"]
    for ours, theirs in zip(evokeds(), back, strict=True):
        assert np.allclose(ours.data, theirs.data, rtol=1e-6)
        assert np.allclose(ours.times, theirs.times, atol=1e-7)
    assert back[0].info["meas_date"] is None
    assert back[0].info["file_id"]["machid"].tolist() == [0, 0]


def test_evokeds_that_name_a_person_are_refused():
    told = evokeds()
    told[1].info["subject_info"] = {"last_name": "Doe"}
    with pytest.raises(InputError, match="tell subject_info"):
        evokeds_bytes(told)


@pytest.mark.parametrize("name", ["a.fif", "a_ave.tsv", "a_raw.fif"])
def test_evokeds_need_their_ending(name):
    with pytest.raises(InputError, match="is no file name for a evokeds"):
        to_bytes(evokeds(), name)


def test_source_maps_are_what_mne_writes_and_reads(tmp_path):
    estimate().save(tmp_path / "theirs", verbose="ERROR")
    ours = stc_bytes(estimate())
    for side in ("lh", "rh"):
        assert (tmp_path / f"theirs-{side}.stc").read_bytes() == ours[side]
    write_derivative(tmp_path / "ours_statmap.stc", estimate(), HASHES)
    back = mne.read_source_estimate(tmp_path / "ours_statmap-lh.stc")
    assert np.allclose(back.data, estimate().data, rtol=1e-6)
    assert back.vertices[1].tolist() == [2, 4]


def test_an_empty_hemisphere_is_a_file_too(tmp_path):
    one = mne.SourceEstimate(np.ones((2, 3)), [np.array([1, 5]), np.array([], int)], 0.0, 0.1)
    sides = stc_bytes(one)
    assert len(sides["rh"]) == 16
    assert len(sides["lh"]) == 16 + 2 * 4 + 2 * 3 * 4


def test_a_pair_has_one_sidecar_and_counts_only_whole(tmp_path):
    path = tmp_path / "sub-01_desc-source_statmap.stc"
    write_derivative(path, estimate(), HASHES)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["sub-01_desc-source_statmap-lh.stc", "sub-01_desc-source_statmap-rh.stc",
                     "sub-01_desc-source_statmap.json"]  # fmt: skip
    sidecar = json.loads((tmp_path / names[2]).read_text())
    assert sidecar["SHA256"] == content_hash(path)
    for name in (path, tmp_path / names[0], tmp_path / names[1]):
        assert derivative_state(name, "a", "b") is State.DONE
    right = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).unlink()  # a run was killed before the second got its name
    assert derivative_state(path, "a", "b") is State.ABSENT
    (tmp_path / names[1]).write_bytes(right[:-1] + b"?")
    assert derivative_state(path, "a", "b") is State.DAMAGED
    with pytest.warns(match="does not match the hash"):
        write_derivative(path, estimate(), HASHES)
    assert (tmp_path / names[1]).read_bytes() == right


def test_another_pair_is_kept_without_overwrite_and_replaced_with_it(tmp_path):
    path = tmp_path / "a_statmap.stc"
    write_derivative(path, estimate(), HASHES)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(InputError, match="Give --overwrite"):
        write_derivative(path, estimate(1), {"InputHash": "c", "ParameterHash": "b"})
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    write_derivative(path, estimate(1), {"InputHash": "c", "ParameterHash": "b"}, overwrite=True)
    assert is_done(path, "c", "b")


def test_no_half_of_a_pair_stays_where_the_second_name_cannot_be_given(tmp_path, monkeypatch):
    original = os.replace

    def replace(source, target):
        if str(target).endswith("-rh.stc"):
            raise PermissionError(13, "no")
        return original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="could not be written"):
        write_derivative(tmp_path / "a_statmap.stc", estimate(), HASHES)
    assert list(tmp_path.iterdir()) == []


def test_a_source_estimate_needs_its_ending(tmp_path):
    with pytest.raises(InputError, match="is no file name for a source estimate"):
        write_derivative(tmp_path / "a.tsv", estimate(), HASHES)
