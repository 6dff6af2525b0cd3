"""Activations kept on disk under the hash of everything that made them.

A key names nothing: it is the SHA-256 over the pictures' bytes, the network with the bytes of
its weights, the transform, the layer, the number type and the version. Whatever changes, the
key changes; nothing can be taken for something else. Blocks of one batch and one layer are
plain ``.npy`` files without pickle, with their own hash beside them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from neurodnn import __version__
from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import write_atomic
from neurodnn.dnn.checkpoints import tensors_sha256
from neurodnn.dnn.networks import network_identity

_LAYOUT = 1


class ActivationStore:
    """A folder of activations that :func:`~neurodnn.dnn.activations.iterate_activations` fills.

    Parameters
    ----------
    directory : str or Path
        Made if need be, for its owner alone.
    shared : bool
        Accept a folder that others can write to. They could plant wrong numbers there (no
        programs: nothing is unpickled), hence False by default.

    Raises
    ------
    InputError
        If the folder belongs to someone else or others may write to it.

    Examples
    --------
    >>> import tempfile
    >>> store = ActivationStore(Path(tempfile.mkdtemp()) / "activations")
    >>> len(store)
    0
    """

    def __init__(self, directory: str | Path, *, shared: bool = False):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not shared:
            _check_owner(self.directory)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return sum(1 for _ in self.directory.glob("*/*.npy"))

    def record(self, network: nn.Module, images: Sequence) -> StoreRecord:
        """Return the part of the store that holds this network's view of these pictures."""
        return StoreRecord(self, network, images)

    def read(self, key: str) -> np.ndarray | None:
        """Return a block, or None if it is absent or damaged (then with a `DataWarning`)."""
        path = self._path(key)
        note = path.with_suffix(".json")
        if not path.is_file() or not note.is_file():
            return None
        try:
            content = path.read_bytes()
            expected = json.loads(note.read_text(encoding="utf-8"))["SHA256"]
            if hashlib.sha256(content).hexdigest() == expected:
                return np.load(io.BytesIO(content), allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        warnings.warn(f"activation store: block {key[:12]} is damaged and is computed again",
                      DataWarning, stacklevel=2)
        return None

    def write(self, key: str, values: np.ndarray, facts: dict) -> None:
        """Write a block and, after it, the note without which it counts as absent."""
        content = io.BytesIO()
        np.save(content, values, allow_pickle=False)
        path = self._path(key)
        digest = write_atomic(path, content.getvalue())
        text = json.dumps({**facts, "SHA256": digest, "Layout": _LAYOUT}, sort_keys=True) + "\n"
        write_atomic(path.with_suffix(".json"), text.encode())

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key}.npy"


class StoreRecord:
    """What a store holds of one network and one set of pictures, as both are now.

    The weights are hashed when it is made; make a new one after changing them.
    """

    def __init__(self, store: ActivationStore, network: nn.Module, images: Sequence):
        self._store = store
        self._images = images
        self._name = network_identity(network).name
        # Hooks that someone else set may change what the network computes: then nothing is
        # looked up or kept.
        self._trusted = not any(module._forward_hooks or module._forward_pre_hooks
                                for module in network.modules())
        self._common = {
            "transform": repr(getattr(images, "transform", None)),
            "background": repr(getattr(images, "background", None)),
            "network": self._name,
            "note": network_identity(network).note,
            # Not the recorded hash: weights may have been changed since they were loaded.
            "weights": tensors_sha256(network.state_dict()),
            "modules": repr(network),
            "dtype": "float32",
            "version": [__version__, _LAYOUT],
        }

    def find(self, batch: slice, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the blocks of these pictures that are there and intact, by layer."""
        if not self._trusted:
            return {}
        blocks = {layer: self._store.read(self.key(batch, layer)) for layer in layers}
        return {layer: values for layer, values in blocks.items() if values is not None}

    def keep(self, batch: slice, activations: dict[str, np.ndarray]) -> None:
        """Write the activations of these pictures, each layer as one block."""
        for layer, values in activations.items() if self._trusted else ():
            self._store.write(self.key(batch, layer), values,
                              {"Layer": layer, "Network": self._name})

    def key(self, batch: slice, layer: str) -> str:
        """Return the SHA-256 over everything that makes these activations."""
        parts = {**self._common, "layer": layer,
                 "stimuli": _picture_hashes(self._images, batch)}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _check_owner(directory: Path) -> None:
    facts = directory.stat()
    if facts.st_uid != os.getuid():
        raise InputError(message(str(directory), "belongs to another user",
                                 remedy="Choose a folder of your own."))
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(message(str(directory), "can be written to by others",
                                 got=oct(stat.S_IMODE(facts.st_mode)), allowed="0o700",
                                 remedy=f"Run: chmod go-w {directory}"))


def _picture_hashes(images: Sequence, batch: slice) -> list[str]:
    known = getattr(images, "sha256", None)
    if known is not None:
        return list(known[batch])
    return [hashlib.sha256(np.ascontiguousarray(images[index]).tobytes()).hexdigest()
            for index in range(batch.start, batch.stop)]
