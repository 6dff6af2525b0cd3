"""Which relabellings of stimuli a permutation test uses: all of them, or random ones by seed.

Relabelling number i hangs on the user's seed and on i alone (and, where every subject draws its
own, on the subject's name): the first 99 of 999 are those of a run with 99, and neither workers
nor other subjects change one.
"""

from __future__ import annotations

import math
import warnings
import zlib
from itertools import permutations
from typing import NamedTuple

import numpy as np

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message

TAILS = ("two-sided", "greater")
FEW_STIMULI = 7  # below, relabellings are few and most leave a simple model as it was
_ALPHA = 0.05
_STAGE = 2  # first part of the seeds of this test; every stage of the package has its own


class Relabellings(NamedTuple):
    """Orders of the stimuli, one per row; the first leaves everything where it is."""

    orders: np.ndarray  # permutations x stimuli
    exact: bool


def plan_relabellings(n_stimuli: int, n_permutations: int, seed: int) -> Relabellings:
    """Return all orders where they are few enough, otherwise random ones, common to everybody.

    Parameters
    ----------
    n_stimuli : int
    n_permutations : int
        Number of orders, the given one included.
    seed : int

    Returns
    -------
    Relabellings

    Raises
    ------
    InputError
        If so few orders cannot reach p <= .05.

    Examples
    --------
    >>> plan_relabellings(4, 1000, 0).orders.shape, plan_relabellings(9, 20, 0).exact
    ((24, 4), False)
    """
    n = checked_number(n_permutations, n_stimuli, exact_possible=True)
    if math.factorial(n_stimuli) <= n:
        return Relabellings(np.array(list(permutations(range(n_stimuli)))), True)
    orders = np.empty((n, n_stimuli), dtype=np.int64)
    orders[0] = np.arange(n_stimuli)
    for index in range(1, n):
        orders[index] = _drawn(n_stimuli, seed, (_STAGE, index))
    return Relabellings(orders, False)


def own_relabellings(
    subject: str, n_stimuli: int, n_permutations: int, seed: int, *, observed: bool = True
) -> np.ndarray:
    """Return random orders that one subject draws for itself.

    Parameters
    ----------
    subject : str
    n_stimuli, n_permutations, seed : int
    observed : bool
        Whether the first order is the given one; otherwise all are drawn.

    Returns
    -------
    array (permutations x stimuli)

    Examples
    --------
    >>> bool((own_relabellings("01", 9, 3, 0) == own_relabellings("02", 9, 3, 0)).all())
    False
    """
    key = zlib.crc32(subject.encode())
    first = 0 if observed else 1
    orders = [
        _drawn(n_stimuli, seed, (_STAGE, key, index))
        for index in range(first, n_permutations + first)
    ]
    if observed:
        orders[0] = np.arange(n_stimuli)
    return np.array(orders, dtype=np.int64)


def _drawn(n_stimuli: int, seed: int, key: tuple[int, ...]) -> np.ndarray:
    seed = int(check_number("seed", seed, minimum=0))
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return np.random.default_rng(sequence).permutation(n_stimuli)


def checked_number(n_permutations: int, n_stimuli: int, *, exact_possible: bool) -> int:
    """Return the number of relabellings; refuse or warn where p would say little.

    Parameters
    ----------
    n_permutations, n_stimuli : int
    exact_possible : bool
        Whether all orders may take the place of random ones.

    Raises
    ------
    InputError
        If the number is not a whole one, or so small that p <= .05 cannot be reached.

    Examples
    --------
    >>> checked_number(1000, 92, exact_possible=True)
    1000
    """
    n = check_number("n_permutations", n_permutations, minimum=1)
    if n != int(n):
        raise InputError(message("n_permutations", "is no whole number", got=n_permutations))
    n = int(n)
    if n * _ALPHA < 1:
        fault = f"{n} relabellings cannot reach p <= {_ALPHA}"
        raise InputError(message("n_permutations", fault, allowed="at least 20"))
    if n_stimuli < FEW_STIMULI:
        fault = f"{n_stimuli} stimuli can be relabelled in {math.factorial(n_stimuli)} ways only"
        remedy = f"Take {FEW_STIMULI} or more: with fewer the test has next to no power."
        warnings.warn(message("references", fault, remedy=remedy), DataWarning, stacklevel=4)
    exact = exact_possible and math.factorial(n_stimuli) <= n
    if not exact and abs(_ALPHA * n - round(_ALPHA * n)) > 1e-9:
        fault = f"{_ALPHA} times {n} relabellings is no whole number"
        remedy = "The test is slightly conservative; take a multiple of 20."
        warnings.warn(message("n_permutations", fault, remedy=remedy), DataWarning, stacklevel=4)
    return n


def check_tail(tail: str) -> None:
    """Refuse an unknown tail.

    Examples
    --------
    >>> check_tail("greater")
    """
    check_choice("tail", tail, TAILS)


def corrected_p(observed: np.ndarray, null_max: np.ndarray, tie: float) -> np.ndarray:
    """Return the share of relabellings whose largest statistic reaches the observed one.

    Parameters
    ----------
    observed : array
        Statistics as they are compared (two-sided: absolute); NaN stays NaN.
    null_max : array (permutations,)
        Largest statistic anywhere, the observed labelling included.
    tie : float
        By how much rounding may part two statistics that are equal.

    Examples
    --------
    >>> corrected_p(np.array([0.5, np.nan]), np.array([0.5, 0.4, 0.6, 0.2]), 1e-12)
    array([0.5, nan])
    """
    ordered = np.sort(null_max)
    reached = ordered.size - np.searchsorted(ordered, observed - tie)
    return np.where(np.isnan(observed), np.nan, reached / ordered.size)
