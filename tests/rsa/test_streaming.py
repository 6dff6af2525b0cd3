"""RDMs from batches: the whole matrix at once is the oracle, and batches must not be seen."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from neurodnn._checks import DataWarning, InputError
from neurodnn.rsa.streaming import StreamedRDM

METRICS = ("correlation", "euclidean", "spearman")


def _activations(n=9, units=20_000, seed=0, dtype=np.float32):
    """Like a layer after its rectifier: many zeros, an offset shared by all images."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(n, units)) + rng.normal(size=units), 0).astype(dtype)


def _stream(values, sizes, metric="correlation", **options):
    stream = StreamedRDM(len(values), metric=metric, **options)
    start = 0
    for size in sizes:
        stream.add(values[start : start + size])
        start += size
    return stream.read()


def _oracle(values, metric):
    values = np.asarray(values, dtype=np.float64)
    if metric == "euclidean":
        return pdist(values, "sqeuclidean") / values.shape[1]
    return pdist(rankdata(values, axis=1) if metric == "spearman" else values, "correlation")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scipy_agrees(metric, dtype):
    values = _activations(dtype=dtype)
    found = _stream(values, [4, 5], metric)
    np.testing.assert_allclose(found, _oracle(values, metric), rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_batch_size_memory_and_layout_change_no_bit(metric, tmp_path):  # P12
    values = _activations()
    expected = _stream(values, [9], metric)
    for sizes in ([1] * 9, [4, 4, 1], [2, 7]):
        np.testing.assert_array_equal(_stream(values, sizes, metric), expected)
    spilled = _stream(values, [3, 6], metric, memory_mb=0, scratch_dir=tmp_path)
    np.testing.assert_array_equal(spilled, expected)
    np.testing.assert_array_equal(_stream(np.asfortranarray(values), [5, 4], metric), expected)


def test_scratch_file_is_used_and_leaves_nothing(tmp_path):
    stream = StreamedRDM(4, memory_mb=0.01, scratch_dir=tmp_path)
    stream.add(_activations(4))
    assert isinstance(stream._rows, np.memmap)
    assert os.listdir(tmp_path) == []  # no name: it vanishes even if the process is killed
    assert not isinstance(_held(memory_mb=1), np.memmap)


def _held(**options):
    stream = StreamedRDM(4, **options)
    stream.add(_activations(4))
    return stream._rows


def test_full_or_absent_scratch_folder(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="scratch_dir .*: 0 MB of activations cannot be"):
        _held(memory_mb=0, scratch_dir=tmp_path / "absent")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match="No space left on device.*another folder"):
        _held(memory_mb=0, scratch_dir=tmp_path)


def test_float32_is_centred_in_float64():  # G9, trap 19
    rng = np.random.default_rng(9)
    z, w = rng.standard_normal(300), rng.standard_normal(300)
    x = np.float32(10000 + 20 * z)
    y = np.float32(10000 + 20 * (0.5 * z + np.sqrt(0.75) * w))
    assert 1 - _stream(np.array([x, y]), [1, 1]).item() == pytest.approx(
        0.4666271584721977, abs=1e-12
    )


@pytest.mark.parametrize("metric", ["correlation", "spearman"])
@pytest.mark.parametrize("scale", [1e-13, 1e13])
def test_unit_is_irrelevant(metric, scale):  # trap 21
    values = _activations(5, 300, dtype=np.float64)
    np.testing.assert_allclose(
        _stream(values * scale, [5], metric), _stream(values, [5], metric), rtol=0, atol=1e-10
    )


def test_half_precision_is_widened():  # trap 20
    values = _activations(5, 300).astype(np.float16)
    np.testing.assert_array_equal(
        _stream(values, [5]), _stream(values.astype(np.float32), [5])
    )


@pytest.mark.parametrize("metric", METRICS)
def test_equal_images_are_at_zero(metric):  # trap 5
    values = _activations(4)
    values[2] = values[0]
    found = _stream(values, [4], metric)
    assert found[1] == 0.0
    assert (np.delete(found, 1) > 0).all()


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize("metric", ["correlation", "spearman"])
def test_constant_activations_are_nan_and_named(metric, value):  # traps 9, 46
    values = _activations(4, 1000)
    clean = _stream(values, [4], metric)
    values[1] = value
    stream = StreamedRDM(4, metric=metric, label="features.3")
    stream.add(values, ["a", "b", "c", "d"])
    with pytest.warns(DataWarning, match="features.3: all activations are equal for b"):
        found = stream.read()
    np.testing.assert_array_equal(np.isnan(found), [1, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(found[[1, 2, 5]], clean[[1, 2, 5]])


def test_constant_units_count():
    values = np.array([[1.0, 2, 9], [2, 1, 9], [1, 3, 9]])
    np.testing.assert_allclose(_stream(values, [3]), pdist(values, "correlation"), atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_activations_name_the_stimulus(value):  # trap 20
    values = _activations(4, 10)
    values[2, 5] = value
    stream = StreamedRDM(4, label="conv5")
    with pytest.raises(InputError, match="conv5: 1 activations of stimulus cat.png are"):
        stream.add(values, ["a", "b", "cat.png", "d"])


def test_misuse():
    values = _activations(4, 10)
    stream = StreamedRDM(4)
    stream.add(values[:2])
    with pytest.raises(InputError, match="2 of 4 images have arrived"):
        stream.read()
    with pytest.raises(InputError, match=r"number of units changes.*got 9; allowed: 10"):
        stream.add(values[2:, :9])
    with pytest.raises(InputError, match="must be images x units"):
        stream.add(values[2])
    with pytest.raises(InputError, match="more images than announced"):
        stream.add(values[:3])
    stream.add(values[2:])
    np.testing.assert_array_equal(stream.read(), stream.read())
    with pytest.raises(InputError, match="metric='cosine' is not known"):
        StreamedRDM(4, metric="cosine")
    with pytest.raises(InputError, match="n_stimuli"):
        StreamedRDM(1)


@given(
    order=st.permutations(range(5)),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 2**32 - 1),
)
def test_order_of_images_permutes(order, metric, seed):  # P4, P1-P3
    values = _activations(5, 40, seed=seed)
    rows, columns = np.triu_indices(5, 1)
    whole = np.zeros((5, 5))
    whole[rows, columns] = _stream(values, [5], metric)
    assert (whole >= 0).all()
    whole += whole.T
    found = _stream(values[list(order)], [2, 3], metric)
    np.testing.assert_allclose(found, whole[np.ix_(order, order)][rows, columns], atol=1e-12)
