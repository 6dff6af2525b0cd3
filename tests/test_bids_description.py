"""The output folder as a BIDS derivative, judged by the official validator."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nibabel import gifti
from rsatoolbox.rdm import RDMs

from neurodnn import InputError
from neurodnn.bids import (
    BIDSIGNORE,
    build_name,
    dataset_description,
    lock_output,
    write_atomic,
    write_derivative,
    write_description,
)


@pytest.fixture
def validate():
    """A function that runs the official validator on a folder: exit code, issues."""
    program = Path(sys.executable).parent / "bids-validator-deno"
    program = str(program) if program.exists() else shutil.which("bids-validator-deno")
    if program is None:
        pytest.skip("bids-validator-deno is not installed (extra: bids)")

    def validate(folder):
        done = subprocess.run(
            [program, str(folder), "--format", "json"], capture_output=True, text=True
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        return done.returncode, [(issue["code"], issue.get("location")) for issue in issues]

    return validate


def write_example(output, links):
    """One file of every kind that the pipeline writes."""
    rng = np.random.default_rng(0)
    write_description(output, links, version="0.1.0")
    hashes = {"InputHash": "a", "ParameterHash": "b"}
    space = {"task": "T", "space": "MNI152NLin2009cAsym", "res": "2"}
    statistic = {"model": "alexnet", "layer": "features2", "suffix": "statmap",
                 "desc": "searchlight"}  # fmt: skip
    volume = nibabel.Nifti1Image(rng.random((4, 4, 4)), np.diag([2, 2, 2, 1]))
    func = output / "sub-01" / "func"
    mask = {"sub": "01", **space, "desc": "brain", "suffix": "mask", "extension": ".nii.gz"}
    write_derivative(
        func / build_name(mask),
        nibabel.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.diag([2, 2, 2, 1])),
        {"Description": "x", "Type": "Brain", "Resolution": "2 mm", **hashes,
         "Sources": ["bids:raw:sub-01/func/a"], "SpatialReference": "MNI152NLin2009cAsym"},
    )  # fmt: skip
    ending = {"extension": ".nii.gz"}
    write_derivative(
        func / build_name({"sub": "01", **space, **statistic, "stat": "rho", **ending}),
        volume, {"Description": "x", **hashes},
    )  # fmt: skip
    surface = {"sub": "01", "task": "T", "hemi": "L", "space": "fsaverage5", **statistic,
               "stat": "rho", "extension": ".func.gii"}  # fmt: skip
    array = gifti.GiftiDataArray(rng.random(5).astype("f4"))
    write_derivative(func / build_name(surface), gifti.GiftiImage(darrays=[array]), hashes)
    rdms = RDMs(rng.random((1, 6)), pattern_descriptors={"stimulus": list("abcd")})
    write_derivative(func / "sub-01_task-T_seg-V1_desc-roi_rdm.h5", rdms, hashes)
    write_derivative(output / "models/model-alexnet/model-alexnet_layer-a_rdm.h5", rdms, hashes)
    table = pd.DataFrame({"name": ["features.2"], "type": ["Conv2d"]})
    write_derivative(output / "models/model-alexnet/model-alexnet_layers.tsv", table)
    write_pages(output)
    group = build_name({**space, **statistic, "stat": "p", "desc": "searchlightFWE", **ending})
    write_derivative(output / "group" / group, volume, hashes)


def write_pages(output):
    """What is neither map nor matrix."""
    write_derivative(output / "group" / "summary.json", {"Subjects": ["01"]})
    figures = output / "sub-01" / "figures"
    figure = Figure(figsize=(1, 1))
    write_derivative(figures / "sub-01_task-T_summary.json", {"Subject": "01"})
    write_derivative(figures / "sub-01_task-T_rdms.png", figure)
    write_derivative(figures / "sub-01_task-T_rdms.svg", figure)
    write_derivative(figures / "sub-01_task-T_viewer.html", "<!doctype html>")
    for page in ("index.html", "sub-01.html"):
        write_derivative(output / page, "<!doctype html>")
    stimuli = pd.DataFrame({"stimulus_id": ["a"], "path": ["a.png"], "sha256": ["0"]})
    write_derivative(output / "stimuli" / "stimuli.tsv", stimuli)
    write_derivative(output / "logs" / "CITATION.md", "# Citations")
    write_derivative(output / "logs" / "CITATION.bib", "@article{a}")
    write_atomic(output / "logs" / "20261122-210000_ab12" / "neurodnn.toml", b"radius = 9\n")
    write_atomic(output / "logs" / "20261122-210000_ab12" / "run.log", b"x\n")
    write_atomic(output / "code" / "config.toml", b"radius = 9\n")


def test_every_kind_of_output_passes_the_validator(tmp_path, validate):
    output = tmp_path / "derivatives" / "neurodnn"
    links = {"raw": tmp_path, "fmriprep": tmp_path / "derivatives" / "fmriprep"}
    with lock_output(output, "01"):
        write_example(output, links)
        code, issues = validate(output)
    # The validator asks for two authors or more; a program is none.
    assert [name for name, _ in issues if name != "TOO_FEW_AUTHORS"] == []
    assert code == 0


def test_the_validator_would_object_without_our_list_of_exceptions(tmp_path, validate):
    write_example(tmp_path, {"raw": tmp_path.parent})
    (tmp_path / ".bidsignore").unlink()
    code, issues = validate(tmp_path)
    assert code == 16
    assert "NOT_INCLUDED" in {name for name, _ in issues}


def test_description_is_relative_and_names_the_source(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "dataset_description.json").write_text('{"DatasetDOI": "doi:10.1/x", "Name": "n"}')
    output = tmp_path / "out" / "neurodnn"
    content = dataset_description(output, {"raw": raw, "prep": tmp_path / "p"}, version="1.2")
    assert content["DatasetLinks"] == {"raw": "../../raw", "prep": "../../p"}
    assert content["SourceDatasets"] == [
        {"URL": "../../raw", "DOI": "doi:10.1/x"}, {"URL": "../../p"}]  # fmt: skip
    assert content["GeneratedBy"] == [{"Name": "neurodnn", "Version": "1.2"}]
    assert content["DatasetType"] == "derivative"
    assert str(tmp_path) not in json.dumps(content)
    with pytest.raises(InputError, match="dataset link-: is not a valid BIDS label"):
        dataset_description(output, {"my data": raw}, version="1")


def test_shared_files_are_left_alone_if_equal_and_mended_if_not(tmp_path):
    write_description(tmp_path, {"raw": tmp_path.parent}, version="1")
    inodes = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    write_description(tmp_path, {"raw": tmp_path.parent}, version="1")
    assert inodes == {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    write_description(tmp_path, {"raw": tmp_path.parent}, version="2")
    assert '"Version": "2"' in (tmp_path / "dataset_description.json").read_text()
    assert (tmp_path / ".bidsignore").read_text() == BIDSIGNORE


def test_links_of_earlier_runs_stay(tmp_path):
    output = tmp_path / "out"
    write_description(output, {"raw": tmp_path, "fmriprep": tmp_path / "prep"}, version="1")
    write_description(output, {"raw": tmp_path / "moved"}, version="1")
    content = json.loads((output / "dataset_description.json").read_text())
    assert content["DatasetLinks"] == {"raw": "../moved", "fmriprep": "../prep"}
    for foreign in ('{"Name": "other", "DatasetLinks": {"a": "b"}}', "{"):
        (output / "dataset_description.json").write_text(foreign)
        write_description(output, {"raw": tmp_path}, version="1")
        content = json.loads((output / "dataset_description.json").read_text())
        assert content["DatasetLinks"] == {"raw": ".."}


def test_what_is_ignored_is_what_the_design_lists():
    assert BIDSIGNORE.split() == (
        "*.html figures group models *_statmap.* *_rdm.* *_timeseries.* *_unit.* *_ave.* *.stc "
        "*_scores.* *_clusters.* *_mesh.*"
    ).split()
