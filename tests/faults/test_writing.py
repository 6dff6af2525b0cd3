"""Faults while writing: full disks, killed runs, corruption, concurrency. Ids as in the design."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import shutil
import signal
import socket
import stat
import tempfile
import time
import warnings
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
    lock_output,
    remove_leftovers,
    sha256_file,
    sidecar_path,
    write_atomic,
    write_derivative,
    write_together,
    writing,
)
from neurodnn.bids import locks, owners

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")

HASHES = {"InputHash": "in", "ParameterHash": "options"}


def in_child(work, *, uid=None):
    """Run `work` in a forked process and return what it returns, or minus the killing signal."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        pid = os.fork()
    if pid == 0:
        try:
            if uid is not None and os.getuid() == 0:
                os.setgid(uid)
                os.setuid(uid)
            answer = work()
        except BaseException as error:
            answer = f"unexpected {error!r}"
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as stream:
        text = stream.read()
    _, status = os.waitpid(pid, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else json.loads(text)


def outcome(work):
    """(class, errno, text) of what `work` raises; 'done' if nothing."""
    try:
        work()
    except OSError as error:
        return [type(error).__name__, error.errno, str(error)]
    return "done"


def tree(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def big_objects():
    rng = np.random.default_rng(0)
    return {
        "a_statmap.nii.gz": nibabel.Nifti1Image(rng.random((40, 40, 40)), np.eye(4)),
        "a_rdm.h5": RDMs(rng.random((2, 200 * 199 // 2))),
        "a_timeseries.tsv": pd.DataFrame({"rho": rng.random(20000)}),
        "a.json": {"values": rng.random(20000).tolist()},
        "a.html": "<p>" + "x" * 300_000,
        "a.svg": "<svg>" + "x" * 300_000,
    }


@pytest.fixture
def open_folder():
    """A folder that any user may enter; pytest's own is private to the one who runs it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("name", list(big_objects()))
def test_f1_full_disk_leaves_nothing(tmp_path, name):
    obj = big_objects()[name]

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        sidecar = None if name.endswith(".json") else HASHES
        return outcome(lambda: write_derivative(tmp_path / name, obj, sidecar))

    kind, number, text = in_child(work)
    assert (kind, number) == ("WriteError", errno.EFBIG)
    assert str(tmp_path / name) in text
    assert "ulimit -f" in text
    assert list(tmp_path.iterdir()) == []


def test_f1_full_device_under_a_stream_writer(tmp_path):
    def onto_a_full_device(stream):
        with open("/dev/full", "wb") as full:
            full.write(b"x" * 100)

    with pytest.raises(WriteError, match=r"a\.npy: could not be written.*disk is full: free"):
        write_atomic(tmp_path / "a.npy", onto_a_full_device)
    assert list(tmp_path.iterdir()) == []


def test_f1_full_disk_keeps_the_pair_that_was_there(tmp_path):
    path = tmp_path / "a.tsv"
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES)
    before = tree(tmp_path)

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        table = big_objects()["a_timeseries.tsv"]
        return outcome(lambda: write_derivative(path, table, HASHES, overwrite=True))

    assert in_child(work)[0] == "WriteError"
    assert tree(tmp_path) == before


def test_f2_quota_at_the_last_block(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError, match="quota is used up") as caught:
        write_derivative(tmp_path / "a.tsv", pd.DataFrame({"a": [1]}), HASHES)
    assert caught.value.errno == errno.EDQUOT
    assert isinstance(caught.value, InputError)
    assert list(tmp_path.iterdir()) == []


def test_f3_read_only_output_folder(open_folder):
    closed = open_folder / "out"
    closed.mkdir()
    closed.chmod(0o555)
    kind, number, text = in_child(
        lambda: outcome(lambda: write_atomic(closed / "sub-01" / "a.txt", b"x")), uid=65534
    )
    assert (kind, number) == ("WriteError", errno.EACCES)
    assert "You may not write there" in text
    kind, number, text = in_child(
        lambda: outcome(lambda: lock_output(closed, "01").__enter__()), uid=65534
    )
    assert (kind, number) == ("WriteError", errno.EACCES)
    assert list(closed.iterdir()) == []


def test_f3_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="choose another output folder"):
        write_atomic(tmp_path / "out" / "a.txt", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="A folder of that name is in the way"):
        write_atomic(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out"]


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
def test_f7_folders_of_some_file_systems_cannot_be_flushed(
    tmp_path, monkeypatch, number, passes
):
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


# ---------------------------------------------------------------- being killed


@pytest.mark.parametrize("step", ["fsync 1", "fsync 2", "replace 1", "replace 2", "fsync 3",
                                  "fsync 4"])  # fmt: skip
@pytest.mark.parametrize("when", ["before", "after"])
def test_f9_f13_killed_at_any_step_then_resumed(tmp_path, step, when):
    path = tmp_path / "sub-01" / "a_statmap.nii.gz"
    path.parent.mkdir()
    image = nibabel.Nifti1Image(np.arange(8.0).reshape(2, 2, 2), np.eye(4))
    name, count = step.split()

    def work():
        original, calls = getattr(os, name), []

        def die(*arguments):
            calls.append(1)
            if when == "after" and len(calls) == int(count):
                original(*arguments)
            if len(calls) == int(count):
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        setattr(os, name, die)
        with lock_output(tmp_path, "01"):
            write_derivative(path, image, HASHES)

    assert in_child(work) == -signal.SIGKILL
    with pytest.warns(DataWarning, match="dead; the lock was taken over"):
        with lock_output(tmp_path, "01"):
            if not is_done(path, "in", "options"):
                write_derivative(path, image, HASHES)
    resumed = tree(tmp_path)
    fresh = tmp_path / "fresh" / "a_statmap.nii.gz"
    write_derivative(fresh, image, HASHES)
    assert {Path(name).name: digest for name, digest in resumed.items()} == tree(fresh.parent)


def test_f13_either_half_of_a_pair_counts_as_absent(tmp_path):
    path = tmp_path / "a.tsv"
    table = pd.DataFrame({"rho": [0.5]})
    for half in (path, sidecar_path(path)):
        write_derivative(path, table, HASHES)
        half.unlink()
        assert not is_done(path, "in", "options")
        write_derivative(path, table, HASHES)
        assert is_done(path, "in", "options")


def test_f13_killed_between_the_two_while_overwriting(tmp_path):
    path = tmp_path / "a.tsv"
    write_derivative(path, pd.DataFrame({"rho": [0.5]}), HASHES)
    new = {"InputHash": "new", "ParameterHash": "options"}

    def work():
        replace = os.replace

        def die(source, target):
            if str(target).endswith(".tsv"):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = die
        write_derivative(path, pd.DataFrame({"rho": [0.6]}), new, overwrite=True)

    assert in_child(work) == -signal.SIGKILL
    # The old data stand beside the new sidecar: noticed, and remade without --overwrite.
    with pytest.warns(DataWarning, match="made anew"):
        assert not is_done(path, "new", "options")
    with pytest.warns(DataWarning, match="made anew"):
        write_derivative(path, pd.DataFrame({"rho": [0.6]}), new)
    assert is_done(path, "new", "options")


def dead_process():
    """A process number that no longer runs."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def plant_lock(folder, **changes):
    lock = folder / ".sub-01.lock"
    pid = os.getpid()
    content = {"pid": pid, "start": owners.process_start(pid), "host": "node7",
               "machine": owners.machine_tag(), "token": "t", **changes}  # fmt: skip
    lock.write_text(json.dumps(content))
    return lock


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", ["dead process", "number used again", "silent machine",
                                  "cut short", "no object"])  # fmt: skip
def test_f14_stale_lock_is_taken_over(tmp_path, case):
    changes = {"dead process": {"pid": dead_process()}, "number used again": {"start": "1"},
               "silent machine": {"machine": "elsewhere"}}.get(case, {})  # fmt: skip
    lock = plant_lock(tmp_path, **changes)
    if case in ("cut short", "no object"):
        lock.write_text('{"pid": 1' if case == "cut short" else "[]")
    if case in ("silent machine", "cut short", "no object"):
        long_ago = time.time() - 2 * locks.SILENT_AFTER
        os.utime(lock, (long_ago, long_ago))
    with pytest.warns(DataWarning, match=r"sub-01: locked by pid .* taken over"):
        with lock_output(tmp_path, "01") as held:
            assert held == lock
            assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", ["this machine", "another machine"])
def test_f14_living_lock_is_respected(tmp_path, case):
    lock = plant_lock(tmp_path, **({} if case == "this machine" else {"machine": "elsewhere"}))
    with pytest.raises(InputError, match=rf"locked by pid {os.getpid()} on host node7.*remove"):
        with lock_output(tmp_path, "01"):
            pytest.fail("two runs hold one subject")
    assert list(tmp_path.iterdir()) == [lock]


def test_f14_holder_shows_signs_of_life(tmp_path):
    with lock_output(tmp_path, "01", heartbeat=0.01) as lock:
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 30
        while lock.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.stat().st_mtime > 0
        lock.unlink()  # a folder removed by the user stops the signs, not the run
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_f14_a_lock_taken_over_is_not_released_by_its_old_holder(tmp_path):
    with lock_output(tmp_path, "01") as lock:
        plant_lock(tmp_path, token="another")
    assert json.loads(lock.read_text())["token"] == "another"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f14_many_runs_race_for_one_stale_lock(tmp_path):
    plant_lock(tmp_path, pid=dead_process())
    start = tmp_path / "start"
    pids = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            code = 9
            try:
                while not start.exists():
                    time.sleep(0.001)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    with lock_output(tmp_path, "01"):
                        time.sleep(1.0)
                        code = 0
            except InputError:
                code = 1
            finally:
                os._exit(code)
        pids.append(pid)
    start.touch()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]


def leftover(folder, tag, *, age=0.0):
    path = folder / f".a_statmap.nii.gz.{tag}.0123456789ab.tmp"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f15_leftovers_go_only_if_their_owner_is_dead(tmp_path):
    below = tmp_path / "sub-01" / "func"
    below.mkdir(parents=True)
    mine = leftover(below, owners.owner_tag())
    dead = leftover(below, f"{owners.machine_tag()}-{dead_process()}-1")
    used_again = leftover(tmp_path, f"{owners.machine_tag()}-{os.getpid()}-1")
    far = leftover(below, "0badcafe-1-1")
    far_and_old = leftover(tmp_path, "0badcafe-2-1", age=2 * owners.ABANDONED_AFTER)
    user = [tmp_path / ".notes.tmp", tmp_path / "a.tmp", tmp_path / ".a.b.c.txt"]
    for path in user:
        path.write_text("the user's own")
    assert remove_leftovers(tmp_path) == sorted([dead, used_again, far_and_old])
    assert mine.exists() and far.exists() and all(path.exists() for path in user)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f15_locking_clears_the_subject_and_shared_folders_only(tmp_path):
    tag = f"{owners.machine_tag()}-{dead_process()}-1"
    for name in ("sub-01", "sub-02", "models"):
        (tmp_path / name).mkdir()
    cleared = [leftover(folder, tag) for folder in
               (tmp_path, tmp_path / "sub-01", tmp_path / "models")]  # fmt: skip
    other = leftover(tmp_path / "sub-02", tag)
    with lock_output(tmp_path, "01"):
        assert not any(path.exists() for path in cleared)
        assert other.exists()


def test_owners_without_proc(monkeypatch, tmp_path):
    """Systems without /proc know only whether a number runs."""
    read_text, exists = Path.read_text, Path.exists

    def no_proc(path, *arguments, **options):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", no_proc)
    monkeypatch.setattr(
        Path, "exists", lambda path: not str(path).startswith("/proc") and exists(path)
    )
    monkeypatch.setattr(os, "readlink", lambda path: (_ for _ in ()).throw(OSError()))
    assert owners.process_start(os.getpid()) == "0"
    assert owners.is_owner_alive(owners.owner_tag(), tmp_path)

    def gone(pid, number):
        raise ProcessLookupError

    def anothers(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", gone)
    assert owners.process_start(os.getpid()) is None
    monkeypatch.setattr(os, "kill", anothers)
    assert owners.process_start(os.getpid()) == "0"


def test_a_stranger_whose_file_is_gone_is_dead(tmp_path):
    assert not owners.is_owner_alive("0badcafe-1-1", tmp_path / "gone")


# ---------------------------------------------------------------- corruption


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "sidecar cut"])
def test_f16_f17_damage_is_noticed_and_mended(tmp_path, harm):
    path = tmp_path / "a_statmap.nii.gz"
    image = nibabel.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4))
    write_derivative(path, image, HASHES)
    whole = tree(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    if harm == "sidecar cut":
        sidecar_path(path).write_text('{"InputHash": "in"')
    else:
        path.write_bytes({"flipped": raw, "cut": raw[:100], "emptied": b""}[harm])
    with pytest.warns(DataWarning, match="a_statmap.*made anew"):
        assert not is_done(path, "in", "options")
    with pytest.warns(DataWarning, match="made anew"):
        write_derivative(path, image, HASHES)
    assert tree(tmp_path) == whole


# ---------------------------------------------------------------- concurrency


def test_f21_second_run_of_a_subject_is_refused_another_subject_not(tmp_path):
    with lock_output(tmp_path, "01"), lock_output(tmp_path, None):
        words = in_child(lambda: refusal(tmp_path, "01"))
        assert f"locked by pid {os.getpid()} on host {socket.gethostname()}" in words
        assert in_child(lambda: refusal(tmp_path, "02")) == "held"
        assert "locked by" in in_child(lambda: refusal(tmp_path, None))
    assert in_child(lambda: refusal(tmp_path, "01")) == "held"
    assert list(tmp_path.iterdir()) == []


def refusal(folder, subject):
    try:
        with lock_output(folder, subject):
            return "held"
    except InputError as error:
        return str(error)


def test_f21_lock_name_cannot_climb_out(tmp_path):
    with pytest.raises(InputError, match="not a valid BIDS label"):
        with lock_output(tmp_path, "../x"):
            pytest.fail("a lock outside the output folder")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_shared_file_written_by_many_is_always_whole(tmp_path):
    path = tmp_path / "models" / "a.txt"
    pids = []
    for worker in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(10):
                write_atomic(path, bytes([worker]) * 50_000)
            os._exit(0)
        pids.append(pid)
    seen = set()
    while pids:
        done, status = os.waitpid(-1, os.WNOHANG)
        if done:
            assert status == 0
            pids.remove(done)
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 50_000
            assert len(set(content)) == 1
            seen.add(content[0])
    assert seen
    assert list(path.parent.iterdir()) == [path]


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


# ---------------------------------------------------------------- the same bytes


def test_r5_files_written_two_seconds_apart_are_equal(tmp_path):
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
