"""A4: from files with nothing but noise, through the command line, to the group's p."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import xarray as xr
from scipy.spatial.distance import squareform
from scipy.stats import t as student

import neurodnn as nd
from neurodnn.cli import main
from neurodnn.simulate.brain import in_template_space
from neurodnn.simulate.signals import smooth_noise
from protocols.counting import ALPHA, Arm, Columns, Measure, Protocol
from protocols.nulls import as_dataset, generator, random_references, stimulus_names

_SUBJECTS, _STIMULI, _LAYERS = [f"{i:02d}" for i in range(1, 9)], 12, 3
_SHAPE, _SPACING, _RADIUS = (6, 6, 6), 4.0, 6.0  # voxels, mm, mm
_SPACE = "T1w"
# Every file is forced onto the disk, which takes most of the time where this is a real one.
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_OPTIONS = ["--network", "none", "--radius", str(_RADIUS), "--n-cpus", "1", "-q"]
_TESTS = ["--label-permutations", "100", "--inference", "max", "cluster-mass",
          "--cluster-threshold", "0.01"]  # fmt: skip


def _grid() -> nibabel.Nifti1Image:
    return in_template_space(np.ones(_SHAPE, np.uint8), np.diag([_SPACING] * 3 + [1.0]))


def _noise(rng: np.random.Generator, mask: nibabel.Nifti1Image) -> np.ndarray:
    """Return patterns of one subject, stimuli x voxels: noise smooth over 6 mm, nothing else."""
    return smooth_noise(mask, _STIMULI, rng, autocorrelation=0).astype(float)


def command_line(indices: range, seed: int) -> Columns:
    """Write betas, run both levels, read the group's maps of p."""
    columns: dict[str, list[bool]] = {}
    for i in indices:
        with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
            root = Path(folder)
            rdms = _write_study(root, generator(seed, 4, i))
            words = [str(root / "bids"), str(root / "out"), "-w", str(root / "work"),
                     "--reference-rdms", *rdms, *_OPTIONS, *_TESTS]  # fmt: skip
            for level in ("participant", "group"):
                said = io.StringIO()
                with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                    code = main([*words[:2], level, *words[2:]])
                if code != 0:
                    raise RuntimeError(f"neurodnn {level} ended with {code}: {said.getvalue()}")
            group, first = root / "out" / "group", root / "out" / "sub-01" / "func"
            t = _values(group, "stat-t_desc-searchlight_")
            p = {
                "subjects": _values(group, "stat-p_desc-searchlightFWE_"),
                "clusters": _values(group, "stat-p_desc-searchlightMass_"),
                "stimuli": _values(group, "stat-p_desc-searchlightStimuli_"),
                "one": _values(first, "stat-p_desc-searchlightLabelFWE_"),
                "naive": 2 * student(len(_SUBJECTS) - 1).sf(np.abs(t)),
            }
            for name, values in p.items():
                # Maps are float32: .05 may be stored a little above itself.
                found = bool(np.nanmin(values) <= ALPHA * (1 + 1e-6))
                columns.setdefault(name, []).append(found)
    return columns


def library(indices: range, seed: int) -> Columns:
    """The same steps called from a script."""
    mask, columns = _grid(), {"subjects": [], "naive": []}
    for i in indices:
        rng = generator(seed, 4, i)
        references = random_references(rng, _LAYERS, _STIMULI)
        maps = [
            nd.fmri_searchlight(as_dataset(_noise(rng, mask)), mask, references, radius=_RADIUS)
            for _ in _SUBJECTS
        ]
        group = nd.group_maps(xr.concat(maps, dim="subject"))
        columns["subjects"].append(bool(np.nanmin(group["p_fwe"]) <= ALPHA))
        columns["naive"].append(bool(np.nanmin(group["p"]) <= ALPHA))
    return columns


def _write_study(root: Path, rng: np.random.Generator) -> list[str]:
    """Write a BIDS data set of responses and the RDMs of three layers; return their paths."""
    mask, names = _grid(), stimulus_names(_STIMULI)
    references = random_references(rng, _LAYERS, _STIMULI)
    paths = []
    for label, row in zip(references.rdm_descriptors["reference"], references.dissimilarities,
                          strict=True):  # fmt: skip
        lines = [",".join(["", *names])]
        lines += [",".join([name, *(repr(float(value)) for value in values)])
                  for name, values in zip(names, squareform(row), strict=True)]  # fmt: skip
        paths.append(root / f"{label}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    bids = root / "bids"
    _describe(bids, {"DatasetType": "raw"})
    _describe(bids / "derivatives" / "betas",
              {"DatasetType": "derivative", "GeneratedBy": [{"Name": "noise"}]})  # fmt: skip
    for subject in _SUBJECTS:
        (bids / f"sub-{subject}" / "func").mkdir(parents=True)
        func = bids / "derivatives" / "betas" / f"sub-{subject}" / "func"
        func.mkdir(parents=True)
        stem = f"sub-{subject}_task-look"
        values = _noise(rng, mask).T.reshape(*_SHAPE, _STIMULI).astype(np.float32)
        name = f"{stem}_run-1_space-{_SPACE}_stat-effect_statmap"
        nibabel.save(nibabel.Nifti1Image(values, mask.affine), func / f"{name}.nii.gz")
        (func / f"{name}.tsv").write_text("\n".join(["stimulus", *names]) + "\n")
        nibabel.save(mask, func / f"{stem}_space-{_SPACE}_desc-brain_mask.nii.gz")
    return [str(path) for path in paths]


def _describe(folder: Path, content: dict) -> None:
    folder.mkdir(parents=True)
    content = {"Name": "noise", "BIDSVersion": "1.11.1"} | content
    (folder / "dataset_description.json").write_text(json.dumps(content))


def _values(folder: Path, name: str) -> np.ndarray:
    """Return the maps of all layers that bear a name."""
    paths = sorted(folder.glob(f"*_{name}statmap.nii.gz"))
    if len(paths) != _LAYERS:
        raise RuntimeError(f"{len(paths)} maps {name} in place of {_LAYERS}")
    return np.stack([nibabel.load(path).get_fdata() for path in paths])


A4 = Protocol(
    "A4",
    "The whole way from files to p",
    "A group of brains with nothing but noise goes through the command line, from images on disk "
    "to the group's maps. How often does the report show a finding?",
    f"{len(_SUBJECTS)} subjects, 6 x 6 x 6 voxels of 4 mm with noise smooth over 6 mm, "
    f"{_STIMULI} stimuli, RDMs of {_LAYERS} random layers; neurodnn participant and group, "
    "spheres of 6 mm, all sign flips, 100 relabellings of stimuli; corrected over voxels and "
    "layers. Read from the NIfTI maps that the command wrote.",
    "Reading, matching of stimuli, searchlight, statistics and writing together keep the promise "
    "that each part makes. Maps thresholded at p <= .05 without correction practically always "
    "show something.",
    [
        Arm(
            "command line", command_line, {"nightly": 300, "release": 2000},
            [
                Measure("subjects", "any voxel and layer, sign flips over subjects"),
                Measure("stimuli", "any voxel and layer, stimuli relabelled, group"),
                Measure("one", "any voxel and layer, stimuli relabelled, one subject"),
                Measure("clusters", "any cluster, by mass, forming p < .01", "clusters"),
                Measure("naive", "any voxel and layer, t-test without correction", "caught",
                        naive=True),
            ],
            block=5,
        ),
        Arm(
            "the same in a script", library, {"nightly": 300, "release": 2000},
            [
                Measure("subjects", "any voxel and layer, sign flips over subjects"),
                Measure("naive", "any voxel and layer, without correction", "caught", naive=True),
            ],
        ),
    ],
)  # fmt: skip
