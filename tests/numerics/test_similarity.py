from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cosine as cosine_distance

from neurodnn._checks import InputError
from neurodnn.numerics.similarity import (
    COMPARISONS,
    cosine,
    normalise,
    pearson,
    rho_a,
    spearman,
    tau_a,
)

WHITENED = ("corr_cov", "cosine_cov")  # see test_whitened for gaps, which leave no triangle


def rows(seed, n_rows=3, n_pairs=28, ties=False):
    values = np.random.default_rng(seed).normal(size=(n_rows, n_pairs))
    return np.round(values, 1) if ties else values


ORACLES = {
    "pearson": lambda x, y: stats.pearsonr(x, y)[0],
    "spearman": lambda x, y: stats.spearmanr(x, y)[0],
    "cosine": lambda x, y: 1 - cosine_distance(x, y),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("ties", [False, True])
def test_equals_scipy(name, ties):  # K13: a peer's Pearson is (n - 1) / n of it, its ranks untied
    a, b = rows(1, ties=ties), rows(2, 4, ties=ties)
    expected = [[ORACLES[name](x, y) for y in b] for x in a]
    np.testing.assert_allclose(COMPARISONS[name](a, b), expected, rtol=0, atol=1e-12)


def test_tau_a_equals_scipy_without_ties_and_the_double_loop_with_ties():
    a, b = rows(1), rows(2)
    expected = [[stats.kendalltau(x, y)[0] for y in b] for x in a]
    np.testing.assert_allclose(tau_a(a, b), expected, rtol=0, atol=1e-12)
    x, y = rows(3, 1, ties=True)[0], rows(4, 1, ties=True)[0]
    signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    assert tau_a(x, y)[0, 0] == pytest.approx(signs.sum() / (28 * 27), abs=1e-12)


def test_hand_case():
    """Golden set G3 of the design."""
    d = [1, 2, 3, 4, 5, 6]
    plain, tied = [2, 1, 4, 3, 6, 5], [1, 1, 2, 2, 3, 3]
    expected = {"cosine": 88 / 91, "pearson": 29 / 35, "spearman": 29 / 35, "rho-a": 29 / 35,
                "tau-a": 3 / 5, "tau-b": 3 / 5}  # fmt: skip
    for name, value in expected.items():
        assert COMPARISONS[name](d, plain)[0, 0] == pytest.approx(value, abs=1e-15)
    expected = {"pearson": 16 / np.sqrt(280), "spearman": 16 / np.sqrt(280),
                "rho-a": 16 / 17.5, "tau-a": 12 / 15, "tau-b": 12 / np.sqrt(180)}  # fmt: skip
    for name, value in expected.items():
        assert COMPARISONS[name](d, tied)[0, 0] == pytest.approx(value, abs=1e-15)


@given(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.permutations(range(4)))
def test_rho_a_is_the_mean_over_all_ways_to_break_ties(tied, other):
    if len(set(tied)) == 1:
        assert np.isnan(rho_a(tied, other)[0, 0])
        return
    orders = [
        order
        for order in permutations(range(4))
        if all(tied[order[i]] <= tied[order[i + 1]] for i in range(3))
    ]
    values = [stats.spearmanr(np.argsort(order), other)[0] for order in orders]
    assert rho_a(tied, other)[0, 0] == pytest.approx(np.mean(values), abs=1e-12)


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("constant", [1.0, 0.7, 0.0])
def test_a_constant_row_changes_no_other_row(name, constant):
    """Golden set G6: peers put other rows' results into wrong rows."""
    rng = np.random.default_rng(1)
    a, b = rng.random((20, 45)), rng.random((2, 45))
    a[10] = constant
    together = COMPARISONS[name](a, b)
    alone = np.concatenate([COMPARISONS[name](row, b) for row in a])
    np.testing.assert_array_equal(together, alone)
    undefined = name not in ("cosine", "cosine_cov") or constant == 0
    assert np.isnan(together[10]).all() == undefined
    assert np.isfinite(np.delete(together, 10, axis=0)).all()


def test_constant_row_golden_values():
    rng = np.random.default_rng(0)
    v, m = rng.random((3, 15)), rng.random((2, 15))
    v[0] = 1.0
    expected = [[np.nan, np.nan], [-0.10740143, 0.16849092], [0.01526909, 0.18853605]]
    np.testing.assert_allclose(pearson(v, m), expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("name", sorted(COMPARISONS.keys() - set(WHITENED)))
def test_a_missing_pair_is_left_out_of_its_own_comparison_only(name):
    """Golden set G8: in a peer, masks of one RDM stay for those that follow."""
    a, b = rows(5), rows(6)
    gap = a.copy()
    gap[0, :9] = np.nan
    result = COMPARISONS[name](gap, b)
    np.testing.assert_array_equal(result[1:], COMPARISONS[name](a, b)[1:])
    np.testing.assert_array_equal(result[0], COMPARISONS[name](a[0, 9:], b[:, 9:])[0])
    b[2] = np.nan
    assert np.isnan(COMPARISONS[name](gap, b)[:, 2]).all()


def test_missing_pairs_golden_values():
    rng = np.random.default_rng(0)
    m = rng.random(45)
    d = np.array([rng.random(45) for _ in range(3)])
    np.testing.assert_allclose(spearman(d, m)[:, 0], [0.197, 0.083, -0.088], atol=5e-4)
    d[0, :20] = np.nan
    np.testing.assert_allclose(spearman(d, m)[:, 0], [0.152, 0.083, -0.088], atol=5e-4)


@given(st.integers(0, 10_000))
def test_properties(seed):
    a, b = rows(seed, 2, 15, ties=seed % 2 == 0), rows(seed + 1, 2, 15)
    order = np.random.default_rng(seed).permutation(15)
    for name, compare in COMPARISONS.items():
        np.testing.assert_array_equal(compare(a, b), compare(b, a).T)
        np.testing.assert_allclose(compare(-a, b), -compare(a, b), rtol=0, atol=1e-14)
        if name not in WHITENED:
            np.testing.assert_allclose(compare(a[:, order], b[:, order]), compare(a, b), 0, 1e-14)
        assert compare(b, b)[0, 0] == pytest.approx(1.0, abs=1e-14)
        assert (np.abs(compare(a, b)) <= 1).all()
        if name in ("spearman", "rho-a", "tau-a", "tau-b"):
            np.testing.assert_array_equal(compare(np.exp(a), b), compare(a, b))
        if name not in ("tau-a", "tau-b"):
            product = [[normalise(x, name) @ normalise(y, name) for y in b] for x in a]
            np.testing.assert_allclose(product, compare(a, b), rtol=0, atol=1e-15)


def test_very_small_and_large_values_neither_vanish_nor_overflow():
    a, b = rows(1), rows(2)
    for scale in (1e-200, 1e200):
        np.testing.assert_allclose(cosine(a * scale, b), cosine(a, b), rtol=1e-12)
        np.testing.assert_allclose(pearson(a * scale, b), pearson(a, b), rtol=1e-12)


def test_numbers_of_pairs_must_agree():
    for compare in COMPARISONS.values():
        with pytest.raises(InputError, match="number of pairs"):
            compare(np.ones((1, 6)), np.ones((1, 10)))
