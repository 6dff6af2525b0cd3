"""What can be wrong with a file before its format matters: absent, a pointer, a web page."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from neurodnn._checks import InputError, message

HEAD = 8192  # bytes read to recognise a file; enough for any header the formats here have
_PIECE = 1 << 20
_DAMAGED = "Fetch it again or restore it from the source."


def user_path(path: str | os.PathLike) -> Path:
    """Return `path` as a Path with ``~`` expanded; refuse what is not a path."""
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise InputError(message("path", "is not a file name", got=path)) from error


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, or raise InputError saying why it cannot be an image.

    Recognised: absent files, dangling links, folders, unreadable and empty files, the pointers
    that git-annex and Git LFS leave where content was not fetched, and web pages saved under
    the name of an image.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise _dangling(path)
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError as error:
        raise InputError(
            message(str(path), "no such file", remedy="Check the spelling and the folder.")
        ) from error
    except IsADirectoryError as error:
        raise InputError(
            message(str(path), "is a folder, not a file", remedy="Give the file inside it.")
        ) from error
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name. OSError: permissions, a name that is too long.
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            message(str(path), f"cannot be opened: {reason}", remedy="Check name and rights.")
        ) from error
    fault = _pointer_or_page(head)
    if fault is not None:
        what, remedy = fault
        raise InputError(message(str(path), what, remedy=remedy.format(path=path)))
    return head


def looks_like_html(head: bytes) -> bool:
    """Return whether bytes start as a web page does (XML without HTML does not count)."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or (
        start.startswith((b"<?xml", b"<!--")) and b"<html" in start
    )


def _pointer_or_page(head: bytes) -> tuple[str, str] | None:
    if not head:
        return "the file is empty (0 bytes)", _DAMAGED
    if b"annex/objects/" in head[:256] and b"\0" not in head[:256]:
        return "git-annex pointer, the content is not here", "Run: datalad get {path}"
    if head.startswith(b"version https://git-lfs"):
        return "Git LFS pointer, the content is not here", "Run: git lfs pull --include={path}"
    if looks_like_html(head):
        return "is a web page, not an image", "Download the file itself, not the page about it."
    return None


def _dangling(path: Path) -> InputError:
    target = os.readlink(path)
    if "annex/objects" in Path(target).as_posix():
        what = "link to git-annex content that is not here"
        return InputError(message(str(path), what, remedy=f"Run: datalad get {path}"))
    what = "is a link to a file that does not exist"
    return InputError(message(str(path), what, remedy="Restore the file that it points to."))


class GzipPieces:
    """Iterate over the decompressed bytes of a gzip file, checking every member's CRC-32.

    zlib checks the checksum and the length of a member at its end, so an iteration that ends
    without an error has read intact data. `trailing` then counts bytes after the last member.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trailing = 0

    def __iter__(self) -> Iterator[bytes]:
        stream = zlib.decompressobj(31)
        with open(self.path, "rb") as file:
            while chunk := file.read(_PIECE):
                while chunk:
                    if stream.eof:
                        chunk = chunk.lstrip(b"\0")  # padding with zeros is part of the format
                        if len(chunk) == 1:
                            chunk += file.read(1)
                        if chunk and not chunk.startswith(b"\x1f\x8b"):
                            self.trailing = len(chunk) + len(file.read())
                            return
                        stream = zlib.decompressobj(31) if chunk else stream
                        continue
                    try:
                        piece = stream.decompress(chunk, 16 * _PIECE)
                    except zlib.error as error:
                        raise self._damaged(str(error)) from error
                    chunk = stream.unused_data if stream.eof else stream.unconsumed_tail
                    if piece:
                        yield piece
        if not stream.eof:
            raise self._damaged("cut short")

    def _damaged(self, reason: str) -> InputError:
        if reason == "cut short":
            what = "the compressed data end too early; the file was cut short"
        elif "incorrect" in reason and "check" in reason and "header" not in reason:
            what = "checksum of the compressed data does not match; the file is damaged"
        else:
            what = f"the compressed data cannot be unpacked ({reason}); the file is damaged"
        return InputError(message(str(self.path), what, remedy=_DAMAGED))
