"""Confound strategies: which columns, and what is said about them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurodnn import InputError
from neurodnn.brain.confounds import STRATEGIES, load_confounds


@pytest.fixture
def table():
    names = STRATEGIES["motion24"][0] + [f"a_comp_cor_{i:02d}" for i in range(8)]
    names += ["white_matter", "csf", "framewise_displacement", "cosine00"]
    values = np.random.default_rng(0).normal(size=(20, len(names)))
    frame = pd.DataFrame(values, columns=names)
    frame.loc[0, [n for n in names if "derivative" in n or n.startswith("frame")]] = np.nan
    frame["non_steady_state_outlier00"] = (np.arange(20) == 0).astype(float)
    return frame


@pytest.mark.parametrize(
    ("strategy", "count", "words"),
    [
        ("none", 0, "no confound"),
        ("motion6", 7, "6 motion parameters"),
        ("motion24", 25, "24 motion parameters"),
        ("motion6+acompcor", 12, "first 5 anatomical"),
        ("motion24+acompcor", 30, "first 5 anatomical"),
        ("motion6+tissue", 9, "mean signals of white matter"),
        ("motion24+tissue", 27, "mean signals of white matter"),
    ],
)
def test_strategies_give_their_columns_from_a_file(table, tmp_path, strategy, count, words):
    path = tmp_path / "confounds.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    found, sentence = load_confounds(path, strategy)
    assert found.shape == (20, count) if count else found.shape[1] == 0
    assert words in sentence and sentence.startswith("Confounds: ") and sentence.endswith(".")
    assert ("1 regressors of non-steady" in sentence) == (count > 0)
    for name in found:
        assert np.isfinite(found[name]).all()
        expected = table[name].fillna(table[name].mean())
        np.testing.assert_allclose(found[name], expected)


def test_every_strategy_is_tested():
    assert len(STRATEGIES) == 7


def test_missing_columns_name_the_closest(table):
    table = table.rename(columns={"rot_x": "rotx"})
    with pytest.raises(InputError, match=r"1 columns.*'rot_x'.*Closest to rot_x: rotx"):
        load_confounds(table, "motion6")
    with pytest.raises(InputError, match="Did you mean motion24"):
        load_confounds(table, "motion-24")
    with pytest.raises(InputError, match="'motion6' needs a confounds table"):
        load_confounds(None)
    assert load_confounds(None, "none")[0].shape[1] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, "many"])
def test_holes_elsewhere_than_in_the_first_row_are_refused(table, value):
    table = table.astype(object)
    table.loc[7, "trans_y"] = value
    with pytest.raises(InputError, match="column trans_y has no number in row 8"):
        load_confounds(table, "motion6")
