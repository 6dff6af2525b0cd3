"""The entry page: group maps with what they mean, and all subjects."""

from __future__ import annotations

import json

import html5lib
import nibabel
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
        "voxel × reference", "generalises to subjects", "Nichols T. E.", "doi:10.1002/hbm.1058",
        "Thin lines surround voxels with p < 0.05 over subjects (maximum statistic)",
        "Shuffles of stimuli 1000 12 stimuli; generalises to stimuli",
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
        assert [float(cell) for cell in row[7:10]] == [0.008, 0.016, 0.001]
    assert rows[0][7:11] == ["p over subjects, maximum statistic", "p over subjects, cluster mass",
                             "p over stimuli", "Noise ceiling"]  # fmt: skip
    lower, upper = map(float, rows[1][10].split(" to "))
    assert (lower, upper) == pytest.approx((0.4, 0.5), abs=0.06)  # the peak is half a voxel off


def test_group_pictures_are_mean_t_and_p_for_every_layer(finished_tree, parts):
    tree = parsed(finished_tree / "index.html")
    parts_shown = ["".join(s.itertext()) for s in tree.iter("summary")]
    assert parts_shown == [
        "How to read the numbers", "Clusters by cluster mass", "Mean over subjects", "t",
        "P over subjects, maximum statistic", "P over subjects, cluster mass", "P over stimuli",
        "Noise ceiling", "Differences",
    ]  # fmt: skip
    alts = [picture.get("alt") for picture in tree.iter("img")]
    for unit in ("mean Spearman rho", "t", "−log10 p, over subjects, maximum statistic",
                 "−log10 p, over subjects, cluster mass", "−log10 p, over stimuli"):
        for layer in parts.LAYERS:
            assert any(alt.startswith(f"{unit} of {layer} on slices") for alt in alts), unit
    for bound in ("lower bound", "upper bound"):
        assert any(f"noise ceiling, Spearman rho of {bound} on slices" in alt for alt in alts)
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
    assert "P over" not in text


def test_what_each_p_speaks_of_stands_in_plain_words(finished_tree):
    text = text_of(finished_tree / "index.html")
    assert text.count("It speaks of other subjects like these who see the same stimuli.") == 2
    assert text.count("It speaks of other stimuli like these, shown to the same subjects.") == 1
    assert "Neither p alone speaks of other subjects and other stimuli at once" in text


def test_extent_counts_the_voxels_of_every_p(finished_tree):
    page = finished_tree / "index.html"
    rows = rows_of(page, "Voxels with p < 0.05")
    content = json.loads((finished_tree / "group" / "summary.json").read_text("utf-8"))
    for row, entry in zip(rows[1:], content["Maps"], strict=True):
        expected = [
            int(np.sum(nibabel.load(finished_tree / entry["Statistics"][key]).get_fdata() < 0.05))
            for key in ("p", "p_cluster-mass", "p_stimuli")
        ]
        assert [int(cell) for cell in row[1:]] == expected


def test_differences_are_listed_in_both_directions(finished_tree, parts):
    rows = rows_of(finished_tree / "index.html", "Differences between references")
    assert [row[:2] for row in rows[1:]] == [["conv1 - conv3", "highest"],
                                             ["conv1 - conv3", "lowest"]]  # fmt: skip
    for row, layer, sign in zip(rows[1:], parts.LAYERS, (1, -1), strict=True):
        found = [float(cell.replace("−", "-")) for cell in row[3:6]]
        assert np.linalg.norm(np.subtract(found, parts.PLACES[layer])) < 8
        assert np.sign(float(row[2].replace("−", "-"))) == sign
        assert float(row[8]) == 0.02


def test_clusters_are_listed_as_far_as_they_matter_and_their_file_is_linked(finished_tree):
    rows = rows_of(finished_tree / "index.html", "Clusters by cluster mass")
    assert len(rows) == 1 + 5
    assert rows[1][:6] == ["conv1", "+", "49", "10584", "123.4", "0.0160"]
    text = text_of(finished_tree / "index.html")
    assert "2 of 10 clusters have p < 0.05. The 5 strongest are listed here." in text
    links = [link.get("href") for link in parsed(finished_tree / "index.html").iter("a")]
    assert any(link.endswith("desc-searchlightMass_clusters.tsv") for link in links)


@pytest.mark.parametrize("path", ["../clusters.tsv", 3, "group/absent.tsv", "group/summary.json"])
def test_a_table_that_cannot_be_read_is_told_and_stops_nothing(make_tree, parts, path):
    root = make_tree(("01",), layers=("conv1",), group=False)
    (root.parent / "clusters.tsv").write_text("secret\n")
    parts.write_group(root, ("conv1",), ClusterTables=[{"Inference": "max", "Path": path}])
    text = text_of(write_index(root))
    assert "A table of clusters cannot be shown" in text
    assert str(root) not in text


def test_tests_that_were_not_made_say_why(make_tree, parts):
    root = make_tree(("01",), layers=("conv1",), group=False)
    parts.write_group(root, ("conv1",), StimuliTest={"SkippedBecause": "no p over stimuli: x"},
                      SubjectsTest={"SkippedBecause": "no p over subjects: y"})  # fmt: skip
    text = text_of(write_index(root))
    assert "Not computed No p over subjects: y. No p over stimuli: x." in text


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="no summary of any subject"):
        write_index(tmp_path)


def test_the_same_tree_gives_the_same_bytes(finished_tree):
    pages = [finished_tree / "index.html", finished_tree / "group" / "viewer.html"]
    before = [page.read_bytes() for page in pages]
    write_index(finished_tree)
    assert [page.read_bytes() for page in pages] == before
