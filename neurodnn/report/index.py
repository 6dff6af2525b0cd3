"""The entry page: what the group shows, and who went in."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.plotting.slices import sample
from neurodnn.report import facts
from neurodnn.report.maps import (
    ReadMap,
    pictures,
    read_maps,
    underlay_note,
    viewer_link,
    viewer_maps,
)
from neurodnn.report.pages import render, write_page
from neurodnn.report.subject import write_viewer
from neurodnn.report.tree import Summary, group_summaries, link, subject_summaries

_ALPHA = 0.05
_EVIDENCE = -math.log10(_ALPHA)


def write_index(output_dir: str | Path) -> Path:
    """Write ``index.html`` and the group's viewers from the files of the output tree.

    The page holds, for every group level: the mean maps with outlines around the voxels whose
    familywise p is below 0.05, the t maps and the p maps, peaks, number of subjects and flips,
    the family, and what the test generalises to; then a table of all subjects, and their
    failures and warnings.

    Parameters
    ----------
    output_dir : path
        Output folder; subjects alone, or a group level alone, are enough.

    Returns
    -------
    pathlib.Path
        ``<output_dir>/index.html``.

    Raises
    ------
    InputError
        If the folder has no summary at all.

    Examples
    --------
    >>> write_index("no_such_folder")
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: no_such_folder: has no summary of any subject. Run the \
participant level first.
    """
    root = Path(output_dir)
    subjects, groups = subject_summaries(root), group_summaries(root)
    if not subjects and not groups:
        fault, remedy = "has no summary of any subject", "Run the participant level first."
        raise InputError(message(str(output_dir), fault, remedy=remedy))
    page = root / "index.html"
    sections = [_group(summary, page, number) for number, summary in enumerate(groups)]
    faults = _subject_faults(subjects, page)
    contents = [(section["anchor"], section["title"]) for section in sections]
    contents += [("subjects", "Subjects")] + ([("failures", "Failures")] if faults else [])
    count = len({summary.path.parts[len(root.parts)] for summary in subjects})
    content = {
        "title": "Where the layers fit the brain",
        "lead": f"{count} subject{'' if count == 1 else 's'}."
        + (" " + _networks([*subjects, *groups]) if _networks([*subjects, *groups]) else ""),
        "contents": contents,
        "groups": sections,
        "subjects": _subjects_table(subjects, page),
        "failures": faults,
        "version": _version([*groups, *subjects]),
    }
    return write_page(page, render("index.html", content))


def _version(summaries: list[Summary]) -> str:
    versions = (each.mapping("SoftwareVersions").get("neurodnn") for each in summaries)
    return next((str(version) for version in versions if version), "")


def _networks(summaries: list[Summary]) -> str:
    networks = [each.mapping("Network") for each in summaries]
    names = sorted({str(net.get("label") or net.get("name")) for net in networks if net})
    return f"Network: {', '.join(names)}." if names else ""


def _page_of(summary: Summary) -> Path:
    return summary.root / f"{summary.path.relative_to(summary.root).parts[0]}.html"


def _subjects_table(subjects: list[Summary], page: Path) -> dict[str, Any]:
    names = []
    for summary in subjects:
        names += [str(e.get("Reference", "–")) for e in summary.list_of("Maps")
                  if isinstance(e, dict)]  # fmt: skip
    references = list(dict.fromkeys(names))
    rows = []
    for summary in subjects:
        best = {
            str(entry.get("Reference", "–")): (entry.get("Peak") or {}).get("Value")
            for entry in summary.list_of("Maps")
            if isinstance(entry, dict) and isinstance(entry.get("Peak") or {}, dict)
        }
        target = _page_of(summary)
        rows.append(
            [{"href": link(target, page), "text": target.stem}, summary.title() or "–",
             str(summary.mapping("Stimuli").get("Matched", "–")),
             *(facts.score(best.get(name)) for name in references)]
        )  # fmt: skip
    columns = ("Subject", "Data", "#Stimuli", *(f"#{name}" for name in references))
    return facts.table("Subjects and the highest score of each layer", columns, rows)


def _subject_faults(subjects: list[Summary], page: Path) -> dict[str, Any] | None:
    rows = []
    for summary in subjects:
        target = _page_of(summary)
        cell = {"href": link(target, page), "text": target.stem}
        for kind, key in (("failed", "Failures"), ("warning", "Warnings")):
            rows += [[cell, kind, text] for text in facts.sentences(summary.list_of(key))]
    return facts.table("Failures and warnings", ("Subject", "", "What"), rows) if rows else None


def _group(summary: Summary, page: Path, number: int) -> dict[str, Any]:
    entries = [entry for entry in summary.list_of("Maps") if isinstance(entry, dict)]
    maps = {
        statistic: read_maps(summary, [e for e in entries if _path(e, statistic)],
                             lambda entry, name=statistic: _path(entry, name))
        for statistic in ("mean", "t", "p")
    }  # fmt: skip
    shown = next((maps[name] for name in ("mean", "t", "p") if maps[name]), [])
    unit = facts.comparison_unit(summary)
    parts = _parts(summary, maps, unit)
    title = "Group" + (f": {summary.title()}" if summary.title() else "")
    viewer = write_viewer(summary, _viewer_maps(maps, unit), title)
    return {
        "title": title,
        "skipped": summary.text("SkippedBecause"),
        "facts": _facts(summary) if shown else [],
        "maps_note": _note(summary, shown) if shown else "",
        "viewer": viewer_link(summary, page) if viewer else "",
        "peaks": _peaks_table(entries, maps),
        "pictures": parts,
        **facts.common(summary, f"g{number}"),
    }


def _path(entry: dict[str, Any], statistic: str) -> Any:
    statistics = entry.get("Statistics")
    return statistics.get(statistic) if isinstance(statistics, dict) else None


def _facts(summary: Summary) -> list[dict[str, str]]:
    exact = summary.content.get("Exact")
    kind = "all of them: exact" if exact is True else "drawn at random" if exact is False else ""
    tail = summary.text("Tail", "–")
    population = summary.text("GeneralisesTo", "subjects")
    return [
        facts.fact("Subjects", len(summary.list_of("Subjects")) or "–"),
        facts.fact("Sign flips", summary.text("Flips", "–"), kind),
        facts.fact("Test", tail, f"smallest p possible: {summary.text('MinimumP', '–')}"),
        facts.fact("Family", _family(summary.content.get("Family")),
                   "corrected over all of it by the maximum"),
        facts.fact("Generalises to", population, "the stimuli are taken as they are"),
    ]  # fmt: skip


def _family(value: Any) -> str:
    """The dimensions over which p is corrected, such as ``voxel × reference``."""
    return facts.in_words(value).replace(" x ", " × ").replace(", ", " × ")


def _note(summary: Summary, maps: list[ReadMap]) -> str:
    return (
        "Each picture cuts one map at its peak (lines) and at five heights that all maps share; "
        "the colours mean the same on all maps of a kind. p values are corrected familywise. "
        + underlay_note(summary, maps)
    )


def _parts(summary: Summary, maps: dict[str, list[ReadMap]], unit: str) -> list[dict[str, Any]]:
    """The pictures in three parts: means with outlines, t, p."""
    total = sum(map(len, maps.values()))
    outlines = {each.name: _below(each) for each in maps["p"]}
    evidence = [_as_evidence(each) for each in maps["p"]]
    fading = "scores near zero fade into the anatomy; nothing is thresholded"
    kinds = [
        ("Mean over subjects", f"Thin lines surround voxels with p < {_ALPHA:g}; {fading}.",
         maps["mean"], {"unit": f"mean {unit}", "outlines": outlines}),
        ("t", f"Mean over its standard error, {fading}.", maps["t"], {"unit": "t"}),
        ("Familywise p", f"Only voxels with p < {_ALPHA:g} are coloured; the stronger, the "
         "smaller p.", evidence,
         {"unit": "\N{MINUS SIGN}log10 p, familywise", "threshold": _EVIDENCE,
          "captions": {each.name: _below_sentence(each) for each in maps["p"]}}),
    ]  # fmt: skip
    return [
        {"title": title, "note": note, "maps": pictures(summary, drawn, total=total, **options)}
        for title, note, drawn, options in kinds
        if drawn
    ]


def _below(each: ReadMap):
    """1 where p is below 0.05, 0 elsewhere."""
    inside = (np.nan_to_num(each.data, nan=1.0) < _ALPHA).astype(np.float32)
    return nibabel.Nifti1Image(inside, each.image.affine)


def _below_sentence(each: ReadMap) -> str:
    count = int((np.nan_to_num(each.data, nan=1.0) < _ALPHA).sum())
    smallest = float(np.nanmin(each.data)) if np.isfinite(each.data).any() else float("nan")
    return f"{count} voxels with p < {_ALPHA:g}; smallest p: {facts.score(smallest, 4)}."


def _as_evidence(each: ReadMap) -> ReadMap:
    """The p map as -log10 p, so that strong places are large values."""
    data = -np.log10(np.clip(each.data, 1e-12, 1.0))
    data = np.where(np.isfinite(each.data), np.maximum(data, 0.0), np.nan).astype(np.float32)
    image = nibabel.Nifti1Image(data, each.image.affine)
    return ReadMap(each.name, each.path, image, data, each.peaks)


def _viewer_maps(maps: dict[str, list[ReadMap]], unit: str) -> list:
    evidence = [_as_evidence(each) for each in maps["p"]]
    note = f"The threshold of {_EVIDENCE:.2f} stands for p = {_ALPHA:g}, familywise."
    starts = {each.name: each.peaks for each in maps["mean"]}
    evidence = [
        ReadMap(e.name, e.path, e.image, e.data, starts.get(e.name, e.peaks)) for e in evidence
    ]
    return [
        *viewer_maps(maps["mean"], unit=f"mean {unit}"),
        *viewer_maps(maps["t"], unit="t"),
        *viewer_maps(evidence, unit="\N{MINUS SIGN}log10 p", threshold=_EVIDENCE, note=note),
    ]


def _peaks_table(entries: list, maps: dict[str, list[ReadMap]]) -> dict[str, Any]:
    """Peak of each mean map, with t and p of the same voxel."""
    by_name = {kind: {each.name: each for each in found} for kind, found in maps.items()}
    rows = []
    for entry in entries:
        name = str(entry.get("Reference", "–"))
        mean = by_name["mean"].get(name)
        if mean is None or not mean.peaks:
            continue
        best = mean.peaks[0]
        t, p = (_value_at(by_name[kind].get(name), best) for kind in ("t", "p"))
        rows.append([name, facts.score(best.value), facts.mm(best.x), facts.mm(best.y),
                     facts.mm(best.z), best.side, facts.score(t, 2), facts.score(p, 4),
                     str(entry.get("VoxelsBelow05", "–"))])  # fmt: skip
    columns = ("Reference", "#Highest mean", "#x mm", "#y mm", "#z mm", "Side", "#t",
               "#p familywise", "#Voxels p < 0.05")  # fmt: skip
    return facts.table("Peaks of the group maps", columns, rows)


def _value_at(each: ReadMap | None, peak) -> float | None:
    """Value of a map in the voxel that holds the peak."""
    if each is None:
        return None
    points = np.array([[peak.x, peak.y, peak.z]])
    return float(sample(each.data, each.image.affine, points)[0])
