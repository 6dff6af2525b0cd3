"""Real data through the whole chain: photographs, network, layer RDMs, brain RDMs, by name."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

import neurodnn as nd

NAMES = [f"image_{i + 1:02d}" for i in range(92)]
LAYERS = ["features.5", "features.12"]


@pytest.fixture
def brain(real_data):
    """Mean RDMs over people, each named in the order of its file."""
    folder = real_data("rdm92")
    with np.load(folder / "rdm92.npz", allow_pickle=False) as archive:
        by_category = [NAMES[i] for i in archive["category8_order"]]
    files = {
        "EVC": ("target_fmri_92.mat", "EVC_RDMs", NAMES),
        "IT": ("target_fmri_92.mat", "IT_RDMs", NAMES),
        "MEG early": ("rearranged_meg_92.mat", "MEG_RDMs_early", by_category),
        "MEG late": ("rearranged_meg_92.mat", "MEG_RDMs_late", by_category),
        "hIT": ("92_brainRDMs.mat", None, NAMES),
    }
    found = {}
    for key, (file, label, names) in files.items():
        rdms = nd.read_rdms(folder / "original" / file, label=label, names=names)
        found[key] = RDMs(
            rdms.dissimilarities.mean(axis=0)[None], pattern_descriptors={"stimulus": names}
        )
    return found


def _scores(brain, real_data, **options):
    folder = real_data("rdm92") / "images_grey"
    network, transform = nd.load_network(
        "torchvision:squeezenet1_0" + ("" if "weights" in options else "@none"),
        image_transform="whole:227",
        **options,
    )
    images = nd.open_images(nd.read_stimuli(folder), folder, transform=transform)
    rdms = nd.layer_rdms(network, images, LAYERS)
    return {
        (layer, key): score
        for key, mean in brain.items()
        for layer, score in zip(LAYERS, nd.compare_rdms(mean, rdms).values[0], strict=True)
    }


def test_trained_network(brain, real_data):
    weights = real_data("nets") / "squeezenet1_0_imagenet.safetensors"
    scores = _scores(brain, real_data, weights=weights)
    anchors = {("features.5", "EVC"): 0.50, ("features.5", "MEG early"): 0.49,
               ("features.12", "IT"): 0.38, ("features.12", "MEG late"): 0.47,
               ("features.12", "hIT"): 0.31}  # fmt: skip
    assert {key: scores[key] for key in anchors} == pytest.approx(anchors, abs=0.01)


def test_untrained_control(brain, real_data):
    scores = _scores(brain, real_data, seed=0)
    anchors = {("features.12", "EVC"): 0.41, ("features.12", "MEG early"): 0.44,
               ("features.12", "IT"): 0.23, ("features.12", "hIT"): 0.10}  # fmt: skip
    assert {key: scores[key] for key in anchors} == pytest.approx(anchors, abs=0.01)
