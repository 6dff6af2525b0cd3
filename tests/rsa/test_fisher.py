"""Fisher's z stays finite."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.fisher import fisher_z


def test_values_and_labels():
    scores = xr.DataArray(
        [[0.3, np.nan], [-0.9, 0.0]], dims=("subject", "reference"),
        coords={"subject": ["01", "02"]}, attrs={"comparison": "spearman", "units": "1"},
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fisher_z(scores)
    np.testing.assert_allclose(found, np.arctanh(scores), rtol=0, atol=1e-15)
    assert found.dims == scores.dims and found.attrs["comparison"] == "spearman"
    assert scores.attrs["units"] == "1" and scores.values[0, 0] == 0.3


def test_an_rdm_with_itself_stays_finite_and_is_told():  # trap 48
    with pytest.warns(DataWarning, match="2 of 3 are 1 or -1"):
        found = fisher_z(xr.DataArray([1.0, 0.2, -1.0]))
    assert np.isfinite(found).all()
    assert found[0] == -found[2] == pytest.approx(14.16, abs=0.01)


def test_what_is_no_correlation_is_refused():
    with pytest.raises(InputError, match="no correlations"):
        fisher_z(xr.DataArray([0.1, np.nan, -1.2]))
