"""Source estimates that MNE made -> patterns over the sources, for every window of time."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import mne
import numpy as np
from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, message
from neurodnn.brain._files import read_head, user_path
from neurodnn.brain.meg_window_plan import WindowPlan, window_plan
from neurodnn.brain.source_patterns import Sources, source_dataset
from neurodnn.stimuli.keys import some

_AGAIN = "Fetch it again or restore it from the source."
_ENDS = {"left": "-lh.stc", "right": "-rh.stc"}
_SLACK = 1e-6  # of a sample; files hold milliseconds in single precision

Estimate = mne.SourceEstimate | str | os.PathLike


class _Course(NamedTuple):
    """One estimate: arrays of sources x times of the hemispheres, maybe still on the disk."""

    parts: list[NDArray]
    vertices: list[NDArray]
    start: float
    rate: float
    n_times: int
    subject: str


class EstimateWindows(Mapping[float, Dataset]):
    """Patterns by the centre of their window; of files, a window is read when asked for."""

    def __init__(
        self, courses: list[_Course], plan: WindowPlan, stimuli: list[str], samples: bool
    ) -> None:
        self._courses, self._plan = courses, plan
        self._stimuli, self._samples = stimuli, samples
        self._places = dict(zip(plan.centres, plan.samples, strict=True))

    def __getitem__(self, centre: float) -> Dataset:
        place, half = self._places[centre], self._plan.half
        span = slice(place - half, place + half + 1)
        rows = []
        for course in self._courses:
            own = np.concatenate([np.asarray(part[:, span], float) for part in course.parts])
            rows.append(own if self._samples else own.mean(axis=1))
        vertices = self._courses[0].vertices
        sides = np.repeat(list(_ENDS), [len(each) for each in vertices]).tolist()
        sources = Sources(np.concatenate(vertices), sides)
        labels = {"stimulus": self._stimuli}
        return source_dataset(np.stack(rows), sources, labels, centre, self._plan.width)

    def __iter__(self) -> Iterator[float]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def stc_patterns(
    estimates: Mapping[str, Estimate],
    *,
    width: float = 0.02,
    step: float | None = None,
    tmin: float | None = None,
    tmax: float | None = None,
    samples: bool = False,
) -> EstimateWindows:
    """Return the patterns of stimuli over the sources, from estimates that are there already.

    Parameters
    ----------
    estimates : mapping of stimulus -> mne.SourceEstimate or path
        One per stimulus, all of one subject on the same sources, with the same times. A path
        names the file of the left hemisphere, ``...-lh.stc``, or the stem of both. Files are
        read window by window.
    width, step, tmin, tmax : float
        In seconds, as in `window_patterns`.
    samples : bool
        As in `source_patterns`.

    Returns
    -------
    Mapping of float -> rsatoolbox.data.Dataset
        As of `source_patterns`; stimuli sorted by name, in the unit of the estimates.

    Raises
    ------
    InputError
        If a file is absent or damaged, an estimate is of a volume, has vectors or complex values,
        or estimates differ in their sources, times, rate or subject.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> made = {name: mne.SourceEstimate(rng.normal(size=(5, 11)), [[0, 7], [0, 3, 9]], 0.0, 0.01)
    ...         for name in ("dog", "cat")}
    >>> windows = stc_patterns(made, width=0.02, step=0.05)
    >>> list(windows), windows[0.05].obs_descriptors["stimulus"]
    ([0.05], ['cat', 'dog'])
    """
    if not isinstance(estimates, Mapping) or not estimates:
        allowed = "a mapping of stimulus to SourceEstimate or path"
        got = type(estimates).__name__
        raise InputError(message("estimates", "are none", got=got, allowed=allowed))
    strange = [name for name in estimates if not isinstance(name, str)]
    if strange:
        raise InputError(message("estimates", "a stimulus is no text", got=strange[0]))
    stimuli = sorted(estimates)
    courses = [_course(estimates[name], f"estimate of {name}") for name in stimuli]
    for name, course in zip(stimuli[1:], courses[1:], strict=True):
        _check_alike(courses[0], course, stimuli[0], name)
    first = courses[0]
    times = first.start + np.arange(first.n_times) / first.rate
    plan = window_plan(times, first.rate, width=width, step=step, tmin=tmin, tmax=tmax)
    return EstimateWindows(courses, plan, stimuli, samples)


def _course(estimate: Estimate, where: str) -> _Course:
    if isinstance(estimate, (str, os.PathLike)):
        return _opened(user_path(estimate))
    if not isinstance(estimate, mne.SourceEstimate):
        allowed = "a SourceEstimate of a surface, or a path"
        got = type(estimate).__name__
        raise InputError(message(where, "is no map on the cortex", got=got, allowed=allowed))
    if np.iscomplexobj(estimate.data):
        fault = "holds complex numbers"
        raise InputError(message(where, fault, remedy="Give their absolute value."))
    sizes = [len(each) for each in estimate.vertices]
    parts = [estimate.data[: sizes[0]], estimate.data[sizes[0] :]]
    vertices = [np.asarray(each, dtype=np.int64) for each in estimate.vertices]
    rate = _rate(estimate.tstep, where)
    subject = str(estimate.subject or "")
    return _Course(parts, vertices, float(estimate.tmin), rate, len(estimate.times), subject)


def _rate(step: float, where: str) -> float:
    if not (np.isfinite(step) and step > 0):
        raise InputError(message(where, "its step of time is not positive", got=step))
    # Single precision holds seven digits, of which the last is rounding.
    return float(f"{1.0 / step:.7g}")


def _opened(path: Path) -> _Course:
    """Return a pair of files, their values left on the disk."""
    stem = str(path)
    for end in _ENDS.values():
        stem = stem.removesuffix(end)
    left, right = (_mapped(Path(stem + end)) for end in _ENDS.values())
    if left[1:] != right[1:]:
        fault = "the two hemispheres differ in their times"
        raise InputError(message(stem, fault, got=(left[1:], right[1:]), remedy=_AGAIN))
    start, step, n_times = left[1:]
    parts, vertices = zip(left[0], right[0], strict=True)
    where = f"{stem}-lh.stc"
    start = round(start / 1000, 6)
    return _Course(list(parts), list(vertices), start, _rate(step / 1000, where), n_times, "")


def _mapped(path: Path) -> tuple[tuple[NDArray, NDArray], float, float, int]:
    """Return values (sources x times) and vertices of a file, start and step in ms, times.

    A file holds start and step in ms, the number of vertices, vertices, the number of times, and
    the values time by time, all in big-endian words of four bytes.
    """
    read_head(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(12)
        if len(head) < 12:
            raise InputError(message(str(path), "is no stc file", remedy=_AGAIN))
        start, step, n_vertices = struct.unpack(">ffI", head)
        whole = 16 + 4 * n_vertices <= size
        vertices = np.frombuffer(file.read(4 * n_vertices), ">u4") if whole else None
        n_times = struct.unpack(">I", file.read(4))[0] if whole else 0
    begin = 16 + 4 * n_vertices
    if vertices is None or size != begin + 4 * n_vertices * n_times or not n_times:
        fault = f"is no stc file, or was cut short: {n_vertices} vertices at {n_times} times " \
            f"do not fit {size} bytes"  # fmt: skip
        raise InputError(message(str(path), fault, remedy=_AGAIN))
    values = np.empty((0, n_times))
    if n_vertices:
        shape = (n_times, n_vertices)
        values = np.memmap(path, dtype=">f4", mode="r", offset=begin, shape=shape).T
    if not (np.isfinite([start, step]).all() and step > 0):
        raise InputError(message(str(path), "its times are damaged", got=(start, step)))
    return (values, vertices.astype(np.int64)), start, step, n_times


def _check_alike(first: _Course, other: _Course, name: str, own: str) -> None:
    """Refuse estimates that are not on the same sources at the same times."""
    fault = None
    if any(not np.array_equal(a, b) for a, b in zip(first.vertices, other.vertices, strict=True)):
        fault = "are not on the same sources"
    elif abs(first.rate - other.rate) > _SLACK * first.rate:
        fault = f"differ in rate, {first.rate:g} and {other.rate:g} Hz"
    elif abs(first.start - other.start) > 0.01 / first.rate or first.n_times != other.n_times:
        spans = [f"{each.n_times} samples from {each.start:g} s" for each in (first, other)]
        fault = f"differ in their times, {spans[0]} and {spans[1]}"
    elif first.subject and other.subject and first.subject != other.subject:
        fault = f"are of different subjects, {first.subject!r} and {other.subject!r}"
    if fault:
        text = f"those of {some([name, own])} {fault}"
        raise InputError(message("estimates", text, remedy="Make all in one way."))
