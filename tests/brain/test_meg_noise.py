"""Noise normalisation: against scikit-learn, whitening what it should, and no leak."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power
from sklearn.covariance import ledoit_wolf
from small_meg import noise_epochs

from neurodnn import DataWarning, InputError
from neurodnn.brain.meg_noise import Whitener, fit_whitener, whitened_folds
from neurodnn.brain.meg_trials import assign_folds, stimulus_labels
from neurodnn.brain.meg_windows import window_patterns
from neurodnn.numerics.covariance import shrunk_covariance
from neurodnn.numerics.whitening import inverse_root, mean_covariance


def by_hand(trials, labels):
    """The published steps, one condition and one time after the other."""
    per_condition, weights = [], []
    for name in sorted(set(labels)):
        own = trials[np.array(labels) == name]
        if len(own) < 2:
            continue
        per_time = []
        for t in range(trials.shape[2]):
            values = own[:, :, t]
            scale = values.std(axis=0)
            shrunk, weight = ledoit_wolf((values - values.mean(axis=0)) / scale)
            per_time.append(shrunk * np.outer(scale, scale) * len(own) / (len(own) - 1))
            weights.append(weight)
        per_condition.append(np.mean(per_time, axis=0))
    return np.mean(per_condition, axis=0), np.mean(weights)


@pytest.mark.parametrize("scale", [1e-13, 1.0, 1e13])
@pytest.mark.parametrize("n_times", [1, 3, 70])
def test_covariance_is_that_of_scikit_learn(scale, n_times):
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(7, 7))
    trials = np.einsum("ij,njt->nit", mixing, rng.normal(size=(17, 7, n_times)))
    trials *= np.array([1, 1, 1, 20, 20, 20, 20])[:, None] * scale  # T and T/m
    labels = list("aaaaabbbbbbbcccce")
    found = mean_covariance(trials, labels)
    expected, weight = by_hand(trials, labels)
    assert np.abs(found.covariance - expected).max() <= 1e-12 * np.abs(expected).max()
    assert abs(found.shrinkage - weight) < 1e-12
    assert np.array_equal(found.covariance, found.covariance.T)


def test_covariance_of_one_condition_is_that_of_the_house():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(12, 5)) @ rng.normal(size=(5, 5))
    scale = values.std(axis=0)
    shrunk = shrunk_covariance((values - values.mean(axis=0)) / scale, target="identity")
    found = mean_covariance(values[:, :, None], ["a"] * 12)
    assert np.allclose(found.covariance, shrunk.covariance * np.outer(scale, scale), rtol=1e-12)


def test_a_channel_that_stands_still_in_one_condition_takes_no_part_there():
    rng = np.random.default_rng(0)
    trials = rng.normal(size=(8, 3, 2))
    trials[:4, 1] = 5.0
    found = mean_covariance(trials, list("aaaabbbb")).covariance
    assert np.isfinite(found).all()
    alone = mean_covariance(trials[4:], list("bbbb")).covariance
    assert np.isclose(found[1, 1], alone[1, 1] / 2, rtol=1e-12)
    expected = np.zeros((3, 3))
    for t in range(2):
        values = trials[:4, :, t]
        scale = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
        shrunk, _ = ledoit_wolf((values - values.mean(axis=0)) / scale)
        scale = values.std(axis=0)
        expected += shrunk * np.outer(scale, scale) * 4 / 3 / 2
    assert np.allclose(found, (expected + alone) / 2, rtol=1e-12, atol=0)


def test_the_root_is_that_of_scipy_and_undoes_the_covariance():
    rng = np.random.default_rng(3)
    half = rng.normal(size=(9, 9))
    covariance = half @ half.T * 1e-26
    root = inverse_root(covariance)
    assert np.allclose(root @ covariance @ root, np.eye(9), rtol=0, atol=1e-9)
    theirs = fractional_matrix_power(covariance * 1e26, -0.5) * 1e13
    assert np.allclose(root, theirs, rtol=1e-8, atol=0)
    with pytest.raises(InputError, match="is not positive definite"):
        inverse_root(np.ones((3, 3)))


def test_faulty_trials_are_refused():
    good = np.random.default_rng(0).normal(size=(4, 3, 2))
    with pytest.raises(InputError, match="no condition has two trials"):
        mean_covariance(good, list("abcd"))
    with pytest.raises(InputError, match="not finite"):
        mean_covariance(np.where(good > 1, np.nan, good), list("aabb"))
    with pytest.raises(InputError, match="trials x channels x times"):
        mean_covariance(good, list("aab"))
    still = good.copy()
    still[:, 1] = 1.0
    with pytest.raises(InputError, match="a channel does not vary"):
        mean_covariance(still, list("aabb"))


def test_whitened_noise_is_white_on_trials_that_were_not_seen():
    epochs = noise_epochs(3000, 5, 2, seed=1)
    whitener = fit_whitener(epochs[:1500])
    values = epochs[1500:].get_data().transpose(0, 2, 1).reshape(-1, 5)
    before = np.abs(np.corrcoef(values.T) - np.eye(5)).max()
    white = whitener.apply(values, epochs.ch_names)
    after = np.abs(np.cov(white.T) - np.eye(5)).max()
    assert after < 0.25 < 0.6 < before  # not 0: the covariance is shrunk, and 3000 draws


def test_patterns_are_whitened_by_name_and_linearly():
    epochs = noise_epochs(30)
    whitener = fit_whitener(epochs)
    plain = window_patterns(epochs, width=0.04, step=0.05)
    white = window_patterns(epochs, width=0.04, step=0.05, whiten="mvnn")
    again = window_patterns(epochs, width=0.04, step=0.05, whiten=whitener)
    for centre in plain:
        expected = plain[centre].measurements @ whitener.matrix
        assert np.allclose(white[centre].measurements, expected, rtol=1e-10, atol=0)
        assert np.array_equal(white[centre].measurements, again[centre].measurements)
    turned = epochs.copy().reorder_channels(epochs.ch_names[::-1])
    back = window_patterns(turned, width=0.04, step=0.05, whiten=whitener)[0.0].measurements
    assert np.allclose(back[:, ::-1], white[0.0].measurements, rtol=1e-10, atol=0)
    with pytest.raises(InputError, match="sensors.*are not those of the whitener.*MLC11"):
        window_patterns(epochs.copy().drop_channels("MLC11-2908"), whiten=whitener)


def test_baseline_scaling_brings_single_trials_to_units_of_their_noise():
    epochs = noise_epochs(24, runs=2)
    plain = window_patterns(epochs, width=0.0, trials=True)
    scaled = window_patterns(epochs, width=0.0, trials=True, whiten="baseline")
    noise = epochs.get_data()[:, :, :10].transpose(1, 0, 2).reshape(6, -1).std(axis=1)
    for centre in (-0.1, 0.0, 0.1):
        expected = plain[centre].measurements / noise
        assert np.allclose(scaled[centre].measurements, expected, rtol=1e-12, atol=0)
    # what comes after the onset, of any trial, has no part in it
    spoilt = epochs.copy()
    spoilt._data[:, :, 10:] *= 100.0
    again = window_patterns(spoilt, width=0.0, trials=True, whiten="baseline")
    assert np.array_equal(again[-0.05].measurements, scaled[-0.05].measurements)
    with pytest.raises(InputError, match="'baseline' needs two samples before 0 s.*begin at 0 s"):
        window_patterns(epochs.copy().crop(0.0, None), whiten="baseline")


def test_what_will_be_cross_validated_cannot_whiten_itself():
    epochs = noise_epochs(24, runs=2)
    for options in ({"trials": True}, {"by_run": True}):
        with pytest.raises(InputError, match="cannot whiten themselves.*whitened_folds"):
            window_patterns(epochs, whiten="mvnn", **options)
        seen = fit_whitener(epochs[::3])
        with pytest.raises(InputError, match="the whitener has seen 8 of the 24 trials"):
            window_patterns(epochs, whiten=seen, **options)
        # new folds do not hide who was seen
        with pytest.raises(InputError, match="has seen 8 of the 24"):
            window_patterns(assign_folds(epochs, 2), whiten=seen, **options)
    first, second = epochs[:12], epochs[12:]
    assert len(window_patterns(second, trials=True, whiten=fit_whitener(first))) > 0
    with pytest.raises(InputError, match="whiten: is not known.*got 'zca'"):
        window_patterns(epochs, whiten="zca")


def test_the_whitener_of_a_fold_never_sees_its_test_trials():
    epochs = noise_epochs(24, runs=3)
    spoilt = epochs.copy()
    rows = (epochs.metadata["run"] == "2").to_numpy()
    spoilt._data[rows] *= 1000.0 * np.sign(np.arange(6) - 2.5)[:, None]  # in the test fold alone
    for fold, other in zip(whitened_folds(epochs), whitened_folds(spoilt), strict=True):
        assert set(fold.test.metadata["run"]) == {fold.run}
        assert fold.run not in set(fold.training.metadata["run"])
        assert np.array_equal(fold.whitener.matrix, other.whitener.matrix) == (fold.run == "2")
        window_patterns(fold.test, trials=True, whiten=fold.whitener)
    with pytest.raises(InputError, match="fewer than two runs"):
        list(whitened_folds(epochs[rows]))


def test_times_and_stimuli_with_one_trial():
    epochs = noise_epochs(13)
    assert fit_whitener(epochs[:6], tmax=0.0).n_stimuli == 3
    early = fit_whitener(epochs, tmin=-0.05, tmax=0.02)
    data = epochs.get_data()[:, :, 5:13]
    expected = inverse_root(mean_covariance(data, stimulus_labels(epochs)).covariance)
    assert np.array_equal(early.matrix, expected)
    with pytest.raises(InputError, match="tmin, tmax: the times are not in the epochs"):
        fit_whitener(epochs, tmin=0.05, tmax=0.01)
    with pytest.raises(InputError, match="from -0.1 to 0.1 s"):
        fit_whitener(epochs, tmax=0.5)
    with pytest.warns(DataWarning, match="2 stimuli have one trial.*dog, owl"):
        fit_whitener(epochs[[0, 1, 2, 3]])
    assert isinstance(early, Whitener) and early.n_stimuli == 3
