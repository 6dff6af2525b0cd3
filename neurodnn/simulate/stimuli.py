"""The pictures of a simulated experiment, and what the layers of a network make of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..bids import write_atomic
from .brain import VENTRAL_STREAM
from .files import write_json, write_table

SIZE = 96  # pixels, as the embedded network takes them


def draw_stimuli(folder: Path, n_stimuli: int, seed: int) -> list[str]:
    """Draw pictures of scenes into a stimulus folder and return their names, sorted.

    Parameters
    ----------
    folder : Path
        ``stimuli`` of a data set; the table ``stimuli.tsv`` is written as well.
    n_stimuli : int
        Eight kinds of scenes in turn.
    seed : int
        Different seeds draw different pictures.

    Returns
    -------
    list of str
        Such as ``beach_001``: file names without ending, the key of a stimulus.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw_stimuli(Path(folder), 2, 0), len(list(Path(folder).glob("*.png")))
    (['beach_001', 'bedroom_001'], 2)
    """
    from .drawings import draw_stimulus_set

    drawings = sorted(draw_stimulus_set(n_stimuli, seed, size=SIZE), key=lambda each: each.name)
    for drawing in drawings:
        packed = io.BytesIO()
        drawing.picture().save(packed, "png")
        write_atomic(folder / f"{drawing.name}.png", packed.getvalue())
    names = [drawing.name for drawing in drawings]
    table = pd.DataFrame({
        "stimulus_id": names,
        "path": [f"{name}.png" for name in names],
        "category": [drawing.category for drawing in drawings],
    })  # fmt: skip
    write_table(folder / "stimuli.tsv", table)
    write_json(folder / "stimuli.json", {
        "stimulus_id": {"Description": "Name of the picture, trial_type of the events"},
        "path": {"Description": "File in this folder"},
        "category": {"Description": "Kind of scene that was drawn"},
    })  # fmt: skip
    return names


def layer_correlations(
    network: str, layers: Sequence[str] | None, folder: Path, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return how alike each layer finds the pictures.

    Parameters
    ----------
    network : str
        As for `neurodnn.load_network`.
    layers : sequence of str, optional
        Default: one per block, thinned evenly to the number of places in the ventral stream.
    folder : Path
        Where the pictures are.
    names : sequence of str
        Their names, in the order wanted.

    Returns
    -------
    dict of str to ndarray (n_stimuli, n_stimuli)
        Correlations of the activations of whole layers, early to late. 1 minus them is the
        layer's RDM.

    Examples
    --------
    >>> layer_correlations("neurodnn:scenes", [], Path("unread"), [])
    {}
    """
    if layers is not None and not len(layers):
        return {}
    # torch stays out of this module's imports: null data sets and tables need none of it.
    from ..dnn.activations import extract_activations
    from ..dnn.images import open_images
    from ..dnn.layers import default_layers
    from ..dnn.networks import load_network

    net, transform = load_network(network)
    chosen = thin(default_layers(net)) if layers is None else list(layers)
    table = pd.DataFrame({"stimulus": names, "path": [f"{name}.png" for name in names]})
    images = open_images(table, folder, transform=transform)
    patterns = extract_activations(net, images, chosen)
    order = [images.names.index(name) for name in names]
    return {
        layer: np.corrcoef(patterns[layer].measurements[order].astype(float)) for layer in chosen
    }


def thin(layers: Sequence[str]) -> list[str]:
    """Return at most as many layers as there are places, evenly spaced, first and last kept.

    Examples
    --------
    >>> thin([f"conv{i}" for i in range(1, 9)])
    ['conv1', 'conv2', 'conv4', 'conv5', 'conv7', 'conv8']
    """
    if len(layers) <= len(VENTRAL_STREAM):
        return list(layers)
    places = np.linspace(0, len(layers) - 1, len(VENTRAL_STREAM))
    return [layers[int(place + 0.5)] for place in places]
