"""The tests over subjects: flips once for mean and t, then every correction that was chosen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from neurodnn._checks import DataWarning
from neurodnn.pipeline.config import Config
from neurodnn.pipeline.logs import LOGGER

ALPHA = 0.05


class SubjectsTest(NamedTuple):
    """Mean and t of one family of maps, with corrected p by inference.

    `corrected` is empty where so few subjects cannot reach p <= .05; `reason` then says so.
    """

    tested: Any
    corrected: dict[str, Any]
    reason: str


def chosen_inferences(config: Config) -> list[str]:
    """Return the inferences asked for, each once, in the order of the documentation."""
    from neurodnn.pipeline.options import INFERENCES

    return [name for name in INFERENCES if name in config.inference]


def subjects_test(scores: Any, grid: Any, config: Config, *, what: str) -> SubjectsTest:
    """Return mean, t and corrected p of scores (subject, voxel, reference); `what` for the log."""
    from neurodnn.workflows.group_inference import correct_group

    def correct(name: str, tested: Any, settings: Any, n_jobs: int) -> Any:
        return correct_group(scores, grid, tested, name, settings, n_jobs=n_jobs)

    return _tested(scores, config, correct, what)


def course_test(scores: Any, config: Config, *, what: str) -> SubjectsTest:
    """Return mean, t and corrected p of scores (subject, time, reference); `what` for the log."""
    from neurodnn.workflows.course_inference import correct_courses

    def correct(name: str, tested: Any, settings: Any, n_jobs: int) -> Any:
        return correct_courses(scores, tested, name, settings, n_jobs=n_jobs)

    return _tested(scores, config, correct, what)


def _tested(
    scores: Any, config: Config, correct: Callable[[str, Any, Any, int], Any], what: str
) -> SubjectsTest:
    """Flip once for mean, t and the largest t; then correct in each way that was chosen."""
    from neurodnn.pipeline.estimate import workers
    from neurodnn.stats.permutation import sign_flip_test
    from neurodnn.workflows.group_inference import InferenceSettings

    jobs = workers(config)
    with warnings.catch_warnings():
        # the reason below says the same, with the number of subjects that is needed
        warnings.filterwarnings("ignore", ".*cannot reach p <= ", DataWarning)
        tested = sign_flip_test(
            scores, n_permutations=config.n_permutations, tail=config.tail,
            seed=config.random_seed, n_jobs=jobs, allow_small=True,
        )  # fmt: skip
    reason = reason_against_flips(scores.sizes["subject"], tested.attrs["n_flips"],
                                  float(tested.attrs["minimum_p"]))  # fmt: skip
    if reason:
        return SubjectsTest(tested, {}, reason)
    settings, corrected = InferenceSettings.of(vars(config)), {}
    for name in chosen_inferences(config):
        LOGGER.info("%s: corrected by %s", what, name)
        corrected[name] = correct(name, tested, settings, jobs)
    return SubjectsTest(tested, corrected, "")


def reason_against_flips(n_subjects: int, n_flips: int, smallest: float) -> str:
    """Return why so few subjects cannot be tested; "" where they can.

    Examples
    --------
    >>> reason_against_flips(6, 64, 1 / 32)
    ''
    """
    if smallest <= ALPHA:
        return ""
    return (
        f"no p over subjects: with {n_subjects} subjects the smallest p that {n_flips} sign "
        f"flips can give is {smallest:.3g} (6 subjects are needed for a two-sided test, 5 for a "
        "one-sided one)"
    )


def differences(scores: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    """Return the scores of A less those of B, subject by subject, as references ``A - B``."""
    from neurodnn.stats.multiplicity import paired_differences

    return paired_differences(scores, pairs=list(pairs))


def find_pairs(texts: Sequence[str], names: Sequence[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the references that each ``A - B`` means, and the first text that means no one pair.

    Examples
    --------
    >>> find_pairs(["conv1 - fc - 7"], ["conv1", "fc - 7"])
    ([('conv1', 'fc - 7')], '')
    """
    pairs = []
    for text in texts:
        parts = text.split(" - ")
        cuts = [(" - ".join(parts[:i]).strip(), " - ".join(parts[i:]).strip())
                for i in range(1, len(parts))]  # fmt: skip
        found = [pair for pair in cuts if set(pair) <= set(names) and pair[0] != pair[1]]
        if len(found) != 1:  # "a - b - c" may mean two things where names hold dashes
            return pairs, text
        pairs.append(found[0])
    return list(dict.fromkeys(pairs)), ""
