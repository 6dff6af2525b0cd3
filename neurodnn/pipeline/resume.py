"""What is done already: hashes of what goes in and of the options that matter.

A result is done if its file holds the bytes whose hash its sidecar carries, and if the sidecar
names the same inputs and parameters. Time stamps are never trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from neurodnn import __version__
from neurodnn.bids import sha256_file


class FileHashes:
    """sha256 of files, each read once per process while its size and time stay the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], str] = {}

    def __call__(self, path: Path) -> str:
        """Return the sha256 of the content of `path`."""
        stat = os.stat(path)
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = sha256_file(path)
        return self._known[key]

    def changed(self) -> list[str]:
        """Return the files that are no longer what they were when they were hashed."""
        changed = []
        for path, size, mtime in self._known:
            try:
                stat = os.stat(path)
            except OSError:
                changed.append(path)
                continue
            if (stat.st_size, stat.st_mtime_ns) != (size, mtime):
                if sha256_file(path) != self._known[path, size, mtime]:
                    changed.append(path)
        return changed


def hash_of(content: Mapping[str, object] | list) -> str:
    """Return one sha256 for plain content; the order of keys does not count.

    Examples
    --------
    >>> hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def parameter_hash(parameters: Mapping[str, object]) -> str:
    """Return the hash of the resolved parameters and of the version that interprets them."""
    return hash_of({"neurodnn": __version__, **parameters})
