"""The simulated data set holds what it says it holds, in every voxel and in every file."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from scipy.spatial.distance import pdist

from neurodnn._checks import InputError
from neurodnn.simulate import brain, dataset, signals
from neurodnn.simulate.dataset import simulate_dataset
from neurodnn.simulate.files import store_images_as, write_image
from neurodnn.simulate.stimuli import thin

COARSE = {"voxel_size": (10.0, 10.0, 12.0), "n_stimuli": 6, "layers": []}


def correlations(n: int, *seeds: int) -> dict[str, np.ndarray]:
    return {
        f"layer{seed}": np.corrcoef(np.random.default_rng(seed).normal(size=(n, 3 * n)) + 1)
        for seed in seeds
    }


@pytest.fixture(scope="module")
def mask():
    return brain.template_mask((4, 4, 5))


@pytest.fixture(scope="module")
def bold(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bold")
    simulate_dataset(root, n_subjects=2, n_runs=1, **COARSE)
    return root


def test_mask_is_a_symmetric_anisotropic_brain(mask):
    inside = np.asarray(mask.dataobj) > 0
    assert inside.shape == (37, 46, 33)
    assert 20_000 < inside.sum() < 25_000
    # x = 0 is the middle of the grid, so mirrored storage is the mirrored brain
    assert np.array_equal(inside, inside[::-1])
    assert mask.header["sform_code"] == mask.header["qform_code"] == 4


def test_a_planted_place_has_the_layers_rdm(mask):
    truth = correlations(12, 1, 2)
    places = brain.planted_places(truth, radius=30.0)
    found = brain.planted_responses(truth, mask, places, np.random.default_rng(0))
    world = apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    first = np.linalg.norm(world - places.loc[0, ["x", "y", "z"]].to_numpy(float), axis=1) <= 30
    # voxels of the first layer alone: places of 30 mm overlap
    others = [
        np.linalg.norm(world - row[["x", "y", "z"]].to_numpy(float), axis=1) <= 30
        for _, row in places.iloc[2:].iterrows()
    ]
    alone = first & ~np.any(others, axis=0)
    rdm = pdist(found[:, alone], "correlation")
    own, other = (1 - truth[name][np.triu_indices(12, 1)] for name in ("layer1", "layer2"))
    assert alone.sum() > 250
    assert np.corrcoef(rdm, own)[0, 1] > 0.75
    assert abs(np.corrcoef(rdm, other)[0, 1]) < 0.4


def test_more_voxels_bring_the_rdm_nearer_to_the_layer():
    truth = correlations(10, 3)
    grid = brain.in_template_space(
        np.ones((30, 30, 30), "uint8"), nib.affines.from_matvec(np.eye(3), [-3, -107, -11])
    )
    places = brain.planted_places(truth, radius=14.0).iloc[1:]
    found = brain.planted_responses(truth, grid, places, np.random.default_rng(0))
    planted = found[:, np.any(found, axis=0)]
    wanted = 1 - truth["layer3"][np.triu_indices(10, 1)]
    fits = [
        np.corrcoef(pdist(planted[:, :n], "correlation"), wanted)[0, 1]
        for n in (30, 300, planted.shape[1])
    ]
    assert planted.shape[1] > 9_000
    assert fits[0] < fits[1] < fits[2]
    assert fits[2] > 0.98


def test_responses_lie_in_their_spheres_alone_and_have_unit_spread(mask):
    truth = correlations(24, 4)
    places = brain.planted_places(truth)
    found = brain.planted_responses(truth, mask, places, np.random.default_rng(0))
    world = apply_affine(mask.affine, np.argwhere(np.asarray(mask.dataobj) > 0))
    gaps = np.linalg.norm(world[:, None] - places[["x", "y", "z"]].to_numpy(), axis=2).min(axis=1)
    assert np.array_equal(np.any(found, axis=0), gaps <= 10 + 1e-9)
    planted = found[:, gaps <= 10]
    assert np.mean((planted - planted.mean(axis=0)) ** 2) == pytest.approx(1, abs=0.05)


def test_places_are_mirrored_and_too_many_layers_are_refused():
    places = brain.planted_places(list("abcdef"))
    left, right = places[places.hemisphere == "L"], places[places.hemisphere == "R"]
    assert np.array_equal(-left["x"].to_numpy(), right["x"].to_numpy())
    centres = right[["x", "y", "z"]].to_numpy()
    assert pdist(centres).min() > 20
    with pytest.raises(InputError, match=r"layers: are more than .*at most 6"):
        brain.planted_places(list("abcdefg"))


def test_noise_has_the_stated_correlations_in_time_and_space(mask):
    noise = signals.smooth_noise(mask, 300, np.random.default_rng(0), autocorrelation=0.3)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert np.mean(noise[1:] * noise[:-1]) == pytest.approx(0.3, abs=0.02)
    inside = np.asarray(mask.dataobj) > 0
    volume = np.full((300, *inside.shape), np.nan, "f4")
    volume[:, inside] = noise
    step = np.nanmean(volume[:, 1:] * volume[:, :-1])
    # white noise smoothed by a Gaussian: correlation exp(-d^2 / 4 s^2); the kernel is sampled at
    # 4 mm and cut off, hence the tolerance
    sigma = 6.0 / np.sqrt(8 * np.log(2))
    assert step == pytest.approx(np.exp(-(4.0**2) / (4 * sigma**2)), abs=0.05)


def test_nuisance_lies_in_the_span_of_the_confounds():
    table = signals.draw_confounds(120, 2.0, np.random.default_rng(0))
    added = signals.nuisance(table, 7, np.random.default_rng(1))
    names = [n for n in table if n in signals.MOTION or n.startswith("cosine")]
    basis = np.column_stack([np.ones(120), table[names + ["csf", "white_matter"]]])
    fit = basis @ np.linalg.lstsq(basis, added, rcond=None)[0]
    assert added.std() > 0.5
    assert np.abs(fit - added).max() < 1e-3


@given(n=st.integers(2, 30), repeats=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_events_show_each_stimulus_equally_often_and_never_twice_in_a_row(n, repeats, seed):
    names = [f"s{i}" for i in range(n)]
    events, n_volumes = signals.draw_events(names, np.random.default_rng(seed), repeats=repeats)
    assert events["stimulus"].value_counts().to_dict() == dict.fromkeys(names, repeats)
    order = events["stimulus"].tolist()
    assert not any(a == b for a, b in itertools.pairwise(order))
    assert 2.0 * n_volumes >= events["onset"].max() + 16


def test_files_of_a_run_belong_together(bold):
    raw = bold / "sub-01" / "func" / "sub-01_task-scenes_run-1_bold.nii.gz"
    folder = bold / "derivatives" / "fmriprep" / "sub-01" / "func"
    stem = "sub-01_task-scenes_run-1_space-MNI152NLin2009aSym_res-low_desc-"
    preproc = folder / f"{stem}preproc_bold.nii.gz"
    assert raw.read_bytes() == preproc.read_bytes()
    image, mask = nib.load(preproc), nib.load(folder / f"{stem}brain_mask.nii.gz")
    assert np.array_equal(image.affine, mask.affine)
    assert image.header.get_zooms()[3] == 2.0
    confounds = pd.read_csv(folder / "sub-01_task-scenes_run-1_desc-confounds_timeseries.tsv",
                            sep="\t")  # fmt: skip
    assert len(confounds) == image.shape[3]
    events = pd.read_csv(str(raw).replace("bold.nii.gz", "events.tsv"), sep="\t")
    assert all((bold / "stimuli" / name).is_file() for name in events["stim_file"])
    assert preproc.read_bytes()[4:8] == bytes(4)  # gzip's date


def test_motion_of_the_table_is_in_the_images(bold):
    folder = bold / "derivatives" / "fmriprep" / "sub-02" / "func"
    stem = "sub-02_task-scenes_run-1"
    values = nib.load(next(folder.glob(f"{stem}*bold.nii.gz"))).get_fdata()
    values = values[values[..., 0] > 0].T
    table = pd.read_csv(folder / f"{stem}_desc-confounds_timeseries.tsv", sep="\t")
    names = list(signals.MOTION) + [n for n in table if n.startswith("cosine")]
    basis = np.column_stack([np.ones(len(table)), table[names + ["csf", "white_matter"]]])
    rest = values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
    # of the noise (variance 1) the regressors take their share, of the three sources (1/4) all
    left = 1 - basis.shape[1] / len(basis)
    assert rest.var() / values.var(axis=0).mean() == pytest.approx(left / 1.75, abs=0.08)


def test_no_two_purposes_share_random_numbers():
    calls = itertools.product(dataset._STAGES, range(3), range(3))
    first = [dataset._generator(0, *call).integers(2**62) for call in calls]
    assert len(set(first)) == len(first)


def test_a_subject_does_not_depend_on_the_others(bold, tmp_path):
    simulate_dataset(tmp_path, n_subjects=1, n_runs=1, **COARSE)
    name = "sub-01/func/sub-01_task-scenes_run-1_bold.nii.gz"
    assert (tmp_path / name).read_bytes() == (bold / name).read_bytes()
    other = name.replace("01", "02")
    assert (bold / name).read_bytes() != (bold / other).read_bytes()


def test_another_seed_gives_other_data_and_pictures(tmp_path):
    for seed in (0, 1):
        simulate_dataset(tmp_path / str(seed), n_subjects=1, n_runs=1, kind="betas", seed=seed,
                         **COARSE)  # fmt: skip
    betas = "derivatives/betas/sub-01/func"
    for pattern in (f"{betas}/*statmap.nii.gz", "stimuli/beach_001.png"):
        a, b = (next((tmp_path / str(seed)).glob(pattern)).read_bytes() for seed in (0, 1))
        assert a != b


def test_a_finished_data_set_is_left_alone_and_an_unfinished_one_finished(tmp_path):
    call = {"n_subjects": 1, "n_runs": 1, "kind": "betas", **COARSE}
    simulate_dataset(tmp_path, **call)
    image = next(tmp_path.rglob("*statmap.nii.gz"))
    before = image.read_bytes()
    image.write_bytes(b"mine")
    simulate_dataset(tmp_path, **call)
    assert image.read_bytes() == b"mine"
    marker = tmp_path / "code" / "simulation.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "Finished": False}))
    image.unlink()
    simulate_dataset(tmp_path, **call)
    assert image.read_bytes() == before
    with pytest.raises(InputError, match="other parameters"):
        simulate_dataset(tmp_path, **{**call, "n_subjects": 2})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"is not empty .*Choose another folder"):
        simulate_dataset(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [("n_subjects", 0), ("n_stimuli", 3), ("n_runs", 0), ("kind", "eeg"), ("seed", -1),
     ("voxel_size", (4, 4))],
)  # fmt: skip
def test_bad_arguments_are_named(tmp_path, argument, value):
    with pytest.raises(InputError, match=argument):
        simulate_dataset(tmp_path / "new", **{"layers": [], argument: value})
    assert not (tmp_path / "new").exists()


CODES = [
    "".join(signs)
    for axes in itertools.permutations(["LR", "PA", "IS"])
    for signs in itertools.product(*axes)
]


@settings(max_examples=48)
@given(code=st.sampled_from(CODES))
def test_storage_moves_no_voxel(code, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    values = np.random.default_rng(0).integers(0, 1000, (4, 5, 6)).astype("int16")
    image = brain.in_template_space(
        values, nib.affines.from_matvec(np.diag([3, 4, 5]), [-7, -9, 2])
    )
    write_image(folder / "a.nii.gz", image)
    assert store_images_as(folder, code) == 1
    turned = nib.load(folder / "a.nii.gz")
    assert "".join(nib.aff2axcodes(turned.affine)) == code
    world = apply_affine(turned.affine, np.argwhere(np.ones(turned.shape)))
    index = np.rint(apply_affine(np.linalg.inv(image.affine), world)).astype(int)
    assert np.array_equal(np.asarray(turned.dataobj).ravel(), values[tuple(index.T)])


def test_unknown_storage_is_refused():
    image = brain.in_template_space(np.zeros((2, 2, 2), "uint8"), np.eye(4))
    with pytest.raises(InputError, match="storage"):
        brain.as_stored(image, "LRS")


@given(st.integers(1, 40))
def test_thinned_layers_keep_order_and_ends(count):
    layers = [f"layer{i}" for i in range(count)]
    kept = thin(layers)
    assert len(kept) == min(count, 6)
    assert kept == sorted(set(kept), key=layers.index)
    assert (kept[0], kept[-1]) == (layers[0], layers[-1])
