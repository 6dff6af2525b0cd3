"""Faults while writing: full disks, quotas, permissions, networks. Ids as in the design."""

from __future__ import annotations

import errno
import os
import stat
import time
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neurodnn import DataWarning, InputError
from neurodnn.bids import (
    WriteError,
    is_done,
    sha256_file,
    sidecar_path,
    write_atomic,
    write_derivative,
    write_together,
    writing,
)

HASHES = {"InputHash": "in", "ParameterHash": "options"}

def test_f5_agreeing_pair_is_left_alone_and_another_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    table = pd.DataFrame({"rho": [0.5]})
    assert not is_done(path, "in", "options")
    digest = write_derivative(path, table, HASHES)
    assert digest == sha256_file(path)
    assert is_done(path, "in", "options")
    inode = path.stat().st_ino
    assert write_derivative(path, table, HASHES) == digest
    assert path.stat().st_ino == inode
    for hashes in ({"InputHash": "x", "ParameterHash": "options"}, {"InputHash": "in"}):
        with pytest.raises(InputError, match=r"a\.tsv: exists.*--overwrite"):
            write_derivative(path, table, hashes)
    with pytest.raises(InputError, match="--overwrite"):
        is_done(path, "in", "other")
    with pytest.raises(InputError, match="--overwrite"):
        write_derivative(path, pd.DataFrame({"rho": [0.6]}), HASHES)
    assert not is_done(path, "in", "options", overwrite=True)
    assert not is_done(path, "in", "other", overwrite=True)
    other = {"InputHash": "in", "ParameterHash": "other"}
    write_derivative(path, pd.DataFrame({"rho": [0.6]}), other, overwrite=True)
    assert is_done(path, "in", "other")
    assert path.read_text() == "rho\n0.6\n"


def test_f5_old_file_is_whole_until_the_replacement(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomic(path, b"old")
    seen = []

    def fail(source, target):
        seen.append((Path(source).read_bytes(), Path(target).read_bytes()))
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteError):
        write_atomic(path, b"new")
    assert seen == [(b"new", b"old")]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_f5_foreign_file_is_never_replaced_unasked(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("rho\n0.1\n")
    sidecar_path(path).write_text('{"Description": "of another program"}')
    with pytest.raises(InputError, match="says nothing of having been made here.*--overwrite"):
        is_done(path, "in", "options")
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES, overwrite=True)
    assert is_done(path, "in", "options")


def test_f6_other_file_system(tmp_path, monkeypatch):
    # The system's folder for temporaries plays no part ...
    monkeypatch.setenv("TMPDIR", str(tmp_path / "does-not-exist"))
    write_atomic(tmp_path / "a.txt", b"x")

    def cross(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    # ... and a name that is mounted by itself is refused, not copied half.
    monkeypatch.setattr(os, "replace", cross)
    with pytest.raises(WriteError, match="another file system"):
        write_atomic(tmp_path / "b.txt", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_f7_flushes_precede_and_follow_the_replacement(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        steps.append("folder" if name == str(tmp_path) else Path(name).name.split(".")[1])
        fsync(descriptor)

    def note_replace(source, target):
        steps.append(f"replace {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_derivative(tmp_path / "a.tsv", pd.DataFrame({"b": [1]}), HASHES)
    assert steps == ["a", "a", "replace a.json", "folder", "replace a.tsv", "folder"]


def test_f7_new_folders_are_flushed_too(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(writing, "flush_directory", lambda folder: flushed.append(folder))
    write_atomic(tmp_path / "b" / "c" / "a.txt", b"x")
    assert flushed == [tmp_path / "b", tmp_path, tmp_path / "b" / "c"]


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_f7_folders_of_some_file_systems_cannot_be_flushed(tmp_path, monkeypatch, number, passes):
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    if passes:
        write_atomic(tmp_path / "a.txt", b"x")
        assert (tmp_path / "a.txt").read_bytes() == b"x"
    else:
        with pytest.raises(WriteError, match="could not be written"):
            write_atomic(tmp_path / "a.txt", b"x")
        assert list(tmp_path.iterdir()) == []


def test_f8_content_decides_not_the_date(tmp_path):
    path = tmp_path / "a.tsv"
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES)
    times = path.stat()
    os.utime(path, (0, 4_000_000_000))
    assert is_done(path, "in", "options")
    path.write_text("rho\n0.6\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.warns(DataWarning, match="does not match the hash"):
        assert not is_done(path, "in", "options")


def test_private_while_unfinished_then_as_the_umask_says(tmp_path):
    modes = []

    def write(stream):
        modes.append(stat.S_IMODE(os.stat(stream.name).st_mode))
        assert Path(stream.name).parent == tmp_path
        stream.write(b"x")

    umask = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a.txt", write)
    finally:
        os.umask(umask)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "precious").write_bytes(b"old")
    (tmp_path / "a.txt").symlink_to("precious")
    write_atomic(tmp_path / "a.txt", b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert not (tmp_path / "a.txt").is_symlink()


def test_a_planted_temporary_is_not_written_through(tmp_path, monkeypatch):
    (tmp_path / "precious").write_bytes(b"old")
    planted = tmp_path / ".planted.tmp"
    planted.symlink_to("precious")
    monkeypatch.setattr(writing, "_temporary_name", lambda path: planted)
    with pytest.raises(WriteError, match="File exists"):
        write_atomic(tmp_path / "a.txt", b"new")
    assert (tmp_path / "precious").read_bytes() == b"old"
    assert not (tmp_path / "a.txt").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("no"), RuntimeError("bug")])
def test_whatever_interrupts_leaves_nothing(tmp_path, error):
    def stop(_):
        raise error

    with pytest.raises(type(error)):
        write_atomic(tmp_path / "a.txt", stop)
    with pytest.raises(type(error)):
        write_atomic(tmp_path / "a.txt", b"x", verify=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_back_must_be_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "sha256_file", lambda path: "0" * 64)
    with pytest.raises(WriteError, match="read back differs"):
        write_atomic(tmp_path / "a.txt", b"x")
    assert list(tmp_path.iterdir()) == []


def test_failing_second_name_takes_the_first_away(tmp_path, monkeypatch):
    replace = os.replace

    def fail_second(source, target):
        if Path(target).name == "b":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(WriteError, match="b: could not be written.*read-only"):
        write_together([(tmp_path / "a", b"1", None), (tmp_path / "b", b"2", None)])
    assert list(tmp_path.iterdir()) == []


def test_temporary_that_cannot_be_removed_does_not_hide_the_cause(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "unlink", refuse)

    def fail(stream):
        raise RuntimeError("the cause")

    with pytest.raises(RuntimeError, match="the cause"):
        write_atomic(tmp_path / "a.txt", fail)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EBUSY, errno.EIO, errno.ENOENT, None])
@pytest.mark.parametrize("failures", [3, 4])
def test_f22_network_rename_is_tried_three_times_more(tmp_path, monkeypatch, number, failures):
    replace, calls, pauses = os.replace, [], []

    def flaky(source, target):
        calls.append(target)
        if len(calls) <= failures:
            raise OSError() if number is None else OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(os, "replace", flaky)
    monkeypatch.setattr(time, "sleep", pauses.append)
    if failures == 3:
        write_atomic(tmp_path / "a.txt", b"x")
        assert (tmp_path / "a.txt").read_bytes() == b"x"
    else:
        with pytest.raises(WriteError, match="a.txt: could not be written"):
            write_atomic(tmp_path / "a.txt", b"x")
        assert list(tmp_path.iterdir()) == []
    assert len(calls) == 4
    assert len(pauses) == 3 and pauses == sorted(pauses)


def test_f22_rename_whose_answer_was_lost(tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def rename_then_fail(source, target):
        calls.append(1)
        replace(source, target)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "replace", rename_then_fail)
    write_atomic(tmp_path / "a.txt", b"x")
    assert (tmp_path / "a.txt").read_bytes() == b"x"
    assert calls == [1]


def test_r5_files_written_two_seconds_apart_are_equal(tmp_path, tree):
    def figure():
        drawn = Figure(figsize=(2, 1))
        axes = drawn.add_subplot()
        axes.plot([0, 1], [1, 0])
        axes.fill_between([0, 1], [0, 0], [1, 1], hatch="/")
        axes.set_title("rho")
        return drawn

    def write_all(folder):
        rng = np.random.default_rng(0)
        image = nibabel.Nifti1Image(rng.random((5, 5, 5)), np.eye(4))
        array = nibabel.gifti.GiftiDataArray(rng.random(50).astype("f4"))
        rdms = RDMs(rng.random((2, 6)), pattern_descriptors={"stimulus": list("abcd")})
        for name, obj in {
            "a.nii.gz": image, "b.func.gii": nibabel.gifti.GiftiImage(darrays=[array]),
            "c.h5": rdms, "d.tsv": pd.DataFrame({"a": rng.random(5)}), "e.html": "<p>",
            "f.png": figure(), "g.svg": figure(), "h.pdf": figure(),
        }.items():  # fmt: skip
            write_derivative(folder / name, obj, HASHES)

    write_all(tmp_path / "first")
    time.sleep(2.1)
    write_all(tmp_path / "second")
    first = tree(tmp_path / "first")
    assert len(first) == 16
    assert first == tree(tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        content = path.read_bytes()
        assert not any(word in content for word in (b"Matplotlib", b"<dc:date>", b"CreationDate"))
    with h5py.File(tmp_path / "first" / "c.h5") as file:
        assert h5py.h5g.get_objinfo(file["dissimilarities"].id).mtime == 0
