"""The methods paragraph of the group level: what was tested, how, with which numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurodnn.workflows.group_inference import REFERENCE_ALPHA, InferenceSettings


def describe(parameters: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``inferences`` (names, in order), ``n_subjects``, ``tail``, ``n_flips``, ``exact``
        (bool), ``n_voxels``, ``n_references``, ``minimum_p``, ``settings``
        (`InferenceSettings`), ``threshold_t`` (t that lets a voxel into a cluster);
        ``n_differences`` (of references, default none).

    Examples
    --------
    >>> text, keys = describe({"inferences": ["max", "tfce"], "n_subjects": 8, "exact": True,
    ...                        "tail": "two-sided", "n_flips": 256, "n_voxels": 900,
    ...                        "n_references": 4, "minimum_p": 0.0078125, "threshold_t": 5.4,
    ...                        "settings": InferenceSettings()})
    >>> keys
    ['nichols2002', 'smith2009']
    """
    sentences, cited = [_base(parameters)], ["nichols2002"]
    for name in parameters["inferences"]:
        text, keys = _SENTENCES[name](parameters, parameters["settings"])
        sentences.append(text)
        cited += keys
    if parameters.get("n_differences"):
        sentences.append(
            "Differences of two references were taken in each subject and tested in the same way, "
            f"corrected for all voxels and {parameters['n_differences']} differences together."
        )
    sentences.append("These tests generalise to subjects, not to stimuli.")
    return " ".join(sentences), sorted(set(cited))


def _base(parameters: Mapping[str, Any]) -> str:
    flips = (
        f"all {parameters['n_flips']} sign flips"
        if parameters["exact"]
        else f"{parameters['n_flips']} random sign flips, the identity included"
    )
    return (
        f"Over {parameters['n_subjects']} subjects the mean score of each voxel was tested "
        f"against zero ({parameters['tail']}) by {flips}; one flip turned all maps of a subject "
        f"(Nichols and Holmes, 2002). The smallest p attainable is "
        f"{float(parameters['minimum_p']):.3g}; all p values are corrected for "
        f"{parameters['n_voxels']} voxels and {parameters['n_references']} references together."
    )


def _say_max(parameters: Mapping[str, Any], settings: InferenceSettings) -> tuple[str, list[str]]:
    return "Familywise p came from the distribution of the maximum statistic.", []


def _say_cluster(
    parameters: Mapping[str, Any], settings: InferenceSettings, *, mass: bool
) -> tuple[str, list[str]]:
    what = (
        "mass, the sum of |t| over their voxels (Maris and Oostenveld, 2007),"
        if mass else "size in voxels"
    )  # fmt: skip
    height = f"{'|t|' if settings.tail == 'two-sided' else 't'} > {parameters['threshold_t']:.3f}"
    text = (
        f"Clusters are voxels that touch (connectivity {settings.connectivity}) with p of t below "
        f"{settings.cluster_threshold:g} ({height}), positive and negative ones apart; their "
        f"{what} was compared with the largest of each flip."
    )
    return text, ["maris2007"] if mass else []


def _say_mass(parameters: Mapping[str, Any], settings: InferenceSettings) -> tuple[str, list[str]]:
    return _say_cluster(parameters, settings, mass=True)


def _say_size(parameters: Mapping[str, Any], settings: InferenceSettings) -> tuple[str, list[str]]:
    return _say_cluster(parameters, settings, mass=False)


def _say_tfce(parameters: Mapping[str, Any], settings: InferenceSettings) -> tuple[str, list[str]]:
    step = (
        "integrated exactly" if settings.tfce_step is None
        else f"summed in steps of t of {settings.tfce_step:g}"
    )  # fmt: skip
    text = (
        "Threshold-free cluster enhancement (Smith and Nichols, 2009) used E = 0.5, H = 2 and "
        f"connectivity {settings.connectivity}, {step}; the largest enhanced value of each flip "
        "gave the distribution."
    )
    return text, ["smith2009"]


def _say_fdr(parameters: Mapping[str, Any], settings: InferenceSettings) -> tuple[str, list[str]]:
    text = (
        "The false discovery rate was held by the procedure of Benjamini and Hochberg (1995) on "
        "the uncorrected p of all voxels and references."
    )
    return text, ["benjamini1995"]


def _say_reference(
    parameters: Mapping[str, Any], settings: InferenceSettings
) -> tuple[str, list[str]]:
    text = (
        "The cluster size test of Cichy et al. (2016) was applied in its original form: voxels "
        f"with p over flips of at most {settings.cluster_threshold:g} make clusters (connectivity "
        f"{settings.connectivity}), and clusters larger than the {1 - REFERENCE_ALPHA:.0%} "
        "quantile of the largest cluster of each flip are significant; their p was multiplied by "
        "the number of references."
    )
    return text, ["cichy2016"]


_SENTENCES = {
    "max": _say_max,
    "cluster-size": _say_size,
    "cluster-mass": _say_mass,
    "tfce": _say_tfce,
    "fdr": _say_fdr,
    "reference-study": _say_reference,
}
