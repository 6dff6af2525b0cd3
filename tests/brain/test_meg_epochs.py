"""Recordings -> epochs: where responses lie in time, which channels, and B35 to B40."""

from __future__ import annotations

import warnings

import mne
import numpy as np
import pandas as pd
import pytest
from scipy.signal import resample_poly
from small_meg import ONSETS, chosen, events_table, planted_raw, system_info

from neurodnn import DataWarning, InputError
from neurodnn.brain.meg import (
    align_recordings,
    load_meg_epochs,
    read_meg_events,
    window_patterns,
)

NAMES = ["cat", "dog"]


def loaded(raw, **options):
    events, _ = read_meg_events(events_table(), raw, NAMES)
    return load_meg_epochs(raw, events, **options)


def peak_of(epochs, **options):
    """Centre of the window in which the patterns of the two stimuli are furthest apart."""
    windows = window_patterns(epochs, **options)
    size = {t: np.ptp(windows[t].measurements, axis=0).sum() for t in windows}
    return max(size, key=size.get)


# --- trap 37 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sfreq", [200.0, 250.0, 512.0, 600.615, 1000.0])
@pytest.mark.parametrize("first_samp, tmin", [(0, -0.1), (25_801, -0.137), (25_801, 0.05)])
def test_a_peak_at_170_ms_is_found_at_170_ms(sfreq, first_samp, tmin):
    raw = planted_raw(chosen(system_info("ctf", sfreq), 10), first_samp=first_samp)
    baseline = None if tmin > 0 else (None, 0)
    epochs = loaded(raw, tmin=tmin, tmax=0.5, baseline=baseline)
    assert peak_of(epochs, width=0.02, step=0.01) == 0.17
    # Without noise single samples tell: onsets are not on the grid, half a sample each way.
    clean = planted_raw(chosen(system_info("ctf", sfreq), 10), first_samp=first_samp, noise=0.0)
    found = peak_of(loaded(clean, tmin=tmin, tmax=0.5, baseline=baseline), width=0)
    assert abs(found - 0.17) <= 1 / sfreq


def exact_peak(epochs):
    """Seconds of the largest value of a trial, between samples: the top of a parabola."""
    trial = epochs.get_data()[0]
    course = np.abs(trial[np.abs(trial).max(axis=1).argmax()])
    k = course.argmax()
    a, b, c = course[k - 1 : k + 2]
    return epochs.times[k] + (a - c) / (2 * (a - 2 * b + c)) / epochs.info["sfreq"]


@pytest.mark.parametrize("rate", [100.0, 128.0, 200.0, 333.0, 500.0])
@pytest.mark.parametrize("tmin, tmax", [(-0.2, 0.6), (-0.137, 0.5993), (0.05, 0.5)])
def test_resampling_and_low_pass_leave_the_peak_where_it_is(rate, tmin, tmax):
    raw = planted_raw(chosen(system_info("ctf", 1000.0), 10), first_samp=999, noise=0.0)
    options = {"tmin": tmin, "tmax": tmax, "baseline": None}
    epochs = loaded(raw, high_frequency=30.0, resample=rate, **options)
    assert epochs.info["sfreq"] == rate
    assert abs(exact_peak(epochs) - 0.17) < 4e-4  # a parabola is not a Gaussian: .2 ms at 100 Hz
    ticks = epochs.times * rate
    assert np.abs(ticks - np.round(ticks)).max() < 1e-6  # 0 s is a sample, or would be
    assert tmin - 5e-4 <= epochs.times[0] < tmin + 1 / rate + 5e-4
    assert tmax - 1 / rate - 1e-3 < epochs.times[-1] <= tmax + 5e-4


def test_the_peer_moves_responses_when_it_resamples():
    raw = planted_raw(chosen(system_info("ctf", 1000.0), 10), noise=0.0)
    epochs = loaded(raw, tmin=-0.2, tmax=0.6, baseline=None)
    theirs = epochs.copy().resample(200.0, verbose="ERROR")
    assert abs(exact_peak(theirs) - 0.17) > 1e-3
    assert abs(exact_peak(loaded(raw, tmin=-0.2, tmax=0.6, resample=200.0)) - 0.17) < 1e-4


def test_resampling_between_unlike_rates_keeps_the_peak():
    other = {rate: loaded(planted_raw(chosen(system_info("ctf", rate), 10), noise=0.0), tmax=0.5,
                          resample=250.0) for rate in (600.615, 1000.0)}  # fmt: skip
    assert abs(exact_peak(other[600.615]) - 0.17) < 0.5 / 600 + 2e-4
    align_recordings({str(rate): epochs for rate, epochs in other.items()})  # one time axis now


def test_events_on_the_wrong_clock_would_be_seen():
    # The check above can fail: without the first sample the peak is not there.
    raw = planted_raw(chosen(system_info("ctf"), 10), first_samp=125)
    events, _ = read_meg_events(events_table(), raw, NAMES)
    wrong = events.assign(sample=events["sample"] + 25)
    assert peak_of(load_meg_epochs(raw, wrong, tmax=0.5), width=0.02, step=0.01) != 0.17


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("system, kinds", [
    ("neuromag", "meg mag grad"), ("ctf", "meg mag"), ("kit", "meg mag"), ("eeg", "eeg"),
])  # fmt: skip
def test_epochs_are_cut_and_baselined_as_by_hand(system, kinds):
    raw = planted_raw(system_info(system), first_samp=50)
    for channels in kinds.split():
        epochs = loaded(raw, tmin=-0.1, tmax=0.4, channels=channels)
        data = raw.get_data(picks=epochs.ch_names)
        start = round(ONSETS[2] * 250) - 25
        cut = data[:, start : start + 126]
        expected = cut - cut[:, :26].mean(axis=1, keepdims=True)
        assert np.allclose(epochs.get_data()[2], expected, rtol=1e-12, atol=1e-25)
        assert epochs.metadata["stimulus"].tolist() == ["cat", "dog"] * 4
        assert epochs.metadata["trial"].is_unique
        assert set(epochs.get_channel_types()) <= {"mag", "grad"} if channels == "meg" else True
    n = {"neuromag": 102, "ctf": 274, "kit": 157, "eeg": 12}[system]
    wanted = "eeg" if system == "eeg" else "mag"
    assert len(loaded(raw, tmax=0.2, channels=wanted).ch_names) == n


def test_types_that_are_not_there_are_refused_with_those_that_are():
    raw = planted_raw(chosen(system_info("ctf"), 10))
    with pytest.raises(InputError, match="0 good channels of type 'grad'.*10 mag"):
        loaded(raw, channels="grad")
    with pytest.raises(InputError, match="channels='magnetometer' is not known.*eeg, grad, mag"):
        loaded(raw, channels="magnetometer")


def test_the_low_pass_takes_off_what_it_should_and_has_no_edges():
    info = chosen(system_info("ctf", 1000.0), 4)
    times = np.arange(11_000) / 1000
    slow, fast = np.sin(2 * np.pi * 5 * times), np.sin(2 * np.pi * 80 * times)
    raw = mne.io.RawArray(np.tile(slow + fast, (4, 1)) * 1e-13, info, verbose="ERROR")
    epochs = loaded(raw, tmin=-0.1, tmax=0.5, baseline=None, high_frequency=30.0)
    cut = [slow[round(t * 1000) - 100 : round(t * 1000) + 501] for t in ONSETS]
    found = epochs.get_data()[:, 0] * 1e13
    assert np.abs(found - np.array(cut)).max() < 0.01  # a filter of finite length: 1% ripple
    assert np.abs(raw.get_data() * 1e13 - (slow + fast)).max() < 1e-9  # what was given stays


def test_resampling_agrees_with_another_method():
    raw = planted_raw(chosen(system_info("ctf", 1000.0), 6), noise=0.0)
    epochs = loaded(raw, tmin=-0.2, tmax=0.599, baseline=None)
    mine = loaded(raw, tmin=-0.2, tmax=0.599, baseline=None, resample=250.0).get_data()
    theirs = resample_poly(epochs.get_data(), 1, 4, axis=2)
    inner = slice(20, -20)  # the two invent different values beyond the ends
    assert np.abs(mine - theirs)[:, :, inner].max() < 1e-10 * np.abs(theirs).max()


# --- channels: trap 38, B38, B39 -----------------------------------------------------------------


def test_shuffled_channels_of_a_second_run_meet_by_name():
    raw = planted_raw(chosen(system_info("neuromag"), 12), first_samp=70)
    order = np.random.default_rng(1).permutation(12)
    other = raw.copy().reorder_channels([raw.ch_names[i] for i in order])
    events, _ = read_meg_events(events_table(), raw, NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        straight = load_meg_epochs([raw, raw], [events, events], tmax=0.3)
        shuffled = load_meg_epochs([raw, other], [events, events], tmax=0.3)
    assert shuffled.ch_names == straight.ch_names == raw.ch_names
    assert np.array_equal(shuffled.get_data(), straight.get_data())
    assert straight.metadata["run"].tolist() == ["1"] * 8 + ["2"] * 8
    assert straight.metadata["trial"].is_unique


def test_b38_channel_sets_that_differ_are_intersected_with_a_warning():
    raw = planted_raw(chosen(system_info("neuromag"), 12))
    other = raw.copy().drop_channels(["MEG 0111", "MEG 0131"])
    events, _ = read_meg_events(events_table(), raw, NAMES)
    with pytest.warns(DataWarning, match="10 of 12 are common: 2 lacks MEG 0111, MEG 0131"):
        epochs = load_meg_epochs([raw, other], [events, events], tmax=0.3)
    assert epochs.ch_names == other.ch_names
    one = load_meg_epochs(raw, events, tmax=0.3)
    with pytest.warns(DataWarning, match="sub-02 lacks MEG 0111"):
        both = align_recordings({"sub-01": one, "sub-02": one.copy().drop_channels("MEG 0111")})
    assert both["sub-01"].ch_names == both["sub-02"].ch_names
    names = {name: f"{name}-x" for name in one.ch_names}
    with pytest.raises(InputError, match="0 channels are common to sub-01, sub-02"):
        align_recordings({"sub-01": one, "sub-02": one.copy().rename_channels(names)})


def test_b37_other_times_or_rates_are_refused():
    info = chosen(system_info("ctf", 1000.0), 4)
    events = {rate: None for rate in (500.0, 1000.0)}
    epochs = {}
    for rate in events:
        raw = planted_raw(chosen(system_info("ctf", rate), 4))
        events[rate] = (raw, read_meg_events(events_table(), raw, NAMES)[0])
        epochs[rate] = load_meg_epochs(*events[rate], tmax=0.3)
    raws, tables = zip(*events.values(), strict=True)
    with pytest.raises(InputError, match="1 has a sampling rate of 500 Hz, 2 of 1000 Hz.*resample"):
        load_meg_epochs(raws, tables)
    joined = load_meg_epochs(raws, tables, tmax=0.3, resample=250.0)
    assert joined.info["sfreq"] == 250.0 and len(joined) == 16
    with pytest.raises(InputError, match="sub-01 has a sampling rate of 500 Hz, sub-02 of 1000"):
        align_recordings({"sub-01": epochs[500.0], "sub-02": epochs[1000.0]})
    longer = loaded(planted_raw(info), tmax=0.4)
    with pytest.raises(InputError, match="sub-01 has 401 samples.*sub-02 has 501 samples.*0.4 s"):
        align_recordings({"sub-01": epochs[1000.0], "sub-02": longer})


@pytest.mark.parametrize("high_frequency", [None, 40.0])
def test_b39_flat_and_not_finite_channels_are_left_out_with_a_warning(high_frequency):
    raw = planted_raw(chosen(system_info("neuromag"), 12))
    raw._data[1] = 3e-12  # constant, not 0: a filter leaves rounding errors of it
    raw._data[4, round(ONSETS[2] * 250)] = np.nan
    raw.info["bads"] = ["MEG 0111"]
    with pytest.warns(DataWarning) as found:
        epochs = loaded(raw, tmax=0.3, high_frequency=high_frequency)
    text = " ".join(str(each.message) for each in found)
    flat, lost = raw.ch_names[1], raw.ch_names[4]
    assert "MEG 0111 (marked bad)" in text
    assert f"{lost} (not finite)" in text and f"{flat} (flat)" in text
    assert not {flat, lost, "MEG 0111"} & set(epochs.ch_names)
    assert len(epochs.ch_names) == 9
    assert np.isfinite(epochs.get_data()).all()


def test_a_gap_beside_an_epoch_matters_only_to_a_filter():
    raw = planted_raw(chosen(system_info("ctf"), 6))
    raw._data[4, round((ONSETS[2] - 0.15) * 250)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(loaded(raw, tmax=0.3).ch_names) == 6
    with pytest.warns(DataWarning, match=r"MLC\d+-2908 \(not finite\)"):
        assert len(loaded(raw, tmax=0.3, high_frequency=40.0).ch_names) == 5


def test_too_few_channels_left_are_refused():
    raw = planted_raw(chosen(system_info("ctf"), 3))
    raw._data[1:] = 0
    few = "1 good channels are left of 3"
    with pytest.warns(DataWarning), pytest.raises(InputError, match=few):
        loaded(raw, tmax=0.3)
    raw.info["bads"] = raw.ch_names
    none = "all 3 channels are marked bad"
    with pytest.warns(DataWarning), pytest.raises(InputError, match=none):
        load_meg_epochs(raw, pd.DataFrame({"sample": [300], "stimulus": ["cat"]}))


# --- B35, B36, B40 -------------------------------------------------------------------------------


def test_b35_no_epochs_after_rejection_are_refused_with_the_reasons():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    with pytest.raises(InputError, match=r"no epochs are left of 8.*MLC1.*: 8.*Relax reject"):
        loaded(raw, reject={"mag": 1e-20})
    raw.set_annotations(mne.Annotations([0.0], [10.5], ["BAD_movement"]))
    with pytest.raises(InputError, match="no epochs are left of 8.*BAD_movement: 8"):
        loaded(raw)
    epochs = loaded(planted_raw(chosen(system_info("ctf"), 4)))
    with pytest.raises(InputError, match="no epochs are left"):
        window_patterns(epochs[:0])


def test_b35_rejection_by_amplitude_takes_its_epochs_alone():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    raw._data[2, round(ONSETS[3] * 250) + 10] += 1e-11
    epochs = loaded(raw, reject={"mag": 5e-12})
    assert len(epochs) == 7
    with pytest.raises(InputError, match="reject='grad' is not known"):
        loaded(raw, reject={"grad": 1e-11}, channels="mag")
    with pytest.raises(InputError, match="reject.*is not a valid number"):
        loaded(raw, reject={"mag": -1})


def test_a_stimulus_that_lost_all_its_epochs_is_named():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    spans = [(onset, 0.4) for onset in ONSETS[1::2]]
    raw.set_annotations(mne.Annotations(*zip(*spans, strict=True), ["BAD_x"] * 4))
    with pytest.warns(DataWarning, match="1 of 2 stimuli have no epoch left: dog"):
        assert len(loaded(raw)) == 4


def test_b36_a_stimulus_with_one_epoch_gives_a_warning():
    epochs = loaded(planted_raw(chosen(system_info("ctf"), 4)))
    one = epochs[[0, 1, 2, 4]]
    with pytest.warns(DataWarning, match="1 of 2 stimuli have one epoch.*dog"):
        window_patterns(one)
    with pytest.warns(DataWarning, match="1 of 2 stimuli have one epoch.*decoding: dog"):
        window_patterns(one, trials=True)


def test_b40_epochs_that_make_no_sense_are_refused():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    with pytest.raises(InputError, match=r"tmin: the epoch is empty \(got \(0.5, 0.1\)"):
        loaded(raw, tmin=0.5, tmax=0.1)
    with pytest.raises(InputError, match=r"baseline: is not within.*0.05 to 0.5 s.*baseline=None"):
        loaded(raw, tmin=0.05, tmax=0.5)
    with pytest.raises(InputError, match="baseline: is no span"):
        loaded(raw, baseline=0.1)
    with pytest.raises(InputError, match="tmin: is not a valid number"):
        loaded(raw, tmin=np.nan)
    with pytest.raises(InputError, match="no epochs are left of 8.*(NO_DATA|TOO_SHORT): 8"):
        loaded(raw, tmax=60.0)
    with pytest.raises(InputError, match="high_frequency: is not below half.*< 125 Hz"):
        loaded(raw, high_frequency=200.0)
    with pytest.raises(InputError, match="resample: is above the sampling rate"):
        loaded(raw, resample=500.0)


def test_epochs_beyond_the_ends_are_left_out_with_a_warning():
    raw = planted_raw(chosen(system_info("ctf"), 4)).crop(0, 9.3)
    with pytest.warns(DataWarning, match="1 of 8 epochs reach beyond the recording"):
        assert len(loaded(raw)) == 7


def test_recordings_and_tables_that_do_not_pair_are_refused():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    events, _ = read_meg_events(events_table(), raw, NAMES)
    with pytest.raises(InputError, match="2 recordings but 1 tables"):
        load_meg_epochs([raw, raw], [events])
    with pytest.raises(InputError, match="two recordings are one run"):
        load_meg_epochs([raw, raw], [events.assign(run="1"), events.assign(run="1")])
    with pytest.raises(InputError, match="one recording holds several runs"):
        load_meg_epochs(raw, events.assign(run=list("12345678")))
    with pytest.raises(InputError, match="events: has no column 'sample'"):
        load_meg_epochs(raw, events_table())
    with pytest.raises(InputError, match="is no continuous recording"):
        load_meg_epochs([load_meg_epochs(raw, events)], [events])
    with pytest.raises(InputError, match="events: is no table.*got 'MatchReport'"):
        load_meg_epochs([raw, raw], read_meg_events(events_table(), raw, NAMES))
    with pytest.raises(InputError, match="samples are not whole numbers.*got 1.5"):
        load_meg_epochs(raw, pd.DataFrame({"sample": [1.5], "stimulus": ["cat"]}))
    with pytest.raises(InputError, match="the table has no rows"):
        load_meg_epochs(raw, events.iloc[:0])


def test_a_head_that_moved_between_runs_gives_a_warning():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    moved = raw.copy()
    with raw.info._unlock(), moved.info._unlock():
        raw.info["dev_head_t"] = mne.transforms.Transform("meg", "head", np.eye(4))
        shift = np.eye(4)
        shift[0, 3] = 0.01
        moved.info["dev_head_t"] = mne.transforms.Transform("meg", "head", shift)
    events, _ = read_meg_events(events_table(), raw, NAMES)
    with pytest.warns(DataWarning, match="the head lay differently"):
        load_meg_epochs([raw, moved], [events, events], tmax=0.3)


def test_events_in_any_order_give_the_same_epochs():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    events, _ = read_meg_events(events_table(), raw, NAMES)
    straight = load_meg_epochs(raw, events, tmax=0.3)
    shuffled = load_meg_epochs(raw, events.sample(frac=1, random_state=1), tmax=0.3)
    assert np.array_equal(straight.get_data(), shuffled.get_data())
    pd.testing.assert_frame_equal(straight.metadata, shuffled.metadata)


@pytest.mark.parametrize("column", ["stimulus", "run"])
def test_events_without_a_stimulus_or_run_are_none_named_nan(column):
    raw = planted_raw(chosen(system_info("ctf"), 4))
    events, _ = read_meg_events(events_table(), raw, NAMES)
    events = events.assign(run="1")
    events.loc[2, column] = np.nan
    with pytest.raises(InputError, match=f"events: 1 rows have no {column}"):
        load_meg_epochs(raw, events)


def test_a_sample_without_end_is_refused():
    raw = planted_raw(chosen(system_info("ctf"), 4))
    events, _ = read_meg_events(events_table(), raw, NAMES)
    with pytest.raises(InputError, match="samples are not whole numbers .*inf"):
        load_meg_epochs(raw, events.assign(sample=[*events["sample"][:-1], np.inf]))
