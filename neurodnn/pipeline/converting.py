"""Values of options, from the command line or neurodnn.toml, in the type that each option takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.pipeline.options import Option


def convert(option: Option, value: object, folder: Path, where: str) -> object:
    """Return the value in the option's type; a wrong type names file, option and value.

    Parameters
    ----------
    option : Option
    value : object
        As the command line or the file has it.
    folder : path
        Where relative paths begin.
    where : str
        The file, or ``--name``, for messages.
    """
    label = f"{where}: {option.name}" if not where.startswith("--") else where
    if value is None:
        return None
    if option.kind == "flag":
        if not isinstance(value, bool):
            raise InputError(message(label, "must be true or false", got=value))
        return value
    if option.kind in ("int", "number"):
        return _convert_number(option, value, label)
    if option.kind == "pairs":
        return _convert_pairs(value, folder, label)
    if option.kind in ("texts", "paths"):
        items = [value] if isinstance(value, str | Path) else value
        if not isinstance(items, list | tuple):
            raise InputError(message(label, "must be a list of texts", got=value))
        single = option._replace(kind=option.kind[:-1])
        return tuple(convert(single, item, folder, where) for item in items)
    if not isinstance(value, str | Path) or not str(value).strip():
        raise InputError(message(label, "must be a text that is not empty", got=value))
    if option.kind == "path":
        return absolute(value, folder)
    if option.choices:
        return check_choice(label.lstrip("-"), value, option.choices)
    # a network may be a file of the user's: ~/my_model.py:build
    return os.path.expanduser(str(value)) if option.name == "network" else str(value)


def _convert_number(option: Option, value: object, label: str) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError(message(label, "must be a number", got=value))
    minimum = -float("inf") if option.minimum is None else option.minimum
    number = check_number(label, value, minimum=minimum, strict=option.strict)
    if option.kind == "number":
        return number
    if number != int(number):
        raise InputError(message(label, "must be a whole number", got=value))
    if option.choices:
        check_choice(label.lstrip("-"), str(int(number)), option.choices)
    return int(number)


def _convert_pairs(value: object, folder: Path, label: str) -> tuple[tuple[str, Path], ...]:
    if isinstance(value, Mapping):
        pairs = [(str(name), path) for name, path in value.items()]
    else:
        items = [value] if isinstance(value, str) else list(value)
        pairs = [tuple(str(item).split("=", 1)) for item in items]
    for pair in pairs:
        if len(pair) != 2 or not str(pair[1]).strip():
            raise InputError(
                message(label, "must be NAME=PATH", got="=".join(map(str, pair)),
                        allowed="fmriprep=PATH, betas=PATH, mne=PATH")
            )  # fmt: skip
        check_choice(label.lstrip("-"), pair[0], ("fmriprep", "betas", "mne"))
    return tuple((name, absolute(path, folder)) for name, path in pairs)


def absolute(path: object, folder: Path) -> Path:
    """Return a path from `folder`, ``~`` expanded, links left as they are."""
    text = os.path.expanduser(str(path))
    # normalised by hand: resolve() would follow the links by which annexed data sets work
    return Path(os.path.normpath(os.path.join(folder, text)))
