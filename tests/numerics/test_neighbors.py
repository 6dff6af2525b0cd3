from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from neurodnn._checks import InputError
from neurodnn.numerics.neighbors import ball_neighbors, ball_offsets, full_ball_size

OBLIQUE = Rotation.from_euler("xyz", [30, 20, 40], degrees=True).as_matrix() @ np.diag([2, 2, 4])
PERMUTED = np.array([[0.0, 0, 4], [2, 0, 0], [0, 2, 0]])


def by_brute_force(mask, affine, radius):
    """Distances of all pairs of voxels in mm, from their world coordinates."""
    places = np.argwhere(mask) @ np.asarray(affine)[:3, :3].T
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    return distances <= radius + 1e-9


@pytest.mark.parametrize(
    ("steps", "radius", "strict", "inclusive"),
    [
        ((1, 1, 1), 1, 1, 7),
        ((1, 1, 1), 2, 27, 33),
        ((1, 1, 1), 3, 93, 123),
        ((3, 3, 3), 9, 93, 123),
        ((3, 3, 3), 12, 251, 257),
        ((2, 2, 2), 4, 27, 33),
        ((2, 2, 3), 3, 9, 11),
        ((2, 2, 3), 4, 19, 23),
        ((2, 2, 3), 6, 67, 73),
        ((1, 2, 6), 3, 15, 17),
        ((1, 2, 6), 4, 21, 25),
        ((1, 2, 6), 6, 51, 57),
        ((0.1, 0.1, 0.1), 0.3, 93, 123),  # sums of rounded steps
    ],
)
def test_voxel_counts(steps, radius, strict, inclusive):
    affine = np.diag([*steps, 1.0])
    assert full_ball_size(affine, radius, inclusive=False) == strict
    assert full_ball_size(affine, radius) == inclusive
    counts = ball_neighbors(np.ones((13, 7, 9), bool), affine, radius).sum(axis=1)
    if max(radius / np.array(steps)) < 4:
        assert counts.max() == inclusive


@pytest.mark.parametrize(("affine", "shared"), [(OBLIQUE, 49), (PERMUTED, 47)])
def test_oblique_and_permuted_affines(affine, shared):
    """Golden set G4: a transposed affine finds other voxels."""
    right = {tuple(step) for step in ball_offsets(affine, 6.1, inclusive=False)}
    turned = {tuple(step) for step in ball_offsets(affine.T, 6.1, inclusive=False)}
    assert len(right) == 71
    assert len(right & turned) == shared
    mask = np.ones((7, 7, 7), bool)
    full = np.eye(4)
    full[:3, :3] = affine
    middle = np.ravel_multi_index((3, 3, 3), mask.shape)
    row = ball_neighbors(mask, full, 6.1, min_share=0).toarray()[middle]
    assert {tuple(np.subtract(place, 3)) for place in np.argwhere(row.reshape(7, 7, 7))} == right


@given(st.integers(0, 10_000))
def test_equals_brute_force_and_keeps_its_promises(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(tuple(rng.integers(3, 7, 3))) < 0.7
    mask[0, 0, 0] = True
    steps = Rotation.random(random_state=seed).as_matrix() @ np.diag(rng.uniform(1, 4, 3))
    radius = rng.uniform(1, 8)
    neighbors = ball_neighbors(mask, steps, radius, min_share=0)
    dense = neighbors.toarray()
    np.testing.assert_array_equal(dense, by_brute_force(mask, steps, radius))
    assert dense.diagonal().all()
    np.testing.assert_array_equal(dense, dense.T)
    larger = ball_neighbors(mask, steps, radius * 1.3, min_share=0).toarray()
    assert (larger | ~dense).all()
    members = np.split(neighbors.indices, neighbors.indptr)[1:-1]
    assert all((np.diff(row) > 0).all() for row in members)
    assert neighbors.indices.dtype == np.int32
    turned = Rotation.random(random_state=seed + 1).as_matrix() @ steps
    again = ball_neighbors(mask, turned, radius, min_share=0).toarray()
    np.testing.assert_array_equal(again, dense)


def test_flips_and_permutations_of_storage_hold_the_same_neighbours():
    rng = np.random.default_rng(0)
    mask = rng.random((5, 6, 4)) < 0.8
    numbers = np.arange(mask.size).reshape(mask.shape)
    expected = by_brute_force(mask, OBLIQUE, 6.1)
    for axes, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        move = tuple(slice(None, None, step) for step in flips)
        stored, own = mask.transpose(axes)[move], numbers.transpose(axes)[move]
        affine = OBLIQUE[:, axes] * flips
        found = ball_neighbors(stored, affine, 6.1, min_share=0).toarray()
        order = np.argsort(own[stored])
        np.testing.assert_array_equal(found[np.ix_(order, order)], expected)


def test_centres_with_too_small_a_share_of_the_ball_are_left_out():
    mask = np.ones((6, 6, 6), bool)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    everything = ball_neighbors(mask, affine, 6.0, min_share=0)
    full = full_ball_size(affine, 6.0)
    for share in (0.25, 0.5, 1.0):
        sizes = everything.sum(axis=1)
        kept = ball_neighbors(mask, affine, 6.0, min_share=share)
        np.testing.assert_array_equal(kept.sum(axis=1), np.where(sizes >= share * full, sizes, 0))
    half = ball_neighbors(mask, affine, 6.0)
    assert (half != ball_neighbors(mask, affine, 6.0, min_share=0.5)).nnz == 0


def test_radius_in_voxels_does_not_look_at_the_affine():
    mask = np.ones((7, 7, 7), bool)
    in_voxels = ball_neighbors(mask, np.diag([2, 3, 9, 1]), 3, unit="voxel", min_share=0)
    assert (in_voxels != ball_neighbors(mask, np.eye(4), 3, min_share=0)).nnz == 0
    strict = ball_neighbors(mask, np.eye(4), 3, unit="voxel", inclusive=False, min_share=0)
    assert strict.sum(axis=1).max() == 93


def test_an_infinite_radius_holds_the_whole_mask():
    mask = np.random.default_rng(1).random((4, 5, 3)) < 0.6
    assert ball_neighbors(mask, OBLIQUE, 200.0, min_share=0).toarray().all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mask": np.zeros((3, 3, 3))}, "at least one voxel"),
        ({"mask": np.ones((3, 3))}, "3-D"),
        ({"radius": 0}, "radius"),
        ({"radius": np.nan}, "radius"),
        ({"affine": np.ones((4, 4))}, "three dimensions"),
        ({"affine": np.zeros((4, 4))}, "three dimensions"),
        ({"affine": np.full((4, 4), np.nan)}, "three dimensions"),
        ({"affine": np.eye(2)}, "4 x 4"),
        ({"unit": "cm"}, "unit='cm'"),
        ({"min_share": 2}, "min_share"),
    ],
)
def test_refusals(changes, text):
    arguments = {"mask": np.ones((3, 3, 3)), "affine": np.eye(4), "radius": 2.0} | changes
    with pytest.raises(InputError, match=text):
        ball_neighbors(**arguments)
