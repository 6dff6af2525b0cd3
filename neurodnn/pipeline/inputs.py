"""Which files belong to which run: images, labels, confounds, masks. Names and headers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from neurodnn._checks import InputError, closest, message
from neurodnn.bids import (
    Entities,
    find_bids_files,
    find_derivatives,
    parse_name,
    read_json,
    read_sidecar,
    sidecar_path,
)
from neurodnn.pipeline.config import Config

IMAGES = (".nii.gz", ".nii")
DEFAULT_SPACE = ("MNI152NLin2009cAsym", "2")
BETA_WORDS = ("betas", "beta", "effect")
# Entities that distinguish runs of one subject and task; space, desc and the like do not.
RUN_KEYS = ("ses", "task", "acq", "ce", "rec", "dir", "run", "echo")

Space = tuple[str | None, str | None]  # space, resolution


def find_roots(config: Config) -> dict[str, Path]:
    """Return the folders that hold ``sub-*`` of each kind of fMRI derivative.

    Raises
    ------
    InputError
        A named folder holds no subjects, or none is named and the data set has none.
    """
    named = {name: folder for name, folder in config.derivatives if name != "mne"}
    if not named:
        folder = config.bids_dir / "derivatives"
        named = {
            name: folder / name for name in ("fmriprep", "betas") if (folder / name).is_dir()
        }
        if not named:
            raise InputError(
                message(
                    str(config.bids_dir / "derivatives"),
                    "holds neither fmriprep nor betas",
                    remedy="Give --derivatives fmriprep=PATH or betas=PATH.",
                )
            )
    return {name: _existing(name, folder) for name, folder in named.items()}


def find_mne_root(config: Config) -> Path | None:
    """Return the folder of inverse and forward solutions, None where there is none.

    Raises
    ------
    InputError
        The folder that ``--derivatives mne=PATH`` names does not exist.
    """
    named = dict(config.derivatives).get("mne")
    if named is None:
        usual = config.bids_dir / "derivatives" / "mne"
        return usual if next(usual.glob("sub-*"), None) is not None else None
    return _existing("mne", named)


def _existing(name: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(
            message(str(folder), f"the folder of --derivatives {name} does not exist",
                    remedy="Correct the path.")
        )  # fmt: skip
    return find_derivatives(folder)


def read_filters(path: Path | None) -> dict[str, dict[str, object]]:
    """Return the entities that images must have, by kind, from ``--bids-filter-file``."""
    if path is None:
        return {}
    content = read_json(path)
    allowed = ("bold", "betas", "mask", "events", "meg", "eeg")
    for kind, filters in content.items():
        if kind not in allowed:
            near = closest(kind, allowed)
            remedy = f"Did you mean {near}?" if near else None
            raise InputError(message(path.name, f"{kind!r} is not a kind of file",
                                     allowed=", ".join(allowed), remedy=remedy))  # fmt: skip
        if not isinstance(filters, Mapping):
            raise InputError(message(path.name, f"{kind!r} must hold entities", got=filters))
    return content


def find_bold(root: Path, subject: str, config: Config, filters: Mapping) -> list[Path]:
    """Return the preprocessed BOLD images of a subject, all spaces."""
    asked = {"desc": "preproc", **asked_entities(config), **filters.get("bold", {})}
    return find_bids_files(
        root, subject=subject, suffix="bold", extension=IMAGES, datatype="func", filters=asked
    )


def find_betas(root: Path, subject: str, config: Config, filters: Mapping) -> list[Path]:
    """Return the images of estimated responses of a subject, all spaces.

    Such are ``_beta``, ``_betas``, ``_statmap`` with ``stat-effect`` (with another ``stat`` only
    where that is the one there is) and anything with ``desc-betas``, unless the filter file says
    otherwise.
    """
    asked = {**asked_entities(config), **filters.get("betas", {})}
    found = find_bids_files(
        root, subject=subject, extension=IMAGES, datatype="func", filters=asked
    )
    found = [path for path in found if parse_name(path)["suffix"] not in ("mask", "bold")]
    if filters.get("betas"):
        return found
    words = {path: parse_name(path) for path in found}
    plain = [
        path for path, entities in words.items()
        if entities["suffix"] in BETA_WORDS or entities.get("desc") in BETA_WORDS
    ]  # fmt: skip
    maps = [path for path, entities in words.items() if entities["suffix"] == "statmap"]
    stats = sorted({words[path].get("stat", "") for path in maps})
    if "effect" in stats:
        maps = [path for path in maps if words[path].get("stat") == "effect"]
    elif len(stats) > 1:
        raise InputError(
            message(f"sub-{subject}", "has statistical maps of several kinds", got=stats,
                    remedy='Choose one in --bids-filter-file: {"betas": {"stat": "t"}}.')
        )  # fmt: skip
    return sorted(set(plain + maps), key=found.index)


def asked_entities(config: Config) -> dict[str, object]:
    """Return the sessions, tasks and runs that the options name, as filters of files."""
    asked: dict[str, object] = {}
    for key, labels in (("ses", config.session_label), ("task", config.task_id),
                        ("run", config.run_id)):  # fmt: skip
        if labels:
            asked[key] = [label.removeprefix(f"{key}-") for label in labels]
    return asked


def choose_space(paths: Sequence[Path], asked: str | None, where: str) -> Space:
    """Return the one space and resolution to work in; several need a choice.

    Raises
    ------
    InputError
        The space asked for is not there, or several are and none was asked for; those that are
        there are listed.
    """
    there = sorted({_space(parse_name(path)) for path in paths}, key=str)
    listed = ", ".join(space_text(space) for space in there)
    if asked is None:
        if DEFAULT_SPACE in there:
            return DEFAULT_SPACE
        if len(there) == 1:
            return there[0]
        raise InputError(
            message(f"{where}: --space", "several spaces are there", allowed=listed,
                    remedy="Choose one.")
        )  # fmt: skip
    name, _, resolution = asked.partition(":res-")
    fits = [s for s in there if s[0] == name and (not resolution or s[1] == resolution)]
    if len(fits) == 1:
        return fits[0]
    near = closest(asked, [space_text(space) for space in there])
    fault = "fits several" if fits else "is not there"
    raise InputError(
        message(f"{where}: --space", fault, got=asked, allowed=listed,
                remedy=f"Did you mean {near}?" if near else "Choose one of these.")
    )  # fmt: skip


def space_text(space: Space) -> str:
    """Return a space as it is given on the command line."""
    name, resolution = space
    return (name or "none") + (f":res-{resolution}" if resolution else "")


def in_space(paths: Sequence[Path], space: Space) -> list[Path]:
    """Return those of `paths` that lie in `space`."""
    return [path for path in paths if _space(parse_name(path)) == space]


def _space(entities: Entities) -> Space:
    return entities.get("space"), entities.get("res")


def run_label(entities: Entities, several_sessions: bool) -> str:
    """Return a label for one run that is unique within the job."""
    keys = [key for key in RUN_KEYS if key != "task" and (key != "ses" or several_sessions)]
    parts = [f"{key}-{entities[key]}" for key in keys if key in entities]
    return "_".join(parts) or "1"


def find_events(config: Config, image: Path, filters: Mapping) -> Path:
    """Return the events of a BOLD image in the raw data set; in its root where all runs share.

    Raises
    ------
    InputError
        There is none (what was looked for is said, and what is there), or several fit.
    """
    entities = parse_name(image)
    keep = {key: entities.get(key) for key in RUN_KEYS if key != "echo"}
    found = find_bids_files(
        config.bids_dir, subject=entities["sub"], suffix="events", extension=".tsv",
        datatype="func", filters={**keep, **filters.get("events", {})},
    )  # fmt: skip
    shared = config.bids_dir / f"task-{entities.get('task')}_events.tsv"
    if not found and shared.exists():
        return shared
    if len(found) == 1:
        return found[0]
    there = find_bids_files(
        config.bids_dir, subject=entities["sub"], suffix="events", extension=".tsv"
    )
    names = ", ".join(path.name for path in there[:5]) or "no events.tsv at all"
    wanted = "_".join(f"{key}-{label}" for key, label in keep.items() if label)
    fault = "has several events tables" if found else "has no events table"
    raise InputError(
        message(image.name, fault, got=f"sub-{entities['sub']}/**/*{wanted}_events.tsv",
                allowed=names, remedy="Add it to the raw data set, or leave the run out.")
    )  # fmt: skip


def find_beside(
    root: Path, image: Path, *, suffix: str, desc: str, same_space: bool, extension: str
) -> Path | None:
    """Return a file of the same run beside an image, such as mask or confounds; None if absent."""
    entities = parse_name(image)
    keep: dict[str, str | None] = {key: entities.get(key) for key in RUN_KEYS if key != "echo"}
    if same_space:
        keep |= {key: entities.get(key) for key in ("space", "res")}
    found = find_bids_files(
        root, subject=entities["sub"], suffix=suffix, extension=extension, datatype="func",
        filters={**keep, "desc": desc},
    )  # fmt: skip
    return found[0] if found else None


def find_masks(root: Path, subject: str, space: Space, filters: Mapping) -> list[Path]:
    """Return all brain masks of a subject in one space, functional ones."""
    asked = {"desc": "brain", "space": space[0], "res": space[1], **filters.get("mask", {})}
    return find_bids_files(
        root, subject=subject, suffix="mask", extension=IMAGES, datatype="func", filters=asked
    )


def labels_beside(image: Path) -> Path | None:
    """Return the table of the same stem as an image of betas, None if there is none."""
    table = sidecar_path(image).with_suffix(".tsv")
    return table if table.exists() else None


def timing(root: Path, image: Path) -> tuple[float | None, float]:
    """Return RepetitionTime in seconds (None if not stated) and the slice time reference.

    fMRIPrep shifts all slices to ``StartTime``, half a volume in where it does not say, and
    states that it did; onsets would be half a volume wrong if that were ignored.
    """
    sidecar = read_sidecar(image, root)
    tr = sidecar.get("RepetitionTime")
    tr = float(tr) if isinstance(tr, int | float) and tr > 0 else None
    if not sidecar.get("SliceTimingCorrected"):
        return tr, 0.0
    start = sidecar.get("StartTime")
    if tr and isinstance(start, int | float) and 0 <= start <= tr:
        return tr, float(start) / tr
    return tr, 0.5


def condition_label(entities: Entities) -> str | None:
    """Return the stimulus that the name of a 3-D image states."""
    for key in ("condition", "contrast", "label"):
        if key in entities:
            return entities[key]
    return None
