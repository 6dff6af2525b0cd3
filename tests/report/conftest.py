"""A plausible output tree, written by hand: what the pages are built from, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

from neurodnn.bids import write_derivative

LAYERS = ("conv1", "conv3")
# where each layer is planted, x, y, z in mm: left, right
PLACES = {"conv1": (-12.0, -92.0, -2.0), "conv3": (36.0, -64.0, -14.0)}
AFFINE = np.array([[6.0, 0, 0, -72], [0, 6.0, 0, -108], [0, 0, 6.0, -66], [0, 0, 0, 1]])
SHAPE = (25, 31, 26)


def blob(place, *, affine=AFFINE, shape=SHAPE, height=0.35, noise=0.03, seed=0) -> np.ndarray:
    """A map with one smooth peak at `place` (mm) inside an ellipsoid; NaN outside."""
    index = np.indices(shape).reshape(3, -1).T
    world = nibabel.affines.apply_affine(affine, index)
    inside = (((world - [0, -17, 8]) / [68, 88, 72]) ** 2).sum(axis=1) <= 1
    data = height * np.exp(-((world - place) ** 2).sum(axis=1) / (2 * 9.0**2))
    data += noise * np.random.default_rng(seed).normal(size=data.size)
    data[~inside] = np.nan
    return data.reshape(shape).astype(np.float32)


def save_map(root: Path, relative: str, data: np.ndarray, affine=AFFINE) -> str:
    """Write a map below `root` and return its relative path."""
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return relative


def write_json(path: Path, content: dict) -> Path:
    """Write a summary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_rdms(root: Path, layers=LAYERS, stimuli=None, folder="models/model-net") -> list[dict]:
    """Write one RDM per layer and return the summary's ``References``."""
    stimuli = stimuli or [f"{kind}_{n}" for kind in ("face", "house", "tool") for n in range(4)]
    entries = []
    for number, layer in enumerate(layers):
        rng = np.random.default_rng(number)
        pairs = len(stimuli) * (len(stimuli) - 1) // 2
        label = "".join(letter for letter in layer if letter.isalnum()) or f"layer{number}"
        path = root / folder / f"model-net_layer-{label}_rdm.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        rdms = RDMs(
            rng.random((1, pairs)),
            rdm_descriptors={"reference": [layer]},
            pattern_descriptors={"stimulus": list(stimuli)},
        )
        write_derivative(path, rdms)
        entries.append(
            {"Name": layer, "Label": label, "RDM": path.relative_to(root).as_posix()}
        )
    return entries


def subject_summary(root: Path, subject: str, layers=LAYERS, **changes) -> dict:
    """The content of one subject's summary; its maps are written on the way."""
    maps = []
    for number, layer in enumerate(layers):
        place = PLACES.get(layer, (20.0, -60.0, 0.0))
        data = blob(place, seed=hash_of(subject) + number)
        label = "".join(letter for letter in layer if letter.isalnum()) or f"layer{number}"
        relative = (
            f"sub-{subject}/func/sub-{subject}_task-scenes_space-MNI152NLin2009cAsym_model-net_"
            f"layer-{label}_stat-rho_desc-searchlight_statmap.nii.gz"
        )
        save_map(root, relative, data)
        at = np.unravel_index(np.nanargmax(data), data.shape)
        x, y, z = nibabel.affines.apply_affine(AFFINE, at)
        maps.append(
            {"Reference": layer, "Label": label, "Statistic": "rho", "Path": relative,
             "Peak": {"Value": float(data[at]), "X": x, "Y": y, "Z": z},
             "Mean": float(np.nanmean(data))}
        )  # fmt: skip
    content = {
        "Subject": subject, "Task": "scenes", "Space": "MNI152NLin2009cAsym",
        "Inputs": [
            {"Kind": "bold", "Path": f"derivatives/fmriprep/sub-{subject}/func/sub-{subject}_"
             "task-scenes_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz",
             "SHA256": "ab" * 32},
            {"Kind": "events", "Path": f"sub-{subject}/func/sub-{subject}_task-scenes_run-1_"
             "events.tsv", "SHA256": "cd" * 32},
        ],
        "Stimuli": {"Column": "stim_file", "KeyRule": "name", "Matched": 12, "InEvents": 13,
                    "InTable": 12, "OnlyInEvents": ["fixation"], "OnlyInTable": []},
        "Network": {"name": "neurodnn:scenes", "label": "scenes", "weights_sha256": "ef" * 32,
                    "transform": "whole image to 64 x 64, antialiased",
                    "architecture": "convolutional, 5 layers", "note": "trained on drawn scenes"},
        "References": write_rdms(root, layers),
        "Parameters": {"network": "neurodnn:scenes", "metric": "correlation",
                       "compare": "spearman", "radius": 9.0, "min-share": 0.5,
                       "dtype": "float64", "layers": list(layers)},
        "MaskVoxels": 6401, "Centres": 6100, "NotComputed": {"too few features": 301},
        "Confounds": "Six motion parameters, none missing.",
        "Maps": maps,
        "Methods": "For every voxel of the brain mask, the dissimilarities (1 - Pearson r) of the "
        "response patterns within 9 mm were compared with those of each layer by Spearman rho.",
        "Citations": ["kriegeskorte2006", "kriegeskorte2008"],
        "Warnings": ["Run 1: one volume was left out."],
        "SoftwareVersions": {"neurodnn": "0.1.0", "numpy": "2.4.6"},
        "Failures": [],
    }  # fmt: skip
    content.update(changes)
    return content


def add_own_tests(root: Path, content: dict) -> dict:
    """Add p over stimuli and reliability to a subject's summary, with their maps."""
    for entry in content["Maps"]:
        score = nibabel.load(root / entry["Path"]).get_fdata()
        p = np.where(np.isnan(score), np.nan, np.where(score > 0.12, 0.004, 0.7))
        path = entry["Path"].replace("stat-rho_desc-searchlight", "stat-p_desc-searchlightLabelFWE")
        entry["LabelP"] = save_map(root, path, p.astype(np.float32))
    subject = content["Subject"]
    path = f"sub-{subject}/func/sub-{subject}_task-scenes_stat-rho_desc-reliability_statmap.nii.gz"
    data = blob(PLACES["conv1"], height=0.6, seed=5)
    content["LabelTest"] = {"GeneralisesTo": "stimuli", "NumberOfPermutations": 250,
                            "MinimumP": 0.004}  # fmt: skip
    content["Reliability"] = {"Path": save_map(root, path, data), "Runs": 4, "Splits": 3}
    return content


def hash_of(text: str) -> int:
    """A small number from a text, the same in every process."""
    return sum(map(ord, text))


def write_subject(root: Path, subject: str, layers=LAYERS, **changes) -> Path:
    """Write a subject's maps, RDMs and summary."""
    content = subject_summary(root, subject, layers, **changes)
    path = root / f"sub-{subject}" / "figures" / f"sub-{subject}_task-scenes_summary.json"
    return write_json(path, content)


def write_group(root: Path, layers=LAYERS, subjects=("01", "02"), **changes) -> Path:
    """Write group maps and ``group/summary.json``."""
    entries = []
    for number, layer in enumerate(layers):
        mean = blob(PLACES.get(layer, (20.0, -60.0, 0.0)), noise=0.01, seed=number)
        maps = {"mean": mean, "t": 30 * mean, "p": np.where(mean > 0.12, 0.008, 0.6)}
        label = "".join(letter for letter in layer if letter.isalnum()) or f"layer{number}"
        paths = {}
        for name, data in maps.items():
            desc = "searchlightFWE" if name == "p" else "searchlight"
            data = np.where(np.isnan(mean), np.nan, data).astype(np.float32)
            paths[name] = save_map(
                root, f"group/task-scenes_space-MNI152NLin2009cAsym_model-net_layer-{label}_"
                f"stat-{name}_desc-{desc}_statmap.nii.gz", data,
            )  # fmt: skip
        entries.append(
            {"Reference": layer, "Label": label, "Statistics": paths,
             "Peak": {"Value": float(np.nanmax(mean)), "X": 0, "Y": 0, "Z": 0,
                      "P": {"p": 0.008}}}
        )  # fmt: skip
    content = {
        "Subjects": list(subjects), "Task": "scenes", "Space": "MNI152NLin2009cAsym",
        "Tail": "two-sided", "Flips": 256, "Exact": True, "Family": ["voxel", "reference"],
        "MinimumP": 0.0078125, "Maps": entries, "GeneralisesTo": "subjects",
        "Parameters": {"compare": "spearman"},
        "Methods": "Maps were averaged over subjects and tested by flipping signs.",
        "Citations": ["nichols2002"], "Warnings": [], "SoftwareVersions": {"neurodnn": "0.1.0"},
    }  # fmt: skip
    content.update(changes)
    return write_json(root / "group" / "summary.json", content)


def add_group_tests(root: Path, path: Path) -> None:
    """Add cluster mass, p over stimuli, ceilings, clusters and a difference to a group."""
    content = json.loads(path.read_text())
    folder = "group/task-scenes_space-MNI152NLin2009cAsym"
    for entry in content["Maps"]:
        mean = nibabel.load(root / entry["Statistics"]["mean"]).get_fdata()
        added = (("p_cluster-mass", "Mass", 0.016), ("p_stimuli", "Stimuli", 0.001))
        for key, desc, small in added:
            p = np.where(np.isnan(mean), np.nan, np.where(mean > 0.1, small, 1.0))
            name = entry["Statistics"]["p"].replace("searchlightFWE", f"searchlight{desc}")
            entry["Statistics"][key] = save_map(root, name, p.astype(np.float32))
    content["Inferences"] = [
        {"Name": "max", "Title": "maximum statistic", "Key": "p"},
        {"Name": "cluster-mass", "Title": "cluster mass", "Key": "p_cluster-mass"},
    ]
    content["StimuliTest"] = {"GeneralisesTo": "stimuli", "NumberOfPermutations": 1000,
                              "Stimuli": 12, "MinimumP": 0.001}  # fmt: skip
    content["Ceilings"] = {
        bound: save_map(root, f"{folder}_stat-rho_desc-ceiling{bound}_statmap.nii.gz",
                        blob(PLACES["conv1"], height=height, noise=0, seed=9))
        for bound, height in (("Lower", 0.4), ("Upper", 0.5))
    }  # fmt: skip
    difference = blob(PLACES["conv1"], noise=0) - blob(PLACES["conv3"], noise=0)
    maps = {"mean": difference, "t": 20 * difference,
            "p": np.where(np.abs(difference) > 0.2, 0.02, 0.9)}  # fmt: skip
    statistics = {
        key: save_map(root, f"{folder}_contrast-conv1MinusConv3_stat-{key}_statmap.nii.gz",
                      np.where(np.isnan(difference), np.nan, data).astype(np.float32))
        for key, data in maps.items()
    }  # fmt: skip
    content["Contrasts"] = [{"Reference": "conv1 - conv3", "Statistics": statistics}]
    table = f"{folder}_desc-searchlightMass_clusters.tsv"
    rows = [f"{number}\tconv1\t+\t{50 - number}\t{216 * (50 - number)}\t123.4\t{p}\t-12\t-92\t-2"
            "\tleft\t9.5\t0.35" for number, p in enumerate([0.016] * 2 + [0.5] * 8, 1)]  # fmt: skip
    header = ("cluster\treference\tsign\tsize_voxels\tsize_mm3\tmass\tp\tx\ty\tz\tside\t"
              "peak_t\tpeak_mean")  # fmt: skip
    (root / table).write_text("\n".join([header, *rows]) + "\n")
    content["ClusterTables"] = [{"Inference": "cluster-mass", "Path": table}]
    write_json(path, content)


@pytest.fixture(scope="session")
def parts():
    """The makers of this file, for tests that write a tree of their own."""
    return SimpleNamespace(
        LAYERS=LAYERS, PLACES=PLACES, AFFINE=AFFINE, SHAPE=SHAPE, blob=blob, save_map=save_map,
        write_json=write_json, write_rdms=write_rdms, write_subject=write_subject,
        subject_summary=subject_summary, write_group=write_group,
        add_group_tests=add_group_tests, add_own_tests=add_own_tests,
    )  # fmt: skip


@pytest.fixture(scope="session")
def finished_tree(tmp_path_factory):
    """A tree of two subjects and a group with all its pages; read only."""
    from neurodnn.report import write_index, write_subject_report

    root = tmp_path_factory.mktemp("finished")
    for subject in ("01", "02"):
        path = write_subject(root, subject)
        write_json(path, add_own_tests(root, json.loads(path.read_text())))
    add_group_tests(root, write_group(root))
    for subject in ("01", "02"):
        write_subject_report(root, subject)
    write_index(root)
    return root


@pytest.fixture
def make_tree(tmp_path):
    """A function that writes an output tree and returns its folder."""

    def make(subjects=("01", "02"), layers=LAYERS, group=True, **changes) -> Path:
        root = tmp_path / "out"
        for subject in subjects:
            write_subject(root, subject, layers, **changes)
        if group:
            write_group(root, layers, subjects)
        return root

    return make


class Browser:
    """Headless Chromium through chromedriver, spoken to by the standard library alone."""

    def __init__(self, driver: str, chromium: str, folder: Path) -> None:
        import socket
        import subprocess

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--window-size=1280,1000",
            "--user-data-dir=" + str(folder),
        ]  # fmt: skip
        options = {"args": arguments, "binary": chromium}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._wait_for_driver()
        reply = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{reply['sessionId']}"

    def _wait_for_driver(self) -> None:
        import time
        import urllib.error

        for _ in range(300):
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError("chromedriver does not answer")

    def _ask(self, method: str, path: str, content: dict | None = None):
        import urllib.request

        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json"}, method=method
        )
        # no proxy: the driver is on this machine
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as reply:
            return json.load(reply)["value"]

    def open(self, path: Path) -> None:
        """Open a file as a user would, from file://."""
        self.complaints()
        self._ask("POST", f"{self.session}/url", {"url": path.resolve().as_uri()})

    def run(self, script: str, *values):
        """Run a function body in the page and return what it returns."""
        content = {"script": script, "args": list(values)}
        return self._ask("POST", f"{self.session}/execute/sync", content)

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        import time

        for _ in range(300):
            if self.run(f"return Boolean({script})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"never true: {script}")

    def keys(self, *names: str) -> None:
        """Press and release keys in the element that has the focus."""
        moves = [{"type": kind, "value": name} for name in names for kind in ("keyDown", "keyUp")]
        self._ask("POST", f"{self.session}/actions",
                  {"actions": [{"type": "key", "id": "keys", "actions": moves}]})  # fmt: skip

    def complaints(self) -> list[str]:
        """Everything that was written to the console since the last call."""
        entries = self._ask("POST", f"{self.session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._ask("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait(timeout=20)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium, or the test is skipped."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs Chromium (or Chrome) and chromedriver on the PATH")
    found = Browser(driver, chromium, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()
