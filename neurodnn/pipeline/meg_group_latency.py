"""When the curves of a group peak and begin, and whether later layers come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neurodnn._checks import InputError
from neurodnn.bids import LAYER_ENTITY, MODEL_ENTITY, parse_name
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_tests import ALPHA, SubjectsTest
from neurodnn.pipeline.meg_group_files import p_keys
from neurodnn.pipeline.meg_group_plan import MegGroupJob

_LEAST_LAYERS = 3  # two can only rise or fall
# key in the results -> variable of `hierarchy_test`
_MEASURES = {
    "Estimate": "correlation", "Low": "low", "High": "high", "P": "p",
    "MeanEstimate": "mean_correlation", "MeanLow": "mean_low", "MeanHigh": "mean_high",
    "MeanP": "mean_p",
}  # fmt: skip
PEAK_COLUMNS = {
    "reference": {"Description": "Layer or RDM"},
    "label": {"Description": "Its short label"},
    "latency": {"Description": "Time of the largest mean score after the onset of the stimulus",
                "Units": "s"},
    "low": {"Description": "Lower end of its 95% interval, bootstrap over subjects", "Units": "s"},
    "high": {"Description": "Upper end", "Units": "s"},
    "value": {"Description": "Mean score there"},
    "ceiling_lower": {"Description": "Lower bound of the noise ceiling there"},
    "ceiling_upper": {"Description": "Upper bound of the noise ceiling there"},
    "edge_share": {"Description": "Share of bootstrap samples that peak at the edge of the window"},
    "reason": {"Description": "Why there is no latency"},
}  # fmt: skip
ONSET_COLUMNS = {
    "reference": {"Description": "Layer or RDM"},
    "label": {"Description": "Its short label"},
    "onset": {"Description": "First significant time with a positive mean score", "Units": "s"},
    "low": {"Description": "Lower end of its 95% interval, bootstrap over subjects", "Units": "s"},
    "high": {"Description": "Upper end; none where too many samples never reach the level",
             "Units": "s"},
    "threshold": {"Description": "t that a bootstrap sample has to reach"},
    "share_without": {"Description": "Share of bootstrap samples that never reach it"},
}  # fmt: skip
DIFFERENCE_COLUMNS = {
    "reference": {"Description": "Layer or RDM"},
    "other": {"Description": "The one that it is compared with"},
    "difference": {"Description": "Latency of the first less that of the other", "Units": "s"},
    "low": {"Description": "Lower end of its 95% interval, bootstrap over subjects", "Units": "s"},
    "high": {"Description": "Upper end", "Units": "s"},
    "p": {"Description": "Two-sided, of the bootstrap over subjects, uncorrected"},
    "p_bonferroni": {"Description": "Times the number of pairs"},
}  # fmt: skip


def find_peaks(courses: Any, config: Config, tested: bool) -> tuple[Any, str]:
    """Return the peaks of the mean curves after stimulus onset, or None and the reason.

    Without a test there are too few subjects for intervals, and few samples are drawn.
    """
    from neurodnn.stats.latency import bootstrap_peak_latency

    times = courses["time"].values
    window = (max(0.0, float(times[0])), float(times[-1]))
    try:
        found = bootstrap_peak_latency(
            courses, window=window, seed=config.random_seed,
            n_bootstrap=config.n_bootstrap if tested else 20,
        )  # fmt: skip
    except InputError as error:
        return None, f"no peaks: {error}"
    return found, ""


def peak_table(
    peaks: Any, labels: Sequence[str], subjects: SubjectsTest, stimuli: Any, ceiling: Any
) -> pd.DataFrame:
    """Return one row per reference: when and how high its mean is, with every p there."""
    names = [str(name) for name in peaks["reference"].values]
    latency = peaks["latency"].values
    table = {"reference": names, "label": list(labels), "latency": latency}
    for side in ("low", "high"):
        # of few subjects the interval would be far too narrow
        table[side] = peaks[side].values if subjects.corrected else np.full(len(names), np.nan)
    table["value"] = peaks["peak"].values
    keys = p_keys(list(subjects.corrected))
    tests = {keys[name]: each.p for name, each in subjects.corrected.items()}
    if stimuli is not None:
        tests["p_stimuli"] = stimuli["p_fwe"]
    table |= {key: _at(p, names, latency) for key, p in tests.items()}
    for side in ("lower", "upper"):
        if ceiling is not None:
            table[f"ceiling_{side}"] = _at(ceiling[side], names, latency)
    if subjects.corrected:
        table["edge_share"] = peaks["n_edge"].values / peaks.attrs["n_bootstrap"]
    table["reason"] = [str(each) for each in peaks["reason"].values]
    return pd.DataFrame(table)


def _at(values: Any, names: Sequence[str], latency: np.ndarray) -> list[float]:
    """Return the values of each reference at the time of its peak; NaN where it has none."""
    found = []
    for name, time in zip(names, latency, strict=True):
        own = values.sel(reference=name) if "reference" in values.dims else values
        known = np.isfinite(time)
        found.append(float(own.sel(time=time, method="nearest")) if known else np.nan)
    return found


def difference_table(peaks: Any) -> pd.DataFrame:
    """Return one row per pair of references: by how much their mean curves' peaks differ."""
    names = [str(name) for name in peaks["reference"].values]
    rows = []
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        own = [float(peaks[key].values[i, j]) for key in
               ("difference", "difference_low", "difference_high", "p", "p_fwe")]  # fmt: skip
        rows.append((names[i], names[j], *own))
    return pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS))


def onset_table(
    courses: Any, labels: Sequence[str], subjects: SubjectsTest, config: Config
) -> tuple[pd.DataFrame, str]:
    """Return one row per reference, its first significant time; and by which correction.

    The maximum statistic if it was chosen: its p holds for each time, that of a cluster for the
    cluster as a whole.
    """
    from neurodnn.stats.onset import bootstrap_onset

    chosen = "max" if "max" in subjects.corrected else next(iter(subjects.corrected))
    found = bootstrap_onset(
        courses, subjects.corrected[chosen].p < ALPHA, n_bootstrap=config.n_bootstrap,
        seed=config.random_seed,
    )  # fmt: skip
    columns = {"reference": [str(name) for name in found["reference"].values],
               "label": list(labels)}  # fmt: skip
    columns |= {key: found[key].values for key in ("onset", "low", "high", "threshold")}
    without = found["n_without"].values / found.attrs["n_bootstrap"]
    # where there is no level, no sample could have reached it
    columns["share_without"] = np.where(np.isfinite(columns["threshold"]), without, np.nan)
    return pd.DataFrame(columns), chosen


def network_layers(job: MegGroupJob) -> tuple[str, list[str]]:
    """Return the network's label and its layers in their order; RDMs from files have no order."""
    model = str((job.results[0].get("Network") or {}).get("label") or "")
    named = [(parse_name(each["RDM"]), str(each["Name"])) for each in job.references]
    return model, [name for parts, name in named
                   if model and parts.get(MODEL_ENTITY) == model and LAYER_ENTITY in parts]


def _number(value: Any) -> float | None:
    """Return a number that JSON can hold; None where it is not defined."""
    return float(value) if np.isfinite(float(value)) else None


def hierarchy(job: MegGroupJob, peaks: Any, subjects: SubjectsTest, config: Config) -> dict:
    """Return whether later layers of the network peak later in single subjects."""
    from neurodnn.stats.hierarchy import hierarchy_test

    model, layers = network_layers(job)
    if len(layers) < _LEAST_LAYERS:
        reason = f"an order needs {_LEAST_LAYERS} layers of one network, there are {len(layers)}"
        return {"SkippedBecause": reason}
    if not subjects.corrected or peaks is None:
        return {"SkippedBecause": subjects.reason or "there are no peaks"}
    positions = peaks["subject_latency"].sel(reference=layers)
    try:
        found = hierarchy_test(
            positions, n_permutations=config.n_permutations, n_bootstrap=config.n_bootstrap,
            tail=config.tail, seed=config.random_seed,
        )  # fmt: skip
    except InputError as error:
        return {"SkippedBecause": str(error)}
    return {
        "Model": model, "Layers": layers,
        **{key: _number(found[name]) for key, name in _MEASURES.items()},
        "Test": "Spearman's correlation of the number of the layer with the latency of each "
        "subject's own peak, over layers and subjects; p by reversing the order of the layers in "
        "subjects", "N": int(found.attrs["n_subjects"]),
        "Missing": int(np.isnan(positions.values).sum()),
        "Tail": str(found.attrs["tail"]), "Flips": int(found.attrs["n_flips"]),
        "Exact": bool(found.attrs["exact"]), "MinimumP": float(found.attrs["minimum_p"]),
        "GeneralisesTo": "subjects", "Bootstraps": int(found.attrs["n_bootstrap"]),
    }  # fmt: skip
