"""Train the embedded network on the project's drawings: ``python -m neurodnn.simulate.training``.

One thread, fixed seeds and deterministic algorithms: the same machine and the same versions
give the same file, byte for byte. Other processors round differently, so there the weights
agree in accuracy, not in bits.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from neurodnn._checks import check_number
from neurodnn.bids import write_atomic
from neurodnn.dnn.activations import iterate_activations
from neurodnn.dnn.embedded import (
    INPUT_SIZE,
    MEAN,
    STD,
    ConvBlock,
    SceneNet,
    embedded_transform,
)
from neurodnn.dnn.layers import default_layers
from neurodnn.simulate.drawings import OBJECTS, SCENE_NAMES, Drawing, draw_stimulus_set
from neurodnn.simulate.losses import CONCEPTS_READ, make_heads, total_loss, vary_batch

TRAINING_SEED = 1
HELD_OUT_SEED = 2
HELD_OUT = 200
_log = logging.getLogger("neurodnn")


def make_examples(drawings: list[Drawing]) -> dict[str, torch.Tensor]:
    """Return what the training needs of drawings.

    Parameters
    ----------
    drawings : list of Drawing
        Of one size, a multiple of 96 pixels for training (any size to measure accuracy).

    Returns
    -------
    dict
        ``images`` (n, 3, 64, 64) float32 as the network sees them, ``scenes`` (n,) int64,
        ``objects`` (n, number of objects) float32: 1 where an object covers 20 pixels or more;
        and for ``colour``, ``texture``, ``material``, ``part``, ``object`` the label numbers
        (n, height, width) uint8.

    Examples
    --------
    >>> from neurodnn.simulate.drawings import draw_stimulus_set
    >>> make_examples(draw_stimulus_set(2, size=32))["scenes"].tolist()
    [0, 1]
    """
    transform = embedded_transform()
    present = [np.bincount(drawing.masks["object"].ravel(), minlength=len(OBJECTS)) >= 20
               for drawing in drawings]
    examples = {
        "images": torch.stack([transform(drawing.picture()) for drawing in drawings]),
        "scenes": torch.tensor([SCENE_NAMES.index(drawing.category) for drawing in drawings]),
        "objects": torch.from_numpy(np.array(present, dtype=np.float32)),
    }
    for category in sorted({name for names in CONCEPTS_READ.values() for name in names}):
        masks = [drawing.masks[category] for drawing in drawings]
        # Of nested parts the outer one: a window, not its pane.
        masks = [mask[0] if mask.ndim == 3 else mask for mask in masks]
        examples[category] = torch.from_numpy(np.stack(masks))
    return examples


def train_network(
    examples: dict[str, torch.Tensor], *, epochs: int = 8, seed: int = 0, rate: float = 3e-3,
    batch_size: int = 64,
) -> SceneNet:
    """Return the network trained to name the scene, with concepts and geometry it must keep.

    Three more terms shape the layers, through heads that are thrown away afterwards. The
    pixels' colours and textures must be readable from block 2, materials from block 3, parts
    from block 4, objects from block 5, and which objects are there from fc6: so that units
    exist that respond to concepts. And the similarities of pictures must not correlate by more
    than 0.6 between any two layers: left to itself a small network repeats one geometry in all
    its layers (0.9 between neighbours), and planting layers in a brain would then prove
    nothing. Batch normalisation helps the training and is folded into the convolutions.

    Parameters
    ----------
    examples : dict
        Of :func:`make_examples`.
    epochs : int
        Passes through the examples; each mirrors half of the pictures and varies their light.
    seed : int
        Of the first weights, the order and the variations.
    rate : float
        Highest learning rate (AdamW, one cycle).
    batch_size : int
        Pictures per step; the geometry of layers is compared within a batch.

    Returns
    -------
    SceneNet
        In evaluation mode.
    """
    epochs = int(check_number("epochs", epochs, minimum=1))
    threads, certain = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = SceneNet(len(SCENE_NAMES))
            _insert_norms(network)
            _run_epochs(network, make_heads(network), examples, epochs, rate, batch_size)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(certain)
    _fold_norms(network)
    return network.eval().requires_grad_(False)


def measure_accuracy(network: nn.Module, examples: dict[str, torch.Tensor]) -> dict:
    """Return the share of scenes named rightly, over all and per category.

    Returns
    -------
    dict
        ``accuracy``, ``chance``, ``n`` and ``by_category``.
    """
    with torch.no_grad():
        scores = torch.cat([network(images) for images in examples["images"].split(64)])
    right = (scores.argmax(dim=1) == examples["scenes"]).numpy()
    scenes = examples["scenes"].numpy()
    return {
        "accuracy": round(float(right.mean()), 4),
        "chance": 1 / len(SCENE_NAMES),
        "n": len(right),
        "by_category": {name: round(float(right[scenes == index].mean()), 4)
                        for index, name in enumerate(SCENE_NAMES) if (scenes == index).any()},
    }


def layer_similarity(
    network: nn.Module, examples: dict[str, torch.Tensor], *, n: int = 48
) -> dict[str, dict[str, float]]:
    """Return Spearman's correlation between the RDMs of any two layers, over `n` pictures.

    The RDMs are 1 - Pearson of all activations.
    """
    layers = default_layers(network)
    [(_, outputs)] = iterate_activations(network, list(examples["images"][:n]), layers,
                                         batch_size=n)
    upper = np.triu_indices(len(next(iter(outputs.values()))), 1)
    rdms = [1 - np.corrcoef(values.reshape(len(values), -1))[upper] for values in outputs.values()]
    table = np.corrcoef(rankdata(np.array(rdms), axis=1))
    return {row: {column: round(float(value), 3) for column, value in zip(layers, line,
                                                                          strict=True)}
            for row, line in zip(layers, table, strict=True)}


def write_network(directory: str | Path, network: nn.Module, facts: dict) -> Path:
    """Write ``embedded.safetensors`` and ``embedded.json`` and return the first's path."""
    from safetensors.torch import save

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    content = save(tensors)
    path = directory / "embedded.safetensors"
    facts = {**facts, "parameters": sum(value.numel() for value in tensors.values()),
             "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(facts, indent=2, sort_keys=True) + "\n"
    write_atomic(path, content)
    write_atomic(directory / "embedded.json", text.encode())
    return path


def main(argv: list[str] | None = None) -> int:
    """Draw, train, measure on other drawings, write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m neurodnn.simulate.training",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("directory", help="where embedded.safetensors and embedded.json go")
    parser.add_argument("--drawings", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    _log.info("drawing %d training pictures", options.drawings)
    examples = make_examples(draw_stimulus_set(options.drawings, TRAINING_SEED))
    network = train_network(examples, epochs=options.epochs, seed=options.seed)
    held_out_examples = make_examples(draw_stimulus_set(HELD_OUT, HELD_OUT_SEED))
    held_out = measure_accuracy(network, held_out_examples)
    _log.info("held out: %s", held_out)
    facts = {
        "architecture": "SceneNet",
        "layer_similarity": layer_similarity(network, held_out_examples),
        "classes": list(SCENE_NAMES),
        "held_out": {**held_out, "drawing_seed": HELD_OUT_SEED},
        "training": {**measure_accuracy(network, examples), "drawing_seed": TRAINING_SEED,
                     "seed": options.seed, "epochs": options.epochs, "torch": torch.__version__,
                     "numpy": np.__version__, "machine": platform.machine()},
        "input": {"size": INPUT_SIZE, "mean": MEAN, "std": STD},
        "licence": "BSD-3-Clause, as the package",
    }
    write_network(options.directory, network, facts)
    return 0


def _run_epochs(
    network: SceneNet, heads: nn.ModuleDict, examples: dict, epochs: int, rate: float,
    batch_size: int,
) -> None:
    weights = [*network.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=0.02)
    count = len(examples["images"])
    steps = epochs * -(-count // batch_size)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    network.train()
    for epoch in range(epochs):
        total = 0.0
        for picked in torch.randperm(count).split(batch_size):
            batch = vary_batch({name: values[picked] for name, values in examples.items()})
            loss = total_loss(network, heads, batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            plan.step()
            total += loss.item() * len(picked)
        _log.info("epoch %d of %d: loss %.3f", epoch + 1, epochs, total / count)


def _insert_norms(network: SceneNet) -> None:
    for module in network.modules():
        if isinstance(module, ConvBlock):
            module.conv = nn.Sequential(module.conv, nn.BatchNorm2d(module.conv.out_channels))


def _fold_norms(network: SceneNet) -> None:
    network.eval()
    for module in network.modules():
        if isinstance(module, ConvBlock):
            module.conv = nn.utils.fuse_conv_bn_eval(module.conv[0], module.conv[1])


if __name__ == "__main__":
    sys.exit(main())
