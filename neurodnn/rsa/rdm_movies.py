"""RDMs in time: their scores, the mean movie of several subjects, and noise ceilings.

An RDM movie is an RDMs object with one row per time and ``rdm_descriptors["time"]`` in seconds,
as `rdm_movie` and decoding give it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.ranks import average_ranks
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.movies import checked_times
from neurodnn.rsa.names import names_of, shorten_list, stimulus_names
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.sides import tied_share

AVERAGES = ("rdms", "ranks")
_TIED = 0.05


def movie_times(movie: RDMs, where: str = "movie") -> list[float]:
    """Return the times of an RDM movie in seconds, in the order of its rows.

    Raises
    ------
    InputError
        If it is no RDMs object, has no times, or they do not rise.

    Examples
    --------
    >>> movie_times(RDMs(np.ones((2, 6)), rdm_descriptors={"time": [0.1, 0.2]}))
    [0.1, 0.2]
    """
    if not isinstance(movie, RDMs) or "time" not in (movie.rdm_descriptors or {}):
        remedy = "Give RDMs with rdm_descriptors['time'] in seconds, such as rdm_movie returns."
        raise InputError(message(where, "has no times", got=type(movie).__name__, remedy=remedy))
    times = [float(time) for time in movie.rdm_descriptors["time"]]
    if checked_times(times, where) != times:
        raise InputError(message(where, "its times do not rise", got=times[:5]))
    return times


def compare_movie(
    movie: RDMs,
    references: RDMs,
    *,
    comparison: str = "spearman",
    nuisance: RDMs | None = None,
    semi: bool = False,
    nan_policy: str = "raise",
) -> xr.DataArray:
    """Return how well every reference accounts for the RDM of every time.

    Parameters
    ----------
    movie : RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds.
    references, comparison, nuisance, semi, nan_policy
        As for `compare_rdms`.

    Returns
    -------
    DataArray (time x reference)
        With times in seconds.

    Raises
    ------
    InputError
        As for `compare_rdms`; the movie has no times.

    Examples
    --------
    >>> names = {"stimulus": list("abcd")}
    >>> movie = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]]), rdm_descriptors={"time": [0.1]},
    ...              pattern_descriptors=names)
    >>> layers = RDMs(np.arange(6.0)[None], pattern_descriptors=names)
    >>> compare_movie(movie, layers).time.values.tolist()
    [0.1]
    """
    times = movie_times(movie)
    scores = compare_rdms(
        movie, references, comparison=comparison, nuisance=nuisance, semi=semi,
        nan_policy=nan_policy,
    )  # fmt: skip
    (axis,) = (dim for dim in scores.dims if dim != "reference")
    scores = scores.rename({axis: "time"}).assign_coords(time=("time", times, {"units": "s"}))
    described = movie.descriptors or {}
    notes = {key: described[key] for key in ("meg", "average", "width") if key in described}
    return scores.assign_attrs(notes | missing_distances(movie, references))


def missing_distances(*rdms: RDMs) -> dict[str, int]:
    """Return an attribute that counts missing distances, where there are any.

    Scores that leave them out are of other pairs than scores of RDMs that lack none.

    Examples
    --------
    >>> missing_distances(RDMs(np.array([[1.0, np.nan, 2.0]]))), missing_distances()
    ({'missing_distances': 1}, {})
    """
    count = sum(int(np.isnan(each.dissimilarities).sum()) for each in rdms)
    return {"missing_distances": count} if count else {}


def mean_movie(movies: RDMs | Mapping[str, RDMs], *, average: str = "rdms") -> RDMs:
    """Return the mean over subjects of the RDM of every time.

    Parameters
    ----------
    movies : mapping of subject -> RDMs
        Movies of the same stimuli and times. A single movie is returned as it is.
    average : {"rdms", "ranks"}
        ``"rdms"``: the plain mean of distances, in their unit; where subjects differ in scale,
        those with large distances count more. ``"ranks"``: each RDM is turned into average
        ranks first, so that all count alike.

    Returns
    -------
    RDMs
        One row per time; ``descriptors["meg"]`` and ``["average"]`` say what was averaged. A
        distance that is missing in one subject is missing in the mean.

    Raises
    ------
    InputError
        If subjects differ in their times (both lists) or stimuli.

    Examples
    --------
    >>> one, two = (RDMs(np.full((1, 6), value), rdm_descriptors={"time": [0.1]},
    ...                  pattern_descriptors={"stimulus": list("abcd")}) for value in (1.0, 3.0))
    >>> mean_movie({"01": one, "02": two}).dissimilarities[0, :2].tolist()
    [2.0, 2.0]
    """
    check_choice("average", average, AVERAGES)
    if isinstance(movies, RDMs):
        movie_times(movies, "movies")
        return movies
    names, times, rows = stacked_movies(movies)
    if average == "ranks":
        rows = average_ranks(rows)
    subjects = f"{len(rows)} subject" + ("s" if len(rows) > 1 else "")
    widths = {(movie.descriptors or {}).get("width") for movie in movies.values()}
    width = {"width": widths.pop()} if len(widths) == 1 and None not in widths else {}
    return RDMs(
        rows.mean(axis=0),
        descriptors={"meg": f"mean of {subjects}", "average": average, **width},
        rdm_descriptors={"time": times},
        pattern_descriptors={"stimulus": names},
    )


def movie_ceiling(
    movies: Mapping[str, RDMs], *, comparison: str = "spearman", rule: str = "nili"
) -> xr.Dataset:
    """Return the noise ceiling of every time.

    Parameters
    ----------
    movies : mapping of subject -> RDMs
        Of the same stimuli and times.
    comparison, rule
        As for `noise_ceiling`.

    Returns
    -------
    Dataset
        ``lower`` and ``upper`` along ``time`` in seconds. With a single subject both are NaN.

    Raises
    ------
    InputError
        As for `noise_ceiling` and `mean_movie`.

    References
    ----------
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> movies = {name: RDMs(rng.random((2, 6)), rdm_descriptors={"time": [0.1, 0.2]},
    ...                      pattern_descriptors={"stimulus": list("abcd")}) for name in "ab"}
    >>> movie_ceiling(movies).upper.dims
    ('time',)
    """
    names, times, rows = stacked_movies(movies)
    with one_of_each():
        bounds = [
            noise_ceiling(RDMs(rows[:, place], pattern_descriptors={"stimulus": list(names)}),
                          comparison=comparison, rule=rule)
            for place in range(len(times))
        ]  # fmt: skip
    return xr.Dataset(
        {side: ("time", [getattr(bound, side) for bound in bounds]) for side in ("lower", "upper")},
        coords={"time": ("time", times, {"units": "s"})},
        attrs={"comparison": comparison, "rule": rule, "n_subjects": len(rows)},
    )


def stacked_movies(
    movies: Mapping[str, RDMs],
) -> tuple[list[str], list[float], np.ndarray]:
    """Return stimuli, times and subjects (by name) x times x pairs of movies that fit together.

    Raises
    ------
    InputError
        If there is none, or they differ in times or stimuli.
    """
    if not isinstance(movies, Mapping) or not movies:
        allowed = "{subject: RDMs with times}"
        raise InputError(message("movies", "hold no subjects", got=type(movies), allowed=allowed))
    subjects = sorted(movies, key=str)
    first = subjects[0]
    times = movie_times(movies[first], f"movie of {first}")
    names = sorted(names_of(movies[first], f"movie of {first}"))
    rows = []
    for subject in subjects:
        check_same_times(times, movie_times(movies[subject], f"movie of {subject}"), first, subject)
        try:
            rows.append(np.asarray(align_to(names, movies[subject]).dissimilarities, dtype=float))
        except InputError as error:
            raise InputError(f"movies of {first} and {subject}: {error}") from error
    return stimulus_names(names), times, np.stack(rows)


def check_same_times(
    times: list[float], others: list[float], first: object, second: object
) -> None:
    """Refuse two movies whose times differ, with the times that only one of them has.

    Examples
    --------
    >>> check_same_times([0.1], [0.1], "01", "02")
    """
    if list(times) != list(others):
        only = [f"{time:g} s" for time in sorted(set(times) - set(others))]
        extra = [f"{time:g} s" for time in sorted(set(others) - set(times))]
        fault = f"{first} and {second} differ in their times. Only in {first}: " \
            f"{shorten_list(only)}. Only in {second}: {shorten_list(extra)}"
        remedy = "Take the same windows, and resample to one rate."
        raise InputError(message("movies", fault, remedy=remedy))


@contextmanager
def one_of_each(of_whom: str = "") -> Iterator[None]:
    """Give every distinct warning once, instead of once per time, and say of whom it is.

    Examples
    --------
    >>> with one_of_each():
    ...     pass
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text, category in dict.fromkeys((str(each.message), each.category) for each in caught):
        warnings.warn(of_whom + text, category, stacklevel=3)


@contextmanager
def ties_told_once(movie: RDMs, comparison: str) -> Iterator[None]:
    """Warn once of ties in the RDMs of a movie, which are references; not once per time.

    Examples
    --------
    >>> with ties_told_once(RDMs(np.arange(6.0)[None]), "spearman"):
    ...     pass
    """
    shares = [tied_share(row) for row in movie.dissimilarities] if comparison == "spearman" else []
    if shares and max(shares) > _TIED:
        count = sum(share > _TIED for share in shares)
        fault = f"at {count} of {len(shares)} times over {_TIED:.0%} of the distances are tied, " \
            "which favours those times in Spearman's rho"
        text = message("movies", fault, remedy="Compare with rho-a instead.")
        warnings.warn(text, DataWarning, stacklevel=3)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* tied, which favours", category=DataWarning)
        yield
