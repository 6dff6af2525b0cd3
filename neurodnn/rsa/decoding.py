"""Trials -> decoding RDMs: how well a linear classifier tells each pair of stimuli apart."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from joblib import Parallel, delayed
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.numerics.decoding import CLASSIFIERS, pair_decisions
from neurodnn.numerics.pseudo_trials import average_groups
from neurodnn.numerics.svm import WAYS
from neurodnn.rsa.conditions import observation_names
from neurodnn.rsa.trials import TrialPlan, check_times, plan_trials, prepared_trials

SCORES = {
    "accuracy": "fraction correct (chance 0.5)",
    "decision": "decision value, positive where right (chance 0)",
}
_CHANCE = {"accuracy": 0.5, "decision": 0.0}
# Repeats per block, fixed: how work is cut never depends on who does it.
_REPEATS = 4
_TINY = 1e-6  # C times the mean squared length of a trial; with noise of 1 per channel: channels
_HUGE = 1e140  # what can be squared and summed
_PRESETS = {"cichy2016": ("svm", 5, 100, 1.0, "accuracy")}


def decoding_rdms(
    patterns: Dataset | Mapping[float, Dataset],
    *,
    classifier: str = "svm",
    trials_per_pseudo: int = 5,
    n_repeats: int = 100,
    C: float = 1.0,
    score: str = "accuracy",
    seed: int = 0,
    n_jobs: int = 1,
    progress: bool = False,
) -> RDMs:
    """Return RDMs whose entries say how well two stimuli can be decoded from single trials.

    The trials of a stimulus are assigned at random to groups, which are averaged to
    pseudo-trials. For each pair of stimuli a linear classifier is trained on all pseudo-trials
    but one of each stimulus and tested on those two; every pseudo-trial is left out once. The
    score is the mean over these folds and over fresh assignments.

    Parameters
    ----------
    patterns : Dataset or dict of time in seconds -> Dataset
        Trials x channels, with the stimulus of every trial in ``obs_descriptors["stimulus"]``.
        With a dict, row i must be the same trial at every time; any mapping will do, so one
        that loads a time when it is asked for keeps memory small. Channels that hold a value
        that is not finite, or do not vary over trials, are left out at that time.
    classifier : {"svm", "lda"}
        ``"svm"`` is the linear C-SVC of libsvm and scikit-learn, solved exactly. ``"lda"`` is a
        linear discriminant with the covariance within stimuli shrunk towards a multiple of the
        identity, by the weight that Ledoit and Wolf give for the residuals of the training
        points (scikit-learn: ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=weight)``).
    trials_per_pseudo : int
        Trials that are averaged to one pseudo-trial (not the number of pseudo-trials, which
        goes by this name elsewhere).
    n_repeats : int
        Fresh random assignments of trials to pseudo-trials.
    C : float
        Cost of the support vector machine; nothing to ``"lda"``. It is not free of scale: with
        patterns of 1e-13 (tesla) every training point counts alike. Bring channels to units of
        their noise first.
    score : {"accuracy", "decision"}
        ``"accuracy"``: fraction of left-out pseudo-trials that are assigned to their stimulus.
        A decision value of exactly 0 counts for the later of the two names in sorted order, as
        in scikit-learn. ``"decision"``: mean of the decision values, each with a positive sign
        where the assignment is right and a negative one where it is wrong. That is accuracy
        weighted by distance from the border, in units of the margin for ``"svm"`` and of the
        log odds for ``"lda"``; it still grows where all assignments are right.
    seed : int
        Seed of the assignments. What a stimulus draws hangs on `seed`, the repeat, its name and
        the order of its own trials, and is the same at all times.
    n_jobs : int
        Threads; -1 for one per core. The result is the same bits for any number.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    RDMs
        A row for each time (``rdm_descriptors["time"]``, seconds); stimuli in order of first
        appearance. The diagonal is undefined: a stimulus is not decoded from itself.
        ``descriptors`` hold classifier, score, unit, chance, trials per pseudo-trial,
        pseudo-trials, repeats, C, seed and preset (``cichy2016`` for the settings by default,
        else ``none``).

    Raises
    ------
    InputError
        If a stimulus has too few trials for two pseudo-trials (three for ``"lda"``; it is
        named), there is one stimulus only, trials differ between times, a trial holds no
        finite value, or an argument is not valid.

    Notes
    -----
    Every stimulus gives as many pseudo-trials as the one with the fewest trials allows, so that
    both sides of a pair are of one size. Trials that are left over by that, or because
    `trials_per_pseudo` does not divide their number, are other ones in every repeat.

    References
    ----------
    Guggenmos, M., Sterzer, P., & Cichy, R. M. (2018). Multivariate pattern analysis for MEG: A
    comparison of dissimilarity measures. NeuroImage, 173, 434-447.
    Chang, C.-C., & Lin, C.-J. (2011). LIBSVM: A library for support vector machines. ACM
    Transactions on Intelligent Systems and Technology, 2(3), 27.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = ["cat", "dog", "car"] * 12
    >>> values = rng.normal(size=(36, 20)) + np.tile(rng.normal(size=(3, 20)), (12, 1))
    >>> trials = Dataset(values, obs_descriptors={"stimulus": names})
    >>> rdms = decoding_rdms({0.1: trials}, trials_per_pseudo=3, n_repeats=10)
    >>> rdms.pattern_descriptors["stimulus"], rdms.rdm_descriptors["time"]
    (['cat', 'dog', 'car'], [0.1])
    """
    check_choice("classifier", classifier, CLASSIFIERS)
    check_choice("score", score, SCORES)
    trials_per_pseudo = _whole("trials_per_pseudo", trials_per_pseudo, 1)
    n_repeats = _whole("n_repeats", n_repeats, 1)
    seed = _whole("seed", seed, 0)
    C = check_number("C", C, minimum=0, maximum=1e100, strict=True)
    times = list(patterns) if isinstance(patterns, Mapping) else [None]
    check_times(times)
    sets = patterns if isinstance(patterns, Mapping) else {None: patterns}
    first = sets[times[0]]
    least = 3 if classifier == "lda" else 2
    plan = plan_trials(observation_names(first), trials_per_pseudo, n_repeats, seed, least)
    rows = _score_times(sets, times, plan, (classifier, C, score), n_jobs, progress)
    settings = (classifier, trials_per_pseudo, n_repeats, C, score)
    names = list(dict.fromkeys(plan.observed))
    return RDMs(
        _reordered(rows, plan.names, names),
        dissimilarity_measure=f"decoding {score}",
        descriptors=_descriptors(settings, plan, seed),
        rdm_descriptors={} if times == [None] else {"time": [float(time) for time in times]},
        pattern_descriptors={"stimulus": names},
    )


def _whole(name: str, value: object, minimum: int) -> int:
    number = check_number(name, value, minimum=minimum, maximum=2**53)
    if number != int(number):
        allowed = f"a whole number >= {minimum}"
        raise InputError(message(name, "is no whole number", got=value, allowed=allowed))
    return int(number)


def _score_times(
    sets: Mapping, times: list, plan: TrialPlan, how: tuple[str, float, str], n_jobs: int,
    progress: bool,
) -> np.ndarray:  # fmt: skip
    """Return times x pairs, pairs of sorted names."""
    n_repeats, n_groups, n_stimuli, _ = plan.groups.shape
    rows = np.full((len(times), n_stimuli * (n_stimuli - 1) // 2), np.nan)
    blocks = [plan.groups[i : i + _REPEATS] for i in range(0, n_repeats, _REPEATS)]
    lost = tiny = unsettled = 0
    bar = tqdm(total=len(times) * n_repeats, desc="decoding", unit="repeat", disable=not progress)
    # One thread for each product: the bits may depend on how it is shared out.
    with threadpool_limits(1, user_api="blas"), bar, _workers(n_jobs) as parallel:
        for row, time in zip(rows, times, strict=True):
            trials, n_lost = prepared_trials(sets[time], plan, time)
            lost = max(lost, n_lost)
            svm, largest = how[0] == "svm", np.abs(trials).max(initial=0.0)
            if not trials.shape[1] or (svm and largest > _HUGE):
                bar.update(n_repeats)
                continue
            if svm:
                tiny += how[1] * np.mean(np.sum(trials**2, axis=1)) < _TINY
            else:  # it has no scale: a power of two keeps squares in range and changes no digit
                trials *= 0.5 ** np.frexp(largest)[1]
            total = np.zeros_like(row)
            for block, ways in parallel(delayed(_score_block)(trials, b, how) for b in blocks):
                total += block
                unsettled += int(ways[WAYS.index("steps, not settled")])
                bar.update(min(_REPEATS, n_repeats - bar.n % n_repeats))
            row[:] = total / (2 * n_groups * n_repeats)
    _warn(rows, lost, tiny, unsettled)
    return rows


def _workers(n_jobs: int) -> Parallel:
    return Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")


def _score_block(
    trials: np.ndarray, groups: np.ndarray, how: tuple[str, float, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of some repeats, summed over them and over the left-out pseudo-trials."""
    classifier, cost, score = how
    _, n_groups, n_stimuli, _ = groups.shape
    means = np.empty((n_groups * n_stimuli, trials.shape[1]))
    total = np.zeros(n_stimuli * (n_stimuli - 1) // 2)
    ways = np.zeros(len(WAYS), dtype=np.int64)
    for repeat in groups:
        average_groups(trials, repeat, means)
        decisions, found = pair_decisions(means, n_groups, classifier, cost)
        ways += found
        if score == "accuracy":
            total += (decisions[:, :, 0] > 0).sum(axis=1)
            total += (decisions[:, :, 1] <= 0).sum(axis=1)
        else:
            total += (decisions[:, :, 0] - decisions[:, :, 1]).sum(axis=1)
        # NaN is neither right nor wrong: it must not count as wrong.
        total[~np.isfinite(decisions).all(axis=(1, 2))] = np.nan
    return total, ways


def _warn(rows: np.ndarray, lost: int, tiny: int, unsettled: int) -> None:
    """Warn of channels left out, of patterns too small for C, and of folds without a solution."""
    texts = []
    if lost:
        texts.append(
            f"patterns: up to {lost} channels at a time hold values that are not finite, or do"
            " not vary, and are left out."
        )
    undefined = int(np.isnan(rows).any(axis=1).sum())
    if undefined:
        texts.append(
            f"patterns: at {undefined} times no channel is usable, or values are too large to be"
            " squared; what cannot be decoded there becomes NaN."
        )
    if tiny:
        texts.append(
            f"patterns: at {tiny} times the values are so small beside C that every"
            " training point counts alike. Divide channels by the spread of their baseline."
        )
    if unsettled:
        texts.append(
            f"C: {unsettled} folds were not settled after 200,000 steps; their decision values"
            " are approximate. Bring channels to units of their noise, or lower C."
        )
    for text in texts:
        warnings.warn(text, DataWarning, stacklevel=4)


def _reordered(rows: np.ndarray, names: list[str], wanted: list[str]) -> np.ndarray:
    """Return condensed rows with the stimuli in the order of `wanted`."""
    place = {name: i for i, name in enumerate(names)}
    square = np.empty((len(names), len(names)), dtype=np.intp)
    upper = np.triu_indices(len(names), 1)
    square[upper] = square.T[upper] = np.arange(len(upper[0]))
    order = [place[name] for name in wanted]
    return rows[:, square[np.ix_(order, order)][upper]]


def _descriptors(settings: tuple, plan: TrialPlan, seed: int) -> dict[str, object]:
    classifier, trials_per_pseudo, n_repeats, cost, score = settings
    preset = next((name for name, values in _PRESETS.items() if values == settings), "none")
    return {
        "classifier": classifier,
        "score": score,
        "unit": SCORES[score],
        "chance": _CHANCE[score],
        "diagonal": "undefined",
        "trials_per_pseudo_trial": trials_per_pseudo,
        "pseudo_trials": int(plan.groups.shape[1]),
        "n_repeats": n_repeats,
        "C": cost,
        "seed": seed,
        "preset": preset,
    }
