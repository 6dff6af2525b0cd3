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

    Examples
    --------
    >>> len(machine_tag())
    8
    """
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def process_start(pid: int) -> str | None:
    """Return when process `pid` started, in the kernel's own ticks; None if it does not run.

    Where the system has no ``/proc`` the answer for a running process is ``"0"``.

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
