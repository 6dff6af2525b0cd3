"""Bad recordings and tables (B31 to B40) through the command line: 2, a message, no file."""

from __future__ import annotations

import shutil

import mne
import numpy as np
import pytest
from tiny_bids import tree
from tiny_meg import add_inverse, command, make_meg, sensors, write_run

from neurodnn.cli import main


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    make_meg(root)
    return root


@pytest.fixture
def root(whole, tmp_path):
    """A copy of two sound subjects that a test may spoil."""
    shutil.copytree(whole, tmp_path / "data")
    return tmp_path / "data"


def recording(root, subject="01", run="1"):
    return root / "bids" / f"sub-{subject}" / "meg" / f"sub-{subject}_task-look_run-{run}_meg.fif"


def events(root, subject="01", run="1"):
    return recording(root, subject, run).with_name(
        f"sub-{subject}_task-look_run-{run}_events.tsv"
    )


def rewritten(root, change, subject="01", run="1"):
    path = recording(root, subject, run)
    raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
    changed = change(raw) or raw
    changed.save(path, overwrite=True, verbose="ERROR")
    return path


def refused(root, capsys, *texts, more=()):
    """Check and run refuse with all texts in one message; nothing is written."""
    words = command(root, *more)
    assert main(words) == 2
    said = capsys.readouterr().err
    for text in texts:
        assert text in said
    assert tree(root / "out") == {} if (root / "out").exists() else True
    assert "Traceback" not in said
    assert main(["check", words[0], *words[3:]]) == 2
    assert not (root / "out").exists()
    capsys.readouterr()


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_b31_cut_file(root, capsys, share):
    path = recording(root)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(root, capsys, path.name, "the file was cut short", "Fetch it again")


def test_b32_empty_file(root, capsys):
    recording(root).write_bytes(b"")
    refused(root, capsys, recording(root).name)


def test_b34_missing_part_of_a_split_recording(root, capsys):
    path = recording(root)
    path.rename(path.with_name(path.name.replace("_meg", "_split-02_meg")))
    refused(root, capsys, "the first part of this split recording is missing", "Fetch split-01")


def test_b35_no_epoch_is_left(root, capsys):
    rewritten(root, lambda raw: raw.set_annotations(mne.Annotations([0.0], [90.0], ["BAD_all"])))
    refused(root, capsys, "no epochs are left of 24", "marked bad: 24", recording(root).name)


def test_b35_all_events_outside(root, capsys):
    path = events(root)
    lines = path.read_text().splitlines()
    late = [lines[0], *("9" * 4 + line for line in lines[1:])]
    path.write_text("\n".join(late) + "\n")
    refused(root, capsys, path.name, "all events lie outside the recording")


def thinned(root, run, stimulus, left):
    """Leave some rows of one stimulus in one run."""
    path = events(root, run=run)
    lines, kept = [], 0
    for line in path.read_text().splitlines():
        if stimulus in line:
            kept += 1
            if kept > left:
                continue
        lines.append(line)
    path.write_text("\n".join(lines) + "\n")


def test_b36_single_epoch_is_told_and_refused_by_cross_validation(root, capsys):
    thinned(root, "1", "CAT", 1)
    thinned(root, "2", "CAT", 0)
    words = command(root)
    assert main(["check", words[0], *words[3:]]) == 0
    assert "1 of 6 stimuli have one epoch, too few for a mean: cat" in capsys.readouterr().out
    refused(root, capsys, "1 stimuli have no epoch in a run: cat (run run-2)",
            more=["--meg-metric", "crossnobis"])  # fmt: skip
    refused(root, capsys, "too few epochs for two pseudo-trials of 2: cat (1)",
            more=["--meg-metric", "decoding", "--pseudo-trials", "2"])  # fmt: skip


def test_crossnobis_needs_two_runs(root, capsys):
    refused(root, capsys, "needs two runs", more=["--meg-metric", "crossnobis", "--run-id", "1"])


def faster(root, subject, run, rate=125.0):
    info = sensors(rate)
    rng = np.random.default_rng(0)
    stem = recording(root, subject, run)
    stem.unlink()
    stem = stem.with_name(stem.name.removesuffix("_meg.fif"))
    write_run(stem, info, rng.normal(size=(6, len(info["ch_names"]))), rng, 4)


def test_b37_other_rates_of_runs_and_subjects(root, capsys):
    faster(root, "01", "2")
    refused(root, capsys, "has a sampling rate of 125 Hz", "--resample", "run-2_meg.fif")
    assert main(command(root, "--dry-run", "--resample", "100")) == 0
    faster(root, "01", "1")
    capsys.readouterr()
    refused(root, capsys, "sub-02_task-look_run-1_meg.fif", "Bring all subjects to one rate")


def test_b38_other_sensors_are_intersected_with_a_warning(root, capsys):
    rewritten(root, lambda raw: raw.drop_channels(raw.ch_names[3:5]))
    words = command(root, "--participant-label", "01")
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "29 of 31 are common" in said
    assert main([*command(root)[:1], *command(root)[1:], "--dry-run"]) == 0
    assert "the sensors of the subjects differ" in capsys.readouterr().err


def test_b39_flat_and_broken_sensors_are_dropped_or_refused(root, capsys):
    def spoil(raw):
        raw._data[3] = 0
        raw._data[7, 100:900] = np.nan

    path = rewritten(root, spoil)
    names = [sensors().ch_names[place] for place in (3, 7)]
    one = ["--participant-label", "01"]
    assert main(command(root, *one)) == 0
    said = capsys.readouterr().err
    assert f"{names[0]} (flat)" in said
    assert f"{names[1]} (not finite)" in said
    shutil.rmtree(root / "out")
    assert main(command(root, *one, "--bad-channels", "refuse")) == 2
    said = capsys.readouterr().err
    assert path.name in said
    assert names[0] in said
    assert tree(root / "out") == {}


def test_b39_marked_sensors_are_refused_from_the_header(root, capsys):
    table = recording(root).with_name("sub-01_task-look_run-1_channels.tsv")
    name = sensors().ch_names[4]
    table.write_text(table.read_text().replace(f"{name}\tMAG\tgood", f"{name}\tMAG\tbad")
                     .replace(f"{name}\tGRAD\tgood", f"{name}\tGRAD\tbad"))  # fmt: skip
    refused(root, capsys, f"{name} (marked bad)", more=["--bad-channels", "refuse"])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--tmin", "0.5"], "--tmin: the epoch is empty"),
        (["--tmin", "0"], "--baseline: is not within the epoch"),
        (["--baseline", "-0.3:0"], "--baseline: is not within the epoch"),
        (["--baseline", "early"], "--baseline: is no span"),
        (["--time-window", "0.6"], "--time-window: is longer than the epoch"),
        (["--time-step", "0.001"], "finer than the data"),
        (["--low-pass", "60"], "--low-pass: is not below half the rate"),
        (["--resample", "200"], "--resample: is above the sampling rate"),
        (["--meg-metric", "mahalanobis", "--meg-noise", "mvnn"], "takes the noise out itself"),
        (["--workflow", "meg_fmri_fusion"], "is not known"),
        (["--workflow", "meg_source_searchlight"], "can run for no subject"),
        (["--workflow", "fmri_searchlight"], "holds neither fmriprep nor betas"),
        (["--task-id", "other"], "no recordings (meg) in bids fit the options"),
        (["--derivatives", "mne=nowhere"], "the folder of --derivatives mne does not exist"),
        (["--sensors", "eeg"], "holds neither fmriprep nor betas"),
    ],
)
def test_b40_options_that_no_recording_allows(whole, capsys, more, text):
    assert main(command(whole, *more)) == 2
    assert text in capsys.readouterr().err
    assert not (whole / "out").exists()


def test_windows_that_some_epochs_leave_are_told(root, capsys):
    assert main(command(root, "--tmin", "-0.6", "--dry-run")) == 0
    assert "1 of 24 epochs reach beyond the recording" in capsys.readouterr().err


def test_all_faults_are_told_at_once(root, capsys):
    recording(root, "01").write_bytes(b"")
    events(root, "02").unlink()
    refused(root, capsys, "sub-01_task-look_run-1_meg.fif", "sub-02_task-look_run-1_meg.fif: has "
            "no events table")  # fmt: skip


def test_events_of_images_without_reference_are_refused_as_for_fmri(root, capsys):
    path = events(root)
    path.write_text(path.read_text().replace("CAT", "LION"))
    path = events(root, run="2")
    path.write_text(path.read_text().replace("CAT", "LION"))
    refused(root, capsys, "model RDM 'planted.csv'", "LION.png")


def test_two_solutions_of_one_kind_are_refused(root, capsys):
    add_inverse(root / "bids")
    folder = root / "bids" / "derivatives" / "mne" / "sub-01" / "meg"
    shutil.copy(folder / "sub-01_task-look_inv.fif", folder / "sub-01_task-look_run-1_inv.fif")
    refused(root, capsys, "has several files _inv.fif")
