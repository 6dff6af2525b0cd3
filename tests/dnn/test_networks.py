"""Networks by name: what is built, what is refused, and the identity that is recorded."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from neurodnn._checks import InputError
from neurodnn.dnn import _sources
from neurodnn.dnn.networks import default_layers, load_network, network_identity, prepare


def squeezenet_file(path, classes=1000):
    network = models.squeezenet1_1(weights=None, num_classes=classes)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return network


def test_untrained_copies_follow_their_seed_and_leave_torchs_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, _ = load_network("squeezenet1_1@none:seed=1")
    again, _ = load_network("torchvision:squeezenet1_1", weights="none", seed=1)
    other, _ = load_network("squeezenet1_1@none:seed=2")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.features[0].weight, again.features[0].weight)
    assert not torch.equal(first.features[0].weight, other.features[0].weight)
    hashes = [network_identity(net).weights_sha256 for net in (first, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert network_identity(first).name == "torchvision:squeezenet1_1@none:seed=1"


def test_nothing_is_in_place_nothing_trains_nothing_has_gradients():
    network, _ = load_network("squeezenet1_1@none")
    assert not any(getattr(module, "inplace", False) for module in network.modules())
    assert not any(module.training for module in network.modules())
    assert not any(value.requires_grad for value in network.parameters())


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_local_file_fills_the_architecture_and_sets_the_number_of_classes(tmp_path, name):
    source = squeezenet_file(tmp_path / name, classes=17)
    network, transform = load_network(f"torchvision:squeezenet1_1@{tmp_path / name}")
    assert torch.equal(network.classifier[1].weight, source.classifier[1].weight)
    identity = network_identity(network)
    assert identity.architecture == "squeezenet1_1, 17 classes"
    # A path would name the user's folders in every sidecar.
    assert str(tmp_path) not in json.dumps(dataclasses.asdict(identity))
    assert transform.size == 224
    assert transform.resize is None


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    squeezenet_file(tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w.pth: does not fit AlexNet: lacks \d+ tensors"):
        load_network("alexnet", weights=tmp_path / "w.pth")


def test_the_activation_can_be_replaced_from_a_fixed_list():
    network, _ = load_network("squeezenet1_1@none", activation="LeakyReLU(0.55)")
    kinds = [module for module in network.modules() if isinstance(module, nn.LeakyReLU)]
    assert len(kinds) == 26
    assert {module.negative_slope for module in kinds} == {0.55}
    assert not any(isinstance(module, nn.ReLU) for module in network.modules())
    assert "26 ReLU replaced by LeakyReLU(0.55)" in network_identity(network).architecture
    for wrong in ("__import__('os')", "LeakyRelu(0.5)", "LeakyReLU(a)", "GELU(3)"):
        with pytest.raises(InputError, match="activation"):
            load_network("squeezenet1_1@none", activation=wrong)


@pytest.mark.parametrize(("name", "reason"), [
    ("alexnett", "Did you mean alexnet"),
    ("alexnet@IMAGENET1K_V9", "Did you mean IMAGENET1K_V1"),
    ("timm:vit_base", "my_model.py:build"),
    ("caffe:alexnet", "no known kind"),
    ("pytorch/vision:resnet18", "no known kind"),
    ("neurodnn:scene", "Did you mean scenes"),
    ("", "is no name"),
    ("gone.py:build", "does not exist"),
])
def test_unknown_names_are_refused_with_a_way_out(name, reason):
    with pytest.raises(InputError, match=reason):
        load_network(name)


def test_weights_that_are_absent_offline_are_an_error_with_a_command(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURODNN_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        load_network("alexnet")
    text = str(caught.value)
    url = models.AlexNet_Weights.DEFAULT.url
    for part in (url, "233 MB", str(tmp_path / "hub" / "checkpoints"), "curl --fail"):
        assert part in text
    assert not (tmp_path / "hub").exists()


def test_a_file_in_the_cache_is_checked_against_the_hash_in_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    url = models.SqueezeNet1_1_Weights.DEFAULT.url
    squeezenet_file(folder / url.rsplit("/", 1)[1])
    with pytest.raises(InputError, match="sha256 does not begin"):
        load_network("squeezenet1_1")


def test_released_weights_in_the_cache_are_used(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    url = models.SqueezeNet1_1_Weights.DEFAULT.url
    source = squeezenet_file(folder / url.rsplit("/", 1)[1])
    # Nobody can make another file that has the published hash.
    monkeypatch.setattr(_sources, "_prefix", lambda target: None)
    network, _ = load_network("squeezenet1_1")
    assert torch.equal(network.features[0].weight, source.features[0].weight)
    assert network_identity(network).name == "torchvision:squeezenet1_1@IMAGENET1K_V1"
    assert network_identity(network).label == "torchvisionSqueezenet11IMAGENET1KV1"


@pytest.mark.parametrize(("option", "size", "resize"), [
    ("whole", 224, None), ("whole:227", 227, None), ("weights", 224, 256)])
def test_the_image_transform_is_the_whole_picture_unless_asked(option, size, resize):
    network, transform = load_network("squeezenet1_1@none", image_transform=option)
    assert (transform.size, transform.resize) == (size, resize)
    assert repr(transform) == network_identity(network).transform


@pytest.mark.parametrize("option", ["crop", "whole:9999", "whole:x", "weights:224"])
def test_unknown_image_transforms_are_refused(option):
    with pytest.raises(InputError, match="image_transform"):
        load_network("squeezenet1_1@none", image_transform=option)


USER_FILE = """
import torch

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)
        self.relu = torch.nn.ReLU(inplace=True)
    def forward(self, x):
        return self.relu(self.conv(x))

def build():
    return Tiny()

def with_transform():
    return Tiny(), lambda image: torch.zeros(3, 9, 9)

def wrong():
    return 7

def broken():
    raise KeyError("layer")
"""


def test_a_users_own_file_is_run_and_checked(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(USER_FILE)
    network, transform = load_network(f"{path}:build")
    assert (network.relu.inplace, transform.size) == (False, 224)
    identity = network_identity(network)
    assert identity.name == "my_model.py:build"
    assert "user's own program" in identity.note
    again, own = load_network(f"{path}:with_transform")
    assert own(None).shape == (3, 9, 9)
    # Memory addresses differ between processes and would spoil every hash.
    assert "0x" not in network_identity(again).transform
    for function, reason in (("wrong", "does not return a network"), ("buildd", "mean build"),
                             ("broken", "broken.. failed: KeyError")):
        with pytest.raises(InputError, match=reason):
            load_network(f"{path}:{function}")


def test_a_network_that_python_gives_has_an_identity_too():
    network = prepare(nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True)))
    assert network[1].inplace is False
    first = network_identity(network)
    network[0].weight.data[0, 0] += 1
    assert network_identity(network).weights_sha256 != first.weights_sha256
    assert json.loads(json.dumps(dataclasses.asdict(first)))["label"] == "Sequential"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a graphics card")
def test_a_device_that_is_absent_is_named():
    with pytest.raises(InputError, match="device: is not available"):
        load_network("squeezenet1_1@none", device="cuda")


@pytest.mark.parametrize("name", ["squeezenet1_0_imagenet", "squeezenet1_1_places365"])
def test_the_real_networks_load(real_data, name):
    folder = real_data("nets")
    architecture = name.split("_")[0] + "_" + name.split("_")[1]
    network, _ = load_network(f"{architecture}@{folder / name}.pth", activation=(
        "LeakyReLU(0.55)" if "places" in name else None))
    assert network_identity(network).weights_sha256[:8] in ("084742f0", "46fbc4cf")
    assert default_layers(network)[0] == "features.2"
