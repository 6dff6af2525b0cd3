"""Scores over sources and times -> source estimates of MNE, and onto fsaverage."""

from __future__ import annotations

import os

import mne
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from neurodnn._checks import InputError, check_number, message
from neurodnn.brain.hemispheres import HEMISPHERES
from neurodnn.brain.source_space import SourceLike, source_sides, source_subject

TEMPLATE = "fsaverage"
_IRREGULAR = 1e-3  # of a step
_ALONE = 0.001  # s: the step that a file of one time is given, which has none


def scores_to_stc(
    scores: xr.DataArray, src: SourceLike | None = None, *, subject: str | None = None
) -> mne.SourceEstimate:
    """Return the movie of scores on the cortex for one reference.

    Parameters
    ----------
    scores : xarray.DataArray
        Dims ``vertex`` and ``time`` (seconds, in equal steps), in any order; without ``time``
        there is one. Coordinates ``vertex`` (its number on the surface) and ``hemisphere``.
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator, optional
        What made the patterns; scores of sources that are not there are refused, and its subject
        is noted.
    subject : str, optional
        Instead of that of `src`.

    Returns
    -------
    mne.SourceEstimate
        Vertices rise within each hemisphere; a side without scores is empty. NaN stays.

    Raises
    ------
    InputError
        If a dim is missing or another one is there (`scores_to_stcs` takes references), a source
        occurs twice or is not in `src`, or times are not in equal steps.

    Examples
    --------
    >>> scores = xr.DataArray(np.arange(6.0).reshape(3, 2), dims=("vertex", "time"),
    ...     coords={"vertex": [4, 2, 0], "hemisphere": ("vertex", ["left", "left", "right"]),
    ...             "time": [0.1, 0.12]})
    >>> stc = scores_to_stc(scores, subject="fsaverage")
    >>> stc.vertices[0].tolist(), stc.data.tolist()
    ([2, 4], [[2.0, 3.0], [0.0, 1.0], [4.0, 5.0]])
    """
    values, times = _plain(scores)
    order, vertices = _placed(scores)
    if src is not None:
        known = {side.name: side.used for side in source_sides(src)}
        for side, own in zip(HEMISPHERES, vertices, strict=True):
            lost = np.setdiff1d(own, known.get(side, []))
            if lost.size:
                fault = f"{lost.size} sources of the {side} hemisphere are not in src"
                raise InputError(message("scores", fault, got=lost[:5].tolist()))
        subject = subject or source_subject(src)
    step = _step(times, float(scores.attrs.get("width") or _ALONE))
    return mne.SourceEstimate(values[order], vertices, float(times[0]), step, subject=subject)


def scores_to_stcs(
    scores: xr.DataArray, src: SourceLike | None = None, *, subject: str | None = None
) -> dict[str, mne.SourceEstimate]:
    """Return the movies of scores on the cortex, by the name of their reference.

    Parameters
    ----------
    scores : xarray.DataArray
        As in `scores_to_stc`, with the dim ``reference``.
    src, subject
        As in `scores_to_stc`.

    Returns
    -------
    dict of str to mne.SourceEstimate

    Raises
    ------
    InputError
        As `scores_to_stc`.

    Examples
    --------
    >>> scores = xr.DataArray(np.zeros((2, 1, 1)), dims=("vertex", "time", "reference"),
    ...     coords={"vertex": [0, 0], "hemisphere": ("vertex", ["left", "right"]),
    ...             "time": [0.1], "reference": ["conv1"]})
    >>> list(scores_to_stcs(scores))
    ['conv1']
    """
    if not isinstance(scores, xr.DataArray) or "reference" not in scores.dims:
        got = getattr(scores, "dims", type(scores).__name__)
        raise InputError(message("scores", "have no references", got=got))
    names = [str(name) for name in scores["reference"].values]
    if len(set(names)) < len(names):
        raise InputError(message("scores", "a reference occurs twice", got=names))
    return {name: scores_to_stc(scores.isel(reference=i), src, subject=subject)
            for i, name in enumerate(names)}  # fmt: skip


def morph_scores(
    scores: xr.DataArray,
    src: SourceLike,
    *,
    subjects_dir: str | os.PathLike | None = None,
    grade: int = 5,
) -> xr.DataArray:
    """Return scores on the sources of fsaverage, so that subjects can be compared.

    Parameters
    ----------
    scores : xarray.DataArray
        With the dim ``vertex``, coordinates ``vertex`` and ``hemisphere``, and any other dims.
    src : mne.SourceSpaces, mne.Forward or mne.minimum_norm.InverseOperator
        What made the patterns.
    subjects_dir : path, optional
        FreeSurfer's folder with the subject and fsaverage (their ``surf/?h.sphere.reg``). Not
        needed where `src` is fsaverage's already.
    grade : {3, 4, 5}
        642, 2562 or 10242 vertices a hemisphere: the first ones of fsaverage.

    Returns
    -------
    xarray.DataArray
        As `scores`. Of fsaverage's own sources the values are those given, of the vertices that
        belong to the grade. Of other subjects each vertex is a weighted mean of sources near it
        on the registered sphere (see `mne.compute_source_morph`); a NaN among them makes NaN.
        Coordinates along ``vertex`` other than these two are left behind.

    Raises
    ------
    InputError
        If the subject is not known, `subjects_dir` is missing or lacks a surface, or scores are
        not those of `src`.

    Examples
    --------
    >>> from neurodnn.simulate.meg_cortex import source_space
    >>> src = source_space(4)
    >>> scores = xr.DataArray(np.zeros(2), dims="vertex", coords={
    ...     "vertex": [7, 2000], "hemisphere": ("vertex", ["left", "left"])})
    >>> morph_scores(scores, src, grade=3)["vertex"].values.tolist()
    [7]
    """
    if grade not in (3, 4, 5) or isinstance(grade, bool):
        raise InputError(message("grade", "is not known", got=grade, allowed="3, 4 or 5"))
    order, vertices = _placed(scores)
    n = 10 * 4 ** int(grade) + 2
    subject = source_subject(src)
    if subject == TEMPLATE:
        return scores.isel(vertex=np.flatnonzero(scores["vertex"].values < n))
    if subject is None or subjects_dir is None:
        fault = f"the sources are of {subject or 'an unnamed subject'}, not of {TEMPLATE}"
        remedy = f"Give FreeSurfer's folder that holds it and {TEMPLATE}."
        raise InputError(message("subjects_dir", fault, remedy=remedy))
    own = [side.used for side in source_sides(src)]
    if not np.array_equal(np.concatenate(vertices), np.concatenate(own)):
        fault = "are not of the sources of src"
        raise InputError(message("scores", fault, got=order.size, allowed=str(sum(map(len, own)))))
    dims = [dim for dim in scores.dims if dim != "vertex"]
    arranged = scores.transpose("vertex", *dims)
    flat = np.asarray(arranged.values, float).reshape(order.size, -1)[order]
    found = _morphed(flat, vertices, subject, os.fspath(subjects_dir), int(grade))
    numbers = [np.arange(n) if len(each) else np.empty(0, int) for each in vertices]
    shape = (sum(map(len, numbers)), *arranged.shape[1:])
    coords = {name: each for name, each in arranged.coords.items() if "vertex" not in each.dims}
    coords["vertex"] = np.concatenate(numbers)
    coords["hemisphere"] = ("vertex", np.repeat(HEMISPHERES, [len(each) for each in numbers]))
    made = xr.DataArray(found.reshape(shape), dims=arranged.dims, coords=coords,
                        name=scores.name, attrs=scores.attrs)  # fmt: skip
    return made.transpose(*scores.dims)


def _morphed(
    values: NDArray, vertices: list[NDArray], subject: str, folder: str, grade: int
) -> NDArray:
    made = mne.SourceEstimate(values, vertices, 0.0, 1.0, subject=subject)
    try:
        with mne.utils.use_log_level("ERROR"):
            morph = mne.compute_source_morph(
                made, subject, TEMPLATE, spacing=grade, subjects_dir=folder, warn=False
            )
            return np.asarray(morph.apply(made).data)
    except (OSError, ValueError, RuntimeError) as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        fault = f"{subject} cannot be brought to {TEMPLATE}: {text}"
        raise InputError(message("subjects_dir", fault, got=folder)) from error


def _plain(scores: xr.DataArray) -> tuple[NDArray, NDArray]:
    """Return scores as vertices x times, and the times."""
    if not isinstance(scores, xr.DataArray) or "vertex" not in scores.dims:
        got = getattr(scores, "dims", type(scores).__name__)
        raise InputError(message("scores", "have no dim vertex", got=got))
    extra = set(scores.dims) - {"vertex", "time"}
    if extra:
        remedy = "Choose one, or take scores_to_stcs for references."
        raise InputError(message("scores", "have other dims", got=sorted(extra), remedy=remedy))
    if "time" in scores.dims:
        values = scores.transpose("vertex", "time")
        times = np.asarray(scores["time"].values, dtype=float)
    else:
        values = scores.expand_dims("time", -1)
        times = np.atleast_1d(float(scores.coords["time"]) if "time" in scores.coords else 0.0)
    if not times.size or not scores.sizes["vertex"]:
        raise InputError(message("scores", "are empty", got=scores.shape))
    return np.asarray(values.values, dtype=float), times


def _placed(scores: xr.DataArray) -> tuple[NDArray, list[NDArray]]:
    """Return the order, left first and vertices rising, and the vertices of both sides."""
    for name in ("vertex", "hemisphere"):
        if not isinstance(scores, xr.DataArray) or name not in scores.coords:
            fault = f"have no coordinate {name}, so that it is not clear where they belong"
            raise InputError(message("scores", fault))
    numbers = np.atleast_1d(scores["vertex"].values)
    sides = np.atleast_1d(scores["hemisphere"].values).astype(str)
    strange = sorted(set(sides) - set(HEMISPHERES))
    if strange or numbers.dtype.kind not in "iu":
        got = strange or str(numbers.dtype)
        fault = "hemispheres or numbers of vertices are none"
        raise InputError(message("scores", fault, got=got, allowed="left, right; whole numbers"))
    order = np.lexsort((numbers, sides))
    vertices = [numbers[order][sides[order] == side].astype(np.int64) for side in HEMISPHERES]
    if any(np.unique(each).size < each.size for each in vertices):
        raise InputError(message("scores", "a source occurs more than once"))
    return order, vertices


def _step(times: NDArray, alone: float) -> float:
    if times.size == 1:
        return check_number("width", alone, minimum=0, strict=True)
    steps = np.diff(times)
    step = float((times[-1] - times[0]) / (times.size - 1))
    if not step > 0 or np.abs(steps - step).max() > _IRREGULAR * step:
        fault = "times do not rise in equal steps, which a movie needs"
        raise InputError(message("scores", fault, got=times[:5].tolist()))
    return step
