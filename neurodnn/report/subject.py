"""The page of one subject, and its interactive viewers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from neurodnn import __version__
from neurodnn._checks import InputError, message
from neurodnn.bids import check_label
from neurodnn.plotting.rdms import plot_rdms
from neurodnn.report import facts
from neurodnn.report.in_words import left_out, subject_reading
from neurodnn.report.maps import (
    ReadMap,
    on_template,
    pictures,
    read_maps,
    underlay_note,
    viewer_link,
    viewer_maps,
    viewer_path,
)
from neurodnn.report.meg import has_meg, meg_subject_sections
from neurodnn.report.pages import render, write_page
from neurodnn.report.pictures import figure_to_uri, file_to_uri
from neurodnn.report.subject_alone import (
    Alone,
    read_alone,
    reliability_pictures,
    viewer_of,
)
from neurodnn.report.tree import (
    Summary,
    file_inside,
    link,
    read_references,
    subject_summaries,
    without_paths,
)
from neurodnn.report.viewer import viewer_data

SCRIPTS = ("maps.js", "slices.js", "viewer.js")
_MOST_RDMS = 24


def write_subject_report(output_dir: str | Path, subject: str) -> Path:
    """Write the page of one subject and its viewers from the files of the output tree.

    The page holds what ran on what (inputs, stimuli, column and key rule), one picture per
    layer's map with its peaks in mm, the layer RDMs, the methods with references, parameters,
    versions, warnings and failures. It is one file without any reference to the network; the
    same tree gives the same bytes.

    Parameters
    ----------
    output_dir : path
        Output folder of ``neurodnn ... participant``.
    subject : str
        Label with or without ``sub-``.

    Returns
    -------
    pathlib.Path
        ``<output_dir>/sub-<label>.html``.

    Raises
    ------
    InputError
        If the label is no BIDS label, or the folder has no summary of this subject. Maps and
        RDMs that are missing or damaged do not stop the page: it says so.

    Examples
    --------
    >>> write_subject_report("no_such_folder", "01")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no_such_folder: has no summary of sub-01. Run the participant \
level first.
    """
    root = Path(output_dir)
    label = check_label("sub", subject.removeprefix("sub-"))
    summaries = subject_summaries(root, label)
    if not summaries and not has_meg(root, label):
        fault = f"has no summary of sub-{label}"
        remedy = "Run the participant level first."
        raise InputError(message(str(output_dir), fault, remedy=remedy))
    page = root / f"sub-{label}.html"
    studies = [_study(summary, page, number) for number, summary in enumerate(summaries)]
    meg = meg_subject_sections(root, label)
    content = {
        "title": f"sub-{label}",
        "lead": _lead(summaries) if summaries else "",
        "contents": (_contents(studies) if studies else [])
        + [(each["anchor"], each["title"]) for each in meg],
        "index": link(root / "index.html", page),
        "studies": studies,
        "meg_studies": meg,
        "version": _version(summaries[0]) if summaries else __version__,
    }
    return write_page(page, render("subject.html", content))


def _lead(summaries: list[Summary]) -> str:
    first = summaries[0]
    network = first.mapping("Network").get("label") or first.mapping("Network").get("name")
    parts = [summary.title() for summary in summaries if summary.title()]
    what = "; ".join(parts) or "searchlight maps"
    return f"{what[0].upper()}{what[1:]}" + (f". Network: {network}." if network else ".")


def _version(summary: Summary) -> str:
    return str(summary.mapping("SoftwareVersions").get("neurodnn") or "")


def _contents(studies: list[dict[str, Any]]) -> list[tuple[str, str]]:
    if len(studies) > 1:
        return [(study["anchor"], study["title"]) for study in studies]
    anchor = studies[0]["anchor"]
    names = (("maps", "Maps"), ("rdms", "Layer RDMs"), ("inputs", "Inputs"),
             ("methods", "Methods"))  # fmt: skip
    return [(f"{anchor}{part}", name) for part, name in names]


def _study(summary: Summary, page: Path, number: int) -> dict[str, Any]:
    """Everything the page says about one summary; its viewer is written on the way."""
    entries = [entry for entry in summary.list_of("Maps") if isinstance(entry, dict)]
    maps = read_maps(summary, entries, lambda entry: entry.get("Path"))
    alone = read_alone(summary, entries)
    unit = facts.comparison_unit(summary)
    drawn = pictures(summary, maps, unit=unit, outlines=alone.outlines)
    shown = [*viewer_maps(maps, unit=unit), *viewer_of(alone, unit)]
    viewer = write_viewer(summary, shown, f"{_name(summary)}: maps")
    rdms, first = _rdms(summary), _first_stimulus(summary)
    stimuli = summary.mapping("Stimuli")
    return {
        "title": summary.title() or summary.path.stem,
        "facts": facts.key_facts(summary),
        "reading": subject_reading(summary.mapping("LabelTest"), summary.mapping("Reliability")),
        "left_out": left_out(summary, ("LabelTest", "Reliability")),
        "maps": drawn,
        "maps_note": _maps_note(summary, maps, alone) if maps else "",
        "reliability": reliability_pictures(summary, alone, unit),
        "viewer": viewer_link(summary, page) if viewer else "",
        "peaks": _peaks_table(entries, maps, alone),
        "rdms": rdms,
        "first_stimulus": first,
        "stimuli_note": facts.stimuli_note(summary),
        "only_events": [str(name) for name in stimuli.get("OnlyInEvents") or []],
        "only_table": [str(name) for name in stimuli.get("OnlyInTable") or []],
        "inputs": facts.inputs_table(summary),
        "confounds": summary.text("Confounds"),
        "mask": summary.text("Mask"),
        "network": facts.network_table(summary),
        "parameters": facts.parameters_table(summary),
        "versions": facts.versions_table(summary),
        # last, because reading maps and RDMs may have found problems
        **facts.common(summary, f"s{number}"),
    }


def _name(summary: Summary) -> str:
    subject = summary.text("Subject").removeprefix("sub-")
    return ", ".join(part for part in (f"sub-{subject}", summary.title()) if part)


def _maps_note(summary: Summary, maps: list[ReadMap], alone: Alone) -> str:
    lines = "Thin lines surround voxels with p < 0.05 over stimuli. " if alone.outlines else ""
    return (
        "Each picture cuts one map at its peak (lines) and at five heights that all maps share. "
        "The colours mean the same on all of them; scores near zero fade into the anatomy, and "
        f"nothing is thresholded. {lines}{underlay_note(summary, maps)}"
    )


def _peaks_table(
    entries: list[dict[str, Any]], maps: list[ReadMap], alone: Alone
) -> dict[str, Any]:
    """Highest score of each map, read off the map; of the summary where the map is missing."""
    known = {each.path: each for each in maps}
    rows = []
    for entry in entries:
        peak = entry.get("Peak") if isinstance(entry.get("Peak"), dict) else {}
        place = [peak.get(axis, float("nan")) for axis in "XYZ"]
        value, side = peak.get("Value"), ""
        if (each := known.get(str(entry.get("Path")))) is not None and each.peaks:
            best = each.peaks[0]
            value, place, side = best.value, [best.x, best.y, best.z], best.side
        name = str(entry.get("Reference", "–"))
        more = alone.cells(name, known.get(str(entry.get("Path"))))
        rows.append([name, facts.score(value), *map(facts.mm, place), side, *more,
                     facts.score(entry.get("Mean"))])  # fmt: skip
    columns = ("Reference", "#Highest", "#x mm", "#y mm", "#z mm", "Side", *alone.columns,
               "#Mean of the map")  # fmt: skip
    return facts.table("Peaks of the maps", columns, rows)


def _rdms(summary: Summary) -> dict[str, Any] | None:
    references = [each for each in summary.list_of("References") if isinstance(each, dict)]
    rdms, problems = read_references(summary.root, references[:_MOST_RDMS])
    summary.problems.extend(problems)
    if rdms is None:
        return None
    rest = len(references) - len(references[:_MOST_RDMS])
    caption = (
        f"Dissimilarity of every pair of the {rdms.n_cond} stimuli, as its percentile within the "
        "layer: bright pairs are far apart. Stimuli stand in the order of their names."
    ) + (f" {rest} further RDMs are not shown." if rest else "")
    names = tuple(str(name) for name in rdms.rdm_descriptors["reference"])
    stimuli = tuple(rdms.pattern_descriptors["stimulus"])
    return {
        "uri": _rdm_picture(np.ascontiguousarray(rdms.dissimilarities).tobytes(), names, stimuli),
        "alt": f"Dissimilarity matrices of {', '.join(names)}",
        "caption": caption, "natural": True,
    }  # fmt: skip


@lru_cache(maxsize=4)
def _rdm_picture(values: bytes, names: tuple[str, ...], stimuli: tuple[str, ...]) -> str:
    """The picture of these RDMs; subjects of a study share it, and it is slow to draw."""
    from rsatoolbox.rdm import RDMs

    rdms = RDMs(
        np.frombuffer(values).reshape(len(names), -1).copy(),
        rdm_descriptors={"reference": list(names)},
        pattern_descriptors={"stimulus": list(stimuli)},
    )
    rows = -(-len(names) // 6)
    return figure_to_uri(plot_rdms(rdms, ncols=max(3, -(-len(names) // rows)), ranks=True))


def _first_stimulus(summary: Summary) -> dict[str, Any] | None:
    """The first stimulus as the network saw it, where the run has left a picture of it."""
    entry = summary.mapping("FirstStimulus")
    if not entry:
        return None
    try:
        uri = file_to_uri(file_inside(summary.root, entry.get("Path")))
    except InputError as error:
        text = f"The first stimulus cannot be shown: {error}"
        summary.problems.append(without_paths(text, (summary.root.absolute(),)))
        return None
    name = str(entry.get("Stimulus") or entry.get("Name") or "the first stimulus")
    caption = f"“{name}” as the network saw it."
    return {"uri": uri, "alt": caption, "caption": caption, "natural": True}


def write_viewer(summary: Summary, maps: list, title: str) -> Path | None:
    """Write the interactive viewer of a study's maps beside its summary; None without maps."""
    if not maps:
        return None
    data = viewer_data(maps, on_template=on_template(summary), title=title)
    path = viewer_path(summary)
    group = summary.path.parent.name == "group"
    subject = summary.text("Subject").removeprefix("sub-")
    page = summary.root / ("index.html" if group else f"sub-{subject}.html")
    content = {"title": title, "data": data, "back": link(page, path)}
    return write_page(path, render("viewer.html", content, scripts=SCRIPTS))
