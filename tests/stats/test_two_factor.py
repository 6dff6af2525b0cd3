"""Tests of references, pairs, ceilings, slopes and gains against the parts they are made of."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neurodnn._checks import DataWarning, InputError
from neurodnn.stats.bootstrap import (
    STAGE_SUBJECTS,
    count_draws,
    draw_indices,
    group_draws,
    holm,
    infer,
)
from neurodnn.stats.hierarchy import hierarchy_test
from neurodnn.stats.permutation import sign_flip_test
from neurodnn.stats.region_tests import check_levels, gain_tests, region_tests
from neurodnn.stats.two_factor import (
    Resamples,
    Settings,
    model_tests,
    slope_weights,
    two_factor_tests,
)

N, B = 8, 60
PEOPLE = count_draws(draw_indices(N, B, 0, STAGE_SUBJECTS))
NAMES = [f"{i:02d}" for i in range(N)]


def scores(shape, effect=0.3, seed=0, dims=("subject", "reference")):
    rng = np.random.default_rng(seed)
    sizes = zip(dims, shape, strict=True)
    labels = {name: [f"{name}{i}" for i in range(size)] for name, size in sizes}
    values = effect + rng.normal(0, 0.2, shape)
    return xr.DataArray(values, dims=dims, coords=labels | {"subject": NAMES[: shape[0]]})


def resamples(values, seed=1):
    noise = np.random.default_rng(seed).normal(0, 0.1, (B, *values.shape))
    return Resamples(values.values + noise, PEOPLE, 30)


def test_each_kind_is_its_own_test():
    data = scores((N, 3))
    drawn = resamples(data)
    draws = group_draws(data.values, drawn.scores, PEOPLE)
    found = two_factor_tests(data, draws, 30, Settings())
    flips = sign_flip_test(data)
    assert np.array_equal(found.p[0], flips.p)
    assert np.array_equal(found.p_fwe[0], flips.p_fwe)
    plain = infer(data.values.mean(axis=0), draws, n_subjects=N, n_stimuli=30)
    assert np.array_equal(found.p[1:], plain.p[1:])
    assert np.array_equal(found.p_fwe[2], holm(plain.p[2]))
    assert found.dof.values.tolist() == [7, 29, 7]
    # over subjects the bootstrap error is the classical one, but for the draws
    classical = data.std("subject", ddof=1) / np.sqrt(N)
    assert np.allclose(found.standard_error[0], classical, rtol=0.3)  # 60 draws: 9 % each, 3 sd


def test_pairs_are_tests_of_differences():
    data = scores((N, 3))
    drawn = resamples(data)
    ceilings = np.tile([0.6, 0.7], (N, 1)) + np.random.default_rng(2).normal(0, 0.05, (N, 2))
    ceiling_draws = np.random.default_rng(3).normal(0.6, 0.05, (3, B, 2))
    found = model_tests(data, drawn, ceilings, ceiling_draws, Settings(tail="greater"))
    values = data.values
    gap = xr.DataArray(values[:, [0]] - values[:, [2]], dims=("subject", "pair"),
                       coords={"subject": NAMES})  # fmt: skip
    draws = group_draws(gap.values, drawn.scores[..., [0]] - drawn.scores[..., [2]], PEOPLE)
    expected = two_factor_tests(gap, draws, 30, Settings())
    cell = found.sel(reference="reference0", other="reference2")
    assert np.allclose(cell.p_difference, expected.p[:, 0], rtol=1e-10, atol=0)
    error = expected.standard_error[:, 0]
    assert np.allclose(cell.difference_error, error, rtol=1e-10, atol=0)
    assert cell.difference.item() == pytest.approx(gap.mean().item(), abs=1e-15)
    mirror = found.sel(reference="reference2", other="reference0")
    assert mirror.difference == -cell.difference
    assert np.array_equal(mirror.p_difference, cell.p_difference)
    below = data - ceilings[:, :1]
    expected = two_factor_tests(
        below, group_draws(values, drawn.scores, PEOPLE) - ceiling_draws[..., :1], 30, Settings()
    )
    assert np.allclose(found.p_ceiling, expected.p, rtol=1e-10, atol=0)
    assert np.array_equal(found.to_ceiling, expected["mean"])
    # against zero one-sided, as asked; everything else two-sided
    one_sided = sign_flip_test(data, tail="greater")
    assert np.array_equal(found.p.sel(generalises_to="subjects"), one_sided.p)


def test_many_pairs_are_tested_some_at_a_time(monkeypatch):
    data = scores((N, 6))
    drawn, bounds = resamples(data), (np.ones((N, 2)), np.ones((3, B, 2)))
    whole = model_tests(data, drawn, *bounds, Settings())
    monkeypatch.setattr("neurodnn.stats.two_factor._PAIRS", 4)
    xr.testing.assert_allclose(whole, model_tests(data, drawn, *bounds, Settings()), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_identical_references_differ_by_nothing():
    data = scores((N, 2))
    data[:, 1] = data[:, 0]
    drawn = resamples(data)
    drawn.scores[..., 1] = drawn.scores[..., 0]
    found = model_tests(data, drawn, np.ones((N, 2)), np.ones((3, B, 2)), Settings())
    assert np.isnan(found.p_difference).all()
    assert (found.difference == 0).all()


def test_one_subject_leaves_stimuli_and_one_reference_no_pair():
    data = scores((1, 1))
    noise = np.random.default_rng(0).normal(0, 0.1, (B, 1, 1))
    drawn = Resamples(data.values + noise, np.ones((B, 1), int), 30)
    found = model_tests(data, drawn, np.full((1, 2), np.nan), np.full((3, B, 2), np.nan),
                        Settings())  # fmt: skip
    by_kind = found.p.values[:, 0]
    assert np.isnan(by_kind[[0, 2]]).all()
    assert np.isfinite(by_kind[1])
    assert np.isnan(found.p_ceiling).all()
    assert found.p_difference.shape == (3, 1, 1)


@pytest.mark.parametrize("n", [2, 4])
def test_too_few_subjects_for_flips_are_refused_unless_allowed(n):
    data = scores((n, 2))
    draws = group_draws(data.values, np.zeros((B, n, 2)), np.ones((B, n), int))
    with pytest.raises(InputError, match="cannot reach p <= 0.05"):
        two_factor_tests(data, draws, 30, Settings())
    with pytest.warns(DataWarning, match="cannot reach"):
        two_factor_tests(data, draws, 30, Settings(allow_small=True))


def test_slopes_equal_scipy():
    levels = np.array([1.0, 2, 4, 7])
    rows = np.random.default_rng(0).normal(size=(3, 4))
    expected = [stats.linregress(levels, row).slope for row in rows]
    assert np.allclose(rows @ slope_weights(levels), expected, rtol=0, atol=1e-12)


REGION_DIMS = ("subject", "region", "reference")


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_regions_by_layers_are_one_family_and_slopes_another():
    data = scores((N, 2, 3), dims=REGION_DIMS)
    drawn = resamples(data)
    levels = np.array([1.0, 2, 4])
    found = region_tests(data, drawn, levels, Settings())
    flips = sign_flip_test(data, family=("region", "reference"))
    own = found.sel(generalises_to="subjects")
    assert np.array_equal(own.p_fwe, flips.p_fwe)
    slopes = (data * xr.DataArray(slope_weights(levels), dims="reference")).sum("reference")
    assert np.allclose(found.slope, slopes.mean("subject"), rtol=0, atol=1e-12)
    assert np.allclose(own.slope_p, sign_flip_test(slopes).p, rtol=0, atol=1e-12)
    draws = group_draws(data.values.reshape(N, -1), drawn.scores.reshape(B, N, -1), PEOPLE)
    draws = draws.reshape(3, B, 2, 3)
    both = infer(data.values.mean(0).ravel(), draws.reshape(3, B, 6), n_subjects=N, n_stimuli=30)
    assert np.allclose(found.p[2].values.ravel(), both.p[2], rtol=1e-12, atol=0)
    best = levels[draws.argmax(axis=3)]
    low, high = np.quantile(best, [0.025, 0.975], axis=1)
    assert np.allclose(found.best_layer_low, low, rtol=0, atol=1e-12)
    assert np.allclose(found.best_layer_high, high, rtol=0, atol=1e-12)
    rise = best[..., 1] - best[..., 0]
    low, high = np.quantile(rise, [0.025, 0.975], axis=1)
    assert np.allclose(found.order_slope_low, low, rtol=0, atol=1e-12)
    assert np.allclose(found.order_slope_high, high, rtol=0, atol=1e-12)
    own_best = xr.DataArray(levels[data.values.argmax(axis=2)], dims=("subject", "region"),
                            coords={"subject": NAMES})  # fmt: skip
    expected = hierarchy_test(own_best)
    assert found.order_correlation == expected.correlation
    assert found.order_p == expected.p


@pytest.mark.filterwarnings("ignore::neurodnn._checks.DataWarning")
def test_gains_are_paired_by_subject_and_draw():
    data, control = (scores((N, 2, 3), seed=s, dims=REGION_DIMS) for s in (0, 7))
    drawn, others = resamples(data), resamples(control, seed=5)
    found = gain_tests(data, drawn, control, others, Settings(tail="greater"))
    gap = data - control
    assert np.allclose(found.gain, gap.mean("subject"), rtol=0, atol=1e-15)
    flips = sign_flip_test(gap, family=("region", "reference"))
    assert np.array_equal(found.gain_p_fwe.sel(generalises_to="subjects"), flips.p_fwe)
    draws = group_draws(
        gap.values.reshape(N, -1), (drawn.scores - others.scores).reshape(B, N, -1), PEOPLE
    )
    both = infer(gap.values.mean(0).ravel(), draws, n_subjects=N, n_stimuli=30)
    assert np.allclose(found.gain_p[2].values.ravel(), both.p[2], rtol=1e-10, atol=0)


def test_layer_numbers_must_fit():
    assert check_levels([3, 1, 2], 3).tolist() == [3, 1, 2]
    for wrong in ([1, 2], [1, 1, 2]):
        with pytest.raises(InputError, match="do not fit"):
            check_levels(wrong, 3)
