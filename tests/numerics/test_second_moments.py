"""Geometries as matrices: Bures and Riemann against rsatoolbox, rotations and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist

from neurodnn.numerics.second_moments import bures, bures_metric, neg_riem_dist


def patterns(seed, n=6, columns=9):
    return np.random.default_rng(seed).normal(size=(n, columns))


def rdm(X):
    return pdist(X, "sqeuclidean")


def test_bures_is_the_cosine_after_the_best_rotation():
    X, Y = (patterns(seed) - patterns(seed).mean(axis=0) for seed in (1, 2))
    rotation, nuclear = orthogonal_procrustes(X, Y)
    expected = nuclear / np.linalg.norm(X) / np.linalg.norm(Y)
    assert bures(rdm(X), rdm(Y)).item() == pytest.approx(expected, abs=1e-12)
    distance = ((X @ rotation - Y) ** 2).sum()
    assert bures_metric(rdm(X), rdm(Y)).item() == pytest.approx(distance, abs=1e-10)


def test_rsatoolbox_agrees():
    a = np.array([rdm(patterns(seed)) for seed in (1, 2, 3)])
    b = np.array([rdm(patterns(seed)) for seed in (4, 5)])
    peer = compare(RDMs(a), RDMs(b), method="bures")
    # the peer takes roots of eigenvalues that are zero up to rounding: 1e-16 becomes 1e-8
    np.testing.assert_allclose(bures(a, b), peer, rtol=0, atol=1e-7)
    peer = compare(RDMs(a), RDMs(b), method="bures_metric")
    np.testing.assert_allclose(bures_metric(a, b), peer, rtol=0, atol=1e-5)  # the same, times 20
    peer = compare(RDMs(b), RDMs(a), method="neg_riem_dist").T
    # the peer's simplex search stops at 1e-4, which never leads above the best
    np.testing.assert_allclose(neg_riem_dist(a, b), peer, rtol=0, atol=1e-6)
    assert (neg_riem_dist(a, b) >= peer - 1e-12).all()


def test_the_same_geometry_in_another_unit():
    X = patterns(1)
    row = rdm(X)
    assert bures(row, 7 * row).item() == pytest.approx(1, abs=1e-12)
    assert bures_metric(row, row).item() == pytest.approx(0, abs=1e-10)
    assert neg_riem_dist(row, 7 * row).item() == pytest.approx(0, abs=1e-5)  # at a root's edge
    with_noise = row + 2 * 0.8  # independent noise of variance .8 adds twice that to each pair
    assert neg_riem_dist(with_noise, row).item() == pytest.approx(0, abs=1e-5)
    assert neg_riem_dist(row, with_noise).item() < -0.1  # data have no noise, the model has


def test_order_of_stimuli_does_not_matter():
    X, Y = patterns(1), patterns(2)
    order = [3, 1, 0, 5, 4, 2]
    for measure in (bures, bures_metric, neg_riem_dist):
        expected = measure(rdm(X), rdm(Y)).item()
        found = measure(rdm(X[order]), rdm(Y[order])).item()
        assert found == pytest.approx(expected, abs=1e-7)  # the search ends within 1e-9


def test_what_has_no_kernel_is_nan():
    rows = np.array([rdm(patterns(1)), rdm(patterns(2))])
    for measure in (bures, bures_metric, neg_riem_dist):
        gap = rows.copy()
        gap[0, 3] = np.nan
        found = measure(gap, rows)
        assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()
        assert np.isnan(measure(np.zeros(15), rows)).all()
    flat = rdm(patterns(1, columns=3))  # six stimuli in three dimensions
    assert np.isnan(neg_riem_dist(flat, rows)).all()
    assert np.isfinite(neg_riem_dist(rows, flat)).all()


def test_negative_distances_stay_within_bounds():
    noisy = rdm(patterns(1)) - 14.0
    assert (noisy < 0).any()
    assert 0 <= bures(noisy, rdm(patterns(2))).item() <= 1
    assert bures(noisy, noisy).item() == pytest.approx(1, abs=1e-12)
