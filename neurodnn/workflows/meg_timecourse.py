"""Patterns in time -> one curve per reference RDM.

The story: at every time the patterns of all sensors give an RDM, which is compared with every
reference at once and forgotten; each layer gets a curve, for every subject.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn._checks import InputError, message
from neurodnn.workflows.fmri_searchlight import COMPARISON_WORDS

if TYPE_CHECKING:
    import xarray as xr
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs

_DISTANCES = {
    "correlation": "1 - Pearson correlation",
    "cosine": "1 - cosine similarity",
    "euclidean": "squared Euclidean distance per sensor",
    "mahalanobis": "squared Mahalanobis distance per sensor",
    "crossnobis": "cross-validated squared distance (crossnobis) per sensor, which is unbiased and "
    "may be negative (Walther et al., 2016)",
    "decoding": "accuracy of decoding the two",
}


def meg_timecourse(
    patterns: Mapping[float, Dataset] | RDMs | Mapping[str, Mapping[float, Dataset] | RDMs],
    references: RDMs,
    *,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    dtype: str = "float64",
    n_jobs: int = 1,
) -> xr.DataArray:
    """Return how well each reference RDM accounts for the patterns of every time.

    Parameters
    ----------
    patterns : mapping of time in seconds -> rsatoolbox.data.Dataset
        Observations x sensors, as `window_patterns` gives them, ``obs_descriptors["stimulus"]``
        and, for crossnobis, ``["run"]``. Or RDMs with ``rdm_descriptors["time"]``, such as
        decoding makes; `metric` is then not used. Or a mapping of subject to one of the two:
        all subjects need the same times.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli, in any order; ``rdm_descriptors["reference"]`` names them.
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance between two patterns. Only crossnobis is free of the bias that noise brings.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How the RDM of a time and a reference are compared. Spearman assumes a monotone relation
        alone.
    residuals : Dataset, or mapping of time -> Dataset, optional
        Noise of the same sensors; needed for mahalanobis, used by crossnobis. For one subject:
        with several it is refused.
    nuisance : rsatoolbox.rdm.RDMs, optional
        Held constant: the comparison becomes a partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only. Default False: out of both.
    dtype : {"float64", "float32"}
        float64 is exact; float32 agrees to about 1e-6.
    n_jobs : int
        Workers. The bits of the result do not depend on it.

    Returns
    -------
    xarray.DataArray
        dims (``time``, ``reference``), with several subjects (``subject``, ``time``,
        ``reference``), subjects sorted by name. Times in seconds, rising; scores without a unit,
        NaN where undefined (patterns: the reason in the coordinate ``reason``).

    Raises
    ------
    InputError
        Stimuli differ (both lists), subjects differ in their times (both lists), sensors change
        between times, a key is no time, unknown option, residuals for several subjects.

    References
    ----------
    Cichy RM, Khosla A, Pantazis D, Torralba A, Oliva A (2016). Comparison of deep neural networks
    to spatio-temporal cortical dynamics of human visual object recognition reveals hierarchical
    correspondence. Scientific Reports 6, 27755.

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> windows = {t: Dataset(rng.normal(size=(5, 20)), obs_descriptors=names)
    ...            for t in (0.0, 0.02, 0.04)}
    >>> layers = RDMs(rng.random((2, 10)), rdm_descriptors={"reference": ["conv1", "fc6"]},
    ...               pattern_descriptors=names)
    >>> meg_timecourse(windows, layers).shape
    (3, 2)
    >>> meg_timecourse({"01": windows, "02": windows}, layers).dims
    ('subject', 'time', 'reference')
    """
    from neurodnn.rsa.movie_frames import MovieOptions
    from neurodnn.rsa.movie_subjects import has_subjects, is_movie, over_subjects
    from neurodnn.rsa.movies import score_movie
    from neurodnn.rsa.rdm_movies import compare_movie

    if residuals is not None and has_subjects(patterns):
        fault, remedy = "are the noise of one subject", "Call it for each subject alone."
        raise InputError(message("residuals", fault, remedy=remedy))
    options = MovieOptions(metric=metric, dtype=dtype, n_jobs=n_jobs)
    compared = {"comparison": comparison, "nuisance": nuisance, "semi": semi}

    def one(own: Mapping[float, Dataset] | RDMs) -> xr.DataArray:
        if is_movie(own):
            return compare_movie(own, references, **compared)
        return score_movie(own, references, residuals=residuals, options=options, **compared)

    return over_subjects(patterns, one)


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``metric`` (or "decoding"), ``comparison``, ``n_stimuli``, ``n_times``, ``n_references``;
        ``width``, of the windows in s (0: single samples), ``nuisance`` (names) and ``semi``.

    Examples
    --------
    >>> text, keys = describe({"metric": "correlation", "comparison": "spearman", "width": 0.02,
    ...                        "n_stimuli": 92, "n_times": 45, "n_references": 8})
    >>> keys
    ['cichy2016', 'kriegeskorte2008']
    """
    metric, comparison = str(parameters["metric"]), str(parameters["comparison"])
    width = float(parameters.get("width") or 0.0)
    of_what = f"windows of {1000 * width:g} ms" if width else "single samples"
    text = (
        f"At each of {parameters['n_times']} times ({of_what}) the patterns of all sensors gave a "
        "representational dissimilarity matrix (Kriegeskorte et al., 2008) of "
        f"{parameters['n_stimuli']} stimuli, the dissimilarity of two being the "
        f"{_DISTANCES[metric]}. It was compared with {parameters['n_references']} reference "
        f"matrices by {COMPARISON_WORDS[comparison]} (Cichy et al., 2016)."
    )
    held = parameters.get("nuisance")
    if held:
        sides = "the references" if parameters.get("semi") else "both sides"
        text += f" {', '.join(map(str, held))} were held constant, taken out of {sides}."
    extra = {"crossnobis": "walther2016", "rho-a": "schuett2023", "corr_cov": "diedrichsen2021",
             "cosine_cov": "diedrichsen2021"}  # fmt: skip
    cited = {extra[key] for key in (metric, comparison) if key in extra}
    return text, sorted({"cichy2016", "kriegeskorte2008"} | cited)
