"""Partial correlation, explained variance and weights against residuals, sklearn and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from neurodnn.numerics.partition import components, set_combinations
from neurodnn.numerics.regression import (
    explained,
    fit_rows,
    held_out_r2,
    partial_correlation,
    span,
)


def rows(seed, n_rows=3, n_pairs=28):
    return np.random.default_rng(seed).normal(size=(n_rows, n_pairs))


def residual(y, X):
    return y - LinearRegression().fit(X.T, y).predict(X.T)


@given(seed=st.integers(0, 10_000), n_nuisance=st.integers(1, 5), semi=st.booleans())
def test_partial_is_the_correlation_of_residuals(seed, n_nuisance, semi):
    x, y, *Z = rows(seed, 2 + n_nuisance)
    Z = np.array(Z)
    expected = np.corrcoef(x if semi else residual(x, Z), residual(y, Z))[0, 1]
    found = partial_correlation(x, y, Z, ranks=False, semi=semi)
    assert found == pytest.approx(expected, abs=1e-12)
    ranked = [stats.rankdata(row) for row in (x, y)], stats.rankdata(Z, axis=1)
    (x, y), Z = ranked
    expected = np.corrcoef(x if semi else residual(x, Z), residual(y, Z))[0, 1]
    found = partial_correlation(np.exp(x), y, Z, ranks=True, semi=semi)
    assert found == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 10_000))
def test_semi_partial_squared_is_what_a_reference_adds(seed):
    x, y, z, w = rows(seed, 4)
    Z = np.array([z, w])
    semi = partial_correlation(x, y, Z, ranks=False, semi=True)
    assert semi**2 == pytest.approx(explained(x, np.array([y, z, w])) - explained(x, Z), abs=1e-12)


def test_what_lies_within_the_nuisance_is_undefined():  # P24
    x, z, w = rows(1)
    Z = np.array([z, w])
    for y in (z, 3 * z + 5, 2 * z - w, w * 1e-9):
        assert np.isnan(partial_correlation(x, y, Z, ranks=False, semi=False))
        assert np.isnan(partial_correlation(x, y, Z, ranks=False, semi=True))
        assert np.isnan(partial_correlation(y, x, Z, ranks=False, semi=False))
    # whole data have something to say even if the nuisance explains all of it: nothing remains
    found = partial_correlation(z, x, Z, ranks=False, semi=True)
    assert found == pytest.approx(0, abs=1e-12)
    assert np.isnan(partial_correlation(x, np.exp(z), Z[:1], ranks=True, semi=False))


def test_nuisance_that_adds_nothing_changes_nothing():
    x, y, z = rows(1)
    expected = partial_correlation(x, y, z[None], ranks=False, semi=False)
    more = np.array([z, 2 * z, np.full(28, 0.7), z + 1e-12 * x])
    assert partial_correlation(x, y, more, ranks=False, semi=False) == pytest.approx(
        expected, abs=1e-9  # a nuisance within rounding of another blurs their common direction
    )
    plain = partial_correlation(x, y, np.empty((0, 28)), ranks=False, semi=False)
    assert plain == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-14)


def test_one_degree_of_freedom_is_none():
    x, y, *Z = rows(1, 6, 6)
    assert np.isnan(partial_correlation(x, y, np.array(Z), ranks=False, semi=False))
    found = partial_correlation(x, y, np.array(Z[:3]), ranks=False, semi=False)
    assert abs(found) < 1


def test_span_is_orthonormal_and_centred():
    basis = span(np.vstack([rows(1), rows(1)[:1] * 3]))
    assert basis.shape == (28, 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), rtol=0, atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-13)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("method", ["ols", "nnls"])
def test_weights_equal_sklearn(method, intercept):
    y, X = rows(1, 1)[0] + 4, rows(2, 4) + 1
    X[3] *= -1  # what a free weight would turn
    peer = LinearRegression(fit_intercept=intercept, positive=method == "nnls").fit(X.T, y)
    found = fit_rows(y, X, method=method, intercept=intercept)
    np.testing.assert_allclose(found.weights, peer.coef_, rtol=0, atol=1e-10)
    assert found.intercept == pytest.approx(peer.intercept_, abs=1e-10)
    rest = ((y - peer.predict(X.T)) ** 2).sum()
    total = ((y - y.mean()) ** 2).sum() if intercept else (y**2).sum()
    assert found.r2 == pytest.approx(1 - rest / total, abs=1e-12)
    assert found.unique
    if method == "nnls":
        assert (found.weights >= 0).all() and (found.weights == 0).any()


def test_units_of_predictors_do_not_matter():
    y, X = rows(1, 1)[0], rows(2)
    scales = np.array([1e-12, 1.0, 1e12])
    for method in ("ols", "nnls"):
        plain = fit_rows(y, X, method=method)
        scaled = fit_rows(y, X * scales[:, None], method=method)
        np.testing.assert_allclose(scaled.weights * scales, plain.weights, rtol=1e-9, atol=1e-15)
        assert scaled.unique


def test_predictors_made_up_by_others_are_told():
    y, X = rows(1, 1)[0], rows(2)
    for extra in (X[0] + X[1], np.full(28, 0.7)):
        found = fit_rows(y, np.vstack([X, extra]), method="ols")
        assert not found.unique
        assert found.r2 == pytest.approx(fit_rows(y, X, method="ols").r2, abs=1e-12)
    assert np.isnan(fit_rows(np.full(28, 0.7), X, method="ols").r2)
    assert np.isnan(explained(np.full(28, 0.7), X))
    assert explained(y, np.empty((0, 28))) == 0


def test_explained_equals_r2_of_least_squares():
    y, X = rows(1, 1)[0], rows(2, 5)
    assert explained(y, X) == pytest.approx(fit_rows(y, X, method="ols").r2, abs=1e-12)
    assert explained(y, X) == pytest.approx(
        LinearRegression().fit(X.T, y).score(X.T, y), abs=1e-12
    )


def test_held_out_variance_equals_a_loop():
    y, X = rows(1, 1)[0], rows(2)
    splits = [(np.arange(14), np.arange(14, 28)), (np.arange(10, 28), np.arange(8))]
    errors = total = 0.0
    for training, test in splits:
        fit = LinearRegression().fit(X[:, training].T, y[training])
        errors += ((y[test] - fit.predict(X[:, test].T)) ** 2).sum()
        total += ((y[test] - y[training].mean()) ** 2).sum()
    found = held_out_r2(y, X, splits, method="ols", ranks=False)
    assert found == pytest.approx(1 - errors / total, abs=1e-12)
    ranked = held_out_r2(np.exp(y), np.exp(X), splits, method="nnls", ranks=True)
    assert ranked == held_out_r2(y, X, splits, method="nnls", ranks=True)


# ---- inclusion and exclusion


def test_three_sets_as_written_out():
    combos = list(set_combinations("ABC"))
    values = dict(zip(combos, np.random.default_rng(0).random((7, 2)), strict=True))
    A, B, C, AB, AC, BC, ABC = values.values()
    expected = {
        "A alone": ABC - BC, "B alone": ABC - AC, "C alone": ABC - AB,
        "A & B": AC + BC - C - ABC, "A & C": AB + BC - B - ABC, "B & C": AB + AC - A - ABC,
        "A & B & C": A + B + C - AB - AC - BC + ABC, "total": ABC,
    }  # fmt: skip
    found = components("ABC", values)
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-15)
    shares = [value for name, value in found.items() if name != "total"]
    np.testing.assert_allclose(sum(shares), ABC, rtol=0, atol=1e-15)


def test_names_with_longer_labels_keep_their_order():
    found = components(["late", "early"], {("late",): 0.5, ("early",): 0.3, ("late", "early"): 0.9})
    assert list(found) == ["late alone", "early alone", "late & early", "total"]
    assert found["late & early"] == pytest.approx(-0.1)  # suppression is kept
