"""What each kind of file says about its RDMs. Nothing in a file is ever executed or followed.

Every reader returns the raw array that `label` chose, with whatever names the file holds;
whether the array is an RDM at all is judged in `neurodnn.rsa.rdm_files`, the same for all.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from neurodnn._checks import InputError, closest, message
from neurodnn.rsa.names import canonical_order, shorten_list, stimulus_names

MAX_BYTES = 2**31  # of one unpacked array; 700 stimuli x 500 RDMs are below
_MAX_MEMBERS = 10_000


class Stored(NamedTuple):
    """An array of RDMs as it stands in a file."""

    label: str
    values: np.ndarray  # (n, n), (k, n, n), (k, m, n, n), or condensed
    names: list[str] | None = None  # of stimuli
    descriptors: Mapping[str, list] = {}  # of rows
    metric: str | None = None


def choose_label(shapes: Mapping[str, tuple[int, ...]], label: str | None, where: str) -> str:
    """Return the array to read: `label`, or the only one that has the shape of RDMs.

    Examples
    --------
    >>> choose_label({"rdm": (92, 92), "order": (92,)}, None, "models.npz")
    'rdm'
    """
    if label is not None:
        if label in shapes:
            return label
        near = closest(label, shapes)
        remedy = f"Did you mean {near}?" if near else None
        allowed = shorten_list(sorted(shapes))
        raise InputError(message(where, "has no such array", got=label, allowed=allowed,
                                 remedy=remedy))  # fmt: skip
    square = [key for key, shape in shapes.items() if is_square(shape)]
    if len(square) == 1:
        return square[0]
    if not square and len(shapes) == 1:
        return next(iter(shapes))
    if square:
        fault, allowed = "holds several arrays of RDMs", ", ".join(sorted(square))
        raise InputError(message(where, fault, allowed=allowed, remedy="Choose one with label."))
    found = shorten_list([f"{key} {shape}" for key, shape in sorted(shapes.items())])
    raise InputError(message(where, f"holds no array n x n; found: {found}"))


def read_table(path: Path, label: str | None, where: str) -> Stored:
    """Read a square table, comma- or tab-separated, with the stimuli's names as header.

    The first column may hold the names as well; rows are then put in the order of the header.
    """
    _check_label(path, label, where)
    if path.stat().st_size > MAX_BYTES // 8:
        raise InputError(message(where, "is too large for a table", got=path.stat().st_size))
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        remedy = "Save the table as UTF-8."
        raise InputError(message(where, "is not UTF-8 text", remedy=remedy)) from error
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    if len(rows) < 2:
        raise InputError(message(where, "holds no table with a header of names"))
    header, body = rows[0], rows[1:]
    named = len(header) == len(body) + 1
    width = len(header)
    ragged = [i + 2 for i, row in enumerate(body) if len(row) != width]
    if ragged or not (named or width == len(body)):
        fault = f"is not square: {width} columns, {len(body)} rows below the header"
        if ragged:
            fault += f"; row {ragged[0]} has {len(body[ragged[0] - 2])} cells"
        raise InputError(message(where, fault))
    names = stimulus_names(header[named:], where)
    canonical_order(names, names, where, where)  # a name that stands twice, before rows move
    values = np.array([[_number(cell, where) for cell in row[named:]] for row in body])
    if named:
        values = values[_order_of(names, stimulus_names([row[0] for row in body], where), where)]
    return Stored(path.stem, values, names)


def read_archive(path: Path, label: str | None, where: str) -> Stored:
    """Read a NumPy archive: an array of RDMs and, if there, arrays of names.

    Stimuli are named by an array ``stimulus``, ``stimuli`` or ``names``; rows by
    ``<label>_names``.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS or sum(m.file_size for m in members) > 4 * MAX_BYTES:
            fault = "unpacks to more than is safe to read"
            raise InputError(message(where, fault, got=f"{len(members)} members"))
        headers = {m.filename.removesuffix(".npy"): _header(archive, m, where) for m in members}
    shapes = {key: shape for key, (shape, dtype) in headers.items() if dtype.kind in "iufb"}
    chosen = choose_label(shapes, label, where)
    with np.load(path, allow_pickle=False) as archive:
        values = archive[chosen]
        texts = {
            key: archive[key].tolist()
            for key, (shape, dtype) in headers.items()
            if dtype.kind in "US" and len(shape) == 1
        }
    names = next((texts[key] for key in ("stimulus", "stimuli", "names") if key in texts), None)
    rows = texts.get(f"{chosen}_names", texts.get(f"{chosen.removesuffix('s')}_names"))
    return Stored(chosen, values, names, {} if rows is None else {"reference": rows})


def read_hdf5(path: Path, label: str | None, where: str) -> Stored:
    """Read an RDMs object that rsatoolbox or neurodnn saved as HDF5; `label` chooses a row."""
    with h5py.File(path, "r") as file:
        if "dissimilarities" not in file:
            remedy = "Save it with rsatoolbox: RDMs.save(path, 'hdf5')."
            fault = "has no dissimilarities, so it is no rsatoolbox file"
            raise InputError(message(where, fault, got=sorted(file)[:10], remedy=remedy))
        values = hdf5_array(file, "dissimilarities", where)
        patterns = _descriptors(file, "pattern_descriptors", where)
        rows = _descriptors(file, "rdm_descriptors", where)
        metric = file.attrs.get("dissimilarity_measure")
    names = patterns.get("stimulus")
    if names is None:
        texts = [values for values in patterns.values() if isinstance(values[0], str)]
        distinct = [values for values in texts if len(set(values)) == len(values)]
        names = distinct[0] if len(distinct) == 1 else None
    metric = metric if isinstance(metric, str) else None
    values = np.atleast_2d(values)
    if label not in (None, path.stem):
        row = _row_of(label, rows, where)
        values, rows = values[[row]], {key: [column[row]] for key, column in rows.items()}
    return Stored(path.stem, values, names, rows, metric)


def is_square(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is n x n, rows x n x n, rows x samples x n x n, or n x n x rows.

    Examples
    --------
    >>> is_square((15, 92, 92)), is_square((92, 12))
    (True, False)
    """
    n = len(shape)
    return (2 <= n <= 4 and shape[-1] == shape[-2] > 1) or (n == 3 and shape[0] == shape[1] > 1)


def _check_label(path: Path, label: str | None, where: str) -> None:
    if label not in (None, path.stem):
        fault = "holds a single set of RDMs, so that no label chooses"
        raise InputError(message(where, fault, got=label))


def _row_of(label: str, rows: Mapping[str, list], where: str) -> int:
    """Return the row that some descriptor labels so."""
    for column in rows.values():
        if label in map(str, column):
            return [str(value) for value in column].index(label)
    allowed = shorten_list([str(value) for column in rows.values() for value in column])
    raise InputError(message(where, "has no RDM of this label", got=label, allowed=allowed))


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError:
        if cell.strip().lower() in ("", "n/a", "na", "nan"):
            return np.nan
        raise InputError(message(where, "holds a cell that is no number", got=cell)) from None


def _order_of(names: list[str], rows: list[str], where: str) -> list[int]:
    """Return the row of each name; refuse rows whose names are not those of the columns."""
    if sorted(names) != sorted(rows):
        only = sorted(set(rows) ^ set(names)) or rows
        fault = f"names of rows and columns differ: {shorten_list(only)}"
        raise InputError(message(where, fault))
    return [rows.index(name) for name in names]


def _header(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str
) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of a member without reading it; refuse what lies about its size."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size > MAX_BYTES or (dtype.kind != "O" and size > member.file_size):
        fault = f"{member.filename} is larger than is safe to read"
        raise InputError(message(where, fault, got=shape, allowed=f"{MAX_BYTES >> 30} GiB"))
    return shape, dtype


def hdf5_array(group: Any, key: str, where: str) -> np.ndarray:
    """Return a data set that lies in the file itself; links lead out of it and are refused."""
    link = group.get(key, getlink=True)
    if not isinstance(link, h5py.HardLink) or not isinstance(group[key], h5py.Dataset):
        fault = f"{key} is a link to somewhere else, which is not followed"
        raise InputError(message(where, fault, remedy="Copy the data into the file."))
    data = group[key]
    if data.is_virtual or data.external or data.size is None or data.nbytes > MAX_BYTES:
        raise InputError(message(where, f"{key} is stored elsewhere, empty or too large"))
    if data.dtype.kind == "O" and h5py.check_string_dtype(data.dtype) is None:
        raise InputError(message(where, f"{key} holds neither numbers nor text"))
    return np.asarray(data[()])


def _descriptors(file: Any, key: str, where: str) -> dict[str, list]:
    """Return the descriptors of a group, texts as str whatever HDF5 made of them."""
    group = file.get(key) if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    found: dict[str, list] = {}
    for name in group if isinstance(group, h5py.Group) else ():
        if name == "index" or group.get(name, getclass=True) is h5py.Group:
            continue
        values = np.atleast_1d(hdf5_array(group, name, where)).tolist()
        found[name] = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]
    if isinstance(group, h5py.Group):  # rsatoolbox puts tuples of text there
        found |= {name: [str(v) for v in np.atleast_1d(v)] for name, v in group.attrs.items()}
    return found
