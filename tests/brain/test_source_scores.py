"""Source estimates in and out, and onto fsaverage."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from neurodnn import InputError
from neurodnn.brain.source import morph_scores, scores_to_stc, scores_to_stcs, stc_patterns
from neurodnn.simulate.meg_cortex import source_space

VERTICES = [np.array([0, 3, 9]), np.array([2, 5])]


def _scores(n_times=4, step=0.02):
    values = np.random.default_rng(1).normal(size=(5, n_times, 2))
    return xr.DataArray(
        values, dims=("vertex", "time", "reference"),
        coords={"vertex": [9, 0, 3, 5, 2], "time": 0.1 + step * np.arange(n_times),
                "hemisphere": ("vertex", ["left"] * 3 + ["right"] * 2),
                "reference": ["conv1", "fc6"]},
    )  # fmt: skip


def _estimates(n=3, n_times=41):
    rng = np.random.default_rng(2)
    return {name: mne.SourceEstimate(rng.normal(size=(5, n_times)).astype("f4"), VERTICES, -0.1,
                                     0.01, subject="s") for name in "cab"[:n]}  # fmt: skip


def test_scores_become_a_movie_for_each_reference(tmp_path):
    scores = _scores()
    found = scores_to_stcs(scores, source_space(3))
    assert list(found) == ["conv1", "fc6"]
    stc = found["fc6"]
    assert stc.subject == "fsaverage"
    assert [each.tolist() for each in stc.vertices] == [[0, 3, 9], [2, 5]]
    np.testing.assert_allclose(stc.times, scores.time)
    assert np.array_equal(stc.data, scores.sel(reference="fc6").values[[1, 2, 0, 4, 3]])
    stc.save(tmp_path / "a", verbose="ERROR")
    again = mne.read_source_estimate(tmp_path / "a")
    np.testing.assert_allclose(again.data, stc.data, atol=1e-6)  # files hold float32
    np.testing.assert_allclose(again.times, stc.times, atol=1e-6)


def test_gaps_and_single_times_stay():
    scores = _scores().isel(reference=0)
    scores[1, 2] = np.nan
    assert np.isnan(scores_to_stc(scores).data[0, 2])
    one = scores_to_stc(scores.isel(time=[1]).assign_attrs(width=0.04))
    assert one.data.shape == (5, 1) and one.tstep == 0.04
    flat = scores_to_stc(scores.isel(time=1))
    assert np.array_equal(flat.data, one.data, equal_nan=True) and flat.tmin == one.tmin
    left = scores_to_stc(scores.isel(vertex=slice(0, 3)))
    assert [len(each) for each in left.vertices] == [3, 0]


def test_scores_that_do_not_say_where_they_belong_are_refused():
    scores = _scores()
    one = scores.isel(reference=0)
    with pytest.raises(InputError, match="scores_to_stcs"):
        scores_to_stc(scores)
    with pytest.raises(InputError, match="no references"):
        scores_to_stcs(one)
    with pytest.raises(InputError, match="no coordinate hemisphere"):
        scores_to_stc(one.drop_vars("hemisphere"))
    with pytest.raises(InputError, match="more than once"):
        scores_to_stc(one.assign_coords(vertex=[9, 9, 3, 5, 2]))
    with pytest.raises(InputError, match="equal steps"):
        scores_to_stc(one.assign_coords(time=[0.0, 0.02, 0.03, 0.06]))
    with pytest.raises(InputError, match="1 sources of the left hemisphere are not in src"):
        scores_to_stc(one.assign_coords(vertex=[9, 700, 3, 5, 2]), source_space(3))


@pytest.mark.parametrize("kind", ["objects", "files", "stems"])
def test_patterns_of_estimates_are_means_over_windows(tmp_path, kind):
    estimates = given = _estimates()
    if kind != "objects":
        for name, stc in estimates.items():
            stc.save(tmp_path / name, verbose="ERROR")
        end = "-lh.stc" if kind == "files" else ""
        given = {name: tmp_path / f"{name}{end}" for name in estimates}
    windows = stc_patterns(given, width=0.04, step=0.05, tmin=0.0, tmax=0.2)
    assert list(windows) == [0.0, 0.05, 0.1, 0.15, 0.2]
    patterns = windows[0.1]
    assert patterns.obs_descriptors["stimulus"] == ["a", "b", "c"]
    assert np.asarray(patterns.channel_descriptors["vertex"]).tolist() == [0, 3, 9, 2, 5]
    expected = np.stack([estimates[n].data[:, 18:23].astype(float).mean(axis=1) for n in "abc"])
    np.testing.assert_allclose(patterns.measurements, expected, rtol=1e-12)
    every = stc_patterns(given, width=0.04, tmin=0.1, tmax=0.1, samples=True)[0.1]
    assert np.array_equal(every.measurements.reshape(3, 5, 5)[0], estimates["a"].data[:, 18:23])


def test_estimates_that_differ_are_refused():
    good = _estimates()
    def other(**changes):  # fmt: skip
        made = {"data": good["a"].data, "vertices": VERTICES, "tmin": -0.1, "tstep": 0.01,
                "subject": "s"} | changes  # fmt: skip
        return good | {"b": mne.SourceEstimate(**made)}
    for changes, word in (
        ({"vertices": [[0, 3, 8], [2, 5]]}, "not on the same sources"),
        ({"tmin": 0.0}, "differ in their times"),
        ({"tstep": 0.02}, "differ in rate, 100 and 50 Hz"),
        ({"subject": "t"}, "of different subjects"),
        ({"data": good["a"].data * 1j}, "complex"),
    ):
        with pytest.raises(InputError, match=word):
            stc_patterns(other(**changes))
    with pytest.raises(InputError, match="the window leaves"):
        stc_patterns(good, tmin=0.5)
    with pytest.raises(InputError, match="estimates: are none"):
        stc_patterns({})
    with pytest.raises(InputError, match="no map on the cortex"):
        stc_patterns({"a": mne.VolSourceEstimate(np.ones((3, 4)), [[0, 1, 2]], 0, 0.1)})


def test_damaged_files_are_refused(tmp_path):
    _estimates()["a"].save(tmp_path / "a", verbose="ERROR")
    path = tmp_path / "a-rh.stc"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="a-rh.stc: is no stc file, or was cut short"):
        stc_patterns({"a": tmp_path / "a"})
    path.unlink()
    with pytest.raises(InputError, match="a-rh.stc: no such file"):
        stc_patterns({"a": tmp_path / "a"})


def test_fsaverage_stays_what_it_is_and_its_grades_are_nested():
    src = source_space(4)
    vertices = np.concatenate([side["vertno"] for side in src])
    sides = np.repeat(["left", "right"], [side["nuse"] for side in src])
    scores = xr.DataArray(np.arange(vertices.size), dims="vertex",
                          coords={"vertex": vertices, "hemisphere": ("vertex", sides)})  # fmt: skip
    xr.testing.assert_identical(morph_scores(scores, src), scores)
    coarse = morph_scores(scores, src, grade=3)
    expected = source_space(3)
    assert coarse.vertex.values.tolist() == np.concatenate(
        [side["vertno"] for side in expected]
    ).tolist()


def _write_spheres(folder):
    from nilearn.datasets import load_fsaverage as shipped

    sphere = shipped("fsaverage5")["sphere"].parts
    for subject in ("someone", "fsaverage"):
        surf = folder / subject / "surf"
        surf.mkdir(parents=True)
        for side, name in (("left", "lh"), ("right", "rh")):
            mne.write_surface(surf / f"{name}.sphere.reg", sphere[side].coordinates,
                              sphere[side].faces, verbose="ERROR")  # fmt: skip


def test_another_subject_comes_to_fsaverage_through_the_sphere(tmp_path):
    _write_spheres(tmp_path)
    src = source_space(3)
    for side in src:
        side["subject_his_id"] = "someone"
    vertices = np.concatenate([side["vertno"] for side in src])
    sides = np.repeat(["left", "right"], [side["nuse"] for side in src])
    values = np.random.default_rng(0).normal(size=(vertices.size, 2, 3))
    scores = xr.DataArray(
        values, dims=("vertex", "time", "reference"), attrs={"metric": "correlation"},
        coords={"vertex": vertices, "hemisphere": ("vertex", sides), "time": [0.0, 0.1],
                "reference": list("abc")},
    )  # fmt: skip
    found = morph_scores(scores, src, subjects_dir=tmp_path, grade=4)
    assert found.shape == (5124, 2, 3) and found.attrs == scores.attrs
    stc = mne.SourceEstimate(values[:, 1, [2]], [s["vertno"] for s in src], 0, 1, "someone")
    morph = mne.compute_source_morph(stc, "someone", "fsaverage", spacing=4,
                                     subjects_dir=tmp_path, warn=False, verbose="ERROR")  # fmt: skip
    np.testing.assert_allclose(found.values[:, 1, 2], morph.apply(stc).data[:, 0], rtol=1e-12)
    with pytest.raises(InputError, match="someone.*FreeSurfer's folder"):
        morph_scores(scores, src)
    with pytest.raises(InputError, match="cannot be brought to fsaverage"):
        morph_scores(scores, src, subjects_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match="not of the sources of src"):
        morph_scores(scores[:50], src, subjects_dir=tmp_path)
    with pytest.raises(InputError, match="grade"):
        morph_scores(scores, src, subjects_dir=tmp_path, grade=7)
