"""False discovery rate, differences of references, the best of L: scipy, statsmodels, by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from graph_scores import all_t, assert_same, named
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from neurodnn._checks import DataWarning, InputError
from neurodnn.stats.multiplicity import best_reference_test, fdr, paired_differences
from neurodnn.stats.permutation import sign_flip_test

pytestmark = pytest.mark.filterwarnings("ignore:scores. the distribution:neurodnn.DataWarning")


@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    gaps=st.sets(st.integers(0, 45)),
    method=st.sampled_from(["bh", "by"]),
)
def test_fdr_by_definition_with_gaps_kept(p, gaps, method):  # P43
    whole = list(p)
    for gap in sorted(gaps):
        whole.insert(min(gap, len(whole)), np.nan)
    adjusted = fdr(np.array(whole), method=method)
    there = ~np.isnan(whole)
    np.testing.assert_array_equal(np.isnan(adjusted), ~there)
    # step-up by hand: the smallest bound m p(j) / j among all p as large or larger
    ordered, m = np.sort(p), len(p)
    factor = sum(1 / i for i in range(1, m + 1)) if method == "by" else 1.0
    bounds = [min(1.0, min(factor * m * ordered[j] / (j + 1) for j in range(i, m)))
              for i in range(m)]  # fmt: skip
    expected = [bounds[np.searchsorted(ordered, value, side="right") - 1] for value in p]
    np.testing.assert_allclose(adjusted[there], expected, rtol=1e-12, atol=1e-300)
    assert (adjusted[there] >= false_discovery_control(p, method=method) * (1 - 1e-15)).all()


def test_fdr_equals_statsmodels_and_mne():  # correctness.md b4
    p = np.random.default_rng(0).random((7, 9)) ** 3
    statsmodels = pytest.importorskip("statsmodels.stats.multitest")
    mne = pytest.importorskip("mne")
    for method, theirs in (("bh", "indep"), ("by", "negcorr")):
        adjusted = fdr(p, method=method)
        assert adjusted.shape == p.shape
        np.testing.assert_allclose(
            adjusted.ravel(), statsmodels.multipletests(p.ravel(), method=f"fdr_{method}")[1],
            rtol=1e-13,
        )  # fmt: skip
        np.testing.assert_allclose(adjusted, mne.stats.fdr_correction(p, method=theirs)[1],
                                   rtol=1e-13)  # fmt: skip


def test_fdr_gives_back_the_type_it_got():
    p = xr.DataArray([[0.01, np.nan], [0.5, 0.04]], dims=("voxel", "reference"),
                     coords={"reference": ["a", "b"]})  # fmt: skip
    adjusted = fdr(p)
    assert adjusted.dims == p.dims and list(adjusted.reference.values) == ["a", "b"]
    np.testing.assert_allclose(adjusted, [[0.03, np.nan], [0.5, 0.06]])
    assert p.values[0, 0] == 0.01  # what was given stays as it was
    assert np.isnan(fdr(np.full(3, np.nan))).all()
    assert fdr(np.float64(0.2)) == 0.2


@pytest.mark.parametrize(
    ("p", "method", "match"),
    [([0.1, 1.2], "bh", "between 0 and 1"), ([-0.1], "bh", "between"), ([0.1], "holm", "known")],
)
def test_fdr_refusals(p, method, match):
    with pytest.raises(InputError, match=match):
        fdr(np.array(p), method=method)


def _layers(n=10, n_places=4, n_layers=3, seed=0, shift=0.2):
    x = np.random.default_rng(seed).normal(shift, 1, size=(n, n_places, n_layers))
    return named(x, ("voxel",), [f"layer{i}" for i in range(n_layers)])


def test_differences_within_subjects():
    scores = _layers().assign_coords(depth=("reference", [1, 2, 3]), z=("voxel", [0, 1, 2, 3]))
    scores[2, 1, 0] = np.nan
    differences = paired_differences(scores)
    assert differences.dims == scores.dims and "depth" not in differences.coords
    assert "z" in differences.coords
    names = ["layer0 - layer1", "layer0 - layer2", "layer1 - layer2"]
    assert list(differences.reference.values) == names
    for name in names:
        a, b = name.split(" - ")
        expected = scores.sel(reference=a).values - scores.sel(reference=b).values
        np.testing.assert_array_equal(differences.sel(reference=name), expected)
    assert np.isnan(differences).sum() == 2
    chosen = paired_differences(scores.transpose("reference", ...), [("layer2", "layer0")])
    assert chosen.dims[0] == "reference"
    np.testing.assert_array_equal(chosen[0], -differences[..., 1])


def test_difference_of_equal_layers_is_no_finding_and_a_true_one_is():
    scores = _layers(14, 30, seed=4)
    scores[..., 1] = scores[..., 0] + np.random.default_rng(1).normal(0, 0.3, size=(14, 30))
    scores[..., 2] = scores[..., 0] + 1 + np.random.default_rng(2).normal(0, 0.3, size=(14, 30))
    p = sign_flip_test(paired_differences(scores)).p_fwe
    assert (p.sel(reference="layer0 - layer1") > 0.05).all()
    assert (p.sel(reference="layer0 - layer2") < 0.05).all()


@pytest.mark.parametrize(
    ("scores", "pairs", "match"),
    [
        (_layers(), [("layer0", "layer7")], "pairs='layer7' is not known.*Did you mean"),
        (_layers(), [("layer0", "layer0")], "two different references"),
        (_layers(), ["layer0"], "two different references"),
        (_layers(), [], "pairs: are empty"),
        (_layers(n_layers=1), None, "need two references"),
        (_layers().isel(reference=0, drop=True), None, "name no references"),
        (np.ones((4, 3)), None, "name no references"),
    ],
)
def test_difference_refusals(scores, pairs, match):
    with pytest.raises(InputError, match=match):
        paired_differences(scores, pairs)


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
def test_best_equals_enumeration_by_hand(tail):
    scores = _layers(7, 5, 4)
    t = all_t(scores.values.reshape(7, -1)).reshape(-1, 5, 4)
    size = np.abs(t) if tail == "two-sided" else t
    test = best_reference_test(scores, tail=tail)
    np.testing.assert_array_equal(test.best, size[0].argmax(axis=1))
    np.testing.assert_allclose(test.t, np.take_along_axis(t[0], test.best.values[:, None], 1)[:, 0])
    best = size.max(axis=2)
    np.testing.assert_allclose(test.p, (best >= best[0] - 1e-9).mean(axis=0))
    largest = best.max(axis=1)[:, None]
    np.testing.assert_allclose(test.p_fwe, (largest >= best[0] - 1e-9).mean(axis=0))
    means = scores.mean("subject").values
    np.testing.assert_allclose(test["mean"], means[np.arange(5), test.best])
    assert test.attrs["references"] == [f"layer{i}" for i in range(4)]
    assert test.attrs["family"] == ["voxel", "reference"] and test.p.dims == ("voxel",)


def test_one_reference_is_the_plain_test():
    scores = _layers(9, 300, 1)
    best, plain = best_reference_test(scores), sign_flip_test(scores)
    for name in ("mean", "t", "p", "p_fwe"):
        np.testing.assert_array_equal(best[name], plain[name].values[:, 0])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), tail=st.sampled_from(["two-sided", "greater"]))
def test_choosing_costs(seed, tail):  # trap 26
    scores = _layers(7, 3, 5, seed)
    test, plain = best_reference_test(scores, tail=tail), sign_flip_test(scores, tail=tail)
    naive = plain.p.values[np.arange(3), test.best.values]
    assert (test.p >= naive).all() and (test.p_fwe >= test.p).all()
    np.testing.assert_array_equal(test.p_fwe, plain.p_fwe.values[np.arange(3), test.best.values])


def test_undefined_references_leave_the_choice_to_the_others():
    scores = _layers(8, 6, 3)
    scores[2, 1, 0] = np.nan
    scores[:, 2, 1:] = np.nan
    scores[:, 4] = np.nan
    for tail in ("two-sided", "greater"):
        with pytest.warns(DataWarning, match="1 places lack a score"):
            test = best_reference_test(scores, tail=tail)
        assert test.best[4] == -1 and np.isnan(test.p[4]) and np.isnan(test.p_fwe[4])
        assert np.isnan(test.t[4]) and np.isnan(test["mean"][4])
        without = best_reference_test(scores[:, [1], 1:], tail=tail)
        assert test.p[1] == without.p[0] and test.best[1] == without.best[0] + 1
        assert test.p[2] == best_reference_test(scores[:, [2], :1], tail=tail).p[0]


def test_best_of_many_places_keeps_its_bits():
    scores = _layers(15, 900, 6)
    one = best_reference_test(scores, n_permutations=200)
    order = np.random.default_rng(0).permutation(15)
    for n_jobs in (2, 4):
        assert_same(one, best_reference_test(scores.isel(subject=order), n_permutations=200,
                                             n_jobs=n_jobs))  # fmt: skip


def test_best_of_twenty_nulls_is_no_finding():  # A9 in small; the naive p fails by far
    rng, naive, corrected = np.random.default_rng(0), 0, 0
    for seed in range(100):
        scores = named(rng.normal(size=(12, 1, 20)), ("region",), map(str, range(20)))
        test = best_reference_test(scores, n_permutations=200, seed=seed)
        corrected += bool(test.p.item() <= 0.05)
        naive += bool(sign_flip_test(scores, n_permutations=200, seed=seed).p.min() <= 0.05)
    assert corrected <= 14 and naive >= 40  # 99.9 % of binomial(100, .05) are at most 13


def test_best_refusals():
    with pytest.raises(InputError, match="no dimension reference"):
        best_reference_test(_layers().isel(reference=0, drop=True))
    with pytest.raises(InputError, match="smallest attainable p"):
        best_reference_test(_layers(5))


def test_pairs_are_all_pairs():
    names = paired_differences(_layers(n_layers=5)).reference.values
    expected = [f"layer{a} - layer{b}" for a, b in itertools.combinations(range(5), 2)]
    assert list(names) == expected
