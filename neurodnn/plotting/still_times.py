"""Which times of a movie are drawn: those asked for, or some round the peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurodnn._checks import InputError, check_number, message

_MS = 1000.0
_SLACK = 1e-6  # seconds


def in_milliseconds(time: float) -> str:
    """Return a time in seconds as text.

    Examples
    --------
    >>> in_milliseconds(-0.08), in_milliseconds(0.1125)
    ('−80 ms', '112.5 ms')
    """
    rounded = round(float(time) * _MS, 1) + 0.0
    return f"{rounded:g} ms".replace("-", "\N{MINUS SIGN}")


def nearest_times(known: np.ndarray, wanted: Sequence[float] | float) -> list[int]:
    """Return the places of the times nearest to those wanted, in their order.

    Parameters
    ----------
    known : array (n_times,)
        In seconds, rising.
    wanted : sequence of float, or float
        In seconds, each within half a step of a known time.

    Raises
    ------
    InputError
        If there is none, or one lies outside the movie.

    Examples
    --------
    >>> nearest_times(np.array([0.0, 0.02, 0.04]), [0.021, 0.04])
    [1, 2]
    """
    steps = np.diff(known)
    half = (steps.max() if steps.size else 0.0) / 2 + _SLACK
    places = []
    for time in np.atleast_1d(np.asarray(wanted, dtype=object)).tolist():
        apart = np.abs(known - check_number("times", time, unit="s"))
        if not apart.min() <= half:
            allowed = f"{known[0]:g} to {known[-1]:g} s"
            raise InputError(message("times", "is not in the movie", got=time, allowed=allowed,
                                     remedy="Times are in seconds."))  # fmt: skip
        places.append(int(apart.argmin()))
    if not places:
        raise InputError(message("times", "are empty"))
    return places


def places_round_peak(courses: Sequence[np.ndarray], count: int) -> list[int]:
    """Return evenly spaced places in time that show where courses stand high.

    They reach from the first to the last time at which a course is more than half way from its
    lowest value to its peak, in equal steps through the peak of the highest course; of one
    course the peak is in the middle, where the movie allows it.

    Parameters
    ----------
    courses : sequence of array (n_times,)
        What the places are chosen by, such as the largest score of a map at each time; NaN where
        there is none.
    count : int
        The largest number of places.

    Examples
    --------
    >>> places_round_peak([np.array([0, 0, 1, 3, 6, 4, 1, 0, 0.0])], 3)
    [3, 4, 5]
    """
    n_times = len(courses[0])
    spans = [_half_height(course) for course in courses if np.isfinite(course).any()]
    if not spans:
        return sorted({*np.linspace(0, n_times - 1, min(count, n_times)).round().astype(int)})
    anchor = max(spans)[1]
    low, high = min(span[2] for span in spans), max(span[3] for span in spans)
    if len(spans) == 1:
        reach = max(anchor - low, high - anchor, count // 2)
        low, high = anchor - reach, anchor + reach
    if count < 2:
        return [anchor]
    stride = max(1, -(-(high - low) // (count - 1)))
    first = anchor - stride * min(-(-(anchor - low) // stride), anchor // stride)
    places = [first + stride * k for k in range(count + 1) if first + stride * k < n_times]
    while len(places) > count or (len(places) > 1 and places[-1] - high >= stride):
        places.pop()
    return places


def _half_height(course: np.ndarray) -> tuple[float, int, int, int]:
    """Height and place of the peak; first and last place of the run round it above half way."""
    filled = np.where(np.isfinite(course), course, -np.inf)
    peak = int(filled.argmax())
    below = np.flatnonzero(filled < (filled[peak] + np.nanmin(course)) / 2)
    before, after = below[below < peak], below[below > peak]
    start = int(before[-1]) + 1 if before.size else 0
    stop = int(after[0]) - 1 if after.size else course.size - 1
    return float(filled[peak]), peak, start, stop
