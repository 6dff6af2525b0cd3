"""From files to files: what is written, what is skipped, refused and redone, what fails alone."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tiny_bids
from tiny_bids import OPTIONS, make_betas, tree

from neurodnn.bids import sha256_file
from neurodnn.cli import main

MAP = "sub-{}_task-look_space-T1w_model-{}_stat-rho_desc-searchlight_statmap.nii.gz"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """One run of two subjects with two RDMs: (root, bids, out)."""
    root = tmp_path_factory.mktemp("run")
    bids = make_betas(root)
    assert main(command(root)) == 0
    return root, bids, root / "out"


@pytest.fixture
def again(result, tmp_path):
    """A copy of the finished run that a test may spoil."""
    shutil.copytree(result[0], tmp_path / "run")
    return tmp_path / "run"


def command(root, *more, level="participant"):
    rdms = ["--reference-rdms", str(root / "planted.csv"), str(root / "other.csv")]
    return [str(root / "bids"), str(root / "out"), level, *rdms, *OPTIONS,
            "-w", str(root / "work"), *more]  # fmt: skip


def summary(root, subject="01"):
    path = root / "out" / f"sub-{subject}" / "figures" / f"sub-{subject}_task-look_summary.json"
    return json.loads(path.read_text())


def test_every_promised_file_is_there(result):
    _, _, out = result
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    for name in ("dataset_description.json", "README.md", ".bidsignore", "sub-01.html",
                 "logs/CITATION.md", "logs/CITATION.bib", "models/model-planted/"
                 "model-planted_rdm.h5", "models/model-planted/model-planted_rdm.json"):  # fmt: skip
        assert name in files
    for subject in ("01", "02"):
        for model in ("planted", "other"):
            name = f"sub-{subject}/func/" + MAP.format(subject, model)
            assert name in files
            assert name.replace(".nii.gz", ".json") in files
    assert len([name for name in files if name.endswith("run.log")]) == 1
    assert not [name for name in files if name.endswith((".tmp", ".lock"))]


def test_planted_half_is_found_and_the_map_lies_on_the_input_grid(result):
    _, bids, out = result
    image = nibabel.load(out / "sub-01" / "func" / MAP.format("01", "planted"))
    assert np.allclose(image.affine, tiny_bids.AFFINE)
    assert image.get_data_dtype() == np.float32
    data = image.get_fdata()
    assert np.isnan(data[0, 0, 0])  # outside the mask
    assert np.nanmean(data[:2]) > 0.3 > np.nanmean(data[4:])
    peak = summary(out.parent)["Maps"][0]["Peak"]
    assert peak["Value"] == pytest.approx(np.nanmax(data))
    index = np.linalg.inv(image.affine) @ [peak["X"], peak["Y"], peak["Z"], 1]
    assert data[tuple(np.rint(index[:3]).astype(int))] == np.nanmax(data)


def test_sidecar_says_what_the_map_is(result):
    _, _, out = result
    path = out / "sub-01" / "func" / MAP.format("01", "planted")
    sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["SHA256"] == sha256_file(path)
    expected = {
        "LayerName": "planted", "Metric": "correlation", "Comparison": "spearman",
        "RadiusMM": 4.5, "NumberOfStimuli": 6, "StimulusKey": "name", "RandomSeed": 0,
        "SpatialReference": "T1w", "Warnings": [],
    }  # fmt: skip
    assert {key: sidecar[key] for key in expected} == expected
    assert sidecar["Sources"][0].startswith("bids:betas:sub-01/func/")
    assert sidecar["Command"].endswith("--radius 4.5 --min-share 0.2")
    assert "--participant-label 01" in sidecar["Command"]


def test_summary_counts_inputs_and_describes_methods(result):
    content = summary(result[0])
    kinds = [each["Kind"] for each in content["Inputs"]]
    assert sorted(kinds) == ["betas", "betas", "labels", "labels", "mask", "rdm", "rdm"]
    assert content["Stimuli"]["Matched"] == content["Stimuli"]["Compared"] == 6
    assert (content["MaskVoxels"], content["Centres"]) == (209, 209)
    assert "within 4.5 mm (inclusive)" in content["Methods"]
    assert {"kriegeskorte2006", "kriegeskorte2008"} <= set(content["Citations"])
    assert content["Network"] is None
    assert content["Parameters"]["radius"] == 4.5


def test_no_file_outside_or_inside_logs_tells_this_machines_folders(result):
    root, _, out = result
    for path in out.rglob("*"):
        if path.is_file() and path.name != "neurodnn.toml":
            assert str(root).encode() not in path.read_bytes(), path


def test_second_run_skips_and_changes_nothing(again, capsys):
    before = tree(again / "out")
    assert main([*command(again), "-v"]) == 0
    assert "0 done, 2 skipped, 0 failed" in capsys.readouterr().err
    assert tree(again / "out") == before


def test_other_options_are_refused_and_leave_everything(again, capsys):
    before = tree(again / "out")
    assert main(command(again, "--metric", "euclidean")) == 2
    text = capsys.readouterr().err
    assert "sub-01_task-look" in text
    assert "sub-02_task-look" in text  # all of them at once
    assert "Give --overwrite" in text
    assert tree(again / "out") == before


def test_changed_input_is_refused_although_its_time_is_old(again, capsys):
    folder = again / "bids" / "derivatives" / "betas" / "sub-02" / "func"
    image = next(folder.glob("*run-1*.nii.gz"))
    stamp = image.stat()
    old = nibabel.load(image)
    tiny_bids.image(old.get_fdata() + 1, image)
    os.utime(image, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert main(command(again)) == 2
    text = capsys.readouterr().err
    assert "sub-02" in text
    assert "made from other input" in text
    assert "sub-01_task" not in text.split("error:")[1]


def test_overwrite_replaces_and_equals_a_fresh_run(again, tmp_path):
    assert main(command(again, "--metric", "euclidean", "--overwrite")) == 0
    fresh = make_betas(tmp_path).parent
    assert main(command(fresh, "--metric", "euclidean")) == 0
    assert tree(again / "out") == tree(fresh / "out")


def test_damaged_result_is_noticed_and_made_anew(again, capsys):
    path = again / "out" / "sub-01" / "func" / MAP.format("01", "other")
    good = path.read_bytes()
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    assert main(command(again)) == 0
    assert path.read_bytes() == good
    assert "does not match the hash" in capsys.readouterr().err


def test_jobs_of_an_array_write_what_one_run_writes(result, tmp_path):
    fresh = make_betas(tmp_path).parent
    for label in ("sub-02", "01"):
        assert main(command(fresh, "--participant-label", label)) == 0
    assert tree(fresh / "out") == tree(result[2])


def test_one_damaged_subject_costs_no_other(tmp_path, capsys):
    root = make_betas(tmp_path).parent
    image = next((root / "bids" / "derivatives" / "betas" / "sub-01" / "func").glob("*run-2*.gz"))
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 4  # only the checksum of the data can tell
    image.write_bytes(content)
    assert main(command(root)) == 3
    text = capsys.readouterr().err
    assert "1 of 2 jobs failed" in text
    assert image.name in text
    assert not (root / "out" / "sub-01").exists()
    assert (root / "out" / "sub-02" / "func" / MAP.format("02", "planted")).exists()
    table = next((root / "out" / "logs").glob("*/failures.tsv")).read_text()
    assert "sub-01 task-look\tInputError" in table
    assert str(root) not in table


def test_abort_writes_nothing_after_the_failure_and_bad_input_alone_is_2(tmp_path):
    root = make_betas(tmp_path).parent
    image = next((root / "bids" / "derivatives" / "betas" / "sub-01" / "func").glob("*run-2*.gz"))
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 4
    image.write_bytes(content)
    assert main(command(root, "--on-error", "abort")) == 2
    assert tree(root / "out") == {}


def test_dry_run_and_check_write_nothing(tmp_path, capsys):
    root = make_betas(tmp_path).parent
    assert main(command(root, "--dry-run")) == 0
    assert main(["check", *command(root)[:1], *command(root)[3:]]) == 0
    text = capsys.readouterr()
    assert "sub-01   look  T1w    betas  2     12" in text.err
    assert "6 matched of 6" in text.out
    assert not (root / "out").exists()


def test_memory_guard_refuses_before_anything_and_force_passes(tmp_path, capsys):
    root = make_betas(tmp_path, subjects=("01",)).parent
    assert main(command(root, "--mem-mb", "10")) == 2
    assert "--mem-mb: about" in capsys.readouterr().err
    assert not (root / "out").exists()
    assert main(command(root, "--mem-mb", "10", "--force")) == 0


def test_brain_that_lacks_stimuli_of_the_rdm_is_compared_over_the_rest_and_says_so(tmp_path):
    root = make_betas(tmp_path, subjects=("01",), stimuli=tiny_bids.STIMULI[:5]).parent
    wide = np.random.default_rng(0).normal(size=(6, 20))
    tiny_bids.write_rdm(root / "planted.csv", wide, tiny_bids.STIMULI)
    assert main(command(root)) == 0
    content = summary(root)
    assert content["Stimuli"]["Compared"] == 5
    assert any("1 of its 6 stimuli were not shown" in text for text in content["Warnings"])
    narrow = wide[:5]
    tiny_bids.write_rdm(root / "planted.csv", narrow, tiny_bids.STIMULI[:5])
    first = (root / "out" / "sub-01" / "func" / MAP.format("01", "planted")).read_bytes()
    assert main(command(root, "--overwrite")) == 0
    second = (root / "out" / "sub-01" / "func" / MAP.format("01", "planted")).read_bytes()
    assert first == second


def test_three_dimensional_betas_named_by_condition_give_the_same_map(result, tmp_path):
    root, bids, out = result
    copy = tmp_path / "bids"
    shutil.copytree(bids, copy)
    for table in (copy / "derivatives" / "betas").rglob("*_statmap.tsv"):
        image = table.with_suffix(".nii.gz")
        data = nibabel.load(image).get_fdata()
        for index, name in enumerate(table.read_text().split()[1:]):
            parts = image.name.replace("_stat-", f"_condition-{name}_stat-")
            tiny_bids.image(data[..., index], image.with_name(parts))
        table.unlink()
        image.unlink()
    for name in ("planted.csv", "other.csv"):
        shutil.copy(root / name, tmp_path / name)
    assert main(command(tmp_path, "--participant-label", "01")) == 0
    for model in ("planted", "other"):
        name = f"sub-01/func/{MAP.format('01', model)}"
        ours, theirs = nibabel.load(tmp_path / "out" / name), nibabel.load(out / name)
        assert np.array_equal(ours.get_fdata(), theirs.get_fdata(), equal_nan=True)


def test_network_layers_become_maps_and_are_computed_once(tmp_path, capsys):
    from PIL import Image

    root = make_betas(tmp_path).parent
    (root / "bids" / "stimuli").mkdir()
    for number, name in enumerate((*tiny_bids.STIMULI, "zebra")):
        pixels = np.random.default_rng(number).integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "bids" / "stimuli" / f"{name.upper()}.png")
    (root / "tiny.py").write_text(
        "import torch\nfrom torch import nn\nfrom neurodnn.dnn.images import ImageTransform\n"
        "def build():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),"
        " nn.Linear(484, 5)), ImageTransform(size=24)\n"
    )
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS[2:], "-w",
             str(root / "work"), "--network", f"{root}/tiny.py:build"]  # fmt: skip
    assert main([*words, "--layers", "2", "9"]) == 2
    assert "the network has no such layer" in capsys.readouterr().err
    assert not (root / "out").exists()
    assert main([*words, "-v", "--participant-label", "01"]) == 0
    assert "layer RDMs: 2 layers, 7 images" in capsys.readouterr().err
    assert main([*words, "-v", "--participant-label", "02"]) == 0
    assert "not computed again" in capsys.readouterr().err
    names = [path.name for path in (root / "out" / "models" / "model-tinyPyBuild").iterdir()]
    assert "model-tinyPyBuild_layer-2_rdm.h5" in names
    assert "model-tinyPyBuild_layers.tsv" in names
    content = summary(root)
    assert [each["Name"] for each in content["References"]] == ["2", "4"]
    assert content["Stimuli"]["InTable"] == 7
    assert content["FirstStimulus"]["Stimulus"] == "boat"
    assert any("1 of 7 images" in text for text in content["Warnings"])
    from neurodnn.rsa.rdm_files import read_rdms

    rdms = read_rdms(root / "out" / content["References"][0]["RDM"])
    assert list(rdms.pattern_descriptors["stimulus"]) == [*tiny_bids.STIMULI, "zebra"]
    assert not (root / "work").exists()  # nothing was left in it


def test_reports_and_boilerplate_need_no_data(again, capsys):
    page = again / "out" / "sub-01.html"
    good = page.read_bytes()
    page.unlink()
    shutil.rmtree(again / "bids")
    assert main(["report", str(again / "out")]) == 0
    assert page.read_bytes() == good
    assert (again / "out" / "index.html").exists()
    assert main(command(again, "--boilerplate-only")) == 0
    text = capsys.readouterr().out
    assert "A searchlight (Kriegeskorte et al., 2006)" in text
    assert "doi:" in text


def test_the_log_is_complete_and_the_logger_is_given_back(result):
    log = next(result[2].glob("logs/*/run.log")).read_text()
    assert "numpy " in log
    assert "sub-01 task-look: done" in log
    assert "6 matched of 6" in log
    assert logging.getLogger("neurodnn").handlers == []
    assert logging.getLogger("neurodnn").propagate


def test_official_validator_passes(result):
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [str(program), str(result[2])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_betas_take_masks_of_their_own_task_and_say_which(tmp_path):
    bids = make_betas(tmp_path, subjects=("01",), runs=("1",))
    next(bids.rglob("*desc-brain_mask.nii.gz")).unlink()
    prep = bids / "derivatives" / "fmriprep"
    tiny_bids._describe(prep, "derivative")
    (prep / "sub-01" / "func").mkdir(parents=True)
    for task, run, plane in (("aaa", "1", 2), ("look", "1", 0), ("look", "2", 4)):
        mask = np.ones(tiny_bids.SHAPE, np.uint8)
        mask[:, :, plane] = 0
        name = f"sub-01_task-{task}_run-{run}_space-T1w_desc-brain_mask.nii.gz"
        tiny_bids.image(mask, prep / "sub-01" / "func" / name)
    words = [str(bids), str(tmp_path / "out"), "participant", *OPTIONS, "--reference-rdms",
             str(tmp_path / "planted.csv"), "-w", str(tmp_path / "work")]  # fmt: skip
    assert main(words) == 0
    content = json.loads(next((tmp_path / "out").rglob("*summary.json")).read_text())
    assert content["Mask"].startswith("sub-01_task-look_run-1_")
    assert any("2 masks are there for 1 runs" in note for note in content["Warnings"])


def test_volumes_of_a_stimulus_without_an_image_are_told(tmp_path):
    bids = make_betas(tmp_path, subjects=("01",))
    listing = tmp_path / "stimuli.tsv"
    listing.write_text("stimulus_id\n" + "\n".join(tiny_bids.STIMULI[1:]) + "\n")
    words = [str(bids), str(tmp_path / "out"), "participant", *OPTIONS, "--reference-rdms",
             str(tmp_path / "planted.csv"), "--stimuli", str(listing), "-w", str(tmp_path / "work")]
    assert main(words) == 0
    content = json.loads(next((tmp_path / "out").rglob("*summary.json")).read_text())
    assert content["Stimuli"]["Compared"] == 5
    assert any("(boat) and their volumes were left out" in note for note in content["Warnings"])
