"""The sign-flip test against enumeration by hand, scipy, and its own symmetries."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew, ttest_1samp

from neurodnn._checks import DataWarning, InputError
from neurodnn.stats.flips import plan_flips
from neurodnn.stats.permutation import sign_flip_test

NAMES = ("mean", "t", "p", "p_fwe", "skewness")


def _by_hand(x: np.ndarray, tail: str) -> tuple[np.ndarray, np.ndarray]:
    """Enumerate all flips with the textbook formula of t."""

    def statistic(data):
        t = ttest_1samp(data, 0).statistic
        return np.abs(t) if tail == "two-sided" else t

    observed = statistic(x)
    flips = [
        statistic(x * np.array(signs)[:, None])
        for signs in itertools.product([1, -1], repeat=len(x))
    ]
    flips = np.array(flips)
    p = (flips >= observed - 1e-9).mean(axis=0)
    p_fwe = (flips.max(axis=1)[:, None] >= observed - 1e-9).mean(axis=0)
    return p, p_fwe


def _scores(n_subjects=8, n_voxels=5, n_references=3, seed=0, shift=0.4):
    rng = np.random.default_rng(seed)
    return xr.DataArray(
        rng.normal(shift, 1, size=(n_subjects, n_voxels, n_references)),
        dims=("subject", "voxel", "reference"),
        coords={
            "subject": [f"sub-{i:02d}" for i in range(n_subjects)],
            "reference": ["a", "b", "c"][:n_references],
            "n_features": ("voxel", np.arange(n_voxels)),
        },
    )


def _assert_equal(a: xr.Dataset, b: xr.Dataset) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
def test_equals_enumeration_by_hand(tail):
    x = np.random.default_rng(3).normal(0.5, 1, size=(7, 6))
    test = sign_flip_test(x, tail=tail)
    p, p_fwe = _by_hand(x, tail)
    np.testing.assert_allclose(test.p.values, p, rtol=0, atol=1e-12)
    np.testing.assert_allclose(test.p_fwe.values, p_fwe, rtol=0, atol=1e-12)
    assert test.attrs["n_flips"] == 2**7
    assert test.attrs["exact"] == 1
    assert test.attrs["generalises_to"] == "subjects"
    assert test.attrs["minimum_p"] == {"two-sided": 2 / 2**7, "greater": 1 / 2**7}[tail]


def test_mean_t_and_skewness_equal_scipy():
    x = np.random.default_rng(1).normal(0.2, 1, size=(9, 300))
    test = sign_flip_test(x)
    np.testing.assert_allclose(test.t.values, ttest_1samp(x, 0).statistic, rtol=1e-12)
    np.testing.assert_allclose(test["mean"].values, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(test.skewness.values, skew(x, axis=0), rtol=1e-10)


@pytest.mark.parametrize("n_subjects", [9, 17])
def test_random_flips_approach_all_flips(n_subjects):
    # 9 and 17 subjects fill one, two and three groups of eight with a rest
    x = np.random.default_rng(5).normal(0.35, 1, size=(n_subjects, 4))
    full = sign_flip_test(x, n_permutations="exact")
    # a seed per run would hide a bias; 20,000 flips have a standard error below .0036
    some = sign_flip_test(np.vstack([x]), n_permutations=20_000, seed=1)
    assert full.attrs["n_flips"] == 2**n_subjects
    np.testing.assert_allclose(some.p.values, full.p.values, atol=0.016)
    np.testing.assert_allclose(some.p_fwe.values, full.p_fwe.values, atol=0.016)


def test_ties_in_exact_arithmetic_count_although_rounding_parts_them():
    # 0.1 + 0.2 - 0.3 is not 0 in float64: every flip of equal magnitude ties with the data.
    x = np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.1])[:, None] / 3
    test = sign_flip_test(x, tail="greater")
    sums = [np.dot(s, [1, 2, 3, 3, 2, 1]) for s in itertools.product([1, -1], repeat=6)]
    assert test.p.item() == np.mean(np.array(sums) >= 12)
    mixed = sign_flip_test(np.array([0.1, 0.2, 0.3, -0.3, -0.2, 0.1])[:, None])
    assert mixed.p.item() == np.mean(np.abs(sums) >= 2)


@pytest.mark.parametrize("n_permutations", [10_000, 200])
def test_order_of_subjects_changes_no_bit(n_permutations):
    scores = _scores(16, shift=0.1)
    order = np.random.default_rng(0).permutation(16)
    one = sign_flip_test(scores, n_permutations=n_permutations)
    two = sign_flip_test(scores.isel(subject=order), n_permutations=n_permutations)
    _assert_equal(one, two)


def test_number_of_jobs_changes_no_bit():
    x = np.random.default_rng(2).normal(size=(15, 5000))
    one = sign_flip_test(x, n_permutations=100)
    for n_jobs in (2, 4):
        _assert_equal(one, sign_flip_test(x, n_permutations=100, n_jobs=n_jobs))


def test_removing_a_subject_leaves_the_draws_of_the_others():
    # With x = one nonzero subject at a time, the sums reveal that subject's signs.
    names = [f"s{i:02d}" for i in range(18)]
    all_, fewer = plan_flips(names, 100, "greater", 7), plan_flips(names[1:], 100, "greater", 7)
    signs = np.unpackbits(all_.codes, axis=1, bitorder="little")[:, 1:18]
    np.testing.assert_array_equal(
        signs, np.unpackbits(fewer.codes, axis=1, bitorder="little")[:, :17]
    )
    assert signs[1:].mean() == pytest.approx(0.5, abs=0.06)


def test_first_draws_are_those_of_a_shorter_run():  # P42
    names = [f"s{i}" for i in range(16)]
    short, long = plan_flips(names, 100, "greater", 0), plan_flips(names, 1000, "greater", 0)
    np.testing.assert_array_equal(short.codes, long.codes[:100])


@given(seed=st.integers(0, 2**32 - 1), tail=st.sampled_from(["two-sided", "greater"]))
def test_p_is_within_its_bounds(seed, tail):  # P37, trap 33
    x = np.random.default_rng(seed).normal(size=(6, 4))
    test = sign_flip_test(x, tail=tail)
    for name in ("p", "p_fwe"):
        values = test[name].values
        assert (values >= test.attrs["minimum_p"]).all() and (values <= 1).all()
    assert (test.p_fwe.values >= test.p.values).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_mirrored_data_mirror_the_test(seed):  # P38
    x = np.random.default_rng(seed).normal(size=(7, 5))
    one, two = sign_flip_test(x), sign_flip_test(-x)
    np.testing.assert_array_equal(one.t.values, -two.t.values)
    np.testing.assert_array_equal(one.p.values, two.p.values)
    np.testing.assert_array_equal(one.p_fwe.values, two.p_fwe.values)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-200, 1e-13, 3.0, 1e13, 1e150]))
def test_unit_of_scores_is_irrelevant(seed, scale):  # P39
    x = np.random.default_rng(seed).normal(size=(7, 5))
    one, two = sign_flip_test(x), sign_flip_test(x * scale)
    np.testing.assert_array_equal(one.p.values, two.p.values)
    np.testing.assert_array_equal(one.p_fwe.values, two.p_fwe.values)


@given(seed=st.integers(0, 2**32 - 1))
def test_another_place_never_lowers_a_corrected_p(seed):  # P41
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1, size=(8, 4))
    more = np.hstack([x, rng.normal(size=(8, 1))])
    assert (
        sign_flip_test(more).p_fwe.values[:4] >= sign_flip_test(x).p_fwe.values
    ).all()


def test_missing_and_constant_places_become_nan_and_leave_the_others():
    x = np.random.default_rng(0).normal(0.5, 1, size=(8, 6))
    clean = sign_flip_test(x[:, [0, 2, 5]])
    x[:, 1] = np.nan
    x[3, 3] = np.nan
    x[:, 4] = 0.7  # its float variance is not exactly zero, and t would be about 1e16
    with pytest.warns(DataWarning) as caught:
        test = sign_flip_test(x)
    texts = " ".join(str(w.message) for w in caught)
    assert "1 places lack a score in some subjects" in texts
    assert "1 places hold the same score in every subject" in texts
    for name in NAMES:
        np.testing.assert_array_equal(test[name].values[[0, 2, 5]], clean[name].values)
    for name in ("t", "p", "p_fwe", "skewness"):
        assert np.isnan(test[name].values[[1, 3, 4]]).all()


def test_nothing_but_missing_places_stays_silent_and_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = sign_flip_test(np.full((8, 3), np.nan))
    assert np.isnan(test.p_fwe.values).all()


def test_zero_everywhere_is_undefined_not_significant():
    with pytest.warns(DataWarning, match="same score"):
        assert np.isnan(sign_flip_test(np.zeros((8, 1))).p.values).all()


def test_families_are_corrected_apart():
    scores = _scores()
    each = sign_flip_test(scores, family="voxel")
    for name in "abc":
        alone = sign_flip_test(scores.sel(reference=name))
        np.testing.assert_array_equal(
            each.p_fwe.sel(reference=name).values, alone.p_fwe.values
        )
    whole = sign_flip_test(scores, family=("voxel", "reference"))
    assert (whole.p_fwe >= each.p_fwe).all()
    assert whole.p_fwe.dims == each.p_fwe.dims == ("voxel", "reference")
    assert each.attrs["family"] == ["voxel"]
    _assert_equal(whole, sign_flip_test(scores))
    assert "n_features" in whole.coords


def test_layout_of_dimensions_is_irrelevant():
    scores = _scores()
    turned = sign_flip_test(scores.transpose("reference", "subject", "voxel"))
    assert turned.p.dims == ("reference", "voxel")
    _assert_equal(sign_flip_test(scores), turned.transpose("voxel", "reference"))


@pytest.mark.parametrize(
    ("n", "tail", "smallest"),
    [(3, "greater", "0.125"), (4, "greater", "0.0625"), (5, "two-sided", "0.0625")],
)
def test_too_few_subjects(n, tail, smallest):  # trap 32
    x = np.random.default_rng(0).normal(size=(n, 4))
    with pytest.raises(InputError, match=f"smallest attainable p is {smallest}"):
        sign_flip_test(x, tail=tail)
    with pytest.warns(DataWarning, match="cannot reach"):
        test = sign_flip_test(x, tail=tail, allow_small=True)
    assert test.p.values.min() >= float(smallest)


@pytest.mark.parametrize(("n", "tail"), [(5, "greater"), (6, "two-sided")])
def test_just_enough_subjects(n, tail):
    x = np.random.default_rng(0).normal(0, 1, size=(n, 4)) + 5
    assert sign_flip_test(x, tail=tail).p.values.max() == 0.03125


def test_one_subject_is_refused_even_if_small_groups_are_allowed():  # B47
    with pytest.raises(InputError, match="a group test needs subjects, not 1.*own map"):
        sign_flip_test(np.ones((1, 4)), allow_small=True)


@pytest.mark.parametrize(
    ("scores", "options", "match"),
    [
        (_scores(), {"tail": "both"}, "tail='both' is not known"),
        (_scores(), {"family": "voxels"}, "Did you mean voxel"),
        (_scores(), {"n_permutations": 0}, "n_permutations: is not valid"),
        (_scores(), {"n_permutations": "all"}, "n_permutations: is not valid"),
        (_scores(21), {"n_permutations": "exact"}, "too many to enumerate"),
        (_scores(21), {"n_permutations": 19}, "smallest attainable p"),
        (_scores().rename(subject="person"), {}, "has no subjects"),
        (_scores().isel(voxel=[]), {}, "are empty"),
        (np.float64(3), {}, "subjects along its first axis"),
        (np.full((8, 2), np.inf), {}, "infinite"),
    ],
)
def test_refusals(scores, options, match):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with pytest.raises(InputError, match=match):
            sign_flip_test(scores, **options)


def test_subject_twice():  # B48
    scores = _scores()
    scores = scores.assign_coords(subject=["a", "b", "c", "d", "e", "f", "g", "a"])
    with pytest.raises(InputError, match=r"more than once.*'a'"):
        sign_flip_test(scores)


def test_flips_that_split_alpha_warn():  # trap 33
    with pytest.warns(DataWarning, match="multiple of 20"):
        sign_flip_test(_scores(16), n_permutations=150)


def test_skewed_scores_warn():  # trap 31
    rng = np.random.default_rng(0)
    with pytest.warns(DataWarning, match="skewed"):
        sign_flip_test(rng.exponential(size=(12, 200)) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sign_flip_test(rng.normal(size=(12, 200)))
