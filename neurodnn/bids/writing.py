"""The one way a file is made: whole, verified and durable, or not at all.

A file is written under a hidden temporary name in the folder where it shall stand, flushed to
the disk, read again and verified, and only then given its name by one atomic step. Whatever
interrupts this, a full disk or a killed process, nothing half-written is ever seen.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from .._checks import InputError, message
from .owners import owner_tag

#: The bytes of a file, or a function that writes them into the open stream it is given.
Content = bytes | Callable[[BinaryIO], None]

#: Longest file name, in bytes, that common file systems take.
_NAME_MAX = 255
#: A rename that fails for one of these fails again; for anything else (a network file system
#: that lost its handle or is busy) it is worth another try.
_LASTING = frozenset(
    {
        errno.EACCES, errno.EDQUOT, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOSPC,
        errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM, errno.EROFS, errno.EXDEV,
    }
)  # fmt: skip
_RENAME_TRIES = 4  # the first and three more
#: Folders of some file systems (CIFS, FUSE) cannot be flushed; their rename is durable or not
#: whatever we do.
_NO_DIRECTORY_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})

_REMEDIES = {
    errno.ENOSPC: "The disk is full: free space or choose another output folder.",
    errno.EDQUOT: "The disk quota is used up: free space or ask for more.",
    errno.EFBIG: "The file is larger than allowed here: raise the limit (ulimit -f) or choose "
    "another output folder.",
    errno.EACCES: "You may not write there: change the permissions or choose another output "
    "folder.",
    errno.EPERM: "You may not write there: change the permissions or choose another output "
    "folder.",
    errno.EROFS: "The file system is read-only: choose another output folder.",
    errno.EXDEV: "The name stands on another file system than its folder (a mounted file?): "
    "choose another output folder.",
    errno.ENAMETOOLONG: "The name is too long for this file system: shorten labels or the "
    "output folder's path.",
    errno.ENOTDIR: "A part of the path is a file, not a folder: choose another output folder.",
    errno.EEXIST: "A part of the path is a file, not a folder: choose another output folder.",
    errno.EISDIR: "A folder of that name is in the way: rename or remove it.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
}


class WriteError(OSError, InputError):
    """A file could not be written; nothing stands under its name that was not there before.

    It is an `OSError` (with `errno`) and an `InputError`, since the user can repair it.
    """

    def __str__(self) -> str:
        """The sentence alone: with an errno set, `OSError` would print its own."""
        return str(self.args[0]) if self.args else ""

    @classmethod
    def of(cls, path: str | os.PathLike[str], cause: OSError) -> WriteError:
        """Return the error for `path` with the remedy that fits the cause."""
        remedy = _REMEDIES.get(cause.errno or 0, "Check the output folder and try again.")
        reason = cause.strerror or str(cause)
        error = cls(message(str(path), f"could not be written: {reason}", remedy=remedy))
        error.errno, error.filename = cause.errno, str(path)
        return error


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file's bytes as 64 hexadecimal digits.

    Parameters
    ----------
    path : path
        The file, read in pieces: memory does not grow with its size.

    Raises
    ------
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (pathlib.Path(folder) / "a").write_bytes(b"abc")
    ...     sha256_file(pathlib.Path(folder) / "a")[:16]
    'ba7816bf8f01cfea'
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(
    path: str | os.PathLike[str],
    write: Content,
    *,
    verify: Callable[[Path], None] | None = None,
) -> str:
    """Write a file whole or not at all, and return its sha256.

    The steps: hidden temporary in the same folder, made exclusively and private; write; flush
    to disk; reopen and verify; replace the name atomically; flush the folder. A file that
    already has the name stays intact until the replacement.

    Parameters
    ----------
    path : path
        The final name. Missing folders are made. A symbolic link is replaced, not followed.
    write : bytes or callable
        The content, verified by its hash on re-reading; or a function that is given the open
        binary stream. For libraries that insist upon a path, ``stream.name`` is the temporary's.
    verify : callable, optional
        Called with the temporary's path once it is on disk; whatever it raises stops the
        replacement and leaves nothing behind.

    Returns
    -------
    str
        sha256 of the bytes as read back.

    Raises
    ------
    WriteError
        An `OSError` and `InputError` with path and remedy: disk full, quota, permissions, name
        too long, other file system.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     digest = write_atomic(pathlib.Path(folder) / "new" / "a.txt", b"abc")
    ...     sorted(p.name for p in pathlib.Path(folder, "new").iterdir())
    ['a.txt']
    """
    return write_together([(path, write, verify)])[0]


def write_together(
    files: Sequence[tuple[str | os.PathLike[str], Content, Callable[[Path], None] | None]],
) -> list[str]:
    """Write several files that belong together, and return the sha256 of each.

    All are on disk and verified before the first gets its name, so a full disk leaves none of
    them. The names are given in the order of the list.

    Parameters
    ----------
    files : sequence of (path, content, verify)
        As the arguments of `write_atomic`.

    Raises
    ------
    WriteError
        As `write_atomic`; files that had no predecessor are taken away again.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pair = [(pathlib.Path(folder, name), b"x", None) for name in ("a.json", "a.tsv")]
    ...     len(write_together(pair))
    2
    """
    temporaries: list[Path] = []
    fresh: list[Path] = []
    digests: list[str] = []
    path = Path()
    try:
        for name, content, verify in files:
            path = Path(name)
            _make_folder(path.parent)
            temporaries.append(_temporary_name(path))
            digests.append(_fill(temporaries[-1], content))
            if verify is not None:
                verify(temporaries[-1])
        for temporary, digest, (name, _, _) in zip(temporaries, digests, files, strict=True):
            path = Path(name)
            existed = os.path.lexists(path)
            _replace(temporary, path, digest)
            fresh += [] if existed else [path]
            flush_directory(path.parent)
    except BaseException as error:
        for each in [*temporaries, *fresh]:
            _remove(each)
        if isinstance(error, OSError) and not isinstance(error, InputError):
            raise WriteError.of(path, error) from error
        raise
    return digests


def _temporary_name(path: Path) -> Path:
    tail = f".{owner_tag()}.{uuid.uuid4().hex[:12]}.tmp"
    room = _NAME_MAX - len(os.fsencode(tail)) - 1
    # A name near the limit would not leave room for the tail; its start is enough to recognise.
    start = os.fsencode(path.name)[:room].decode("utf-8", errors="ignore")
    return path.with_name(f".{start}{tail}")


def _fill(temporary: Path, write: Content) -> str:
    """Write, flush and read back; return the sha256."""
    with open(temporary, "xb+") as stream:
        # The kernel has applied umask and default ACL: take that mode back at the end, and keep
        # the file private while it is unfinished.
        mode = os.fstat(stream.fileno()).st_mode & 0o777
        os.fchmod(stream.fileno(), 0o600)
        if callable(write):
            write(stream)
        else:
            stream.write(write)
        stream.flush()
        os.fsync(stream.fileno())
        os.fchmod(stream.fileno(), mode)
    digest = sha256_file(temporary)
    if not callable(write) and digest != hashlib.sha256(write).hexdigest():
        raise OSError(errno.EIO, "the file read back differs from what was written")
    return digest


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each flushed so that it survives a power cut."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        flush_directory(each.parent)


def _replace(temporary: Path, path: Path, digest: str) -> None:
    """Give the file its name; network file systems are asked up to three times more."""
    tries = 0
    while True:
        try:
            os.replace(temporary, path)
            return
        except OSError as error:
            tries += 1
            # A network file system may have renamed although its answer was lost.
            if not temporary.exists() and path.is_file() and sha256_file(path) == digest:
                return
            if error.errno in _LASTING or tries == _RENAME_TRIES:
                raise
            time.sleep(0.05 * 4**tries)


def flush_directory(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's entries to disk, so that a rename survives a power cut.

    Parameters
    ----------
    folder : path
        Where a file has got its name. Some file systems cannot do it; that passes.

    Raises
    ------
    OSError
        If the folder is missing or the disk fails.

    Examples
    --------
    >>> flush_directory(".")
    """
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _remove(temporary: Path) -> None:
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass  # the usual case: it has become the file
    except OSError:
        # The cause of the failure is already on its way up; the next run clears leftovers.
        pass
