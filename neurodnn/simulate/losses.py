"""What the embedded network is trained for, beside naming the scene.

Through heads that are thrown away after training, the layers must let concepts be read from
them; and no two layers may share too much of their representational geometry.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from neurodnn.dnn.embedded import CHANNELS, SceneNet
from neurodnn.simulate.drawings import CONCEPTS, OBJECTS

CONCEPTS_READ = {"block2": ("colour", "texture"), "block3": ("material",), "block4": ("part",),
                 "block5": ("object",)}
SHARED_LIMIT = 0.6


def make_heads(network: SceneNet) -> nn.ModuleDict:
    """Return one head per concept category, and one for the presence of objects."""
    heads = nn.ModuleDict({"present": nn.Linear(network.fc7.in_features, len(OBJECTS))})
    for block, categories in CONCEPTS_READ.items():
        channels = CHANNELS[int(block[-1]) - 1]
        for category in categories:
            heads[category] = nn.Conv2d(channels, len(CONCEPTS[category]), 1)
    return heads


def total_loss(network: SceneNet, heads: nn.ModuleDict, batch: dict) -> torch.Tensor:
    """Return the loss of one batch: concepts per block, scene, objects, shared geometry."""
    maps = batch["images"]
    layers, loss = [], torch.zeros(())
    for index in range(1, len(CHANNELS) + 1):
        name = f"block{index}"
        block = network.get_submodule(name)
        maps = block.rectified(maps)
        for category in CONCEPTS_READ.get(name, ()):
            loss = loss + functional.cross_entropy(heads[category](maps),
                                                   _sample(batch[category], maps.shape[-1]))
        maps = block.pool(maps)
        layers.append(maps)
    layers.append(network.fc6(network.flatten(maps)))
    features = functional.dropout(layers[-1], 0.3)
    layers.append(network.fc7(features))
    loss = loss + functional.cross_entropy(layers[-1], batch["scenes"], label_smoothing=0.05)
    loss = loss + functional.binary_cross_entropy_with_logits(heads["present"](features),
                                                              batch["objects"])
    return loss + shared_geometry(layers)


def _sample(labels: torch.Tensor, side: int) -> torch.Tensor:
    """Return the labels at the middle of each of side x side positions."""
    step = labels.shape[-1] // side
    return labels[:, step // 2::step, step // 2::step].long()


def shared_geometry(layers: list[torch.Tensor]) -> torch.Tensor:
    """Return by how much pairs of layers share more than 0.6 of their picture similarities."""
    count = len(layers[0])
    upper = torch.triu_indices(count, count, 1)
    similarities = []
    for layer in layers:
        rows = layer.flatten(1)
        rows = functional.normalize(rows - rows.mean(dim=1, keepdim=True))
        pairs = (rows @ rows.T)[upper[0], upper[1]]
        similarities.append(functional.normalize(pairs - pairs.mean(), dim=0))
    table = torch.stack(similarities)
    excess = functional.relu(table @ table.T - SHARED_LIMIT)
    return torch.triu(excess, diagonal=1).sum()


def vary_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the batch with half of the pictures mirrored and with light and tint varied."""
    count = len(batch["images"])
    mirrored = torch.rand(count) < 0.5
    varied = {}
    for name, values in batch.items():
        chosen = mirrored.reshape(-1, *[1] * (values.ndim - 1))
        # Maps and pictures end in columns; the lists of scenes and objects do not.
        varied[name] = torch.where(chosen, values.flip(-1), values) if values.ndim > 2 else values
    gain = 1 + 0.15 * torch.randn(count, 1, 1, 1)
    varied["images"] = varied["images"] * gain + 0.15 * torch.randn(count, 3, 1, 1)
    return varied
