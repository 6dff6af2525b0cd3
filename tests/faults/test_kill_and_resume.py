"""Whole runs killed, stopped, starved and locked; what they leave and how they go on."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

import pytest
from killing import run, start
from tiny_bids import OPTIONS, make_betas, tree

from neurodnn.cli import main

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="children are forked and limited as on Linux"
)


def command(root, *more, level="participant"):
    rdms = ["--reference-rdms", str(root / "planted.csv"), str(root / "other.csv")]
    return [str(root / "bids"), str(root / "out"), level, *rdms, *OPTIONS,
            "-w", str(root / "work"), *more]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run in a child: (root, its tree, how many files got their names)."""
    root = tmp_path_factory.mktemp("whole")
    make_betas(root)
    count = root / "count"
    code, text = run(command(root), count=str(count))
    assert code == 0, text
    return root, tree(root / "out"), int(count.read_text())


@pytest.fixture
def fresh(whole, tmp_path):
    """The same inputs without results."""
    shutil.copytree(whole[0], tmp_path / "f", ignore=shutil.ignore_patterns("out", "work"))
    return tmp_path / "f"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.45, 0.7, 0.9])
def test_f9_killed_run_goes_on_to_the_same_tree(whole, fresh, share):
    _, expected, steps = whole
    step = 1 + int(share * steps)
    code, text = run(command(fresh), step=step, signal=signal.SIGKILL)
    assert code == -signal.SIGKILL, text
    left = tree(fresh / "out")
    assert left != expected
    whole_files = {name: content for name, content in left.items()
                   if not name.endswith((".tmp", ".lock"))}  # fmt: skip
    # whatever stands under a final name is what the whole run writes there
    assert whole_files.items() <= expected.items()
    assert len(whole_files) <= step - 1
    assert main(command(fresh)) == 0
    assert tree(fresh / "out") == expected


@pytest.mark.parametrize(
    ("number", "code", "share"), [(signal.SIGINT, 130, 0.3), (signal.SIGTERM, 143, 0.6)]
)
def test_f10_f11_stopped_run_has_its_code_and_goes_on(whole, fresh, number, code, share):
    _, expected, steps = whole
    begun = time.monotonic()
    found, text = run(command(fresh), step=int(share * steps), signal=number)
    assert found == code, text
    assert time.monotonic() - begun < 60
    assert "run the same command again to go on" in text
    assert "Traceback" not in text
    names = list(tree(fresh / "out"))
    assert not [name for name in names if name.endswith((".tmp", ".lock"))]
    assert main(command(fresh)) == 0
    assert tree(fresh / "out") == expected


def test_f21_one_subject_is_computed_by_one_run_at_a_time(whole, fresh, capsys):
    _, expected, steps = whole
    words = command(fresh, "--participant-label", "01")
    child, _ = start(words, step=steps // 4, signal=signal.SIGSTOP)
    try:
        _wait_until_stopped(child.pid)
        assert main(words) == 2
        text = capsys.readouterr().err
        assert f"locked by pid {child.pid} on host" in text
        assert "Traceback" not in text
        # another job of the array is not held up
        assert main(command(fresh, "--participant-label", "02")) == 0
    finally:
        os.kill(child.pid, signal.SIGCONT)
        child.join(120)
    assert child.exitcode == 0
    assert tree(fresh / "out") == expected


def _wait_until_stopped(pid):
    for _ in range(600):
        with open(f"/proc/{pid}/stat") as stream:
            if stream.read().rpartition(")")[2].split()[0] == "T":
                return
        time.sleep(0.1)
    pytest.fail("the child never came to its step")


@pytest.mark.parametrize("limit", [300, 2000, 20_000])
def test_f1_full_disk_leaves_nothing_under_a_final_name(whole, fresh, limit):
    _, expected, _ = whole
    code, text = run(command(fresh), file_bytes=limit)
    assert code in (2, 3), text
    assert "larger than allowed" in text
    assert "Traceback" not in text
    left = tree(fresh / "out") if (fresh / "out").exists() else {}
    assert left.items() <= expected.items()
    assert not [name for name in left if name.endswith((".tmp", ".lock"))]
    assert not [name for name in left if name.endswith(".html")]  # pages are larger than that
    assert main(command(fresh)) == 0
    assert tree(fresh / "out") == expected


def test_f30_little_memory_is_told_with_the_estimate_before_anything(fresh):
    code, text = run(command(fresh), spare_bytes=100_000_000)
    assert code == 2, text
    assert "MB are needed by one subject" in text
    assert "--force" in text
    assert not (fresh / "out").exists()


def test_f18_input_that_changes_during_the_run_is_noticed(fresh, capsys, monkeypatch):
    from neurodnn.pipeline import subject

    load = subject.load_job

    def load_while_somebody_writes(job, config):
        loaded = load(job, config)
        path = job.runs[0].labels
        path.write_text(path.read_text() + "\n")
        return loaded

    monkeypatch.setattr(subject, "load_job", load_while_somebody_writes)
    assert main(command(fresh, "--participant-label", "01")) == 2
    assert "changed while it was being read" in capsys.readouterr().err
    assert not (fresh / "out" / "sub-01").exists()


def test_f4_nothing_is_written_beside_the_inputs(whole, fresh):
    before = tree(fresh / "bids")
    assert main(command(fresh, "--participant-label", "01")) == 0
    assert tree(fresh / "bids") == before
    assert sorted(path.name for path in fresh.iterdir()) == sorted(
        {path.name for path in whole[0].iterdir()}
    )
