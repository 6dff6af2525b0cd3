"""Measures, nuisance RDMs and noise reach the maps, and the group takes them from the subjects."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest
import tiny_bids
from nibabel.affines import apply_affine
from rsatoolbox.rdm import RDMs
from tiny_bids import OPTIONS, make_betas
from tiny_bold import make_bold

import neurodnn as nd
from neurodnn.cli import main

STIMULI = ("boat", "cat", "dog", "house", "key", "tree", "urn", "van")
CENTRE = (1, 3, 2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("measures")
    make_betas(root, subjects=("01", "02"), stimuli=STIMULI)
    return root


def command(root, out, level, *more):
    return [str(root / "bids"), str(root / out), level, *OPTIONS, "-w", str(root / "work"),
            "--label-permutations", "40", *more]  # fmt: skip


def local_rdm(root, subject, metric="correlation"):
    """The RDM of one sphere, from the betas themselves."""
    folder = root / "bids" / "derivatives" / "betas" / f"sub-{subject}" / "func"
    data = np.mean([nibabel.load(path).get_fdata() for path in folder.glob("*effect*.nii.gz")],
                   axis=0)  # fmt: skip
    mask = np.ones(tiny_bids.SHAPE, bool)
    mask[0, 0, 0] = False
    world = apply_affine(tiny_bids.AFFINE, np.argwhere(mask))
    here = apply_affine(tiny_bids.AFFINE, CENTRE)
    patterns = data[mask][np.linalg.norm(world - here, axis=1) <= 4.5 + 1e-9].T
    if metric == "correlation":
        square = 1 - np.corrcoef(patterns)
    else:
        unit = patterns / np.linalg.norm(patterns, axis=1, keepdims=True)
        square = 1 - unit @ unit.T
    pairs = square[np.triu_indices(len(STIMULI), 1)]
    return RDMs(pairs[None], pattern_descriptors={"stimulus": list(STIMULI)})


def rdm_of(root, model):
    return nd.read_rdms(root / f"{model}.csv", axis="reference")


def score_at(root, out, subject="01"):
    folder = root / out / f"sub-{subject}" / "func"
    path = next(folder.glob("*model-planted_*_desc-searchlight_statmap.nii.gz"))
    return nibabel.load(path).get_fdata()[CENTRE], path


def summary(root, out):
    return json.loads(next((root / out).glob("sub-01/figures/*summary.json")).read_text())


@pytest.mark.parametrize(
    ("words", "options", "label"),
    [
        (["--compare", "tau-a"], {"comparison": "tau-a"}, "taua"),
        (["--compare", "corr_cov"], {"comparison": "corr_cov"}, "corrcov"),
        (["--compare", "cosine_cov"], {"comparison": "cosine_cov"}, "cosinecov"),
        (["--metric", "cosine"], {}, "rho"),
        (["--nuisance-rdms", "other.csv"], {}, "rho"),
        (["--nuisance-rdms", "other.csv", "--semi-partial", "--compare", "pearson"],
         {"comparison": "pearson", "semi": True}, "r"),
    ],
    ids=lambda value: "-".join(value).replace("-", "") if isinstance(value, list) else None,
)  # fmt: skip
def test_the_measure_asked_for_is_in_the_map(root, tmp_path, words, options, label):
    out = tmp_path.name
    words = [str(root / word) if word.endswith(".csv") else word for word in words]
    more = [*words, "--participant-label", "01", "--reference-rdms", str(root / "planted.csv")]
    assert main(command(root, out, "participant", *more)) == 0
    score, path = score_at(root, out)
    assert f"_stat-{label}_" in path.name
    brain = local_rdm(root, "01", "cosine" if "--metric" in words else "correlation")
    if "--nuisance-rdms" in words:
        options = {**options, "nuisance": rdm_of(root, "other")}
    expected = nd.compare_rdms(brain, rdm_of(root, "planted"), **options).item()
    assert score == pytest.approx(expected, abs=1e-6)  # stored as float32
    content = summary(root, out)
    if "tau-a" in words:
        assert "not offered for tau-a" in content["LabelTest"]["SkippedBecause"]
        assert "cannot be stepped up" in content["Reliability"]["SkippedBecause"]
    else:
        assert content["LabelTest"]["NumberOfPermutations"] == 40
    if "--nuisance-rdms" in words:
        assert [each["Name"] for each in content["Nuisance"]] == ["other"]
        assert "The RDMs other were regressed out" in content["Methods"]
        assert (root / out / content["Nuisance"][0]["RDM"]).is_file()
    shutil.rmtree(root / out)


def test_the_group_holds_the_same_nuisance_constant_and_has_no_ceiling(root):
    more = ["--reference-rdms", str(root / "planted.csv"), "--nuisance-rdms",
            str(root / "other.csv")]  # fmt: skip
    assert main(command(root, "partial", "participant", *more)) == 0
    assert main(command(root, "partial", "group")) == 0
    content = json.loads((root / "partial" / "group" / "summary.json").read_text())
    assert content["StimuliTest"]["NumberOfPermutations"] == 40
    assert content["Ceilings"] == {}
    assert "mean partial Spearman rho" in (root / "partial" / "index.html").read_text()
    assert "noise ceiling" not in content["Methods"]
    assert "Noise ceiling" not in (root / "partial" / "index.html").read_text().split("<h3>")[1]


def test_a_file_that_is_reference_and_nuisance_is_refused(root, capsys):
    planted = str(root / "planted.csv")
    more = ["--reference-rdms", planted, "--nuisance-rdms", planted]
    assert main(command(root, "twice", "participant", *more)) == 2
    assert "two bear one name" in capsys.readouterr().err
    assert not (root / "twice").exists()


def test_a_partial_form_is_refused_where_there_is_none(root, capsys):
    more = ["--reference-rdms", str(root / "planted.csv"), "--nuisance-rdms",
            str(root / "other.csv"), "--compare", "rho-a"]  # fmt: skip
    assert main(command(root, "none", "participant", *more)) == 2
    assert "has no partial form" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--metric", "mahalanobis"], "--metric mahalanobis: needs the residuals"),
        (["--metric", "crossnobis", "--noise", "per-fold"], "--noise per-fold: needs the resid"),
        (["--noise", "per-fold"], "--noise: per-fold belongs to --metric crossnobis"),
    ],
)
def test_noise_that_betas_do_not_bring_is_refused_before_anything(root, capsys, more, match):
    more = ["--reference-rdms", str(root / "planted.csv"), *more]
    assert main(command(root, "noise", "participant", *more)) == 2
    assert match in capsys.readouterr().err
    assert not (root / "noise").exists()


def test_crossnobis_of_a_group_reads_folds_and_noise_back(tmp_path):
    make_bold(tmp_path, subjects=("01", "02"), stimuli=STIMULI[:7])
    more = ["--reference-rdms", str(tmp_path / "planted.csv"), "--metric", "crossnobis",
            "--noise", "per-fold"]  # fmt: skip
    assert main(command(tmp_path, "out", "participant", *more)) == 0
    folder = tmp_path / "out" / "sub-01" / "func"
    assert sorted(path.name.split("_run-")[1][:1] for path in
                  folder.glob("*_desc-residuals_timeseries.nii.gz")) == ["1", "2"]  # fmt: skip
    kept = json.loads(next(folder.glob("*_desc-patterns_statmap.json")).read_text())
    assert kept["Stimuli"] == sorted(STIMULI[:7]) * 2
    assert kept["Runs"] == ["run-1"] * 7 + ["run-2"] * 7
    assert "estimated in each run" in summary(tmp_path, "out")["Methods"]
    assert "four runs" in summary(tmp_path, "out")["Reliability"]["SkippedBecause"]
    scores = np.mean([score_at(tmp_path, "out", subject)[0] for subject in ("01", "02")])

    # the engine's mean over subjects, from what was written, is the mean of the subjects' maps
    from neurodnn.pipeline import group_stimuli
    from neurodnn.pipeline.config import make_config
    from neurodnn.pipeline.group_plan import plan_group
    from neurodnn.pipeline.group_scores import stack_scores

    given = {"network": "none", "reference-rdms": [tmp_path / "planted.csv"], "n-cpus": 1,
             "label-permutations": 40}  # fmt: skip
    config = make_config(tmp_path / "bids", tmp_path / "out", "group", given)
    job = plan_group(config).jobs[0]
    stacked, grid, _ = stack_scores(job, config.output_dir)
    found = group_stimuli.stimulus_test(job, grid, config)
    assert found.reason == ""
    # patterns were rounded to float32 on the way
    assert np.allclose(found.tested["score"], stacked.mean("subject"), atol=1e-5)
    flat = np.ravel_multi_index(CENTRE, tiny_bids.SHAPE)
    assert found.tested["score"].sel(voxel=flat).item() == pytest.approx(scores, abs=1e-5)


def test_subjects_with_other_stimuli_are_tested_over_the_common_ones(tmp_path):
    make_betas(tmp_path, subjects=("01", "02"), stimuli=STIMULI)
    other = tmp_path / "less"
    make_betas(other, subjects=("01", "02"), stimuli=STIMULI[:7])
    for part in ("derivatives/betas/sub-02",):
        shutil.rmtree(tmp_path / "bids" / part)
        shutil.copytree(other / "bids" / part, tmp_path / "bids" / part)
    more = ["--reference-rdms", str(tmp_path / "planted.csv")]
    assert main(command(tmp_path, "out", "participant", *more)) == 0
    assert main(command(tmp_path, "out", "group")) == 0
    content = json.loads((tmp_path / "out" / "group" / "summary.json").read_text())
    assert content["StimuliTest"]["Stimuli"] == 7
    assert any("the 7 stimuli that all subjects share" in text for text in content["Warnings"])
