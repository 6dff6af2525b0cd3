"""The files of a simulated data set: texts, sidecars and images, always the same bytes."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from .. import __version__
from ..bids import write_atomic
from ..bids.serialize import json_bytes, table_bytes
from .brain import SPACE, as_stored

TASK = "scenes"
RESOLUTION = "low"  # label of the res- entity
TEMPLATE = f"https://templateflow.s3.amazonaws.com/tpl-{SPACE}"

README = """\
A simulated data set, made by neurodnn {version}. No person was measured.

Each subject looks at {n_stimuli} drawn pictures. In spheres of {radius:g} mm along the ventral
visual stream, in both hemispheres, the voxels answer as random projections of one layer of the
network {network}; code/planted.tsv says which layer stands where, in mm. Everywhere else there
is noise: autocorrelated in time, smooth in space, with drift, motion and tissue signals that
stand in the confounds tables as well.

The subjects were born in the space of the template: a preprocessed image and the raw image of
the same run hold the same values, and are one file under two names where the file system allows.
The brain mask comes from the MNI ICBM 152 2009a symmetric template that nilearn ships.
"""

README_MEG_ALONE = """\
A simulated data set, made by neurodnn {version}. No person was measured.

Each subject looks at {n_stimuli} drawn pictures. What is planted are layers of the network
{network}; code/planted.tsv says which stands where, in mm, and when it is active, in s.
"""

README_MEG = """
The same subjects look at the same pictures in a magnetoencephalograph of 306 sensors, whose
positions and coils are MNE's canonical ones of a Neuromag. Each layer lives in patches of 15 mm
of the cortex of fsaverage around its place in either hemisphere, and is active for 80 ms around
its latency (code/planted.tsv, in s). A head is a sphere that conducts; all subjects share the
cortex of fsaverage, as nilearn ships it, and differ in how the head lies in the helmet. On top
come noise of the sensors, activity all over the cortex with a spectrum of 1/f, and alpha rhythms.
Channels that channels.tsv calls bad hold garbage. derivatives/mne holds an inverse operator of
each subject, its noise covariance taken from the tenth of a second before every picture.
"""


def write_json(path: Path, content: dict) -> None:
    """Write an object as JSON, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "a.json"), {"TaskName": "scenes"})
    ...     Path(folder, "a.json").read_text().split()[1]
    '"TaskName":'
    """
    write_atomic(path, json_bytes(content))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as TSV, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table(Path(folder, "a.tsv"), pd.DataFrame({"x": [1]}))
    ...     Path(folder, "a.tsv").read_bytes()
    b'x\\n1\\n'
    """
    write_atomic(path, table_bytes(table))


def write_image(path: Path, image: nib.Nifti1Image) -> None:
    """Write an image as gzip of level 1, without a date.

    Noise does not compress; higher levels would take ten times as long for a few per cent.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(Path(folder, "a.nii.gz"), nib.Nifti1Image(np.ones((2, 2, 2)), np.eye(4)))
    ...     nib.load(Path(folder, "a.nii.gz")).shape
    (2, 2, 2)
    """
    write_atomic(path, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the file system knows no hard links.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a").write_text("text")
    ...     link_or_copy(Path(folder, "a"), Path(folder, "new", "b"))
    ...     Path(folder, "new", "b").read_text()
    'text'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with open(source, "rb") as stream:
            write_atomic(target, lambda out: shutil.copyfileobj(stream, out))


def store_images_as(directory: str | Path, storage: str) -> int:
    """Rewrite every image of a data set with its axes stored otherwise; return their number.

    The brains stay where they are: only the order and direction of the axes in the files and
    the affines change, together. An analysis must give the same answer, and tests ask it.

    Parameters
    ----------
    directory : path
        A simulated data set.
    storage : str
        Where the three axes point, such as ``"LAS"`` or ``"PSR"``.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If `storage` names no orientation.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.nii.gz")
    ...     write_image(path, nib.Nifti1Image(np.zeros((2, 3, 4), "uint8"), np.eye(4)))
    ...     store_images_as(folder, "SAL"), nib.load(path).shape
    (1, (4, 3, 2))
    """
    paths = sorted(Path(directory).rglob("*.nii.gz"))
    for path in paths:
        # The new file replaces this name alone: another name of the old one has its own turn.
        write_image(path, as_stored(nib.load(path), storage))
    return len(paths)


def write_descriptions(root: Path, folders: dict[str, str]) -> None:
    """Write the data set's description, and one for each folder of derivatives.

    Parameters
    ----------
    root : Path
        The data set.
    folders : dict of str to str
        Name of a folder below ``derivatives`` to what it holds.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_descriptions(Path(folder), {"betas": "Simulated responses"})
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['dataset_description.json', 'derivatives']
    """
    maker = {"Name": "neurodnn", "Version": __version__,
             "Description": "Simulation; nothing was measured."}  # fmt: skip
    common = {"BIDSVersion": "1.10.0", "License": "CC0",
              "GeneratedBy": [maker]}  # fmt: skip
    write_json(root / "dataset_description.json",
               {"Name": "Simulated brains with planted layers", "DatasetType": "raw", **common})
    for name, description in folders.items():
        write_json(root / "derivatives" / name / "dataset_description.json",
                   {"Name": description, "DatasetType": "derivative", **common,
                    "DatasetLinks": {"raw": "../.."}})  # fmt: skip
        write_atomic(root / "derivatives" / name / "README", f"{description}.\n".encode())
        # Tables that the laboratories all write and the standard does not know yet.
        ignored = b"*_timeseries.*\n*_statmap.*\n"
        ignored += b"*_inv.fif\n" if name == "mne" else b""
        write_atomic(root / "derivatives" / name / ".bidsignore", ignored)


def write_shared(root: Path, n_subjects: int, tr: float | None, *, meg: bool = False) -> None:
    """Write what all subjects share: participants, and sidecars of the task.

    Parameters
    ----------
    root : Path
        The data set.
    n_subjects : int
        Subjects 01, 02, ...
    tr : float or None
        Seconds between volumes; None if there are no time courses, and so no sidecar of theirs.
    meg : bool
        Whether there are events of MEG, which have one more column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_shared(Path(folder), 2, 2.0)
    ...     Path(folder, "participants.tsv").read_text().split()
    ['participant_id', 'sub-01', 'sub-02']
    """
    labels = [f"sub-{number:02d}" for number in range(1, n_subjects + 1)]
    write_table(root / "participants.tsv", pd.DataFrame({"participant_id": labels}))
    write_json(root / "participants.json",
               {"participant_id": {"Description": "Label of a simulated subject"}})  # fmt: skip
    if tr is not None:
        write_json(root / f"task-{TASK}_bold.json", {
            "TaskName": TASK, "RepetitionTime": tr, "Instructions": "None; nobody looked",
            "TaskDescription": "Pictures of drawn scenes",
        })  # fmt: skip
    write_json(root / f"task-{TASK}_events.json", {
        "trial_type": {"Description": "Name of the picture"},
        "stim_file": {"Description": "The picture, below stimuli/"},
        **({"sample": {"Description": "Of the recording's file, from 0"}} if meg else {}),
        "StimulusPresentation": {"SoftwareName": "neurodnn", "SoftwareVersion": __version__},
    })  # fmt: skip


def image_sidecar(description: str, voxel_size: tuple[float, ...], **more: object) -> dict:
    """Return the sidecar of an image in the template's space.

    Parameters
    ----------
    description : str
        What the image holds.
    voxel_size : tuple of 3 float
        Edges in mm.
    **more : object
        Further BIDS fields, such as ``Type="Brain"``.

    Examples
    --------
    >>> image_sidecar("A mask", (4, 4, 5), Type="Brain")["Resolution"]
    {'low': '4 x 4 x 5 mm'}
    """
    size = " x ".join(f"{edge:g}" for edge in voxel_size)
    return {"Description": description, "Resolution": {RESOLUTION: f"{size} mm"},
            "SpatialReference": TEMPLATE, **more}  # fmt: skip
