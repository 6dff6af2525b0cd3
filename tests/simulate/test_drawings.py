"""Drawings: the same from the same seed, with masks that agree with the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurodnn._checks import InputError
from neurodnn.simulate.canvas import COLOURS, Canvas, Fill, name_colours
from neurodnn.simulate.drawings import CONCEPTS, SCENE_NAMES, draw_scene, draw_stimulus_set

# What makes a place what it is, and therefore must be in every drawing of it.
ESSENTIAL = {
    "beach": {"sea", "beach"}, "bedroom": {"bed", "wall", "floor"}, "field": {"meadow"},
    "forest": {"ground"}, "kitchen": {"stove", "fridge", "cabinet"},
    "mountain": {"mountain", "meadow"}, "office": {"computer", "table"},
    "street": {"building", "road", "car"},
}


@pytest.fixture(scope="module")
def drawings():
    return draw_stimulus_set(64, seed=11, size=64)


def test_the_same_seed_gives_the_same_picture_and_another_seed_another():
    first, again = draw_scene(7, "street"), draw_scene(7, "street")
    np.testing.assert_array_equal(first.image, again.image)
    for category in CONCEPTS:
        np.testing.assert_array_equal(first.masks[category], again.masks[category])
    assert np.abs(draw_scene(8, "street").image.astype(int) - first.image).mean() > 5


def test_sets_of_other_seeds_share_no_picture():
    hashes = {drawing.image.tobytes() for seed in range(4)
              for drawing in draw_stimulus_set(8, seed, size=32)}
    assert len(hashes) == 32


def test_a_longer_set_begins_with_the_shorter_one(drawings):
    short = draw_stimulus_set(9, seed=11, size=64)
    assert [d.name for d in short] == [d.name for d in drawings[:9]]
    for one, other in zip(short, drawings, strict=False):
        np.testing.assert_array_equal(one.image, other.image)


def test_categories_come_in_turn_under_unique_names(drawings):
    assert [d.category for d in drawings] == list(SCENE_NAMES) * 8
    assert len({d.name for d in drawings}) == 64


def test_every_pixel_has_an_object_and_a_colour_and_the_scene_is_everywhere(drawings):
    for drawing in drawings:
        assert drawing.masks["object"].min() > 0
        assert drawing.masks["colour"].min() > 0
        assert drawing.concepts("scene") == [drawing.category]
        for category, names in CONCEPTS.items():
            assert drawing.masks[category].max() < len(names)
            assert drawing.masks[category].shape[-2:] == (64, 64)
            assert drawing.masks[category].dtype == np.uint8


def test_places_hold_what_makes_them_and_share_what_passes_by(drawings):
    seen = {}
    for drawing in drawings:
        found = set(drawing.concepts("object"))
        assert ESSENTIAL[drawing.category] <= found, drawing.name
        for name in found:
            seen.setdefault(name, set()).add(drawing.category)
    assert len(seen["person"]) >= 4
    assert len(seen["window"]) >= 2
    assert len(seen) >= 35


def test_parts_lie_in_the_objects_that_have_them(drawings):
    owners = {"wheel": {"car"}, "hull": {"boat"}, "pillow": {"bed"}, "roof": {"house", "building"},
              "trunk": {"tree", "pine", "palm"}, "snow": {"mountain"}, "screen": {"computer"}}
    checked = set()
    for drawing in drawings:
        for part, objects in owners.items():
            mask = drawing.mask("part", part)
            below = {CONCEPTS["object"][n] for n in np.unique(drawing.masks["object"][mask])}
            assert below <= objects, (drawing.name, part, below)
            checked |= {part} if mask.any() else set()
    assert checked == set(owners)


def test_details_lie_in_parts(drawings):
    for drawing in drawings:
        outer, inner = drawing.masks["part"]
        assert np.all(outer[inner > 0] > 0)


def test_categories_are_told_by_no_colour_alone(drawings):
    """The mean colour of a picture must not do what the network is trained for."""
    held = draw_stimulus_set(80, seed=22, size=32)
    means = {name: np.mean([d.image.mean(axis=(0, 1)) for d in drawings if d.category == name],
                           axis=0) for name in SCENE_NAMES}
    right = [min(means, key=lambda name, d=d: np.sum((means[name] - d.image.mean(axis=(0, 1)))**2))
             == d.category for d in held]
    assert np.mean(right) < 0.6


def test_a_shape_paints_picture_and_masks_alike():
    canvas = Canvas(32, np.random.default_rng(0))
    with canvas.drawing("wall"):
        canvas.box(0, 0, 1, 1, Fill((0, 0, 0), "plaster", grain=0.0))
    with canvas.drawing("car"):
        canvas.box(0.25, 0.25, 0.75, 0.5, Fill((255, 0, 0), "metal", "stripes", (250, 0, 0),
                                               shade=0.0, grain=0.0), "body")
    image, masks = canvas.finish(np.ones(3, dtype=np.float32))
    red = image[..., 0] > 128
    assert red.sum() == pytest.approx(16 * 8, abs=24)
    for category, name in (("object", "car"), ("material", "metal"), ("texture", "stripes")):
        np.testing.assert_array_equal(masks[category] == CONCEPTS[category].index(name), red)
    np.testing.assert_array_equal(masks["part"][0] == CONCEPTS["part"].index("body"), red)
    assert np.all(masks["colour"][red] == COLOURS.index("red"))


@pytest.mark.parametrize(("rgb", "name"), [
    ((10, 10, 10), "black"), ((250, 250, 250), "white"), ((130, 130, 130), "grey"),
    ((220, 30, 30), "red"), ((250, 140, 30), "orange"), ((250, 230, 60), "yellow"),
    ((40, 150, 50), "green"), ((40, 80, 200), "blue"), ((120, 50, 150), "purple"),
    ((245, 150, 185), "pink"), ((110, 70, 35), "brown")])
def test_colours_are_called_by_their_names(rgb, name):
    found = name_colours(np.array([[rgb]], dtype=np.uint8))
    assert COLOURS[int(found[0, 0])] == name


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from(SCENE_NAMES), st.integers(32, 80))
def test_any_seed_category_and_size_can_be_drawn(seed, category, size):
    drawing = draw_scene(seed, category, size=size)
    assert drawing.image.shape == (size, size, 3)
    assert drawing.image.std() > 8
    assert drawing.masks["object"].min() > 0


@pytest.mark.parametrize(("arguments", "reason"), [
    ((0, "beech"), "Did you mean beach"), ((0, "beach", 8), "size"), ((0, "beach", 9999), "size")])
def test_bad_arguments_are_refused(arguments, reason):
    seed, category, *size = arguments
    with pytest.raises(InputError, match=reason):
        draw_scene(seed, category, **({"size": size[0]} if size else {}))
