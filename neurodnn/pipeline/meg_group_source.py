"""A group's maps of the cortex in time: tested over sources, times and references, and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from neurodnn.bids import LAYER_ENTITY, MODEL_ENTITY, parse_name
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_files import Target, pair_targets
from neurodnn.pipeline.group_tests import (
    ALPHA,
    chosen_inferences,
    find_pairs,
    reason_against_flips,
)
from neurodnn.pipeline.logs import LOGGER, available_mb
from neurodnn.pipeline.meg_group_files import MegGroupFiles, described, name_parts, p_keys
from neurodnn.pipeline.meg_group_maps import (
    TEMPLATE,
    Cortex,
    difference_readers,
    find_cortex,
    map_path,
    map_readers,
)
from neurodnn.pipeline.meg_group_plan import MegGroupJob

Readers = Mapping[str, Callable[[], Any]]
CLUSTER_COLUMNS = {
    "reference": {"Description": "Layer, RDM or difference"},
    "cluster": {"Description": "Number of the cluster within its reference"},
    "sign": {"Description": "Whether the scores are above (+) or below (-) zero"},
    "start": {"Description": "First time of the cluster; its p does not vouch for it",
              "Units": "s"},
    "end": {"Description": "Last time of the cluster", "Units": "s"},
    "peak": {"Description": "Time of the largest t", "Units": "s"},
    "size": {"Description": "Sources times times"},
    "sources": {"Description": "Sources that belong to it at some time"},
    "mass": {"Description": "Sum of the size of t"},
    "p": {"Description": "Of the cluster as a whole, corrected over sources, times and references"},
    "hemisphere": {"Description": "Of the source with the largest t"},
    "vertex": {"Description": "Its number on the surface"},
    "x": {"Description": "To the right", "Units": "mm"},
    "y": {"Description": "To the front", "Units": "mm"},
    "z": {"Description": "Upwards", "Units": "mm"},
    "peak_t": {"Description": "t there"},
    "peak_mean": {"Description": "Mean score there"},
}  # fmt: skip


class SourceTest(NamedTuple):
    """Mean and t of one family of maps, with p where subjects are enough; else the reason."""

    found: Any  # Dataset, dims vertex, time, reference
    inferences: list[str]
    reason: str


def source_group(job: MegGroupJob, config: Config, files: MegGroupFiles) -> dict[str, Any]:
    """Compute and write everything about a group of two and more; return its results."""
    cortex = find_cortex(job, config.output_dir)
    readers = map_readers(job, config.output_dir, cortex)
    targets = [Target(str(each["Name"]), str(each["Label"]), _entities(each), (str(each["Name"]),))
               for each in job.references]  # fmt: skip
    tested = source_test(readers, cortex, config, what=job.name)
    if tested.reason:
        LOGGER.warning("%s: %s", job.name, tested.reason)
    content: dict[str, Any] = {
        "Space": TEMPLATE,
        "Vertices": {side.capitalize(): int(own.size) for side, own in cortex.numbers.items()},
        "Times": job.results[0]["Times"],
        **{key: job.results[0][key] for key in ("RadiusMM", "Method", "SNR")},
        "Maps": [_write_map(files, cortex, tested, target) for target in targets],
        **_write_clusters(files, cortex, tested, contrasts=False),
    }  # fmt: skip
    pairs, _ = find_pairs(config.contrast, [each.name for each in targets])
    if pairs:
        compared = source_test(difference_readers(readers, pairs), cortex, config,
                               what=f"{job.name}, differences")  # fmt: skip
        content["Contrasts"] = [
            {**_write_map(files, cortex, compared, target), "Pair": target.name}
            for target in pair_targets(pairs)
        ]
        content |= _write_clusters(files, cortex, compared, contrasts=True)
    content["Surface"] = cortex.surface or _write_surface(files, cortex)
    content["Warnings"] = list(cortex.notes)
    return content | {"Tested": tested}


def _entities(reference: Mapping[str, str]) -> dict[str, str]:
    found = parse_name(reference["RDM"])
    return {key: found[key] for key in (MODEL_ENTITY, LAYER_ENTITY) if key in found}


def memory_mb(n_subjects: int, n_cells: int, n_references: int) -> float:
    """Return the MB that the test of all maps needs; a cell is a source at a time.

    One map of all subjects as read and as units (8 bytes each), its sums of signs (512 MB at
    most, or 16 bytes a subject where those are more), and 48 bytes of each reference's results.
    """
    groups = max(2, -(-n_subjects // 8))  # of eight subjects, where 512 MB hold their sums
    sums = max(16.0 * n_subjects * n_cells, min(2.0**29, groups * 2048.0 * n_cells))
    return (20.0 * n_subjects * n_cells + sums + 48.0 * n_references * n_cells) / 1e6


def source_test(readers: Readers, cortex: Cortex, config: Config, *, what: str) -> SourceTest:
    """Return mean and t of maps in space and time, and p where subjects and memory are enough."""
    from neurodnn.brain.source_graph import mesh_source_adjacency
    from neurodnn.pipeline.estimate import workers
    from neurodnn.workflows.group_inference import InferenceSettings
    from neurodnn.workflows.source_inference import INFERENCES, group_source_maps

    reason = _reason(cortex.n_subjects, len(readers), cortex, config)
    chosen = [name for name in chosen_inferences(config) if name in INFERENCES]
    if not reason and not chosen:
        reason = (
            f"no p over subjects: over space and time {' and '.join(INFERENCES)} are offered "
            f"(--inference), not {', '.join(config.inference)}"
        )
    if reason:
        return SourceTest(_plain(readers, config), [], reason)
    LOGGER.info("%s: %d sources, %d times", what, cortex.vertex.size, cortex.times.size)
    adjacency = mesh_source_adjacency(cortex.meshes, cortex.numbers)
    found = group_source_maps(readers, adjacency, InferenceSettings.of(vars(config)),
                              n_subjects=cortex.n_subjects, n_jobs=workers(config))  # fmt: skip
    return SourceTest(found, chosen, "")


def _reason(n_subjects: int, n_references: int, cortex: Cortex, config: Config) -> str:
    """Return what stands against the test, too few subjects or too little memory; or ""."""
    distinct = 2 ** (n_subjects - 1) if config.tail == "two-sided" else 2**n_subjects
    flips = min(2**n_subjects, config.n_permutations)
    reason = reason_against_flips(n_subjects, flips, 1 / min(distinct, config.n_permutations))
    cells = cortex.vertex.size * cortex.times.size
    return reason or memory_reason(n_subjects, cells, n_references, config)


def memory_reason(n_subjects: int, n_cells: int, n_references: int, config: Config) -> str:
    """Return that there is too little memory for the test over space and time; "" for enough."""
    from neurodnn.pipeline.estimate import BASE_MB, MEMORY_SHARE

    needed = BASE_MB + memory_mb(n_subjects, n_cells, n_references)
    available = float(config.mem_mb or available_mb())
    if config.force or needed <= MEMORY_SHARE * available:
        return ""
    return (
        f"no p over subjects: the test over space and time needs about {needed:,.0f} MB, and "
        f"{available:,.0f} MB are available (see --mem-mb and --force)"
    )


def _plain(readers: Readers, config: Config) -> Any:
    """Return mean and t, one map in memory at a time."""
    import xarray as xr

    from neurodnn.stats.group_scores import describe

    parts = []
    for read in readers.values():
        scores = read()
        # in blocks of sources: what it takes to describe is several times the scores
        blocks = [describe(scores.values[:, start : start + 512].reshape(scores.shape[0], -1))
                  for start in range(0, scores.shape[1], 512)]  # fmt: skip
        parts.append({key: np.concatenate([block[key] for block in blocks]).astype(np.float32)
                      .reshape(scores.shape[1:]) for key in ("mean", "t")})  # fmt: skip
    dims = ("vertex", "time", "reference")
    return xr.Dataset(
        {key: (dims, np.stack([part[key] for part in parts], axis=-1)) for key in ("mean", "t")},
        coords={"time": scores["time"].values, "reference": list(readers)},
        attrs={"tail": config.tail, "n_subjects": scores.sizes["subject"],
               "generalises_to": "subjects"},
    )  # fmt: skip


def _estimate(values: Any, cortex: Cortex) -> Any:
    from neurodnn.brain.source import scores_to_stc

    named = values.drop_vars("reference", errors="ignore").assign_coords(
        vertex=("vertex", cortex.vertex), hemisphere=("vertex", cortex.hemisphere)
    )
    return scores_to_stc(named, subject=TEMPLATE)


def _write_map(
    files: MegGroupFiles, cortex: Cortex, tested: SourceTest, target: Target
) -> dict[str, Any]:
    """Write mean, t and every p of one reference or difference; return its entry."""
    found, name = tested.found.sel(reference=target.name), target.name
    contrast = "contrast" in target.entities
    sources = [f"bids::{map_path(each, one)}" for each in files.job.results
               for one in target.sources]  # fmt: skip
    about = {"Sources": sources, "SpatialReference": TEMPLATE,
             "Contrast" if contrast else "LayerName": name}  # fmt: skip
    plain = {key: str(found.attrs[own]) for key, own in
             (("GeneralisesTo", "generalises_to"), ("Tail", "tail"))}  # fmt: skip
    maps = {"mean": ("mean", "Mean over subjects", plain),
            "t": ("t", "t over subjects against 0", plain)}  # fmt: skip
    kind = "differences" if contrast else "references"
    keys = p_keys(tested.inferences)
    for inference in tested.inferences:
        fields = {**described(found.attrs, contrasts=contrast), "Inference": inference}
        if inference == "cluster-mass":
            fields["ClusterThresholdP"] = files.config.cluster_threshold
        text = f"p over subjects, corrected for all sources, times and {kind} ({inference})"
        maps[keys[inference]] = (_variable(inference), text, fields)
    statistics = {
        key: files.put(_estimate(found[variable], cortex),
                       {"Description": f"{text}: {name}", **about, **fields}, **target.entities,
                       **name_parts(key, "source"), suffix="statmap", extension=".stc")
        for key, (variable, text, fields) in maps.items()
    }  # fmt: skip
    return {"Reference": name, "Label": target.label, "Statistics": statistics,
            **_peak(found, cortex, tested.inferences)}  # fmt: skip


def _variable(inference: str) -> str:
    return "p_max" if inference == "max" else "p_cluster"


def _peak(found: Any, cortex: Cortex, inferences: list[str]) -> dict[str, Any]:
    """Return the largest mean, where and when it is, and every p there."""
    mean = found["mean"].transpose("vertex", "time").values
    if not np.isfinite(mean).any():
        return {}
    place, when = np.unravel_index(int(np.nanargmax(mean)), mean.shape)
    peak = {**_place(int(place), cortex), "Time": float(cortex.times[when]),
            "Value": float(mean[place, when])}  # fmt: skip
    values = {name: float(found[_variable(name)].values[place, when]) for name in inferences}
    keys = p_keys(inferences)
    for name, value in values.items():
        # P goes with the map p, PMax with the map pmax
        peak["P" if keys[name] == "p" else "PMax"] = value
        if keys[name] == "p":
            peak["PInference"] = name
    return {"Peak": peak}


def _place(place: int, cortex: Cortex) -> dict[str, Any]:
    side, vertex = str(cortex.hemisphere[place]), int(cortex.vertex[place])
    x, y, z = (round(float(value), 3) for value in cortex.meshes[side].coordinates[vertex])
    return {"Hemisphere": side, "Vertex": vertex, "X": x, "Y": y, "Z": z}


def _write_clusters(
    files: MegGroupFiles, cortex: Cortex, tested: SourceTest, *, contrasts: bool
) -> dict[str, str]:
    """Write the clusters with p of at most .05: of so many cells chance alone makes thousands."""
    if "cluster-mass" not in tested.inferences:
        return {}
    from neurodnn.stats.space_time_table import space_time_table

    table = space_time_table(tested.found, largest_p=ALPHA)
    places = [_place(int(place), cortex) for place in table["peak_place"]]
    columns = {"reference": table["reference"], "cluster": table["cluster"],
               "sign": np.where(table["sign"].astype(float) > 0, "+", "-"),
               "start": table["start"], "end": table["end"], "peak": table["peak_time"],
               "size": table["size"], "sources": table["n_places"], "mass": table["mass"],
               "p": table["p"],
               **{key.lower(): [place[key] for place in places]
                  for key in ("Hemisphere", "Vertex", "X", "Y", "Z")},
               "peak_t": table["peak_t"], "peak_mean": table["peak_mean"]}  # fmt: skip
    fields = {
        "Description": f"Clusters of sources and times with p of at most {ALPHA:g}",
        "Inference": "cluster-mass", **described(tested.found.attrs, contrasts=contrasts),
        "ClusterThresholdP": files.config.cluster_threshold, "Columns": CLUSTER_COLUMNS,
    }  # fmt: skip
    desc = "sourceContrasts" if contrasts else "source"
    path = files.put(pd.DataFrame(columns), fields, desc=desc, suffix="clusters",
                     extension=".tsv")  # fmt: skip
    return {"ContrastClusters" if contrasts else "Clusters": path}


def _write_surface(files: MegGroupFiles, cortex: Cortex) -> dict[str, str]:
    from neurodnn.brain.mesh_files import mesh_to_gifti

    fields = {"Description": "Surface on which the source maps lie; vertices are numbered as in "
              "the maps", "Units": "mm", "SpatialReference": TEMPLATE}  # fmt: skip
    return {
        side.capitalize(): files.put(
            mesh_to_gifti(mesh), fields, hemi=side[0].upper(), space=TEMPLATE, desc="source",
            suffix="mesh", extension=".surf.gii",
        )
        for side, mesh in cortex.meshes.items()
    }  # fmt: skip
