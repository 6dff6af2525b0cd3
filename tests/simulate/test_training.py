"""The embedded network: a short training improves and repeats; the shipped file is as stated."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from neurodnn.dnn.embedded import DATA, SceneNet, embedded_facts, embedded_transform
from neurodnn.dnn.layers import default_layers
from neurodnn.dnn.networks import load_network, network_identity
from neurodnn.simulate.drawings import SCENE_NAMES, draw_stimulus_set
from neurodnn.simulate.losses import shared_geometry
from neurodnn.simulate.training import (
    HELD_OUT,
    HELD_OUT_SEED,
    TRAINING_SEED,
    _fold_norms,
    _insert_norms,
    layer_similarity,
    make_examples,
    measure_accuracy,
    train_network,
    write_network,
)


@pytest.fixture(scope="module")
def few():
    return make_examples(draw_stimulus_set(64, seed=31))


@pytest.fixture(scope="module")
def fresh():
    return make_examples(draw_stimulus_set(40, seed=32))


@pytest.fixture(scope="module")
def held_out():
    return make_examples(draw_stimulus_set(HELD_OUT, HELD_OUT_SEED))


@pytest.fixture(scope="module")
def shipped():
    return load_network("neurodnn:scenes")[0]


def test_a_short_training_improves(few, fresh):
    torch.manual_seed(9)
    state = torch.get_rng_state()
    network = train_network(few, epochs=8, seed=3, batch_size=16)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()
    # One in eight by chance; on pictures that it has not seen.
    assert measure_accuracy(network, fresh)["accuracy"] > 0.5


def test_the_same_seed_gives_the_same_bits(few):
    part = {name: values[:16] for name, values in few.items()}
    once, twice, other = (train_network(part, epochs=1, seed=seed, batch_size=8).state_dict()
                          for seed in (3, 3, 4))
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert not torch.equal(once["fc7.weight"], other["fc7.weight"])


def test_the_shipped_accuracy_is_what_the_json_states(shipped, held_out):
    stated = embedded_facts()["held_out"]
    found = measure_accuracy(shipped, held_out)
    assert stated["drawing_seed"] == HELD_OUT_SEED != TRAINING_SEED
    assert found == {key: stated[key] for key in found}
    # Far above one in eight, for each kind of scene.
    assert min(found["by_category"].values()) > 0.8


def test_an_untrained_copy_is_at_chance(held_out):
    network, _ = load_network("neurodnn:scenes@none:seed=0")
    assert measure_accuracy(network, held_out)["accuracy"] < 0.3


def test_the_shipped_file_is_small_and_is_the_one_that_was_stated(shipped):
    facts = embedded_facts()
    path = DATA / "embedded.safetensors"
    assert path.stat().st_size < 1_000_000
    identity = network_identity(shipped)
    assert identity.weights_sha256 == facts["sha256"]
    assert (identity.name, identity.label) == ("neurodnn:scenes", "neurodnnScenes")
    assert facts["classes"] == list(SCENE_NAMES)
    assert facts["parameters"] == sum(v.numel() for v in shipped.state_dict().values()) < 250_000
    transform = embedded_transform()
    assert facts["input"] == {"size": transform.size, "mean": list(transform.mean),
                              "std": list(transform.std)}


def test_the_layers_of_the_shipped_network_differ_in_geometry(shipped, held_out):
    table = layer_similarity(shipped, held_out)
    assert list(table) == default_layers(shipped) == [
        "block1", "block2", "block3", "block4", "block5", "fc6", "fc7"]
    values = np.array([list(row.values()) for row in table.values()])
    assert values[np.triu_indices(7, 1)].max() < 0.8
    stated = embedded_facts()["layer_similarity"]
    np.testing.assert_allclose(values, [list(row.values()) for row in stated.values()], atol=0.01)


def test_folding_the_normalisation_changes_no_output():
    torch.manual_seed(0)
    network = SceneNet()
    _insert_norms(network)
    images = torch.randn(6, 3, 64, 64)
    for _ in range(3):
        network(images)
    expected = network.eval()(images)
    _fold_norms(network)
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)
    assert {type(module).__name__ for module in network.modules()}.isdisjoint({"BatchNorm2d"})


def test_shared_geometry_is_counted_above_the_limit_only():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(16, 50, generator=generator) for _ in range(2))
    assert float(shared_geometry([first, second])) == 0
    assert float(shared_geometry([first, first * 2])) == pytest.approx(0.4, abs=1e-5)


def test_written_files_can_be_loaded(tmp_path):
    network, _ = load_network("neurodnn:scenes@none:seed=5")
    path = write_network(tmp_path / "new", network, {"classes": list(SCENE_NAMES)})
    again, _ = load_network(f"neurodnn:scenes@{path}")
    assert torch.equal(again.fc6.linear.weight, network.fc6.linear.weight)
    facts = json.loads((tmp_path / "new" / "embedded.json").read_text())
    assert facts["sha256"] == network_identity(again).weights_sha256
