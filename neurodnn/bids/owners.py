"""Who holds a lock or a temporary file, and whether that process still runs.

An owner is a machine, a process number and the start time of the process: numbers are used
again, so a number alone would keep the lock of a dead run alive for ever.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

#: Age in seconds after which another machine's temporary counts as abandoned.
ABANDONED_AFTER = 24 * 3600.0


def machine_tag() -> str:
    """Return eight hexadecimal digits for this machine; the name itself is nobody's business.

    Containers of one machine count their processes apart, so each is a machine of its own.

    Examples
    --------
    >>> len(machine_tag())
    8
    """
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return hashlib.sha256((socket.gethostname() + processes).encode()).hexdigest()[:8]


def process_start(pid: int) -> str | None:
    """Return when process `pid` started, in the kernel's own ticks; None if it does not run.

    Where the system has no ``/proc`` the answer for a running process is ``"0"``.

    Parameters
    ----------
    pid : int
        Process number on this machine.

    Examples
    --------
    >>> process_start(os.getpid()) is not None
    True
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() or not _responds(pid) else "0"
    # The name of the program stands in brackets and may hold anything, so count from its end.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _responds(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def owner_tag() -> str:
    """Return ``machine-pid-start`` of this process, fit for a file name.

    Examples
    --------
    >>> owner_tag().split("-")[1] == str(os.getpid())
    True
    """
    pid = os.getpid()
    return f"{machine_tag()}-{pid}-{process_start(pid)}"


def is_owner_alive(tag: str, path: Path, *, abandoned_after: float = ABANDONED_AFTER) -> bool:
    """Return whether the owner named by `tag` may still be at work on `path`.

    Of another machine's process only the age of its file is known.

    Parameters
    ----------
    tag : str
        As made by `owner_tag`; anything else is taken for a stranger's.
    path : Path
        The temporary or lock.
    abandoned_after : float
        Age in seconds from which a stranger's file counts as abandoned.

    Examples
    --------
    >>> is_owner_alive(owner_tag(), Path("any"))
    True
    """
    parts = tag.split("-")
    if len(parts) == 3 and parts[0] == machine_tag() and parts[1].isdigit():
        return process_start(int(parts[1])) == parts[2]
    try:
        return time.time() - path.stat().st_mtime < abandoned_after
    except OSError:
        return False


def remove_leftovers(folder: str | os.PathLike[str], *, deep: bool = True) -> list[Path]:
    """Remove temporaries that killed runs left in a folder; return what was removed.

    A temporary goes only if its owner is dead: a process of this machine that no longer runs,
    or another machine's that has not touched the file for a day.

    Parameters
    ----------
    folder : path
        An output folder; one that does not exist gives an empty list.
    deep : bool, default True
        Whether the folders below are looked at too.

    Examples
    --------
    >>> remove_leftovers("no-such-folder")
    []
    """
    removed = []
    for where, below, names in os.walk(folder):
        if not deep:
            below.clear()
        for name in names:
            if not (name.startswith(".") and name.endswith(".tmp")):
                continue
            path = Path(where, name)
            parts = name.rsplit(".", 3)
            if len(parts) == 4 and not is_owner_alive(parts[1], path):
                path.unlink(missing_ok=True)
                removed.append(path)
    return sorted(removed)
