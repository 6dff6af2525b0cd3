"""p over stimuli and noise ceilings of a group's time courses, from the RDMs of all subjects."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurodnn._checks import InputError
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.group_stimuli import rdms_over
from neurodnn.pipeline.logs import LOGGER, Scrubber, available_mb
from neurodnn.pipeline.meg_group_plan import MegGroupJob


class CourseStimuli(NamedTuple):
    """p of scores over shuffled stimuli, or the reason why there is none."""

    tested: Any  # Dataset (time, reference) or None
    reason: str
    n_stimuli: int


def memory_mb(n_subjects: int, n_times: int, n_stimuli: int, n_references: int) -> float:
    """Return the MB that the test over stimuli needs.

    Measured: seven arrays (subjects x times x pairs) of float64, the movies among them, and
    shuffled references in blocks of 32 MB.
    """
    pairs = n_stimuli * (n_stimuli - 1) / 2
    return (7 * n_subjects * n_times * pairs * 8 + 4 * 2**25 + n_references * pairs * 64) / 1e6


def memory_reason(job: MegGroupJob, config: Config) -> str:
    """Return that there is too little memory for the test over stimuli; "" for enough."""
    from neurodnn.pipeline.estimate import BASE_MB, MEMORY_SHARE

    compared = max(int(each["Stimuli"]["Compared"]) for each in job.results)
    count = int(job.results[0]["Times"]["Count"])
    needed = BASE_MB + memory_mb(len(job.subjects), count, compared, len(job.references))
    available = float(config.mem_mb or available_mb())
    if config.force or needed <= MEMORY_SHARE * available:
        return ""
    return (
        f"no p over stimuli: it needs about {needed:,.0f} MB for the RDMs of "
        f"{len(job.subjects)} subjects, and {available:,.0f} MB are available (see --mem-mb and "
        "--force)"
    )


def stimuli_test(job: MegGroupJob, movies: dict[str, Any], config: Config) -> CourseStimuli:
    """Return p of the mean curves over shuffled stimuli, corrected for times and references."""
    from neurodnn.rsa.names import names_of
    from neurodnn.workflows.stimulus_test import MIN_STIMULI

    stimuli = sorted(names_of(next(iter(movies.values())), "RDMs"))
    if config.label_permutations == 0:
        return CourseStimuli(None, "no p over stimuli: --label-permutations is 0", len(stimuli))
    if len(stimuli) < MIN_STIMULI:
        reason = (
            f"no p over stimuli: the subjects share {len(stimuli)} stimuli, which can be shuffled "
            f"in too few ways (at least {MIN_STIMULI} are needed)"
        )
        return CourseStimuli(None, reason, len(stimuli))
    reason = memory_reason(job, config)
    if reason:
        return CourseStimuli(None, reason, len(stimuli))
    LOGGER.info("%s: %d shuffles of %d stimuli", job.name, config.label_permutations, len(stimuli))
    try:
        return CourseStimuli(_shuffled(job, movies, stimuli, config), "", len(stimuli))
    except InputError as error:
        reason = f"no p over stimuli: {Scrubber(config)(str(error))}"
        return CourseStimuli(None, reason, len(stimuli))


def _shuffled(
    job: MegGroupJob, movies: dict[str, Any], stimuli: list[str], config: Config
) -> Any:
    from neurodnn.rsa.label_test import label_permutation_test
    from neurodnn.rsa.movie_subjects import rdms_by_time

    first, out = job.results[0], config.output_dir
    found = label_permutation_test(
        rdms_by_time(movies), rdms_over(first["References"], stimuli, out),
        comparison=first["Parameters"]["compare"], n_permutations=config.label_permutations,
        tail=config.tail, nuisance=rdms_over(first.get("Nuisance", []), stimuli, out),
        semi=bool(first["Parameters"].get("semi_partial")), seed=config.random_seed,
    )  # fmt: skip
    times = next(iter(movies.values())).rdm_descriptors["time"]
    found = found.rename(region="time").assign_coords(time=np.asarray(times, dtype=float))
    return found.assign_attrs(family=["time", "reference"])


def ceiling_of(job: MegGroupJob, movies: dict[str, Any]) -> tuple[Any, str]:
    """Return the noise ceiling of every time, or None and the reason."""
    from neurodnn.rsa.rdm_movies import movie_ceiling

    if job.results[0].get("Nuisance"):
        return None, "a partial correlation has no noise ceiling"
    try:
        found = movie_ceiling(movies, comparison=job.results[0]["Parameters"]["compare"])
    except InputError as error:
        return None, f"no noise ceiling: {error}"
    return found, ""
