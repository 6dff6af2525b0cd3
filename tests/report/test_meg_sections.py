"""MEG on the pages: what stands there, what is missing said so, nothing from a name runs."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from meg_results import LATENCIES, LAYERS, write_tree

from neurodnn import cli
from neurodnn.report import write_index, write_subject_report

EIGHT = tuple(f"{i:02d}" for i in range(1, 9))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("meg_pages") / "out"
    write_tree(out, subjects=EIGHT)
    (out.parent / "bids").mkdir()
    words = [str(out.parent / "bids"), str(out), "group", "--work-dir", str(out.parent / "work"),
             "--n-bootstrap", "200", "--label-permutations", "100", "--n-cpus", "1"]  # fmt: skip
    assert cli.main(words) == 0
    return out


def test_the_entry_page_tells_when_each_layer_peaks(tree):
    text = (tree / "index.html").read_text()
    assert "Group: When each layer fits (MEG): task look" in text
    assert "Peaks of the group&#39;s mean time courses" in text
    for name in LAYERS:
        assert f">{name}</th>" in text
    for latency in LATENCIES:
        assert f">{1000 * latency:g}</td>" in text
    assert "Do later layers peak later?" in text
    table = pd.read_csv(next((tree / "group").glob("*desc-sensors_clusters.tsv")), sep="\t")
    table = table[table["reference"].isin(LAYERS)]
    sides = [(table["sign"].astype(str) == sign).sum() for sign in "+-"]
    assert sum(sides) == len(table) > 0
    assert [text.count(f">{side} 0</td>") for side in ("above", "below")] == sides
    # p over stimuli stands beside p over subjects: of 100 shuffles the smallest is .01
    assert text.count(">0.0100</td>") >= len(LAYERS)
    for alt in ("Time courses of", "Cortex at the peak of"):
        assert f'alt="{alt}' in text, alt
    assert "The maps of the sensors of" in text  # three sensors without positions: said so
    assert "8 subjects." in text


def test_a_subject_without_fmri_has_a_page_and_the_same_bytes_again(tree):
    page = write_subject_report(tree, "01")
    text = page.read_text()
    assert "When each layer fits (MEG): task look" in text and "#Peak" not in text
    assert write_subject_report(tree, "01").read_text() == text
    assert (tree / "index.html").read_bytes() == write_index(tree).read_bytes()


def test_what_is_missing_is_said_and_stops_nothing(tree):
    path = tree / "group" / "task-look_megresults.json"
    good = path.read_text()
    content = json.loads(good)
    content["Peaks"] = "group/none_peaks.tsv"
    content["TimeSeries"][0]["References"] = ["<script>alert(1)</script>"]
    content["Task"] = "<script>alert(2)</script>"
    path.write_text(json.dumps(content))
    try:
        text = write_index(tree).read_text()
    finally:
        path.write_text(good)
    assert "The table of peaks cannot be shown" in text
    assert "<script>alert" not in text


def test_the_demo_judges_time_by_the_same_files(tree):
    from neurodnn.demo.time import time_verdict

    places = pd.DataFrame({"layer": LAYERS, "latency": LATENCIES})
    found = time_verdict(tree, places)
    assert found["recovered"].all(), found.to_string()
    assert found["peak_time"].to_numpy() == pytest.approx(LATENCIES, abs=0.011)
    swapped = places.assign(latency=LATENCIES[::-1])
    assert not time_verdict(tree, swapped)["recovered"].any()


def test_the_demo_judges_the_cortex_by_place_time_and_p(tree):
    from neurodnn.demo.source import source_verdict

    content = json.loads((tree / "group" / "task-look_sourceresults.json").read_text())
    peaks = [each["Peak"] for each in content["Maps"]]
    places = pd.DataFrame({
        "layer": LAYERS, "place": list("abcd"), "latency": [peak["Time"] for peak in peaks],
        **{axis.lower(): [peak[axis] for peak in peaks] for axis in "XYZ"},
    })  # fmt: skip
    right = np.array([peak["P"] < 0.05 for peak in peaks])
    assert right.any()
    assert (source_verdict(tree, places)["recovered"].to_numpy() == right).all()
    assert not source_verdict(tree, places.assign(x=places["x"] + 31))["recovered"].any()
    assert not source_verdict(tree, places.assign(latency=0.9))["recovered"].any()
