"""What several references explain of the RDM at every place: shares of variance, weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.optimize import nnls
from scipy.sparse import csr_array

from neurodnn._checks import DataWarning, check_choice, message
from neurodnn.numerics.partition import components, set_combinations
from neurodnn.numerics.ranks import average_ranks
from neurodnn.rsa.names import labels_of, names_of
from neurodnn.rsa.predictors import METHODS, check_intercept, check_pairs, places_of_sets
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.readouts import spanned, unit_rows
from neurodnn.rsa.searchlight import label_places, score_places
from neurodnn.rsa.sides import check_references
from neurodnn.rsa.spheres import (
    DEFAULT_OPTIONS,
    Prepared,
    SearchlightOptions,
    prepare,
    warn_of_losses,
)


def searchlight_partition(
    patterns: Dataset,
    neighbors: csr_array,
    references: RDMs,
    sets: Mapping[str, Sequence[str]],
    *,
    ranks: bool = True,
    residuals: Dataset | None = None,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.DataArray:
    """Return which share of the variance of every place's RDM sets of references explain.

    The RDM of each place is regressed on the references of every combination of sets, and the
    shares follow by inclusion and exclusion of the variance explained (R2): what a set explains
    that no other does, and what exactly some of them share.

    Parameters
    ----------
    patterns, neighbors, residuals, options
        As for `searchlight_label_test`, of a single subject.
    references : RDMs
        Of the same stimuli, ``rdm_descriptors["reference"]``.
    sets : dict of str -> sequence of str
        Two or three sets: name -> labels of the references in it.
    ranks : bool
        True (default): all RDMs are turned into ranks first, as for Spearman's correlation.

    Returns
    -------
    DataArray (place x component)
        Components ``"A alone"``, ``"A & B"``, ..., ``"total"`` (their sum), as in
        `variance_partition`. Shares may be negative (suppression) and are not clipped. NaN where
        undefined.

    Raises
    ------
    InputError
        As for `searchlight`, and if there are not two or three sets of known references.

    References
    ----------
    Legendre, P., & Legendre, L. (2012). Numerical Ecology (3rd ed.), section 10.3.5. Elsevier.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = list("abcdefgh")
    >>> patterns = Dataset(rng.normal(size=(8, 4)), obs_descriptors={"stimulus": names})
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> model = RDMs(rng.random((2, 28)), rdm_descriptors={"reference": ["conv1", "fc8"]},
    ...              pattern_descriptors={"stimulus": names})
    >>> shares = searchlight_partition(patterns, neighbors, model,
    ...                                {"early": ["conv1"], "late": ["fc8"]})
    >>> shares.component.values.tolist()
    ['early alone', 'late alone', 'early & late', 'total']
    """
    comparison = "spearman" if ranks else "pearson"
    labels = labels_of(references)[1]
    places = places_of_sets(sets, labels)
    ready = prepare(patterns, neighbors, names_of(references, "references"),
                    comparison=comparison, residuals=residuals, options=options)  # fmt: skip
    units = unit_rows(references, ready.names, comparison)
    check_pairs(units.shape[1], sum(map(len, places.values())))
    combinations = list(set_combinations(list(sets)))
    bases = [
        spanned(units[sorted(place for name in chosen for place in places[name])])
        for chosen in combinations
    ]
    products, n_features, reasons, _ = _products(ready, np.concatenate(bases), options)
    ends = np.cumsum([len(basis) for basis in bases])
    r2 = {
        chosen: (products[:, end - len(basis) : end] ** 2).sum(axis=1)
        for chosen, basis, end in zip(combinations, bases, ends, strict=True)
    }
    shares = components(list(sets), r2)
    labelled = label_places({"shares": np.stack(list(shares.values()), axis=1)}, n_features,
                            reasons, list(shares), ready, options)["shares"]  # fmt: skip
    return labelled.rename({"reference": "component"}).rename("share").assign_attrs(
        scale="ranks" if ranks else "raw",
        sets=[f"{name}: {', '.join(map(str, chosen))}" for name, chosen in sets.items()],
    )


def searchlight_regression(
    patterns: Dataset,
    neighbors: csr_array,
    references: RDMs,
    *,
    method: str = "ols",
    ranks: bool = False,
    intercept: bool = True,
    residuals: Dataset | None = None,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.Dataset:
    """Return the weights with which references add up to the RDM of every place, and R2.

    Parameters
    ----------
    patterns, neighbors, residuals, options
        As for `searchlight_label_test`, of a single subject.
    references : RDMs
        Of the same stimuli; all enter one regression.
    method : {"ols", "nnls"}
        Least squares, or least squares with weights that are not negative (a brain RDM as a
        mixture of the references).
    ranks : bool
        Whether all RDMs are turned into ranks first.
    intercept : bool
        Whether a constant is added (default), which is free with both methods. Without it
        distances keep their zero, and R2 is that of the sum of squares about zero.

    Returns
    -------
    Dataset
        ``coefficient`` (place x reference), in the unit of the distances (for euclidean,
        mahalanobis and crossnobis squared, per channel) per unit of the reference; and ``r2``
        (place), in [0, 1]. As `regress_rdms` for single RDMs. NaN where undefined; coefficients
        are NaN everywhere, under a warning, where references make up one another.

    Raises
    ------
    InputError
        As for `searchlight`; or if ranks are asked for without an intercept.

    References
    ----------
    Lawson, C. L., & Hanson, R. J. (1974). Solving Least Squares Problems. Prentice-Hall.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = list("abcdefgh")
    >>> patterns = Dataset(rng.normal(size=(8, 4)), obs_descriptors={"stimulus": names})
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> model = RDMs(rng.random((2, 28)), pattern_descriptors={"stimulus": names})
    >>> fit = searchlight_regression(patterns, neighbors, model, method="nnls")
    >>> bool((fit.coefficient >= 0).all())
    True
    """
    check_choice("method", method, METHODS)
    check_intercept(ranks, intercept)
    comparison = "spearman" if ranks else ("pearson" if intercept else "cosine")
    ready = prepare(patterns, neighbors, names_of(references, "references"),
                    comparison=comparison, residuals=residuals, options=options)  # fmt: skip
    check_references(references, "pearson")  # ties favour nothing here
    rows = np.asarray(align_to(ready.names, references).dissimilarities, dtype=np.float64)
    check_pairs(rows.shape[1], len(rows))
    rows = average_ranks(rows) if ranks else rows
    rows = rows - rows.mean(axis=1, keepdims=True) if intercept else rows
    sizes = np.sqrt((rows**2).sum(axis=1))
    scaled = rows / sizes[:, np.newaxis]
    basis = spanned(scaled)
    products, n_features, reasons, norms = _products(ready, basis, options)
    if not ranks and ready.unit != 1.0:
        norms = norms * ready.unit / np.maximum(n_features, 1)
    weights, r2 = _fits(products, basis @ scaled.T, method)
    if len(basis) < len(rows):
        text = "some are made up by the others, so that many weights fit alike; they are NaN"
        warnings.warn(message("references", text), DataWarning, stacklevel=2)
        weights[:] = np.nan
    labels = labels_of(references)[1]
    values = {"coefficient": weights / sizes * norms[:, np.newaxis], "r2": r2}
    return label_places(values, n_features, reasons, labels, ready, options).assign_attrs(
        method=method, scale="ranks" if ranks else "raw", intercept=int(intercept)
    )


def _fits(
    products: np.ndarray, predictors: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and R2 of unit vectors, from their products with an orthonormal basis.

    `predictors` are told in that basis too; what lies outside of it no weights can reach.
    """
    inside = (products**2).sum(axis=1)
    weights = np.full((len(products), predictors.shape[1]), np.nan)
    missed = np.zeros(len(products))
    defined = np.flatnonzero(np.isfinite(inside))
    if method == "ols":
        weights[defined] = np.linalg.lstsq(predictors, products[defined].T, rcond=1e-12)[0].T
    else:
        for place in defined:
            weights[place], distance = nnls(predictors, products[place])
            missed[place] = distance**2
    return weights, np.clip(inside - missed, 0.0, 1.0)


def _products(
    ready: Prepared, rows: np.ndarray, options: SearchlightOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return products of all places with rows, numbers of features, reasons and norms."""
    found = score_places(ready.with_columns(rows.T), ready, options)
    products, norms, n_features, reasons = found
    warn_of_losses(ready.spheres.usable, reasons, options.place)
    return products, n_features, reasons, norms
