"""The subjects' maps of the cortex in time: where they lie, and one reference after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.bids import read_json, sidecar_path
from neurodnn.pipeline.group_intact import check_intact
from neurodnn.pipeline.meg_group_plan import TEMPLATE, MegGroupJob

SIDES = ("left", "right")


class Cortex(NamedTuple):
    """The sources that all subjects have: hemispheres, numbers and surfaces."""

    hemisphere: np.ndarray
    vertex: np.ndarray
    times: np.ndarray  # s
    meshes: dict[str, Any]
    surface: dict[str, str]  # files of the subjects' own, relative; empty for the template's
    notes: list[str]
    n_subjects: int

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """Numbers of the sources of each hemisphere."""
        return {side: self.vertex[self.hemisphere == side] for side in SIDES}


def map_path(result: dict[str, Any], name: str) -> str:
    """Return the map of a reference that lies on the template."""
    entry = next(each for each in result["Maps"] if each["Reference"] == name)
    return str(entry["Path"] if result["Space"] == TEMPLATE else entry["Morphed"])


def find_cortex(job: MegGroupJob, out: Path) -> Cortex:
    """Return where the maps of all subjects lie, over the sources that all have.

    Raises
    ------
    InputError
        Maps are missing, were changed, have other times, or share no source; the surfaces differ.
    """
    from neurodnn.brain.score_files import read_source_map

    times = job.results[0]["Times"]
    grid = np.round(np.linspace(times["Start"], times["End"], int(times["Count"])), 9)
    name, sets = str(job.references[0]["Name"]), []
    for each in job.results:
        relative = map_path(each, name)
        check_intact(out, relative, each)
        found = read_source_map(out / relative)
        _check_times(relative, found, grid)
        sides = found["hemisphere"].values == "right"
        numbers = found["vertex"].values.tolist()
        sets.append(set(zip(sides.tolist(), numbers, strict=True)))
    common = sorted(set.intersection(*sets))
    if not common:
        raise InputError(message(job.name, "the subjects have no source in common",
                                 remedy="Make the source spaces of all subjects alike."))
    lost = len(set.union(*sets)) - len(common)
    notes = [] if not lost else [
        f"{lost} of {lost + len(common)} sources are missing in some subject and were left out; "
        f"the group was tested in the other {len(common)}."
    ]  # fmt: skip
    sides = np.where([side for side, _ in common], "right", "left")
    numbers = np.array([number for _, number in common])
    meshes, surface = _surfaces(job, out, numbers)
    return Cortex(sides, numbers, grid, meshes, surface, notes, len(job.results))


def _check_times(relative: str, found: Any, grid: np.ndarray) -> None:
    # files hold milliseconds in single precision
    times = found["time"].values
    if times.shape != grid.shape or np.abs(times - grid).max(initial=0) > 1e-4:
        raise InputError(message(relative, "has other times than its results say",
                                 remedy="Run the participant level again with --overwrite."))


def _surfaces(
    job: MegGroupJob, out: Path, numbers: np.ndarray
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the surface of each hemisphere: of subjects on the template, or the template's."""
    from neurodnn.brain.fsaverage import load_fsaverage
    from neurodnn.brain.mesh import read_mesh

    own = [each for each in job.results if each["Space"] == TEMPLATE and each.get("Surface")]
    if not own:
        meshes = {side: load_fsaverage(side) for side in SIDES}
        if numbers.max() >= meshes["left"].n_vertices:
            raise InputError(message(job.name, "maps lie on vertices that fsaverage5 lacks",
                                     remedy="Run the participant level again."))  # fmt: skip
        return meshes, {}
    surface = {str(side): str(path) for side, path in own[0]["Surface"].items()}
    for each in own:
        for side, path in each["Surface"].items():
            check_intact(out, str(path), each)
            hashes = {read_json(sidecar_path(out / which)).get("SHA256")
                      for which in (str(path), surface[str(side)])}  # fmt: skip
            if len(hashes) > 1:
                raise InputError(message(
                    f"sub-{each['Subject']}", f"its maps lie on another surface than those of "
                    f"sub-{own[0]['Subject']}, though both are called {TEMPLATE}",
                    remedy=f"Make the source spaces on the same {TEMPLATE}, and run the "
                    "participant level again with --overwrite.",
                ))  # fmt: skip
    return {side.lower(): read_mesh(out / path) for side, path in surface.items()}, surface


def map_readers(
    job: MegGroupJob, out: Path, cortex: Cortex
) -> dict[str, Callable[[], Any]]:
    """Return a function for each reference that reads its maps, (subject, vertex, time)."""
    return {str(each["Name"]): partial(_read, job, out, cortex, str(each["Name"]))
            for each in job.references}  # fmt: skip


def difference_readers(
    readers: dict[str, Callable[[], Any]], pairs: list[tuple[str, str]]
) -> dict[str, Callable[[], Any]]:
    """Return a function for each pair that reads the maps of both and takes their difference."""

    def difference(a: str, b: str) -> Any:
        found = readers[a]()
        found.values -= readers[b]().values
        return found

    return {f"{a} - {b}": partial(difference, a, b) for a, b in pairs}


def _read(job: MegGroupJob, out: Path, cortex: Cortex, name: str) -> Any:
    import xarray as xr

    from neurodnn.brain.score_files import read_source_map

    data = np.empty((len(job.results), cortex.vertex.size, cortex.times.size))
    wanted = list(zip(cortex.hemisphere.tolist(), cortex.vertex.tolist(), strict=True))
    for row, each in zip(data, job.results, strict=True):
        relative = map_path(each, name)
        check_intact(out, relative, each)
        found = read_source_map(out / relative)
        _check_times(relative, found, cortex.times)
        keys = zip(found["hemisphere"].values.tolist(), found["vertex"].values.tolist(),
                   strict=True)  # fmt: skip
        place = {key: index for index, key in enumerate(keys)}
        absent = [key for key in wanted if key not in place]
        if absent:
            raise InputError(message(relative, "lacks sources of the other maps",
                                     got=absent[:3]))  # fmt: skip
        row[:] = found.values[[place[key] for key in wanted]]
    # vertex has no coordinate: numbers occur in both hemispheres
    return xr.DataArray(data, dims=("subject", "vertex", "time"),
                        coords={"subject": job.subjects, "time": cortex.times})  # fmt: skip
