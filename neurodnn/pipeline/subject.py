"""One subject: images to patterns, patterns to maps, maps to files with their sidecars."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import is_done, read_json, read_tsv, write_derivative
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.estimate import workers
from neurodnn.pipeline.jobs import Job, Loaded
from neurodnn.pipeline.logs import LOGGER, collected_warnings, shows_progress
from neurodnn.pipeline.matching import modelled_names
from neurodnn.pipeline.presentation import order_entry, order_nuisance
from neurodnn.pipeline.provenance import (
    Context,
    common_fields,
    input_hash,
    job_inputs,
    job_parameter_hash,
    source_uri,
)
from neurodnn.pipeline.subject_files import (
    JobFiles,
    label_entry,
    optional_paths,
    remove_stale,
    write_maps,
    write_mask,
    write_patterns,
    write_reliability,
    written_paths,
)
from neurodnn.pipeline.subject_tests import run_tests


def is_job_done(job: Job, inputs: str, parameters: str, context: Context) -> bool:
    """Whether all files of a job stand, whole and made from the same; else refuse or redo.

    Raises
    ------
    InputError
        A result of other inputs or options stands there and ``--overwrite`` was not given.
    """
    out, overwrite = context.config.output_dir, context.config.overwrite
    paths = [job.mask_path]
    paths += [job.map_path(each, context.statistic) for each in context.references.references]
    paths += [path for path in optional_paths(job, context) if (out / path).exists()]
    done = [is_done(out / path, inputs, parameters, overwrite=overwrite) for path in paths]
    if not all(done):
        return False
    summary, page = out / job.summary_path, out / f"sub-{job.subject}.html"
    if not summary.exists() or not page.exists():
        return False
    content = read_json(summary)
    if not all((out / path).exists() for path in written_paths(content)):
        return False
    return (content.get("InputHash"), content.get("ParameterHash")) == (inputs, parameters)


def run_job(job: Job, context: Context) -> list[str]:
    """Compute and write the maps of one subject; return its warnings."""
    config, out = context.config, context.config.output_dir
    inputs = job_inputs(job, context)
    hashes = input_hash(job, inputs, context), job_parameter_hash(context)
    with collected_warnings(context.scrub) as warned:
        loaded = load_job(job, config)
    # what the first job of a run alone sees must not stand in its sidecars: a resumed run would
    # write others
    references = context.references.over(job.stimuli)
    held = order_nuisance(job) if config.nuisance_order else None
    nuisance = context.references.nuisance_over(job.stimuli, held)
    with collected_warnings(context.scrub) as warned_later:
        order = order_entry(job, references, config)
        scores = _scores(loaded, references, nuisance, config)
        tests = run_tests(job, loaded, references, nuisance, config)
    changed = [context.scrub(path) for path in context.hashes.changed()]
    if changed:
        raise InputError(message(changed[0], "changed while it was being read", got=changed[:5],
                                 remedy="Run again when nothing writes to the data set."))
    notes = list(dict.fromkeys([*map(context.scrub, job.notes), *warned, *warned_later]))
    common = common_fields(job, context, hashes, notes)
    sources = [source_uri(path, context) for run in job.runs for _, path in run.files]
    files = JobFiles(job, context, loaded, common, sources)
    write_mask(files)
    maps = write_maps(files, scores, tests)
    extras = {
        "OrderOfPresentation": order,
        "LabelTest": label_entry(tests),
        "Reliability": write_reliability(files, tests),
        "Patterns": write_patterns(files),
    }
    remove_stale(files)
    from neurodnn.pipeline.summary import subject_summary

    content = subject_summary(job, context, inputs, hashes, loaded, scores, maps, notes, extras)
    write_derivative(out / job.summary_path, content)
    return notes


def load_job(job: Job, config: Config) -> Loaded:
    """Return patterns of the compared stimuli inside the mask, and residuals where needed."""
    from neurodnn.workflows.restriction import restrict_patterns

    if job.kind == "betas":
        loaded = _load_betas(job)
    else:
        loaded = _load_bold(job, config)
    return loaded._replace(patterns=restrict_patterns(loaded.patterns, job.stimuli))


def _mask(job: Job) -> tuple[Any, str]:
    """Return the mask, the intersection where there are several, and how it came about."""
    from neurodnn.brain.masks import compute_mask, mask_array, read_mask
    from neurodnn.brain.nifti import fresh_image

    paths = list(dict.fromkeys(run.mask for run in job.runs if run.mask is not None))
    images = [path for run in job.runs for path in run.images]
    if not paths:
        mask = compute_mask(images, kind=job.kind)
        return mask, "computed from the images, because no mask was given"
    mask = read_mask(paths[0], like=images[0])
    if len(paths) == 1:
        return mask, f"{paths[0].name}"
    inside = mask_array(mask)
    for path in paths[1:]:
        inside &= mask_array(read_mask(path, like=images[0]))
    if not inside.any():
        raise InputError(message(str(paths[0]), "the masks of the runs have no voxel in common",
                                 remedy="Leave out the run whose mask is wrong."))  # fmt: skip
    return fresh_image(inside.astype(np.uint8), mask), f"intersection of {len(paths)} runs' masks"


def _load_betas(job: Job) -> Loaded:
    from neurodnn.brain.fmri import load_fmri_patterns

    mask, how = _mask(job)
    images, stimuli, runs = [], [], []
    several = len(job.runs) > 1 or any(run.volume_runs for run in job.runs)
    for run in job.runs:
        images += list(run.images)
        # a volume without a known stimulus is read and then left out; its name must be unique
        stimuli += [name or f"\0{run.label} {row}" for row, name in enumerate(run.stimuli)]
        runs += _volume_runs(run, len(job.runs) > 1)
    patterns = load_fmri_patterns(images, stimuli, mask, runs=runs if several else None)
    return Loaded(patterns, None, mask, how, None, None)


def _volume_runs(run: Any, several: bool) -> list[str]:
    if run.volume_runs is None:
        return [run.label] * len(run.stimuli)
    return [f"{run.label} {each}" if several else each for each in run.volume_runs]


def _load_bold(job: Job, config: Config) -> Loaded:
    from neurodnn.brain.confounds import load_confounds
    from neurodnn.brain.glm import GLMSettings, concatenate_runs, fit_glm

    mask, how = _mask(job)
    needs_noise = config.metric in ("mahalanobis", "crossnobis")
    parts, sentence = [], None
    for run in job.runs:
        LOGGER.info("%s: linear model of run %s", job.name, run.label)
        events = read_tsv(run.labels)
        named = modelled_names(events, str(job.match["Column"]), run.stimuli)
        events = events.assign(stimulus=named)
        confounds, sentence = load_confounds(run.confounds, config.confounds)
        settings = GLMSettings(
            hrf=config.hrf, noise_model=config.noise_model, estimate=config.estimate,
            slice_time_ref=run.slice_time_ref, keep_residuals=needs_noise,
        )  # fmt: skip
        parts.append(
            fit_glm(run.images[0], events, mask, confounds=confounds, tr=run.tr, run=run.label,
                    settings=settings)
        )  # fmt: skip
    joined = concatenate_runs(parts)
    return Loaded(joined.patterns, joined.residuals, mask, how, sentence, joined.description)


def _scores(loaded: Loaded, references: Any, nuisance: Any, config: Config) -> Any:
    from neurodnn.workflows.fmri_searchlight import fmri_searchlight

    return fmri_searchlight(
        loaded.patterns, loaded.mask, references, radius=config.radius, metric=config.metric,
        comparison=config.compare, residuals=loaded.residuals, nuisance=nuisance,
        semi=config.semi_partial, noise=config.noise, dtype=config.dtype,
        min_share=config.min_share, n_jobs=workers(config), progress=shows_progress(config),
    )  # fmt: skip
