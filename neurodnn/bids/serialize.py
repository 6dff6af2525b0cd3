"""Objects to bytes, the same bytes every time: no dates, no names of machines or people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from .._checks import InputError, message
from .containers import image_bytes, rdms_bytes, surface_bytes
from .mne_files import evokeds_bytes

#: File endings that each kind of object may take; the longest match counts.
ENDINGS = {
    "image": (".nii.gz",),
    "surface": (".func.gii", ".surf.gii", ".shape.gii", ".label.gii", ".gii"),
    "RDMs": (".h5", ".hdf5"),
    "evokeds": ("_ave.fif", "-ave.fif"),
    "table": (".tsv",),
    "object": (".json",),
    "text": (".html", ".md", ".txt", ".bib", ".toml", ".svg", ".bidsignore", "README"),
    "figure": (".png", ".svg", ".pdf"),
}


def to_bytes(obj: object, path: str | PurePath) -> bytes:
    """Return the content of the file `path` for `obj`; equal objects give equal bytes.

    Parameters
    ----------
    obj : object
        nibabel NIfTI image (``.nii.gz``) or GIFTI image (``.gii``), rsatoolbox ``RDMs``
        (``.h5``), list of MNE Evoked (``_ave.fif``), DataFrame (``.tsv``), dict (``.json``),
        matplotlib Figure (``.png``, ``.svg``), str (``.html``, ``.md``, ``.txt`` ...).
    path : path
        Its ending must fit the object.

    Raises
    ------
    InputError
        If kind and ending do not fit, or the content may not stand in such a file (NaN in JSON).

    Examples
    --------
    >>> to_bytes({"b": 1, "a": [0.1]}, "x.json")
    b'{\\n  "b": 1,\\n  "a": [\\n    0.1\\n  ]\\n}\\n'
    """
    kind = _kind(obj)
    name = PurePath(path).name
    if not name.endswith(ENDINGS[kind]):
        allowed = ", ".join(ENDINGS[kind])
        raise InputError(message(name, f"is no file name for a {kind}", allowed=allowed))
    makers = {
        "image": image_bytes,
        "surface": surface_bytes,
        "RDMs": rdms_bytes,
        "evokeds": evokeds_bytes,
        "table": table_bytes,
        "object": json_bytes,
        "text": lambda text: str(text).encode("utf-8"),
        "figure": lambda figure: figure_bytes(figure, PurePath(path).suffix),
    }
    return makers[kind](obj)


def _kind(obj: object) -> str:
    """The kind of `obj`, told by its ancestors' names so that no library is loaded for it."""
    ancestors = ancestors_of(obj)
    for ancestor, kind in (
        ("nibabel.Nifti1Pair", "image"),
        ("nibabel.GiftiImage", "surface"),
        ("rsatoolbox.RDMs", "RDMs"),
        ("pandas.DataFrame", "table"),
        ("matplotlib.Figure", "figure"),
    ):
        if ancestor in ancestors:
            return kind
    if isinstance(obj, Mapping):
        return "object"
    if isinstance(obj, str):
        return "text"
    if isinstance(obj, list) and obj and all("mne.Evoked" in ancestors_of(each) for each in obj):
        return "evokeds"
    allowed = "NIfTI or GIFTI image, RDMs, Evokeds, DataFrame, dict, Figure, str"
    raise InputError(message("obj", "cannot be written", got=type(obj).__name__, allowed=allowed))


def ancestors_of(obj: object) -> set[str]:
    """Return the classes of `obj` as ``package.Name``, known without loading any package.

    Parameters
    ----------
    obj : object

    Examples
    --------
    >>> "builtins.object" in ancestors_of({})
    True
    """
    return {f"{each.__module__.split('.')[0]}.{each.__name__}" for each in type(obj).__mro__}


def table_bytes(table: Any) -> bytes:
    """Return a table as TSV: ``n/a`` for missing, floats so that they read back the same.

    The index is not written. Cells with tabs, quotes or line ends are quoted.

    Parameters
    ----------
    table : pandas.DataFrame
        Unique text columns.

    Examples
    --------
    >>> import pandas
    >>> table_bytes(pandas.DataFrame({"layer": ["a", None], "rho": [0.1, float("nan")]}))
    b'layer\\trho\\na\\t0.1\\nn/a\\tn/a\\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow([str(name) for name in table.columns])
    columns = [[_cell(value) for value in table[name].tolist()] for name in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode("utf-8")


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "n/a" if math.isnan(value) else repr(float(value))
    # None, pandas.NA and NaT do not equal themselves or are None.
    text = str(value)
    return "n/a" if value is None or text in ("<NA>", "NaT") else text


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return an object as JSON in the order given; NaN is refused, since JSON has none.

    numpy numbers and arrays, tuples and paths become plain values.

    Parameters
    ----------
    content : mapping
        Keys are text.

    Raises
    ------
    InputError
        Naming the key that holds NaN, an infinite number, or what JSON cannot hold.

    Examples
    --------
    >>> json_bytes({"Peak": np.float64(0.5)})
    b'{\\n  "Peak": 0.5\\n}\\n'
    """
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8")


def plain(value: Any, where: str = "") -> Any:
    """Return `value` with nothing but what JSON holds.

    Parameters
    ----------
    value : object
        Mappings, sequences, sets (sorted), numpy values, paths, and plain values.
    where : str
        The key, for messages.

    Raises
    ------
    InputError
        For NaN, infinity, and types that JSON does not know.

    Examples
    --------
    >>> plain({"a": (np.int64(1), PurePath("x"))})
    {'a': [1, 'x']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each, f"{where}.{key}".strip(".")) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(each, where) for each in items]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, float) and not math.isfinite(value):
        remedy = "Leave the key out, or write null."
        raise InputError(message(where or "JSON", "is not finite", got=value, remedy=remedy))
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise InputError(message(where or "JSON", "cannot be written", got=type(value).__name__))


def figure_bytes(figure: Any, ending: str) -> bytes:
    """Return a matplotlib figure as PNG, SVG or PDF without date, version or random ids.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn at its own size and resolution.
    ending : str
        ``.png``, ``.svg`` or ``.pdf``.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure_bytes(Figure(figsize=(1, 1)), ".png")[1:4]
    b'PNG'
    """
    import matplotlib

    metadata: dict[str, None] = {"Software": None} if ending == ".png" else {"Date": None}
    if ending == ".svg":
        metadata["Creator"] = None
    elif ending == ".pdf":
        metadata = {"CreationDate": None, "Creator": None, "Producer": None}
    packed = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "neurodnn"}):
        figure.savefig(packed, format=ending[1:], dpi=figure.dpi, metadata=metadata)
    return packed.getvalue()
