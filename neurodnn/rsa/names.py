"""Names of stimuli and labels of RDMs, and the order in which two sides meet by name.

Names are compared as strings after NFC normalisation and stripping; order in files means
nothing. What passes the door stands in the order of its sorted names, so that any reordering of
either side ends in the same bits.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, closest, message

_LISTED = 10  # names shown of a longer list


def stimulus_names(values: Iterable[object], where: str = "stimuli") -> list[str]:
    """Return stimulus names as plain strings, NFC-normalised and stripped.

    Parameters
    ----------
    values : iterable
        Names as text, bytes (UTF-8; what HDF5 gives back) or whole numbers.
    where : str
        Argument or file, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If a name is missing (None, NaN, empty) or is not text.

    Examples
    --------
    >>> stimulus_names([b"face_01", " house ", 3])
    ['face_01', 'house', '3']
    """
    names = []
    for position, value in enumerate(values):
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            value = str(int(value))
        name = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
        if not name:
            fault = f"stimulus {position + 1} has no name"
            raise InputError(message(where, fault, got=value, allowed="text that is not empty"))
        names.append(name)
    return names


def canonical_order(
    names_a: Iterable[object],
    names_b: Iterable[object],
    where_a: str = "a",
    where_b: str = "b",
    *,
    subset: bool = False,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the indices that bring both sides into the order of their sorted names.

    Parameters
    ----------
    names_a, names_b : iterable of str
        Stimulus names of the two sides; compared after NFC and stripping.
    where_a, where_b : str
        What the sides are called in messages.
    subset : bool
        False (default): the two sets must be equal. True: go on with the stimuli that both
        sides have, under a warning that lists the others.

    Returns
    -------
    index_a, index_b : ndarray of intp
        ``names_a[index_a[i]] == names_b[index_b[i]] == names[i]``.
    names : list of str
        The sorted names.

    Raises
    ------
    InputError
        If a name occurs twice on one side, or the sides differ; both differences are listed.

    Examples
    --------
    >>> index_a, index_b, names = canonical_order(["b", "a"], ["a", "b"])
    >>> index_a.tolist(), index_b.tolist(), names
    ([1, 0], [0, 1], ['a', 'b'])
    """
    place_a = _unique_places(stimulus_names(names_a, where_a), where_a)
    place_b = _unique_places(stimulus_names(names_b, where_b), where_b)
    if place_a.keys() != place_b.keys():
        text = _difference(place_a, place_b, where_a, where_b)
        if not subset:
            raise InputError(text)
        text += f" Only the {len(place_a.keys() & place_b.keys())} common stimuli are used."
        warnings.warn(text, DataWarning, stacklevel=2)
    names = sorted(place_a.keys() & place_b.keys())
    index_a = np.array([place_a[name] for name in names], dtype=np.intp)
    index_b = np.array([place_b[name] for name in names], dtype=np.intp)
    return index_a, index_b, names


def names_of(rdms: RDMs, where: str = "rdms") -> list[str]:
    """Return the names of the stimuli of RDMs, as plain strings.

    A file of other origin may call its stimuli otherwise; where exactly one descriptor holds a
    distinct text for every stimulus it is taken, under a warning.

    Raises
    ------
    InputError
        If `rdms` is no RDMs object or its stimuli have no names.

    Examples
    --------
    >>> names_of(RDMs(np.ones((1, 3)), pattern_descriptors={"stimulus": [b"x", b"y", b"z"]}))
    ['x', 'y', 'z']
    """
    if not isinstance(rdms, RDMs):
        got = type(rdms).__name__
        raise InputError(message(where, "is not an rsatoolbox RDMs object", got=got))
    if "stimulus" in rdms.pattern_descriptors:
        return stimulus_names(rdms.pattern_descriptors["stimulus"], where)
    texts = {
        key: list(values)
        for key, values in rdms.pattern_descriptors.items()
        if all(isinstance(value, (str, bytes)) for value in values)
    }
    keys = [key for key, values in texts.items() if len(set(values)) == rdms.n_cond]
    if len(keys) != 1:
        fault = "the stimuli have no names"
        got = sorted(rdms.pattern_descriptors)
        remedy = "Set pattern_descriptors['stimulus'], give names=, or pair them by_position."
        raise InputError(message(where, fault, got=got, remedy=remedy))
    text = f"{where}: the descriptor {keys[0]!r} is taken for the names of the stimuli."
    warnings.warn(text, DataWarning, stacklevel=2)
    return stimulus_names(texts[keys[0]], where)


def labels_of(rdms: RDMs) -> tuple[str, list[str]]:
    """Return by what the rows of RDMs are labelled, and the labels.

    Examples
    --------
    >>> labels_of(RDMs(np.ones((2, 3)), rdm_descriptors={"subject": ["01", "02"]}))
    ('subject', ['01', '02'])
    >>> labels_of(RDMs(np.ones((2, 3))))
    ('rdm', ['1', '2'])
    """
    for axis in ("subject", "reference", "region", "time", "name"):
        if axis in rdms.rdm_descriptors:
            values = rdms.rdm_descriptors[axis]
            return axis, [v.decode() if isinstance(v, bytes) else str(v) for v in values]
    return "rdm", [str(i + 1) for i in range(rdms.n_rdm)]


def _unique_places(names: Sequence[str], where: str) -> dict[str, int]:
    """Return name -> position; refuse a name that stands twice."""
    if len(set(names)) < len(names):
        twice = [f"{name} ({count} times)" for name, count in Counter(names).items() if count > 1]
        raise InputError(
            message(
                where,
                f"stimulus names must be unique, but {shorten_list(twice)} occur more than once",
                remedy="Average repeated stimuli first, or give each its own name.",
            )
        )
    return {name: position for position, name in enumerate(names)}


def _difference(
    place_a: Mapping[str, int], place_b: Mapping[str, int], where_a: str, where_b: str
) -> str:
    """Return the sentence that tells how two sets of names differ, near matches included."""
    only_a = sorted(place_a.keys() - place_b.keys())
    only_b = sorted(place_b.keys() - place_a.keys())
    parts = [
        f"the stimuli of {where_a} ({len(place_a)}) and {where_b} ({len(place_b)}) differ."
        f" Only in {where_a}: {shorten_list(only_a)}. Only in {where_b}: {shorten_list(only_b)}."
    ]
    for name in only_a[:3]:
        near = closest(name, only_b)
        if near:
            parts.append(f"Did you mean {near} where {where_a} says {name}?")
    return " ".join(parts)


def shorten_list(names: Sequence[str]) -> str:
    """Return the first ten names and how many follow, or ``none``.

    Examples
    --------
    >>> shorten_list(["a", "b"])
    'a, b'
    """
    if not names:
        return "none"
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
