"""Similarity of RDMs whose stimuli were drawn with replacement, without building them.

A stimulus drawn c_i times puts the pair (i, j) into the resampled RDM c_i c_j times; pairs of a
stimulus with its own copy are left out, because every model would predict their zero. So each
measure is computed with weights c_i c_j on the pairs as they stand. Ranks are made anew for every
draw and are exact: weighted mid-ranks equal the average ranks of the RDM written out in full.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurodnn._checks import check_choice
from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import extremes, make_rank_work, rank_into
from neurodnn.numerics.weighted_concordance import concordance_of_rows

COSINE, PEARSON, SPEARMAN, RHO_A, TAU_A, TAU_B, COSINE_COV, CORR_COV = range(8)
KINDS = {
    "cosine": COSINE, "pearson": PEARSON, "spearman": SPEARMAN, "rho-a": RHO_A,
    "tau-a": TAU_A, "tau-b": TAU_B, "cosine_cov": COSINE_COV, "corr_cov": CORR_COV,
}  # fmt: skip
_CONSTANT = ZERO_FACTOR * np.finfo(float).eps


def resampled_similarity(
    data: NDArray, references: NDArray, counts: NDArray, comparison: str, usable: NDArray
) -> NDArray[np.float64]:
    """Return the similarity of every data row with every reference in every draw of stimuli.

    Parameters
    ----------
    data, references : float64 array (rows x pairs)
        Condensed RDMs; finite wherever `usable`.
    counts : int64 array (draws x stimuli)
        How often each stimulus was drawn.
    comparison : str
        A key of `KINDS`.
    usable : bool array (pairs,)
        Pairs that take part at all.

    Returns
    -------
    float64 array (draws x data rows x references)
        NaN where a row is constant in the draw (cosine: zero).

    Examples
    --------
    >>> data = np.array([[1.0, 2, 3, 4, 5, 6]])
    >>> once = np.ones((1, 4), np.int64)
    >>> resampled_similarity(data, data[:, ::-1].copy(), once, "spearman", np.ones(6, bool))
    array([[[-1.]]])
    """
    check_choice("comparison", comparison, KINDS)
    rows = np.ascontiguousarray(np.concatenate([data, references]), dtype=np.float64)
    scores = np.empty((len(counts), len(data), len(references)))
    work = make_rank_work(rows.shape[1], np.float64)
    _score_draws(rows, counts, usable, KINDS[comparison], scores, work)
    return scores


@njit(nogil=True, cache=True)
def _drawn_pairs(counts, usable, places, first, second, weights):
    """List the pairs that a draw holds and how often; return their number."""
    size = 0
    pair = 0
    for i in range(counts.size):
        for j in range(i + 1, counts.size):
            weight = counts[i] * counts[j]
            if weight > 0 and usable[pair]:
                places[size] = pair
                first[size] = i
                second[size] = j
                weights[size] = weight
                size += 1
            pair += 1
    return size


@njit(nogil=True, cache=True)
def weighted_midranks(values, weights, ranks, tally, work):
    """Write the average ranks that `values` would have, each repeated `weights` times.

    `tally` is work space of 2 * values.size + 1 numbers.
    """
    low, high = extremes(values)
    rank_into(values, low, high, ranks, 0.0, work)
    last = 2 * values.size  # twice an average rank is a whole number: a slot of its own
    tally[: last + 1] = 0.0
    for i in range(values.size):
        tally[np.int64(2.0 * ranks[i])] += weights[i]
    before = 0.0
    for slot in range(last + 1):
        count = tally[slot]
        tally[slot] = before + 0.5 * (count + 1.0)
        before += count
    for i in range(values.size):
        ranks[i] = tally[np.int64(2.0 * ranks[i])]


@njit(nogil=True, cache=True)
def _is_undefined(values, kind):
    low, high = extremes(values)
    largest = max(abs(low), abs(high))
    if kind == COSINE or kind == COSINE_COV:
        return not largest > 0.0
    return high - low <= _CONSTANT * largest


@njit(nogil=True, cache=True)
def scaled_into(values, weights, kind, out, tally, work):
    """Write one row on the scale on which subjects are pooled: ranks, z scores or unit rms."""
    size = values.size
    if kind == SPEARMAN or kind == RHO_A or kind == TAU_A or kind == TAU_B:
        weighted_midranks(values, weights, out, tally, work)
        return
    total = 0.0
    mean = 0.0
    for i in range(size):
        total += weights[i]
        mean += weights[i] * values[i]
    mean /= total
    if kind == COSINE or kind == COSINE_COV:
        mean = 0.0
    largest = 0.0
    for i in range(size):
        out[i] = values[i] - mean
        largest = max(largest, abs(out[i]))
    if largest > 0.0:
        square = 0.0
        for i in range(size):
            out[i] /= largest  # squares stay in range
            square += weights[i] * out[i] * out[i]
        square = np.sqrt(square / total)
        for i in range(size):
            out[i] /= square


@njit(nogil=True, cache=True)
def _whitening(counts, first, second, weights, slot):
    """Return the inverse of the normal matrix that takes row and column effects out.

    V^-1 x of the whitened measures is what remains of x, zero diagonal included, after the best
    fit of one effect per stimulus; pairs that are absent leave the fit (Sigma_k = identity).
    """
    size = 0
    for i in range(counts.size):
        slot[i] = size
        if counts[i] > 0:
            size += 1
    normal = np.zeros((size, size))
    for i in range(counts.size):
        if counts[i] > 0:
            normal[slot[i], slot[i]] = 2.0 * counts[i]
    for p in range(weights.size):
        i, j = slot[first[p]], slot[second[p]]
        normal[i, i] += weights[p]
        normal[j, j] += weights[p]
        normal[i, j] += weights[p]
        normal[j, i] += weights[p]
    return np.linalg.inv(normal)


@njit(nogil=True, cache=True)
def _remove_effects(z, m, first, second, weights, slot, inverse):
    """Take stimulus effects out of z[:m] in place; write what the diagonal keeps behind it."""
    n = inverse.shape[0]
    sums = np.zeros(n)
    for p in range(m):
        sums[slot[first[p]]] += weights[p] * z[p]
        sums[slot[second[p]]] += weights[p] * z[p]
    for i in range(n):
        effect = 0.0
        for j in range(n):
            effect += inverse[i, j] * sums[j]
        z[m + i] = -2.0 * effect
    for p in range(m):
        z[p] += 0.5 * (z[m + slot[first[p]]] + z[m + slot[second[p]]])


@njit(nogil=True, cache=True)
def standardise(values, kind, draw, z, tally, work):
    """Write the row whose weighted dot products are the measure; return its norm, or NaN."""
    first, second, weights, metric_weights, slot, inverse = draw
    m = values.size
    if _is_undefined(values, kind):
        return np.nan
    scaled_into(values, weights, kind, z[:m], tally, work)
    total = 0.0
    for p in range(m):
        total += weights[p]
    if kind == SPEARMAN or kind == RHO_A:
        for p in range(m):
            z[p] -= 0.5 * (total + 1.0)  # exact: halves of whole numbers
    if kind == RHO_A:
        return np.sqrt((total**3 - total) / 12.0)
    if kind == COSINE_COV or kind == CORR_COV:
        _remove_effects(z, m, first, second, weights, slot, inverse)
    square = 0.0
    for p in range(metric_weights.size):
        square += metric_weights[p] * z[p] * z[p]
    return np.sqrt(square) if square > 0.0 else np.nan


@njit(nogil=True, cache=True)
def _metric_weights(kind, counts, weights):
    """Weights of the dot product: pairs count twice beside the diagonal in whitened measures."""
    if kind != COSINE_COV and kind != CORR_COV:
        return weights
    diagonal = counts[counts > 0].astype(np.float64)
    return np.concatenate((2.0 * weights, diagonal))


@njit(nogil=True, cache=True)
def weighted_cosine(a, norm_a, b, norm_b, weights):
    if np.isnan(norm_a) or np.isnan(norm_b):
        return np.nan
    total = 0.0
    for p in range(weights.size):
        total += weights[p] * a[p] * b[p]
    return min(1.0, max(-1.0, total / norm_a / norm_b))


@njit(nogil=True, cache=True)
def make_room(n_pairs, n_stimuli):
    """Return the buffers of a draw: places, first and second stimulus, weights, slots."""
    whole = np.empty((3, n_pairs), np.int64)
    return whole[0], whole[1], whole[2], np.empty(n_pairs), np.empty(n_stimuli, np.int64)


@njit(nogil=True, cache=True)
def open_draw(kind, counts, usable, room):
    """Return the number of pairs of a draw and what standardising its rows needs."""
    places, first, second, weights, slot = room
    m = _drawn_pairs(counts, usable, places, first, second, weights)
    if kind == COSINE_COV or kind == CORR_COV:
        inverse = _whitening(counts, first[:m], second[:m], weights[:m], slot)
    else:
        inverse = np.zeros((0, 0))
    metric = _metric_weights(kind, counts, weights[:m])
    return m, (first[:m], second[:m], weights[:m], metric, slot, inverse)


@njit(nogil=True, cache=True)
def _score_draws(rows, counts, usable, kind, scores, work):
    n_rows, n_pairs = rows.shape
    n_data = scores.shape[1]
    n_stimuli = counts.shape[1]
    room, tally = make_room(n_pairs, n_stimuli), np.empty(2 * n_pairs + 1)
    places, weights = room[0], room[3]
    z, norms = np.empty((n_rows, n_pairs + n_stimuli)), np.empty(n_rows)
    drawn = np.empty((n_rows, n_pairs))
    for b in range(len(counts)):
        m, draw = open_draw(kind, counts[b], usable, room)
        if m < 2:
            scores[b] = np.nan
            continue
        for row in range(n_rows):
            for p in range(m):
                drawn[row, p] = rows[row, places[p]]
        if kind == TAU_A or kind == TAU_B:
            concordance_of_rows(drawn[:, :m], weights[:m], kind == TAU_B, scores[b], tally, work)
            continue
        for row in range(n_rows):
            norms[row] = standardise(drawn[row, :m], kind, draw, z[row], tally, work)
        for i in range(n_data):
            for j in range(n_data, n_rows):
                scores[b, i, j - n_data] = weighted_cosine(z[i], norms[i], z[j], norms[j], draw[3])
