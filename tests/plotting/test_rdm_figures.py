"""RDM figures: the values, their order and one scale for all."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from neurodnn._checks import InputError
from neurodnn.plotting.rdms import plot_rdms

NAMES = ["face_1", "house_1", "face_2", "house_2", "tool_1"]


def rdms(count=3, seed=0, names=NAMES, **descriptors):
    pairs = len(names) * (len(names) - 1) // 2
    values = np.random.default_rng(seed).random((count, pairs)) * np.arange(1, count + 1)[:, None]
    descriptors = descriptors or {"reference": [f"layer{n}" for n in range(count)]}
    return RDMs(values, rdm_descriptors=descriptors, pattern_descriptors={"stimulus": list(names)})


def shown(figure, number=0):
    return np.ma.filled(figure.axes[number].images[0].get_array().astype(float), np.nan)


def off_diagonal(square):
    return square[~np.eye(len(square), dtype=bool)]


def test_values_stand_where_they_belong_and_the_diagonal_is_left_empty():
    data = rdms()
    square = shown(plot_rdms(data), 1)
    expected = squareform(data.dissimilarities[1])
    assert np.array_equal(off_diagonal(square), off_diagonal(expected))
    assert np.isnan(np.diag(square)).all()


def test_all_matrices_share_one_scale():
    figure = plot_rdms(rdms())
    limits = {axes.images[0].get_clim() for axes in figure.axes[:3]}
    assert len(limits) == 1
    assert limits.pop()[1] == pytest.approx(rdms().dissimilarities.max())


def test_order_moves_rows_and_columns_together():
    data = rdms(1)
    order = sorted(NAMES)
    index = [NAMES.index(name) for name in order]
    expected = squareform(data.dissimilarities[0])[np.ix_(index, index)]
    figure = plot_rdms(data, order=order)
    assert np.array_equal(off_diagonal(shown(figure)), off_diagonal(expected))
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == order


def test_categories_group_the_stimuli_and_are_named():
    data = rdms(1)
    categories = {name: name.split("_")[0] for name in NAMES}
    figure = plot_rdms(data, categories=categories)
    index = [0, 2, 1, 3, 4]
    expected = squareform(data.dissimilarities[0])[np.ix_(index, index)]
    assert np.array_equal(off_diagonal(shown(figure)), off_diagonal(expected))
    assert [text.get_text() for text in figure.axes[0].texts] == ["face", "house", "tool"]
    assert len(figure.axes[0].patches) == 6


def test_ranks_are_percentiles_within_each_rdm():
    data = rdms(2)
    data.dissimilarities[0, :2] = 0.5  # a tie
    figure = plot_rdms(data, ranks=True)
    expected = 100 * (rankdata(data.dissimilarities[0]) - 1) / 9
    assert np.allclose(off_diagonal(shown(figure)), off_diagonal(squareform(expected)))
    assert figure.axes[0].images[0].get_clim() == (0, 100)
    assert figure.axes[-1].get_xlabel() == "percentile within its RDM"


def test_missing_pairs_stay_empty():
    data = rdms(1)
    data.dissimilarities[0, 3] = np.nan
    for ranks in (False, True):
        square = shown(plot_rdms(data, ranks=ranks))
        assert np.isnan(off_diagonal(square)).sum() == 2


def test_titles_fall_back_to_subjects_and_numbers():
    for descriptors, expected in (
        ({"subject": ["01", "02"]}, ["01", "02"]), ({"x": [3, 4]}, ["1", "2"]),
    ):  # fmt: skip
        figure = plot_rdms(rdms(2, **descriptors))
        assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == expected


def test_many_stimuli_are_numbered():
    figure = plot_rdms(rdms(1, names=[f"s{n}" for n in range(92)]))
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks == ["20", "40", "60", "80"]


def test_any_name_is_drawn():
    names = ["$x_^$", "$\\frac{", "😀 層", "%s", "x" * 300]
    data = rdms(2, names=names, reference=["$a_^$", "\x00"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_rdms(data, title="$t^$").draw_without_rendering()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": NAMES[:-1]}, "every stimulus of the RDMs once"),
        ({"order": [*NAMES[:-1], "tool_2"]}, "Did you mean tool_1 by tool_2"),
        ({"categories": {"face_1": "face"}}, "lacks 4 stimuli"),
        ({"ncols": 0}, "ncols"),
    ],
)
def test_wrong_arguments_are_named(options, words):
    with pytest.raises(InputError, match=words):
        plot_rdms(rdms(), **options)
