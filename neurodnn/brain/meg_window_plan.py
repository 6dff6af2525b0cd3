"""Which samples belong to a window of time, and the patterns of windows.

A window is named by its centre in seconds. It holds the sample nearest to the centre and all
samples that are no further from that one than half the width, both ends included: the same span
of time at any sampling rate, symmetric about the centre, and as many samples in every window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from numpy.typing import NDArray
from rsatoolbox.data import Dataset

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.meg_noise import Whitener

_SLACK = 1e-6  # samples: 20 ms at 250 Hz is 5 of them, whatever the floating point says
_DIGITS = 9  # seconds are named to the nanosecond, so that 17 steps of 10 ms are 0.17


class WindowPlan(NamedTuple):
    """Centres in seconds, the sample of each, samples to either side, and the width asked for."""

    centres: list[float]
    samples: list[int]
    half: int
    width: float


class Windows(Mapping[float, Dataset]):
    """Patterns by the centre of their window in seconds; a window is averaged when asked for.

    Single trials of all windows would fill many times the memory of the epochs.

    Parameters
    ----------
    values : array (observations, sensors, times)
    plan : WindowPlan
    labels : dict
        Observation descriptors.
    sensors : list of str
    whitener : Whitener, optional

    Examples
    --------
    >>> import numpy as np
    >>> plan = window_plan(np.arange(5) / 100, 100.0, width=0.02)
    >>> windows = Windows(np.ones((2, 3, 5)), plan, {"stimulus": ["a", "b"]}, list("ABC"))
    >>> list(windows), windows[0.02].measurements.shape
    ([0.02], (2, 3))
    """

    def __init__(
        self, values: NDArray, plan: WindowPlan, labels: dict[str, list],
        sensors: list[str], whitener: Whitener | None = None,
    ) -> None:  # fmt: skip
        self._values = values
        self._plan = plan
        self._labels = labels
        self._sensors = sensors
        self._whitener = whitener
        self._places = dict(zip(plan.centres, plan.samples, strict=True))

    def __getitem__(self, centre: float) -> Dataset:
        place, half = self._places[centre], self._plan.half
        patterns = self._values[:, :, place - half : place + half + 1].mean(axis=2)
        if self._whitener is not None:
            patterns = self._whitener.apply(patterns, self._sensors)
        return Dataset(
            patterns,
            descriptors={"time": centre, "width": self._plan.width},
            obs_descriptors={name: list(each) for name, each in self._labels.items()},
            channel_descriptors={"sensor": list(self._sensors)},
        )

    def __iter__(self) -> Iterator[float]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def window_plan(
    times: NDArray, sfreq: float, *, width: float, step: float | None = None,
    tmin: float | None = None, tmax: float | None = None,
) -> WindowPlan:  # fmt: skip
    """Return the windows: centres in seconds and the samples of each.

    Parameters
    ----------
    times : array (n_times,)
        Seconds.
    sfreq : float
        Hz.
    width, step, tmin, tmax
        As in `window_patterns`.

    Raises
    ------
    InputError
        If a number is not valid, ``tmin > tmax``, or a window leaves the times.

    Examples
    --------
    >>> import numpy as np
    >>> window_plan(np.arange(-25, 26) / 250, 250.0, width=0.02, tmin=0.0, tmax=0.05)
    WindowPlan(centres=[0.0, 0.02, 0.04], samples=[25, 30, 35], half=2, width=0.02)
    """
    width = check_number("width", width, minimum=0, maximum=1e6, unit="s")
    if step is not None:
        step = check_number("step", step, minimum=0, maximum=1e6, strict=True, unit="s")
    if step is not None and step < (1 - _SLACK) / sfreq:
        allowed = f">= {1 / sfreq:g} s, one sample at {sfreq:g} Hz"
        raise InputError(message("step", "is finer than the data", got=step, allowed=allowed))
    half = math.floor(width * sfreq / 2 + _SLACK)
    low, high = half, len(times) - 1 - half
    if low > high:
        fault = f"no window of {width:g} s fits into the epochs"
        allowed = f"<= {times[-1] - times[0]:g} s"
        raise InputError(message("width", fault, got=width, allowed=allowed))
    first = None if tmin is None else check_number("tmin", tmin, unit="s")
    last = None if tmax is None else check_number("tmax", tmax, unit="s")
    if first is not None and last is not None and first > last:
        fault = "the first window begins after the last"
        raise InputError(message("tmin", fault, got=(tmin, tmax), allowed="tmin <= tmax"))
    span = f"centres from {times[low]:g} to {times[high]:g} s with a width of {width:g} s"
    for name, value in (("tmin", first), ("tmax", last)):
        if value is not None and not low <= _sample(value, times, sfreq) <= high:
            fault = "the window leaves the epochs"
            raise InputError(message(name, fault, got=value, allowed=span))
    centres = _centres(times[low : high + 1], sfreq, width, step, first, last)
    centres = [c for c in centres if low <= _sample(c, times, sfreq) <= high]
    if not centres:
        remedy = "Give tmin, or a smaller step."
        raise InputError(message("step", "no window fits", got=step, allowed=span, remedy=remedy))
    return WindowPlan(centres, [_sample(c, times, sfreq) for c in centres], half, width)


def _sample(centre: float, times: NDArray, sfreq: float) -> int:
    """The sample nearest to a time; of two equally near ones the later."""
    return math.floor((centre - times[0]) * sfreq + 0.5 + _SLACK)


def _centres(
    inside: NDArray, sfreq: float, width: float, step: float | None, first: float | None,
    last: float | None,
) -> list[float]:  # fmt: skip
    if step is None and width == 0:
        slack = 0.5 / sfreq
        low = -math.inf if first is None else first - slack
        high = math.inf if last is None else last + slack
        return [round(float(time), _DIGITS) for time in inside if low < time <= high]
    step = width if step is None else step
    end = float(inside[-1]) if last is None else last
    # Without a first centre the grid goes through 0, so that all subjects have one grid.
    start, number = (first, 0) if first is not None else (0.0, math.floor(inside[0] / step))
    centres = []
    while start + number * step <= end + _SLACK / sfreq + (0.5 / sfreq if last is None else 0):
        centres.append(round(start + number * step, _DIGITS) + 0.0)
        number += 1
    return centres
