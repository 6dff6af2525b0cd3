"""What one subject alone can tell: p over shuffled stimuli, and how reliable its patterns are.

What cannot be computed is left out with a reason, never with a traceback.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from neurodnn._checks import DataWarning, InputError
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.jobs import Job, Loaded
from neurodnn.pipeline.logs import LOGGER, shows_progress


class SubjectTests(NamedTuple):
    """Results, None where there is none; then the reason."""

    label: Any
    label_skipped: str
    reliability: Any
    reliability_skipped: str


def run_tests(
    job: Job, loaded: Loaded, references: Any, nuisance: Any, config: Config
) -> SubjectTests:
    """Return the label-permutation test and the split-half reliability of one job."""
    label, reason = None, label_skipped(len(job.stimuli), config)
    if not reason:
        LOGGER.info("%s: %d shuffles of the stimuli", job.name, config.label_permutations)
        label = _label_test(loaded, references, nuisance, config)
    reliability, unreliable = None, reliability_skipped(job, config)
    if not unreliable:
        reliability, unreliable = _reliability(loaded, config)
    for text in (reason, unreliable):
        if text:
            LOGGER.info("%s: %s", job.name, text)
    return SubjectTests(label, reason, reliability, unreliable)


def label_skipped(n_stimuli: int, config: Config) -> str:
    """Return why there is no test over stimuli; empty where there is one."""
    from neurodnn.workflows.stimulus_test import MIN_STIMULI

    if config.label_permutations == 0:
        return "no p over stimuli: --label-permutations is 0"
    if config.compare == "tau-a":
        return "no p over stimuli: shuffles are not offered for tau-a (rho-a treats ties alike)"
    if n_stimuli < MIN_STIMULI:
        return (
            f"no p over stimuli: {n_stimuli} stimuli can be shuffled in too few ways (at least "
            f"{MIN_STIMULI} are needed)"
        )
    return ""


def reliability_skipped(job: Job, config: Config) -> str:
    """Return why there is no map of reliability; empty where there is one."""
    runs, crossed = len(job.run_stimuli()), config.metric == "crossnobis"
    if config.compare == "tau-a":
        return "no split-half reliability: Kendall's tau cannot be stepped up to all runs"
    if runs < (4 if crossed else 2):
        needed = "four runs with crossnobis" if crossed else "two runs"
        return f"no split-half reliability: it needs {needed}"
    return ""


def _label_test(loaded: Loaded, references: Any, nuisance: Any, config: Config) -> Any:
    from neurodnn.pipeline.estimate import workers
    from neurodnn.workflows.searchlight_settings import SearchlightSettings
    from neurodnn.workflows.stimulus_test import subject_stimulus_test

    return subject_stimulus_test(
        loaded.patterns, loaded.mask, references, SearchlightSettings.of(vars(config)),
        residuals=loaded.residuals, nuisance=nuisance,
        n_permutations=config.label_permutations, tail=config.tail, seed=config.random_seed,
        n_jobs=workers(config), progress=shows_progress(config),
    )  # fmt: skip


def _reliability(loaded: Loaded, config: Config) -> tuple[Any, str]:
    """Return the map, or the reason that came to light on the way; its warnings are its own."""
    from neurodnn.pipeline.estimate import workers
    from neurodnn.workflows.searchlight_settings import SearchlightSettings
    from neurodnn.workflows.split_half import split_half_map

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        try:
            found = split_half_map(
                loaded.patterns, loaded.mask, SearchlightSettings.of(vars(config)),
                residuals=loaded.residuals, seed=config.random_seed, n_jobs=workers(config),
            )  # fmt: skip
        except InputError as error:
            return None, f"no split-half reliability: {error}"
    for text in dict.fromkeys(str(item.message) for item in caught):
        LOGGER.debug("reliability: %s", text)
    return found, ""
