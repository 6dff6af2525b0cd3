"""RDMs of subjects and of models -> how good each model is, and which differences will hold.

The story: a score is compared with zero, with the noise ceiling and with the scores of other
models. Whether the verdict would be the same with other people, with other images, or with both
exchanged are three different questions; all three are answered side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr
    from rsatoolbox.rdm import RDMs

NOTE = "One subject: standard errors, p values and ceilings that need several subjects are NaN."


def compare_models(
    data: RDMs,
    references: RDMs,
    *,
    comparison: str = "spearman",
    tail: str = "two-sided",
    n_bootstrap: int = 1000,
    n_permutations: int = 10_000,
    nan_policy: str = "raise",
    seed: int = 0,
    n_jobs: int = 1,
    allow_small: bool = False,
) -> xr.Dataset:
    """Return scores of models with errors, ceilings and tests, for new subjects and new stimuli.

    Parameters
    ----------
    data : RDMs
        One row per subject (``rdm_descriptors["subject"]``).
    references : RDMs
        One row per model or layer. Stimuli meet by name.
    comparison : str
        As in `compare_rdms`; Spearman by default. Models with many ties: rho-a.
    tail : {"two-sided", "greater"}
        Of the tests against zero (sign flips, t, labels); all others are two-sided.
    n_bootstrap : int
        Draws of stimuli and of subjects, with replacement. Default 1000.
    n_permutations : int
        Sign flips (all are used where few enough) and permutations of labels. Default 10,000.
    nan_policy : {"raise", "omit"}
        "omit": pairs that lack a distance anywhere are left out of all comparisons.
    seed : int
        Of all draws.
    n_jobs : int
        Threads; the result is the same bits for any number.
    allow_small : bool
        True: go on, under a warning, with 2 to 5 subjects, too few for sign flips at .05.

    Returns
    -------
    xarray.Dataset
        Along ``generalises_to`` ("subjects", "stimuli", "subjects and stimuli"):
        ``standard_error``, ``low``, ``high`` (95 % interval), ``p`` and ``p_fwe`` of each
        ``reference`` against zero; ``to_ceiling_error``, ``p_ceiling``, ``p_ceiling_fwe`` of
        its score less the lower noise ceiling, ``to_ceiling``: where that is negative a small p
        says that the model falls short; the true model lies above; ``difference_error``,
        ``p_difference``, ``p_difference_fwe`` of the ``difference`` of two models (``reference``
        less ``other``). "subjects" are sign flips, the others t tests on bootstrap variances
        with min(n) - 1 degrees of freedom. Besides: ``mean``, ``score`` (subject, reference),
        ``ceiling`` (lower, upper), ``p_labels`` and ``p_labels_fwe`` (stimulus labels permuted,
        one permutation for all subjects and models: generalises to stimuli). ``*_fwe`` are
        corrected over models or pairs (sign flips and labels: maximum statistic; t: Holm). With
        one subject all that needs several is NaN; ``attrs["note"]`` says so. ``n_draws_*`` count
        the draws that could be used.

    Raises
    ------
    InputError
        Stimuli or subjects do not fit, a model is constant, there are fewer than 4 stimuli, or
        2 to 5 subjects without `allow_small`.

    References
    ----------
    Schuett, H. H., et al. (2023). Statistical inference on representational geometries. eLife,
    12, e82566.
    Nili, H., et al. (2014). A toolbox for representational similarity analysis. PLoS
    Computational Biology, 10, e1003553.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.rdm import RDMs
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": [f"image_{i:02d}" for i in range(12)]}
    >>> models = rng.random((2, 66))
    >>> subjects = models[0] + rng.normal(0, 0.5, (8, 66))
    >>> found = compare_models(
    ...     RDMs(subjects, pattern_descriptors=names),
    ...     RDMs(models, pattern_descriptors=names, rdm_descriptors={"reference": ["V", "W"]}),
    ...     n_bootstrap=100, n_permutations=200)
    >>> bool(found.p.sel(reference="V", generalises_to="subjects and stimuli") < 0.01)
    True
    """
    from neurodnn.rsa.compare import compare_rdms
    from neurodnn.rsa.matched import match_subjects
    from neurodnn.rsa.resampling import (
        ceiling_scores,
        resample_ceiling_kinds,
        resample_scores,
    )
    from neurodnn.rsa.resampling_labels import permuted_labels_p
    from neurodnn.stats.bootstrap import STAGE_STIMULI, STAGE_SUBJECTS, count_draws, draw_indices
    from neurodnn.stats.two_factor import Resamples, Settings, model_tests

    matched = match_subjects(data, references, nan_policy=nan_policy)
    scores = compare_rdms(
        matched.data, matched.references, comparison=comparison, nan_policy=nan_policy
    )
    scores = scores.rename({str(scores.dims[0]): "subject"})
    n_stimuli, n_subjects = matched.data.n_cond, len(matched.subjects)
    stimuli = count_draws(draw_indices(n_stimuli, n_bootstrap, seed, STAGE_STIMULI))
    subjects = count_draws(draw_indices(n_subjects, n_bootstrap, seed, STAGE_SUBJECTS))
    drawn = resample_scores(matched, stimuli, comparison=comparison, n_jobs=n_jobs)
    tests = model_tests(
        scores,
        Resamples(drawn, subjects, n_stimuli),
        ceiling_scores(matched, comparison=comparison),
        resample_ceiling_kinds(matched, stimuli, subjects, comparison=comparison, n_jobs=n_jobs),
        Settings(tail, n_permutations, seed, 0.95, allow_small, n_jobs),
    )
    labels = permuted_labels_p(
        [{"all": matched}], comparison=comparison, tail=tail, n_permutations=n_permutations,
        seed=seed,
    )  # fmt: skip
    labels = labels.isel(region=0, drop=True)
    return tests.merge(labels, combine_attrs="override", compat="override").assign_attrs(
        comparison=comparison, n_subjects=n_subjects, n_stimuli=n_stimuli, tail=tail,
        n_bootstrap=n_bootstrap, n_permutations=n_permutations, seed=seed,
        family=["reference"], left_out=matched.left_out, note=NOTE if n_subjects < 2 else "",
        generalises_to="as the coordinate generalises_to says; p_labels: stimuli",
    )  # fmt: skip
