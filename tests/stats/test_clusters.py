"""The cluster test against enumeration by hand, MNE, and its own symmetries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from graph_scores import all_t, assert_same, named, smooth_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.adjacency import combine_adjacency, grid_adjacency, line_adjacency
from neurodnn.stats import graph_maps
from neurodnn.stats.clusters import cluster_test

pytestmark = pytest.mark.filterwarnings("ignore:scores. the distribution:neurodnn.DataWarning")


def _clusters(t, threshold, structure, weight):
    """Masks and sums of the clusters of one sign each, by scipy.ndimage."""
    found = []
    for sign in (1, -1):
        labels, count = ndimage.label(sign * t > threshold, structure)
        for label in range(1, count + 1):
            mask = labels == label
            found.append((sign, mask, np.abs(t[mask]).sum() if weight == "mass" else mask.sum()))
    return found


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
@pytest.mark.parametrize("statistic", ["mass", "size"])
def test_equals_enumeration_by_hand(tail, statistic):
    x = smooth_scores(7, (6, 7), seed=3, sigma=0.5)
    x[:, :3, :3] += 0.9
    signs = (1, -1) if tail == "two-sided" else (1,)
    flips = all_t(x.reshape(7, -1)).reshape(-1, 6, 7)
    largest = np.array([
        max([s for sign, _, s in _clusters(t, 1.8, None, statistic) if sign in signs], default=0)
        for t in flips
    ])  # fmt: skip
    test = cluster_test(x.reshape(7, -1), grid_adjacency(np.ones((6, 7)), 4), tail=tail,
                        statistic=statistic, threshold=1.8)  # fmt: skip
    expected = [c for c in _clusters(flips[0], 1.8, None, statistic) if c[0] in signs]
    assert test.cluster.max() == len(expected) > 1
    for sign, mask, value in expected:
        part = test.isel(voxel=np.flatnonzero(mask))
        assert len(np.unique(part.cluster)) == 1 and (np.sign(part.t) == sign).all()
        np.testing.assert_allclose(part.statistic, value, rtol=1e-12)
        np.testing.assert_allclose(part.p_fwe, np.mean(largest >= value - 1e-9), rtol=1e-12)
    outside = test.cluster.values == 0
    assert (test.p_fwe.values[outside] == 1).all() and (test.statistic.values[outside] == 0).all()
    assert outside.sum() == 42 - sum(mask.sum() for _, mask, _ in expected)


@pytest.mark.parametrize("graph", ["line", "grid", "time x space"])
@pytest.mark.parametrize(("tail", "their_tail"), [("two-sided", 0), ("greater", 1)])
def test_equals_mne(graph, tail, their_tail):  # correctness.md b4
    mne = pytest.importorskip("mne")
    mask = np.random.default_rng(2).random((7, 6, 5)) > 0.2
    grid = grid_adjacency(mask, 18)
    x, adjacency = {
        "line": lambda: (smooth_scores(8, (120,)), line_adjacency(120)),
        "grid": lambda: (smooth_scores(8, mask.shape, sigma=0.4)[:, mask], grid),
        "time x space": lambda: (
            np.stack([smooth_scores(8, (7, 6, 5), seed=s)[:, mask] for s in range(3)], axis=1),
            combine_adjacency(3, grid),
        ),
    }[graph]()
    x = x.reshape(8, -1) + 0.25
    test = cluster_test(x, adjacency, threshold=2.0, tail=tail)
    t, clusters, p, null = mne.stats.permutation_cluster_1samp_test(
        x, threshold=2.0, tail=their_tail, n_permutations="all", adjacency=adjacency.astype(int),
        out_type="mask", verbose="ERROR",
    )  # fmt: skip
    np.testing.assert_allclose(test.t, t, rtol=1e-11, atol=1e-12)
    assert test.cluster.max() == len(clusters) > 2
    rows = 256 if tail == "greater" else 128
    assert len(null) == rows - 1  # theirs lacks a flip
    for mask, their_p in zip(clusters, p, strict=True):
        part = test.isel(voxel=np.flatnonzero(mask))
        assert len(np.unique(part.cluster)) == 1
        assert (test.cluster == part.cluster[0]).sum() == mask.sum()
        np.testing.assert_allclose(part.statistic, abs(t[mask].sum()), rtol=1e-11)
        ours, theirs = part.p_fwe[0].item() * rows, their_p * (rows - 1)
        assert abs(round(ours) - round(theirs)) <= 1 and ours == pytest.approx(round(ours))


def test_default_threshold_is_that_of_p_below_one_in_a_thousand():
    x = smooth_scores(12, (30,)) + 1.5
    for tail, p in (("two-sided", 0.0005), ("greater", 0.001)):
        test = cluster_test(x, line_adjacency(30), tail=tail)
        assert test.attrs["threshold_t"] == pytest.approx(student(11).isf(p), rel=1e-12)
        t = ttest_1samp(x, 0).statistic
        np.testing.assert_array_equal(test.cluster.values > 0, t > student(11).isf(p))


def test_clusters_are_numbered_by_falling_statistic_within_each_map():
    x = smooth_scores(10, (40, 2), sigma=0.0)
    x[:, 5:9] += 2
    x[:, 20:30, 1] -= 2
    test = cluster_test(named(x, ("time",), "ab"), line_adjacency(40), threshold=3.0)
    for name in "ab":
        part = test.sel(reference=name)
        values = [float(part.statistic[part.cluster == k][0])
                  for k in range(1, int(part.cluster.max()) + 1)]  # fmt: skip
        assert values == sorted(values, reverse=True) and len(values) >= 1
    assert float(test.sel(reference="b").t[test.sel(reference="b").cluster == 1][0]) < 0


def test_largest_cluster_is_taken_over_all_maps():
    x = smooth_scores(9, (25, 3)) + 0.4
    scores = named(x, ("time",), "abc")
    whole, dearer = cluster_test(scores, line_adjacency(25), threshold=2.0), 0
    for name in "abc":
        part = cluster_test(scores.sel(reference=name), line_adjacency(25), threshold=2.0)
        one = whole.sel(reference=name)
        np.testing.assert_array_equal(one.cluster, part.cluster)
        assert (one.p_fwe >= part.p_fwe).all()
        dearer += int((one.p_fwe > part.p_fwe).sum())
    assert dearer > 0
    # the same three maps side by side, without a bridge, are one map
    side = np.concatenate([x[..., i] for i in range(3)], axis=1)
    bridge = line_adjacency(75).tolil()
    for i in (24, 49):
        bridge[i, i + 1] = bridge[i + 1, i] = False
    joined = cluster_test(side, bridge.tocsr(), threshold=2.0)
    np.testing.assert_array_equal(whole.p_fwe.values.T.ravel(), joined.p_fwe.values)
    assert whole.attrs["family"] == ["reference", "time"] and whole.attrs["places"] == ["time"]


def test_places_may_span_two_dimensions_in_any_layout():
    x = smooth_scores(9, (5, 12)) + 0.5
    scores = named(x, ("vertex", "time"))
    graph = combine_adjacency(line_adjacency(5), 12)
    test = cluster_test(scores, graph, threshold=2.0)
    flat = cluster_test(x.reshape(9, -1), graph, threshold=2.0)
    np.testing.assert_array_equal(test.cluster.values.ravel(), flat.cluster.values)
    assert test.attrs["places"] == ["vertex", "time"]
    turned = cluster_test(scores.transpose("time", "subject", "vertex"), graph, threshold=2.0,
                          places=("vertex", "time"))  # fmt: skip
    assert turned.cluster.dims == ("time", "vertex")
    assert_same(test, turned.transpose("vertex", "time"))
    apart = cluster_test(scores, line_adjacency(12), threshold=2.0, places="time")
    for vertex in range(5):
        alone = cluster_test(x[:, vertex], line_adjacency(12), threshold=2.0)
        np.testing.assert_array_equal(apart.cluster.values[vertex], alone.cluster.values)


def test_missing_places_part_clusters_and_take_no_part():
    x = smooth_scores(10, (20,), sigma=0.0) + 2
    whole = cluster_test(x, line_adjacency(20), threshold=2.5)
    assert whole.cluster.max() == 1
    x[4, 9] = np.nan
    x[:, 15] = 0.7
    with pytest.warns(DataWarning) as caught:
        test = cluster_test(x, line_adjacency(20), threshold=2.5)
    texts = " ".join(str(w.message) for w in caught)
    assert "1 places lack a score" in texts and "1 places hold the same score" in texts
    labels = test.cluster.values
    assert labels[9] == labels[15] == 0
    assert len({*labels[:9]}) == len({*labels[10:15]}) == len({*labels[16:]}) == 1
    assert len(set(labels)) == 4
    assert np.isnan(test.p_fwe[[9, 15]]).all() and np.isnan(test.statistic[[9, 15]]).all()
    # nothing reaches over the gap: the parts as maps of their own, in one family
    graph = line_adjacency(20).tolil()
    for gap in (9, 15):
        graph[gap, :] = graph[:, gap] = 0
    keep = np.delete(np.arange(20), [9, 15])
    apart = cluster_test(x[:, keep], graph.tocsr()[keep][:, keep], threshold=2.5)
    np.testing.assert_array_equal(test.p_fwe.values[keep], apart.p_fwe.values)


def test_nothing_but_missing_places_stays_silent_and_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = cluster_test(np.full((8, 5), np.nan), line_adjacency(5))
    assert np.isnan(test.p_fwe).all() and (test.cluster == 0).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), statistic=st.sampled_from(["mass", "size"]))
def test_mirrored_data_mirror_the_clusters(seed, statistic):  # P38, trap 34
    x = smooth_scores(8, (40,), seed)
    graph = line_adjacency(40)
    one, two = (cluster_test(y, graph, threshold=1.5, statistic=statistic) for y in (x, -x))
    np.testing.assert_array_equal(one.t, -two.t)
    np.testing.assert_array_equal(one.statistic, two.statistic)
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)
    for a, b in ((one, two), (two, one)):  # the same places belong together; ties may renumber
        for k in range(1, int(a.cluster.max()) + 1):
            assert len(np.unique(b.cluster.values[a.cluster.values == k])) == 1
    for k in range(1, int(one.cluster.max()) + 1):
        assert len(np.unique(np.sign(one.t.values[one.cluster.values == k]))) == 1


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-200, 1e-13, 3.0, 1e150]))
def test_unit_of_scores_is_irrelevant_and_p_within_bounds(seed, scale):  # P37, P39
    x = smooth_scores(7, (30,), seed)
    one, two = (cluster_test(y, line_adjacency(30), threshold=1.5) for y in (x, x * scale))
    np.testing.assert_array_equal(one.cluster, two.cluster)
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)
    assert one.p_fwe.min() >= one.attrs["minimum_p"] and one.p_fwe.max() <= 1


@pytest.mark.parametrize("n_permutations", [10_000, 300])
def test_order_of_subjects_and_jobs_change_no_bit(n_permutations):  # P40
    x = smooth_scores(15, (9, 8, 7)).reshape(15, -1) + 0.1
    scores, graph = named(x), grid_adjacency(np.ones((9, 8, 7)), 26)
    one = cluster_test(scores, graph, n_permutations=n_permutations, threshold=2.0)
    order = np.random.default_rng(0).permutation(15)
    for n_jobs in (2, 4):
        other = cluster_test(scores.isel(subject=order), graph, n_permutations=n_permutations,
                             threshold=2.0, n_jobs=n_jobs)  # fmt: skip
        assert_same(one, other)
    assert one.attrs["exact"] == 0 and one.attrs["n_permutations"] == n_permutations


def test_groups_of_four_give_the_same_clusters(monkeypatch):  # what very large maps use
    x, graph = smooth_scores(15, (200,)) + 0.3, line_adjacency(200)
    one = cluster_test(x, graph, n_permutations=1000, threshold=1.5)
    monkeypatch.setattr(graph_maps, "_TABLES", 0)
    two = cluster_test(x, graph, n_permutations=1000, threshold=1.5)
    np.testing.assert_allclose(one.statistic, two.statistic, rtol=1e-12)
    np.testing.assert_array_equal(one.p_fwe, two.p_fwe)


def test_first_permutations_are_those_of_a_shorter_run():  # P42
    x, graph = smooth_scores(16, (80,)) + 0.4, line_adjacency(80)
    short = cluster_test(x, graph, n_permutations=100, threshold=2.0)
    long = cluster_test(x, graph, n_permutations=1000, threshold=2.0)
    counts = short.p_fwe * 100, long.p_fwe * 1000
    assert (counts[0] <= counts[1] + 1e-9).all() and (counts[1] <= counts[0] + 900 + 1e-9).all()


def test_scores_of_equal_size_are_no_infinite_cluster():
    # Every flip of |x| = 1 that makes all signs equal has infinite t; they must tie.
    x = np.tile([[1.0], [1], [1], [1], [1], [-1], [1]], (1, 6))
    test = cluster_test(x, line_adjacency(6), threshold=1.0)
    sums = np.abs(np.arange(7, -8, -2))  # 0 to 7 subjects negated
    ways = np.array([1, 7, 21, 35, 35, 21, 7, 1])
    expected = ways[sums >= 5].sum() / 128
    np.testing.assert_allclose(test.p_fwe, expected)


def test_planted_cluster_is_found():
    x = smooth_scores(16, (10, 10, 10), seed=4)
    x[:, 2:5, 2:5, 2:5] += 1.2
    test = cluster_test(x.reshape(16, -1), grid_adjacency(np.ones((10, 10, 10)), 18),
                        n_permutations=1000)  # fmt: skip
    inside = np.zeros((10, 10, 10), bool)
    inside[2:5, 2:5, 2:5] = True
    found = (test.p_fwe.values < 0.05).reshape(inside.shape)
    assert found[inside].mean() > 0.8 and found[~inside].mean() < 0.02


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"statistic": "maximum"}, "statistic='maximum' is not known"),
        ({"tail": "less"}, "tail='less' is not known"),
        ({"threshold": 0}, "threshold: is not a valid number"),
        ({"threshold": "high"}, "threshold: is not a valid number"),
        ({"threshold": np.nan}, "threshold: is not a valid number"),
        ({"places": "vertex"}, "places='vertex' is not known"),
        ({"places": ()}, "must name the dimensions"),
        ({"places": ("voxel", "voxel")}, "each once"),
        ({"adjacency": line_adjacency(9)}, "spans 9 places, but the scores have 10: voxel .10."),
        ({"n_permutations": 0}, "n_permutations: is not valid"),
    ],
)
def test_refusals(options, match):
    options = {"adjacency": line_adjacency(10)} | options
    with pytest.raises(InputError, match=match):
        cluster_test(smooth_scores(8, (10,)), options.pop("adjacency"), **options)


def test_scores_of_references_alone_have_no_places():
    scores = xr.DataArray(np.ones((8, 3)), dims=("subject", "reference"))
    with pytest.raises(InputError, match="must name the dimensions that the adjacency spans"):
        cluster_test(scores, line_adjacency(3))


@pytest.mark.parametrize(("n", "tail"), [(5, "two-sided"), (4, "greater")])
def test_too_few_subjects(n, tail):  # trap 32
    x = smooth_scores(n, (10,))
    with pytest.raises(InputError, match="smallest attainable p"):
        cluster_test(x, line_adjacency(10), tail=tail)
    with pytest.warns(DataWarning, match="cannot reach"):
        cluster_test(x, line_adjacency(10), tail=tail, allow_small=True)


def test_flips_that_split_alpha_and_skewed_scores_warn():  # traps 31, 33
    x = np.random.default_rng(0).exponential(size=(16, 50)) - 1
    with pytest.warns(DataWarning) as caught:
        cluster_test(x, line_adjacency(50), n_permutations=150)
    texts = " ".join(str(w.message) for w in caught)
    assert "multiple of 20" in texts and "skewed" in texts


def test_attributes_say_what_was_done_in_types_that_files_hold():
    test = cluster_test(named(smooth_scores(8, (10, 2)), ("time",), "ab"), line_adjacency(10))
    assert test.attrs["generalises_to"] == "subjects" and test.attrs["n_permutations"] == 256
    assert {"tail", "family", "exact", "seed", "minimum_p", "places", "threshold_t",
            "cluster_statistic"} <= set(test.attrs)  # fmt: skip
    for value in test.attrs.values():
        items = value if isinstance(value, list) else [value]
        assert all(type(item) in (int, float, str) for item in items)
