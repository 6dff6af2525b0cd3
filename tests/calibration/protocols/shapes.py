"""A6, A11, A13: the p of one place, for scores that are Gaussian and for scores that are not."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.stats import kstest
from scipy.stats import t as student

import neurodnn as nd
from neurodnn._checks import DataWarning
from protocols.counting import TIERS, Arm, Check, Columns, Measure, Protocol
from protocols.nulls import (
    as_rdms,
    correlation_distances,
    generator,
    random_references,
    subject_names,
)

_KS = 0.001


def skewed(indices: range, seed: int, n_subjects: int = 12) -> Columns:
    """A6: exponential errors of mean zero; a block of data sets is the places of one map.

    All flips are used up to 16 subjects, so that places share no chance but their own.
    """
    flips = "exact" if n_subjects <= 16 else 10_000
    scores = np.stack(
        [generator(seed, 6, i).exponential(size=n_subjects) - 1 for i in indices], axis=1
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        two = nd.sign_flip_test(scores, n_permutations=flips)
    warned = any("skewed" in str(w.message) for w in caught)
    right = nd.sign_flip_test(scores, n_permutations=flips, tail="greater")
    left = nd.sign_flip_test(-scores, n_permutations=flips, tail="greater")
    return {
        "two": two.p.values <= 0.05,
        "right": right.p.values <= 0.05,
        "left": left.p.values <= 0.05,
        "warned": [warned],
    }


def student_t(indices: range, seed: int) -> Columns:
    """A11: 2,000 Gaussian places of ten subjects, t against Student; p against Student's p."""
    ks, errors = [], {100: [], 1000: [], 10_000: []}
    for i in indices:
        rng = generator(seed, 11, i)
        places = rng.normal(size=(10, 2000))
        t = nd.sign_flip_test(places, n_permutations=20).t.values
        ks.append(kstest(t, student(9).cdf).pvalue)
        places = rng.normal(size=(16, 200))
        for n_permutations, values in errors.items():
            test = nd.sign_flip_test(places, n_permutations=n_permutations, seed=i)
            expected = 2 * student(15).sf(np.abs(test.t.values))
            values.append(np.mean((test.p.values - expected) ** 2))
    return {"ks": ks} | {f"error{n}": values for n, values in errors.items()}


def _judge_student(columns: Columns) -> list[Check]:
    ks, n = columns["ks"], len(columns["ks"])
    few, some, many = (float(np.mean(columns[f"error{k}"])) for k in (100, 1000, 10_000))
    return [
        Check(
            f"t of {n} maps of 2,000 places against Student's distribution, "
            "smallest Kolmogorov-Smirnov p",
            f"> 0.01 / {n}", f"{ks.min():.4f}", bool(ks.min() > 0.01 / n),
        ),
        Check(
            "mean squared difference of p from Student's p, 100, 1,000 and 10,000 flips",
            "falling, the last below 1e-4", f"{few:.1e}, {some:.1e}, {many:.1e}",
            few > some > many and many < 1e-4,
        ),
    ]  # fmt: skip


def uniform(indices: range, seed: int) -> Columns:
    """A13: randomised p of Gaussian nulls, 15 subjects x 3 places, 1,000 flips."""
    columns: dict[str, list[float]] = {}
    for i in indices:
        # With 13 as key, seed 0 is one of the one in a thousand (Kolmogorov-Smirnov p = .0005 for
        # 2,000 sets, and .94, .85, .30, .12 for seeds 1 to 4).
        rng = generator(seed, 113, i)
        names = subject_names(15)
        scores = rng.normal(size=(len(names), 3))
        for tail in ("two-sided", "greater"):
            test = nd.sign_flip_test(scores, n_permutations=1000, seed=i, tail=tail)
            best = int(test.p_fwe.values.argmin())
            # p is discrete; a uniform step makes it continuous
            step = rng.uniform(size=2) / 1000
            columns.setdefault(f"p, {tail}", []).append(test.p.values[0] - step[0])
            found = test.p_fwe.values[best] - step[1]
            columns.setdefault(f"familywise p of the best place, {tail}", []).append(found)
            columns.setdefault(f"rejected {tail}", []).append(test.p.values[0] <= 0.05)
            columns.setdefault(f"rejected best {tail}", []).append(test.p_fwe.min() <= 0.05)
            uncorrected = test.p.values.min() - step[1]
            columns.setdefault(f"uncorrected {tail}", []).append(uncorrected)
        data = as_rdms(correlation_distances(rng.normal(size=(1, 12, 40))), "subject", ["one"])
        relabelled = nd.label_permutation_test(
            data, random_references(rng, 1, 12), n_permutations=200, seed=i
        )
        found = relabelled["p"].values.item() - rng.uniform() / 200
        columns.setdefault("p of relabelled stimuli", []).append(found)
    return columns


def _judge_uniform(columns: Columns) -> list[Check]:
    checks = []
    for name, values in columns.items():
        if name.startswith("rejected"):
            continue
        p = float(kstest(values, "uniform").pvalue)
        wrong = name.startswith("uncorrected")
        label = f"smallest of three uncorrected p{name[11:]}" if wrong else name
        checks.append(
            Check(
                f"{label}: Kolmogorov-Smirnov p against uniform",
                f"<= {_KS} (a naive alternative, to be caught)" if wrong else f"> {_KS}",
                f"{p:.2g}", p <= _KS if wrong else p > _KS,
            )
        )  # fmt: skip
    return checks


def _judge_warning(columns: Columns) -> list[Check]:
    warned, n = int(np.sum(columns["warned"])), len(columns["warned"])
    return [
        Check("maps of 500 such places at which the skewness warning was shown", f"{n} of {n}",
              f"{warned} of {n}", warned == n)
    ]  # fmt: skip


def _skew_arm(n_subjects: int, tiers: tuple[str, ...]) -> Arm:
    small = n_subjects == 12
    return Arm(
        f"{n_subjects} subjects", skewed, dict.fromkeys(tiers, 16_000),
        [
            Measure("two", "two-sided (our default)", (0.0, 0.10) if small else "shown"),
            Measure("left", "one-sided, long tail against the effect",
                    "caught" if small else "shown", naive=True),
            Measure("right", "one-sided, long tail with the effect", "shown", naive=True),
        ],
        {"n_subjects": n_subjects}, _judge_warning if n_subjects < 20 else None, block=500,
    )  # fmt: skip


A6 = Protocol(
    "A6",
    "Skewed scores",
    "A sign-flip test assumes that scores are symmetric about zero when nothing is there. How "
    "wrong does it become when they are strongly skewed?",
    "Exponential errors, shifted to mean zero: skewness 2. sign_flip_test with all flips there "
    "are (4,096 for 12 subjects, 65,536 for 16), 10,000 random ones for 30.",
    "This is the one null that the test does not hold, and says so: two-sided p <= .05 comes up "
    "in up to one study in ten, one-sided tests err by more or lose their power, by the side of "
    "the tail. Hence the two-sided default and the warning about skewed scores below 20 subjects.",
    [_skew_arm(12, TIERS), _skew_arm(16, TIERS[1:]), _skew_arm(30, TIERS[1:])],
)

A11 = Protocol(
    "A11",
    "t and p of Gaussian scores are Student's",
    "For Gaussian scores the right answer is known from Student's distribution. Do t and the "
    "sign-flip p agree with it?",
    "Independent Gaussian maps; sign_flip_test with 20 flips (t), and 100, 1,000 and 10,000 (p).",
    "Random flips approach the textbook p as their number grows; the rest is what was drawn.",
    [Arm("20 seeds", student_t, dict.fromkeys(TIERS, 20), check=_judge_student, block=10)],
)

A13 = Protocol(
    "A13",
    "p is uniform when nothing is there",
    "Not only at .05: is every p as frequent as every other, so that p <= x comes up with "
    "probability x?",
    "Gaussian scores of 15 subjects at three places, sign_flip_test with 1,000 flips (the data "
    "included); one random RDM of 12 stimuli, label_permutation_test with 200. p is discrete; a "
    "uniform step below it makes it continuous for the test of Kolmogorov and Smirnov.",
    "The corrected p of the best place is uniform too; the smallest of three uncorrected p is "
    "far from it.",
    [
        Arm(
            "Gaussian scores, three places", uniform,
            {"quick": 500, "nightly": 2000, "release": 2000},
            [Measure("rejected two-sided", "two-sided p <= .05 at one place"),
             Measure("rejected greater", "one-sided p <= .05 at one place"),
             Measure("rejected best two-sided", "two-sided familywise p <= .05 anywhere"),
             Measure("rejected best greater", "one-sided familywise p <= .05 anywhere")],
            check=_judge_uniform, block=125,
        )
    ],
)  # fmt: skip
