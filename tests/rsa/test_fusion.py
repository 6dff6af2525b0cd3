"""Fusion of times with places, and what a model shares: closed forms against regressions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array
from scipy.stats import rankdata, spearmanr

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.commonality import shared_variance
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.fusion import fuse_regions, layer_share
from neurodnn.rsa.fusion_maps import fuse_places
from neurodnn.rsa.partition import commonality
from neurodnn.rsa.rdm_movies import compare_movie, mean_movie
from neurodnn.rsa.searchlight import searchlight
from neurodnn.rsa.spheres import SearchlightOptions

NAMES = list("hbcdefgaij")
N_PAIRS = 45
TIMES = [0.1, 0.2, 0.3, 0.4]
LAYERS = ["conv1", "fc6"]


def rdms(n, seed, **rows):
    values = np.random.default_rng(seed).random((n, N_PAIRS))
    return RDMs(values, rdm_descriptors={key: list(labels) for key, labels in rows.items()},
                pattern_descriptors={"stimulus": list(NAMES)})  # fmt: skip


def patterns(seed):
    values = np.random.default_rng(seed).normal(size=(10, 6))
    return Dataset(values, obs_descriptors={"stimulus": NAMES})


NEIGHBORS = csr_array(sum(np.eye(6, k=k) for k in range(3)).astype(bool))


def explained(y, *predictors):
    """R2 by least squares, written out."""
    design = np.column_stack([np.ones(y.size), *predictors])
    rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return 1 - (rest @ rest) / ((y - y.mean()) @ (y - y.mean()))


@pytest.mark.parametrize("ranks", [False, True])
def test_closed_form_is_the_difference_of_regressions(ranks):
    negative = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        m, f, d = rng.normal(size=(3, 60))
        f, d = f + rng.normal() * m, d + rng.normal() * f
        if ranks:
            m, f, d = (rankdata(row) for row in (m, f, d))
        r_mf, r_md, r_fd = (np.corrcoef(pair)[0, 1] for pair in ((m, f), (m, d), (f, d)))
        found = shared_variance(r_mf, r_md, r_fd)
        expected = explained(m, f) - (explained(m, f, d) - explained(m, d))
        assert abs(found - expected) <= 1e-12
        negative += found < 0
    assert negative  # suppression happens and is not clipped


@given(*[st.floats(-1, 1)] * 2, st.floats(-0.999, 0.999))
def test_shared_is_bounded_by_total_and_ignores_the_sign_of_a_model(r_mf, r_md, r_fd):
    found = shared_variance(r_mf, r_md, r_fd)
    assert found <= r_mf**2 + 1e-12
    assert found == shared_variance(r_mf, -r_md, -r_fd)


def test_shared_where_place_and_model_are_one_and_where_nothing_is_known():
    assert shared_variance(0.4, 0.4, 1.0) == pytest.approx(0.16, abs=1e-15)
    assert shared_variance(0.4, -0.4, -1.0) == pytest.approx(0.16, abs=1e-15)
    assert np.isnan([shared_variance(*r) for r in
                     ((np.nan, 0.1, 0.1), (0.1, np.nan, 1.0), (0.1, 0.1, np.nan))]).all()


def test_regions_with_the_mean_movie_and_with_ones_own():
    movies = {"02": rdms(4, 2, time=TIMES), "01": rdms(4, 1, time=TIMES)}
    regions = {"IT": rdms(2, 5, subject=["01", "02"]), "V1": rdms(2, 6, subject=["02", "01"])}
    found = fuse_regions(movies, regions)
    assert found.dims == ("subject", "region", "time")
    assert found.region.values.tolist() == ["IT", "V1"] and found.time.values.tolist() == TIMES
    mean = (movies["01"].dissimilarities + movies["02"].dissimilarities) / 2
    row = regions["V1"].dissimilarities[0]  # subject 02
    expected = [spearmanr(row, own)[0] for own in mean]
    assert np.abs(found.sel(subject="02", region="V1") - expected).max() <= 1e-12
    assert found.attrs["meg"] == "group: mean of 2 subjects" and found.attrs["average"] == "rdms"
    paired = fuse_regions(movies, regions, meg="paired")
    expected = [spearmanr(row, own)[0] for own in movies["02"].dissimilarities]
    assert np.abs(paired.sel(subject="02", region="V1") - expected).max() <= 1e-12
    assert paired.attrs["meg"] == "paired: each subject's own movie"
    ranked = fuse_regions(movies, regions, average="ranks")
    mean = rankdata(movies["01"].dissimilarities, axis=1) + rankdata(
        movies["02"].dissimilarities, axis=1
    )
    expected = [spearmanr(row, own)[0] for own in mean]
    assert np.abs(ranked.sel(subject="02", region="V1") - expected).max() <= 1e-12


def test_subjects_without_a_partner_are_named():
    movies = {"01": rdms(4, 1, time=TIMES), "03": rdms(4, 2, time=TIMES)}
    regions = {"IT": rdms(2, 5, subject=["01", "02"])}
    with pytest.raises(InputError, match="Only with a movie: 03. Only with places: 02"):
        fuse_regions(movies, regions, meg="paired")
    with pytest.raises(InputError, match="needs the movie of every subject"):
        fuse_regions(movies["01"], regions, meg="paired")
    with pytest.raises(InputError, match="IT and V1 differ in their subjects"):
        fuse_regions(movies, {**regions, "V1": rdms(1, 6, subject=["01"])})
    with pytest.raises(InputError, match="a subject occurs twice in IT"):
        fuse_regions(movies, {"IT": rdms(2, 5, subject=["01", "01"])})
    with pytest.raises(InputError, match="meg='both' is not known"):
        fuse_regions(movies, regions, meg="both")


def test_places_are_the_searchlight_with_times_for_references():
    movies = {"01": rdms(4, 1, time=TIMES), "02": rdms(4, 2, time=TIMES)}
    brains = {"02": patterns(4), "01": patterns(3)}
    mean = mean_movie(movies)
    found = fuse_places(movies, brains, NEIGHBORS)
    assert found.dims == ("subject", "voxel", "time")
    assert found.subject.values.tolist() == ["01", "02"] and found.time.values.tolist() == TIMES
    for subject in brains:
        own = searchlight(brains[subject], NEIGHBORS, mean)
        assert np.array_equal(found.sel(subject=subject), own, equal_nan=True)
        assert np.array_equal(found.n_features.sel(subject=subject), own.n_features)
        paired = searchlight(brains[subject], NEIGHBORS, movies[subject])
        other = fuse_places(movies, brains, NEIGHBORS, meg="paired").sel(subject=subject)
        assert np.array_equal(other, paired, equal_nan=True)
    alone = fuse_places(mean, brains["01"], NEIGHBORS)
    assert alone.dims == ("voxel", "time")
    assert np.array_equal(alone, found.sel(subject="01"), equal_nan=True)
    with pytest.raises(InputError, match="needs the subject of the patterns"):
        fuse_places(movies, brains["01"], NEIGHBORS, meg="paired")


def test_residuals_of_every_subject_are_needed_and_used():
    movies, brains = {"01": rdms(4, 1, time=TIMES)}, {"01": patterns(3), "02": patterns(4)}
    options = SearchlightOptions(metric="mahalanobis")
    noise = {key: Dataset(np.random.default_rng(i).normal(size=(40, 6)))
             for i, key in enumerate(brains)}  # fmt: skip
    found = fuse_places(movies, brains, NEIGHBORS, residuals=noise, options=options)
    own = searchlight(brains["02"], NEIGHBORS, movies["01"], residuals=noise["02"],
                      metric="mahalanobis")  # fmt: skip
    assert np.array_equal(found.sel(subject="02"), own, equal_nan=True)
    with pytest.raises(InputError, match="residuals: there are none for 02"):
        fuse_places(movies, brains, NEIGHBORS, residuals={"01": noise["01"]}, options=options)


def test_ties_of_a_movie_are_told_once():
    rows = np.random.default_rng(0).integers(0, 4, (4, N_PAIRS)).astype(float)
    tied = RDMs(rows, rdm_descriptors={"time": TIMES}, pattern_descriptors={"stimulus": NAMES})
    with pytest.warns(DataWarning) as caught:
        fuse_places(tied, patterns(1), NEIGHBORS)
    ties = [str(each.message) for each in caught if "tied" in str(each.message)]
    assert len(ties) == 1 and "at 4 of 4 times" in ties[0]


@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
def test_the_share_of_a_layer_at_every_place_and_time(comparison):
    movie, layers = rdms(4, 1, time=TIMES), rdms(2, 8, reference=LAYERS)
    fusion = fuse_places(movie, patterns(3), NEIGHBORS, comparison=comparison)
    places = searchlight(patterns(3), NEIGHBORS, layers, comparison=comparison)
    course = compare_movie(movie, layers, comparison=comparison)
    found = layer_share(fusion, course, places, reference="fc6")
    assert found.shared.dims == ("voxel", "time") and found.attrs["reference"] == "fc6"
    assert np.allclose(found.total, fusion**2, rtol=0, atol=1e-15, equal_nan=True)
    members = NEIGHBORS.indices[NEIGHBORS.indptr[2] : NEIGHBORS.indptr[3]]
    values = patterns(3).measurements[:, members]
    upper = np.triu_indices(10, 1)
    f = (1 - np.corrcoef(values))[upper]
    scale = rankdata if comparison == "spearman" else np.asarray
    m, f, d = scale(movie.dissimilarities[1]), scale(f), scale(layers.dissimilarities[1])
    expected = explained(m, f) - (explained(m, f, d) - explained(m, d))
    assert abs(found.shared.values[2, 1] - expected) <= 1e-12


def test_the_share_agrees_with_the_commonality_of_regions():
    movie, layers = rdms(4, 1, time=TIMES), rdms(2, 8, reference=LAYERS)
    region = rdms(1, 5, subject=["01"])
    fusion = fuse_regions(movie, {"IT": region})
    places = compare_rdms(region, layers).expand_dims(region=["IT"])
    found = layer_share(fusion, compare_movie(movie, layers), places, reference="conv1")
    other = commonality(movie, region, layers).sel(second="conv1").values[:, 0]
    assert np.abs(found.shared.values[0, 0] - other).max() <= 1e-12


def test_tables_that_do_not_belong_together():
    movie, layers = rdms(4, 1, time=TIMES), rdms(2, 8, reference=LAYERS)
    region = rdms(1, 5, subject=["01"])
    fusion = fuse_regions(movie, {"IT": region})
    places = compare_rdms(region, layers).expand_dims(region=["IT"])
    course = compare_movie(movie, layers)
    with pytest.raises(InputError, match="reference of course='fc7' is not known"):
        layer_share(fusion, course, places, reference="fc7")
    with pytest.raises(InputError, match="has another comparison than the fusion"):
        layer_share(fusion, compare_movie(movie, layers, comparison="pearson"), places,
                    reference="fc6")  # fmt: skip
    with pytest.raises(InputError, match="correlation of values or of ranks .*cosine"):
        layer_share(fusion.assign_attrs(comparison="cosine"), course, places, reference="fc6")
    with pytest.raises(InputError, match="is a partial correlation"):
        layer_share(fusion, course.assign_attrs(nuisance=["gist"]), places, reference="fc6")
    with pytest.raises(InputError, match="times, places or subjects of the three tables differ"):
        layer_share(fusion, course.assign_coords(time=[1, 2, 3, 4]), places, reference="fc6")
    with pytest.raises(InputError, match="does not say how RDMs were compared"):
        layer_share(fusion.drop_attrs(), course, places, reference="fc6")
    with pytest.raises(InputError, match="dimension subject, which it lacks"):
        layer_share(fusion.isel(subject=0, drop=True), course, places, reference="fc6")
    group = fuse_regions({"01": movie}, {"IT": region})
    with pytest.raises(InputError, match="is not that of the movie in the fusion"):
        layer_share(group, course, places, reference="fc6")
    with pytest.raises(InputError, match="RDMs of places are euclidean distances"):
        layer_share(fusion.assign_attrs(metric="correlation"), course,
                    places.assign_attrs(metric="euclidean"), reference="fc6")  # fmt: skip


def test_subjects_broadcast_against_the_course_of_the_mean():
    made = {"comparison": "pearson", "n_stimuli": 92}
    rng = np.random.default_rng(0)
    fusion = xr.DataArray(rng.uniform(-0.5, 0.5, (3, 4, 2)), dims=("subject", "voxel", "time"),
                          coords={"time": [0.1, 0.2]}, attrs=made)  # fmt: skip
    places = xr.DataArray(rng.uniform(-0.5, 0.5, (3, 4, 1)), dims=("subject", "voxel", "reference"),
                          coords={"reference": ["a"]}, attrs=made)  # fmt: skip
    course = xr.DataArray(rng.uniform(-0.5, 0.5, (2, 1)), dims=("time", "reference"),
                          coords={"time": [0.1, 0.2], "reference": ["a"]}, attrs=made)  # fmt: skip
    found = layer_share(fusion, course, places, reference="a").shared
    assert found.dims == fusion.dims
    expected = shared_variance(fusion.values, course.values[:, 0], places.values)
    assert np.array_equal(found.values, expected)


def test_a_mean_over_subjects_stands_for_none_of_them():
    movies = {name: rdms(4, seed, time=TIMES) for seed, name in enumerate(["01", "02"])}
    layers, region = rdms(2, 8, reference=LAYERS), rdms(2, 5, subject=["01", "02"])
    places = compare_rdms(region, layers).expand_dims(region=["IT"])
    own = xr.concat([compare_movie(each, layers) for each in movies.values()], dim="subject",
                    combine_attrs="override").assign_coords(subject=list(movies))  # fmt: skip
    paired = fuse_regions(movies, {"IT": region}, meg="paired")
    assert layer_share(paired, own, places, reference="fc6").shared.shape == (2, 1, 4)
    with pytest.raises(InputError, match="course: needs the scores of each subject"):
        layer_share(paired, own.mean("subject", keep_attrs=True), places, reference="fc6")
    with pytest.raises(InputError, match="places: needs the scores of each subject"):
        layer_share(paired, own, places.mean("subject", keep_attrs=True), reference="fc6")
    one = fuse_regions(movies["01"], {"IT": region})
    with pytest.raises(InputError, match="course: has subjects, but the fusion is with one movie"):
        layer_share(one, own, places, reference="fc6")


def test_scores_of_other_pairs_share_no_variance():
    movie, layers = rdms(4, 1, time=TIMES), rdms(2, 8, reference=LAYERS)
    region = rdms(1, 5, subject=["01"])
    movie.dissimilarities[:, 3] = np.nan
    fusion = fuse_regions(movie, {"IT": region}, nan_policy="omit")
    course = compare_movie(movie, layers, nan_policy="omit")
    places = compare_rdms(region, layers).expand_dims(region=["IT"])
    with pytest.raises(InputError, match="fusion: leaves out missing distances"):
        layer_share(fusion, course, places, reference="fc6")
    with pytest.raises(InputError, match="course: leaves out missing distances"):
        layer_share(fuse_regions(rdms(4, 1, time=TIMES), {"IT": region}), course, places,
                    reference="fc6")  # fmt: skip
