"""The test of Stelzer et al. against a plain transcription, and what it can and cannot say."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
import xarray as xr
from graph_scores import assert_same, smooth_scores
from scipy import ndimage
from scipy.stats import false_discovery_control

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.adjacency import grid_adjacency, line_adjacency
from neurodnn.stats.stelzer import stelzer_test

SHAPE = (9, 8)


def _study(n=6, n_null=20, shape=SHAPE, seed=0, shift=0.0):
    names = [f"s{i:02d}" for i in range(n)]
    x = smooth_scores(n, shape, seed)
    x[(slice(None), *[slice(1, 5)] * len(shape))] += shift
    null = smooth_scores(n * n_null, shape, seed + 1).reshape(n, n_null, *shape)
    true = xr.DataArray(x.reshape(n, -1), dims=("subject", "voxel"), coords={"subject": names})
    nulls = xr.DataArray(null.reshape(n, n_null, -1), dims=("subject", "permutation", "voxel"),
                         coords={"subject": names})  # fmt: skip
    return true, nulls


def _transcribed(true, nulls, n_maps, seed, alpha, two_sided):
    """Mean maps, p by counting, clusters by scipy; one map after the other."""
    n, n_null = nulls.shape[:2]
    maps = np.zeros((n_maps, true.shape[1]))
    maps[0] = true.values.mean(axis=0)
    for i, name in enumerate(true.subject.values):
        seeds = np.random.SeedSequence(seed, spawn_key=(5, zlib.crc32(str(name).encode())))
        drawn = (np.random.default_rng(seeds).random(n_maps - 1) * n_null).astype(int)
        maps[1:] += nulls.values[i][drawn] / n
    sizes, largest, observed = [], np.zeros(n_maps), []
    p_place = np.ones(maps.shape[1])
    for sign in (1, -1) if two_sided else (1,):
        values = (sign * maps).round(12)
        p = np.array([(values >= row).mean(axis=0) for row in values])
        p_place = np.minimum(p_place, p[0])
        for k in range(n_maps):
            labels, count = ndimage.label((p[k] < alpha / (1 + two_sided)).reshape(SHAPE))
            found = np.bincount(labels.ravel(), minlength=count + 1)[1:]
            largest[k] = max(largest[k], *found, 0)
            if k:
                sizes += list(found)
            else:
                observed += [(labels.ravel() == j + 1, size) for j, size in enumerate(found)]
    p_place = np.minimum(1, (1 + two_sided) * p_place)
    return p_place, observed, np.array(sizes), largest


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_equals_the_published_description(tail, shift):
    true, nulls = _study(shift=shift)
    alpha = 0.15
    graph = grid_adjacency(np.ones(SHAPE), 4)
    test = stelzer_test(true, nulls, graph, voxel_alpha=alpha, tail=tail, n_permutations=400,
                        seed=9)  # fmt: skip
    p, observed, sizes, largest = _transcribed(true, nulls, 400, 9, alpha, tail == "two-sided")
    np.testing.assert_allclose(test.p, p, rtol=1e-12)
    assert test.cluster.max() == len(observed) >= 1
    p_cluster = np.array([(1 + (sizes >= size).sum()) / (1 + sizes.size) for _, size in observed])
    adjusted = false_discovery_control(p_cluster)
    for (mask, size), single, q in zip(observed, p_cluster, adjusted, strict=True):
        part = test.isel(voxel=np.flatnonzero(mask))
        assert len(np.unique(part.cluster)) == 1 and (part.statistic == size).all()
        np.testing.assert_allclose(part.p_cluster, single, rtol=1e-12)
        np.testing.assert_allclose(part.p_fdr, q, rtol=1e-12)
        np.testing.assert_allclose(part.p_fwe, (largest >= size).mean(), rtol=1e-12)
    outside = test.cluster.values == 0
    for name in ("p_cluster", "p_fdr", "p_fwe"):
        assert (test[name].values[outside] == 1).all()
    assert test.attrs["generalises_to"] == "subjects" and test.attrs["drawing"] == "per-subject"


def test_planted_effect_is_found():
    true, nulls = _study(n=8, n_null=50, shape=(14, 14), shift=1.5)
    test = stelzer_test(true, nulls, grid_adjacency(np.ones((14, 14)), 4), n_permutations=4000)
    inside = np.zeros((14, 14), bool)
    inside[1:5, 1:5] = True
    found = (test.p_fwe < 0.05).values.reshape(14, 14)
    assert found[inside].mean() > 0.7 and found[~inside].mean() < 0.1


def test_maps_of_several_references_share_one_family():
    one, null_one = _study(seed=1, shift=0.5)
    two, null_two = _study(seed=5)
    names = xr.DataArray(["a", "b"], dims="reference", name="reference")
    true, nulls = (xr.concat(pair, dim=names) for pair in ((one, two), (null_one, null_two)))
    graph, options = grid_adjacency(np.ones(SHAPE), 4), {"voxel_alpha": 0.1, "n_permutations": 300}
    both = stelzer_test(true, nulls.transpose("subject", ...), graph, **options)
    for name, t, n in (("a", one, null_one), ("b", two, null_two)):
        alone, part = stelzer_test(t, n, graph, **options), both.sel(reference=name)
        for same in ("mean", "p", "cluster", "statistic", "p_cluster"):
            np.testing.assert_array_equal(part[same], alone[same])
        assert (part.p_fwe >= alone.p_fwe).all()


def test_order_of_subjects_and_jobs_change_no_bit():
    true, nulls = _study(shift=0.3)
    graph, options = grid_adjacency(np.ones(SHAPE), 8), {"voxel_alpha": 0.1, "n_permutations": 300}
    one = stelzer_test(true, nulls, graph, **options)
    for n_jobs in (1, 2, 4):
        other = stelzer_test(true.isel(subject=[3, 1, 5, 0, 2, 4]),
                             nulls.isel(subject=slice(None, None, -1)).transpose("voxel", ...),
                             graph, n_jobs=n_jobs, **options)  # fmt: skip
        assert_same(one, other)


def test_missing_places_take_no_part():
    true, nulls = _study(shape=(30,))
    true[:, 3] = np.nan
    nulls[2, 4, 12] = np.nan
    options = {"voxel_alpha": 0.2, "n_permutations": 200}
    with pytest.warns(DataWarning, match="1 places lack a finite score"):
        test = stelzer_test(true, nulls, line_adjacency(30), **options)
    for name in ("mean", "p", "p_cluster", "p_fdr", "p_fwe"):
        assert np.isnan(test[name][[3, 12]]).all(), name
    keep = np.delete(np.arange(30), [3, 12])
    graph = line_adjacency(30)[keep][:, keep]
    alone = stelzer_test(true[:, keep], nulls[..., keep], graph, **options)
    assert_same(test.isel(voxel=keep), alone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = stelzer_test(true * np.nan, nulls, line_adjacency(30), **options)
    assert np.isnan(nothing.p_fwe).all()


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        (lambda t, n: (t, n.isel(permutation=0)), {}, "do not fit the scores"),
        (lambda t, n: (t, n.isel(permutation=slice(5))), {}, "are too few.*10 permuted maps"),
        (lambda t, n: (t, n.isel(voxel=slice(5))), {}, "differ along voxel"),
        (lambda t, n: (t, n.isel(subject=slice(5))), {}, "hold other subjects.*s05"),
        (lambda t, n: (t[:1], n[:1]), {}, "needs subjects, not 1"),
        (lambda t, n: (t, n), {"n_permutations": 1500}, "cannot give a place p < 0.001"),
        (lambda t, n: (t, n), {"n_permutations": "exact"}, "is not valid"),
        (lambda t, n: (t, n), {"voxel_alpha": 0}, "voxel_alpha: is not a valid number"),
        (lambda t, n: (t, n), {"tail": "less"}, "tail='less' is not known"),
    ],
)
def test_refusals(change, options, match):
    true, nulls = change(*_study())
    with pytest.raises(InputError, match=match):
        stelzer_test(true, nulls, grid_adjacency(np.ones(SHAPE), 4), **options)
