"""Activations: copies, batches, stopping early, nothing left behind, nothing infinite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from neurodnn._checks import InputError
from neurodnn.dnn.activations import extract_activations, iterate_activations
from neurodnn.dnn.hooks import watch_layers
from neurodnn.dnn.networks import load_network


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 32, 32, generator=generator) for _ in range(9)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(inplace=True),
                         nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(294, 5))


def everything(network, images, layers, **options):
    parts = [batch for _, batch in iterate_activations(network, images, layers, **options)]
    return {layer: np.concatenate([part[layer] for part in parts]) for layer in layers}


def no_hooks(network):
    return not any(module._forward_hooks for module in network.modules())


def test_a_hook_gives_what_a_manual_pass_gives(network, images):
    found = everything(network, images, ["0", "2", "6"])
    network.eval()
    with torch.no_grad():
        convolved = network[0](torch.stack(images))
        rectified = functional.relu(network[1](convolved))
        scores = network[6](network[3](rectified).flatten(1))
    for layer, expected in (("0", convolved), ("2", rectified), ("6", scores)):
        np.testing.assert_allclose(found[layer], expected.numpy(), rtol=1e-5, atol=1e-6)
        assert found[layer].dtype == np.float32


def test_a_convolution_before_an_in_place_relu_keeps_its_negative_values():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            functional.relu(x, inplace=True)
            x += 100
            return x

    found = everything(InPlace(), [torch.randn(3, 8, 8)], ["conv"])["conv"]
    assert found.min() < 0
    assert found.max() < 50


def test_torchvisions_first_layer_is_not_rectified(images):
    alexnet_like, _ = load_network("squeezenet1_1@none:seed=0")
    assert everything(alexnet_like, images[:1], ["features.0"])["features.0"].min() < 0


@pytest.mark.parametrize("batch_size", [1, 2, 8, 100])
def test_the_batch_size_changes_nothing_that_matters(network, images, batch_size):
    layers = ["0", "3", "6"]
    reference = everything(network, images, layers, batch_size=9)
    found = everything(network, images, layers, batch_size=batch_size)
    for layer in layers:
        scale = np.abs(reference[layer]).max()
        assert np.abs(found[layer] - reference[layer]).max() <= 1e-5 * scale


def test_training_mode_is_overruled_and_restored(network, images):
    network.train()
    network[4].eval()
    running = network[1].running_mean.clone()
    first, second = (everything(network, images, ["6"])["6"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(network[1].running_mean, running)
    assert network[1].training
    assert not network[4].training
    network.eval()


def test_what_lies_deeper_than_asked_is_not_computed(images):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.early, self.late = nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3)
            self.runs = 0

        def forward(self, x):
            x = self.early(x)
            self.runs += 1
            return self.late(x)

    network = Deep()
    everything(network, images, ["early"], batch_size=3)
    # The first pass runs through, to see how often each layer runs; the others stop.
    assert network.runs == 1


def test_a_layer_that_runs_twice_gives_its_last_output(images):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.tail = nn.ReLU(), nn.Identity()

        def forward(self, x):
            return self.tail(self.relu(self.relu(x) - 0.5))

    found = everything(Shared(), images, ["relu"], batch_size=2)["relu"]
    expected = functional.relu(functional.relu(torch.stack(images)) - 0.5).numpy()
    np.testing.assert_array_equal(found, expected)


def test_no_hook_survives_an_error_or_an_abandoned_loop(network, images):
    with pytest.raises(RuntimeError, match="stop"), watch_layers(network, ["0", "2"]):
        raise RuntimeError("stop")
    assert no_hooks(network)
    for _ in iterate_activations(network, images, ["0"], batch_size=2):
        assert no_hooks(network)
        break
    with pytest.raises(InputError, match="cannot process"):
        everything(network, [torch.zeros(3, 64, 64)], ["6"])
    assert no_hooks(network)


def test_values_that_are_not_finite_name_layer_and_stimulus(network, images):
    broken = [*images]
    broken[4] = torch.full((3, 32, 32), float("nan"))
    with pytest.raises(InputError, match="layer '0'.*stimulus '4'"):
        everything(network, broken, ["0"], batch_size=3)

    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Identity()

        def forward(self, x):
            return self.up(x.half() * 1e5)

    with pytest.raises(InputError, match="layer 'up'.*NaN or infinite"):
        everything(Overflow(), images, ["up"])


@pytest.mark.parametrize(("layers", "given", "reason"), [
    (["7"], None, "no such layer"),
    (["0"], [torch.zeros(3, 8, 8), torch.zeros(3, 9, 9)], "'1' has another shape"),
    (["0"], [], "there are none"),
])
def test_bad_requests_are_refused(network, images, layers, given, reason):
    with pytest.raises(InputError, match=reason):
        everything(network, images if given is None else given, layers)


def test_layers_that_never_run_or_give_no_tensor_are_refused(images):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare, self.table = nn.ReLU(), Table()

        def forward(self, x):
            return self.table(x)["x"]

    class Table(nn.Module):
        def forward(self, x):
            return {"x": x}

    with pytest.raises(InputError, match="never runs"):
        everything(Odd(), images, ["spare"])
    with pytest.raises(InputError, match="'table' gives no tensor"):
        everything(Odd(), images, ["table"])


def test_attention_gives_its_values(images):
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(32, 2, batch_first=True)

        def forward(self, x):
            x = x.mean(dim=1)
            return self.attention(x, x, x)[0]

    assert everything(Attend(), images, ["attention"])["attention"].shape == (9, 32, 32)


def test_patterns_carry_names_layer_and_shape(network, images):
    class Named(list):
        names = [f"s{index}" for index in range(9)]

    patterns = extract_activations(network, Named(images), ["3", "6"], batch_size=4)
    assert list(patterns) == ["3", "6"]
    assert patterns["3"].measurements.shape == (9, 6 * 7 * 7)
    assert patterns["3"].obs_descriptors["stimulus"] == Named.names
    assert patterns["3"].descriptors == {"layer": "3", "shape": [6, 7, 7]}
    flat = everything(network, images, ["3"])["3"].reshape(9, -1)
    np.testing.assert_allclose(patterns["3"].measurements, flat, rtol=1e-5, atol=1e-7)


@pytest.fixture(scope="module")
def alone(network, images):
    return [everything(network, [image], ["3"])["3"][0] for image in images]


@given(st.integers(1, 11), st.lists(st.integers(0, 8), min_size=1, max_size=9, unique=True))
def test_each_picture_has_its_row_whatever_the_batches(network, images, alone, size, order):
    found = everything(network, [images[index] for index in order], ["3"], batch_size=size)["3"]
    np.testing.assert_allclose(found, [alone[index] for index in order], rtol=1e-4, atol=1e-5)


def test_real_weights_in_two_formats_give_the_same_bits(real_data, images):
    folder = real_data("nets")
    found = []
    for suffix in (".pth", ".safetensors"):
        network, _ = load_network(f"squeezenet1_0@{folder / 'squeezenet1_0_imagenet'}{suffix}")
        found.append(everything(network, images[:2], ["features.0", "features.12"]))
    for layer in found[0]:
        np.testing.assert_array_equal(found[0][layer], found[1][layer])
    assert found[0]["features.0"].min() < 0
