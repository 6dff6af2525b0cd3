"""The group level: maps, p values, one subject, subjects that do not fit together, resume."""

from __future__ import annotations

import json
import shutil
import signal
import sys

import nibabel
import numpy as np
import pytest
import tiny_bids
from killing import run
from tiny_bids import OPTIONS, make_betas, tree

from neurodnn.cli import main
from neurodnn.stats.permutation import sign_flip_test

SUBJECTS = ("01", "02", "03", "04", "05", "06")
NAME = "task-look_space-T1w_model-{}_stat-{}_desc-{}_statmap.nii.gz"


def command(root, level, *more):
    rdms = ["--reference-rdms", str(root / "planted.csv"), str(root / "other.csv")]
    return [str(root / "bids"), str(root / "out"), level, *rdms, *OPTIONS,
            "-w", str(root / "work"), *more]  # fmt: skip


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    root = tmp_path_factory.mktemp("group")
    make_betas(root, subjects=SUBJECTS)
    assert main(command(root, "participant")) == 0
    assert main(command(root, "group")) == 0
    return root


@pytest.fixture
def again(six, tmp_path):
    shutil.copytree(six, tmp_path / "g")
    return tmp_path / "g"


def values(root, model, statistic="mean", desc="searchlight"):
    return nibabel.load(root / "out" / "group" / NAME.format(model, statistic, desc)).get_fdata()


def test_maps_are_those_of_the_test_over_the_subjects_maps(six):
    maps = []
    for subject in SUBJECTS:
        folder = six / "out" / f"sub-{subject}" / "func"
        both = [nibabel.load(next(folder.glob(f"*model-{m}_*.nii.gz"))).get_fdata()
                for m in ("planted", "other")]  # fmt: skip
        maps.append(np.stack(both, -1))
    stacked = np.stack(maps)
    inside = np.isfinite(stacked).all(axis=(0, -1))
    tested = sign_flip_test(stacked[:, inside], n_permutations="exact")
    for index, model in enumerate(("planted", "other")):
        for statistic, desc, name in (("mean", "searchlight", "mean"), ("t", "searchlight", "t"),
                                      ("p", "searchlightFWE", "p_fwe")):  # fmt: skip
            found = values(six, model, statistic, desc)
            assert np.allclose(found[inside], tested[name].values[:, index], rtol=1e-5)
            assert np.isnan(found[~inside]).all()


def test_summary_states_the_test(six):
    content = json.loads((six / "out" / "group" / "summary.json").read_text())
    assert content["Subjects"] == list(SUBJECTS)
    assert (content["Flips"], content["Exact"], content["Tail"]) == (64, True, "two-sided")
    assert content["Family"] == "voxel x reference"
    assert content["MinimumP"] == 1 / 32
    assert content["GeneralisesTo"] == "subjects"
    planted, other = content["Maps"]
    mean, p = values(six, "planted"), values(six, "planted", "p", "searchlightFWE")
    assert planted["Peak"]["Value"] == pytest.approx(np.nanmax(mean))
    assert planted["Peak"]["P"]["p"] == pytest.approx(p.flat[np.nanargmax(mean)])
    assert planted["VoxelsBelow05"]["p"] == np.sum(p < 0.05)
    assert np.nanmin(p) < 0.2  # six subjects and 418 tests: little is left below .05
    assert planted["Peak"]["X"] <= 0  # the planted half
    assert set(planted["Statistics"]) == {"mean", "t", "p", "p_cluster-mass"}
    assert "6 stimuli, which can be shuffled in too few ways" in (
        content["StimuliTest"]["SkippedBecause"]
    )  # fmt: skip
    assert "all 64 sign flips" in content["Methods"]
    path = six / "out" / planted["Statistics"]["p"]
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["MultipleTestingFamily"] == "voxel x reference"
    assert len(sidecar["Sources"]) == 6
    assert (six / "out" / "index.html").exists()


def test_second_run_skips_and_another_tail_is_refused(again, capsys):
    before = tree(again / "out")
    assert main([*command(again, "group"), "-v"]) == 0
    assert "done before, skipped" in capsys.readouterr().err
    assert tree(again / "out") == before
    assert main(command(again, "group", "--tail", "greater")) == 2
    assert "Give --overwrite" in capsys.readouterr().err
    assert tree(again / "out") == before
    assert main(command(again, "group", "--tail", "greater", "--overwrite")) == 0
    content = json.loads((again / "out" / "group" / "summary.json").read_text())
    assert (content["Tail"], content["MinimumP"]) == ("greater", 1 / 64)
    assert content["Parameters"]["tail"] == "greater"


def test_subjects_with_other_options_are_not_mixed(again, capsys):
    words = command(again, "participant", "--participant-label", "03", "--overwrite")
    assert main([*words, "--metric", "euclidean"]) == 0
    assert main(command(again, "group", "--overwrite")) == 2
    text = capsys.readouterr().err
    assert "sub-03: was analysed with other options than sub-01" in text
    assert "metric: euclidean and correlation" in text


def test_missing_map_and_unknown_subject_are_told(again, capsys):
    name = next((again / "out" / "sub-02" / "func").glob("*model-other_*.nii.gz"))
    name.unlink()
    assert main(command(again, "group")) == 2
    assert f"{name.name}: is missing" in capsys.readouterr().err
    assert main(command(again, "group", "--participant-label", "09")) == 2
    assert "01, 02, 03, 04, 05, 06" in capsys.readouterr().err


def test_voxels_that_a_subject_lacks_are_left_out_and_counted(tmp_path):
    root = make_betas(tmp_path, subjects=SUBJECTS).parent
    mask = next((root / "bids" / "derivatives").rglob("sub-04*mask.nii.gz"))
    data = np.asarray(nibabel.load(mask).dataobj).copy()
    data[:, 0] = 0
    tiny_bids.image(data, mask)
    assert main(command(root, "participant")) == 0
    assert main(command(root, "group")) == 0
    content = json.loads((root / "out" / "group" / "summary.json").read_text())
    assert content["Voxels"] == 209 - 29
    assert any("29 of 209 voxels lack a score" in text for text in content["Warnings"])
    assert np.isnan(values(root, "planted")[:, 0]).all()


def test_one_subject_is_skipped_with_a_reason(again, capsys):
    shutil.rmtree(again / "out" / "group")
    assert main(command(again, "group", "--participant-label", "sub-01")) == 0
    content = json.loads((again / "out" / "group" / "summary.json").read_text())
    assert "there is one (sub-01)" in content["SkippedBecause"]
    assert "there is one (sub-01)" in capsys.readouterr().err
    assert "there is one (sub-01)" in (again / "out" / "index.html").read_text()
    assert not list((again / "out" / "group").glob("*.nii.gz"))


def test_too_few_subjects_for_any_p_get_means_and_the_number_needed(again, capsys):
    shutil.rmtree(again / "out" / "group")
    assert main(command(again, "group", "--participant-label", "01", "02", "03", "04")) == 0
    content = json.loads((again / "out" / "group" / "summary.json").read_text())
    reason = content["SubjectsTest"]["SkippedBecause"]
    assert "4 subjects the smallest p that 16 sign flips can give is 0.125" in reason
    assert "6 subjects are needed for a two-sided test" in reason
    for place in (capsys.readouterr().err, (again / "out" / "index.html").read_text()):
        assert "6 subjects are needed for a two-sided test" in place
        assert "Traceback" not in place
    names = sorted(path.name for path in (again / "out" / "group").glob("*.nii.gz"))
    assert [name.split("_stat-")[1].split("_")[0] for name in names] == ["mean", "t"] * 2
    assert main(command(again, "group", "--participant-label", "01", "02", "03", "04")) == 0
    assert "done before, skipped" not in capsys.readouterr().err  # -q


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a child is killed")
@pytest.mark.parametrize("step", [1, 6, 14])
def test_f9_killed_group_goes_on_to_the_same_tree(six, again, step):
    shutil.rmtree(again / "out" / "group")
    (again / "out" / "index.html").unlink()
    code, text = run(command(again, "group"), step=step, signal=signal.SIGKILL)
    assert code == -signal.SIGKILL, text
    assert main(command(again, "group")) == 0
    assert tree(again / "out") == tree(six / "out")


def test_no_results_no_group(tmp_path, capsys):
    root = make_betas(tmp_path, subjects=("01",)).parent
    assert main(command(root, "group")) == 2
    assert "Run the participant level first" in capsys.readouterr().err
    assert not (root / "out").exists()


def test_maps_against_other_rdms_of_one_name_are_not_mixed(tmp_path, capsys):
    subjects = [f"{number:02d}" for number in range(1, 8)]
    bids = make_betas(tmp_path, subjects=subjects)
    words = [str(bids), str(tmp_path / "out"), "participant", *OPTIONS,
             "--reference-rdms", str(tmp_path / "planted.csv"), "-w", str(tmp_path / "work")]
    assert main([*words, "--participant-label", *subjects[:6]]) == 0
    tiny_bids.write_rdm(tmp_path / "planted.csv", np.random.default_rng(3).normal(size=(6, 30)),
                        tiny_bids.STIMULI)  # fmt: skip
    assert main([*words, "--participant-label", "07", "--overwrite"]) == 0
    assert main([str(bids), str(tmp_path / "out"), "group", "-q"]) == 2
    assert "sub-07: was compared with other RDMs" in capsys.readouterr().err
    assert not (tmp_path / "out" / "group").exists()
