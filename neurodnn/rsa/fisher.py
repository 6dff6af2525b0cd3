"""Correlations -> Fisher's z, finite at both ends."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from neurodnn._checks import DataWarning, InputError, message

_MOST = 1.0 - 1e-12  # |r| beyond which z would run off to infinity


def fisher_z(scores: xr.DataArray) -> xr.DataArray:
    """Return correlations as Fisher's z, ``arctanh(r)``, for means and t tests over subjects.

    Parameters
    ----------
    scores : DataArray
        Correlations in [-1, 1], of any shape; NaN stays NaN.

    Returns
    -------
    DataArray
        As `scores`. A correlation of 1 or -1 (an RDM compared with itself) is taken for
        ``1 - 1e-12`` under a warning: an infinity would swallow every mean that it enters.

    Raises
    ------
    InputError
        If a value lies outside [-1, 1].

    References
    ----------
    Fisher, R. A. (1915). Frequency distribution of the values of the correlation coefficient in
    samples from an indefinitely large population. Biometrika, 10, 507-521.

    Examples
    --------
    >>> fisher_z(xr.DataArray([0.0, 0.5])).values.round(4)
    array([0.    , 0.5493])
    """
    values = np.asarray(scores, dtype=np.float64)
    if (np.abs(values) > 1.0).any():
        got = float(values.flat[np.nanargmax(np.abs(values))])
        raise InputError(message("scores", "are no correlations", got=got, allowed="-1 to 1"))
    certain = int((np.abs(values) > _MOST).sum())
    if certain:
        fault = f"{certain} of {values.size} are 1 or -1 and are taken for 1 - 1e-12"
        remedy = "An RDM compared with itself says nothing; leave it out."
        warnings.warn(message("scores", fault, remedy=remedy), DataWarning, stacklevel=2)
    result = scores.copy(data=np.arctanh(np.clip(values, -_MOST, _MOST)))
    return result.assign_attrs(scores.attrs | {"units": "Fisher z"})
