"""Double dissociation: one place goes with one time, another place with another time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurodnn._checks import InputError, message
from neurodnn.stats.permutation import sign_flip_test


def double_dissociation_test(
    scores: xr.DataArray,
    *,
    rows: tuple[str, Sequence[object]],
    columns: tuple[str, Sequence[object]],
    n_permutations: int | str = 10_000,
    seed: int = 0,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return the test of a crossed pattern of two by two scores, from sign flips over subjects.

    Parameters
    ----------
    scores : DataArray with dimensions ``subject``, and those of `rows` and `columns`
    rows, columns : (dimension, (first, second))
        ``("region", ("EVC", "IT"))`` and ``("time", (0.1, 0.2))``: the first row should go with
        the first column and the second with the second.
    n_permutations, seed, allow_small
        As in `sign_flip_test`.

    Returns
    -------
    Dataset
        As `sign_flip_test` gives it, along ``reference``: how far the first row prefers the first
        column, how far the second row prefers the second, and ``"interaction"``, their sum.
        ``p_fwe`` (two-sided) is corrected over the three. An interaction alone is no double
        dissociation:
        that needs both preferences, with means above zero.

    Raises
    ------
    InputError
        If a dimension or label is missing, or as for `sign_flip_test`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = xr.DataArray(rng.normal(0, 0.1, (12, 2, 2)) + 0.3 * np.eye(2),
    ...                       dims=("subject", "region", "time"),
    ...                       coords={"region": ["EVC", "IT"], "time": [0.1, 0.2]})
    >>> found = double_dissociation_test(scores, rows=("region", ("EVC", "IT")),
    ...                                  columns=("time", (0.1, 0.2)))
    >>> bool((found.p_fwe < 0.05).all())
    True
    """
    _check_dimensions(scores, rows, columns)
    cells = [[_cell(scores, rows, i, columns, j) for j in (0, 1)] for i in (0, 1)]
    first = cells[0][0] - cells[0][1]
    second = cells[1][1] - cells[1][0]
    labels = [
        f"{rows[1][0]}: {columns[1][0]} - {columns[1][1]}",
        f"{rows[1][1]}: {columns[1][1]} - {columns[1][0]}",
        "interaction",
    ]
    subjects = scores.coords["subject"].values if "subject" in scores.coords else None
    contrasts = xr.DataArray(
        np.stack([first, second, first + second], axis=1), dims=("subject", "reference"),
        coords={"reference": labels} | ({} if subjects is None else {"subject": subjects}),
    )  # fmt: skip
    return sign_flip_test(
        contrasts, n_permutations=n_permutations, seed=seed, allow_small=allow_small
    )


def _check_dimensions(scores: xr.DataArray, *sides: tuple[str, Sequence[object]]) -> None:
    needed = {"subject", *(dimension for dimension, _ in sides)}
    got = set(map(str, getattr(scores, "dims", ())))
    if got != needed:
        allowed = ", ".join(sorted(needed))
        raise InputError(message("scores", "have other dimensions", got=sorted(got),
                                 allowed=allowed))  # fmt: skip
    for dimension, labels in sides:
        if len(labels) != 2 or labels[0] == labels[1]:
            raise InputError(message(dimension, "needs two different labels", got=labels))


def _cell(
    scores: xr.DataArray, rows: tuple, row: int, columns: tuple, column: int
) -> np.ndarray:
    for dimension, labels in (rows, columns):
        known = scores[dimension].values.tolist()
        label = labels[row if dimension == rows[0] else column]
        if label not in known:
            raise InputError(message(dimension, "has no such label", got=label,
                                     allowed=", ".join(map(str, known[:10]))))  # fmt: skip
        scores = scores.isel({dimension: known.index(label)})
    return np.asarray(scores, dtype=np.float64)
