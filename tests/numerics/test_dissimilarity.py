import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist, squareform

from neurodnn._checks import InputError
from neurodnn.numerics import dissimilarity
from neurodnn.numerics.covariance import centred_by_run, precision_of, shrunk_covariance
from neurodnn.numerics.crossnobis import crossnobis_per_fold
from neurodnn.numerics.dissimilarity import (
    METRICS,
    correlation_distance,
    cosine_distance,
    crossnobis_distance,
    euclidean_distance,
    mahalanobis_distance,
)
from neurodnn.numerics.features import usable_features


@pytest.fixture
def patterns():
    return np.random.default_rng(1).normal(size=(12, 40)) + 3.0


@pytest.fixture
def golden():
    """Golden set G1 of the design: folds and the precision of their noise."""
    rng = np.random.default_rng(20260101)
    folds = rng.normal(size=(3, 6, 8))
    residuals = rng.normal(size=(60, 8))
    assert folds[2, 5, 7] == 0.7019533027568167  # numpy's stream is the one that was frozen
    precision = precision_of(shrunk_covariance(centred_by_run(residuals)).covariance)
    np.testing.assert_allclose(precision, prec_from_residuals(residuals), atol=1e-13)
    return folds, precision


def some_precision(n):
    mixing = np.random.default_rng(7).normal(size=(n, 3 * n))
    return np.linalg.inv(mixing @ mixing.T / n)


def crossnobis_by_hand(folds, precision):
    """Leave one run out, test it against the mean of the others, pair by pair."""
    n = folds.shape[1]
    values = []
    for i in range(n):
        for j in range(i + 1, n):
            products = []
            for left_out in range(len(folds)):
                others = np.delete(folds, left_out, axis=0).mean(axis=0)
                own = folds[left_out]
                products.append((own[i] - own[j]) @ precision @ (others[i] - others[j]))
            values.append(np.mean(products) / folds.shape[2])
    return np.array(values)


def test_correlation_equals_scipy(patterns):
    expected = pdist(patterns, "correlation")
    np.testing.assert_allclose(correlation_distance(patterns), expected, rtol=0, atol=1e-12)


def test_cosine_equals_scipy(patterns):
    expected = pdist(patterns, "cosine")
    np.testing.assert_allclose(cosine_distance(patterns), expected, rtol=0, atol=1e-12)
    for scale in (1e-180, 1e180):
        found = cosine_distance(patterns * scale)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.ptp(np.abs(cosine_distance(patterns) - cosine_distance(patterns - 3))) > 0.1


def test_cosine_of_copies_is_zero_and_of_a_zero_pattern_undefined(patterns):  # traps 5, 9
    patterns[3] = patterns[0] * 0.3
    patterns[4] = 0.0
    found = squareform(cosine_distance(patterns), checks=False)
    assert found[0, 3] == 0
    assert np.isnan(np.delete(found[4], 4)).all()
    assert np.isfinite(np.delete(np.delete(found, 4, 0), 4, 1)).all()


def test_euclidean_equals_scipy(patterns):
    expected = pdist(patterns, "sqeuclidean") / 40
    np.testing.assert_allclose(euclidean_distance(patterns), expected, rtol=0, atol=1e-12)


def test_mahalanobis_equals_scipy(patterns):
    precision = some_precision(40)
    expected = pdist(patterns, "mahalanobis", VI=precision) ** 2 / 40
    np.testing.assert_allclose(mahalanobis_distance(patterns, precision), expected, rtol=1e-10)


@pytest.mark.parametrize("noise", [True, False])
def test_crossnobis_equals_rsatoolbox_and_the_hand_loop(noise):
    folds = np.random.default_rng(2).normal(size=(4, 7, 15))
    precision = some_precision(15) if noise else np.eye(15)
    ours = crossnobis_distance(folds, precision if noise else None)
    dataset = Dataset(
        folds.reshape(28, 15),
        obs_descriptors={"c": [f"c{i}" for i in range(7)] * 4, "run": np.repeat(range(4), 7)},
    )
    peer = calc_rdm(dataset, "crossnobis", descriptor="c", noise=precision, cv_descriptor="run")
    np.testing.assert_allclose(ours, peer.dissimilarities[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours, crossnobis_by_hand(folds, precision), rtol=0, atol=1e-10)


def per_fold_by_hand(folds, covariances):
    n, values = folds.shape[1], []
    for i in range(n):
        for j in range(i + 1, n):
            parts = [
                (folds[a, i] - folds[a, j])
                @ np.linalg.inv((covariances[a] + covariances[b]) / 2)
                @ (folds[b, i] - folds[b, j])
                for a in range(len(folds))
                for b in range(a)
            ]
            values.append(np.mean(parts) / folds.shape[2])
    return np.array(values)


def test_crossnobis_per_fold_equals_rsatoolbox_and_the_hand_loop():
    folds = np.random.default_rng(2).normal(size=(4, 7, 15))
    mixing = np.random.default_rng(3).normal(size=(4, 15, 45))
    covariances = mixing @ mixing.transpose(0, 2, 1) / 45 * np.arange(1, 5)[:, None, None]
    ours = crossnobis_per_fold(folds, covariances)
    dataset = Dataset(
        folds.reshape(28, 15),
        obs_descriptors={"c": [f"c{i}" for i in range(7)] * 4, "run": np.repeat(range(4), 7)},
    )
    precisions = [np.linalg.inv(covariance) for covariance in covariances]
    peer = calc_rdm(dataset, "crossnobis", descriptor="c", noise=precisions, cv_descriptor="run")
    np.testing.assert_allclose(ours, peer.dissimilarities[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours, per_fold_by_hand(folds, covariances), rtol=0, atol=1e-10)
    same = crossnobis_per_fold(folds, [covariances[0]] * 4)
    expected = crossnobis_distance(folds, precisions[0])
    np.testing.assert_allclose(same, expected, rtol=0, atol=1e-10)
    order = [2, 0, 3, 1]  # runs in another order
    turned = crossnobis_per_fold(folds[order], covariances[order])
    np.testing.assert_allclose(turned, ours, rtol=0, atol=1e-12)
    folds[:, :, 4] = 1.0  # a channel that says nothing: as if never measured
    kept = np.delete(np.arange(15), 4)
    clean = crossnobis_per_fold(folds[:, :, kept], covariances[:, kept][:, :, kept])
    np.testing.assert_allclose(crossnobis_per_fold(folds, covariances), clean, rtol=0, atol=1e-12)


def test_crossnobis_per_fold_refuses_what_does_not_fit():
    folds = np.random.default_rng(2).normal(size=(3, 5, 4))
    with pytest.raises(InputError, match="folds x features x features"):
        crossnobis_per_fold(folds, np.eye(4))
    with pytest.raises(InputError, match="of folds 1 and 2 is not positive definite"):
        crossnobis_per_fold(folds, -np.stack([np.eye(4)] * 3))
    with pytest.raises(InputError, match="at least two folds"):
        crossnobis_per_fold(folds[:1], [np.eye(4)])
    assert np.isnan(crossnobis_per_fold(np.ones((3, 5, 4)), [np.eye(4)] * 3)).all()


def test_golden_values(golden):
    folds, precision = golden
    mean = folds.mean(axis=0)
    values = {
        "correlation": correlation_distance(mean),
        "euclidean": euclidean_distance(mean),
        "mahalanobis": mahalanobis_distance(mean, precision),
        "crossnobis": crossnobis_distance(folds, precision),
        "white": crossnobis_distance(folds),
    }
    expected = {
        "correlation": [0.7505382637, 0.9076622176, 0.8225883491, 0.6036956948, 13.9486268187],
        "euclidean": [0.7424348931, 0.8033516771, 0.7770918317, 0.5997312538, 9.7347810615],
        "mahalanobis": [0.7586880025, 0.8457494985, 0.7535364713, 0.6115644369, 9.7547876928],
        "crossnobis": [0.0947960265, 0.2350448381, 0.2186452248, -0.0828447692, 1.5152592956],
        "white": [0.1073626099, 0.2163552372, 0.2822861004, -0.0726652583, 1.7347042374],
    }
    for name, row in values.items():
        np.testing.assert_allclose([*row[:4], row.sum()], expected[name], rtol=0, atol=1e-10)
    assert (values["crossnobis"] < 0).sum() == (values["white"] < 0).sum() == 5


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("fault", [np.nan, np.inf, 0.7, 0.0, -1e300])
def test_a_bad_or_constant_feature_counts_as_never_measured(patterns, metric, fault):
    values = patterns
    spoiled = np.insert(patterns, 5, fault, axis=1)
    if not np.isfinite(fault):
        spoiled[:, 5] = 1.5
        spoiled[3, 5] = fault  # one condition is enough
    if metric == "crossnobis":
        values = np.stack([values, values[:, ::-1]])
        spoiled = np.stack([spoiled, np.insert(values[1], 5, spoiled[:, 5], axis=1)])
    noise = {}
    if metric == "mahalanobis":
        full = np.linalg.inv(some_precision(41))
        others = np.delete(np.delete(full, 5, 0), 5, 1)
        clean = mahalanobis_distance(values, np.linalg.inv(others))
        noise = {"precision": np.linalg.inv(full)}
        np.testing.assert_allclose(METRICS[metric](spoiled, **noise), clean, rtol=1e-9)
    else:
        np.testing.assert_array_equal(METRICS[metric](spoiled), METRICS[metric](values))


def test_a_feature_constant_in_one_fold_was_not_measured_there():
    folds = np.random.default_rng(0).normal(size=(3, 5, 4))
    folds[1, :, 2] = 0.0
    assert usable_features(folds).tolist() == [True, True, False, True]
    clean = np.delete(folds, 2, axis=2)
    np.testing.assert_array_equal(crossnobis_distance(folds), crossnobis_distance(clean))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.7, 1e-13, 1e13])
def test_a_constant_pattern_has_no_correlation(patterns, value):
    spoiled = patterns.copy()
    spoiled[4] = value
    square = squareform(correlation_distance(spoiled))
    off_diagonal = ~np.eye(12, dtype=bool)
    assert np.isnan(square[4][off_diagonal[4]]).all()
    rest = np.delete(np.delete(square, 4, 0), 4, 1)[np.triu_indices(11, 1)]
    expected = correlation_distance(np.delete(patterns, 4, axis=0))
    np.testing.assert_allclose(rest, expected, rtol=0, atol=1e-15)


def test_without_usable_features_all_is_undefined():
    for metric in ("correlation", "cosine", "euclidean"):
        assert np.isnan(METRICS[metric](np.ones((4, 3)))).all()
    assert np.isnan(mahalanobis_distance(np.ones((4, 3)), np.eye(3))).all()
    assert np.isnan(crossnobis_distance(np.ones((2, 4, 3)))).all()
    assert np.isnan(correlation_distance([[1.0], [2.0], [4.0]])).all()  # one feature
    assert np.isfinite(euclidean_distance([[1.0], [2.0], [4.0]])).all()


def test_zero_up_to_rounding_is_zero():
    """Golden set G5: patterns that are scaled and shifted copies of one another."""
    rng = np.random.default_rng(11)
    base = rng.standard_normal(95)
    copies = np.outer(rng.uniform(0.5, 2, 30), base) + rng.standard_normal((30, 1))
    assert (pdist(copies, "correlation") != 0).any()  # what must not be ranked
    np.testing.assert_array_equal(correlation_distance(copies), np.zeros(435))
    same = np.repeat(base[None] * 1e5, 4, axis=0)
    same[3] += rng.standard_normal(95)
    assert (euclidean_distance(same)[[0, 1, 3]] == 0).all()


def test_float32_values_are_summed_in_float64():
    """Golden set G9: one-pass float32 sums give .457 here."""
    rng = np.random.default_rng(9)
    z, w = rng.standard_normal(300), rng.standard_normal(300)
    pair = np.float32([10000 + 20 * z, 10000 + 20 * (0.5 * z + np.sqrt(0.75) * w)])
    assert 1 - correlation_distance(pair)[0] == pytest.approx(0.4666271584721977, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-13, 1e13])
def test_units_do_not_matter(patterns, scale):
    expected = correlation_distance(patterns)
    np.testing.assert_allclose(correlation_distance(patterns * scale), expected, rtol=1e-10)
    squared = euclidean_distance(patterns)
    np.testing.assert_allclose(euclidean_distance(patterns * scale) / scale**2, squared, 1e-10)


def test_mixed_magnitudes_of_sensors(patterns):
    mixed = patterns * np.where(np.arange(40) % 2, 1e-15, 1e-11)
    expected = pdist(mixed, "correlation")
    np.testing.assert_allclose(correlation_distance(mixed), expected, rtol=0, atol=1e-12)


def test_blocks_of_features_equal_the_whole(patterns, monkeypatch):
    whole = {name: METRICS[name](patterns) for name in ("correlation", "cosine", "euclidean")}
    monkeypatch.setattr(dissimilarity, "_FEATURES_PER_BLOCK", 7)
    for name, expected in whole.items():
        np.testing.assert_allclose(METRICS[name](patterns), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("metric", ["correlation", "cosine", "euclidean"])
def test_any_memory_layout_gives_the_same_bits(patterns, metric, tmp_path):
    expected = METRICS[metric](patterns)
    read_only = patterns.copy()
    read_only.flags.writeable = False
    on_disk = np.memmap(tmp_path / "values", dtype=float, mode="w+", shape=patterns.shape)
    on_disk[:] = patterns
    strided = np.repeat(patterns, 2, axis=1)[:, ::2]
    for other in (np.asfortranarray(patterns), strided, read_only, on_disk,
                  patterns.astype(">f8")):  # fmt: skip
        np.testing.assert_array_equal(METRICS[metric](other), expected)


@given(st.integers(0, 10_000))
def test_properties_of_all_metrics(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(3, 8)), int(rng.integers(3, 12))
    folds = rng.normal(size=(3, n, p)) * rng.uniform(0.1, 10)
    values = folds[0]
    order, columns = rng.permutation(n), rng.permutation(p)
    for name in ("correlation", "cosine", "euclidean"):
        distances = METRICS[name](values)
        assert (distances >= 0).all()
        permuted = squareform(METRICS[name](values[order]))
        np.testing.assert_allclose(permuted, squareform(distances)[np.ix_(order, order)],
                                   rtol=1e-12, atol=1e-13)  # fmt: skip
        np.testing.assert_allclose(METRICS[name](values[:, columns]), distances, 1e-12, 1e-13)
        np.testing.assert_allclose(METRICS[name](np.repeat(values, 2, 1)), distances, 1e-12, 1e-13)
        subset = METRICS[name](values[:2])
        assert subset[0] == pytest.approx(distances[0], rel=1e-12, abs=1e-13)
    gain, shift = rng.uniform(0.5, 2, (n, 1)), rng.normal(size=(n, 1))
    np.testing.assert_allclose(
        correlation_distance(values * gain + shift), correlation_distance(values), 1e-10, 1e-12
    )
    rotation = np.linalg.qr(rng.normal(size=(p, p)))[0]
    np.testing.assert_allclose(
        euclidean_distance(values @ rotation + shift[0]), euclidean_distance(values), 1e-10, 1e-12
    )
    both = np.concatenate([folds[0], folds[1]], axis=1)
    added = euclidean_distance(folds[0]) + euclidean_distance(folds[1])
    np.testing.assert_allclose(2 * euclidean_distance(both), added, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        crossnobis_distance(folds[::-1]), crossnobis_distance(folds), rtol=1e-9, atol=1e-12
    )


def test_crossnobis_is_centred_on_zero_without_signal():
    folds = np.random.default_rng(4).normal(size=(300, 2, 5, 20))
    means = np.array([crossnobis_distance(fold).mean() for fold in folds])
    assert abs(means.mean()) < 4 * means.std() / np.sqrt(300)
    share = np.mean([crossnobis_distance(fold) < 0 for fold in folds])
    assert 0.45 < share < 0.55


def test_refusals():
    with pytest.raises(InputError, match="conditions x features"):
        correlation_distance([1.0, 2.0])
    with pytest.raises(InputError, match="at least two folds"):
        crossnobis_distance(np.ones((1, 3, 4)))
    with pytest.raises(InputError, match="features x features"):
        mahalanobis_distance(np.eye(3), np.eye(2))
    with pytest.raises(InputError, match="not positive definite"):
        mahalanobis_distance(np.eye(3), -np.eye(3))


@pytest.mark.parametrize(
    ("distance", "n_features"), [(correlation_distance, 2), (cosine_distance, 1)]
)
def test_opposite_patterns_are_exactly_two_apart(distance, n_features):
    # Ranks of distances that differ by rounding alone would follow the unit of the patterns.
    rng = np.random.default_rng(0)
    for unit in (1.0, 3.0, 0.7):
        found = distance(unit * rng.normal(size=(12, n_features)))
        assert set(found) == {0.0, 2.0}
