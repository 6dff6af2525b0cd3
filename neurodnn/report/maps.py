"""Maps of a study: read once, drawn as pictures, packed for the viewer, their peaks listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurodnn._checks import InputError
from neurodnn.plotting.maps import default_slices, plot_layer_maps
from neurodnn.plotting.slices import extent_underlay, template_underlay
from neurodnn.plotting.style import score_limit
from neurodnn.report.facts import peak_sentence
from neurodnn.report.peaks import Peak, find_peaks
from neurodnn.report.pictures import figure_to_uri
from neurodnn.report.tree import Summary, link, read_map, without_paths
from neurodnn.report.viewer import ViewerMap

_FULL_COLOUR = 20  # so many pictures in full colour stay well below 5 MB
_MOST = 90  # more are left to the viewer


@dataclass(frozen=True)
class ReadMap:
    """A map of the tree: its reference's name, its place in the tree, its data and its peaks."""

    name: str
    path: str
    image: Any
    data: np.ndarray
    peaks: list[Peak]


def read_maps(
    summary: Summary, entries: Sequence[Mapping[str, Any]], path_of
) -> list[ReadMap]:
    """Return the maps that can be read; what cannot is put into ``summary.problems``.

    Parameters
    ----------
    summary : Summary
        The study.
    entries : sequence of mapping
        Its ``Maps``.
    path_of : callable
        Entry -> path relative to the output folder.
    """
    found = []
    for entry in entries:
        name = str(entry.get("Reference", "–"))
        try:
            image = read_map(summary.root, path_of(entry))
        except InputError as error:
            text = f"The map of {name} cannot be shown: {error}"
            summary.problems.append(without_paths(text, (summary.root.absolute(),)))
            continue
        data = np.asarray(image.get_fdata(dtype=np.float32)).reshape(image.shape[:3])
        peaks = find_peaks(data, image.affine)
        found.append(ReadMap(name, str(path_of(entry)), image, data, peaks))
    return found


def on_template(summary: Summary) -> bool:
    """Whether the study's space is one of the MNI spaces, which share the template's frame."""
    return summary.text("Space").upper().startswith("MNI")


def underlay_note(summary: Summary, maps: Sequence[ReadMap]) -> str:
    """What lies below the maps, and in which space they are."""
    underlay = (
        template_underlay() if on_template(summary) else extent_underlay([m.image for m in maps])
    )
    return f"Space: {summary.text('Space', 'not on file')}. {underlay.note}"


def limit_of(maps: Sequence[ReadMap]) -> float:
    """The common end of the colours."""
    return score_limit(each.data for each in maps)


def pictures(
    summary: Summary,
    maps: Sequence[ReadMap],
    *,
    unit: str,
    limit: float | None = None,
    threshold: float | None = None,
    outlines: Mapping[str, Any] | None = None,
    captions: Mapping[str, str] | None = None,
    cut_at: Mapping[str, ReadMap] | None = None,
    total: int | None = None,
) -> list[dict[str, Any]]:
    """Return one picture per map, all on the same colour scale.

    Parameters
    ----------
    summary, maps
        The study and its maps.
    unit : str
        Label of the colour bar.
    limit, threshold, outlines
        As `neurodnn.plotting.maps.plot_layer_maps` takes them.
    captions : mapping, optional
        Name of the map -> caption. Default: its peaks.
    cut_at : mapping, optional
        Name of the map -> another map at whose peak it is cut. Default: its own. The peaks of p
        are plateaus, of which the first voxel says nothing.
    total : int, optional
        Number of pictures on the whole page; decides how they are stored.
    """
    background = None if on_template(summary) else "extent"
    shown = maps[: _share(len(maps), total or len(maps))]
    if len(shown) < len(maps):
        rest = len(maps) - len(shown)
        summary.problems.append(f"{rest} maps are left out of this page; the viewer has them all.")
    drawn = []
    for each in shown:
        figure = plot_layer_maps(
            {each.name: each.image}, background=background, vmax=limit or limit_of(maps),
            threshold=threshold, outlines=outlines, unit=unit,
            slices=_cuts(summary, (cut_at or {}).get(each.name)),
        )  # fmt: skip
        drawn.append(
            {
                "uri": figure_to_uri(figure, compact=(total or len(maps)) > _FULL_COLOUR),
                "alt": f"{unit} of {each.name} on slices of the brain, left on the left. "
                + peak_sentence(each.peaks[:1]),
                "caption": (captions or {}).get(each.name, peak_sentence(each.peaks)),
                "natural": False,
            }
        )
    return drawn


def _share(count: int, total: int) -> int:
    """How many of `count` pictures a page of `total` has room for.

    Examples
    --------
    >>> _share(20, 60), _share(20, 222), _share(2, 222)
    (20, 8, 2)
    """
    return count if total <= _MOST else max(2, _MOST * count // total)


def _cuts(summary: Summary, at: ReadMap | None) -> list[tuple[str, float]] | None:
    """The cuts of a map with peaks; None leaves them to the map that is drawn."""
    if at is None or not at.peaks:
        return None
    underlay = template_underlay() if on_template(summary) else extent_underlay([at.image])
    return default_slices(at.data, at.image.affine, underlay)


def viewer_maps(
    maps: Sequence[ReadMap], *, unit: str, threshold: float = 0.0, note: str = ""
) -> list[ViewerMap]:
    """Return the maps as the viewer takes them, on one colour scale."""
    limit = limit_of(maps) if maps else 1.0
    return [
        ViewerMap(each.name, unit, each.image, limit, threshold, _start(each), note)
        for each in maps
    ]


def _start(each: ReadMap) -> tuple[float, float, float]:
    return (each.peaks[0].x, each.peaks[0].y, each.peaks[0].z) if each.peaks else (0.0, 0.0, 0.0)


def viewer_link(summary: Summary, page: Path) -> str:
    """Address of the study's viewer as seen from a page."""
    return link(viewer_path(summary), page)


def viewer_path(summary: Summary) -> Path:
    """Where the study's viewer stands: beside its summary."""
    return summary.path.with_name(f"{summary.stem}viewer.html")
