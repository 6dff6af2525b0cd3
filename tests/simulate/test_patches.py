"""Layers planted in patches have the layer's geometry there and nothing elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from neurodnn import InputError
from neurodnn.simulate.surfaces import patch_responses


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return {layer: np.corrcoef(rng.normal(size=(8, 30))) for layer in ("early", "late")}


def test_a_patch_has_the_correlations_of_its_layer(truth):
    patches = {"early": np.arange(3, 15), "late": np.arange(20, 40)}
    responses = patch_responses(truth, patches, 50, np.random.default_rng(1))
    for layer, members in patches.items():
        assert_allclose(np.corrcoef(responses[:, members]), truth[layer], atol=1e-10)
        assert_allclose(responses[:, members].var(axis=0).mean(), 1.0, rtol=1e-10)
    outside = np.setdiff1d(np.arange(50), np.concatenate(list(patches.values())))
    assert_array_equal(responses[:, outside], 0)


def test_the_later_patch_stands_and_the_seed_decides(truth):
    patches = {"early": np.arange(15), "late": np.arange(5, 30)}
    one, again, other = (patch_responses(truth, patches, 30, np.random.default_rng(seed))
                         for seed in (1, 1, 2))  # fmt: skip
    assert_array_equal(one, again)
    assert (one != other).all()
    assert_allclose(np.corrcoef(one[:, 5:]), truth["late"], atol=1e-10)


@pytest.mark.parametrize(("patches", "words"), [
    ({"middle": [0]}, "name no layer"), ({"early": [50]}, "not among the 50"),
    ({"early": [-1]}, "not among the 50"), ({"early": []}, "of early is empty"),
])  # fmt: skip
def test_patches_that_are_not_there_are_refused(truth, patches, words):
    with pytest.raises(InputError, match=words):
        patch_responses(truth, patches, 50, np.random.default_rng(0))
