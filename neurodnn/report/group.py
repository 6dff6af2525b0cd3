"""The section of one group: facts, what each p means, peaks, clusters, differences, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurodnn.report import facts
from neurodnn.report.group_maps import GroupMaps, read_group_maps, shown_parts, viewer_of
from neurodnn.report.group_tables import (
    cluster_tables,
    contrasts_table,
    extent_table,
    peaks_table,
)
from neurodnn.report.in_words import group_reading, left_out
from neurodnn.report.maps import underlay_note, viewer_link
from neurodnn.report.subject import write_viewer
from neurodnn.report.tree import Summary


def group_section(summary: Summary, page: Path, number: int) -> dict[str, Any]:
    """Return everything the page says about one group; its viewer is written on the way."""
    maps = read_group_maps(summary)
    unit = facts.comparison_unit(summary)
    parts = shown_parts(summary, maps, unit)
    title = "Group" + (f": {summary.title()}" if summary.title() else "")
    viewer = write_viewer(summary, viewer_of(maps, unit), title)
    shown = maps.first()
    return {
        "title": title,
        "skipped": summary.text("SkippedBecause"),
        "left_out": left_out(summary, ("SubjectsTest", "StimuliTest")),
        "facts": _facts(summary, maps) if shown else [],
        "reading": group_reading(maps.inferences, stimuli=bool(maps.by_key.get("p_stimuli")),
                                 ceilings=bool(maps.ceilings),
                                 differences=bool(maps.contrasts["mean"]))
        if shown else [],
        "maps_note": _note(summary, maps) if shown else "",
        "viewer": viewer_link(summary, page) if viewer else "",
        "peaks": peaks_table(maps),
        "extent": extent_table(maps),
        "contrasts": contrasts_table(maps),
        "clusters": cluster_tables(summary, page),
        "pictures": parts,
        **facts.common(summary, f"g{number}"),
    }


def _facts(summary: Summary, maps: GroupMaps) -> list[dict[str, str]]:
    exact = summary.content.get("Exact")
    kind = "all of them: exact" if exact is True else "drawn at random" if exact is False else ""
    stimuli = summary.mapping("StimuliTest")
    found = [
        facts.fact("Subjects", len(summary.list_of("Subjects")) or "–"),
        facts.fact("Sign flips", summary.text("Flips", "–"), kind),
        facts.fact("Test over subjects", summary.text("Tail", "–"),
                   f"generalises to {summary.text('GeneralisesTo', 'subjects')}; smallest p "
                   f"possible: {summary.text('MinimumP', '–')}"),
        facts.fact("Family", _family(summary.content.get("Family")),
                   "corrected over all of it together"),
    ]  # fmt: skip
    if "MinimumP" in stimuli:
        found.append(
            facts.fact("Shuffles of stimuli", facts.in_words(stimuli.get("NumberOfPermutations")),
                       f"{facts.in_words(stimuli.get('Stimuli'))} stimuli; generalises to "
                       f"{stimuli.get('GeneralisesTo', 'stimuli')}; smallest p possible: "
                       f"{stimuli['MinimumP']}")
        )  # fmt: skip
    return found


def _family(value: Any) -> str:
    """The dimensions over which p is corrected, such as ``voxel × reference``."""
    return facts.in_words(value).replace(" x ", " × ").replace(", ", " × ")


def _note(summary: Summary, maps: GroupMaps) -> str:
    return (
        "Each picture cuts one map at its peak (lines) and at five heights that all maps share; "
        "the colours mean the same on all maps of a kind. All p values are corrected. "
        + underlay_note(summary, maps.first())
    )
