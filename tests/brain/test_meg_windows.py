"""Windows of time: which samples, which trials, which sensors; and folds of trials."""

from __future__ import annotations

import warnings

import mne
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_meg import chosen, events_table, noise_epochs, planted_raw, system_info

from neurodnn import DataWarning, InputError
from neurodnn.brain.meg import load_meg_epochs, read_meg_events
from neurodnn.brain.meg_trials import assign_folds, stimulus_labels, trial_labels
from neurodnn.brain.meg_windows import window_patterns, window_plan, window_residuals
from neurodnn.rsa.decoding import decoding_rdms
from neurodnn.rsa.rdm import compute_rdms


def grid(first, last, sfreq):
    return np.arange(round(first * sfreq), round(last * sfreq) + 1) / sfreq


@given(
    st.sampled_from([100.0, 250.0, 256.0, 500.0, 600.615, 1000.0]),
    st.floats(0, 0.2), st.floats(0.01, 0.1), st.floats(-0.3, -0.05), st.floats(0.3, 0.9),
)  # fmt: skip
def test_a_window_holds_the_samples_within_half_its_width(sfreq, width, step, first, last):
    times = grid(first, last, sfreq)
    plan = window_plan(times, sfreq, width=width, step=step)
    for centre, sample in zip(plan.centres, plan.samples, strict=True):
        assert abs(times[sample] - centre) <= 0.5 / sfreq + 1e-8
        inside = np.flatnonzero(np.abs(times - times[sample]) <= width / 2 + 1e-8)
        assert inside.tolist() == list(range(sample - plan.half, sample + plan.half + 1))
        assert abs(round(centre / step) * step - centre) < 1e-8  # the grid goes through 0
    assert all(b > a for a, b in zip(plan.centres, plan.centres[1:], strict=False))
    # no window that fits is left out
    fits = [k for k in range(-200, 200)
            if plan.half <= np.floor((k * step - times[0]) * sfreq + 0.5 + 1e-6)
            <= len(times) - 1 - plan.half]  # fmt: skip
    assert len(fits) == len(plan.centres)


def test_100_ms_are_the_same_span_at_250_and_1000_hz():
    for sfreq in (250.0, 1000.0):
        plan = window_plan(grid(-0.1, 0.5, sfreq), sfreq, width=0.096, tmin=0.1, tmax=0.1)
        times = grid(-0.1, 0.5, sfreq)[plan.samples[0] - plan.half :][: 2 * plan.half + 1]
        assert np.allclose([times[0], times[-1]], [0.052, 0.148], rtol=0, atol=1e-12)


def test_all_rates_have_windows_of_the_same_names():
    names = [window_plan(grid(-0.1, 0.5, sfreq), sfreq, width=0.02, step=0.01, tmin=-0.05,
                         tmax=0.45).centres for sfreq in (250.0, 512.0, 600.615, 1000.0)]
    assert all(each == names[0] for each in names)
    assert names[0][0] == -0.05 and 0.17 in names[0] and 0.0 in names[0] and names[0][-1] == 0.45
    assert "-0.0" not in map(str, names[0])


def test_single_samples_are_all_there_with_width_0():
    times = grid(-0.1, 0.2, 600.615)
    plan = window_plan(times, 600.615, width=0)
    assert plan.half == 0 and plan.samples == list(range(len(times)))
    assert np.allclose(plan.centres, times, rtol=0, atol=1e-9)


def test_b40_windows_that_leave_the_data_are_refused():
    times = grid(-0.1, 0.5, 250.0)
    with pytest.raises(InputError, match=r"tmin: the first window begins after the last"):
        window_plan(times, 250.0, width=0.02, tmin=0.3, tmax=0.1)
    with pytest.raises(InputError, match=r"tmax: the window leaves.*got 0.6.*-0.092 to 0.492 s"):
        window_plan(times, 250.0, width=0.02, tmin=0.3, tmax=0.6)
    with pytest.raises(InputError, match=r"tmin: the window leaves the epochs \(got -0.1"):
        window_plan(times, 250.0, width=0.02, tmin=-0.1)
    with pytest.raises(InputError, match=r"width: no window of 2 s fits.*<= 0.6 s"):
        window_plan(times, 250.0, width=2.0)
    with pytest.raises(InputError, match="width: is not a valid number"):
        window_plan(times, 250.0, width=-0.1)
    with pytest.raises(InputError, match=r"step: is finer than the data.*0.004 s"):
        window_plan(times, 250.0, width=0.02, step=0.001)
    with pytest.raises(InputError, match="step: no window fits.*smaller step"):
        window_plan(times[30:], 250.0, width=0.02, step=10.0)


def test_patterns_are_means_over_trials_and_samples():
    epochs = noise_epochs()
    windows = window_patterns(epochs, width=0.04, step=0.05)
    assert list(windows) == [-0.05, 0.0, 0.05]
    data, names = epochs.get_data(), np.array(stimulus_labels(epochs))
    for centre, dataset in windows.items():
        k = round((centre + 0.1) * 100)
        expected = [data[names == n][:, :, k - 2 : k + 3].mean(axis=(0, 2)) for n in
                    ("cat", "dog", "owl")]  # fmt: skip
        assert np.allclose(dataset.measurements, expected, rtol=1e-12, atol=0)
        assert dataset.obs_descriptors["stimulus"] == ["cat", "dog", "owl"]
        assert list(dataset.channel_descriptors["sensor"]) == epochs.ch_names
        assert dataset.descriptors == {"time": centre, "width": 0.04}
    with pytest.raises(KeyError):
        windows[0.123]


def test_trials_stay_single_and_decoding_takes_them():
    epochs = noise_epochs(runs=2)
    windows = window_patterns(epochs, width=0.02, step=0.1, trials=True)
    dataset = windows[0.0]
    assert np.allclose(dataset.measurements, epochs.get_data()[:, :, 9:12].mean(axis=2),
                       rtol=1e-12, atol=0)  # fmt: skip
    assert dataset.obs_descriptors["stimulus"] == stimulus_labels(epochs)
    assert dataset.obs_descriptors["run"] == epochs.metadata["run"].tolist()
    assert dataset.obs_descriptors["trial"] == trial_labels(epochs)
    rdms = decoding_rdms(windows, classifier="lda", trials_per_pseudo=1, n_repeats=2)
    assert rdms.rdm_descriptors["time"] == [float(time) for time in windows]


def test_a_planted_difference_is_decoded_when_it_is_there():
    raw = planted_raw(chosen(system_info("neuromag"), 30), first_samp=4000, noise=0.6)
    events, _ = read_meg_events(events_table(), raw, ["cat", "dog"])
    epochs = load_meg_epochs(raw, events, tmin=-0.3, tmax=0.5)
    windows = window_patterns(epochs, step=0.02, trials=True, whiten="baseline")
    rdms = decoding_rdms(windows, trials_per_pseudo=1, n_repeats=1)
    score = dict(zip(rdms.rdm_descriptors["time"], rdms.dissimilarities[:, 0], strict=True))
    assert min(score[0.16], score[0.18]) == 1.0
    assert np.mean([score[t] for t in score if t < 0]) < 0.75
    away = np.mean([windows[0.16].measurements[i] for i in (0, 2, 4, 6)], axis=0)
    assert 1 < np.abs(away).max() < 100  # in units of noise, not of 1e-13


def test_runs_and_folds_give_cross_validated_distances():
    epochs = noise_epochs(40, runs=2, stimuli=("cat", "dog", "owl", "rat"))
    by_run = window_patterns(epochs, width=0.02, step=0.05, by_run=True)
    assert by_run[0.0].obs_descriptors["run"] == ["1", "2"] * 4
    assert by_run[0.0].obs_descriptors["stimulus"][:3] == ["cat", "cat", "dog"]
    names, runs = np.array(stimulus_labels(epochs)), epochs.metadata["run"].to_numpy()
    own = (names == "dog") & (runs == "2")
    expected = epochs.get_data()[own][:, :, 9:12].mean(axis=(0, 2))
    assert np.allclose(by_run[0.0].measurements[3], expected, rtol=1e-12, atol=0)
    residuals = window_residuals(epochs, width=0.02, step=0.05)
    rdms = compute_rdms(by_run, metric="crossnobis", residuals=residuals)
    assert rdms.dissimilarities.shape == (3, 6)
    folds = assign_folds(epochs, 5)
    rdms = compute_rdms(
        window_patterns(folds, width=0.02, step=0.05, by_run=True), metric="crossnobis"
    )
    assert (rdms.dissimilarities < 0).any()  # noise alone: unbiased, so some are negative


def test_residuals_are_what_trials_differ_from_their_mean():
    epochs = noise_epochs(12, runs=2)
    residuals = window_residuals(epochs, width=0.0, step=0.05)[0.05]
    cells = [f"{n}{r}" for n, r in zip(stimulus_labels(epochs), epochs.metadata["run"],
             strict=True)]  # fmt: skip
    data = epochs.get_data()[:, :, 15]
    for cell in set(cells):
        rows = np.array(cells) == cell
        assert np.allclose(residuals.measurements[rows], data[rows] - data[rows].mean(axis=0),
                           rtol=1e-9, atol=1e-26)  # fmt: skip
    assert residuals.descriptors["degrees_of_freedom"] == 12 - 6
    assert residuals.obs_descriptors["run"] == epochs.metadata["run"].tolist()
    with pytest.raises(InputError, match="no stimulus has two trials"):
        window_residuals(epochs[:3])


def test_folds_spread_the_trials_of_every_stimulus():
    epochs = noise_epochs(21)
    folds = assign_folds(epochs, 3, seed=4)
    table = folds.metadata.groupby(["stimulus", "run"]).size()
    assert len(table) == 9 and table.min() == 2 and table.max() == 3
    assert assign_folds(epochs, 3, seed=4).metadata.equals(folds.metadata)
    assert not assign_folds(epochs, 3, seed=5).metadata.equals(folds.metadata)
    assert trial_labels(folds) == trial_labels(epochs)
    # what a stimulus draws does not hang on the others
    alone = assign_folds(epochs[epochs.metadata["stimulus"] == "dog"], 3, seed=4)
    own = folds.metadata[folds.metadata["stimulus"] == "dog"]
    assert alone.metadata["run"].tolist() == own["run"].tolist()
    with pytest.raises(InputError, match=r"fewer trials than 8 folds: cat \(7\), dog \(7\)"):
        assign_folds(epochs, 8)
    with pytest.raises(InputError, match="n_folds: is no whole number"):
        assign_folds(epochs, 2.5)


def test_shuffled_trials_and_channels_give_the_same_patterns():
    epochs = noise_epochs()
    order = np.random.default_rng(0).permutation(len(epochs))
    shuffled = epochs[order].reorder_channels(epochs.ch_names[::-1])
    one, other = (window_patterns(each, width=0.04, step=0.05)[0.05] for each in
                  (epochs, shuffled))  # fmt: skip
    names = list(other.channel_descriptors["sensor"])
    assert names == epochs.ch_names[::-1]
    back = [names.index(name) for name in epochs.ch_names]
    assert np.allclose(one.measurements, other.measurements[:, back], rtol=1e-12, atol=0)
    assert one.obs_descriptors == other.obs_descriptors


def test_b36_and_b39_hold_for_epochs_that_were_made_elsewhere():
    epochs = noise_epochs(6)
    epochs._data[:, 2] = 1e-13
    epochs._data[3, 4, 5] = np.inf
    bad = [epochs.ch_names[2], epochs.ch_names[4]]
    with pytest.warns(DataWarning, match=rf"{bad[1]} \(not finite\); {bad[0]} \(flat\)"):
        windows = window_patterns(epochs)
    assert not set(bad) & set(windows[0.0].channel_descriptors["sensor"])
    with pytest.warns(DataWarning, match="3 of 3 stimuli have one epoch"):
        window_patterns(noise_epochs(3))


def test_windows_of_trials_do_not_change_with_the_epochs():
    epochs = noise_epochs()
    windows = window_patterns(epochs, trials=True)
    before = windows[0.0].measurements.copy()
    epochs._data *= 7.0
    assert np.array_equal(windows[0.0].measurements, before)


def test_magnetometers_with_gradiometers_give_a_warning_unless_whitened():
    info = chosen(system_info("neuromag", 100.0), 9)
    values = np.random.default_rng(0).normal(size=(8, 9, 11)) * 1e-12
    events = np.c_[np.arange(8), np.zeros(8, int), [1, 2] * 4]
    epochs = mne.EpochsArray(values, info, events, event_id={"a": 1, "b": 2}, verbose="ERROR")
    with pytest.warns(DataWarning, match=r"magnetometers \(T\) and gradiometers \(T/m\)"):
        window_patterns(epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        window_patterns(epochs, whiten="mvnn")
        assert window_patterns(epochs, channels="grad")[0.02].n_channel == 6
        assert window_patterns(epochs, channels="mag")[0.02].n_channel == 3


def test_epochs_without_names_or_runs_are_told():
    epochs = noise_epochs()
    with pytest.raises(InputError, match="the epochs have no runs.*assign_folds"):
        window_patterns(epochs, by_run=True)
    with pytest.raises(InputError, match="Take one of trials and by_run"):
        window_patterns(epochs, by_run=True, trials=True)
    with pytest.raises(InputError, match="epochs: are none.*got 'dict'"):
        window_patterns({})
    epochs.metadata.loc[epochs.metadata.index[2], "stimulus"] = None
    with pytest.raises(InputError, match="1 epochs have no stimulus, the first is 2"):
        window_patterns(epochs)
    runs = noise_epochs(12, runs=2)[[0, 1, 2, 3, 4, 6, 7]]
    with pytest.warns(DataWarning, match=r"1 stimuli are missing from a run.*owl \(run 2\)"):
        window_patterns(runs, by_run=True)
