"""A network looks at pictures: activations of chosen layers, one batch at a time.

Nothing here holds all activations of an early layer: what comes out of a batch is handed on
before the next batch is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from neurodnn._checks import InputError, check_number, message
from neurodnn.dnn.hooks import Enough, evaluation, find_device, watch_layers
from neurodnn.dnn.layers import check_layers


def iterate_activations(
    network: nn.Module,
    images: Sequence,
    layers: Sequence[str],
    *,
    batch_size: int = 32,
    device: str = "cpu",
    store=None,
    progress: bool = False,
) -> Iterator[tuple[list[str], dict[str, np.ndarray]]]:
    """Yield the activations of one batch of pictures after the other.

    Parameters
    ----------
    network : torch.nn.Module
        Put in evaluation mode while it works; restored afterwards.
    images : ImageFolder or sequence of tensor
        (3, height, width) float32 tensors, all of one size. With an attribute ``names`` (as of
        :func:`~neurodnn.dnn.images.open_images`) the batches carry these names; else the
        positions as text.
    layers : sequence of str
        Names as torch spells them; see :func:`~neurodnn.dnn.layers.layer_names`.
    batch_size : int
        Pictures at a time. Results agree between batch sizes to a relative 1e-5.
    device : str
        Where the pass is computed.
    store : ActivationStore, optional
        Looks each batch up before it computes, and keeps what it computed.
    progress : bool
        Shows a bar on standard error.

    Yields
    ------
    names : list of str
        Of the pictures of this batch.
    activations : dict of str to numpy.ndarray
        For each layer, in the order of `layers`, (pictures, ...) float32; a fresh array.

    Raises
    ------
    InputError
        If a layer is unknown or never runs, a picture does not fit the network, or an
        activation is NaN or infinite (naming layer and stimulus).

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    >>> images = [torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]
    >>> for names, batch in iterate_activations(network, images, ["0"]):
    ...     print(names, batch["0"].shape)
    ['0', '1'] (2, 2, 6, 6)
    """
    layers = check_layers(network, layers)
    size = int(check_number("batch_size", batch_size, minimum=1))
    names = list(getattr(images, "names", map(str, range(len(images)))))
    if not names:
        raise InputError(message("images", "there are none"))
    place = find_device(device)
    network.to(place)
    calls: dict[str, int] = {}
    record = store.record(network, images) if store is not None else None
    with tqdm(total=len(names), unit="image", disable=not progress, leave=False) as bar:
        for start in range(0, len(names), size):
            batch = slice(start, min(start + size, len(names)))
            found = record.find(batch, layers) if record is not None else {}
            absent = [layer for layer in layers if layer not in found]
            if absent:
                stacked = _stack(images, names, batch)
                with evaluation(network):
                    fresh = _forward(network, stacked.to(place), absent, calls)
                fresh = {key: _to_numpy(key, value, names[batch]) for key, value in fresh.items()}
                if record is not None:
                    record.keep(batch, fresh)
                found.update(fresh)
            bar.update(batch.stop - batch.start)
            yield names[batch], {layer: found[layer] for layer in layers}


def extract_activations(
    network: nn.Module,
    images: Sequence,
    layers: Sequence[str] | None = None,
    *,
    batch_size: int = 32,
    device: str = "cpu",
    store=None,
    progress: bool = False,
) -> dict:
    """Return the activations of whole layers as patterns: all pictures at once, in memory.

    For the early layers of large networks prefer
    :func:`~neurodnn.dnn.activations.iterate_activations`: the first layer of AlexNet takes
    774 MB for 1,000 pictures.

    Parameters
    ----------
    network, images, batch_size, device, store, progress
        As of :func:`~neurodnn.dnn.activations.iterate_activations`.
    layers : sequence of str, optional
        Default: one per block, :func:`~neurodnn.dnn.layers.default_layers`.

    Returns
    -------
    dict of str to rsatoolbox.data.Dataset
        Per layer a Dataset of pictures x units, float32, with ``obs_descriptors["stimulus"]``
        and ``descriptors`` ``layer`` and ``shape`` (of one picture, before flattening).

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    >>> patterns = extract_activations(network, [torch.ones(3, 8, 8)] * 4, ["1"])
    >>> patterns["1"].measurements.shape
    (4, 72)
    """
    from rsatoolbox.data import Dataset

    from neurodnn.dnn.layers import default_layers

    layers = list(default_layers(network) if layers is None else layers)
    arrays: dict[str, np.ndarray] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    names: list[str] = []
    batches = iterate_activations(network, images, layers, batch_size=batch_size, device=device,
                                  store=store, progress=progress)
    for batch_names, batch in batches:
        for layer, values in batch.items():
            if layer not in arrays:
                shapes[layer] = values.shape[1:]
                arrays[layer] = np.empty((len(images), values[0].size), dtype=np.float32)
            arrays[layer][len(names):len(names) + len(values)] = values.reshape(len(values), -1)
        names.extend(batch_names)
    return {
        layer: Dataset(
            arrays[layer],
            obs_descriptors={"stimulus": list(names)},
            descriptors={"layer": layer, "shape": list(shapes[layer])},
        )
        for layer in layers
    }


def _stack(images: Sequence, names: list[str], batch: slice) -> torch.Tensor:
    tensors = [torch.as_tensor(images[index]) for index in range(batch.start, batch.stop)]
    for name, tensor in zip(names[batch], tensors, strict=True):
        if tensor.ndim != 3 or tensor.shape != tensors[0].shape:
            raise InputError(message("images", f"'{name}' has another shape than it should",
                                     got=tuple(tensor.shape),
                                     allowed="(3, height, width), the same for all",
                                     remedy="Give open_images a transform of fixed size."))
    return torch.stack(tensors).float()


def _forward(
    network: nn.Module, batch: torch.Tensor, layers: list[str], calls: dict[str, int]
) -> dict[str, torch.Tensor]:
    """Return the outputs of `layers`; the first pass also counts how often each runs."""
    known = {layer: calls[layer] for layer in layers if layer in calls}
    try:
        counted = known if len(known) == len(layers) else None
        with watch_layers(network, layers, calls=counted) as seen:
            with contextlib.suppress(Enough):
                network(batch)
    except (RuntimeError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(message("images", f"the network cannot process them: {first}",
                                 got=f"shape {tuple(batch.shape)}",
                                 remedy="Check the size that the network expects.")) from error
    for layer in layers:
        if layer not in seen["outputs"]:
            raise InputError(message("layers", "the layer never runs when the network looks at a "
                                     "picture", got=layer,
                                     remedy="Choose another; `neurodnn layers` lists them."))
        calls.setdefault(layer, seen["calls"][layer])
    return seen["outputs"]


def _to_numpy(layer: str, values: torch.Tensor, names: list[str]) -> np.ndarray:
    if values.shape[:1] != (len(names),):
        raise InputError(message("layers", f"'{layer}' does not give one row per picture",
                                 got=tuple(values.shape), allowed=f"({len(names)}, ...)"))
    array = values.to(device="cpu", dtype=torch.float32).numpy()
    finite = np.isfinite(array.reshape(len(names), -1)).all(axis=1)
    if not finite.all():
        bad = names[int(np.flatnonzero(~finite)[0])]
        raise InputError(message("network", f"layer '{layer}' gives NaN or infinite values for "
                                 f"the stimulus '{bad}'", got=f"{int((~finite).sum())} stimuli",
                                 remedy="Check the weights and the image transform."))
    return array
