"""One voice for what a user can repair: errors, warnings and the shape of their text.

Every message says which argument or file, what is wrong, the value given, what is allowed and
what to do. The module imports nothing heavy, so that a wrong option fails in milliseconds.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable


class InputError(ValueError):
    """An argument or a file that the user can repair; the command line exits with code 2."""


class DataWarning(UserWarning):
    """A fault in the data that does not stop the work; it reaches log, report and sidecar."""


def message(
    where: str,
    fault: str,
    *,
    got: object = None,
    allowed: str | None = None,
    remedy: str | None = None,
) -> str:
    """Return one sentence in the house's shape.

    Parameters
    ----------
    where : str
        The argument (``"radius"``) or the path, relative where possible.
    fault : str
        What is wrong, without a full stop.
    got : object, optional
        The value given; shortened to 80 characters.
    allowed : str, optional
        The set or range that is allowed.
    remedy : str, optional
        What to do, a sentence.

    Examples
    --------
    >>> message("radius", "must be positive", got=-1, allowed="> 0 mm", remedy="Try 9.")
    'radius: must be positive (got -1; allowed: > 0 mm). Try 9.'
    """
    notes = []
    if got is not None:
        text = repr(got)
        notes.append("got " + (text if len(text) <= 80 else text[:77] + "..."))
    if allowed is not None:
        notes.append(f"allowed: {allowed}")
    tail = f" ({'; '.join(notes)})" if notes else ""
    return f"{where}: {fault}{tail}." + (f" {remedy}" if remedy else "")


def closest(value: str, options: Iterable[str]) -> str | None:
    """Return the option most like `value`, or None if nothing is near.

    Examples
    --------
    >>> closest("corelation", ["correlation", "cosine"])
    'correlation'
    """
    options = [str(option) for option in options]
    found = difflib.get_close_matches(str(value), options, n=1, cutoff=0.6)
    return found[0] if found else None


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return `value` if it is one of `allowed`; refuse it with the list otherwise.

    Examples
    --------
    >>> check_choice("metric", "pearsn", ["pearson", "cosine"])
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: metric='pearsn' is not known. Choose from: cosine, pearson. \
Did you mean pearson?
    """
    allowed = sorted(allowed)
    if isinstance(value, str) and value in allowed:
        return value
    near = closest(str(value), allowed)
    hint = f" Did you mean {near}?" if near else ""
    raise InputError(f"{name}={value!r} is not known. Choose from: {', '.join(allowed)}.{hint}")


def check_number(
    name: str,
    value: object,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    strict: bool = False,
    unit: str = "",
) -> float:
    """Return `value` as a float within bounds; refuse NaN, text and values outside.

    Parameters
    ----------
    name : str
        The argument's name.
    value : object
        What the user gave.
    minimum, maximum : float
        Bounds, inclusive unless `strict`.
    strict : bool
        Whether the minimum itself is refused.
    unit : str
        Unit for the message, such as ``"mm"``.

    Examples
    --------
    >>> check_number("radius", 9, minimum=0, strict=True, unit="mm")
    9.0
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    low = number > minimum if strict else number >= minimum
    if low and number <= maximum:
        return number
    bound = f"{'>' if strict else '>='} {minimum:g}" if minimum > -math.inf else "any number"
    if maximum < math.inf:
        bound += f" and <= {maximum:g}"
    allowed = f"{bound} {unit}".strip()
    raise InputError(message(name, "is not a valid number", got=value, allowed=allowed))
