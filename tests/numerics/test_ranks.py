import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from neurodnn.numerics.ranks import average_ranks, extremes, make_rank_work, rank_into

RNG = np.random.default_rng(3)
CASES = {
    "normal": RNG.normal(size=4186),
    "heavy ties": RNG.integers(0, 3, 1000).astype(float),
    "some ties": np.round(RNG.normal(size=2000), 2),
    "outliers crowd all others into one bucket": np.r_[1e300, -1e300, RNG.normal(size=500)],
    "heavy tails": RNG.standard_cauchy(3000),
    "all equal": np.full(77, 0.7),
    "subnormal": np.array([5e-324, 0.0, 1e-323, 5e-324]),
    "infinite": np.array([1.0, np.inf, -np.inf, 2.0, np.inf]),
    "range beyond float64": np.array([1.7e308, -1.7e308, 0.0, 1.0]),
    "signed zeros tie": np.array([0.0, -0.0, 1.0, -1.0]),
    "neighbouring floats": 1.0 + np.arange(300)[::-1] * np.finfo(float).eps,
    "sorted": np.arange(5000.0),
    "reversed": np.arange(5000.0)[::-1],
    "one value": np.array([3.0]),
    "places beyond 16 bits": RNG.normal(size=70_000),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_ranks_equal_scipy(name, dtype):
    with np.errstate(over="ignore"):
        values = CASES[name].astype(dtype)
    np.testing.assert_array_equal(average_ranks(values), rankdata(values))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60))
def test_ranks_equal_scipy_for_any_numbers(values):
    np.testing.assert_array_equal(average_ranks(values), rankdata(values))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_tie_term_gives_the_sum_of_squares_of_centred_ranks(values):
    values = np.array(values, dtype=float)
    n = values.size
    ranks = np.empty(n)
    low, high = extremes(values)
    ties = rank_into(values, low, high, ranks, (n + 1) / 2, make_rank_work(n, float))
    assert (n**3 - n - ties) / 12 == (ranks**2).sum()
    np.testing.assert_array_equal(ranks, rankdata(values) - (n + 1) / 2)


def test_nan_is_not_ranked_and_others_keep_their_ranks():
    values = np.array([[3.0, np.nan, 1.0, 2.0], [np.nan] * 4, [1.0, 1.0, 1.0, 2.0]])
    expected = [[3, np.nan, 1, 2], [np.nan] * 4, [2, 2, 2, 4]]
    np.testing.assert_array_equal(average_ranks(values), expected)


def test_any_memory_layout_gives_the_same_ranks():
    values = RNG.normal(size=(6, 40))
    expected = average_ranks(values)
    for other in (np.asfortranarray(values), values.astype(">f8"), values[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(average_ranks(other), expected)
