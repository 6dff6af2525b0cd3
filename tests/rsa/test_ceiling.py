"""Noise ceilings against rsatoolbox, the plain-mean form, simulation and published values."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.rdm_files import read_rdms

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"
PEERS = {"cosine": "cosine", "pearson": "corr", "spearman": "spearman", "tau-a": "tau-a"}


@pytest.fixture(scope="module")
def subjects():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive}


@pytest.mark.parametrize(
    ("comparison", "bounds"),
    [
        ("cosine", (0.89602848, 0.9340526)),
        ("pearson", (0.07579275, 0.47489761)),
        ("spearman", (0.0225993, 0.43395907)),
        ("tau-a", (0.00571429, 0.29714286)),
    ],
)
def test_golden(comparison, bounds, subjects):  # G1
    found = noise_ceiling(RDMs(subjects["subjects"]), comparison=comparison)
    np.testing.assert_allclose(found, bounds, rtol=0, atol=5e-9)
    frozen = subjects[f"ceiling_{PEERS[comparison]}"]
    np.testing.assert_allclose(found, frozen, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), comparison=st.sampled_from(sorted(PEERS)))
def test_rsatoolbox_agrees(seed, comparison):
    rdms = RDMs(np.random.default_rng(seed).random((4, 10)) + 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = boot_noise_ceiling(rdms, method=PEERS[comparison])
    expected = [float(np.squeeze(bound)) for bound in peer]
    found = noise_ceiling(rdms, comparison=comparison)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_plain_mean_is_the_rule_of_algonauts_alone(subjects):  # K18
    rows = subjects["subjects"]
    found = noise_ceiling(RDMs(rows), rule="algonauts")
    r = [spearmanr(row, rows.mean(axis=0)).statistic for row in rows]
    assert found.upper == pytest.approx(np.mean(np.square(r)), abs=1e-12)
    assert np.isnan(found.lower)
    plain = noise_ceiling(RDMs(rows), rule="plain")
    np.testing.assert_allclose(plain, (0.09642857, 0.41428571), rtol=0, atol=5e-9)
    assert np.mean(r) == pytest.approx(0.41428571, abs=5e-9)
    assert noise_ceiling(RDMs(rows)).upper == pytest.approx(0.43395907, abs=5e-9)


def test_one_subject_has_no_ceiling():  # trap 36, K9
    with pytest.warns(DataWarning, match="at least two subjects"):
        assert np.isnan(noise_ceiling(RDMs(np.arange(6.0)[None]))).all()


def test_missing_distance_leaves_the_other_subjects():  # trap 36
    rows = np.random.default_rng(0).random((4, 15))
    rows[0, 3] = np.nan
    found = noise_ceiling(RDMs(rows), comparison="pearson")
    z = (rows - np.nanmean(rows, 1, keepdims=True)) / np.nanstd(rows, 1, keepdims=True)

    def pearson(a, b):
        both = np.isfinite(a) & np.isfinite(b)
        return np.corrcoef(a[both], b[both])[0, 1]

    upper = np.mean([pearson(row, np.nanmean(z, axis=0)) for row in rows])
    lower = np.mean([pearson(rows[i], np.nanmean(np.delete(z, i, 0), axis=0)) for i in range(4)])
    np.testing.assert_allclose(found, (lower, upper), rtol=0, atol=1e-12)


def test_subject_without_information_is_named():
    rows = np.random.default_rng(0).random((3, 6))
    rows[1] = 0.7
    rdms = RDMs(rows, rdm_descriptors={"subject": ["01", "02", "03"]})
    with pytest.warns(DataWarning, match="subject 02 has no distances"):
        assert np.isnan(noise_ceiling(rdms).upper)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"rule": "nilli"}, "Did you mean nili"), ({"comparison": "tau"}, "not known")],
)
def test_refusals(options, match):
    with pytest.raises(InputError, match=match):
        noise_ceiling(RDMs(np.random.default_rng(0).random((3, 6))), **options)
    with pytest.raises(InputError, match="has no subjects"):
        noise_ceiling(np.ones((3, 6)))


@given(
    seed=st.integers(0, 2**32 - 1),
    comparison=st.sampled_from(
        ("cosine", "pearson", "spearman", "rho-a", "corr_cov", "cosine_cov")
    ),
)
def test_no_model_exceeds_the_upper_bound(seed, comparison):  # P25
    rng = np.random.default_rng(seed)
    rows = rng.random((5, 10)) + 0.05
    upper = noise_ceiling(RDMs(rows), comparison=comparison).upper
    weighted = rng.random((4, 5)) @ rows
    models = np.vstack([rng.random((4, 10)), weighted, rows, rows.mean(axis=0)])
    assert COMPARISONS[comparison](rows, models).mean(axis=0).max() <= upper + 1e-12


def test_true_model_lies_between_the_bounds():  # a small A5
    rng = np.random.default_rng(0)
    bounds, truths = [], []
    for _ in range(60):
        truth = rng.normal(size=190)
        rows = truth + 1.2 * rng.normal(size=(12, 190))
        bounds.append(noise_ceiling(RDMs(rows), comparison="pearson"))
        truths.append(COMPARISONS["pearson"](rows, truth).mean())
    lower, upper = np.mean(bounds, axis=0)
    assert lower < np.mean(truths) < upper
    assert np.mean(truths) == pytest.approx(0.6402, abs=3 * np.std(truths) / np.sqrt(60))


@pytest.mark.parametrize("comparison", ["spearman", "rho-a", "tau-b", "cosine_cov", "corr_cov"])
def test_true_model_lies_between_the_bounds_of_every_measure(comparison):  # trap 36
    rng = np.random.default_rng(3)
    bounds, truths = [], []
    for _ in range(20):
        truth = pdist(rng.normal(size=(16, 20)), "sqeuclidean")
        rows = truth + 8 * rng.normal(size=(8, truth.size))
        bounds.append(noise_ceiling(RDMs(rows), comparison=comparison))
        truths.append(COMPARISONS[comparison](rows, truth).mean())
    lower, upper = np.mean(bounds, axis=0)
    assert lower < np.mean(truths) < upper


@pytest.mark.parametrize("comparison", ["cosine_cov", "corr_cov", "tau-b", "rho-a"])
def test_missing_distance_leaves_the_other_subjects_of_every_measure(comparison):
    rows = np.random.default_rng(0).random((4, 15)) + 0.1
    whole = noise_ceiling(RDMs(rows), comparison=comparison)
    rows[0, 3] = np.nan
    found = noise_ceiling(RDMs(rows), comparison=comparison)
    assert found.lower < found.upper
    # one distance of sixty is gone: a pooling that let a gap spread would lose all subjects'
    np.testing.assert_allclose(found, whole, rtol=0, atol=0.1)
    # a subject without its first stimulus is that of the others' triangle
    rows[0, :5] = np.nan
    scaled = noise_ceiling(RDMs(rows * np.array([[1e3], [1], [1], [1]])), comparison=comparison)
    np.testing.assert_allclose(scaled, noise_ceiling(RDMs(rows), comparison=comparison), 0, 1e-12)


def test_ceiling_of_zeros_or_nothing_is_nan_without_other_warnings():
    rows = np.random.default_rng(0).random((3, 6))
    for nothing in (0.0, np.nan):
        rows[1] = nothing
        for comparison in COMPARISONS:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", category=DataWarning)
                assert np.isnan(noise_ceiling(RDMs(rows), comparison=comparison)).all()


# ---- real data


@pytest.mark.parametrize(
    ("file", "label", "squared", "bounds"),
    [
        ("target_fmri_92.mat", "EVC_RDMs", 0.1589, (0.2389, 0.3856)),
        ("target_fmri_92.mat", "IT_RDMs", 0.3075, (0.4486, 0.5346)),
        ("rearranged_meg_92.mat", "MEG_RDMs_early", 0.5000, (0.6504, 0.6993)),
        ("rearranged_meg_92.mat", "MEG_RDMs_late", 0.2122, (0.3385, 0.4549)),
    ],
)
def test_algonauts_ceilings(file, label, squared, bounds, real_data):
    path = real_data("rdm92") / "original" / file
    rdms = read_rdms(path, label=label, names=[f"image_{i + 1:02d}" for i in range(92)])
    assert noise_ceiling(rdms, rule="algonauts").upper == pytest.approx(squared, abs=5.01e-5)
    np.testing.assert_allclose(noise_ceiling(rdms, rule="plain"), bounds, rtol=0, atol=5.01e-5)
    # bringing subjects to ranks first can only raise the upper bound
    assert noise_ceiling(rdms).upper >= bounds[1] - 5e-5


def test_recordings_of_2008(real_data):
    path = real_data("rdm92") / "original" / "92_brainRDMs.mat"
    names = [f"image_{i + 1:02d}" for i in range(92)]
    rows = read_rdms(path, names=names).dissimilarities
    averaged = RDMs(rows.reshape(4, 2, -1).mean(axis=1))
    np.testing.assert_allclose(noise_ceiling(averaged), (0.372, 0.666), rtol=0, atol=5.01e-4)


@pytest.mark.parametrize("comparison", ["spearman", "rho-a", "tau-a", "tau-b"])
def test_ranks_of_a_subject_with_gaps_are_on_the_scale_of_the_others(comparison):
    # One order in all three, which one subject was asked for in half of the pairs only.
    order = np.arange(1.0, 67)
    rows = np.stack([order, order, order])
    rows[0, ::2] = np.nan
    lower, upper = noise_ceiling(RDMs(rows), comparison=comparison)
    assert lower > 0.999 and upper > 0.999


def test_infinite_distances_are_refused():
    rows = np.random.default_rng(0).random((3, 10))
    rows[1, 2] = np.inf
    with pytest.raises(InputError, match="rdm 2 are infinite"):
        noise_ceiling(RDMs(rows))
