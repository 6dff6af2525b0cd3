"""From fMRIPrep's runs and events to maps, with and without noise normalisation."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import tiny_bold
from tiny_bids import OPTIONS
from tiny_bold import STIMULI, make_bold

from neurodnn.cli import main
from neurodnn.pipeline.matching import OTHER_EVENTS, modelled_names


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("bold")
    make_bold(root)
    return root


def run(root, out, *more):
    words = [str(root / "bids"), str(root / out), "participant", *OPTIONS, "--reference-rdms",
             str(root / "planted.csv"), "-w", str(root / "work"), *more]  # fmt: skip
    return main(words)


@pytest.mark.parametrize("metric", ["correlation", "crossnobis"])
def test_planted_half_is_found_from_bold(root, metric):
    assert run(root, metric, "--metric", metric) == 0
    folder = root / metric / "sub-01"
    data = nibabel.load(next(folder.glob("func/*desc-searchlight_statmap.nii.gz"))).get_fdata()
    assert np.nanmean(data[:2]) > 0.3
    assert abs(np.nanmean(data[4:])) < 0.25
    # runs differ in their masks: only what all of them hold is analysed
    assert np.isnan(data[:, :, 0]).all()
    assert np.isnan(data[:, :, 4]).all()
    assert np.isfinite(data[:, :, 2]).all()
    content = json.loads(next(folder.glob("figures/*summary.json")).read_text())
    assert content["MaskVoxels"] == 6 * 7 * 3
    assert content["Mask"] == "intersection of 2 runs' masks"
    assert content["Confounds"].startswith("Confounds: 6 motion parameters")
    assert "general linear model" in content["Methods"]
    kinds = [each["Kind"] for each in content["Inputs"]]
    assert sorted(set(kinds)) == ["bold", "confounds", "events", "mask", "rdm"]
    assert content["Stimuli"]["Column"] == "stim_file"
    if metric == "crossnobis":
        assert np.nanmin(data) < 0
        assert "crossnobis" in content["Methods"]
        assert {"walther2016", "schaefer2005"} <= set(content["Citations"])


def test_slice_time_and_tr_come_from_the_inherited_sidecar(root):
    from neurodnn.pipeline import plan
    from neurodnn.pipeline.config import make_config

    given = {"network": "none", "reference-rdms": [root / "planted.csv"]}
    job = plan(make_config(root / "bids", None, given=given)).jobs[0]
    assert [(each.tr, each.slice_time_ref) for each in job.runs] == [(2.0, 0.5), (2.0, 0.5)]
    assert [each.label for each in job.runs] == ["run-1", "run-2"]
    # the row without a stimulus belongs to the baseline
    assert [sum(name is None for name in each.stimuli) for each in job.runs] == [1, 1]


def test_missing_events_and_confounds_are_told_together(tmp_path, capsys):
    bids = make_bold(tmp_path)
    next(bids.glob("sub-01/func/*run-2_events.tsv")).unlink()
    next(bids.rglob("*run-1_desc-confounds_timeseries.tsv")).unlink()
    assert run(tmp_path, "out") == 2
    text = capsys.readouterr().err
    assert "run-2_space-T1w_desc-preproc_bold.nii.gz: has no events table" in text
    assert "sub-01_task-look_run-1_events.tsv" in text  # what is there
    assert "run-1_space-T1w_desc-preproc_bold.nii.gz: has no desc-confounds" in text
    assert "2 faults were found" in text
    assert not (tmp_path / "out").exists()


def _into_sessions(bids):
    """Move run 1 to session a and run 2 to session b, names and folders."""
    for root in (bids, bids / "derivatives" / "fmriprep"):
        for path in list((root / "sub-01" / "func").iterdir()):
            session = "a" if "run-1" in path.name else "b"
            folder = root / "sub-01" / f"ses-{session}" / "func"
            folder.mkdir(parents=True, exist_ok=True)
            name = path.name.replace("run-1_", "").replace("run-2_", "")
            path.rename(folder / name.replace("sub-01_", f"sub-01_ses-{session}_"))
        (root / "sub-01" / "func").rmdir()


def test_sessions_of_a_subject_are_runs_of_one_job_or_chosen(root, tmp_path):
    bids = make_bold(tmp_path)
    _into_sessions(bids)
    assert run(tmp_path, "out") == 0
    found = nibabel.load(next((tmp_path / "out" / "sub-01" / "func").glob("*statmap.nii.gz")))
    whole = nibabel.load(next((root / "correlation").glob("sub-01/func/*statmap.nii.gz")))
    assert np.array_equal(found.get_fdata(), whole.get_fdata(), equal_nan=True)
    assert run(tmp_path, "out", "--session-label", "ses-b") == 0
    folder = tmp_path / "out" / "sub-01"
    name = next((folder / "ses-b" / "func").glob("*statmap.nii.gz")).name
    assert name.startswith("sub-01_ses-b_task-look_space-T1w_model-planted_")
    content = json.loads((folder / "figures" / "sub-01_ses-b_task-look_summary.json").read_text())
    assert content["Session"] == "b"
    assert (folder / "figures" / "sub-01_task-look_summary.json").exists()


def test_new_timing_in_a_sidecar_is_no_result_of_before(tmp_path, capsys):
    bids = make_bold(tmp_path)
    assert run(tmp_path, "out") == 0
    sidecar = bids / "derivatives" / "fmriprep" / "task-look_bold.json"
    sidecar.write_text(json.dumps({"RepetitionTime": 2.0, "SliceTimingCorrected": False}))
    assert run(tmp_path, "out") == 2
    assert "made from other input" in capsys.readouterr().err
    assert run(tmp_path, "out", "--overwrite") == 0


def test_events_of_no_known_stimulus_are_told(tmp_path):
    bids = make_bold(tmp_path)
    for table in bids.glob("sub-01/func/*events.tsv"):
        table.write_text(table.read_text() + "120\t1\tcatch.png\n")
    (tmp_path / "stimuli.tsv").write_text("stimulus_id\n" + "\n".join(STIMULI) + "\n")
    assert run(tmp_path, "out", "--stimuli", str(tmp_path / "stimuli.tsv")) == 0
    content = json.loads(next((tmp_path / "out").rglob("*summary.json")).read_text())
    assert any("(catch.png) and enter the linear model" in note for note in content["Warnings"])


def test_responses_to_other_events_leave_the_estimates_alone(tmp_path):
    from nilearn.glm.first_level import compute_regressor

    bids = make_bold(tmp_path)
    (tmp_path / "stimuli.tsv").write_text("stimulus_id\n" + "\n".join(STIMULI) + "\n")
    options = ("--stimuli", str(tmp_path / "stimuli.tsv"))
    assert run(tmp_path, "without", *options) == 0
    onsets = np.array([6.0, 31.0, 57.0, 99.0])
    for table in bids.glob("sub-01/func/*events.tsv"):
        table.write_text(table.read_text() + "".join(f"{t}\t1\tcatch\n" for t in onsets))
    times = (np.arange(tiny_bold.VOLUMES) + 0.5) * tiny_bold.TR
    response, _ = compute_regressor(np.array([onsets, onsets * 0 + 1, onsets * 0 + 1]), "glover",
                                    times)
    # another strength in every voxel: a pattern that would be added to stimuli near by
    strength = np.random.default_rng(3).normal(0, 200, tiny_bold.tiny_bids.SHAPE)
    for path in bids.rglob("*desc-preproc_bold.nii.gz"):
        image = nibabel.load(path)
        data = image.get_fdata() + strength[..., None] * response[:, 0]
        tiny_bold._save(data, path)
    assert run(tmp_path, "with", *options) == 0
    one, two = (
        nibabel.load(next((tmp_path / out).glob("sub-01/func/*statmap.nii.gz"))).get_fdata()
        for out in ("without", "with")
    )
    # not equal: the catch trials cost degrees of freedom and the noise model sees them
    assert np.nanmean(np.abs(one - two)) < 0.05
    assert np.array_equal(np.isnan(one), np.isnan(two))


@pytest.mark.parametrize(
    ("cell", "stimulus", "expected"),
    [
        ("a.png", "a", "a"),
        ("catch", None, OTHER_EVENTS),
        ("Rest", None, None),
        (float("nan"), None, None),
    ],
)
def test_what_an_event_is_in_the_model(cell, stimulus, expected):
    events = pd.DataFrame({"onset": ["4"], "duration": ["1"], "stim_file": [cell]})
    assert modelled_names(events, "stim_file", [stimulus]) == [expected]
    events["duration"] = ["n/a"]
    assert modelled_names(events, "stim_file", [stimulus]) == [stimulus]
