"""Onsets of the events: a reference that follows them is told, or they are held constant."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
import tiny_bids
from tiny_bids import OPTIONS
from tiny_bold import make_bold

from neurodnn.cli import main

STIMULI = tuple(f"thing{i:02d}" for i in range(12))
FOLLOWS = "references follow the order of presentation"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two subjects, each run in an order of its own; and a model that is one order."""
    root = tmp_path_factory.mktemp("order")
    make_bold(root, subjects=("01", "02"), stimuli=STIMULI)
    _write(root / "line.csv", np.abs(np.subtract.outer(np.arange(12), np.arange(12))))
    return root


@pytest.fixture(scope="module")
def ordered(tmp_path_factory):
    """The same images, but by their events all runs show the stimuli in one order."""
    root = tmp_path_factory.mktemp("one-order")
    bids = make_bold(root, stimuli=STIMULI)
    for path in bids.glob("sub-01/func/*events.tsv"):
        table = pd.read_csv(path, sep="\t", keep_default_na=False)
        shown = table["stim_file"] != "n/a"
        table.loc[shown, "stim_file"] = [f"stimuli/{name.upper()}.png" for name in STIMULI
                                         for _ in range(3)]  # fmt: skip
        table.to_csv(path, sep="\t", index=False)
    _write(root / "line.csv", np.abs(np.subtract.outer(np.arange(12), np.arange(12))))
    return root


def _write(path, square):
    rows = [",".join(["", *STIMULI])]
    rows += [",".join([name, *map(str, map(float, row))])
             for name, row in zip(STIMULI, square, strict=True)]  # fmt: skip
    path.write_text("\n".join(rows) + "\n")


def run(root, out, *more, level="participant", references=("line", "planted")):
    rdms = [str(root / f"{name}.csv") for name in references]
    words = [str(root / "bids"), str(root / out), level, *OPTIONS, "-w", str(root / "work"),
             "--label-permutations", "40"]  # fmt: skip
    words += ["--reference-rdms", *rdms] if level == "participant" else []
    return main([*words, *more])


def summary(root, out, subject="01"):
    return json.loads(next((root / out).glob(f"sub-{subject}/figures/*summary.json")).read_text())


def told(content):
    return [text for text in content["Warnings"] if FOLLOWS in text]


@pytest.mark.parametrize("metric", ["correlation", "crossnobis"])
def test_one_order_in_all_runs_is_told(ordered, metric):
    assert run(ordered, metric, "--metric", metric) == 0
    content = summary(ordered, metric)
    order = content["OrderOfPresentation"]
    assert (order["SameInAllRuns"], order["HeldConstant"]) == (True, False)
    assert order["Correlations"]["line"] == pytest.approx(1, abs=1e-3)
    (text,) = told(content)
    assert "line 1.00" in text
    assert ("All runs have one order" in text) == (metric == "crossnobis")
    assert "--nuisance-order" in text
    assert FOLLOWS in (ordered / metric / "sub-01.html").read_text()
    sidecar = next((ordered / metric).glob("sub-01/func/*model-line_*searchlight_statmap.json"))
    assert text in json.loads(sidecar.read_text())["Warnings"]


def test_an_order_of_its_own_in_each_run_is_not_told(root):
    assert run(root, "plain") == 0
    for subject in ("01", "02"):
        content = summary(root, "plain", subject)
        order = content["OrderOfPresentation"]
        assert order["SameInAllRuns"] is False
        assert not told(content)
        assert set(order["Correlations"]) == {"line", "planted"}
    # by chance some reference is beyond .1 all the same: the threshold alone would have told it
    every = [summary(root, "plain", s)["OrderOfPresentation"]["Correlations"] for s in ("01", "02")]
    assert max(abs(rho) for each in every for rho in each.values()) > 0.1


def test_orders_that_differ_but_follow_a_reference_are_told_within_runs_only(root):
    _write(root / "own.csv", by_hand(root, "01"))
    assert run(root, "own", "--participant-label", "01", references=("own", "planted")) == 0
    (text,) = told(summary(root, "own"))
    assert "own 1.00" in text
    assert "planted" not in text
    assert run(root, "between", "--participant-label", "01", "--metric", "crossnobis",
               references=("own", "planted")) == 0  # fmt: skip
    assert not told(summary(root, "between"))


def by_hand(root, subject):
    """Mean over runs of the difference of mean onsets, by pandas."""
    squares = []
    for path in sorted((root / "bids" / f"sub-{subject}" / "func").glob("*events.tsv")):
        means = pd.read_csv(path, sep="\t").groupby("stim_file")["onset"].mean()
        means = means[[f"stimuli/{name.upper()}.png" for name in STIMULI]].to_numpy()
        squares.append(np.abs(means[:, None] - means))
    return np.mean(squares, axis=0)


def test_the_order_held_constant_is_that_of_an_rdm_made_by_hand(root):
    one = ["--participant-label", "01"]
    assert run(root, "held", "--nuisance-order", references=("planted",)) == 0
    _write(root / "times.csv", by_hand(root, "01"))
    assert run(root, "given", "--nuisance-rdms", str(root / "times.csv"), *one,
               references=("planted",)) == 0  # fmt: skip
    assert run(root, "without", *one, references=("planted",)) == 0
    for pattern in ("desc-searchlight_statmap", "desc-searchlightLabelFWE_statmap"):
        held, given, without = (
            nibabel.load(next((root / out).glob(f"sub-01/func/*{pattern}.nii.gz"))).get_fdata()
            for out in ("held", "given", "without")
        )
        assert np.allclose(held, given, atol=1e-6, equal_nan=True)
        assert np.nanmax(np.abs(held - without)) > 0.02
    content = summary(root, "held")
    assert content["OrderOfPresentation"]["HeldConstant"] is True
    assert "The RDMs order of presentation were regressed out" in content["Methods"]
    assert "each subject's own" in content["Methods"]
    assert content["ParameterHash"] != summary(root, "without")["ParameterHash"]
    page = (root / "held" / "sub-01.html").read_text()
    assert "partial Spearman rho" in page
    # a test with one nuisance for everybody would not hold constant what subjects held
    assert run(root, "held", level="group") == 0
    group = json.loads((root / "held" / "group" / "summary.json").read_text())
    assert "own order of presentation was held constant" in group["StimuliTest"]["SkippedBecause"]


def test_what_has_no_partial_form_or_no_onsets_is_refused(root, tmp_path, capsys):
    assert run(root, "none", "--nuisance-order", "--compare", "rho-a") == 2
    assert "has no partial form for --nuisance-order" in capsys.readouterr().err
    bids = tiny_bids.make_betas(tmp_path, subjects=("01",))
    words = [str(bids), str(tmp_path / "out"), "participant", *OPTIONS, "--reference-rdms",
             str(tmp_path / "planted.csv"), "-w", str(tmp_path / "work")]  # fmt: skip
    assert main([*words, "--nuisance-order"]) == 2
    assert "come without onsets" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(words) == 0
    assert "without onsets" in summary(tmp_path, "out")["OrderOfPresentation"]["SkippedBecause"]
