"""Maps of a group: read by kind, drawn part by part, packed for the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodnn.report import facts
from neurodnn.report.evidence import ALPHA, THRESHOLD, UNIT, as_evidence, below
from neurodnn.report.maps import ReadMap, pictures, read_maps, viewer_maps
from neurodnn.report.tree import Summary

_FADING = "scores near zero fade into the anatomy; nothing is thresholded"
_BOUNDS = {"Lower": "lower bound", "Upper": "upper bound"}


@dataclass(frozen=True)
class GroupMaps:
    """Maps of references and of differences by kind (``mean``, ``t``, ``p`` ...), and ceilings."""

    inferences: list[dict[str, Any]]
    by_key: dict[str, list[ReadMap]]
    contrasts: dict[str, list[ReadMap]]
    ceilings: list[ReadMap]

    def first(self) -> list[ReadMap]:
        """The first kind of which there is a map."""
        return next((maps for maps in self.by_key.values() if maps), [])

    def named(self, key: str, *, contrasts: bool = False) -> dict[str, ReadMap]:
        """Maps of a kind by the name of their reference."""
        found = self.contrasts if contrasts else self.by_key
        return {each.name: each for each in found.get(key, [])}

    @property
    def p_titles(self) -> dict[str, str]:
        """Kind of p -> title, those over subjects first."""
        titles = {str(each["Key"]): str(each.get("Title") or each.get("Name") or "")
                  for each in self.inferences}  # fmt: skip
        return {**{key: f"p over subjects, {title}" for key, title in titles.items()},
                "p_stimuli": "p over stimuli"}  # fmt: skip


def read_group_maps(summary: Summary) -> GroupMaps:
    """Return the maps that a group's summary names and that can be read."""
    entries = _entries(summary, "Maps")
    inferences = [each for each in summary.list_of("Inferences")
                  if isinstance(each, dict) and isinstance(each.get("Key"), str)]  # fmt: skip
    if not inferences and any(_path(entry, "p") for entry in entries):
        inferences = [{"Name": "max", "Title": "maximum statistic", "Key": "p"}]
    keys = ["mean", "t", *(each["Key"] for each in inferences), "p_stimuli"]
    contrasts = _entries(summary, "Contrasts")
    ceilings = [{"Reference": _BOUNDS[key], "Path": path}
                for key, path in summary.mapping("Ceilings").items() if key in _BOUNDS]  # fmt: skip
    return GroupMaps(
        inferences,
        {key: _read(summary, entries, key) for key in keys},
        {key: _read(summary, contrasts, key) for key in keys[:-1]},
        read_maps(summary, ceilings, lambda entry: entry["Path"]),
    )


def _entries(summary: Summary, key: str) -> list[dict[str, Any]]:
    return [entry for entry in summary.list_of(key) if isinstance(entry, dict)]


def _path(entry: Mapping[str, Any], key: str) -> Any:
    statistics = entry.get("Statistics")
    return statistics.get(key) if isinstance(statistics, dict) else None


def _read(summary: Summary, entries: list[dict[str, Any]], key: str) -> list[ReadMap]:
    return read_maps(summary, [each for each in entries if _path(each, key)],
                     lambda entry: _path(entry, key))  # fmt: skip


def shown_parts(summary: Summary, maps: GroupMaps, unit: str) -> list[dict[str, Any]]:
    """Return the pictures in parts: means with outlines, t, every p, ceilings, differences."""
    kinds = _kinds(maps, unit)
    total = sum(len(drawn) for _, _, drawn, _ in kinds)
    return [
        {"title": title, "note": note, "maps": pictures(summary, drawn, total=total, **options)}
        for title, note, drawn, options in kinds
    ]


def _kinds(maps: GroupMaps, unit: str) -> list[tuple[str, str, list[ReadMap], dict[str, Any]]]:
    outlined, around = _outlines(maps.by_key, maps)
    kinds = [
        ("Mean over subjects", f"{around}{_FADING[0].upper()}{_FADING[1:]}.",
         maps.by_key["mean"], {"unit": f"mean {unit}", "outlines": outlined}),
        ("t", f"Mean over its standard error; {_FADING}.", maps.by_key["t"], {"unit": "t"}),
    ]  # fmt: skip
    for key, title in maps.p_titles.items():
        found = maps.by_key.get(key, [])
        note = (
            f"Only voxels with p < {ALPHA:g} are coloured; the stronger, the smaller p. "
            "Maps are cut where their mean is highest."
        )
        kinds.append((
            title[0].upper() + title[1:], note, [as_evidence(each) for each in found],
            {"unit": f"{UNIT}, {title.removeprefix('p ')}", "threshold": THRESHOLD,
             "captions": {each.name: _below_sentence(each) for each in found},
             "cut_at": maps.named("mean")},
        ))  # fmt: skip
    kinds.append(("Noise ceiling", "What the best possible model could score in each voxel.",
                  maps.ceilings, {"unit": f"noise ceiling, {unit}"}))  # fmt: skip
    outlined, around = _outlines(maps.contrasts, maps)
    kinds.append((
        "Differences", f"{around}Blue: the second reference scores higher.",
        maps.contrasts["mean"], {"unit": f"difference of {unit}", "outlines": outlined},
    ))  # fmt: skip
    return [kind for kind in kinds if kind[2]]


def _outlines(found: dict[str, list[ReadMap]], maps: GroupMaps) -> tuple[dict[str, Any], str]:
    """Return lines around p < 0.05 of the first inference, and the sentence that says so."""
    for each in maps.inferences:
        if found.get(each["Key"]):
            title = str(each.get("Title") or each.get("Name") or "")
            text = f"Thin lines surround voxels with p < {ALPHA:g} over subjects ({title}). "
            return {m.name: below(m) for m in found[each["Key"]]}, text
    return {}, ""


def _below_sentence(each: ReadMap) -> str:
    count = int((np.nan_to_num(each.data, nan=1.0) < ALPHA).sum())
    smallest = float(np.nanmin(each.data)) if np.isfinite(each.data).any() else float("nan")
    return f"{count} voxels with p < {ALPHA:g}; smallest p: {facts.score(smallest, 4)}."


def viewer_of(maps: GroupMaps, unit: str) -> list:
    """Return every map of a group as the viewer takes it."""
    note = f"The threshold of {THRESHOLD:.2f} stands for p = {ALPHA:g}, corrected."
    starts = {each.name: each.peaks for each in maps.by_key["mean"]}
    shown = [
        *viewer_maps(maps.by_key["mean"], unit=f"mean {unit}"),
        *viewer_maps(maps.by_key["t"], unit="t"),
    ]
    for key, title in maps.p_titles.items():
        evidence = [
            ReadMap(e.name, e.path, e.image, e.data, starts.get(e.name, e.peaks))
            for e in map(as_evidence, maps.by_key.get(key, []))
        ]
        shown += viewer_maps(evidence, unit=f"{UNIT}, {title.removeprefix('p ')}",
                             threshold=THRESHOLD, note=note)  # fmt: skip
    shown += viewer_maps(maps.ceilings, unit=f"noise ceiling, {unit}")
    return [*shown, *viewer_maps(maps.contrasts["mean"], unit=f"difference of {unit}")]
