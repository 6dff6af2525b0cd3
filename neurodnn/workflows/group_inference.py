"""Maps of several subjects -> corrected p, by the correction that was chosen.

The story: one sign per subject flips its whole set of maps. What is compared under all these
flips is the choice: the largest t anywhere, the largest cluster (by size or by mass), the largest
threshold-free enhancement; or nothing but the place itself, and the rate of false discoveries is
held. Every answer generalises to subjects, and says over what it is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from neurodnn._checks import check_choice

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from nibabel.nifti1 import Nifti1Image

#: Name on the command line -> title in tables.
TITLES = {
    "max": "maximum statistic",
    "cluster-size": "cluster size",
    "cluster-mass": "cluster mass",
    "tfce": "TFCE",
    "fdr": "false discovery rate",
    "reference-study": "cluster size, original form",
}
REFERENCE_ALPHA = 0.05  # of the original cluster test, for clusters
_WITHOUT_GRAPH = ("max", "fdr")


@dataclass(frozen=True)
class InferenceSettings:
    """How scores are tested over subjects.

    Attributes
    ----------
    tail : {"two-sided", "greater"}
        Alternative.
    n_permutations : int
        Sign flips, the identity included; all of them where that is affordable.
    seed : int
        Of random flips.
    cluster_threshold : float
        p of t that lets a place into a cluster; two-sided unless `tail` is ``"greater"``.
    connectivity : {6, 18, 26}
        Which voxels touch.
    tfce_step : float or None
        Step of t in TFCE; None for the exact integral.
    """

    tail: str = "two-sided"
    n_permutations: int = 10_000
    seed: int = 0
    cluster_threshold: float = 0.001
    connectivity: int = 18
    tfce_step: float | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> InferenceSettings:
        """Return the settings that the options of a run name.

        Parameters
        ----------
        options : mapping
            ``tail, n_permutations, random_seed, cluster_threshold, connectivity, tfce_step``;
            what is missing takes its default.

        Examples
        --------
        >>> InferenceSettings.of({"tail": "greater", "random_seed": 7}).seed
        7
        """
        known = {name: options[name] for name in cls.__dataclass_fields__ if name in options}
        return cls(**{**known, "seed": options.get("random_seed", 0)})


class Corrected(NamedTuple):
    """Corrected p with what belongs to it.

    Attributes
    ----------
    p : xarray.DataArray
        dims (``voxel``, ``reference``).
    enhanced : xarray.DataArray or None
        The statistic that was compared, where it is a map of its own (TFCE).
    clusters : pandas.DataFrame or None
        One row per cluster.
    attributes : dict
        Family, tail, permutations, thresholds, what the test generalises to.
    labels : xarray.DataArray or None
        Of each place the number of its cluster, as in `clusters`; 0 outside.
    """

    p: xr.DataArray
    enhanced: xr.DataArray | None
    clusters: pd.DataFrame | None
    attributes: dict[str, Any]
    labels: xr.DataArray | None = None


def correct_group(
    scores: xr.DataArray,
    mask_img: Nifti1Image,
    tested: xr.Dataset,
    inference: str,
    settings: InferenceSettings,
    *,
    n_jobs: int = 1,
) -> Corrected:
    """Return p over subjects, corrected over all voxels and references in the way chosen.

    Parameters
    ----------
    scores : xarray.DataArray
        dims (``subject``, ``voxel``, ``reference``), without gaps.
    mask_img : image
        Its voxels in C order are those of the scores.
    tested : xarray.Dataset
        What `group_maps` gave for these scores and settings.
    inference : str
        A key of `TITLES`.
    settings : InferenceSettings
        Tail, flips, thresholds.
    n_jobs : int
        Workers; the result does not depend on it.

    Returns
    -------
    Corrected

    Raises
    ------
    InputError
        Unknown inference; too few subjects; what the tests of `neurodnn.stats` refuse.

    References
    ----------
    Nichols TE, Holmes AP (2002). Nonparametric permutation tests for functional neuroimaging.
    Human Brain Mapping 15, 1-25.
    Smith SM, Nichols TE (2009). Threshold-free cluster enhancement. NeuroImage 44, 83-98.

    Examples
    --------
    >>> import nibabel, numpy as np, xarray as xr
    >>> from neurodnn.workflows.group_maps import group_maps
    >>> mask = nibabel.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
    >>> scores = xr.DataArray(np.random.default_rng(0).normal(1, 1, (7, 27, 1)),
    ...                       dims=("subject", "voxel", "reference"))
    >>> found = correct_group(scores, mask, group_maps(scores), "max", InferenceSettings())
    >>> found.p.dims, found.attributes["generalises_to"]
    (('voxel', 'reference'), 'subjects')
    """
    from neurodnn.brain.adjacency import voxel_adjacency

    check_choice("inference", inference, TITLES)
    adjacency = None
    if inference not in _WITHOUT_GRAPH:
        adjacency = voxel_adjacency(mask_img, connectivity=settings.connectivity)
    return correct_on_graph(scores, adjacency, tested, inference, settings, n_jobs=n_jobs)


def correct_on_graph(
    scores: xr.DataArray,
    adjacency: Any,
    tested: xr.Dataset,
    inference: str,
    settings: InferenceSettings,
    *,
    n_jobs: int = 1,
) -> Corrected:
    """Return p over subjects, corrected over all places and references, of places on any graph.

    Parameters
    ----------
    scores : xarray.DataArray
        dims ``subject``, ``reference`` and those of the places, such as ``time``.
    adjacency : sparse array (places x places), or None
        Which places touch; not needed for ``"max"`` and ``"fdr"``.
    tested : xarray.Dataset
        What `neurodnn.sign_flip_test` gave for these scores and settings.
    inference : str
        A key of `TITLES`.
    settings : InferenceSettings
        Tail, flips, thresholds; its connectivity is that of `adjacency`.
    n_jobs : int
        Workers; the result does not depend on it.

    Returns
    -------
    Corrected

    Raises
    ------
    InputError
        As for `correct_group`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from neurodnn.numerics.adjacency import line_adjacency
    >>> from neurodnn.stats.permutation import sign_flip_test
    >>> scores = np.random.default_rng(0).normal(size=(10, 20, 1))
    >>> scores[:, 5:12] += 2
    >>> courses = xr.DataArray(scores, dims=("subject", "time", "reference"))
    >>> found = correct_on_graph(courses, line_adjacency(20), sign_flip_test(courses),
    ...                          "cluster-mass", InferenceSettings(cluster_threshold=0.01))
    >>> found.clusters["size"].tolist(), int(found.labels[8, 0])
    ([7], 1)
    """
    check_choice("inference", inference, TITLES)
    if inference == "max":
        return Corrected(tested["p_fwe"], None, None, dict(tested.attrs))
    if inference == "fdr":
        from neurodnn.stats.multiplicity import fdr

        attributes = {**tested.attrs, "correction": "false discovery rate (Benjamini-Hochberg)"}
        return Corrected(fdr(tested["p"]), None, None, attributes)
    test = {"tfce": _tfce, "reference-study": _reference_study}.get(inference, _clusters)
    return test(scores, adjacency, inference, settings, n_jobs)


def _clusters(
    scores: xr.DataArray, adjacency: Any, inference: str, settings: InferenceSettings, n_jobs: int
) -> Corrected:
    from neurodnn.stats.cluster_table import cluster_table
    from neurodnn.stats.clusters import cluster_test

    result = cluster_test(
        scores, adjacency, statistic=inference.removeprefix("cluster-"),
        threshold=_threshold_t(scores, settings), tail=settings.tail,
        n_permutations=settings.n_permutations, seed=settings.seed, places=_places(scores),
        n_jobs=n_jobs,
    )  # fmt: skip
    return Corrected(
        result["p_fwe"], None, cluster_table(result), dict(result.attrs), result["cluster"]
    )


def _tfce(
    scores: xr.DataArray, adjacency: Any, inference: str, settings: InferenceSettings, n_jobs: int
) -> Corrected:
    from neurodnn.stats.tfce import tfce_test

    result = tfce_test(
        scores, adjacency, step=settings.tfce_step, tail=settings.tail,
        n_permutations=settings.n_permutations, seed=settings.seed, places=_places(scores),
        n_jobs=n_jobs,
    )  # fmt: skip
    return Corrected(result["p_fwe"], result["tfce"], None, dict(result.attrs))


def _reference_study(
    scores: xr.DataArray, adjacency: Any, inference: str, settings: InferenceSettings, n_jobs: int
) -> Corrected:
    from neurodnn.stats.cluster_table import cluster_table
    from neurodnn.stats.reference_study import reference_cluster_test

    result = reference_cluster_test(
        scores, adjacency, cluster_alpha=settings.cluster_threshold, alpha=REFERENCE_ALPHA,
        tail=settings.tail, n_permutations=settings.n_permutations, seed=settings.seed,
        places=_places(scores), n_jobs=n_jobs,
    )  # fmt: skip
    # the original corrects each map on its own: Bonferroni over the references makes one family
    count = result.sizes["reference"]
    # its flips are drawn with repetition: few subjects have fewer different ones than were drawn
    mirrored = 2 if settings.tail == "two-sided" else 1
    smallest = max(float(result.attrs["minimum_p"]), mirrored / 2 ** scores.sizes["subject"])
    attributes = {**result.attrs, "family": [*_places(scores), "reference"],
                  "minimum_p": min(1.0, smallest * count),
                  "correction": f"Bonferroni over {count} references"}  # fmt: skip
    result["p_fwe"] = (result["p_fwe"] * count).clip(max=1.0)
    return Corrected(result["p_fwe"], None, cluster_table(result), attributes, result["cluster"])


def _places(scores: xr.DataArray) -> list[str]:
    """The dimensions that the graph spans."""
    return [str(dim) for dim in scores.dims if dim not in ("subject", "reference")]


def _threshold_t(scores: xr.DataArray, settings: InferenceSettings) -> float:
    """The t whose p, with subjects - 1 degrees of freedom, is the threshold that was asked for."""
    from scipy.stats import t

    sides = 2 if settings.tail == "two-sided" else 1
    return float(t.isf(settings.cluster_threshold / sides, scores.sizes["subject"] - 1))
