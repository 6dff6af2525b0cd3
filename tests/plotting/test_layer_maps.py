"""Brain maps: sides follow the affine, values are not touched, names are drawn as they are."""

from __future__ import annotations

import itertools
import subprocess
import sys
import warnings

import nibabel
import numpy as np
import pytest

from neurodnn._checks import InputError
from neurodnn.plotting import style
from neurodnn.plotting.maps import plot_layer_maps
from neurodnn.plotting.slices import plane, sample, template_underlay

SHAPE = (20, 24, 18)
# no voxel border falls on a pixel's centre, so that flips cannot change the rounding of a tie
AFFINE = np.array([[6.0, 0, 0, -57.13], [0, 7.0, 0, -84.13], [0, 0, 8.0, -60.13], [0, 0, 0, 1]])
AXIAL = [("z", 4.0)]


def blob(place, affine=AFFINE, shape=SHAPE, height=0.4):
    index = np.indices(shape).reshape(3, -1).T
    world = nibabel.affines.apply_affine(affine, index)
    data = height * np.exp(-((world - place) ** 2).sum(axis=1) / (2 * 12.0**2))
    return nibabel.Nifti1Image(data.reshape(shape).astype(np.float32), affine)


def restored(image, flips, order):
    """The same image in another storage: axes flipped and permuted, affine to match."""
    data = np.transpose(image.get_fdata(dtype=np.float32), order)
    data = data[tuple(slice(None, None, flip) for flip in flips)]
    old_of_new = np.zeros((4, 4))
    old_of_new[3, 3] = 1
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        old_of_new[old, new] = flip
        old_of_new[old, 3] = 0 if flip > 0 else data.shape[new] - 1
    return nibabel.Nifti1Image(data, image.affine @ old_of_new)


def pixels(figure, dpi=100):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def row_pixels(figure):
    """The picture of the first row, as it was handed to the axes."""
    return np.asarray(figure.axes[0].images[0].get_array())


def test_every_storage_of_one_image_gives_the_same_picture():
    image = blob((33.0, -21.0, 5.0))
    draw = {"background": "extent", "unit": "rho"}
    expected = row_pixels(plot_layer_maps({"a": image}, **draw))
    storages = itertools.product(
        itertools.product((1, -1), repeat=3), itertools.permutations(range(3))
    )
    for flips, order in list(storages)[::5]:
        other = restored(image, flips, order)
        found = row_pixels(plot_layer_maps({"a": other}, **draw))
        assert np.array_equal(found, expected), (flips, order)


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("x", [33.0, -33.0])
def test_an_effect_of_one_side_stays_on_that_side_of_the_drawn_picture(x, flip):
    image = restored(blob((x, -21.0, 4.0)), (flip, 1, 1), (0, 1, 2))
    figure = plot_layer_maps({"a": image}, background="extent", slices=AXIAL, threshold=0.2)
    drawn = pixels(figure)
    box = figure.axes[0].get_window_extent()
    left, right = int(box.x0), int(box.x1)
    top, bottom = (drawn.shape[0] - int(edge) for edge in (box.y1, box.y0))
    colourful = np.ptp(drawn[top:bottom, left:right], axis=-1) > 60
    columns = np.flatnonzero(colourful.any(axis=0))
    middle = (right - left) / 2
    assert columns.size
    assert np.all(columns > middle) if x > 0 else np.all(columns < middle)
    labels = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts}
    assert labels["L"] < labels["R"]


def test_pixels_show_the_value_of_their_voxel_unsmoothed():
    data = np.zeros(SHAPE, dtype=np.float32)
    data[5, 7, 8], data[12, 7, 8] = 0.3, -0.2
    image = nibabel.Nifti1Image(data, AFFINE)
    where = nibabel.affines.apply_affine(AFFINE, [5, 7, 8])
    figure = plot_layer_maps(
        {"a": image}, background="extent", vmax=0.3, slices=[("z", float(where[2]))]
    )
    row = row_pixels(figure)
    colours = style.diverging_map()
    for value, share in ((0.3, 1.0), (-0.2, (-0.2 / 0.6) + 0.5)):
        hit = np.all(row == np.rint(255 * np.array(colours(share)[:3])), axis=-1)
        assert hit.sum() == 6 * 7, value  # the voxel's area in pixels of 1 mm


def test_nan_and_values_below_the_threshold_are_not_drawn():
    image = blob((0.0, 0.0, 0.0))
    data = image.get_fdata(dtype=np.float32).copy()
    data[data > 0.1] = np.nan
    hidden = nibabel.Nifti1Image(data, AFFINE)
    plain = nibabel.Nifti1Image(np.where(np.isnan(data), np.nan, 0).astype("f4"), AFFINE)
    options = {"background": image, "slices": AXIAL, "vmax": 0.4}
    bare = row_pixels(plot_layer_maps({"a": plain}, **options))
    assert np.array_equal(
        row_pixels(plot_layer_maps({"a": hidden}, threshold=0.2, **options)), bare
    )
    assert not np.array_equal(row_pixels(plot_layer_maps({"a": image}, **options)), bare)


@pytest.mark.parametrize(("value", "light"), [(0.0, False), (1.0, True)])
def test_outlines_surround_their_voxels_and_stand_out(value, light):
    mask = np.zeros(SHAPE, dtype=np.float32)
    mask[5:8, 7:10, 8] = 1
    image = nibabel.Nifti1Image(value * np.ones(SHAPE, dtype=np.float32), AFFINE)
    z = float(nibabel.affines.apply_affine(AFFINE, [5, 7, 8])[2])
    edges = {"a": nibabel.Nifti1Image(mask, AFFINE)}
    row = row_pixels(plot_layer_maps(
        {"a": image}, background="extent", slices=[("z", z)], outlines=edges, vmax=1.0
    ))  # fmt: skip
    lines = np.all(row > 240, axis=-1) if light else np.all(row < 30, axis=-1)
    lines &= np.ptp(row, axis=-1) == 0
    # the rim of an area of 18 x 21 pixels
    inner = lines[30:-30, 10:-30]
    assert inner.sum() == 2 * 18 + 2 * 21 - 4


def test_all_rows_share_one_scale_and_name_their_unit():
    figure = plot_layer_maps(
        {"a": blob((30, 0, 0), height=0.2), "b": blob((-30, 0, 0), height=0.6)},
        background="extent", unit="Spearman rho",
    )  # fmt: skip
    assert len(figure.axes) == 2
    below = [text.get_text() for text in figure.texts if text.get_va() == "top"]
    assert below == ["0", "0.2", "0.4", "Spearman rho"]
    # the same value has the same colour in both rows: 0.2 is the peak of the one
    peaks = [np.asarray(axes.images[0].get_array()).min(axis=(0, 1))[1] for axes in figure.axes]
    assert peaks[0] > peaks[1] + 30


def test_the_scale_shows_which_colour_means_which_value():
    image = blob((0, 0, 0), height=1.0)
    figure = plot_layer_maps({"a": image}, background="extent", vmax=0.4, slices=AXIAL)
    strip = next(artist for artist in figure.artists if len(artist.get_paths()) > 100)
    colours = strip.get_facecolors()
    assert len(colours) == 129  # one pointed end: values beyond 0.4 exist, none below 0
    assert np.allclose(colours[64], style.sequential_map()(64.5 / 128), atol=0.02)
    tips = strip.get_paths()[64].vertices[:, 0]
    tick = next(text for text in figure.texts if text.get_text() == "0.2")
    assert tips.min() - 1e-9 <= tick.get_position()[0] <= tips.max()


def test_slices_name_their_place_in_mm():
    figure = plot_layer_maps(
        {"a": blob((30, 0, 0))}, background="extent", slices=[("x", -20.0), ("z", 12.0)]
    )
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "x = −20 mm" in texts
    assert "z = +12 mm" in texts


def test_the_template_is_brain_shaped_and_in_mni_space():
    underlay = template_underlay()
    points = np.array([[[0.0, -20.0, 10.0], [0.0, -200.0, 0.0]]])
    inside, outside = sample(underlay.grey, underlay.affine, points)[0]
    assert 0 < inside <= 1
    assert np.isnan(outside)
    assert underlay.low[0] < -65 < 65 < underlay.high[0]


def test_a_plane_has_left_on_the_left_and_up_at_the_top():
    points = plane(("y", 3.0), np.array([-5.0, -5, -5]), np.array([5.0, 5, 5]), 1.0)
    assert points[0, 0].tolist() == [-4.5, 3.0, 4.5]
    assert points[-1, -1].tolist() == [4.5, 3.0, -4.5]


NAMES = ["$x_^$", "$\\frac{", "a\nb", "😀 層", "%s %(x)s", "", "x" * 500]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_drawn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plot_layer_maps(
            {name: blob((0, 0, 0))}, background="extent", slices=AXIAL, unit=name, title=name
        )
        pixels(figure)


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ({}, {}, "at least one map"),
        ([blob((0, 0, 0))], {}, "mapping of layer name"),
        ({"a": nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), "f4"), AFFINE)}, {}, "not a 3-D map"),
        ({"a": blob((0, 0, 0))}, {"vmax": 0}, "vmax"),
        ({"a": blob((0, 0, 0))}, {"threshold": -1}, "threshold"),
        ({"a": blob((0, 0, 0))}, {"background": "mni"}, "'extent' or a 3-D image"),
    ],
)
def test_wrong_arguments_are_named(images, options, words):
    with pytest.raises(InputError, match=words):
        plot_layer_maps(images, **{"background": "extent", **options})


def test_empty_and_constant_maps_are_drawn():
    for value in (np.nan, 0.0, 5.0):
        data = np.full(SHAPE, value, dtype=np.float32)
        pixels(plot_layer_maps({"a": nibabel.Nifti1Image(data, AFFINE)}, background="extent"))


def test_figures_need_no_pyplot():
    program = (
        "import sys, numpy as np, nibabel as nib\n"
        "from neurodnn.plotting.maps import plot_layer_maps\n"
        "image = nib.Nifti1Image(np.ones((4, 4, 4), 'f4'), np.diag([20., 20, 20, 1]))\n"
        "plot_layer_maps({'a': image}, background='extent')\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
