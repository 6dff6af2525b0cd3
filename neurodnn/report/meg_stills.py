"""Stills of MEG for the pages: maps of the sensors, and of the cortex at each reference's peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from neurodnn._checks import InputError, message
from neurodnn.brain.mesh import Mesh, read_mesh
from neurodnn.brain.score_files import read_sensor_maps, read_source_map
from neurodnn.plotting.sensor_maps import plot_sensor_maps
from neurodnn.plotting.surfaces import plot_surface_maps
from neurodnn.report import facts
from neurodnn.report.courses import ms, number
from neurodnn.report.pictures import figure_to_uri
from neurodnn.report.tree import Summary, file_inside

_INFLATED = 10242  # vertices of a hemisphere of fsaverage5, whose inflated shape nilearn ships
_VIEWS = ("lateral", "ventral", "medial")  # of a group; a subject's page makes do with two
_SIDES = {"left": "Left", "right": "Right"}


def sensor_pictures(summary: Summary) -> list[dict[str, Any]]:
    """Return a picture of the maps of the sensors for each network, as far as there are any."""
    found = []
    for entry in summary.entries("SensorMaps"):
        model = str(entry.get("Model") or "")
        try:
            maps = read_sensor_maps(file_inside(summary.root, entry.get("Path")))
            figure = plot_sensor_maps(maps, unit=facts.comparison_unit(summary))
        except InputError as error:
            summary.complain(f"The maps of the sensors of {model or 'a network'}", error)
            continue
        found.append({"uri": figure_to_uri(figure), "natural": False,
                      "alt": f"Maps of the head for each layer of {model}",
                      "caption": f"{model}: scores of each sensor and its neighbours round the "
                      "peak of each reference; the nose is up. Neighbours are of all types "
                      "analysed together: types that look alike are no second witness. No test "
                      "was made here."})
    return found


def source_pictures(summary: Summary) -> list[dict[str, Any]]:
    """Return a picture of the cortex, a row per reference at its peak; none without a surface."""
    surfaces = summary.mapping("Surface")
    rows: dict[str, dict[str, np.ndarray]] = {}
    try:
        meshes = {side: read_mesh(file_inside(summary.root, surfaces[key]))
                  for side, key in _SIDES.items() if key in surfaces}  # fmt: skip
        for entry in summary.entries("Maps") if meshes else []:
            peak = entry.get("Peak")
            if isinstance(peak, Mapping):
                time = number(peak.get("Time"))
                name = f"{entry.get('Reference', '–')}, {ms(time)} ms"
                rows[name] = _painted(summary, entry, time, meshes)
        if not rows:
            return []
        whole = all(len(mesh.coordinates) == _INFLATED for mesh in meshes.values())
        inflated = whole and summary.text("Space") == "fsaverage"
        figure = plot_surface_maps(rows, None if inflated else meshes,
                                   views=_VIEWS if summary.list_of("Subjects") else _VIEWS[:2],
                                   unit=facts.comparison_unit(summary))  # fmt: skip
    except InputError as error:
        summary.complain("The maps of the cortex", error)
        return []
    return [{"uri": figure_to_uri(figure), "natural": False,
             "alt": f"Cortex at the peak of {', '.join(rows)}",
             "caption": "Each reference at the time of its peak; every point of the cortex has the "
             "colour of the nearest source. Nothing is thresholded."}]  # fmt: skip


def _painted(
    summary: Summary, entry: Mapping[str, Any], time: float, meshes: Mapping[str, Mesh]
) -> dict[str, np.ndarray]:
    """Return the score of the nearest source at every point of each mesh."""
    given = entry.get("Statistics")
    path = given.get("mean") if isinstance(given, Mapping) else entry.get("Path")
    scores = read_source_map(file_inside(summary.root, path)).sel(time=time, method="nearest")
    found = {}
    for side, mesh in meshes.items():
        own = scores[(scores["hemisphere"] == side).values]
        places = own["vertex"].values.astype(int)
        points = np.asarray(mesh.coordinates)
        if not places.size or places.max() >= len(points):
            raise InputError(message(str(path), f"does not fit the surface of the {side} side"))
        _, nearest = KDTree(points[places]).query(points)
        found[side] = own.values[nearest]
    return found
