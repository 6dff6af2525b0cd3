"""MEG from files to files: what is written, skipped, refused and redone, what fails alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import tiny_meg
from killing import run as run_child
from tiny_bids import OPTIONS as FMRI
from tiny_bids import make_betas, tree
from tiny_meg import add_inverse, command, make_meg

from neurodnn.bids import content_hash, sha256_file
from neurodnn.cli import main
from neurodnn.rsa.rdm_files import read_rdms

STEM = "sub-{0}/meg/sub-{0}_task-look_"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """One run of two subjects with two RDMs; only the first has an inverse operator."""
    root = tmp_path_factory.mktemp("meg")
    add_inverse(make_meg(root))
    assert main(command(root)) == 0
    return root


@pytest.fixture
def again(result, tmp_path):
    """A copy of the finished run that a test may spoil."""
    shutil.copytree(result, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def alone(tmp_path):
    """A fresh data set of one subject without a result."""
    make_meg(tmp_path, subjects=("01",))
    return tmp_path


def results(root, subject="01", kind="megresults"):
    path = root / "out" / f"sub-{subject}" / "figures" / f"sub-{subject}_task-look_{kind}.json"
    return json.loads(path.read_text())


def test_every_promised_file_is_there(result):
    out = result / "out"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    for name in ("dataset_description.json", "README.md", "sub-01.html", "sub-02.html",
                 "models/model-planted/model-planted_rdm.h5", "logs/CITATION.md"):  # fmt: skip
        assert name in files
    for subject in ("01", "02"):
        stem = STEM.format(subject)
        for model in ("planted", "other"):
            for end in ("timeseries.tsv", "timeseries.json", "ave.fif", "ave.json"):
                assert f"{stem}model-{model}_stat-rho_desc-sensors_{end}" in files
        assert {stem + "desc-sensors_rdm.h5", stem + "desc-sensors_rdm.json"} <= files
    source = {name for name in files if name.endswith(".stc")}
    assert source == {
        f"{STEM.format('01')}model-{model}_stat-rho_desc-source_statmap-{side}.stc"
        for model in ("planted", "other") for side in ("lh", "rh")
    }  # fmt: skip
    assert not [name for name in files if name.endswith((".tmp", ".lock"))]
    assert not [name for name in files if "summary.json" in name]


def test_planted_geometry_is_found_at_its_time_and_nowhere_else(result):
    path = result / "out" / f"{STEM.format('01')}model-planted_stat-rho_desc-sensors_timeseries.tsv"
    course = pd.read_csv(path, sep="\t")
    assert list(course.columns) == ["time", "planted"]
    inside = course.planted[(course.time > 0.12) & (course.time < 0.28)]
    assert inside.min() > 0.8
    assert abs(course.planted[course.time < 0.05]).max() < 0.7
    peak = next(each for each in results(result)["Peaks"] if each["Reference"] == "planted")
    assert 0.1 <= peak["Time"] <= 0.3
    assert peak["Value"] == course.planted.max()


def test_curves_are_the_comparison_of_the_rdms_that_were_written(result):
    from neurodnn.rsa.compare import compare_rdms

    out, content = result / "out", results(result)
    movie = read_rdms(out / content["RDM"])
    reference = read_rdms(out / "models" / "model-other" / "model-other_rdm.h5")
    expected = compare_rdms(movie, reference, comparison="spearman").values[:, 0]
    course = pd.read_csv(out / content["TimeSeries"][1]["Path"], sep="\t")
    assert np.array_equal(course["other"], expected)
    assert np.allclose(course["time"], np.array(movie.rdm_descriptors["time"], float))


def test_sensor_maps_are_evokeds_named_by_their_reference_without_dates(result):
    out, content = result / "out", results(result)
    (evoked,) = mne.read_evokeds(out / content["SensorMaps"][0]["Path"], verbose="ERROR")
    assert evoked.comment == "planted"
    assert evoked.ch_names == tiny_meg.sensors().ch_names
    assert np.allclose(evoked.times, pd.read_csv(out / content["TimeSeries"][0]["Path"],
                                                 sep="\t")["time"], atol=1e-6)  # fmt: skip
    assert np.nanmax(evoked.data) > 0.8
    assert evoked.info["meas_date"] is None
    assert evoked.info["subject_info"] is None


def test_source_maps_hold_their_peak_and_one_sidecar_hashes_both(result):
    out, content = result / "out", results(result, kind="sourceresults")
    entry = content["Maps"][0]
    stc = mne.read_source_estimate(out / entry["Path"])
    peak = entry["Peak"]
    assert stc.data.max() == pytest.approx(peak["Value"], rel=1e-6)
    assert content["Vertices"] == {"Left": len(stc.lh_vertno), "Right": len(stc.rh_vertno)}
    side = stc.lh_vertno if peak["Hemisphere"] == "left" else stc.rh_vertno
    assert peak["Vertex"] in side
    from neurodnn.brain.mesh import read_mesh

    mesh = read_mesh(out / content["Surface"][peak["Hemisphere"].capitalize()])
    place = [peak[axis] for axis in "XYZ"]
    assert np.allclose(mesh.coordinates[peak["Vertex"]], place, atol=1e-3)
    name = entry["Path"].replace("-lh.stc", "")
    sidecar = json.loads((out / f"{name}.json").read_text())
    assert sidecar["SHA256"] == content_hash(out / f"{name}.stc")
    assert sidecar["SHA256"]["rh"] == sha256_file(out / f"{name}-rh.stc")


def test_results_say_what_was_used(result):
    content = results(result)
    assert [each["Trials"] for each in content["Recordings"]] == [24, 24]
    assert content["Recordings"][0]["SamplingFrequency"] == 100.0
    assert content["Sensors"] == {"Type": "meg", "Count": 31}
    assert content["Trials"] == {
        "PerStimulus": {"Minimum": 8, "Median": 8.0, "Maximum": 8}, "Total": 48
    }  # fmt: skip
    assert content["Times"]["Width"] == content["Times"]["Step"] == 0.05
    kinds = [each["Kind"] for each in content["Inputs"]]
    assert sorted(set(kinds)) == ["channels", "events", "rdm", "recording"]
    assert "metric" not in content["Parameters"]
    assert content["Parameters"]["meg_metric"] == "correlation"
    assert "2 runs of task look" in content["Methods"]
    assert {"cichy2016", "gramfort2013", "su2012"} <= set(content["Citations"])
    assert "mne" in content["SoftwareVersions"]
    assert any("different units" in text for text in content["Warnings"])


def test_no_file_tells_this_machines_folders(result):
    for path in (result / "out").rglob("*"):
        if path.is_file() and path.name != "neurodnn.toml":
            assert str(result).encode() not in path.read_bytes(), path


def test_second_run_skips_and_changes_nothing(again, capsys):
    before = tree(again / "out")
    assert main([*command(again), "-v"]) == 0
    assert "0 done, 3 skipped, 0 failed" in capsys.readouterr().err
    assert tree(again / "out") == before


def test_options_of_one_workflow_leave_the_others_alone(again, capsys):
    assert main([*command(again, "--radius", "5", "--metric", "euclidean"), "-v"]) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().err
    assert main([*command(again, "--snr", "2", "--overwrite", "--workflow",
                          "meg_source_searchlight"), "-v"]) == 0  # fmt: skip
    assert "1 done, 0 skipped" in capsys.readouterr().err
    assert main([*command(again, "--snr", "2"), "-v"]) == 0
    assert "0 done, 3 skipped" in capsys.readouterr().err


def test_touched_events_are_refused_without_overwrite(again, capsys):
    before = tree(again / "out")
    events = next((again / "bids" / "sub-02" / "meg").glob("*run-1_events.tsv"))
    events.write_text(events.read_text().replace("0.3\t", "0.4\t"))
    assert main(command(again)) == 2
    text = capsys.readouterr().err
    assert "sub-02_task-look" in text
    assert "made from other input" in text
    assert "sub-01_task-look" not in text.split("error:")[1]
    assert tree(again / "out") == before
    assert main([*command(again, "--overwrite", "--participant-label", "02"), "-v"]) == 0
    assert "1 done" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["desc-source_statmap-rh.stc", "desc-sensors_ave.fif"])
def test_damaged_result_is_noticed_and_made_anew(again, capsys, end):
    path = next((again / "out" / "sub-01" / "meg").glob(f"*planted*{end}"))
    good = path.read_bytes()
    path.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    assert main(command(again)) == 0
    assert path.read_bytes() == good
    assert "does not match the hash" in capsys.readouterr().err


def test_jobs_of_an_array_write_what_one_run_writes(result, tmp_path):
    shutil.copytree(result / "bids", tmp_path / "bids")
    for name in ("planted.csv", "other.csv"):
        shutil.copy(result / name, tmp_path / name)
    for label in ("sub-02", "01"):
        assert main(command(tmp_path, "--participant-label", label, "--n-cpus", "2")) == 0
    assert tree(tmp_path / "out") == tree(result / "out")


@pytest.mark.parametrize("step", [5, 22])
def test_killed_run_goes_on_to_the_same_tree(result, tmp_path, step):
    shutil.copytree(result, tmp_path / "run", ignore=shutil.ignore_patterns("out", "work"))
    root = tmp_path / "run"
    code, _ = run_child(command(root), signal=signal.SIGKILL, step=step)
    assert code == -signal.SIGKILL
    assert main(command(root)) == 0
    assert tree(root / "out") == tree(result / "out")


def test_one_damaged_subject_costs_no_other(again, capsys):
    shutil.rmtree(again / "out")
    for number, path in enumerate((again / "bids" / "sub-01" / "meg").glob("*run-*_meg.fif")):
        raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
        if number == 0:
            raw._data[:] = 0  # every sensor is flat: only the data can tell
        raw.save(path, overwrite=True, verbose="ERROR")
    assert main(command(again)) == 3
    assert "good channels are left" in capsys.readouterr().err
    assert not (again / "out" / "sub-01").exists()
    assert (again / "out" / "sub-02").is_dir()
    table = next((again / "out" / "logs").glob("*/failures.tsv")).read_text()
    assert "sub-01 task-look meg\tInputError" in table


def test_forward_solution_and_covariance_make_the_same_maps(result, tmp_path):
    shutil.copytree(result / "bids", tmp_path / "bids")
    shutil.rmtree(tmp_path / "bids" / "derivatives")
    add_inverse(tmp_path / "bids", forward=True)
    for name in ("planted.csv", "other.csv"):
        shutil.copy(result / name, tmp_path / name)
    assert main(command(tmp_path, "--workflow", "meg_source_searchlight")) == 0
    ours, theirs = (results(root, kind="sourceresults")["Maps"][0]["Path"]
                    for root in (tmp_path, result))  # fmt: skip
    ours = mne.read_source_estimate(tmp_path / "out" / ours)
    theirs = mne.read_source_estimate(result / "out" / theirs)
    assert np.array_equal(ours.lh_vertno, theirs.lh_vertno)
    assert np.corrcoef(ours.data.ravel(), theirs.data.ravel())[0, 1] > 0.9
    kinds = [each["Kind"] for each in results(tmp_path, kind="sourceresults")["Inputs"]]
    assert {"forward", "covariance"} <= set(kinds)


@pytest.mark.parametrize(
    ("more", "noise", "word"),
    [
        (["--meg-metric", "crossnobis", "--meg-noise", "mvnn"], "residuals", "Walther"),
        (["--meg-metric", "mahalanobis"], "residuals", "Mahalanobis"),
        (["--meg-noise", "mvnn", "--low-pass", "30", "--resample", "50"], "mvnn", "whitened"),
    ],
)  # fmt: skip
def test_other_metrics_find_the_planted_geometry(alone, more, noise, word):
    assert main(command(alone, *more)) == 0
    content = results(alone)
    assert content["Noise"] == noise
    assert word in content["Methods"]
    course = pd.read_csv(alone / "out" / content["TimeSeries"][0]["Path"], sep="\t")
    late = course.planted[(course.time > 0.12) & (course.time < 0.28)].mean()
    assert late > 0.5 > abs(course.planted[course.time < 0.05]).mean()
    assert content["SensorMaps"]


def test_decoding_names_itself_in_the_rdms(alone):
    more = ["--meg-metric", "decoding", "--pseudo-trials", "4", "--decoding-repeats", "20"]
    assert main(command(alone, *more)) == 0
    content = results(alone)
    assert content["Noise"] == "baseline"
    assert content["SensorMaps"] == []
    assert "decoding is offered for all sensors" in content["SensorMapsSkippedBecause"]
    assert "support vector" in content["Methods"]
    path = alone / "out" / content["RDM"]
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert sidecar["Dissimilarity"] == "decoding accuracy"
    assert sidecar["Details"]["trials_per_pseudo_trial"] == 4
    movie = read_rdms(path)
    accuracy = movie.dissimilarities.mean(axis=1)
    times = np.array(sidecar["Times"])
    assert accuracy[(times > 0.12) & (times < 0.28)].min() > 0.95
    assert abs(accuracy[times < 0.05] - 0.5).max() < 0.25


def test_source_maps_of_other_metrics(tmp_path):
    add_inverse(make_meg(tmp_path, subjects=("01",)))
    more = ["--workflow", "meg_source_searchlight", "--time-window", "0.2", "--meg-metric"]
    for metric in ("crossnobis", "mahalanobis"):
        assert main(command(tmp_path, *more, metric, "--overwrite")) == 0
        assert results(tmp_path, kind="sourceresults")["Maps"][0]["Peak"]["Value"] > 0.6


def test_both_kinds_of_data_are_analysed_together_and_each_alone(tmp_path, capsys):
    make_meg(tmp_path, subjects=("01",))
    betas = make_betas(tmp_path / "betas")  # sub-02 has no recordings
    shutil.copytree(betas, tmp_path / "bids", dirs_exist_ok=True)
    words = [*command(tmp_path), *FMRI[2:6], "-v", "--label-permutations", "0"]
    assert main(["check", words[0], *words[3:]]) == 0
    table = capsys.readouterr().out
    assert "modality" in table
    assert "sub-02: no recordings (meg)" in table
    assert "left out: meg_source_searchlight for sub-01: no folder of inverse" in table
    assert main(words) == 0
    assert "3 done, 0 skipped" in capsys.readouterr().err
    assert (tmp_path / "out" / "sub-01" / "func").is_dir()
    assert (tmp_path / "out" / "sub-01" / "meg").is_dir()
    assert main([*words, "--tmin", "-0.2"]) == 2
    text = capsys.readouterr().err
    assert "desc-sensors" in text
    assert "searchlight_statmap" not in text.split("error:")[1]
    before = tree(tmp_path / "out")
    assert main([*words, "--workflow", "fmri_searchlight"]) == 0
    assert "0 done, 2 skipped" in capsys.readouterr().err
    assert tree(tmp_path / "out") == before


def test_sessions_stand_in_names_and_may_be_chosen(tmp_path):
    folder = make_meg(tmp_path, subjects=("01",)) / "sub-01"
    for session, run in (("a", "1"), ("b", "2")):
        (folder / f"ses-{session}" / "meg").mkdir(parents=True)
        for path in sorted((folder / "meg").glob(f"*run-{run}_*")):
            if path.suffix == ".fif":
                raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
                name = path.name.replace("sub-01_", f"sub-01_ses-{session}_")
                raw.save(folder / f"ses-{session}" / "meg" / name, verbose="ERROR")
            else:
                name = path.name.replace("sub-01_", f"sub-01_ses-{session}_")
                shutil.copy(path, folder / f"ses-{session}" / "meg" / name)
    shutil.rmtree(folder / "meg")
    assert main(command(tmp_path, "--session-label", "ses-b")) == 0
    out = tmp_path / "out" / "sub-01"
    assert (out / "ses-b" / "meg" / "sub-01_ses-b_task-look_desc-sensors_rdm.h5").exists()
    content = json.loads((out / "figures" / "sub-01_ses-b_task-look_megresults.json").read_text())
    assert content["Session"] == "b"
    assert main(command(tmp_path)) == 0  # both together, under a name without a session
    content = json.loads((out / "figures" / "sub-01_task-look_megresults.json").read_text())
    assert [each["Run"] for each in content["Recordings"]] == ["ses-a_run-1", "ses-b_run-2"]


def test_eeg_comes_in_by_the_same_door(tmp_path, capsys):
    bids = make_meg(tmp_path, subjects=("01",), kind="eeg")
    assert main(command(tmp_path)) == 2
    assert "Give --sensors eeg" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(command(tmp_path, "--sensors", "eeg")) == 0
    content = json.loads(next((tmp_path / "out").rglob("*megresults.json")).read_text())
    assert content["Datatype"] == "eeg"
    assert content["Sensors"] == {"Type": "eeg", "Count": 12}
    assert "SensorMapsSkippedBecause" in content or content["SensorMaps"]
    assert (tmp_path / "out" / "sub-01" / "eeg").is_dir()
    assert (bids / "sub-01" / "eeg").is_dir()


def test_an_annexed_file_is_held_to_its_key(alone, capsys):
    path = next((alone / "bids" / "sub-01" / "meg").glob("*run-1_meg.fif"))
    key = f"SHA256E-s{path.stat().st_size}--{sha256_file(path)}.fif"
    store = alone / "bids" / ".git" / "annex" / "objects" / key
    store.parent.mkdir(parents=True)
    path.rename(store)
    path.symlink_to(store)
    content = bytearray(store.read_bytes())
    content[len(content) // 2] ^= 1  # among the samples, where FIF has no checksum
    store.write_bytes(content)
    assert main(command(alone)) == 2
    assert "the content is not that of its key" in capsys.readouterr().err
    assert tree(alone / "out") == {}


def test_official_validator_passes(result):
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists():
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [str(program), str(result / "out")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_reports_and_boilerplate_need_no_data(again, capsys):
    page = again / "out" / "sub-01.html"
    good = page.read_bytes()
    page.unlink()
    shutil.rmtree(again / "bids")
    assert main(["report", str(again / "out")]) == 0
    assert page.read_bytes() == good
    assert main(command(again, "--boilerplate-only")) == 0
    assert "patterns of all sensors gave" in capsys.readouterr().out
