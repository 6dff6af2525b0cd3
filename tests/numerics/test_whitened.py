"""Whitened measures against V written out, linear CKA and rsatoolbox."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs, compare
from scipy.spatial.distance import pdist, squareform

from neurodnn._checks import InputError
from neurodnn.numerics.similarity import normalise
from neurodnn.numerics.whitened import (
    corr_cov,
    cosine_cov,
    half_whitened,
    half_whitened_into,
    whitened_into,
    whitened_size,
)

MEASURES = {"cosine_cov": cosine_cov, "corr_cov": corr_cov}


def rows(seed, n_rows=3, n=8, columns=9):
    rng = np.random.default_rng(seed)
    return np.array([pdist(rng.normal(size=(n, columns)), "sqeuclidean") for _ in range(n_rows)])


def explicit_v(n, sigma=None):
    """(C Sigma C')^2, element by element, one contrast of two stimuli after the other."""
    contrasts = []
    for i in range(n):
        for j in range(i + 1, n):
            contrast = np.zeros(n)
            contrast[i], contrast[j] = 1, -1
            contrasts.append(contrast)
    contrasts = np.array(contrasts)
    return (contrasts @ (np.eye(n) if sigma is None else sigma) @ contrasts.T) ** 2


def by_hand(x, y, v, centred):
    if centred:
        x, y = x - x.mean(), y - y.mean()

    def product(s, t):
        return s @ np.linalg.solve(v, t)

    return product(x, y) / np.sqrt(product(x, x) * product(y, y))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", ["identity", "diagonal", "full"])
def test_equals_v_written_out(name, kind):
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(8, 20))
    sigma = {"identity": None, "diagonal": np.diag(rng.uniform(0.5, 2, 8)),
             "full": mixing @ mixing.T / 20}[kind]  # fmt: skip
    a, b, v = rows(1), rows(2, 2), explicit_v(8, sigma)
    expected = [[by_hand(x, y, v, name == "corr_cov") for y in b] for x in a]
    np.testing.assert_allclose(MEASURES[name](a, b, sigma), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_equals_rsatoolbox(name):
    a, b = rows(1), rows(2, 2)
    peer = compare(RDMs(a), RDMs(b), method=name)
    np.testing.assert_allclose(MEASURES[name](a, b), peer, rtol=0, atol=1e-12)
    sigma = np.diag(np.random.default_rng(0).uniform(0.5, 2, 8))
    peer = compare(RDMs(a), RDMs(b), method=name, sigma_k=sigma)
    found = MEASURES[name](a, b, sigma)
    np.testing.assert_allclose(found, peer, rtol=0, atol=1e-5)  # the peer iterates to 1e-5


def test_cosine_cov_is_the_linear_cka_of_the_kernels():
    a, b = rows(1), rows(2)
    centring = np.eye(8) - 1 / 8

    def kernel(row):
        return centring @ squareform(row) @ centring

    def cka(x, y):
        x, y = kernel(x), kernel(y)
        return (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())

    expected = [[cka(x, y) for y in b] for x in a]
    np.testing.assert_allclose(cosine_cov(a, b), expected, rtol=0, atol=1e-14)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 9))
def test_compiled_kernels_equal_v_written_out(seed, n):
    d = np.random.default_rng(seed).normal(size=n * (n - 1) // 2)
    v = explicit_v(n)
    full, half = np.empty_like(d), np.empty_like(d)
    squares = whitened_into(d, n, np.empty(n), full)
    np.testing.assert_allclose(full, np.linalg.solve(v, d), rtol=0, atol=1e-12)
    assert squares == pytest.approx(d @ np.linalg.solve(v, d), abs=1e-12)
    assert half_whitened_into(d, n, np.empty(n), half) == pytest.approx(squares, abs=1e-12)
    values, vectors = np.linalg.eigh(v)
    np.testing.assert_allclose(half, vectors @ ((vectors.T @ d) / np.sqrt(values)), 0, 1e-12)
    np.testing.assert_array_equal(half_whitened(d), half)
    in_place = d.copy()
    whitened_into(in_place, n, np.empty((n, n)), in_place)  # a larger buffer, and onto itself
    np.testing.assert_array_equal(in_place, full)


def test_float32_kernels_sum_in_float64():
    d = rows(5, 1, 60)[0] + 1e4
    out = np.empty(d.size, np.float32)
    whitened_into(d.astype(np.float32), 60, np.empty(60), out)
    exact = np.empty(d.size)
    whitened_into(d.astype(np.float32).astype(float), 60, np.empty(60), exact)
    np.testing.assert_allclose(out, exact, rtol=0, atol=np.abs(exact).max() * 1e-6)


@pytest.mark.parametrize("name", MEASURES)
def test_normalised_rows_have_the_measure_as_dot_product(name):
    a, b = rows(1), rows(2)
    product = [[normalise(x, name) @ normalise(y, name) for y in b] for x in a]
    np.testing.assert_allclose(product, MEASURES[name](a, b), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", MEASURES)
def test_a_missing_pair_leaves_v_of_the_others(name):  # P23
    a, b = rows(1), rows(2, 2)
    gap = a.copy()
    gap[0, [2, 11]], gap[1, :7] = np.nan, np.nan  # some pairs; a whole stimulus
    found = MEASURES[name](gap, b)
    np.testing.assert_array_equal(found[2], MEASURES[name](a, b)[2])
    # without its first stimulus an RDM is that of the seven others
    np.testing.assert_allclose(found[1], MEASURES[name](a[1, 7:], b[:, 7:])[0], 0, 1e-12)
    kept = ~np.isnan(gap[0])
    v = explicit_v(8)[np.ix_(kept, kept)]
    expected = [by_hand(a[0, kept], y[kept], v, name == "corr_cov") for y in b]
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(MEASURES[name](gap, b, np.eye(8)), found, rtol=0, atol=1e-12)
    gap[0] = np.nan
    assert np.isnan(MEASURES[name](gap, b)[0]).all()


def test_golden_sigma():  # G10, K8
    rng = np.random.default_rng(1)
    v1 = pdist(rng.normal(size=(12, 9)), "sqeuclidean")
    v2 = pdist(rng.normal(size=(12, 7)), "sqeuclidean")
    variances = rng.uniform(0.5, 2, 12)
    found = cosine_cov(v1, v2, np.diag(variances)).item()
    assert found == pytest.approx(0.48962023874150223, abs=1e-12)
    peer = compare(RDMs(v1[None]), RDMs(v2[None]), method="cosine_cov", sigma_k=variances)
    assert peer.item() == pytest.approx(0.4945618974010907, abs=1e-6)  # what a vector becomes there
    with pytest.raises(InputError, match="is a vector.*Give the covariance matrix"):
        cosine_cov(v1, v2, variances)


@pytest.mark.parametrize(
    ("sigma", "match"),
    [
        (np.eye(3), r"stimuli x stimuli \(got \(3, 3\); allowed: \(8, 8\)\)"),
        (np.triu(np.ones((8, 8))), "symmetric"),
        (np.full((8, 8), np.nan), "finite"),
        (np.ones((8, 8)), "singular"),
    ],
)
def test_impossible_covariances_are_refused(sigma, match):
    with pytest.raises(InputError, match=match):
        corr_cov(rows(1), rows(2), sigma)


def test_a_number_of_pairs_that_no_stimuli_have_is_refused():
    with pytest.raises(InputError, match="number of pairs of any number of stimuli"):
        cosine_cov(np.ones((1, 7)), np.ones((1, 7)))


def test_scale_and_extremes():
    a, b = rows(1), rows(2)
    for scale in (1e-200, 1e200):
        for measure in MEASURES.values():
            np.testing.assert_allclose(measure(a * scale, b), measure(a, b), rtol=1e-12)


def test_size_ignores_how_many_pairs_are_missing():
    row = np.full(28, 3.0)
    assert whitened_size(row) == pytest.approx(3 / np.sqrt(2 * 8), abs=1e-12)
    assert np.isnan(whitened_size(np.full(28, np.nan)))
