"""The error rates of the sign-flip test, by simulation: the quick tier.

Bounds are two-sided 99.9 % binomial intervals around the nominal rate, so that a right program
fails about once in a thousand draws of the seed. NEURODNN_CALIBRATION_SEED draws another.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import binom, kstest
from scipy.stats import t as student

from neurodnn._checks import DataWarning
from neurodnn.stats.permutation import sign_flip_test

SEED = int(os.environ.get("NEURODNN_CALIBRATION_SEED", "0"))
pytestmark = pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")


def _band(n: int, alpha: float = 0.05) -> tuple[int, int]:
    low, high = binom.interval(0.999, n, alpha)
    return int(low), int(high)


def _smooth_null(rng, n_subjects=16, side=10):
    """Gaussian noise, smoothed with a standard deviation of 1.2 voxels."""
    noise = rng.standard_normal((n_subjects, side, side, side))
    return gaussian_filter(noise, sigma=(0, 1.2, 1.2, 1.2)).reshape(n_subjects, -1)


@pytest.mark.slow
def test_familywise_error_at_table_size():  # A1
    assert _band(1000) == (29, 74)
    rejections = _rejections(1000)
    assert 29 <= rejections <= 74


def test_familywise_error():  # A1, N = 300
    low, high = _band(300)
    assert (low, high) == (4, 29)
    assert low <= _rejections(300) <= high


def _rejections(n: int) -> int:
    rng = np.random.default_rng([SEED, 1])
    count = 0
    for i in range(n):
        test = sign_flip_test(_smooth_null(rng), n_permutations=200, seed=i)
        count += bool(test.p_fwe.min() <= 0.05)
    return count


def test_uncorrected_p_would_not_do():  # the positive control of A1
    rng = np.random.default_rng([SEED, 2])
    count = sum(
        bool(sign_flip_test(_smooth_null(rng), n_permutations=200, seed=i).p.min() <= 0.05)
        for i in range(40)
    )
    assert count > 30


def test_null_of_t_is_student():  # A11
    p = []
    for seed in range(20):
        x = np.random.default_rng([SEED, 3, seed]).normal(size=(10, 2000))
        p.append(kstest(sign_flip_test(x, n_permutations=20).t.values, student(9).cdf).pvalue)
    # 20 uniform values below .01 / 20 at most once in a hundred runs
    assert min(p) > 0.01 / 20


def test_sign_flip_p_approaches_that_of_student():  # A11
    x = np.random.default_rng([SEED, 4]).normal(size=(16, 200))
    errors = []
    for n_permutations in (100, 1000, 10_000):
        test = sign_flip_test(x, n_permutations=n_permutations)
        expected = 2 * student(15).sf(np.abs(test.t.values))
        errors.append(np.mean((test.p.values - expected) ** 2))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
@pytest.mark.parametrize("which", ["p", "p_fwe"])
def test_p_is_uniform_under_the_null(which, tail):  # A13, small: B = 999, 500 sets
    rng, values = np.random.default_rng([SEED, 5]), []
    for seed in range(500):
        test = sign_flip_test(rng.normal(size=(15, 3)), n_permutations=1000, seed=seed, tail=tail)
        values.append(test[which].values[0 if which == "p" else test[which].values.argmin()])
    if which == "p_fwe":  # the smallest corrected p of a family is that of its maximum: uniform
        assert np.mean(np.array(values) <= 0.05) <= _band(500)[1] / 500
    # p is discrete; a uniform step makes it continuous
    randomised = np.array(values) - rng.uniform(size=500) / 1000
    assert kstest(randomised, "uniform").pvalue > 0.001


def test_skewed_scores_are_liberal_and_warned_of():  # A6: why two-sided is the default
    rng, rejected, warned = np.random.default_rng([SEED, 6]), 0, 0
    for seed in range(300):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            test = sign_flip_test(rng.exponential(size=(12, 1)) - 1, n_permutations=200, seed=seed)
        rejected += bool(test.p.item() <= 0.05)
        warned += any("skewed" in str(w.message) for w in caught)
    assert rejected / 300 <= 0.15  # measured about .09
    assert warned / 300 > 0.5
