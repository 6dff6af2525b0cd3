"""The group level: maps of all subjects -> mean, t and corrected p; done once, resumed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurodnn import __version__
from neurodnn._checks import InputError, message
from neurodnn.bids import (
    build_name,
    is_done,
    lock_output,
    parse_name,
    read_json,
    sidecar_path,
    write_derivative,
    write_description,
)
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_plan import GroupJob
from neurodnn.pipeline.jobs import Plan
from neurodnn.pipeline.logs import (
    LOGGER,
    Scrubber,
    collected_warnings,
    open_run_log,
    software_versions,
)
from neurodnn.pipeline.resume import hash_of, parameter_hash

STATISTICS = {
    "mean": ("mean", "searchlight", "Mean over subjects"),
    "t": ("t", "searchlight", "t over subjects against 0"),
    "p": ("p", "searchlightFWE", "p corrected for all voxels and references together"),
}


def run_group(plan: Plan) -> int:
    """Test each group of subjects and write maps, summary and index; return the exit code."""
    from neurodnn.pipeline.pages import write_citations
    from neurodnn.report import write_index

    config = plan.config
    out, scrub = config.output_dir, Scrubber(config)
    planned = [(job, *_hashes(job, config)) for job in plan.jobs]
    todo = []
    for job, inputs, parameters in planned:
        alone = len(planned) == 1
        path = out / "group" / _summary_name(job, alone)
        if not _is_done(job, path, inputs, parameters, config):
            todo.append((job, inputs, parameters, path))
    with lock_output(out, None):
        open_run_log(config)
        for job, inputs, parameters, path in todo:
            LOGGER.info("%s: %d subjects", job.name, len(job.subjects))
            with collected_warnings(scrub) as warned:
                summary = _run_one(job, config, inputs, parameters, warned)
            write_derivative(path, summary)
            for note in summary["Warnings"]:
                LOGGER.warning("%s: %s", job.name, note)
        if not todo:
            LOGGER.info("group: done before, skipped")
        if not (out / "dataset_description.json").exists():
            write_description(out, {"raw": config.bids_dir}, version=__version__)
        write_citations(out)
        LOGGER.info("pages: %s", write_index(out).name)
    return 0


def _summary_name(job: GroupJob, alone: bool) -> str:
    if alone:
        return "summary.json"
    session, task, space = job.key
    parts = {"ses": session, "task": task, "space": space}
    return build_name({**parts, "suffix": "summary", "extension": ".json"})


def _hashes(job: GroupJob, config: Config) -> tuple[str, str]:
    maps = []
    for each in job.summaries:
        for entry in each["Maps"]:
            sidecar = read_json(sidecar_path(config.output_dir / entry["Path"]))
            maps.append([each["Subject"], entry["Reference"], sidecar.get("SHA256")])
    options = {"tail": config.tail, "n_permutations": config.n_permutations,
               "random_seed": config.random_seed}  # fmt: skip
    return hash_of({"maps": maps}), parameter_hash(options)


def _paths(job: GroupJob, entry: dict[str, Any]) -> dict[str, Path]:
    """Return where mean, t and p of one reference stand, relative to the output folder."""
    entities = {k: v for k, v in parse_name(entry["Path"]).items() if k != "sub"}
    return {
        name: Path("group") / build_name({**entities, "stat": stat, "desc": desc})
        for name, (stat, desc, _) in STATISTICS.items()
    }


def _is_done(
    job: GroupJob, summary: Path, inputs: str, parameters: str, config: Config
) -> bool:
    if len(job.subjects) < 2:
        return False  # costs nothing, and leaves no maps
    paths = [path for entry in job.summaries[0]["Maps"] for path in _paths(job, entry).values()]
    done = [is_done(config.output_dir / path, inputs, parameters, overwrite=config.overwrite)
            for path in paths]  # fmt: skip
    if not all(done) or not summary.exists():
        return False
    content = read_json(summary)
    return (content.get("InputHash"), content.get("ParameterHash")) == (inputs, parameters)


def _run_one(
    job: GroupJob, config: Config, inputs: str, parameters: str, warned: list[str]
) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "Subjects": job.subjects,
        "Task": job.key[1],
        "Space": job.key[2],
        "Parameters": {
            **job.summaries[0].get("Parameters", {}),
            "tail": config.tail,
            "n_permutations": config.n_permutations,
            "random_seed": config.random_seed,
        },
        "SoftwareVersions": software_versions(),
        "InputHash": inputs,
        "ParameterHash": parameters,
    }
    if len(job.subjects) < 2:
        reason = f"a group test needs subjects, and there is one (sub-{job.subjects[0]})"
        LOGGER.warning("%s: skipped, %s", job.name, reason)
        return {**summary, "Maps": [], "SkippedBecause": reason, "Methods": "",
                "Citations": [], "Warnings": []}  # fmt: skip
    scores, grid, notes = _stack(job, config.output_dir)
    tested = _test(scores, config)
    entries = [
        _write_maps(job, entry, tested, grid, config, (inputs, parameters))
        for entry in job.summaries[0]["Maps"]
    ]
    warnings = list(dict.fromkeys([*notes, *warned]))
    return {**summary, **_of_test(tested, len(job.subjects)), "Maps": entries,
            "Warnings": warnings}  # fmt: skip


def _of_test(tested: Any, n_subjects: int) -> dict[str, Any]:
    """Return what the summary says of the test, with its methods paragraph."""
    from neurodnn.workflows import group_maps

    attributes, sizes = tested.attrs, tested.sizes
    methods, cited = group_maps.describe({
        "n_subjects": n_subjects, "tail": attributes["tail"], "n_flips": attributes["n_flips"],
        "exact": bool(attributes["exact"]), "n_voxels": sizes["voxel"],
        "n_references": sizes["reference"], "minimum_p": attributes["minimum_p"],
    })  # fmt: skip
    return {
        "Tail": str(attributes["tail"]),
        "Flips": int(attributes["n_flips"]),
        "Exact": bool(attributes["exact"]),
        "Family": " x ".join(attributes["family"]),
        "MinimumP": float(attributes["minimum_p"]),
        "Voxels": int(sizes["voxel"]),
        "GeneralisesTo": str(attributes["generalises_to"]),
        "Methods": methods,
        "Citations": cited,
    }


def _stack(job: GroupJob, out: Path) -> tuple[Any, Any, list[str]]:
    """Return scores (subject, voxel, reference) where all have one, the grid, and notes."""
    import xarray as xr

    from neurodnn.brain.nifti import check_same_grid, fresh_image, read_image

    names = [entry["Reference"] for entry in job.summaries[0]["Maps"]]
    first, volumes = None, []
    for each in job.summaries:
        subject = []
        for entry in each["Maps"]:
            image = read_image(out / entry["Path"], ndim=3, allow_empty=True)
            first = image if first is None else first
            check_same_grid(image, first, names=(entry["Path"], "map of the first subject"))
            subject.append(np.asarray(image.dataobj, dtype=np.float64))
        volumes.append(np.stack(subject))
    data = np.stack(volumes)  # subject, reference, x, y, z
    finite = np.isfinite(data)
    everywhere = finite.all(axis=(0, 1))
    anywhere = finite.any(axis=(0, 1))
    if not everywhere.any():
        raise InputError(message(job.name, "no voxel has a score in all subjects",
                                 remedy="Leave out the subject whose mask is wrong."))  # fmt: skip
    lost = int(anywhere.sum() - everywhere.sum())
    notes = []
    if lost:
        notes.append(
            f"{lost} of {int(anywhere.sum())} voxels lack a score in some subject or reference "
            f"and were left out; the group was tested in the other {int(everywhere.sum())}."
        )
    scores = xr.DataArray(
        data[:, :, everywhere].transpose(0, 2, 1),
        dims=("subject", "voxel", "reference"),
        coords={"subject": job.subjects, "reference": names,
                "voxel": np.flatnonzero(everywhere)},
    )  # fmt: skip
    return scores, fresh_image(everywhere.astype(np.uint8), first), notes


def _test(scores: Any, config: Config) -> Any:
    from neurodnn.pipeline.subject import workers
    from neurodnn.workflows.group_maps import group_maps

    return group_maps(
        scores, n_permutations=config.n_permutations, tail=config.tail, seed=config.random_seed,
        n_jobs=workers(config),
    )  # fmt: skip


def _write_maps(
    job: GroupJob, entry: dict[str, Any], tested: Any, grid: Any, config: Config,
    hashes: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    from neurodnn.brain.fmri import scores_to_image
    from neurodnn.report.peaks import find_peaks

    out, name = config.output_dir, entry["Reference"]
    one = tested.sel(reference=name)
    paths = _paths(job, entry)
    values = {"mean": one["mean"], "t": one["t"], "p": one["p_fwe"]}
    common = _sidecar(job, name, tested.attrs, config, hashes)
    for statistic, (_, _, what) in STATISTICS.items():
        image = scores_to_image(values[statistic], grid)
        sidecar = {"Description": f"{what}: {name}", **common}
        write_derivative(out / paths[statistic], image, sidecar, overwrite=config.overwrite)
    found: dict[str, Any] = {
        "Reference": name,
        "Label": entry["Label"],
        "Statistics": {key: path.as_posix() for key, path in paths.items()},
    }
    mean = scores_to_image(values["mean"], grid)
    peaks = find_peaks(np.asarray(mean.dataobj), mean.affine, count=1)
    if peaks:
        peak = peaks[0]
        flat = int(np.ravel_multi_index(peak.index, mean.shape))
        p = float(one["p_fwe"].sel(voxel=flat))
        found["Peak"] = {"Value": peak.value, "X": peak.x, "Y": peak.y, "Z": peak.z, "PFWE": p}
    found["VoxelsBelow05"] = int((np.asarray(one["p_fwe"]) < 0.05).sum())
    return found


def _sidecar(
    job: GroupJob, name: str, attributes: Any, config: Config, hashes: Sequence[str]
) -> dict[str, Any]:
    sources = [f"bids::{each['Path']}" for summary in job.summaries
               for each in summary["Maps"] if each["Reference"] == name]  # fmt: skip
    return {
        "Sources": sources,
        **({"SpatialReference": job.key[2]} if job.key[2] else {}),
        "LayerName": name,
        "NumberOfSubjects": len(job.subjects),
        "NumberOfPermutations": int(attributes["n_flips"]),
        "Exact": bool(attributes["exact"]),
        "Tail": config.tail,
        "MultipleTestingFamily": " x ".join(attributes["family"]),
        "GeneralisesTo": str(attributes["generalises_to"]),
        "RandomSeed": config.random_seed,
        "SoftwareVersions": software_versions(),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }
