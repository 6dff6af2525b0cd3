"""The fusion at every place: RDMs in time as the references of a searchlight."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array

from neurodnn._checks import InputError, message
from neurodnn.rsa.fusion import fusion_attributes, fusion_references
from neurodnn.rsa.names import shorten_list
from neurodnn.rsa.rdm_movies import movie_times, ties_told_once
from neurodnn.rsa.searchlight import searchlight
from neurodnn.rsa.spheres import DEFAULT_OPTIONS, SearchlightOptions


def fuse_places(
    movies: RDMs | Mapping[str, RDMs],
    patterns: Dataset | Mapping[str, Dataset],
    neighbors: csr_array,
    *,
    meg: str = "group",
    average: str = "rdms",
    comparison: str = "spearman",
    residuals: Dataset | Mapping[str, Dataset] | None = None,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.DataArray:
    """Return how alike the local RDM of every place and the RDM of every time are.

    Parameters
    ----------
    movies, meg, average
        As for `neurodnn.rsa.fusion.fuse_regions`.
    patterns : Dataset, or mapping of subject -> Dataset
        Observations x channels, as for `searchlight`.
    neighbors : csr_array (centres x channels)
        Common to all subjects.
    comparison, residuals, options
        As for `searchlight`.

    Returns
    -------
    DataArray (place, time), or (subject, place, time)
        Times in seconds, subjects sorted by name.

    Raises
    ------
    InputError
        As for `searchlight`; subjects have no partner.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcdef")}
    >>> patterns = Dataset(rng.normal(size=(6, 4)), obs_descriptors=names)
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> movie = RDMs(rng.random((3, 15)), rdm_descriptors={"time": [0.1, 0.2, 0.3]},
    ...              pattern_descriptors=names)
    >>> fuse_places(movie, patterns, neighbors).shape
    (2, 3)
    """
    several = isinstance(patterns, Mapping)
    if meg == "paired" and not several:
        fault = "'paired' needs the subject of the patterns"
        remedy = "Give patterns={subject: Dataset}, or that subject's movie alone."
        raise InputError(message("meg", fault, remedy=remedy))
    own = {str(key): value for key, value in patterns.items()} if several else {"": patterns}
    subjects = sorted(own)
    if not subjects:
        raise InputError(message("patterns", "hold no subjects"))
    references = fusion_references(movies, subjects, meg=meg, average=average)
    noises = dict.fromkeys(subjects, residuals)
    if isinstance(residuals, Mapping):
        noises = {str(key): value for key, value in residuals.items()}
        missing = [subject for subject in subjects if subject not in noises]
        if missing:
            raise InputError(message("residuals", f"there are none for {shorten_list(missing)}"))
    maps = []
    for subject in subjects:
        movie = references[subject]
        with ties_told_once(movie, comparison):
            scores = searchlight(
                own[subject], neighbors, movie, comparison=comparison,
                residuals=noises[subject], metric=options.metric, noise=options.noise,
                dtype=options.dtype, min_features=options.min_features, place=options.place,
                n_jobs=options.n_jobs, progress=options.progress,
            )  # fmt: skip
        times = ("time", movie_times(movie, "movies"), {"units": "s"})
        maps.append(scores.rename(reference="time").assign_coords(time=times))
        maps[-1].attrs |= fusion_attributes(movie, meg)
    if not several:
        return maps[0]
    lost = [name for name in ("n_features", "reason") if name in maps[0].coords]
    joined = xr.concat(
        [one.drop_vars(lost) for one in maps], dim="subject", join="exact",
        combine_attrs="override",
    ).assign_coords(subject=subjects)  # fmt: skip
    for name in lost:
        values = xr.concat([one[name].drop_vars(lost) for one in maps], dim="subject")
        joined = joined.assign_coords({name: (("subject", options.place), values.values)})
    return joined
