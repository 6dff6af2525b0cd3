"""The RDMs of chosen times, named so that they can be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import InputError, check_number, message
from neurodnn.rsa.names import names_of
from neurodnn.rsa.rdm_movies import movie_times


def rdms_at_times(movie: RDMs, times: Sequence[float]) -> RDMs:
    """Return the RDMs nearest to some times.

    Parameters
    ----------
    movie : RDMs
        One row per time, ``rdm_descriptors["time"]`` in seconds.
    times : sequence of float
        In seconds; each within half a step of a time of the movie.

    Returns
    -------
    RDMs
        In the order of `times`; ``rdm_descriptors["time"]`` are the times found, and
        ``["reference"]`` their names in milliseconds, which `plot_rdms` writes above them.

    Raises
    ------
    InputError
        If a time lies outside the movie or between far steps.

    Examples
    --------
    >>> movie = RDMs(np.ones((3, 6)), rdm_descriptors={"time": [0.0, 0.02, 0.04]},
    ...              pattern_descriptors={"stimulus": list("abcd")})
    >>> rdms_at_times(movie, [0.021]).rdm_descriptors["reference"]
    ['20 ms']
    """
    known = np.array(movie_times(movie))
    half = (np.diff(known).max() if known.size > 1 else 0.0) / 2 + 1e-6
    places = []
    for time in times:
        apart = np.abs(known - check_number("times", time))
        if apart.min() > half:
            allowed = f"{known[0]:g} to {known[-1]:g} s"
            raise InputError(message("times", "is not in the movie", got=time, allowed=allowed))
        places.append(int(apart.argmin()))
    if not places:
        raise InputError(message("times", "are empty"))
    found = [float(known[place]) for place in places]
    return RDMs(
        movie.dissimilarities[places],
        dissimilarity_measure=movie.dissimilarity_measure,
        rdm_descriptors={"time": found, "reference": [f"{1000 * time:g} ms" for time in found]},
        pattern_descriptors={"stimulus": names_of(movie)},
    )
