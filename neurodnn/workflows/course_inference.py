"""Time courses of several subjects -> corrected p, by the correction that was chosen.

The story: one sign per subject flips all curves at once. Clusters are runs of times beyond the
threshold; the largest anywhere, in any curve, says how long or high a run chance alone would make.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from neurodnn._checks import check_choice
from neurodnn.workflows.group_inference import (
    REFERENCE_ALPHA,
    TITLES,
    Corrected,
    InferenceSettings,
    correct_on_graph,
)

if TYPE_CHECKING:
    import xarray as xr


def correct_courses(
    scores: xr.DataArray,
    tested: xr.Dataset,
    inference: str,
    settings: InferenceSettings,
    *,
    n_jobs: int = 1,
) -> Corrected:
    """Return p over subjects, corrected over all times and references in the way chosen.

    Parameters
    ----------
    scores : xarray.DataArray
        dims (``subject``, ``time``, ``reference``), times rising: neighbours in the array are
        neighbours in time.
    tested : xarray.Dataset
        What `neurodnn.sign_flip_test` gave for these scores and settings.
    inference : str
        A key of `TITLES`.
    settings : InferenceSettings
        Tail, flips, thresholds; its connectivity is not used.
    n_jobs : int
        Workers; the result does not depend on it.

    Returns
    -------
    Corrected

    Raises
    ------
    InputError
        As for `correct_on_graph`.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.
    Maris E. and Oostenveld R. (2007). Nonparametric statistical testing of EEG- and MEG-data.
    Journal of Neuroscience Methods 164, 177-190.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from neurodnn.stats.permutation import sign_flip_test
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(size=(8, 30, 2)),
    ...                       dims=("subject", "time", "reference"))
    >>> scores[:, 10:20, 0] += 3.0
    >>> found = correct_courses(scores, sign_flip_test(scores), "cluster-mass",
    ...                         InferenceSettings())
    >>> bool(found.p[15, 0] < 0.05), bool((found.p[:, 1] < 0.05).any())
    (True, False)
    """
    from neurodnn.numerics.adjacency import line_adjacency

    check_choice("inference", inference, TITLES)
    line = line_adjacency(scores.sizes["time"])
    return correct_on_graph(scores, line, tested, inference, settings, n_jobs=n_jobs)


def describe(parameters: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``inferences`` (names, in order), ``n_subjects``, ``tail``, ``n_flips``, ``exact``
        (bool), ``n_times``, ``n_references``, ``minimum_p``, ``settings``
        (`InferenceSettings`), ``threshold_t`` (t that lets a time into a cluster);
        ``n_differences`` (of references, default none).

    Examples
    --------
    >>> text, keys = describe({"inferences": ["max", "tfce"], "n_subjects": 8, "exact": True,
    ...                        "tail": "two-sided", "n_flips": 256, "n_times": 45,
    ...                        "n_references": 4, "minimum_p": 0.0078125, "threshold_t": 5.4,
    ...                        "settings": InferenceSettings()})
    >>> keys
    ['nichols2002', 'smith2009']
    """
    flips = (
        f"all {parameters['n_flips']} sign flips"
        if parameters["exact"]
        else f"{parameters['n_flips']} random sign flips, the identity included"
    )
    sentences = [
        f"Over {parameters['n_subjects']} subjects the mean score at each time was tested against "
        f"zero ({parameters['tail']}) by {flips}; one flip turned all time courses of a subject "
        f"(Nichols and Holmes, 2002). The smallest p attainable is "
        f"{float(parameters['minimum_p']):.3g}; all p values are corrected for "
        f"{parameters['n_times']} times and {parameters['n_references']} references together."
    ]
    cited = ["nichols2002"]
    for name in parameters["inferences"]:
        text, keys = _sentence(name, parameters)
        sentences.append(text)
        cited += keys
    if parameters.get("n_differences"):
        sentences.append(
            "Differences of two references were taken in each subject and tested in the same way, "
            f"corrected for all times and differences ({parameters['n_differences']}) together."
        )
    sentences.append("These tests generalise to subjects, not to stimuli.")
    return " ".join(sentences), sorted(set(cited))


def _sentence(name: str, parameters: Mapping[str, Any]) -> tuple[str, list[str]]:
    settings = parameters["settings"]
    if name == "max":
        return "Familywise p came from the distribution of the maximum statistic.", []
    if name == "fdr":
        return (
            "The false discovery rate was held by the procedure of Benjamini and Hochberg (1995) "
            "on the uncorrected p of all times and references."
        ), ["benjamini1995"]
    if name == "tfce":
        return (
            "Threshold-free cluster enhancement (Smith and Nichols, 2009) used E = 0.5, H = 2 "
            "along time; the largest enhanced value of each flip gave the distribution."
        ), ["smith2009"]
    if name == "reference-study":
        return (
            "The cluster size test of Cichy et al. (2016) was applied in its original form: times "
            f"with p over flips of at most {settings.cluster_threshold:g} make clusters, and "
            f"clusters longer than the {1 - REFERENCE_ALPHA:.0%} quantile of the longest cluster "
            "of each flip are significant; their p was multiplied by the number of references."
        ), ["cichy2016"]
    mass = name == "cluster-mass"
    height = f"{'|t|' if settings.tail == 'two-sided' else 't'} > {parameters['threshold_t']:.3f}"
    what = "sum of |t| (Maris and Oostenveld, 2007)" if mass else "length"
    return (
        f"Clusters are runs of times with p of t below {settings.cluster_threshold:g} ({height}), "
        f"positive and negative ones apart; their {what} was compared with the largest of each "
        "flip. A cluster's p holds for the cluster as a whole: it does not say when in it the "
        "effect begins."
    ), ["maris2007"] if mass else []
