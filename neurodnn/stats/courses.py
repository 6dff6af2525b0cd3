"""Time courses of subjects, ready to be resampled: checked, sorted by subject and by time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.stats.bootstrap import STAGE_SUBJECTS, count_draws, draw_indices

_FEW = 10  # subjects below which percentile intervals are too narrow
_DRAWS = 256  # draws per matrix product; fixed, so that results are always the same bits


def arrange_courses(
    courses: xr.DataArray, window: tuple[float, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return subjects (by name) x times (rising) x references, and the times in seconds.

    Parameters
    ----------
    courses : DataArray (subject, time) or (subject, time, reference)
    window : (float, float), optional
        First and last time, both included.

    Raises
    ------
    InputError
        A dimension is missing or unknown, there are fewer than 2 subjects or 3 times, one of
        them repeats, or a score is infinite.

    Examples
    --------
    >>> courses = xr.DataArray(np.zeros((2, 3)), dims=("subject", "time"),
    ...                        coords={"time": [0.2, 0.1, 0.3]})
    >>> arrange_courses(courses)[1].tolist()
    [0.1, 0.2, 0.3]
    """
    _check_dimensions(courses)
    if "reference" not in courses.dims:
        courses = courses.expand_dims("reference", -1)
    names = subject_names(courses)
    array = courses.transpose("subject", "time", "reference").values.astype(np.float64)
    times = courses["time"].values.astype(np.float64)
    if len(set(names)) < len(names) or len(set(times)) < len(times):
        raise InputError(message("courses", "a subject or a time occurs more than once"))
    if np.isinf(array).any():
        raise InputError(message("courses", "hold an infinite value"))
    order = np.argsort(times)
    if window is not None:
        first, last = window
        order = order[(times[order] >= first - 1e-9) & (times[order] <= last + 1e-9)]
    if len(names) < 2 or order.size < 3:
        got = f"{len(names)} subjects, {order.size} times"
        allowed = "at least 2 subjects and 3 times in the window"
        raise InputError(message("courses", "are too few", got=got, allowed=allowed))
    subjects = sorted(range(len(names)), key=names.__getitem__)
    return np.ascontiguousarray(array[subjects][:, order]), times[order]


def subject_names(scores: xr.DataArray) -> list[str]:
    """Return the names of subjects, or their numbers where they have none.

    Examples
    --------
    >>> subject_names(xr.DataArray(np.zeros(2), dims="subject"))
    ['0', '1']
    """
    if "subject" in scores.coords:
        return [str(name) for name in scores["subject"].values]
    return [str(i) for i in range(scores.sizes["subject"])]


def subject_draws(
    n_subjects: int, n_bootstrap: int, seed: int, where: str = "courses"
) -> NDArray[np.int64]:
    """Return which subjects each draw takes; warn of the argument `where` if these are few.

    Examples
    --------
    >>> subject_draws(12, 100, 0).shape
    (100, 12)
    """
    if n_subjects < _FEW:
        text = f"{n_subjects} subjects are few: bootstrap intervals are too narrow"
        remedy = f"Read them as rough below {_FEW} subjects."
        warnings.warn(message(where, text, remedy=remedy), DataWarning, stacklevel=3)
    return draw_indices(n_subjects, n_bootstrap, seed, STAGE_SUBJECTS)


def mean_courses(
    array: NDArray[np.float64], draws: NDArray[np.int64]
) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of draws x times x references: the mean over the subjects of each draw.

    Examples
    --------
    >>> array = np.array([[[1.0]], [[3.0]]])
    >>> next(mean_courses(array, np.array([[0, 0], [0, 1]]))).ravel()
    array([1., 2.])
    """
    shares = count_draws(draws) / len(array)
    flat = array.reshape(len(array), -1)
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, len(shares), _DRAWS):
            means = shares[start : start + _DRAWS] @ flat
            yield means.reshape(-1, *array.shape[1:])


def course_coordinates(courses: xr.DataArray) -> dict[str, list[str]]:
    """Return the names of references, twice: as rows and as columns of differences.

    Examples
    --------
    >>> course_coordinates(xr.DataArray(np.zeros((2, 3)), dims=("subject", "time")))
    {'reference': ['score'], 'other': ['score']}
    """
    if "reference" not in courses.dims:
        names = [str(courses.name or "score")]
    elif "reference" in courses.coords:
        names = [str(name) for name in courses["reference"].values]
    else:
        names = [str(i) for i in range(courses.sizes["reference"])]
    return {"reference": names, "other": names}


def _check_dimensions(courses: xr.DataArray) -> None:
    allowed = "(subject, time) or (subject, time, reference)"
    if not isinstance(courses, xr.DataArray):
        raise InputError(message("courses", "is no DataArray", got=type(courses), allowed=allowed))
    dims = set(map(str, courses.dims))
    if not {"subject", "time"} <= dims or dims - {"subject", "time", "reference"}:
        raise InputError(message("courses", "has other dimensions", got=courses.dims,
                                 allowed=allowed))  # fmt: skip
    if "time" not in courses.coords:
        raise InputError(message("courses", "has no times", remedy="Give them in seconds."))
