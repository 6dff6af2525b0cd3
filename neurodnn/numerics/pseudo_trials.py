"""Trials -> pseudo-trials: random groups of trials of one stimulus, averaged.

Which trials meet in a group hangs on the seed, the repeat and the name of the stimulus, and on
the order of that stimulus' own trials; not on other stimuli, on times or on workers.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

_STAGE = 6  # first part of the seeds of these draws; every stage of the package has its own


def draw_groups(
    names: Sequence[str], n_trials: Sequence[int], size: int, n_repeats: int, seed: int
) -> NDArray[np.int32]:
    """Return which trials are averaged, for all repeats.

    Parameters
    ----------
    names : sequence of str
        Stimuli, each once.
    n_trials : sequence of int
        Trials of each stimulus. Trials are numbered with the stimuli one after the other: those
        of the first stimulus come first.
    size : int
        Trials in a group.
    n_repeats : int
        Fresh assignments of trials to groups.
    seed : int

    Returns
    -------
    array of int32 (repeats, groups, stimuli, size)
        Every stimulus has as many groups as the one with the fewest trials allows. Trials left
        over by that are other ones in every repeat.

    Examples
    --------
    >>> groups = draw_groups(["cat", "dog"], [4, 5], 2, n_repeats=3, seed=0)
    >>> groups.shape, sorted(groups[0, :, 0].ravel().tolist())
    ((3, 2, 2, 2), [0, 1, 2, 3])
    """
    n_groups = min(n_trials) // size
    starts = np.concatenate([[0], np.cumsum(n_trials)])
    groups = np.empty((n_repeats, n_groups, len(names), size), dtype=np.int32)
    for place, name in enumerate(names):
        code = zlib.crc32(name.encode())
        for repeat in range(n_repeats):
            source = np.random.SeedSequence(seed, spawn_key=(_STAGE, repeat, code))
            drawn = np.random.default_rng(source).permutation(n_trials[place])
            chosen = starts[place] + drawn[: n_groups * size]
            groups[repeat, :, place] = chosen.reshape(n_groups, size)
    return groups


@njit(nogil=True, cache=True)
def average_groups(trials, groups, means):
    """Write the mean pattern of each group.

    Parameters
    ----------
    trials : array of float64 (trials, channels)
    groups : array of int32 (groups, stimuli, size)
        One repeat of `draw_groups`.
    means : array of float64 (groups * stimuli, channels)
        Written; the stimuli of the first group come first.
    """
    n_groups, n_stimuli, size = groups.shape
    for group in range(n_groups):
        for stimulus in range(n_stimuli):
            mean = means[group * n_stimuli + stimulus]
            mean[:] = trials[groups[group, stimulus, 0]]
            for i in range(1, size):
                trial = trials[groups[group, stimulus, i]]
                for channel in range(mean.size):
                    mean[channel] += trial[channel]
            for channel in range(mean.size):
                mean[channel] /= size
