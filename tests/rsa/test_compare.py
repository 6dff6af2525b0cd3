"""Comparison of RDMs against SciPy, rsatoolbox, golden values and hand calculation."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs, compare
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.linear_model import LinearRegression

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.rdm import align_to

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"
COMPARISONS = (
    "corr_cov", "cosine", "cosine_cov", "pearson", "rho-a", "spearman", "tau-a", "tau-b",
)  # fmt: skip


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
@pytest.mark.parametrize(
    "comparison", ["pearson", "spearman", "rho-a", "tau-a", "tau-b", "corr_cov"]
)
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


@pytest.mark.parametrize("comparison", ["cosine", "cosine_cov", "bures"])
def test_constant_data_have_a_cosine_with_a_model_but_zeros_have_none(comparison):
    rows = np.array([np.full(6, 0.7), np.zeros(6), np.arange(6.0)])
    with pytest.warns(DataWarning, match="the scores of rdm 2 are NaN"):
        found = compare_rdms(_rdms(rows), _rdms(np.arange(1.0, 7)), comparison=comparison)
    assert np.isfinite(found.values[[0, 2]]).all() and np.isnan(found.values[1]).all()


def test_geometries_need_all_distances():
    rows = np.random.default_rng(0).random((2, 6))
    gap = rows.copy()
    gap[0, 2] = np.nan
    with pytest.raises(InputError, match="bures needs the distances of all pairs"):
        compare_rdms(_rdms(gap), _rdms(rows), comparison="bures", nan_policy="omit")
    with pytest.raises(InputError, match="bures needs the distances of all pairs"):
        compare_rdms(_rdms(rows), _rdms(gap), comparison="bures", nan_policy="omit")
    gap[0] = np.nan
    with pytest.warns(DataWarning, match="rdm 1 are NaN"):
        found = compare_rdms(_rdms(gap), _rdms(rows), comparison="bures").values
    np.testing.assert_array_equal(np.isnan(found), [[True, True], [False, False]])


def test_ties_in_a_model_advise_rho_a():  # trap 4
    tied = _rdms([0, 0, 0, 1, 1, 1], "reference", ["animacy"])
    data = _rdms(np.arange(6.0))
    with pytest.warns(DataWarning, match="Kendall's tau-b. Compare with rho-a or tau-a"):
        compare_rdms(data, tied, comparison="tau-b")
    noise = _rdms([3.0, 1, 2, 5, 4, 6], "reference", ["luminance"])
    with pytest.warns(DataWarning, match="reference animacy: 100% .* rho-a or tau-a"):
        compare_rdms(data, tied, nuisance=noise)
    with pytest.warns(DataWarning, match="reference animacy: 100% .* rho-a or tau-a"):
        compare_rdms(data, tied)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for comparison in ("rho-a", "tau-a", "pearson", "cosine", "corr_cov"):
            compare_rdms(data, tied, comparison=comparison)
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


# ---- nuisance RDMs


@pytest.mark.parametrize("comparison", ["pearson", "spearman"])
def test_partial_golden(comparison, golden):  # b2: mne-rsa
    data, references = golden["partial_data"], golden["partial_references"]
    for place in range(3):
        found = compare_rdms(
            _rdms(data), _rdms(references[place]), comparison=comparison,
            nuisance=_rdms(np.delete(references, place, axis=0)),
        )  # fmt: skip
        expected = golden[f"partial_{comparison}"][place]
        assert found.item() == pytest.approx(expected, abs=1e-12)


def _residual(y, X):
    return y - LinearRegression().fit(X.T, y).predict(X.T)


@pytest.mark.parametrize("semi", [False, True])
@pytest.mark.parametrize("comparison", ["pearson", "spearman"])
def test_partial_is_the_correlation_of_residuals(comparison, semi):
    rng = np.random.default_rng(2)
    data, references, nuisance = rng.random((3, 45)), rng.random((2, 45)), rng.random((2, 45))
    found = compare_rdms(
        _rdms(data, "subject", ["01", "02", "03"]), _rdms(references), comparison=comparison,
        nuisance=_rdms(nuisance, "reference", ["edges", "size"]), semi=semi,
    )  # fmt: skip
    assert found.dims == ("subject", "reference")
    assert found.attrs["nuisance"] == ["edges", "size"]
    assert found.attrs["partial"] == ("semi-partial" if semi else "partial")
    scale = (lambda x: stats.rankdata(x, axis=-1)) if comparison == "spearman" else np.asarray
    data, references, nuisance = scale(data), scale(references), scale(nuisance)
    for i, x in enumerate(data):
        for j, y in enumerate(references):
            left = x if semi else _residual(x, nuisance)
            expected = np.corrcoef(left, _residual(y, nuisance))[0, 1]
            assert found.values[i, j] == pytest.approx(expected, abs=1e-12)


def test_nuisance_is_matched_by_name():
    rng = np.random.default_rng(2)
    data, reference, nuisance = (_rdms(rng.random(15)) for _ in range(3))
    expected = compare_rdms(data, reference, nuisance=nuisance)
    turned = align_to(["s03", "s00", "s05", "s01", "s04", "s02"], nuisance)
    xr.testing.assert_identical(compare_rdms(data, reference, nuisance=turned), expected)
    other = RDMs(rng.random((1, 15)), pattern_descriptors={"stimulus": list("abcdef")})
    with pytest.raises(InputError, match="Only in nuisance: a, b, c"):
        compare_rdms(data, reference, nuisance=other)
    with pytest.warns(DataWarning, match="by position"):
        compare_rdms(data, reference, nuisance=other, by_position=True)
    with pytest.raises(InputError, match="nuisance: 5 stimuli cannot be paired"):
        with pytest.warns(DataWarning):
            compare_rdms(data, reference, nuisance=_rdms(rng.random(10)), by_position=True)


def test_a_gap_of_the_nuisance_leaves_its_pair_out():  # P23
    rng = np.random.default_rng(2)
    data, reference, nuisance = rng.random((2, 15)), rng.random(15), rng.random(15)
    gap_x, gap_z = data.copy(), nuisance.copy()
    gap_x[0, [1, 4]], gap_z[7] = np.nan, np.nan
    with pytest.raises(InputError, match="nuisance 1: distances are missing for s01, s04"):
        compare_rdms(_rdms(data), _rdms(reference), nuisance=_rdms(gap_z))
    found = compare_rdms(
        _rdms(gap_x), _rdms(reference), nuisance=_rdms(gap_z), nan_policy="omit"
    ).values.ravel()
    for row, gone in enumerate([[1, 4, 7], [7]]):
        x, y, z = (np.delete(v, gone) for v in (data[row], reference, nuisance))
        ranks = [stats.rankdata(v) for v in (x, y, z)]
        left, right = (_residual(v, ranks[2][None]) for v in ranks[:2])
        assert found[row] == pytest.approx(np.corrcoef(left, right)[0, 1], abs=1e-12)


def test_partial_with_itself_or_within_the_nuisance_is_nan_and_told():  # P24
    rng = np.random.default_rng(2)
    a, b, data = rng.random((3, 15))
    references = _rdms([a, a + 2 * b, rng.random(15)], "reference", ["conv1", "both", "fc6"])
    subjects = _rdms([data, b], "subject", ["01", "02"])
    with pytest.warns(DataWarning, match="subject 01 with conv1, 01 with both, 02 with conv1"):
        found = compare_rdms(
            subjects, references, comparison="pearson", nuisance=_rdms([a, b])
        )
    np.testing.assert_array_equal(np.isnan(found), [[True, True, False], [True, True, True]])


def test_constant_data_are_told_once_even_with_nuisance():
    rng = np.random.default_rng(2)
    rows = np.array([np.full(15, 0.7), rng.random(15)])
    with pytest.warns(DataWarning) as caught:
        found = compare_rdms(_rdms(rows), _rdms(rng.random(15)), nuisance=_rdms(rng.random(15)))
    assert ["equal ones only" in str(one.message) for one in caught] == [True]
    assert np.isnan(found.values[0]) and np.isfinite(found.values[1])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"comparison": "tau-a", "nuisance": True}, "no partial form.*allowed: pearson, spearman"),
        ({"semi": True}, "semi: needs nuisance RDMs"),
        ({"nuisance": "constant"}, "nuisance 1: all distances are equal"),
    ],
)
def test_refusals_of_nuisance(options, match):
    row = np.ones(6) if options.get("nuisance") == "constant" else np.arange(6.0)
    if "nuisance" in options:
        options = options | {"nuisance": _rdms(row)}
    with pytest.raises(InputError, match=match):
        compare_rdms(_rdms([3.0, 1, 2, 5, 4, 6]), _rdms([1.0, 3, 2, 5, 4, 6]), **options)


# ---- properties


@given(seed=st.integers(0, 2**32 - 1), comparison=st.sampled_from(COMPARISONS))
def test_with_itself_one_and_symmetric(seed, comparison):  # P17, P18
    a, b = np.random.default_rng(seed).random((2, 10))
    assert _score(a, a, comparison).item() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(_score(a, b, comparison), _score(b, a, comparison).T)


@given(
    seed=st.integers(0, 2**32 - 1),
    comparison=st.sampled_from(("spearman", "rho-a", "tau-a", "tau-b")),
)
def test_ranks_ignore_monotone_maps_and_mirror(seed, comparison):  # P19, P20
    a, b = np.random.default_rng(seed).random((2, 10))
    plain = _score(a, b, comparison)
    np.testing.assert_array_equal(_score(np.exp(a), b**3, comparison), plain)
    np.testing.assert_allclose(_score(a, -b, comparison), -plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("nan_policy", ["raise", "omit"])
def test_infinite_distances_of_references_and_nuisance_are_refused(nan_policy):
    data, infinite = _rdms(np.arange(6.0)), _rdms([0, 1, np.inf, 2, 3, 4.0])
    with pytest.raises(InputError, match="reference 1.*infinite"):
        compare_rdms(data, infinite, nan_policy=nan_policy)
    with pytest.raises(InputError, match="nuisance 1.*infinite"):
        compare_rdms(data, data, nuisance=infinite, nan_policy=nan_policy)
