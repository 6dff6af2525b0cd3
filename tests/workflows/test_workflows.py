"""Workflows hold no arithmetic: they give what the rooms below give, whatever the order."""

from __future__ import annotations

import json
from importlib import resources

import nibabel
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

import neurodnn
from neurodnn import DataWarning, InputError
from neurodnn.workflows import fmri_searchlight, group_maps, layer_rdms
from neurodnn.workflows.restriction import join_references, restrict_patterns, restrict_rdms

NAMES = ["a", "b", "c", "d", "e"]


class Images(list):
    """A sequence of tensors with names, as open_images gives it."""

    names = ("e", "d", "c", "b", "a", "f")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 7)
    )


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return Images(torch.rand(6, 3, 8, 8, generator=generator))


@pytest.mark.parametrize("metric", ["correlation", "spearman", "euclidean"])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_layer_rdms_are_distances_between_all_units(network, images, metric, batch_size):
    rdms = neurodnn.layer_rdms(network, images, ["0", "3"], metric=metric, batch_size=batch_size)
    assert list(rdms.rdm_descriptors["reference"]) == ["0", "3"]
    assert list(rdms.pattern_descriptors["stimulus"]) == list(images.names)
    stacked = torch.stack(list(images))
    with torch.no_grad():
        outputs = [network[0](stacked), network(stacked)]
    for found, output in zip(rdms.dissimilarities, outputs, strict=True):
        units = output.reshape(6, -1).double().numpy()
        if metric == "spearman":
            units = rankdata(units, axis=1)
        wanted = pdist(units, "sqeuclidean" if metric == "euclidean" else "correlation")
        if metric == "euclidean":
            wanted = wanted / units.shape[1]
        assert np.allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_default_layers_are_one_per_block(network, images):
    assert list(neurodnn.layer_rdms(network, images).rdm_descriptors["reference"]) == ["1", "3"]


def test_kept_activations_give_the_same_bits(network, images, tmp_path):
    from neurodnn.dnn.images import open_images
    from neurodnn.dnn.store import ActivationStore
    from PIL import Image

    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    folder = open_images(
        neurodnn.read_stimuli(tmp_path), tmp_path,
        transform=lambda image: torch.tensor(np.asarray(image)).permute(2, 0, 1) / 255.0,
    )  # fmt: skip
    store = ActivationStore(tmp_path / "kept")
    plain = neurodnn.layer_rdms(network, folder, ["0"]).dissimilarities
    for _ in range(2):
        kept = neurodnn.layer_rdms(network, folder, ["0"], store=store).dissimilarities
        assert np.array_equal(plain, kept)
    assert len(store) > 0


def test_searchlight_workflow_is_spheres_and_engine(tmp_path):
    rng = np.random.default_rng(0)
    mask = nibabel.Nifti1Image(np.ones((4, 5, 3), np.uint8), np.diag([2.0, 2, 3, 1]))
    nibabel.save(mask, tmp_path / "mask.nii.gz")
    patterns = Dataset(rng.normal(size=(5, 60)), obs_descriptors={"stimulus": list(NAMES)})
    references = RDMs(rng.random((2, 10)), rdm_descriptors={"reference": ["x", "y"]},
                      pattern_descriptors={"stimulus": list(NAMES)})  # fmt: skip
    options = {"metric": "euclidean", "comparison": "cosine"}
    by_hand = neurodnn.searchlight(
        patterns, neurodnn.sphere_neighbors(mask, 3.5, min_share=0.2), references, **options
    )
    for given_mask in (mask, tmp_path / "mask.nii.gz", str(tmp_path / "mask.nii.gz")):
        found = neurodnn.fmri_searchlight(
            patterns, given_mask, references, radius=3.5, min_share=0.2, **options
        )
        assert found.identical(by_hand)


def test_group_workflow_is_the_sign_flip_test_over_voxels_and_references():
    scores = xr.DataArray(np.random.default_rng(0).normal(0.5, 1, (7, 9, 2)),
                          dims=("subject", "voxel", "reference"))  # fmt: skip
    found = neurodnn.group_maps(scores, tail="greater")
    wanted = neurodnn.sign_flip_test(scores, tail="greater", family=("voxel", "reference"))
    assert found.identical(wanted)
    assert found.attrs["family"] == ["voxel", "reference"]


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(4, 9),
    data=st.data(),
)
def test_restricted_rdm_is_the_submatrix_in_the_order_asked_for(seed, n, data):
    rng = np.random.default_rng(seed)
    names = [f"s{i}" for i in rng.permutation(n)]
    rdms = RDMs(rng.random((2, n * (n - 1) // 2)), rdm_descriptors={"reference": ["x", "y"]},
                pattern_descriptors={"stimulus": list(names)})  # fmt: skip
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=2, unique=True))
    found = restrict_rdms(rdms, chosen)
    index = [names.index(name) for name in chosen]
    for row, full in zip(found.dissimilarities, rdms.dissimilarities, strict=True):
        assert np.array_equal(squareform(row), squareform(full)[np.ix_(index, index)])
    assert list(found.pattern_descriptors["stimulus"]) == chosen
    assert list(found.rdm_descriptors["reference"]) == ["x", "y"]


def test_restriction_names_what_is_missing():
    rdms = RDMs(np.ones((1, 3)), pattern_descriptors={"stimulus": ["a", "b", "c"]})
    with pytest.raises(InputError, match="1 stimuli are missing.*'z'"):
        restrict_rdms(rdms, ["a", "z"])
    patterns = Dataset(np.ones((2, 3)), obs_descriptors={"stimulus": ["a", "b"]})
    with pytest.raises(InputError, match="1 stimuli have no pattern.*'z'"):
        restrict_patterns(patterns, ["a", "z"])
    with pytest.raises(InputError, match="do not share one order"):
        join_references([restrict_rdms(rdms, ["a", "b"]), restrict_rdms(rdms, ["b", "a"])])


def test_restricted_patterns_keep_runs_channels_and_the_input():
    patterns = Dataset(
        np.arange(12.0).reshape(4, 3),
        obs_descriptors={"stimulus": ["a", "b", "a", "b"], "run": ["1", "1", "2", "2"]},
        channel_descriptors={"voxel": np.array([5, 6, 9])},
    )
    found = restrict_patterns(patterns, ["b"])
    assert found.obs_descriptors["run"] == ["1", "2"]
    assert np.array_equal(found.measurements, [[3, 4, 5], [9, 10, 11]])
    assert list(found.channel_descriptors["voxel"]) == [5, 6, 9]
    assert patterns.n_obs == 4


SEARCHLIGHT = {"radius": 9.0, "min_share": 0.5, "dtype": "float64", "n_stimuli": 24,
               "n_centres": 5000, "n_references": 4}  # fmt: skip


@pytest.mark.parametrize("metric", ["correlation", "euclidean", "mahalanobis", "crossnobis"])
@pytest.mark.parametrize("comparison", ["spearman", "pearson", "cosine", "rho-a"])
def test_every_cited_key_is_on_file_and_the_numbers_are_in_the_text(metric, comparison):
    source = resources.files("neurodnn").joinpath("data", "citations.json")
    known = set(json.loads(source.read_text()))
    text, keys = fmri_searchlight.describe(
        {**SEARCHLIGHT, "metric": metric, "comparison": comparison}
    )
    assert set(keys) <= known
    assert "5000 voxels" in text
    assert "9 mm" in text
    text, keys = layer_rdms.describe(
        {"network": "alexnet", "layers": ["x", "y"], "n_images": 92, "layer_metric": "spearman",
         "transform": "whole"}
    )  # fmt: skip
    assert set(keys) <= known
    assert "2 layers (x, y)" in text
    text, keys = group_maps.describe(
        {"n_subjects": 8, "tail": "greater", "n_flips": 256, "exact": True, "n_voxels": 9,
         "n_references": 4, "minimum_p": 1 / 256}
    )  # fmt: skip
    assert set(keys) <= known
    assert "all 256 sign flips" in text


def test_spheres_of_few_usable_voxels_are_left_out():
    rng = np.random.default_rng(0)
    names = list("abcdefgh")
    values = rng.normal(size=(8, 9, 5, 5))
    values[:, 5:] = np.nan
    mask = nibabel.Nifti1Image(np.ones((9, 5, 5), np.uint8), np.diag([3.0, 3, 3, 1]))
    patterns = Dataset(values.reshape(8, -1), obs_descriptors={"stimulus": names})
    references = RDMs(rng.random((1, 28)), pattern_descriptors={"stimulus": names})
    with pytest.warns(DataWarning, match="not finite"):
        scores = fmri_searchlight.fmri_searchlight(patterns, mask, references, radius=6.0)
    assert int(scores.n_features.where(np.isfinite(scores[:, 0])).min()) >= 17  # of 33
    assert np.isfinite(scores.values.reshape(9, 5, 5)[:5, 2, 2]).all()
    assert np.isnan(scores.values.reshape(9, 5, 5)[5:]).all()


@pytest.mark.parametrize(
    ("metric", "noise", "says", "cites"),
    [("crossnobis", True, "shrunk towards its diagonal", True),
     ("crossnobis", False, "without noise normalisation", False),
     ("mahalanobis", True, "shrunk towards its diagonal", True)],
)  # fmt: skip
def test_the_paragraph_says_how_noise_was_treated(metric, noise, says, cites):
    text, keys = fmri_searchlight.describe(
        {**SEARCHLIGHT, "metric": metric, "comparison": "cosine", "noise": noise}
    )
    assert says in text
    assert ("schaefer2005" in keys) == cites
