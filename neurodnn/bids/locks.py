"""One run per subject and output folder: array jobs share the folder, never a subject."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

from .._checks import DataWarning, InputError, message
from .names import check_label
from .owners import machine_tag, process_start, remove_leftovers
from .writing import WriteError

#: Seconds between two signs of life of a lock's holder.
HEARTBEAT = 30.0
#: Seconds without a sign of life after which another machine's lock counts as dead.
SILENT_AFTER = 20 * HEARTBEAT


@contextlib.contextmanager
def lock_output(
    output_dir: str | os.PathLike[str], subject: str | None, *, heartbeat: float = HEARTBEAT
) -> Iterator[Path]:
    """Hold one subject of an output folder while the block runs.

    Once held, temporaries that dead runs left in the subject's folder and in the shared ones
    are removed. The lock is a small hidden file with process number and machine, gone when the
    block ends; that of a killed run is taken over with a `DataWarning`: at once if the process
    was on this machine, after ten silent minutes if it was on another.

    Parameters
    ----------
    output_dir : path
        The output folder, made if missing.
    subject : str or None
        Label without ``sub-``; None for the group level.
    heartbeat : float, default 30
        Seconds between two signs of life.

    Yields
    ------
    Path
        The lock file.

    Raises
    ------
    InputError
        If another run holds the subject: ``locked by pid/host``.
    WriteError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with lock_output(folder, "01") as lock:
    ...         name = lock.name
    >>> name
    '.sub-01.lock'
    """
    name = "group" if subject is None else f"sub-{check_label('sub', subject)}"
    lock = Path(output_dir) / f".{name}.lock"
    token = uuid.uuid4().hex
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with _alone(lock.parent):
            _take(lock, token, name)
    except OSError as error:
        raise WriteError.of(lock, error) from error
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, stop, heartbeat), daemon=True)
    beat.start()
    try:
        _sweep(lock.parent, name)
        yield lock
    finally:
        stop.set()
        beat.join()
        with contextlib.suppress(OSError), _alone(lock.parent):
            if _read(lock).get("token") == token:
                lock.unlink()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time look at the locks of a folder.

    Judging a lock stale and replacing it are two steps; without this, two runs could do both.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # releases it


def _take(lock: Path, token: str, name: str) -> None:
    if lock.exists():
        owner = _read(lock)
        held_by = f"locked by pid {owner.get('pid', '?')} on host {owner.get('host', '?')}"
        if _is_alive(owner, lock):
            remedy = f"Wait for that run. If it is dead, remove {lock}."
            raise InputError(message(f"{name} in {lock.parent}", held_by, remedy=remedy))
        note = f"{held_by}, which is dead; the lock was taken over"
        warnings.warn(message(name, note), DataWarning, stacklevel=5)
        lock.unlink(missing_ok=True)
    pid = os.getpid()
    content = {
        "pid": pid,
        "start": process_start(pid),
        "host": socket.gethostname(),
        "machine": machine_tag(),
        "token": token,
    }
    # Exclusive: if a run on another machine was faster, this fails and that run goes on.
    with open(lock, "x", encoding="utf-8") as stream:
        stream.write(json.dumps(content))


def _read(lock: Path) -> dict[str, object]:
    """The content of a lock; empty if it cannot be read or was cut short."""
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_alive(owner: dict[str, object], lock: Path) -> bool:
    pid = owner.get("pid")
    if owner.get("machine") == machine_tag() and isinstance(pid, int):
        return process_start(pid) == owner.get("start")
    return _age(lock) < SILENT_AFTER


def _age(lock: Path) -> float:
    """Seconds since the last sign of life, by the file server's clock: ours may differ."""
    probe = lock.with_name(f".{uuid.uuid4().hex}.clock")
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime - lock.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)


def _beat(lock: Path, stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        try:
            os.utime(lock)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return


def _sweep(output_dir: Path, name: str) -> None:
    """Clear leftovers of dead runs, but never in another subject's folder: it may be at work."""
    for path in output_dir.iterdir():
        if path.is_dir() and (path.name == name or not path.name.startswith("sub-")):
            remove_leftovers(path)
    remove_leftovers(output_dir, deep=False)
