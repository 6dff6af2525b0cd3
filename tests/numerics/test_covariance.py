import numpy as np
import pytest
from rsatoolbox.data.noise import cov_from_residuals
from sklearn.covariance import LedoitWolf

from neurodnn._checks import InputError
from neurodnn.numerics.covariance import centred_by_run, precision_of, shrunk_covariance


@pytest.fixture
def residuals():
    """Golden set G1b of the design: the shrinkage lies between its bounds."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8))


@pytest.mark.parametrize(
    ("target", "method", "golden"),
    [
        ("identity", "shrinkage_eye", -3.3373595894722903),
        ("diagonal", "shrinkage_diag", -3.4379382273290293),
    ],
)
def test_shrunk_covariance_equals_rsatoolbox(residuals, target, method, golden):
    ours = shrunk_covariance(centred_by_run(residuals), target=target)
    peer = cov_from_residuals(residuals.copy(), method=method)
    np.testing.assert_allclose(ours.covariance, peer, rtol=0, atol=1e-13)
    assert ours.covariance[0, 1] == pytest.approx(golden, abs=1e-13)


def test_identity_target_equals_sklearn(residuals):
    n = len(residuals)
    peer = LedoitWolf().fit(residuals)
    ours = shrunk_covariance(centred_by_run(residuals), target="identity", degrees_of_freedom=n)
    assert ours.shrinkage == pytest.approx(0.10626785025865194, abs=1e-14)
    assert ours.shrinkage == pytest.approx(peer.shrinkage_, abs=1e-14)
    np.testing.assert_allclose(ours.covariance, peer.covariance_, rtol=0, atol=1e-13)


def test_means_are_removed_run_by_run(residuals):
    runs = np.repeat(["a", "b", "c"], 20)
    shifted = residuals + np.repeat([[100.0], [-50.0], [7.0]], 20, axis=0)
    centred = centred_by_run(shifted, runs)
    np.testing.assert_allclose(centred, centred_by_run(residuals, runs), atol=1e-12)
    for run in "abc":
        np.testing.assert_allclose(centred[runs == run].mean(axis=0), 0, atol=1e-12)
    again = centred_by_run(residuals[::-1], runs[::-1])[::-1]
    np.testing.assert_allclose(again, centred_by_run(residuals, runs), atol=1e-12)


@pytest.mark.parametrize("target", ["diagonal", "identity"])
def test_precision_is_the_inverse_even_with_fewer_time_points_than_channels(target):
    noise = centred_by_run(np.random.default_rng(0).normal(size=(20, 50)))
    covariance, shrinkage = shrunk_covariance(noise, target=target)
    assert 0 < shrinkage <= 1
    precision = precision_of(covariance)
    np.testing.assert_allclose(precision @ covariance, np.eye(50), atol=1e-11)
    np.testing.assert_array_equal(precision, precision.T)


def test_one_channel_is_its_variance():
    noise = centred_by_run(np.array([[1.0], [2.0], [6.0]]))
    for target in ("diagonal", "identity"):
        assert shrunk_covariance(noise, target=target).covariance[0, 0] == pytest.approx(7.0)


def test_refusals():
    noise = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(InputError, match="finite"):
        shrunk_covariance(np.where(noise > 1, np.nan, noise))
    with pytest.raises(InputError, match="does not vary"):
        shrunk_covariance(noise * [1, 1, 0])
    with pytest.raises(InputError, match="Did you mean diagonal"):
        shrunk_covariance(noise, target="diagonl")
    with pytest.raises(InputError, match="too few time points"):
        shrunk_covariance(noise[:1])
    with pytest.raises(InputError, match="not positive definite"):
        precision_of(np.ones((2, 2)))
