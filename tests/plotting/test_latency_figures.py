"""Latency figures: points, intervals, marks of missing peaks, text."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import InputError
from neurodnn.plotting.latency import plot_peak_latency

LAYERS = ["conv1", "fire2", "$x_^$"]


def latencies(values=(0.1, 0.12, 0.15), layers=None):
    values = np.array(values)
    return xr.Dataset(
        {"latency": ("reference", values), "low": ("reference", values - 0.01),
         "high": ("reference", values + 0.02)},
        coords={"reference": layers or LAYERS}, attrs={"confidence": 0.95, "n_subjects": 15},
    )  # fmt: skip


def order(p=0.0004):
    return xr.Dataset({"correlation": 0.35, "low": 0.1, "high": 0.5, "p": p})


def test_points_and_intervals_are_in_milliseconds():
    figure = plot_peak_latency(latencies())
    axes = figure.axes[0]
    assert np.allclose(axes.lines[0].get_ydata(), [100, 120, 150])
    segments = axes.collections[0].get_segments()
    assert np.allclose([s[:, 1] for s in segments], [[90, 120], [110, 140], [140, 170]])
    assert "(ms)" in axes.get_ylabel()
    figure.draw_without_rendering()
    assert "95% interval, bootstrap of 15 subjects" in figure.texts[0].get_text()


def test_a_layer_without_a_peak_is_marked_and_explained():
    figure = plot_peak_latency(latencies((0.1, np.nan, 0.15)))
    axes = figure.axes[0]
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == [1]
    assert len(axes.collections[0].get_segments()) == 2
    assert "no peak" in figure.texts[0].get_text()


def test_networks_are_lines_with_their_hierarchy():
    groups = {"objects": latencies(), "untrained": latencies((0.1, 0.1, 0.1))}
    orders = {"objects": order(), "untrained": order(0.4)}
    figure = plot_peak_latency(groups, hierarchy=orders, title="Peaks")
    texts = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert texts == ["objects: R = 0.35 [0.10, 0.50], p < .001",
                     "untrained: R = 0.35 [0.10, 0.50], p = 0.400"]  # fmt: skip
    figure.draw_without_rendering()


def test_wrong_results_are_named():
    with pytest.raises(InputError, match="lacks variables"):
        plot_peak_latency(latencies().drop_vars("low"))
    with pytest.raises(InputError, match="other layers"):
        plot_peak_latency({"a": latencies(), "b": latencies(layers=["x", "y", "z"])})
