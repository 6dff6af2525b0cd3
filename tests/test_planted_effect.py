"""What is planted is found: where it was planted, in the layer that was planted, not elsewhere."""

from __future__ import annotations

import itertools
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine
from planted import LAYERS, make_study
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs

import neurodnn as nd
from neurodnn import cli, demo
from neurodnn.demo import place
from neurodnn.simulate.brain import in_template_space
from neurodnn.simulate.files import store_images_as
from neurodnn.simulate.stimuli import draw_stimuli, layer_correlations

PAIRS_12 = np.triu_indices(12, 1)


@pytest.fixture(scope="module")
def places(study):
    return pd.read_csv(study.root / "code" / "planted.tsv", sep="\t")


def test_every_layer_is_recovered_from_files_to_group_maps(study, places):
    assert study.code == 0
    table = demo.verdict(study.output, places)
    assert table["layer"].tolist() == LAYERS
    assert table["recovered"].all(), table.to_string()
    assert table["best_layer"].tolist() == LAYERS
    # all 2^8 sign flips, two-sided: no flip but the identity and its mirror reaches the peaks
    assert table["p_fwe"].to_numpy() == pytest.approx(2 / 256)
    # no shuffle of the stimuli reaches them either
    assert table["p_stimuli"].to_numpy() == pytest.approx(1 / 1000)
    assert (table["distance"] <= 10).all()
    written = pd.read_csv(study.output / "group" / "verdict.tsv", sep="\t")
    assert written["recovered"].all()
    assert (study.output / "index.html").is_file()


def test_the_verdict_says_no_where_the_truth_is_another(study, places):
    other = dict(zip(LAYERS, LAYERS[1:] + LAYERS[:1], strict=True))
    swapped = places.assign(layer=places["layer"].map(other))
    table = demo.verdict(study.output, swapped)
    assert not table["recovered"].any()
    assert (table["distance"] > 19).all()
    moved = places.assign(x=0.0, y=50.0, z=50.0)
    assert not demo.verdict(study.output, moved)["recovered"].any()


def test_a_second_run_finds_everything_done_and_changes_nothing(study, capsys):
    before = {path: path.read_bytes() for path in study.output.glob("*/*") if path.is_file()}
    assert make_study(study.root).code == 0
    assert {path: path.read_bytes() for path in before} == before
    text = capsys.readouterr()
    assert "3 of 3 planted layers were recovered" in text.out
    assert "index.html" in text.out.splitlines()[-1]


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert cli.main(["demo", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_is_found_far_from_all_places(study, places):
    means, tests, world = place._group_maps(study.output)
    shuffled = place._stimulus_tests(study.output, means)
    centres = places[["x", "y", "z"]].to_numpy()
    far = np.linalg.norm(world[:, None] - centres, axis=2).min(axis=1) > 25
    assert far.sum() > 10_000
    for layer in LAYERS:
        # one familywise error somewhere is allowed by its definition, a field of them is not
        assert (tests[layer][far] < 0.05).sum() <= 5
        assert (shuffled[layer][far] < 0.05).sum() <= 5
        assert abs(means[layer][far].mean()) < 0.02


@pytest.mark.parametrize("storage", ["LAS", "PSR"])
def test_storage_of_the_images_changes_no_map(study, tmp_path, storage):
    root, output = tmp_path / "bids", tmp_path / "out"
    ignore = shutil.ignore_patterns("neurodnn", "work")
    shutil.copytree(study.root, root, ignore=ignore)
    store_images_as(root / "derivatives" / "betas" / "sub-01", storage)
    options = demo._options(root, LAYERS, 1, False)
    call = [str(root), str(output), "participant", "--participant-label", "01", *options]
    assert cli.main(call) == 0
    for layer in (LAYERS[0], LAYERS[-1]):
        name = f"sub-01/func/*layer-{layer}_stat-rho_desc-searchlight_statmap.nii.gz"
        expected, found = (nib.load(next(out.glob(name))) for out in (study.output, output))
        assert "".join(nib.aff2axcodes(found.affine)) == storage
        index = np.argwhere(np.ones(found.shape))
        world = apply_affine(found.affine, index)
        there = np.rint(apply_affine(np.linalg.inv(expected.affine), world)).astype(int)
        before = expected.get_fdata()[tuple(there.T)]
        # members of a sphere come in another order, so the last bits of float32 files may differ
        np.testing.assert_allclose(found.get_fdata().ravel(), before, atol=1e-6)


def test_an_effect_in_the_right_hemisphere_stays_there(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"s{i:02d}" for i in range(12)]
    truth = np.corrcoef(rng.normal(size=(12, 30)))
    affine = nib.affines.from_matvec(np.diag([-5.0, 5, 5]), [30, -30, -30])  # stored to the left
    mask = in_template_space(np.ones((13, 13, 13), "uint8"), affine)
    world = apply_affine(affine, np.argwhere(np.ones(mask.shape)))
    right = np.linalg.norm(world - (20, 0, 0), axis=1) <= 12
    values = rng.normal(size=(12, len(world)))
    root = np.linalg.cholesky(truth + 1e-9 * np.eye(12))
    values[:, right] = root @ rng.normal(size=(12, right.sum())) + 0.1 * values[:, right]
    references = RDMs(1 - truth[PAIRS_12][None], rdm_descriptors={"reference": ["planted"]},
                      pattern_descriptors={"stimulus": names})  # fmt: skip
    patterns = Dataset(values, obs_descriptors={"stimulus": names})
    scores = nd.fmri_searchlight(patterns, mask, references, radius=10)
    path = tmp_path / "map.nii.gz"
    nib.save(nd.scores_to_image(scores.sel(reference="planted"), mask), path)
    written = nib.load(path)
    values = written.get_fdata()
    peak = apply_affine(written.affine, np.unravel_index(np.nanargmax(values), values.shape))
    assert np.linalg.norm(peak - (20, 0, 0)) <= 12


@pytest.fixture(scope="module")
def network_geometry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    names = draw_stimuli(folder, 24, 4321)
    layers = layer_correlations("neurodnn:scenes", None, folder, names)
    rows = np.array([1 - c[np.triu_indices(24, 1)] for c in layers.values()])
    references = RDMs(rows, rdm_descriptors={"reference": list(layers)},
                      pattern_descriptors={"stimulus": names})  # fmt: skip
    return names, layers, references


def test_the_best_layer_is_the_one_that_made_the_rdms(network_geometry):
    names, layers, references = network_geometry
    rng = np.random.default_rng(0)
    labels = list(layers)
    roots = {}
    for label, correlation in layers.items():
        values, vectors = np.linalg.eigh(correlation)
        roots[label] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    ceilings, hits, misses = [], 0, []
    for trial in range(200):
        true = labels[trial % len(labels)]
        subjects = {
            str(subject): Dataset(
                roots[true] @ rng.normal(size=(24, 40)) + NOISE * rng.normal(size=(24, 40)),
                obs_descriptors={"stimulus": names},
            )
            for subject in range(8)
        }
        rdms = nd.compute_rdms(subjects)
        ceilings.append(nd.noise_ceiling(rdms).lower)
        scores = nd.compare_rdms(rdms, references).to_numpy().mean(axis=0)
        best = labels[int(scores.argmax())]
        hits += best == true
        if best != true:
            misses.append(abs(labels.index(best) - labels.index(true)))
    # hard enough to mean something, and at the ceiling that the criterion names
    assert 0.5 <= np.mean(ceilings) <= 0.65
    assert hits >= 190
    assert set(misses) <= {1}


NOISE = 0.9


def test_the_wrong_layers_score_below_the_ceiling(network_geometry):
    names, layers, references = network_geometry
    rng = np.random.default_rng(1)
    for true, other in itertools.permutations(layers, 2):
        root = np.linalg.cholesky(layers[true] + 1e-6 * np.eye(24))
        patterns = Dataset(root @ rng.normal(size=(24, 400)), obs_descriptors={"stimulus": names})
        found = nd.compare_rdms(nd.compute_rdms(patterns), references)[0]
        assert float(found.sel(reference=true)) > float(found.sel(reference=other)) + 0.05
