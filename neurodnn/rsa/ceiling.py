"""How well a perfect model could do, given how much subjects differ."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.numerics.whitened import whitened_size
from neurodnn.rsa.names import labels_of, shorten_list
from neurodnn.rsa.sides import says_nothing


class NoiseCeiling(NamedTuple):
    """Lower and upper bound on the mean score of the true model."""

    lower: float
    upper: float


def noise_ceiling(
    rdms: RDMs, *, comparison: str = "spearman", rule: str = "nili"
) -> NoiseCeiling:
    """Return the bounds between which the score of the true model lies.

    Parameters
    ----------
    rdms : RDMs
        One row per subject. A missing distance is left out for its subject alone.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "tau-b", "corr_cov", \
"cosine_cov"}
        The same as for the models.
    rule : {"nili", "plain", "algonauts"}
        ``"nili"``: subjects are brought to one scale as `comparison` sees them (ranks for
        spearman, rho-a, tau-a and tau-b; z scores for pearson; unit root mean square for
        cosine; for the whitened measures the same after whitening) and averaged. Upper: mean
        score of subjects against the mean of all. Lower: against the mean of the others, so
        that no subject explains itself. Where no distance is missing no model can exceed the
        upper bound of pearson, cosine, rho-a and the whitened measures, nor that of spearman if
        there are no ties (a model with ties may, since ties favour it); for tau-a and tau-b the
        mean of ranks is close to the best RDM, not certain to be it.
        ``"plain"``: the same bounds against the plain mean of RDMs, in their own unit; the
        upper one may then be exceeded.
        ``"algonauts"``: as in the Algonauts challenge of 2019, the mean *squared* score of
        subjects against the plain mean of all; there is no lower bound (NaN).

    Returns
    -------
    NoiseCeiling
        ``lower``, ``upper``; both NaN, under a warning, with a single subject (see
        `split_half_reliability`) or where a subject has no score.

    Raises
    ------
    InputError
        If `rdms` is empty or no RDMs object or holds an infinity, or an argument is unknown.

    References
    ----------
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.
    Cichy, R. M., et al. (2019). The Algonauts Project. arXiv:1905.05675.

    Examples
    --------
    >>> subjects = RDMs(np.array([[1.0, 2, 3, 4, 5, 6], [1.0, 3, 2, 4, 6, 5]]))
    >>> NoiseCeiling(*(round(bound, 3) for bound in noise_ceiling(subjects)))
    NoiseCeiling(lower=0.886, upper=0.971)
    """
    check_choice("comparison", comparison, COMPARISONS)
    check_choice("rule", rule, ["nili", "plain", "algonauts"])
    if not isinstance(rdms, RDMs) or rdms.n_rdm == 0:
        allowed = "an RDMs object with one row per subject"
        raise InputError(message("rdms", "has no subjects", got=type(rdms), allowed=allowed))
    rows = np.asarray(rdms.dissimilarities, dtype=np.float64)
    if np.isinf(rows).any():
        axis, labels = labels_of(rdms)
        concerned = [labels[row] for row in np.flatnonzero(np.isinf(rows).any(axis=1))]
        fault = f"distances of {axis} {shorten_list(concerned)} are infinite"
        raise InputError(message("rdms", fault, remedy="Leave them out."))
    if len(rows) == 1:
        text = "a noise ceiling needs at least two subjects; it is NaN"
        warnings.warn(message("rdms", text, got=1), DataWarning, stacklevel=2)
        return NoiseCeiling(np.nan, np.nan)
    if _warn_of_undefined(rows, rdms, comparison):
        return NoiseCeiling(np.nan, np.nan)
    compare = COMPARISONS[comparison]
    if rule == "algonauts":
        return NoiseCeiling(np.nan, float(np.mean(compare(rows, _mean(rows)) ** 2)))
    scaled = _SCALES[comparison](rows) if rule == "nili" else rows
    others = [_mean(np.delete(scaled, i, axis=0)) for i in range(len(rows))]
    lower = [compare(row, other).item() for row, other in zip(rows, others, strict=True)]
    return NoiseCeiling(float(np.mean(lower)), float(np.mean(compare(rows, _mean(scaled)))))


def _warn_of_undefined(rows: np.ndarray, rdms: RDMs, comparison: str) -> bool:
    axis, labels = labels_of(rdms)
    undefined = [
        label
        for label, row in zip(labels, rows, strict=True)
        if np.isnan(row).all() or says_nothing(row[~np.isnan(row)], comparison)
    ]
    if undefined:
        text = f"{axis} {shorten_list(undefined)} has no distances, or equal ones only"
        remedy = "The ceiling is NaN; leave these out."
        warnings.warn(message("rdms", text, remedy=remedy), DataWarning, stacklevel=3)
    return bool(undefined)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean over subjects that have the distance; NaN where none has."""
    present = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        return np.where(present, rows, 0.0).sum(axis=0) / present.sum(axis=0)


def _ranks(rows: np.ndarray) -> np.ndarray:
    """Ranks; beside gaps over one more than their number, or fewer pairs had smaller ranks."""
    ranks, present = average_ranks(rows), ~np.isnan(rows)
    if present.all():
        return ranks  # halves of whole numbers, whose means tie where they should
    return ranks / (present.sum(axis=1, keepdims=True) + 1.0)


def _unit_mean_square(rows: np.ndarray) -> np.ndarray:
    rows = rows / np.nanmax(np.abs(rows), axis=1, keepdims=True)  # squares stay in range
    return rows / np.sqrt(np.nanmean(rows**2, axis=1, keepdims=True))


def _z_scores(rows: np.ndarray) -> np.ndarray:
    return _unit_mean_square(rows - np.nanmean(rows, axis=1, keepdims=True))


def _whitened_unit(rows: np.ndarray) -> np.ndarray:
    rows = rows / np.nanmax(np.abs(rows), axis=1, keepdims=True)
    return rows / np.array([[whitened_size(row)] for row in rows])


def _whitened_z_scores(rows: np.ndarray) -> np.ndarray:
    return _whitened_unit(rows - np.nanmean(rows, axis=1, keepdims=True))


# How subjects are brought to one scale before they are averaged: the scale that the comparison
# itself ignores.
_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "corr_cov": _whitened_z_scores,
    "cosine": _unit_mean_square,
    "cosine_cov": _whitened_unit,
    "pearson": _z_scores,
    "rho-a": _ranks,
    "spearman": _ranks,
    "tau-a": _ranks,
    "tau-b": _ranks,
}
