"""The files of a group's MEG: their names, writing with sidecars, and what is removed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError
from neurodnn.bids import (
    State,
    data_files,
    derivative_state,
    is_done,
    parse_name,
    read_json,
    sidecar_path,
    write_derivative,
)
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.logs import LOGGER, software_versions
from neurodnn.pipeline.meg_group_plan import MegGroupJob

#: Inference -> last part of the names of files that hold its p, beside that of p and pmax.
WORDS = {"cluster-size": "Size", "cluster-mass": "Mass", "tfce": "TFCE", "fdr": "FDR",
         "reference-study": "Reference"}  # fmt: skip
_MAIN = ("cluster-mass", "cluster-size", "tfce", "fdr", "reference-study", "max")


def p_keys(inferences: list[str]) -> dict[str, str]:
    """Return under which key results name the p of each inference.

    ``p`` is the one to show: of clusters if there are any; ``pmax`` is that of the maximum
    statistic, which holds for each time.

    Examples
    --------
    >>> p_keys(["max", "cluster-mass", "fdr"])
    {'max': 'pmax', 'cluster-mass': 'p', 'fdr': 'p_fdr'}
    >>> p_keys(["max"])
    {'max': 'p'}
    """
    main = next((name for name in _MAIN if name in inferences), None)
    return {name: "p" if name == main else "pmax" if name == "max" else f"p_{name}"
            for name in inferences}  # fmt: skip


def name_parts(key: str, desc: str) -> dict[str, str]:
    """Return ``stat`` and ``desc`` of a file's name by its key in the results.

    Examples
    --------
    >>> name_parts("p_tfce", "sensors"), name_parts("mean", "source")
    ({'stat': 'p', 'desc': 'sensorsTFCE'}, {'stat': 'mean', 'desc': 'source'})
    """
    if not key.startswith("p_"):
        return {"stat": key, "desc": desc}
    name = key.removeprefix("p_")
    return {"stat": "p", "desc": desc + WORDS.get(name, name.title())}


@dataclass
class MegGroupFiles:
    """Writes the files of one group and remembers which."""

    job: MegGroupJob
    config: Config
    hashes: tuple[str, str]
    written: list[Path] = field(default_factory=list)

    def put(self, content: Any, fields: Mapping[str, Any], **entities: str | None) -> str:
        """Write something with its sidecar; return its place in the output folder."""
        relative = self.job.path(**entities)
        sidecar = {
            **fields,
            "NumberOfSubjects": len(self.job.subjects),
            "SoftwareVersions": software_versions(),
            "InputHash": self.hashes[0],
            "ParameterHash": self.hashes[1],
        }
        path = self.config.output_dir / relative
        # of the same data and options: a table gains a column where there is more memory now
        same = derivative_state(path, *self.hashes) is State.DONE
        write_derivative(path, content, sidecar, overwrite=self.config.overwrite or same)
        LOGGER.debug("wrote %s", relative)
        self.written.append(relative)
        # of the pair of a source map the left one names both
        return data_files(relative)[0].as_posix()

    def remove_stale(self) -> None:
        """Remove files of this group from earlier options that were not written again."""
        if not self.config.overwrite:
            return
        for path in standing_files(self.job, self.config.output_dir):
            relative = path.relative_to(self.config.output_dir)
            if relative in self.written:
                continue
            if derivative_state(path, *self.hashes) is State.OTHER:
                for each in [*data_files(path), sidecar_path(path)]:
                    each.unlink()


def standing_files(job: MegGroupJob, out: Path) -> list[Path]:
    """Return the files of a group that stand in the folder, pairs under one name, sorted."""
    found = set()
    for side in (out / "group").glob("*.json"):
        entities = parse_name(side)
        if (entities.get("ses"), entities.get("task")) != (job.session, job.task):
            continue
        if not _is_of(job.workflow, entities):
            continue
        stem = side.name.removesuffix(".json")
        for path in (out / "group").glob(f"{stem}[.-]*"):
            if path.suffix == ".stc":
                found.add(out / "group" / f"{stem}.stc")
            elif path != side:
                found.add(path)
    return sorted(found)


def _is_of(workflow: str, entities: Mapping[str, str]) -> bool:
    desc, suffix = entities.get("desc", ""), entities.get("suffix")
    if workflow == "meg_source_searchlight":
        return desc.startswith("source")
    return desc.startswith("sensors") or (desc, suffix) == ("ceiling", "timeseries")


def earlier_results(job: MegGroupJob, out: Path) -> dict[str, Any] | None:
    """Return the results of an earlier run; None where there are none, or damaged ones."""
    path = out / job.results_path
    try:
        return read_json(path) if path.is_file() else None
    except InputError:
        return None  # damaged: it is written anew


def is_done_before(job: MegGroupJob, config: Config, hashes: tuple[str, str]) -> bool:
    """Whether a group was tested on the same data with the same options, and all files stand.

    Raises
    ------
    InputError
        Files of other options stand there and ``--overwrite`` was not given.
    """
    out, content = config.output_dir, earlier_results(job, config.output_dir)
    standing = [is_done(path, *hashes, overwrite=config.overwrite)
                for path in standing_files(job, out)]  # fmt: skip
    if content is None or config.overwrite or not standing or not all(standing):
        return False
    named = [each for path in content.get("Files", []) for each in data_files(out / path)]
    if not named or not all(path.exists() for path in named):
        return False
    return (content.get("InputHash"), content.get("ParameterHash")) == hashes


def described(attributes: Mapping[str, Any], *, contrasts: bool = False) -> dict[str, Any]:
    """Return what sidecars and results say of a test; see `fields_of_test`."""
    from neurodnn.pipeline.group_files import fields_of_test

    fields = fields_of_test(attributes, contrasts=contrasts)
    # all dims but time are places
    order = ["vertex", "time", "reference", "contrast"]
    family = sorted(fields["MultipleTestingFamily"].split(" x "),
                    key=lambda name: order.index(name) if name in order else -1)  # fmt: skip
    return {**fields, "MultipleTestingFamily": " x ".join(family)}
