"""What the tests of faults share: children that may be killed, trees to compare."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import pytest


def _in_child(work, *, uid=None):
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


@pytest.fixture
def in_child():
    """Run a function in a forked process: its answer, or minus the signal that killed it."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a POSIX system")
    return _in_child


@pytest.fixture
def dead_process():
    """A process number that no longer runs."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a POSIX system")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


@pytest.fixture
def tree():
    """A function: folder -> {relative path: sha256} of every file in it."""

    def tree(folder):
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }

    return tree


@pytest.fixture
def open_folder():
    """A folder that any user may enter; pytest's own is private to the one who runs it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
