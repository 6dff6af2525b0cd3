"""The key rules: what a cell of a table or a file name means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from .._checks import InputError, check_choice, message
from ..bids import same_text

RULES = ("name", "path", "id")

_SHOWN = 5
# An extension begins with a letter: the 7 of "face_0.7" belongs to the name.
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,5}$")
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


def stimulus_key(value: object, rule: str = "name") -> str:
    """Return the key of one cell or file.

    Parameters
    ----------
    value : object
        Text (compared after Unicode NFC and stripping) or a number; ``25149.0``, as tables with
        gaps write whole numbers, is ``25149``.
    rule : {"name", "path", "id"}
        ``name``: no folder, no last extension, case-folded. ``path``: relative to the stimulus
        folder, forward slashes. ``id``: as it stands.

    Raises
    ------
    InputError
        If nothing is left, or the rule is unknown.

    Examples
    --------
    >>> stimulus_key("meg/U032.bmp"), stimulus_key("25149.0"), stimulus_key("a/B.png", "path")
    ('u032', '25149', 'a/B.png')
    """
    check_choice("stimulus-key", rule, RULES)
    text = same_text(str(value))
    whole = _WHOLE_FLOAT.fullmatch(text)
    text = whole.group(1) if whole else text
    if rule != "id":
        text = text.replace("\\", "/")
    if rule == "path":
        text = str(PurePosixPath(text)) if text else ""
    elif rule == "name":
        text = same_text(_EXTENSION.sub("", text.rstrip("/").rpartition("/")[2]).casefold())
    if not text or text == ".":
        raise InputError(message("stimulus", f"has no key by the rule {rule!r}", got=value))
    return text


def some(items: Iterable[str]) -> str:
    """Return the first five of `items` and how many more there are.

    Examples
    --------
    >>> some("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    items = [str(item) for item in items]
    tail = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + tail
