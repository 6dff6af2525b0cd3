"""The files of a group: their names, the maps with sidecars, and what is removed with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from neurodnn.bids import (
    LAYER_ENTITY,
    MODEL_ENTITY,
    State,
    build_name,
    check_unique_labels,
    derivative_state,
    parse_name,
    sidecar_path,
    write_derivative,
)
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_plan import GroupJob
from neurodnn.pipeline.logs import LOGGER, software_versions

#: Inference -> last part of the file names that hold its p.
DESCS = {
    "max": "searchlightFWE",
    "cluster-size": "searchlightSize",
    "cluster-mass": "searchlightMass",
    "tfce": "searchlightTFCE",
    "fdr": "searchlightFDR",
    "reference-study": "searchlightReference",
}
#: Key in a summary entry's Statistics -> (stat, desc) of the file's name.
FILES = {
    "mean": ("mean", "searchlight"),
    "t": ("t", "searchlight"),
    "tfce": ("tfce", "searchlight"),
    "p_stimuli": ("p", "searchlightStimuli"),
    **{("p" if name == "max" else f"p_{name}"): ("p", desc) for name, desc in DESCS.items()},
}
WITH_TABLES = ("cluster-size", "cluster-mass", "reference-study")


def p_key(inference: str) -> str:
    """Return under which key a summary entry names the p map of an inference."""
    return "p" if inference == "max" else f"p_{inference}"


class Target(NamedTuple):
    """What is tested: a reference, or the difference of two."""

    name: str
    label: str
    entities: dict[str, str]  # of its file names, without stat and desc
    sources: tuple[str, ...]  # names of the references that it is made of


def reference_targets(job: GroupJob) -> list[Target]:
    """Return the references of a group."""
    found = []
    for entry in job.summaries[0]["Maps"]:
        entities = {k: v for k, v in parse_name(entry["Path"]).items() if k != "sub"}
        name = str(entry["Reference"])
        found.append(Target(name, str(entry["Label"]), entities, (name,)))
    return found


def contrast_targets(job: GroupJob, pairs: Iterable[tuple[str, str]]) -> list[Target]:
    """Return the differences that were asked for, as targets of their own."""
    return [each._replace(entities={**shared_entities(job), **each.entities})
            for each in pair_targets(pairs)]  # fmt: skip


def pair_targets(pairs: Iterable[tuple[str, str]]) -> list[Target]:
    """Return differences as targets whose file names say nothing but which they are."""
    pairs = list(pairs)
    labels = check_unique_labels([f"{a} minus {b}" for a, b in pairs])
    return [Target(f"{a} - {b}", labels[f"{a} minus {b}"],
                   {"contrast": labels[f"{a} minus {b}"]}, (a, b)) for a, b in pairs]  # fmt: skip


def shared_entities(job: GroupJob) -> dict[str, str]:
    """Return the entities of files that belong to no single reference."""
    entities = parse_name(job.summaries[0]["Maps"][0]["Path"])
    dropped = {"sub", MODEL_ENTITY, LAYER_ENTITY}
    return {key: label for key, label in entities.items() if key not in dropped}


def target_path(target: Target, key: str) -> Path:
    """Return where one map of a target stands, relative to the output folder."""
    stat, desc = FILES[key]
    return Path("group") / build_name({**target.entities, "stat": stat, "desc": desc})


def ceiling_path(job: GroupJob, bound: str) -> Path:
    """Return where the map of a bound, ``"Lower"`` or ``"Upper"``, stands."""
    entities = {**shared_entities(job), "desc": f"ceiling{bound}"}
    return Path("group") / build_name(entities)


def table_path(job: GroupJob, inference: str, *, contrasts: bool = False) -> Path:
    """Return where the clusters of one inference are listed."""
    desc = DESCS[inference].replace("searchlight", "contrasts" if contrasts else "searchlight")
    entities = {**shared_entities(job), "desc": desc, "suffix": "clusters", "extension": ".tsv"}
    return Path("group") / build_name({**entities, "stat": None})


def all_paths(job: GroupJob, targets: Iterable[Target]) -> list[Path]:
    """Return every place where a file of this group may stand."""
    paths = [target_path(target, key) for target in targets for key in FILES]
    paths += [ceiling_path(job, bound) for bound in ("Lower", "Upper")]
    for name in WITH_TABLES:
        paths += [table_path(job, name, contrasts=each) for each in (False, True)]
    return paths


@dataclass
class GroupFiles:
    """Writes the files of one group and remembers which."""

    job: GroupJob
    config: Config
    grid: Any  # image, 1 in the voxels that were tested
    hashes: tuple[str, str]
    written: list[Path] = field(default_factory=list)

    def put_map(self, relative: Path, values: Any, fields: Mapping[str, Any]) -> Any:
        """Write one value per voxel that was tested; return the image."""
        from neurodnn.brain.fmri import scores_to_image

        image = scores_to_image(values, self.grid)
        self._put(relative, image, fields)
        return image

    def put_table(self, relative: Path, table: Any, fields: Mapping[str, Any]) -> str:
        """Write a table with its sidecar; return its place."""
        self._put(relative, table, fields)
        return relative.as_posix()

    def _put(self, relative: Path, content: Any, fields: Mapping[str, Any]) -> None:
        out, overwrite = self.config.output_dir, self.config.overwrite
        write_derivative(out / relative, content, {**fields, **self._common()},
                         overwrite=overwrite)  # fmt: skip
        LOGGER.debug("wrote %s", relative)
        self.written.append(relative)

    def _common(self) -> dict[str, Any]:
        space = self.job.key[2]
        return {
            **({"SpatialReference": space} if space else {}),
            "NumberOfSubjects": len(self.job.subjects),
            "SoftwareVersions": software_versions(),
            "InputHash": self.hashes[0],
            "ParameterHash": self.hashes[1],
        }

    def remove_stale(self, targets: Iterable[Target], earlier: Iterable[str]) -> None:
        """Remove files of earlier options that were not written again (``--overwrite``).

        `earlier` are those that the summary before this run names: differences that are no
        longer asked for have names that no target of this run knows.
        """
        if not self.config.overwrite:
            return
        named = [Path(name) for name in earlier if Path(name).parent == Path("group")]
        for relative in dict.fromkeys([*all_paths(self.job, targets), *named]):
            path = self.config.output_dir / relative
            if relative in self.written:
                continue
            if derivative_state(path, *self.hashes) is State.OTHER:
                path.unlink()
                sidecar_path(path).unlink()


def sources_of(job: GroupJob, target: Target) -> list[str]:
    """Return the subjects' maps that a target's maps are made of."""
    return [f"bids::{each['Path']}" for summary in job.summaries
            for each in summary["Maps"] if each["Reference"] in target.sources]  # fmt: skip


def fields_of_test(attributes: Mapping[str, Any], *, contrasts: bool = False) -> dict[str, Any]:
    """Return what sidecars and summaries say of a test: family, tail, thresholds, seed.

    Differences (`contrasts`) are a family of their own.
    """
    family = attributes["family"]
    family = [family] if isinstance(family, str) else list(family)
    family = sorted(map(str, family), key=lambda name: name == "reference")  # places first
    permutations = attributes.get("n_permutations", attributes.get("n_flips"))
    fields = {
        "GeneralisesTo": str(attributes["generalises_to"]),
        "MultipleTestingFamily": " x ".join(
            "contrast" if contrasts and name == "reference" else name for name in family
        ),
        "Tail": str(attributes["tail"]),
        "NumberOfPermutations": int(permutations),
        "Exact": bool(attributes.get("exact", 0)),
        "MinimumP": float(attributes["minimum_p"]),
        "RandomSeed": int(attributes["seed"]),
    }
    for key, name in _MORE.items():
        if key in attributes and attributes[key] is not None:
            fields[name] = attributes[key]
    return fields


_MORE = {
    "cluster_statistic": "ClusterStatistic", "threshold_t": "ClusterThresholdT",
    "cluster_alpha": "ClusterThresholdP", "alpha": "ClusterAlpha", "exponents": "Exponents",
    "step": "Step", "correction": "Correction",
}  # fmt: skip
