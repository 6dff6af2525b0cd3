"""An RDM movie over some of its stimuli."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, message
from neurodnn.rsa.movies import checked_times
from neurodnn.rsa.names import names_of


def movie_over(movie: RDMs, stimuli: Sequence[str]) -> RDMs:
    """Return the RDM of every time over `stimuli`, in their order.

    Parameters
    ----------
    movie : RDMs
        With ``rdm_descriptors["time"]`` in seconds; of a file they may be texts.
    stimuli : sequence of str

    Raises
    ------
    InputError
        It has no times, or lacks a stimulus.

    Examples
    --------
    >>> movie = RDMs(np.array([[1.0, 2, 3]]), rdm_descriptors={"time": ["0.1"]},
    ...              pattern_descriptors={"stimulus": ["a", "b", "c"]})
    >>> movie_over(movie, ["c", "a"]).dissimilarities, movie_over(movie, ["a", "b"]).rdm_descriptors
    (array([[2.]]), {'time': [0.1], 'index': [0]})
    """
    if "time" not in (movie.rdm_descriptors or {}):
        raise InputError(message("movie", "has no times"))
    place = {name: row for row, name in enumerate(names_of(movie, "movie"))}
    absent = [name for name in stimuli if name not in place]
    if absent:
        raise InputError(message("movie", f"{len(absent)} stimuli are missing", got=absent[:10]))
    rows = np.array([place[name] for name in stimuli])
    first, second = np.triu_indices(len(rows), 1)
    squares = np.asarray(movie.get_matrices())
    times = checked_times([float(time) for time in movie.rdm_descriptors["time"]], "movie")
    return RDMs(
        squares[:, rows[first], rows[second]], movie.dissimilarity_measure,
        descriptors=dict(movie.descriptors or {}), rdm_descriptors={"time": times},
        pattern_descriptors={"stimulus": list(map(str, stimuli))},
    )  # fmt: skip
