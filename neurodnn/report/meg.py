"""MEG on the pages: time courses with ceilings and clusters, peaks, and peaks on the cortex."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neurodnn._checks import InputError
from neurodnn.plotting.timecourses import plot_timecourse
from neurodnn.report import facts
from neurodnn.report.courses import (
    Courses,
    group_courses,
    ms,
    number,
    read_ceiling,
    read_rows,
    span_ms,
    subject_courses,
)
from neurodnn.report.meg_stills import sensor_pictures, source_pictures
from neurodnn.report.pictures import figure_to_uri
from neurodnn.report.tree import MEG, SOURCE, Summary, group_summaries, subject_summaries

_TITLES = {MEG: "When each layer fits (MEG)", SOURCE: "Where on the cortex, and when (MEG sources)"}
_ALPHA = 0.05
_SIDE = {"+": "above 0", "-": "below 0", "1": "above 0", "1.0": "above 0", "-1": "below 0",
         "-1.0": "below 0"}  # fmt: skip


def has_meg(root: Path, subject: str | None = None) -> bool:
    """Return whether the tree holds results of MEG, of one subject or of any."""
    return any(subject_summaries(root, subject, kind=kind) for kind in (MEG, SOURCE))


def meg_subject_sections(root: Path, subject: str) -> list[dict[str, Any]]:
    """Return what the page of one subject says about MEG in time and on the cortex."""
    found = []
    for kind in (MEG, SOURCE):
        for number_, summary in enumerate(subject_summaries(root, subject, kind=kind)):
            section = _head(summary, kind, number_)
            if kind == MEG:
                section["pictures"] = _pictures(summary, subject_courses(summary), None)
                section["pictures"] += sensor_pictures(summary)
                section["peaks"] = _subject_peaks(summary)
            else:
                section["pictures"] = source_pictures(summary)
                section["peaks"] = _source_peaks(summary)
            found.append(_closed(section, summary, f"{kind}{number_}"))
    return found


def meg_group_sections(root: Path) -> list[dict[str, Any]]:
    """Return what the entry page says about MEG of the group, in time and on the cortex."""
    found = []
    for kind in (MEG, SOURCE):
        everybody = subject_summaries(root, kind=kind)
        for number_, summary in enumerate(group_summaries(root, kind=kind)):
            section = _head(summary, kind, number_)
            section["title"] = f"Group: {section['title']}"
            if kind == MEG:
                courses = group_courses(summary, everybody)
                section["pictures"] = _pictures(summary, courses, read_ceiling(summary))
                section["pictures"] += sensor_pictures(summary)
                section["peaks"] = _group_peaks(summary, courses)
                section["clusters"] = _clusters(summary)
                section["hierarchy"] = _hierarchy(summary)
            else:
                section["pictures"] = source_pictures(summary)
                section["peaks"] = _source_peaks(summary)
            section["reading"] = _reading(summary, kind)
            found.append(_closed(section, summary, f"g{kind}{number_}"))
    return found


def _head(summary: Summary, kind: str, number_: int) -> dict[str, Any]:
    title = _TITLES[kind] + (f": {summary.title()}" if summary.title() else "")
    return {
        "title": title, "skipped": summary.text("SkippedBecause"), "facts": _facts(summary),
        "pictures": [], "peaks": facts.table("", (), []), "clusters": facts.table("", (), []),
        "hierarchy": "", "reading": [], "parameters": facts.parameters_table(summary),
        "inputs": facts.inputs_table(summary),
    }  # fmt: skip


def _closed(section: dict[str, Any], summary: Summary, anchor: str) -> dict[str, Any]:
    # last, because reading tables may have found problems
    return {**section, **facts.common(summary, anchor)}


def _facts(summary: Summary) -> list[dict[str, str]]:
    found = []
    subjects = summary.list_of("Subjects")
    if subjects:
        found.append(facts.fact("Subjects", len(subjects)))
    compared = summary.mapping("Stimuli").get("Compared")
    if compared is not None:
        found.append(facts.fact("Stimuli compared", compared))
    trials = summary.mapping("Trials").get("PerStimulus")
    if isinstance(trials, dict):
        found.append(facts.fact("Trials of a stimulus", trials.get("Median", "–"),
                                f"from {trials.get('Minimum')} to {trials.get('Maximum')}"))
    sensors = summary.mapping("Sensors")
    if sensors:
        found.append(facts.fact("Sensors", sensors.get("Count", "–"), sensors.get("Type", "")))
    bad = sorted({str(name) for each in summary.entries("Recordings") for name in
                  each.get("Bad") or []})  # fmt: skip
    if bad:
        found.append(facts.fact("Bad channels left out", len(bad), ", ".join(bad[:8])))
    times = summary.mapping("Times")
    if times:
        found.append(facts.fact("Windows", times.get("Count", "–"),
                                f"of {ms(times.get('Width'))} ms, centres from "
                                f"{ms(times.get('Start'))} to {ms(times.get('End'))} ms"))
    vertices = summary.mapping("Vertices")
    if vertices:
        found.append(facts.fact("Sources", sum(int(each) for each in vertices.values()),
                                summary.text("Space")))  # fmt: skip
    return found


def _pictures(
    summary: Summary, courses: Sequence[Courses], ceiling: xr.Dataset | None
) -> list[dict[str, Any]]:
    found = []
    for each in courses:
        test = None if each.p is None else xr.Dataset({"p_fwe": each.p})
        values = each.values if each.subjects is None else each.subjects
        try:
            figure = plot_timecourse(values, test=test, ceiling=ceiling,
                                     label=facts.comparison_unit(summary))  # fmt: skip
        except InputError as error:
            summary.complain(f"The time courses of {each.model}", error)
            continue
        marked = f" Bars: p < {_ALPHA:g}, corrected." if test is not None else ""
        shaded = " Grey: noise ceiling." if ceiling is not None else ""
        found.append({"uri": figure_to_uri(figure), "natural": False,
                      "alt": f"Time courses of {', '.join(each.names)}",
                      "caption": f"{each.model}: agreement of the RDM of every window with each "
                      f"reference; 0 is the onset of the stimulus.{marked}{shaded}"})  # fmt: skip
    return found


def _subject_peaks(summary: Summary) -> dict[str, Any]:
    rows = [[str(each.get("Reference", "–")), ms(each.get("Time")), facts.score(each.get("Value"))]
            for each in summary.entries("Peaks")]  # fmt: skip
    return facts.table("Highest score of each reference in time",
                       ("Reference", "#Peak (ms)", "#Score"), rows)


def _group_peaks(summary: Summary, courses: Sequence[Courses]) -> dict[str, Any]:
    table = read_rows(summary, "Peaks", "The table of peaks", ["reference", "latency"])
    rows = []
    for _, row in table.iterrows():
        name = str(row["reference"])
        rows.append([name, ms(row["latency"]), span_ms(row.get("low"), row.get("high")),
                     facts.score(number(row.get("value"))),
                     *_p_there(courses, name, number(row["latency"]))])  # fmt: skip
    return facts.table(
        "Peaks of the group's mean time courses",
        ("Reference", "#Peak (ms)", "#95 % interval (ms)", "#Mean score", "#p subjects",
         "#p stimuli"), rows,
    )  # fmt: skip


def _p_there(courses: Sequence[Courses], name: str, time: float) -> list[str]:
    for each in courses:
        if name in each.names and np.isfinite(time):
            at = {"reference": name}
            found = []
            for table in (each.p, each.statistics.get("p_stimuli")):
                value = None if table is None else float(
                    table.sel(at).sel(time=time, method="nearest"))  # fmt: skip
                found.append(facts.score(value, 4))
            return found
    return ["–", "–"]


def _clusters(summary: Summary) -> dict[str, Any]:
    table = read_rows(summary, "Clusters", "The table of clusters", ["reference", "start", "end"])
    rows = [[str(row["reference"]), span_ms(row["start"], row["end"]), ms(row.get("peak")),
             _SIDE.get(str(row.get("sign")).strip(), "–"),
             facts.score(number(row.get("p")), 4)] for _, row in table.iterrows()]  # fmt: skip
    return facts.table("Clusters in time", ("Reference", "#From to (ms)", "#Peak (ms)", "Side",
                                            "#p"), rows)  # fmt: skip


def _hierarchy(summary: Summary) -> str:
    found = summary.mapping("Hierarchy")
    if not found:
        return ""
    if "SkippedBecause" in found:
        return f"Order of the peaks: not tested, {found['SkippedBecause']}."
    low, high = facts.score(found.get("Low"), 2), facts.score(found.get("High"), 2)
    return (
        f"Do later layers peak later? Spearman's correlation of layer and latency "
        f"{facts.score(found.get('Estimate'), 2)} [{low}, {high}], p = "
        f"{facts.score(found.get('P'), 4)} over subjects."
    )


def _source_peaks(summary: Summary) -> dict[str, Any]:
    rows = []
    for each in summary.entries("Maps"):
        peak = each.get("Peak") if isinstance(each.get("Peak"), dict) else {}
        rows.append([str(each.get("Reference", "–")), str(peak.get("Hemisphere", "–")),
                     *(facts.mm(peak.get(axis)) for axis in "XYZ"), ms(peak.get("Time")),
                     facts.score(peak.get("Value")), facts.score(peak.get("P"), 4)])  # fmt: skip
    return facts.table(
        "Highest score of each reference on the cortex",
        ("Reference", "Hemisphere", "#x (mm)", "#y (mm)", "#z (mm)", "#Time (ms)", "#Score",
         "#p subjects"), rows,
    )  # fmt: skip


def _reading(summary: Summary, kind: str) -> list[tuple[str, str]]:
    whole = "times and references" if kind == MEG else "sources, times and references"
    found = [("p subjects", f"Would other people show it? Sign flips of subjects, corrected over "
              f"all {whole}; of the cluster that holds the peak where clusters were tested.")]
    if kind == MEG:
        found.append(("p stimuli", "Would other stimuli show it? The stimuli of the references "
                      "shuffled, in the same way for all subjects and times."))  # fmt: skip
        found.append(("Noise ceiling", "What any model could reach, given how much the subjects "
                      "differ: lower and upper bound at every time."))  # fmt: skip
    return found
