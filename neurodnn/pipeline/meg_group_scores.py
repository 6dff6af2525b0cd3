"""Time courses, RDMs and sensor maps of all subjects, read back from their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json, read_numbers, read_tsv, sidecar_path
from neurodnn.pipeline.group_intact import check_intact
from neurodnn.pipeline.meg_group_plan import MegGroupJob


def file_hashes(job: MegGroupJob, out: Path) -> list[list[Any]]:
    """Return subject, path and sha256 of every file of the subjects that a group reads."""
    rows = []
    for each in job.results:
        for path in read_paths(job, each):
            side = sidecar_path(out / path)
            stated = read_json(side).get("SHA256") if side.is_file() else None
            rows.append([str(each["Subject"]), path, stated])
    return rows


def read_paths(job: MegGroupJob, result: dict[str, Any]) -> list[str]:
    """Return the files of a subject that a group reads."""
    if job.workflow == "meg_timecourse":
        entries = [*result["TimeSeries"], *(result.get("SensorMaps") or [])]
        return [str(result["RDM"]), *(str(each["Path"]) for each in entries)]
    maps = [str(each.get(key)) for each in result["Maps"] for key in ("Path", "Morphed")
            if each.get(key)]  # fmt: skip
    return maps + [str(path) for path in (result.get("Surface") or {}).values()]


def read_courses(job: MegGroupJob, out: Path) -> Any:
    """Return scores (subject, time, reference) of all subjects; what lacks a value is NaN.

    Raises
    ------
    InputError
        A file is missing, changed, or lacks a reference; times differ.
    """
    import xarray as xr

    names = [str(each["Name"]) for each in job.references]
    times: np.ndarray | None = None
    rows = []
    for each in job.results:
        columns: dict[str, np.ndarray] = {}
        for entry in each["TimeSeries"]:
            relative = str(entry["Path"])
            check_intact(out, relative, each)
            table = read_tsv(out / relative, required=["time", *entry["References"]])
            own = read_numbers(table, "time", where=relative)
            times = own if times is None else times
            if own.shape != times.shape or np.abs(own - times).max(initial=0) > 1e-6:
                raise InputError(message(relative, "has other times than the first subject"))
            for name in entry["References"]:
                columns[str(name)] = read_numbers(table, name, where=relative)
        absent = [name for name in names if name not in columns]
        if absent:
            raise InputError(message(f"sub-{each['Subject']}", "has no time course of a reference",
                                     got=absent,
                                     remedy="Run the participant level again."))  # fmt: skip
        rows.append(np.stack([columns[name] for name in names], axis=1))
    return xr.DataArray(
        np.stack(rows), dims=("subject", "time", "reference"),
        coords={"subject": job.subjects, "time": times, "reference": names},
    )  # fmt: skip


def read_movies(job: MegGroupJob, out: Path, times: Sequence[float]) -> tuple[dict[str, Any], int]:
    """Return the RDMs in time by subject over the stimuli that all share, and how many do not.

    Raises
    ------
    InputError
        A file is missing or changed, or the subjects share fewer than 4 stimuli.
    """
    from neurodnn.rsa.movie_stimuli import movie_over
    from neurodnn.rsa.names import names_of
    from neurodnn.rsa.rdm_files import read_rdms

    movies = {}
    for subject, each in zip(job.subjects, job.results, strict=True):
        check_intact(out, str(each["RDM"]), each)
        movies[subject] = read_rdms(out / each["RDM"], axis="time", nan_policy="omit")
    sets = [set(names_of(movie, f"RDMs of sub-{who}")) for who, movie in movies.items()]
    common = sorted(set.intersection(*sets))
    if len(common) < 4:
        raise InputError(message(job.name, "the subjects share too few stimuli", got=len(common),
                                 allowed="at least 4"))  # fmt: skip
    found = {subject: movie_over(movie, common) for subject, movie in movies.items()}
    for subject, movie in found.items():
        if len(movie.rdm_descriptors["time"]) != len(times):
            raise InputError(message(f"RDMs of sub-{subject}", "are of other times than its curves",
                                     remedy="Run the participant level again."))  # fmt: skip
        # files of different rates differ in the last digits of the same time
        movie.rdm_descriptors["time"] = [float(time) for time in times]
    return found, len(set.union(*sets)) - len(common)


def mean_sensor_maps(job: MegGroupJob, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the mean maps on the sensors that all subjects have, by model, and notes.

    One evoked response per reference. Positions are those of the first subject. Sensors that lack
    a value in a subject at some time have none in the mean there.
    """
    from neurodnn.brain.score_files import read_sensor_maps
    from neurodnn.brain.sensor_maps import mean_evokeds

    models = [str(entry["Model"]) for entry in job.results[0].get("SensorMaps") or []]
    found, notes = {}, []
    for model in models:
        paths = [next((str(entry["Path"]) for entry in each.get("SensorMaps") or []
                       if entry["Model"] == model), None) for each in job.results]  # fmt: skip
        lacking = [f"sub-{who}" for who, path in zip(job.subjects, paths, strict=True)
                   if path is None or not (out / path).is_file()]  # fmt: skip
        if lacking:
            notes.append(f"There is no mean map on the sensors: {', '.join(lacking)} has none.")
            continue
        for each, path in zip(job.results, paths, strict=True):
            check_intact(out, path, each)
        maps = [read_sensor_maps(out / path) for path in paths]
        found[model] = mean_evokeds(maps)
        sensors = [set(own[0].ch_names) for own in maps]
        lost = len(set.union(*sensors)) - len(found[model][0].ch_names)
        if lost:
            notes.append(
                f"Mean maps on the sensors are of the {len(found[model][0].ch_names)} that all "
                f"subjects have; {lost} more {'is' if lost == 1 else 'are'} missing in some."
            )
    return found, list(dict.fromkeys(notes))
