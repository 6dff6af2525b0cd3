"""Time courses and fusion as a scientist calls them: planted answers, files, space x time tests."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist

from neurodnn._checks import InputError
from neurodnn.brain.adjacency import voxel_adjacency
from neurodnn.brain.mesh import Mesh
from neurodnn.brain.movies import movie_times, scores_to_movie
from neurodnn.numerics.adjacency import combine_adjacency, line_adjacency
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.movies import rdm_movie
from neurodnn.rsa.rdm_movies import mean_movie
from neurodnn.stats.clusters import cluster_test
from neurodnn.workflows.fmri_searchlight import fmri_searchlight
from neurodnn.workflows.layer_fusion import describe as describe_share
from neurodnn.workflows.layer_fusion import layer_fusion
from neurodnn.workflows.meg_fmri_fusion import describe as describe_fusion
from neurodnn.workflows.meg_fmri_fusion import meg_fmri_fusion, meg_fmri_fusion_surface
from neurodnn.workflows.meg_timecourse import describe, meg_timecourse
from neurodnn.workflows.searchlight_settings import SearchlightSettings
from neurodnn.workflows.surface_searchlight import surface_searchlight

N_STIMULI = 14
NAMES = [f"image_{i:02d}" for i in range(N_STIMULI)]
LAYERS = ["conv1", "conv3", "fc6"]
TIMES = [round(0.02 * i, 2) for i in range(10)]
PLACES = {"conv1": 1, "conv3": 4, "fc6": 7}  # along the first axis of the grid
PEAKS = {"conv1": 2, "conv3": 5, "fc6": 8}  # along the axis of time
SUBJECTS = [f"{i:02d}" for i in range(1, 9)]
SETTINGS = SearchlightSettings(radius=2.1, min_share=0.1)


class Study:
    """Eight people, a layer each at a place and at a time, in independent noise."""

    def __init__(self):
        rng = np.random.default_rng(11)
        features = {layer: rng.normal(size=(N_STIMULI, 12)) for layer in LAYERS}
        self.layers = RDMs(np.stack([pdist(own, "correlation") for own in features.values()]),
                           rdm_descriptors={"reference": LAYERS},
                           pattern_descriptors={"stimulus": NAMES})  # fmt: skip
        self.mask = nibabel.Nifti1Image(np.ones((9, 3, 3), np.uint8), np.diag([2.0, 2, 2, 1]))
        self.brains, self.windows = {}, {}
        mixing = {layer: rng.normal(size=(12, 40)) for layer in LAYERS}
        for subject in SUBJECTS:
            volume = rng.normal(size=(N_STIMULI, 9, 3, 3))
            for layer, place in PLACES.items():
                own = features[layer] @ rng.normal(size=(12, 27))
                volume[:, place - 1 : place + 2] += 0.7 * own.reshape(-1, 3, 3, 3)
            self.brains[subject] = Dataset(volume.reshape(N_STIMULI, -1),
                                           obs_descriptors={"stimulus": NAMES})  # fmt: skip
            self.windows[subject] = {}
            for number, time in enumerate(TIMES):
                sensors = 3.0 * rng.normal(size=(N_STIMULI, 40))
                for layer, peak in PEAKS.items():
                    strength = np.exp(-0.5 * ((number - peak) / 0.8) ** 2)
                    sensors += strength * features[layer] @ mixing[layer]
                self.windows[subject][time] = Dataset(1e-13 * sensors,
                                                      obs_descriptors={"stimulus": NAMES})
        self.movies = {subject: rdm_movie(own) for subject, own in self.windows.items()}


@pytest.fixture(scope="module")
def study():
    return Study()


@pytest.fixture(scope="module")
def fused(study):
    return meg_fmri_fusion(study.movies, study.brains, study.mask, settings=SETTINGS)


def maps_of(study):
    options = {"radius": SETTINGS.radius, "min_share": SETTINGS.min_share}
    own = [fmri_searchlight(study.brains[subject], study.mask, study.layers, **options)
           for subject in SUBJECTS]  # fmt: skip
    return xr.concat(own, dim="subject", coords="minimal", compat="override").assign_coords(
        subject=SUBJECTS
    )


def test_layers_peak_when_they_were_planted(study):
    found = meg_timecourse(study.windows, study.layers)
    assert found.dims == ("subject", "time", "reference")
    assert found.subject.values.tolist() == SUBJECTS and found.reason.dims == ("subject", "time")
    peaks = found.mean("subject").idxmax("time")
    assert peaks.values.tolist() == [TIMES[PEAKS[layer]] for layer in LAYERS]
    one = meg_timecourse(study.windows["03"], study.layers)
    assert np.array_equal(one, found.sel(subject="03"))
    kept = meg_timecourse(study.movies, study.layers)
    assert np.abs(kept.values - found.values).max() <= 1e-12


def test_subjects_with_other_times_are_refused(study):
    late = {time + 1.0: own for time, own in study.windows["02"].items()}
    with pytest.raises(InputError, match="01 and 02 differ in their times. Only in 01: 0 s"):
        meg_timecourse({**study.windows, "02": late}, study.layers)


def test_residuals_are_of_one_subject(study):
    residuals = Dataset(np.random.default_rng(0).normal(size=(60, 40)))
    with pytest.raises(InputError, match="residuals: are the noise of one subject"):
        meg_timecourse(study.windows, study.layers, metric="mahalanobis", residuals=residuals)


def test_the_share_of_each_layer_is_at_its_place_and_time(study, fused):
    course = meg_timecourse(mean_movie(study.movies), study.layers)
    maps = maps_of(study)
    for layer in LAYERS:
        found = layer_fusion(fused, course, maps, layer=layer)
        mean = found.shared.mean("subject").values.reshape(9, 3, 3, len(TIMES)).mean(axis=(1, 2))
        place, time = np.unravel_index(np.argmax(mean), mean.shape)
        assert abs(place - PLACES[layer]) <= 1 and time == PEAKS[layer]
        assert (found.shared <= found.total + 1e-12).all()


def test_clusters_over_space_and_time_find_the_layer(study, fused):
    course = meg_timecourse(mean_movie(study.movies), study.layers)
    shared = layer_fusion(fused, course, maps_of(study), layer="conv3").shared
    adjacency = combine_adjacency(voxel_adjacency(study.mask), line_adjacency(len(TIMES)))
    found = cluster_test(shared, adjacency, places=("voxel", "time"), threshold=3.0,
                         tail="greater")  # fmt: skip
    assert found.attrs["generalises_to"] == "subjects" and found.attrs["exact"]
    significant = (found.p_fwe < 0.05).values.reshape(9, 3, 3, len(TIMES))
    assert significant[PLACES["conv3"], 1, 1, PEAKS["conv3"]]
    strongest = (found.cluster == 1).values.reshape(9, 9, len(TIMES))
    # the planted bump falls to 4 % two windows from its peak
    assert {*np.flatnonzero(strongest.any(axis=(0, 1)))} <= {3, 4, 5, 6, 7}
    assert {*np.flatnonzero(strongest.any(axis=(1, 2)))} <= {2, 3, 4, 5, 6}
    outside = np.delete(significant, np.s_[2:7], axis=0)
    assert not outside.any()


def test_fusion_becomes_an_image_with_a_time_axis(study, fused, tmp_path):
    scores_to_movie(fused.mean("subject"), study.mask).to_filename(tmp_path / "x_statmap.nii.gz")
    assert movie_times(tmp_path / "x_statmap.nii.gz").tolist() == TIMES


def test_volume_of_one_subject_and_paired(study, fused):
    one = meg_fmri_fusion(mean_movie(study.movies), study.brains["04"], study.mask,
                          settings=SETTINGS)  # fmt: skip
    assert np.array_equal(one, fused.sel(subject="04"))
    paired = meg_fmri_fusion(study.movies, study.brains, study.mask, meg="paired",
                             settings=SETTINGS)  # fmt: skip
    alone = meg_fmri_fusion(study.movies["04"], study.brains["04"], study.mask, settings=SETTINGS)
    assert np.array_equal(paired.sel(subject="04"), alone)
    assert paired.attrs["meg"].startswith("paired") and fused.attrs["meg"].startswith("group")


def test_surface_is_the_surface_searchlight_with_times_for_references(study):
    grid = np.array([[x, y, 0.0] for x in range(9) for y in range(9)])
    faces = [[9 * x + y, 9 * x + y + 1, 9 * x + y + 9] for x in range(8) for y in range(8)]
    faces += [[9 * x + y + 1, 9 * x + y + 10, 9 * x + y + 9] for x in range(8) for y in range(8)]
    sides = {side: Mesh(2.0 * grid, faces, hemisphere=side) for side in ("left", "right")}
    patterns = dict.fromkeys(sides, study.brains["01"])
    mean, settings = mean_movie(study.movies), SearchlightSettings(radius=4.0)
    found = meg_fmri_fusion_surface(study.movies, patterns, sides, settings=settings)
    own = surface_searchlight(patterns, sides, mean, radius=4.0)
    assert np.array_equal(found, own, equal_nan=True)
    assert found.dims == ("vertex", "time") and found.time.values.tolist() == TIMES
    assert found.hemisphere.values[[0, -1]].tolist() == ["left", "right"]


def test_methods_paragraphs_say_what_was_done():
    facts = {"metric": "crossnobis", "comparison": "spearman", "width": 0.02, "n_stimuli": 92,
             "n_times": 45, "n_references": 8, "nuisance": ["gist"], "semi": True}  # fmt: skip
    text, keys = describe(facts)
    assert "windows of 20 ms" in text and "gist" in text and "the references." in text
    assert keys == ["cichy2016", "kriegeskorte2008", "walther2016"]
    text, _ = describe_fusion({"meg": "group", "average": "ranks", "n_times": 45, "n_movies": 15,
                               "place": "vertex"})  # fmt: skip
    assert "mean of the ranks over 15 subjects" in text and "every vertex" in text
    assert "of the values of" in describe_share({"comparison": "pearson"})[0]


def test_layers_are_matched_by_name(study):
    order = np.random.default_rng(0).permutation(N_STIMULI)
    turned = RDMs(study.layers.get_matrices()[np.ix_(range(3), order, order)],
                  rdm_descriptors={"reference": LAYERS},
                  pattern_descriptors={"stimulus": [NAMES[i] for i in order]})  # fmt: skip
    one = meg_timecourse(study.windows["01"], turned)
    assert np.array_equal(one, meg_timecourse(study.windows["01"], study.layers))
    assert compare_rdms(turned, study.layers).values.diagonal() == pytest.approx(1.0)
