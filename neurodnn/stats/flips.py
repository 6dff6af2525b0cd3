"""Which signs a sign-flip test uses: all of them, or random ones seeded per subject."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.numerics.signflips import GROUP

_ALPHA = 0.05
_EXACT_BY_DEFAULT = 2**14  # so many flips cost no more than the usual 10,000 draws
_EXACT_AT_MOST = 2**20
_STAGE = 1  # first part of the seeds of this test; every stage of the package has its own


class Flips(NamedTuple):
    """The flips to be used; row 0 leaves the data as they are."""

    n_subjects: int
    n_flips: int  # two-sided and exact, a row of codes stands for its mirror too
    exact: bool
    n_distinct: int  # rows that can differ in the statistic
    codes: np.ndarray  # uint8, rows x groups of eight subjects: bit i set negates subject i

    @property
    def n_rows(self) -> int:
        return len(self.codes)


def plan_flips(
    subjects: Sequence[str],
    n_permutations: int | str,
    tail: str,
    seed: int,
    *,
    enumerate_few: bool = True,
) -> Flips:
    """Return all flips where they are few enough, otherwise random ones seeded per subject.

    Parameters
    ----------
    subjects : sequence of str
        Names, unique. What a subject draws hangs on its name and `seed` alone.
    n_permutations : int or "exact"
        Number of rows, the unflipped data included; all flips where these are at most 16,384
        or this number.
    tail : "two-sided" or "greater"
        Two-sided statistics are equal for a flip and its mirror: half of all flips suffice.
    seed : int
    enumerate_few : bool
        False: `n_permutations` random rows however few flips there are, repeats included.

    Returns
    -------
    Flips

    Raises
    ------
    InputError
        If `n_permutations` is not valid, or "exact" with more than 20 subjects.

    Examples
    --------
    >>> plan_flips(["anna", "ben", "cleo"], 1000, "greater", 0).codes[:, 0].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    n, exact = len(subjects), n_permutations == "exact"
    if not exact and (not isinstance(n_permutations, (int, np.integer)) or n_permutations < 1):
        allowed = '"exact" or a whole number of at least 1'
        raise InputError(
            message("n_permutations", "is not valid", got=n_permutations, allowed=allowed)
        )
    if exact and 2**n > _EXACT_AT_MOST:
        fault = f"{n} subjects have 2**{n} flips, too many to enumerate"
        remedy = "Give a number, such as 10000."
        raise InputError(
            message("n_permutations", fault, allowed="at most 20 subjects", remedy=remedy)
        )
    # |t| of a flip and of its mirror are equal: half of them tell everything.
    distinct = 2 ** (n - 1) if tail == "two-sided" else 2**n
    if exact or (enumerate_few and 2**n <= max(_EXACT_BY_DEFAULT, n_permutations)):
        codes = np.arange(distinct, dtype="<u4").view(np.uint8)
        return Flips(n, 2**n, True, distinct, _padded(codes, distinct, n))
    if abs(_ALPHA * n_permutations - round(_ALPHA * n_permutations)) > 1e-9:
        fault = f"{_ALPHA} times {n_permutations} flips is no whole number"
        remedy = "The test is slightly conservative; take a multiple of 20."
        warnings.warn(message("n_permutations", fault, remedy=remedy), DataWarning, stacklevel=3)
    negative = np.empty((int(n_permutations), n), dtype=bool)
    for column, name in enumerate(subjects):
        # Keyed by the name, drawn in the order of flips: neither other subjects nor the number
        # of flips change what a subject gets.
        key = (_STAGE, zlib.crc32(name.encode()))
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        negative[:, column] = generator.random(len(negative)) < 0.5
    negative[0] = False
    codes = np.packbits(negative, axis=1, bitorder="little")
    return Flips(n, len(codes), False, distinct, _padded(codes, len(codes), n))


def _padded(codes: np.ndarray, rows: int, n_subjects: int) -> np.ndarray:
    """Return the bytes that hold subjects, with a second column where one would do."""
    codes = codes.reshape(rows, -1)[:, : -(-n_subjects // GROUP)]
    return np.pad(codes, ((0, 0), (0, max(0, 2 - codes.shape[1]))))


def check_reach(flips: Flips, allow_small: bool) -> None:
    """Refuse, or warn of, a test that cannot reach p <= .05.

    Parameters
    ----------
    flips : Flips
    allow_small : bool
        Whether to warn only. One subject is always refused.

    Raises
    ------
    InputError
        If the smallest attainable p is above .05.

    Examples
    --------
    >>> check_reach(plan_flips(["anna"], 1000, "greater", 0), True)
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: scores: a group test needs subjects, not 1. Add subjects, or \
report the subject's own map without a group test.
    """
    n = flips.n_subjects
    if n < 2:
        remedy = "Add subjects, or report the subject's own map without a group test."
        raise InputError(message("scores", f"a group test needs subjects, not {n}", remedy=remedy))
    smallest = 1.0 / min(flips.n_rows, flips.n_distinct)
    if smallest <= _ALPHA:
        return
    fault = (
        f"{n} subjects and {flips.n_flips} flips cannot reach p <= {_ALPHA}: the smallest"
        f" attainable p is {smallest:.4g}"
    )
    if not allow_small:
        remedy = "Add subjects (6 for a two-sided, 5 for a one-sided test) or flips."
        raise InputError(message("scores", fault, remedy=remedy))
    warnings.warn(message("scores", fault), DataWarning, stacklevel=3)
