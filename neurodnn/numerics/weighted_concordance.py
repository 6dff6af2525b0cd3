"""Kendall's tau of weighted rows in n log n: how many pairs of entries rise and fall together."""

from __future__ import annotations

import numpy as np
from numba import njit

from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.ranks import extremes, rank_into

_CONSTANT = ZERO_FACTOR * np.finfo(float).eps


@njit(nogil=True, cache=True)
def concordance_of_rows(rows, weights, correct_ties, scores, tally, work):
    """Write tau-a (tau-b with `correct_ties`) of the first rows with the others into `scores`.

    `rows` holds len(scores) data rows, then the references; an entry counts as often as its
    weight, a whole number, says. Constant rows give NaN. All sums are whole numbers, so exact.
    """
    n_rows, m = rows.shape
    n_data = scores.shape[0]
    keys, order = np.empty((n_rows, m), np.int64), np.empty((n_rows, m), np.int64)
    tied, constant = np.zeros(n_rows), np.zeros(n_rows, np.bool_)
    ranks = np.empty(m)
    for row in range(n_rows):
        low, high = extremes(rows[row])
        constant[row] = high - low <= _CONSTANT * max(abs(low), abs(high))
        rank_into(rows[row], low, high, ranks, 0.0, work)
        for i in range(m):
            keys[row, i] = np.int64(2.0 * ranks[i])  # equal exactly where values are equal
        tied[row] = _order_by_key(keys[row], weights, order[row], tally)
    total = 0.0
    for i in range(m):
        total += weights[i]
    pairs = 0.5 * total * (total - 1.0)
    tree = np.empty(2 * m + 1)
    for i in range(n_data):
        for j in range(n_data, n_rows):
            if constant[i] or constant[j]:
                scores[i, j - n_data] = np.nan
                continue
            net = _net_concordance(keys[i], order[i], keys[j], weights, tree)
            if correct_ties:
                scores[i, j - n_data] = net / np.sqrt(pairs - tied[i]) / np.sqrt(pairs - tied[j])
            else:
                scores[i, j - n_data] = net / pairs


@njit(nogil=True, cache=True)
def _order_by_key(keys, weights, order, tally):
    """Fill `order` with the entries by rising key; return how many pairs of entries are tied."""
    last = 2 * keys.size
    tally[: last + 1] = 0.0
    for i in range(keys.size):
        tally[keys[i]] += weights[i]
    tied = 0.0
    for slot in range(last + 1):
        tied += 0.5 * tally[slot] * (tally[slot] - 1.0)
        tally[slot] = 0.0
    for i in range(keys.size):
        tally[keys[i]] += 1.0
    start = 0.0
    for slot in range(last + 1):
        count = tally[slot]
        tally[slot] = start
        start += count
    for i in range(keys.size):
        order[np.int64(tally[keys[i]])] = i
        tally[keys[i]] += 1.0
    return tied


@njit(nogil=True, cache=True)
def _net_concordance(keys, order, others, weights, tree):
    """Return concordant less discordant pairs; `tree` sums weights below a key (Fenwick)."""
    m = keys.size
    tree[:] = 0.0
    laid = 0.0
    net = 0.0
    start = 0
    while start < m:
        stop = start
        while stop < m and keys[order[stop]] == keys[order[start]]:
            entry = order[stop]
            key = others[entry]
            net += weights[entry] * (_below(tree, key - 1) - laid + _below(tree, key))
            stop += 1
        for place in range(start, stop):
            entry = order[place]
            laid += weights[entry]
            slot = others[entry]
            while slot < tree.size:
                tree[slot] += weights[entry]
                slot += slot & -slot
        start = stop
    return net


@njit(nogil=True, cache=True)
def _below(tree, slot):
    total = 0.0
    while slot > 0:
        total += tree[slot]
        slot -= slot & -slot
    return total
