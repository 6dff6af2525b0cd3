"""The files of one subject: mask, maps, patterns, each with its sidecar and summary entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn.bids import State, derivative_state, sidecar_path, write_derivative
from neurodnn.pipeline.group_intact import label_hash
from neurodnn.pipeline.jobs import Job, Loaded, Reference
from neurodnn.pipeline.logs import LOGGER
from neurodnn.pipeline.provenance import Context

if TYPE_CHECKING:
    from neurodnn.pipeline.subject_tests import SubjectTests


@dataclass
class JobFiles:
    """Writes the files of one job and remembers which."""

    job: Job
    context: Context
    loaded: Loaded
    common: dict[str, Any]
    sources: list[str]
    written: list[Path] = field(default_factory=list)

    def put(self, relative: Path, image: Any, fields: dict[str, Any]) -> str:
        """Write an image with its sidecar; return its place in the output folder."""
        sidecar = {"Sources": self.sources, **self._spatial(), **fields}
        config = self.context.config
        write_derivative(config.output_dir / relative, image, sidecar, overwrite=config.overwrite)
        LOGGER.debug("wrote %s", relative)
        self.written.append(relative)
        return relative.as_posix()

    def put_map(self, relative: Path, values: Any, fields: dict[str, Any]) -> tuple[str, Any]:
        """Write one value per voxel of the mask; return its place and the image."""
        from neurodnn.brain.fmri import scores_to_image

        image = scores_to_image(values, self.loaded.mask)
        return self.put(relative, image, {**fields, **self.common}), image

    def _spatial(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.job.space:
            fields["SpatialReference"] = self.job.space
        if self.job.resolution:
            fields["Resolution"] = "as of the preprocessed images"
        return fields


def write_mask(files: JobFiles) -> None:
    """Write the voxels that were analysed."""
    # no SoftwareVersions here: in a BIDS mask that key means the scanner's, and must be a text
    hashes = {key: files.common[key] for key in ("InputHash", "ParameterHash")}
    what = f"Voxels that were analysed: {files.loaded.how_mask}"
    fields = {"Description": what, "Type": "Brain", **hashes}
    files.put(files.job.mask_path, files.loaded.mask, fields)


def write_maps(files: JobFiles, scores: Any, tests: SubjectTests) -> list[dict[str, Any]]:
    """Write the maps of all references; return their entries in the summary."""
    entries = []
    for reference in files.context.references.references:
        entry, peak = _write_score(files, reference, scores)
        if tests.label is not None:
            _write_label(files, reference, tests.label, entry, peak)
        entries.append(entry)
    return entries


def _write_score(
    files: JobFiles, reference: Reference, scores: Any
) -> tuple[dict[str, Any], tuple[int, ...] | None]:
    """Write the map of one reference; return its entry and the voxel of its peak."""
    from neurodnn.report.peaks import find_peaks

    fields = {
        "Description": f"Agreement of the patterns round each voxel with {reference.name}",
        **_of_reference(files, reference),
    }
    relative = files.job.map_path(reference, files.context.statistic)
    path, image = files.put_map(relative, scores.sel(reference=reference.name), fields)
    entry: dict[str, Any] = {
        "Reference": reference.name,
        "Label": reference.label,
        "Statistic": files.context.statistic,
        "Path": path,
    }
    data = np.asarray(image.dataobj)
    peaks = find_peaks(data, image.affine, count=1)
    if not peaks:
        return entry, None
    peak = peaks[0]
    entry["Peak"] = {"Value": peak.value, "X": peak.x, "Y": peak.y, "Z": peak.z}
    entry["Mean"] = float(np.nanmean(data, dtype=np.float64))
    return entry, peak.index


def _write_label(
    files: JobFiles, reference: Reference, label: Any, entry: dict[str, Any],
    peak: tuple[int, ...] | None,
) -> None:  # fmt: skip
    """Write p over shuffled stimuli beside the map of one reference, and note it in its entry."""
    fields = {
        "Description": "p of the agreement with " + reference.name + " over shuffled stimuli, "
        "corrected for all voxels and references together",
        **_of_reference(files, reference),
    }
    stated = {**files.common, **fields_of_test(label.attrs)}
    from neurodnn.brain.fmri import scores_to_image

    image = scores_to_image(label["p_fwe"].sel(reference=reference.name), files.loaded.mask)
    entry["LabelP"] = files.put(files.job.label_path(reference), image, {**fields, **stated})
    data = np.asarray(image.dataobj)
    if peak is not None and np.isfinite(data[peak]):
        entry["Peak"]["PStimuli"] = float(data[peak])
    entry["VoxelsBelow05Stimuli"] = int((np.nan_to_num(data, nan=1.0) < 0.05).sum())


def fields_of_test(attributes: Any) -> dict[str, Any]:
    """Return what sidecars and summaries say of a permutation test."""
    family = attributes["family"]
    family = [family] if isinstance(family, str) else list(family)
    return {
        "GeneralisesTo": str(attributes["generalises_to"]),
        "MultipleTestingFamily": " x ".join(map(str, family)),
        "Tail": str(attributes["tail"]),
        "NumberOfPermutations": int(attributes["n_permutations"]),
        "MinimumP": float(attributes["minimum_p"]),
        "RandomSeed": int(attributes["seed"]),
    }


def label_entry(tests: SubjectTests) -> dict[str, Any]:
    """Return what the summary says of the test over stimuli, or why there is none."""
    if tests.label is None:
        return {"SkippedBecause": tests.label_skipped}
    return fields_of_test(tests.label.attrs)


def write_reliability(files: JobFiles, tests: SubjectTests) -> dict[str, Any]:
    """Write the map of split-half reliability; return its entry, or why there is none."""
    if tests.reliability is None:
        return {"SkippedBecause": tests.reliability_skipped}
    what = (
        "Agreement of the RDMs of two halves of the runs round each voxel, mean over splits, "
        "stepped up to all runs (Spearman-Brown)"
    )
    relative = files.job.reliability_path(files.context.statistic)
    path, image = files.put_map(relative, tests.reliability, {"Description": what})
    data = np.asarray(image.dataobj, dtype=float)
    finite = data[np.isfinite(data)]
    splits, runs = (int(tests.reliability.attrs[key]) for key in ("n_splits", "n_runs"))
    entry: dict[str, Any] = {"Path": path, "Runs": runs, "Splits": splits}
    if finite.size:
        entry |= {"Mean": float(finite.mean()), "Highest": float(finite.max())}
    return entry


def write_patterns(files: JobFiles) -> dict[str, Any]:
    """Write the patterns that were analysed, and residuals where they were; return the entry.

    The group level reads them again: shuffling stimuli over all subjects at once needs every
    subject's patterns, and no model is fitted twice.
    """
    from neurodnn.workflows.analysed_patterns import analysed_patterns

    config = files.context.config
    patterns = analysed_patterns(files.loaded.patterns, config.metric)
    stimuli = list(patterns.obs_descriptors["stimulus"])
    fields: dict[str, Any] = {
        "Description": "Patterns that were analysed, one volume per entry of Stimuli",
        "Stimuli": stimuli,
        **{key: files.common[key] for key in _OF_PATTERNS},
    }
    if "run" in patterns.obs_descriptors:
        fields["Runs"] = list(patterns.obs_descriptors["run"])
    image = _volumes(patterns.measurements, files.loaded.mask)
    path = files.put(files.job.patterns_path(config.estimate), image, fields)
    entry: dict[str, Any] = {"Path": path, "Volumes": len(stimuli),
                             "LabelHash": label_hash(stimuli, fields.get("Runs"))}  # fmt: skip
    if files.loaded.residuals is not None and config.metric in ("mahalanobis", "crossnobis"):
        entry |= _write_residuals(files)
    return entry


def _write_residuals(files: JobFiles) -> dict[str, Any]:
    """Write the residuals, a file per run: together they would not fit into memory."""
    residuals = files.loaded.residuals
    runs = np.array([str(run) for run in residuals.obs_descriptors["run"]])
    paths = []
    for number, run in enumerate(dict.fromkeys(runs), 1):
        rows = residuals.measurements[runs == run]
        fields = {
            "Description": "Residuals of the linear model, from which the noise was estimated",
            "Run": str(run),
            "Descriptors": dict(residuals.descriptors),
            **{key: files.common[key] for key in _OF_PATTERNS},
        }
        image = _volumes(rows, files.loaded.mask)
        paths.append(files.put(files.job.residuals_path(number), image, fields))
    return {"Residuals": paths, "ResidualVolumes": len(runs)}


_OF_PATTERNS = ("SoftwareVersions", "Warnings", "InputHash", "ParameterHash")


def _volumes(rows: np.ndarray, mask: Any) -> Any:
    """Return rows x voxels of the mask as a 4-D image, NaN outside."""
    from neurodnn.brain.masks import mask_array
    from neurodnn.brain.nifti import fresh_image

    inside = mask_array(mask)
    data = np.full((*inside.shape, len(rows)), np.nan, np.float32)
    data[inside] = np.asarray(rows).T
    return fresh_image(data, mask)


def optional_paths(job: Job, context: Context) -> list[Path]:
    """Return where files of a job may stand that only some options make."""
    paths = [job.label_path(each) for each in context.references.references]
    paths += [job.reliability_path(context.statistic)]
    paths += [job.residuals_path(number) for number in range(1, len(job.runs) + 1)]
    return [*paths, *dict.fromkeys(job.patterns_path(each) for each in ("beta", "t"))]


def written_paths(summary: Mapping[str, Any]) -> list[str]:
    """Return the files of a summary that only some options make."""
    patterns = summary.get("Patterns", {})
    found = [entry.get("LabelP") for entry in summary.get("Maps", [])]
    found += [summary.get("Reliability", {}).get("Path"), patterns.get("Path")]
    return [path for path in [*found, *patterns.get("Residuals", [])] if path]


def remove_stale(files: JobFiles) -> None:
    """Remove files of earlier options that this run did not write again (``--overwrite``)."""
    out = files.context.config.output_dir
    hashes = files.common["InputHash"], files.common["ParameterHash"]
    for relative in optional_paths(files.job, files.context):
        if relative in files.written or not files.context.config.overwrite:
            continue
        if derivative_state(out / relative, *hashes) is State.OTHER:
            (out / relative).unlink()
            sidecar_path(out / relative).unlink()


def _of_reference(files: JobFiles, reference: Reference) -> dict[str, Any]:
    return reference_fields(reference, files.sources, files.context)


def reference_fields(
    reference: Reference, sources: Sequence[str], context: Context
) -> dict[str, Any]:
    """Return what a sidecar says of the reference that its data were compared with."""
    fields: dict[str, Any] = {
        "Sources": [*sources, f"bids::{reference.rdm_path.as_posix()}"],
        "Layer": reference.layer,
        "LayerName": reference.name,
    }
    return {**fields, **network_fields(context, reference.source)}


def network_fields(context: Context, source: str) -> dict[str, Any]:
    """Return what a sidecar says of the network, where a layer of it is compared."""
    identity = context.references.identity
    if source != "network" or not identity:
        return {}
    return {
        "Network": identity["name"],
        "NetworkWeightsSHA256": identity["weights_sha256"],
        "ImageTransform": identity["transform"],
    }
