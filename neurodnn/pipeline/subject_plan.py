"""One subject's job as names, headers and tables tell it; every fault of it is listed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import bids_label, parse_name, read_tsv, require_columns
from neurodnn.pipeline import inputs
from neurodnn.pipeline.checks import (
    check_confounds,
    check_headers,
    check_masks,
    check_repeats,
)
from neurodnn.pipeline.estimate import BRAIN_SHARE, estimate_job, kept_mb, mask_voxels
from neurodnn.pipeline.jobs import Job, Run
from neurodnn.pipeline.matching import (
    absent_file,
    refuse_absent_images,
    shared_stimuli,
)
from neurodnn.pipeline.presentation import check_order

if TYPE_CHECKING:
    import pandas as pd

    from neurodnn.pipeline.findings import Findings


def plan_job(
    found: Findings, subject: str, kind: str, root: Path, images: Sequence[Path]
) -> Job | None:
    """Return the job of one subject and task; None if a fault stands against it."""
    before = len(found.faults)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        job = found.attempt(lambda: _plan(found, subject, kind, root, images))
    notes = [str(item.message) for item in caught if issubclass(item.category, DataWarning)]
    if job is None or len(found.faults) > before:
        return None
    return replace(job, notes=tuple(dict.fromkeys((*notes, *job.notes))))


def _plan(
    found: Findings, subject: str, kind: str, root: Path, images: Sequence[Path]
) -> Job | None:
    where = f"sub-{subject}"
    space = inputs.choose_space(images, found.config.space, where)
    images = inputs.in_space(images, space)
    infos = check_headers(found, images, ndim=4 if kind == "bold" else None)
    runs, matched = _read_runs(found, root, kind, _runs(images, infos, kind), infos)
    if kind == "betas":
        runs = _give_masks(found, root, subject, space, runs)
    if infos:
        check_masks(found, runs, infos)
    if matched is None or not infos:
        return None
    refuse_absent_images(matched.only_in_events, found, where, kind)
    shared, notes = shared_stimuli(matched.matched, matched.only_in_events, found, where)
    strangers = matched.only_in_events
    if strangers:
        listed = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        text = f"{where}: {len(strangers)} names are no known stimulus ({listed}) and "
        if kind == "bold":
            text += (
                "enter the linear model as one regressor of no interest (names that mean rest, "
                "and rows without times, belong to the baseline)."
            )
        else:
            text += "their volumes were left out."
        notes.append(text)
    entities = parse_name(images[0])
    sessions = {parse_name(path).get("ses") for path in images}
    job = Job(
        subject=subject,
        session=entities.get("ses") if len(sessions) == 1 else None,
        task=entities.get("task"),
        space=space[0],
        resolution=space[1],
        kind=kind,
        runs=tuple(runs),
        stimuli=shared,
        match=matched.to_dict(),
        notes=tuple(notes),
    )
    check_order(job, found.config)
    return _with_estimate(found, job, infos)


def _read_runs(
    found: Findings, root: Path, kind: str, groups: dict[str, list[Path]], infos: dict[Path, Any]
) -> tuple[list[Run], Any]:
    """Return the runs and how their stimuli were matched; None where a table is at fault."""
    tables, runs = {}, {}
    for label, paths in groups.items():
        tables[label] = found.attempt(
            lambda paths=paths: _read_labels(found, paths, infos, kind)
        )
        runs[label] = _beside(found, root, kind, label, paths)
    if any(table is None for table in tables.values()):
        return list(runs.values()), None
    matched = found.attempt(lambda: match_tables(found, tables))
    if matched is None:
        return list(runs.values()), None
    stimuli, report = matched
    for label, (path, table) in tables.items():
        several = tuple(map(str, table["run"])) if "run" in table.columns else None
        if kind == "betas":
            if several:
                _refuse_gaps(path, table["run"].isna(), stimuli[label])
            check_repeats(found, path or groups[label][0], stimuli[label], several)
        runs[label] = replace(
            runs[label], labels=path, stimuli=tuple(stimuli[label]),
            volume_runs=several if kind == "betas" else None,
        )  # fmt: skip
    return list(runs.values()), report


def _refuse_gaps(path: Path, gaps: pd.Series, stimuli: Sequence[str | None]) -> None:
    """Refuse a volume that shows a stimulus in no run: it would count as a run of its own."""
    for row, (gap, name) in enumerate(zip(gaps, stimuli, strict=True)):
        if gap and name is not None:
            fault = f"column 'run' is empty in data row {row + 1}"
            raise InputError(message(str(path), fault, remedy="Fill it, or remove the column."))


def _runs(
    images: Sequence[Path], infos: dict[Path, Any], kind: str
) -> dict[str, list[Path]]:
    """Group images by run, in the order of the names; 4-D images are a run each."""
    several = len({parse_name(path).get("ses") for path in images}) > 1
    groups: dict[str, list[Path]] = {}
    for path in images:
        label = inputs.run_label(parse_name(path), several)
        groups.setdefault(label, []).append(path)
    for label, paths in groups.items():
        if len(paths) > 1 and any(len(infos[p].shape) == 4 for p in paths if p in infos):
            names = ", ".join(path.name for path in paths[:3])
            raise InputError(message(f"run {label}", f"has {len(paths)} 4-D {kind} images",
                                     got=names, remedy="Choose with --bids-filter-file."))
    return groups


def _read_labels(
    found: Findings, paths: Sequence[Path], infos: dict[Path, Any], kind: str
) -> tuple[Path | None, pd.DataFrame]:
    """Return the table of one run: its events, or one row per volume of betas."""
    import pandas as pd

    if kind == "bold":
        path = inputs.find_events(found.config, paths[0], found.filters)
        table = read_tsv(path, required=["onset", "duration"])
        return path, table
    path = inputs.labels_beside(paths[0])
    if path is not None and len(paths) == 1:
        table = read_tsv(path)
        info = infos.get(paths[0])
        volumes = 1 if info is None or len(info.shape) == 3 else info.shape[3]
        if info is not None and len(table) != volumes:
            raise InputError(
                message(str(paths[0]), f"holds {volumes} volumes but {path.name} has "
                        f"{len(table)} rows", remedy="Give one row per volume, in order.")
            )  # fmt: skip
        return path, table
    labels = [inputs.condition_label(parse_name(each)) for each in paths]
    if any(label is None for label in labels):
        unnamed = paths[labels.index(None)]
        raise InputError(
            message(str(unnamed), "nothing tells which stimulus each volume shows",
                    remedy=f"Add {inputs.sidecar_path(unnamed).with_suffix('.tsv').name} with a "
                    "column stimulus, one row per volume.")
        )  # fmt: skip
    return None, pd.DataFrame({"condition": labels})


def match_tables(
    found: Findings, tables: dict[str, Any]
) -> tuple[dict[str, list[str | None]], Any]:
    """Return the stimulus of each row of each run, and the report over all runs.

    Parameters
    ----------
    found : Findings
    tables : dict
        Label of a run to (path or None, table).
    """
    import pandas as pd

    from neurodnn.stimuli import match_stimuli

    config = found.config
    if config.stimulus_table and not config.stimulus_table.is_file():
        # worded as the plan words it, so that it is told once and not by every subject
        raise InputError(absent_file("stimulus-table", config.stimulus_table))
    first = next((path for path, _ in tables.values() if path is not None), None)
    joint = pd.concat([table for _, table in tables.values()], ignore_index=True)
    column = config.stimulus_column
    if column is None and "stimulus" in joint.columns:
        column = "stimulus"  # what tables beside betas call it
    stimuli = found.stimuli
    if first is None:
        joint, stimuli = _by_label(joint, column or "condition", stimuli)
    for path, table in tables.values():
        if path is not None and column is not None:
            require_columns(table, [column], where=str(path))
    try:
        keys, report = match_stimuli(
            joint, stimuli, column=column, key=config.stimulus_key, table=config.stimulus_table
        )
    except InputError as error:
        raise InputError(f"{first}: {error}" if first else str(error)) from error
    for path, table in tables.values():
        if path is not None:
            require_columns(table, [report.column], where=str(path))
    rows = [None if pd.isna(key) else str(key) for key in keys]
    split, start = {}, 0
    for label, (_, table) in tables.items():
        split[label] = rows[start : start + len(table)]
        start += len(table)
    return split, report


def _by_label(joint: pd.DataFrame, column: str, stimuli: Any) -> tuple[pd.DataFrame, Any]:
    """Undo what a BIDS label does to a stimulus name: face_01 stands as face01 in file names."""
    names = list(stimuli["stimulus"]) if hasattr(stimuli, "columns") else list(stimuli)
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(bids_label(name).casefold(), []).append(name)
    cells = []
    for cell in joint[column]:
        meant = spelled.get(str(cell).casefold(), [])
        cells.append(meant[0] if cell not in names and len(meant) == 1 else cell)
    return joint.assign(**{column: cells}), stimuli


def _beside(found: Findings, root: Path, kind: str, label: str, paths: Sequence[Path]) -> Run:
    """Return a run with what stands beside its images; labels and stimuli come later."""
    run = Run(label, tuple(paths), None, ())
    if kind == "betas":
        return run
    image = paths[0]
    confounds = inputs.find_beside(root, image, suffix="timeseries", desc="confounds",
                                   extension=".tsv", same_space=False)  # fmt: skip
    found.attempt(lambda: check_confounds(found, image, confounds))
    mask = None
    for extension in inputs.IMAGES:
        mask = mask or inputs.find_beside(
            root, image, suffix="mask", desc="brain", same_space=True, extension=extension
        )
    tr, reference = inputs.timing(root, image)
    return replace(run, confounds=confounds, mask=mask, tr=tr, slice_time_ref=reference)


def _give_masks(
    found: Findings, root: Path, subject: str, space: inputs.Space, runs: list[Run]
) -> list[Run]:
    """Betas take a mask of their own folder, else one of fMRIPrep in the same space."""
    masks: list[Path] = []
    for folder in (root, found.roots.get("fmriprep")):
        if folder is not None and not masks and (folder / f"sub-{subject}").is_dir():
            masks = inputs.find_masks(folder, subject, space, found.filters)
    task = parse_name(runs[0].images[0]).get("task")
    masks = [path for path in masks if parse_name(path).get("task") == task] or masks
    if not masks:
        return runs
    # one mask per run where their numbers agree, otherwise the first holds for all
    if len(masks) == len(runs):
        return [replace(run, mask=mask) for run, mask in zip(runs, masks, strict=True)]
    if len(masks) > 1:
        fault = f"{len(masks)} masks are there for {len(runs)} runs of betas; one is used for all"
        remedy = "Choose with --bids-filter-file, or lay one mask beside the betas."
        warnings.warn(message(f"sub-{subject}", fault, got=masks[0].name, remedy=remedy),
                      DataWarning, stacklevel=2)  # fmt: skip
    return [replace(runs[0], mask=masks[0]), *runs[1:]]


def _with_estimate(found: Findings, job: Job, infos: dict[Path, Any]) -> Job:
    info = next(iter(infos.values()))
    masks = [run.mask for run in job.runs if run.mask is not None]
    voxels = int(np.prod(info.shape[:3]) * BRAIN_SHARE)
    if masks:
        voxels = found.attempt(lambda: mask_voxels(masks[0]), voxels)
    volumes = [each.shape[3] if len(each.shape) == 4 else 1 for each in infos.values()]
    rows = sum(volumes) if job.kind == "betas" else len(job.stimuli) * len(job.runs)
    references = sum(len(rdms.dissimilarities) for _, rdms in found.user_rdms)
    if found.config.network != "none":
        references += len(found.config.layers) or 8
    zooms = np.sqrt((info.affine[:3, :3] ** 2).sum(axis=0))
    memory, seconds = estimate_job(
        info.shape, zooms, voxels, rows, volumes, len(job.stimuli), references, found.config
    )
    disk = kept_mb(voxels, rows, volumes, len(job.stimuli), found.config)
    return replace(job, voxels=voxels, memory_mb=memory, seconds=seconds, disk_mb=disk)
