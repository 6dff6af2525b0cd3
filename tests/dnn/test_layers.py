"""Layer names, one layer per block, shapes and theoretical receptive fields."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torchvision import models

from neurodnn._checks import InputError
from neurodnn.dnn.layers import check_layers, default_layers, describe_layers, layer_names
from neurodnn.dnn.receptive_field import theoretical_fields


@pytest.fixture(scope="module")
def alexnet():
    with torch.device("meta"):
        return models.alexnet(weights=None).eval()


def test_names_are_torchs_and_unknown_ones_name_the_closest(alexnet):
    names = layer_names(alexnet)
    assert names[:2] == ["features", "features.0"]
    assert check_layers(alexnet, ["features.12", "classifier"]) == ["features.12", "classifier"]
    with pytest.raises(InputError, match="got 'feature.12'.*Did you mean features.12"):
        check_layers(alexnet, ["feature.12"])
    with pytest.raises(InputError, match="names a layer twice"):
        check_layers(alexnet, ["features.1", "features.1"])
    with pytest.raises(InputError, match="names no layer"):
        check_layers(alexnet, [])


@pytest.mark.parametrize(("name", "expected"), [
    ("alexnet", ["features.2", "features.5", "features.7", "features.9", "features.12",
                 "classifier.2", "classifier.5", "classifier.6"]),
    ("vgg16", ["features.4", "features.9", "features.16", "features.23", "features.30",
               "classifier.1", "classifier.4", "classifier.6"]),
    ("resnet18", ["maxpool", "layer1", "layer2", "layer3", "layer4", "fc"]),
    ("squeezenet1_0", ["features.2", "features.3", "features.4", "features.6", "features.7",
                       "features.8", "features.9", "features.11", "features.12",
                       "classifier.2"]),
])
def test_one_layer_per_block(name, expected):
    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    assert default_layers(network) == expected
    assert set(expected) <= set(layer_names(network))


@pytest.mark.parametrize(("name", "fields"), [
    # As published for the first pooling layers and last convolutions of these networks.
    ("alexnet", {"features.2": 19, "features.5": 67, "features.7": 99, "features.9": 131,
                 "features.12": 195}),
    ("vgg16", {"features.7": 14, "features.14": 40, "features.21": 92, "features.28": 196}),
    ("resnet50", {"layer1": 35, "layer2": 91, "layer3": 267, "layer4": 427}),
    ("resnet18", {"layer4": 435}),
])
def test_theoretical_fields_are_the_published_ones(name, fields):
    with torch.device("meta"):
        network = models.get_model(name, weights=None)
    found = theoretical_fields(network.eval())
    for layer, size in fields.items():
        assert [axis.size for axis in found[layer]] == [size, size]


def test_a_field_is_where_the_gradient_is(alexnet):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, (3, 5), stride=(2, 1), padding=(1, 0), dilation=(2, 1)), nn.Softplus(),
        nn.AvgPool2d(3, 2, 1), nn.Conv2d(4, 2, 2),
    )
    image = torch.randn(1, 3, 40, 40, requires_grad=True)
    output = network(image)
    row, column = output.shape[2] // 2, output.shape[3] // 2
    output[0, :, row, column].sum().backward()
    seen = image.grad.abs().sum(dim=(0, 1)) > 0
    for axis, position, field in zip((1, 0), (row, column), theoretical_fields(network)["3"],
                                     strict=True):
        where = torch.nonzero(seen.any(dim=axis)).ravel()
        assert int(where.min()) == position * field.stride + field.low
        assert int(where.max()) == position * field.stride + field.high


def test_fields_stay_unknown_where_they_cannot_be_right():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Conv2d(4, 4, 1),
                            nn.Flatten(), nn.Linear(16, 2))
    table = describe_layers(network, 12).set_index("name")
    assert table.loc["0", "field"] == 3
    assert all(math.isnan(table.loc[name, "field"]) for name in "1234")
    assert table["shape"].tolist() == ["4x10x10", "4x2x2", "4x2x2", "16", "2"]

    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    assert theoretical_fields(Branching()) == {}


def test_a_size_that_does_not_suit_is_an_input_error():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(InputError, match="input_size: does not suit"):
        describe_layers(network, 64)
