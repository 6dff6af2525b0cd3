"""Sensor maps: one sensor and time after the other, by the library's slow functions."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from small_meg import chosen, system_info

from neurodnn._checks import InputError
from neurodnn.brain.sensors import sensor_neighbors
from neurodnn.brain.source_residuals import SourceResiduals
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.rdm import compute_rdms
from neurodnn.workflows.meg_sensor_maps import describe, meg_sensor_maps

NAMES = {"stimulus": list("abcdef")}
INFO = chosen(system_info("neuromag"), 24)


def windows(sensors, seed=0, names=NAMES):
    rng = np.random.default_rng(seed)
    return {
        time: Dataset(rng.normal(size=(len(names["stimulus"]), len(sensors))),
                      descriptors={"width": 0.02}, obs_descriptors=dict(names),
                      channel_descriptors={"sensor": list(sensors)})
        for time in (0.0, 0.02, 0.04)
    }  # fmt: skip


def layers(seed=1):
    return RDMs(np.random.default_rng(seed).random((2, 15)), pattern_descriptors=dict(NAMES),
                rdm_descriptors={"reference": ["conv1", "fc6"]})  # fmt: skip


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_each_sensor_and_time_is_the_comparison_of_its_neighbours(metric):
    sensors = INFO["ch_names"]
    patterns, references = windows(sensors), layers()
    scores = meg_sensor_maps(patterns, INFO, references, radius=0.05, metric=metric)
    assert scores.dims == ("sensor", "time", "reference")
    assert scores.sensor.values.tolist() == sensors
    members = sensor_neighbors(INFO, radius=0.05).toarray()
    for place in (0, 7, 23):
        for time, dataset in patterns.items():
            own = Dataset(dataset.measurements[:, members[place]], obs_descriptors=dict(NAMES))
            expected = compare_rdms(compute_rdms(own, metric=metric), references).values
            found = scores.sel(sensor=sensors[place], time=time).values
            assert np.allclose(found, expected.ravel(), atol=1e-12)


def test_order_of_sensors_and_further_ones_of_info_do_no_harm():
    sensors = INFO["ch_names"][2:20]
    patterns, turned = windows(sensors), {}
    for time, each in patterns.items():
        turned[time] = Dataset(each.measurements[:, ::-1], obs_descriptors=dict(NAMES),
                               channel_descriptors={"sensor": sensors[::-1]})  # fmt: skip
    first = meg_sensor_maps(patterns, INFO, layers(), radius=0.05)
    second = meg_sensor_maps(turned, INFO, layers(), radius=0.05).sel(sensor=sensors)
    assert np.allclose(first.values, second.values, atol=1e-12)


def test_sensors_that_info_lacks_are_named():
    with pytest.raises(InputError, match="1 sensors of the patterns are not among"):
        meg_sensor_maps(windows([*INFO["ch_names"], "XYZ 1"]), INFO, layers())
    with pytest.raises(InputError, match="do not name their sensors"):
        meg_sensor_maps({0.0: Dataset(np.ones((6, 3)), obs_descriptors=NAMES)}, INFO, layers())


def test_description_tells_the_reach():
    facts = {"metric": "cosine", "comparison": "spearman", "n_sensors": 3, "n_times": 4,
             "n_references": 2}  # fmt: skip
    assert "within 40 mm" in describe({**facts, "radius": 0.04})[0]
    assert "touch it" in describe({**facts, "radius": "adjacency"})[0]


def test_residuals_on_the_cortex_are_taken_within_runs():
    rng = np.random.default_rng(2)
    names = {"stimulus": list("aabbab"), "run": list("112211")}
    trials = {0.1: Dataset(rng.normal(size=(6, 3)), obs_descriptors=names)}
    found = SourceResiduals(trials)[0.1]
    values = trials[0.1].measurements.copy()
    for rows in ([0, 1, 4], [2, 3], [5]):
        values[rows] -= values[rows].mean(axis=0)
    assert np.allclose(found.measurements, values, atol=1e-14)
    assert found.descriptors["degrees_of_freedom"] == 3
    single = {0.1: Dataset(np.ones((2, 3)), obs_descriptors={"stimulus": ["a", "b"]})}
    with pytest.raises(InputError, match="no stimulus has two trials"):
        SourceResiduals(single)
