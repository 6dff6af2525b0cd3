"""RDM files of five kinds -> RDMs, or an error that names the file and the fault."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rsatoolbox.rdm import RDMs

from neurodnn._checks import DataWarning, InputError, check_choice, message
from neurodnn.rsa.names import canonical_order, shorten_list, stimulus_names
from neurodnn.rsa.rdm import MIN_STIMULI
from neurodnn.rsa.rdm_containers import Stored, read_archive, read_hdf5, read_table
from neurodnn.rsa.rdm_matlab import read_matlab

READERS = {
    ".csv": read_table,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".mat": read_matlab,
    ".npz": read_archive,
    ".tsv": read_table,
}
_SYMMETRY = 1e-8  # of the largest distance; float32 files get the rounding of their type


def read_rdms(
    path: str | Path,
    *,
    label: str | None = None,
    names: Sequence[str] | None = None,
    by_position: bool = False,
    axis: str | None = None,
    nan_policy: str = "raise",
) -> RDMs:
    """Return the RDMs of a file.

    Parameters
    ----------
    path : str or Path
        ``.h5``/``.hdf5`` as rsatoolbox saves it; ``.npz`` with arrays n x n or rows x n x n,
        and names in an array ``stimulus``; ``.csv``/``.tsv`` square with names as header;
        ``.mat``, versions 5 and 7.3, with arrays or with structs that have a field ``RDM`` (the
        variables of Algonauts 2019, ``EVC_RDMs``, ..., have subjects as rows).
    label : str, optional
        Which array to read where a file holds several; in HDF5 files, the label of one RDM.
    names : sequence of str, optional
        Names of the stimuli in the order of the file, where the file holds none.
    by_position : bool
        Go on without names, under a warning. Such RDMs can only be compared by position.
    axis : str, optional
        By what the rows are labelled: ``"subject"``, ``"reference"``, ... By default as the
        file says, else ``"reference"``.
    nan_policy : {"raise", "omit"}
        Whether missing distances are refused.

    Returns
    -------
    RDMs
        Condensed, float64; ``pattern_descriptors["stimulus"]`` in the order of the file.

    Raises
    ------
    InputError
        Naming the file: if it is absent, damaged or of another kind; holds several arrays and no
        `label`, or no names; if an RDM is not square, symmetric (1e-8 of its largest distance),
        zero on its diagonal and finite, has fewer than 4 stimuli, or another number of them
        than names.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.csv"
    >>> _ = path.write_text("a,b,c,d\\n0,1,2,3\\n1,0,4,5\\n2,4,0,6\\n3,5,6,0\\n")
    >>> read_rdms(path).dissimilarities.tolist()
    [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
    """
    path, where = Path(path), str(path)
    check_choice("nan_policy", nan_policy, ["raise", "omit"])
    if not path.is_file():
        raise InputError(message(where, "no such file"))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        allowed = ", ".join(sorted(READERS))
        raise InputError(message(where, "is no known kind of RDM file", allowed=allowed))
    try:
        stored = reader(path, label, where)
    except InputError:
        raise
    # What the parsers of damaged files raise; nothing else is caught.
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(message(where, f"cannot be read: {error}")) from error
    rows = _condensed(stored, where, nan_policy)
    stimuli = _stimuli(stored, rows.shape[1], names, by_position, where)
    return RDMs(
        rows,
        dissimilarity_measure=stored.metric,
        rdm_descriptors=_row_labels(stored, len(rows), axis, where),
        pattern_descriptors={} if stimuli is None else {"stimulus": stimuli},
    )


def _condensed(
    stored: Stored, where: str, nan_policy: str
) -> np.ndarray:
    """Return rows x pairs after all checks."""
    values = stored.values
    if values.dtype.kind not in "iuf":
        raise InputError(message(where, f"{stored.label} holds no numbers", got=values.dtype))
    if values.ndim == 3 and values.shape[1] != values.shape[2] and len(values) == values.shape[1]:
        values = np.moveaxis(values, -1, 0)
    if values.ndim >= 2 and values.shape[-1] == values.shape[-2] and values.ndim <= 4:
        rows = _upper_triangles(values.reshape(-1, *values.shape[-2:]), stored, where)
    elif values.ndim <= 2 and _n_stimuli(values.shape[-1] if values.ndim else 0) is not None:
        rows = np.atleast_2d(values).astype(np.float64)
    else:
        allowed = "n x n, rows x n x n, or rows x n(n-1)/2"
        fault = f"{stored.label} has not the shape of RDMs"
        raise InputError(message(where, fault, got=values.shape, allowed=allowed))
    n = _n_stimuli(rows.shape[1]) or 0
    if n < MIN_STIMULI:
        allowed = f"at least {MIN_STIMULI}"
        raise InputError(message(where, "too few stimuli", got=n, allowed=allowed))
    bad = ~np.isfinite(rows) if nan_policy == "raise" else np.isinf(rows)
    if bad.any():
        row, pair = np.argwhere(bad)[0]
        first, second = (int(index[pair]) + 1 for index in np.triu_indices(n, 1))
        fault = f"{int(bad.sum())} distances are missing or infinite, the first between stimuli"
        raise InputError(message(where, f"{fault} {first} and {second} of RDM {row + 1}"))
    return rows


def _upper_triangles(matrices: np.ndarray, stored: Stored, where: str) -> np.ndarray:
    """Return the upper triangles; refuse matrices that are not distances."""
    n = matrices.shape[-1]
    eps = np.finfo(matrices.dtype).eps if matrices.dtype.kind == "f" else 0.0
    upper = np.triu_indices(n, 1)
    rows = np.empty((len(matrices), len(upper[0])))
    for i, matrix in enumerate(matrices):
        matrix = matrix.astype(np.float64)
        name = f"RDM {i + 1} of {stored.label}" if len(matrices) > 1 else stored.label
        finite = np.abs(matrix[np.isfinite(matrix)])
        tolerance = max(_SYMMETRY, 8 * eps) * finite.max(initial=0.0)
        with np.errstate(invalid="ignore"):
            asymmetry = np.abs(matrix - matrix.T)
        lopsided = (asymmetry > tolerance) | (np.isfinite(matrix) != np.isfinite(matrix.T))
        if lopsided.any():
            row, column = np.argwhere(lopsided)[0]
            fault = f"{name} is not symmetric: {matrix[row, column]:.6g} at row {row + 1}, column"
            fault += f" {column + 1}, but {matrix[column, row]:.6g} across the diagonal"
            raise InputError(message(where, fault))
        diagonal = np.diag(matrix)
        # A diagonal that was never measured is NaN throughout, and says nothing.
        if not (np.isnan(diagonal).all() or (np.abs(diagonal) <= tolerance).all()):
            fault = f"the diagonal of {name} is not zero, so these are not distances"
            remedy = "Take 1 - similarity, if these are correlations."
            got = float(diagonal[np.argmax(np.nan_to_num(np.abs(diagonal), nan=np.inf))])
            raise InputError(message(where, fault, got=got, remedy=remedy))
        rows[i] = matrix[upper]
    return rows


def _n_stimuli(n_pairs: int) -> int | None:
    """Return the number of stimuli with so many pairs, or None if there is none."""
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    return n if n_pairs > 0 and n * (n - 1) // 2 == n_pairs else None


def _stimuli(
    stored: Stored, n_pairs: int, names: Sequence[str] | None, by_position: bool, where: str
) -> list[str] | None:
    """Return the names of stimuli: those of the file, or those given; None by position."""
    n = _n_stimuli(n_pairs)
    found = None if stored.names is None else stimulus_names(stored.names, where)
    given = None if names is None else stimulus_names(names, "names")
    if found and given and found != given:
        fault = "names its stimuli otherwise than names does"
        remedy = "Leave names out: stimuli are matched by name, in whatever order."
        raise InputError(message(where, fault, got=shorten_list(found), remedy=remedy))
    chosen = found or given
    if chosen is None:
        fault = "does not say which stimuli its RDMs are of"
        if not by_position:
            remedy = "Give names, in the order of the file, or by_position=True."
            raise InputError(message(where, fault, remedy=remedy))
        text = message(where, fault + "; they can only be compared by position")
        warnings.warn(text, DataWarning, stacklevel=3)
        return None
    if len(chosen) != n:
        fault = f"{len(chosen)} names for RDMs of {n} stimuli"
        raise InputError(message(where, fault))
    canonical_order(chosen, chosen, where, where)  # refuses names that stand twice
    return chosen


def _row_labels(stored: Stored, k: int, axis: str | None, where: str) -> dict[str, list]:
    """Return the labels of rows: those of the file, or the array's label with a number."""
    labels = {key: list(values) for key, values in stored.descriptors.items()}
    wrong = [key for key, values in labels.items() if len(values) != k]
    if wrong:
        raise InputError(message(where, f"{wrong[0]} does not label each of the {k} RDMs"))
    known = ("subject", "reference", "region", "time", "name")
    present = next((key for key in known if key in labels), None)
    if axis is None:
        axis = present or "reference"
    if axis not in labels:
        numbered = [stored.label if k == 1 else f"{stored.label}_{i + 1:02d}" for i in range(k)]
        labels[axis] = labels.pop(present) if present else numbered
    labels[axis] = [str(value) for value in labels[axis]]
    return labels
