"""Kendall's tau in n log n against the double loop and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neurodnn.numerics.kendall import (
    concordance,
    in_order,
    make_concordance_work,
    tau_a,
    tau_b,
)

tied_values = st.lists(st.integers(-3, 3), min_size=2, max_size=70)


def double_loop(x, y):
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    return int(signs.sum()) // 2


@given(x=tied_values, seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 90))
def test_counts_equal_the_double_loop(x, seed, levels):
    y = np.random.default_rng(seed).integers(0, levels, len(x)).astype(float)
    x = np.array(x, dtype=float)
    found = concordance(x, *in_order(y), make_concordance_work(x.size))
    assert found == double_loop(x, y)
    assert concordance(y, *in_order(x), make_concordance_work(x.size)) == found


@given(x=tied_values, seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 90))
def test_tau_b_equals_scipy(x, seed, levels):
    y = np.random.default_rng(seed).integers(0, levels, len(x)).astype(float)
    if len(set(x)) == 1 or np.ptp(y) == 0:
        assert np.isnan(tau_a(x, y)) and np.isnan(tau_b(x, y))
        return
    pairs = len(x) * (len(x) - 1) / 2
    assert tau_b(x, y).item() == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert tau_a(x, y).item() == double_loop(x, y) / pairs
    assert tau_b(x, x).item() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("n", [1225, 1536])
@pytest.mark.parametrize("ties", [None, 40, 2])
def test_many_values_and_float32_buffers(n, ties):
    x, y = np.random.default_rng(n).normal(size=(2, n))
    if ties:
        y = np.round(y * ties / 4)
        x[: n // 2] = np.round(x[: n // 2] * ties / 4)
    expected = stats.kendalltau(x, y).statistic
    assert tau_b(x, y).item() == pytest.approx(expected, abs=1e-12)
    single = x.astype(np.float32)  # makes some more ties
    work = make_concordance_work(n, np.float32)
    before = single.copy()
    assert concordance(single, *in_order(y), work) == double_loop(single, y)
    np.testing.assert_array_equal(single, before)


def test_sorted_and_reversed():
    x = np.arange(100.0)
    assert tau_a(x, x).item() == 1
    assert tau_a(x, -x).item() == -1


def test_other_numbers_of_pairs_are_refused():
    with pytest.raises(ValueError, match="number of pairs"):
        tau_b(np.ones(6), np.ones(10))
