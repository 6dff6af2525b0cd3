"""Objects to files and back: nothing lost that must stay, nothing kept that names a person."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nibabel import gifti
from nilearn.image import new_img_like
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm.rdms import load_rdm

from neurodnn import InputError
from neurodnn.bids import sidecar_path, write_derivative


def test_volume_keeps_geometry_and_values(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(4, 5, 6)) * 1e-3
    data[0, 0, 0] = np.nan
    affine = nibabel.affines.from_matvec(rng.normal(size=(3, 3)), [1, -2, 3])
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    write_derivative(tmp_path / "a.nii.gz", image)
    back = nibabel.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == np.float32
    np.testing.assert_array_equal(back.get_fdata(), data.astype(np.float32))
    np.testing.assert_allclose(back.affine, affine, atol=1e-6)
    assert back.header["sform_code"] == 2
    assert back.header.get_xyzt_units() == ("mm", "sec")
    gzip.decompress((tmp_path / "a.nii.gz").read_bytes())  # checks the CRC


def test_volume_under_an_integer_header_is_not_quantised(tmp_path):
    old = nibabel.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4))
    data = np.full((3, 3, 3), 0.25)
    data[0] = np.nan
    image = new_img_like(old, data, copy_header=True)
    image.header.set_data_dtype(np.int16)
    write_derivative(tmp_path / "a.nii.gz", image)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "a.nii.gz").get_fdata(), data)


def test_volumes_in_time_keep_their_clock(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2, 7), np.float32), np.eye(4))
    image.header.set_zooms((1, 1, 1, 0.01))
    image.header.set_xyzt_units("mm", "sec")
    image.header["toffset"] = -0.2
    image.header["intent_code"] = 3
    image.header["intent_p1"] = 11
    write_derivative(tmp_path / "a.nii.gz", image)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert header["toffset"] == np.float32(-0.2)
    assert header["pixdim"][4] == np.float32(0.01)
    assert header.get_intent("code")[:2] == (3, (11.0,))


def test_codes_and_both_transforms_are_kept(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.diag([2, 2, 3, 1]))
    image.set_sform(image.affine, code=4)
    image.set_qform(image.affine, code=1)
    write_derivative(tmp_path / "a.nii.gz", image)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (4, 1)
    np.testing.assert_allclose(header.get_qform(), image.affine)


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("uint8", "uint8"), ("int16", "int16"), ("int64", "int32"), ("uint64", "int32"),
     ("float64", "float32")],
)  # fmt: skip
def test_types_that_readers_know(tmp_path, dtype, stored):
    image = nibabel.Nifti1Image(np.ones((2, 2, 2), dtype), np.eye(4), dtype=stored)
    write_derivative(tmp_path / "a.nii.gz", image)
    back = nibabel.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == np.dtype(stored)
    assert (back.get_fdata() == 1).all()


def test_integers_beyond_32_bits_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.full((2, 2, 2), 2**40), np.eye(4), dtype="int64")
    with pytest.raises(InputError, match="beyond 32 bits"):
        write_derivative(tmp_path / "a.nii.gz", image)


def test_s34_free_text_of_headers_stays_behind(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4))
    for field in ("descrip", "db_name", "aux_file", "intent_name"):
        image.header[field] = b"CANARY"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"CANARY"))
    write_derivative(tmp_path / "a.nii.gz", image)
    assert b"CANARY" not in gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    array = gifti.GiftiDataArray(np.zeros(3, np.float32), meta={"Who": "CANARY", "Name": "rho"})
    surface = gifti.GiftiImage(
        darrays=[array],
        meta=gifti.GiftiMetaData({"UserName": "CANARY", "AnatomicalStructurePrimary": "Left"}),
    )
    write_derivative(tmp_path / "a.func.gii", surface)
    content = (tmp_path / "a.func.gii").read_bytes()
    assert b"CANARY" not in content
    assert b"AnatomicalStructurePrimary" in content


def test_surface_keeps_values_and_structure(tmp_path):
    values = np.array([0.5, np.nan, -1.0])
    arrays = [gifti.GiftiDataArray(values.astype("f4"), meta={"Name": name}) for name in "ab"]
    arrays.append(gifti.GiftiDataArray(np.arange(3, dtype="i4"), intent="NIFTI_INTENT_LABEL"))
    write_derivative(tmp_path / "a.func.gii", gifti.GiftiImage(darrays=arrays))
    back = nibabel.load(tmp_path / "a.func.gii")
    np.testing.assert_array_equal(back.darrays[0].data, values.astype("f4"))
    assert [each.meta.get("Name") for each in back.darrays] == ["a", "b", None]
    assert back.darrays[2].intent == 1002
    np.testing.assert_array_equal(back.darrays[2].data, [0, 1, 2])


@pytest.mark.parametrize(
    "labels",
    [
        ["a.jpg", "b.jpg", "c.jpg"],
        np.array(["a.jpg", "b.jpg", "c.jpg"]),
        np.array(["a.jpg", "b.jpg", "c.jpg"], dtype=object),
        [b"a.jpg", b"b.jpg", b"c.jpg"],
    ],
    ids=["list", "array", "object array", "bytes"],
)
def test_rdms_come_back_with_text_labels(tmp_path, labels):
    rdms = RDMs(
        np.random.default_rng(0).random((2, 3)),
        dissimilarity_measure="correlation",
        descriptors={"network": "alexnet", "n": 3},
        rdm_descriptors={"reference": ["features.2", "features.5"]},
        pattern_descriptors={"stimulus": labels},
    )
    write_derivative(tmp_path / "a_rdm.h5", rdms)
    back = load_rdm(str(tmp_path / "a_rdm.h5"))
    np.testing.assert_array_equal(back.dissimilarities, rdms.dissimilarities)
    assert list(back.pattern_descriptors["stimulus"]) == ["a.jpg", "b.jpg", "c.jpg"]
    assert list(back.rdm_descriptors["reference"]) == ["features.2", "features.5"]
    assert back.dissimilarity_measure == "correlation"
    assert back.descriptors["network"] == "alexnet"


def test_rdms_take_labels_that_rsatoolbox_cannot_write(tmp_path):
    names = ["é.jpg", "猫.png", "x"]
    rdms = RDMs(np.ones((1, 3), np.float32), pattern_descriptors={"stimulus": names})
    write_derivative(tmp_path / "a.h5", rdms)
    back = load_rdm(str(tmp_path / "a.h5"))
    assert [name.decode() for name in back.pattern_descriptors["stimulus"]] == names
    assert back.dissimilarity_measure is None
    assert back.dissimilarities.dtype == np.float64


def test_json_keeps_order_and_plain_values(tmp_path):
    content = {"b": np.float32(0.5), "a": np.arange(2), "p": Path("x/y"), "t": (1, None),
               "s": {"z", "y"}, "é": True}  # fmt: skip
    write_derivative(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == ["b", "a", "p", "t", "s", "é"]
    assert json.loads(text) == {"b": 0.5, "a": [0, 1], "p": "x/y", "t": [1, None],
                                "s": ["y", "z"], "é": True}  # fmt: skip
    assert '"é"' in text and text.startswith('{\n  "b"') and text.endswith("}\n")


@pytest.mark.parametrize("value", [math.nan, np.inf, np.array([1, np.nan])])
def test_json_refuses_nan_and_names_the_key(tmp_path, value):
    with pytest.raises(InputError, match=r"Peak\.Value: is not finite.*write null"):
        write_derivative(tmp_path / "a.json", {"Peak": {"Value": value}})
    with pytest.raises(InputError, match=r"Sources: cannot be written \(got 'object'"):
        write_derivative(tmp_path / "a.json", {"Sources": [object()]})
    assert list(tmp_path.iterdir()) == []


def test_sidecar_carries_the_hash_of_the_data(tmp_path):
    path = tmp_path / "a_statmap.func.gii"
    image = gifti.GiftiImage(darrays=[gifti.GiftiDataArray(np.zeros(3, np.float32))])
    digest = write_derivative(path, image, {"Description": "x"})
    assert json.loads(sidecar_path(path).read_text()) == {"Description": "x", "SHA256": digest}
    assert sidecar_path("a_rdm.h5").name == "a_rdm.json"
    assert sidecar_path("a.b_bold.nii.gz").name == "a.b_bold.json"
    with pytest.raises(InputError, match="can have no sidecar"):
        write_derivative(tmp_path / "b.json", {}, {"Description": "x"})


@pytest.mark.parametrize(
    ("obj", "name", "words"),
    [
        (pd.DataFrame({"a": [1]}), "a.csv", "no file name for a table .*allowed: .tsv"),
        ({}, "a.tsv", "no file name for a object"),
        ("x", "a.nii.gz", "no file name for a text"),
        (Figure(), "a.jpg", "no file name for a figure"),
        (np.zeros(3), "a.npy", r"obj: cannot be written \(got 'ndarray'"),
        (nibabel.Nifti1Image(np.zeros((2, 2, 2), "f4"), np.eye(4)), "a.nii", "allowed: .nii.gz"),
    ],
)
def test_objects_that_do_not_fit_the_name_are_refused(tmp_path, obj, name, words):
    with pytest.raises(InputError, match=words):
        write_derivative(tmp_path / name, obj)
    assert list(tmp_path.iterdir()) == []


def test_figures_keep_their_size_and_name_no_software(tmp_path):
    figure = Figure(figsize=(3, 2), dpi=50)
    write_derivative(tmp_path / "a.png", figure)
    content = (tmp_path / "a.png").read_bytes()
    assert int.from_bytes(content[16:20]) == 150
    assert int.from_bytes(content[20:24]) == 100
    assert b"Software" not in content
