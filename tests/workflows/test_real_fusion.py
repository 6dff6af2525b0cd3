"""Fusion of the 92 images: early and late MEG with EVC and IT, anchors and double dissociation.

MEG and fMRI are of the same 15 people. By default each person's fMRI RDMs meet the mean MEG RDMs
of all 15, that person included; ``meg="paired"`` would need to know who is who in both files,
which they do not say.
"""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

from neurodnn.rsa.fusion import fuse_regions
from neurodnn.rsa.rdm_movies import mean_movie
from neurodnn.stats.dissociation import double_dissociation_test

NAMES = [f"image_{i + 1:02d}" for i in range(92)]
EARLY, LATE = 0.1, 0.2  # names of two windows of which the files tell no times


@pytest.fixture
def measured(real_data):
    with np.load(real_data("rdm92") / "rdm92.npz", allow_pickle=False) as archive:
        square = {key: archive[key] for key in ("fmri_evc", "fmri_it", "meg_early", "meg_late")}
    upper = np.triu_indices(92, 1)
    rows = {key: values[:, *upper] for key, values in square.items()}
    people = [f"{i:02d}" for i in range(1, 16)]
    regions = {
        region: RDMs(rows[key], rdm_descriptors={"subject": people},
                     pattern_descriptors={"stimulus": NAMES})
        for region, key in (("EVC", "fmri_evc"), ("IT", "fmri_it"))
    }  # fmt: skip
    movies = {
        name: RDMs(np.stack([rows["meg_early"][i], rows["meg_late"][i]]),
                   rdm_descriptors={"time": [EARLY, LATE]},
                   pattern_descriptors={"stimulus": NAMES})
        for i, name in enumerate(people)
    }  # fmt: skip
    return movies, regions


def test_group_means_agree_with_the_anchors(measured):
    movies, regions = measured
    means = {name: RDMs(own.dissimilarities.mean(axis=0)[np.newaxis],
                        rdm_descriptors={"subject": ["mean"]},
                        pattern_descriptors={"stimulus": NAMES})
             for name, own in regions.items()}  # fmt: skip
    found = fuse_regions(movies, means).isel(subject=0)
    assert found.sel(time=EARLY).values == pytest.approx([0.56, 0.31], abs=0.01)  # EVC, IT
    assert found.sel(time=LATE).values == pytest.approx([0.34, 0.53], abs=0.01)
    assert mean_movie(movies).descriptors["meg"] == "mean of 15 subjects"


@pytest.mark.parametrize("average", ["rdms", "ranks"])
def test_early_goes_with_evc_and_late_with_it_over_people(measured, average):
    movies, regions = measured
    scores = fuse_regions(movies, regions, average=average)
    assert scores.sizes == {"subject": 15, "region": 2, "time": 2}
    found = double_dissociation_test(scores, rows=("region", ("EVC", "IT")),
                                     columns=("time", (EARLY, LATE)), n_permutations="exact")
    assert found.attrs["exact"] and (found["mean"] > 0).all() and (found.p_fwe < 0.01).all()
    if average == "rdms":
        assert found["mean"].values == pytest.approx([0.096, 0.113, 0.208], abs=0.001)
        assert found.p_fwe.values == pytest.approx([0.0012, 0.0070, 0.0018], abs=0.0001)
