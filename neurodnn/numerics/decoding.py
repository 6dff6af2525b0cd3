"""Pseudo-trials -> decision values of all pairs of stimuli: one Gram matrix, then every pair.

Axes: pseudo-trials are (groups * stimuli) x channels, the stimuli of the first group first, as
`neurodnn.numerics.pseudo_trials` writes them; decision values are pairs x groups x 2, pairs in
the order of the upper triangle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurodnn.numerics.lda import make_lda_work, weigh_pairs
from neurodnn.numerics.svm import WAYS, decide_pairs, make_pair_work
from neurodnn.numerics.svm_singular import make_fold_work

CLASSIFIERS = ("svm", "lda")
_PANEL_BYTES = 2**26  # of the Gram matrix that is held at a time


def pair_decisions(
    means: NDArray[np.float64], n_groups: int, classifier: str = "svm", cost: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the decision values of every pair of stimuli, one pseudo-trial of each left out.

    Parameters
    ----------
    means : array (groups * stimuli, channels)
        Pseudo-trials, best without a large pattern in common: it costs digits.
    n_groups : int
        Pseudo-trials per stimulus.
    classifier : {"svm", "lda"}
    cost : float
        C of the support vector machine.

    Returns
    -------
    decisions : array (pairs, groups, 2)
        In fold f pseudo-trial f of both stimuli is left out of the training; its decision
        values are ``decisions[:, f, 0]`` for the first stimulus of the pair and
        ``decisions[:, f, 1]`` for the second. Positive speaks for the first.
    ways : array of int64 (5,)
        How many folds were solved in which of the ways `neurodnn.numerics.svm.WAYS`.

    Examples
    --------
    >>> left, right = np.full((3, 1, 1), -2.0), np.full((3, 1, 1), 2.0)
    >>> means = np.concatenate([left, right], axis=1).reshape(6, 1)
    >>> pair_decisions(means, 3)[0][0, 0].tolist()
    [1.0, -1.0]
    """
    means = np.ascontiguousarray(means, dtype=np.float64)
    n_stimuli, n_channels = means.shape[0] // n_groups, means.shape[1]
    cube = means.reshape(n_groups, n_stimuli, n_channels)
    by_stimulus = np.ascontiguousarray(cube.transpose(1, 0, 2))
    own = np.matmul(by_stimulus, by_stimulus.transpose(0, 2, 1)).transpose(1, 2, 0)
    decisions = np.empty((n_stimuli * (n_stimuli - 1) // 2, n_groups, 2))
    ways = np.zeros(len(WAYS), dtype=np.int64)
    svm, single = make_pair_work(n_groups), make_fold_work(2 * n_groups)
    lda = make_lda_work(n_groups)
    first = 0
    for start, stop in _row_blocks(n_stimuli, n_groups):
        columns = cube[:, start:].reshape(-1, n_channels)
        whole = stop - start == n_stimuli
        # The product of a matrix with its own transpose costs half of one with another.
        rows = columns if whole else cube[:, start:stop].reshape(-1, n_channels)
        panel = rows @ columns.T
        part = np.ascontiguousarray(own[:, :, start:])
        if classifier == "svm":
            first = decide_pairs(panel, part, first, cost, svm, single, decisions, ways)
        else:
            first = weigh_pairs(panel, part, first, n_channels, lda, decisions)
    return decisions, ways


def _row_blocks(n_stimuli: int, n_groups: int) -> list[tuple[int, int]]:
    """Return how the rows of the Gram matrix are cut, which depends on the sizes alone."""
    blocks, start = [], 0
    while start < n_stimuli:
        row_bytes = 8 * n_groups**2 * (n_stimuli - start)
        stop = min(start + max(_PANEL_BYTES // row_bytes, 1), n_stimuli)
        blocks.append((start, stop))
        start = stop
    return blocks
