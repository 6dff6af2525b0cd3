"""Noise ceilings of RDMs whose stimuli and subjects were drawn with replacement."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn._checks import check_choice
from neurodnn.numerics.ranks import make_rank_work
from neurodnn.numerics.resampling import (
    CORR_COV,
    COSINE_COV,
    KINDS,
    TAU_A,
    TAU_B,
    make_room,
    open_draw,
    scaled_into,
    standardise,
    weighted_cosine,
)
from neurodnn.numerics.weighted_concordance import concordance_of_rows


def resampled_ceilings(
    data: NDArray, counts: NDArray, subject_counts: NDArray, comparison: str, usable: NDArray
) -> NDArray[np.float64]:
    """Return what each subject adds to lower and upper noise ceiling in every draw.

    A subject drawn several times counts so often in the pooled RDM, and is left out with all its
    copies where the lower bound leaves it out.

    Parameters
    ----------
    data : float64 array (subjects x pairs)
    counts : int64 array (draws x stimuli)
    subject_counts : int64 array (draws x subjects)
    comparison : str
        A key of `KINDS`; subjects are pooled by what it sees (ranks, z scores, or unit root
        mean square).
    usable : bool array (pairs,)

    Returns
    -------
    float64 array (draws x subjects x 2)
        Similarity with the pool of the others, and of all; NaN for a subject that is not drawn,
        and for all in a draw of a single subject.

    Examples
    --------
    >>> data = np.array([[1.0, 2, 3, 4, 5, 6], [1.0, 3, 2, 4, 6, 5]])
    >>> ones = np.ones((1, 4), np.int64)
    >>> resampled_ceilings(data, ones, ones[:, :2], "spearman", np.ones(6, bool)).round(3)
    array([[[0.886, 0.971],
            [0.886, 0.971]]])
    """
    check_choice("comparison", comparison, KINDS)
    rows = np.ascontiguousarray(data, dtype=np.float64)
    ceilings = np.full((len(counts), len(rows), 2), np.nan)
    work = make_rank_work(rows.shape[1], np.float64)
    _ceiling_draws(rows, counts, subject_counts, usable, KINDS[comparison], ceilings, work)
    return ceilings


@njit(nogil=True, cache=True)
def _pooling_scale(values, kind, draw, out, z, tally, work):
    """Write one row on the scale on which subjects are averaged: that which the measure ignores.

    Whitened measures see the whitened norm, so that is what becomes one.
    """
    scaled_into(values, draw[2], kind, out, tally, work)
    if kind == COSINE_COV or kind == CORR_COV:
        norm = standardise(values, kind, draw, z, tally, work)
        for p in range(values.size):
            out[p] /= norm


@njit(nogil=True, cache=True)
def _ceiling_draws(rows, counts, subject_counts, usable, kind, ceilings, work):
    n_rows, n_pairs = rows.shape
    n_stimuli = counts.shape[1]
    room, tally = make_room(n_pairs, n_stimuli), np.empty(2 * n_pairs + 1)
    places, weights = room[0], room[3]
    scaled = np.empty((n_rows, n_pairs))
    both, one = np.empty((2, n_pairs)), np.empty((1, 1))
    z = np.empty((2, n_pairs + n_stimuli))
    for b in range(len(counts)):
        present = subject_counts[b]
        m, draw = open_draw(kind, counts[b], usable, room)
        if m < 2 or np.count_nonzero(present) < 2:
            continue
        pooled = np.zeros(m)
        for row in range(n_rows):
            if present[row] > 0:
                own = rows[row][places[:m]]
                _pooling_scale(own, kind, draw, scaled[row, :m], z[0], tally, work)
                for p in range(m):
                    pooled[p] += present[row] * scaled[row, p]
        for row in range(n_rows):
            if present[row] == 0:
                continue
            for bound in range(2):
                left_out = present[row] if bound == 0 else 0  # with all its copies
                for p in range(m):
                    both[0, p] = rows[row, places[p]]
                    both[1, p] = pooled[p] - left_out * scaled[row, p]
                if kind == TAU_A or kind == TAU_B:
                    concordance_of_rows(
                        both[:, :m], weights[:m], kind == TAU_B, one, tally, work
                    )
                    score = one[0, 0]
                else:
                    norm = standardise(both[0, :m], kind, draw, z[0], tally, work)
                    norm_of_pool = standardise(both[1, :m], kind, draw, z[1], tally, work)
                    score = weighted_cosine(z[0], norm, z[1], norm_of_pool, draw[3])
                ceilings[b, row, bound] = score
