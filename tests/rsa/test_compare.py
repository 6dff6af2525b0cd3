"""Comparison of RDMs against SciPy, rsatoolbox, golden values and hand calculation."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs, compare
from scipy import stats
from scipy.spatial.distance import pdist

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.rdm import align_to

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"
COMPARISONS = ("cosine", "pearson", "rho-a", "spearman", "tau-a")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


def _rdms(rows, axis=None, labels=None):
    rows = np.atleast_2d(np.asarray(rows, dtype=float))
    n = round((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    return RDMs(
        rows,
        rdm_descriptors={axis: labels} if axis else {},
        pattern_descriptors={"stimulus": [f"s{i:02d}" for i in range(n)]},
    )


def _score(a, b, comparison):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return compare_rdms(_rdms(a), _rdms(b), comparison=comparison).values


# ---- oracles


@pytest.mark.parametrize(
    ("comparison", "peer"),
    [("cosine", "cosine"), ("pearson", "corr"), ("spearman", "spearman"), ("tau-a", "tau-a"),
     ("rho-a", "rho-a")],
)  # fmt: skip
def test_golden(comparison, peer, golden):  # G1
    found = _score(golden["models"][0], golden["subjects"][0], comparison)
    np.testing.assert_allclose(found, golden[f"compare_{peer}"][None], rtol=0, atol=1e-12)
    live = compare(RDMs(golden["models"]), RDMs(golden["subjects"]), method=peer)
    found = _score(golden["models"], golden["subjects"], comparison)
    np.testing.assert_allclose(found, live, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("comparison", "value"),
    [("spearman", 0.0755572622216808), ("rho-a", 0.06544202066590127),
     ("tau-a", 0.04428904428904429)],
)  # fmt: skip
def test_golden_ties(comparison, value, golden):  # G2
    found = _score(golden["tied_data"], golden["tied_model"], comparison).item()
    assert found == pytest.approx(value, abs=1e-12)
    assert found == pytest.approx(golden[f"tied_{comparison}"].item(), abs=1e-12)


def test_scipy():
    rng = np.random.default_rng(4)
    a, b = rng.random((3, 45)), rng.random((2, 45))
    peers = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "tau-a": stats.kendalltau}
    for comparison, peer in peers.items():  # without ties tau-a is SciPy's tau-b
        expected = [[peer(row, column).statistic for column in b] for row in a]
        np.testing.assert_allclose(_score(a, b, comparison), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("comparison", "plain", "tied"),
    [
        ("cosine", 88 / 91, None),
        ("pearson", 29 / 35, 16 / np.sqrt(280)),
        ("spearman", 29 / 35, 16 / np.sqrt(280)),
        ("rho-a", 29 / 35, 16 / 17.5),
        ("tau-a", 3 / 5, 12 / 15),
    ],
)
def test_by_hand(comparison, plain, tied):  # G3
    d = [1, 2, 3, 4, 5, 6]
    assert _score(d, [2, 1, 4, 3, 6, 5], comparison).item() == pytest.approx(plain, abs=1e-15)
    if tied is not None:
        assert _score(d, [1, 1, 2, 2, 3, 3], comparison).item() == pytest.approx(tied, abs=1e-15)


def test_rho_a_is_the_mean_over_all_ways_to_break_ties():  # P26, trap 4
    d, tied = np.array([3.0, 1, 2, 6, 5, 4]), np.array([1.0, 1, 2, 2, 2, 3])
    orders = [
        np.argsort(np.lexsort((noise, tied))) for noise in itertools.permutations(range(6))
    ]
    expected = np.mean([stats.spearmanr(d, order).statistic for order in orders])
    assert _score(d, tied, "rho-a").item() == pytest.approx(expected, abs=1e-12)


# ---- names


def test_names_not_positions_are_compared():  # G7, K2
    row = np.random.default_rng(0).random((3, 15))[0]
    data = _rdms(row)
    names = data.pattern_descriptors["stimulus"]
    turned = align_to([names[i] for i in (3, 1, 0, 5, 4, 2)], data)
    assert compare_rdms(data, turned, comparison="pearson").item() == pytest.approx(1, abs=1e-15)
    with pytest.warns(DataWarning, match="by position"):
        found = compare_rdms(data, turned, comparison="pearson", by_position=True).item()
    assert found == pytest.approx(0.50861611, abs=5e-9)


@given(order=st.permutations(range(5)), comparison=st.sampled_from(COMPARISONS))
def test_reordering_a_side_changes_no_bit(order, comparison):  # trap 1, P21
    rng = np.random.default_rng(1)
    a, b = _rdms(rng.random((2, 10))), _rdms(rng.random((2, 10)))
    turned = align_to([f"s{i:02d}" for i in order], a)
    one = compare_rdms(a, b, comparison=comparison)
    np.testing.assert_array_equal(one, compare_rdms(turned, b, comparison=comparison))


def test_other_stimuli_are_refused():
    a = _rdms(np.arange(6.0))
    b = RDMs(np.arange(6.0)[None], pattern_descriptors={"stimulus": ["s00", "s01", "s02", "s3"]})
    with pytest.raises(InputError, match="Only in a: s03. Only in b: s3"):
        compare_rdms(a, b)


def test_dimensions_say_what_rows_are():
    rng = np.random.default_rng(0)
    subjects = _rdms(rng.random((3, 10)), "subject", ["01", "02", "03"])
    layers = _rdms(rng.random((2, 10)), "reference", ["conv1", "conv2"])
    scores = compare_rdms(subjects, layers)
    assert scores.dims == ("subject", "reference")
    assert scores.sel(subject="02", reference="conv2").shape == ()
    assert scores.attrs["comparison"] == "spearman"
    assert scores.attrs["n_stimuli"] == 5
    assert compare_rdms(layers, layers).dims == ("rdm", "reference")


# ---- what is undefined


@pytest.mark.parametrize("value", [1.0, 0.7])
@pytest.mark.parametrize("comparison", ["pearson", "spearman", "rho-a", "tau-a"])
def test_constant_row_is_nan_and_leaves_the_others(value, comparison):  # G6, P22, K1, trap 10
    rng = np.random.default_rng(1)
    rows, model = rng.random((50, 45)), rng.random((1, 45))
    alone = np.array([_score(row, model, comparison).item() for row in rows])
    rows[10] = value
    with pytest.warns(DataWarning, match="the scores of rdm 11 are NaN"):
        found = compare_rdms(_rdms(rows), _rdms(model), comparison=comparison).values[:, 0]
    assert np.isnan(found[10])
    np.testing.assert_array_equal(np.delete(found, 10), np.delete(alone, 10))


def test_golden_constant_row():  # G6
    rng = np.random.default_rng(0)
    rows, models = rng.random((3, 15)), rng.random((2, 15))
    rows[0] = 1.0
    found = _score(rows, models, "pearson")
    expected = [[np.nan, np.nan], [-0.10740143, 0.16849092], [0.01526909, 0.18853605]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("value", [1.0, 0.7])
def test_constant_reference_is_refused(value):  # trap 10
    model = _rdms([np.arange(6.0), np.full(6, value)], "reference", ["conv1", "conv2"])
    with pytest.raises(InputError, match="reference conv2: all distances are equal"):
        compare_rdms(_rdms(np.arange(6.0)), model)


def test_missing_pairs_are_refused_or_left_out_of_their_own_row():  # G8, P23, trap 7, K3
    rng = np.random.default_rng(0)
    model, rows = rng.random(45), rng.random((3, 45))
    full = _score(rows, model, "spearman").ravel()
    np.testing.assert_allclose(full, [0.197, 0.083, -0.088], atol=6e-4)
    rows[0, :20] = np.nan
    with pytest.raises(InputError, match="rdm 1: distances are missing or infinite for s00, s01"):
        compare_rdms(_rdms(rows), _rdms(model))
    found = compare_rdms(_rdms(rows), _rdms(model), nan_policy="omit").values.ravel()
    np.testing.assert_array_equal(found[1:], full[1:])
    assert found[0] == pytest.approx(0.152, abs=6e-4)
    expected = stats.spearmanr(rows[0, 20:], model[20:]).statistic
    assert found[0] == pytest.approx(expected, abs=1e-12)


def test_golden_missing_pairs_do_not_spread():  # G8b
    rng = np.random.default_rng(0)
    model = pdist(rng.normal(size=(12, 5)), "correlation")
    rows = np.array([pdist(rng.normal(size=(12, 8)), "correlation") for _ in range(6)])
    rows[1, :10] = np.nan
    found = compare_rdms(_rdms(rows), _rdms(model), nan_policy="omit").values.ravel()
    assert found[4] == pytest.approx(0.14919, abs=6e-6)


def test_missing_pairs_of_a_reference():
    model = np.arange(10.0)
    model[3] = np.nan  # s00 and s04
    with pytest.raises(InputError, match="reference 1: distances are missing for s00, s04"):
        compare_rdms(_rdms(np.arange(10.0)), _rdms(model))
    found = compare_rdms(_rdms(np.arange(10.0)), _rdms(model), nan_policy="omit").item()
    assert found == pytest.approx(1, abs=1e-15)


def test_subject_without_any_distance_is_nan_and_named():
    rows = np.array([np.arange(6.0), np.full(6, np.nan)])
    with pytest.warns(DataWarning, match="subject 02 are NaN"):
        found = compare_rdms(_rdms(rows, "subject", ["01", "02"]), _rdms(np.arange(6.0)))
    np.testing.assert_allclose(found.values.ravel(), [1, np.nan], rtol=1e-15)


def test_ties_in_a_model_advise_rho_a():  # trap 4
    tied = _rdms([0, 0, 0, 1, 1, 1], "reference", ["animacy"])
    data = _rdms(np.arange(6.0))
    with pytest.warns(DataWarning, match="reference animacy: 100% .* rho-a or tau-a"):
        compare_rdms(data, tied)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_rdms(data, tied, comparison="rho-a")
        few = np.arange(66.0)
        few[1] = few[0]  # 3 % of the entries
        compare_rdms(_rdms(np.arange(66.0)), _rdms(few))


@pytest.mark.parametrize(
    ("n_pairs", "options", "match"),
    [
        (3, {}, "too few stimuli"),
        (6, {"comparison": "pearsn"}, "Did you mean pearson"),
        (6, {"nan_policy": "skip"}, "nan_policy='skip' is not known"),
    ],
)
def test_refusals(n_pairs, options, match):  # B45
    with pytest.raises(InputError, match=match):
        compare_rdms(_rdms(np.arange(n_pairs)), _rdms(np.arange(n_pairs)), **options)


# ---- properties


@given(seed=st.integers(0, 2**32 - 1), comparison=st.sampled_from(COMPARISONS))
def test_with_itself_one_and_symmetric(seed, comparison):  # P17, P18
    a, b = np.random.default_rng(seed).random((2, 10))
    assert _score(a, a, comparison).item() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(_score(a, b, comparison), _score(b, a, comparison).T)


@given(seed=st.integers(0, 2**32 - 1), comparison=st.sampled_from(("spearman", "rho-a", "tau-a")))
def test_ranks_ignore_monotone_maps_and_mirror(seed, comparison):  # P19, P20
    a, b = np.random.default_rng(seed).random((2, 10))
    plain = _score(a, b, comparison)
    np.testing.assert_array_equal(_score(np.exp(a), b**3, comparison), plain)
    np.testing.assert_allclose(_score(a, -b, comparison), -plain, rtol=0, atol=1e-12)
