"""The page of a subject says what the files of its tree say, and is the same for the same tree."""

from __future__ import annotations

import gzip
import json
import re
import shutil

import html5lib
import nibabel
import numpy as np
import pytest

from neurodnn._checks import InputError
from neurodnn.report import write_subject_report


def page_text(path):
    tree = html5lib.parse(path.read_text("utf-8"), namespaceHTMLElements=False)
    return " ".join(" ".join(tree.find("body").itertext()).split())


def rows_of(path, caption):
    tree = html5lib.parse(path.read_text("utf-8"), namespaceHTMLElements=False)
    region = next(div for div in tree.iter("div") if div.get("aria-label") == caption)
    return [["".join(cell.itertext()).strip() for cell in row] for row in region.iter("tr")]


def edit_summary(root, change):
    path = next(root.glob("sub-01/figures/*_summary.json"))
    content = json.loads(path.read_text("utf-8"))
    change(content)
    path.write_text(json.dumps(content), "utf-8")


def test_peaks_stand_at_the_planted_places_with_their_side(finished_tree, parts):
    rows = rows_of(finished_tree / "sub-01.html", "Peaks of the maps")
    assert rows[0][:6] == ["Reference", "Highest", "x mm", "y mm", "z mm", "Side"]
    assert [row[0] for row in rows[1:]] == list(parts.LAYERS)
    for row in rows[1:]:
        found = [float(cell.replace("−", "-")) for cell in row[2:5]]
        assert np.linalg.norm(np.subtract(found, parts.PLACES[row[0]])) < 8  # a voxel's diagonal
        assert row[5] == ("left" if parts.PLACES[row[0]][0] < 0 else "right")


def test_p_over_stimuli_and_reliability_stand_beside_the_peaks(finished_tree):
    page = finished_tree / "sub-01.html"
    rows = rows_of(page, "Peaks of the maps")
    assert rows[0][6:9] == ["p over stimuli", "Voxels p < 0.05", "Reliability"]
    content = json.loads(next(finished_tree.glob("sub-01/figures/*summary.json")).read_text())
    for row, entry in zip(rows[1:], content["Maps"], strict=True):
        p = nibabel.load(finished_tree / entry["LabelP"]).get_fdata()
        assert float(row[6]) == pytest.approx(np.nanmin(p))
        assert int(row[7]) == np.sum(p < 0.05)
    assert float(rows[1][8]) == pytest.approx(0.6, abs=0.15)  # noise 0.03, the grid's own peak
    text = page_text(page)
    assert "Thin lines surround voxels with p < 0.05 over stimuli." in text
    assert "It speaks of other stimuli like these, shown to this subject." in text
    tree = html5lib.parse(page.read_text("utf-8"), namespaceHTMLElements=False)
    alts = [picture.get("alt") for picture in tree.iter("img")]
    assert any(alt.startswith("reliability, Spearman rho of reliability on") for alt in alts)


def test_what_one_subject_could_not_give_says_why(make_tree):
    root = make_tree(("01",), layers=("conv1",), group=False,
                     LabelTest={"SkippedBecause": "no p over stimuli: too few"},
                     Reliability={"SkippedBecause": "no split-half reliability: one run"})
    text = page_text(write_subject_report(root, "01"))
    assert "No p over stimuli: too few. No split-half reliability: one run." in text
    assert "Thin lines" not in text


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("x", [36.0, -36.0])
def test_sides_follow_the_affine_not_the_storage(tmp_path, parts, flip, x):
    affine = parts.AFFINE.copy()
    if flip < 0:
        affine[0, 0], affine[0, 3] = -6.0, 72.0
    parts.write_subject(tmp_path, "01", ("conv1",))
    data = parts.blob((x, -66.0, -12.0), affine=affine, noise=0)
    edit_summary(tmp_path, lambda content: content.update(
        Maps=[{"Reference": "conv1", "Path": parts.save_map(tmp_path, "a.nii.gz", data, affine)}]
    ))  # fmt: skip
    rows = rows_of(write_subject_report(tmp_path, "01"), "Peaks of the maps")
    expected = [f"{x:.0f}".replace("-", "−"), "−66", "−12", "right" if x > 0 else "left"]
    assert rows[1][2:6] == expected


def test_the_page_tells_what_ran(finished_tree):
    text = page_text(finished_tree / "sub-01.html")
    for words in (
        "12 of 13 in the data", "column “stim_file”", "by file name without folder",
        "fixation", "Six motion parameters", "desc-preproc_bold.nii.gz", "abababababab",
        "Run 1: one volume was left out.", "Kriegeskorte N., Goebel R.", "doi:10.1073",
        "neurodnn:scenes", "301 too few features", "Spearman rho", "ICBM 152",
        "MNI152NLin2009cAsym", "whole image to 64 x 64", "2.4.6",
    ):  # fmt: skip
        assert words in text, words


def test_every_layer_has_a_picture_and_the_page_stays_small(finished_tree, parts):
    path = finished_tree / "sub-01.html"
    tree = html5lib.parse(path.read_text("utf-8"), namespaceHTMLElements=False)
    alts = [picture.get("alt") for picture in tree.iter("img")]
    for layer in parts.LAYERS:
        assert any(f"Spearman rho of {layer} on slices" in alt for alt in alts)
    assert any(alt.startswith("Dissimilarity matrices of conv1, conv3") for alt in alts)
    assert path.stat().st_size < 5e6


def test_links_lead_to_files_that_exist(finished_tree):
    for page in finished_tree.rglob("*.html"):
        tree = html5lib.parse(page.read_text("utf-8"), namespaceHTMLElements=False)
        links = [link.get("href") for link in tree.iter("a")]
        local = [link for link in links if not link.startswith(("#", "https://doi.org/"))]
        assert local
        for link in local:
            assert (page.parent / link).resolve().is_file(), (page, link)
        for anchor in (link[1:] for link in links if link.startswith("#")):
            assert [e for e in tree.iter() if e.get("id") == anchor]


def test_the_same_tree_gives_the_same_bytes(finished_tree, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(finished_tree, copy, ignore=shutil.ignore_patterns("*.html"))
    page = write_subject_report(copy, "sub-01")
    assert page == copy / "sub-01.html"
    viewer = "sub-01/figures/sub-01_task-scenes_viewer.html"
    for name in ("sub-01.html", viewer):
        assert (copy / name).read_bytes() == (finished_tree / name).read_bytes(), name


def test_missing_and_damaged_files_are_named_and_stop_nothing(make_tree, parts):
    root = make_tree(("01",), group=False)
    maps = sorted(root.glob("sub-01/func/*statmap.nii.gz"))
    by_layer = {layer: next(m for m in maps if f"layer-{layer}_" in m.name)
                for layer in parts.LAYERS}  # fmt: skip
    by_layer["conv1"].unlink()
    packed = bytearray(by_layer["conv3"].read_bytes())
    packed[len(packed) // 2] ^= 4
    by_layer["conv3"].write_bytes(packed)
    next(root.glob("models/**/*layer-conv3_rdm.h5")).unlink()
    text = page_text(write_subject_report(root, "01"))
    assert "The map of conv1 cannot be shown" in text
    assert "The map of conv3 cannot be shown" in text
    assert "RDM of conv3" in text
    assert str(root) not in text
    assert "Spearman rho" in text
    # what the summary knows of the missing map is still there
    assert rows_of(root / "sub-01.html", "Peaks of the maps")[1][0] == "conv1"


def test_a_summary_that_leads_out_of_the_tree_reads_nothing_there(make_tree, tmp_path):
    root = make_tree(("01",), layers=("conv1",), group=False)
    outside = tmp_path / "secret.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 4, 4), "f4"), np.eye(4)), outside)
    for path in ("../secret.nii.gz", str(outside), "sub-01/../../secret.nii.gz", None, 3):
        edit_summary(root, lambda content, path=path: content["Maps"][0].update(Path=path))
        assert "cannot be shown" in page_text(write_subject_report(root, "01")), path


def test_other_spaces_are_shown_on_their_own_extent_and_said_so(make_tree):
    root = make_tree(("01",), layers=("conv1",), group=False, Space="T1w")
    text = page_text(write_subject_report(root, "01"))
    assert "Space: T1w. Underlay: none in this space" in text
    assert "ICBM" not in text


def test_several_tasks_share_a_page(make_tree, parts):
    root = make_tree(("01",), layers=("conv1",), group=False)
    content = parts.subject_summary(root, "01", ("conv1",), Task="faces", Session="02")
    path = root / "sub-01" / "figures" / "sub-01_ses-02_task-faces_summary.json"
    parts.write_json(path, content)
    page = write_subject_report(root, "01")
    text = page_text(page)
    assert "session 02, task faces" in text
    assert "task scenes" in text
    assert len(list(root.glob("sub-01/figures/*_viewer.html"))) == 2


def test_the_first_stimulus_is_drawn_anew(make_tree):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    root = make_tree(("01",), layers=("conv1",), group=False)
    secret = PngInfo()
    secret.add_text("Author", "CANARY")
    Image.new("RGB", (8, 8), "red").save(root / "input.png", pnginfo=secret)
    entry = {"Stimulus": "face_0", "Path": "input.png"}
    edit_summary(root, lambda content: content.update(FirstStimulus=entry))
    page = write_subject_report(root, "01")
    assert "“face_0” as the network saw it." in page_text(page)
    entry = {"Stimulus": "face_0", "Path": "models"}
    edit_summary(root, lambda content: content.update(FirstStimulus=entry))
    assert "first stimulus cannot be shown" in page_text(write_subject_report(root, "01"))


def test_an_almost_empty_summary_still_makes_a_page(tmp_path, parts):
    parts.write_json(
        tmp_path / "sub-01" / "figures" / "sub-01_task-a_summary.json",
        {"Subject": "01", "Failures": ["The mask is empty."], "Maps": None, "Stimuli": None},
    )
    text = page_text(write_subject_report(tmp_path, "01"))
    assert "The mask is empty." in text
    assert "No map has been written." in text


@pytest.mark.parametrize("label", ["99", "../01", "0*", ""])
def test_unknown_subjects_are_refused(finished_tree, label):
    with pytest.raises(InputError):
        write_subject_report(finished_tree, label)


def test_no_date_and_no_duration_is_on_a_page(finished_tree):
    for page in finished_tree.rglob("*.html"):
        text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page.read_text("utf-8"))
        text = re.sub(r'"values": "[^"]+"|"mask": "[^"]+"', "", text)
        assert not re.search(r"\b20[2-9]\d-\d\d-\d\d\b|\b\d\d:\d\d:\d\d\b", text)


def test_maps_that_are_not_compressed_are_read_too(make_tree):
    root = make_tree(("01",), layers=("conv1",), group=False)
    packed = next(root.glob("sub-01/func/*.nii.gz"))
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    relative = packed.with_suffix("").relative_to(root).as_posix()
    edit_summary(root, lambda content: content["Maps"][0].update(Path=relative))
    assert "cannot be shown" not in page_text(write_subject_report(root, "01"))
