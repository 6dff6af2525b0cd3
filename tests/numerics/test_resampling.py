"""Resampled similarities equal the same measures on RDMs written out in full."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, compare
from scipy.stats import kendalltau, rankdata, spearmanr

from neurodnn._checks import InputError
from neurodnn.numerics.ranks import make_rank_work
from neurodnn.numerics.resampled_ceilings import resampled_ceilings
from neurodnn.numerics.resampling import (
    KINDS,
    resampled_similarity,
    weighted_midranks,
)
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.ceiling import noise_ceiling

# our name -> rsatoolbox's
PEERS = {"pearson": "corr", "cosine": "cosine", "spearman": "spearman", "rho-a": "rho-a",
         "tau-a": "tau-a", "tau-b": "kendall", "cosine_cov": "cosine_cov",
         "corr_cov": "corr_cov"}  # fmt: skip
N, PAIRS = 9, 36
USABLE = np.ones(PAIRS, bool)


def rows(n_rows, seed=0, ties=True, n_pairs=PAIRS):
    values = np.random.default_rng(seed).normal(3, 1, (n_rows, n_pairs))
    return values.round(1) if ties else values


def draws(n_draws, n=N, seed=1):
    indices = np.random.default_rng(seed).integers(0, n, (n_draws, n))
    return indices, np.array([np.bincount(row, minlength=n) for row in indices])


def written_out(values, indices):
    """RDMs of the drawn stimuli, copies and all, without pairs of copies."""
    i, j = np.triu_indices(N, 1)
    square = np.full((len(values), N, N), np.nan)
    square[:, i, j] = square[:, j, i] = values
    drawn = square[:, indices][:, :, indices]
    full = drawn[:, i, j]
    return full[:, ~np.isnan(full[0])]


@pytest.mark.parametrize("comparison", sorted(PEERS))
def test_scores_equal_rsatoolbox_on_the_same_draws(comparison):
    data, models = rows(4), rows(3, seed=5)
    indices, counts = draws(6)
    found = resampled_similarity(data, models, counts, comparison, USABLE)
    for b, index in enumerate(indices):
        sample = RDMs(data).subsample_pattern("index", index)
        model = RDMs(models).subsample_pattern("index", index)
        expected = compare(sample, model, method=PEERS[comparison])
        assert np.abs(found[b] - expected).max() < 1e-12


# The peer pools whitened measures before whitening; its upper bound is then below the best model.
@pytest.mark.parametrize("comparison", sorted(set(PEERS) - {"cosine_cov", "corr_cov"}))
@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
def test_ceilings_equal_rsatoolbox_on_the_same_draws_of_stimuli(comparison):
    data = rows(4)
    indices, counts = draws(4)
    once = np.ones((4, 4), np.int64)
    found = resampled_ceilings(data, counts, once, comparison, USABLE).mean(axis=1)
    for b, index in enumerate(indices):
        sample = RDMs(data).subsample_pattern("index", index)
        expected = boot_noise_ceiling(sample, method=PEERS[comparison])
        assert np.abs(found[b] - expected).max() < 1e-12


@pytest.mark.parametrize("comparison", sorted(KINDS))
@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
def test_ceilings_of_all_stimuli_are_the_noise_ceiling(comparison):
    data = rows(5)
    once = np.ones((1, N), np.int64), np.ones((1, 5), np.int64)
    found = resampled_ceilings(data, *once, comparison, USABLE)[0].mean(axis=0)
    assert np.abs(found - noise_ceiling(RDMs(data), comparison=comparison)).max() < 1e-12


@pytest.mark.parametrize("comparison", ["cosine_cov", "corr_cov"])
def test_whitened_upper_ceilings_are_not_exceeded_in_a_draw(comparison):
    data = rows(5)
    _, counts = draws(3)
    people = np.ones((3, 5), np.int64)
    upper = resampled_ceilings(data, counts, people, comparison, USABLE)[..., 1].mean(axis=1)
    guesses = np.concatenate([rows(400, seed=8), data, data.mean(axis=0)[None]])
    best = resampled_similarity(data, guesses, counts, comparison, USABLE).mean(axis=1)
    assert (best.max(axis=1) <= upper + 1e-12).all()


def test_spearman_and_tau_b_equal_scipy_on_rdms_written_out():
    data, models = rows(2), rows(2, seed=5)
    indices, counts = draws(5)
    rho = resampled_similarity(data, models, counts, "spearman", USABLE)
    tau = resampled_similarity(data, models, counts, "tau-b", USABLE)
    for b, index in enumerate(indices):
        full, model = written_out(data, index), written_out(models, index)
        for i in range(2):
            for j in range(2):
                assert abs(rho[b, i, j] - spearmanr(full[i], model[j])[0]) < 1e-12
                assert abs(tau[b, i, j] - kendalltau(full[i], model[j])[0]) < 1e-12


def test_whitened_measures_equal_the_explicit_covariance():
    data, models = rows(1), rows(1, seed=5)
    (index,), counts = draws(1)
    i, j = np.triu_indices(N, 1)
    contrasts = np.zeros((PAIRS, N))
    contrasts[np.arange(PAIRS), i], contrasts[np.arange(PAIRS), j] = 1, -1
    kept = index[i] != index[j]
    inverse = np.linalg.inv(((contrasts @ contrasts.T) ** 2)[np.ix_(kept, kept)])
    x, y = written_out(data, index)[0], written_out(models, index)[0]
    expected = x @ inverse @ y / np.sqrt(x @ inverse @ x * (y @ inverse @ y))
    found = resampled_similarity(data, models, counts, "cosine_cov", USABLE)
    assert abs(found.item() - expected) < 1e-12


@pytest.mark.parametrize("comparison", sorted(KINDS))
def test_every_stimulus_once_is_the_measure_itself(comparison):
    data, models = rows(3), rows(2, seed=5)
    found = resampled_similarity(data, models, np.ones((1, N), np.int64), comparison, USABLE)
    assert np.abs(found[0] - COMPARISONS[comparison](data, models)).max() < 1e-12


def test_a_subject_drawn_twice_counts_twice_and_leaves_with_its_copy():
    data = rows(3)
    ones = np.ones((1, N), np.int64)
    found = resampled_ceilings(data, ones, np.array([[2, 1, 0]]), "spearman", USABLE)[0]
    ranks = rankdata(data, axis=1)
    all_of_them = 2 * ranks[0] + ranks[1]
    pools = [(0, ranks[1], all_of_them), (1, ranks[0], all_of_them)]
    expected = [[spearmanr(ranks[s], pool)[0] for pool in own] for s, *own in pools]
    assert np.abs(found[:2] - expected).max() < 1e-12
    assert np.isnan(found[2]).all()
    alone = resampled_ceilings(data, ones, np.array([[3, 0, 0]]), "spearman", USABLE)
    assert np.isnan(alone).all()


def test_midranks_are_the_ranks_of_repeated_values():
    values, weights = np.array([3.0, 1.0, 2.0, 1.0]), np.array([2.0, 1.0, 3.0, 2.0])
    ranks = np.empty(4)
    weighted_midranks(values, weights, ranks, np.empty(9), make_rank_work(4, np.float64))
    written = np.repeat(values, weights.astype(int))
    expected = [rankdata(written)[written == value][0] for value in values]
    assert ranks.tolist() == expected


@pytest.mark.parametrize("comparison", sorted(KINDS))
@pytest.mark.parametrize("constant", [1.0, 0.7])
def test_a_constant_row_is_nan_and_leaves_the_others(comparison, constant):
    data, models = rows(3, ties=False), rows(2, seed=5, ties=False)
    _, counts = draws(3)
    whole = resampled_similarity(data, models, counts, comparison, USABLE)
    value = 0.0 if "cosine" in comparison else constant  # a cosine is undefined for zero only
    data[1] = value
    found = resampled_similarity(data, models, counts, comparison, USABLE)
    assert np.isnan(found[:, 1]).all()
    assert np.array_equal(found[:, [0, 2]], whole[:, [0, 2]])


@pytest.mark.parametrize("comparison", sorted(KINDS))
def test_pairs_that_take_no_part_do_not_matter(comparison):
    data, models = rows(2), rows(2, seed=5)
    _, counts = draws(3)
    usable = USABLE.copy()
    usable[[3, 17, 20]] = False
    first = resampled_similarity(data, models, counts, comparison, usable)
    data[:, ~usable], models[:, ~usable] = 99.0, -99.0
    assert np.array_equal(first, resampled_similarity(data, models, counts, comparison, usable))


def test_one_pair_is_nothing_to_compare():
    counts = np.array([[N - 1, 1, *[0] * (N - 2)]])
    assert np.isnan(resampled_similarity(rows(1), rows(1, 5), counts, "spearman", USABLE)).all()


def test_unknown_comparison_is_named():
    with pytest.raises(InputError, match="Did you mean spearman"):
        resampled_similarity(rows(1), rows(1), np.ones((1, N), np.int64), "spearmen", USABLE)
