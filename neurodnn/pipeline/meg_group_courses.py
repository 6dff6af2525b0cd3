"""A group's time courses: tested, timed, beside their noise ceiling, and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from neurodnn.bids import MODEL_ENTITY
from neurodnn.pipeline import meg_group_latency as latency
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_files import pair_targets
from neurodnn.pipeline.group_tests import (
    ALPHA,
    SubjectsTest,
    course_test,
    differences,
    find_pairs,
)
from neurodnn.pipeline.logs import LOGGER
from neurodnn.pipeline.meg_group_files import MegGroupFiles, described, name_parts, p_keys
from neurodnn.pipeline.meg_group_means import write_mean_movie, write_sensor_maps
from neurodnn.pipeline.meg_group_plan import MegGroupJob
from neurodnn.pipeline.meg_group_scores import read_courses, read_movies
from neurodnn.pipeline.meg_group_stimuli import CourseStimuli, ceiling_of, stimuli_test

_TIME = {"Description": "Centre of the window, from the onset of the stimulus", "Units": "s"}
CLUSTER_COLUMNS = {
    "inference": {"Description": "How clusters were made and compared"},
    "reference": {"Description": "Layer, RDM or difference"},
    "cluster": {"Description": "Number of the cluster within its reference and inference"},
    "sign": {"Description": "Whether the scores are above (+) or below (-) zero"},
    "start": {"Description": "First time of the cluster; its p does not vouch for it",
              "Units": "s"},
    "end": {"Description": "Last time of the cluster", "Units": "s"},
    "peak": {"Description": "Time of the largest t", "Units": "s"},
    "size": {"Description": "Times"},
    "mass": {"Description": "Sum of the size of t over its times"},
    "p": {"Description": "Of the cluster as a whole, corrected over times and references"},
    "peak_t": {"Description": "t at its peak"},
    "peak_mean": {"Description": "Mean score at its peak"},
}  # fmt: skip


class Measured(NamedTuple):
    """What all parts of the results read."""

    courses: Any  # subject x time x reference
    labels: list[str]
    subjects: SubjectsTest
    stimuli: CourseStimuli
    ceiling: Any


def course_group(job: MegGroupJob, config: Config, files: MegGroupFiles) -> dict[str, Any]:
    """Compute and write everything about a group of two and more; return its results."""
    out = config.output_dir
    courses = read_courses(job, out)
    movies, others = read_movies(job, out, courses["time"].values)
    labels = [str(each["Label"]) for each in job.references]
    tested = course_test(courses, config, what=job.name)
    ceiling, no_ceiling = ceiling_of(job, movies)
    stimuli = stimuli_test(job, movies, config)
    measured = Measured(courses, labels, tested, stimuli, ceiling)
    for reason in (tested.reason, stimuli.reason, no_ceiling):
        if reason:
            LOGGER.warning("%s: %s", job.name, reason)
    content = {"TimeSeries": _write_models(files, measured)}
    if ceiling is None:
        content["CeilingSkippedBecause"] = no_ceiling
    else:
        content["Ceiling"] = _write_ceiling(files, measured)
    content |= _write_clusters(files, tested, contrasts=False)
    content |= _write_times(files, measured)
    content |= _write_contrasts(files, courses, config)
    content["MeanRDM"] = write_mean_movie(files, movies)
    content["SensorMaps"], notes = write_sensor_maps(files)
    content["Warnings"] = [*_of_stimuli(job), *_of_ceiling(job, others, stimuli), *notes]
    content |= {"Times": job.results[0]["Times"], "Tested": measured}
    return content


def _of_stimuli(job: MegGroupJob) -> list[str]:
    counts = sorted(int(each["Stimuli"]["Compared"]) for each in job.results)
    if counts[0] == counts[-1]:
        return []
    return [
        f"The subjects were not compared over the same stimuli ({counts[0]} to {counts[-1]} each): "
        "means and t are over scores from different sets."
    ]


def _of_ceiling(job: MegGroupJob, others: int, stimuli: CourseStimuli) -> list[str]:
    if not others:
        return []
    return [
        f"Noise ceiling, mean RDMs and p over stimuli are of the {stimuli.n_stimuli} stimuli that "
        f"all subjects share; {others} more {'was' if others == 1 else 'were'} compared in some "
        "subjects only."
    ]


def _models(job: MegGroupJob) -> list[tuple[str, list[str]]]:
    return [(str(entry["Model"]), [str(name) for name in entry["References"]])
            for entry in job.results[0]["TimeSeries"]]  # fmt: skip


def _write_models(files: MegGroupFiles, measured: Measured) -> list[dict[str, Any]]:
    entries = []
    for model, names in _models(files.job):
        statistics = _write_tests(files, measured.subjects, measured.stimuli, names,
                                  {MODEL_ENTITY: model})  # fmt: skip
        entries.append({"Model": model, "References": names, "Statistics": statistics})
    return entries


def _write_tests(
    files: MegGroupFiles, subjects: SubjectsTest, stimuli: CourseStimuli | None,
    names: Sequence[str], entities: dict[str, str],
) -> dict[str, str]:  # fmt: skip
    """Write mean, t and every p of some references; return their places by key."""
    contrast = stimuli is None
    what = "Difference of agreement" if contrast else "Agreement with each reference"
    plain = {key: described(subjects.tested.attrs)[key] for key in ("GeneralisesTo", "Tail")}
    tables = {
        "mean": (subjects.tested["mean"], {**plain, "Description": f"{what}, mean over subjects"}),
        "t": (subjects.tested["t"], {**plain, "Description": f"{what}, t over subjects against 0"}),
    }  # fmt: skip
    keys = p_keys(list(subjects.corrected))
    for name, each in subjects.corrected.items():
        stated = {**described(each.attributes, contrasts=contrast), "Inference": name}
        if each.enhanced is not None:
            tables["tfce"] = (each.enhanced, {**stated, "Description": "Threshold-free enhanced t"})
        text = f"p over subjects, corrected for all times and {_kind(contrast)} ({name})"
        tables[keys[name]] = (each.p, {**stated, "Description": text})
    if stimuli is not None and stimuli.tested is not None:
        text = "p over shuffled stimuli, corrected for all times and references"
        tables["p_stimuli"] = (
            stimuli.tested["p_fwe"],
            {**described(stimuli.tested.attrs), "NumberOfStimuli": stimuli.n_stimuli,
             "Description": text},
        )  # fmt: skip
    sources = _sources(files.job)
    return {
        key: files.put(_table(values, names), {"Sources": sources, **fields, "Columns": _columns(
            names)}, **entities, **name_parts(key, "sensors"), suffix="timeseries",
            extension=".tsv")
        for key, (values, fields) in tables.items()
    }  # fmt: skip


def _kind(contrast: bool) -> str:
    return "differences" if contrast else "references"


def _sources(job: MegGroupJob) -> list[str]:
    return [f"bids::{entry['Path']}" for each in job.results for entry in each["TimeSeries"]]


def _columns(names: Sequence[str]) -> dict[str, Any]:
    return {"time": _TIME, **{name: {"Description": f"Of {name}"} for name in names}}


def _table(values: Any, names: Sequence[str]) -> pd.DataFrame:
    columns = {"time": values["time"].values}
    return pd.DataFrame(
        columns | {name: values.sel(reference=name).values for name in names}
    )


def _write_ceiling(files: MegGroupFiles, measured: Measured) -> str:
    ceiling = measured.ceiling
    table = pd.DataFrame({"time": ceiling["time"].values, "lower": ceiling["lower"].values,
                          "upper": ceiling["upper"].values})  # fmt: skip
    fields = {
        "Description": "Noise ceiling: between what scores the true model would lie",
        "Sources": [f"bids::{each['RDM']}" for each in files.job.results],
        "NumberOfStimuli": measured.stimuli.n_stimuli,
        "Columns": {
            "time": _TIME,
            "lower": {"Description": "Mean score of a subject's RDM against the mean RDM of the "
                      "other subjects"},
            "upper": {"Description": "The same against the mean RDM of all subjects"},
        },
    }  # fmt: skip
    return files.put(table, fields, desc="ceiling", suffix="timeseries", extension=".tsv")


def cluster_rows(subjects: SubjectsTest) -> pd.DataFrame:
    """Return the clusters of all inferences that make some, each with its first and last time."""
    rows = []
    for name, each in subjects.corrected.items():
        if each.clusters is None:
            continue
        for found in each.clusters.to_dict("records"):
            inside = each.labels.sel(reference=found["reference"]) == found["cluster"]
            times = inside["time"].values[inside.values]
            rows.append((name, str(found["reference"]), int(found["cluster"]),
                         "+" if found["sign"] > 0 else "-", float(times[0]), float(times[-1]),
                         float(found["peak_time"]), int(found["size"]), float(found["mass"]),
                         float(found["p_fwe"]), float(found["peak_t"]),
                         float(found["peak_mean"])))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(CLUSTER_COLUMNS))
    return table.sort_values(["inference", "p", "mass"], ascending=[True, True, False],
                             kind="stable", ignore_index=True)  # fmt: skip


def _write_clusters(
    files: MegGroupFiles, subjects: SubjectsTest, *, contrasts: bool
) -> dict[str, str]:
    if all(each.clusters is None for each in subjects.corrected.values()):
        return {}
    tests = {
        name: {**described(each.attributes, contrasts=contrasts),
               "ClusterThresholdP": files.config.cluster_threshold}
        for name, each in subjects.corrected.items() if each.clusters is not None
    }  # fmt: skip
    fields = {"Description": "Clusters of times beyond the threshold", "Tests": tests,
              "Sources": _sources(files.job), "Columns": CLUSTER_COLUMNS}  # fmt: skip
    desc = "sensorsContrasts" if contrasts else "sensors"
    path = files.put(cluster_rows(subjects), fields, desc=desc, suffix="clusters",
                     extension=".tsv")  # fmt: skip
    return {"ContrastClusters" if contrasts else "Clusters": path}


def _write_times(files: MegGroupFiles, measured: Measured) -> dict[str, Any]:
    """Write when curves peak and begin; return the entries, with the order of layers in time."""
    job, config, subjects = files.job, files.config, measured.subjects
    peaks, reason = latency.find_peaks(measured.courses, config, bool(subjects.corrected))
    content: dict[str, Any] = {"Hierarchy": latency.hierarchy(job, peaks, subjects, config)}
    sources = _sources(job)
    if peaks is None:
        return {**content, "PeaksSkippedBecause": reason}
    drawn = {"Sources": sources, "GeneralisesTo": "subjects", "RandomSeed": config.random_seed,
             "Bootstraps": int(peaks.attrs["n_bootstrap"]) if subjects.corrected else 0,
             "Window": peaks.attrs["window"]}  # fmt: skip
    table = latency.peak_table(peaks, measured.labels, subjects, measured.stimuli.tested,
                               measured.ceiling)  # fmt: skip
    told = {name: latency.PEAK_COLUMNS.get(name, {"Description": f"{name} at the peak"})
            for name in table.columns}  # fmt: skip
    content["Peaks"] = files.put(
        table, {"Description": "Peaks of the mean time courses", **drawn, "Columns": told},
        desc="sensors", suffix="peaks", extension=".tsv",
    )  # fmt: skip
    if not subjects.corrected:
        return {**content, "OnsetsSkippedBecause": subjects.reason}
    if len(measured.labels) > 1:
        content["PeakDifferences"] = files.put(
            latency.difference_table(peaks),
            {"Description": "Differences of peak latencies", **drawn,
             "Columns": latency.DIFFERENCE_COLUMNS},
            desc="sensors", suffix="differences", extension=".tsv",
        )  # fmt: skip
    onsets, chosen = latency.onset_table(measured.courses, measured.labels, subjects, config)
    content["Onsets"] = files.put(
        onsets, {"Description": "When the mean time courses begin to be significant", **drawn,
                 "Inference": chosen, "Alpha": ALPHA, "Columns": latency.ONSET_COLUMNS},
        desc="sensors", suffix="onsets", extension=".tsv",
    )  # fmt: skip
    return {**content, "OnsetInference": chosen}


def _write_contrasts(files: MegGroupFiles, courses: Any, config: Config) -> dict[str, Any]:
    """Write differences of references, a family of their own; return their entries."""
    names = [str(name) for name in courses["reference"].values]
    pairs, _ = find_pairs(config.contrast, names)
    if not pairs:
        return {}
    tested = course_test(differences(courses, pairs), config, what=f"{files.job.name}, differences")
    entries = []
    for each in pair_targets(pairs):
        statistics = _write_tests(files, tested, None, [each.name], each.entities)
        entries.append({"Pair": each.name, "References": [each.name], "Label": each.label,
                        "Statistics": statistics})  # fmt: skip
    return {"Contrasts": entries, **_write_clusters(files, tested, contrasts=True)}
