"""When each subject saw the stimuli: told where a reference follows it, held constant if asked.

Onsets stand in the events of fMRIPrep runs; estimates (betas) come without any.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.bids import read_tsv
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.jobs import Job

THRESHOLD = 0.1  # of Spearman's rho; beyond it a reference counts as following the order
_CHANCE = 0.01  # share of orders that look so by accident; few stimuli pass the threshold in many
_WHY = (
    "Responses near in time resemble each other for reasons of noise and haemodynamics, so that "
    "scores and p of these references may tell when stimuli were shown"
)
_ONE_ORDER = (
    "All runs have one order: distances between runs are right on average, but they err along it, "
    "and p over shuffled stimuli comes out too small"
)


def check_order(job: Job, config: Config) -> None:
    """Refuse ``--nuisance-order`` where there are no onsets, or pairs that no run shows."""
    if config.nuisance_order:
        order_nuisance(job)


def order_nuisance(job: Job) -> Any:
    """Return the order of presentation of a job as RDM over its stimuli, all pairs of them.

    Raises
    ------
    InputError
        Onsets are not there, or some stimuli never share a run.
    """
    import numpy as np

    from neurodnn.rsa.presentation import presentation_rdm

    if job.kind == "betas":
        fault = "estimates (betas) come without onsets, so that no order can be held constant"
        remedy = "Give an RDM of it by --nuisance-rdms (neurodnn.presentation_rdm makes one)."
        raise InputError(message("--nuisance-order", f"{job.name}: {fault}", remedy=remedy))
    rdm = presentation_rdm(job_onsets(job), stimuli=job.stimuli)
    absent = int(np.isnan(rdm.dissimilarities).sum())
    if absent:
        fault = f"{absent} pairs of stimuli share no run, so that no time lies between them"
        remedy = "Leave it out, and take --metric crossnobis."
        raise InputError(message("--nuisance-order", f"{job.name}: {fault}", remedy=remedy))
    return rdm


def job_onsets(job: Job) -> dict[str, dict[str, list[Any]]]:
    """Return run -> stimulus and onset (s) of every presentation of a compared stimulus."""
    import pandas as pd

    compared, found = set(job.stimuli), {}
    for run in job.runs:
        onsets = pd.to_numeric(read_tsv(run.labels)["onset"], errors="coerce")
        shown = [(name, float(onset)) for name, onset in zip(run.stimuli, onsets, strict=True)
                 if name in compared and math.isfinite(onset)]  # fmt: skip
        found[run.label] = {
            "stimulus": [name for name, _ in shown], "onset": [onset for _, onset in shown]
        }  # fmt: skip
    return found


def order_entry(job: Job, references: Any, config: Config) -> dict[str, Any]:
    """Return what the summary says of the order of presentation; warn where it may mislead.

    A reference that follows the order (rho beyond .1) is told where distances are taken within
    runs. If runs differ in order, a rho that more than a hundredth of all orders reach is let
    pass: such a likeness comes and goes with runs and people, and tests keep their promise.
    Between runs (crossnobis) a reference is told only where all runs have one order.
    """
    from neurodnn.rsa.presentation import is_one_order, order_correlations, presentation_rdm

    if job.kind == "betas":
        return {"SkippedBecause": "estimates come without onsets"}
    onsets = job_onsets(job)
    same = is_one_order(onsets, stimuli=job.stimuli)
    rdm = presentation_rdm(onsets, stimuli=job.stimuli)
    found = order_correlations(references, rdm, n_permutations=0)
    if not same and bool((abs(found["rho"]) > THRESHOLD).any()):  # else chance is not asked for
        found = order_correlations(references, rdm, seed=config.random_seed)
    rho, p = _numbers(found["rho"]), _numbers(found["p"])
    entry: dict[str, Any] = {
        "SameInAllRuns": same, "Runs": len(onsets), "Correlations": rho, "P": p,
        "HeldConstant": config.nuisance_order,
    }  # fmt: skip
    telling = {
        name: value for name, value in rho.items()
        if value is not None and abs(value) > THRESHOLD
        and (same or p[name] is None or p[name] <= _CHANCE)
    }  # fmt: skip
    between = config.metric == "crossnobis"
    if telling and not config.nuisance_order and (same or not between):
        warnings.warn(_text(job, telling, same, between), DataWarning, stacklevel=2)
    return entry


def _text(job: Job, telling: dict[str, float], same: bool, between: bool) -> str:
    listed = ", ".join(f"{name} {value:.2f}" for name, value in telling.items())
    fault = (
        f"references follow the order of presentation (Spearman rho beyond {THRESHOLD:g}: "
        f"{listed}). {_ONE_ORDER if between else _WHY}"
    )
    remedy = "Hold it constant (--nuisance-order)"
    if same:
        remedy += ", or measure with an order of its own in each run and --metric crossnobis."
    else:
        remedy += ", or take distances between runs (--metric crossnobis)."
    return message(job.name, fault, remedy=remedy)


def _numbers(values: Any) -> dict[str, float | None]:
    pairs = zip(values["reference"].values.tolist(), values.values.tolist(), strict=True)
    return {str(name): round(value, 6) if math.isfinite(value) else None for name, value in pairs}
