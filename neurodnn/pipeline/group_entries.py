"""What a group writes about its tests: maps by reference, ceilings, clusters, the summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurodnn.pipeline.cluster_tables import described_columns, in_millimetres
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_files import (
    GroupFiles,
    Target,
    ceiling_path,
    fields_of_test,
    p_key,
    sources_of,
    table_path,
    target_path,
)
from neurodnn.pipeline.group_plan import GroupJob
from neurodnn.pipeline.group_stimuli import StimulusTest
from neurodnn.pipeline.group_tests import ALPHA, SubjectsTest, find_pairs


def write_targets(
    files: GroupFiles, targets: Sequence[Target], subjects: SubjectsTest,
    stimuli: StimulusTest | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Write mean, t and every p of references or differences; return their summary entries.

    `stimuli` is None for differences: shuffled stimuli make both references worthless, which is
    another question than whether they are equally good.
    """
    return [_write_target(files, target, subjects, stimuli) for target in targets]


def _write_target(
    files: GroupFiles, target: Target, subjects: SubjectsTest, stimuli: StimulusTest | None
) -> dict[str, Any]:
    contrast = "contrast" in target.entities
    about = {"Sources": sources_of(files.job, target)}
    about["Contrast" if contrast else "LayerName"] = target.name
    written: dict[str, str] = {}

    def put(key: str, values: Any, what: str, fields: dict[str, Any]) -> Any:
        path = target_path(target, key)
        content = {"Description": f"{what}: {target.name}", **about, **fields}
        written[key] = path.as_posix()
        return files.put_map(path, values.sel(reference=target.name), content)

    stated = fields_of_test(subjects.tested.attrs)
    plain = {key: stated[key] for key in ("GeneralisesTo", "Tail")}
    mean = put("mean", subjects.tested["mean"], "Mean over subjects", plain)
    put("t", subjects.tested["t"], "t over subjects against 0", plain)
    corrected = {}
    for name, each in subjects.corrected.items():
        fields = {**fields_of_test(each.attributes, contrasts=contrast), "Inference": name}
        if each.enhanced is not None:
            put("tfce", each.enhanced, "Threshold-free enhanced t", fields)
        what = f"p over subjects, corrected for all voxels and {_kind(contrast)} ({name})"
        corrected[p_key(name)] = np.asarray(
            put(p_key(name), each.p, what, {**fields, **_connectivity(name, files.config)}).dataobj
        )
    if stimuli is not None and stimuli.tested is not None:
        what = "p over shuffled stimuli, corrected for all voxels and references"
        fields = {**fields_of_test(stimuli.tested.attrs), "NumberOfStimuli": stimuli.n_stimuli}
        corrected["p_stimuli"] = np.asarray(
            put("p_stimuli", stimuli.tested["p_fwe"], what, fields).dataobj
        )
    return {
        "Reference": target.name,
        "Label": target.label,
        "Statistics": written,
        **_peak(mean, corrected, stimuli),
        "VoxelsBelow05": {key: _below(data) for key, data in corrected.items()},
    }


def _kind(contrast: bool) -> str:
    return "differences" if contrast else "references"


def _connectivity(name: str, config: Config) -> dict[str, Any]:
    if name not in ("cluster-size", "cluster-mass", "tfce", "reference-study"):
        return {}
    fields: dict[str, Any] = {"Connectivity": config.connectivity}
    if name != "tfce":
        fields["ClusterThresholdP"] = config.cluster_threshold
    return fields


def _below(data: np.ndarray) -> int:
    return int((np.nan_to_num(data, nan=1.0) < ALPHA).sum())


def _peak(
    mean: Any, corrected: dict[str, np.ndarray], stimuli: StimulusTest | None
) -> dict[str, Any]:
    """Return the highest mean, where it is, and every p and the ceiling there."""
    from neurodnn.report.peaks import find_peaks

    peaks = find_peaks(np.asarray(mean.dataobj), mean.affine, count=1)
    if not peaks:
        return {}
    peak = peaks[0]
    found: dict[str, Any] = {"Value": peak.value, "X": peak.x, "Y": peak.y, "Z": peak.z}
    values = {key: float(data[peak.index]) for key, data in corrected.items()}
    found["P"] = {key: p for key, p in values.items() if np.isfinite(p)}
    if has_ceilings(stimuli):
        flat = int(np.ravel_multi_index(peak.index, mean.shape))
        for bound in ("lower", "upper"):
            value = float(stimuli.tested[f"ceiling_{bound}"].sel(voxel=flat))
            if np.isfinite(value):
                found[f"Ceiling{bound.title()}"] = value
    return {"Peak": found}


def has_ceilings(stimuli: StimulusTest | None) -> bool:
    """Whether there are noise ceilings; a partial correlation has none."""
    return stimuli is not None and stimuli.tested is not None and (
        "ceiling_lower" in stimuli.tested
    )  # fmt: skip


def write_ceilings(files: GroupFiles, stimuli: StimulusTest) -> dict[str, str]:
    """Write the maps of both bounds of the noise ceiling; return their places."""
    if not has_ceilings(stimuli):
        return {}
    written = {}
    for bound, against in (("Lower", "the other subjects"), ("Upper", "all subjects")):
        relative = ceiling_path(files.job, bound)
        what = f"Mean score of a subject's RDM against the mean RDM of {against}"
        sources = [f"bids::{each['Patterns']['Path']}" for each in files.job.summaries]
        values = stimuli.tested[f"ceiling_{bound.lower()}"]
        files.put_map(relative, values, {"Description": what, "Sources": sources,
                                         "NumberOfStimuli": stimuli.n_stimuli})  # fmt: skip
        written[bound] = relative.as_posix()
    return written


def write_tables(
    files: GroupFiles, subjects: SubjectsTest, targets: Sequence[Target], *, contrasts: bool
) -> list[dict[str, Any]]:
    """Write the clusters of each inference that makes clusters; return the summary entries."""
    entries = []
    for name, each in subjects.corrected.items():
        if each.clusters is None:
            continue
        table = in_millimetres(each.clusters, files.grid)
        sources = [path for target in targets for path in sources_of(files.job, target)]
        fields = {
            "Description": f"Clusters of voxels beyond the threshold, by {name}",
            "Sources": list(dict.fromkeys(sources)),
            **fields_of_test(each.attributes, contrasts=contrasts), "Inference": name,
            **_connectivity(name, files.config), **described_columns(table),
        }  # fmt: skip
        path = files.put_table(table_path(files.job, name, contrasts=contrasts), table, fields)
        entries.append({"Inference": name, "Path": path, "Clusters": len(table),
                        "Below05": int((table["p"] < ALPHA).sum())})  # fmt: skip
    return entries


def summary_of_tests(
    config: Config, job: GroupJob, subjects: SubjectsTest, stimuli: StimulusTest, n_voxels: int
) -> dict[str, Any]:
    """Return what the summary says of both tests, with their methods paragraph."""
    from neurodnn.workflows.group_inference import TITLES

    attributes = subjects.tested.attrs
    methods, cited = _methods(config, job, subjects, stimuli, n_voxels)
    over_stimuli: dict[str, Any] = {"SkippedBecause": stimuli.reason}
    if stimuli.tested is not None:
        over_stimuli = {**fields_of_test(stimuli.tested.attrs), "Stimuli": stimuli.n_stimuli}
    return {
        "Tail": str(attributes["tail"]),
        "Flips": int(attributes["n_flips"]),
        "Exact": bool(attributes["exact"]),
        "Family": " x ".join(attributes["family"]),
        "MinimumP": float(attributes["minimum_p"]),
        "Voxels": int(n_voxels),
        "GeneralisesTo": str(attributes["generalises_to"]),
        "SubjectsTest": {"SkippedBecause": subjects.reason} if subjects.reason else {},
        "Inferences": [
            {"Name": name, "Title": TITLES[name], "Key": p_key(name),
             **fields_of_test(each.attributes), **_connectivity(name, config)}
            for name, each in subjects.corrected.items()
        ],
        "StimuliTest": over_stimuli,
        "Methods": methods,
        "Citations": cited,
    }  # fmt: skip


def _methods(
    config: Config, job: GroupJob, subjects: SubjectsTest, stimuli: StimulusTest, n_voxels: int
) -> tuple[str, list[str]]:
    from neurodnn.workflows import group_methods, stimulus_test
    from neurodnn.workflows.group_inference import InferenceSettings

    names = [str(entry["Reference"]) for entry in job.summaries[0]["Maps"]]
    attributes, references = subjects.tested.attrs, len(names)
    heights = [each.attributes.get("threshold_t") for each in subjects.corrected.values()]
    text, cited = group_methods.describe({
        "inferences": list(subjects.corrected), "n_subjects": len(job.subjects),
        "tail": attributes["tail"], "n_flips": attributes["n_flips"],
        "exact": bool(attributes["exact"]), "n_voxels": n_voxels, "n_references": references,
        "minimum_p": attributes["minimum_p"], "settings": InferenceSettings.of(vars(config)),
        "n_differences": len(find_pairs(config.contrast, names)[0]),
        "threshold_t": next((height for height in heights if height is not None), 0.0),
    })  # fmt: skip
    parts = [text] if subjects.corrected else [f"Maps are means over {len(job.subjects)} subjects."]
    cited = cited if subjects.corrected else []
    if stimuli.tested is not None:
        stated = stimuli.tested.attrs
        more, keys = stimulus_test.describe({
            "n_subjects": len(job.subjects), "n_stimuli": stimuli.n_stimuli,
            "ceiling": has_ceilings(stimuli),
            "n_references": references, "n_permutations": stated["n_permutations"],
            "minimum_p": stated["minimum_p"], "tail": stated["tail"],
        })  # fmt: skip
        parts.append(more)
        cited = sorted({*cited, *keys})
    return " ".join(parts), cited
