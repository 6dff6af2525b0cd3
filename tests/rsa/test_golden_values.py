"""Golden sets G1, G2, G3 and G10 of the design, for comparisons and ceilings of RDMs.

Inputs are drawn as the design says and the stream is checked first; what other programs gave
for them is frozen in ``rsa_golden.npz`` (made by ``tests/golden/make_rsa_golden.py``).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, compare
from rsatoolbox.util.pooling import pool_rdm
from scipy.spatial.distance import pdist

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.second_moments import KERNEL_COMPARISONS
from neurodnn.numerics.similarity import COMPARISONS
from neurodnn.rsa.ceiling import noise_ceiling
from neurodnn.rsa.compare import compare_rdms
from neurodnn.rsa.rdm import compute_rdms

GOLDEN = Path(__file__).parent.parent / "golden" / "rsa_golden.npz"

# comparison, name in the peer, value of compare(model 0, subject 0)
FIRST_PAIR = [
    ("cosine", "cosine", 0.84446296),
    ("pearson", "corr", -0.25799242),
    ("spearman", "spearman", -0.25714286),
    ("tau-b", "kendall", -0.18095238),
    ("tau-a", "tau-a", -0.18095238),
    ("rho-a", "rho-a", -0.25714286),
    ("corr_cov", "corr_cov", -0.1111785),
    ("cosine_cov", "cosine_cov", 0.60040306),
    ("neg_riem_dist", "neg_riem_dist", -1.66161593),
    ("bures", "bures", 0.85801533),
    ("bures_metric", "bures_metric", 11.55596349),
]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


def _rdms(rows, **labels):
    rows = np.atleast_2d(rows)
    n = round((1 + np.sqrt(1 + 8 * rows.shape[1])) / 2)
    names = {"stimulus": [f"s{i:02d}" for i in range(n)]}
    return RDMs(rows, rdm_descriptors=labels, pattern_descriptors=names)


def _score(a, b, comparison, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return compare_rdms(_rdms(a), _rdms(b), comparison=comparison, **options).values


def test_the_frozen_inputs_are_those_of_the_design(golden):  # G1
    stream = [
        ("folds", (0, 0, 0), 1.57786943448994), ("folds", (2, 5, 7), 0.7019533027568167),
        ("residuals", (0, 0), -1.03691570798536), ("residuals", (59, 7), -1.5905681984364857),
        ("subjects", (0, 0), 17.67263302503757), ("models", (0, 0), 12.03503843444436),
    ]  # fmt: skip
    for name, place, value in stream:
        assert golden[name][place] == pytest.approx(value, rel=1e-14)
    assert golden["folds"].sum() == pytest.approx(7.982613112424552, abs=1e-12)
    assert golden["residuals"].sum() == pytest.approx(20.808119208262138, abs=1e-12)
    rng = np.random.default_rng(20260101)
    np.testing.assert_array_equal(rng.normal(size=(3, 6, 8)), golden["folds"])


@pytest.mark.parametrize(("comparison", "peer", "value"), FIRST_PAIR)
def test_comparisons(comparison, peer, value, golden):  # G1
    # The Riemannian distance fits the reference to the data, in the peer the first to the second.
    found = _score(golden["subjects"][0], golden["models"][0], comparison).item()
    tolerance = 5e-7 if comparison == "bures_metric" else 5e-9  # peer: roots of rounding noise
    assert found == pytest.approx(value, abs=tolerance)
    frozen = golden[f"compare_{peer}"].ravel()[0]
    exact = 1e-12 if comparison in COMPARISONS else 1e-6  # peer: see test_second_moments
    assert found == pytest.approx(frozen, abs=exact)


@pytest.mark.parametrize("name", sorted(KERNEL_COMPARISONS))
def test_geometries(name, golden):  # G1, all pairs
    found = _score(golden["subjects"], golden["models"], name).T
    tolerance = 2e-6 if name == "bures_metric" else 1e-7  # peer: see test_second_moments
    np.testing.assert_allclose(found, golden[f"compare_{name}"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("comparison", ["corr_cov", "cosine_cov"])
def test_whitened_ceilings(comparison, golden):  # G1
    rows = golden["subjects"]
    found = noise_ceiling(RDMs(rows), comparison=comparison)
    # the peer's pooling for these measures, which its own ceiling does not use
    upper = compare(RDMs(rows), pool_rdm(RDMs(rows), comparison), method=comparison).mean()
    lower = np.mean([
        compare(RDMs(rows[i : i + 1]), pool_rdm(RDMs(np.delete(rows, i, 0)), comparison),
                method=comparison).item()
        for i in range(5)
    ])  # fmt: skip
    np.testing.assert_allclose(found, (lower, upper), rtol=0, atol=1e-12)
    # The peer's ceiling pools by the length before whitening; its upper bound is not the highest.
    peer = golden[f"ceiling_{comparison}"]
    np.testing.assert_allclose(found, peer, rtol=0, atol=2e-3)
    assert found.upper > peer[1] + 1e-5


def test_ties(golden):  # G2
    data, tied, plain = (golden[key] for key in ("tied_data", "tied_model", "plain_model"))
    expected = {
        "spearman": 0.0755572622216808, "rho-a": 0.06544202066590127,
        "tau-a": 0.04428904428904429, "tau-b": 0.062157854732296056,
    }  # fmt: skip
    for comparison, value in expected.items():
        assert _score(data, tied, comparison).item() == pytest.approx(value, abs=1e-12)
    expected = {"cosine_cov": 0.3748636611423775, "corr_cov": -0.22759864785098405}
    for comparison, value in expected.items():
        found = _score(data, plain, comparison).item()
        assert found == pytest.approx(value, abs=1e-12)
        assert found == pytest.approx(golden[f"plain_{comparison}"].item(), abs=1e-12)


def test_by_hand():  # G3
    d = [1, 2, 3, 4, 5, 6]
    assert _score(d, [2, 1, 4, 3, 6, 5], "tau-b").item() == pytest.approx(3 / 5, abs=1e-15)
    expected = 12 / np.sqrt(180)
    assert _score(d, [1, 1, 2, 2, 3, 3], "tau-b").item() == pytest.approx(expected, abs=1e-15)


def test_covariance_of_pattern_errors_goes_with_the_names():  # G10, K8
    rng = np.random.default_rng(1)
    v1 = pdist(rng.normal(size=(12, 9)), "sqeuclidean")
    v2 = pdist(rng.normal(size=(12, 7)), "sqeuclidean")
    sigma = np.diag(rng.uniform(0.5, 2, 12))
    found = _score(v1, v2, "cosine_cov", sigma_k=sigma).item()
    assert found == pytest.approx(0.48962023874150223, abs=1e-12)
    # the same data with stimuli in another order, sigma_k in that order
    a, b = _rdms(v1), _rdms(v2)
    order = rng.permutation(12)
    turned = RDMs(
        a.get_matrices()[:, order][:, :, order],
        pattern_descriptors={"stimulus": [f"s{i:02d}" for i in order]},
    )
    options = {"comparison": "cosine_cov", "sigma_k": sigma[np.ix_(order, order)]}
    assert compare_rdms(turned, b, **options).item() == found
    with pytest.warns(DataWarning, match="by position"):
        placed = compare_rdms(a, b, comparison="cosine_cov", sigma_k=sigma, by_position=True)
    assert placed.item() == pytest.approx(found, abs=1e-14)
    with pytest.raises(InputError, match="is a vector"):
        compare_rdms(a, b, comparison="cosine_cov", sigma_k=np.diag(sigma))
    with pytest.raises(InputError, match="whitened comparisons only"):
        compare_rdms(a, b, comparison="cosine", sigma_k=sigma)


def test_crossnobis_with_noise_per_fold(golden):  # b1
    names, runs = [f"c{i}" for i in range(6)] * 3, np.repeat(["0", "1", "2"], 6)
    patterns = Dataset(
        golden["folds"].reshape(-1, 8), obs_descriptors={"stimulus": names, "run": runs}
    )
    noise = Dataset(
        golden["residuals"], obs_descriptors={"run": np.repeat(["0", "1", "2"], 20)}
    )
    found = compute_rdms(patterns, metric="crossnobis", residuals=noise, noise="per-fold")
    expected = golden["crossnobis_by_fold"]
    np.testing.assert_allclose(found.dissimilarities[0], expected, rtol=0, atol=1e-10)
    assert (found.dissimilarities < 0).any()  # K5: kept


def test_peers_batches_are_not_matched():  # K1
    rng = np.random.default_rng(1)
    rows, model = rng.random((200, 45)), rng.random((1, 45))
    rows[10] = 0.7
    found = _score(rows, model, "spearman").ravel()
    alone = [_score(row, model, "spearman").item() for row in rows]
    np.testing.assert_array_equal(found, alone)
    assert np.isnan(found[10])
    peer = compare(RDMs(rows), RDMs(model), method="spearman").ravel()
    wrong = np.abs(np.delete(peer, 10) - np.delete(found, 10)) > 1e-12
    assert wrong.sum() == 189  # of 199: what the peer gives; ours above is row by row
