"""Stimulus-label permutation of references, carried through the searchlight in one pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs
from scipy.sparse import csr_array

from neurodnn.rsa.names import names_of
from neurodnn.rsa.readouts import Readout, check_linear, make_readout, nuisance_attributes
from neurodnn.rsa.relabelled import TIES, relabel, tally_null
from neurodnn.rsa.relabelling import Relabellings, check_tail, corrected_p, plan_relabellings
from neurodnn.rsa.searchlight import label_places, run_blocks
from neurodnn.rsa.spheres import DEFAULT_OPTIONS, SearchlightOptions
from neurodnn.rsa.subject_lanes import SubjectLanes, block_lanes, prepare_subjects


def searchlight_label_test(
    patterns: Dataset | Mapping[str, Dataset],
    neighbors: csr_array | Mapping[str, csr_array],
    references: RDMs,
    *,
    comparison: str = "spearman",
    nuisance: RDMs | None = None,
    semi: bool = False,
    residuals: Dataset | Mapping[str, Dataset] | None = None,
    n_permutations: int = 1000,
    tail: str = "two-sided",
    seed: int = 0,
    options: SearchlightOptions = DEFAULT_OPTIONS,
) -> xr.Dataset:
    """Return searchlight scores with p and familywise-corrected p over stimuli.

    Under the null hypothesis it does not matter which stimulus of a reference bears which name.
    The stimuli (rows and columns) of all references are permuted by one order that is common to
    all places, references and subjects, so that the dependence between them is kept, and each
    score is compared with the largest score anywhere under each order. Subjects are taken as
    they are: the test generalises to stimuli, not to subjects.

    Parameters
    ----------
    patterns : Dataset, or dict of subject -> Dataset
        As for `searchlight`; with several subjects the statistic is their mean score.
    neighbors : csr_array (places x channels), or dict of subject -> csr_array
        The places are shared: row i is the same place in every subject.
    references : RDMs
        Of the same stimuli, in any order.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "corr_cov", "cosine_cov"}
        As for `searchlight`. All permutations are one product with the lanes of the data, which
        tau-a does not allow; rho-a treats ties alike.
    nuisance : RDMs, optional
        Taken out of data and references (partial correlation; spearman, pearson). The nuisance
        is not permuted: its relation to the data is kept, and what it explains of a permuted
        reference is taken out of that; where nothing is left the score is 0.
    semi : bool
        True: the nuisance is taken out of the references only.
    residuals : Dataset, or dict of subject -> Dataset, optional
        As for `searchlight`.
    n_permutations : int
        Number of orders, the given one included: 1000 bound p from below by .001. All n! orders
        are used instead where these are no more.
    tail : {"two-sided", "greater"}
        Two-sided compares absolute values.
    seed : int
        Seed of the orders.
    options : SearchlightOptions
        Metric and noise, precision, least number of channels, workers.

    Returns
    -------
    Dataset
        ``score`` (mean over subjects), ``p`` (uncorrected) and ``p_fwe`` (family: places and
        references), each place x reference; ``null_max`` (permutation), the largest statistic
        anywhere, the observed order first; with several subjects and without nuisance also
        ``ceiling_lower`` and ``ceiling_upper`` (place), as `noise_ceiling`. A place that is
        undefined in a subject is NaN. ``p = (1 + b) / (1 + B)``, never 0. attrs: n_subjects,
        n_permutations, exact, tail, family, seed, minimum_p, generalises_to. minimum_p is
        1 / n_permutations; a reference that many orders leave as it is (a category model of few
        stimuli) cannot reach it.

    Raises
    ------
    InputError
        As for `searchlight`; if the comparison is not linear, or so few orders cannot reach
        p <= .05.

    Notes
    -----
    With nuisance RDMs what `label_permutation_test` says of them holds here too: a nuisance that
    acts on both sides along no straight line (of ranks) leaves a rest in both, which the test
    takes for the reference's own.

    Relabelling takes stimuli to be exchangeable under the null hypothesis. With one order of
    presentation in all runs and noise that outlasts a trial they are not, and the test is liberal,
    even with distances between runs (crossnobis); an order of its own in every run cures it.
    `neurodnn.rsa.presentation.order_correlations` tells which references follow the order.

    References whose scores vary more under permutation lead the maximum (3 against 17 stimuli
    about three times as much as 10 against 10): p_fwe holds for all, with less power for the
    others.

    References
    ----------
    Kriegeskorte, N., Mur, M., & Bandettini, P. (2008). Representational similarity analysis.
    Frontiers in Systems Neuroscience, 2, 4.
    Nichols T. E. and Holmes A. P. (2002). Nonparametric permutation tests for functional
    neuroimaging. Human Brain Mapping 15, 1-25.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = list("abcdefgh")
    >>> subjects = {s: Dataset(rng.normal(size=(8, 4)), obs_descriptors={"stimulus": names})
    ...             for s in ("01", "02")}
    >>> neighbors = csr_array(np.array([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=bool))
    >>> model = RDMs(rng.random((1, 28)), rdm_descriptors={"reference": ["conv1"]},
    ...              pattern_descriptors={"stimulus": names})
    >>> test = searchlight_label_test(subjects, neighbors, model, n_permutations=100)
    >>> test.attrs["generalises_to"], float(test.p_fwe.min()) >= 0.01
    ('stimuli', True)
    """
    check_linear(comparison)
    check_tail(tail)
    group = prepare_subjects(
        patterns, neighbors, names_of(references, "references"), comparison=comparison,
        residuals=residuals, options=options,
    )  # fmt: skip
    ready = group.ready[0]
    readout = make_readout(references, ready.names, comparison, nuisance, semi)
    plan = plan_relabellings(len(ready.names), n_permutations, seed)
    result = _test_places(group, readout, plan, tail == "two-sided", options)
    group.warn_of_losses(options.place)
    null_max = result.pop("null_max")
    # A place is marked by the first subject, by name, in which it is undefined.
    first = (group.reasons != 0).argmax(axis=0)
    reasons = np.take_along_axis(group.reasons, first[np.newaxis], axis=0)[0]
    labelled = label_places(result, group.n_features.min(axis=0), reasons, readout.labels, ready,
                            options)  # fmt: skip
    labelled["null_max"] = ("permutation", null_max)
    return labelled.assign_attrs(
        comparison=comparison, n_subjects=len(group.subjects), n_permutations=len(plan.orders),
        exact=int(plan.exact), tail=tail, family=[options.place, "reference"], seed=int(seed),
        minimum_p=1.0 / len(plan.orders), generalises_to="stimuli",
        **nuisance_attributes(nuisance, semi),
    )  # fmt: skip


def _test_places(
    group: SubjectLanes,
    readout: Readout,
    plan: Relabellings,
    two_sided: bool,
    options: SearchlightOptions,
) -> dict[str, np.ndarray]:
    """Run all blocks of places; return scores, p, ceilings and the largest statistics."""
    dtype = group.ready[0].spheres.rows.dtype
    relabelled, tie = relabel(readout, plan.orders, dtype), TIES[options.dtype]
    ceilings = len(group.subjects) > 1 and not len(readout.basis)
    scores, p = np.full((2, group.n_places, len(readout.units)), np.nan)
    lower, upper = np.full((2, group.n_places), np.nan)

    def test_block(start: int, stop: int) -> np.ndarray:
        places = slice(start, stop)
        block = block_lanes(group, readout, group.make_works(), start, stop, ceilings)
        lower[places], upper[places] = block.lower, block.upper
        usable = block.defined[:, np.newaxis] & ~readout.undefined
        null = tally_null(lambda chunk: block.lanes @ relabelled.rows(chunk).T, relabelled, usable,
                          two_sided, tie)  # fmt: skip
        scores[places] = null.scores
        p[places] = np.where(usable, null.counts / len(plan.orders), np.nan)
        return null.largest

    null_max = np.full(len(plan.orders), -np.inf)
    for largest in run_blocks(test_block, group.n_places, group.block, options):
        np.maximum(null_max, largest, out=null_max)
    observed = np.abs(scores) if two_sided else scores
    result = {"score": scores, "p": p, "p_fwe": corrected_p(observed, null_max, tie)}
    if ceilings:
        result |= {"ceiling_lower": lower, "ceiling_upper": upper}
    return result | {"null_max": np.where(np.isinf(null_max), np.nan, null_max)}
