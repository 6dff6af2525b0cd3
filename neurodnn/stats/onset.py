"""When time courses of scores begin to be significant, with intervals over subjects."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn._checks import InputError, check_number, message
from neurodnn.stats.courses import (
    arrange_courses,
    course_coordinates,
    mean_courses,
    subject_draws,
)


def bootstrap_onset(
    courses: xr.DataArray,
    significant: xr.DataArray,
    *,
    start: float = 0.0,
    run_length: int = 1,
    n_bootstrap: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the first significant time of each reference, with an interval over subjects.

    The onset is the first time of the first run of significant times. A resample cannot be
    tested anew at reasonable cost; what counts in it is the level that the test asked for: the
    smallest t among the times found significant, times the standard error of the given data at
    each time.

    Parameters
    ----------
    courses : DataArray (subject, time) or (subject, time, reference)
        Scores; ``time`` in seconds.
    significant : DataArray of bool (time,) or (time, reference)
        Where a test of these courses found an effect, such as ``test.p_fwe < 0.05``. Times whose
        mean score is not positive do not count, so that the mask may be that of a two-sided
        test.
    start : float
        Seconds before which nothing counts; default 0, stimulus onset.
    run_length : int
        Consecutive significant times that are asked for. Default 1, the first significant
        point, as in the reference study.
    n_bootstrap, seed, confidence
        As in `bootstrap_peak_latency`.

    Returns
    -------
    Dataset
        Per ``reference``: ``onset``, ``low``, ``high`` in seconds, ``threshold`` (t), and
        ``n_without`` (draws that never reach the level; they count as later than all times, so
        that ``high`` may be NaN). NaN where nothing positive is significant. attrs: generalises_to
        "subjects".

    Raises
    ------
    InputError
        As `bootstrap_peak_latency`; if the mask has other times or references than `courses`.

    References
    ----------
    Cichy, R. M., Pantazis, D., & Oliva, A. (2014). Resolving human object recognition in space
    and time. Nature Neuroscience, 17, 455-462.

    Examples
    --------
    >>> time = np.arange(-0.1, 0.3, 0.01)
    >>> rng = np.random.default_rng(0)
    >>> courses = xr.DataArray((time > 0.055) + rng.normal(0, 0.2, (12, time.size)),
    ...                        dims=("subject", "time"), coords={"time": time})
    >>> found = bootstrap_onset(courses, courses.mean("subject") > 0.5, n_bootstrap=200)
    >>> round(found.onset.item(), 3)
    0.06
    """
    check_number("run_length", run_length, minimum=1)
    share = (1 - check_number("confidence", confidence, minimum=0.5, maximum=0.9999)) / 2
    array, times = arrange_courses(courses)
    early = times < start - 1e-9
    # Of a two-sided test: a level below zero would be reached at once, in every draw.
    positive = array.mean(axis=0) > 0
    mask = _mask_of(significant, courses, times) & positive & ~early[:, None]
    draws = subject_draws(len(array), n_bootstrap, seed)
    error = array.std(axis=0, ddof=1) / np.sqrt(len(array))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = array.mean(axis=0) / error
    threshold = np.where(mask & np.isfinite(t), t, np.inf).min(axis=0)
    level = np.where(np.isfinite(threshold), threshold, np.nan) * error
    level[early] = np.nan  # nothing reaches NaN
    onset = _first_run(mask[None], int(run_length), times)[0]
    parts = [m >= level - 1e-12 * np.abs(level) for m in mean_courses(array, draws)]
    found = np.concatenate([_first_run(part, int(run_length), times) for part in parts])
    limits = np.quantile(found, [share, 1 - share], axis=0, method="inverted_cdf")
    known = np.isfinite(onset)
    columns = {"onset": onset, "low": limits[0], "high": limits[1], "threshold": threshold}
    result = xr.Dataset(
        {
            name: ("reference", np.where(known & np.isfinite(column), column, np.nan))
            for name, column in columns.items()
        }
        | {"n_without": ("reference", np.isinf(found).sum(axis=0))},
        coords={"reference": course_coordinates(courses)["reference"]},
        attrs={
            "n_subjects": len(array), "n_bootstrap": len(draws), "seed": int(seed),
            "confidence": float(confidence), "start": float(start),
            "run_length": int(run_length), "generalises_to": "subjects",
        },
    )  # fmt: skip
    for name in ("onset", "low", "high"):
        result[name].attrs["units"] = "s"
    return result


def _mask_of(
    significant: xr.DataArray, courses: xr.DataArray, times: NDArray
) -> NDArray[np.bool_]:
    """Return the mask as times x references, in the order of the courses."""
    mask = significant
    if "reference" in courses.dims and "reference" not in mask.dims:
        raise InputError(message("significant", "has no dimension reference", got=mask.dims))
    if "reference" not in mask.dims:
        mask = mask.expand_dims("reference", -1)
    same = set(map(str, mask.dims)) == {"time", "reference"} and "time" in mask.coords
    if not same or not np.array_equal(np.sort(mask["time"].values), times):
        allowed = "the times of courses"
        raise InputError(message("significant", "has other times", got=mask.dims, allowed=allowed))
    if "reference" in courses.coords and "reference" in courses.dims:
        wanted, own = list(courses["reference"].values), list(mask["reference"].values)
        if sorted(map(str, wanted)) != sorted(map(str, own)):
            raise InputError(message("significant", "has other references", got=own))
        mask = mask.sel(reference=wanted)
    if mask.dtype != bool:
        remedy = "Compare p values with alpha first."
        raise InputError(message("significant", "is no mask", got=mask.dtype, remedy=remedy))
    return mask.sortby("time").transpose("time", "reference").values


def _first_run(mask: NDArray[np.bool_], length: int, times: NDArray) -> NDArray[np.float64]:
    """Return the first time of the first run of True (draws x times x references); inf: none."""
    count = mask.shape[1] - length + 1
    if count < 1:
        return np.full(mask[:, 0].shape, np.inf)
    runs = mask[:, :count].copy()
    for shift in range(1, length):
        runs &= mask[:, shift : shift + count]
    return np.where(runs.any(axis=1), times[runs.argmax(axis=1)], np.inf)
