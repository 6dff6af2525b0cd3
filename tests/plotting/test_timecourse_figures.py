"""Figures of time courses and of time by time: curves, errors, bars, bands and peaks are right."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import InputError
from neurodnn.plotting.time_matrices import plot_time_generalisation
from neurodnn.plotting.timecourses import plot_timecourse, reference_colours

TIMES = np.round(np.arange(-5, 20) / 50, 2)
LAYERS = ["conv1", "$x_^$", "fc8"]


def courses(n=6):
    values = np.random.default_rng(0).normal(size=(n, TIMES.size, 3))
    return xr.DataArray(values, dims=("subject", "time", "reference"),
                        coords={"time": TIMES, "reference": LAYERS})  # fmt: skip


def significance(where):
    p = np.ones((TIMES.size, 3))
    for layer, start, stop in where:
        p[start:stop, layer] = 0.01
    return xr.Dataset({"p_fwe": (("time", "reference"), p)},
                      coords={"time": TIMES, "reference": LAYERS},
                      attrs={"generalises_to": "subjects"})  # fmt: skip


def peaks(values=(0.1, np.nan, 0.2)):
    values = np.array(values)
    return xr.Dataset({"latency": ("reference", values), "low": ("reference", values - 0.02),
                       "high": ("reference", values + 0.02)},
                      coords={"reference": LAYERS}, attrs={"confidence": 0.95})  # fmt: skip


def curves(figure):
    return {line.get_label(): line for line in figure.axes[0].lines
            if line.get_label()[0] != "_"}  # fmt: skip


def test_curves_are_means_with_standard_errors_in_milliseconds():
    own = courses()
    figure = plot_timecourse(own)
    lines = curves(figure)
    assert list(lines) == ["conv1", r"\$x_^\$", "fc8"]
    assert np.allclose(lines["fc8"].get_xdata(), 1000 * TIMES)
    assert np.allclose(lines["fc8"].get_ydata(), own.values[..., 2].mean(axis=0))
    vertices = figure.axes[0].collections[2].get_paths()[0].vertices
    error = own.values[:, 0, 2].std(ddof=1) / np.sqrt(6)
    at_start = vertices[np.isclose(vertices[:, 0], -100), 1]
    assert np.isclose(np.ptp(at_start), 2 * error)
    figure.draw_without_rendering()
    assert "standard error of 6 subjects" in figure.texts[0].get_text()


def test_one_subject_has_no_error_band():
    for own in (courses(1), courses().isel(subject=2, drop=True)):
        figure = plot_timecourse(own)
        assert not figure.axes[0].collections
        expected = own.squeeze().values[:, 0]
        assert np.allclose(curves(figure)["conv1"].get_ydata(), expected)


def test_bars_stand_where_p_is_small_and_name_the_population():
    found = significance([(0, 3, 7), (2, 10, 11), (2, 20, 25)])
    figure = plot_timecourse(courses(), test=found, alpha=0.05)
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() == 2.6]
    spans = [(line.get_color(), *np.round(line.get_xdata())) for line in bars]
    colours = reference_colours(3)
    assert spans == [(colours[0], -50, 30), (colours[2], 90, 110), (colours[2], 290, 380)]
    levels = [line.get_ydata()[0] for line in bars]
    assert 0 > levels[0] > levels[1] == levels[2]
    figure.draw_without_rendering()
    assert "generalises to subjects" in figure.texts[0].get_text()


def test_ceiling_and_peaks():
    bounds = xr.Dataset({"lower": ("time", np.full(25, 0.2)), "upper": ("time", np.full(25, 0.4))},
                        coords={"time": TIMES})  # fmt: skip
    figure = plot_timecourse(courses(), ceiling=bounds, peaks=peaks(), title="Layers")
    axes = figure.axes[0]
    texts = [text.get_text() for text in axes.get_legend().texts]
    assert texts[-1] == "noise ceiling" and len(texts) == 4
    band = axes.collections[0].get_paths()[0].vertices
    assert {*np.round(band[:, 1], 6)} == {0.2, 0.4}
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [100, 200]  # the layer without a peak is left
    top = max(line.get_ydata().max() for line in curves(figure).values())
    assert all(line.get_ydata()[0] > top for line in dots)
    figure.draw_without_rendering()


def test_tables_that_do_not_fit_are_named():
    own = courses()
    with pytest.raises(InputError, match="other dimensions"):
        plot_timecourse(own.isel(reference=0))
    with pytest.raises(InputError, match="test: has other times"):
        plot_timecourse(own, test=significance([]).assign_coords(time=TIMES + 1))
    with pytest.raises(InputError, match="test: has other references"):
        plot_timecourse(own, test=significance([]).assign_coords(reference=list("abc")))
    with pytest.raises(InputError, match="ceiling: lacks variables .*upper"):
        plot_timecourse(own, ceiling=xr.Dataset({"lower": ("time", TIMES)}))
    with pytest.raises(InputError, match="peaks: needs latency"):
        plot_timecourse(own, peaks=peaks().drop_vars("low"))


def test_time_by_time_is_upright_and_its_diagonal_does_not_set_the_scale():
    values = np.full((25, 25), 0.1)
    values[20, 3] = -0.2  # late in time, early in the other
    np.fill_diagonal(values, 1.0)
    scores = xr.DataArray(values, dims=("time", "other_time"),
                          coords={"time": TIMES, "other_time": TIMES})  # fmt: skip
    figure = plot_time_generalisation(scores.transpose())
    picture = figure.axes[0].collections[0]
    assert 0.1 <= picture.norm.vmax <= 0.2 and picture.norm.vmin == -picture.norm.vmax
    drawn = np.asarray(picture.get_array()).reshape(25, 25)
    assert drawn[20, 3] == -0.2 and figure.axes[0].get_ylabel() == "time (ms)"
    edges = 1000 * (np.arange(26) / 50 - 0.11)
    assert np.allclose(picture.get_coordinates()[0, :, 0], edges)
    figure.draw_without_rendering()
    p = xr.Dataset({"p_fwe": (scores.dims, np.where(values < 0, 0.01, 1.0))}, scores.coords)
    marked = plot_time_generalisation(scores, test=p, title="T")
    assert len(marked.axes[0].collections) == 2
    with pytest.raises(InputError, match="no p_fwe"):
        plot_time_generalisation(scores, test=p.isel(time=slice(3)))
    with pytest.raises(InputError, match="test: has other times"):
        plot_time_generalisation(scores, test=p.assign_coords(other_time=p.other_time + 1))
    with pytest.raises(InputError, match="other dimensions"):
        plot_time_generalisation(scores.rename(time="t"))
