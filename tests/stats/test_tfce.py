"""The TFCE test against enumeration by hand, MNE, nilearn, and its own symmetries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from graph_scores import all_t, assert_same, named, smooth_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.adjacency import combine_adjacency, grid_adjacency, line_adjacency
from neurodnn.numerics.tfce import tfce_scores
from neurodnn.stats import graph_maps
from neurodnn.stats.tfce import tfce_test

pytestmark = pytest.mark.filterwarnings("ignore:scores. the distribution:neurodnn.DataWarning")


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
@pytest.mark.parametrize("step", [None, 0.25])
def test_equals_enumeration_by_hand(tail, step):
    x = smooth_scores(7, (6, 5)).reshape(7, -1) + 0.3
    graph = grid_adjacency(np.ones((6, 5)), 4)
    flips = np.array([tfce_scores(t, graph, step=step) for t in all_t(x)])
    size = np.abs(flips) if tail == "two-sided" else np.maximum(flips, 0)
    test = tfce_test(x, graph, tail=tail, step=step)
    expected = flips[0] if tail == "two-sided" else np.maximum(flips[0], 0)
    np.testing.assert_allclose(test.tfce, expected, rtol=1e-10, atol=1e-12)
    reach = size[0] - 1e-9 * (1 + size[0])
    largest = size.max(axis=1)
    np.testing.assert_allclose(test.p_fwe, (largest[:, None] >= reach).mean(axis=0))


@pytest.mark.parametrize(("tail", "their_tail"), [("two-sided", 0), ("greater", 1)])
def test_equals_mne(tail, their_tail):  # correctness.md b4
    mne = pytest.importorskip("mne", minversion="1.13.2")
    mask = np.random.default_rng(2).random((6, 5, 4)) > 0.2
    graph = combine_adjacency(2, grid_adjacency(mask, 18))
    x = smooth_scores(8, (2, *mask.shape))[:, :, mask].reshape(8, -1) + 0.3
    t, _, p, null = mne.stats.permutation_cluster_1samp_test(
        x, threshold={"start": 0, "step": 0.2}, tail=their_tail, n_permutations="all",
        adjacency=graph.astype(int), verbose="ERROR",
    )  # fmt: skip
    test = tfce_test(x, graph, tail=tail, step=0.2)
    np.testing.assert_allclose(np.abs(test.tfce), np.abs(t), rtol=1e-10, atol=1e-12)
    rows = 256 if tail == "greater" else 128
    assert len(null) == rows - 1  # theirs lacks a flip
    difference = np.round(test.p_fwe * rows) - np.round(np.reshape(p, -1) * (rows - 1))
    assert np.abs(difference).max() <= 1


def test_agrees_with_nilearn():
    import nibabel
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    shape = (6, 5, 4)
    x = smooth_scores(10, shape).reshape(10, -1) + 0.4
    masker = NiftiMasker(nibabel.Nifti1Image(np.ones(shape, "uint8"), np.eye(4))).fit()
    theirs = permuted_ols(np.ones((10, 1)), x, model_intercept=False, n_perm=2, tfce=True,
                          masker=masker, two_sided_test=True, output_type="dict")  # fmt: skip
    ours = tfce_test(x, grid_adjacency(np.ones(shape), 6))
    # nilearn leaves out the step and takes 100 thresholds: the same up to a factor and the steps
    assert np.corrcoef(ours.tfce, theirs["tfce"][0])[0, 1] > 0.999


def test_default_is_the_limit_of_small_steps():
    x, graph = smooth_scores(10, (60,)) + 0.3, line_adjacency(60)
    exact, fine = tfce_test(x, graph), tfce_test(x, graph, step=0.001)
    high = np.abs(exact.tfce) > 1
    assert high.sum() > 5
    np.testing.assert_allclose(fine.tfce[high], exact.tfce[high], rtol=0.002)
    assert exact.attrs["step"] == 0 and fine.attrs["step"] == 0.001
    assert exact.attrs["exponents"] == [0.5, 2.0]


def test_places_without_neighbours_have_the_p_of_their_t():
    from neurodnn.stats.permutation import sign_flip_test

    x = smooth_scores(9, (12,), sigma=0.0) + 0.4
    x[:, 10:] *= np.array([1, -1] * 4 + [0])[:, None]  # the last two touch, and are never the best
    graph = line_adjacency(12).tolil()
    graph[:10, :] = graph[:, :10] = 0
    test = tfce_test(x, graph.tocsr())
    np.testing.assert_allclose(np.abs(test.tfce[:10]), np.abs(test.t[:10]) ** 3 / 3, rtol=1e-10)
    apart = sign_flip_test(x[:, :10]).p_fwe
    assert (test.p_fwe[:10] >= apart - 1e-12).all()


def test_largest_value_is_taken_over_all_maps():
    scores = named(smooth_scores(9, (25, 2)) + 0.4, ("time",), "ab")
    whole = tfce_test(scores, line_adjacency(25))
    for name in "ab":
        alone = tfce_test(scores.sel(reference=name), line_adjacency(25))
        np.testing.assert_array_equal(whole.tfce.sel(reference=name), alone.tfce)
        assert (whole.p_fwe.sel(reference=name) >= alone.p_fwe).all()
    assert whole.attrs["family"] == ["reference", "time"]
    assert whole.tfce.dims == ("time", "reference")


def test_missing_places_part_clusters_and_take_no_part():
    x = smooth_scores(10, (20,), sigma=0.0) + 1
    x[4, 9] = np.nan
    with pytest.warns(DataWarning, match="1 places lack a score"):
        test = tfce_test(x, line_adjacency(20))
    for name in ("t", "tfce", "p_fwe"):
        assert np.isnan(test[name][9]), name
    np.testing.assert_array_equal(test.tfce[:9], tfce_test(x[:, :9], line_adjacency(9)).tfce)
    np.testing.assert_array_equal(test.tfce[10:], tfce_test(x[:, 10:], line_adjacency(10)).tfce)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(tfce_test(np.full((8, 5), np.nan), line_adjacency(5)).p_fwe).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirrored_data_mirror_the_test(seed):  # P38, trap 34
    x = smooth_scores(8, (30,), seed)
    one, two = tfce_test(x, line_adjacency(30)), tfce_test(-x, line_adjacency(30))
    for name in ("t", "tfce"):
        np.testing.assert_array_equal(one[name], -two[name])
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), tail=st.sampled_from(["two-sided", "greater"]))
def test_p_within_bounds_and_unit_irrelevant(seed, tail):  # P37, P39, P44
    x = smooth_scores(7, (20,), seed)
    one, two = (tfce_test(y, line_adjacency(20), tail=tail) for y in (x, x * 1e-150))
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)
    assert one.p_fwe.min() >= one.attrs["minimum_p"] and one.p_fwe.max() <= 1
    assert (one.tfce * np.sign(one.t) >= 0).all()


@pytest.mark.parametrize("n_permutations", [1000, 300])
def test_order_of_subjects_and_jobs_change_no_bit(n_permutations):  # P40
    scores = named(smooth_scores(15, (6, 5, 4)).reshape(15, -1) + 0.1)
    graph = grid_adjacency(np.ones((6, 5, 4)), 26)
    one = tfce_test(scores, graph, n_permutations=n_permutations)
    order = np.random.default_rng(0).permutation(15)
    for n_jobs in (2, 4):
        other = tfce_test(scores.isel(subject=order), graph, n_permutations=n_permutations,
                          n_jobs=n_jobs)  # fmt: skip
        assert_same(one, other)


def test_groups_of_four_give_the_same(monkeypatch):  # what very large maps use
    x, graph = smooth_scores(15, (100,)) + 0.3, line_adjacency(100)
    one = tfce_test(x, graph, n_permutations=500)
    monkeypatch.setattr(graph_maps, "_TABLES", 0)
    two = tfce_test(x, graph, n_permutations=500)
    np.testing.assert_allclose(one.tfce, two.tfce, rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)


def test_an_effect_that_is_broad_but_low_is_found_where_single_places_are_not():
    from neurodnn.stats.permutation import sign_flip_test

    x = smooth_scores(16, (20, 20), seed=8)
    x[:, 5:15, 5:15] += 0.8
    inside = np.zeros((20, 20), bool)
    inside[5:15, 5:15] = True
    x, inside = x.reshape(16, -1), inside.ravel()
    test = tfce_test(x, grid_adjacency(np.ones((20, 20)), 8), n_permutations=1000)
    plain = sign_flip_test(x, n_permutations=1000)
    found, alone = test.p_fwe.values < 0.05, plain.p_fwe.values < 0.05
    assert found[inside].mean() > max(0.5, 2 * alone[inside].mean())
    assert found[~inside].mean() < 0.1  # TFCE spreads a little over the border


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"exponents": 0.5}, r"must be a pair \(E, H\)"),
        ({"exponents": (0.5, -1)}, "exponents: is not a valid number"),
        ({"step": 0}, "step: is not a valid number"),
        ({"step": -0.1}, "step: is not a valid number"),
        ({"tail": "less"}, "tail='less' is not known"),
        ({"places": "vertex"}, "places='vertex' is not known"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(InputError, match=match):
        tfce_test(smooth_scores(8, (10,)), line_adjacency(10), **options)


def test_too_few_subjects():  # trap 32
    with pytest.raises(InputError, match="smallest attainable p"):
        tfce_test(smooth_scores(5, (10,)), line_adjacency(10))
