"""Locks and leftovers of runs, dead and alive. Ids as in the design."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import warnings
from pathlib import Path

import pytest

from neurodnn import DataWarning, InputError
from neurodnn.bids import (
    WriteError,
    lock_output,
    locks,
    owners,
    remove_leftovers,
    write_atomic,
)

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
def test_f14_stale_lock_is_taken_over(tmp_path, case, dead_process):
    changes = {"dead process": {"pid": dead_process}, "number used again": {"start": "1"},
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


def test_f14_a_sign_of_life_that_fails_is_tried_again(tmp_path, monkeypatch):
    calls = []

    def refuse(path):
        calls.append(path)
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "utime", refuse)
    with lock_output(tmp_path, "01", heartbeat=0.01):
        deadline = time.monotonic() + 30
        while len(calls) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(calls) >= 2


def test_f3_lock_where_a_file_stands(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match=r"\.sub-01\.lock: could not be written"):
        with lock_output(tmp_path / "out", "01"):
            pytest.fail("a lock without a folder")


def test_f14_a_lock_taken_over_is_not_released_by_its_old_holder(tmp_path):
    with lock_output(tmp_path, "01") as lock:
        plant_lock(tmp_path, token="another")
    assert json.loads(lock.read_text())["token"] == "another"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f14_many_runs_race_for_one_stale_lock(tmp_path, dead_process):
    plant_lock(tmp_path, pid=dead_process)
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


def test_f14_only_one_run_at_a_time_judges_the_locks_of_a_folder(tmp_path, monkeypatch, in_child):
    take, answers = locks._take, []

    def try_meanwhile():
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "waits"
        return "looks too"

    def note(*arguments):
        answers.append(in_child(try_meanwhile))
        take(*arguments)

    monkeypatch.setattr(locks, "_take", note)
    with lock_output(tmp_path, "01"):
        answers.append(in_child(try_meanwhile))
    assert answers == ["waits", "looks too"]


def leftover(folder, tag, *, age=0.0):
    path = folder / f".a_statmap.nii.gz.{tag}.0123456789ab.tmp"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f15_leftovers_go_only_if_their_owner_is_dead(tmp_path, dead_process):
    below = tmp_path / "sub-01" / "func"
    below.mkdir(parents=True)
    mine = leftover(below, owners.owner_tag())
    dead = leftover(below, f"{owners.machine_tag()}-{dead_process}-1")
    used_again = leftover(tmp_path, f"{owners.machine_tag()}-{os.getpid()}-1")
    far = leftover(below, "0badcafe-1-1")
    far_and_old = leftover(tmp_path, "0badcafe-2-1", age=2 * owners.ABANDONED_AFTER)
    user = [tmp_path / ".notes.tmp", tmp_path / "a.tmp", tmp_path / ".a.b.c.txt"]
    for path in user:
        path.write_text("the user's own")
    assert remove_leftovers(tmp_path) == sorted([dead, used_again, far_and_old])
    assert mine.exists() and far.exists() and all(path.exists() for path in user)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f15_locking_clears_the_subject_and_shared_folders_only(tmp_path, dead_process):
    tag = f"{owners.machine_tag()}-{dead_process}-1"
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


def test_f21_second_run_of_a_subject_is_refused_another_subject_not(tmp_path, in_child):
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
