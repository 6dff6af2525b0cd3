"""RDMs in MATLAB files: arrays of both file versions, and structs with a field RDM."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from neurodnn._checks import InputError, message
from neurodnn.rsa.rdm_containers import MAX_BYTES, Stored, choose_label, hdf5_array, is_square

# As the Algonauts challenge of 2019 called its variables: subjects (x samples) x n x n.
ALGONAUTS = ("EVC_RDMs", "IT_RDMs", "MEG_RDMs_early", "MEG_RDMs_late")


def read_matlab(path: Path, label: str | None, where: str) -> Stored:
    """Read a variable of a MATLAB file: version 5 through SciPy, 7.3 as HDF5, transposed."""
    if not h5py.is_hdf5(path):
        return _read_matlab5(path, label, where)
    with h5py.File(path, "r") as file:
        shapes = {
            key: file[key].shape[::-1]
            for key in file
            if isinstance(file.get(key, getlink=True), h5py.HardLink)
            and isinstance(file[key], h5py.Dataset)
            and file[key].dtype.kind in "iuf"
        }
        chosen = choose_label(shapes, label, where)
        # MATLAB stores columns first, so that every axis arrives in reverse.
        return _algonauts(chosen, hdf5_array(file, chosen, where).T)


def _read_matlab5(path: Path, label: str | None, where: str) -> Stored:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        kinds = {key: (shape, kind) for key, shape, kind in whosmat(path)}
    except MatReadError as error:
        raise InputError(message(where, f"cannot be read: {error}")) from error
    shapes = {
        key: shape
        for key, (shape, kind) in kinds.items()
        if kind in ("double", "single", "struct") or kind.startswith(("int", "uint"))
    }
    structs = [key for key in shapes if kinds[key][1] == "struct"]
    only = structs[0] if len(structs) == 1 and not any(map(is_square, shapes.values())) else None
    chosen = choose_label(shapes, label or only, where)
    if int(np.prod(shapes[chosen], dtype=object)) * 8 > MAX_BYTES:
        raise InputError(message(where, "is larger than is safe to read", got=shapes[chosen]))
    values = loadmat(path, variable_names=[chosen])[chosen]
    return _algonauts(chosen, values) if values.dtype.names is None else _struct(
        chosen, values, where
    )


def _struct(label: str, values: np.ndarray, where: str) -> Stored:
    """Read a struct array with fields RDM and name, as the MATLAB RSA toolbox saves it."""
    if "RDM" not in values.dtype.names:
        allowed = "a struct with a field RDM"
        got = values.dtype.names
        raise InputError(message(where, f"{label} is no RDM", got=got, allowed=allowed))
    cells = values.ravel()
    matrices = [np.squeeze(np.asarray(cell["RDM"], dtype=np.float64)) for cell in cells]
    if len({matrix.shape for matrix in matrices}) != 1:
        raise InputError(message(where, f"the RDMs of {label} differ in size"))
    rows = [str(i + 1) for i in range(len(cells))]
    if "name" in values.dtype.names:
        texts = [" ".join(str(text) for text in np.ravel(cell["name"])) for cell in cells]
        rows = [text.strip() or row for text, row in zip(texts, rows, strict=True)]
    return Stored(label, np.array(matrices), None, {"reference": rows})


def _algonauts(label: str, values: np.ndarray) -> Stored:
    """Name the subjects of the variables of the Algonauts challenge."""
    if label not in ALGONAUTS or values.ndim not in (3, 4):
        return Stored(label, values)
    subjects = [f"{i + 1:02d}" for i in range(len(values))]
    if values.ndim == 3:
        return Stored(label, values, None, {"subject": subjects})
    n_samples = values.shape[1]
    descriptors = {
        "subject": [subject for subject in subjects for _ in range(n_samples)],
        "sample": list(range(n_samples)) * len(subjects),
    }
    return Stored(label, values, None, descriptors)
