"""From many maps of a statistic to p per place: ranks among all maps, ties within rounding."""

from __future__ import annotations

import numpy as np
from numba import njit

_TIE = 1e-12  # relative to the largest magnitude at a place


@njit(nogil=True, cache=True)
def rank_cuts(ordered, observed, alpha, average, cut, p):
    """Write the smallest value of each place whose p is below alpha, and p of the observed one.

    Parameters
    ----------
    ordered : array of float64 (places x maps)
        Values of all maps at each place, ascending.
    observed : array of float64 (places,)
        One of them.
    alpha : float
    average : bool
        True: p = (maps + 1 - rank) / maps with the mean rank of ties. False: the share of maps
        that reach the value.
    cut : array of float64 (places,)
        Infinite where no value has p < alpha.
    p : array of float64 (places,)
    """
    for place in range(ordered.shape[0]):
        row = ordered[place]
        slack = _TIE * max(abs(row[0]), abs(row[-1]))
        cut[place], stop = np.inf, row.size
        while stop > 0:
            start = _first_tied(row, stop - 1, slack)
            if _p_of(start, stop, row.size, average) >= alpha:
                break
            cut[place], stop = row[start], start
        found = np.searchsorted(row, observed[place])
        stop = found + 1
        while stop < row.size and row[stop] - row[stop - 1] <= slack:
            stop += 1
        p[place] = _p_of(_first_tied(row, found, slack), stop, row.size, average)


@njit(nogil=True, cache=True)
def _first_tied(row, position, slack):
    while position > 0 and row[position] - row[position - 1] <= slack:
        position -= 1
    return position


@njit(nogil=True, cache=True)
def _p_of(start, stop, n, average):
    """Return p of values that tie from `start` to `stop` in ascending order."""
    if average:
        return (n + 1 - 0.5 * (start + 1 + stop)) / n
    return (n - start) / n
