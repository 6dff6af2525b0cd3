"""One response per stimulus and run: against nilearn, planted amplitudes, and bad events."""

from __future__ import annotations

import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm import compute_contrast
from nilearn.glm.first_level import make_first_level_design_matrix, run_glm
from numpy.testing import assert_allclose, assert_array_equal

from neurodnn import DataWarning, InputError
from neurodnn.brain.glm import GLMSettings, concatenate_runs, describe_glm, fit_glm

TR, N = 2.0, 100
SHAPE = (3, 4, 5)
PLAIN = GLMSettings(noise_model="ols", scaling="none")
MASK = nib.Nifti1Image(np.ones(SHAPE, "u1"), np.eye(4))


def events_table(repeats=2, names=("tree", "cat", "dog", "constant")):
    onsets = np.arange(len(names) * repeats) * 20.0 + 6
    return pd.DataFrame({"onset": onsets, "duration": 2.0, "stimulus": list(names) * repeats})


def as_bold(rows, tr=TR):
    """An image from volumes x voxels."""
    image = nib.Nifti1Image(np.moveaxis(rows.reshape(-1, *SHAPE), 0, -1), np.eye(4))
    image.header.set_zooms((1, 1, 1, tr))
    image.header.set_xyzt_units("mm", "sec")
    return image


def autoregressive(seed=0, rho=0.4):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 8, (N, 60))
    for t in range(1, N):
        noise[t] += rho * noise[t - 1]
    return noise + rng.uniform(800, 1200, 60)


@pytest.fixture(scope="module")
def planted():
    """Amplitudes (4 stimuli x 60 voxels), and volumes without noise that hold them."""
    table = events_table().rename(columns={"stimulus": "trial_type"})
    table = table.replace({"trial_type": {"constant": "zz"}})
    design = make_first_level_design_matrix(np.arange(N) * TR, table, high_pass=1 / 128)
    amplitudes = np.random.default_rng(5).normal(10, 3, (4, 60))
    signal = design[["tree", "cat", "dog", "zz"]].to_numpy() @ amplitudes
    return amplitudes, signal


@pytest.mark.parametrize("noise_model", ["ols", "ar1", "ar2"])
@pytest.mark.parametrize("estimate", ["beta", "t"])
def test_estimates_equal_nilearn_contrast_by_contrast(noise_model, estimate):
    rows = autoregressive().astype("f4")
    table = events_table(names=("tree", "cat", "dog", "bird"))
    settings = GLMSettings(noise_model=noise_model, scaling="none", estimate=estimate)
    found = fit_glm(as_bold(rows), table, MASK, settings=settings)
    design = make_first_level_design_matrix(
        np.arange(N) * TR, table.rename(columns={"stimulus": "trial_type"}), high_pass=1 / 128
    )
    # run_glm subtracts the mean over voxels from the residuals; it is 0 up to rounding.
    labels, results = run_glm(rows.astype(float), design.to_numpy(), noise_model, random_state=0)
    for row, name in zip(found.patterns.measurements, ["tree", "cat", "dog", "bird"], strict=True):
        contrast = compute_contrast(labels, results, (design.columns == name).astype(float), "t")
        expected = contrast.effect.ravel() if estimate == "beta" else contrast.stat()
        assert_allclose(row, expected, rtol=1e-8)
    assert found.patterns.obs_descriptors["stimulus"] == ["tree", "cat", "dog", "bird"]
    rest = np.empty(rows.shape)
    for label, result in results.items():
        rest[:, labels == label] = result.whitened_residuals
    if estimate == "t":
        rest = rest / np.sqrt((rest**2).sum(axis=0) / (N - design.shape[1]))
    assert_allclose(found.residuals.measurements, rest, rtol=1e-5, atol=1e-4)
    assert found.residuals.descriptors["degrees_of_freedom"] == N - design.shape[1]


def test_planted_amplitudes_come_back_under_their_names(planted):
    amplitudes, signal = planted
    bold = as_bold(signal + 1000.0)
    shuffled = events_table().sample(frac=1, random_state=3)
    found = fit_glm(bold, shuffled, MASK, settings=PLAIN).patterns
    assert found.obs_descriptors["stimulus"] == list(dict.fromkeys(shuffled["stimulus"]))
    planted_order = ["tree", "cat", "dog", "constant"]
    order = [planted_order.index(name) for name in found.obs_descriptors["stimulus"]]
    assert_allclose(found.measurements, amplitudes[order], rtol=1e-4, atol=1e-3)


def test_grand_mean_scaling_makes_runs_comparable_and_keeps_proportions(planted):
    amplitudes, signal = planted
    settings = GLMSettings(noise_model="ols")
    for gain in (1.0, 7.5):
        rows = gain * (signal + np.linspace(600, 1400, 60))
        found = fit_glm(as_bold(rows), events_table(), MASK, settings=settings).patterns
        expected = 100 * gain * amplitudes / rows.mean()
        assert_allclose(found.measurements, expected, rtol=1e-3, atol=1e-3)
    voxel = GLMSettings(noise_model="ols", scaling="voxel")
    rows = (signal + 1000) * np.linspace(1, 9, 60)
    found = fit_glm(as_bold(rows), events_table(), MASK, settings=voxel).patterns
    assert_allclose(found.measurements, 100 * amplitudes / (signal + 1000).mean(axis=0), rtol=1e-3)


def test_centred_data_are_left_unscaled_with_a_warning(planted):
    amplitudes, signal = planted
    rows = signal - signal.mean(axis=0) - 1e-3
    with pytest.warns(DataWarning, match="mean signal is not positive.*left unscaled"):
        found = fit_glm(as_bold(rows), events_table(), MASK, settings=GLMSettings("spm"))
    assert np.abs(found.patterns.measurements).max() < 100
    with pytest.raises(InputError, match="60 voxels have a mean that is not positive.*grand-mean"):
        fit_glm(as_bold(rows), events_table(), MASK, settings=GLMSettings(scaling="voxel"))


def test_voxels_without_signal_become_nan_and_leave_the_others_alone():
    rows = autoregressive()
    full = fit_glm(as_bold(rows), events_table(), MASK, settings=PLAIN)
    rows = rows.copy()
    rows[:, 7] = 912.7
    rows[40, 9] = np.nan
    with pytest.warns(DataWarning, match="constant or not finite.*got '2 of 60'"):
        found = fit_glm(as_bold(rows), events_table(), MASK, settings=PLAIN)
    bad = np.isin(np.arange(60), [7, 9])
    for old, new in ((full.patterns, found.patterns), (full.residuals, found.residuals)):
        assert np.isnan(new.measurements[:, bad]).all()
        assert_allclose(new.measurements[:, ~bad], old.measurements[:, ~bad], rtol=1e-6, atol=1e-5)
    with pytest.raises(InputError, match="no voxel of the mask carries a signal"):
        fit_glm(as_bold(np.full((N, 60), 3.0)), events_table(), MASK)


def test_confounds_are_projected_out_and_their_copies_do_no_harm(planted):
    amplitudes, signal = planted
    spike = np.random.default_rng(0).normal(size=(N, 1))
    bold = as_bold(signal + 1000 + 50 * spike)
    table = pd.DataFrame({"a": spike[:, 0], "b": 3 - 2 * spike[:, 0], "flat": 1.0})
    for columns in (["a"], ["a", "b", "flat"]):
        found = fit_glm(bold, events_table(), MASK, confounds=table[columns], settings=PLAIN)
        assert_allclose(found.patterns.measurements, amplitudes, rtol=1e-3, atol=2e-3)
        assert found.residuals.descriptors["degrees_of_freedom"] == N - 4 - 1 - 4
    with pytest.raises(InputError, match="99 rows of confounds but 100 volumes"):
        fit_glm(bold, events_table(), MASK, confounds=table[:99])
    table.loc[3, "a"] = np.nan
    with pytest.raises(InputError, match="confounds hold values that are not numbers"):
        fit_glm(bold, events_table(), MASK, confounds=table)


def test_derivatives_enter_as_nuisance():
    settings = GLMSettings(hrf="spm + derivative", noise_model="ols")
    found = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=settings)
    assert found.patterns.n_obs == 4
    assert sum("derivative" in name for name in found.design["1"].columns) == 4


def test_rows_without_a_stimulus_are_baseline():
    table = events_table()
    more = pd.concat(
        [table, pd.DataFrame({"onset": [1.0, np.nan], "duration": 1.0, "stimulus": [None, ""]})]
    )
    a, b = (fit_glm(as_bold(autoregressive()), t, MASK, settings=PLAIN) for t in (table, more))
    assert_array_equal(a.patterns.measurements, b.patterns.measurements)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"stimulus": None}, r"events of run 4: none of 8 events has a stimulus.*'stimulus'"),
        ({"onset": ["6", "x", *"12345", "6"]}, r"run 4, row 3: onset is not a number.*'x'"),
        ({"onset": [6, np.nan, *range(6)]}, r"row 3: onset is not a number"),
        ({"onset": [6, 200.0, *range(6)]}, r"row 3: onset lies outside the run.*to 200 s"),
        ({"onset": np.arange(8) * 1e4}, r"row 3, and 6 more: onset lies outside.*seconds"),
        ({"onset": np.arange(8) - 30.0}, r"row 2, and 5 more: onset lies outside"),
        ({"duration": -1.0}, r"row 2, and 7 more: duration is not possible.*>= 0 s"),
        ({"duration": np.nan}, r"row 2, and 7 more: duration is not possible"),
    ],
)
def test_events_that_cannot_be_are_refused(change, text):
    with pytest.raises(InputError, match=text):
        fit_glm(as_bold(autoregressive()), events_table().assign(**change), MASK, run="4")


def test_missing_columns_name_the_closest():
    table = events_table().rename(columns={"onset": "onsets"})
    with pytest.raises(InputError, match=r"has no column 'onset'.*onsets, dur.*mean onsets\?"):
        fit_glm(as_bold(autoregressive()), table, MASK)
    with pytest.raises(InputError, match=r"has no column 'image'"):
        fit_glm(as_bold(autoregressive()), events_table(), MASK, names_column="image")


def test_events_are_read_from_a_file(tmp_path):
    path = tmp_path / "events.tsv"
    table = events_table()
    table.loc[8] = [150, 2, "n/a"]
    table.to_csv(path, sep="\t", index=False)
    a = fit_glm(as_bold(autoregressive()), path, MASK, settings=PLAIN)
    b = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=PLAIN)
    assert_array_equal(a.patterns.measurements, b.patterns.measurements)


def test_what_a_design_cannot_tell_apart_is_left_out_and_named():
    table = events_table(1)
    table.loc[4] = [table.onset[0], 2.0, "twin"]  # always together with tree
    table.loc[5] = [198.0, 1.0, "late"]
    with pytest.warns(DataWarning, match=r"3 stimuli cannot be est.*'tree', 'twin', 'late'"):
        found = fit_glm(as_bold(autoregressive()), table, MASK, settings=PLAIN)
    assert found.patterns.obs_descriptors["stimulus"] == ["cat", "dog", "constant"]
    twins = pd.DataFrame({"onset": [9.0, 9.0], "duration": 1.0, "stimulus": ["a", "b"]})
    with pytest.raises(InputError, match="no stimulus can be estimated.*Check onsets and TR"):
        fit_glm(as_bold(autoregressive()), twins, MASK)


def test_crowded_designs_are_a_warning():
    names = [f"i{k}" for k in range(30)]
    close = pd.DataFrame({"onset": 10 + np.arange(30) * 1.5, "duration": 1.0, "stimulus": names})
    with pytest.warns(DataWarning, match=r"nearly collinear \(worst: i.*variance inflation"):
        fit_glm(as_bold(autoregressive()), close, MASK, settings=PLAIN)


def test_designs_that_use_up_the_run_are_a_warning_or_an_error():
    bold = as_bold(autoregressive())
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 97)))
    with pytest.raises(InputError, match="leave no degree of freedom in 100 volumes"):
        fit_glm(bold, events_table(), MASK, confounds=noise, settings=PLAIN)
    few = noise.iloc[:, :89]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_glm(bold, events_table(), MASK, confounds=few, settings=PLAIN)
    assert any("few degrees of freedom" in str(w.message) and "got 3" in str(w.message)
               for w in caught)  # fmt: skip


def test_the_tr_comes_from_argument_or_header_and_a_contradiction_is_said():
    rows = autoregressive()
    a = fit_glm(as_bold(rows), events_table(), MASK, settings=PLAIN)
    with pytest.warns(DataWarning, match="header states a TR of 1.9 s; 2 s as given is used"):
        b = fit_glm(as_bold(rows, tr=1.9), events_table(), MASK, tr=2, settings=PLAIN)
    assert_allclose(a.patterns.measurements, b.patterns.measurements)
    with pytest.raises(InputError, match="looks like milliseconds"):
        fit_glm(as_bold(rows), events_table(), MASK, tr=2000)
    unknown = nib.Nifti1Image(as_bold(rows).dataobj, np.eye(4))
    with pytest.raises(InputError, match="header does not state the TR.*RepetitionTime"):
        fit_glm(unknown, events_table(), MASK)


def test_runs_join_and_a_stimulus_may_be_missing_from_one():
    first = fit_glm(as_bold(autoregressive(1)), events_table(), MASK, run="01", settings=PLAIN)
    table = events_table()[lambda t: t["stimulus"] != "cat"]
    second = fit_glm(as_bold(autoregressive(2)), table, MASK, run="02", settings=PLAIN)
    both = concatenate_runs([first, second])
    assert both.patterns.obs_descriptors["run"] == ["01"] * 4 + ["02"] * 3
    assert both.patterns.n_obs == 7 and both.residuals.n_obs == 2 * N
    assert list(both.design) == ["01", "02"]
    freedom = [part.residuals.descriptors["degrees_of_freedom"] for part in (first, second)]
    assert both.residuals.descriptors["degrees_of_freedom"] == sum(freedom)
    with pytest.raises(InputError, match="share a label"):
        concatenate_runs([first, first])
    small = nib.Nifti1Image(np.eye(3, 4, dtype="u1")[..., None] * np.ones(5, "u1"), np.eye(4))
    other = fit_glm(as_bold(autoregressive()), events_table(), small, run="03", settings=PLAIN)
    with pytest.raises(InputError, match=r"\['03'\] were estimated in another mask"):
        concatenate_runs([first, other])


def test_residuals_can_be_left_out_and_blocks_change_nothing(monkeypatch):
    settings = GLMSettings(keep_residuals=False)
    whole = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=settings)
    assert whole.residuals is None and concatenate_runs([whole]).residuals is None
    monkeypatch.setattr("neurodnn.brain._fitting._BLOCK", 7)
    parts = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=settings)
    assert_allclose(parts.patterns.measurements, whole.patterns.measurements, rtol=1e-10)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("hrf", "glovr", "Did you mean glover"),
        ("drift", "cosin", "Did you mean cosine"),
        ("noise_model", "arma", "noise_model: is not known.*ols, ar1"),
        ("high_pass", 0, "high_pass"),
        ("estimate", "z", "estimate='z' is not known"),
        ("scaling", "psc", "scaling='psc' is not known"),
        ("slice_time_ref", 2, "slice_time_ref"),
    ],
)
def test_settings_are_checked(field, value, text):
    with pytest.raises(InputError, match=text):
        GLMSettings(**{field: value})


def test_the_methods_sentence_follows_the_settings():
    assert "glover" in describe_glm() and "0.007812 Hz" in describe_glm()
    assert "whitened in time" in describe_glm() and "percent of the run's mean" in describe_glm()
    text = describe_glm(GLMSettings("spm", "none", noise_model="ols", estimate="t"))
    assert "spm" in text and "no drift" in text and "not whitened" in text and "t values" in text


def test_slice_time_reference_moves_the_regressors():
    late = GLMSettings(noise_model="ols", scaling="none", slice_time_ref=0.5)
    found = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=late)
    assert found.design["1"].index[0] == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = fit_glm(as_bold(autoregressive()), events_table(), MASK, settings=PLAIN)
    shifted = events_table().assign(onset=events_table().onset - 1)
    again = fit_glm(as_bold(autoregressive()), shifted, MASK, settings=PLAIN)
    assert not np.allclose(found.patterns.measurements, plain.patterns.measurements, rtol=1e-3)
    assert_allclose(found.patterns.measurements, again.patterns.measurements, rtol=0.05, atol=0.3)
