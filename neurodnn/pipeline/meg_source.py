"""One subject's cortex: recordings to source patterns, to maps in time, to pairs of files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurodnn._checks import InputError
from neurodnn.bids import data_files
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.estimate import workers
from neurodnn.pipeline.logs import LOGGER, shows_progress
from neurodnn.pipeline.meg_files import MegFilesOut
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.subject_files import reference_fields

if TYPE_CHECKING:
    from neurodnn.pipeline.meg_patterns import MegLoaded

TEMPLATE = "fsaverage"


class SourceScores(NamedTuple):
    """Scores (vertex x time x reference), the inverse operator, and the scores on fsaverage."""

    scores: Any
    inverse: Any
    morphed: Any
    orientation: str


def source_scores(
    job: MegJob, loaded: MegLoaded, references: Any, nuisance: Any, config: Config
) -> SourceScores:
    """Return how well each reference accounts for the patterns round every source in time."""
    from neurodnn.brain.source import (
        make_inverse,
        read_inverse,
        source_neighbors,
        source_patterns,
    )
    from neurodnn.brain.source_residuals import SourceResiduals
    from neurodnn.workflows.meg_source_searchlight import meg_source_searchlight

    files = job.source
    if files.inverse is not None:
        inverse = read_inverse(files.inverse)
    else:
        inverse = make_inverse(loaded.epochs.info, files.forward, files.covariance)
    cut = {"width": config.time_window, "step": config.time_step, "method": config.source_method,
           "snr": config.snr}  # fmt: skip
    patterns = source_patterns(
        loaded.epochs, inverse, by_run=config.meg_metric == "crossnobis", **cut
    )
    residuals = None
    if config.meg_metric == "mahalanobis":
        # what single trials differ from the mean of their stimulus, on the cortex
        residuals = SourceResiduals(source_patterns(loaded.epochs, inverse, trials=True, **cut))
    neighbors = source_neighbors(inverse, config.source_radius)
    LOGGER.info("%s: %d sources, %d windows", job.name, neighbors.shape[0], len(patterns))
    scores = meg_source_searchlight(
        patterns, neighbors, references, metric=config.meg_metric, comparison=config.compare,
        residuals=residuals, nuisance=nuisance, semi=config.semi_partial, dtype=config.dtype,
        n_jobs=workers(config), progress=shows_progress(config),
    )  # fmt: skip
    return SourceScores(scores, inverse, _morphed(job, scores, inverse, config), "normal")


def _morphed(job: MegJob, scores: Any, inverse: Any, config: Config) -> Any:
    """Return the scores on fsaverage where FreeSurfer's folder is there, else None."""
    from neurodnn.brain.source import morph_scores
    from neurodnn.brain.source_space import source_subject

    if source_subject(inverse) == TEMPLATE:
        return None
    folder = next((path for path in (config.bids_dir / "derivatives" / "freesurfer",
                                     config.bids_dir / "derivatives" / "freesurfer" / "subjects")
                   if (path / TEMPLATE).is_dir()), None)  # fmt: skip
    try:
        return None if folder is None else morph_scores(scores, inverse, subjects_dir=folder)
    except InputError as error:
        LOGGER.warning("%s: not brought to fsaverage: %s", job.name, error)
        return None


def write_sources(
    files: MegFilesOut, loaded: MegLoaded, made: SourceScores
) -> tuple[dict[str, Any], tuple[str, list[str]]]:
    """Write maps and surfaces; return their entries and the methods' sentences."""
    from neurodnn.brain.source import source_meshes
    from neurodnn.pipeline.meg_results import source_entries, source_methods

    meshes = source_meshes(made.inverse)
    own = {
        **source_entries(files, loaded, made),
        "Maps": _write_maps(files, made, meshes),
        "Surface": _write_meshes(files, meshes),
    }
    return own, source_methods(files, made)


def _write_maps(
    files: MegFilesOut, made: SourceScores, meshes: dict[str, Any]
) -> list[dict[str, Any]]:
    from neurodnn.brain.source import scores_to_stcs

    estimates = scores_to_stcs(made.scores, made.inverse)
    morphed = {} if made.morphed is None else scores_to_stcs(made.morphed, subject=TEMPLATE)
    entries = []
    for each in files.context.references.references:
        fields = {
            "Description": f"Agreement of the patterns round each source with {each.name}, in time",
            **reference_fields(each, files.sources, files.context),
        }
        relative = files.job.source_map_path(each, files.context.statistic)
        files.put(relative, estimates[each.name], fields)
        entry: dict[str, Any] = {"Reference": each.name, "Label": each.label,
                                 "Path": data_files(relative)[0].as_posix()}  # fmt: skip
        if each.name in morphed:
            own = files.job.source_map_path(each, files.context.statistic, TEMPLATE)
            files.put(own, morphed[each.name], {**fields, "SpatialReference": TEMPLATE})
            entry["Morphed"] = data_files(own)[0].as_posix()
        entries.append(entry | _peak(made.scores.sel(reference=each.name), meshes))
    return entries


def _peak(scores: Any, meshes: dict[str, Any]) -> dict[str, Any]:
    """Return the largest score with its place in mm; nothing where none is defined."""
    values = scores.transpose("vertex", "time").values
    if not np.isfinite(values).any():
        return {}
    place, time = np.unravel_index(int(np.nanargmax(values)), values.shape)
    side, vertex = str(scores["hemisphere"].values[place]), int(scores["vertex"].values[place])
    x, y, z = (float(value) for value in meshes[side].coordinates[vertex])
    return {"Peak": {"Hemisphere": side, "Vertex": vertex, "X": x, "Y": y, "Z": z,
                     "Time": float(scores["time"].values[time]),
                     "Value": float(values[place, time])}}  # fmt: skip


def _write_meshes(files: MegFilesOut, meshes: dict[str, Any]) -> dict[str, str]:
    from neurodnn.brain.mesh_files import mesh_to_gifti

    surface = {}
    for side, mesh in meshes.items():
        fields = {"Description": "Surface on which the source maps lie; vertices are numbered as "
                  "in the maps", "Units": "mm"}  # fmt: skip
        relative = files.job.mesh_path(side[0].upper())
        surface[side.capitalize()] = files.put(relative, mesh_to_gifti(mesh), fields)
    return surface
