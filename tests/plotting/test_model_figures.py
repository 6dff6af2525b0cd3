"""Model figures: errors, ceiling, and marks that are those of the tests."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import InputError
from neurodnn.plotting.models import plot_models

KINDS = ["subjects", "stimuli", "subjects and stimuli"]


def results(p=((0.01, 0.01, 0.5), (1, 1, 1), (0.01, 0.2, 0.5))):
    error = np.array([[0.02] * 3, [0.03] * 3, [0.05] * 3])
    pairs = np.ones((3, 3, 3))
    pairs[0, 1, 0] = pairs[0, 2, 0] = pairs[2, 2, 0] = 0.01
    dims = ("generalises_to", "reference")
    return xr.Dataset(
        {"mean": ("reference", [0.3, 0.1, 0.0]), "standard_error": (dims, error),
         "p_fwe": (dims, np.array(p)), "ceiling": ("bound", [0.4, 0.5]),
         "p_difference_fwe": ((*dims, "other"), pairs)},
        coords={"reference": ["a", "$x_^$", "c"], "generalises_to": KINDS},
        attrs={"n_subjects": 15, "n_stimuli": 92, "comparison": "spearman"},
    )  # fmt: skip


def fills(axes):
    """Marker positions by state: filled, open."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    at = {True: [], False: []}
    for dot in dots:
        at[dot.get_markerfacecolor() != "white"].append(
            (dot.get_xdata()[0], round(float(dot.get_ydata()[0]), 3))
        )
    return at


def test_markers_are_filled_for_both_and_open_for_subjects_only():
    figure = plot_models(results(), title="Models")
    assert fills(figure.axes[0]) == {True: [(0, 0.3)], False: [(1, 0.1)]}
    assert fills(figure.axes[1]) == {True: [(0, 2)], False: [(0, 1)]}
    figure.draw_without_rendering()
    text = figure.texts[0].get_text()
    assert "15 subjects, 92 stimuli" in text
    assert "filled: p < 0.05 for new subjects and stimuli" in text


def test_bars_are_the_two_standard_errors_and_the_band_the_ceiling():
    axes = plot_models(results()).axes[0]
    bars = [line for line in axes.lines if list(line.get_xdata()) == [0, 0]]
    spans = sorted(round(float(np.ptp(line.get_ydata())), 6) for line in bars)
    assert spans == [0.04, 0.1]
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.y0, band.y1) == (pytest.approx(0.4), pytest.approx(0.5))


def test_without_a_ceiling_there_is_no_band():
    tests = results()
    tests["ceiling"] = ("bound", [np.nan, np.nan])
    assert not plot_models(tests).axes[0].patches


def test_wrong_results_are_named():
    with pytest.raises(InputError, match="lack variables"):
        plot_models(results().drop_vars("ceiling"))
