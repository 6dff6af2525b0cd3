"""The same scores for every subject: one movie, or a mapping of subject to movie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError
from neurodnn.rsa.rdm_movies import check_same_times, one_of_each, stacked_movies


def is_movie(given: object) -> bool:
    """Return whether something is RDMs already, not patterns.

    Examples
    --------
    >>> is_movie({0.1: "patterns"})
    False
    """
    return isinstance(given, RDMs)


def has_subjects(given: object) -> bool:
    """Return whether something maps subjects to movies, not times to patterns.

    Examples
    --------
    >>> has_subjects({"01": {0.1: "patterns"}}), has_subjects({0.1: "patterns"})
    (True, False)
    """
    return isinstance(given, Mapping) and any(
        isinstance(each, (Mapping, RDMs)) for each in given.values()
    )


def over_subjects(given: object, score: Callable[[Any], xr.DataArray]) -> xr.DataArray:
    """Return the scores of one movie, or of every subject's, subjects sorted by name.

    Raises
    ------
    InputError
        If subjects differ in their times.

    Examples
    --------
    >>> over_subjects({"b": {0.1: 1}, "a": {0.1: 2}}, lambda own: xr.DataArray(
    ...     [own[0.1]], dims="time", coords={"time": [0.1]})).values.tolist()
    [[2], [1]]
    """
    if not has_subjects(given):
        return score(given)
    subjects = sorted(given, key=str)
    scores = []
    for subject in subjects:
        try:
            with one_of_each(f"subject {subject}: "):
                scores.append(score(given[subject]))
        except InputError as error:
            raise InputError(f"subject {subject}: {error}") from error
        times = [one["time"].values.tolist() for one in (scores[0], scores[-1])]
        check_same_times(*times, subjects[0], subject)
    joined = xr.concat(
        scores, dim="subject", join="exact", combine_attrs="override", coords="minimal",
        compat="override",
    )  # fmt: skip
    for name in ("n_features", "reason"):
        if name in scores[0].coords:
            own = np.stack([one[name].values for one in scores])
            joined = joined.assign_coords({name: (("subject", "time"), own)})
    return joined.assign_coords(subject=[str(subject) for subject in subjects])


def rdms_by_time(movies: Mapping[str, RDMs]) -> dict[str, RDMs]:
    """Return the RDMs of all subjects for each time, as `label_permutation_test` takes them.

    Parameters
    ----------
    movies : mapping of subject -> RDMs
        Of the same stimuli and times.

    Returns
    -------
    dict
        Time in words (seconds), rising -> RDMs with one row per subject, sorted by name.

    Raises
    ------
    InputError
        If subjects differ in their times or stimuli.

    Examples
    --------
    >>> movie = RDMs(np.ones((2, 6)), rdm_descriptors={"time": [0.1, 0.2]},
    ...              pattern_descriptors={"stimulus": list("abcd")})
    >>> found = rdms_by_time({"01": movie, "02": movie})
    >>> list(found), found["0.1 s"].rdm_descriptors["subject"]
    (['0.1 s', '0.2 s'], ['01', '02'])
    """
    names, times, rows = stacked_movies(movies)
    subjects = sorted(map(str, movies))
    return {
        f"{time!r} s": RDMs(rows[:, place], rdm_descriptors={"subject": subjects},
                            pattern_descriptors={"stimulus": list(names)})
        for place, time in enumerate(times)
    }  # fmt: skip
