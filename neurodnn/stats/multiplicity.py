"""Many p values, many references: false discovery rate, differences, the best of L layers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from scipy.stats import false_discovery_control

from neurodnn._checks import InputError, check_choice, message
from neurodnn.numerics.signflips import signed_sums, tally_best
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.group_scores import arranged, attributes, describe, scaled, warn_of_data

_TIE = 1e-12  # flips that tie in exact arithmetic differ by rounding: c lies in [-1, 1]
_IN_CACHE = 128  # columns whose tables of sums stay in the second-level cache
_BLOCKS = 16  # of those to a job


def fdr(p: xr.DataArray | np.ndarray, *, method: str = "bh") -> xr.DataArray | np.ndarray:
    """Return p adjusted for the false discovery rate over all finite values given.

    Where all adjusted p <= q are called findings, the expected share of false ones among them
    is at most q.

    Parameters
    ----------
    p : DataArray or ndarray
        Uncorrected p of one family, any shape. NaN stays NaN and does not count.
    method : "bh" or "by"
        Benjamini-Hochberg (default; independent or positively dependent tests, as smooth maps
        are) or Benjamini-Yekutieli (any dependence, at the price of power).

    Returns
    -------
    DataArray or ndarray
        As given.

    Raises
    ------
    InputError
        If a value lies outside [0, 1] or the method is unknown.

    References
    ----------
    Benjamini Y. and Hochberg Y. (1995). Controlling the false discovery rate: a practical and
    powerful approach to multiple testing. Journal of the Royal Statistical Society B 57,
    289-300.
    Benjamini Y. and Yekutieli D. (2001). The control of the false discovery rate in multiple
    testing under dependency. Annals of Statistics 29, 1165-1188.

    Examples
    --------
    >>> fdr(np.array([0.01, 0.04, np.nan, 0.5]))
    array([0.03, 0.06,  nan, 0.5 ])
    """
    check_choice("method", method, ["bh", "by"])
    values = np.asarray(p, dtype=np.float64)
    there = ~np.isnan(values)
    if ((values[there] < 0) | (values[there] > 1)).any():
        raise InputError(message("p", "must lie between 0 and 1"))
    result = np.full(values.shape, np.nan)
    if there.any():
        result[there] = false_discovery_control(values[there], method=method)
    return p.copy(data=result) if isinstance(p, xr.DataArray) else result


def paired_differences(
    scores: xr.DataArray, pairs: Sequence[tuple[str, str]] | None = None
) -> xr.DataArray:
    """Return the differences of references (layers, networks) within each subject.

    The result goes into any test over subjects; all pairs tested at once belong to one family.

    Parameters
    ----------
    scores : DataArray with a dimension ``reference``
        Its coordinate names the references.
    pairs : sequence of (str, str), optional
        (a, b) for a - b; by default every pair in the order of the references.

    Returns
    -------
    DataArray
        As `scores`, with ``reference`` = "a - b". NaN where either is NaN.

    Raises
    ------
    InputError
        If there is no dimension ``reference`` with unique names, fewer than two of them, or a
        pair names an unknown reference or one twice.

    Examples
    --------
    >>> scores = xr.DataArray([[3.0, 1.0, 0.0]], dims=("subject", "reference"),
    ...                       coords={"reference": ["a", "b", "c"]})
    >>> differences = paired_differences(scores)
    >>> differences.reference.values.tolist(), differences.values.tolist()
    (['a - b', 'a - c', 'b - c'], [[2.0, 3.0, 1.0]])
    """
    if not isinstance(scores, xr.DataArray) or "reference" not in scores.coords:
        allowed = "a DataArray with a dimension reference and its names"
        raise InputError(message("scores", "name no references", allowed=allowed))
    names = [str(name) for name in np.atleast_1d(scores["reference"].values)]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(message("scores", "need two references or more, each once", got=names))
    pairs = list(itertools.combinations(names, 2)) if pairs is None else list(pairs)
    if not pairs:
        raise InputError(message("pairs", "are empty", allowed="pairs of references"))
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(message("pairs", "must be two different references", got=pair))
        for name in pair:
            check_choice("pairs", name, names)
    first = scores.isel(reference=[names.index(a) for a, _ in pairs])
    second = scores.isel(reference=[names.index(b) for _, b in pairs])
    # Other coordinates along reference (a layer's number, say) describe one side only.
    alongside = [
        name for name, c in scores.coords.items() if "reference" in c.dims and name != "reference"
    ]
    result = first.drop_vars(alongside).copy(data=first.values - second.values)
    return result.assign_coords(reference=[f"{a} - {b}" for a, b in pairs])


def best_reference_test(
    scores: xr.DataArray,
    *,
    tail: str = "two-sided",
    n_permutations: int | str = 10_000,
    seed: int = 0,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return the best reference of each place with p that pays for having chosen it.

    The best of 20 layers exceeds its own null distribution far more often than once in twenty
    times; its p must come from the distribution of the best of 20. Each sign flip's best
    reference at a place gives ``p``, and its best anywhere ``p_fwe``.

    Parameters
    ----------
    scores : DataArray with dimensions ``subject`` and ``reference``
        Places that lack a score in any subject for one reference choose among the others.
    tail : "two-sided" or "greater"
        Best is the largest \\|t\\|, or the largest t.
    n_permutations, seed, n_jobs, allow_small
        As in `neurodnn.sign_flip_test`.

    Returns
    -------
    Dataset
        Without ``reference``: ``best`` (position of the reference, from 0; -1 where none is
        defined), ``mean`` and ``t`` of it, ``p`` (corrected for the number of references at the
        place) and ``p_fwe`` (for all places and references). attrs: as in `sign_flip_test`, with
        the references by name.

    Raises
    ------
    InputError
        If there is no dimension ``reference``, or as in `sign_flip_test`.

    Examples
    --------
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(size=(12, 2, 3)),
    ...                       dims=("subject", "voxel", "reference"))
    >>> scores[:, 0, 2] += 2
    >>> test = best_reference_test(scores)
    >>> int(test.best[0]), bool(test.p_fwe[0] < 0.05)
    (2, True)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    array, dims = arranged(scores, None)
    if "reference" not in dims:
        raise InputError(message("scores", "have no dimension reference", got=array.dims))
    others = [dim for dim in dims if dim != "reference"]
    array = array.transpose("subject", "reference", *others)
    flips = plan_flips([str(s) for s in array["subject"].values], n_permutations, tail, seed)
    check_reach(flips, allow_small)
    n, n_references = array.shape[:2]
    x = np.ascontiguousarray(array.values.reshape(n, -1), dtype=np.float64)
    described = describe(x)
    best = _choose(described["t"].reshape(n_references, -1), tail)
    there = best >= 0
    count, reach = _tally(_units(x, described["fault"], best), flips, tail, n_jobs)
    warn_of_data([described], n)
    chosen = (np.maximum(best, 0), np.arange(best.size))
    values = {name: described[name].reshape(n_references, -1)[chosen] for name in ("mean", "t")}
    values = {name: np.where(there, value, np.nan) for name, value in values.items()}
    for name, reaching in (("p", count), ("p_fwe", reach)):
        values[name] = np.full(best.size, np.nan)
        values[name][there] = reaching / flips.n_rows
    shape = [array.sizes[dim] for dim in others]
    coords = {
        name: c for name, c in array.coords.items() if not {"subject", "reference"} & set(c.dims)
    }
    names = array["reference"].values if "reference" in array.coords else range(n_references)
    attrs = attributes(flips, tail, dims, seed) | {"references": [str(name) for name in names]}
    values = {"best": best} | values
    return xr.Dataset(
        {name: (others, value.reshape(shape)) for name, value in values.items()}, coords, attrs
    )


def _choose(t: np.ndarray, tail: str) -> np.ndarray:
    """Return the position of the best of references x places; -1 where all are NaN."""
    size = np.where(np.isnan(t), -np.inf, np.abs(t) if tail == "two-sided" else t)
    return np.where(np.isinf(size.max(axis=0)), -1, size.argmax(axis=0))


def _units(x: np.ndarray, fault: np.ndarray, best: np.ndarray) -> np.ndarray:
    """Return scaled scores (subjects, references, places that have a best reference)."""
    fault = fault.reshape(-1, best.size)
    n_references, there = len(fault), best >= 0
    x = x.reshape(len(x), n_references, -1)[:, :, there]
    # A copy of the best one stands in for an undefined one: it never changes the maximum.
    source = np.where(fault[:, there] > 0, best[there], np.arange(n_references)[:, None])
    x = x[:, source, np.arange(source.shape[1])]
    return scaled(x.reshape(len(x), -1)).reshape(x.shape)


def _tally(
    units: np.ndarray, flips: Flips, tail: str, n_jobs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many flips reach the observed best at its place, and anywhere."""
    n, n_references, n_places = units.shape
    width, two_sided = max(1, _IN_CACHE // n_references), tail == "two-sided"
    sums = units.sum(axis=0)
    observed = (np.abs(sums) if two_sided else sums).max(axis=0, initial=-np.inf)
    count = np.zeros(n_places, dtype=np.int64)

    def work(first: int) -> np.ndarray:
        largest = np.full(flips.n_rows, -np.inf)
        for start in range(first, min(first + _BLOCKS * width, n_places), width):
            part = slice(start, min(start + width, n_places))
            tables = signed_sums(np.ascontiguousarray(units[:, :, part]).reshape(n, -1))
            tally_best(
                tables, flips.codes, n_references, observed[part] - _TIE, two_sided, largest,
                count[part],
            )  # fmt: skip
        return largest

    largest = np.full(flips.n_rows, -np.inf)
    for block in Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(work)(first) for first in range(0, n_places, _BLOCKS * width)
    ):
        np.maximum(largest, block, out=largest)
    return count, flips.n_rows - np.searchsorted(np.sort(largest), observed - _TIE)
