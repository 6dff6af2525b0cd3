"""Theoretical receptive fields, by walking the graph of a network.

A unit at output position i sees the input pixels ``i * stride + low`` to
``i * stride + high``, both included. Where an operation is not known to keep that form, the
field is left unknown rather than guessed.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import fx, nn

_POINTWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Hardswish,
    nn.Hardsigmoid, nn.Softplus, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity,
    nn.LocalResponseNorm,
)
_POINTWISE_NAMES = {"relu", "relu_", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "dropout",
                    "clone", "contiguous", "hardswish"}
_JOINING_NAMES = {"add", "iadd", "add_", "cat", "concat"}


@dataclasses.dataclass(frozen=True)
class Field:
    """What a unit sees along one axis: `stride`, and the first and last pixel of position 0."""

    stride: int = 1
    low: int = 0
    high: int = 0

    @property
    def size(self) -> int:
        """Pixels from the first to the last, both included."""
        return self.high - self.low + 1

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """Return the field after a convolution or pooling of these settings."""
        low = self.low - padding * self.stride
        high = self.high + ((kernel - 1) * dilation - padding) * self.stride
        return Field(self.stride * stride, low, high)


def theoretical_fields(network: nn.Module) -> dict[str, tuple[Field, Field]]:
    """Return the fields (vertical, horizontal) of the layers for which they are known.

    Convolutions, pooling with fixed windows, pointwise operations, additions and
    concatenations are followed, branches included. After flattening, global pooling or
    attention a unit sees the whole picture or depends on the content: such layers, and all of a
    network whose program cannot be traced, are absent from the result.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    dict of str to (Field, Field)
        In pixels of the network's input.

    Examples
    --------
    >>> fields = theoretical_fields(nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)))
    >>> fields["1"][0].size, fields["1"][0].stride
    (4, 2)
    """
    try:
        graph = fx.Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AttributeError,
            NotImplementedError):
        return {}
    modules = dict(network.named_modules())
    fields: dict[fx.Node, tuple[Field, Field] | None] = {}
    named: dict[str, tuple[Field, Field]] = {}
    inputs = 0
    for node in graph.nodes:
        if node.op == "placeholder":
            inputs += 1
            # Of a network with several inputs it would be unclear which one is the picture.
            fields[node] = (Field(), Field()) if inputs == 1 else None
            continue
        fields[node] = _follow(node, fields, modules)
        for owner in _finished_by(node, graph):
            named.pop(owner, None)
            if fields[node] is not None:
                named[owner] = fields[node]
    return named


def _finished_by(node: fx.Node, graph: fx.Graph) -> list[str]:
    """Return the modules whose output `node` is: its own, and blocks that end with it."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    names = [entry[0] if isinstance(entry, tuple) else str(entry) for entry in stack]
    if node.op == "call_module" and str(node.target) not in names:
        names.append(str(node.target))
    # Each later node of a block overwrites the earlier one, so the last one stays.
    return [name for name in names if name]


def _follow(node: fx.Node, fields: dict, modules: dict):
    sources = [fields.get(source) for source in node.all_input_nodes]
    if not sources or any(source is None for source in sources):
        return None
    if node.op == "call_module":
        return _through_module(modules[node.target], sources[0])
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name in _POINTWISE_NAMES:
        return sources[0]
    if name in _JOINING_NAMES and _joins_channels(node, name):
        return _join(sources)
    return None


def _joins_channels(node: fx.Node, name: str) -> bool:
    """Whether a concatenation runs along the channels; along pixels it would shift positions."""
    if name not in ("cat", "concat"):
        return True
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    return dim in (1, -3)


def _join(sources: list) -> tuple[Field, Field] | None:
    joined = []
    for axis in (0, 1):
        strides = {source[axis].stride for source in sources}
        if len(strides) > 1:
            return None
        joined.append(Field(strides.pop(), min(source[axis].low for source in sources),
                            max(source[axis].high for source in sources)))
    return joined[0], joined[1]


def _through_module(module: nn.Module, source: tuple[Field, Field]):
    if isinstance(module, _POINTWISE_MODULES):
        return source
    if not isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        return None
    settings = []
    for axis in (0, 1):
        values = [_along(getattr(module, key, 1), axis)
                  for key in ("kernel_size", "stride", "padding", "dilation")]
        if not all(isinstance(value, int) for value in values):
            return None
        settings.append(source[axis].through(*values))
    return settings[0], settings[1]


def _along(value: object, axis: int) -> object:
    return value[axis] if isinstance(value, (tuple, list, torch.Size)) else value
