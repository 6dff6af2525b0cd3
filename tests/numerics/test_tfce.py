"""TFCE against closed forms, a loop over thresholds, MNE, and its own symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neurodnn.numerics.adjacency import combine_adjacency, grid_adjacency, line_adjacency
from neurodnn.numerics.descending import descend, sort_space
from neurodnn.numerics.signflips import add_flips, signed_sums
from neurodnn.numerics.tfce import prepare, tally_tfce, tfce_scores


def _by_thresholds(grid, step, extent, height, rank):
    """The definition: label every threshold, add step * h**H * size**E."""
    scores = np.zeros(grid.shape)
    structure = ndimage.generate_binary_structure(grid.ndim, rank)
    for sign in (1, -1):
        for k in range(1, int(np.abs(grid).max() / step) + 2):
            labels, count = ndimage.label(sign * grid > k * step, structure)
            sizes = np.bincount(labels.ravel(), minlength=count + 1).astype(float)
            sizes[0] = 0
            scores += sign * step * (k * step) ** height * (sizes**extent)[labels] * (labels > 0)
    return scores


def _smooth(shape, seed=0, sigma=1.0):
    grid = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return grid / grid.std() * 1.5


@pytest.mark.parametrize("shape", [(40,), (12, 15), (7, 8, 9)])
@pytest.mark.parametrize("exponents", [(0.5, 2.0), (1.0, 2.0), (0.7, 1.3)])
@pytest.mark.parametrize("step", [0.1, 0.37])
def test_stepped_form_equals_labelling_each_threshold(shape, exponents, step):
    grid = _smooth(shape)
    connectivity = {1: 2, 2: 4, 3: 6}[grid.ndim]
    graph = grid_adjacency(np.ones(shape), connectivity)
    scores = tfce_scores(grid.ravel(), graph, exponents=exponents, step=step)
    expected = _by_thresholds(grid, step, *exponents, 1)
    np.testing.assert_allclose(scores, expected.ravel(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("shape", "width"), [((21,), 5), ((9, 11), 4), ((6, 7, 8), 3)])
def test_box_has_its_closed_form(shape, width):  # A12
    height, inside = 3.0, np.zeros(shape, dtype=bool)
    inside[tuple(slice(1, 1 + width) for _ in shape)] = True
    values = np.where(inside, height, 0.0).ravel()
    extent = width ** len(shape)
    exact = np.sqrt(extent) * height**3 / 3
    graph = grid_adjacency(np.ones(shape), {1: 2, 2: 8, 3: 26}[len(shape)])
    scores = tfce_scores(values, graph)
    np.testing.assert_allclose(scores[inside.ravel()], exact, rtol=1e-14)
    assert (scores[~inside.ravel()] == 0).all()
    errors = [
        np.abs(tfce_scores(values, graph, step=step)[inside.ravel()] / exact - 1).max()
        for step in (height / 100, height / 200, height / 10_000)
    ]
    # Thresholds lie strictly below the top, as MNE's do: a sum is 1.5 steps short to first order.
    assert errors[0] <= 0.0151 and errors[1] <= 0.01 and errors[2] <= 0.00016


def test_figures_of_the_published_comparison():  # correctness.md b4: MNE at three steps
    box = np.array([0, 3.0, 3, 3, 3, 3, 0])
    for step, score in ((0.5, 15.37), (0.1, 19.13), (0.01, 20.02)):
        assert tfce_scores(box, line_adjacency(7), step=step)[3] == pytest.approx(score, abs=0.005)
    assert tfce_scores(np.array([0, 3.0, 0]), line_adjacency(3))[1] == 9.0
    assert tfce_scores(np.array([0, 3.0, 0]), line_adjacency(3), step=0.01)[1] == pytest.approx(
        8.955, abs=0.0005
    )


@pytest.mark.parametrize("shape", [(40,), (15, 12), (7, 8, 9)])
def test_steps_converge_on_the_exact_integral(shape):  # A12
    grid = _smooth(shape, 1)
    graph = grid_adjacency(np.ones(shape), {1: 2, 2: 4, 3: 18}[grid.ndim])
    exact, top = tfce_scores(grid.ravel(), graph), np.abs(grid).max()
    high = np.abs(exact) > np.abs(exact).max() / 10
    errors = [
        np.abs(tfce_scores(grid.ravel(), graph, step=step)[high] / exact[high] - 1).max()
        for step in (top / 100, top / 1000, top / 10_000)
    ]
    assert errors[0] < 0.05 and errors[1] < 0.005 and errors[2] < 0.0005


def test_cone_on_a_line_has_its_closed_form():
    # t(i) = 10 - |i|: at h in (k, k + 1) the cone is 2 (9 - k) + 1 places wide
    values = 10.0 - np.abs(np.arange(-9, 10))
    scores = tfce_scores(values, line_adjacency(19))
    bands = [np.sqrt(2 * (9 - k) + 1) * ((k + 1) ** 3 - k**3) / 3 for k in range(10)]
    np.testing.assert_allclose(scores[9:], np.cumsum(bands)[::-1], rtol=1e-13)


def test_scores_equal_those_of_mne():
    mne = pytest.importorskip("mne", minversion="1.13.2")
    x = np.random.default_rng(0).normal(0.3, 1, size=(8, 6, 5, 4)).reshape(8, -1)
    for graph in (grid_adjacency(np.ones((6, 5, 4)), 18), combine_adjacency(6, 20)):
        for step in (0.1, 0.23):
            theirs, _, _, _ = mne.stats.permutation_cluster_1samp_test(
                x, threshold={"start": 0, "step": step}, tail=0, n_permutations=1,
                adjacency=graph.astype(int), verbose="ERROR",
            )  # fmt: skip
            t = x.mean(axis=0) / (x.std(axis=0, ddof=1) / np.sqrt(8))
            ours = tfce_scores(t, graph, step=step)
            np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-11)


@given(seed=st.integers(0, 2**32 - 1), step=st.sampled_from([None, 0.2]))
def test_never_negative_against_t_and_monotone_in_it(seed, step):  # P44
    grid = _smooth((30,), seed)
    scores = tfce_scores(grid, line_adjacency(30), step=step)
    assert (scores * np.sign(grid) >= 0).all()
    raised = grid.copy()
    place = int(np.abs(grid).argmin())
    raised[place] += np.sign(grid[place]) * 0.3
    more = tfce_scores(raised, line_adjacency(30), step=step)
    slack = 1e-12 * np.abs(more).max()
    assert (np.abs(more) >= np.abs(scores) - slack).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_mirror_and_order_of_places(seed):  # trap 34
    rng = np.random.default_rng(seed)
    grid = _smooth((6, 5), seed).ravel()
    graph = grid_adjacency(np.ones((6, 5)), 8)
    scores = tfce_scores(grid, graph)
    np.testing.assert_array_equal(tfce_scores(-grid, graph), -scores)
    order = rng.permutation(30)
    turned = tfce_scores(grid[order], graph[order][:, order])
    np.testing.assert_allclose(turned, scores[order], rtol=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["normal", "ties", "one bucket", "one far out", "zeros", "rising"]),
    n=st.integers(1, 600),
)
def test_descending_order_is_that_of_a_stable_sort(seed, kind, n):
    rng = np.random.default_rng(seed)
    values = {
        "normal": lambda: rng.normal(size=n),
        "ties": lambda: rng.integers(-3, 4, n).astype(float),
        "one bucket": lambda: 1 + 1e-9 * rng.random(n),
        "one far out": lambda: np.append(rng.random(n - 1) * 1e-12, 1e6),
        "zeros": lambda: np.zeros(n),
        "rising": lambda: np.append(np.arange(1, n) * 1e-300, 1.0),
    }[kind]()
    space = sort_space(n)
    for sign in (1.0, -1.0):
        count = descend(values, sign, space)
        places = np.flatnonzero(sign * values > 0)
        expected = places[np.argsort(-sign * values[places], kind="stable")]
        np.testing.assert_array_equal(space[2][:count], expected)
        np.testing.assert_array_equal(space[3][:count], sign * values[expected])
        assert (space[4] == 0).all()


@given(seed=st.integers(0, 2**32 - 1), step=st.sampled_from([None, 0.1]), tail=st.booleans())
def test_largest_of_each_flip_is_that_of_its_scores(seed, step, tail):
    rng, n = np.random.default_rng(seed), 9
    graph, x = grid_adjacency(np.ones((6, 5)), 8), _smooth((n, 6, 5), seed, (0, 1, 1)) + 0.3
    x[:, :2, :2] = rng.normal(size=(n, 1, 1))  # ties between places
    x = x.reshape(n, -1)
    units = x / np.sqrt(n * (x**2).sum(axis=0))
    codes = np.packbits(rng.random((12, n)) < 0.5, axis=1, bitorder="little")
    largest, pair = np.zeros(12), (graph.indptr, graph.indices)
    tables = signed_sums(units)
    tally_tfce(tables, codes, n - 1.0, tail, pair, prepare(30, (0.5, 2.0), step), largest)
    for flip, c in enumerate(add_flips(tables, codes)):
        t = c * np.sqrt((n - 1) / np.maximum(1 - c**2, 1e-10))
        scores = tfce_scores(t, graph, step=step)
        expected = np.abs(scores).max() if tail else scores.max(initial=0)
        assert largest[flip] == pytest.approx(expected, rel=1e-11)
