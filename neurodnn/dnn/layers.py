"""Names, shapes and theoretical receptive fields of a network's layers, as torch spells them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable

import pandas as pd
import torch
from torch import nn

from neurodnn._checks import InputError, closest, message

# Ops that end no block: they change no value, or only average what a block gave.
_SILENT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity,
           nn.Flatten, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_POOLS = (nn.MaxPool2d, nn.AvgPool2d)
_MANY_BLOCKS = 12


def layer_names(network: nn.Module) -> list[str]:
    """Return the names of all layers, as ``named_modules`` spells and orders them.

    Blocks (``features``) are named as well as their parts (``features.0``): all of them can be
    asked for.

    Parameters
    ----------
    network : torch.nn.Module
        Any network.

    Returns
    -------
    list of str
        Without the network itself, whose name is empty.

    Examples
    --------
    >>> layer_names(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    ['0', '1']
    """
    return [name for name, _ in network.named_modules() if name]


def check_layers(network: nn.Module, layers: Iterable[str]) -> list[str]:
    """Return `layers` as a list if the network has them all, each named once.

    Parameters
    ----------
    network : torch.nn.Module
        The network that must have them.
    layers : iterable of str
        Names as :func:`layer_names` gives them; a single name is taken as a list of one.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        Naming the unknown layer and the closest known one.

    Examples
    --------
    >>> check_layers(nn.Sequential(nn.ReLU()), ["0"])
    ['0']
    """
    if isinstance(layers, str):
        layers = [layers]
    layers = [str(layer) for layer in layers]
    known = layer_names(network)
    if not layers:
        raise InputError(message("layers", "names no layer", remedy="Leave it out for one layer "
                                 "per block."))
    for layer in layers:
        if layer not in known:
            near = closest(layer, known)
            hint = f"Did you mean {near}? " if near else ""
            raise InputError(
                message("layers", "the network has no such layer", got=layer,
                        remedy=f"{hint}`neurodnn layers` lists all {len(known)} names.")
            )
    twice = sorted({layer for layer in layers if layers.count(layer) > 1})
    if twice:
        raise InputError(message("layers", "names a layer twice", got=", ".join(twice)))
    return layers


def default_layers(network: nn.Module) -> list[str]:
    """Return one layer per block: the last output of each, after rectification and pooling.

    A block is a convolution or a fully connected layer with what follows it (normalisation,
    rectification, pooling), or a compound block of the architecture. Where that gives more than
    12, only blocks before a change of resolution and fully connected layers are kept. This is a
    starting point that is always printed, not a claim about the brain.

    Parameters
    ----------
    network : torch.nn.Module
        Any network; only its structure is looked at.

    Returns
    -------
    list of str
        In the order of the network. For AlexNet: the eight layers of Cichy et al. (2016).

    References
    ----------
    Cichy RM, Khosla A, Pantazis D, Torralba A, Oliva A (2016). Comparison of deep neural
    networks to spatio-temporal cortical dynamics of human visual object recognition reveals
    hierarchical correspondence. Scientific Reports 6, 27755.

    Examples
    --------
    >>> default_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2),
    ...                              nn.Conv2d(4, 4, 3), nn.ReLU()))
    ['2', '4']
    """
    blocks: list[list[tuple[str, nn.Module]]] = []
    for name, module in _units("", network):
        if _has_weights(module) and not _only_scales(module) or not blocks:
            blocks.append([])
        blocks[-1].append((name, module))
    if len(blocks) > _MANY_BLOCKS:
        stages = [block for i, block in enumerate(blocks)
                  if _ends_stage(block, blocks[i + 1] if i + 1 < len(blocks) else None)]
        # A transformer never changes its resolution: then all blocks stay.
        blocks = stages if len(stages) > 3 else blocks
    ends = [[name for name, module in block if not isinstance(module, _SILENT)]
            for block in blocks]
    return [names[-1] for names in ends if names]


def _units(prefix: str, module: nn.Module):
    """Yield what a block is made of: plain layers and compound blocks, in order."""
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        is_trunk = isinstance(child, nn.Sequential) and _holds_stage(module)
        if isinstance(child, nn.Sequential) and (is_trunk or not _is_stage(child)):
            yield from _units(full + ".", child)
        elif prefix.count(".") < 2 and _holds_stage(child):
            yield from _units(full + ".", child)
        else:
            yield full, child


def _is_stage(module: nn.Sequential) -> bool:
    """Whether all members are compound blocks of one kind, such as ``layer1`` of a ResNet."""
    kinds = {type(child) for child in module.children()}
    return len(kinds) == 1 and all(list(child.children()) for child in module.children())


def _holds_stage(module: nn.Module) -> bool:
    """Whether a compound block is in truth the trunk, such as the encoder of a transformer."""
    return not isinstance(module, nn.Sequential) and any(
        isinstance(child, nn.Sequential) and len(child) > 4 and _is_stage(child)
        for child in module.children()
    )


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _only_scales(module: nn.Module) -> bool:
    """Whether it is a normalisation, which belongs to the block before it."""
    return "Norm" in type(module).__name__


def _ends_stage(block: list, following: list | None) -> bool:
    if following is None or any(isinstance(module, _POOLS) for _, module in block):
        return True
    if any(isinstance(module, nn.Linear) for _, module in block):
        return True
    if all(list(m.children()) and isinstance(m, nn.Sequential) for _, m in block):
        return True
    parts = [part for _, module in following for part in module.modules()]
    strides = [part.stride for part in parts if isinstance(part, nn.Conv2d)]
    is_last = any(isinstance(part, nn.Linear) for part in parts) and not strides
    return is_last or any(max(stride) > 1 for stride in strides)


def describe_layers(network: nn.Module, input_size: int | tuple[int, int] = 224) -> pd.DataFrame:
    """Return name, type, output shape and theoretical receptive field of every layer.

    Parameters
    ----------
    network : torch.nn.Module
        Any network that takes (images, 3, height, width); it looks at one empty picture.
    input_size : int or (int, int)
        Height and width of the input in pixels; 224 by default, as most networks expect.

    Returns
    -------
    pandas.DataFrame
        One row per layer: ``name``, ``type``, ``shape`` (of the output for one picture, such as
        ``64x55x55``; empty if the layer does not run), ``field`` and ``field_stride`` (size and
        step of the theoretical receptive field in pixels of the input; NaN where it is not
        known, see :func:`~neurodnn.dnn.receptive_field.theoretical_fields`; the larger axis).

    Raises
    ------
    InputError
        If the network cannot process a picture of that size.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2))
    >>> describe_layers(network, 8)[["name", "shape", "field"]].values.tolist()
    [['0', '4x6x6', 3.0], ['1', '4x3x3', 4.0]]
    """
    from neurodnn.dnn.hooks import evaluation
    from neurodnn.dnn.receptive_field import theoretical_fields

    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    shapes: dict[str, str] = {}
    modules = {name: module for name, module in network.named_modules() if name}

    def remember(name):
        def hook(module, inputs, output):
            if isinstance(output, torch.Tensor):
                shapes[name] = "x".join(map(str, output.shape[1:]))
        return hook

    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    with contextlib.ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(remember(name)).remove)
        stack.enter_context(evaluation(network))
        try:
            network(torch.zeros(1, 3, height, width, device=device))
        except (RuntimeError, ValueError) as error:
            raise InputError(message("input_size", "does not suit the network",
                                     got=f"{height} x {width}")) from error
    fields = theoretical_fields(network)
    rows = []
    for name, module in modules.items():
        axes = fields.get(name)
        rows.append({
            "name": name,
            "type": type(module).__name__,
            "shape": shapes.get(name, ""),
            "field": float(max(axis.size for axis in axes)) if axes else math.nan,
            "field_stride": float(max(axis.stride for axis in axes)) if axes else math.nan,
        })
    return pd.DataFrame(rows)
