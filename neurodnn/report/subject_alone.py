"""What one subject alone can tell: p over stimuli and reliability, as maps, cells and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurodnn.plotting.slices import sample
from neurodnn.report import facts
from neurodnn.report.evidence import ALPHA, THRESHOLD, UNIT, as_evidence, below
from neurodnn.report.maps import ReadMap, pictures, read_maps, viewer_maps
from neurodnn.report.tree import Summary


@dataclass(frozen=True)
class Alone:
    """p over stimuli by the name of the reference, and the map of reliability."""

    p: dict[str, ReadMap]
    reliability: list[ReadMap]

    @property
    def outlines(self) -> dict[str, Any]:
        """Lines round the voxels with p < 0.05."""
        return {name: below(each) for name, each in self.p.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the table of peaks gains."""
        first = ("#p over stimuli", f"#Voxels p < {ALPHA:g}") if self.p else ()
        return first + (("#Reliability",) if self.reliability else ())

    def cells(self, name: str, scored: ReadMap | None) -> list[str]:
        """Cells of these columns at the peak of a map of scores."""
        peak = scored.peaks[0] if scored is not None and scored.peaks else None
        found = []
        if self.p:
            each = self.p.get(name)
            count = "–" if each is None else str(int((np.nan_to_num(each.data, nan=1.0)
                                                      < ALPHA).sum()))  # fmt: skip
            found += [_value_at(each, peak, 4), count]
        if self.reliability:
            found.append(_value_at(self.reliability[0], peak, 3))
        return found


def _value_at(each: ReadMap | None, peak: Any, digits: int) -> str:
    if each is None or peak is None:
        return "–"
    points = np.array([[peak.x, peak.y, peak.z]])
    return facts.score(float(sample(each.data, each.image.affine, points)[0]), digits)


def read_alone(summary: Summary, entries: Sequence[Mapping[str, Any]]) -> Alone:
    """Return the maps of one subject's own tests that can be read."""
    with_p = [entry for entry in entries if entry.get("LabelP")]
    found = read_maps(summary, with_p, lambda entry: entry.get("LabelP"))
    reliability = summary.mapping("Reliability")
    wanted = [{"Reference": "reliability"}] if reliability.get("Path") else []
    maps = read_maps(summary, wanted, lambda entry: reliability.get("Path"))
    return Alone({each.name: each for each in found}, maps)


def reliability_pictures(summary: Summary, alone: Alone, unit: str) -> list[dict[str, Any]]:
    """Return the picture of the reliability, or none."""
    if not alone.reliability:
        return []
    return pictures(summary, alone.reliability, unit=f"reliability, {unit}")


def viewer_of(alone: Alone, unit: str) -> list:
    """Return these maps as the viewer takes them."""
    note = f"The threshold of {THRESHOLD:.2f} stands for p = {ALPHA:g}, corrected."
    evidence = [as_evidence(each) for each in alone.p.values()]
    return [
        *viewer_maps(evidence, unit=f"{UNIT}, over stimuli", threshold=THRESHOLD, note=note),
        *viewer_maps(alone.reliability, unit=f"reliability, {unit}"),
    ]
