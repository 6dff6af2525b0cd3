"""Tables of a group: peaks with both p and the ceiling, differences, clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neurodnn._checks import InputError
from neurodnn.bids import read_tsv
from neurodnn.plotting.slices import sample
from neurodnn.report import facts
from neurodnn.report.evidence import ALPHA
from neurodnn.report.group_maps import GroupMaps
from neurodnn.report.maps import ReadMap
from neurodnn.report.peaks import Peak, find_peaks
from neurodnn.report.tree import Summary, file_inside, link, without_paths

_FEWEST_CLUSTERS, _MOST_CLUSTERS = 5, 40


def peaks_table(maps: GroupMaps) -> dict[str, Any]:
    """Return the peak of each mean map with t, every p and the ceiling of the same voxel."""
    titles = {key: title for key, title in maps.p_titles.items() if maps.by_key.get(key)}
    bounds = {each.name: each for each in maps.ceilings}
    rows = []
    for name, mean in maps.named("mean").items():
        if not mean.peaks:
            continue
        best = mean.peaks[0]
        t = _value_at(maps.named("t").get(name), best)
        found = {key: maps.named(key).get(name) for key in titles}
        ceiling = [_value_at(bounds.get(f"{bound} bound"), best) for bound in ("lower", "upper")]
        rows.append([
            name, facts.score(best.value), *_place(best), facts.score(t, 2),
            *(facts.score(_value_at(each, best), 4) for each in found.values()),
            *([" to ".join(map(facts.score, ceiling))] if bounds else []),
        ])  # fmt: skip
    columns = [
        "Reference", "#Highest mean", "#x mm", "#y mm", "#z mm", "Side", "#t",
        *(f"#{title}" for title in titles.values()),
        *(["#Noise ceiling"] if bounds else []),
    ]  # fmt: skip
    return facts.table("Peaks of the group maps", columns, rows)


def extent_table(maps: GroupMaps) -> dict[str, Any]:
    """Return how many voxels of each map are below 0.05, by every p."""
    titles = {key: title for key, title in maps.p_titles.items() if maps.by_key.get(key)}
    rows = [
        [name, *(_count(maps.named(key).get(name)) for key in titles)]
        for name in maps.named("mean")
    ]
    columns = ["Reference", *(f"#{title}" for title in titles.values())]
    return facts.table(f"Voxels with p < {ALPHA:g}", columns, rows if titles else [])


def contrasts_table(maps: GroupMaps) -> dict[str, Any]:
    """Return the largest difference in either direction, with t and every p there."""
    titles = {key: title for key, title in maps.p_titles.items() if maps.contrasts.get(key)}
    rows = []
    for name, mean in maps.named("mean", contrasts=True).items():
        lowest = [Peak(-each.value, each.x, each.y, each.z, each.index)
                  for each in find_peaks(-mean.data, mean.image.affine, count=1)]  # fmt: skip
        for which, peaks in (("highest", mean.peaks[:1]), ("lowest", lowest)):
            for best in peaks:
                t = _value_at(maps.named("t", contrasts=True).get(name), best)
                p = [_value_at(maps.named(key, contrasts=True).get(name), best) for key in titles]
                rows.append([name, which, facts.score(best.value), *_place(best),
                             facts.score(t, 2), *(facts.score(each, 4) for each in p)])  # fmt: skip
    columns = ["Difference", "", "#Mean", "#x mm", "#y mm", "#z mm", "Side", "#t",
               *(f"#{title}" for title in titles.values())]  # fmt: skip
    return facts.table("Differences between references", columns, rows)


def _place(peak: Peak) -> list[str]:
    return [facts.mm(peak.x), facts.mm(peak.y), facts.mm(peak.z), peak.side]


def _count(each: ReadMap | None) -> str:
    return "–" if each is None else str(int((np.nan_to_num(each.data, nan=1.0) < ALPHA).sum()))


def _value_at(each: ReadMap | None, peak: Peak) -> float | None:
    """Value of a map in the voxel that holds the peak."""
    if each is None:
        return None
    points = np.array([[peak.x, peak.y, peak.z]])
    return float(sample(each.data, each.image.affine, points)[0])


def cluster_tables(summary: Summary, page: Path) -> list[dict[str, Any]]:
    """Return the strongest clusters of each table that a summary names, with a link to it."""
    found = []
    titles = {str(each.get("Name")): str(each.get("Title") or each.get("Name"))
              for each in summary.list_of("Inferences") if isinstance(each, dict)}  # fmt: skip
    for entry in summary.list_of("ClusterTables"):
        if not isinstance(entry, dict):
            continue
        try:
            path = file_inside(summary.root, entry.get("Path"))
            clusters = read_tsv(path, required=_NEEDED)
        except InputError as error:
            text = f"A table of clusters cannot be shown: {error}"
            summary.problems.append(without_paths(text, (summary.root.absolute(),)))
            continue
        name = str(entry.get("Inference", ""))
        title = f"Clusters by {titles.get(name, name)}"
        if "_desc-contrasts" in path.name:
            title += ", differences"
        found.append(_clusters(title, clusters, link(path, page)))
    return found


_NEEDED = ("reference", "sign", "size_voxels", "size_mm3", "mass", "p", "x", "y", "z", "side",
           "peak_t", "peak_mean")  # fmt: skip


def _clusters(title: str, clusters: Any, href: str) -> dict[str, Any]:
    """Content of one table: the strongest clusters, and what the file holds beyond them."""
    rows, p = [], [_number(value) for value in clusters["p"]]
    found = sum(each < ALPHA for each in p)
    shown = min(max(found, _FEWEST_CLUSTERS), _MOST_CLUSTERS)
    for row in clusters.head(shown).to_dict("records"):
        number = {key: _number(row[key]) for key in _NEEDED if key not in _TEXTS}
        rows.append([
            str(row["reference"]), str(row["sign"]).replace("-", "\N{MINUS SIGN}"),
            facts.score(number["size_voxels"], 0), facts.score(number["size_mm3"], 0),
            facts.score(number["mass"], 1),
            facts.score(number["p"], 4), *(facts.mm(number[axis]) for axis in "xyz"),
            str(row["side"]), facts.score(number["peak_t"], 2), facts.score(number["peak_mean"]),
        ])  # fmt: skip
    columns = ("Reference", "Sign", "#Voxels", "#mm\N{SUPERSCRIPT THREE}", "#Mass", "#p over "
               "subjects", "#x mm", "#y mm", "#z mm", "Side", "#Peak t", "#Mean there")  # fmt: skip
    note = f"{found} of {len(p)} clusters have p < {ALPHA:g}."
    if len(p) > shown:
        note += f" The {shown} strongest are listed here."
    return {"title": title, "note": note, "href": href, "table": facts.table(title, columns, rows)}


_TEXTS = ("reference", "sign", "side")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
