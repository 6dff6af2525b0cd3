"""RDMs x RDMs -> scores."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.similarity import COMPARISONS, is_constant
from neurodnn.rsa.names import labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import MIN_STIMULI, align_rdms

_TIED = 0.05  # share of tied entries from which ties in a model matter


def compare_rdms(
    a: RDMs,
    b: RDMs,
    *,
    comparison: str = "spearman",
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
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a"}
        Spearman's correlation with average ranks by default: no linear relation is assumed.
        For models that predict ties (categories) take rho-a or tau-a, which do not favour
        ties; for cross-validated distances, whose zero means something, cosine.
    nan_policy : {"raise", "omit"}
        What happens to a pair of stimuli without a distance: an error that names stimuli, or
        it is left out of each comparison that it concerns, and of no other.
    by_position : bool
        Pair stimuli by position instead of by name, under a warning.

    Returns
    -------
    DataArray
        Rows of `a` x rows of `b`, in [-1, 1]. Dimensions: what the rows of `a` are labelled by
        (``subject``, ``region``, ..., else ``rdm``) and ``reference``. A row of `a` without any
        distance, or with equal ones only, is NaN under a warning.

    Raises
    ------
    InputError
        If stimuli differ, there are fewer than 4, a reference is constant, or distances are
        missing and `nan_policy` is "raise".

    References
    ----------
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> data = RDMs(np.array([[2.0, 1, 4, 3, 6, 5]]), pattern_descriptors=names)
    >>> model = RDMs(np.array([[1.0, 2, 3, 4, 5, 6]]), pattern_descriptors=names)
    >>> round(compare_rdms(data, model).item() * 35)
    29
    """
    check_choice("comparison", comparison, COMPARISONS)
    check_choice("nan_policy", nan_policy, ["raise", "omit"])
    a, b = align_rdms(a, b, by_position=by_position)
    if a.n_cond < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message("a", "too few stimuli", got=a.n_cond, allowed=allowed))
    check_references(b, comparison, nan_policy)
    data = np.asarray(a.dissimilarities, dtype=np.float64)
    axis, labels = labels_of(a)
    _check_data(data, names_of(a), axis, labels, nan_policy)
    scores = COMPARISONS[comparison](data, np.asarray(b.dissimilarities, dtype=np.float64))
    axis = "rdm" if axis == "reference" else axis
    return xr.DataArray(
        scores,
        dims=(axis, "reference"),
        coords={axis: labels, "reference": labels_of(b)[1]},
        name=comparison,
        attrs={"comparison": comparison, "n_stimuli": a.n_cond, "units": "1"},
    )


def check_references(references: RDMs, comparison: str, nan_policy: str = "raise") -> None:
    """Refuse references that no comparison is defined for; warn of ties that favour them.

    Parameters
    ----------
    references : RDMs
    comparison : str
        Ties matter for ``"spearman"`` only.
    nan_policy : {"raise", "omit"}
        Whether missing distances are refused.

    Raises
    ------
    InputError
        If a reference is constant, or lacks distances and `nan_policy` is "raise".

    Examples
    --------
    >>> check_references(RDMs(np.arange(6.0)[None]), "spearman")
    """
    for label, row in zip(labels_of(references)[1], references.dissimilarities, strict=True):
        where = f"reference {label}"
        row = np.asarray(row, dtype=np.float64)
        missing = ~np.isfinite(row)
        if missing.all() or (missing.any() and nan_policy == "raise"):
            names = _incomplete_stimuli(row, names_of(references))
            fault = f"distances are missing for {shorten_list(names)}"
            remedy = "nan_policy='omit' leaves such pairs out."
            raise InputError(message(where, fault, remedy=remedy))
        row = row[~missing]
        if is_constant(row):
            fault = "all distances are equal, so that nothing can be compared with it"
            raise InputError(message(where, fault, got=float(row[0])))
        share = tied_share(row)
        if comparison == "spearman" and share > _TIED:
            text = f"{share:.0%} of the distances are tied, which favours it in Spearman's rho"
            remedy = "Compare with rho-a or tau-a instead."
            warnings.warn(message(where, text, remedy=remedy), DataWarning, stacklevel=3)


def tied_share(row: np.ndarray) -> float:
    """Return the share of entries whose value occurs more than once.

    Examples
    --------
    >>> tied_share(np.array([1.0, 2.0, 2.0, 3.0]))
    0.5
    """
    _, counts = np.unique(row, return_counts=True)
    return float(counts[counts > 1].sum() / row.size)


def _check_data(
    data: np.ndarray, names: list[str], axis: str, labels: list[str], nan_policy: str
) -> None:
    """Refuse rows with gaps unless they may be omitted; warn of rows without any information."""
    undefined = []
    for label, row in zip(labels, data, strict=True):
        missing = ~np.isfinite(row)
        if np.isinf(row).any() or (missing.any() and not missing.all() and nan_policy == "raise"):
            stimuli = _incomplete_stimuli(row, names)
            fault = f"distances are missing or infinite for {shorten_list(stimuli)}"
            remedy = "Drop these stimuli from both sides; nan_policy='omit' skips missing pairs."
            raise InputError(message(f"{axis} {label}", fault, remedy=remedy))
        if missing.all() or is_constant(row[~missing]):
            undefined.append(label)
    if undefined:
        text = f"no distances, or equal ones only; the scores of {axis} {shorten_list(undefined)}"
        warnings.warn(message("a", text + " are NaN"), DataWarning, stacklevel=3)


def _incomplete_stimuli(row: np.ndarray, names: list[str]) -> list[str]:
    """Return the stimuli that lack the most distances: those that cause the gaps."""
    missing = squareform(~np.isfinite(row), checks=False).sum(axis=0)
    return [name for name, count in zip(names, missing, strict=True) if count == missing.max()]
