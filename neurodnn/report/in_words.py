"""What each p means, in plain words: what was compared, and to whom or what it speaks."""

from __future__ import annotations

from typing import Any

from neurodnn.report.facts import score
from neurodnn.report.tree import Summary

_SUBJECTS = "It speaks of other subjects like these who see the same stimuli."
_STIMULI = "It speaks of other stimuli like these, shown to the same subjects."

_INFERENCES = {
    "max": "How often sign flips of subjects give a t this large in any voxel of any map. It holds "
    "for each voxel.",
    "cluster-size": "How often sign flips of subjects give a cluster with this many voxels in any "
    "map. It holds for the cluster as a whole, not for each of its voxels.",
    "cluster-mass": "How often sign flips of subjects give a cluster with this much t in its "
    "voxels together, in any map. It holds for the cluster as a whole, not for each of its voxels.",
    "tfce": "How often sign flips of subjects give a t with this much support from its "
    "surroundings in any voxel of any map. It holds for each voxel.",
    "fdr": "The share of false findings to be expected among the voxels up to this one. It does "
    "not protect a single voxel. With few subjects a voxel's own p is coarse, and this stays large "
    "even where the effect is strong.",
    "reference-study": "The cluster size test of Cichy et al. (2016) in its original form, times "
    "the number of references. It holds for the cluster as a whole, not for each of its voxels.",
}
_UNKNOWN = "A correction by sign flips of subjects."
_SHUFFLED = (
    "How often shuffled stimuli give a mean score this large in any voxel of any map. It holds for "
    "each voxel."
)
_SHUFFLED_ALONE = (
    "How often shuffled stimuli give a score this large in any voxel of any map of this subject. "
    "It holds for each voxel."
)
_BOTH = (
    "Neither p alone speaks of other subjects and other stimuli at once: a result that is to hold "
    "for both should be small in both."
)
_PEAK = (
    "The place where the mean is highest. It was chosen because it is highest, so this value is "
    "larger than the one to be expected there in new data."
)
_DIFFERENCES = "Their p is corrected for all voxels and all differences, apart from the references."
_CEILING = (
    "The score that the best possible model could reach here, given how much subjects differ: "
    "between the lower and the upper bound. A reference at the lower bound explains all that "
    "subjects share."
)


def group_reading(
    inferences: list[dict[str, Any]], *, stimuli: bool, ceilings: bool = True,
    differences: bool = False,
) -> list[tuple[str, str]]:
    """Return (name of a column, what it says) for the tests of a group."""
    rows = [
        (f"p over subjects: {each.get('Title') or each.get('Name') or ''}",
         f"{_INFERENCES.get(str(each.get('Name')), _UNKNOWN)} {_SUBJECTS}")
        for each in inferences
    ]  # fmt: skip
    if stimuli:
        rows.append(("p over stimuli", f"{_SHUFFLED} {_STIMULI}"))
        if inferences:
            rows.append(("Both", _BOTH))
    rows += [("Noise ceiling", _CEILING)] if ceilings else []
    rows += [("Differences", _DIFFERENCES)] if differences and inferences else []
    return [*rows, ("Highest mean", _PEAK)]


def subject_reading(label: dict[str, Any], reliability: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, what it says) for what one subject alone can tell."""
    rows = []
    if "MinimumP" in label:
        rows.append(("p over stimuli", f"{_SHUFFLED_ALONE} It speaks of other stimuli like these, "
                     f"shown to this subject. Smallest possible: {score(label['MinimumP'], 4)}."))
    if reliability.get("Path"):
        rows.append((
            "Reliability", "How well the RDM of half of the runs agrees with that of the others, "
            "stepped up to all runs (Spearman-Brown). Where it is near zero no reference can fit; "
            "a true model scores about its square root.",
        ))  # fmt: skip
    return rows


def left_out(summary: Summary, keys: tuple[str, ...]) -> list[str]:
    """Return the tests that were not made, and why."""
    reasons = [str(summary.mapping(key).get("SkippedBecause") or "") for key in keys]
    return [f"{reason[0].upper()}{reason[1:]}." for reason in reasons if reason]
