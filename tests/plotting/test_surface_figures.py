"""Figures of surfaces: sides, scale, outlines and names are right, and inputs are left alone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from nibabel.gifti import GiftiDataArray, GiftiImage
from nilearn import datasets

from neurodnn import InputError
from neurodnn.plotting import style
from neurodnn.plotting.cortex import boundary_segments
from neurodnn.plotting.surfaces import plot_surface_maps

N = 10242


def blob(side, place, height=0.3):
    points = datasets.load_fsaverage("fsaverage5")["pial"].parts[side].coordinates
    return height * np.exp(-((points - np.array(place)) ** 2).sum(axis=1) / 300)


@pytest.fixture(scope="module")
def maps():
    return {"left": blob("left", (-64, -30, 8)), "right": np.zeros(N)}


class Octahedron:
    """Eight triangles; the first looks up, to the right and to the front."""

    coordinates = np.array([[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [-9, 0, 0], [0, -9, 0], [0, 0, -9]])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2],
                      [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])  # fmt: skip


def pixels(figure, dpi=60):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def colourful(drawn):
    return np.ptp(drawn, axis=-1) > 60


def test_an_effect_on_the_left_is_drawn_in_the_panels_of_the_left(maps):
    figure = plot_surface_maps({"layer": maps}, views=["lateral"], vmax=0.3)
    drawn = pixels(figure)[: -int(0.7 * 60)]  # without the colour bar
    columns = np.flatnonzero(colourful(drawn).any(axis=0))
    assert columns.size and columns.max() < drawn.shape[1] / 2
    names = [text.get_text() for text in figure.texts]
    assert names.index("left lateral") < names.index("right lateral")


@pytest.mark.parametrize(("side", "x"), [("left", -64), ("right", 64)])
def test_lateral_and_medial_views_show_their_side_of_the_brain(side, x):
    figure = plot_surface_maps({"layer": {side: blob(side, (x, -30, 8))}}, threshold=0.15,
                               views=["lateral", "medial"], vmax=0.3)  # fmt: skip
    drawn = pixels(figure)[: -int(0.7 * 60)]
    half = drawn.shape[1] // 2
    halves = {"left": drawn[:, :half], "right": drawn[:, half:]}  # lateral views stand outside
    assert colourful(halves.pop(side)).sum() > 30
    assert colourful(halves.popitem()[1]).sum() < 5


def test_columns_mirror_and_rows_are_layers(maps):
    figure = plot_surface_maps({"a": maps, "b": maps}, views=["lateral", "medial"])
    assert len(figure.axes) == 8
    names = [text.get_text() for text in figure.texts if " " in text.get_text()]
    assert names[:4] == ["left lateral", "left medial", "right medial", "right lateral"]
    assert {"a", "b"} <= {text.get_text() for text in figure.texts}


def test_triangles_have_the_colour_of_their_mean_and_nan_none():
    values = np.array([0.3, 0.3, 0.3, -0.3, -0.3, np.nan])
    mesh = {"left": Octahedron()}
    figure = plot_surface_maps({"a": {"left": values}}, mesh, views=["lateral"], vmax=0.3)
    colours = figure.axes[0].collections[0]._facecolor3d[:, :3]
    whole = style.score_colours(np.array([0.3]), 0.3, True)[0]
    np.testing.assert_allclose(colours[0], whole, atol=1e-12)  # all three vertices at the limit
    blue = style.score_colours(np.array([-0.1]), 0.3, True)[0]
    np.testing.assert_allclose(colours[2], blue, atol=1e-12)  # mean of .3, -.3, -.3: a third
    grey = colours[4:]  # with the vertex that is NaN
    assert np.ptp(grey, axis=1).max() < 1e-12 and np.ptp(grey) < 1e-12


def test_a_threshold_hides_what_does_not_reach_it():
    values = np.array([0.3, 0.3, 0.3, 0.0, 0.0, 0.0])
    figure = plot_surface_maps({"a": {"left": values}}, {"left": Octahedron()}, views=["lateral"],
                               vmax=0.3, threshold=0.25)  # fmt: skip
    colours = figure.axes[0].collections[0]._facecolor3d[:, :3]
    coloured = np.ptp(colours, axis=1) > 0.05
    assert coloured.tolist() == [True] + [False] * 7


def test_all_rows_share_one_scale_and_name_their_unit(maps):
    strong = {side: 2 * values for side, values in maps.items()}
    figure = plot_surface_maps({"a": maps, "b": strong}, views=["lateral"], unit="Spearman rho")
    below = [text.get_text() for text in figure.texts if text.get_va() == "top"]
    assert below == ["0", "0.2", "0.4", "Spearman rho"]
    peaks = [figure.axes[i].collections[0]._facecolor3d[:, 1].min() for i in (0, 2)]
    assert peaks[0] > peaks[1] + 0.1


def test_outlines_separate_inside_from_outside():
    points = np.random.default_rng(0).normal(size=(40, 3))
    faces = np.random.default_rng(1).integers(0, 40, size=(60, 3))
    faces = faces[(np.diff(np.sort(faces, axis=1), axis=1) > 0).all(axis=1)]
    inside = points[:, 0] > 0.2
    segments = boundary_segments(points, faces, inside)
    mixed = [face for face in faces if inside[face].any() and not inside[face].all()]
    assert len(segments) == len(mixed)
    middles = {
        tuple(np.round((points[a] + points[b]) / 2, 9))
        for face in faces for a in face for b in face if inside[a] != inside[b]
    }  # fmt: skip
    assert {tuple(np.round(end, 9)) for line in segments for end in line} <= middles


def test_only_the_outline_that_faces_the_viewer_is_drawn(maps):
    inside = {"left": maps["left"] > 0.15}
    figure = plot_surface_maps({"a": {"left": maps["left"]}}, views=["lateral", "medial"],
                               outlines={"a": inside})  # fmt: skip
    assert len(figure.axes[0].collections[1]._segments3d) > 10
    assert len(figure.axes[1].collections) == 1  # the bare surface


def test_the_outline_runs_round_the_drawn_map(maps):
    # nilearn moves the mesh that it draws; lines that did not follow would miss it
    figure = plot_surface_maps({"a": {"left": maps["left"]}}, views=["lateral"], threshold=0.15,
                               outlines={"a": {"left": maps["left"] > 0.15}})  # fmt: skip
    drawn = pixels(figure, dpi=100)[60:-70]
    dark = np.argwhere(drawn.max(axis=-1) < 70)
    coloured = np.argwhere(colourful(drawn))
    assert len(dark) > 50 and len(coloured) > 200
    away = np.linalg.norm(dark[:, None] - coloured[None], axis=2).min(axis=1)
    assert away.max() <= 4  # pixels, of some 0.7 mm
    middle = coloured.mean(axis=0)
    assert (dark.min(axis=0) < middle).all() and (dark.max(axis=0) > middle).all()


def test_meshes_and_maps_of_the_user_are_not_touched():
    mesh, values = Octahedron(), np.full(6, 0.1)
    mesh.coordinates = Octahedron.coordinates + 100.0  # nilearn would move them to their mean
    plot_surface_maps({"a": {"left": values}}, {"left": mesh}, views=["lateral"])
    assert np.array_equal(mesh.coordinates, Octahedron.coordinates + 100.0)
    assert (values == 0.1).all()


def test_gifti_images_are_drawn_as_their_arrays(maps):
    array = GiftiDataArray(maps["left"].astype("f4"), datatype="NIFTI_TYPE_FLOAT32")
    options = {"views": ["lateral"], "vmax": 0.3}
    one, other = (
        pixels(plot_surface_maps({"a": {"L": value}}, **options))
        for value in (GiftiImage(darrays=[array]), maps["left"].astype("f4"))
    )
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["$x_^$", "a\nb", "😀 層", "", "x" * 500])
def test_any_name_is_drawn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(plot_surface_maps({name: {"left": np.zeros(6)}}, {"left": Octahedron()},
                                 views=["lateral"], unit=name, title=name))  # fmt: skip


def test_empty_constant_and_negative_maps_are_drawn():
    for values in (np.full(6, np.nan), np.zeros(6), np.full(6, -2.0)):
        pixels(plot_surface_maps({"a": {"right": values}}, {"right": Octahedron()}))


OK = {"left": np.zeros(6)}
MESH = {"left": Octahedron()}


@pytest.mark.parametrize(("maps", "options", "words"), [
    ({}, {}, "needs at least one map"),
    ({"a": np.zeros(6)}, {}, "does not name hemispheres"),
    ({"a": {"middle": np.zeros(6)}}, {}, "'middle' is not known"),
    ({"a": OK, "b": {"right": np.zeros(6)}}, {}, "layers differ in their hemispheres"),
    ({"a": {"right": np.zeros(6)}}, {}, "has no right hemisphere"),
    ({"a": {"left": np.zeros(5)}}, {}, r"does not fit the left mesh \(got \(5,\)"),
    ({"a": OK}, {"views": ["top"]}, "views='top' is not known"),
    ({"a": OK}, {"views": []}, "views: is empty"),
    ({"a": OK}, {"vmax": 0}, "vmax"),
    ({"a": OK}, {"threshold": -1}, "threshold"),
    ({"a": OK}, {"outlines": {"b": OK}}, "name layers without a map"),
    ({"a": OK}, {"outlines": {"a": {"right": np.zeros(6)}}}, "which has no map"),
    ({"a": OK}, {"outlines": {"a": {"left": np.zeros(7)}}}, "does not fit the left mesh"),
    ({"a": OK}, {"background": {"left": np.zeros(4)}}, "background: does not fit"),
])  # fmt: skip
def test_wrong_arguments_are_named(maps, options, words):
    with pytest.raises(InputError, match=words):
        plot_surface_maps(maps, MESH, **options)
