"""The activation store: one thing changed is a miss, damage is noticed, nothing is unpickled."""

from __future__ import annotations

import os
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from neurodnn._checks import DataWarning, InputError
from neurodnn.dnn import store as store_module
from neurodnn.dnn.activations import iterate_activations
from neurodnn.dnn.images import ImageTransform, open_images
from neurodnn.dnn.store import ActivationStore


class Counting(nn.Module):
    """Counts its passes."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.relu = nn.Conv2d(3, 2, 3), nn.ReLU()
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return self.relu(self.conv(x))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "stimuli"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abcde":
        values = rng.integers(0, 255, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{name}.png")
    table = pd.DataFrame({"stimulus": list("abcde"), "path": [f"{n}.png" for n in "abcde"]})
    return folder, table


def look(network, pictures, store, *, size=8, layers=("conv", "relu"), batch_size=2):
    folder, table = pictures
    images = open_images(table, folder, transform=ImageTransform(size=size))
    batches = list(iterate_activations(network, images, list(layers), store=store,
                                       batch_size=batch_size))
    return {layer: np.concatenate([batch[layer] for _, batch in batches]) for layer in layers}


def test_a_second_look_computes_nothing_and_gives_the_same_bits(tmp_path, pictures):
    store, network = ActivationStore(tmp_path / "store"), Counting()
    first = look(network, pictures, store)
    assert network.passes == 3
    assert len(store) == 6
    again = look(network, pictures, ActivationStore(tmp_path / "store"))
    assert network.passes == 3
    for layer in first:
        np.testing.assert_array_equal(first[layer], again[layer])


def test_any_change_of_what_made_them_is_a_miss(tmp_path, pictures, monkeypatch):
    store, network = ActivationStore(tmp_path / "store"), Counting()
    look(network, pictures, store)

    def computes(**options):
        before = network.passes
        look(network, pictures, store, **options)
        return network.passes > before

    assert not computes()
    assert computes(size=9)
    # An edit that torch itself does not count.
    network.conv.weight.data[0, 0, 0, 0] += 1e-3
    assert computes()
    assert not computes()
    network.relu = nn.LeakyReLU(0.1)
    assert computes()
    Image.new("RGB", (10, 10)).save(pictures[0] / "c.png")
    before = network.passes
    look(network, pictures, store)
    assert network.passes == before + 1  # only the batch with the changed picture
    monkeypatch.setattr(store_module, "__version__", "99")
    assert computes()


def test_a_layer_that_is_missing_is_added(tmp_path, pictures):
    store, network = ActivationStore(tmp_path / "store"), Counting()
    look(network, pictures, store, layers=["conv"])
    both = look(network, pictures, store, layers=["conv", "relu"])
    np.testing.assert_array_equal(both["relu"], np.maximum(both["conv"], 0))
    assert network.passes == 6


@pytest.mark.parametrize("damage", ["flip", "cut", "note", "pickle"])
def test_a_damaged_block_is_reported_and_computed_again(tmp_path, pictures, damage):
    store, network = ActivationStore(tmp_path / "store"), Counting()
    first = look(network, pictures, store)
    block = sorted(store.directory.glob("*/*.npy"))[0]
    content = bytearray(block.read_bytes())
    sentinel = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(sentinel),)

    if damage == "flip":
        content[-3] ^= 1
        block.write_bytes(content)
    elif damage == "cut":
        block.write_bytes(content[:50])
    elif damage == "note":
        block.with_suffix(".json").write_text("{")
    else:
        block.write_bytes(pickle.dumps(Payload()))
    with pytest.warns(DataWarning, match="damaged and is computed again"):
        again = look(network, pictures, store)
    for layer in first:
        np.testing.assert_array_equal(first[layer], again[layer])
    assert not sentinel.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look(network, pictures, store)


def test_a_network_under_someone_elses_hook_is_neither_looked_up_nor_kept(tmp_path, pictures):
    store, network = ActivationStore(tmp_path / "store"), Counting()
    plain = look(network, pictures, store)
    handle = network.conv.register_forward_hook(lambda module, inputs, output: output * 0)
    lesioned = look(network, pictures, store)
    handle.remove()
    assert np.all(lesioned["relu"] == 0)
    np.testing.assert_array_equal(look(network, pictures, store)["relu"], plain["relu"])


def test_folders_that_others_can_write_to_are_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)
    with pytest.raises(InputError, match="can be written to by others.*chmod go-w"):
        ActivationStore(folder)
    ActivationStore(folder, shared=True)
    made = ActivationStore(tmp_path / "new").directory
    assert made.stat().st_mode & 0o077 == 0


def test_no_leftover_and_no_pickle_in_the_store(tmp_path, pictures):
    store = ActivationStore(tmp_path / "store")
    look(Counting(), pictures, store)
    files = [path for path in store.directory.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npy", ".json"}
    for path in store.directory.rglob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype == np.float32
