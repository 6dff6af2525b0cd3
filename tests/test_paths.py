"""The path battery: folders and files that bear any name that a file system takes."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neurodnn import InputError
from neurodnn.bids import (
    bids_uri,
    find_bids_files,
    find_subjects,
    is_done,
    lock_output,
    read_sidecar,
    read_tsv,
    user_path,
    write_atomic,
    write_derivative,
    write_description,
)
from neurodnn.stimuli import match_stimuli, read_stimuli

NAMES = {
    "spaces": " two  spaces ",
    "quotes": "it's \"quoted\"",
    "percent": "100%s %(x)d",
    "hash": "#1",
    "mathtext": "$x_^$",
    "dash": "-rf",
    "double dash": "--help",
    "newline": "two\nlines",
    "tab": "a\tb",
    "emoji": "🧠",
    "NFC": unicodedata.normalize("NFC", "é"),
    "NFD": unicodedata.normalize("NFD", "é"),
    "tilde": "~",
    "tilde user": "~nobody-of-this-name",
    "backslash": "a\\b",
    "glob": "[a]*?{b}",
    "dollar": "${HOME}",
    "markup": "<b>&amp;",
    "long": "x" * 255,
    "long of two bytes": "é" * 127,
}


@pytest.fixture(params=list(NAMES), name="odd")
def _odd(request):
    return NAMES[request.param]


def whole_day(root, output):
    """What a run does with paths: find, read, match, lock, write, look again."""
    func = root / "sub-01" / "func"
    func.mkdir(parents=True)
    stem = "sub-01_task-T_run-1"
    (func / f"{stem}_bold.nii.gz").write_bytes(b"x")
    (root / "task-T_bold.json").write_text('{"RepetitionTime": 2}')
    events = func / f"{stem}_events.tsv"
    events.write_text("onset\tduration\tstim_file\n1\t1\ta.png\n")
    (root / "stimuli").mkdir()
    (root / "stimuli" / "a.png").write_bytes(b"x")

    assert find_subjects(root) == ["01"]
    (bold,) = find_bids_files(root, subject="01", suffix="bold")
    assert read_sidecar(bold, root) == {"RepetitionTime": 2}
    stimuli = read_stimuli(root / "stimuli")
    (table,) = find_bids_files(root, suffix="events")
    keys, _ = match_stimuli(read_tsv(table), stimuli)
    assert keys.tolist() == ["a"]

    path = output / "sub-01" / "func" / "sub-01_task-T_timeseries.tsv"
    with lock_output(output, "01"):
        write_description(output, {"raw": root}, version="1")
        write_derivative(path, pd.DataFrame({"rho": [0.5]}), {"InputHash": "a"})
    assert is_done(path, "a", None)
    assert not [name for name in os.listdir(output) if name.endswith((".tmp", ".lock"))]


def test_folders_of_any_name(tmp_path, odd):
    whole_day(tmp_path / odd, tmp_path / odd / "derivatives" / odd)


def test_files_of_any_name_are_stimuli(tmp_path, odd):
    stem = os.fsencode(odd)[:251].decode(errors="ignore")
    (tmp_path / f"{stem}.png").write_bytes(b"x")
    table = read_stimuli(tmp_path, key="path")
    assert table["path"].tolist() == [f"{stem}.png"]
    write_derivative(tmp_path / "out.tsv", table)
    back = read_tsv(tmp_path / "out.tsv")
    assert back["path"].tolist() == [f"{stem}.png".strip()]


def test_files_of_any_name_are_written_whole(tmp_path, odd):
    write_atomic(tmp_path / odd, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [odd]


def test_path_beyond_260_characters(tmp_path):
    deep = tmp_path.joinpath(*["folder of forty characters, give or take"] * 8)
    assert len(str(deep)) > 300
    whole_day(deep, deep / "out")


def test_name_beyond_the_file_systems_limit_is_refused(tmp_path):
    with pytest.raises(InputError, match="could not be written: File name too long.*shorten"):
        write_atomic(tmp_path / ("x" * 256), b"x")
    assert list(tmp_path.iterdir()) == []


def test_symlinked_root(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    whole_day(tmp_path / "link", tmp_path / "link" / "out")


def test_relative_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole_day(Path("data"), Path("out"))


def test_root_where_we_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole_day(Path("."), Path("derivatives"))


def test_trailing_slash(tmp_path):
    (tmp_path / "sub-01" / "func").mkdir(parents=True)
    (tmp_path / "sub-01" / "func" / "sub-01_task-T_bold.nii.gz").touch()
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "stimuli" / "a.png").write_bytes(b"x")
    assert find_subjects(f"{tmp_path}/") == ["01"]
    assert len(find_bids_files(f"{tmp_path}//", suffix="bold")) == 1
    assert len(read_stimuli(f"{tmp_path}/stimuli/")) == 1


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data" / "sub-01").mkdir(parents=True)
    assert find_subjects("~/data") == ["01"]
    write_derivative("~/out/a.tsv", pd.DataFrame({"a": [np.nan]}))
    assert (tmp_path / "out" / "a.tsv").read_text() == "a\nn/a\n"
    with pytest.raises(InputError, match="names no home folder"):
        find_subjects("~nobody-of-this-name/data")
    assert user_path("a/~/b") == Path("a/~/b")


def test_deleted_working_directory(tmp_path):
    """Full paths go on working; relative ones are refused with a reason."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import test_paths; from neurodnn import InputError, bids\n"
        "gone = Path(sys.argv[1]) / 'gone'; gone.mkdir(); os.chdir(gone); gone.rmdir()\n"
        "root = Path(sys.argv[1]) / 'data'\n"
        "test_paths.whole_day(root, root / 'out')\n"
        "try:\n    bids.read_sidecar('sub-01/sub-01_bold.nii.gz', 'sub-01')\n"
        "except InputError as error:\n    sys.stdout.write(str(error))\n"
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(here)],
        capture_output=True, text=True, cwd=here.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "is relative, and the working folder has been deleted" in done.stdout


def test_relative_path_in_a_deleted_folder(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match="sub-01: is relative, and the working folder has been"):
        bids_uri("sub-01", {})


def test_input_tree_stays_as_it_was(tmp_path):
    root = tmp_path / "data"
    whole_day(root, tmp_path / "out")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))
    find_subjects(root)
    for path in find_bids_files(root):
        read_sidecar(path, root)
    read_stimuli(root / "stimuli")
    with lock_output(tmp_path / "out", "01"):
        write_description(tmp_path / "out", {"raw": root}, version="1")
    assert before == sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))
