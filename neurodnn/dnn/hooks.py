"""Looking into a network while it works, and leaving it as it was.

Hooks are with-blocks: they are gone when the block ends, however it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import torch
from torch import nn

from neurodnn._checks import InputError, check_choice, message


class Enough(Exception):
    """Raised inside a forward pass once all requested layers have spoken."""


def find_device(device: str) -> torch.device:
    """Return torch's device for a name.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``: the first graphics card if there is
        one.

    Returns
    -------
    torch.device

    Raises
    ------
    InputError
        If there is no such device on this machine.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    kind, _, number = str(device).partition(":")
    check_choice("device", kind, ["auto", "cpu", "cuda"])
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return torch.device("cuda" if count else "cpu")
    wanted = int(number) if number.isdigit() else 0
    if (number and not number.isdigit()) or (kind == "cuda" and wanted >= count):
        raise InputError(message("device", "is not available on this machine", got=device,
                                 allowed=f"cpu, auto and {count} graphics cards",
                                 remedy="Leave --device out."))
    return torch.device(device)


@contextlib.contextmanager
def watch_layers(network: nn.Module, layers: Sequence[str], *, calls: dict | None = None):
    """Give a dictionary that each forward pass fills with copies of the layers' outputs.

    A layer that runs several times in one pass (the shared ReLU of a residual block) gives its
    last output. All hooks are gone when the block ends, however it ends.

    Parameters
    ----------
    network : torch.nn.Module
        The network whose layers are watched.
    layers : sequence of str
        Names of layers that it has.
    calls : dict of str to int, optional
        How often each layer runs in one pass. When given, the pass stops, by an exception that
        the caller must expect, as soon as all have run that often: what lies deeper than the
        deepest requested layer is not computed.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(inplace=True))
    >>> with watch_layers(network, ["0"]) as seen:
    ...     _ = network(-torch.ones(1, 2) @ network[0].weight)
    >>> tuple(seen["outputs"]["0"].shape), seen["calls"]
    ((1, 2), {'0': 1})
    """
    seen = {"outputs": {}, "calls": dict.fromkeys(layers, 0)}

    def hook(layer):
        def take(module, inputs, output):
            # A copy: whatever runs next may work in place on the tensor it is given.
            seen["outputs"][layer] = _tensor(layer, output).detach().clone()
            seen["calls"][layer] += 1
            if calls is not None and all(seen["calls"][name] >= calls[name] for name in layers):
                raise Enough
        return take

    modules = dict(network.named_modules())
    with contextlib.ExitStack() as stack:
        for layer in layers:
            handle = modules[layer].register_forward_hook(hook(layer))
            stack.callback(handle.remove)
        yield seen


@contextlib.contextmanager
def evaluation(network: nn.Module):
    """Hold `network` in evaluation mode without gradients, then restore each module's mode.

    Parameters
    ----------
    network : torch.nn.Module

    Examples
    --------
    >>> network = nn.Dropout().train()
    >>> with evaluation(network):
    ...     network.training
    False
    >>> network.training
    True
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        # Reduced precision and autotuning on graphics cards would make results vary.
        with torch.no_grad(), torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _tensor(layer: str, output: object) -> torch.Tensor:
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], torch.Tensor):
        # Attention layers return (values, weights); the values are the activation.
        return output[0]
    if not isinstance(output, torch.Tensor):
        raise InputError(message("layers", f"'{layer}' gives no tensor",
                                 got=type(output).__name__,
                                 remedy="Choose a layer inside or after it."))
    return output
