"""Real BOLD of one slice in 12 runs: categories differ, and their RDM repeats in split halves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from neurodnn.brain.fmri import read_mask
from neurodnn.brain.glm import concatenate_runs, fit_glm

PAIRS = np.triu_indices(8, 1)


@cache
def fit_twelve_runs(root):
    runs = sorted((root / "openfmri_layout/sub001/BOLD").glob("task001_run*"))
    mask = read_mask(root / "slice/mask.nii.gz", like=runs[0] / "bold_1slice.nii.gz")
    fits = []
    for number, run in enumerate(runs, 1):
        fits.append(
            fit_glm(
                run / "bold_1slice.nii.gz",
                run / "bold_events.tsv",
                mask,
                confounds=pd.DataFrame(np.loadtxt(run / "bold_moest.txt")),
                names_column="trial_type",
                run=str(number),
            )
        )
    return concatenate_runs(fits)


@pytest.fixture
def estimates(real_data):
    return fit_twelve_runs(real_data("fmri_haxby2001"))


def halves(estimates, seed):
    """Mean pattern per category in two random halves of the runs, 2 x 8 x voxels."""
    values = estimates.patterns.measurements
    names = np.array(estimates.patterns.obs_descriptors["stimulus"])
    runs = np.array(estimates.patterns.obs_descriptors["run"]).astype(int)
    first = np.isin(runs, np.random.default_rng(seed).permutation(12)[:6] + 1)
    return np.array(
        [[values[half & (names == n)].mean(axis=0) for n in np.unique(names)]
         for half in (first, ~first)]
    )  # fmt: skip


def test_twelve_runs_give_eight_categories_each(estimates):
    assert estimates.patterns.measurements.shape == (96, 530)
    assert estimates.residuals.measurements.shape == (12 * 121, 530)
    assert np.isfinite(estimates.patterns.measurements).all()
    assert len(set(estimates.patterns.obs_descriptors["stimulus"])) == 8


def test_a_category_is_more_like_itself_than_like_the_others(estimates):
    own, other = [], []
    for seed in range(10):
        a, b = (half - half.mean(axis=0) for half in halves(estimates, seed))
        table = np.corrcoef(a, b)[:8, 8:]
        own.append(table.diagonal().mean())
        other.append(table[~np.eye(8, dtype=bool)].mean())
    assert np.mean(own) > 0.15 and np.mean(other) < 0.05


def test_the_category_rdm_repeats_in_split_halves(estimates):
    reliability = []
    for seed in range(20):
        a, b = ((1 - np.corrcoef(half))[PAIRS] for half in halves(estimates, seed))
        reliability.append(spearmanr(a, b)[0])
    assert np.mean(reliability) > 0.3
