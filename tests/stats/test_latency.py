"""Peak latency and onset: planted times, intervals, edges, gaps, order, bits."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import DataWarning, InputError
from neurodnn.stats.bootstrap import STAGE_SUBJECTS, draw_indices
from neurodnn.stats.hierarchy import hierarchy_test
from neurodnn.stats.latency import bootstrap_peak_latency
from neurodnn.stats.onset import bootstrap_onset

TIME = np.round(np.arange(-0.1, 0.5, 0.01), 3)


def courses(peaks=(0.12, 0.2), n_subjects=12, noise=0.15, jitter=0.01, seed=0):
    rng = np.random.default_rng(seed)
    own = np.array(peaks) + rng.normal(0, jitter, (n_subjects, 1, len(peaks)))
    values = np.exp(-(((TIME[:, None] - own) / 0.05) ** 2))
    values = values + rng.normal(0, noise, values.shape)
    return xr.DataArray(
        values, dims=("subject", "time", "reference"),
        coords={"subject": [f"{i:02d}" for i in range(n_subjects)], "time": TIME,
                "reference": [f"layer{i}" for i in range(len(peaks))]},
    )  # fmt: skip


def test_peaks_and_intervals_are_those_of_a_loop():
    data = courses()
    found = bootstrap_peak_latency(data, n_bootstrap=300)
    mean = data.values.mean(axis=0)
    assert np.array_equal(found.latency, TIME[mean.argmax(axis=0)])
    assert np.allclose(found.peak, mean.max(axis=0), rtol=0, atol=1e-15)
    draws = draw_indices(12, 300, 0, STAGE_SUBJECTS)
    peaks = np.array([TIME[data.values[index].mean(axis=0).argmax(axis=0)] for index in draws])
    low, high = np.quantile(peaks, [0.025, 0.975], axis=0)
    assert np.allclose(found.low, low, rtol=0, atol=1e-12)
    assert np.allclose(found.high, high, rtol=0, atol=1e-12)
    gap = peaks[:, 0] - peaks[:, 1]
    expected = np.quantile(gap, [0.025, 0.975])
    cell = found.sel(reference="layer0", other="layer1")
    assert np.allclose([cell.difference_low, cell.difference_high], expected, rtol=0, atol=1e-12)
    assert cell.p == 2 * (1 + min((gap <= 0).sum(), (gap >= 0).sum())) / 301


def test_own_peaks_of_subjects_lead_on_to_the_hierarchy():
    data = courses((0.12, 0.16, 0.2), noise=0.1)
    found = bootstrap_peak_latency(data[::-1], n_bootstrap=50)
    expected = TIME[data.values.argmax(axis=1)]
    assert np.array_equal(found.subject_latency, expected)
    assert found.subject.values.tolist() == data.subject.values.tolist()
    order = hierarchy_test(found.subject_latency, n_bootstrap=50)
    assert order.p < 0.01
    early = bootstrap_peak_latency(data, window=(0.15, 0.3), n_bootstrap=50)
    assert np.isnan(early.subject_latency[:, 0]).sum() > 6  # their peak lies before the window


def test_a_later_peak_is_later_and_differences_mirror():
    found = bootstrap_peak_latency(courses((0.12, 0.2, 0.12)), n_bootstrap=400)
    late = found.sel(reference="layer1", other="layer0")
    assert late.difference > 0.05
    assert late.p_fwe < 0.05
    assert late.p_fwe == 3 * late.p  # Bonferroni over three pairs
    early = found.sel(reference="layer0", other="layer1")
    assert early.difference == -late.difference
    assert (early.difference_low, early.difference_high) == (
        -late.difference_high, -late.difference_low
    )  # fmt: skip
    assert found.sel(reference="layer0", other="layer2").p_fwe > 0.05
    assert np.isnan(np.diag(found.p)).all()
    assert found.attrs["generalises_to"] == "subjects"


def test_order_of_subjects_and_times_changes_no_bit():
    data = courses()
    first = bootstrap_peak_latency(data, n_bootstrap=200)
    shuffled = data.isel(subject=[5, 3, *range(6, 12), 0, 1, 2, 4])[:, ::-1]
    xr.testing.assert_identical(first, bootstrap_peak_latency(shuffled, n_bootstrap=200))


def test_a_peak_at_the_edge_is_nan_with_a_reason():
    found = bootstrap_peak_latency(courses(), window=(0.15, 0.3), n_bootstrap=100)
    assert np.isnan(found.sel(reference="layer0")[["latency", "low", "high"]].to_array()).all()
    assert "edge" in found.reason.sel(reference="layer0").item()
    assert found.reason.sel(reference="layer1").item() == ""
    assert np.isfinite(found.latency.sel(reference="layer1"))
    assert np.isnan(found.difference).sum() == 3
    assert found.attrs["window"] == [0.15, 0.3]


def test_draws_at_the_edge_are_counted_and_warned_of():
    data = courses((0.17,), noise=0.3, jitter=0.08)
    with pytest.warns(DataWarning, match="peak at the edge of the window"):
        found = bootstrap_peak_latency(data, window=(0.13, 0.21), n_bootstrap=200)
    assert found.n_edge > 5


def test_times_with_gaps_take_no_part():
    data = courses((0.2,))
    data[3, 10:12] = np.nan
    with pytest.warns(DataWarning, match="2 times lack a score"):
        found = bootstrap_peak_latency(data, n_bootstrap=50)
    assert np.isfinite(found.latency).all()
    with pytest.warns(DataWarning, match="lack a score"):
        empty = bootstrap_peak_latency(data * np.nan, n_bootstrap=50)
    assert empty.reason.item() == "no scores"
    assert np.isnan(empty.latency).all()


def test_few_subjects_are_warned_of_and_one_is_refused():
    with pytest.warns(DataWarning, match="8 subjects are few"):
        bootstrap_peak_latency(courses(n_subjects=8), n_bootstrap=50)
    with pytest.raises(InputError, match="at least 2 subjects"):
        bootstrap_peak_latency(courses(n_subjects=1), n_bootstrap=50)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.rename(time="moment"), "has other dimensions"),
        (lambda d: d.drop_vars("time"), "has no times"),
        (lambda d: d.assign_coords(subject=["01"] * 12), "more than once"),
        (lambda d: d.where(d.time != 0.1, np.inf), "infinite"),
        (lambda d: d.values, "no DataArray"),
    ],
)
def test_wrong_courses_are_named(change, words):
    with pytest.raises(InputError, match=words):
        bootstrap_peak_latency(change(courses()), n_bootstrap=50)


def test_intervals_cover_the_planted_peak():
    # protocol A7 in small: 100 sets, 16 subjects; far from nominal fails
    hits = 0
    for seed in range(100):
        data = courses((0.17,), n_subjects=16, noise=0.5, jitter=0.015, seed=seed)
        found = bootstrap_peak_latency(data, window=(0.0, 0.4), n_bootstrap=200)
        hits += bool(found.low <= 0.17 + 1e-9 and found.high >= 0.17 - 1e-9)
    assert 85 <= hits  # 95 expected; 99.9 % binomial bound at a coverage of .95


def steps(n_subjects=12, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    values = (TIME > 0.065) + rng.normal(0, noise, (n_subjects, TIME.size))
    return xr.DataArray(
        values, dims=("subject", "time"),
        coords={"time": TIME, "subject": [f"{i:02d}" for i in range(n_subjects)]},
    )  # fmt: skip


def test_onset_is_the_first_significant_time():
    data = steps()
    mask = data.mean("subject") > 0.5
    found = bootstrap_onset(data, mask, n_bootstrap=300)
    assert found.onset.item() == 0.07
    assert found.low <= found.onset <= found.high
    t = data.mean("subject") / (data.std("subject", ddof=1) / np.sqrt(12))
    assert found.threshold.item() == pytest.approx(t.where(mask).min().item(), rel=1e-12)


def test_a_run_passes_over_a_single_time_and_start_over_early_ones():
    data = steps() + 0.5
    mask = (data.time >= 0.07) | (data.time == 0.02) | (data.time == -0.05)
    assert bootstrap_onset(data, mask, n_bootstrap=50).onset == 0.02
    assert bootstrap_onset(data, mask, n_bootstrap=50, run_length=2).onset == 0.07
    assert bootstrap_onset(data, mask, n_bootstrap=50, start=-0.1).onset == -0.05


def test_nothing_significant_has_no_onset():
    data = steps()
    found = bootstrap_onset(data, data.mean("subject") > 9, n_bootstrap=50)
    assert np.isnan(found.to_array().sel(variable=["onset", "low", "high"])).all()
    assert found.n_without == 50


def test_onset_is_independent_of_the_order_of_subjects():
    data = steps()
    mask = data.mean("subject") > 0.5
    first = bootstrap_onset(data, mask, n_bootstrap=100)
    xr.testing.assert_identical(first, bootstrap_onset(data[::-1], mask, n_bootstrap=100))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m[:-1], "other times"),
        (lambda m: m.astype(float), "no mask"),
        (lambda m: m.rename(time="moment"), "other times"),
    ],
)
def test_masks_that_do_not_fit(change, words):
    data = steps()
    with pytest.raises(InputError, match=words):
        bootstrap_onset(data, change(data.mean("subject") > 0.5), n_bootstrap=50)


def test_a_mask_of_a_two_sided_test_counts_where_scores_are_positive():
    data = courses(peaks=(0.15,), jitter=0.0, noise=0.05).isel(reference=0, drop=True)
    data = data - (data.time > 0.35)
    mean = data.mean("subject")
    two_sided = bootstrap_onset(data, abs(mean) > 0.5, n_bootstrap=200)
    xr.testing.assert_identical(two_sided, bootstrap_onset(data, mean > 0.5, n_bootstrap=200))
    assert two_sided.threshold > 0
    below = bootstrap_onset(data, mean < -0.5, n_bootstrap=50)
    assert np.isnan(below.onset)
    assert np.isnan(below.low)
