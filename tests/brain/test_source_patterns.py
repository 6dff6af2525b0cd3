"""Source patterns: the same as MNE's inverse of each stimulus, and no mixing of sensors."""

from __future__ import annotations

import mne
import numpy as np
import pytest
from small_cortex import (
    STIMULI,
    small_epochs,
    small_forward,
    small_info,
    small_inverse,
    small_noise,
)

from neurodnn import DataWarning, InputError
from neurodnn.brain.source import make_inverse, read_inverse, source_patterns
from neurodnn.simulate.meg_cortex import head_model, source_space

ORI = {"normal": "normal", "free": None}


def _by_mne(epochs, inverse, stimulus, method="dSPM", orientation="normal", snr=3.0):
    evoked = epochs[f"stimulus == {stimulus!r}"].average()
    evoked.nave = 1
    return mne.minimum_norm.apply_inverse(
        evoked, inverse, 1 / snr**2, method, pick_ori=ORI[orientation], verbose="ERROR"
    )


@pytest.mark.parametrize("method", ["MNE", "dSPM", "sLORETA"])
@pytest.mark.parametrize("orientation", ["normal", "free"])
def test_patterns_are_those_of_mne(method, orientation):
    epochs, inverse = small_epochs(), small_inverse()
    windows = source_patterns(epochs, inverse, width=0.04, step=0.05, method=method, snr=2.0,
                              orientation=orientation)  # fmt: skip
    assert list(windows) == [-0.05, 0.0, 0.05, 0.1, 0.15]
    patterns = windows[0.05]
    assert patterns.obs_descriptors["stimulus"] == list(STIMULI)
    for row, name in enumerate(STIMULI):
        stc = _by_mne(epochs, inverse, name, method, orientation, snr=2.0)
        expected = stc.data[:, 13:18].mean(axis=1)
        np.testing.assert_allclose(patterns.measurements[row], expected, rtol=0,
                                   atol=1e-10 * np.abs(expected).max())  # fmt: skip
    vertices = np.asarray(patterns.channel_descriptors["vertex"])
    sides = np.asarray(patterns.channel_descriptors["hemisphere"])
    assert np.array_equal(vertices[sides == "left"], stc.vertices[0])
    assert np.array_equal(vertices[sides == "right"], stc.vertices[1])


def test_single_trials_have_the_mean_of_their_stimulus():
    epochs, inverse = small_epochs(), small_inverse()
    options = {"width": 0.04, "tmin": 0.05, "tmax": 0.05}
    mean = source_patterns(epochs, inverse, **options)[0.05].measurements
    trials = source_patterns(epochs, inverse, **options, trials=True)[0.05]
    names = np.array(trials.obs_descriptors["stimulus"])
    assert len(names) == 12 and len(set(trials.obs_descriptors["trial"])) == 12
    for row, name in enumerate(STIMULI):
        own = trials.measurements[names == name].mean(axis=0)
        np.testing.assert_allclose(own, mean[row], rtol=0, atol=1e-12 * np.abs(mean).max())
    runs = source_patterns(epochs, inverse, **options, by_run=True)[0.05]
    assert runs.obs_descriptors["run"] == ["1", "2"] * 6
    order = np.argsort(names, kind="stable")  # one trial a run: the runs are the trials
    np.testing.assert_allclose(runs.measurements, trials.measurements[order], rtol=1e-12)


@pytest.mark.parametrize("orientation", ["normal", "free"])
def test_samples_of_a_window_are_features_whose_mean_is_the_pattern(orientation):
    epochs, inverse = small_epochs(), small_inverse()
    options = {"width": 0.04, "tmin": 0.05, "tmax": 0.05, "orientation": orientation}
    mean = source_patterns(epochs, inverse, **options)[0.05].measurements
    every = source_patterns(epochs, inverse, **options, samples=True)[0.05]
    values = every.measurements.reshape(6, -1, 5)
    np.testing.assert_allclose(values.mean(axis=2), mean, atol=1e-12 * np.abs(mean).max(), rtol=0)
    first = _by_mne(epochs, inverse, "a", orientation=orientation).data[:, 13:18]
    np.testing.assert_allclose(values[0], first, atol=1e-10 * np.abs(first).max(), rtol=0)
    assert np.asarray(every.channel_descriptors["sample"])[:6].tolist() == [0, 1, 2, 3, 4, 0]


def test_a_fixed_operator_gives_the_signed_current_alone():
    epochs, inverse = small_epochs(), small_inverse(loose=0.0)
    patterns = source_patterns(epochs, inverse, width=0, tmin=0.05, tmax=0.05)[0.05]
    expected = _by_mne(epochs, inverse, "b", orientation="free").data[:, 15]
    assert (expected < 0).any()
    np.testing.assert_allclose(patterns.measurements[1], expected,
                               atol=1e-10 * np.abs(expected).max(), rtol=0)  # fmt: skip
    with pytest.raises(InputError, match="free orientation, this one is fixed"):
        source_patterns(epochs, inverse, orientation="free")


def test_the_order_of_channels_does_not_matter():
    epochs, inverse = small_epochs(), small_inverse()
    turned = epochs.copy().reorder_channels(epochs.ch_names[::-1])
    options = {"tmin": 0.05, "tmax": 0.05}
    one, two = (source_patterns(e, inverse, **options)[0.05] for e in (epochs, turned))
    assert np.array_equal(one.measurements, two.measurements)


def test_an_operator_needs_its_channels():
    epochs, inverse = small_epochs(), small_inverse()
    names = epochs.ch_names
    with pytest.raises(InputError, match=f"needs 1 of 102 channels that the epochs lack.*{names[3]}"):
        source_patterns(epochs.copy().drop_channels(names[3]), inverse)
    marked = epochs.copy()
    marked.info["bads"] = [names[5]]
    with pytest.raises(InputError, match=f"marked bad in the epochs: {names[5]}"):
        source_patterns(marked, inverse)
    for value, word in ((np.nan, "not finite"), (1e-13, "flat")):
        broken = epochs.get_data(copy=True)
        broken[:, 7] = value
        lost = mne.EpochsArray(broken, epochs.info, epochs.events, tmin=-0.1,
                               metadata=epochs.metadata, verbose="ERROR")  # fmt: skip
        with pytest.raises(InputError, match=rf"{names[7]} \({word}\)"):
            source_patterns(lost, inverse)


def test_good_channels_that_the_operator_lacks_are_told():
    epochs, info = small_epochs(), small_info()
    few = mne.pick_info(info, np.arange(100))
    inverse = make_inverse(few, small_forward(), small_noise(info))
    with pytest.warns(DataWarning, match="2 good channels take no part"):
        windows = source_patterns(epochs, inverse, tmin=0.05, tmax=0.05)
    expected = _by_mne(epochs, inverse, "a").data[:, 14:17].mean(axis=1)
    found = windows[0.05].measurements[0]
    np.testing.assert_allclose(found, expected, atol=1e-10 * np.abs(expected).max(), rtol=0)


def test_another_head_and_another_person_are_told():
    inverse, epochs = small_inverse(), small_epochs()
    moved = epochs.copy()
    shifted = moved.info["dev_head_t"]["trans"].copy()
    shifted[2, 3] += 0.02
    with moved.info._unlock():
        moved.info["dev_head_t"] = mne.transforms.Transform("meg", "head", shifted)
    with pytest.warns(DataWarning, match="the head lies 20 mm from"):
        source_patterns(moved, inverse)
    other = inverse.copy()
    for side in other["src"]:
        side["subject_his_id"] = "sub-02"
    named = epochs.copy()
    named.info["subject_info"] = {"his_id": "01"}
    with pytest.warns(DataWarning, match="are of subject '01'.*of '02'"):
        source_patterns(named, other)


def test_faulty_calls_are_refused():
    epochs, inverse = small_epochs(), small_inverse()
    with pytest.raises(InputError, match="no inverse operator.*read_inverse"):
        source_patterns(epochs, small_forward())
    with pytest.raises(InputError, match="the window leaves the epochs"):
        source_patterns(epochs, inverse, tmin=0.5)
    with pytest.raises(InputError, match="method"):
        source_patterns(epochs, inverse, method="dspm")
    with pytest.raises(InputError, match="Take one of trials and by_run"):
        source_patterns(epochs, inverse, trials=True, by_run=True)
    with pytest.raises(InputError, match="snr"):
        source_patterns(epochs, inverse, snr=0)


def test_an_operator_is_made_as_mne_makes_it_and_read_again(tmp_path):
    info, forward = small_info(), small_forward()
    paths = tmp_path / "sub-01_fwd.fif", tmp_path / "sub-01_cov.fif"
    mne.write_forward_solution(paths[0], forward, verbose="ERROR")
    small_noise(info).save(paths[1], verbose="ERROR")
    made = make_inverse(info, *paths)
    path = tmp_path / "sub-01_inv.fif"
    mne.minimum_norm.write_inverse_operator(path, made, verbose="ERROR")
    epochs = small_epochs()
    expected = _by_mne(epochs, small_inverse(), "c").data[:, 14:17].mean(axis=1)
    for inverse in (made, read_inverse(path)):
        found = source_patterns(epochs, inverse, tmin=0.05, tmax=0.05)[0.05].measurements[2]
        np.testing.assert_allclose(found, expected, rtol=0,
                                   atol=1e-4 * np.abs(expected).max())  # files hold float32


def test_an_operator_is_not_made_where_channels_are_missing():
    info, forward = small_info(), small_forward()
    with pytest.raises(InputError, match="covariance: lacks 2 of 102 good channels"):
        make_inverse(info, forward, small_noise(mne.pick_info(info, np.arange(100))))
    noise = small_noise(info)
    noise["bads"] = [info["ch_names"][0]]
    with pytest.raises(InputError, match="covariance: lacks 1 of 102"):
        make_inverse(info, forward, noise)
    with pytest.raises(InputError, match="no good channel"):
        make_inverse(mne.create_info(2, 100.0, "eeg"), forward, noise)
    with pytest.raises(InputError, match="forward: is none"):
        make_inverse(info, 3, noise)


def test_files_that_are_none_are_refused(tmp_path):
    path = tmp_path / "x_inv.fif"
    path.write_bytes(b"not a FIF file, but long enough to be one of its tags")
    with pytest.raises(InputError, match="x_inv.fif: is not a FIF file"):
        read_inverse(path)
    small_noise(small_info()).save(tmp_path / "y_cov.fif", verbose="ERROR")
    with pytest.raises(InputError, match="y_cov.fif: holds no inverse operator"):
        read_inverse(tmp_path / "y_cov.fif")


def test_one_hemisphere_alone_is_refused_clearly():
    info = small_info()
    trans, sphere = head_model()
    half = mne.SourceSpaces(source_space(3)[:1])
    forward = mne.make_forward_solution(info, trans, half, sphere, eeg=False, mindist=0.0,
                                        verbose="ERROR")  # fmt: skip
    inverse = make_inverse(info, forward, small_noise(info))
    with pytest.raises(InputError, match="left hemisphere alone, which MNE cannot apply"):
        source_patterns(small_epochs(), inverse)
