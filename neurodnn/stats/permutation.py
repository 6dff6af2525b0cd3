"""Sign-flip test over subjects with the maximum statistic.

Under the null hypothesis a subject's score is as likely to be +x as -x. The squares of the
scores do not change with the signs, so t is a monotone function of

    c = sum(signs * x) / sqrt(n * sum(x**2)),      t = c * sqrt((n - 1) / (1 - c**2)),

and comparing flips needs sums of signed scores only, no variances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from joblib import Parallel, delayed

from neurodnn._checks import check_choice
from neurodnn.numerics.signflips import signed_sums, tally_flips
from neurodnn.stats.flips import Flips, check_reach, plan_flips
from neurodnn.stats.group_scores import arranged, attributes, describe, scaled, warn_of_data

# Two flips that tie in exact arithmetic differ by rounding: c lies in [-1, 1].
_TIE = 1e-12
_PLACES = 1920  # places per job; depends on nothing, so that results are always the same bits
_IN_CACHE = 192  # places whose tables of sums stay in the second-level cache


def sign_flip_test(
    scores: xr.DataArray | np.ndarray,
    *,
    n_permutations: int | str = 10_000,
    tail: str = "two-sided",
    seed: int = 0,
    family: str | Sequence[str] | None = None,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return mean, t, p and familywise-corrected p of scores over subjects.

    The test asks whether the mean over the population of subjects differs from zero; it
    generalises to subjects, not to stimuli. One sign per subject flips the whole map at once,
    so that the dependence between places is kept, and the corrected p compares each place with
    the largest statistic anywhere in the family.

    Parameters
    ----------
    scores : DataArray with a dimension ``subject``, or ndarray with subjects first
        One score per subject and place (correlations, say). Places that lack a score (NaN) in
        any subject become NaN and take no part in the maximum. The seeds hang on the names
        in the coordinate ``subject``, so the order of subjects changes nothing.
    n_permutations : int or "exact"
        Number of flips, the unflipped data included. All ``2**n`` flips are used instead where
        these are at most 16,384 or `n_permutations`; ``"exact"`` forces that, for at most 20
        subjects.
    tail : "two-sided" or "greater"
        ``"two-sided"`` is the default because a skewed null makes one-sided tests unsafe.
    seed : int
        Seed of the random flips.
    family : str or sequence of str, optional
        Dimensions over which the maximum is taken; by default all but ``subject``. Each
        combination of the other dimensions is then a family of its own.
    n_jobs : int
        Threads; the result is the same bits for any number.
    allow_small : bool
        True: go on, under a warning, where so few subjects cannot reach p <= .05.

    Returns
    -------
    Dataset
        ``mean`` (units of the scores), ``t``, ``p`` (uncorrected), ``p_fwe`` and ``skewness``,
        each with the dimensions of `scores` less ``subject``. ``p = (1 + b) / (1 + B)``: the
        unflipped data count, so p is never 0. attrs: n_subjects, n_flips, exact, tail, family,
        seed, minimum_p, generalises_to.

    Raises
    ------
    InputError
        If there are too few subjects for p <= .05, subjects repeat, a score is infinite, or
        an argument is unknown.

    References
    ----------
    Nichols T. E. and Holmes A. P. (2002). Nonparametric permutation tests for functional
    neuroimaging. Human Brain Mapping 15, 1-25.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(0).normal(0.8, 1, size=(10, 30))
    >>> test = sign_flip_test(scores)
    >>> test.attrs["n_flips"], bool((test.p_fwe >= test.p).all())
    (1024, True)
    """
    check_choice("tail", tail, ["two-sided", "greater"])
    array, family = arranged(scores, family)
    subjects = [str(name) for name in array["subject"].values]
    flips = plan_flips(subjects, n_permutations, tail, seed)
    check_reach(flips, allow_small)
    others = [dim for dim in array.dims if dim != "subject"]
    rest = [dim for dim in others if dim not in family]
    flat = array.values.reshape(len(subjects), int(np.prod([array.sizes[d] for d in rest])), -1)
    parts = [_test_family(flat[:, i], flips, tail, n_jobs) for i in range(flat.shape[1])]
    shape = tuple(array.sizes[dim] for dim in others)
    values = {
        name: (others, np.stack([part[name] for part in parts]).reshape(shape))
        for name in ("mean", "t", "p", "p_fwe", "skewness")
    }
    warn_of_data(parts, len(subjects))
    coords = {name: c for name, c in array.coords.items() if "subject" not in c.dims}
    result = xr.Dataset(values, coords=coords, attrs=attributes(flips, tail, family, seed))
    order = [dim for dim in getattr(scores, "dims", array.dims) if dim != "subject"]
    return result.transpose(*order)


def _test_family(x: np.ndarray, flips: Flips, tail: str, n_jobs: int) -> dict[str, np.ndarray]:
    """Test one family, subjects x places, in blocks of places that do not depend on n_jobs."""
    starts = range(0, x.shape[1], _PLACES)
    largest, blocks = np.full(flips.n_rows, -np.inf), []
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    for block in parallel(
        delayed(_test_block)(x[:, start : start + _PLACES], flips, tail) for start in starts
    ):
        np.maximum(largest, block.pop("largest"), out=largest)
        blocks.append(block)
    result = {
        name: np.concatenate([block[name] for block in blocks])
        for name in ("mean", "t", "p", "skewness", "observed", "fault")
    }
    reached = flips.n_rows - np.searchsorted(np.sort(largest), result["observed"] - _TIE)
    result["p_fwe"] = np.where(result["fault"] > 0, np.nan, reached / flips.n_rows)
    return result


def _test_block(x: np.ndarray, flips: Flips, tail: str) -> dict[str, np.ndarray]:
    """Return the statistics of a block of places and its largest statistic per flip."""
    n_places = x.shape[1]
    # One layout, whatever came in: the order in which NumPy sums subjects depends on it.
    x = np.ascontiguousarray(x, dtype=np.float64)
    result = describe(x)
    keep = result["fault"] == 0
    units = scaled(x[:, keep])
    two_sided = tail == "two-sided"
    observed = np.abs(units.sum(axis=0)) if two_sided else units.sum(axis=0)
    count = np.zeros(units.shape[1], dtype=np.int64)
    largest = np.full(flips.n_rows, -np.inf)
    for start in range(0, units.shape[1], _IN_CACHE):
        part = slice(start, start + _IN_CACHE)
        tables = signed_sums(units[:, part])
        tally_flips(tables, flips.codes, observed[part] - _TIE, two_sided, largest, count[part])
    result["p"], result["observed"] = np.full(n_places, np.nan), np.full(n_places, np.nan)
    result["p"][keep], result["observed"][keep] = count / flips.n_rows, observed
    return result | {"largest": largest}
