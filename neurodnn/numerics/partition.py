"""Shares of variance by inclusion and exclusion of the R2 of sets of predictors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Shares = NDArray[np.float64]


def set_combinations(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every combination of sets, small ones first: those whose R2 `components` needs.

    Examples
    --------
    >>> list(set_combinations(["A", "B"]))
    [('A',), ('B',), ('A', 'B')]
    """
    for size in range(1, len(names) + 1):
        yield from combinations(names, size)


def components(
    names: Sequence[str], r2: Mapping[tuple[str, ...], Shares]
) -> dict[str, Shares]:
    """Return what each set explains alone, and what exactly some of them share.

    For two sets: alone R2(A,B) - R2(B) and R2(A,B) - R2(A); shared R2(A) + R2(B) - R2(A,B).
    In general the share of the sets S and no others is the alternating sum over the parts T of
    S of ``-(-1)^|T| R2(T and all sets outside S)``.

    Parameters
    ----------
    names : sequence of str
        The sets.
    r2 : dict of tuple of names -> array
        Variance explained by each combination of `set_combinations`, all of one shape.

    Returns
    -------
    dict of str -> array
        ``"A alone"``, ..., ``"A & B"`` (by both and, with three sets, not by the third), ...,
        ``"A & B & C"``, and ``"total"``, which is their sum. Shares of several sets may be
        negative and are left so.

    Examples
    --------
    >>> shares = components(["A", "B"], {("A",): 0.3, ("B",): 0.2, ("A", "B"): 0.4})
    >>> {name: round(float(value), 3) for name, value in shares.items()}
    {'A alone': 0.2, 'B alone': 0.1, 'A & B': 0.1, 'total': 0.4}
    """
    result = {}
    for chosen in set_combinations(names):
        others = [name for name in names if name not in chosen]
        share = np.zeros_like(np.asarray(r2[tuple(names)], dtype=np.float64))
        for size in range(len(chosen) + 1):
            for part in combinations(chosen, size):
                joined = tuple(name for name in names if name in part or name in others)
                if joined:  # without any predictor nothing is explained
                    share = share - (-1.0) ** size * np.asarray(r2[joined])
        result[chosen[0] + " alone" if len(chosen) == 1 else " & ".join(chosen)] = share
    result["total"] = np.asarray(r2[tuple(names)], dtype=np.float64)
    return result
