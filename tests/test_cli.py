"""The command line: help without libraries, exit codes, options, signals."""

from __future__ import annotations

import subprocess
import sys

import pytest

from neurodnn import cli
from neurodnn.cli import arguments
from neurodnn.pipeline.options import ALIASES, OPTIONS

HEAVY = ("torch", "nilearn", "mne", "rsatoolbox", "numba", "pandas", "numpy", "scipy", "xarray")


def program(*arguments_, code=""):
    """Run the command line in a fresh process and say which libraries it loaded."""
    script = (
        "import sys\nfrom neurodnn.cli import main\n"
        f"{code}\ncode = main(sys.argv[1:])\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])\nsys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments_], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["--version"], []])
def test_help_loads_no_library(words):
    done = program(*words)
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout


def test_module_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "neurodnn", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("neurodnn 0.")


def test_help_names_every_option_and_every_subcommand(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option.name}" in text
    for name in arguments.SUBCOMMANDS:
        assert f"neurodnn {name}" in text
    assert "%(" not in text


def test_wrong_option_names_the_nearest_and_leaves_with_2(capsys):
    assert cli.main(["bids", "out", "participant", "--radiu", "3"]) == 2
    text = capsys.readouterr().err
    assert "--radiu" in text
    assert "Did you mean --radius?" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["bids", "out"], "required"),
        (["bids", "out", "subject"], "invalid choice"),
        (["bids", "out", "participant", "--radius", "wide"], "--radius: is not a valid number"),
        (["bids", "out", "participant", "--metric", "corelation"], "Did you mean correlation?"),
        (["bids", "out", "participant", "--on-error", "stop"], "Choose from: abort, continue"),
        (["bids", "out", "participant", "--derivatives", "betas"], "must be NAME=PATH"),
        (["bids", "out", "participant", "-d", "prep=x"], "Choose from: betas, fmriprep"),
        (["bids", "out", "participant", "--network", "none"], "no --reference-rdms are given"),
        (["report", "no-such-folder"], "is no folder"),
    ],
)
def test_usage_faults_leave_with_2_and_one_message(words, match, capsys):
    assert cli.main(words) == 2
    text = capsys.readouterr().err
    assert match in text
    assert "Traceback" not in text


def test_underscores_and_aliases_are_accepted():
    parser = arguments.app_parser()
    for word in ("--n_cpus", "--n-cpus", "--nprocs", "--n_jobs"):
        words = arguments.with_dashes(["b", "o", "group", word, "3", "--participant_label", "1"])
        space = parser.parse_args(words)
        assert space.n_cpus == "3"
        assert space.participant_label == ["1"]
    assert set(ALIASES) <= {option.name for option in OPTIONS}


def test_values_keep_their_underscores():
    words = ["b", "o", "group", "--stimulus_column=my_col", "--task-id", "a_b"]
    assert arguments.with_dashes(words) == [
        "b", "o", "group", "--stimulus-column=my_col", "--task-id", "a_b",
    ]  # fmt: skip


def test_a_data_set_named_like_a_subcommand_is_given_with_its_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["./demo", "out", "participant", "--network", "none", "--reference-rdms", "x.csv"]
    assert cli.main(words) == 2
    assert "demo: BIDS_DIR does not exist" in capsys.readouterr().err


def test_unexpected_failure_is_1_with_one_line_and_a_traceback_only_on_demand(
    capsys, monkeypatch
):
    def broken(argv):
        raise ZeroDivisionError("planted\nfault")

    monkeypatch.setattr(cli, "_app", broken)
    assert cli.main(["bids", "out", "participant"]) == 1
    text = capsys.readouterr().err
    assert "ZeroDivisionError: planted fault" in text
    assert "please report it" in text
    assert "Traceback" not in text
    assert cli.main(["bids", "out", "participant", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signals_have_their_codes(name, code):
    script = (
        "import os, signal, time\nfrom neurodnn import cli\n"
        "def wait(argv):\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "    time.sleep(60)\n"
        "cli._app = wait"
    )
    done = program("bids", "out", "participant", code=script)
    assert done.returncode == code
    assert "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_ends_even_a_main_thread_that_never_comes_back():
    # a compiled call that does not return to Python: a lock that nobody will ever release
    script = (
        "import ctypes, os, signal, threading\nfrom neurodnn import cli\n"
        "import neurodnn.cli.signals as signals\nsignals.GRACE_SECONDS = 0.2\n"
        "def wait(argv):\n"
        "    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    libc = ctypes.CDLL(None)\n"
        "    while True:\n"
        "        try:\n"
        "            libc.sleep(30)\n"
        "        except BaseException:\n"
        "            continue\n"
        "cli._app = wait"
    )
    assert program("bids", "out", "participant", code=script).returncode == 143


def test_layers_lists_names_to_paste(tmp_path, capsys):
    model = tmp_path / "my_model.py"
    model.write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2))\n"
    )
    assert cli.main(["layers", f"{model}:build"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "name\ttype\tdefault", "0\tConv2d\t", "1\tReLU\t", "2\tMaxPool2d\tyes",
    ]  # fmt: skip
    assert cli.main(["layers", f"{model}:build", "--shapes"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["name", "type", "shape"]
    assert "4x222x222" in first
