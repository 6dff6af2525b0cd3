"""RDMs of patterns, and the door where stimuli meet by name."""

from __future__ import annotations

import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.data.noise import prec_from_residuals
from rsatoolbox.rdm import RDMs, calc_rdm
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.conditions import condition_folds, condition_means
from neurodnn.rsa.names import canonical_order, labels_of, names_of, stimulus_names
from neurodnn.rsa.noise import fold_freedom
from neurodnn.rsa.rdm import align_rdms, align_to, compute_rdms
from neurodnn.rsa.searchlight import searchlight

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"
NAMES = [f"c{i}" for i in range(6)]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture
def runs(golden):
    """G1: 3 runs x 6 conditions x 8 channels."""
    return Dataset(
        golden["folds"].reshape(-1, 8),
        obs_descriptors={"stimulus": NAMES * 3, "run": list(np.repeat(["1", "2", "3"], 6))},
    )


@pytest.fixture
def residuals(golden):
    return Dataset(golden["residuals"])


def _dataset(n=5, channels=12, seed=0, names=None):
    values = np.random.default_rng(seed).normal(size=(n, channels))
    return Dataset(values, obs_descriptors={"stimulus": names or [f"s{i}" for i in range(n)]})


def _rdms(n=5, seed=0, names=None, k=2):
    values = np.random.default_rng(seed).random((k, n * (n - 1) // 2))
    names = names or [f"s{i}" for i in range(n)]
    return RDMs(values, pattern_descriptors={"stimulus": names})


# ---- golden set and live oracles


@pytest.mark.parametrize("metric", ["correlation", "euclidean", "mahalanobis", "crossnobis"])
def test_golden_distances(metric, runs, residuals, golden):  # G1
    noise = residuals if metric in ("mahalanobis", "crossnobis") else None
    found = compute_rdms(runs, metric=metric, residuals=noise)
    tolerance = 1e-12 if noise is None else 1e-10
    np.testing.assert_allclose(found.dissimilarities[0], golden[metric], rtol=0, atol=tolerance)
    assert names_of(found) == NAMES
    assert found.dissimilarity_measure == metric


def test_golden_crossnobis_with_white_noise(runs, golden):  # G1, trap 22
    found = compute_rdms(runs, metric="crossnobis").dissimilarities[0]
    np.testing.assert_allclose(found, golden["crossnobis_white"], rtol=0, atol=1e-12)
    assert (found < 0).sum() == 5
    assert found.sum() == pytest.approx(1.7347042374, abs=5e-10)


@pytest.mark.parametrize(
    ("metric", "peer", "scale"),
    [("correlation", "correlation", 1), ("cosine", "cosine", 1),
     ("euclidean", "sqeuclidean", 1 / 12)],
)  # fmt: skip
def test_scipy_agrees(metric, peer, scale):
    data = _dataset(7)
    found = compute_rdms(data, metric=metric).dissimilarities[0]
    np.testing.assert_allclose(found, pdist(data.measurements, peer) * scale, rtol=0, atol=1e-12)


def test_rsatoolbox_agrees_where_conditions_are_sorted():
    data = _dataset(6, names=list("abcdef"))
    ours = compute_rdms(data).dissimilarities
    np.testing.assert_allclose(
        ours, calc_rdm(data, "correlation", "stimulus").dissimilarities, rtol=0, atol=1e-12
    )


def test_crossnobis_equals_a_loop_over_runs_left_out(runs, golden):  # trap 23
    folds, expected = golden["folds"], []
    for i in range(6):
        for j in range(i + 1, 6):
            difference = folds[:, i] - folds[:, j]
            parts = [
                difference[k] @ np.delete(difference, k, axis=0).mean(axis=0) for k in range(3)
            ]
            expected.append(np.mean(parts) / 8)
    found = compute_rdms(runs, metric="crossnobis").dissimilarities[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


# ---- noise of each run


@pytest.fixture
def noise_by_run(golden):
    return Dataset(
        golden["residuals"] * np.repeat([1.0, 2.0, 3.0], 20)[:, None],
        obs_descriptors={"run": list(np.repeat(["1", "2", "3"], 20))},
    )


def _per_fold(patterns, noise, **options):
    return compute_rdms(patterns, metric="crossnobis", residuals=noise, noise="per-fold", **options)


def test_noise_per_fold_equals_rsatoolbox(runs, noise_by_run):
    parts = np.split(noise_by_run.measurements, 3)
    precisions = [prec_from_residuals(part, method="shrinkage_diag") for part in parts]
    peer = calc_rdm(runs, "crossnobis", "stimulus", noise=precisions, cv_descriptor="run")
    found = _per_fold(runs, noise_by_run).dissimilarities
    np.testing.assert_allclose(found, peer.dissimilarities, rtol=0, atol=1e-10)
    pooled = compute_rdms(runs, metric="crossnobis", residuals=noise_by_run).dissimilarities
    assert np.abs(found - pooled).max() > 1e-3


def test_noise_per_fold_goes_with_the_names_of_runs(runs, noise_by_run):
    expected = _per_fold(runs, noise_by_run).dissimilarities
    order = np.random.default_rng(0).permutation(3).repeat(20) * 20 + np.tile(np.arange(20), 3)
    turned = Dataset(
        noise_by_run.measurements[order],
        obs_descriptors={"run": [noise_by_run.obs_descriptors["run"][i] for i in order]},
    )
    np.testing.assert_array_equal(_per_fold(runs, turned).dissimilarities, expected)
    numbers = Dataset(noise_by_run.measurements, obs_descriptors={"run": np.repeat([1, 2, 3], 20)})
    np.testing.assert_array_equal(_per_fold(runs, numbers).dissimilarities, expected)


def test_degrees_of_freedom_are_shared_out_by_length():
    values = np.random.default_rng(0).normal(size=(30, 4))
    noise = Dataset(
        values, obs_descriptors={"run": ["a"] * 20 + ["b"] * 10},
        descriptors={"degrees_of_freedom": 14},
    )  # fmt: skip
    rows, degrees = fold_freedom(noise, ["b", "a"])
    assert [own.tolist() for own in rows] == [list(range(20, 30)), list(range(20))]
    np.testing.assert_allclose(degrees, [9 / 28 * 14, 19 / 28 * 14], rtol=1e-15)
    assert fold_freedom(Dataset(values, obs_descriptors=noise.obs_descriptors), ["a", "b"])[1] == [
        19.0, 9.0,
    ]  # fmt: skip


def test_a_channel_flat_in_one_run_is_left_out(runs, noise_by_run):
    flat = noise_by_run.measurements.copy()
    flat[20:40, 5] = 0.7
    found = _per_fold(runs, Dataset(flat, obs_descriptors=noise_by_run.obs_descriptors))
    kept = np.delete(np.arange(8), 5)
    clean = _per_fold(
        Dataset(runs.measurements[:, kept], obs_descriptors=runs.obs_descriptors),
        Dataset(flat[:, kept], obs_descriptors=noise_by_run.obs_descriptors),
    )
    np.testing.assert_allclose(found.dissimilarities, clean.dissimilarities, rtol=0, atol=1e-12)


def test_noise_per_fold_refuses_what_it_cannot_do(runs, residuals, noise_by_run):
    with pytest.raises(InputError, match="per-fold noise needs crossnobis and residuals"):
        compute_rdms(runs, metric="mahalanobis", residuals=noise_by_run, noise="per-fold")
    with pytest.raises(InputError, match="per-fold noise needs crossnobis and residuals"):
        compute_rdms(runs, metric="crossnobis", noise="per-fold")
    with pytest.raises(InputError, match="noise per fold needs runs"):
        _per_fold(runs, residuals)
    two = Dataset(
        noise_by_run.measurements[:40],
        obs_descriptors={"run": noise_by_run.obs_descriptors["run"][:40]},
    )
    with pytest.raises(InputError, match=r"runs of the residuals \(1, 2\) are not those"):
        _per_fold(runs, two)
    short = Dataset(
        noise_by_run.measurements[:41],
        obs_descriptors={"run": noise_by_run.obs_descriptors["run"][:41]},
    )
    with pytest.raises(InputError, match="too few time points in run 3"):
        _per_fold(runs, short)
    with pytest.raises(InputError, match="there are none for IT"):
        compute_rdms({"V1": runs, "IT": runs}, metric="crossnobis", residuals={"V1": residuals})
    with pytest.raises(InputError, match="Did you mean per-fold"):
        compute_rdms(runs, metric="crossnobis", residuals=noise_by_run, noise="per_fold")


# ---- order, repeats, channels


@pytest.mark.parametrize(
    "metric", ["correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"]
)
def test_order_of_observations_changes_no_bit(metric, runs, residuals):  # traps 1, 23
    noise = residuals if metric in ("mahalanobis", "crossnobis") else None
    order = np.random.default_rng(1).permutation(18)
    shuffled = Dataset(
        runs.measurements[order],
        obs_descriptors={
            key: [runs.obs_descriptors[key][i] for i in order] for key in ("stimulus", "run")
        },
    )
    one = compute_rdms(runs, metric=metric, residuals=noise)
    two = compute_rdms(shuffled, metric=metric, residuals=noise)
    # first appearance decides the order of what comes out
    assert names_of(two) == list(dict.fromkeys(shuffled.obs_descriptors["stimulus"]))
    np.testing.assert_array_equal(one.dissimilarities, align_to(NAMES, two).dissimilarities)


def test_stimuli_called_by_numbers_keep_their_order():  # K9: as strings 10 comes before 2
    names = [str(i) for i in range(12)]
    data = _dataset(12, names=names)
    found = compute_rdms(data)
    assert names_of(found) == names
    expected = pdist(data.measurements, "correlation")
    np.testing.assert_allclose(found.dissimilarities[0], expected, rtol=0, atol=1e-12)
    peer = calc_rdm(data, "correlation", "stimulus")
    assert list(peer.pattern_descriptors["stimulus"]) == sorted(names)


def test_repeats_are_averaged_over_runs(runs, golden):  # trap 2
    averaged = Dataset(golden["folds"].mean(axis=0), obs_descriptors={"stimulus": NAMES})
    np.testing.assert_allclose(
        compute_rdms(runs).dissimilarities,
        compute_rdms(averaged).dissimilarities,
        rtol=0, atol=1e-14,
    )  # fmt: skip


def test_presentations_within_a_run_count_as_one():
    values = np.array([[0.0, 0], [2, 2], [4, 4], [9, 1]])
    data = Dataset(
        values, obs_descriptors={"stimulus": ["a", "a", "a", "b"], "run": ["1", "1", "2", "1"]}
    )
    np.testing.assert_array_equal(condition_means(data).patterns, [[2.5, 2.5], [9, 1]])


def test_repeats_without_runs_are_refused():
    data = _dataset(5, names=["a", "b", "a", "c", "d"])
    with pytest.raises(InputError, match="a occur more than once, and no run"):
        compute_rdms(data)


def test_stimulus_missing_from_a_run_is_named(runs):  # trap 24
    part = Dataset(
        runs.measurements[:-1],
        obs_descriptors={key: runs.obs_descriptors[key][:-1] for key in ("stimulus", "run")},
    )
    with pytest.raises(InputError, match=r"these are missing: c5 \(run 3\)"):
        compute_rdms(part, metric="crossnobis")


def test_crossnobis_needs_two_runs(runs):
    with pytest.raises(InputError, match="crossnobis needs runs"):
        compute_rdms(_dataset(), metric="crossnobis")
    one = Dataset(runs.measurements[:6], obs_descriptors={"stimulus": NAMES, "run": ["1"] * 6})
    with pytest.raises(InputError, match="at least two runs"):
        compute_rdms(one, metric="crossnobis")


@pytest.mark.parametrize(
    "metric", ["correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"]
)
@pytest.mark.parametrize("value", [np.nan, 0.7])
def test_missing_or_constant_channel_is_as_if_never_measured(
    metric, value, runs, residuals
):  # P9, P10, traps 6, 8
    noise = residuals if metric in ("mahalanobis", "crossnobis") else None
    clean = compute_rdms(runs, metric=metric, residuals=noise)
    wide = Dataset(
        np.insert(runs.measurements, 3, value, axis=1), obs_descriptors=runs.obs_descriptors
    )
    extra = np.random.default_rng(9).normal(size=60)
    wider_noise = noise and Dataset(np.insert(noise.measurements, 3, extra, axis=1))
    found = compute_rdms(wide, metric=metric, residuals=wider_noise)
    np.testing.assert_allclose(
        found.dissimilarities, clean.dissimilarities, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize(("metric", "value"), [("correlation", 1.5), ("cosine", 0.0)])
def test_constant_pattern_is_named_and_nan(metric, value):  # trap 9
    data = _dataset()
    data.measurements[2] = value
    with pytest.warns(DataWarning, match="s2 are undefined"):
        found = compute_rdms(data, metric=metric).dissimilarities[0]
    found = squareform(found, checks=False)
    assert np.isnan(np.delete(found[2], 2)).all()
    assert np.isfinite(np.delete(np.delete(found, 2, 0), 2, 1)).all()


def test_several_sets_are_labelled_and_matched_by_name():
    first = _dataset(5)
    order = [3, 1, 4, 0, 2]
    second = Dataset(first.measurements[order], obs_descriptors={
        "stimulus": [f"s{i}" for i in order]})  # fmt: skip
    found = compute_rdms({"conv1": first, "conv2": second})
    assert found.rdm_descriptors["reference"] == ["conv1", "conv2"]
    np.testing.assert_array_equal(found.dissimilarities[0], found.dissimilarities[1])
    with pytest.raises(InputError, match=r"conv1 \(5\) and conv2 \(4\) differ"):
        compute_rdms({"conv1": first, "conv2": _dataset(4)})


def test_labels_given_are_not_edited(runs):
    before = {key: list(value) for key, value in runs.obs_descriptors.items()}
    compute_rdms({"x": runs})
    assert {key: list(value) for key, value in runs.obs_descriptors.items()} == before


@pytest.mark.parametrize(
    ("patterns", "options", "match"),
    [
        (_dataset(3), {}, "too few stimuli"),
        (_dataset(), {"metric": "corelation"}, "Did you mean correlation"),
        (_dataset(), {"metric": "mahalanobis"}, "mahalanobis needs residuals"),
        (_dataset(), {"metric": "mahalanobis", "residuals": Dataset(np.eye(3))}, "other channels"),
        (np.eye(5), {}, "is not a Dataset"),
        (Dataset(np.eye(5), obs_descriptors={"stimuli": list("abcde")}), {}, "mean stimuli"),
        (Dataset(np.eye(5), obs_descriptors={"stimulus": ["a", "b", "", "c", "d"]}), {},
         "stimulus 3 has no name"),
        ({}, {}, "are empty"),
    ],
)  # fmt: skip
def test_refusals(patterns, options, match):
    with pytest.raises(InputError, match=match):
        compute_rdms(patterns, **options)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-13, 1.0, 1e13]))
def test_correlation_distance_ignores_units(seed, scale):  # P7, trap 21
    data = _dataset(seed=seed)
    scaled = Dataset(data.measurements * scale, obs_descriptors=data.obs_descriptors)
    np.testing.assert_allclose(
        compute_rdms(scaled).dissimilarities, compute_rdms(data).dissimilarities,
        rtol=1e-10, atol=1e-14,
    )  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1))
def test_subset_of_stimuli_is_the_sub_matrix(seed):  # P15
    data = _dataset(6, seed=seed)
    part = Dataset(
        data.measurements[[4, 1, 2, 5]], obs_descriptors={"stimulus": ["s4", "s1", "s2", "s5"]}
    )
    whole = squareform(compute_rdms(data).dissimilarities[0])[np.ix_([4, 1, 2, 5], [4, 1, 2, 5])]
    found = squareform(compute_rdms(part).dissimilarities[0])
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)


def test_memory_layout_is_irrelevant(tmp_path):  # P14
    data = _dataset(5, 9).measurements
    on_disk = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=data.shape)
    on_disk[:] = data
    frozen = data.copy()
    frozen.setflags(write=False)
    expected = compute_rdms(_dataset(5, 9)).dissimilarities
    for same in (np.asfortranarray(data), data[::-1][::-1], on_disk, frozen, data.astype(">f8")):
        names = {"stimulus": [f"s{i}" for i in range(5)]}
        found = compute_rdms(Dataset(same, obs_descriptors=names))
        np.testing.assert_allclose(found.dissimilarities, expected, rtol=0, atol=1e-14)


# ---- the door


def test_reordered_side_gives_the_same_bits():  # trap 1
    rdms = _rdms()
    other = align_to(["s3", "s0", "s4", "s2", "s1"], rdms)
    assert names_of(other) == ["s3", "s0", "s4", "s2", "s1"]
    for left, right in (align_rdms(rdms, other), align_rdms(other, rdms)):
        assert names_of(left) == names_of(right) == ["s0", "s1", "s2", "s3", "s4"]
        np.testing.assert_array_equal(left.dissimilarities, right.dissimilarities)


@given(order=st.permutations(range(6)))
def test_align_to_permutes_the_matrix(order):  # P4
    rdms = _rdms(6, names=NAMES)
    found = align_to([NAMES[i] for i in order], rdms)
    expected = rdms.get_matrices()[:, order][:, :, order]
    np.testing.assert_array_equal(found.get_matrices(), expected)


def test_difference_lists_both_sides_and_suggests():  # B44, trap 3
    with pytest.raises(InputError) as caught:
        canonical_order(
            ["face_03", "house", "x"], ["house", "face_3", "y", "z"], "the brain", "the layers"
        )
    text = str(caught.value)
    assert "Only in the brain: face_03, x." in text
    assert "Only in the layers: face_3, y, z." in text
    assert "Did you mean face_3" in text


def test_long_differences_are_shortened():
    with pytest.raises(InputError, match="q09 and 15 more"):
        canonical_order([f"q{i:02d}" for i in range(25)], ["z"])


def test_names_twice_are_refused():  # B43
    with pytest.raises(InputError, match=r"b: stimulus names must be unique.*cat \(2 times\)"):
        canonical_order(["cat", "dog"], ["cat", "cat "])


def test_unicode_forms_and_spaces_are_the_same_name():  # trap 3
    composed, apart = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    index_a, index_b, names = canonical_order([composed, "b\u00a0"], ["b", apart])
    assert names == ["b", composed]
    assert (index_a.tolist(), index_b.tolist()) == ([1, 0], [0, 1])


def test_number_one_is_not_zero_one():  # trap 3
    with pytest.raises(InputError, match="Only in a: 1"):
        canonical_order([1, 2], ["01", "2"])


@pytest.mark.parametrize("value", [None, np.nan, "", "  ", 1.5, True])
def test_nameless_stimuli_are_refused(value):
    with pytest.raises(InputError, match="stimulus 2 has no name"):
        stimulus_names(["a", value])


def test_subset_only_if_asked_for():
    with pytest.warns(DataWarning, match="Only the 2 common stimuli are used"):
        _, index_b, names = canonical_order(["a", "b", "c"], ["c", "d", "a"], subset=True)
    assert names == ["a", "c"]
    assert index_b.tolist() == [2, 0]
    a, b = _rdms(5), _rdms(6)
    with pytest.warns(DataWarning):
        left, right = align_rdms(a, b, subset=True)
    assert left.n_cond == right.n_cond == 5
    np.testing.assert_array_equal(
        right.get_matrices(), b.get_matrices()[:, :5, :5]
    )


def test_by_position_is_possible_and_warned_of():
    a, b = _rdms(), _rdms(names=list("vwxyz"), seed=3)
    with pytest.raises(InputError):
        align_rdms(a, b)
    with pytest.warns(DataWarning, match="paired by position"):
        left, right = align_rdms(a, b, by_position=True)
    np.testing.assert_array_equal(right.dissimilarities, b.dissimilarities)
    assert names_of(left) == names_of(right)
    with pytest.raises(InputError, match="4 stimuli cannot be paired by position with 5"):
        align_rdms(a, _rdms(4), by_position=True)


def test_names_of_other_origin():
    descriptors = {"conds": list("abcd"), "size": [1, 2, 3, 4]}
    named = RDMs(np.ones((1, 6)), pattern_descriptors=descriptors)
    with pytest.warns(DataWarning, match="'conds' is taken"):
        assert names_of(named) == list("abcd")
    with pytest.raises(InputError, match="no names"):
        names_of(RDMs(np.ones((1, 6))))
    with pytest.raises(InputError, match="not an rsatoolbox RDMs"):
        names_of(np.ones((1, 6)))


def test_labels_come_back_as_text():
    rdms = RDMs(np.ones((2, 6)), rdm_descriptors={"reference": [b"conv1", np.str_("conv2")]})
    assert labels_of(rdms) == ("reference", ["conv1", "conv2"])


def test_aligning_edits_nothing_that_was_given():
    rdms = _rdms()
    before = rdms.dissimilarities.copy(), dict(rdms.pattern_descriptors)
    align_to(["s4", "s3", "s2", "s1", "s0"], rdms)
    np.testing.assert_array_equal(rdms.dissimilarities, before[0])
    assert rdms.pattern_descriptors == before[1]


def test_folds_come_in_order_of_runs(runs, golden):
    folds = condition_folds(runs)
    np.testing.assert_array_equal(folds.patterns, golden["folds"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert condition_means(runs).names == NAMES


def test_noise_has_the_degrees_of_freedom_that_the_design_left():
    rng = np.random.default_rng(1)
    design, noise = rng.normal(size=(100, 68)), rng.normal(size=(100, 30))
    left = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    names = list("abcdef")
    patterns = Dataset(rng.normal(size=(6, 30)), obs_descriptors={"stimulus": names})
    stated = Dataset(left, descriptors={"degrees_of_freedom": 32})
    found = compute_rdms(patterns, metric="mahalanobis", residuals=stated).dissimilarities
    # The noise is white and of unit variance: the truth is the plain distance.
    truth = compute_rdms(patterns, metric="euclidean").dissimilarities
    assert abs(found.mean() / truth.mean() - 1) < 0.1
    naive = compute_rdms(patterns, metric="mahalanobis", residuals=Dataset(left))
    assert naive.dissimilarities.mean() / truth.mean() > 2.5


def test_residuals_with_other_channels_are_refused():
    rng = np.random.default_rng(0)
    channels = {"voxel": [3, 5, 8]}
    patterns = Dataset(rng.normal(size=(5, 3)), obs_descriptors={"stimulus": list("abcde")},
                       channel_descriptors=channels)  # fmt: skip
    noise = rng.normal(size=(30, 3)) * [1, 10, 100]
    alike = Dataset(noise, channel_descriptors=channels)
    assert compute_rdms(patterns, metric="mahalanobis", residuals=alike).n_rdm == 1
    swapped = Dataset(noise[:, ::-1], channel_descriptors={"voxel": [8, 5, 3]})
    with pytest.raises(InputError, match="residuals.*voxel"):
        compute_rdms(patterns, metric="mahalanobis", residuals=swapped)
    with pytest.raises(InputError, match="residuals.*voxel"):
        searchlight(patterns, csr_array(np.ones((1, 3), bool)), compute_rdms(patterns),
                    metric="mahalanobis", residuals=swapped)  # fmt: skip
