"""RDMs of regions -> which layers go with which region, and whether regions follow the layers.

The story: every region meets every layer, in every subject. Along a stream of regions early ones
should go with early layers and late ones with late layers; slopes and best layers say whether
they do, and each answer is given for new subjects, for new stimuli and for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray
    from rsatoolbox.rdm import RDMs

    from neurodnn.rsa.matched import Matched
    from neurodnn.stats.two_factor import Resamples

NOTE = "One subject: standard errors, p values and ceilings that need several subjects are NaN."


def region_hierarchy(
    data: Mapping[str, RDMs],
    references: RDMs | Sequence[RDMs],
    *,
    layers: Sequence[float] | None = None,
    control: RDMs | Sequence[RDMs] | None = None,
    comparison: str = "spearman",
    tail: str = "two-sided",
    n_bootstrap: int = 1000,
    n_permutations: int = 10_000,
    nan_policy: str = "raise",
    seed: int = 0,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return scores of regions x layers with errors, ceilings and tests, and their hierarchy.

    Parameters
    ----------
    data : mapping of region -> RDMs
        One row per subject, the same subjects in all regions. The order of the mapping is the
        order along the stream.
    references : RDMs, or sequence of RDMs
        One row per layer, in the order of the layers. A sequence holds several drawings of one
        network, untrained ones say: their scores are averaged, in every draw too.
    layers : sequence of float, optional
        Numbers of the layers, for slopes and best layers. Default 1, 2, 3, ...
    control : RDMs or sequence of RDMs, optional
        Layer by layer what the references are held against, such as the untrained network, or
        one that was trained on something else; a sequence as above. Layers meet by their place;
        a name that both have must stand in the same one.
    comparison : str
        As in `compare_rdms`.
    tail : {"two-sided", "greater"}
        Of the tests of scores against zero; slopes and order are tested two-sided.
    n_bootstrap, n_permutations, nan_policy, seed, n_jobs, allow_small
        As in `compare_models`; all draws and permutations are common to all regions.

    Returns
    -------
    xarray.Dataset
        ``mean`` and ``score``; along ``generalises_to`` ("subjects", "stimuli", "subjects and
        stimuli"): ``standard_error``, ``low``, ``high``, ``p``, ``p_fwe`` of each (``region``,
        ``reference``) against zero, and the same with ``slope_`` for the least-squares slope of
        a region's scores on the layer number. ``p_labels``, ``p_labels_fwe``: labels permuted,
        in common, generalises to stimuli. With `control`, ``gain`` and the same with ``gain_``:
        how far the references exceed it (two-sided, paired by subject and draw). ``*_fwe`` are
        corrected over all regions x references (slopes: over regions; sign flips and labels:
        maximum statistic; t: Holm); ``order_*`` are single tests. ``ceiling`` (region, bound).
        ``best_layer`` per region with a percentile interval of each bootstrap. With several
        regions, ``order_slope``: how far
        the best layer rises from one region to the next, with interval and two-sided p of each
        bootstrap; ``order_correlation``, with interval and ``order_p``: Spearman's between the
        place of the region and each subject's own best layer (`hierarchy_test`, subjects).

    Raises
    ------
    InputError
        As `compare_models`; regions hold different subjects or stimuli.

    References
    ----------
    Cichy, R. M., et al. (2016). Comparison of deep neural networks to spatio-temporal cortical
    dynamics of human visual object recognition reveals hierarchical correspondence. Scientific
    Reports, 6, 27755.
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.rdm import RDMs
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": [f"image_{i:02d}" for i in range(12)]}
    >>> layers = rng.random((3, 66))
    >>> regions = {region: RDMs(layers[k] + rng.normal(0, 0.4, (8, 66)), pattern_descriptors=names)
    ...            for region, k in (("V1", 0), ("IT", 2))}
    >>> found = region_hierarchy(regions, RDMs(layers, pattern_descriptors=names),
    ...                          n_bootstrap=100, n_permutations=200)
    >>> found.best_layer.values.tolist()
    [1.0, 3.0]
    """
    from neurodnn.rsa.matched import match_regions, share_pairs
    from neurodnn.rsa.names import labels_of
    from neurodnn.rsa.region_scores import drawings_of, region_ceilings
    from neurodnn.rsa.resampling_labels import permuted_labels_p
    from neurodnn.stats.bootstrap import STAGE_STIMULI, STAGE_SUBJECTS, count_draws, draw_indices
    from neurodnn.stats.region_tests import check_levels, gain_tests, region_tests
    from neurodnn.stats.two_factor import Settings

    drawings = drawings_of(references)
    levels = check_levels(layers, drawings[0].n_rdm)
    layer_names = labels_of(drawings[0])[1]
    others = [] if control is None else drawings_of(control, beside=layer_names, where="control")
    # References and control are held against one another: by the same pairs.
    matched = share_pairs(
        [match_regions(data, each, nan_policy=nan_policy) for each in (*drawings, *others)]
    )
    matched, others = matched[: len(drawings)], matched[len(drawings) :]
    first = next(iter(matched[0].values()))
    n_stimuli, n_subjects = first.data.n_cond, len(first.subjects)
    stimuli = count_draws(draw_indices(n_stimuli, n_bootstrap, seed, STAGE_STIMULI))
    subjects = count_draws(draw_indices(n_subjects, n_bootstrap, seed, STAGE_SUBJECTS))
    settings = Settings(tail, n_permutations, seed, 0.95, allow_small, n_jobs)
    made = {"comparison": comparison, "nan_policy": nan_policy, "n_jobs": n_jobs}
    scores, drawn = _resampled(matched, stimuli, subjects, **made)
    tests = region_tests(scores, drawn, levels, settings)
    if others:
        gains = gain_tests(scores, drawn, *_resampled(others, stimuli, subjects, **made), settings)
        tests = tests.merge(gains, combine_attrs="override", compat="override")
    labels = permuted_labels_p(
        matched, comparison=comparison, tail=tail, n_permutations=n_permutations, seed=seed
    )
    tests = tests.merge(labels, combine_attrs="override", compat="override").assign(
        ceiling=region_ceilings(matched[0], comparison=comparison), layer=("reference", levels)
    )
    return tests.assign_attrs(
        comparison=comparison, n_subjects=n_subjects, n_stimuli=n_stimuli, tail=tail,
        n_bootstrap=n_bootstrap, n_permutations=n_permutations, seed=seed,
        family=["region", "reference"], left_out=first.left_out,
        note=NOTE if n_subjects < 2 else "", n_drawings=len(drawings),
        generalises_to="as the coordinate generalises_to says; p_labels: stimuli",
    )  # fmt: skip


def _resampled(
    drawings: Sequence[Mapping[str, Matched]],
    stimuli: NDArray,
    subjects: NDArray,
    *,
    comparison: str,
    nan_policy: str,
    n_jobs: int,
) -> tuple[xr.DataArray, Resamples]:
    """Return the scores of all regions, and what the draws give in their place."""
    from neurodnn.rsa.region_scores import region_score_draws, region_scores
    from neurodnn.stats.two_factor import Resamples

    scores = region_scores(drawings, comparison=comparison, nan_policy=nan_policy)
    drawn = region_score_draws(drawings, stimuli, comparison=comparison, n_jobs=n_jobs)
    return scores, Resamples(drawn, subjects, stimuli.shape[1])
