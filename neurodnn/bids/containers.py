"""Images, surfaces and RDMs to bytes: fresh headers, no dates, no names of persons."""

from __future__ import annotations

import gzip
import io
from typing import Any

import numpy as np

from .._checks import InputError, message


def image_bytes(image: Any) -> bytes:
    """Return a NIfTI-1 image as gzip without date and file name, under a fresh header.

    Floats are stored as float32, integers of 64 bits with 32. Affine, codes, zooms, units, time
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
    if data.dtype.kind == "f":
        data = data.astype(np.float32)
    elif data.dtype.itemsize == 8 and data.dtype.kind in "iu":
        data = _narrow(data)
    old = image.header
    header = nibabel.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms(old.get_zooms())
    space, clock = old.get_xyzt_units()
    # Affines are in mm throughout; a header that says nothing leaves readers to guess.
    header.set_xyzt_units("mm" if space == "unknown" else space, clock)
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
