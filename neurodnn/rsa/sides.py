"""The two sides of a comparison: the same stimuli, distances that are there and that differ."""

from __future__ import annotations

import warnings

import numpy as np
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.numerics.rows import is_constant
from neurodnn.rsa.names import canonical_order, labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import align_to

_REMEDY = (  # not every comparison, the searchlight for one, can leave pairs out
    "Drop these stimuli from both sides; where nan_policy can be given, 'omit' skips missing pairs."
)
_TIED = 0.05  # share of tied entries from which ties in a model matter
_TIES_FAVOUR = {"spearman": "Spearman's rho", "tau-b": "Kendall's tau-b"}
_NEEDS_SPREAD = ("corr_cov", "pearson", "rho-a", "spearman", "tau-a", "tau-b")


def check_references(
    references: RDMs, comparison: str, nan_policy: str = "raise", *, where: str = "reference"
) -> None:
    """Refuse references that no comparison is defined for; warn of ties that favour them.

    Parameters
    ----------
    references : RDMs
    comparison : str
        Ties matter for ``"spearman"`` and ``"tau-b"`` only.
    nan_policy : {"raise", "omit"}
        Whether missing distances are refused.
    where : str
        What a row is called in messages.

    Raises
    ------
    InputError
        If a reference is constant or holds an infinity, or lacks distances and `nan_policy` is
        "raise".

    Examples
    --------
    >>> check_references(RDMs(np.arange(6.0)[None]), "spearman")
    """
    for label, row in zip(labels_of(references)[1], references.dissimilarities, strict=True):
        place = f"{where} {label}"
        row = np.asarray(row, dtype=np.float64)
        if np.isinf(row).any():
            names = _incomplete_stimuli(row, names_of(references))
            raise InputError(message(place, f"distances are infinite for {shorten_list(names)}"))
        missing = np.isnan(row)
        if missing.all() or (missing.any() and nan_policy == "raise"):
            names = _incomplete_stimuli(row, names_of(references))
            fault = f"distances are missing for {shorten_list(names)}"
            raise InputError(message(place, fault, remedy=_REMEDY))
        row = row[~missing]
        if is_constant(row):
            fault = "all distances are equal, so that nothing can be compared with it"
            raise InputError(message(place, fault, got=float(row[0])))
        share = tied_share(row)
        if comparison in _TIES_FAVOUR and share > _TIED:
            measure = _TIES_FAVOUR[comparison]
            text = f"{share:.0%} of the distances are tied, which favours it in {measure}"
            remedy = "Compare with rho-a or tau-a instead."
            warnings.warn(message(place, text, remedy=remedy), DataWarning, stacklevel=3)


def tied_share(row: np.ndarray) -> float:
    """Return the share of entries whose value occurs more than once.

    Examples
    --------
    >>> tied_share(np.array([1.0, 2.0, 2.0, 3.0]))
    0.5
    """
    _, counts = np.unique(row, return_counts=True)
    return float(counts[counts > 1].sum() / row.size)


def check_data(
    data: np.ndarray,
    names: list[str],
    axis: str,
    labels: list[str],
    comparison: str,
    nan_policy: str,
) -> np.ndarray:
    """Return which rows of data have no score, under a warning; refuse gaps unless omitted.

    Parameters
    ----------
    data : array (rows x pairs)
    names : list of str
        Of the stimuli.
    axis, labels : str, list of str
        What the rows are called.
    comparison : str
    nan_policy : {"raise", "omit"}

    Raises
    ------
    InputError
        If a row holds an infinity, or gaps that may not be omitted.

    Examples
    --------
    >>> rows = np.arange(6.0)[np.newaxis]
    >>> check_data(rows, list("abcd"), "subject", ["01"], "spearman", "raise")
    array([False])
    """
    undefined = np.zeros(len(data), dtype=bool)
    for place, (label, row) in enumerate(zip(labels, data, strict=True)):
        missing = ~np.isfinite(row)
        if np.isinf(row).any() or (missing.any() and not missing.all() and nan_policy == "raise"):
            stimuli = _incomplete_stimuli(row, names)
            fault = f"distances are missing or infinite for {shorten_list(stimuli)}"
            raise InputError(message(f"{axis} {label}", fault, remedy=_REMEDY))
        undefined[place] = missing.all() or says_nothing(row[~missing], comparison)
    if undefined.any():
        concerned = [label for label, gone in zip(labels, undefined, strict=True) if gone]
        text = f"no distances, or equal ones only; the scores of {axis} {shorten_list(concerned)}"
        warnings.warn(message("a", text + " are NaN"), DataWarning, stacklevel=3)
    return undefined


def says_nothing(row: np.ndarray, comparison: str) -> bool:
    """Return whether a row without gaps has no score: equal distances, for cosines only zeros.

    Examples
    --------
    >>> says_nothing(np.ones(6), "pearson"), says_nothing(np.ones(6), "cosine")
    (True, False)
    """
    return is_constant(row) if comparison in _NEEDS_SPREAD else not np.any(row)


def aligned_rows(rdms: RDMs, like: RDMs, where: str, by_position: bool = False) -> np.ndarray:
    """Return the rows of RDMs with the stimuli in the order of others.

    Raises
    ------
    InputError
        If the stimuli differ (by position: if there are more or fewer).

    Examples
    --------
    >>> like = RDMs(np.zeros((1, 3)), pattern_descriptors={"stimulus": ["x", "y", "z"]})
    >>> rdms = RDMs(np.array([[3.0, 2, 1]]), pattern_descriptors={"stimulus": ["z", "y", "x"]})
    >>> aligned_rows(rdms, like, "nuisance")
    array([[1., 2., 3.]])
    """
    if not by_position:
        names = names_of(like)
        canonical_order(names, names_of(rdms, where), "a", where)  # refuses in the right words
        rdms = align_to(names, rdms)
    elif rdms.n_cond != like.n_cond:
        fault = f"{rdms.n_cond} stimuli cannot be paired by position with {like.n_cond}"
        raise InputError(message(where, fault))
    return np.asarray(rdms.dissimilarities, dtype=np.float64)


def _incomplete_stimuli(row: np.ndarray, names: list[str]) -> list[str]:
    """Return the stimuli that lack the most distances: those that cause the gaps."""
    missing = squareform(~np.isfinite(row), checks=False).sum(axis=0)
    return [name for name, count in zip(names, missing, strict=True) if count == missing.max()]
