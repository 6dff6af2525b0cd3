"""The stories of the group level: masks of their own, thresholds, and what the methods say."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.stats import t as student

import neurodnn as nd
from neurodnn.workflows import group_methods, stimulus_test
from neurodnn.workflows.group_inference import TITLES, InferenceSettings

NAMES = list("abcdefgh")
AFFINE = np.diag([3.0, 3, 3, 1])


def image(array):
    return nibabel.Nifti1Image(array.astype(np.uint8), AFFINE)


@pytest.fixture(scope="module")
def pair():
    """Two subjects with masks of their own, references, and the voxels that both have."""
    rng = np.random.default_rng(0)
    masks = {}
    for number, subject in enumerate(("01", "02")):
        mask = np.ones((5, 5, 5), bool)
        mask[number, :, number] = False
        masks[subject] = mask
    patterns = {
        subject: Dataset(rng.normal(size=(8, mask.sum())), obs_descriptors={"stimulus": NAMES})
        for subject, mask in masks.items()
    }
    references = RDMs(rng.random((2, 28)), rdm_descriptors={"reference": ["one", "two"]},
                      pattern_descriptors={"stimulus": NAMES})  # fmt: skip
    return masks, patterns, references


def test_subjects_with_masks_of_their_own_meet_at_the_same_voxel(pair):
    masks, patterns, references = pair
    both = masks["01"] & masks["02"]
    settings = nd.SearchlightSettings(radius=4.5, min_share=0.1)
    found = nd.group_stimulus_test(
        patterns, {subject: image(mask) for subject, mask in masks.items()}, image(both),
        references, settings, n_permutations=40,
    )  # fmt: skip
    expected = []
    for subject, mask in masks.items():
        scores = nd.fmri_searchlight(patterns[subject], image(mask), references, radius=4.5,
                                     min_share=0.1)  # fmt: skip
        volume = np.full((*mask.shape, 2), np.nan)
        volume[mask] = scores.values
        expected.append(volume[both])
    assert np.allclose(found["score"], np.mean(expected, axis=0), atol=1e-12)
    assert found["voxel"].values.tolist() == np.flatnonzero(both).tolist()
    assert found.attrs["generalises_to"] == "stimuli"


def test_too_few_stimuli_are_refused_with_the_number_needed(pair):
    masks, _, _ = pair
    names = NAMES[:6]
    few = RDMs(np.random.default_rng(1).random((1, 15)), pattern_descriptors={"stimulus": names})
    patterns = Dataset(np.ones((6, 124)), obs_descriptors={"stimulus": names})
    with pytest.raises(nd.InputError, match=r"got 6; allowed: at least 7"):
        nd.subject_stimulus_test(patterns, image(masks["01"]), few, nd.SearchlightSettings())


@pytest.mark.parametrize(("tail", "sides"), [("two-sided", 2), ("greater", 1)])
def test_the_cluster_threshold_is_a_p_of_t(tail, sides):
    scores = xr.DataArray(np.random.default_rng(0).normal(1, 1, (9, 27, 1)),
                          dims=("subject", "voxel", "reference"))  # fmt: skip
    settings = nd.InferenceSettings(tail=tail, cluster_threshold=0.02)
    tested = nd.group_maps(scores, tail=tail)
    found = nd.correct_group(scores, image(np.ones((3, 3, 3))), tested, "cluster-size", settings)
    height = student.isf(0.02 / sides, 8)
    assert found.attributes["threshold_t"] == pytest.approx(height)
    t = tested["t"].values
    beyond = np.abs(t) > height if sides == 2 else t > height
    # the p of a place outside clusters is 1
    assert np.array_equal(found.p.values < 1, beyond & (found.p.values < 1))
    assert int(found.clusters["size"].sum()) == beyond.sum()


def test_an_unknown_inference_is_refused_with_the_nearest():
    scores = xr.DataArray(np.random.default_rng(0).normal(1, 1, (7, 8, 1)),
                          dims=("subject", "voxel", "reference"))  # fmt: skip
    with pytest.raises(nd.InputError, match="Did you mean tfce"):
        nd.correct_group(scores, image(np.ones((2, 2, 2))), nd.group_maps(scores), "tcfe",
                         nd.InferenceSettings())  # fmt: skip


def test_the_methods_name_every_correction_with_its_numbers_and_sources():
    parameters = {
        "n_subjects": 20, "tail": "greater", "n_flips": 10_000, "exact": False, "n_voxels": 900,
        "n_references": 4, "minimum_p": 1e-4, "threshold_t": 3.579,
        "settings": InferenceSettings(tail="greater", connectivity=26, tfce_step=0.1),
    }  # fmt: skip
    expected = {
        "max": ("the maximum statistic", set()),
        "cluster-size": ("size in voxels was compared", set()),
        "cluster-mass": ("(t > 3.579)", {"maris2007"}),
        "tfce": ("connectivity 26, summed in steps of t of 0.1", {"smith2009"}),
        "fdr": ("Benjamini and Hochberg (1995)", {"benjamini1995"}),
        "reference-study": ("larger than the 95% quantile", {"cichy2016"}),
    }  # fmt: skip
    assert set(expected) == set(TITLES)
    for name, (words, keys) in expected.items():
        text, cited = group_methods.describe({**parameters, "inferences": [name]})
        assert words in text
        assert set(cited) == {"nichols2002"} | keys
        assert "generalise to subjects, not to stimuli" in text
        assert "10000 random sign flips, the identity included" in text


def test_a_subject_alone_has_no_mean_over_subjects():
    text, _ = stimulus_test.describe({
        "n_subjects": 1, "n_stimuli": 92, "n_references": 4, "tail": "two-sided",
        "n_permutations": 1000, "minimum_p": 0.001,
    })  # fmt: skip
    assert "over subjects" not in text
    assert "noise ceiling" not in text
