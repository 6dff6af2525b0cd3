"""Whatever a study's texts say, a page keeps its own elements, attributes and handlers."""

from __future__ import annotations

import json
import re
from collections import Counter

import html5lib
import numpy as np
import pytest

from neurodnn.report import write_index, write_subject_report

PAYLOADS = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><svg onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "--><iframe src='javascript:alert(1)'>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}<b>",
    "\u2028alert(1)\u2029]]>&lt;b&gt;&#x3c;b&#x3e;",
    "<math><mtext></form><base href='https://example.org/'>",
]


def tiny_map(parts, root, relative):
    affine = np.diag([20.0, 20.0, 20.0, 1.0])
    affine[:3, 3] = -50
    data = np.random.default_rng(0).normal(size=(6, 6, 6)).astype(np.float32)
    return parts.save_map(root, relative, data, affine)


def write_tree(parts, root, text):
    """A small tree whose every free text is `text`."""
    changes = {
        "Task": text, "Session": text, "Space": text, "Confounds": text, "Methods": text,
        "Mask": text, "Citations": [text], "Warnings": [text, f"x {text}"], "Failures": [text],
        "SoftwareVersions": {text: text, "neurodnn": text}, "Parameters": {text: text},
        "Inputs": [{"Kind": text, "Path": text, "SHA256": text}],
        "Network": {text: text, "label": text},
        "NotComputed": {text: 1}, "Subject": text, "FirstStimulus": {"Path": text},
        "Stimuli": {"Column": text, "KeyRule": text, "Matched": text, "InEvents": text,
                    "InTable": text, "OnlyInEvents": [text], "OnlyInTable": [text]},
    }  # fmt: skip
    path = tiny_map(parts, root, "a.nii.gz")
    changes |= {"LabelTest": {"SkippedBecause": text, "MinimumP": text},
                "Reliability": {"SkippedBecause": text, "Path": path}}  # fmt: skip
    maps = [{"Reference": text, "Label": text, "Path": path, "LabelP": path}]
    rdms = parts.write_rdms(root, (text,), [f"{text}{n}" for n in range(4)])
    content = {**changes, "Maps": maps, "References": rdms}
    parts.write_json(root / "sub-01" / "figures" / "sub-01_task-a_summary.json", content)
    group = {
        **changes, "Subjects": [text], "Tail": text, "Flips": text, "Family": [text],
        "MinimumP": text, "GeneralisesTo": text, "SkippedBecause": text,
        "Maps": [{"Reference": text, "VoxelsBelow05": text,
                  "Statistics": {"mean": path, "p_x": path, "p_stimuli": path}}],
        "Inferences": [{"Name": text, "Title": text, "Key": "p_x"}],
        "StimuliTest": {"SkippedBecause": text, "MinimumP": text, "Stimuli": text,
                        "NumberOfPermutations": text, "GeneralisesTo": text},
        "Contrasts": [{"Reference": text, "Statistics": {"mean": path, "p_x": path}}],
        "Ceilings": {"Lower": path, "Upper": path, text: path},
        "ClusterTables": [{"Inference": text, "Path": "clusters.tsv"},
                          {"Inference": text, "Path": text}],
    }  # fmt: skip
    header = ("reference", "sign", "size_voxels", "size_mm3", "mass", "p", "x", "y", "z", "side",
              "peak_t", "peak_mean")  # fmt: skip
    quoted = '"' + text.replace('"', '""') + '"'
    (root / "clusters.tsv").write_text("\t".join(header) + "\n" + "\t".join([quoted] * 12) + "\n")
    parts.write_json(root / "group" / "summary.json", group)


def skeleton(html):
    """Every element with the names of its attributes, counted."""
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    return Counter((str(element.tag), tuple(sorted(map(str, element.attrib))))
                   for element in tree.iter())  # fmt: skip


def pages(root):
    write_subject_report(root, "01")
    write_index(root)
    return {path.relative_to(root).as_posix(): path.read_text("utf-8")
            for path in sorted(root.rglob("*.html"))}  # fmt: skip


@pytest.fixture(scope="module")
def harmless(tmp_path_factory, parts):
    root = tmp_path_factory.mktemp("harmless")
    write_tree(parts, root, "harmless")
    return pages(root)


def check_script_data(html, payload):
    """The data come out of the script element as they went in, and end no script."""
    scripts = list(html5lib.parse(html, namespaceHTMLElements=False).iter("script"))
    assert len(scripts) == 2
    assert json.loads(scripts[0].text)["maps"][0]["name"] == payload
    assert "\u2028" not in html.split("</main>")[1]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_leaves_its_place(payload, harmless, tmp_path, parts):
    write_tree(parts, tmp_path, payload)
    hostile = pages(tmp_path)
    for name in ("sub-01/figures/sub-01_task-a_viewer.html", "group/viewer.html"):
        check_script_data(hostile[name], payload)
    assert hostile.keys() == harmless.keys()
    for name, html in hostile.items():
        assert skeleton(html) == skeleton(harmless[name]), name
        tree = html5lib.parse(html, namespaceHTMLElements=False)
        if "viewer" not in name:
            assert payload in "".join(tree.find("body").itertext())
        for element in tree.iter():
            assert not [key for key in element.attrib if str(key).lower().startswith("on")]
            for key in ("href", "src"):
                assert not element.get(key, "").strip().lower().startswith("javascript:")


def test_pages_ask_the_network_for_nothing(finished_tree):
    for path in finished_tree.rglob("*.html"):
        html = path.read_text("utf-8")
        tree = html5lib.parse(html, namespaceHTMLElements=False)
        for element in tree.iter():
            for key in ("src", "srcset", "data", "poster", "action", "background", "xlink:href"):
                assert element.get(key, "data:").startswith("data:"), (path, element.tag)
            if element.tag == "link":
                assert element.get("href") == "data:,"
        style = "".join(element.text for element in tree.iter("style"))
        assert not re.search(r"url\(|@import|@font-face", style)
        script = "".join(e.text for e in tree.iter("script") if e.get("type") is None)
        assert not re.search(r"https?:|fetch\(|XMLHttp|import\(|innerHTML|eval\(", script)


def test_the_policy_allows_this_style_and_this_script_only(finished_tree):
    import base64
    import hashlib

    for path in finished_tree.rglob("*.html"):
        tree = html5lib.parse(path.read_text("utf-8"), namespaceHTMLElements=False)
        policy = next(m.get("content") for m in tree.iter("meta")
                      if m.get("http-equiv") == "Content-Security-Policy")  # fmt: skip
        assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
        assert "unsafe" not in policy
        running = [e for e in tree.iter("script") if e.get("type") is None]
        for element in [*tree.iter("style"), *running]:
            digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert bool(running) == ("script-src" in policy)
        assert not [e for e in tree.iter() if e.get("style")]


def test_only_reviewed_texts_enter_unescaped():
    from pathlib import Path

    import neurodnn.report.pages as module

    templates = Path(module.__file__).parent / "templates"
    source = "".join(p.read_text("utf-8") for p in templates.glob("*.html"))
    assert "|safe" not in source.replace(" ", "")
    assert "autoescapefalse" not in source.replace(" ", "").lower()
    code = Path(module.__file__).read_text("utf-8")
    assert code.count("Markup(") == 2  # the style and the script, both from our own files
