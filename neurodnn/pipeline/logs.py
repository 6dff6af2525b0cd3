"""One logger: INFO on the screen, DEBUG in ``logs/<run>/run.log``, no names of people in either.

Records made before the output folder may be touched are held back and come first in the file.
"""

from __future__ import annotations

import getpass
import logging
import logging.handlers
import os
import platform
import re
import socket
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from neurodnn import __version__
from neurodnn._checks import DataWarning
from neurodnn.bids import WriteError
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.toml import to_toml

LOGGER = logging.getLogger("neurodnn")

_PACKAGES = (
    "numpy", "scipy", "pandas", "xarray", "scikit-learn", "numba", "nibabel", "nilearn",
    "rsatoolbox", "torch", "torchvision", "joblib", "h5py", "threadpoolctl",
)  # fmt: skip


class Scrubber:
    """Replaces the folders of this machine, its name and its user in any text of ours.

    Parameters
    ----------
    config : Config, optional
        Gives data set, output and derivative folders.

    Examples
    --------
    >>> from neurodnn.pipeline.config import make_config
    >>> Scrubber(make_config("/data/bids", "/data/out"))("/data/bids/sub-01/x.tsv: is empty")
    'BIDS_DIR/sub-01/x.tsv: is empty'
    """

    def __init__(self, config: Config | None = None) -> None:
        pairs: list[tuple[str, str]] = []
        if config is not None:
            folders = [(config.bids_dir, "BIDS_DIR"), (config.work_dir, "WORK_DIR")]
            folders += [(path, name.upper()) for name, path in config.derivatives]
            if config.output_dir is not None:
                folders.append((config.output_dir, "OUTPUT_DIR"))
            for path, name in folders:
                pairs += [(str(path), name), (os.path.realpath(path), name)]
        home = os.path.expanduser("~")
        pairs.append((home, "~"))
        pairs = [pair for pair in dict(pairs).items() if len(pair[0]) > 1]
        pairs.sort(key=lambda pair: -len(pair[0]))
        self._rules = [(re.compile(re.escape(text) + r"(?=[^\w.-]|$)"), to) for text, to in pairs]
        for name, to in ((socket.gethostname(), "HOST"), (_user(), "USER")):
            if len(name) > 2 and name not in ("root", "user", "localhost"):
                rule = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
                self._rules.append((rule, to))

    def __call__(self, text: str) -> str:
        """Return `text` without what names this machine or its people."""
        for rule, to in self._rules:
            text = rule.sub(to, text)
        return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without an entry for the user
        return ""


class _ScrubbedFormatter(logging.Formatter):
    def __init__(self, layout: str, scrub: Scrubber) -> None:
        super().__init__(layout)
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))


class _RunLog(logging.FileHandler):
    """The log file; on a full disk the run itself tells what it could not write."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name
        LOGGER.removeHandler(self)
        LOGGER.warning("the log can no longer be written: %s", sys.exc_info()[1])

    def close(self) -> None:
        """Close the file, whether or not its last words could be written."""
        with suppress(OSError):
            super().close()


class _Screen(logging.StreamHandler):
    """Writes through tqdm's lock, so that a line does not land inside a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")
        if bars is None:
            super().emit(record)
            return
        with bars.tqdm.external_write_mode(file=self.stream):
            super().emit(record)


@contextmanager
def logging_to_screen(config: Config | None) -> Iterator[None]:
    """Send the package's log to standard error while the block runs; hold it for the file too."""
    level = logging.INFO
    if config is not None and config.verbose:
        level = logging.DEBUG
    elif config is not None and config.quiet:
        level = logging.WARNING
    screen = _Screen(sys.stderr)
    screen.setLevel(level)
    screen.setFormatter(logging.Formatter("%(message)s"))
    held = logging.handlers.MemoryHandler(100_000, logging.CRITICAL + 1, flushOnClose=False)
    before = (LOGGER.level, LOGGER.propagate, list(LOGGER.handlers))
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False
    LOGGER.handlers = [screen, held]
    try:
        yield
    finally:
        for handler in LOGGER.handlers:
            handler.close()
        LOGGER.level, LOGGER.propagate, LOGGER.handlers = before


def shows_progress(config: Config) -> bool:
    """Whether a bar is of use: not in a file, and not where the user wants quiet."""
    return sys.stderr.isatty() and not config.quiet


def open_run_log(config: Config) -> Path:
    """Make ``logs/<run>/`` with the resolved options and the log; return the folder.

    The name of a run is its time and four random digits: jobs of an array start together.
    """
    folder = config.output_dir / "logs" / (
        time.strftime("%Y%m%d-%H%M%S") + "_" + uuid.uuid4().hex[:4]
    )  # fmt: skip
    try:
        folder.mkdir(parents=True)
        (folder / "neurodnn.toml").write_text(to_toml(config), encoding="utf-8")
        handler = _RunLog(folder / "run.log", encoding="utf-8")
    except OSError as error:
        raise WriteError.of(folder, error) from error
    handler.setLevel(logging.DEBUG)
    layout = "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(_ScrubbedFormatter(layout, Scrubber(config)))
    for name, version in software_versions().items():
        handler.emit(_record(f"{name} {version}"))
    handler.emit(_record(f"{os.cpu_count()} CPUs, {available_mb():.0f} MB of memory available"))
    for other in LOGGER.handlers:
        if isinstance(other, logging.handlers.MemoryHandler):
            other.setTarget(handler)
            other.flush()
            LOGGER.removeHandler(other)
    LOGGER.addHandler(handler)
    return folder


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord("neurodnn", logging.DEBUG, "", 0, text, None, None)


def software_versions(*more: str) -> dict[str, str]:
    """Return the versions that a result depends on, and of `more`; nothing is imported."""
    return dict(_software_versions(more))


@cache
def _software_versions(more: tuple[str, ...]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"neurodnn": __version__, "python": platform.python_version()}
    for name in (*_PACKAGES, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def available_mb() -> float:
    """Return the memory in MB that this process may still take: free, cgroup and ulimit."""
    limits = [_meminfo_mb(), _cgroup_mb()]
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limits.append((soft - pages * resource.getpagesize()) / 1e6)
    except (ImportError, OSError):
        pass  # not a POSIX system; the other limits have to do
    return max(0.0, min(limit for limit in limits if limit is not None))


def _meminfo_mb() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass  # macOS: total memory stands in for what is available
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def _cgroup_mb() -> float | None:
    """Memory that the container or SLURM step still grants, None where there is no limit."""
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit == "max":
            return None
        return (int(limit) - int((group / "memory.current").read_text())) / 1e6
    except (OSError, ValueError):
        return None


@contextmanager
def collected_warnings(scrub: Scrubber) -> Iterator[list[str]]:
    """Give a list that fills with the `DataWarning` texts of the block, each once, scrubbed.

    Other warnings go to the log as DEBUG: they are for programmers.
    """
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield texts
        finally:
            found = list(caught)
            for item in found:
                text = scrub(str(item.message))
                if not issubclass(item.category, DataWarning):
                    LOGGER.debug("%s: %s", item.category.__name__, text)
                elif text not in texts:
                    texts.append(text)
