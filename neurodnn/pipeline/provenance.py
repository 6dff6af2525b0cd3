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
    return hashed_inputs(pairs, context)


def hashed_inputs(pairs: Sequence[tuple[str, Path]], context: Context) -> list[dict[str, str]]:
    """Return kind, path and sha256 of a job's own files and of those that all jobs read."""
    pairs = [*pairs, *_shared_inputs(context)]
    return [
        {"Kind": kind, "Path": public_path(path, context), "SHA256": context.hashes(path)}
        for kind, path in dict.fromkeys(pairs)
    ]


def _shared_inputs(context: Context) -> list[tuple[str, Path]]:
    """Return what is compared with the brain: RDMs that were brought, tables of stimuli."""
    pairs = [("rdm", path) for path, _ in context.references.plan.user_rdms]
    pairs += [("nuisance", path) for path, _ in context.references.plan.nuisance]
    if context.config.stimulus_table:
        pairs.append(("stimuli", context.config.stimulus_table))
    listing = (context.config.stimuli or context.config.bids_dir / "stimuli") / "stimuli.tsv"
    if context.references.stimuli is not None and listing.is_file():
        pairs.append(("stimuli", listing))
    return pairs


def public_path(path: Path, context: Context) -> str:
    """Return the path from the data set where it lies inside, else folder kind and name."""
    if path.is_relative_to(context.config.bids_dir):
        return path.relative_to(context.config.bids_dir).as_posix()
    for name, root in context.roots.items():
        if path.is_relative_to(root):
            return f"{name}:{path.relative_to(root).as_posix()}"
    return path.name


def input_hash(job: Job, inputs: Sequence[dict[str, str]], context: Context) -> str:
    """Return the hash of all that goes into a job: files, stimuli compared, references."""
    # What sidecars and tables were taken to mean: they may change while the images stay.
    runs = [[run.label, run.tr, run.slice_time_ref, run.stimuli] for run in job.runs]
    return hash_of_inputs(inputs, runs, job.stimuli, context)


def hash_of_inputs(
    inputs: Sequence[dict[str, str]], runs: list, stimuli: Sequence[str], context: Context
) -> str:
    """Return the hash of files, of what each run was taken to mean, and of the references."""
    found = context.references
    references = [
        [each.name, found.input_hash(each), found.parameter_hash(each)]
        for each in [*found.references, *found.nuisance]
    ]
    files = sorted([each["Kind"], each["Path"], each["SHA256"]] for each in inputs)
    return hash_of({"files": files, "runs": runs, "stimuli": list(stimuli),
                    "references": references})  # fmt: skip


def fields_of(workflow: str) -> list[str]:
    """Return the options that can change the results of one subject by a workflow.

    Which subjects a call names is left out: jobs of an array must write what one run writes.
    So are options of other workflows and of the group level, which states them itself.
    """
    return [
        field for field, option in BY_FIELD.items()
        if option.matters and workflow in option.shapes and field != "participant_label"
    ]  # fmt: skip


def job_parameters(context: Context, workflow: str = "fmri_searchlight") -> dict[str, object]:
    """Return the resolved options that can change a result of a workflow."""
    return {field: option_value(context.config, field) for field in fields_of(workflow)}


def job_parameter_hash(context: Context, workflow: str = "fmri_searchlight") -> str:
    """Return the hash of the options that shape a subject's numbers."""
    parameters = job_parameters(context, workflow)
    return parameter_hash({k: v for k, v in parameters.items() if k not in _CHOOSERS})


def command(subject: str, config: Config, workflow: str = "fmri_searchlight") -> str:
    """Return the command that makes a job's files, without this machine's paths."""
    words = ["neurodnn", "BIDS_DIR", "OUTPUT_DIR", "participant", "--participant-label",
             subject]  # fmt: skip
    if workflow != "fmri_searchlight":
        words += ["--workflow", workflow]
    for field in fields_of(workflow):
        option, value = BY_FIELD[field], option_value(config, field)
        if value in (None, [], {}) or value == option.default:
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
        **partial_fields(context),
        "RadiusMM": config.radius,
        "MinimumShare": config.min_share,
        "Precision": config.dtype,
        **({"Noise": config.noise} if config.metric == "crossnobis" else {}),
        "NumberOfPermutations": 0,
        "RandomSeed": config.random_seed,
        "Command": context.scrub(command(job.subject, config)),
        "SoftwareVersions": software_versions(),
        "Warnings": list(notes),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }


def partial_fields(context: Context) -> dict[str, Any]:
    """Return what a sidecar says of RDMs that were held constant."""
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
