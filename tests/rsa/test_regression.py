"""Weights of several references against statsmodels, mne-rsa, sklearn; gaps, names, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.rdm import RDMs
from sklearn.linear_model import LinearRegression

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.ranks import average_ranks
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.regression import regress_rdms

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


def _rdms(rows, **labels):
    rows = np.atleast_2d(np.asarray(rows, dtype=float))
    n = round((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    names = {"stimulus": [f"s{i:02d}" for i in range(n)]}
    return RDMs(rows, rdm_descriptors=labels, pattern_descriptors=names)


def test_golden(golden):  # b2: mne-rsa 'regression', statsmodels
    data, references = _rdms(golden["partial_data"]), _rdms(golden["partial_references"])
    found = regress_rdms(data, references)
    np.testing.assert_allclose(
        found.coefficient[0], golden["regression_mne_rsa"], rtol=0, atol=1e-12
    )
    expected = golden["regression"]
    np.testing.assert_allclose(
        [found.intercept[0], *found.coefficient[0]], expected, rtol=0, atol=1e-12
    )
    assert found.r2.item() == pytest.approx(golden["regression_r2"].item(), abs=1e-12)
    found = regress_rdms(data, references, intercept=False)
    expected = golden["regression_origin"]
    np.testing.assert_allclose(found.coefficient[0], expected, rtol=0, atol=1e-12)
    assert found.r2.item() == pytest.approx(golden["regression_origin_r2"].item(), abs=1e-12)
    assert found.intercept.item() == 0


@pytest.mark.parametrize("ranks", [False, True])
def test_non_negative_weights_equal_sklearn(ranks, golden):
    y, X = golden["partial_data"], golden["partial_references"]
    found = regress_rdms(_rdms(y), _rdms(X), method="nnls", ranks=ranks)
    if ranks:
        y, X = average_ranks(y), average_ranks(X)
    peer = LinearRegression(positive=True).fit(X.T, y)
    np.testing.assert_allclose(found.coefficient[0], peer.coef_, rtol=0, atol=1e-10)
    assert found.r2.item() == pytest.approx(peer.score(X.T, y), abs=1e-12)
    assert found.coefficient.values[0, 2] == 0
    assert found.attrs == {
        "method": "nnls", "scale": "ranks" if ranks else "raw", "n_stimuli": 10,
    }  # fmt: skip


def test_a_mixture_of_references_is_recovered_row_by_row():
    rng = np.random.default_rng(0)
    layers = rng.random((3, 45))
    weights = np.array([[1.0, 0.0, 2.0], [0.5, 0.25, 0.0]])
    data = _rdms(weights @ layers + 3.0, subject=["01", "02"])
    for method in ("ols", "nnls"):
        found = regress_rdms(
            data, _rdms(layers, reference=["conv1", "conv2", "fc6"]), method=method
        )
        np.testing.assert_allclose(found.coefficient, weights, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.r2, 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.intercept, 3, rtol=0, atol=1e-12)
    assert found.coefficient.dims == ("subject", "reference")
    assert found.reference.values.tolist() == ["conv1", "conv2", "fc6"]


def test_stimuli_are_matched_by_name():
    rng = np.random.default_rng(0)
    data, references = _rdms(rng.random((2, 15))), _rdms(rng.random((3, 15)))
    turned = align_to(["s03", "s00", "s05", "s01", "s04", "s02"], references)
    xr.testing.assert_identical(regress_rdms(data, turned), regress_rdms(data, references))
    other = RDMs(rng.random((1, 15)), pattern_descriptors={"stimulus": list("abcdef")})
    with pytest.raises(InputError, match="Only in references: a, b, c"):
        regress_rdms(data, other)


def test_gaps_leave_out_their_own_row_only():
    rng = np.random.default_rng(0)
    rows, layers = rng.random((2, 15)), rng.random((2, 15))
    whole = regress_rdms(_rdms(rows), _rdms(layers))
    gap = rows.copy()
    gap[0, 3] = np.nan
    with pytest.raises(InputError, match="rdm 1: distances are missing"):
        regress_rdms(_rdms(gap), _rdms(layers))
    found = regress_rdms(_rdms(gap), _rdms(layers), nan_policy="omit")
    np.testing.assert_array_equal(found.coefficient[1], whole.coefficient[1])
    kept = np.delete(np.arange(15), 3)
    peer = LinearRegression().fit(layers[:, kept].T, rows[0, kept])
    np.testing.assert_allclose(found.coefficient[0], peer.coef_, rtol=0, atol=1e-12)


def test_what_cannot_be_told_apart_is_nan():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 15))
    rows = np.array([rng.random(15), np.full(15, 0.7)])
    with pytest.warns(DataWarning) as caught:
        found = regress_rdms(
            _rdms(rows, subject=["01", "02"]), _rdms([a, b, a - 2 * b])
        )
    texts = [str(one.message) for one in caught]
    assert any("the coefficients of 01 are NaN" in text for text in texts)
    assert any("the scores of subject 02 are NaN" in text for text in texts)
    assert np.isnan(found.coefficient).all()
    X = np.array([a, b]).T
    expected = LinearRegression().fit(X, rows[0]).score(X, rows[0])
    assert found.r2.values[0] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(found.r2.values[1])


@pytest.mark.parametrize(
    ("references", "options", "match"),
    [
        (np.random.default_rng(0).random((5, 6)), {}, "5 of them explain any 6 distances"),
        ([np.arange(6.0), np.full(6, 0.7)], {}, "references 2: all distances are equal"),
        (np.arange(6.0), {"method": "ridge"}, "Choose from: nnls, ols"),
        (np.arange(3.0), {}, "differ"),
    ],
)
def test_refusals(references, options, match):
    with pytest.raises(InputError, match=match):
        regress_rdms(_rdms(np.arange(6.0) ** 2), _rdms(references), **options)
    with pytest.raises(InputError, match="too few stimuli"):
        regress_rdms(_rdms(np.arange(3.0)), _rdms(np.arange(3.0)))


def test_ranks_need_an_intercept():
    rdms = RDMs(np.arange(6.0)[np.newaxis], pattern_descriptors={"stimulus": list("wxyz")})
    with pytest.raises(InputError, match="intercept"):
        regress_rdms(rdms, rdms, ranks=True, intercept=False)
