"""neurodnn.toml: read with the standard library, written so that it can be fed back."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message
from neurodnn.pipeline.options import BY_FIELD

if TYPE_CHECKING:
    from neurodnn.pipeline.config import Config

MAX_CONFIG_BYTES = 1_000_000


def to_toml(config: Config) -> str:
    """Return the resolved options as TOML that ``--config-file`` reads back.

    Paths are written from the output's ``logs/<run>`` folder, or from ``~``.
    """
    lines = ["# resolved options of this run; feed back with --config-file"]
    tables = []
    for field, option in BY_FIELD.items():
        value = getattr(config, field)
        if value is None or field in ("config_file", "work_dir") or value == ():
            continue
        if option.kind == "pairs":
            tables.append(f"\n[{option.name}]")
            tables += [f"{name} = {_toml(_portable(path, config))}" for name, path in value]
        elif isinstance(value, tuple):
            items = [_toml(_portable(item, config)) for item in value]
            lines.append(f"{option.name} = [{', '.join(items)}]")
        else:
            lines.append(f"{option.name} = {_toml(_portable(value, config))}")
    return "\n".join(lines + tables) + "\n"


def _portable(value: object, config: Config) -> object:
    home = home_folder()
    if not isinstance(value, Path):
        return value.replace(f"{home}/", "~/") if home and isinstance(value, str) else value
    if home is not None and value.is_relative_to(home):
        return "~/" + value.relative_to(home).as_posix()
    start = (config.output_dir or config.bids_dir) / "logs" / "run"
    # a path relative to another tree must not walk through somebody's home folder
    shared = Path(os.path.commonpath([value, start]))
    if shared != Path("/") and not (home and home.is_relative_to(shared)):
        return os.path.relpath(value, start)
    return value.as_posix()


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    # TOML forbids control characters in a basic string
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in text) + '"'


def read_toml(path: Path) -> dict[str, object]:
    """Return the content of a TOML file of at most 1 MB.

    Raises
    ------
    InputError
        The file cannot be read or is no TOML.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise InputError(
                message(path.name, "is larger than 1 MB", remedy="A configuration is short text.")
            )
        table = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(
            message(str(path), "cannot be read", remedy="Give the path of a TOML file.")
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            message(path.name, f"is not valid TOML: {error}", remedy="Correct that line.")
        ) from error
    return table


def home_folder() -> Path | None:
    """Return the user's home folder, None where there is none."""
    home = os.path.expanduser("~")
    return Path(home) if home not in ("~", "/", "") else None
