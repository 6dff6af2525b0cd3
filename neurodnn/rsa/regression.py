"""Several reference RDMs at once -> the weights that come closest to each RDM."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, check_choice, message
from neurodnn.numerics.ranks import average_ranks
from neurodnn.numerics.regression import fit_rows
from neurodnn.rsa.names import labels_of, shorten_list
from neurodnn.rsa.predictors import METHODS, Sides, check_intercept, check_pairs


def regress_rdms(
    data: RDMs,
    references: RDMs,
    *,
    method: str = "ols",
    ranks: bool = False,
    intercept: bool = True,
    nan_policy: str = "raise",
) -> xr.Dataset:
    """Return the weights with which all references together come closest to each RDM.

    Parameters
    ----------
    data : RDMs
        One row per subject, region, time, ...
    references : RDMs
        One row per predictor, of the same stimuli; matched by name.
    method : {"ols", "nnls"}
        Least squares, or least squares with weights that are not negative: distances of parts
        add up, so that a negative weight has no meaning for squared distances.
    ranks : bool
        Turn all RDMs into average ranks first. By default weights are in the unit of the data
        per unit of the reference.
    intercept : bool
        Add a constant (also free with ``"nnls"``).
    nan_policy : {"raise", "omit"}
        What happens to a pair of stimuli without a distance: an error that names stimuli, or
        the pair is left out for the rows of the data that it concerns (a gap of a reference:
        for all).

    Returns
    -------
    Dataset
        ``coefficient`` (rows of data x reference), ``intercept`` and ``r2`` (rows of data): the
        share of variance explained, without an intercept that of the sum of squares.
        Coefficients are NaN under a warning where a reference is made up by the others.

    Raises
    ------
    InputError
        If stimuli differ or are fewer than 4, a reference is constant, there are not more pairs
        than references, distances are missing and `nan_policy` is "raise", or ranks are asked
        for without an intercept.

    References
    ----------
    Khaligh-Razavi, S.-M., & Kriegeskorte, N. (2014). Deep supervised, but not unsupervised,
    models may explain IT cortical representation. PLoS Computational Biology, 10, e1003915.

    Examples
    --------
    >>> names = {"stimulus": ["w", "x", "y", "z"]}
    >>> layers = np.array([[1.0, 2, 3, 4, 5, 6], [2.0, 1, 1, 3, 0, 1]])
    >>> data = RDMs((2 * layers[0] + layers[1])[None], pattern_descriptors=names)
    >>> regress_rdms(data, RDMs(layers, pattern_descriptors=names)).coefficient.values.round(6)
    array([[2., 1.]])
    """
    check_choice("method", method, METHODS)
    check_intercept(ranks, intercept)
    sides = Sides(data, {"references": references}, nan_policy)
    rows = sides.predictors["references"]
    labels = labels_of(references)[1]
    weights = np.full((len(sides.data), len(rows)), np.nan)
    constants, r2 = np.full((2, len(sides.data)), np.nan)
    blurred = []
    for i, kept in sides.defined():
        y, X = sides.data[i, kept], rows[:, kept]
        check_pairs(y.size, len(X))
        if ranks:
            y, X = average_ranks(y), average_ranks(X)
        fit = fit_rows(y, X, method=method, intercept=intercept)
        r2[i] = fit.r2
        if fit.unique:
            weights[i], constants[i] = fit.weights, fit.intercept
        else:
            blurred.append(sides.labels[i])
    if blurred:
        fault = f"one is made up by the others; the coefficients of {shorten_list(blurred)} are NaN"
        warnings.warn(message("references", fault), DataWarning, stacklevel=2)
    axis = sides.axis
    return xr.Dataset(
        {
            "coefficient": ((axis, "reference"), weights),
            "intercept": (axis, constants),
            "r2": (axis, r2),
        },
        coords={axis: sides.labels, "reference": labels},
        attrs={"method": method, "scale": "ranks" if ranks else "raw", "n_stimuli": sides.n},
    )
