"""Bad data sets through the command line: code 2, one message with path, reason and remedy.

Ids as in the design (B1 to B20, B41 to B55); B49 is in test_pipeline_config.py.
"""

from __future__ import annotations

import gzip
import re
import shutil
import struct

import numpy as np
import pytest
import tiny_bids
from tiny_bids import OPTIONS, STIMULI, make_betas, tree
from tiny_bold import make_bold

from neurodnn.cli import main


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    betas, bold = tmp_path_factory.mktemp("betas"), tmp_path_factory.mktemp("bold")
    make_betas(betas)
    make_bold(bold, runs=("1",))
    return {"betas": betas, "bold": bold}


@pytest.fixture
def data(sound, tmp_path):
    """A function: kind -> a copy of a sound data set that may be spoilt."""

    def copy(kind):
        return shutil.copytree(sound[kind], tmp_path / kind)

    return copy


def refused(root, capsys, *more, level="participant"):
    """What the command line says as it refuses; it must have written nothing."""
    words = [str(root / "bids"), str(root / "out"), level, *OPTIONS, "--reference-rdms",
             str(root / "planted.csv"), "-w", str(root / "work"), *more]  # fmt: skip
    assert main(words) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert not (root / "out").exists() or tree(root / "out") == {}
    assert not (root / "work").exists()
    # the same is told by the cheap command
    if level == "participant":
        assert main(["check", words[0], *words[3:]]) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert told
        assert all(line.removeprefix("neurodnn: error: ") in text for line in told)
    return text


def events(root):
    return next((root / "bids").glob("sub-01/func/*_events.tsv"))


def test_b41_events_without_the_column(data, capsys):
    root = data("bold")
    path = events(root)
    path.write_text(path.read_text().replace("stim_file", "picture"))
    text = refused(root, capsys)
    assert f"{path}: events: none of the columns stim_file" in text
    assert "--stimulus-column picture" in text
    text = refused(root, capsys, "--stimulus-column", "pictur")
    assert f"{path}: has no column 'pictur'" in text
    assert "Did you mean picture?" in text


@pytest.mark.parametrize("column", ["onset", "duration"])
def test_b41_events_without_times(data, capsys, column):
    root = data("bold")
    path = events(root)
    path.write_text(path.read_text().replace(column, "time", 1))
    assert f"{path}: has no column {column!r}" in refused(root, capsys)


def test_b42_utf16_is_refused_with_the_way_to_convert(data, capsys):
    root = data("bold")
    path = events(root)
    path.write_bytes(path.read_text().encode("utf-16"))
    text = refused(root, capsys)
    assert f"{path}: is UTF-16" in text
    assert "iconv" in text


def test_b42_mark_line_ends_and_hard_spaces_are_read_and_reach_the_sidecar(data):
    import json

    root = data("betas")
    path = next((root / "bids").rglob("sub-01*run-1*.tsv"))
    text = path.read_text().replace("\n", "\r\n").replace("dog", "dog\u00a0")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS,
             "--participant-label", "01", "--reference-rdms", str(root / "planted.csv")]  # fmt: skip
    assert main(words) == 0
    for path in (root / "out").glob("sub-01/f*/*[psy].json"):
        if "desc-brain" not in path.name:
            warned = " ".join(json.loads(path.read_text())["Warnings"])
            assert "byte-order mark" in warned
            assert str(root) not in warned
    assert "byte-order mark" in (root / "out" / "sub-01.html").read_text()


def test_b43_duplicate_labels_of_betas(data, capsys):
    root = data("betas")
    path = next((root / "bids").rglob("sub-01*run-1*.tsv"))
    path.write_text(path.read_text().replace("cat", "boat"))
    text = refused(root, capsys)
    assert f"{path}: stimulus 'boat' stands in rows 1 and 2" in text
    assert "average the repeats" in text


def test_b43_duplicate_names_of_an_rdm(data, capsys):
    root = data("betas")
    path = root / "planted.csv"
    path.write_text(path.read_text().replace("cat", "boat"))
    text = refused(root, capsys)
    assert "planted.csv" in text
    assert "boat" in text


def test_b44_label_missing_in_the_model(data, capsys):
    root = data("betas")
    names = [name.replace("house", "hous") for name in STIMULI]
    tiny_bids.write_rdm(root / "planted.csv", np.random.default_rng(0).normal(size=(6, 9)), names)
    text = refused(root, capsys)
    assert "model RDM 'planted.csv' lacks 1 stimuli of the brain data (house)" in text
    assert "has 1 that the brain data lack (hous)" in text
    assert "Did you mean hous by house?" in text
    assert "--min-stimuli" in text
    more = ["--min-stimuli", "6"]
    assert "share 5 stimuli" in refused(root, capsys, *more)
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS,
             "--reference-rdms", str(root / "planted.csv"), "--min-stimuli", "5"]  # fmt: skip
    assert main(words) == 0


def test_b44_nothing_in_common(data, capsys):
    root = data("betas")
    names = [f"item{i}" for i in range(6)]
    tiny_bids.write_rdm(root / "planted.csv", np.random.default_rng(0).normal(size=(6, 9)), names)
    text = refused(root, capsys)
    assert "no stimulus matched" in text
    assert "boat, cat, dog, house, key" in text
    assert "item0, item1" in text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_b45_too_few_conditions(tmp_path, capsys, count):
    root = make_betas(tmp_path, subjects=("01",), stimuli=STIMULI[:count]).parent
    wide = np.random.default_rng(0).normal(size=(6, 9))
    tiny_bids.write_rdm(root / "planted.csv", wide, STIMULI)
    text = refused(root, capsys)
    assert f"sub-01: brain data and references share {count} stimuli" in text
    assert "at least 4" in text


def test_b46_no_subjects(data, capsys):
    root = data("betas")
    for folder in (root / "bids").glob("sub-*"):
        shutil.rmtree(folder)
    text = refused(root, capsys)
    assert f"{root / 'bids'}: holds no subject (sub-*)" in text


def test_b47_one_subject_has_maps_and_the_group_is_skipped(tmp_path, capsys):
    root = make_betas(tmp_path, subjects=("01",)).parent
    words = [str(root / "bids"), str(root / "out")]
    more = [*OPTIONS, "--reference-rdms", str(root / "planted.csv")]
    assert main([*words, "participant", *more]) == 0
    assert main([*words, "group", *more]) == 0
    assert "skipped, a group test needs subjects" in capsys.readouterr().err


def test_b48_one_subject_twice(data, capsys):
    root = data("betas")
    shutil.copytree(root / "bids" / "sub-01", root / "bids" / "sub-1")
    text = refused(root, capsys)
    assert "sub-01 and sub-1 may be the same subject" in text
    assert "Rename or remove" in text


@pytest.mark.parametrize("label", ["1", "sub-3", "../x"])
def test_wrong_label_lists_those_that_are_there(data, capsys, label):
    text = refused(data("betas"), capsys, "--participant-label", label)
    assert "01, 02" in text


def test_wrong_task_space_and_run_list_what_is_there(data, capsys):
    root = data("betas")
    text = refused(root, capsys, "--space", "MNI")
    assert "--space: is not there (got 'MNI'; allowed: T1w)" in text
    text = refused(root, capsys, "--task-id", "lok")
    assert "tasks look" in text
    assert refused(root, capsys, "--run-id", "9")


def test_faults_of_all_kinds_are_told_at_once(data, capsys):
    root = data("betas")
    first, second = sorted((root / "bids").rglob("*_statmap.nii.gz"))[:2]
    first.write_bytes(b"<html>not found</html>")
    second.with_name(second.name.replace(".nii.gz", ".tsv")).write_text("stimulus\nboat\n")
    other = sorted((root / "bids").rglob("sub-02*mask.nii.gz"))[0]
    shifted = tiny_bids.AFFINE.copy()
    shifted[0, 3] += 2
    tiny_bids.image(np.ones(tiny_bids.SHAPE, np.uint8), other, shifted)
    text = refused(root, capsys, "--confounds", "motoin6", "--stimulus-table", "none.tsv")
    for part in (
        f"{first}: ", "web page", f"{second}: holds 6 volumes but", f"{other}: the mask lies on",
        "confounds='motoin6' is not known", "Did you mean motion6?", "--stimulus-table",
    ):  # fmt: skip
        assert part in text


def test_absent_folders_are_named(tmp_path, capsys):
    root = make_betas(tmp_path).parent
    text = refused(root, capsys, "-d", f"betas={root}/nowhere")
    assert f"{root}/nowhere: the folder of --derivatives betas does not exist" in text
    shutil.rmtree(root / "bids" / "derivatives")
    assert "Give --derivatives fmriprep=PATH or betas=PATH" in refused(root, capsys)
    shutil.rmtree(root / "bids")
    assert f"{root / 'bids'}: BIDS_DIR does not exist" in refused(root, capsys)


def test_damaged_pixels_are_found_before_anything_is_written(tmp_path, capsys):
    root = make_betas(tmp_path, subjects=("01",)).parent
    image = next((root / "bids").rglob("*run-1*.nii.gz"))
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 4
    image.write_bytes(content)
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS,
             "--reference-rdms", str(root / "planted.csv")]  # fmt: skip
    assert main(words) == 2
    text = capsys.readouterr().err
    assert f"{image}: " in text
    assert "damaged" in text
    assert "Traceback" not in text
    assert tree(root / "out") == {}


def _header(content: bytes, offset: int, layout: str, *values) -> bytes:
    raw = bytearray(gzip.decompress(content))
    struct.pack_into(layout, raw, offset, *values)
    return gzip.compress(bytes(raw))


# Offsets are those of the NIfTI-1 header: dim 40, datatype 70, pixdim 76, vox_offset 108,
# scl_slope 112, qform_code 252, sform_code 254, srow_x 280, magic 344.
SPOILT = {
    "b01 cut in half": (lambda c: c[: len(c) // 2], "cut short"),
    "b02 no trailer": (lambda c: c[:-8], "cut short"),
    "b04 wrong crc": (lambda c: c[:-8] + b"\0\0\0\0" + c[-4:], "checksum"),
    "b06 empty": (lambda c: b"", "empty"),
    "b07 web page": (lambda c: b"<!DOCTYPE html><html>", "web page"),
    "b08 not compressed": (gzip.decompress, "gz"),
    "b11 annex pointer": (lambda c: b"/annex/objects/MD5E-s1--0\n", "datalad get"),
    "b13 huge": (lambda c: _header(c, 42, "<3h", 32767, 32767, 32767), "32767"),
    "b14 negative": (lambda c: _header(c, 42, "<h", -5), "-5"),
    "b15 slope inf": (lambda c: _header(c, 112, "<f", float("inf")), "slope"),
    "b16 offset": (lambda c: _header(c, 108, "<f", 1e8), "offset|beyond|end"),
    "b17 datatype": (lambda c: _header(c, 70, "<h", 999), "999"),
    "b18 magic": (lambda c: _header(c, 344, "<4s", b"abc"), "NIfTI"),
    "b19 no orientation": (lambda c: _header(c, 252, "<2h", 0, 0), "orientation"),
    "b20 nan affine": (lambda c: _header(c, 280, "<f", float("nan")), "sform|affine"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_images_end_with_code_2_and_nothing_written(tmp_path, capsys, name):
    change, fault = SPOILT[name]
    root = make_betas(tmp_path, subjects=("01",)).parent
    image = next((root / "bids").rglob("*run-1*.nii.gz"))
    image.write_bytes(change(image.read_bytes()))
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS,
             "--reference-rdms", str(root / "planted.csv"), "-w", str(root / "work")]  # fmt: skip
    assert main(words) == 2
    text = capsys.readouterr().err
    assert image.name in text
    assert re.search(fault, text), text
    assert "Traceback" not in text
    assert tree(root / "out") == {}


def test_a_beta_without_a_run_is_no_run_of_its_own(data, capsys):
    root = data("betas")
    path = next((root / "bids").rglob("sub-01*run-1*.tsv"))
    rows = [f"{name}\t{'n/a' if name == 'cat' else 1}" for name in STIMULI]
    path.write_text("\n".join(["stimulus\trun", *rows]) + "\n")
    assert f"{path}: column 'run' is empty in data row 2" in refused(root, capsys)


def _cut_picture(root):
    path = root / "bids" / "stimuli" / "cat.png"
    path.write_bytes(path.read_bytes()[:2000])
    return [], "cat.png: is a damaged or truncated image"


def _no_picture(root):
    (root / "bids" / "stimuli" / "cat.png").unlink()
    return [], "sub-01: 1 images of the data are not among the stimuli (got ['cat'])"


def _one_stem_twice(root):
    folder = root / "bids" / "stimuli"
    (folder / "cat.jpg").write_bytes((folder / "cat.png").read_bytes())
    return [], "cat"


def _a_bomb(root):
    from PIL import Image

    Image.new("1", (12_000, 6_000)).save(root / "bids" / "stimuli" / "cat.png")
    return [], "cat.png"


def _other_rdm(root):
    path = root / "planted.csv"
    rows = path.read_text().splitlines()
    rows[1] = ",".join([*rows[1].split(",")[:-1], "9"])
    path.write_text("\n".join(rows))
    return ["--reference-rdms", str(path)], "planted.csv: planted is not symmetric"


def _no_such_layer(root):
    return ["--layers", "conv99"], "the network has no such layer (got 'conv99')"


def _other_network(root):
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.zeros(3)}, root / "w.pth")
    words = ["--network", "alexnet", "--weights", str(root / "w.pth")]
    return words, "w.pth: does not fit AlexNet: lacks 16 tensors"


@pytest.mark.parametrize(
    "spoil",
    [_other_rdm, _cut_picture, _a_bomb, _no_picture, _one_stem_twice, _no_such_layer,
     _other_network],
    ids=["b50", "b51", "b52", "b53 missing", "b53 twice", "b54", "b55"],
)  # fmt: skip
def test_b50_to_b55_leave_nothing_behind(tmp_path, capsys, spoil):
    from PIL import Image

    root = make_betas(tmp_path, subjects=("01",)).parent
    (root / "bids" / "stimuli").mkdir()
    for seed, name in enumerate(STIMULI):
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "bids" / "stimuli" / f"{name}.png")
    more, fault = spoil(root)
    words = [str(root / "bids"), str(root / "out"), "participant", *OPTIONS, "--network",
             "neurodnn:scenes", "-w", str(root / "work"), *more]  # fmt: skip
    assert main(words) == 2
    text = capsys.readouterr().err
    assert fault in text
    assert "Traceback" not in text
    assert tree(root / "out") == {}
    assert not (root / "work").exists()
