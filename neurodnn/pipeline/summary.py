"""The summaries in ``figures/`` and ``group/``, from which the pages are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neurodnn.pipeline.jobs import Job, Reference
from neurodnn.pipeline.logs import software_versions
from neurodnn.pipeline.provenance import Context, job_parameters
from neurodnn.pipeline.shared import first_stimulus, model_file

CITED_ALWAYS = ["gorgolewski2016"]
_ORDER = (
    "The order of presentation is each subject's own: the difference of the mean onsets of two "
    "stimuli in a run, in seconds, averaged over the runs that show both."
)


def subject_summary(
    job: Job,
    context: Context,
    inputs: Sequence[Mapping[str, str]],
    hashes: tuple[str, str],
    loaded: Any,
    scores: Any,
    maps: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the summary of one job; nothing in it depends on the time or the machine's name.

    `extras` holds what stands beside the maps: OrderOfPresentation, LabelTest, Reliability,
    Patterns.
    """
    reasons = not_computed(scores)
    centres = int(scores.sizes[scores.dims[0]]) - sum(reasons.values())
    paragraph, cited = _methods(job, context, loaded, centres, extras)
    return {
        "Subject": job.subject,
        **({"Session": job.session} if job.session else {}),
        "Task": job.task,
        "Space": job.space,
        "Inputs": list(inputs),
        "Stimuli": {**job.match, "Compared": len(job.stimuli)},
        "Network": context.references.identity,
        **first_stimulus_entry(context),
        "References": reference_entries(context, context.references.references),
        "Nuisance": reference_entries(context, context.references.nuisance),
        "Parameters": job_parameters(context),
        "MaskVoxels": int(scores.sizes[scores.dims[0]]),
        "Mask": loaded.how_mask,
        "MaskPath": job.mask_path.as_posix(),
        "Centres": centres,
        "NotComputed": reasons,
        "Confounds": loaded.confounds or "",
        "Maps": list(maps),
        **extras,
        "Methods": context.scrub(paragraph),
        "Citations": cited,
        "Warnings": list(notes),
        "SoftwareVersions": software_versions(),
        "Failures": [],
        "InputHash": hashes[0],
        "ParameterHash": hashes[1],
    }


def reference_entries(context: Context, chosen: Sequence[Reference]) -> list[dict[str, str]]:
    """Return name, label and RDM file of each reference, and what the RDM was made from."""
    found = context.references
    return [
        {"Name": each.name, "Label": each.label, "RDM": each.rdm_path.as_posix(),
         "InputHash": found.input_hash(each), "ParameterHash": found.parameter_hash(each)}
        for each in chosen
    ]  # fmt: skip


def first_stimulus_entry(context: Context) -> dict[str, Any]:
    """Return where the first image stands as the network saw it; nothing without a network."""
    references = context.references
    if first_stimulus(references) is None:
        return {}
    path = model_file(references, "input.png").as_posix()
    return {"FirstStimulus": {"Stimulus": references.images.names[0], "Path": path}}


def not_computed(scores: Any) -> dict[str, int]:
    """Return how many centres were left empty, by reason in words."""
    if "reason" not in scores.coords:
        return {}
    words = _reason_words(scores.attrs.get("reason_codes"))
    codes, counts = np.unique(np.asarray(scores.coords["reason"]), return_counts=True)
    return {
        words.get(int(code), f"reason {code}"): int(count)
        for code, count in zip(codes, counts, strict=True)
        if code != 0
    }


def _reason_words(codes: object) -> dict[int, str]:
    """Return code to words from ``1: too few features; 2: ...``."""
    words = {}
    for part in str(codes or "").split(";"):
        code, colon, text = part.partition(":")
        if colon and code.strip().isdigit():
            words[int(code)] = text.strip()
    return words


def _methods(
    job: Job, context: Context, loaded: Any, centres: int, extras: Mapping[str, Any]
) -> tuple[str, list[str]]:
    """Return the methods paragraph with the numbers that were used, and its citations."""
    from neurodnn.workflows import fmri_searchlight

    config = context.config
    parts = [_data_sentence(job)]
    cited = list(CITED_ALWAYS)
    if loaded.glm:
        parts += [loaded.glm, loaded.confounds or ""]
        cited += ["abraham2014", "esteban2019"]
    parts.append(f"The mask was {loaded.how_mask}.")
    for text, keys in context.references.methods:
        parts.append(text)
        cited += keys
    user = [path.name for path, _ in context.references.plan.user_rdms]
    if user:
        parts.append(f"Reference RDMs were read from {', '.join(user)}.")
    text, keys = fmri_searchlight.describe({
        "metric": config.metric, "comparison": config.compare, "radius": config.radius,
        "min_share": config.min_share, "dtype": config.dtype, "n_stimuli": len(job.stimuli),
        "n_centres": centres, "n_references": len(context.references.references),
        "noise": loaded.residuals is not None, "per_fold": config.noise == "per-fold",
        "nuisance": context.references.nuisance_names,
        "semi": config.semi_partial,
    })  # fmt: skip
    parts.append(text)
    if config.nuisance_order:
        parts.append(_ORDER)
    own, more = _of_tests(job, context, extras)
    return " ".join(part for part in [*parts, *own] if part), sorted({*cited, *keys, *more})


def _of_tests(
    job: Job, context: Context, extras: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return sentences about the tests of one subject, and what they cite."""
    from neurodnn.workflows import split_half, stimulus_test

    sentences, cited = [], []
    label = extras["LabelTest"]
    if "MinimumP" in label:
        text, keys = stimulus_test.describe({
            "n_subjects": 1, "n_permutations": label["NumberOfPermutations"],
            "n_stimuli": len(job.stimuli), "minimum_p": label["MinimumP"], "tail": label["Tail"],
            "n_references": len(context.references.references),
        })  # fmt: skip
        sentences.append(text)
        cited += keys
    if "Path" in extras["Reliability"]:
        halves = extras["Reliability"]
        text, keys = split_half.describe({"n_runs": halves["Runs"], "n_splits": halves["Splits"]})
        sentences.append(text)
        cited += keys
    return sentences, cited


def _data_sentence(job: Job) -> str:
    task = f" of task {job.task}" if job.task else ""
    space = f" in the space {job.space}" if job.space else ""
    what = "preprocessed by fMRIPrep" if job.kind == "bold" else "of estimated responses"
    plural = "run" if len(job.runs) == 1 else "runs"
    return f"Functional images {what} ({len(job.runs)} {plural}{task}{space}) were analysed."

