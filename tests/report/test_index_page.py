"""The entry page: group maps with what they mean, and all subjects."""

from __future__ import annotations

import json

import html5lib
import numpy as np
import pytest

from neurodnn._checks import InputError
from neurodnn.report import write_index


def parsed(path):
    return html5lib.parse(path.read_text("utf-8"), namespaceHTMLElements=False)


def text_of(path):
    return " ".join(" ".join(parsed(path).find("body").itertext()).split())


def rows_of(path, caption):
    region = next(d for d in parsed(path).iter("div") if d.get("aria-label") == caption)
    return [["".join(cell.itertext()).strip() for cell in row] for row in region.iter("tr")]


def test_group_section_says_what_was_tested(finished_tree):
    text = text_of(finished_tree / "index.html")
    for words in (
        "Subjects 2", "Sign flips 256 all of them: exact", "two-sided", "0.0078125",
        "voxel × reference", "Generalises to subjects", "Nichols T. E.", "doi:10.1002/hbm.1058",
        "Thin lines surround voxels with p < 0.05",
    ):  # fmt: skip
        assert words in text, words


def test_group_peaks_hold_t_and_p_of_the_same_voxel(finished_tree, parts):
    rows = rows_of(finished_tree / "index.html", "Peaks of the group maps")
    assert [row[0] for row in rows[1:]] == list(parts.LAYERS)
    for row in rows[1:]:
        found = [float(cell.replace("−", "-")) for cell in row[2:5]]
        assert np.linalg.norm(np.subtract(found, parts.PLACES[row[0]])) < 8
        assert row[5] == ("left" if parts.PLACES[row[0]][0] < 0 else "right")
        assert float(row[6]) == pytest.approx(30 * float(row[1]), abs=0.05)
        assert float(row[7]) == pytest.approx(0.008)


def test_group_pictures_are_mean_t_and_p_for_every_layer(finished_tree, parts):
    tree = parsed(finished_tree / "index.html")
    parts_shown = ["".join(s.itertext()) for s in tree.iter("summary")]
    assert parts_shown == ["Mean over subjects", "t", "Familywise p"]
    alts = [picture.get("alt") for picture in tree.iter("img")]
    for unit in ("mean Spearman rho", "t", "−log10 p, familywise"):
        for layer in parts.LAYERS:
            assert any(alt.startswith(f"{unit} of {layer} on slices") for alt in alts)
    assert (finished_tree / "index.html").stat().st_size < 5e6


def test_every_subject_is_listed_with_its_scores(finished_tree):
    rows = rows_of(finished_tree / "index.html", "Subjects and the highest score of each layer")
    assert [row[0] for row in rows[1:]] == ["sub-01", "sub-02"]
    summary = next(finished_tree.glob("sub-02/figures/*_summary.json"))
    peaks = [e["Peak"]["Value"] for e in json.loads(summary.read_text("utf-8"))["Maps"]]
    assert rows[2][3:] == [f"{peak:.3f}" for peak in peaks]


def test_warnings_of_subjects_are_collected(finished_tree):
    rows = rows_of(finished_tree / "index.html", "Failures and warnings")
    assert ["sub-01", "warning", "Run 1: one volume was left out."] in rows


def test_a_skipped_group_says_why(make_tree, parts):
    root = make_tree(("01",), layers=("conv1",), group=False)
    parts.write_group(root, ("conv1",), Maps=[], SkippedBecause="There is one subject only.")
    assert "There is one subject only." in text_of(write_index(root))


def test_subjects_without_a_group_are_enough(make_tree):
    root = make_tree(("01",), layers=("conv1",), group=False)
    text = text_of(write_index(root))
    assert "1 subject." in text
    assert "Group" not in text


def test_a_group_without_p_maps_is_shown_without_outlines(make_tree, parts):
    root = make_tree(("01",), layers=("conv1",), group=False)
    path = parts.write_group(root, ("conv1",))
    content = json.loads(path.read_text("utf-8"))
    del content["Maps"][0]["Statistics"]["p"]
    parts.write_json(path, content)
    text = text_of(write_index(root))
    assert "Mean over subjects" in text
    assert "Familywise p" not in text.replace("p familywise", "")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no summary of any subject"):
        write_index(tmp_path)


def test_the_same_tree_gives_the_same_bytes(finished_tree):
    pages = [finished_tree / "index.html", finished_tree / "group" / "viewer.html"]
    before = [page.read_bytes() for page in pages]
    write_index(finished_tree)
    assert [page.read_bytes() for page in pages] == before
