"""RDMs x RDMs -> scores."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.regression import partial_correlation
from neurodnn.numerics.second_moments import KERNEL_COMPARISONS
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.numerics.whitened import checked_sigma, corr_cov, cosine_cov
from neurodnn.rsa.names import labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import MIN_STIMULI, align_rdms
from neurodnn.rsa.sides import aligned_rows, check_data, check_references, tied_share

__all__ = ["PARTIAL", "check_references", "compare_rdms", "tied_share"]

PARTIAL = ("pearson", "spearman")  # comparisons that have a partial form
_WHITENED = {"corr_cov": corr_cov, "cosine_cov": cosine_cov}


def compare_rdms(
    a: RDMs,
    b: RDMs,
    *,
    comparison: str = "spearman",
    nuisance: RDMs | None = None,
    semi: bool = False,
    sigma_k: np.ndarray | None = None,
    nan_policy: str = "raise",
    by_position: bool = False,
) -> xr.DataArray:
    """Return how well every RDM of `b` accounts for every RDM of `a`.

    Parameters
    ----------
    a : RDMs
        The data, one row per subject or region, say.
    b : RDMs
        The references, one row per layer or model. Stimuli are matched by name; order in the
        two sides means nothing.
    comparison : str
        ``"spearman"`` (default): correlation of average ranks; no linear relation is assumed.
        ``"pearson"``, ``"cosine"``: linear; the cosine keeps the zero of cross-validated
        distances. ``"rho-a"``, ``"tau-a"``: for models that predict ties (categories), which
        they do not favour, as Spearman and ``"tau-b"`` do. ``"corr_cov"``, ``"cosine_cov"``:
        whitened for the covariance of squared distances that share a stimulus. ``"bures"`` (1:
        alike), ``"bures_metric"`` (a squared distance, 0: alike, in the unit of the distances)
        and ``"neg_riem_dist"`` (at most 0, the reference scaled and given noise to fit) compare
        the geometries as matrices, of squared distances without gaps.
    nuisance : RDMs, optional
        RDMs of the same stimuli, any number, that are taken out of data and reference (for
        spearman: their ranks out of the ranks) before these are correlated: the partial
        correlation. For spearman and pearson only.
    semi : bool
        Take the nuisance out of the reference only (semi-partial correlation); its square is
        the share of the data's variance that the reference explains beyond the nuisance.
    sigma_k : array (stimuli x stimuli), optional
        Covariance of the errors of the patterns for corr_cov and cosine_cov, in the order of
        the stimuli in `a`; without it errors are taken as equal and independent. Needs memory
        of pairs x pairs (140 MB for 92 stimuli).
    nan_policy : {"raise", "omit"}
        What happens to a pair of stimuli without a distance: an error that names stimuli, or
        it is left out of each comparison that it concerns, and of no other.
    by_position : bool
        Pair stimuli by position instead of by name, under a warning.

    Returns
    -------
    DataArray
        Rows of `a` x rows of `b`; correlations and cosines in [-1, 1]. Dimensions: what the
        rows of `a` are labelled by (``subject``, ``region``, ..., else ``rdm``) and
        ``reference``. NaN under a warning: a row of `a` without any distance, or with equal
        ones only, and whatever is nothing but its nuisance.

    Raises
    ------
    InputError
        If stimuli differ, there are fewer than 4, a reference is constant, distances are
        missing and `nan_policy` is "raise", or an option does not go with the comparison.

    References
    ----------
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.
    Diedrichsen, J., et al. (2021). Comparing representational geometries using whitened
    unbiased-distance-matrix similarity. Neurons, Behavior, Data Analysis, and Theory, 5(3).

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> data = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]]), pattern_descriptors=names)
    >>> model = RDMs(np.array([[1.0, 2, 3, 4, 5, 6]]), pattern_descriptors=names)
    >>> round(compare_rdms(data, model).item() * 35)
    29
    """
    check_choice("comparison", comparison, [*COMPARISONS, *KERNEL_COMPARISONS])
    check_choice("nan_policy", nan_policy, ["raise", "omit"])
    _check_options(comparison, nuisance, semi, sigma_k)
    given = a
    a, b = align_rdms(a, b, by_position=by_position)
    if a.n_cond < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message("a", "too few stimuli", got=a.n_cond, allowed=allowed))
    check_references(b, comparison, nan_policy)
    data, references = (np.asarray(x.dissimilarities, dtype=np.float64) for x in (a, b))
    axis, labels = labels_of(a)
    undefined = check_data(data, names_of(a), axis, labels, comparison, nan_policy)
    attrs = {"comparison": comparison, "n_stimuli": a.n_cond, "units": "1"}
    axis = "rdm" if axis == "reference" else axis
    coords = {axis: labels, "reference": labels_of(b)[1]}
    if nuisance is not None:
        rows = aligned_rows(nuisance, a, "nuisance", by_position)
        check_references(nuisance, "nuisance", nan_policy, where="nuisance")
        scores = _partial(data, references, rows, ranks=comparison == "spearman", semi=semi)
        _warn_of_spanned(np.isnan(scores) & ~undefined[:, np.newaxis], coords)
        attrs["nuisance"] = labels_of(nuisance)[1]
        attrs["partial"] = "semi-partial" if semi else "partial"
    elif comparison in KERNEL_COMPARISONS:
        _check_complete(comparison, data[~undefined], references)
        scores = KERNEL_COMPARISONS[comparison](data, references)
        if comparison == "bures_metric":
            attrs["units"] = "that of the distances"
    elif sigma_k is not None:
        sigma = _aligned_sigma(sigma_k, given, by_position)
        scores = _WHITENED[comparison](data, references, sigma)
        attrs["sigma_k"] = "given"
    else:
        scores = COMPARISONS[comparison](data, references)
    return xr.DataArray(
        scores, dims=(axis, "reference"), coords=coords, name=comparison, attrs=attrs
    )


def _check_options(
    comparison: str, nuisance: RDMs | None, semi: bool, sigma_k: np.ndarray | None
) -> None:
    if nuisance is not None and comparison not in PARTIAL:
        fault = "has no partial form, so that it takes no nuisance RDMs"
        raise InputError(message("comparison", fault, got=comparison, allowed=", ".join(PARTIAL)))
    if semi and nuisance is None:
        raise InputError(message("semi", "needs nuisance RDMs", remedy="Give nuisance=."))
    if sigma_k is not None and comparison not in _WHITENED:
        allowed = ", ".join(_WHITENED)
        fault = "is used by the whitened comparisons only"
        raise InputError(message("sigma_k", fault, got=comparison, allowed=allowed))


def _check_complete(comparison: str, *sides: np.ndarray) -> None:
    if any(np.isnan(rows).any() for rows in sides):
        fault = f"{comparison} needs the distances of all pairs of stimuli"
        remedy = "Drop the stimuli that lack some, or choose another comparison."
        raise InputError(message("comparison", fault, remedy=remedy))


def _aligned_sigma(sigma_k: np.ndarray, given: RDMs, by_position: bool) -> np.ndarray:
    """Return the covariance of pattern errors in the order in which the stimuli were aligned."""
    sigma = checked_sigma(sigma_k, given.n_cond)
    if by_position:
        return sigma
    names = names_of(given)
    order = sorted(range(len(names)), key=names.__getitem__)
    return sigma[np.ix_(order, order)]


def _partial(
    data: np.ndarray, references: np.ndarray, nuisance: np.ndarray, *, ranks: bool, semi: bool
) -> np.ndarray:
    scores = np.full((len(data), len(references)), np.nan)
    present = ~np.isnan(nuisance).any(axis=0)
    for i, x in enumerate(data):
        for j, y in enumerate(references):
            kept = present & ~np.isnan(x) & ~np.isnan(y)
            if kept.any():
                scores[i, j] = partial_correlation(
                    x[kept], y[kept], nuisance[:, kept], ranks=ranks, semi=semi
                )
    return scores


def _warn_of_spanned(spanned: np.ndarray, coords: dict[str, list[str]]) -> None:
    """Warn of scores that are undefined because of the nuisance."""
    if not spanned.any():
        return
    (axis, rows), (_, references) = coords.items()
    cells = [f"{rows[i]} with {references[j]}" for i, j in np.argwhere(spanned)]
    text = "nothing but rounding noise is left beside the nuisance RDMs; the scores of "
    text = message("nuisance", f"{text}{axis} {shorten_list(cells)} are NaN")
    warnings.warn(text, DataWarning, stacklevel=3)
