"""What a result was made from: files with their hashes, options, versions, the command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError
from neurodnn.bids import bids_uri
from neurodnn.pipeline.config import Config, option_value
from neurodnn.pipeline.jobs import STATISTIC, Job
from neurodnn.pipeline.logs import Scrubber, software_versions
from neurodnn.pipeline.options import BY_FIELD
from neurodnn.pipeline.references import ReferenceSet
from neurodnn.pipeline.resume import FileHashes, hash_of, parameter_hash

# Options that choose files rather than shape numbers: what they chose is in InputHash.
_CHOOSERS = frozenset(
    {"participant_label", "session_label", "task_id", "run_id", "space", "bids_filter_file",
     "derivatives", "stimuli", "stimulus_table", "weights", "network", "layers",
     "reference_rdms", "nuisance_rdms"}
)  # fmt: skip
# Options that shape nothing before the group level.
_GROUP_ONLY = frozenset(
    {"n_permutations", "inference", "cluster_threshold", "connectivity", "tfce_step", "contrast"}
)
_NOT_OF_A_JOB = _GROUP_ONLY | {"participant_label"}


@dataclass
class Context:
    """What all jobs of a run share."""

    config: Config
    roots: dict[str, Path]
    references: ReferenceSet
    hashes: FileHashes
    scrub: Scrubber

    @property
    def links(self) -> dict[str, Path]:
        """Names of the source data sets, as in DatasetLinks."""
        return {"raw": self.config.bids_dir, **self.roots}

    @property
    def statistic(self) -> str:
        """BIDS label of the number that the maps hold."""
        return STATISTIC[self.config.compare]


def job_inputs(job: Job, context: Context) -> list[dict[str, str]]:
    """Return kind, path and sha256 of every file that goes into a job, each once."""
    pairs: list[tuple[str, Path]] = []
    for run in job.runs:
        for kind, path in run.files:
            if kind == "images":
                kind = job.kind
            elif kind == "labels":
                kind = "events" if job.kind == "bold" else "labels"
            pairs.append((kind, path))
    pairs += [("rdm", path) for path, _ in context.references.plan.user_rdms]
    pairs += [("nuisance", path) for path, _ in context.references.plan.nuisance]
    if context.config.stimulus_table:
        pairs.append(("stimuli", context.config.stimulus_table))
    listing = (context.config.stimuli or context.config.bids_dir / "stimuli") / "stimuli.tsv"
    if context.references.stimuli is not None and listing.is_file():
        pairs.append(("stimuli", listing))
    return [
        {"Kind": kind, "Path": _public_path(path, context), "SHA256": context.hashes(path)}
        for kind, path in dict.fromkeys(pairs)
    ]


def _public_path(path: Path, context: Context) -> str:
    """Return the path from the data set where it lies inside, else folder kind and name."""
    if path.is_relative_to(context.config.bids_dir):
        return path.relative_to(context.config.bids_dir).as_posix()
    for name, root in context.roots.items():
        if path.is_relative_to(root):
            return f"{name}:{path.relative_to(root).as_posix()}"
    return path.name


def input_hash(job: Job, inputs: Sequence[dict[str, str]], context: Context) -> str:
    """Return the hash of all that goes into a job: files, stimuli compared, references."""
    found = context.references
    references = [
        [each.name, found.input_hash(each), found.parameter_hash(each)]
        for each in [*found.references, *found.nuisance]
    ]
    files = sorted([each["Kind"], each["Path"], each["SHA256"]] for each in inputs)
    # What sidecars and tables were taken to mean: they may change while the images stay.
    runs = [[run.label, run.tr, run.slice_time_ref, run.stimuli] for run in job.runs]
    return hash_of({"files": files, "runs": runs, "stimuli": list(job.stimuli),
                    "references": references})  # fmt: skip


def job_parameters(context: Context) -> dict[str, object]:
    """Return the resolved options that can change a result.

    Which subjects a call names is left out: jobs of an array must write what one run writes.
    So are options of the group level, which states them itself.
    """
    return {
        field: option_value(context.config, field)
        for field, option in BY_FIELD.items()
        if option.matters and field not in _NOT_OF_A_JOB
    }


def job_parameter_hash(context: Context) -> str:
    """Return the hash of the options that shape a subject's numbers."""
    parameters = job_parameters(context)
    return parameter_hash({k: v for k, v in parameters.items() if k not in _CHOOSERS})


def command(job: Job, config: Config) -> str:
    """Return the command that makes this job's files, without this machine's paths."""
    words = ["neurodnn", "BIDS_DIR", "OUTPUT_DIR", "participant", "--participant-label",
             job.subject]  # fmt: skip
    for field, option in BY_FIELD.items():
        value = option_value(config, field)
        if not option.matters or field in _NOT_OF_A_JOB or value in (None, [], {}):
            continue
        if value == option.default:
            continue
        words.append(f"--{option.name}")
        if option.kind == "flag":
            continue
        if isinstance(value, dict):
            words += [f"{name}={path}" for name, path in value.items()]
        elif isinstance(value, list):
            words += map(str, value)
        else:
            words.append(str(value))
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def common_fields(
    job: Job, context: Context, hashes: tuple[str, str], notes: Sequence[str]
) -> dict[str, Any]:
    """Return the sidecar fields that all maps of one job share."""
    config = context.config
    return {
        "StimulusKey": config.stimulus_key,
        "NumberOfStimuli": len(job.stimuli),
        "StimuliHash": hash_of(list(job.stimuli)),
        "Metric": config.metric,
        "Comparison": config.compare,
        **_partial_fields(context),
        "RadiusMM": config.radius,
        "MinimumShare": config.min_share,
        "Precision": config.dtype,
        **({"Noise": config.noise} if config.metric == "crossnobis" else {}),
        "NumberOfPermutations": 0,
        "RandomSeed": config.random_seed,
        "Command": context.scrub(command(job, config)),
        "SoftwareVersions": software_versions(),
        "Warnings": list(notes),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }


def _partial_fields(context: Context) -> dict[str, Any]:
    names = context.references.nuisance_names
    if not names:
        return {}
    return {"NuisanceRDMs": names, "SemiPartial": context.config.semi_partial}


def source_uri(path: Path, context: Context) -> str:
    """Return the BIDS URI of an input; the name alone where it is in no data set."""
    try:
        return bids_uri(path, context.links)
    except InputError:
        return path.name
