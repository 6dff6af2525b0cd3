"""Weights from files: safe by default, checked against the architecture before they are used.

A pickle can run any program when it is opened. Hence the order: safetensors, then
``torch.load(weights_only=True)``, then refusal. The only other door is a SHA-256 that the
user wrote down for exactly this file.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import torch

from neurodnn._checks import InputError, closest, message

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
MAX_BYTES = 8 * 1024**3
# weights_only could be tricked before (CVE-2025-32434, CVE-2026-24747).
SAFE_TORCH = (2, 10)
# Training scripts nest the weights under one of these keys, and wrappers prefix every name.
_NESTED = ("state_dict", "model_state_dict", "model", "net", "network")
_PREFIXES = ("module.", "_orig_mod.")
_REFUSED = (
    "is refused, because it holds more than tensors and opening it could run a program"
)


def read_checkpoint(
    path: str | Path, *, trust: str | None = None
) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors of a checkpoint by name, and the SHA-256 of the file.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file, or a ``.pth``, ``.pt``, ``.bin`` or ``.ckpt`` written by
        ``torch.save``. The latter is opened with ``weights_only=True``.
    trust : str, optional
        ``"sha256:<64 hexadecimal digits>"``: the file is opened with full pickle if, and only
        if, its content has this hash. Do this only for a file whose author you trust.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        On the CPU; a nesting key such as ``state_dict`` and prefixes such as ``module.`` are
        removed.
    sha256 : str
        Of the file's bytes, 64 hexadecimal digits.

    Raises
    ------
    InputError
        If the file is missing, damaged, of an unknown kind, holds other objects than tensors,
        or holds NaN or infinite weights.

    Examples
    --------
    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "tiny.pth"
    >>> torch.save({"fc.weight": torch.zeros(2, 3)}, path)
    >>> tensors, digest = read_checkpoint(path)
    >>> tuple(tensors["fc.weight"].shape), len(digest)
    ((2, 3), 64)
    """
    path = Path(path)
    content = _read_bytes(path)
    digest = hashlib.sha256(content).hexdigest()
    trusted = trust is not None and _check_trust(path, trust, digest)
    if path.suffix.lower() == ".safetensors":
        loaded = _load_safetensors(path, content)
    else:
        _refuse_archives(path, content)
        loaded = _load_torch(path, content, digest, trusted)
    tensors = _unwrap(path, loaded)
    _check_finite(path, tensors)
    return tensors, digest


def tensors_sha256(tensors: dict[str, torch.Tensor]) -> str:
    """Return one SHA-256 over names, types, shapes and bytes of all tensors, sorted by name.

    The same weights give the same hash whatever file format they came from.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        Such as ``network.state_dict()``.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> a = {"w": torch.ones(2)}
    >>> tensors_sha256(a) == tensors_sha256({"w": torch.ones(2)})
    True
    """
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def load_tensors(
    network: torch.nn.Module, tensors: dict[str, torch.Tensor], *, where: str
) -> None:
    """Put `tensors` into `network`, all of them and nothing else.

    Parameters
    ----------
    network : torch.nn.Module
        The architecture.
    tensors : dict
        As read by :func:`read_checkpoint`.
    where : str
        Name of the file, for messages.

    Raises
    ------
    InputError
        Naming the missing and unexpected tensors and those of another shape.

    Examples
    --------
    >>> network = torch.nn.Linear(2, 1)
    >>> load_tensors(network, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, where="w.pth")
    >>> network.weight.tolist()
    [[1.0, 1.0]]
    """
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    # Files older than torch 0.4 lack this counter, which plays no part when a network is used.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    extra = sorted(set(tensors) - set(wanted))
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(set(wanted) & set(tensors))
        if tensors[name].shape != wanted[name].shape
    ]
    faults = []
    if missing:
        faults.append(f"lacks {len(missing)} tensors ({_some(missing)})")
    if extra:
        faults.append(f"has {len(extra)} unexpected tensors ({_some(extra)})")
    if shapes:
        faults.append(f"has {len(shapes)} tensors of another shape ({_some(shapes)})")
    if faults:
        near = closest(extra[0], missing) if extra and missing else None
        hint = f"Does {extra[0]} mean {near}? " if near else ""
        remedy = f"{hint}Name the architecture that the weights were trained with."
        kind = type(network).__name__
        raise InputError(message(where, f"does not fit {kind}: " + "; ".join(faults),
                                 remedy=remedy))
    network.load_state_dict(tensors, strict=False)


def _read_bytes(path: Path) -> bytes:
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(message(str(path), "is no known kind of checkpoint",
                                 got=path.suffix, allowed=", ".join(SUFFIXES)))
    if not path.is_file():
        gone = "is a link to a file that is not here" if path.is_symlink() else "does not exist"
        remedy = "Run: datalad get " + path.name if path.is_symlink() else None
        raise InputError(message(str(path), gone, remedy=remedy))
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise InputError(message(str(path), "has an impossible size", got=f"{size} bytes",
                                 allowed=f"1 to {MAX_BYTES} bytes"))
    return path.read_bytes()


def _check_trust(path: Path, trust: str, digest: str) -> bool:
    if not re.fullmatch(r"sha256:[0-9a-fA-F]{64}", trust):
        raise InputError(message("trust_checkpoint", "is not a hash", got=trust,
                                 allowed="sha256: and 64 hexadecimal digits"))
    if trust[7:].lower() != digest:
        raise InputError(message(str(path), "is not the file that trust_checkpoint names",
                                 got=f"sha256:{digest}", allowed=trust))
    return True


def _load_safetensors(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InputError(message(str(path), f"is no intact safetensors file ({error})",
                                 remedy="Fetch it again.")) from error


def _refuse_archives(path: Path, content: bytes) -> None:
    """Refuse containers that torch would open by other means than reading tensors."""
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)):
            raise InputError(message(str(path), "is a tar archive, a form that torch left in "
                                     "2016 and that cannot be opened safely",
                                     remedy="Save the weights as .safetensors."))
    if not content.startswith(b"PK"):
        return
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile as error:
        raise InputError(message(str(path), "is damaged or cut short",
                                 remedy="Fetch it again.")) from error
    if any(".." in Path(name).parts or name.startswith("/") for name in names):
        raise InputError(message(str(path), "names files outside itself and is refused"))
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise InputError(message(str(path), "is TorchScript, which is program code",
                                 remedy="Save the state_dict as .safetensors."))


def _load_torch(path: Path, content: bytes, digest: str, trusted: bool) -> object:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < SAFE_TORCH:
        raise InputError(message(str(path), "cannot be opened safely with this torch",
                                 got=torch.__version__, allowed=">= 2.10",
                                 remedy="Update torch, or use .safetensors."))
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        remedy = (
            "Ask its author for .safetensors. If you trust the file as you trust a program: "
            f"trust_checkpoint='sha256:{digest}'."
        )
        raise InputError(message(str(path), _REFUSED, remedy=remedy)) from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError,
            OSError, ImportError, AssertionError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(message(str(path), f"cannot be read as a checkpoint ({first})",
                                 remedy="Fetch it again.")) from error


def _unwrap(path: Path, loaded: object) -> dict[str, torch.Tensor]:
    if isinstance(loaded, torch.nn.Module):
        loaded = loaded.state_dict()
    for key in _NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded:
        raise InputError(message(str(path), "holds no dictionary of tensors",
                                 got=type(loaded).__name__))
    strange = [key for key, value in loaded.items()
               if not isinstance(value, torch.Tensor) or not isinstance(key, str)]
    if strange:
        fault = f"holds entries that are no tensors ({_some(strange)})"
        raise InputError(message(str(path), fault, remedy="Save the network's state_dict alone."))
    tensors = dict(loaded)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name[len(prefix):]: value for name, value in tensors.items()}
    return tensors


def _check_finite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    bad = [name for name, value in tensors.items()
           if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise InputError(message(str(path), f"holds NaN or infinite weights in {_some(bad)}",
                                 remedy="The training diverged or the file is damaged."))


def _some(names: list) -> str:
    """Return up to three names and how many follow."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(str(name) for name in names[:3]) + rest
