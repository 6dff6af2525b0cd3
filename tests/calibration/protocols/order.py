"""A10: noise that is alike from one trial to the next, and distances within or between runs."""

from __future__ import annotations

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.stats import ttest_1samp

import neurodnn as nd
from protocols.counting import Arm, Columns, Measure, Protocol
from protocols.nulls import as_rdms, autocorrelated, generator, stimulus_names, subject_names

_SUBJECTS, _RUNS, _STIMULI, _VOXELS = 16, 4, 20, 40


def presentation_order(
    indices: range, seed: int, rho: float = 0.2, randomised: bool = False
) -> Columns:
    """Nothing but noise that is AR(1) over trials; the model is the distance in time of trials.

    Stimuli come in one order in all runs of all subjects, which is the worst case: what follows
    from the order is there again in every run. `randomised`: in an order of its own in each run,
    so that the model is the distance in time of nobody in particular.
    """
    counted = ("between", "between_labels", "within", "within_labels", "t_test")
    columns: dict[str, list[bool]] = {name: [] for name in counted}
    position = np.arange(_STIMULI, dtype=float)
    first, second = np.triu_indices(_STIMULI, 1)
    model = as_rdms(np.abs(position[first] - position[second])[None], "reference", ["time"])
    names = np.array(stimulus_names(_STIMULI))
    runs = np.repeat([f"run {run}" for run in range(_RUNS)], _STIMULI).tolist()
    for i in indices:
        rng = generator(seed, 10, i)
        sets = {}
        for subject in subject_names(_SUBJECTS):
            noise = autocorrelated(rng, rho, (_RUNS, _STIMULI, _VOXELS)).reshape(-1, _VOXELS)
            orders = [rng.permutation(_STIMULI) if randomised else np.arange(_STIMULI)
                      for _ in range(_RUNS)]  # fmt: skip
            stimuli = names[np.concatenate(orders)].tolist()
            sets[subject] = Dataset(noise, obs_descriptors={"stimulus": stimuli, "run": runs})
        for name, metric in (("between", "crossnobis"), ("within", "correlation")):
            rdms = nd.compute_rdms(sets, metric=metric)
            # The names go along: stimuli stand in the order of their first appearance.
            data = RDMs(rdms.dissimilarities, rdm_descriptors={"subject": list(sets)},
                        pattern_descriptors=rdms.pattern_descriptors)  # fmt: skip
            scores = nd.compare_rdms(data, model)
            flips = nd.sign_flip_test(scores, n_permutations=200, seed=i)
            columns[name].append(flips.p.item() <= 0.05)
            labels = nd.label_permutation_test(data, model, n_permutations=200, seed=i)
            columns[f"{name}_labels"].append(labels.p.item() <= 0.05)
        columns["t_test"].append(ttest_1samp(scores.values[:, 0], 0).pvalue <= 0.05)
    return columns


def _arm(rho: float) -> Arm:
    naive = "caught" if rho else "shown"
    return Arm(
        f"one order in all runs, trials correlate {rho:g}", presentation_order,
        {"nightly": 300, "release": 2000},
        [
            Measure("between", "distances between runs (crossnobis), sign flips"),
            Measure("between_labels", "distances between runs, stimuli relabelled",
                    "caught" if rho == 0.5 else "shown" if rho else "band", naive=rho > 0),
            Measure("within", "distances within runs (correlation), sign flips", naive,
                    naive=True),
            Measure("within_labels", "distances within runs, stimuli relabelled", naive,
                    naive=True),
            Measure("t_test", "distances within runs, t-test", naive, naive=True),
        ],
        {"rho": rho},
    )  # fmt: skip


def _randomised_arm(rho: float) -> Arm:
    return Arm(
        f"an order of its own in each run, trials correlate {rho:g}", presentation_order,
        {"nightly": 300, "release": 2000},
        [
            Measure("between", "distances between runs (crossnobis), sign flips"),
            Measure("between_labels", "distances between runs, stimuli relabelled"),
            Measure("within", "distances within runs (correlation), sign flips"),
            Measure("within_labels", "distances within runs, stimuli relabelled"),
        ],
        {"rho": rho, "randomised": True},
    )  # fmt: skip


A10 = Protocol(
    "A10",
    "Noise that outlasts a trial",
    "Responses of neighbouring trials share noise. If a model's distances happen to follow the "
    "order of presentation, do we find it in noise?",
    f"{_SUBJECTS} subjects, {_RUNS} runs of {_STIMULI} stimuli in one order, {_VOXELS} voxels of "
    "AR(1) noise and nothing else; the model is the distance between positions in the run. "
    "compute_rdms, compare_rdms (Spearman); sign_flip_test and label_permutation_test with 200.",
    "Distances between patterns of one run inherit the noise that these share: a correlation of "
    ".2 from trial to trial suffices for a 'finding' in every study. Distances between runs "
    "(crossnobis) are right on average, because noise of different runs is independent, and a test "
    "over subjects keeps its promise. Relabelling stimuli does not even then, if all runs have one "
    "order: it takes for granted that any stimulus might have borne any name, and neighbours in "
    "time might not. With an order of its own in each run all of this is cured.",
    [_arm(0.0), _arm(0.2), _arm(0.5), _randomised_arm(0.5)],
)
