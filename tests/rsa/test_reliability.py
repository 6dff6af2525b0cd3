"""Split halves: Spearman and Brown's formula, rows and stimuli by name, two ways to give halves."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs
from scipy import stats

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.rdm import align_to
from neurodnn.rsa.reliability import split_half_reliability

NAMES = [f"s{i}" for i in range(6)]


def _rdms(rows, **labels):
    return RDMs(
        np.atleast_2d(rows), rdm_descriptors=labels, pattern_descriptors={"stimulus": list(NAMES)}
    )


@pytest.fixture
def halves():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 15))
    first, second = truth + 0.5 * rng.normal(size=(2, 3, 15))
    return first, second


@pytest.mark.parametrize(
    ("comparison", "peer"),
    [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)],
)
def test_formula(comparison, peer, halves):
    first, second = halves
    labels = {"subject": ["01", "02", "03"]}
    found = split_half_reliability(
        _rdms(first, **labels), _rdms(second, **labels), comparison=comparison
    )
    r = np.array([peer(x, y).statistic for x, y in zip(first, second, strict=True)])
    assert (r > 0).all()
    np.testing.assert_allclose(found, 2 * r / (1 + r), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.correlation, r, rtol=0, atol=1e-12)
    assert found.dims == ("subject",)
    assert found.attrs["comparison"] == comparison


def test_it_is_the_reliability_of_the_mean_of_the_halves():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=20000)
    first, second, third, fourth = truth + rng.normal(size=(4, 20000))
    expected = np.corrcoef(first + second, third + fourth)[0, 1]
    names = {"stimulus": [f"s{i:03d}" for i in range(200)]}
    one, two = (RDMs(row[None, :19900], pattern_descriptors=names) for row in (first, second))
    for comparison in ("pearson", "cosine", "corr_cov"):
        found = split_half_reliability(one, two, comparison=comparison).item()
        assert found == pytest.approx(expected, abs=0.02)


def test_rows_and_stimuli_are_matched_by_name(halves):
    first, second = halves
    one, two = (_rdms(half, subject=["01", "02", "03"]) for half in (first, second))
    turned = align_to(NAMES[::-1], _rdms(second[[2, 0, 1]], subject=["03", "01", "02"]))
    expected = split_half_reliability(one, two)
    np.testing.assert_array_equal(split_half_reliability(one, turned), expected)
    np.testing.assert_array_equal(split_half_reliability(two, one), expected)


def test_both_halves_in_one_object(halves):
    first, second = halves
    rows = np.stack([first, second], axis=1).reshape(6, 15)
    labels = {"subject": ["01", "01", "02", "02", "03", "03"], "session": ["odd", "even"] * 3}
    both = _rdms(rows, **labels)
    expected = split_half_reliability(
        _rdms(first, subject=["01", "02", "03"]), _rdms(second, subject=["01", "02", "03"])
    )
    found = split_half_reliability(both, halves="session")
    np.testing.assert_array_equal(found, expected)
    assert found.subject.values.tolist() == ["01", "02", "03"]
    with pytest.raises(InputError, match="no 'half' that tells two halves apart"):
        split_half_reliability(both)
    with pytest.raises(InputError, match="must have two different values"):
        split_half_reliability(_rdms(rows, run=[1, 2, 3, 1, 2, 3]), halves="run")


def test_negative_correlations_neither_diverge_nor_vanish():
    d = np.arange(15.0)
    found = split_half_reliability(_rdms([d, d]), _rdms([-d, d]))
    np.testing.assert_allclose(found, [-1, 1], rtol=0, atol=1e-15)
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(40, 2, 9, 15))
    noise = [split_half_reliability(_rdms(first), _rdms(second)) for first, second in pairs]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(360)


def test_missing_and_constant_rows(halves):
    first, second = halves
    first[0, 2] = np.nan
    second[1] = 0.7
    with pytest.warns(DataWarning, match="rdm 2 are NaN"):
        found = split_half_reliability(_rdms(first), _rdms(second), comparison="pearson")
    r = stats.pearsonr(np.delete(first[0], 2), np.delete(second[0], 2)).statistic
    assert found[0] == pytest.approx(2 * r / (1 + r), abs=1e-12)
    assert np.isnan(found[1]) and np.isfinite(found[2])


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ({"subject": ["01", "04"]}, "are not those of first"),
        ({"region": ["01", "02"]}, "are not those of first"),
        ({"subject": ["01", "01"]}, "subject 01 occurs more than once in this half"),
    ],
)
def test_other_rows_are_refused(labels, match, halves):
    first, second = halves
    with pytest.raises(InputError, match=match):
        split_half_reliability(_rdms(first[:2], subject=["01", "02"]), _rdms(second[:2], **labels))


def test_tau_has_no_such_formula(halves):
    with pytest.raises(InputError, match="tau-a.*not known"):
        split_half_reliability(_rdms(halves[0]), _rdms(halves[1]), comparison="tau-a")
