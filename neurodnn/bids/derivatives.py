"""Derivatives: a file, its sidecar, and whether both are what a run would make again."""

from __future__ import annotations

import enum
import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._checks import DataWarning, InputError, message
from .mne_files import HEMISPHERES, stc_bytes, stc_pair
from .paths import user_path
from .serialize import ancestors_of, json_bytes, to_bytes
from .text import read_json
from .writing import sha256_file, write_together

_ENDINGS = (".nii.gz", ".func.gii", ".surf.gii", ".shape.gii", ".label.gii", ".tsv.gz")

#: Keys of an input's sidecar that may pass into an output's. Everything else stays behind: input
#: sidecars hold names, dates, places and serial numbers.
INHERITED_KEYS = frozenset(
    {
        "RepetitionTime", "Resolution", "Density", "SkullStripped", "SpatialReference", "Space",
        "TaskName", "Type", "Units",
    }
)  # fmt: skip


class State(enum.Enum):
    """What stands under the name of a derivative."""

    ABSENT = "absent"  #: nothing, or one of the pair only: a run was killed between the two
    DONE = "done"  #: data and sidecar agree, made from the same input and parameters
    OTHER = "other"  #: whole, but made from other input or parameters
    DAMAGED = "damaged"  #: the data are not those whose hash the sidecar holds
    FOREIGN = "foreign"  #: a sidecar without our hash: another program's file


def sidecar_path(path: str | Path) -> Path:
    """Return the path of the JSON sidecar of a data file.

    Parameters
    ----------
    path : path
        A data file; of endings with two dots (``.nii.gz``) both go. The two files of a source
        map (``-lh.stc``, ``-rh.stc``) have one sidecar.

    Examples
    --------
    >>> sidecar_path("sub-01_desc-searchlight_statmap.nii.gz").name
    'sub-01_desc-searchlight_statmap.json'
    """
    path = Path(path)
    if path.suffix == ".stc":
        return stc_pair(path)[0].with_name(stc_pair(path)[0].name.removesuffix("-lh.stc") + ".json")
    for ending in _ENDINGS:
        if path.name.endswith(ending):
            return path.with_name(path.name.removesuffix(ending) + ".json")
    return path.with_name(path.name.removesuffix(path.suffix) + ".json")


def data_files(path: str | Path) -> list[Path]:
    """Return the files that make up a derivative: the path itself, or the pair of a source map.

    Parameters
    ----------
    path : path
        ``..._statmap.stc`` stands for ``..._statmap-lh.stc`` and ``-rh.stc``.

    Examples
    --------
    >>> [each.name for each in data_files("a_statmap.stc")], data_files("a.tsv")[0].name
    (['a_statmap-lh.stc', 'a_statmap-rh.stc'], 'a.tsv')
    """
    path = Path(path)
    return list(stc_pair(path)) if path.suffix == ".stc" else [path]


def content_hash(path: str | Path) -> str | dict[str, str]:
    """Return the sha256 of a derivative's data, by hemisphere for a pair of source maps.

    Parameters
    ----------
    path : path
        As of `data_files`; the files must be there.

    Raises
    ------
    OSError
        If a file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for side in ("lh", "rh"):
    ...         _ = Path(folder, f"a_statmap-{side}.stc").write_bytes(b"")
    ...     sorted(content_hash(Path(folder, "a_statmap.stc")))
    ['lh', 'rh']
    """
    hashes = [sha256_file(each) for each in data_files(path)]
    return hashes[0] if len(hashes) == 1 else dict(zip(HEMISPHERES, hashes, strict=True))


def derivative_state(
    path: str | Path, input_hash: str | None, parameter_hash: str | None
) -> State:
    """Return what stands under the name of a derivative; the content is hashed, not trusted.

    Parameters
    ----------
    path : path
        The data file; its sidecar stands beside it.
    input_hash, parameter_hash : str or None
        What the run would write as ``InputHash`` and ``ParameterHash``.

    Examples
    --------
    >>> derivative_state("no-such_statmap.nii.gz", "a", "b").value
    'absent'
    """
    path = user_path(path)
    side = sidecar_path(path)
    if not all(each.exists() for each in data_files(path)) or not side.exists():
        return State.ABSENT
    try:
        sidecar = read_json(side)
    except InputError:
        return State.DAMAGED
    if "SHA256" not in sidecar:
        return State.FOREIGN
    if sidecar["SHA256"] != content_hash(path):
        return State.DAMAGED
    same = (sidecar.get("InputHash"), sidecar.get("ParameterHash")) == (input_hash, parameter_hash)
    return State.DONE if same else State.OTHER


def is_done(
    path: str | Path, input_hash: str, parameter_hash: str, *, overwrite: bool = False
) -> bool:
    """Return whether a derivative exists, is whole, and comes of the same input and parameters.

    Parameters
    ----------
    path : path
        The data file.
    input_hash, parameter_hash : str
        Hashes of what goes in and of the options.
    overwrite : bool, default False
        Whether another result under this name may be replaced; then the answer is False.

    Returns
    -------
    bool
        True: skip it. False: make it; absent, damaged (a `DataWarning` says so), or to be
        overwritten.

    Raises
    ------
    InputError
        If a whole result of other input or parameters, or a foreign file, stands there and
        `overwrite` is False.

    Examples
    --------
    >>> is_done("no-such_statmap.nii.gz", "a", "b")
    False
    """
    state = derivative_state(path, input_hash, parameter_hash)
    if state is State.DONE:
        return not overwrite
    _judge(state, user_path(path), overwrite)
    return False


def _judge(state: State, path: Path, overwrite: bool) -> None:
    """Warn of what is replaced without being asked; refuse what must be asked for."""
    if overwrite or state is State.ABSENT:
        return
    if state is State.DAMAGED:
        note = "the content does not match the hash in its sidecar; it is made anew"
        warnings.warn(message(str(path), note), DataWarning, stacklevel=3)
        return
    faults = {
        State.OTHER: "exists, made from other input or with other options",
        State.FOREIGN: "exists, and its sidecar says nothing of having been made here",
    }
    remedy = "Give --overwrite to replace it, or another output folder."
    raise InputError(message(str(path), faults[state], remedy=remedy))


def write_derivative(
    path: str | Path,
    obj: object,
    sidecar: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
) -> str:
    """Write an object and its sidecar, each whole or not at all, and return the data's sha256.

    The sidecar, which carries the hash of the data (``SHA256``), gets its name first: a run
    killed between the two leaves a sidecar without data, or one whose hash disagrees, and either
    counts as not done. Equal objects give equal bytes, with no date in them.

    Parameters
    ----------
    path : path
        The final name. Missing folders are made.
    obj : object
        nibabel NIfTI image (``.nii.gz``) or GIFTI image (``.func.gii``), rsatoolbox ``RDMs``
        (``.h5``), list of MNE Evoked (``_ave.fif``), MNE SourceEstimate (``.stc``, a pair of
        files with one sidecar), DataFrame (``.tsv``), matplotlib Figure (``.png``, ``.svg``),
        str (``.html``, ``.md``, ``.txt``) or dict (``.json``).
    sidecar : mapping, optional
        Keys of the JSON sidecar; ``InputHash`` and ``ParameterHash`` make it resumable. Without
        one, only the data are written and a file of that name is replaced: for pages, pictures
        and summaries, which are made anew from what is there. A whole pair that is the same
        already is left alone.
    overwrite : bool, default False
        Whether a result of other input or parameters may be replaced. The old file stays whole
        until then.

    Returns
    -------
    str
        sha256 of the data file's bytes; of a pair, of both one after the other.

    Raises
    ------
    InputError
        If the object does not fit the name, holds what the format cannot, or another result
        stands there and `overwrite` is False.
    WriteError
        If the disk, quota or permissions do not allow it; nothing new stands under the name.

    Examples
    --------
    >>> import tempfile, pathlib, pandas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pandas.DataFrame({"time": [0.1], "rho": [0.5]})
    ...     path = pathlib.Path(folder) / "sub-01_timeseries.tsv"
    ...     digest = write_derivative(path, table, {"InputHash": "a", "ParameterHash": "b"})
    ...     is_done(path, "a", "b")
    True
    """
    path = user_path(path)
    contents = _contents(obj, path)
    whole = hashlib.sha256(b"".join(contents.values())).hexdigest()
    files = [(name, content, None) for name, content in contents.items()]
    if sidecar is None:
        write_together(files)
        return whole
    if path.suffix == ".json":
        raise InputError(message(str(path), "a JSON file can have no sidecar of its own"))
    input_hash, parameter_hash = sidecar.get("InputHash"), sidecar.get("ParameterHash")
    digests = [hashlib.sha256(content).hexdigest() for content in contents.values()]
    digest = digests[0] if len(digests) == 1 else dict(zip(HEMISPHERES, digests, strict=True))
    state = derivative_state(path, input_hash, parameter_hash)
    if state is State.DONE and not overwrite:
        if read_json(sidecar_path(path))["SHA256"] == digest:
            return whole  # nothing to do; the file's date stays
        state = State.OTHER
    _judge(state, path, overwrite)
    side = json_bytes({**sidecar, "SHA256": digest})
    write_together([(sidecar_path(path), side, None), *files])
    return whole


def _contents(obj: object, path: Path) -> dict[Path, bytes]:
    """Return the bytes of each data file."""
    if "mne.SourceEstimate" not in ancestors_of(obj):
        return {path: to_bytes(obj, path)}
    if path.suffix != ".stc":
        fault = "is no file name for a source estimate"
        raise InputError(message(path.name, fault, allowed=".stc"))
    return dict(zip(data_files(path), stc_bytes(obj).values(), strict=True))


def inherited_fields(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an input's sidecar that an output's may carry on.

    Parameters
    ----------
    sidecar : mapping
        As given by `read_sidecar`.

    Examples
    --------
    >>> inherited_fields({"RepetitionTime": 2, "PatientName": "X"})
    {'RepetitionTime': 2}
    """
    return {key: value for key, value in sidecar.items() if key in INHERITED_KEYS}
