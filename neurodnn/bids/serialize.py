"""Objects to bytes, the same bytes every time: no dates, no names of machines or people."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from .._checks import InputError, message

#: File endings that each kind of object may take; the longest match counts.
ENDINGS = {
    "image": (".nii.gz",),
    "surface": (".func.gii", ".surf.gii", ".shape.gii", ".label.gii", ".gii"),
    "RDMs": (".h5", ".hdf5"),
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
        (``.h5``), DataFrame (``.tsv``), dict (``.json``), matplotlib Figure (``.png``,
        ``.svg``), str (``.html``, ``.md``, ``.txt`` ...).
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
        "table": table_bytes,
        "object": json_bytes,
        "text": lambda text: str(text).encode("utf-8"),
        "figure": lambda figure: figure_bytes(figure, PurePath(path).suffix),
    }
    return makers[kind](obj)


def _kind(obj: object) -> str:
    """The kind of `obj`, told by its ancestors' names so that no library is loaded for it."""
    ancestors = {f"{each.__module__.split('.')[0]}.{each.__name__}" for each in type(obj).__mro__}
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
    allowed = "NIfTI or GIFTI image, RDMs, DataFrame, dict, Figure, str"
    raise InputError(message("obj", "cannot be written", got=type(obj).__name__, allowed=allowed))


def image_bytes(image: Any) -> bytes:
    """Return a NIfTI-1 image as gzip without date and file name, under a fresh header.

    Floats are stored as float32, truth values as uint8. Affine, codes, zooms, units, time
    offset and intent code are kept; free text of the input header and its extensions, which
    may name a person, are not.

    Parameters
    ----------
    image : nibabel.Nifti1Image
        3-D or 4-D.

    Examples
    --------
    >>> import nibabel
    >>> image = nibabel.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4))
    >>> image_bytes(image) == image_bytes(image)
    True
    """
    import nibabel

    data = np.asanyarray(image.dataobj)
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype.kind == "f":
        data = data.astype(np.float32)
    elif data.dtype.itemsize == 8 and data.dtype.kind in "iu":
        data = _narrow(data)
    old = image.header
    header = nibabel.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms(old.get_zooms())
    header.set_xyzt_units(*old.get_xyzt_units())
    header["toffset"] = old["toffset"]
    for name in ("intent_code", "intent_p1", "intent_p2", "intent_p3"):
        header[name] = old[name]
    header["descrip"] = b"neurodnn"
    fresh = nibabel.Nifti1Image(data, image.affine, header)
    fresh.set_sform(image.affine, code=int(old["sform_code"]) or 2)
    if old["qform_code"]:
        fresh.set_qform(image.get_qform(), code=int(old["qform_code"]))
    packed = io.BytesIO()
    # An empty name and a zero date keep the bytes the same from run to run.
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        stream.write(fresh.to_bytes())
    return packed.getvalue()


def _narrow(data: np.ndarray) -> np.ndarray:
    """64-bit integers as 32-bit: many readers of NIfTI know no others."""
    bounds = np.iinfo(np.int32)
    if data.size and (data.min() < bounds.min or data.max() > bounds.max):
        raise InputError(message("image", "holds integers beyond 32 bits"))
    return data.astype(np.int32)


def surface_bytes(image: Any) -> bytes:
    """Return a GIFTI image as bytes, with no metadata but the structure and the maps' names.

    Parameters
    ----------
    image : nibabel.gifti.GiftiImage
        One hemisphere.

    Examples
    --------
    >>> from nibabel import gifti
    >>> array = gifti.GiftiDataArray(np.zeros(3, np.float32))
    >>> surface_bytes(gifti.GiftiImage(darrays=[array]))[:5]
    b'<?xml'
    """
    from nibabel import gifti

    kept = ("AnatomicalStructurePrimary", "AnatomicalStructureSecondary", "GeometricType")
    arrays = []
    for old in image.darrays:
        data = np.asarray(old.data)
        data = data.astype(np.float32) if data.dtype.kind == "f" else data.astype(np.int32)
        meta = {key: value for key, value in old.meta.items() if key in (*kept, "Name")}
        arrays.append(
            gifti.GiftiDataArray(
                data, intent=old.intent, coordsys=old.coordsys, meta=gifti.GiftiMetaData(meta)
            )
        )
    meta = {key: value for key, value in image.meta.items() if key in kept}
    fresh = gifti.GiftiImage(
        darrays=arrays, labeltable=image.labeltable, meta=gifti.GiftiMetaData(meta)
    )
    return fresh.to_bytes()


def rdms_bytes(rdms: Any) -> bytes:
    """Return RDMs in rsatoolbox's HDF5 layout, labels as text, without dates.

    rsatoolbox itself cannot write labels beyond ASCII and writes object arrays whose labels
    come back as bytes. Here ASCII labels are fixed-length bytes, as its reader expects; others
    are UTF-8 strings.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Condensed dissimilarities are stored as float64.

    Examples
    --------
    >>> from rsatoolbox.rdm import RDMs
    >>> rdms_bytes(RDMs(np.ones((1, 3))))[1:4]
    b'HDF'
    """
    import h5py

    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file["dissimilarities"] = np.asarray(rdms.dissimilarities, dtype=np.float64)
        if rdms.dissimilarity_measure is None:
            file["dissimilarity_measure"] = h5py.Empty("f")
        else:
            file.attrs["dissimilarity_measure"] = str(rdms.dissimilarity_measure)
        for group_name in ("descriptors", "rdm_descriptors", "pattern_descriptors"):
            group = file.create_group(group_name)
            for key, values in getattr(rdms, group_name).items():
                _put(group, str(key), values)
    return packed.getvalue()


def _put(group: Any, key: str, values: object) -> None:
    """Store one descriptor: a text as attribute, numbers as array, texts as strings."""
    import h5py

    if isinstance(values, str):
        group.attrs[key] = str(values)
        return
    array = np.asarray(values)
    if array.dtype.kind in "iufb":
        group[key] = array
        return
    labels = [each.decode() if isinstance(each, bytes) else str(each) for each in array.ravel()]
    if all(label.isascii() for label in labels) and not any("\0" in label for label in labels):
        group[key] = np.array(labels, dtype="S") if labels else np.zeros(0, dtype="S1")
    else:
        group.create_dataset(key, data=labels, dtype=h5py.string_dtype("utf-8"))


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
    """Return `value` with nothing but what JSON holds; `where` names the key in messages.

    Examples
    --------
    >>> plain({"a": (np.int64(1), Path("x"))})
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
