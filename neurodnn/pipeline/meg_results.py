"""The results files of one subject's MEG or EEG, from which pages and groups are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from neurodnn.pipeline.config import Config
from neurodnn.pipeline.logs import software_versions
from neurodnn.pipeline.meg_files import MegFilesOut
from neurodnn.pipeline.meg_jobs import MegJob
from neurodnn.pipeline.provenance import Context, job_parameters, public_path
from neurodnn.pipeline.summary import first_stimulus_entry, reference_entries

if TYPE_CHECKING:
    from neurodnn.pipeline.meg_patterns import MegLoaded
    from neurodnn.pipeline.meg_source import SourceScores

_CITED_ALWAYS = ["gorgolewski2016", "gramfort2013"]
_NOISE = {
    "none": "",
    "baseline": "Each sensor was divided by the standard deviation of its samples before the "
    "stimulus.",
    "mvnn": "Patterns were whitened by the covariance of the noise over the epoch, shrunk for "
    "each stimulus and averaged (Guggenmos et al., 2018).",
    "residuals": "The covariance of the noise was estimated at each time from what trials differ "
    "from the mean of their stimulus.",
}


def results(
    files: MegFilesOut, loaded: MegLoaded, own: dict[str, Any], methods: tuple[str, list[str]],
    inputs: Sequence[dict[str, str]], hashes: tuple[str, str], notes: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Return the results of one job; nothing in them depends on the time or the machine's name."""
    job, context = files.job, files.context
    paragraph, cited = _paragraph(files, loaded, methods)
    return {
        "Workflow": job.workflow,
        "Subject": job.subject,
        **({"Session": job.session} if job.session else {}),
        "Task": job.task,
        "Datatype": job.datatype,
        "Inputs": list(inputs),
        "Stimuli": {**job.match, "Compared": len(job.stimuli)},
        "Network": context.references.identity,
        **first_stimulus_entry(context),
        "References": reference_entries(context, context.references.references),
        "Nuisance": reference_entries(context, context.references.nuisance),
        "Parameters": job_parameters(context, job.workflow),
        "Statistic": context.statistic,
        **own,
        "Methods": context.scrub(paragraph),
        "Citations": cited,
        "Warnings": list(notes),
        "Failures": [],
        "SoftwareVersions": software_versions("mne"),
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }


def recording_entries(
    job: MegJob, loaded: MegLoaded, context: Context
) -> dict[str, Any]:
    """Return what all results say of recordings, trials and sensors."""
    config = context.config
    counts = np.array([
        int((loaded.epochs.metadata["stimulus"] == name).sum()) for name in job.stimuli
    ])  # fmt: skip
    return {
        "Recordings": [
            {"Path": public_path(run.files.recording, context), **entry}
            for run, entry in zip(job.runs, loaded.recordings, strict=True)
        ],
        "Sensors": {"Type": config.sensors, "Count": len(loaded.epochs.ch_names)},
        "Trials": {
            "PerStimulus": {"Minimum": int(counts.min()), "Median": float(np.median(counts)),
                            "Maximum": int(counts.max())},
            "Total": int(counts.sum()),
        },
    }  # fmt: skip


def times_entry(times: Sequence[float], config: Config) -> dict[str, Any]:
    """Return first and last window, step, width (s) and number."""
    times = [float(time) for time in times]
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else None
    return {"Start": times[0], "End": times[-1], "Step": None if step is None else round(step, 9),
            "Width": config.time_window, "Count": len(times)}  # fmt: skip


def sensor_entries(files: MegFilesOut, loaded: MegLoaded, made: Any) -> dict[str, Any]:
    """Return what the results of all sensors say before the files."""
    return {
        **recording_entries(files.job, loaded, files.context),
        "Times": times_entry(made.course["time"].values, files.context.config),
        "Noise": made.patterns.noise,
    }


def source_entries(files: MegFilesOut, loaded: MegLoaded, made: SourceScores) -> dict[str, Any]:
    """Return what the results on the cortex say before the files."""
    from neurodnn.brain.source_space import source_subject

    config, sides = files.context.config, made.scores["hemisphere"].values
    reasons = made.scores.coords["reason"].values if "reason" in made.scores.coords else None
    return {
        **recording_entries(files.job, loaded, files.context),
        "Space": source_subject(made.inverse) or f"sub-{files.job.subject}",
        "Vertices": {"Left": int((sides == "left").sum()), "Right": int((sides == "right").sum())},
        "RadiusMM": config.source_radius,
        "Method": config.source_method,
        "SNR": config.snr,
        "Times": times_entry(made.scores["time"].values, config),
        "NotComputed": 0 if reasons is None else int((np.asarray(reasons) != 0).sum()),
    }


def sensor_methods(files: MegFilesOut, loaded: MegLoaded, made: Any) -> tuple[str, list[str]]:
    """Return sentences about patterns, RDMs, curves and sensor maps, and what they cite."""
    from neurodnn.workflows import meg_timecourse

    config, context = files.context.config, files.context
    facts = _facts(files, len(made.course["time"]))
    text, cited = meg_timecourse.describe(facts)
    parts = [_NOISE[made.patterns.noise], text]
    if made.patterns.noise == "mvnn" or config.meg_metric == "decoding":
        cited = [*cited, "guggenmos2018"]
    if config.meg_metric == "decoding":
        parts.append(
            "Pairs were decoded by a linear support vector machine (C = 1) from means of "
            f"{config.pseudo_trials} trials (pseudo-trials), one of each stimulus left out in "
            f"turn, over {config.decoding_repeats} random assignments of trials (Guggenmos et "
            "al., 2018)."
        )
    if made.maps is not None:
        from neurodnn.workflows import meg_sensor_maps

        more, keys = meg_sensor_maps.describe(
            {**facts, "radius": config.sensor_radius / 1000, "dtype": config.dtype,
             "n_sensors": len(loaded.epochs.ch_names), "channels": config.sensors,
             "nuisance": context.references.nuisance_names}
        )  # fmt: skip
        parts.append(more)
        cited = [*cited, *keys]
    return " ".join(part for part in parts if part), cited


def source_methods(files: MegFilesOut, made: SourceScores) -> tuple[str, list[str]]:
    """Return sentences about the inverse solution and the searchlight, and what they cite."""
    from neurodnn.workflows import meg_source_searchlight

    config = files.context.config
    text, cited = meg_source_searchlight.describe({
        **_facts(files, made.scores.sizes["time"]), "dtype": config.dtype,
        "radius": config.source_radius, "n_sources": made.scores.sizes["vertex"],
        "method": config.source_method, "snr": config.snr, "orientation": made.orientation,
    })  # fmt: skip
    if made.morphed is not None:
        text += " Maps were brought to fsaverage over the registered spheres of FreeSurfer."
    return text, cited


def _facts(files: MegFilesOut, n_times: int) -> dict[str, Any]:
    config, references = files.context.config, files.context.references
    return {
        "metric": config.meg_metric, "comparison": config.compare, "width": config.time_window,
        "n_stimuli": len(files.job.stimuli), "n_times": n_times,
        "n_references": len(references.references), "nuisance": references.nuisance_names,
        "semi": config.semi_partial,
    }  # fmt: skip


def _epochs(files: MegFilesOut, loaded: MegLoaded) -> str:
    """Return the sentences about recordings and epochs."""
    job, config = files.job, files.context.config
    task = f" of task {job.task}" if job.task else ""
    runs = f"{len(job.runs)} run" + ("s" if len(job.runs) > 1 else "")
    kind = {"meg": "MEG", "mag": "MEG (magnetometers)", "grad": "MEG (gradiometers)",
            "eeg": "EEG"}[config.sensors]  # fmt: skip
    text = (
        f"{kind} of {runs}{task} was read with MNE-Python (Gramfort et al., 2013), and epochs of "
        f"{len(loaded.epochs.ch_names)} sensors were cut from {config.tmin:g} to {config.tmax:g} s "
        "around the onset of each stimulus"
    )
    steps = []
    if config.low_pass is not None:
        steps.append(f"low-pass filtered at {config.low_pass:g} Hz")
    if config.resample is not None:
        steps.append(f"resampled to {config.resample:g} Hz")
    if config.baseline != "none":
        steps.append(f"baseline-corrected ({config.baseline} s)")
    return text + (", " + ", ".join(steps) if steps else "") + "."


def _paragraph(
    files: MegFilesOut, loaded: MegLoaded, methods: tuple[str, list[str]]
) -> tuple[str, list[str]]:
    """Return the methods paragraph with the numbers that were used, and its citations."""
    text, cited = methods
    references = files.context.references
    parts = [_epochs(files, loaded)]
    keys = [*_CITED_ALWAYS, *cited]
    for paragraph, own in references.methods:
        parts.append(paragraph)
        keys += own
    user = [path.name for path, _ in references.plan.user_rdms]
    if user:
        parts.append(f"Reference RDMs were read from {', '.join(user)}.")
    return " ".join([*parts, text]), sorted(set(keys))
