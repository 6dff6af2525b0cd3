"""The plan: which jobs there are and everything that stands against them, all at once.

Only names, headers and tables are read, so that a wrong folder or a stimulus that nobody saw is
told in a second and not after a night.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import find_subjects, parse_name
from neurodnn.pipeline import inputs
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.findings import Findings
from neurodnn.pipeline.jobs import Job, Plan
from neurodnn.pipeline.logs import available_mb
from neurodnn.pipeline.meg_jobs import MegJob

MIN_STIMULI = 4  # fewer give RDMs of three entries, which correlate with anything


def make_plan(config: Config) -> Plan:
    """Return the plan of a participant-level run; faults are in it, not raised."""
    from neurodnn.pipeline.matching import plan_references, plan_stimuli

    found = Findings(config)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        found.attempt(lambda: _check_data_set(config))
        subjects = found.attempt(lambda: _subjects(config), [])
        found.filters = found.attempt(lambda: inputs.read_filters(config.bids_filter_file), {})
        found.mne_root = found.attempt(lambda: inputs.find_mne_root(config))
        fmri, meg = _modalities(found)
        _check_options(found)
        plan_references(found)
        plan_stimuli(found)
        jobs = _all_jobs(found, subjects, fmri, meg) if found.stimuli is not None else []
    for item in caught:
        if issubclass(item.category, DataWarning) and str(item.message) not in found.notes:
            found.notes.append(str(item.message))
    return Plan(
        config=config,
        jobs=tuple(jobs),
        faults=tuple(found.faults),
        notes=tuple(found.notes),
        skipped=tuple(found.skipped),
        left_out=tuple(found.left_out_lines()),
        roots=_roots(found, jobs),
        user_rdms=tuple(found.user_rdms),
        nuisance=tuple(found.nuisance),
        n_images=0 if found.stimuli is None else len(found.stimuli),
        available_mb=float(config.mem_mb or available_mb()),
    )


def _modalities(found: Findings) -> tuple[bool, bool]:
    """Return whether fMRI and whether MEG (or EEG) is to be analysed; look for the folders.

    What is asked for by name must be there; what is not is left out where the data lack it.
    """
    from neurodnn.pipeline.meg_inputs import has_recordings
    from neurodnn.pipeline.meg_planning import wanted_workflows

    config, named = found.config, found.config.workflow
    meg = bool(wanted_workflows(config)) and (bool(named) or has_recordings(config))
    fmri = not named or "fmri_searchlight" in named
    if fmri and not named and meg:
        try:
            found.roots = inputs.find_roots(config)
        except InputError as error:
            if any(name != "mne" for name, _ in config.derivatives):
                found.faults.append(str(error))
            found.leave_out("fmri_searchlight", "", f"{config.bids_dir.name}/derivatives holds "
                            "neither fmriprep nor betas")  # fmt: skip
            return False, True
    elif fmri:
        found.roots = found.attempt(lambda: inputs.find_roots(config), {})
        if not found.roots and not meg and has_recordings(replace(config, sensors="eeg")):
            found.faults.append(message("--sensors", "there are recordings of EEG alone",
                                        remedy="Give --sensors eeg to analyse them."))
    return fmri, meg


def _all_jobs(
    found: Findings, subjects: list[str], fmri: bool, meg: bool
) -> list[Job | MegJob]:
    """Return the jobs of all subjects, those of one together: fMRI, sensors, sources."""
    from neurodnn.pipeline.meg_planning import MegPlans, plan_meg

    jobs: list[Job | MegJob] = []
    plans = plan_meg(found, subjects) if meg else MegPlans()
    for subject in subjects:
        own: list[Job | MegJob] = [job for job in plans.jobs if job.subject == subject]
        missing = plans.without.get(subject)
        if fmri and found.roots:
            own = [*_subject_jobs(found, subject, lenient=bool(own)), *own]
            # told where recordings were expected: others have them, or they were asked for
            if missing and (plans.jobs or found.config.workflow):
                found.skipped.append((subject, missing))
        elif missing:
            _tell_missing(found, subject, missing)
        jobs += own
    _check_found(found, subjects, jobs)
    return jobs


def _tell_missing(found: Findings, subject: str, reason: str) -> None:
    """A subject without recordings is a fault where the options name it, and told otherwise."""
    from neurodnn.pipeline.meg_inputs import tasks_there

    config = found.config
    if config.participant_label or config.task_id:
        there = [label for label in tasks_there(subject, config) if label]
        found.faults.append(message(f"sub-{subject}", reason + " fit the options",
                                    allowed=f"tasks {', '.join(there) or 'none'}"))  # fmt: skip
    else:
        found.skipped.append((subject, reason))


def _roots(found: Findings, jobs: list[Job | MegJob]) -> dict[str, Path]:
    """Return the folders of derivatives that the jobs read."""
    if found.mne_root is None or not any(getattr(job, "source", None) for job in jobs):
        return found.roots
    return {**found.roots, "mne": found.mne_root}


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


def _subject_jobs(found: Findings, subject: str, *, lenient: bool = False) -> list[Job]:
    """Return the jobs of one subject, one per task (and per session where names differ).

    With `lenient` a subject without images is told, not refused: it has recordings.
    """
    from neurodnn.pipeline.subject_plan import plan_job

    images = found.attempt(lambda: _images(found, subject))
    if images is None:
        return []
    kind, root, paths = images
    if not paths:
        reason = f"no {kind} images in {root.name}"
        named = found.config.participant_label or found.config.task_id
        if named and not (lenient and not found.config.workflow):
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
    config = replace(found.config, task_id=(), run_id=(), session_label=())
    finder = inputs.find_betas if kind == "betas" else inputs.find_bold
    root = found.roots["betas" if kind == "betas" else "fmriprep"]
    return _find(finder, root, subject, config, {})


def _by_task(paths: Iterable[Path]) -> list[list[Path]]:
    groups: dict[str | None, list[Path]] = {}
    for path in paths:
        groups.setdefault(parse_name(path).get("task"), []).append(path)
    return list(groups.values())


def _check_found(found: Findings, subjects: list[str], jobs: list[Job | MegJob]) -> None:
    if subjects and not jobs and not found.faults:
        kinds = " or ".join(found.roots) or "MEG"
        found.faults.append(
            message(str(found.config.bids_dir), f"none of {len(subjects)} subjects has {kinds} "
                    "images", remedy="See --derivatives, --task-id and --space.")
        )  # fmt: skip
    names = [job.summary_path for job in jobs if isinstance(job, Job)]
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        found.faults.append(message(name, "two jobs would write this file",
                                    remedy="Choose with --task-id or --session-label."))
