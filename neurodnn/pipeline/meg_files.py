"""The files of one subject's MEG or EEG: RDMs, time courses, sensor maps, each with its sidecar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import State, data_files, derivative_state, sidecar_path, write_derivative
from neurodnn.pipeline.jobs import Reference
from neurodnn.pipeline.logs import LOGGER
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.provenance import Context
from neurodnn.pipeline.subject_files import network_fields

if TYPE_CHECKING:
    from neurodnn.pipeline.meg_patterns import MegLoaded

_TIME = {"Description": "Centre of the window, from the onset of the stimulus", "Units": "s"}


@dataclass
class MegFilesOut:
    """Writes the files of one job and remembers which."""

    job: MegJob
    context: Context
    common: dict[str, Any]
    sources: list[str]
    written: list[Path] = field(default_factory=list)

    def put(self, relative: Path, obj: Any, fields: Mapping[str, Any]) -> str:
        """Write an object with its sidecar; return its place in the output folder."""
        config = self.context.config
        sidecar = {"Sources": self.sources, **fields, **self.common}
        write_derivative(config.output_dir / relative, obj, sidecar, overwrite=config.overwrite)
        LOGGER.debug("wrote %s", relative)
        self.written.append(relative)
        return relative.as_posix()


def by_model(references: Sequence[Reference]) -> dict[str, list[Reference]]:
    """Return the references of each model, in their order."""
    models: dict[str, list[Reference]] = {}
    for each in references:
        models.setdefault(each.model, []).append(each)
    return models


def promised_paths(job: MegJob, context: Context) -> list[Path]:
    """Return the files that a finished job has, whatever its results say."""
    statistic, references = context.statistic, context.references.references
    if job.workflow == "meg_source_searchlight":
        return [job.source_map_path(each, statistic) for each in references]
    return [job.rdm_path, *(job.course_path(model, statistic) for model in by_model(references))]


def optional_paths(job: MegJob, context: Context) -> list[Path]:
    """Return where files of a job may stand that only some data or options make."""
    statistic, references = context.statistic, context.references.references
    if job.workflow == "meg_source_searchlight":
        paths = [job.mesh_path(side) for side in ("L", "R")]
        return paths + [job.source_map_path(each, statistic, "fsaverage") for each in references]
    return [job.sensor_map_path(model, statistic) for model in by_model(references)]


def written_paths(content: Mapping[str, Any]) -> list[str]:
    """Return the files that results name as their own, those of pairs under one name."""
    found = [content.get("RDM"), *(content.get("Surface") or {}).values()]
    for key in ("TimeSeries", "SensorMaps", "Maps"):
        for entry in content.get(key) or []:
            found += [entry.get("Path"), entry.get("Morphed")]
    return [str(path) for path in found if path]


def remove_stale(files: MegFilesOut, content: Mapping[str, Any]) -> None:
    """Remove files of earlier options that this run did not write again (``--overwrite``)."""
    out = files.context.config.output_dir
    hashes = str(content["InputHash"]), str(content["ParameterHash"])
    for relative in optional_paths(files.job, files.context):
        if relative in files.written or not files.context.config.overwrite:
            continue
        if derivative_state(out / relative, *hashes) is State.OTHER:
            for path in [*data_files(out / relative), sidecar_path(out / relative)]:
                path.unlink()


def write_sensors(
    files: MegFilesOut, loaded: MegLoaded, made: Any
) -> tuple[dict[str, Any], tuple[str, list[str]]]:
    """Write RDMs, curves and sensor maps; return their entries and the methods' sentences."""
    from neurodnn.pipeline.meg_results import sensor_entries, sensor_methods

    rdm = files.put(files.job.rdm_path, made.movie, _of_movie(made.movie))
    courses = [_write_course(files, model, own, made.course)
               for model, own in by_model(files.context.references.references).items()]  # fmt: skip
    maps = [] if made.maps is None else _write_maps(files, loaded, made.maps)
    own = {
        **sensor_entries(files, loaded, made),
        "RDM": rdm,
        "TimeSeries": courses,
        "SensorMaps": maps,
        **({"SensorMapsSkippedBecause": made.reason} if made.reason else {}),
        "Peaks": _peaks(files, made.course),
    }
    return own, sensor_methods(files, loaded, made)


def _of_movie(movie: Any) -> dict[str, Any]:
    """Return the sidecar fields of the RDMs: their times, and how they were decoded."""
    notes = {key: value for key, value in (movie.descriptors or {}).items()
             if isinstance(value, str | int | float)}  # fmt: skip
    return {
        "Description": "Dissimilarity of the stimuli's patterns over all sensors, one RDM per time",
        "Times": [float(time) for time in movie.rdm_descriptors["time"]],
        "Dissimilarity": str(movie.dissimilarity_measure),
        "Details": notes,
    }


def _write_course(
    files: MegFilesOut, model: str, references: Sequence[Reference], course: Any
) -> dict[str, Any]:
    import pandas as pd

    names = [each.name for each in references]
    if "time" in names:
        raise InputError(message("references", "one is called 'time', as the column of seconds",
                                 remedy="Rename it."))  # fmt: skip
    columns = {"time": course["time"].values}
    columns |= {name: course.sel(reference=name).values for name in names}
    fields = {
        "Description": "Agreement of the RDM of all sensors at each time with each reference",
        **network_fields(files.context, references[0].source),
        "Columns": {"time": _TIME, **{name: {"Description": f"Agreement with {name}"}
                                      for name in names}},
    }  # fmt: skip
    path = files.job.course_path(model, files.context.statistic)
    written = files.put(path, pd.DataFrame(columns), fields)
    return {"Model": model, "Path": written, "References": names}


def _write_maps(files: MegFilesOut, loaded: MegLoaded, scores: Any) -> list[dict[str, Any]]:
    from neurodnn.brain.sensor_maps import scores_to_evokeds

    entries = []
    for model, own in by_model(files.context.references.references).items():
        names = [each.name for each in own]
        evokeds = scores_to_evokeds(scores.sel(reference=names), loaded.epochs.info)
        fields = {
            "Description": "Agreement of the patterns round each sensor with each reference, one "
            "evoked response per reference; scores without a unit",
            "References": names,
            **network_fields(files.context, own[0].source),
        }
        path = files.job.sensor_map_path(model, files.context.statistic)
        written = files.put(path, evokeds, fields)
        entries.append({"Model": model, "Path": written})
    return entries


def _peaks(files: MegFilesOut, course: Any) -> list[dict[str, Any]]:
    """Return the largest value of each curve and its time; nothing of a curve without values."""
    peaks = []
    for each in files.context.references.references:
        values = course.sel(reference=each.name)
        if not np.isfinite(values.values).any():
            continue
        place = int(np.nanargmax(values.values))
        peaks.append({"Reference": each.name, "Label": each.label,
                      "Time": float(course["time"].values[place]),
                      "Value": float(values.values[place])})  # fmt: skip
    return peaks
