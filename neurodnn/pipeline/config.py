"""The resolved options of one run: defaults, then neurodnn.toml, then the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neurodnn._checks import InputError, check_choice, check_number, closest, message
from neurodnn.pipeline.options import BY_FIELD, Option
from neurodnn.pipeline.toml import read_toml


@dataclass(frozen=True)
class Config:
    """Every option with its resolved value; see `neurodnn.pipeline.options` for their meaning.

    `bids_dir` and `output_dir` are absolute; `output_dir` is None for ``neurodnn check``.
    """

    bids_dir: Path
    output_dir: Path | None
    level: str = "participant"
    network: str = "alexnet"
    weights: Path | None = None
    trust_checkpoint: str | None = None
    activation: str | None = None
    layers: tuple[str, ...] = ()
    layer_metric: str = "correlation"
    reference_rdms: tuple[Path, ...] = ()
    image_transform: str = "whole"
    metric: str = "correlation"
    compare: str = "spearman"
    noise: str = "pooled"
    nuisance_rdms: tuple[Path, ...] = ()
    nuisance_order: bool = False
    semi_partial: bool = False
    radius: float = 9.0
    min_share: float = 0.5
    dtype: str = "float64"
    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    task_id: tuple[str, ...] = ()
    run_id: tuple[str, ...] = ()
    space: str | None = None
    bids_filter_file: Path | None = None
    derivatives: tuple[tuple[str, Path], ...] = ()
    stimuli: Path | None = None
    stimulus_column: str | None = None
    stimulus_key: str = "name"
    stimulus_table: Path | None = None
    min_stimuli: int | None = None
    confounds: str = "motion6"
    hrf: str = "glover"
    noise_model: str = "ar1"
    estimate: str = "beta"
    label_permutations: int = 1000
    n_permutations: int = 10_000
    tail: str = "two-sided"
    inference: tuple[str, ...] = ("max", "cluster-mass")
    cluster_threshold: float = 0.001
    connectivity: int = 18
    tfce_step: float | None = None
    contrast: tuple[str, ...] = ()
    random_seed: int = 0
    n_cpus: int | None = None
    mem_mb: int | None = None
    device: str = "cpu"
    batch_size: int = 32
    work_dir: Path = Path("work")
    clean_workdir: bool = False
    dry_run: bool = False
    validate: bool = False
    config_file: Path | None = None
    overwrite: bool = False
    force: bool = False
    on_error: str = "continue"
    debug: bool = False
    keep_activations: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    verbose: bool = False
    quiet: bool = False


def make_config(
    bids_dir: str | Path,
    output_dir: str | Path | None,
    level: str = "participant",
    given: Mapping[str, object] | None = None,
) -> Config:
    """Return the resolved configuration of a run.

    Parameters
    ----------
    bids_dir, output_dir : path
        The data set and the folder of the results; `output_dir` None for ``check``.
    level : {"participant", "group"}
        Analysis level.
    given : mapping, optional
        Options that the user gave, by long name (``"n-cpus"`` or ``"n_cpus"``); a
        ``config-file`` among them is read first and loses against the rest.

    Raises
    ------
    InputError
        Unknown option (with the nearest name), a value of the wrong type or outside its range,
        a work folder inside the output.

    Examples
    --------
    >>> make_config("bids", "out", given={"radius": 6}).radius
    6.0
    """
    here = _working_directory()
    given = {_field(name, "option"): value for name, value in (given or {}).items()}
    values: dict[str, object] = {}
    if given.get("config_file"):
        path = _absolute(given["config_file"], here)
        for name, value in read_toml(path).items():
            field = _field(name, path.name)
            values[field] = _convert(BY_FIELD[field], value, path.parent, path.name)
    for field, value in given.items():
        values[field] = _convert(BY_FIELD[field], value, here, "--" + BY_FIELD[field].name)
    values.setdefault("work_dir", _absolute("work", here))
    config = Config(
        bids_dir=_absolute(bids_dir, here),
        output_dir=None if output_dir is None else _absolute(output_dir, here),
        level=check_choice("analysis_level", level, ("participant", "group")),
        **values,
    )
    _check_together(config)
    return config


def option_value(config: Config, field: str) -> object:
    """Return one option as plain text, numbers or lists, paths made relative where they can be.

    No output may carry the folders of a machine or a user's name.
    """
    value = getattr(config, field)
    if field == "network":  # may name a file: my_model.py:build, squeezenet1_0@weights.pth
        return re.sub(r"[^\s@]*/", "", value)
    if BY_FIELD[field].kind == "pairs":
        return {name: relative_path(path, config) for name, path in value}
    if isinstance(value, tuple):
        return [relative_path(v, config) if isinstance(v, Path) else v for v in value]
    return relative_path(value, config) if isinstance(value, Path) else value


def relative_path(path: Path, config: Config) -> str:
    """Return `path` from the data set or the output, or its last part where neither holds it.

    Examples
    --------
    >>> config = make_config("/data/bids", "/data/out")
    >>> relative_path(Path("/data/bids/stimuli"), config)
    'stimuli'
    >>> relative_path(Path("/home/jane/mine.csv"), config)
    'mine.csv'
    """
    for root, prefix in ((config.output_dir, "OUTPUT_DIR/"), (config.bids_dir, "")):
        if root is not None and path.is_relative_to(root):
            return prefix + path.relative_to(root).as_posix()
    return path.name


def _field(name: str, where: str) -> str:
    field = str(name).lstrip("-").replace("-", "_")
    if field in BY_FIELD:
        return field
    near = closest(field, BY_FIELD)
    remedy = f"Did you mean {BY_FIELD[near].name}?" if near else "See neurodnn --help."
    raise InputError(message(where, f"{name!r} is not an option", remedy=remedy))


def _convert(option: Option, value: object, folder: Path, where: str) -> object:
    """Return the value in the option's type; a wrong type names file, option and value."""
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
        return tuple(_convert(single, item, folder, where) for item in items)
    if not isinstance(value, str | Path) or not str(value).strip():
        raise InputError(message(label, "must be a text that is not empty", got=value))
    if option.kind == "path":
        return _absolute(value, folder)
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
                        allowed="fmriprep=PATH, betas=PATH")
            )  # fmt: skip
        check_choice(label.lstrip("-"), pair[0], ("fmriprep", "betas"))
    return tuple((name, _absolute(path, folder)) for name, path in pairs)


def _absolute(path: object, folder: Path) -> Path:
    text = os.path.expanduser(str(path))
    # normalised by hand: resolve() would follow the links by which annexed data sets work
    return Path(os.path.normpath(os.path.join(folder, text)))


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # the folder was deleted under us; absolute paths still work
        return Path("/")


def _check_inference(config: Config) -> None:
    if config.cluster_threshold >= 1:
        raise InputError(message("--cluster-threshold", "is a p value",
                                 got=config.cluster_threshold, allowed="0 to 1"))  # fmt: skip
    if 0 < config.label_permutations < 20:
        remedy = "Fewer cannot reach p <= .05."
        raise InputError(message("--label-permutations", "is too small",
                                 got=config.label_permutations, allowed="0, or at least 20",
                                 remedy=remedy))  # fmt: skip
    held = config.nuisance_rdms or config.nuisance_order
    if config.semi_partial and not held:
        raise InputError(message("--semi-partial", "has nothing to take out",
                                 remedy="Give --nuisance-rdms or --nuisance-order."))  # fmt: skip
    if held and config.compare not in ("spearman", "pearson"):
        option = "--nuisance-rdms" if config.nuisance_rdms else "--nuisance-order"
        raise InputError(message("--compare", f"has no partial form for {option}",
                                 got=config.compare, allowed="spearman, pearson"))  # fmt: skip
    if config.noise == "per-fold" and config.metric != "crossnobis":
        raise InputError(message("--noise", "per-fold belongs to --metric crossnobis",
                                 got=f"--metric {config.metric}"))  # fmt: skip
    for text in config.contrast:
        if " - " not in text:
            remedy = "Write 'A - B', with blanks round the minus sign."
            raise InputError(message("--contrast", "is no difference", got=text, remedy=remedy))


def _check_together(config: Config) -> None:
    if config.level != "group" and config.network == "none" and not config.reference_rdms:
        raise InputError(
            message("--network", "is none and no --reference-rdms are given", got="none",
                    remedy="Give a network, your own RDMs, or both.")
        )  # fmt: skip
    _check_inference(config)
    if config.min_share > 1:
        raise InputError(message("--min-share", "is a share", got=config.min_share,
                                 allowed="0 to 1"))  # fmt: skip
    if config.output_dir is None:
        return
    for name, folder in (("work-dir", config.work_dir), ("BIDS_DIR", config.bids_dir)):
        if folder.is_relative_to(config.output_dir):
            raise InputError(
                message(f"{name}", "lies inside OUTPUT_DIR", got=str(folder),
                        remedy="Choose a folder outside it.")
            )  # fmt: skip
