"""Maps of the cortex in time, of several subjects -> mean, t and p over space, time and layers.

The story: one sign per subject flips all of its maps. What is compared under all flips is the
largest cluster that touches in space and time, and the largest t anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from neurodnn.workflows.group_inference import InferenceSettings

if TYPE_CHECKING:
    import xarray as xr

#: Corrections that are offered over space and time: one map is in memory at a time.
INFERENCES = ("max", "cluster-mass")


def group_source_maps(
    maps: Mapping[str, Callable[[], xr.DataArray]],
    adjacency: Any,
    settings: InferenceSettings,
    *,
    n_subjects: int,
    n_jobs: int = 1,
) -> xr.Dataset:
    """Return mean, t and p of clusters and of cells, corrected over vertices, times and references.

    Parameters
    ----------
    maps : mapping of reference -> function that returns its DataArray
        dims (``subject``, ``vertex``, ``time``).
    adjacency : sparse array (vertices x vertices)
        Which sources touch.
    settings : InferenceSettings
        Tail, flips, seed, cluster-defining p.
    n_subjects : int
        How many subjects the maps are of.
    n_jobs : int
        Workers; the result does not depend on it.

    Returns
    -------
    xarray.Dataset
        As of `space_time_test`: ``mean, t, p_cluster, p_max, cluster, mass``.

    Raises
    ------
    InputError
        As for `space_time_test`.

    References
    ----------
    Maris E. and Oostenveld R. (2007). Nonparametric statistical testing of EEG- and MEG-data.
    Journal of Neuroscience Methods 164, 177-190.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(size=(8, 12, 9)),
    ...                       dims=("subject", "vertex", "time"))
    >>> scores[:, 3:6, 2:5] += 4
    >>> found = group_source_maps({"conv1": lambda: scores}, line_adjacency(12),
    ...                           InferenceSettings(cluster_threshold=0.01), n_subjects=8)
    >>> bool(found["p_cluster"][4, 3, 0] < 0.05)
    True
    """
    from neurodnn.stats.space_time import space_time_test, threshold_of

    height = threshold_of(settings.cluster_threshold, n_subjects, settings.tail)
    return space_time_test(
        maps, adjacency, threshold=height, tail=settings.tail,
        n_permutations=settings.n_permutations, seed=settings.seed, n_jobs=n_jobs,
    )  # fmt: skip


def describe(parameters: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``n_subjects``, ``tail``, ``n_flips``, ``exact`` (bool), ``n_vertices``, ``n_times``,
        ``n_references``, ``minimum_p``, ``cluster_threshold`` (p), ``threshold_t``;
        ``n_differences`` (of references, default none).

    Examples
    --------
    >>> text, keys = describe({"n_subjects": 8, "tail": "greater", "n_flips": 256, "exact": True,
    ...                        "n_vertices": 5124, "n_times": 45, "n_references": 4,
    ...                        "minimum_p": 1 / 256, "cluster_threshold": 0.001,
    ...                        "threshold_t": 4.8})
    >>> keys
    ['maris2007', 'nichols2002']
    """
    flips = (
        f"all {parameters['n_flips']} sign flips"
        if parameters["exact"]
        else f"{parameters['n_flips']} random sign flips, the identity included"
    )
    height = "|t|" if parameters["tail"] == "two-sided" else "t"
    text = (
        f"Over {parameters['n_subjects']} subjects the mean score of each source at each time was "
        f"tested against zero ({parameters['tail']}) by {flips}; one flip turned all maps of a "
        "subject (Nichols and Holmes, 2002). Clusters are sources and times with p of t below "
        f"{parameters['cluster_threshold']:g} ({height} > {parameters['threshold_t']:.3f}) that "
        "touch on the cortex at one time or follow in time at one source, positive and negative "
        "ones apart; their sum of |t| was compared with the largest of each flip (Maris and "
        "Oostenveld, 2007). A cluster's p holds for the cluster as a whole; that of the maximum "
        "statistic holds for source and time. The smallest p attainable is "
        f"{float(parameters['minimum_p']):.3g}; p values are corrected for "
        f"{parameters['n_vertices']} sources, {parameters['n_times']} times and "
        f"{parameters['n_references']} references together."
    )
    if parameters.get("n_differences"):
        text += (
            " Differences of two references were taken in each subject and tested in the same "
            "way, corrected for all sources, times and differences "
            f"({parameters['n_differences']}) together."
        )
    return text + " These tests generalise to subjects, not to stimuli.", [
        "maris2007", "nichols2002"
    ]  # fmt: skip
