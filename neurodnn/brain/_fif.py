"""What a FIF file holds and whether all of it is there, from the headers of its tags alone.

A FIF file is a chain of tags (kind, type, size, next) in nested blocks, without a checksum. A
file that was cut between two buffers still opens in most readers, silently shorter; the blocks
that were never closed give it away.
"""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mne.io.constants import FIFF

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.brain._files import GzipPieces, read_head

_HEADER = struct.Struct(">iIii")
_RESTORE = "Fetch it again or restore it from the source."
_DIRECTORY = 102
_STRUCTURE = {int(FIFF.FIFF_BLOCK_START), int(FIFF.FIFF_BLOCK_END), int(FIFF.FIFF_NOP)}
KINDS = {
    "evokeds": {int(FIFF.FIFFB_EVOKED)},
    "epochs": {int(FIFF.FIFFB_MNE_EPOCHS)},
    "raw": {102, 112, 119},  # raw data, and the same as continuous or with skips
    "inverse": {int(FIFF.FIFFB_MNE_INVERSE_SOLUTION)},
}


class FifContent(NamedTuple):
    """``kind`` (``"raw"``, ``"epochs"``, ``"evokeds"``, ``"inverse"``, ``"other"``) and whether the
    file is a later part of a recording that was split."""

    kind: str
    later_part: bool


def fif_content(path: Path) -> FifContent:
    """Return what a FIF file holds; refuse one that is damaged in its structure.

    Parameters
    ----------
    path : Path
        A ``.fif`` or ``.fif.gz`` file. Of the compressed one the checksum is compared.

    Raises
    ------
    InputError
        If the file is absent, empty, no FIF file, or cut short.

    Notes
    -----
    FIF itself has no checksum: a bit that flipped among the samples cannot be seen here.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a_raw.fif")
    ...     _ = path.write_bytes(b"plain text, long enough to be a tag of a file")
    ...     fif_content(path)
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: a_raw.fif: is not a FIF file.
    """
    head = read_head(path)
    packed = head.startswith(b"\x1f\x8b")
    if packed != path.name.endswith(".gz"):
        fault = f"is {'' if packed else 'not '}compressed, against its name"
        raise InputError(message(str(path), fault, remedy="Rename it."))
    try:
        if not packed:
            with open(path, "rb") as file:
                return _walk(file, path, path.stat().st_size)
        size = sum(len(piece) for piece in GzipPieces(path))
        with gzip.open(path, "rb") as file:
            return _walk(file, path, size)
    except (OSError, zlib.error) as error:
        raise InputError(message(str(path), f"cannot be read: {error}", remedy=_RESTORE)) from error


def _walk(file: BinaryIO, path: Path, size: int) -> FifContent:
    seen: set[int] = set()
    depth = place = 0
    later = ended = False
    while not ended and place < size:
        file.seek(place)
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            break
        kind, _, length, following = _HEADER.unpack(head)
        if place == 0 and (kind != FIFF.FIFF_FILE_ID or length != 20):
            raise InputError(message(str(path), "is not a FIF file", remedy=_RESTORE))
        if length < 0 or (following > 0 and following <= place):
            raise _damaged(path, place, "its chain of tags is broken", size)
        stop = place + _HEADER.size + length
        if stop > size:
            if kind not in _STRUCTURE or kind == FIFF.FIFF_BLOCK_START:
                raise _damaged(path, place, "the file was cut short", size)
            break
        if kind in (FIFF.FIFF_BLOCK_START, FIFF.FIFF_BLOCK_END, FIFF.FIFF_REF_ROLE):
            (value,) = struct.unpack(">i", file.read(4))
            depth += (kind == FIFF.FIFF_BLOCK_START) - (kind == FIFF.FIFF_BLOCK_END)
            if kind == FIFF.FIFF_BLOCK_START:
                seen.add(value)
            later |= kind == FIFF.FIFF_REF_ROLE and value == FIFF.FIFFV_ROLE_PREV_FILE
        ended = following == -1
        place = following if following > 0 else stop
    if depth > 0:
        raise _damaged(path, place, "the file was cut short", size)
    if not ended or (stop < size and not _is_directory(file, stop, size)):
        _warn_of_end(path, ended)
    found = [name for name, blocks in KINDS.items() if blocks & seen]
    return FifContent(found[0] if found else "other", later)


def _is_directory(file: BinaryIO, place: int, size: int) -> bool:
    """Whether what follows the last tag is the list of all tags, as many programs write it."""
    file.seek(place)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return False
    kind, _, length, _ = _HEADER.unpack(head)
    return kind == _DIRECTORY and place + _HEADER.size + length == size


def _damaged(path: Path, place: int, reason: str, size: int) -> InputError:
    fault = f"{reason}: it ends or breaks at byte {place} of {size}, inside its data"
    return InputError(message(str(path), fault, remedy=_RESTORE))


def _warn_of_end(path: Path, ended: bool) -> None:
    fault = "bytes follow its end and are ignored" if ended else "its last tag is missing"
    note = f"{fault}; all blocks of data are complete"
    text = message(str(path), note, remedy="Compare it with the source.")
    warnings.warn(text, DataWarning, stacklevel=5)
