"""Scores on sensors -> one evoked response per reference, for figures and files of MNE."""

from __future__ import annotations

from collections.abc import Sequence

import mne
import numpy as np
import xarray as xr
from mne.io.constants import FIFF
from numpy.typing import NDArray
from scipy.spatial import KDTree

from neurodnn._checks import InputError, check_choice, message

PAIRS = ("keep", "mean")
_SAME_PLACE = 1e-3  # m: the coils of a planar pair lie on one chip
_PLANAR = {
    int(FIFF.FIFFV_COIL_VV_PLANAR_T1), int(FIFF.FIFFV_COIL_VV_PLANAR_T2),
    int(FIFF.FIFFV_COIL_VV_PLANAR_T3), int(FIFF.FIFFV_COIL_NM_122),
}  # fmt: skip
_IRREGULAR = 1e-3  # of a step
_SAME_TIME = 1e-6  # s


def scores_to_evokeds(
    scores: xr.DataArray, info: mne.Info, *, pairs: str = "keep"
) -> list[mne.EvokedArray]:
    """Return a movie of scores on the sensors for each reference.

    Parameters
    ----------
    scores : xarray.DataArray
        Dims ``sensor`` (with the names as coordinate), ``time`` (seconds, in equal steps) and
        ``reference``, in any order; without ``time`` or ``reference`` there is one.
    info : mne.Info
        Where the sensors are; more sensors than those of the scores do no harm.
    pairs : {"keep", "mean"}
        ``"mean"``: the planar gradiometers of a place become one channel, their mean score,
        named as ``MEG 011X`` and typed as a magnetometer there. MNE draws a pair as its root mean
        square, in which a negative correlation becomes a positive one.

    Returns
    -------
    list of mne.EvokedArray
        In the order of the references, whose names are the comments. NaN stays. The data are
        scores, not tesla: plot them with ``scalings=1`` and ``units`` of your own. Of `info`
        only names, types, positions and the place of the head are taken: nothing on the person.

    Raises
    ------
    InputError
        If a dim is missing or another one is there, a sensor is not in `info`, or times are not
        in equal steps.

    Examples
    --------
    >>> info = mne.create_info(["A", "B"], 100.0, "mag")
    >>> scores = xr.DataArray(np.zeros((2, 3, 1)), dims=("sensor", "time", "reference"),
    ...     coords={"sensor": ["B", "A"], "time": [0.0, 0.01, 0.02], "reference": ["conv1"]})
    >>> evoked = scores_to_evokeds(scores, info)[0]
    >>> evoked.comment, evoked.ch_names, evoked.times.tolist()
    ('conv1', ['B', 'A'], [0.0, 0.01, 0.02])
    """
    check_choice("pairs", pairs, PAIRS)
    scores = _checked_scores(scores)
    names = [str(name) for name in scores["sensor"].values]
    strange = sorted(set(names) - set(info["ch_names"]))
    if strange or len(set(names)) < len(names):
        fault = "sensors of the scores are not in info, or occur twice"
        raise InputError(message("scores", fault, got=strange[:5]))
    times = scores["time"].values.astype(float)
    rate = _rate(times, info)
    values = np.asarray(scores.values, dtype=np.float64)
    fresh = _fresh_info(info, names, rate)
    if pairs == "mean":
        fresh, values = _mean_of_pairs(fresh, values, rate)
    evokeds = [
        mne.EvokedArray(values[:, :, i], fresh.copy(), comment=str(name), nave=1, verbose="ERROR")
        for i, name in enumerate(scores["reference"].values)
    ]
    # As tmin the first time would be rounded to a multiple of the step.
    return [evoked.shift_time(float(times[0]), relative=False) for evoked in evokeds]


def _checked_scores(scores: xr.DataArray) -> xr.DataArray:
    if not isinstance(scores, xr.DataArray) or "sensor" not in scores.dims:
        got = getattr(scores, "dims", type(scores).__name__)
        raise InputError(message("scores", "have no dim sensor", got=got))
    if "sensor" not in scores.coords:
        remedy = "scores.assign_coords(sensor=sensor_names(info))"
        raise InputError(message("scores", "sensors have no names", remedy=remedy))
    for name, value in (("time", 0.0), ("reference", "")):
        if name not in scores.dims:
            own = scores.coords[name].item() if name in scores.coords else value
            scores = scores.drop_vars(name, errors="ignore").expand_dims({name: [own]})
    extra = [str(dim) for dim in scores.dims if dim not in ("sensor", "time", "reference")]
    if extra or "time" not in scores.coords or "reference" not in scores.coords:
        allowed = "sensor, time, reference, with coordinates"
        raise InputError(message("scores", "have other dims", got=scores.dims, allowed=allowed))
    return scores.transpose("sensor", "time", "reference")


def _rate(times: NDArray, info: mne.Info) -> float:
    if times.size == 1:
        return float(info["sfreq"])
    steps = np.diff(times)
    step = (times[-1] - times[0]) / (times.size - 1)
    if step <= 0 or np.abs(steps - step).max() > _IRREGULAR * step:
        fault = "times are not in equal rising steps"
        raise InputError(message("scores", fault, got=times[:5].tolist()))
    return float(1 / step)


def _fresh_info(info: mne.Info, names: list[str], rate: float) -> mne.Info:
    """The sensors alone: no subject, dates, head shape, projections or free text."""
    types = dict(zip(info["ch_names"], info.get_channel_types(), strict=True))
    old = {channel["ch_name"]: channel for channel in info["chs"]}
    fresh = mne.create_info(names, rate, [types[name] for name in names], verbose="ERROR")
    with fresh._unlock():
        for channel in fresh["chs"]:
            source = old[channel["ch_name"]]
            for field in ("loc", "coil_type", "coord_frame", "unit", "kind"):
                value = source[field]
                channel[field] = value.copy() if field == "loc" else value
        if info["dev_head_t"] is not None:
            fresh["dev_head_t"] = info["dev_head_t"].copy()
    return fresh


def _mean_of_pairs(info: mne.Info, values: NDArray, rate: float) -> tuple[mne.Info, NDArray]:
    planar = [i for i, channel in enumerate(info["chs"]) if int(channel["coil_type"]) in _PLANAR]
    if not planar:
        return info, values
    tree = KDTree([info["chs"][i]["loc"][:3] for i in planar])
    groups = {tuple(planar[j] for j in tree.query_ball_point(place, _SAME_PLACE,
              return_sorted=True)) for place in tree.data}  # fmt: skip
    names, rows, places = [], [], []
    for own in sorted([*groups, *((i,) for i in range(len(values)) if i not in set(planar))]):
        channel = info["chs"][own[0]]
        merged = int(channel["coil_type"]) in _PLANAR
        name = channel["ch_name"]
        names.append(name[:-1] + "X" if merged else name)
        rows.append(values[list(own)].mean(axis=0))
        places.append((channel, merged))
    types = ["mag" if merged else kind for (_, merged), kind in zip(
        places, _types_of(info, [place["ch_name"] for place, _ in places]), strict=True)]
    fresh = mne.create_info(names, rate, types, verbose="ERROR")
    with fresh._unlock():
        for channel, (source, merged) in zip(fresh["chs"], places, strict=True):
            channel["loc"] = source["loc"].copy()
            channel["coord_frame"] = source["coord_frame"]
            if not merged:
                channel["coil_type"], channel["unit"] = source["coil_type"], source["unit"]
        fresh["dev_head_t"] = info["dev_head_t"]
    return fresh, np.array(rows)


def _types_of(info: mne.Info, names: list[str]) -> list[str]:
    types = dict(zip(info["ch_names"], info.get_channel_types(), strict=True))
    return [types[name] for name in names]


def mean_evokeds(maps: Sequence[Sequence[mne.Evoked]]) -> list[mne.EvokedArray]:
    """Return the mean over subjects of their maps on the sensors, one per reference.

    Parameters
    ----------
    maps : sequence of sequence of mne.Evoked
        Of each subject as `scores_to_evokeds` gives them: the same references (comments) and
        times. Subjects may lack sensors.

    Returns
    -------
    list of mne.EvokedArray
        On the sensors that all subjects have, where the first subject's are: sensors meet by
        name. NaN in one subject is NaN in the mean.

    Raises
    ------
    InputError
        If subjects differ in references or times, or have no sensor in common.

    Examples
    --------
    >>> one, two = (mne.EvokedArray(np.full((2, 3), value), mne.create_info(names, 100.0, "mag"),
    ...                             comment="conv1") for value, names in
    ...             ((1.0, ["A", "B"]), (3.0, ["B", "C"])))
    >>> found = mean_evokeds([[one], [two]])[0]
    >>> found.ch_names, found.data.tolist()
    (['B'], [[2.0, 2.0, 2.0]])
    """
    first = maps[0]
    names = [evoked.comment for evoked in first]
    common = set.intersection(*(set(evoked.ch_names) for own in maps for evoked in own))
    sensors = [name for name in first[0].ch_names if name in common]
    if not sensors:
        raise InputError(message("maps", "subjects have no sensor in common"))
    for number, own in enumerate(maps):
        alike = [evoked.comment for evoked in own] == names and all(
            evoked.times.shape == first[0].times.shape
            and np.abs(evoked.times - first[0].times).max() <= _SAME_TIME for evoked in own
        )  # fmt: skip
        if not alike:
            fault = f"subject {number + 1} has other references or times than the first"
            raise InputError(message("maps", fault))
    rows = [[evoked.data[[evoked.ch_names.index(name) for name in sensors]] for evoked in own]
            for own in maps]  # fmt: skip
    mean = xr.DataArray(
        np.mean(rows, axis=0), dims=("reference", "sensor", "time"),
        coords={"reference": names, "sensor": sensors, "time": first[0].times},
    )  # fmt: skip
    return scores_to_evokeds(mean, first[0].info)
