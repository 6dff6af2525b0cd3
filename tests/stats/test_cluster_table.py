"""One row per cluster, with the peak where it is."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from graph_scores import named, smooth_scores

from neurodnn._checks import InputError
from neurodnn.numerics.adjacency import combine_adjacency, line_adjacency
from neurodnn.stats.cluster_table import cluster_table
from neurodnn.stats.clusters import cluster_test
from neurodnn.stats.reference_study import reference_cluster_test

pytestmark = pytest.mark.filterwarnings("ignore:scores. the distribution:neurodnn.DataWarning")


def _scores():
    x = smooth_scores(12, (40, 2), sigma=0.0)
    x[:, 5:10, 0] += 2
    x[:, 20:32, 0] -= 2
    x[:, 7, 0] += 3
    scores = named(x, ("voxel",), ["conv1", "fc8"])
    return scores.assign_coords(voxel=np.arange(40) + 100, x=("voxel", np.arange(40) * 3.0 - 60))


@pytest.mark.parametrize("statistic", ["mass", "size"])
def test_rows_say_what_the_maps_say(statistic):
    test = cluster_test(_scores(), line_adjacency(40), threshold=3.0, statistic=statistic)
    table = cluster_table(test)
    assert list(table.columns) == [
        "reference", "cluster", "sign", "size", "mass", "statistic", "p_fwe", "peak", "peak_voxel",
        "peak_x", "peak_t", "peak_mean",
    ]  # fmt: skip
    first = table[table.reference == "conv1"]
    assert list(first.cluster) == list(range(1, len(first) + 1))
    assert first.statistic.is_monotonic_decreasing
    for row in table.itertuples():
        part = test.sel(reference=row.reference)
        inside = part.cluster.values == row.cluster
        assert row.size == inside.sum()
        assert row.mass == pytest.approx(np.abs(part.t.values[inside]).sum())
        assert row.statistic == pytest.approx(row.mass if statistic == "mass" else row.size)
        assert row.p_fwe == part.p_fwe.values[inside][0]
        assert inside[row.peak] and abs(row.peak_t) == np.abs(part.t.values[inside]).max()
        assert row.peak_voxel == row.peak + 100 and row.peak_x == row.peak * 3.0 - 60
        assert row.peak_mean == part["mean"].values[row.peak]
        assert row.sign == np.sign(row.peak_t)
    assert {-1, 1} == set(first.sign[:2])


def test_peaks_in_two_dimensions_have_both_coordinates():
    x = smooth_scores(10, (4, 15), sigma=0.0)
    x[:, 2, 6] += 6
    scores = named(x, ("vertex", "time")).assign_coords(time=np.arange(15) / 100)
    test = cluster_test(scores, combine_adjacency(4, 15), threshold=4.0)
    row = cluster_table(test).iloc[0]
    assert (row["peak"], row["peak_vertex"], row["peak_time"]) == (2 * 15 + 6, 2, 0.06)
    assert "reference" not in cluster_table(test)
    again = cluster_table(test, places=("vertex", "time"))
    assert again.equals(cluster_table(test))


def test_no_cluster_gives_an_empty_table_of_the_same_columns():
    scores = _scores()
    some = cluster_table(cluster_test(scores, line_adjacency(40), threshold=3.0))
    none = cluster_table(cluster_test(scores, line_adjacency(40), threshold=500.0))
    assert len(none) == 0 and list(none.columns) == list(some.columns)


def test_the_original_test_tells_significance():
    test = reference_cluster_test(_scores(), line_adjacency(40), cluster_alpha=0.05,
                                  n_permutations=200)  # fmt: skip
    table = cluster_table(test)
    assert table.significant.dtype == bool and table.significant.any()
    assert (table.significant == (table.p_fwe <= 0.05)).all()


def test_refusals():
    with pytest.raises(InputError, match="holds no clusters"):
        cluster_table(xr.Dataset({"t": ("voxel", [1.0])}))
    test = cluster_test(_scores(), line_adjacency(40))
    with pytest.raises(InputError, match="places='vertex' is not known"):
        cluster_table(test, "vertex")
