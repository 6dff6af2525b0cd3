"""What a lane of the searchlight is multiplied with, and what becomes of the products.

The RDM of a place, as the comparison sees it, is a vector x of unit length. Similarity with a
reference r is the product x . r; with nuisance RDMs that are spanned by orthonormal columns q,
the semi-partial correlation is x . r_rest, with r_rest what the q leave of r, of unit length, and
the partial correlation is that over sqrt(1 - sum((x . q) ** 2)).
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.numerics.features import ZERO_FACTOR
from neurodnn.numerics.searchlight import REASONS
from neurodnn.numerics.similarity import normalise
from neurodnn.rsa.compare import PARTIAL
from neurodnn.rsa.names import canonical_order, labels_of, names_of, shorten_list
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.sides import check_references

NO_REST = next(code for code, text in REASONS.items() if "nuisance" in text)
_NO_REST_SQUARED = ZERO_FACTOR * np.finfo(np.float64).eps


class Readout(NamedTuple):
    """Columns for the products, references first, then the basis of the nuisance."""

    labels: list[str]
    units: np.ndarray  # references x pairs, float64, of unit length, nuisance not taken out
    basis: np.ndarray  # nuisance columns x pairs, float64, orthonormal
    semi: bool

    @property
    def columns(self) -> np.ndarray:
        """Pairs x columns of all products."""
        return np.concatenate([without(self.units, self.basis)[0], self.basis]).T

    @property
    def undefined(self) -> np.ndarray:
        """Which references have no score: within the span of the nuisance, or no pairs left."""
        gone = without(self.units, self.basis)[1]
        n_left = self.units.shape[1] - 1 - len(self.basis)
        # With fewer than two degrees of freedom every correlation is 1 or -1.
        return gone | (len(self.basis) > 0 and n_left < 2)


def make_readout(
    references: RDMs,
    names: list[str],
    comparison: str,
    nuisance: RDMs | None = None,
    semi: bool = False,
) -> Readout:
    """Return references, and what spans their nuisance, as vectors of unit length.

    Parameters
    ----------
    references, nuisance : RDMs
        Of the stimuli `names`, in any order.
    names : list of str
        The canonical order of the stimuli.
    comparison : str
    semi : bool
        Whether the nuisance is taken out of the references only.

    Raises
    ------
    InputError
        If a reference or nuisance RDM is constant or has gaps, stimuli differ, or the
        comparison has no partial form.

    Examples
    --------
    >>> model = RDMs(np.arange(6.0)[None], pattern_descriptors={"stimulus": list("abcd")})
    >>> readout = make_readout(model, list("abcd"), "pearson")
    >>> readout.columns.shape, float((readout.columns**2).sum().round(9))
    ((6, 1), 1.0)
    """
    labels = labels_of(references)[1]
    units = unit_rows(references, names, comparison)
    basis = np.empty((0, units.shape[1]))
    if nuisance is not None:
        if comparison not in PARTIAL:
            allowed = " or ".join(PARTIAL)
            fault = f"{comparison} has no partial correlation"
            raise InputError(message("nuisance", fault, allowed=f"comparison {allowed}"))
        # Its own names: the message for a stimulus that is missing must say on which side.
        canonical_order(names, names_of(nuisance, "nuisance"), "references", "nuisance")
        basis = spanned(unit_rows(nuisance, names, comparison, "nuisance"))
    elif semi:
        remedy = "Give the RDMs to be taken out."
        raise InputError(message("semi", "needs nuisance RDMs", got=True, remedy=remedy))
    readout = Readout(labels, units, basis, bool(semi))
    lost = [label for label, gone in zip(labels, readout.undefined, strict=True) if gone]
    if lost:
        text = f"the nuisance leaves nothing of {shorten_list(lost)}; their scores are NaN"
        warnings.warn(message("references", text), DataWarning, stacklevel=3)
    return readout


def unit_rows(
    references: RDMs, names: list[str], comparison: str, where: str = "references"
) -> np.ndarray:
    """Return RDMs as rows of unit length in canonical order, float64 (tau-a: the distances)."""
    if not isinstance(references, RDMs) or references.n_rdm == 0:
        got = type(references).__name__
        allowed = "an RDMs object with one row or more"
        raise InputError(message(where, "has no RDMs", got=got, allowed=allowed))
    # Ties favour a reference; they do nothing in a nuisance.
    measure = comparison if where == "references" else where
    check_references(references, measure, where=where.removesuffix("s"))
    rows = np.asarray(align_to(names, references).dissimilarities, dtype=np.float64)
    return rows if comparison == "tau-a" else np.stack([normalise(r, comparison) for r in rows])


def spanned(rows: np.ndarray) -> np.ndarray:
    """Return orthonormal rows that span the same; rows that add nothing are left out.

    Examples
    --------
    >>> spanned(np.array([[2.0, 0.0, 0.0], [4.0, 0.0, 0.0]])).shape
    (1, 3)
    """
    _, singular, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[singular**2 > _NO_REST_SQUARED * (singular**2).max(initial=0)]


def without(rows: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what orthonormal rows leave of rows, of unit length, and which have nothing left.

    The latter are zero.

    Examples
    --------
    >>> without(np.array([[0.6, 0.8], [1.0, 0.0]]), np.array([[1.0, 0.0]]))
    (array([[0., 1.],
           [0., 0.]]), array([False,  True]))
    """
    if not len(basis):
        return rows, np.zeros(len(rows), dtype=bool)
    rest = rows - (rows @ basis.T) @ basis
    rest -= (rest @ basis.T) @ basis  # again: the first round leaves its own rounding
    squares = (rest**2).sum(axis=1)
    gone = squares <= _NO_REST_SQUARED * (rows**2).sum(axis=1)
    rest /= np.sqrt(np.where(gone, 1.0, squares))[:, np.newaxis]
    rest[gone] = 0.0
    return rest, gone


def finish(products: np.ndarray, reasons: np.ndarray, readout: Readout, eps: float) -> np.ndarray:
    """Return the scores of products with ``readout.columns``; a place without rest gets a reason.

    Parameters
    ----------
    products : array (places x columns)
    reasons : array of uint8 (places,)
        Changed in place.
    readout : Readout
    eps : float
        Rounding unit of the type in which products were taken.
    """
    n = len(readout.units)
    scores = products[:, :n]
    if len(readout.basis) and not readout.semi:
        scale = rest_scale(products[:, n:], reasons, eps)
        scores = scores * scale[:, np.newaxis]
    scores = np.clip(scores, -1.0, 1.0)
    scores[:, readout.undefined] = np.nan
    scores[reasons != 0] = np.nan
    return scores


def rest_scale(products: np.ndarray, reasons: np.ndarray, eps: float) -> np.ndarray:
    """Return 1 / length of what the nuisance leaves of the data, from products with its basis.

    Where it leaves nothing the scale is 0 and the place gets a reason (changed in place).
    """
    rest = 1.0 - (products.astype(np.float64) ** 2).sum(axis=1)
    gone = (reasons == 0) & (rest <= ZERO_FACTOR * eps)
    reasons[gone] = NO_REST
    rest[reasons != 0] = np.inf
    return 1.0 / np.sqrt(rest)


def nuisance_attributes(nuisance: RDMs | None, semi: bool) -> dict[str, object]:
    """Return what the attributes of a result say about nuisance RDMs.

    Examples
    --------
    >>> nuisance_attributes(None, False)
    {}
    """
    if nuisance is None:
        return {}
    return {"nuisance": labels_of(nuisance)[1], "semi": int(semi)}


def check_linear(comparison: str) -> None:
    """Refuse a comparison whose score is no product with the reference.

    Raises
    ------
    InputError
        For tau-a, with the advice to take rho-a.

    Examples
    --------
    >>> check_linear("rho-a")
    """
    linear = ["spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov"]
    if comparison in ("tau-a", "tau-b"):
        fault = f"{comparison} cannot ride along with the searchlight"
        remedy = "Take rho-a, which treats ties alike and orders models in the same way."
        raise InputError(
            message("comparison", fault, got=comparison, allowed=", ".join(linear), remedy=remedy)
        )
    check_choice("comparison", comparison, linear)
