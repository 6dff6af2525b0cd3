"""The viewer's data hold every value, its place and its side."""

from __future__ import annotations

import base64
import gzip

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurodnn.report.peaks import find_peaks
from neurodnn.report.viewer import ViewerMap, viewer_data

AFFINE = np.array([[-6.0, 0.4, 0, 72], [0.3, 7.0, 0, -80], [0, 0, 8.0, -40], [0, 0, 0, 1]])


def unpack(text, dtype):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype)


def values_of(data, number):
    """A map as the page rebuilds it."""
    entry = data["maps"][number]
    grid = data["grids"][entry["grid"]]
    size = int(np.prod(grid["shape"]))
    mask = np.unpackbits(unpack(grid["mask"], "u1"), bitorder="little")[:size].astype(bool)
    steps = unpack(entry["values"], "<i2")
    found = np.full(size, np.nan)
    found[mask] = np.where(steps == -32768, np.nan, steps * entry["step"])
    return found.reshape(grid["shape"])


def viewer_map(data, affine=AFFINE, name="a"):
    image = nibabel.Nifti1Image(np.asarray(data, dtype=np.float32), affine)
    return ViewerMap(name, "rho", image, 0.3, 0.0, (1.0, 2.0, 3.0))


@given(
    hnp.arrays(
        np.float32,
        st.tuples(*[st.integers(1, 5)] * 3),
        elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    )
)
def test_values_survive_packing(data):
    packed = viewer_data([viewer_map(data)], on_template=False, title="t")
    found = values_of(packed, 0)
    assert np.array_equal(np.isnan(found), np.isnan(data))
    finite = np.isfinite(data)
    largest = np.abs(data[finite]).max(initial=0)
    assert np.all(np.abs(found[finite] - data[finite]) <= 2e-5 * largest + 1e-30)


def test_maps_of_one_grid_share_their_mask_and_keep_their_own_gaps():
    first = np.arange(24.0).reshape(2, 3, 4)
    second = first.copy()
    first[0, 0, 0], second[1, 2, 3] = np.nan, np.nan
    packed = viewer_data([viewer_map(first), viewer_map(second)], on_template=False, title="t")
    assert len(packed["grids"]) == 1
    for number, data in enumerate((first, second)):
        assert np.array_equal(np.isnan(values_of(packed, number)), np.isnan(data))


def test_maps_of_other_grids_get_their_own():
    other = AFFINE.copy()
    other[0, 0] = 5.0
    maps = [viewer_map(np.ones((2, 3, 4))), viewer_map(np.ones((2, 3, 4)), other)]
    packed = viewer_data(maps, on_template=False, title="t")
    assert len(packed["grids"]) == 2


def test_the_matrix_leads_from_mm_to_the_voxel():
    packed = viewer_data([viewer_map(np.ones((4, 5, 6)))], on_template=False, title="t")
    matrix = np.array(packed["grids"][0]["toVoxel"]).reshape(3, 4)
    world = nibabel.affines.apply_affine(AFFINE, [3, 1, 2])
    assert matrix[:, :3] @ world + matrix[:, 3] == pytest.approx([3, 1, 2], abs=1e-6)


def test_the_template_is_halved_in_place():
    packed = viewer_data([viewer_map(np.ones((4, 5, 6)))], on_template=True, title="t")
    under = packed["underlay"]
    grey = unpack(under["values"], "u1").reshape(under["shape"])
    matrix = np.array(under["toVoxel"]).reshape(3, 4)

    def at(*point):
        index = np.rint(matrix[:, :3] @ np.array(point) + matrix[:, 3]).astype(int)
        return grey[tuple(index)]

    from neurodnn.plotting.slices import sample, template_underlay

    full = template_underlay()
    for point in ((-20.0, -30.0, 40.0), (33.0, -70.0, -20.0), (8.0, 40.0, 20.0)):
        expected = float(sample(full.grey, full.affine, np.array([[point]]))[0, 0])
        assert at(*point) / 255 == pytest.approx(expected, abs=0.12)
    assert at(0.0, -105.0, 60.0) == 0


def test_no_anatomy_enters_for_other_spaces():
    packed = viewer_data([viewer_map(np.ones((2, 2, 2)))], on_template=False, title="t")
    assert set(unpack(packed["underlay"]["values"], "u1").tolist()) <= {0, 128}


def test_peaks_keep_their_distance_and_their_order():
    data = np.zeros((20, 5, 5), dtype=float)
    data[2, 2, 2], data[3, 2, 2], data[15, 2, 2] = 1.0, 0.9, 0.5
    peaks = find_peaks(data, np.diag([4.0, 4.0, 4.0, 1.0]), count=2)
    assert [(peak.index, peak.value) for peak in peaks] == [((2, 2, 2), 1.0), ((15, 2, 2), 0.5)]


def test_peaks_of_an_empty_map_are_none():
    assert find_peaks(np.full((3, 3, 3), np.nan), np.eye(4)) == []


@pytest.mark.parametrize(("x", "side"), [(4.0, "right"), (-4.0, "left"), (0.0, "midline")])
def test_the_side_is_the_sign_of_x(x, side):
    data = np.zeros((3, 3, 3))
    data[1, 1, 1] = 1
    affine = np.eye(4)
    affine[0, 3] = x - 1
    assert find_peaks(data, affine, count=1)[0].side == side
