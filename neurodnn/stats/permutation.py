"""Sign-flip test over subjects with the maximum statistic.

Under the null hypothesis a subject's score is as likely to be +x as -x. The squares of the
scores do not change with the signs, so t is a monotone function of

    c = sum(signs * x) / sqrt(n * sum(x**2)),      t = c * sqrt((n - 1) / (1 - c**2)),

and comparing flips needs sums of signed scores only, no variances.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr
from joblib import Parallel, delayed

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.signflips import signed_sums, tally_flips
from neurodnn.stats.flips import Flips, check_reach, plan_flips

# Two flips that tie in exact arithmetic differ by rounding: c lies in [-1, 1].
_TIE = 1e-12
_PLACES = 2048  # places per job; depends on nothing, so that results are always the same bits
_IN_CACHE = 128  # places whose tables of sums stay in the second-level cache


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
        One score per subject and place (correlations, say). Places that lack a finite score in
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
    array, family = _arranged(scores, family)
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
    _warn_of_data(parts, len(subjects))
    coords = {name: c for name, c in array.coords.items() if "subject" not in c.dims}
    result = xr.Dataset(values, coords=coords, attrs=_attributes(flips, tail, family, seed))
    order = [dim for dim in getattr(scores, "dims", array.dims) if dim != "subject"]
    return result.transpose(*order)


def _arranged(
    scores: xr.DataArray | np.ndarray, family: str | Sequence[str] | None
) -> tuple[xr.DataArray, tuple[str, ...]]:
    """Return scores as (subject, other dimensions, family), subjects sorted by name."""
    array = scores
    if not isinstance(array, xr.DataArray):
        array = np.asarray(array)
        if array.ndim == 0:
            raise InputError(message("scores", "must have subjects along its first axis"))
        names = [f"dim_{i}" for i in range(1, array.ndim)]
        if array.ndim <= 3:
            names = ["voxel", "reference"][: array.ndim - 1]
        array = xr.DataArray(array, dims=("subject", *names))
    if "subject" not in array.dims:
        allowed = "a dimension named subject"
        raise InputError(message("scores", "has no subjects", got=array.dims, allowed=allowed))
    if "subject" not in array.coords:
        array = array.assign_coords(subject=np.arange(array.sizes["subject"]))
    if array.size == 0:
        raise InputError(message("scores", "are empty", got=dict(array.sizes)))
    others = [str(dim) for dim in array.dims if dim != "subject"]
    family = tuple(others) if family is None else (family,) if isinstance(family, str) else family
    for dim in family:
        check_choice("family", dim, others)
    rest = [dim for dim in others if dim not in family]
    ids = [str(name) for name in array["subject"].values]
    if len(set(ids)) < len(ids):
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise InputError(message("scores", "a subject occurs more than once", got=twice))
    # Sums over subjects are made in the order of their names: the same bits for any order given.
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if order != list(range(len(ids))):
        array = array.isel(subject=order)
    return array.transpose("subject", *rest, *family), tuple(family)


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
    n, n_places = x.shape
    # One layout, whatever came in: the order in which NumPy sums subjects depends on it.
    x = np.ascontiguousarray(x, dtype=np.float64)
    result = _describe_block(x)
    keep = result["fault"] == 0
    scaled = np.ascontiguousarray(x[:, keep])
    scaled /= np.abs(scaled).max(axis=0, initial=0)  # neither 1e-200 nor 1e200 may be squared
    scaled /= np.sqrt(n * (scaled**2).sum(axis=0))
    two_sided = tail == "two-sided"
    observed = np.abs(scaled.sum(axis=0)) if two_sided else scaled.sum(axis=0)
    count = np.zeros(scaled.shape[1], dtype=np.int64)
    largest = np.full(flips.n_rows, -np.inf)
    for start in range(0, scaled.shape[1], _IN_CACHE):
        part = slice(start, start + _IN_CACHE)
        tables = signed_sums(scaled[:, part])
        tally_flips(tables, flips.codes, observed[part] - _TIE, two_sided, largest, count[part])
    result["p"], result["observed"] = np.full(n_places, np.nan), np.full(n_places, np.nan)
    result["p"][keep], result["observed"][keep] = count / flips.n_rows, observed
    return result | {"largest": largest}


def _describe_block(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return mean, t, skewness and the fault of each place.

    Faults: 0 none, 1 no score in any subject, 2 no score in some, 3 the same in all.
    """
    n = len(x)
    if np.isinf(x).any():
        remedy = "A correlation of exactly 1 or -1 becomes infinite under Fisher's z: clip it."
        raise InputError(message("scores", "hold an infinite value", remedy=remedy))
    missing = np.isnan(x).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.abs(x).max(axis=0)
        spread = x.max(axis=0) - x.min(axis=0)
        # `variance == 0` would miss 0.7 repeated, whose float variance is not zero.
        constant = spread <= 64 * np.finfo(float).eps * scale
        fault = np.select([missing == n, missing > 0, constant], [1, 2, 3], 0)
        unit = x / scale
        centred = unit - unit.mean(axis=0)
        variance = (centred**2).mean(axis=0)
        t = unit.mean(axis=0) / np.sqrt(variance / (n - 1))
        skewness = (centred**3).mean(axis=0) / variance**1.5
    t[fault > 0] = skewness[fault > 0] = np.nan
    return {"mean": x.mean(axis=0), "t": t, "skewness": skewness, "fault": fault}


def _warn_of_data(parts: list[dict[str, np.ndarray]], n: int) -> None:
    """Warn of places left out and of skewed scores, which a sign flip takes for an effect."""
    fault = np.concatenate([part["fault"] for part in parts])
    texts = {
        2: "places lack a score in some subjects and are left out",
        3: "places hold the same score in every subject, so t is undefined; they are left out",
    }
    for code, text in texts.items():
        count = int((fault == code).sum())
        if count:
            warnings.warn(f"scores: {count} {text}.", DataWarning, stacklevel=3)
    skewness = np.concatenate([part["skewness"] for part in parts])[fault == 0]
    # With Gaussian scores and 6 to 19 subjects about one place in twelve exceeds 1 by chance.
    share = np.mean(np.abs(skewness) > 1) if skewness.size else 0.0
    if n < 20 and share > 0.25:
        text = (
            f"scores: the distribution over {n} subjects is skewed (|skewness| > 1) at"
            f" {share:.0%} of the places. The sign-flip test assumes symmetry: look at single"
            " subjects before trusting it."
        )
        warnings.warn(text, DataWarning, stacklevel=3)


def _attributes(flips: Flips, tail: str, family: tuple[str, ...], seed: int) -> dict[str, object]:
    return {
        "n_subjects": flips.n_subjects,
        "n_flips": flips.n_flips,
        "exact": int(flips.exact),  # netCDF knows no bool
        "tail": tail,
        "family": list(family),
        "seed": int(seed),
        "minimum_p": 1.0 / flips.n_rows,
        "generalises_to": "subjects",
    }
