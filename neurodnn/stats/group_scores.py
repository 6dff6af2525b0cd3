"""Scores of subjects as tests want them: arranged, described, their faults told once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.stats.flips import Flips


def arranged(
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


def scaled(x: np.ndarray) -> np.ndarray:
    """Return scores whose signed sums are c: t is a monotone function of c in [-1, 1].

    `x` is subjects x places without NaN; places of nothing but zeros are not allowed.
    """
    result = np.ascontiguousarray(x, dtype=np.float64)
    result = result / np.abs(result).max(axis=0, initial=0)  # 1e-200, 1e200 may not be squared
    return result / np.sqrt(len(x) * (result**2).sum(axis=0))


def describe(x: np.ndarray) -> dict[str, np.ndarray]:
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


def warn_of_data(parts: list[dict[str, np.ndarray]], n: int) -> None:
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


def attributes(
    flips: Flips, tail: str, family: Sequence[str], seed: int
) -> dict[str, int | float | str | list[str]]:
    """Return what every result of sign flips says of itself."""
    return {
        "n_subjects": flips.n_subjects,
        "n_flips": flips.n_flips,
        "n_permutations": flips.n_flips,  # the name that all tests of the package share
        "exact": int(flips.exact),  # netCDF knows no bool
        "tail": tail,
        "family": list(family),
        "seed": int(seed),
        "minimum_p": 1.0 / flips.n_rows,
        "generalises_to": "subjects",
    }
