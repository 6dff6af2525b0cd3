"""Weights from files: what may be opened, what is refused, and what the refusal says."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neurodnn._checks import InputError
from neurodnn.dnn.checkpoints import load_tensors, read_checkpoint, tensors_sha256


class Payload:
    """Writes a sentinel file when it is unpickled."""

    def __init__(self, sentinel):
        self.sentinel = str(sentinel)

    def __reduce__(self):
        return os.mkdir, (self.sentinel,)


def tensors():
    return {"fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.ones(2)}


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
def test_a_pickled_payload_does_not_run(tmp_path, suffix):
    sentinel, path = tmp_path / "ran", tmp_path / f"evil{suffix}"
    torch.save({"fc.weight": Payload(sentinel)}, path)
    with pytest.raises(InputError, match=rf"evil\{suffix}.*refused.*safetensors"):
        read_checkpoint(path)
    assert not sentinel.exists()


def test_a_plain_pickle_and_a_payload_named_safetensors_do_not_run(tmp_path):
    for name in ("plain.pth", "evil.safetensors"):
        sentinel = tmp_path / f"ran_{name}"
        (tmp_path / name).write_bytes(pickle.dumps(Payload(sentinel)))
        with pytest.raises(InputError, match=name):
            read_checkpoint(tmp_path / name)
        assert not sentinel.exists()


def test_the_hash_of_a_trusted_file_is_the_only_door(tmp_path):
    sentinel, path = tmp_path / "ran", tmp_path / "own.pth"
    torch.save({**tensors(), "extra": Payload(sentinel)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"trust_checkpoint='sha256:{digest}'"):
        read_checkpoint(path)
    with pytest.raises(InputError, match="not the file that trust_checkpoint names"):
        read_checkpoint(path, trust="sha256:" + "0" * 64)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        read_checkpoint(path, trust="yes")
    assert not sentinel.exists()
    # Opened now, at the user's word: the program inside runs, and what is no tensor is refused.
    with pytest.raises(InputError, match="no tensors .extra."):
        read_checkpoint(path, trust=f"sha256:{digest}")
    assert sentinel.exists()


def test_a_trusted_module_gives_its_weights(tmp_path):
    path, network = tmp_path / "whole.pth", nn.Linear(3, 2)
    torch.save(network, path)
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found, _ = read_checkpoint(path, trust=f"sha256:{digest}")
    assert torch.equal(found["weight"], network.weight)


def test_legacy_tar_torchscript_and_traversal_are_refused(tmp_path):
    with tarfile.open(tmp_path / "old.pth", "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("storages")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(InputError, match="tar archive"):
        read_checkpoint(tmp_path / "old.pth")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("m/code/run.py", "pass")
    with pytest.raises(InputError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "up.pt", "w") as archive:
        archive.writestr("../../up", "x")
    with pytest.raises(InputError, match="outside itself"):
        read_checkpoint(tmp_path / "up.pt")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_cut_or_empty_file_is_an_input_error(tmp_path, name):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(tensors(), path)
    content = path.read_bytes()
    for length in (0, 5, len(content) // 2, len(content) - 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=name):
            read_checkpoint(path)


def test_a_storage_that_lies_about_its_size_is_refused(tmp_path):
    torch.save({"w": torch.arange(64.0)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as source, \
            zipfile.ZipFile(tmp_path / "lie.pth", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:8] if name.endswith("data/0") else content)
    with pytest.raises(InputError, match="lie.pth"):
        read_checkpoint(tmp_path / "lie.pth")


def test_an_unsafe_torch_opens_no_pickle(tmp_path, monkeypatch):
    torch.save(tensors(), tmp_path / "w.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(InputError, match="cannot be opened safely.*2.9.1.*safetensors"):
        read_checkpoint(tmp_path / "w.pth")


def test_missing_unknown_and_linked_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_checkpoint(tmp_path / "gone.pth")
    (tmp_path / "annexed.pth").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="datalad get"):
        read_checkpoint(tmp_path / "annexed.pth")
    (tmp_path / "w.npy").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no known kind.*\.safetensors"):
        read_checkpoint(tmp_path / "w.npy")


def test_prefixes_and_nesting_are_undone(tmp_path):
    wrapped = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tensors().items()}}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    found, digest = read_checkpoint(tmp_path / "wrapped.pth")
    assert set(found) == set(tensors())
    assert digest == hashlib.sha256((tmp_path / "wrapped.pth").read_bytes()).hexdigest()
    network = Small()
    load_tensors(network, found, where="wrapped.pth")
    assert torch.equal(network.fc.weight, tensors()["fc.weight"])


def test_nan_weights_are_refused_by_name(tmp_path):
    bad = tensors()
    bad["fc.bias"][0] = float("nan")
    save_file(bad, tmp_path / "nan.safetensors")
    with pytest.raises(InputError, match="NaN or infinite weights in fc.bias"):
        read_checkpoint(tmp_path / "nan.safetensors")


def test_a_misfit_names_what_does_not_fit():
    with pytest.raises(InputError, match="lacks 1 tensors .fc.bias."):
        load_tensors(Small(), {"fc.weight": torch.zeros(2, 3)}, where="w.pth")
    with pytest.raises(InputError, match="1 unexpected tensors .conv.weight."):
        load_tensors(Small(), {**tensors(), "conv.weight": torch.zeros(1)}, where="w.pth")
    with pytest.raises(InputError, match=r"fc.weight \(5, 3\) instead of \(2, 3\)"):
        load_tensors(Small(), {**tensors(), "fc.weight": torch.zeros(5, 3)}, where="w.pth")


def test_the_hash_of_tensors_sees_values_names_shapes_and_types():
    base = tensors_sha256(tensors())
    assert tensors_sha256(dict(reversed(tensors().items()))) == base
    changed = tensors()
    changed["fc.bias"][1] += 1e-6
    others = [changed, {"fc.weight": tensors()["fc.weight"], "fc.b": torch.ones(2)},
              {**tensors(), "fc.weight": tensors()["fc.weight"].reshape(3, 2)},
              {**tensors(), "fc.bias": torch.ones(2, dtype=torch.float64)}]
    assert len({base, *map(tensors_sha256, others)}) == 5
