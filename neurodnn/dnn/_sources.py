"""Where a network comes from: the package, torchvision, a local file, or the user's program."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from neurodnn._checks import InputError, closest, message
from neurodnn.dnn.checkpoints import SUFFIXES, load_tensors, read_checkpoint
from neurodnn.dnn.images import ImageTransform

_ELSEWHERE = ("timm", "open_clip", "places365")


@dataclasses.dataclass(frozen=True)
class Source:
    """A network's name, taken apart."""

    kind: str
    model: str
    weights: str
    seed: int
    name: str


@dataclasses.dataclass
class Built:
    """A network as it came from its source, before it is made ready."""

    network: nn.Module
    published: ImageTransform
    architecture: str
    note: str
    sha256: str | None = None
    transform: Callable | None = None
    # Where the id left the weights to the default, the id with their name.
    name: str | None = None


def parse_name(name: str, weights: str | Path | None, seed: int) -> Source:
    """Return the parts of an id; see :func:`~neurodnn.dnn.networks.load_network`."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(message("network", "is no name", got=name,
                                 allowed="such as alexnet or neurodnn:scenes"))
    own = re.fullmatch(r"(.+\.py):(\w+)", name)
    if own:
        chosen = "" if weights is None else str(weights)
        tail = f"@{Path(chosen).name}" if chosen else ""
        return Source("file", name, chosen, seed, f"{Path(own[1]).name}:{own[2]}{tail}")
    model, _, chosen = name.partition("@")
    if weights is not None:
        if chosen and chosen != str(weights):
            raise InputError(message("weights", "are named twice", got=str(weights),
                                     allowed=chosen))
        chosen = str(weights)
    kind, _, rest = model.rpartition(":")
    kind = kind or "torchvision"
    if kind in _ELSEWHERE:
        raise InputError(message("network", f"{kind} networks are not offered", got=name,
                                 remedy="Build the network in a file of your own and name it "
                                 "my_model.py:build."))
    if kind not in ("torchvision", "neurodnn"):
        raise InputError(message("network", "is of no known kind", got=name,
                                 allowed="torchvision:NAME, neurodnn:scenes, FILE.py:FUNCTION"))
    chosen, seed = _parse_weights(chosen, seed)
    shown = f"none:seed={seed}" if chosen == "none" else Path(chosen).name
    return Source(kind, rest, chosen, seed, f"{kind}:{rest}" + (f"@{shown}" if shown else ""))


def _parse_weights(chosen: str, seed: int) -> tuple[str, int]:
    found = re.fullmatch(r"none(?::seed=(\d+))?", chosen, flags=re.IGNORECASE)
    if found:
        return "none", int(found[1]) if found[1] else int(seed)
    return chosen, int(seed)


def build(source: Source, *, trust: str | None = None) -> Built:
    """Return the network of `source`."""
    if source.kind == "file":
        return _from_program(source, trust)
    if source.kind == "neurodnn":
        from neurodnn.dnn import embedded

        return embedded.build(source)
    return _from_torchvision(source, trust)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Return ``make()`` under `seed`, leaving torch's random state as it was."""
    with torch.random.fork_rng(devices=[]):
        # The CPU generator alone: torch.manual_seed would reseed graphics cards too.
        torch.default_generator.manual_seed(seed)
        return make()


def _from_torchvision(source: Source, trust: str | None) -> Built:
    from torchvision import models

    known = models.list_models(module=models)
    if source.model not in known:
        near = closest(source.model, known)
        hint = f"Did you mean {near}?" if near else "See torchvision.models.list_models()."
        raise InputError(message("network", "torchvision has no such network",
                                 got=source.model, remedy=hint))
    options = models.get_model_weights(source.model)
    default = options.DEFAULT
    if source.weights == "none":
        network = seeded(lambda: _get(source.model), source.seed)
        return Built(network, published_transform(default), source.model,
                     f"untrained, random weights of seed {source.seed}; the hash is over tensors")
    if Path(source.weights).suffix.lower() in SUFFIXES:
        return _from_checkpoint(source, default, trust)
    return _from_release(source, options)


def _get(model: str, **options) -> nn.Module:
    from torchvision import models

    if model in ("googlenet", "inception_v3"):
        # Their auxiliary classifiers serve training only; their default start takes a minute.
        options = {"aux_logits": False, "init_weights": True, **options}
    return models.get_model(model, weights=None, **options)


def _from_checkpoint(source: Source, default, trust: str | None) -> Built:
    tensors, digest = read_checkpoint(source.weights, trust=trust)
    network = seeded(lambda: _get(source.model), source.seed)
    classes = _count_classes(network, tensors)
    if classes is not None:
        network = seeded(lambda: _get(source.model, num_classes=classes), source.seed)
    load_tensors(network, tensors, where=source.weights)
    kind = source.model + (f", {classes} classes" if classes else "")
    note = f"weights from the local file {Path(source.weights).name}"
    return Built(network, published_transform(default), kind, note, digest)


def _count_classes(network: nn.Module, tensors: dict[str, torch.Tensor]) -> int | None:
    """Return the number of classes of a checkpoint that has another number than 1000."""
    counts = set()
    for name, value in network.state_dict().items():
        other = tensors.get(name)
        if other is None or other.shape == value.shape or not value.ndim:
            continue
        if value.shape[0] != 1000 or other.shape[1:] != value.shape[1:]:
            return None
        counts.add(other.shape[0])
    return counts.pop() if len(counts) == 1 else None


def _from_release(source: Source, options) -> Built:
    from torchvision import models

    names = [entry.name for entry in options]
    chosen = source.weights or "DEFAULT"
    if chosen != "DEFAULT" and chosen not in names:
        near = closest(chosen, names)
        raise InputError(
            message("network", f"{source.model} has no such weights", got=chosen,
                    allowed=", ".join([*names, "none", "a file (" + ", ".join(SUFFIXES) + ")"]),
                    remedy=f"Did you mean {near}?" if near else None))
    entry = options[chosen]
    target = released_file(entry)
    # Proves that the file holds tensors only, before torchvision opens it in its own way.
    _, digest = read_checkpoint(target)
    try:
        network = models.get_model(source.model, weights=entry)
    except (RuntimeError, OSError, KeyError) as error:
        raise InputError(message(str(target), "does not fit the architecture; the file in the "
                                 "cache is not the published one",
                                 remedy="Delete it and fetch it again.")) from error
    return Built(network, published_transform(entry), source.model,
                 f"weights {entry.name} published with torchvision", digest,
                 name=f"torchvision:{source.model}@{entry.name}")


def released_file(entry) -> Path:
    """Return the file of torchvision's weights in torch's cache, fetched if that is allowed.

    Raises
    ------
    InputError
        With URL, size, target and the command to run, if the file is absent and the network is
        switched off (``NEURODNN_OFFLINE``) or does not answer.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    target = folder / Path(entry.url).name
    if target.is_file():
        _check_prefix(target)
        return target
    size = entry.meta.get("_file_size")
    remedy = (
        f"Fetch {entry.url}" + (f" ({size:.0f} MB)" if size else "") + f" to {target}, by: "
        f"curl --fail --location --create-dirs --output '{target}' '{entry.url}'"
    )
    if os.environ.get("NEURODNN_OFFLINE", "") not in ("", "0"):
        raise InputError(message(f"torchvision weights {entry}", "are not on this machine, and "
                                 "NEURODNN_OFFLINE forbids fetching them", remedy=remedy))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Downloads beside the target and moves it there only if the hash in its name agrees.
        torch.hub.download_url_to_file(entry.url, str(target), _prefix(target), progress=False)
    except (OSError, RuntimeError) as error:
        raise InputError(message(f"torchvision weights {entry}", f"cannot be fetched ({error})",
                                 remedy=remedy)) from error
    return target


def _prefix(target: Path) -> str | None:
    found = re.search(r"-([0-9a-f]{8,})\.", target.name)
    return found[1] if found else None


def _check_prefix(target: Path) -> None:
    prefix = _prefix(target)
    if prefix and not hashlib.sha256(target.read_bytes()).hexdigest().startswith(prefix):
        raise InputError(message(str(target), "is damaged: its sha256 does not begin as the "
                                 "file name says", remedy="Delete it and fetch it again."))


def published_transform(entry) -> ImageTransform:
    """Return the transform that torchvision published with weights."""
    preset = entry.transforms()
    return ImageTransform(
        size=int(preset.crop_size[0]),
        resize=int(preset.resize_size[0]),
        mean=tuple(float(value) for value in preset.mean),
        std=tuple(float(value) for value in preset.std),
        interpolation=preset.interpolation.value,
    )


def _from_program(source: Source, trust: str | None) -> Built:
    path_text, _, function = source.model.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise InputError(message("network", "the file does not exist", got=path_text))
    code_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    made = seeded(lambda: _call(path, function, code_hash), source.seed)
    network, transform = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(network, nn.Module) or not (transform is None or callable(transform)):
        raise InputError(message(source.name, "does not return a network", got=type(made).__name__,
                                 allowed="a torch Module, or (Module, transform)"))
    digest = None
    if source.weights:
        tensors, digest = read_checkpoint(source.weights, trust=trust)
        load_tensors(network, tensors, where=source.weights)
    note = f"built by the user's own program, sha256 {code_hash}"
    return Built(network, ImageTransform(resize=256), type(network).__name__, note, digest,
                 transform)


def _call(path: Path, function: str, code_hash: str) -> object:
    """Run the user's file and call its function; errors name the file and stay chained."""
    name = f"neurodnn_user_{code_hash[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles of the user's file look their module up here.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        return getattr(module, function)()
    except AttributeError as error:
        if hasattr(module, function):
            raise InputError(message(path.name, f"{function}() failed: {error}")) from error
        near = closest(function, [key for key in vars(module) if not key.startswith("_")])
        raise InputError(message(path.name, f"has no function {function}",
                                 remedy=f"Did you mean {near}?" if near else None)) from error
    except Exception as error:  # noqa: BLE001  (the user's program may raise anything)
        kind = type(error).__name__
        raise InputError(message(path.name, f"{function}() failed: {kind}: {error}")) from error
