"""Maps of the sensors: times that are drawn, peaks, gaps, and what is refused."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from neurodnn import InputError
from neurodnn.plotting.sensor_maps import plot_sensor_maps
from neurodnn.plotting.still_times import nearest_times, places_round_peak

TIMES = np.arange(11) / 50
NAMES = ["Oz", "O1", "O2", "Cz", "C3", "C4", "Fz", "F3", "F4"]


@pytest.fixture
def cap():
    info = mne.create_info(NAMES, 50.0, "eeg", verbose="ERROR")
    info.set_montage("colin27_1020")
    values = np.zeros((len(NAMES), len(TIMES), 2))
    values[0, 3, 0], values[6, 8, 1] = 0.5, 0.4  # Oz at 60 ms, Fz at 160 ms
    scores = xr.DataArray(values, dims=("sensor", "time", "reference"),
                          coords={"sensor": NAMES, "time": TIMES, "reference": ["a", "b"]})
    return scores, info


def texts(figure):
    return [text for text in figure.texts if text.get_text().endswith(" ms")]


def test_each_row_shows_its_own_peak_in_bold(cap):
    figure = plot_sensor_maps(*cap)
    bold = [text.get_text() for text in texts(figure) if text.get_fontweight() == "bold"]
    assert bold == ["60 ms", "160 ms"]


def test_times_that_are_asked_for_stand_above_the_columns_once(cap):
    figure = plot_sensor_maps(*cap, times=[0.061, 0.16])
    assert [text.get_text() for text in texts(figure)] == ["60 ms", "160 ms"]


def test_evokeds_and_scores_give_the_same_picture(cap):
    from neurodnn import scores_to_evokeds
    from neurodnn.report.pictures import figure_to_uri

    scores, info = cap
    one = figure_to_uri(plot_sensor_maps(scores, info))
    assert figure_to_uri(plot_sensor_maps(scores_to_evokeds(scores, info))) == one
    flipped = scores.isel(sensor=slice(None, None, -1))
    assert figure_to_uri(plot_sensor_maps(flipped, info)) == one


def test_what_cannot_be_drawn_is_refused(cap):
    scores, info = cap
    with pytest.raises(InputError, match="is needed to know where sensors are"):
        plot_sensor_maps(scores)
    with pytest.raises(InputError, match="is not in the movie"):
        plot_sensor_maps(scores, info, times=[60])
    with pytest.raises(InputError, match="have other dims"):
        plot_sensor_maps(scores.expand_dims(subject=["01"]), info)


def test_places_round_a_peak_hold_it_and_stay_inside():
    course = np.exp(-(((np.arange(30) - 25) / 2.0) ** 2))
    places = places_round_peak([course], 5)
    assert 25 in places and len(places) <= 5 and 0 <= min(places) and max(places) < 30
    assert nearest_times(TIMES, [0.19]) in ([9], [10])
