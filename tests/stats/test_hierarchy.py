"""Rank correlation of levels and positions: oracles, exact p, gaps, nulls."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from neurodnn._checks import DataWarning, InputError
from neurodnn.stats.bootstrap import STAGE_SUBJECTS, draw_indices
from neurodnn.stats.hierarchy import hierarchy_test

SETTINGS = {"n_bootstrap": 200}


def positions(slope=0.5, n_subjects=8, n_levels=5, seed=0):
    rng = np.random.default_rng(seed)
    values = slope * np.arange(n_levels) + rng.normal(size=(n_subjects, n_levels))
    names = [f"{i:02d}" for i in range(n_subjects)]
    return xr.DataArray(values, dims=("subject", "reference"), coords={"subject": names})


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_correlations_equal_scipy_and_intervals_a_loop():
    data = positions()
    found = hierarchy_test(data, **SETTINGS)
    levels = np.tile(np.arange(5), 8)
    assert found.correlation.item() == pytest.approx(
        spearmanr(levels, data.values.ravel())[0], abs=1e-12
    )
    own = [spearmanr(np.arange(5), row)[0] for row in data.values]
    assert np.allclose(found.subject_correlation, own, rtol=0, atol=1e-12)
    drawn = [
        spearmanr(levels, data.values[index].ravel())[0]
        for index in draw_indices(8, 200, 0, STAGE_SUBJECTS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert np.allclose([found.low, found.high], [low, high], rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_p_counts_all_reversals_of_the_order():
    data = positions(0.25, n_subjects=6)
    found = hierarchy_test(data, **SETTINGS)
    levels = np.arange(5.0)
    null = []
    for signs in itertools.product([1, -1], repeat=6):
        orders = [levels if sign > 0 else levels[::-1] for sign in signs]
        null.append(spearmanr(np.concatenate(orders), data.values.ravel())[0])
    observed = spearmanr(np.tile(levels, 6), data.values.ravel())[0]
    assert found.p.item() == np.mean(np.abs(null) >= abs(observed) - 1e-12)
    assert found.attrs["exact"] == 1


def test_planted_order_is_found_and_its_mirror_too():
    up, down = hierarchy_test(positions(1.5, 12), **SETTINGS), hierarchy_test(
        positions(1.5, 12)[:, ::-1], **SETTINGS
    )
    assert up.p < 0.01
    assert up.low > 0
    assert down.correlation.item() == pytest.approx(-up.correlation.item(), abs=1e-12)
    assert down.p == up.p


def test_numbers_of_levels_count_by_their_order():
    data = positions(1.0, 12)
    plain = hierarchy_test(data, **SETTINGS)
    stretched = hierarchy_test(data, levels=[1, 2, 4, 8, 16], **SETTINGS)
    assert stretched.correlation == plain.correlation
    assert stretched.p == plain.p


def test_order_of_subjects_changes_no_bit():
    data = positions(1.0, 12)
    first = hierarchy_test(data, **SETTINGS)
    xr.testing.assert_identical(first, hierarchy_test(data[::-1], **SETTINGS))


def test_missing_positions_are_left_out_and_equal_ones_count_as_no_order():
    data = positions(1.5, 12)
    data[0, 2] = np.nan
    data[1] = 3.0
    data[2, 1:] = np.nan
    with pytest.warns(DataWarning, match="1 subjects have fewer than 2 positions"):
        found = hierarchy_test(data, **SETTINGS)
    own = found.subject_correlation
    assert own[0] == pytest.approx(spearmanr([0, 1, 3, 4], data[0].dropna("reference"))[0])
    assert own[1] == 0
    assert np.isnan(own[2])
    assert found.attrs["n_subjects"] == 11
    assert found.p < 0.05


def test_p_is_in_its_band_under_the_null():
    rejected = sum(
        bool(hierarchy_test(positions(0, 10, seed=seed), n_bootstrap=2).p <= 0.05)
        for seed in range(200)
    )
    assert 2 <= rejected <= 21  # 99.9 % binomial band, 200 nulls


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (positions()[0], {}, "no subjects"),
        (positions().expand_dims("time"), {}, "other dimensions"),
        (positions(), {"levels": [1, 2]}, "do not fit"),
        (positions(), {"levels": [1, 1, 2, 3, 4]}, "do not fit"),
        (positions(n_subjects=3), {}, "cannot reach"),
        (positions().assign_coords(subject=["a"] * 8), {}, "more than once"),
    ],
)
def test_wrong_input_is_named(data, options, words):
    with pytest.raises(InputError, match=words):
        hierarchy_test(data, **SETTINGS, **options)


def test_the_same_order_in_every_subject_is_the_smallest_p():
    data = positions(0, 8, 3)
    data[:] = [0.1, 0.2, 0.2]
    with pytest.warns(DataWarning, match="8 subjects are few"):
        found = hierarchy_test(data, **SETTINGS)
    assert found.p == found.mean_p == 2 / 2**8
    data[:] = 0.1
    with pytest.warns(DataWarning, match="few"):
        assert hierarchy_test(data, **SETTINGS).mean_p == 1


def test_late_subjects_that_lack_early_levels_are_no_order():
    found = []
    for seed in range(40):
        # No order within subjects; half of them peak late, and have no early layers.
        array = np.random.default_rng(seed).normal(size=(12, 8))
        array[:6] += 4
        array[:6, :4] = array[6:, 4:] = np.nan
        positions = xr.DataArray(array, dims=("subject", "reference"))
        found.append(float(hierarchy_test(positions, n_bootstrap=2).p))
    assert np.mean(np.array(found) <= 0.05) < 0.25  # 99.9 % of right tests stay below 8 of 40
