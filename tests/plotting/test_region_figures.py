"""Region figures: means, errors, stars and ceilings are those of the table."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from neurodnn._checks import InputError
from neurodnn.plotting.regions import plot_regions

LAYERS = ["features.2", "features.12", "$x_^$"]


def table(subjects=6, groups=None, p=None):
    rng = np.random.default_rng(0)
    rows = []
    for region, layer, group, subject in itertools.product(
        ("V1", "IT"), LAYERS, groups or ("net",), range(subjects)
    ):
        rows.append((region, layer, group, f"{subject:02d}", rng.normal(0.1, 0.05)))
    frame = pd.DataFrame(rows, columns=["region", "reference", "group", "subject", "score"])
    if p is not None:
        frame["p"] = [p[(row.region, row.reference)] for row in frame.itertuples()]
    return frame if groups else frame.drop(columns="group")


def means_line(axes, number=0):
    lines = [line for line in axes.lines if len(line.get_xdata()) == len(LAYERS)
             and line.get_marker() not in ("", "None", None)
             and line.get_linestyle() == "-"]  # fmt: skip
    return lines[number].get_ydata()


def test_lines_are_the_means_in_the_order_of_the_table():
    frame = table()
    figure = plot_regions(frame)
    for axes, region in zip(figure.axes, ("V1", "IT"), strict=True):
        expected = frame[frame.region == region].groupby("reference", sort=False)["score"].mean()
        assert np.allclose(means_line(axes), expected[LAYERS])


def test_bars_are_the_standard_error():
    frame = table()
    axes = plot_regions(frame).axes[0]
    cell = frame[(frame.region == "V1") & (frame.reference == LAYERS[0])]["score"]
    spans = [np.ptp(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 2
             and line.get_xdata()[0] == line.get_xdata()[1] == 0]  # fmt: skip
    assert spans == [pytest.approx(2 * cell.std(ddof=1) / np.sqrt(len(cell)))]


def test_stars_stand_on_significant_cells_only_and_are_explained():
    p = {(region, layer): 0.5 for region in ("V1", "IT") for layer in LAYERS}
    p["IT", "features.12"] = 0.01
    figure = plot_regions(table(p=p), p_meaning="sign flips, familywise")
    stars = [[t for t in axes.texts if t.get_text() == "*"] for axes in figure.axes]
    assert [len(found) for found in stars] == [0, 1]
    assert stars[1][0].xy[0] == 1
    notes = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "* p < 0.05 (sign flips, familywise)" in notes
    assert "6 subjects" in notes


def test_ceilings_are_bands_at_their_place():
    figure = plot_regions(table(), ceilings={"V1": (0.2, 0.3)})
    band = figure.axes[0].patches[0].get_extents().transformed(
        figure.axes[0].transData.inverted()
    )
    assert (band.y0, band.y1) == (pytest.approx(0.2), pytest.approx(0.3))
    assert not figure.axes[1].patches
    assert figure.axes[1].get_ylim()[1] > 0.3  # one scale for all regions


def test_groups_are_lines_with_a_legend():
    figure = plot_regions(table(groups=["trained", "untrained"]))
    assert [text.get_text() for text in figure.legends[0].texts] == ["trained", "untrained"]
    frame = table(groups=["trained", "untrained"])
    chosen = frame[(frame.region == "V1") & (frame.group == "untrained")]
    expected = chosen.groupby("reference", sort=False)["score"].mean()
    assert np.allclose(means_line(figure.axes[0], 1), expected[LAYERS])


def test_one_score_per_cell_needs_no_subjects():
    frame = table(subjects=1).drop(columns="subject")
    figure = plot_regions(frame)
    figure.draw_without_rendering()
    assert "dots" not in " ".join(text.get_text() for text in figure.texts)


def test_nan_scores_are_left_out_of_the_mean():
    frame = table()
    first = (frame.region == "V1") & (frame.reference == LAYERS[0])
    frame.loc[frame[first].index[0], "score"] = np.nan
    axes = plot_regions(frame).axes[0]
    assert means_line(axes)[0] == pytest.approx(frame[first]["score"].mean())


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table().rename(columns={"score": "scores"}), "Did you mean scores"),
        (table().iloc[:0], "no rows"),
        (pd.concat([table(), table()]), "two scores for one cell"),
    ],
)
def test_wrong_tables_are_named(frame, words):
    with pytest.raises(InputError, match=words):
        plot_regions(frame)


def graded():
    frame = table(subjects=1).drop(columns="subject")
    frame["p"] = [0.01, 0.01, 0.5] * 2
    frame["p_both"] = [0.01, 0.3, 0.5] * 2
    frame["p_stimuli"] = [0.5, 0.01, 0.5] * 2
    frame["low"], frame["high"] = frame["score"] - 0.1, frame["score"] + 0.2
    return frame


def test_markers_grade_what_a_score_generalises_to():
    frame = graded()
    axes = plot_regions(frame).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(dot.get_xdata()[0], dot.get_markerfacecolor() == "white") for dot in dots] == [
        (0, False), (1, True),
    ]  # fmt: skip
    dashes = [line for line in axes.lines if line.get_marker() == "_"]
    assert [dash.get_xdata()[0] for dash in dashes] == [1]


def test_dashes_stand_below_every_bar_and_no_line_parts_p_from_its_level():
    frame = pd.concat([graded().assign(group=name) for name in "abc"])
    frame["low"] = frame["score"] - 2.0
    axes = plot_regions(frame).axes[0]
    dashes = [line for line in axes.lines if line.get_marker() == "_"]
    low, high = axes.get_ylim()
    heights = [low + dash.get_ydata()[0] * (high - low) for dash in dashes]
    assert len(heights) == 3
    assert max(heights) < frame["low"].min()
    for width in range(0, 30, 5):
        texts = [text.get_text() for text in plot_regions(graded(), p_meaning="x " * width).texts]
        assert not any(line.endswith("<") for text in texts for line in text.split("\n"))


def test_intervals_of_the_table_take_the_place_of_the_standard_error():
    frame = graded()
    figure = plot_regions(frame, interval_meaning="95 % interval for new people")
    bars = [line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 0]]
    assert [tuple(line.get_ydata()) for line in bars] == [
        (frame["low"][0], frame["high"][0])
    ]
    assert figure.axes[0].get_ylim()[1] >= frame["high"].max()
    notes = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "Bars: 95 % interval for new people" in notes
    assert "Filled: p < 0.05 for new subjects and new stimuli" in notes
    assert "Dash at the foot: p < 0.05 for new stimuli" in notes


def test_notes_and_names_of_layers_do_not_meet():
    frame = graded().replace({"features.2": "a_rather_long_name"})
    figure = plot_regions(frame, p_meaning="x " * 140)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    top = max(text.get_window_extent(renderer).y1 for text in figure.texts)
    lowest = min(
        label.get_window_extent(renderer).y0
        for axes in figure.axes
        for label in axes.get_xticklabels()
    )
    assert top < lowest
