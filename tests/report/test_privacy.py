"""Pages are shared: no path, user or host of the machine, nothing of a file's header."""

from __future__ import annotations

import base64
import getpass
import gzip
import re
import socket
from pathlib import Path

import nibabel
import numpy as np
import pytest

from neurodnn.report import write_index, write_subject_report
from neurodnn.report.tree import without_paths

CANARY = "Canary7Jane"


def every_byte(root):
    """All pages with what lies within them in base64 and gzip unpacked."""
    for path in root.rglob("*.html"):
        raw = path.read_bytes()
        yield raw
        for packed in re.findall(rb"[A-Za-z0-9+/]{64,}={0,2}", raw):
            data = base64.b64decode(packed + b"=" * (-len(packed) % 4))
            yield data
            if data[:2] == b"\x1f\x8b":
                yield gzip.decompress(data)


def test_nothing_of_the_machine_or_of_headers_reaches_a_page(make_tree):
    root = make_tree(("01",), layers=("conv1",), Warnings=[
        f"cannot read '/home/{CANARY}/study/sub-01_bold.nii.gz'",
        f"file:///data/{CANARY}/x/a.tsv:3: bad row",
        f"C:\\Users\\{CANARY}\\a.tsv is empty",
        f"PATH=/mnt/{CANARY}/b.json",
    ], Parameters={"work_dir": f"/scratch/{CANARY}/work", "compare": "spearman"})  # fmt: skip
    path = next(root.glob("sub-01/func/*.nii.gz"))
    image = nibabel.load(path)
    header = image.header.copy()
    header["descrip"], header["db_name"] = CANARY.encode(), CANARY.encode()
    header["aux_file"], header["intent_name"] = CANARY.encode(), CANARY.encode()
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", CANARY.encode()))
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, header), path)
    write_subject_report(root.resolve(), "01")
    write_index(root.resolve())
    words = [CANARY, str(root), str(Path.home()) + "/"]
    # a host called "vm" or a user called "root" would be found in any text
    words += [name for name in (socket.gethostname(), getpass.getuser()) if len(name) > 5]
    for data in every_byte(root):
        for word in words:
            assert word.encode() not in data, word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/study 7/a.nii.gz", "…/study 7/a.nii.gz"),
        ("read /data/x/a.nii.gz, then", "read …/a.nii.gz, then"),
        ("'/data/x/a.nii.gz'", "'…/a.nii.gz'"),
        ("at:/data/x/a", "at:…/a"),
        ("/home/jane", "…"),
        ("https://doi.org/10.1/x", "https://doi.org/10.1/x"),
        ("sub-01/func/a.nii.gz", "sub-01/func/a.nii.gz"),
        ("../sub-01/a", "../sub-01/a"),
        ("bids:raw:sub-01/a.tsv", "bids:raw:sub-01/a.tsv"),
        ("1/2 and and/or", "1/2 and and/or"),
        ("D:\\study\\jane\\a.tsv", "…/a.tsv"),
    ],
)
def test_absolute_paths_are_cut_and_nothing_else(text, expected):
    assert without_paths(text) == expected


def test_private_folders_with_blanks_are_cut():
    found = without_paths("/srv/Jane Doe/out/a.tsv", [Path("/srv/Jane Doe/out")])
    assert found == "…/a.tsv"


def test_keys_and_nested_texts_are_cut_too():
    assert without_paths({"/a/b/c": [("/x/y/z", 1)]}) == {"…/c": [["…/z", 1]]}
