"""Decision values of all pairs against scikit-learn, the conditions of optimality, and LDA."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import SVC

from neurodnn._checks import InputError
from neurodnn.numerics import decoding
from neurodnn.numerics.decoding import pair_decisions
from neurodnn.numerics.pseudo_trials import average_groups, draw_groups
from neurodnn.numerics.svm import WAYS
from neurodnn.numerics.svm_smo import solve_svm

# libsvm keeps its kernel in float32, so that its own solutions carry errors of some 1e-7.
_LIBSVM = 1e-6


def _points(n_groups, n_stimuli, n_channels, *, scale=1.0, signal=0.1, decay=None, seed=0):
    """Pseudo-trials x stimuli x channels; with `decay` the noise has few large dimensions."""
    rng = np.random.default_rng(seed)
    points = signal * rng.normal(size=(n_stimuli, n_channels))
    points = points + rng.normal(size=(n_groups, n_stimuli, n_channels)) / np.sqrt(5)
    if decay is not None:
        weights = np.exp(-np.arange(n_channels) / decay)[:, np.newaxis]
        points = points @ (weights * rng.normal(size=(n_channels, n_channels))) / np.sqrt(decay)
    return scale * points


def _decide(points, classifier="svm", cost=1.0):
    n_groups, n_stimuli, n_channels = points.shape
    means = points.reshape(-1, n_channels)
    return pair_decisions(means - means.mean(axis=0), n_groups, classifier, cost)


def _folds(points, pairs=None):
    """Yield pair, fold, training points, their classes, and the points left out."""
    n_groups, n_stimuli, _ = points.shape
    first, second = np.triu_indices(n_stimuli, 1)
    for pair in range(first.size) if pairs is None else pairs:
        a, b = points[:, first[pair]], points[:, second[pair]]
        for fold in range(n_groups):
            kept = np.arange(n_groups) != fold
            yield pair, fold, np.vstack([a[kept], b[kept]]), np.stack([a[fold], b[fold]])


def _classes(n_groups):
    return np.repeat([0, 1], n_groups - 1)


def _compare_with_libsvm(points, cost=1.0, pairs=None, tolerance=_LIBSVM):
    """Compare decision values and predicted classes of all folds; return how they were solved."""
    decisions, ways = _decide(points, cost=cost)
    classes = _classes(len(points))
    peer = SVC(kernel="linear", C=cost, tol=1e-10, cache_size=1)
    ours, theirs, predicted = [], [], []
    for pair, fold, training, test in _folds(points, pairs):
        peer.fit(training, classes)
        ours.append(decisions[pair, fold])
        theirs.append(-peer.decision_function(test))
        predicted.append(peer.predict(test))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(np.array(ours) <= 0, np.array(predicted) == 1)
    return dict(zip(WAYS, ways.tolist(), strict=True)), len(ours)


def test_ten_thousand_fits_equal_scikit_learn_at_three_scales():
    fits, ways = {}, {}
    for scale in (1.0, 0.12, 0.02):
        points = _points(6, 34, 306, scale=scale, signal=0.05)
        ways[scale], fits[scale] = _compare_with_libsvm(points)
    assert sum(fits.values()) >= 10_000
    # the three scales take three routes, or one of them would go untested
    assert ways[1.0]["closed form"] > 0.95 * fits[1.0]
    assert ways[0.12]["active set"] > 10
    assert ways[0.02]["closed form"] == 0
    assert ways[0.02]["all at the bound"] > 0.95 * fits[0.02]


@pytest.mark.parametrize(
    ("decay", "scale", "route"),
    [(20, 1.0, "active set"), (5, 0.3, "active set"), (10, 0.05, "all at the bound")],
)
def test_equals_scikit_learn_where_points_lie_off_the_margin(decay, scale, route):
    points = _points(6, 16, 100, decay=decay, scale=scale, seed=3)
    # small data leave libsvm's float32 kernel fewer digits of weights that are not at C
    ways, fits = _compare_with_libsvm(points, pairs=range(0, 120, 4), tolerance=5e-6)
    assert ways[route] > 0.4 * fits


@pytest.mark.parametrize("cost", [0.01, 1.0, 100.0])
def test_equals_scikit_learn_with_fewer_channels_than_points(cost):
    points = _points(6, 8, 4, signal=0.3, seed=1)
    # a singular Gram matrix and a float32 kernel: libsvm's weights are good to some 1e-5
    ways, fits = _compare_with_libsvm(points, cost, pairs=range(0, 28, 2), tolerance=2e-5)
    assert ways["closed form"] == ways["steps, not settled"] == 0


@pytest.mark.parametrize("n_groups", [2, 3, 9])
@pytest.mark.parametrize("n_stimuli", [2, 3, 17, 18])
def test_equals_scikit_learn_for_any_number_of_lanes_and_folds(n_groups, n_stimuli):
    points = _points(n_groups, n_stimuli, 50, seed=n_stimuli)
    n_pairs = n_stimuli * (n_stimuli - 1) // 2
    _compare_with_libsvm(points, pairs=sorted({0, n_pairs // 2, n_pairs - 1}))


def _gap(gram, y, cost, weights, threshold):
    """By how much the worst point breaks the conditions of optimality of a C-SVC."""
    margins = y * (gram @ weights + threshold)
    alpha = y * weights
    free = (alpha > 0) & (alpha < cost)
    return max(
        np.max(np.where(alpha == 0, 1 - margins, 0)),
        np.max(np.where(alpha == cost, margins - 1, 0)),
        np.max(np.where(free, np.abs(1 - margins), 0)),
        -alpha.min(),
        alpha.max() - cost,
        abs(weights.sum()),
    )


@pytest.mark.parametrize("seed", range(12))
def test_steps_fulfil_the_conditions_of_optimality(seed):
    rng = np.random.default_rng(seed)
    n_channels, cost = [2, 8, 30][seed % 3], [0.1, 1.0, 10.0, 1000.0][seed % 4]
    points = rng.normal(size=(14, n_channels))
    y = np.repeat([1.0, -1.0], [9, 5])
    gram = points @ points.T
    weights, threshold = solve_svm(gram, y, cost)
    # a cost of 1000 on classes that overlap makes fits of 1e4, good to some 1e-10
    assert _gap(gram, y, cost, weights, threshold) < max(1e-10, 1e-12 * cost)


@pytest.mark.parametrize(("decay", "scale"), [(None, 1.0), (None, 0.1), (5, 1.0), (2, 100.0)])
def test_all_folds_at_once_equal_each_fold_by_steps(decay, scale):
    # two solutions of our own that share nothing: digits that libsvm does not have
    points = _points(6, 8, 100, decay=decay, scale=scale, seed=5)
    decisions, ways = _decide(points)
    y = 1.0 - 2.0 * _classes(6)
    assert ways[:3].sum() > 0.95 * ways.sum()
    for pair, fold, training, test in _folds(points):
        middle = training.mean(axis=0)
        training, test = training - middle, test - middle
        weights, threshold = solve_svm(training @ training.T, y, 1.0)
        expected = test @ training.T @ weights + threshold
        # steps stop at 1e-11 of the margin, which nearly flat dimensions make more of
        np.testing.assert_allclose(decisions[pair, fold], expected, rtol=0, atol=2e-9)


def test_hand_case_of_one_dimension():
    # left at -1, -2, -3 and right at 1, 2, 4: the margin is held by the two inner points
    points = np.array([[-1.0, 1.0], [-2.0, 2.0], [-3.0, 4.0]])[:, :, np.newaxis]
    decisions, _ = pair_decisions(points.reshape(6, 1), 3)
    # fold 0 trains on -2, -3, 2, 4: border 0, margin 2; folds 1 and 2: border 0, margin 1
    expected = [[[0.5, -0.5], [2.0, -2.0], [3.0, -4.0]]]
    np.testing.assert_allclose(decisions, expected, rtol=0, atol=1e-10)


def test_values_of_stimuli_that_do_not_differ_are_exactly_zero():
    points = np.repeat(_points(4, 1, 40), 2, axis=1)
    np.testing.assert_array_equal(_decide(points)[0], 0.0)
    np.testing.assert_array_equal(_decide(np.zeros((4, 3, 5)))[0], 0.0)


def test_a_class_without_points_is_refused():
    with pytest.raises(InputError, match="y: must be 1 or -1"):
        solve_svm(np.eye(3), [1, 1, 1], 1.0)


def test_points_that_stand_twice():
    points = np.repeat(_points(3, 5, 40, seed=2), 2, axis=0)
    ways, fits = _compare_with_libsvm(points)
    assert ways["closed form"] == 0
    assert ways["steps"] > 0  # equal points on the margin: their weights are not unique


# Data, found by random search, where every weight of some fold is 0 or C: only the middle of an
# interval settles the threshold, and a weight of C less one rounding must not pass for free.
OPEN = [
    (8, 2, 3, 6.772715774010281, 0.1, 2.0, 655135236, 0.0263, 0),
    (8, 4, 15, 1.7935213777359047, 0.0, 2.0, 499632756, 0.2077, 5),
    (6, 6, 60, 0.834042144312898, 0.1, 2.0, 402768004, 0.5694, 13),
    (8, 3, 1, 10.850929196187208, 0.0, None, 597594263, 0.229, 1),
]


@pytest.mark.parametrize("case", OPEN)
def test_thresholds_that_no_point_settles(case):
    n_groups, n_stimuli, n_channels, scale, signal, decay, seed, cost, pair = case
    points = _points(n_groups, n_stimuli, n_channels, scale=scale, signal=signal, decay=decay,
                     seed=seed)  # fmt: skip
    decisions, _ = _decide(points, cost=cost)
    y = 1.0 - 2.0 * _classes(n_groups)
    for _, fold, training, test in _folds(points, [pair]):
        middle = training.mean(axis=0)
        training, test = training - middle, test - middle
        weights, threshold = solve_svm(training @ training.T, y, cost)
        expected = test @ training.T @ weights + threshold
        np.testing.assert_allclose(decisions[pair, fold], expected, rtol=0, atol=1e-8)
        peer = SVC(kernel="linear", C=cost, tol=1e-10).fit(training, _classes(n_groups))
        theirs, used = -peer.decision_function(test), np.abs(peer.dual_coef_[0])
        if (np.minimum(used, cost - used)[used != cost] < 1e-12 * cost).any():
            # libsvm takes the middle too, but here one of its weights is 1e-16 off its bound and
            # passes for free: its threshold is an end of the interval, its border is ours
            theirs = theirs + (expected - theirs)[0]
        np.testing.assert_allclose(expected, theirs, rtol=0, atol=1e-4)  # its kernel is float32


def test_nearly_singular_gram_matrices_lose_no_digits():
    # conditions of 1e8, where the closed form would be off by 1e-5: exact weights instead
    points = _points(8, 4, 15, scale=1.8, signal=0.0, decay=2.0, seed=499632756)
    decisions, _ = _decide(points, cost=0.2)
    y = 1.0 - 2.0 * _classes(8)
    for pair, fold, training, test in _folds(points):
        middle = training.mean(axis=0)
        training, test = training - middle, test - middle
        weights, threshold = solve_svm(training @ training.T, y, 0.2)
        expected = test @ training.T @ weights + threshold
        np.testing.assert_allclose(decisions[pair, fold], expected, rtol=0, atol=1e-8)


def test_tiny_values_keep_the_threshold():
    # With all weights at C decision values go with the square of the data. In tesla libsvm's
    # threshold vanishes beside the labels; ours does not.
    points = _points(6, 9, 60, scale=1e-3, signal=0.3, seed=4)
    plain, _ = _decide(points)
    tiny, ways = _decide(1e-10 * points)
    np.testing.assert_allclose(1e20 * tiny, plain, rtol=1e-9)
    assert ways[2] == ways.sum()


def test_swapped_stimuli_change_the_sign_alone():
    points = _points(5, 2, 30, seed=6)
    one, two = _decide(points)[0], _decide(points[:, ::-1])[0]
    np.testing.assert_allclose(two, -one[:, :, ::-1], rtol=0, atol=1e-12)


def test_rotation_and_shift_of_all_patterns_change_nothing():
    points = _points(5, 6, 30, seed=7)
    turned, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))
    expected = _decide(points)[0]
    np.testing.assert_allclose(_decide(points @ turned)[0], expected, rtol=0, atol=1e-10)
    shifted = _decide(points + 1e4)[0]
    np.testing.assert_allclose(shifted, expected, rtol=0, atol=1e-8)  # 1e4 takes four digits


@pytest.mark.parametrize("classifier", ["svm", "lda"])
def test_cut_into_panels_is_the_same(classifier, monkeypatch):
    points = _points(4, 23, 30, seed=8)
    whole, _ = _decide(points, classifier)
    monkeypatch.setattr(decoding, "_PANEL_BYTES", 8 * 16 * 23 * 3)
    assert len(decoding._row_blocks(23, 4)) > 3
    np.testing.assert_allclose(_decide(points, classifier)[0], whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_groups", [3, 6])
@pytest.mark.parametrize("n_channels", [4, 100])
def test_lda_equals_scikit_learn(n_groups, n_channels):
    points = _points(n_groups, 6, n_channels, signal=0.5, decay=30, seed=9)
    decisions, _ = _decide(points, "lda")
    classes = _classes(n_groups)
    for pair, fold, training, test in _folds(points):
        means = np.stack([training[classes == c].mean(axis=0) for c in (0, 1)])
        peer = LedoitWolf(assume_centered=True).fit(training - means[classes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=peer.shrinkage_)
            expected = -lda.fit(training, classes).decision_function(test)
        # relative: where shrinkage is slight, both invert a nearly singular matrix
        np.testing.assert_allclose(decisions[pair, fold], expected, rtol=1e-8, atol=1e-10)


def test_lda_without_residuals_takes_the_nearer_mean():
    points = np.repeat(np.array([[[3.0, 4.0], [0.0, 0.0]]]), 3, axis=0)
    np.testing.assert_allclose(_decide(points, "lda")[0], np.tile([12.5, -12.5], (1, 3, 1)))


def test_groups_share_no_trial_and_take_turns():
    groups = draw_groups(["a", "b"], [7, 11], 3, n_repeats=40, seed=0)
    assert groups.shape == (40, 2, 2, 3)
    for repeat in groups:
        for stimulus, trials in enumerate([range(7), range(7, 18)]):
            drawn = repeat[:, stimulus].ravel().tolist()
            assert len(set(drawn)) == 6
            assert set(drawn) <= set(trials)
    # every trial takes part in some repeat, and no two repeats are alike
    assert set(groups.ravel().tolist()) == set(range(18))
    assert len({repeat.tobytes() for repeat in groups}) == 40


def test_groups_hang_on_name_seed_and_repeat_alone():
    one = draw_groups(["a", "b", "c"], [9, 9, 9], 3, n_repeats=5, seed=4)
    two = draw_groups(["c", "a"], [9, 9], 3, n_repeats=8, seed=4)
    np.testing.assert_array_equal(one[:, :, 0], two[:5, :, 1] - 9)
    np.testing.assert_array_equal(one[:, :, 2] - 18, two[:5, :, 0])
    other = draw_groups(["a", "b", "c"], [9, 9, 9], 3, n_repeats=5, seed=5)
    assert (other != one).any(axis=(1, 2, 3)).all()


def test_average_equals_numpy():
    trials = np.random.default_rng(0).normal(size=(20, 7))
    groups = draw_groups(["a", "b"], [8, 12], 4, n_repeats=1, seed=0)[0]
    means = np.empty((4, 7))
    average_groups(trials, groups, means)
    expected = trials[groups].mean(axis=2).reshape(4, 7)
    np.testing.assert_allclose(means, expected, rtol=0, atol=1e-15)
