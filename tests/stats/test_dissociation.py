"""Double dissociation: contrasts by hand, and what a one-sided pattern does not show."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neurodnn._checks import InputError
from neurodnn.stats.dissociation import double_dissociation_test
from neurodnn.stats.permutation import sign_flip_test

ROWS, COLUMNS = ("region", ("EVC", "IT")), ("time", (0.1, 0.2))


def scores(effect, seed=0, n=12):
    values = np.random.default_rng(seed).normal(0, 0.1, (n, 3, 2)) + effect
    return xr.DataArray(values, dims=("subject", "region", "time"),
                        coords={"subject": [f"{i:02d}" for i in range(n)],
                                "region": ["IT", "V4", "EVC"], "time": [0.1, 0.2]})  # fmt: skip


CROSSED = np.array([[0.0, 0.3], [0.1, 0.1], [0.3, 0.0]])


def test_contrasts_are_those_by_hand():
    own = scores(CROSSED)
    found = double_dissociation_test(own, rows=ROWS, columns=COLUMNS)
    early = own.values[:, 2, 0] - own.values[:, 2, 1]
    late = own.values[:, 0, 1] - own.values[:, 0, 0]
    by_hand = sign_flip_test(np.stack([early, late, early + late], axis=1))
    assert np.abs(found["mean"].values - by_hand["mean"].values).max() <= 1e-15
    assert np.array_equal(found.p_fwe, by_hand.p_fwe) and (found.p_fwe < 0.01).all()
    assert found.reference.values.tolist() == ["EVC: 0.1 - 0.2", "IT: 0.2 - 0.1", "interaction"]
    assert found.attrs["generalises_to"] == "subjects"
    turned = double_dissociation_test(own.transpose("time", "subject", "region")[:, ::-1],
                                      rows=ROWS, columns=COLUMNS)  # fmt: skip
    assert np.allclose(turned.p_fwe, found.p_fwe, rtol=0, atol=1e-15)


def test_an_interaction_alone_is_not_both_preferences():
    own = scores(np.array([[0, 0.4], [0, 0], [0, 0.0]]))
    own[:, 2, 1] += (own[:, 2, 0] - own[:, 2, 1]).mean()  # EVC prefers exactly nothing
    found = double_dissociation_test(own, rows=ROWS, columns=COLUMNS)
    assert found.p_fwe.values[2] < 0.01 and found.p_fwe.values[0] == 1.0


def test_wrong_questions():
    with pytest.raises(InputError, match="has no such label .*IPS"):
        double_dissociation_test(scores(0), rows=("region", ("EVC", "IPS")), columns=COLUMNS)
    with pytest.raises(InputError, match="two different labels"):
        double_dissociation_test(scores(0), rows=("region", ("EVC", "EVC")), columns=COLUMNS)
    with pytest.raises(InputError, match="other dimensions"):
        double_dissociation_test(scores(0).isel(time=0), rows=ROWS, columns=COLUMNS)
