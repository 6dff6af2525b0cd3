"""What results of MEG and EEG were made from, and what their sidecars say of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neurodnn._checks import InputError, message
from neurodnn.pipeline.logs import software_versions
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.provenance import (
    Context,
    command,
    hash_of_inputs,
    hashed_inputs,
    job_parameter_hash,
    partial_fields,
    source_uri,
)
from neurodnn.pipeline.resume import hash_of

_ANNEX_KEY = re.compile(r"SHA256E?-s[0-9]+--([0-9a-f]{64})")


def _files(job: MegJob) -> list[tuple[str, Path]]:
    pairs = [pair for run in job.runs for pair in run.inputs]
    return pairs + (job.source.inputs if job.source else [])


def meg_inputs(job: MegJob, context: Context) -> list[dict[str, str]]:
    """Return kind, path and sha256 of every file that goes into a job, each once."""
    for path in dict.fromkeys(path for run in job.runs for path in run.data):
        stated = _annex_hash(path)
        if stated is not None and stated != context.hashes(path):
            fault = "the content is not that of its key: its sha256 differs; the file is damaged"
            raise InputError(message(str(path), fault, remedy="Fetch it again: datalad get."))
    return hashed_inputs(_files(job), context)


def _annex_hash(path: Path) -> str | None:
    """Return the sha256 that the key of an annexed file states; FIF itself has no checksum."""
    if not path.is_symlink():
        return None
    found = _ANNEX_KEY.match(Path(os.readlink(path)).name)
    return found.group(1) if found else None


def meg_sources(job: MegJob, context: Context) -> list[str]:
    """Return the BIDS URIs of the files of a job."""
    return [source_uri(path, context) for path in dict.fromkeys(path for _, path in _files(job))]


def meg_hashes(
    job: MegJob, inputs: Sequence[dict[str, str]], context: Context
) -> tuple[str, str]:
    """Return InputHash and ParameterHash of a job."""
    # What tables and headers were taken to mean: bad channels may be marked in a sidecar.
    runs = [[run.label, run.rate, run.sensors, run.stimuli] for run in job.runs]
    content = hash_of_inputs(inputs, runs, job.stimuli, context)
    return content, job_parameter_hash(context, job.workflow)


def meg_fields(
    job: MegJob, context: Context, hashes: tuple[str, str], notes: Sequence[str]
) -> dict[str, Any]:
    """Return the sidecar fields that all files of one job share."""
    config = context.config
    fields: dict[str, Any] = {
        "StimulusKey": config.stimulus_key,
        "NumberOfStimuli": len(job.stimuli),
        "StimuliHash": hash_of(list(job.stimuli)),
        "Sensors": config.sensors,
        "Metric": config.meg_metric,
        "Comparison": config.compare,
        **partial_fields(context),
        "TimeWindow": config.time_window,
        "Precision": config.dtype,
        "NumberOfPermutations": 0,
        "RandomSeed": config.random_seed,
    }
    if job.workflow == "meg_source_searchlight":
        fields |= {"RadiusMM": config.source_radius, "InverseMethod": config.source_method,
                   "SNR": config.snr}  # fmt: skip
    else:
        fields["Noise"] = config.meg_noise
        if config.meg_metric == "decoding":
            fields |= {"PseudoTrials": config.pseudo_trials, "Repeats": config.decoding_repeats}
        else:
            fields["SensorRadiusMM"] = config.sensor_radius
    return {
        **fields,
        "Command": context.scrub(command(job.subject, config, job.workflow)),
        "SoftwareVersions": software_versions("mne"),
        "Warnings": list(notes),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }
