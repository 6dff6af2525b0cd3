"""The network that ships with the package: small, trained on the project's own drawings.

It tells eight kinds of drawn scenes apart (:mod:`neurodnn.simulate.drawings`). It is no model
of the visual system: it is there so that everything works offline, and because for its training
pictures every concept's pixels are known. Its layers were trained to differ in the geometry of
their representations (:mod:`neurodnn.simulate.training`), so that a planted layer can be told
from its neighbours; no other network does that by itself.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from neurodnn._checks import InputError, check_choice, message
from neurodnn.dnn._sources import Built, Source, seeded
from neurodnn.dnn.checkpoints import load_tensors, read_checkpoint
from neurodnn.dnn.images import ImageTransform

INPUT_SIZE = 64
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
CHANNELS = (24, 32, 48, 64, 96)
DATA = Path(__file__).resolve().parent.parent / "data"


class ConvBlock(nn.Module):
    """Convolution, rectification and, where the resolution falls, max pooling."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1,
                 pool: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (images, outputs, height, width)."""
        return self.pool(self.rectified(x))

    def rectified(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps before pooling."""
        return self.relu(self.conv(x))


class DenseBlock(nn.Module):
    """A fully connected layer with rectification."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (images, outputs)."""
        return self.relu(self.linear(x))


class SceneNet(nn.Module):
    """Five convolutional blocks and two fully connected layers, 64 x 64 pixels to 8 scenes.

    ``block1`` to ``block5``, ``fc6`` and ``fc7`` are the layers to compare with a brain;
    ``block3.conv`` and the like are inside them. Maps are 32 x 32 after block1, then 32, 16, 8
    and 8 pixels wide inside blocks 2 to 5.
    """

    def __init__(self, classes: int = 8, width: int = 64):
        super().__init__()
        sizes = CHANNELS
        self.block1 = ConvBlock(3, sizes[0], 5, stride=2, pool=False)
        self.block2 = ConvBlock(sizes[0], sizes[1], 3)
        self.block3 = ConvBlock(sizes[1], sizes[2], 3)
        self.block4 = ConvBlock(sizes[2], sizes[3], 3, pool=False)
        self.block5 = ConvBlock(sizes[3], sizes[4], 3)
        self.flatten = nn.Flatten()
        self.fc6 = DenseBlock(sizes[4] * (INPUT_SIZE // 16) ** 2, width)
        self.fc7 = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (images, classes) scores before the softmax."""
        x = self.block3(self.block2(self.block1(x)))
        x = self.block5(self.block4(x))
        return self.fc7(self.fc6(self.flatten(x)))


def embedded_transform() -> ImageTransform:
    """Return the transform of the embedded network: the whole picture at 64 x 64 pixels."""
    return ImageTransform(size=INPUT_SIZE, mean=MEAN, std=STD)


def embedded_facts() -> dict:
    """Return what is known of the shipped weights: classes, accuracy, seeds, SHA-256.

    Examples
    --------
    >>> embedded_facts()["classes"][0]
    'beach'
    """
    return json.loads((DATA / "embedded.json").read_text(encoding="utf-8"))


def build(source: Source) -> Built:
    """Return the embedded network for :func:`~neurodnn.dnn.networks.load_network`."""
    check_choice("network", source.model, ["scenes"])
    if source.weights == "none":
        network = seeded(SceneNet, source.seed)
        note = f"untrained, random weights of seed {source.seed}; the hash is over tensors"
        return Built(network, embedded_transform(), "SceneNet", note)
    shipped = not source.weights
    path = DATA / "embedded.safetensors" if shipped else Path(source.weights)
    tensors, digest = read_checkpoint(path)
    if shipped and digest != embedded_facts()["sha256"]:
        raise InputError(message(path.name, "is not the file that the package was made with",
                                 got=digest, remedy="Install neurodnn anew."))
    network = SceneNet()
    load_tensors(network, tensors, where=path.name)
    note = "ships with neurodnn, trained on its own drawings of scenes"
    if not shipped:
        note = f"weights from the local file {path.name}"
    return Built(network, embedded_transform(), "SceneNet", note, digest)
