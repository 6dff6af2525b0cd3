"""Shares of variance against statsmodels' R2, closed forms, suppression and held-out stimuli."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist
from sklearn.linear_model import LinearRegression

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.ranks import average_ranks
from neurodnn.rsa.partition import commonality, variance_partition
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.searchlight_partition import searchlight_partition

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"
LABELS = ["conv1", "conv2", "fc6"]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


def _rdms(rows, **labels):
    rows = np.atleast_2d(np.asarray(rows, dtype=float))
    n = round((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    names = {"stimulus": [f"s{i:02d}" for i in range(n)]}
    return RDMs(rows, rdm_descriptors=labels, pattern_descriptors=names)


def _r2(y, *rows):
    X = np.array(rows).T
    return LinearRegression().fit(X, y).score(X, y)


# ---- two and three sets


def test_golden_three_sets(golden):  # b2
    found = variance_partition(
        _rdms(golden["partial_data"]), _rdms(golden["partial_references"], reference=LABELS),
        {"A": ["conv1"], "B": ["conv2"], "C": ["fc6"]}, ranks=False,
    )  # fmt: skip
    A, B, C, AB, AC, BC, ABC = (
        golden[f"r2_{key}"].item() for key in ("0", "1", "2", "01", "02", "12", "012")
    )
    expected = {
        "A alone": ABC - BC, "B alone": ABC - AC, "C alone": ABC - AB,
        "A & B": AC + BC - C - ABC, "A & C": AB + BC - B - ABC, "B & C": AB + AC - A - ABC,
        "A & B & C": A + B + C - AB - AC - BC + ABC, "total": ABC,
    }  # fmt: skip
    assert found.component.values.tolist() == list(expected)
    np.testing.assert_allclose(found[0], list(expected.values()), rtol=0, atol=1e-12)
    assert found.sel(component="A & B").item() < 0  # suppression, kept


def test_two_sets_of_several_references():
    rng = np.random.default_rng(0)
    rows, layers = rng.random((2, 45)), rng.random((4, 45))
    references = _rdms(layers, reference=[*LABELS, "gist"])
    sets = {"scenes": ["gist"], "objects": ["fc6", "conv1"]}
    found = variance_partition(_rdms(rows, subject=["01", "02"]), references, sets)
    assert found.dims == ("subject", "component")
    assert found.attrs["sets"] == ["scenes: gist", "objects: fc6, conv1"]
    ranked = average_ranks(layers)
    for row, shares in zip(average_ranks(rows), found, strict=True):
        both = _r2(row, ranked[3], ranked[2], ranked[0])
        one, two = _r2(row, ranked[3]), _r2(row, ranked[2], ranked[0])
        expected = [both - two, both - one, one + two - both, both]
        np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 10_000), ranks=st.booleans(), n_sets=st.sampled_from([2, 3]))
def test_shares_add_up_and_single_ones_are_not_negative(seed, ranks, n_sets):
    rng = np.random.default_rng(seed)
    data, references = _rdms(rng.random(28)), _rdms(rng.random((3, 28)), reference=LABELS)
    sets = {name: [label] for name, label in zip("ABC"[:n_sets], LABELS, strict=False)}
    found = variance_partition(data, references, sets, ranks=ranks)
    assert found[0, :-1].sum().item() == pytest.approx(found[0, -1].item(), abs=1e-12)
    assert (found[0, :n_sets] >= -1e-12).all()


def test_suppression_is_kept():
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(2, 45))
    references = _rdms([signal + noise, noise], reference=["mixed", "noise"])
    found = variance_partition(
        _rdms(signal), references, {"A": ["mixed"], "B": ["noise"]}, ranks=False
    )
    assert found.sel(component="total").item() == pytest.approx(1, abs=1e-12)
    assert found.sel(component="A & B").item() < -0.3


def test_non_negative_weights():
    rng = np.random.default_rng(1)
    layers = rng.random((3, 45))
    data = _rdms(layers[0] - 0.5 * layers[1] + 0.1 * rng.random(45))
    references = _rdms(layers, reference=LABELS)
    sets = {"A": ["conv1"], "B": ["conv2"]}
    found = variance_partition(data, references, sets, method="nnls", ranks=False)
    assert found.sel(component="B alone").item() == pytest.approx(0, abs=1e-12)
    free = variance_partition(data, references, sets, ranks=False)
    assert free.sel(component="B alone").item() > 0.1


def test_order_and_names_of_stimuli():
    rng = np.random.default_rng(0)
    data, references = _rdms(rng.random((2, 15))), _rdms(rng.random((3, 15)), reference=LABELS)
    turned = align_to(["s03", "s00", "s05", "s01", "s04", "s02"], references)
    sets = {"A": ["conv1"], "B": ["fc6"]}
    xr.testing.assert_identical(
        variance_partition(data, turned, sets), variance_partition(data, references, sets)
    )


# ---- held-out stimuli


def test_folds_hold_out_stimuli_never_pairs():
    rng = np.random.default_rng(0)
    n = 16
    rows, layers = rng.random((2, 120)), rng.random((3, 120))
    data, references = _rdms(rows), _rdms(layers, reference=LABELS)
    sets = {"A": ["conv1", "conv2"], "B": ["fc6"]}
    found = variance_partition(data, references, sets, ranks=False, folds=4, seed=3)
    order = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(8,))).permutation(n)
    first, second = np.triu_indices(n, 1)

    def held_out(y, chosen):
        errors = total = 0.0
        for part in np.array_split(order, 4):
            test = np.isin(first, part) & np.isin(second, part)
            training = ~np.isin(first, part) & ~np.isin(second, part)
            fit = LinearRegression().fit(layers[chosen][:, training].T, y[training])
            errors += ((y[test] - fit.predict(layers[chosen][:, test].T)) ** 2).sum()
            total += ((y[test] - y[training].mean()) ** 2).sum()
        return 1 - errors / total

    for y, shares in zip(rows, found, strict=True):
        both, one, two = held_out(y, [0, 1, 2]), held_out(y, [0, 1]), held_out(y, [2])
        expected = [both - two, both - one, one + two - both, both]
        np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-12)
    assert found.attrs["folds"] == 4
    other = variance_partition(data, references, sets, ranks=False, folds=4, seed=4)
    assert not np.allclose(found, other)


def test_many_useless_references_gain_nothing_on_held_out_stimuli():
    rng = np.random.default_rng(0)
    labels = [f"noise{i}" for i in range(20)]
    gains, honest = [], []
    for _ in range(10):
        truth = pdist(rng.normal(size=(24, 10)), "sqeuclidean")
        noise = [pdist(rng.normal(size=(24, 10)), "sqeuclidean") for _ in labels]
        data = _rdms(truth + 12 * rng.normal(size=truth.size))
        references = _rdms([truth, *noise], reference=["truth", *labels])
        sets = {"A": ["truth"], "B": labels}
        gains.append(variance_partition(data, references, sets).sel(component="B alone").item())
        held = variance_partition(data, references, sets, folds=3)
        honest.append(held.sel(component="B alone").item())
    assert np.mean(gains) > 0.01  # within the sample noise always explains something
    assert np.mean(honest) < 0


def test_held_out_shares_leave_out_gaps():
    rng = np.random.default_rng(0)
    rows, references = rng.random((2, 120)), _rdms(rng.random((3, 120)), reference=LABELS)
    sets = {"A": ["conv1"], "B": ["fc6"]}
    whole = variance_partition(_rdms(rows), references, sets, folds=3)
    rows[0, 5] = np.nan
    found = variance_partition(_rdms(rows), references, sets, folds=3, nan_policy="omit")
    np.testing.assert_array_equal(found[1], whole[1])
    assert np.isfinite(found[0]).all() and not np.array_equal(found[0], whole[0])


# ---- commonality


@given(seed=st.integers(0, 10_000))
def test_fusion_closed_form(seed):  # b2
    rng = np.random.default_rng(seed)
    m, f, d = rng.random((3, 28)) + rng.random(28)
    r_mf, r_md, r_fd = (np.corrcoef(x, y)[0, 1] for x, y in ((m, f), (m, d), (f, d)))
    expected = r_mf**2 - (r_mf - r_md * r_fd) ** 2 / (1 - r_fd**2)
    found = commonality(_rdms(m), _rdms(f), _rdms(d), ranks=False).item()
    assert found == pytest.approx(expected, abs=1e-12)
    assert found == pytest.approx(_r2(m, f) - (_r2(m, f, d) - _r2(m, d)), abs=1e-12)
    both = variance_partition(
        _rdms(m), _rdms([f, d], reference=["f", "d"]), {"A": ["f"], "B": ["d"]}, ranks=False
    )
    assert found == pytest.approx(both.sel(component="A & B").item(), abs=1e-12)


@pytest.mark.parametrize("ranks", [True, False])
def test_four_terms(ranks):
    rng = np.random.default_rng(1)
    meg, fmri, models, given = (rng.random((k, 45)) for k in (3, 2, 2, 2))
    found = commonality(
        _rdms(meg, time=["0", "100", "200"]), _rdms(fmri, region=["V1", "IT"]),
        _rdms(models, reference=["conv1", "fc6"]), given=_rdms(given, reference=["size", "hue"]),
        ranks=ranks,
    )  # fmt: skip
    assert found.dims == ("time", "first", "second")
    assert found["first"].values.tolist() == ["V1", "IT"]
    assert found.attrs["given"] == ["size", "hue"]
    if ranks:
        meg, fmri, models, given = map(average_ranks, (meg, fmri, models, given))
    for i, y in enumerate(meg):
        for j, a in enumerate(fmri):
            for k, b in enumerate(models):
                expected = (
                    _r2(y, a, *given) + _r2(y, b, *given)
                    - _r2(y, *given) - _r2(y, a, b, *given)
                )  # fmt: skip
                assert found.values[i, j, k] == pytest.approx(expected, abs=1e-12)
    assert (found < 0).any()  # never clipped


def test_constant_data_are_nan_and_told():
    rng = np.random.default_rng(1)
    rows = np.array([np.full(15, 0.7), rng.random(15)])
    one, two = _rdms(rng.random(15)), _rdms(rng.random(15))
    with pytest.warns(DataWarning, match="the scores of rdm 1 are NaN"):
        found = commonality(_rdms(rows), one, two)
    np.testing.assert_array_equal(np.isnan(found).values.ravel(), [True, False])


# ---- refusals


@pytest.mark.parametrize(
    ("sets", "options", "match"),
    [
        ({"A": ["conv1"]}, {}, "two or three sets"),
        ({str(i): [label] for i, label in enumerate([*LABELS, "gist"])}, {}, "two or three sets"),
        ({"A": ["conv1"], "B": []}, {}, "B holds no references"),
        ({"A": ["conv1"], "B": "fc6"}, {}, "B must be a list of labels"),
        ({"A": ["conv1"], "B": ["fc7"]}, {}, "sets.*'fc7' is not known.*Did you mean fc6"),
        ({"A": ["conv1"], "B": ["fc6", "conv1"]}, {}, "conv1 occurs more than once"),
        ({"A": ["conv1"], "B": ["fc6"]}, {"folds": 3}, "each needs 4 stimuli, and there are 10"),
        ({"A": ["conv1"], "B": ["fc6"]}, {"folds": 1}, "folds: is not a valid number"),
        ({"A": ["conv1"], "B": ["fc6"]}, {"method": "lasso"}, "Choose from: nnls, ols"),
    ],
)
def test_refusals(sets, options, match):
    rng = np.random.default_rng(0)
    references = _rdms(rng.random((4, 45)), reference=[*LABELS, "gist"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=match):
            variance_partition(_rdms(rng.random(45)), references, sets, **options)


def test_labels_that_occur_twice_are_refused():
    names = list("abcde")
    rows = np.random.default_rng(0).random((3, 10))
    twice = RDMs(rows, rdm_descriptors={"reference": ["x", "x", "y"]},
                 pattern_descriptors={"stimulus": names})  # fmt: skip
    sets = {"A": ["x"], "B": ["y"]}
    with pytest.raises(InputError, match="references: x .*more than once"):
        variance_partition(twice, twice, sets)
    patterns = Dataset(rows[:, :5].T, obs_descriptors={"stimulus": names})
    with pytest.raises(InputError, match="references: x .*more than once"):
        searchlight_partition(patterns, csr_array(np.ones((1, 3), bool)), twice, sets)


def test_a_seed_that_is_none_is_refused():
    rdms = RDMs(np.random.default_rng(0).random((2, 66)), rdm_descriptors={"reference": ["x", "y"]},
                pattern_descriptors={"stimulus": list("abcdefghijkl")})  # fmt: skip
    with pytest.raises(InputError, match="seed"):
        variance_partition(rdms, rdms, {"A": ["x"], "B": ["y"]}, folds=2, seed=-1)
