"""The resolved options of one run: defaults, then neurodnn.toml, then the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neurodnn._checks import InputError, check_choice, closest, message
from neurodnn.pipeline.config_checks import check_together
from neurodnn.pipeline.converting import absolute, convert
from neurodnn.pipeline.options import BY_FIELD
from neurodnn.pipeline.toml import read_toml


@dataclass(frozen=True)
class Config:
    """Every option with its resolved value; see `neurodnn.pipeline.options` for their meaning.

    `bids_dir` and `output_dir` are absolute; `output_dir` is None for ``neurodnn check``.
    """

    bids_dir: Path
    output_dir: Path | None
    level: str = "participant"
    workflow: tuple[str, ...] = ()
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
    sensors: str = "meg"
    tmin: float = -0.1
    tmax: float = 0.8
    baseline: str = "start:0"
    low_pass: float | None = None
    resample: float | None = None
    bad_channels: str = "drop"
    time_window: float = 0.02
    time_step: float | None = None
    meg_metric: str = "correlation"
    meg_noise: str = "none"
    pseudo_trials: int = 5
    decoding_repeats: int = 100
    sensor_radius: float = 40.0
    source_radius: float = 20.0
    source_method: str = "dSPM"
    snr: float = 3.0
    n_bootstrap: int = 10_000
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
        path = absolute(given["config_file"], here)
        for name, value in read_toml(path).items():
            field = _field(name, path.name)
            values[field] = convert(BY_FIELD[field], value, path.parent, path.name)
    for field, value in given.items():
        values[field] = convert(BY_FIELD[field], value, here, "--" + BY_FIELD[field].name)
    values.setdefault("work_dir", absolute("work", here))
    config = Config(
        bids_dir=absolute(bids_dir, here),
        output_dir=None if output_dir is None else absolute(output_dir, here),
        level=check_choice("analysis_level", level, ("participant", "group")),
        **values,
    )
    check_together(config)
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


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # the folder was deleted under us; absolute paths still work
        return Path("/")
