"""Two measurements of the same stimuli: RDMs in time with RDMs in space, and what a model shares.

The RDM of every time is a reference for the RDM of every place. With the two scores of a model,
at every time and at every place, the variance that all three share has a closed form.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.commonality import shared_variance
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.fusion_tables import SAME, align_tables, check_tables
from neurodnn.rsa.names import labels_of, shorten_list
from neurodnn.rsa.rdm_movies import mean_movie, missing_distances, movie_times, ties_told_once

MEG = ("group", "paired")


def fusion_references(
    movies: RDMs | Mapping[str, RDMs],
    subjects: list[str],
    *,
    meg: str = "group",
    average: str = "rdms",
) -> dict[str, RDMs]:
    """Return for each subject measured in space the RDM movie that it is fused with.

    Parameters
    ----------
    movies : RDMs, or mapping of subject -> RDMs
        Movies with ``rdm_descriptors["time"]`` in seconds.
    subjects : list of str
    meg : {"group", "paired"}
        ``"group"``: the mean movie of all subjects for everybody, for its signal. A subject that
        is in both groups is then part of its own reference. ``"paired"``: each subject's own.
    average : {"rdms", "ranks"}
        As for `mean_movie`.

    Raises
    ------
    InputError
        If subjects have no partner (both lists), or `meg` is "paired" and there is one movie.

    Examples
    --------
    >>> movie = RDMs(np.arange(6.0)[None], rdm_descriptors={"time": [0.1]},
    ...              pattern_descriptors={"stimulus": list("abcd")})
    >>> fusion_references(movie, ["01"])["01"].n_rdm
    1
    """
    check_choice("meg", meg, MEG)
    if meg == "group":
        return dict.fromkeys(subjects, mean_movie(movies, average=average))
    if not isinstance(movies, Mapping):
        fault = "'paired' needs the movie of every subject"
        raise InputError(message("meg", fault, allowed="movies={subject: RDMs}"))
    movies = {str(key): movie for key, movie in movies.items()}
    only, extra = sorted(set(movies) - set(subjects)), sorted(set(subjects) - set(movies))
    if only or extra:
        fault = "the subjects of the two sides differ. Only with a movie: " \
            f"{shorten_list(only)}. Only with places: {shorten_list(extra)}"
        raise InputError(message("meg", fault, remedy="Leave them out, or take meg='group'."))
    return {subject: mean_movie({subject: movies[subject]}) for subject in subjects}


def fuse_regions(
    movies: RDMs | Mapping[str, RDMs],
    regions: Mapping[str, RDMs],
    *,
    meg: str = "group",
    average: str = "rdms",
    comparison: str = "spearman",
    nan_policy: str = "raise",
) -> xr.DataArray:
    """Return how alike the RDMs of every region and every time are, in every subject.

    Parameters
    ----------
    movies : RDMs, or mapping of subject -> RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds.
    regions : mapping of region -> RDMs
        One row per subject, ``rdm_descriptors["subject"]``; the same subjects in all regions.
    meg : {"group", "paired"}
        ``"group"`` (default): the mean movie with each subject's regions; a test over the
        subjects then generalises to subjects measured in space, for this movie. ``"paired"``:
        each subject's own movie, subjects matched by name.
    average : {"rdms", "ranks"}
        As for `mean_movie`.
    comparison, nan_policy
        As for `compare_rdms`.

    Returns
    -------
    DataArray (subject x region x time)
        Subjects sorted by name, times in seconds.

    Raises
    ------
    InputError
        If regions differ in their subjects, subjects have no partner, or as for `compare_rdms`.

    References
    ----------
    Cichy, R. M., Pantazis, D., & Oliva, A. (2014). Resolving human object recognition in space
    and time. Nature Neuroscience, 17, 455-462.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> movie = RDMs(rng.random((3, 10)), rdm_descriptors={"time": [0.1, 0.2, 0.3]},
    ...              pattern_descriptors=names)
    >>> regions = {name: RDMs(rng.random((2, 10)), rdm_descriptors={"subject": ["01", "02"]},
    ...                       pattern_descriptors=names) for name in ("EVC", "IT")}
    >>> fuse_regions(movie, regions).sizes["time"]
    3
    """
    subjects = _subjects_of(regions)
    references = fusion_references(movies, subjects, meg=meg, average=average)
    times = movie_times(references[subjects[0]], "movies")
    scores = np.empty((len(subjects), len(regions), len(times)))
    with ties_told_once(references[subjects[0]], comparison):
        for place, rdms in enumerate(regions.values()):
            rows = dict(zip(labels_of(rdms)[1], range(rdms.n_rdm), strict=True))
            for number, subject in enumerate(subjects):
                own = compare_rdms(rdms[rows[subject]], references[subject], comparison=comparison,
                                   nan_policy=nan_policy)  # fmt: skip
                n_stimuli = own.attrs["n_stimuli"]
                scores[number, place] = own.values[0]
    return xr.DataArray(
        scores, dims=("subject", "region", "time"), name=comparison,
        coords={"subject": subjects, "region": [str(name) for name in regions],
                "time": ("time", times, {"units": "s"})},
        attrs={"comparison": comparison, "n_stimuli": n_stimuli, "units": "1",
               **missing_distances(*regions.values(), *references.values()),
               **fusion_attributes(references[subjects[0]], meg)},
    )  # fmt: skip


def fusion_attributes(movie: RDMs, meg: str) -> dict[str, str | float]:
    """Return what the attributes of a fusion say of its movie.

    Examples
    --------
    >>> fusion_attributes(RDMs(np.ones((1, 6))), "group")
    {'meg': 'group: one movie'}
    """
    known = movie.descriptors or {}
    whom = "each subject's own movie" if meg == "paired" else known.get("meg", "one movie")
    notes = {"meg": f"{meg}: {whom}"}
    if meg == "group" and "average" in known:
        notes["average"] = known["average"]
    return notes | ({"width": known["width"]} if "width" in known else {})


def layer_share(
    fusion: xr.DataArray, course: xr.DataArray, places: xr.DataArray, *, reference: str
) -> xr.Dataset:
    """Return what one model shares with the fusion of every place with every time.

    Parameters
    ----------
    fusion : DataArray (..., place, time)
        Scores of places with times; ``place`` is whatever `places` calls it.
    course : DataArray (..., time, reference)
        Scores of the same RDM movie with the models: for a fusion with the mean movie, of the
        mean movie, which is not the mean of the subjects' courses.
    places : DataArray (..., place, reference)
        Scores of the same places with the models.
    reference : str
        The model.

    Returns
    -------
    Dataset
        ``shared``, in the shape of `fusion`: the part of the variance of each time's RDM that
        the RDM of the place and the model explain in common; it may be negative (suppression)
        and is never clipped. ``total``: ``fusion ** 2``, all that place and time share, which it
        cannot exceed.

    Raises
    ------
    InputError
        If comparisons or numbers of stimuli differ, times, places or subjects are not the same
        (a mean over subjects does not stand for each of them), the
        comparison is no correlation of values or ranks, distances were missing, or nuisance RDMs
        were taken out.

    References
    ----------
    Hebart, M. N., Bankson, B. B., Harel, A., Baker, C. I., & Cichy, R. M. (2018). The
    representational dynamics of task and object processing in humans. eLife, 7, e32816.

    Examples
    --------
    >>> made = {"comparison": "spearman", "n_stimuli": 92}
    >>> fusion = xr.DataArray([[0.5]], dims=("region", "time"), attrs=made)
    >>> course = xr.DataArray([[0.5]], dims=("time", "reference"), attrs=made,
    ...                       coords={"reference": ["conv1"]})
    >>> places = xr.DataArray([[0.5]], dims=("region", "reference"), attrs=made,
    ...                       coords={"reference": ["conv1"]})
    >>> round(layer_share(fusion, course, places, reference="conv1").shared.item(), 4)
    0.1667
    """
    tables = {"fusion": fusion, "course": course, "places": places}
    check_tables(tables)
    chosen = []
    for name in ("course", "places"):
        labels = [str(label) for label in tables[name]["reference"].values]
        check_choice(f"reference of {name}", reference, labels)
        one = tables[name].isel(reference=labels.index(reference))
        chosen.append(one.drop_vars("reference"))
    aligned = align_tables(fusion, *chosen)
    values = shared_variance(*(each.values for each in aligned))
    like = fusion.transpose(*aligned[0].dims)
    attrs = {key: fusion.attrs[key] for key in (*SAME, "metric", "meg", "average", "width")
             if key in fusion.attrs}  # fmt: skip
    attrs |= {"reference": reference, "units": "share of the variance of each time's RDM",
              "scale": "ranks" if fusion.attrs["comparison"] == "spearman" else "raw"}  # fmt: skip
    return xr.Dataset(
        {"shared": like.copy(data=values).assign_attrs(attrs),
         "total": like.copy(data=np.asarray(aligned[0]) ** 2).assign_attrs(attrs)},
        attrs=attrs,
    ).transpose(*fusion.dims)  # fmt: skip


def _subjects_of(regions: Mapping[str, RDMs]) -> list[str]:
    if not isinstance(regions, Mapping) or not regions:
        raise InputError(message("regions", "hold no RDMs", allowed="{region: RDMs}"))
    found = {str(name): labels_of(rdms)[1] for name, rdms in regions.items()}
    first, subjects = next(iter(found.items()))
    for region, own in found.items():
        if len(set(own)) < len(own):
            raise InputError(message("regions", f"a subject occurs twice in {region}", got=own))
        if set(own) != set(subjects):
            only, extra = sorted(set(subjects) - set(own)), sorted(set(own) - set(subjects))
            fault = f"{first} and {region} differ in their subjects. Only in {first}: " \
                f"{shorten_list(only)}. Only in {region}: {shorten_list(extra)}"
            raise InputError(message("regions", fault))
    return sorted(subjects)
