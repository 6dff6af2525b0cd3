"""Ctrl-C and SLURM's SIGTERM: out within seconds, with a code that says which it was."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE_SECONDS = 4.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked the program to stop; not an Exception, so that no handler swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Stopped`, and leave the hard way where that takes too long.

    Python runs a handler only between two lines of Python, and a long compiled call (a network
    that loads, a block of the searchlight) may keep the main thread away for longer than a
    scheduler waits. The number of the signal is therefore also written to a pipe, and a thread
    that reads it ends the process when the grace time is over. Files appear under their final
    names only when they are whole, so that leaving at once is always safe.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = {number: signal.signal(number, _raise_stopped) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(read_end, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(write_end)  # ends the watcher's read


def _raise_stopped(number: int, frame: object) -> None:
    raise Stopped(number)


def _watch(read_end: int, done: threading.Event) -> None:
    numbers = os.read(read_end, 1)
    while numbers and numbers[0] not in _SIGNALS:
        numbers = os.read(read_end, 1)
    os.close(read_end)
    if numbers and not done.wait(GRACE_SECONDS):
        os._exit(128 + numbers[0])
