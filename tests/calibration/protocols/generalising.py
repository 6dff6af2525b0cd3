"""A2, A3: whom a p speaks for, when all subjects see the same stimuli and share their geometry."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import ttest_1samp

import neurodnn as nd
from neurodnn.numerics.adjacency import grid_adjacency
from neurodnn.numerics.neighbors import ball_neighbors
from protocols.counting import ALPHA, TIERS, Arm, Columns, Measure, Protocol
from protocols.nulls import (
    as_dataset,
    as_rdms,
    correlation_distances,
    generator,
    random_references,
    shared_geometry,
    subject_names,
)

_SUBJECTS, _STIMULI, _CHANNELS = 16, 20, 40
_GRID, _SPACING, _RADIUS = (4, 4, 4), 3.0, 4.5  # voxels, mm, mm: spheres of up to 19 voxels


def _subject_rdms(rng: np.random.Generator, shared: float, n_subjects: int = _SUBJECTS):
    patterns = shared_geometry(rng, shared, n_subjects, _STIMULI, _CHANNELS)
    return as_rdms(correlation_distances(patterns), "subject", subject_names(n_subjects))


def whole_rdms(indices: range, seed: int, shared: float = 1.0, n_references: int = 1) -> Columns:
    """A2: RDMs of a region in 16 subjects, and models that have nothing to do with them."""
    columns: dict[str, list[bool]] = {
        name: [] for name in ("common", "single", "flips", "t_test", "own")
    }
    for i in indices:
        rng = generator(seed, 2, i)
        data = _subject_rdms(rng, shared)
        references = random_references(rng, n_references, _STIMULI)
        settings = {"n_permutations": 200, "seed": i}
        scores = nd.compare_rdms(data, references)
        tests = {
            "common": nd.label_permutation_test(data, references, **settings),
            "single": nd.label_permutation_test(data[0], references, **settings),
            "own": nd.label_permutation_test(data, references, drawing="per-subject", **settings),
            "flips": nd.sign_flip_test(scores, **settings),
        }
        for name, test in tests.items():
            columns[name].append(bool(test["p_fwe"].min() <= ALPHA))
        p = ttest_1samp(scores.values, 0).pvalue
        columns["t_test"].append(bool(p.min() <= ALPHA / n_references))
    return columns


def searchlights(
    indices: range, seed: int, shared: float = 1.0, n_subjects: int = 8, stelzer: bool = False
) -> Columns:
    """A2: the same for every sphere of a small brain and two references, corrected over all."""
    neighbors = ball_neighbors(np.ones(_GRID, bool), np.diag([_SPACING] * 3 + [1.0]), _RADIUS)
    columns: dict[str, list[bool]] = {}
    for i in indices:
        rng = generator(seed, 202, i)
        patterns = shared_geometry(rng, shared, n_subjects, 12, int(np.prod(_GRID)))
        sets = {name: as_dataset(values) for name, values in
                zip(subject_names(n_subjects), patterns, strict=True)}  # fmt: skip
        references = random_references(rng, 2, 12)
        given = sets if n_subjects > 1 else next(iter(sets.values()))
        test = nd.searchlight_label_test(given, neighbors, references, n_permutations=100, seed=i)
        found = {"labels": test["p_fwe"], "uncorrected": test["p"]}
        if n_subjects > 1:
            scores = np.stack([nd.searchlight(one, neighbors, references).values
                               for one in sets.values()])  # fmt: skip
            found["flips"] = nd.sign_flip_test(scores, n_permutations=100, seed=i)["p_fwe"]
            if stelzer:
                found["stelzer"] = _stelzer(sets, scores, neighbors, references, i)
        for name, p in found.items():
            columns.setdefault(name, []).append(bool(np.nanmin(p.values) <= ALPHA))
    return columns


def _stelzer(sets, scores, neighbors, references, seed: int) -> xr.DataArray:
    """Return the corrected p of clusters with one permuted map drawn for each subject."""
    maps = [
        nd.searchlight_null_maps(one, neighbors, references, subject=name, seed=seed).values
        for name, one in sets.items()
    ]
    names = {"subject": list(sets)}
    scores = xr.DataArray(scores, dims=("subject", "voxel", "reference"), coords=names)
    nulls = xr.DataArray(np.stack(maps), coords=names,
                         dims=("subject", "permutation", "voxel", "reference"))  # fmt: skip
    test = nd.stelzer_test(scores, nulls, grid_adjacency(np.ones(_GRID, bool), 18),
                           voxel_alpha=0.01, n_permutations=1000, seed=seed)  # fmt: skip
    return test["p_fwe"]


def two_factors(indices: range, seed: int, shared: float = 1.0) -> Columns:
    """A3: tests on the two-factor bootstrap, and a bootstrap of subjects alone."""
    names = ("both", "stimuli", "difference", "flips", "percentiles", "flips_two", "true", "better")
    columns: dict[str, list[bool]] = {name: [] for name in names}
    for i in indices:
        rng = generator(seed, 3, i)
        common = rng.standard_normal((_STIMULI, _CHANNELS))
        noise = rng.standard_normal((_SUBJECTS, _STIMULI, _CHANNELS))
        rows = correlation_distances(shared * common + noise)
        data = as_rdms(rows, "subject", subject_names(_SUBJECTS))
        # Two models that have nothing to do with the brain, and the true one.
        models = [*random_references(rng, 2, _STIMULI).dissimilarities,
                  correlation_distances(common)]  # fmt: skip
        references = as_rdms(np.array(models), "reference", ["a", "b", "true"])
        test = nd.compare_models(data, references, n_bootstrap=120, n_permutations=100, seed=i)
        p = test["p"].isel(reference=0)
        difference = test["p_difference"].isel(reference=0, other=1)
        both = {"generalises_to": "subjects and stimuli"}
        columns["both"].append(p.sel(both).item() <= ALPHA)
        columns["stimuli"].append(p.sel(generalises_to="stimuli").item() <= ALPHA)
        columns["difference"].append(difference.sel(both).item() <= ALPHA)
        columns["flips"].append(p.sel(generalises_to="subjects").item() <= ALPHA)
        columns["flips_two"].append(difference.sel(generalises_to="subjects").item() <= ALPHA)
        true = test.isel(reference=2).sel(both)
        columns["true"].append(true["p"].item() <= ALPHA and true["mean"].item() > 0)
        better = true["p_difference"].isel(other=0).item() <= ALPHA
        columns["better"].append(better and true["difference"].isel(other=0).item() > 0)
        scores = test["score"].isel(reference=0).values
        drawn = scores[rng.integers(_SUBJECTS, size=(1000, _SUBJECTS))].mean(axis=1)
        low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
        columns["percentiles"].append(bool(low > 0 or high < 0))
    return columns


def _rdm_arm(shared: float, quick: bool) -> Arm:
    naive = "caught" if shared == 1 else "shown"
    n = {"nightly": 400, "release": 2000} | ({"quick": 200} if quick else {})
    return Arm(
        f"16 subjects, shared geometry {shared:g}", whole_rdms, n,
        [
            Measure("common", "stimuli relabelled alike in all subjects (our default)"),
            Measure("single", "stimuli relabelled, one subject"),
            Measure("own", "stimuli relabelled anew in each subject", naive, naive=True),
            Measure("flips", "sign flips over subjects", naive, naive=True),
            Measure("t_test", "t-test over subjects", naive, naive=True),
        ],
        {"shared": shared},
    )  # fmt: skip


def _many_arm() -> Arm:
    return Arm(
        "16 subjects, shared geometry 1, best of 20 models", whole_rdms,
        {"nightly": 400, "release": 2000},
        [
            Measure("common", "stimuli relabelled alike, corrected over models"),
            Measure("single", "one subject, corrected over models"),
            Measure("own", "relabelled anew in each subject, corrected over models", "caught",
                    naive=True),
            Measure("flips", "sign flips over subjects, corrected over models", "caught",
                    naive=True),
            Measure("t_test", "t-test over subjects, Bonferroni", "caught", naive=True),
        ],
        {"shared": 1.0, "n_references": 20},
    )  # fmt: skip


def _searchlight_arm(shared: float, n_subjects: int, tiers: tuple[str, ...]) -> Arm:
    naive = "caught" if shared == 1 else "shown"
    stelzer = n_subjects > 1 and "quick" not in tiers
    measures = [
        Measure("labels", "any place and model, stimuli relabelled alike everywhere"),
        Measure("uncorrected", "the same without correction", "caught", naive=True),
    ]
    if n_subjects > 1:
        text = "any place and model, sign flips over subjects"
        measures.append(Measure("flips", text, naive, naive=True))
    if stelzer:
        # Without shared geometry subjects are all that varies, and the test must be right.
        text = "any cluster, one permuted map drawn per subject (Stelzer et al. 2013)"
        measures.append(Measure("stelzer", text, naive if shared else "clusters", naive=shared > 0))
    who = f"{n_subjects} subjects" if n_subjects > 1 else "one subject"
    sizes = {"quick": 200, "nightly": 400, "release": 2000}
    return Arm(
        f"searchlight, {who}, shared geometry {shared:g}", searchlights,
        {tier: sizes[tier] for tier in tiers}, measures,
        {"shared": shared, "n_subjects": n_subjects, "stelzer": stelzer},
    )  # fmt: skip


A2 = Protocol(
    "A2",
    "Chance that all subjects share",
    "All subjects see the same stimuli, and their brains represent them alike. A model that has "
    "nothing to do with the brain agrees with these stimuli by chance, and does so in every "
    "subject. Which test is fooled?",
    "Patterns of each subject = s x (patterns common to all) + noise, s = 0, .5, 1; models from "
    "random patterns. Regions: 16 subjects, 20 stimuli, 40 voxels, label_permutation_test with 200 "
    "relabellings. Searchlights: 64 places of up to 19 voxels, two models, 12 stimuli, "
    "searchlight_label_test with 100, corrected over places and models.",
    "Tests over subjects (sign flips, t) ask whether *these stimuli* would give the same result in "
    "new subjects. They say yes, rightly, and say nothing about new stimuli: as evidence for a "
    "model they are wrong in two of five studies at s = 1, and nearly always if the best of 20 "
    "models is reported. Relabelling the stimuli anew in each subject and averaging looks like a "
    "test of stimuli and is another test of subjects. Only one relabelling common to all subjects "
    "keeps its promise at every s.",
    [
        *(_rdm_arm(shared, quick=shared != 0.5) for shared in (0.0, 0.5, 1.0)),
        _many_arm(),
        *(_searchlight_arm(shared, 8, TIERS[1:]) for shared in (0.0, 0.5, 1.0)),
        _searchlight_arm(1.0, 8, TIERS[:1]),
        _searchlight_arm(1.0, 1, TIERS[1:]),
    ],
)


def _two_factor_arm(shared: float, quick: bool) -> Arm:
    naive = "caught" if shared == 2 else "shown"
    # A test that never finds anything would pass every null; with such data it must find.
    texts = {"true": "true model against 0", "better": "true model against a random one"}
    found = [
        Measure(name, f"{text}, subjects and stimuli: found", (0.8, 1.0), null=False)
        for name, text in texts.items() if shared == 2
    ]  # fmt: skip
    n = {"nightly": 200, "release": 2000} | ({"quick": 80} if quick else {})
    return Arm(
        f"shared geometry {shared:g}", two_factors, n,
        [
            Measure("both", "model against 0, subjects and stimuli", "at most"),
            Measure("stimuli", "model against 0, stimuli", "at most"),
            Measure("difference", "model against model, subjects and stimuli", "at most"),
            *found,
            Measure("percentiles", "model against 0, bootstrap of subjects alone", naive,
                    naive=True),
            Measure("flips", "model against 0, sign flips over subjects", naive, naive=True),
            Measure("flips_two", "model against model, sign flips over subjects", naive,
                    naive=True),
        ],
        {"shared": shared}, block=10,
    )  # fmt: skip


A3 = Protocol(
    "A3",
    "New subjects and new stimuli at once",
    "Would the result hold with other people *and* other images? The two-factor bootstrap draws "
    "both anew. How often does it find a model, or a difference of models, where there is none?",
    "Data as in A2, s = 0, .5, 1, 2; two random models and the true one. "
    "compare_models with 120 draws; variance corrected after Schütt et al. (2023).",
    "With 20 stimuli the test is careful: it hardly ever errs, and needs a clear effect. A "
    "bootstrap of subjects alone takes what these stimuli have in common for the model's merit.",
    [_two_factor_arm(shared, quick=shared == 2) for shared in (0.0, 0.5, 1.0, 2.0)],
)
