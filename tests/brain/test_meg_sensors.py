"""Sensors in space: neighbours, adjacency, and maps back on the sensors."""

from __future__ import annotations

import datetime

import mne
import numpy as np
import pytest
import xarray as xr
from scipy.sparse import csr_array
from small_meg import chosen, system_info

from neurodnn import InputError
from neurodnn.brain.meg_channels import sensor_names
from neurodnn.brain.sensors import scores_to_evokeds, sensor_adjacency, sensor_neighbors

SYSTEMS = [("neuromag", "mag"), ("neuromag", "grad"), ("neuromag", "meg"), ("ctf", "mag"),
           ("kit", "mag"), ("eeg", "eeg")]  # fmt: skip


@pytest.mark.parametrize("system, channels", SYSTEMS)
def test_neighbours_are_those_within_the_radius(system, channels):
    info = system_info(system)
    names = sensor_names(info, channels)
    places = np.array([info["chs"][info["ch_names"].index(name)]["loc"][:3] for name in names])
    radius = 0.08 if system == "eeg" else 0.045
    table = sensor_neighbors(info, channels=channels, radius=radius)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert isinstance(table, csr_array) and table.dtype == bool
    assert np.array_equal(table.toarray(), distances <= radius)
    assert (np.diff(table.indptr) > 1).mean() > 0.5
    assert (np.diff(table.indices[: table.indptr[1]]) > 0).all()
    wider = sensor_neighbors(info, channels=channels, radius=radius + 0.02).toarray()
    assert wider[table.toarray()].all()


@pytest.mark.parametrize("system, channels", SYSTEMS)
def test_no_radius_leaves_each_sensor_alone(system, channels):
    info = system_info(system)
    table = sensor_neighbors(info, channels=channels)
    assert np.array_equal(table.toarray(), np.eye(len(sensor_names(info, channels)), dtype=bool))


def test_a_planar_pair_and_its_magnetometer_have_the_same_neighbours():
    info = system_info("neuromag")
    for channels, size in (("grad", 2), ("meg", 3)):
        names = sensor_names(info, channels)
        table = sensor_neighbors(info, channels=channels, radius=0.005).toarray()
        assert (table.sum(axis=1) == size).all()
        rows = [i for i, name in enumerate(names) if name.startswith("MEG 013")]
        assert len(rows) == size and table[np.ix_(rows, rows)].all()
        wide = sensor_neighbors(info, channels=channels, radius=0.05).toarray()
        assert all(np.array_equal(wide[rows[0]], wide[row]) for row in rows)


@pytest.mark.parametrize("system, channels, known", [
    ("neuromag", "mag", "neuromag306mag"), ("neuromag", "grad", "neuromag306planar"),
    ("ctf", "mag", "ctf275"), ("kit", "mag", "KIT-157"),
])  # fmt: skip
def test_adjacency_is_that_of_mne_by_name(system, channels, known):
    info = system_info(system)
    order = np.random.default_rng(0).permutation(len(info["ch_names"]))
    info = mne.pick_info(info, order)
    names = sensor_names(info, channels)
    table = sensor_adjacency(info, channels=channels).toarray()
    theirs, labels = mne.channels.read_ch_adjacency(known)
    spelled = [label.replace("MEG", "MEG ") if known.startswith("neuro") else str(label)
               for label in labels]  # fmt: skip
    place = {name: i for i, name in enumerate(spelled)}
    rows = [place[name.split("-")[0]] for name in names]
    expected = theirs.toarray()[np.ix_(rows, rows)].astype(bool)
    np.fill_diagonal(expected, False)
    assert np.array_equal(table, expected | expected.T)
    assert not table.diagonal().any() and np.array_equal(table, table.T)
    if system == "neuromag":  # one sensor less: its row goes, the others stay
        info["bads"] = [names[3]]
        less = sensor_adjacency(info, channels=channels).toarray()
        keep = np.delete(np.arange(len(names)), 3)
        assert np.array_equal(less, table[np.ix_(keep, keep)])


def test_adjacency_of_eeg_is_triangulated():
    table = sensor_adjacency(system_info("eeg"), channels="eeg")
    names = sensor_names(system_info("eeg"), "eeg")
    cz = {names[i] for i in np.flatnonzero(table.toarray()[names.index("Cz")])}
    assert {"C3", "C4", "Fz", "Pz"} <= cz


def test_neighbours_that_cannot_be_are_refused():
    info = mne.create_info(["A", "B"], 100.0, "eeg")
    with pytest.raises(InputError, match="2 sensors have no position: A, B.*montage"):
        sensor_neighbors(info, channels="eeg", radius=0.04)
    neuromag = system_info("neuromag")
    with pytest.raises(InputError, match="within one type of sensor.*grad.*mag"):
        sensor_neighbors(neuromag, radius="adjacency")
    with pytest.raises(InputError, match="radius: is larger than a head.*40 mm are 0.04"):
        sensor_neighbors(neuromag, radius=40)
    for wrong in (0, -0.1, np.nan):
        with pytest.raises(InputError, match="radius: is not a valid number.*> 0 m"):
            sensor_neighbors(neuromag, radius=wrong)
    with pytest.raises(InputError, match="radius: is not known.*'adjacency'"):
        sensor_neighbors(neuromag, radius="near")
    with pytest.raises(InputError, match="adjacency lacks 10 sensors.*radius in metres"):
        sensor_neighbors(chosen(system_info("ctf"), 10), channels="mag", radius="adjacency")


def some_scores(names, times=(0.0, 0.01, 0.02), references=("conv1", "fc7")):
    values = np.random.default_rng(0).normal(size=(len(names), len(times), len(references)))
    coords = {"sensor": list(names), "time": list(times), "reference": list(references)}
    return xr.DataArray(values, dims=("sensor", "time", "reference"), coords=coords)


@pytest.mark.parametrize("system, channels", SYSTEMS)
def test_scores_survive_the_way_to_a_file_of_mne_and_back(tmp_path, system, channels):
    info = system_info(system)
    names = sensor_names(info, channels)
    order = np.random.default_rng(1).permutation(len(names))
    scores = some_scores([names[i] for i in order])
    scores[2, 1, 0] = np.nan
    evokeds = scores_to_evokeds(scores.transpose("reference", "sensor", "time"), info)
    path = tmp_path / "scores-ave.fif"
    mne.write_evokeds(path, evokeds, verbose="ERROR")
    for evoked, name in zip(mne.read_evokeds(path, verbose="ERROR"), ["conv1", "fc7"],
                            strict=True):  # fmt: skip
        assert evoked.comment == name
        assert np.allclose(evoked.times, [0, 0.01, 0.02], rtol=0, atol=1e-9)
        expected = scores.sel(reference=name, sensor=evoked.ch_names).values
        assert np.allclose(evoked.data, expected, rtol=1e-6, atol=0, equal_nan=True)  # float32
        for channel in evoked.info["chs"]:
            known = info["chs"][info["ch_names"].index(channel["ch_name"])]
            assert np.allclose(channel["loc"], known["loc"], rtol=0, atol=1e-6, equal_nan=True)
            assert channel["coil_type"] == known["coil_type"]


def test_a_negative_time_axis_and_a_single_map_are_kept():
    info = system_info("ctf")
    names = sensor_names(info, "mag")
    evoked = scores_to_evokeds(some_scores(names, times=np.arange(-5, 6) * 0.02), info)[1]
    assert np.allclose(evoked.times, np.arange(-5, 6) * 0.02, rtol=0, atol=1e-9)
    one = some_scores(names).sel(reference="fc7", time=0.01)
    (evoked,) = scores_to_evokeds(one, info)
    assert evoked.comment == "fc7" and evoked.times.tolist() == [pytest.approx(0.01, abs=2e-3)]


def test_pairs_become_their_mean_with_its_sign():
    info = system_info("neuromag")
    names = sensor_names(info, "meg")
    scores = some_scores(names)
    evoked = scores_to_evokeds(scores, info, pairs="mean")[0]
    assert len(evoked.ch_names) == 204 and set(evoked.get_channel_types()) == {"mag"}
    expected = scores.sel(sensor=["MEG 0112", "MEG 0113"], reference="conv1").mean("sensor")
    found = evoked.data[evoked.ch_names.index("MEG 011X")]
    assert np.allclose(found, expected, rtol=1e-12, atol=0)
    assert (evoked.data[[n.endswith("X") for n in evoked.ch_names]] < 0).any()
    ctf = system_info("ctf")
    same = scores_to_evokeds(some_scores(sensor_names(ctf)), ctf, pairs="mean")[0]
    assert same.ch_names == sensor_names(ctf)


def test_nothing_on_the_person_goes_with_the_scores():
    info = system_info("ctf")
    with info._unlock():
        info["subject_info"] = {"his_id": "P0815", "last_name": "Canary"}
        info["experimenter"] = "Dr. Canary"
        info["description"] = "Canary hospital"
        info["meas_date"] = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)
    fresh = scores_to_evokeds(some_scores(sensor_names(info)), info)[0].info
    assert "Canary" not in str(dict(fresh)) and "P0815" not in str(dict(fresh))
    assert fresh["meas_date"] is None and not fresh["projs"] and fresh["dig"] is None


def test_scores_that_are_no_map_are_refused():
    info = system_info("ctf")
    scores = some_scores(sensor_names(info))
    with pytest.raises(InputError, match="sensors of the scores are not in info.*MEG 0111"):
        scores_to_evokeds(some_scores(["MEG 0111", "MLC11-2908"]), info)
    with pytest.raises(InputError, match="times are not in equal rising steps"):
        scores_to_evokeds(scores.assign_coords(time=[0.0, 0.01, 0.05]), info)
    with pytest.raises(InputError, match="have other dims.*subject"):
        scores_to_evokeds(scores.expand_dims("subject"), info)
    with pytest.raises(InputError, match="have no dim sensor"):
        scores_to_evokeds(scores.rename(sensor="voxel"), info)
    with pytest.raises(InputError, match="sensors have no names"):
        scores_to_evokeds(scores.drop_vars("sensor"), info)
    with pytest.raises(InputError, match="pairs='rms' is not known"):
        scores_to_evokeds(scores, info, pairs="rms")


def test_neighbours_fit_the_searchlight():
    from rsatoolbox.data import Dataset

    from neurodnn.rsa.rdm import compute_rdms
    from neurodnn.rsa.searchlight import searchlight

    info = chosen(system_info("neuromag"), 60)
    values = np.random.default_rng(0).normal(size=(6, 60))
    patterns = Dataset(values, obs_descriptors={"stimulus": list("abcdef")})
    references = compute_rdms({"conv1": patterns})
    table = sensor_neighbors(info, radius=0.05)
    scores = searchlight(patterns, table, references, metric="euclidean")
    row = table.indices[table.indptr[7] : table.indptr[8]]
    own = compute_rdms(Dataset(values[:, row], obs_descriptors={"stimulus": list("abcdef")}),
                       metric="euclidean").dissimilarities[0]  # fmt: skip
    from scipy.stats import spearmanr

    expected = spearmanr(own, references.dissimilarities[0]).statistic
    assert np.isclose(np.asarray(scores)[7].item(), expected, rtol=0, atol=1e-12)


def test_times_between_multiples_of_the_step_stay_where_they_are(tmp_path):
    info = system_info("ctf")
    times = np.array([0.05, 0.07, 0.09])  # 2.5, 3.5 and 4.5 steps
    evokeds = scores_to_evokeds(some_scores(sensor_names(info, "mag"), times=times), info)
    assert np.allclose(evokeds[0].times, times, rtol=0, atol=1e-9)
    mne.write_evokeds(tmp_path / "scores-ave.fif", evokeds, verbose="ERROR")
    (evoked, _) = mne.read_evokeds(tmp_path / "scores-ave.fif", verbose="ERROR")
    assert np.allclose(evoked.times, times, rtol=0, atol=1e-7)  # FIF: float32
