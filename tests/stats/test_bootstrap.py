"""Variances, t tests and intervals of the bootstrap against formulas, rsatoolbox, statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.util.inference_util import extract_variances
from scipy import stats
from statsmodels.stats.multitest import multipletests

from neurodnn._checks import InputError
from neurodnn.stats.bootstrap import (
    KINDS,
    STAGE_STIMULI,
    STAGE_SUBJECTS,
    count_draws,
    draw_indices,
    draws_p,
    group_draws,
    holm,
    infer,
    percentile_interval,
    two_factor_variance,
)


def test_hand_made_variances():
    # 3/2 * 2 + 5/4 * 3 - 15/8 * (6 - 2 - 3) = 4.875, between 3.75 and 6
    assert two_factor_variance(6.0, 2.0, 3.0, n_subjects=3, n_stimuli=5) == 4.875
    # 3 + 3.75 - 15/8 * 2 = 3, below the larger single variance 3.75
    assert two_factor_variance(7.0, 2.0, 3.0, n_subjects=3, n_stimuli=5) == 3.75
    # 3 + 3.75 + 15/8 = 8.625, above the variance of both, 4
    assert two_factor_variance(4.0, 2.0, 3.0, n_subjects=3, n_stimuli=5) == 4.0
    assert np.isnan(two_factor_variance(4.0, 2.0, 3.0, n_subjects=1, n_stimuli=5))


def test_variances_equal_rsatoolbox():
    rng = np.random.default_rng(0)
    # one covariance matrix per kind of draw, both first; the last two columns are ceilings
    both, subjects, stimuli = (np.cov(rng.normal(0, s, (200, 5)).T) for s in (1.0, 0.6, 0.7))
    stack = np.stack([both, subjects, stimuli])
    expected = extract_variances(stack, nc_included=True, n_rdm=7, n_pattern=12)
    diagonal = [np.diag(matrix)[:3] for matrix in stack]
    ours = two_factor_variance(*diagonal, n_subjects=7, n_stimuli=12)
    assert np.abs(ours - expected[0]).max() < 1e-12
    first, second = np.triu_indices(3, 1)
    contrast = np.zeros((3, 5))
    contrast[np.arange(3), first], contrast[np.arange(3), second] = 1, -1
    pairs = [np.diag(contrast @ matrix @ contrast.T) for matrix in stack]
    ours = two_factor_variance(*pairs, n_subjects=7, n_stimuli=12)
    assert np.abs(ours - expected[1]).max() < 1e-12


def test_variance_of_a_gaussian_design_in_closed_form():
    # x = a + b + e: the mean varies by sa2/S + sb2/C + se2/(S C) over new samples of both
    subjects, stimuli, n_sets = 20, 30, 120
    rng = np.random.default_rng(0)
    truth = 1.0 / subjects + 1.0 / stimuli + 4.0 / (subjects * stimuli)
    found, plain = [], []
    for seed in range(n_sets):
        x = (rng.normal(size=(subjects, 1)) + rng.normal(size=(1, stimuli))
             + 2 * rng.normal(size=(subjects, stimuli)))  # fmt: skip
        people = count_draws(draw_indices(subjects, 200, seed, STAGE_SUBJECTS)) / subjects
        things = count_draws(draw_indices(stimuli, 200, seed, STAGE_STIMULI)) / stimuli
        both = np.einsum("bs,sc,bc->b", people, x, things)
        variances = both.var(ddof=1), (people @ x).mean(1).var(ddof=1), (
            things @ x.T
        ).mean(1).var(ddof=1)
        found.append(two_factor_variance(*variances, n_subjects=subjects, n_stimuli=stimuli))
        plain.append(variances[0])
    error = np.std(found) / np.sqrt(n_sets)
    assert abs(np.mean(found) - truth) < 4 * error + 0.03 * truth  # clipping costs a little
    assert np.mean(plain) > np.mean(found)  # uncorrected, both at once is too much


def test_draws_depend_on_their_number_alone_and_stages_differ():
    few = draw_indices(10, 20, 3, STAGE_STIMULI)
    assert np.array_equal(draw_indices(10, 50, 3, STAGE_STIMULI)[:20], few)
    assert not np.array_equal(draw_indices(10, 20, 3, STAGE_SUBJECTS), few)
    assert not np.array_equal(draw_indices(10, 20, 4, STAGE_STIMULI), few)
    assert np.array_equal(count_draws(few), [np.bincount(row, minlength=10) for row in few])
    uniform = np.bincount(draw_indices(10, 2000, 0, STAGE_SUBJECTS).ravel())
    assert stats.chisquare(uniform).pvalue > 1e-4


@pytest.mark.parametrize("number", [0, 1, 2.5, "many"])
def test_numbers_of_draws_that_mean_nothing(number):
    with pytest.raises(InputError, match="n_bootstrap"):
        draw_indices(10, number, 0, STAGE_SUBJECTS)


def test_group_draws_are_means_over_drawn_subjects():
    rng = np.random.default_rng(0)
    scores, drawn = rng.normal(size=(4, 3)), rng.normal(size=(6, 4, 3))
    indices = draw_indices(4, 6, 0, STAGE_SUBJECTS)
    found = group_draws(scores, drawn, count_draws(indices))
    for b, index in enumerate(indices):
        assert np.allclose(found[0, b], scores[index].mean(axis=0), rtol=0, atol=1e-15)
        assert np.allclose(found[1, b], drawn[b].mean(axis=0), rtol=0, atol=1e-15)
        assert np.allclose(found[2, b], drawn[b, index].mean(axis=0), rtol=0, atol=1e-15)


def test_t_tests_and_intervals_equal_scipy():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.1, size=(3, 400, 2))
    estimate = np.array([0.3, 0.2])
    found = infer(estimate, draws, n_subjects=9, n_stimuli=30)
    error = np.sqrt(draws[0].var(axis=0, ddof=1) * 9 / 8)
    assert np.allclose(found.standard_error[0], error, rtol=1e-12, atol=0)
    expected = 2 * stats.t.sf(estimate / error, 8)
    assert np.allclose(found.p[0], expected, rtol=1e-12, atol=0)
    low, high = stats.t.interval(0.95, 8, loc=estimate, scale=error)
    assert np.allclose(found.low[0], low, rtol=1e-12, atol=0)
    assert np.allclose(found.high[0], high, rtol=1e-12, atol=0)
    assert found.dof.tolist() == [8, 29, 8]
    greater = infer(estimate, draws, n_subjects=9, n_stimuli=30, tail="greater")
    assert np.allclose(greater.p, found.p / 2, rtol=1e-12, atol=0)


def test_draws_without_a_score_are_left_out_and_counted():
    draws = np.random.default_rng(0).normal(size=(3, 50, 2))
    draws[1, 4, 0] = draws[2, 7, 1] = np.nan
    found = infer(np.zeros(2), draws, n_subjects=9, n_stimuli=30)
    assert found.n_draws.tolist() == [50, 49, 48]
    kept = np.delete(draws[1], 4, axis=0)
    expected = np.sqrt(kept.var(axis=0, ddof=1) * 30 / 29)
    assert np.allclose(found.standard_error[1], expected, rtol=1e-12, atol=0)


def test_one_subject_leaves_the_stimuli():
    draws = np.random.default_rng(0).normal(size=(3, 50, 1))
    found = infer(np.ones(1), draws, n_subjects=1, n_stimuli=12)
    assert np.isnan(found.p[[0, 2]]).all()
    assert np.isfinite(found.p[1]).all()
    assert found.dof[1] == 11


def test_what_never_varies_has_no_p():
    draws = np.full((3, 50, 1), 0.1 + 0.2) + np.r_[0.0, 1e-17][[0, 1] * 25][None, :, None]
    assert np.isnan(infer(np.ones(1), draws, n_subjects=5, n_stimuli=12).p).all()


def test_holm_equals_statsmodels():
    p = np.random.default_rng(0).random(30) ** 3
    assert np.allclose(holm(p), multipletests(p, method="holm")[1], rtol=0, atol=1e-15)
    gaps = np.r_[p, np.nan]
    assert np.array_equal(holm(gaps), np.r_[holm(p), np.nan], equal_nan=True)


def test_percentiles_and_tail_p():
    draws = np.r_[np.arange(1.0, 100), np.nan]
    expected = np.quantile(draws[:-1], [0.05, 0.95])
    assert np.allclose(percentile_interval(draws, 0.9), expected, rtol=0, atol=1e-12)
    empty = np.full((5, 1), np.nan)
    assert np.isnan(percentile_interval(empty)).all()
    assert np.isnan(draws_p(empty)).all()
    assert draws_p(draws) == 2 / 100  # (1 + 0) / (1 + 99), twice
    assert draws_p(np.zeros(9)) == 1.0
    assert draws_p(-draws) == draws_p(draws)


def test_kinds_are_those_of_the_brief():
    assert KINDS == ("subjects", "stimuli", "subjects and stimuli")
