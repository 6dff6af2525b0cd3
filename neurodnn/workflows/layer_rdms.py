"""A network and its images -> one RDM per layer.

The story: the network looks at one batch of images after the other; what each layer gave is
handed to that layer's RDM and forgotten. An early layer is never held whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from rsatoolbox.rdm import RDMs

_DISTANCES = {
    "correlation": "1 - Pearson correlation",
    "spearman": "1 - Spearman correlation",
    "euclidean": "squared Euclidean distance per unit",
}
# Memory in which the layers of one pass are gathered together; beyond it they go to scratch.
_ALL_MB, _LEAST_MB = 512.0, 16.0


def layer_rdms(
    network: torch.nn.Module,
    images: Sequence,
    layers: Sequence[str] | None = None,
    *,
    metric: str = "correlation",
    batch_size: int = 32,
    device: str = "cpu",
    store: object = None,
    scratch_dir: str | Path | None = None,
    progress: bool = False,
) -> RDMs:
    """Return one RDM per layer over the images, all units of a layer taken together.

    Parameters
    ----------
    network : torch.nn.Module
        As `load_network` gives it.
    images : ImageFolder
        As `open_images` gives it: a sequence of tensors with ``names``.
    layers : sequence of str, optional
        Names as torch spells them; default one per block (`default_layers`).
    metric : {"correlation", "spearman", "euclidean"}
        Distance between two images in a layer: 1 - Pearson (default, as in the public data of
        Cichy's group), 1 - Spearman (as in the paper of 2016), squared Euclidean per unit.
    batch_size : int
        Images per pass; bounds the memory, changes results by rounding alone.
    device : {"cpu", "cuda", "auto"}
        Where the network runs.
    store : ActivationStore, optional
        Keeps the activations, and gives them back where they were kept before.
    scratch_dir : path, optional
        Where activations that exceed the memory of a layer's RDM are laid down meanwhile.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM per layer in the order of `layers`, condensed float64;
        ``rdm_descriptors["reference"]`` layer names, ``pattern_descriptors["stimulus"]`` names
        of the images.

    Raises
    ------
    InputError
        Unknown layer or metric, fewer than two images, an unreadable image, activations that
        are not finite.

    References
    ----------
    Kriegeskorte N, Mur M, Bandettini P (2008). Representational similarity analysis:
    connecting the branches of systems neuroscience. Frontiers in Systems Neuroscience 2, 4.

    Cichy RM, Khosla A, Pantazis D, Torralba A, Oliva A (2016). Comparison of deep neural
    networks to spatio-temporal cortical dynamics of human visual object recognition reveals
    hierarchical correspondence. Scientific Reports 6, 27755.

    Examples
    --------
    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    >>> images = [torch.rand(3, 2, 2) for _ in range(4)]
    >>> layer_rdms(network, images, ["0", "1"]).dissimilarities.shape
    (2, 6)
    """
    from rsatoolbox.rdm import RDMs

    from neurodnn.dnn.activations import iterate_activations
    from neurodnn.dnn.networks import default_layers
    from neurodnn.rsa.streaming import StreamedRDM

    layers = list(default_layers(network) if layers is None else layers)
    share = max(_LEAST_MB, _ALL_MB / len(layers))
    streams = {
        layer: StreamedRDM(
            len(images), metric=metric, memory_mb=share, scratch_dir=scratch_dir, label=layer
        )
        for layer in layers
    }
    names: list[str] = []
    batches = iterate_activations(
        network, images, layers, batch_size=batch_size, device=device, store=store,
        progress=progress,
    )  # fmt: skip
    for batch_names, activations in batches:
        names += batch_names
        for layer, values in activations.items():
            streams[layer].add(values.reshape(len(values), -1), batch_names)
    return RDMs(
        np.stack([streams[layer].read() for layer in layers]),
        dissimilarity_measure=metric,
        rdm_descriptors={"reference": layers},
        pattern_descriptors={"stimulus": names},
    )


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``network`` (id), ``layers`` (list), ``layer_metric``, ``n_images``, ``transform``.

    Examples
    --------
    >>> text, keys = describe({"network": "alexnet", "layers": ["features.2"], "n_images": 92,
    ...                        "layer_metric": "correlation", "transform": "whole image"})
    >>> keys
    ['kriegeskorte2008', 'cichy2016']
    """
    layers = [str(layer) for layer in parameters["layers"]]
    text = (
        f"The network {parameters['network']} was shown {parameters['n_images']} images "
        f"({parameters['transform']}). For each of {len(layers)} layers ({', '.join(layers)}) "
        "the activations of all units were compared between every two images by "
        f"{_DISTANCES[str(parameters['layer_metric'])]}, which gives one representational "
        "dissimilarity matrix (RDM) per layer (Kriegeskorte et al., 2008; Cichy et al., 2016)."
    )
    return text, ["kriegeskorte2008", "cichy2016"]
