"""The plan: which jobs there are and everything that stands against them, all at once.

Only names, headers and tables are read, so that a wrong folder or a stimulus that nobody saw is
told in a second and not after a night.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import find_subjects, parse_name
from neurodnn.pipeline import inputs
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.findings import Findings
from neurodnn.pipeline.jobs import Job, Plan
from neurodnn.pipeline.logs import available_mb

MIN_STIMULI = 4  # fewer give RDMs of three entries, which correlate with anything


def make_plan(config: Config) -> Plan:
    """Return the plan of a participant-level run; faults are in it, not raised."""
    from neurodnn.pipeline.matching import plan_references, plan_stimuli

    found = Findings(config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        found.attempt(lambda: _check_data_set(config))
        subjects = found.attempt(lambda: _subjects(config), [])
        found.roots = found.attempt(lambda: inputs.find_roots(config), {})
        found.filters = found.attempt(lambda: inputs.read_filters(config.bids_filter_file), {})
        _check_options(found)
        plan_references(found)
        plan_stimuli(found)
        jobs: list[Job] = []
        if found.roots and found.stimuli is not None:
            for subject in subjects:
                jobs += _subject_jobs(found, subject)
        _check_found(found, subjects, jobs)
    for item in caught:
        if issubclass(item.category, DataWarning) and str(item.message) not in found.notes:
            found.notes.append(str(item.message))
    return Plan(
        config=config,
        jobs=tuple(jobs),
        faults=tuple(found.faults),
        notes=tuple(found.notes),
        skipped=tuple(found.skipped),
        roots=found.roots,
        user_rdms=tuple(found.user_rdms),
        nuisance=tuple(found.nuisance),
        n_images=0 if found.stimuli is None else len(found.stimuli),
        available_mb=float(config.mem_mb or available_mb()),
    )


def _check_data_set(config: Config) -> None:
    folder = config.bids_dir
    if not folder.is_dir():
        raise InputError(
            message(str(folder), "BIDS_DIR does not exist or is no folder",
                    remedy="Give the folder that holds sub-*.")
        )  # fmt: skip
    if not (folder / "dataset_description.json").exists():
        text = message(str(folder), "has no dataset_description.json, which BIDS requires")
        warnings.warn(text, DataWarning, stacklevel=2)


def _subjects(config: Config) -> list[str]:
    wanted = config.participant_label or None
    return find_subjects(config.bids_dir, wanted=wanted)


def _check_options(found: Findings) -> None:
    """Check options that libraries would refuse only when the computation has begun."""
    from neurodnn._checks import check_choice
    from neurodnn.brain.confounds import STRATEGIES
    from neurodnn.brain.glm_settings import GLMSettings
    from neurodnn.pipeline.matching import absent_file

    config = found.config
    found.attempt(lambda: check_choice("confounds", config.confounds, STRATEGIES))
    found.attempt(lambda: GLMSettings(hrf=config.hrf, noise_model=config.noise_model))
    needs_noise = config.metric == "mahalanobis" or config.noise == "per-fold"
    if needs_noise and "betas" in found.roots:
        option = "--noise per-fold" if config.noise == "per-fold" else "--metric mahalanobis"
        found.faults.append(
            message(option, "needs the residuals of the linear model, which betas do not bring",
                    remedy="Analyse fMRIPrep's runs, or choose another metric.")
        )  # fmt: skip
    for name, path in (("weights", config.weights), ("stimulus-table", config.stimulus_table)):
        if path is not None and not path.is_file():
            found.faults.append(absent_file(name, path))


def _subject_jobs(found: Findings, subject: str) -> list[Job]:
    """Return the jobs of one subject, one per task (and per session where names differ)."""
    from neurodnn.pipeline.subject_plan import plan_job

    images = found.attempt(lambda: _images(found, subject))
    if images is None:
        return []
    kind, root, paths = images
    if not paths:
        reason = f"no {kind} images in {root.name}"
        if found.config.participant_label or found.config.task_id:
            there = sorted({parse_name(p).get("task", "") for p in _all(found, kind, subject)})
            listed = ", ".join(label for label in there if label) or "none"
            found.faults.append(
                message(f"sub-{subject}", reason + " fit the options", allowed=f"tasks {listed}")
            )
        else:
            found.skipped.append((subject, reason))
        return []
    jobs = []
    for group in _by_task(paths):
        job = found.attempt(lambda group=group: plan_job(found, subject, kind, root, group))
        if job is not None:
            jobs.append(job)
    return jobs


def _images(found: Findings, subject: str) -> tuple[str, Path, list[Path]]:
    """Return the kind, root and images of a subject: betas where a folder of them is given."""
    config, filters = found.config, found.filters
    if "betas" in found.roots:
        root = found.roots["betas"]
        return "betas", root, _find(inputs.find_betas, root, subject, config, filters)
    root = found.roots["fmriprep"]
    return "bold", root, _find(inputs.find_bold, root, subject, config, filters)


def _find(finder: Callable, root: Path, subject: str, config: Config, filters: Any) -> list[Path]:
    if not (root / f"sub-{subject}").is_dir():
        return []
    return finder(root, subject, config, filters)


def _all(found: Findings, kind: str, subject: str) -> list[Path]:
    from dataclasses import replace

    config = replace(found.config, task_id=(), run_id=(), session_label=())
    finder = inputs.find_betas if kind == "betas" else inputs.find_bold
    root = found.roots["betas" if kind == "betas" else "fmriprep"]
    return _find(finder, root, subject, config, {})


def _by_task(paths: Iterable[Path]) -> list[list[Path]]:
    groups: dict[str | None, list[Path]] = {}
    for path in paths:
        groups.setdefault(parse_name(path).get("task"), []).append(path)
    return list(groups.values())


def _check_found(found: Findings, subjects: list[str], jobs: list[Job]) -> None:
    if subjects and not jobs and not found.faults:
        kinds = " or ".join(found.roots)
        found.faults.append(
            message(str(found.config.bids_dir), f"none of {len(subjects)} subjects has {kinds} "
                    "images", remedy="See --derivatives, --task-id and --space.")
        )  # fmt: skip
    names = [job.summary_path for job in jobs]
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        found.faults.append(message(name, "two jobs would write this file",
                                    remedy="Choose with --task-id or --session-label."))
