"""Networks by name: architecture, weights and image transform, with an identity to record.

Every network leaves this module in evaluation mode, without gradients, and with no activation
function that works in place: torchvision's ReLUs overwrite the output of the layer before
them, so that a hook on a convolution would silently return rectified values.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from torch import nn

from neurodnn._checks import InputError, check_choice, check_number, closest, message
from neurodnn.bids import bids_label
from neurodnn.dnn.checkpoints import tensors_sha256
from neurodnn.dnn.hooks import find_device
from neurodnn.dnn.images import ImageTransform
from neurodnn.dnn.layers import default_layers, describe_layers, layer_names

__all__ = [
    "NetworkIdentity",
    "default_layers",
    "describe_layers",
    "layer_names",
    "load_network",
    "network_identity",
]

_ACTIVATIONS = {
    "ReLU": nn.ReLU,
    "LeakyReLU": nn.LeakyReLU,
    "ELU": nn.ELU,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "Identity": nn.Identity,
}
_TAKES_NUMBER = ("LeakyReLU", "ELU")


@dataclasses.dataclass(frozen=True)
class NetworkIdentity:
    """What must be written down to know which network was used.

    Attributes
    ----------
    name : str
        Full id, such as ``torchvision:alexnet@IMAGENET1K_V1``; of a local file the file name
        alone, because a path would name the user's folders.
    label : str
        Letters and digits of the id, for BIDS file names.
    weights_sha256 : str
        Of the weights file; of all tensors (names, shapes, bytes) where there is no file.
    transform : str
        How pictures become tensors.
    architecture : str
        The class, and what was changed in it.
    note : str
        Where the weights come from, in words.
    """

    name: str
    label: str
    weights_sha256: str
    transform: str
    architecture: str
    note: str


def load_network(
    name: str,
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    image_transform: str = "whole",
    device: str = "cpu",
    activation: str | None = None,
    trust_checkpoint: str | None = None,
) -> tuple[nn.Module, Callable]:
    """Return a network ready for reading, and the transform from picture to tensor.

    Parameters
    ----------
    name : str
        - ``"neurodnn:scenes"``: the small network that ships with the package;
        - ``"alexnet"`` or ``"torchvision:alexnet@IMAGENET1K_V1"``: a classification network of
          torchvision, with its default or the named weights, fetched once into the cache of
          torch; nothing is fetched where ``NEURODNN_OFFLINE`` is set;
        - ``"torchvision:alexnet@none:seed=0"``: the same without training;
        - ``"torchvision:squeezenet1_0@weights.safetensors"``: weights from a file. The number
          of classes is read from the file;
        - ``"my_model.py:build"``: calls `build()` of that file, which returns a Module or
          (Module, transform). **This runs the file as a program.**
    weights : str or Path, optional
        What may also stand behind the ``@``.
    seed : int
        Of untrained weights; the global random state of torch is left alone.
    image_transform : str
        ``"whole"`` (default): the whole picture, resized to the network's input size, because
        a crop would discard what the subject saw; ``"whole:227"`` with another size;
        ``"weights"``: resizing and central crop as published with the weights. Mean and
        standard deviation are those of the weights in all cases.
    device : {"cpu", "cuda", "auto"}
        Where the network is put.
    activation : str, optional
        Replaces every ReLU, for checkpoints that were trained with another function:
        ``"LeakyReLU(0.55)"``, ``"ELU(1.0)"``, ``"GELU"``, ``"SiLU"``, ``"Identity"``.
    trust_checkpoint : str, optional
        ``"sha256:..."`` of a pickled checkpoint that may be opened although it can run
        programs; see :func:`~neurodnn.dnn.checkpoints.read_checkpoint`.

    Returns
    -------
    network : torch.nn.Module
        In evaluation mode, float32, no gradients, nothing in place.
    transform : callable
        RGB PIL picture to float32 tensor (3, height, width).

    Raises
    ------
    InputError
        If a name is unknown, weights are absent or unsafe, or do not fit the architecture.

    Examples
    --------
    >>> network, transform = load_network("torchvision:squeezenet1_1@none:seed=0")
    >>> network_identity(network).label
    'torchvisionSqueezenet11NoneSeed0'
    """
    from neurodnn.dnn import _sources

    place = find_device(device)
    source = _sources.parse_name(name, weights, seed)
    built = _sources.build(source, trust=trust_checkpoint)
    network = built.network
    architecture = built.architecture
    if activation is not None:
        count = _replace_relu(network, activation)
        architecture += f", {count} ReLU replaced by {activation}"
    transform = built.transform or _transform(image_transform, built)
    prepare(network)
    identity = NetworkIdentity(
        name=built.name or source.name,
        label=bids_label(built.name or source.name),
        weights_sha256=built.sha256 or tensors_sha256(network.state_dict()),
        transform=_describe(transform),
        architecture=architecture,
        note=built.note,
    )
    network.to(place)
    network.neurodnn_identity = identity
    return network, transform


def network_identity(network: nn.Module) -> NetworkIdentity:
    """Return what identifies a network: recorded at loading, or worked out for your own Module.

    Parameters
    ----------
    network : torch.nn.Module
        As returned by :func:`load_network`, or any other.

    Returns
    -------
    NetworkIdentity
        ``dataclasses.asdict`` of it can be written as JSON.

    Examples
    --------
    >>> network_identity(nn.Linear(2, 2)).name
    'Linear'
    """
    known = getattr(network, "neurodnn_identity", None)
    if isinstance(known, NetworkIdentity):
        return known
    kind = type(network).__name__
    return NetworkIdentity(
        name=kind,
        label=bids_label(kind),
        weights_sha256=tensors_sha256(network.state_dict()),
        transform="",
        architecture=kind,
        note="a Module given in Python; the hash is over its tensors",
    )


def prepare(network: nn.Module) -> nn.Module:
    """Put `network` in evaluation mode, float32, without gradients and nothing in place.

    Parameters
    ----------
    network : torch.nn.Module
        Changed, and returned. What works in place inside a ``forward`` (``x += 1``) cannot be
        changed from outside; hooks copy, so that activations are right nevertheless.

    Returns
    -------
    torch.nn.Module

    Examples
    --------
    >>> prepare(nn.Sequential(nn.ReLU(inplace=True)))[0].inplace
    False
    """
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    return network.float().eval().requires_grad_(False)


def _replace_relu(network: nn.Module, activation: str) -> int:
    """Replace every ReLU and return how many there were."""
    found = re.fullmatch(r"(\w+)(?:\((.*)\))?", activation.strip())
    kind = check_choice("activation", found[1] if found else activation, _ACTIVATIONS)
    arguments = []
    if found[2]:
        if kind not in _TAKES_NUMBER:
            raise InputError(message("activation", f"{kind} takes no number", got=activation))
        arguments = [check_number("activation", found[2])]
    count = 0
    for module in list(network.modules()):
        for child_name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, child_name, _ACTIVATIONS[kind](*arguments))
                count += 1
    if not count:
        raise InputError(message("activation", "the network has no ReLU module to replace",
                                 got=activation))
    return count


def _transform(image_transform: str, built) -> ImageTransform:
    kind, _, size = image_transform.partition(":")
    check_choice("image_transform", kind, ["weights", "whole"])
    if kind == "weights":
        if size:
            raise InputError(message("image_transform", "'weights' takes no size",
                                     got=image_transform, allowed="weights, whole, whole:227"))
        return built.published
    pixels = built.published.size
    if size:
        if not size.isdigit() or not 8 <= int(size) <= 4096:
            raise InputError(message("image_transform", "has no valid size", got=image_transform,
                                     allowed="whole:8 to whole:4096",
                                     remedy="Did you mean " + (closest(size, ["224", "227"])
                                                               or "whole:224") + "?"))
        pixels = int(size)
    return dataclasses.replace(built.published, size=pixels, resize=None)


def _describe(transform: Callable) -> str:
    """Return a description that is the same in every process: no memory addresses."""
    if "object at 0x" in repr(transform) or "<function" in repr(transform):
        name = getattr(transform, "__qualname__", type(transform).__qualname__)
        return f"{name} of the user's file"
    return repr(transform)
