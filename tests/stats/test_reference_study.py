"""The original cluster test against a plain transcription of its published description."""

from __future__ import annotations

import numpy as np
import pytest
from graph_scores import assert_same, named, smooth_scores
from scipy import ndimage
from scipy.stats import rankdata

from neurodnn._checks import DataWarning, InputError
from neurodnn.numerics.adjacency import combine_adjacency, grid_adjacency, line_adjacency
from neurodnn.stats.flips import plan_flips
from neurodnn.stats.reference_study import reference_cluster_test

pytestmark = pytest.mark.filterwarnings("ignore:scores. the distribution:neurodnn.DataWarning")


def _transcribed(x, signs, shape, structure, cluster_alpha, alpha, weighted, two_sided):
    """Step by step, with nothing but numpy, scipy's tied ranks and scipy's labels."""
    n_permutations = len(signs)
    stat = np.array([(s[:, None] * x).mean(0) / (s[:, None] * x).std(0, ddof=1) for s in signs])
    if two_sided:
        stat = np.abs(stat)
    # permutations of the same signs, or all opposite, tie; rounding must not part them
    p = (n_permutations + 1 - rankdata(stat.round(10), axis=0)) / n_permutations
    largest = []
    for i in range(n_permutations):
        inside = p[i] <= cluster_alpha if i == 0 else p[i] < cluster_alpha
        labels, count = ndimage.label(inside.reshape(shape), structure)
        weights = stat[i].reshape(shape) if weighted else np.ones(shape)
        sums = ndimage.sum(weights, labels, np.arange(1, count + 1))
        largest.append(max(sums, default=0))
        if i == 0:
            observed = labels, np.concatenate([[0], sums])
    threshold = np.sort(largest)[round(n_permutations * (1 - alpha)) - 1]
    labels, sums = observed
    significant = (sums * (1 - 1e-9) > threshold)[labels] & (labels > 0)
    return p[0], labels, sums[labels], threshold, significant


@pytest.mark.parametrize("tail", ["two-sided", "greater"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n", "shape", "cluster_alpha", "alpha"),
    [(12, (60,), 0.05, 0.05), (6, (60,), 0.1, 0.1), (15, (6, 5, 4), 0.01, 0.05),
     (10, (9, 11), 0.03, 0.05)],
)  # fmt: skip
def test_equals_the_published_description(tail, weighted, n, shape, cluster_alpha, alpha):
    x = smooth_scores(n, shape, seed=n).reshape(n, -1)
    x[:, : x.shape[1] // 4] += 0.6
    graph, structure = {
        1: lambda: (line_adjacency(shape[0]), None),
        2: lambda: (combine_adjacency(*shape), None),
        3: lambda: (grid_adjacency(np.ones(shape), 18), ndimage.generate_binary_structure(3, 2)),
    }[len(shape)]()
    scores = named(x)
    flips = plan_flips(list(scores.subject.values), 400, tail, 3, enumerate_few=False)
    bits = np.unpackbits(flips.codes, axis=1, bitorder="little")[:, :n]
    assert len(bits) == 400 and not bits[0].any()
    p, labels, sums, threshold, significant = _transcribed(
        x, 1 - 2.0 * bits, shape, structure, cluster_alpha, alpha, weighted, tail == "two-sided"
    )
    test = reference_cluster_test(
        scores, graph, cluster_alpha=cluster_alpha, alpha=alpha, weighted=weighted, tail=tail,
        n_permutations=400, seed=3,
    )  # fmt: skip
    np.testing.assert_array_equal(test.p, p)
    np.testing.assert_allclose(test.statistic, sums.ravel(), rtol=1e-11)
    assert float(test.cluster_threshold) == pytest.approx(threshold, rel=1e-11)
    np.testing.assert_array_equal(test.significant, significant.ravel())
    for k in range(1, labels.max() + 1):
        assert len(np.unique(test.cluster.values[(labels == k).ravel()])) == 1
    assert ((test.p_fwe <= alpha + 1e-12) == test.significant).all()
    assert labels.max() > 0 and test.attrs["exact"] == 0


def test_something_is_found_and_something_is_not():  # the test above would pass on nothing
    x = smooth_scores(15, (80,), seed=1)
    x[:, 10:25] += 1.5
    test = reference_cluster_test(x, line_adjacency(80), cluster_alpha=0.05, n_permutations=1000)
    assert test.significant[12:23].all()
    assert (test.cluster > 0).sum() > test.significant.sum()
    assert not test.significant[40:].any()


def test_each_map_has_its_own_threshold():
    scores = named(smooth_scores(12, (50, 2)) + 0.3, ("time",), "ab")
    options = {"cluster_alpha": 0.05, "n_permutations": 200}
    both = reference_cluster_test(scores, line_adjacency(50), **options)
    for name in "ab":
        alone = reference_cluster_test(scores.sel(reference=name), line_adjacency(50), **options)
        assert_same(both.sel(reference=name), alone)
    assert both.cluster_threshold.dims == ("reference",) and both.attrs["family"] == ["time"]


def test_missing_places_take_no_part():
    x = smooth_scores(12, (40,)) + 0.5
    x[3, 20] = np.nan
    with pytest.warns(DataWarning, match="1 places lack"):
        test = reference_cluster_test(x, line_adjacency(40), cluster_alpha=0.1, n_permutations=200)
    graph = line_adjacency(40)
    keep = np.delete(np.arange(40), 20)
    alone = reference_cluster_test(x[:, keep], graph[keep][:, keep], cluster_alpha=0.1,
                                   n_permutations=200)  # fmt: skip
    np.testing.assert_array_equal(test.cluster[keep], alone.cluster)
    np.testing.assert_array_equal(test.p_fwe[keep], alone.p_fwe)
    assert np.isnan(test.p[20]) and np.isnan(test.p_fwe[20]) and not test.significant[20]


def test_order_of_subjects_and_jobs_change_no_bit():
    scores = named(smooth_scores(13, (500,)) + 0.2)
    for weighted in (False, True):
        options = {"cluster_alpha": 0.05, "n_permutations": 400, "weighted": weighted}
        one = reference_cluster_test(scores, line_adjacency(500), **options)
        order = np.random.default_rng(0).permutation(13)
        for n_jobs in (2, 4):
            assert_same(one, reference_cluster_test(
                scores.isel(subject=order), line_adjacency(500), n_jobs=n_jobs, **options
            ))  # fmt: skip


def test_too_few_subjects_for_the_threshold_warn():
    # 7 subjects have 64 different |t|: no tied rank gives p < .001
    with pytest.warns(DataWarning, match="no place has p < 0.001.*64 different statistics"):
        reference_cluster_test(smooth_scores(7, (30,)), line_adjacency(30), n_permutations=1000)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"alpha": 0.05 / 8}, "is 9937.5, which is no whole number"),
        ({"alpha": 0}, "alpha: is not a valid number"),
        ({"cluster_alpha": 0}, "cluster_alpha: is not a valid number"),
        ({"n_permutations": "exact"}, "n_permutations: is not valid"),
        ({"tail": "less"}, "tail='less' is not known"),
    ],
)
def test_refusals(options, match):
    with pytest.raises(InputError, match=match):
        reference_cluster_test(smooth_scores(8, (10,)), line_adjacency(10), **options)


def test_too_few_subjects_are_refused():  # repeats do not make 5 subjects more
    with pytest.raises(InputError, match="smallest attainable p is 0.0625"):
        reference_cluster_test(smooth_scores(5, (10,)), line_adjacency(10))
