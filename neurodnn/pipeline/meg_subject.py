"""One subject's MEG or EEG: recordings to RDMs in time, to curves and maps, to files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import is_done, read_json, write_derivative
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.estimate import workers
from neurodnn.pipeline.logs import LOGGER, collected_warnings, shows_progress
from neurodnn.pipeline.meg_files import MegFilesOut, promised_paths, remove_stale, written_paths
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.meg_patterns import (
    MegLoaded,
    MegPatterns,
    load_epochs,
    patterns_movie,
    sensor_patterns,
)
from neurodnn.pipeline.meg_provenance import meg_fields, meg_hashes, meg_inputs, meg_sources
from neurodnn.pipeline.provenance import Context


def is_meg_done(job: MegJob, context: Context) -> bool:
    """Whether all files of a job stand, whole and made from the same; else refuse or redo.

    Raises
    ------
    InputError
        A result of other inputs or options stands there and ``--overwrite`` was not given.
    """
    out, overwrite = context.config.output_dir, context.config.overwrite
    hashes = meg_hashes(job, meg_inputs(job, context), context)
    results, page = out / job.results_path, out / f"sub-{job.subject}.html"
    content = read_json(results) if results.exists() else {}
    paths = dict.fromkeys([*promised_paths(job, context), *map(Path, written_paths(content))])
    done = [is_done(out / path, *hashes, overwrite=overwrite) for path in paths]
    if not all(done) or not content or not page.exists():
        return False
    return (content.get("InputHash"), content.get("ParameterHash")) == hashes


def run_meg_job(job: MegJob, context: Context) -> list[str]:
    """Compute and write what one workflow makes of one subject; return its warnings."""
    config, out = context.config, context.config.output_dir
    inputs = meg_inputs(job, context)
    hashes = meg_hashes(job, inputs, context)
    with collected_warnings(context.scrub) as warned:
        loaded = load_epochs(job, config)
    # what the first job of a run alone sees must not stand in its sidecars: a resumed run would
    # write others
    references = context.references.over(job.stimuli)
    nuisance = context.references.nuisance_over(job.stimuli)
    with collected_warnings(context.scrub) as warned_later:
        made = _compute(job, loaded, references, nuisance, context)
    changed = [context.scrub(path) for path in context.hashes.changed()]
    if changed:
        raise InputError(message(changed[0], "changed while it was being read", got=changed[:5],
                                 remedy="Run again when nothing writes to the data set."))
    notes = list(dict.fromkeys([*map(context.scrub, job.notes), *warned, *warned_later]))
    files = MegFilesOut(
        job, context, meg_fields(job, context, hashes, notes), meg_sources(job, context)
    )
    content = _write(files, loaded, made, inputs, hashes, notes)
    remove_stale(files, content)
    write_derivative(out / job.results_path, content)
    return notes


def _compute(
    job: MegJob, loaded: MegLoaded, references: Any, nuisance: Any, context: Context
) -> Any:
    if job.workflow == "meg_source_searchlight":
        from neurodnn.pipeline.meg_source import source_scores

        return source_scores(job, loaded, references, nuisance, context.config)
    patterns = sensor_patterns(loaded.epochs, context.config)
    movie = patterns_movie(
        patterns, context.config, n_jobs=workers(context.config),
        progress=shows_progress(context.config),
    )  # fmt: skip
    course = _course(movie, references, nuisance, context.config)
    maps, reason = _sensor_maps(job, loaded, patterns, references, nuisance, context.config)
    if reason:
        LOGGER.info("%s: %s", job.name, reason)
    return SensorScores(patterns, movie, course, maps, reason)


class SensorScores:
    """RDMs in time, their scores, and maps over the sensors or the reason for none."""

    def __init__(
        self, patterns: MegPatterns, movie: Any, course: Any, maps: Any, reason: str
    ) -> None:
        self.patterns, self.movie, self.course = patterns, movie, course
        self.maps, self.reason = maps, reason


def _course(movie: Any, references: Any, nuisance: Any, config: Config) -> Any:
    """Return time x reference; NaN at times whose RDM is not complete."""
    from neurodnn.workflows.meg_timecourse import meg_timecourse

    times = list(movie.rdm_descriptors["time"])
    whole = np.isfinite(movie.dissimilarities).all(axis=1)
    if not whole.any():
        raise InputError(message("patterns", "no window has a complete RDM",
                                 remedy="Are sensors flat, or windows too short?"))  # fmt: skip
    rows = movie if whole.all() else movie[np.flatnonzero(whole)]
    scores = meg_timecourse(
        rows, references, comparison=config.compare, nuisance=nuisance, semi=config.semi_partial,
    )  # fmt: skip
    return scores if whole.all() else scores.reindex(time=times)


def _sensor_maps(
    job: MegJob, loaded: MegLoaded, patterns: MegPatterns, references: Any, nuisance: Any,
    config: Config,
) -> tuple[Any, str]:  # fmt: skip
    """Return the scores of each sensor's neighbourhood, or None and the reason."""
    from neurodnn.workflows.meg_sensor_maps import meg_sensor_maps

    if config.meg_metric == "decoding":
        return None, "no sensor maps: decoding is offered for all sensors together"
    LOGGER.info("%s: sensor maps", job.name)
    try:
        scores = meg_sensor_maps(
            patterns.windows, loaded.epochs.info, references, channels=config.sensors,
            radius=config.sensor_radius / 1000, metric=config.meg_metric,
            comparison=config.compare, residuals=patterns.residuals, nuisance=nuisance,
            semi=config.semi_partial, dtype=config.dtype, n_jobs=workers(config),
            progress=shows_progress(config),
        )  # fmt: skip
    except InputError as error:  # sensors without a position: the curves do not need them
        return None, f"no sensor maps: {error}"
    return scores, ""


def _write(
    files: MegFilesOut, loaded: MegLoaded, made: Any, inputs: list, hashes: tuple[str, str],
    notes: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Write the files and return the content of the results."""
    from neurodnn.pipeline import meg_results

    if files.job.workflow == "meg_source_searchlight":
        from neurodnn.pipeline.meg_source import write_sources

        own, methods = write_sources(files, loaded, made)
    else:
        from neurodnn.pipeline.meg_files import write_sensors

        own, methods = write_sensors(files, loaded, made)
    return meg_results.results(files, loaded, own, methods, inputs, hashes, notes)
