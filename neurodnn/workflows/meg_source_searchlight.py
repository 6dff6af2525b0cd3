"""Patterns on the cortex in time -> one movie per reference RDM.

The story: around every source of the cortex, at every time, the patterns of its disc give an RDM,
which is compared with every reference at once and forgotten; the scores go back to the source and
the time in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from neurodnn.workflows.fmri_searchlight import COMPARISON_WORDS

if TYPE_CHECKING:
    import xarray as xr
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import RDMs
    from scipy.sparse import csr_array

_DISTANCES = {
    "correlation": "1 - Pearson correlation",
    "cosine": "1 - cosine similarity",
    "euclidean": "squared Euclidean distance per source",
    "mahalanobis": "squared Mahalanobis distance per source",
    "crossnobis": "cross-validated squared distance (crossnobis) per source, which is unbiased and "
    "may be negative (Walther et al., 2016)",
}
_METHODS = {
    "MNE": ("the minimum-norm estimate", "hamalainen1994"),
    "dSPM": ("dynamic statistical parametric mapping (Dale et al., 2000)", "dale2000"),
    "sLORETA": ("sLORETA (Pascual-Marqui, 2002)", "pascualmarqui2002"),
    "eLORETA": ("eLORETA (Pascual-Marqui, 2011)", "pascualmarqui2011"),
}
_CURRENTS = {"normal": "the current normal to the cortex", "free": "the length of the current"}


def meg_source_searchlight(
    patterns: Mapping[float, Dataset],
    neighbors: csr_array,
    references: RDMs,
    *,
    metric: str = "correlation",
    comparison: str = "spearman",
    residuals: Dataset | Mapping[float, Dataset] | None = None,
    nuisance: RDMs | None = None,
    semi: bool = False,
    dtype: str = "float64",
    n_jobs: int = 1,
    progress: bool = False,
) -> xr.DataArray:
    """Return how well each reference RDM accounts for the patterns round every source in time.

    Parameters
    ----------
    patterns : mapping of time in seconds -> rsatoolbox.data.Dataset
        Observations x sources, as `source_patterns` or `stc_patterns` give them,
        ``obs_descriptors["stimulus"]`` and, for crossnobis, ``["run"]``. Windows are made one
        after the other: memory holds one.
    neighbors : scipy.sparse.csr_array (sources x sources)
        From `source_neighbors`, of the source space that made the patterns.
    references : rsatoolbox.rdm.RDMs
        Over the same stimuli, in any order; ``rdm_descriptors["reference"]`` names them.
    metric : {"correlation", "cosine", "euclidean", "mahalanobis", "crossnobis"}
        Distance between two patterns. Only crossnobis is free of the bias that noise brings.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How the RDM of a disc and a reference are compared. Spearman assumes a monotone relation
        alone.
    residuals : Dataset, or mapping of time -> Dataset, optional
        Noise over the same sources; needed for mahalanobis, used by crossnobis.
    nuisance : rsatoolbox.rdm.RDMs, optional
        Held constant: the comparison becomes a partial correlation (spearman, pearson).
    semi : bool
        Take the nuisance out of the references only. Default False: out of both.
    dtype : {"float64", "float32"}
        float64 is exact; float32 is faster and agrees to about 1e-6.
    n_jobs : int
        Workers. The bits of the result do not depend on it.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    xarray.DataArray
        dims (``vertex``, ``time``, ``reference``); coordinates ``vertex`` (number on the surface),
        ``hemisphere``, ``time`` in seconds, ``reference``, and of every disc ``n_features`` and
        ``reason`` (0 computed, else why it is NaN). No unit. `scores_to_stcs` makes movies of it.

    Raises
    ------
    InputError
        Stimuli differ (both lists), sources and neighbours differ in number, sources change
        between times, a key is no time, unknown option.

    References
    ----------
    Su L, Fonteneau E, Marslen-Wilson W, Kriegeskorte N (2012). Spatiotemporal searchlight
    representational similarity analysis in EMEG source space. International Workshop on Pattern
    Recognition in NeuroImaging. https://doi.org/10.1109/PRNI.2012.26

    Examples
    --------
    >>> import numpy as np
    >>> from rsatoolbox.data import Dataset
    >>> from rsatoolbox.rdm import RDMs
    >>> from scipy.sparse import csr_array
    >>> rng = np.random.default_rng(0)
    >>> names = {"stimulus": list("abcde")}
    >>> places = {"vertex": [0, 1, 5], "hemisphere": ["left", "left", "right"]}
    >>> windows = {t: Dataset(rng.normal(size=(5, 3)), obs_descriptors=names,
    ...                       channel_descriptors=places) for t in (0.0, 0.02)}
    >>> layers = RDMs(rng.random((2, 10)), rdm_descriptors={"reference": ["conv1", "fc6"]},
    ...               pattern_descriptors=names)
    >>> scores = meg_source_searchlight(windows, csr_array(np.ones((3, 3), bool)), layers)
    >>> dict(scores.sizes), scores.hemisphere.values.tolist()
    ({'vertex': 3, 'time': 2, 'reference': 2}, ['left', 'left', 'right'])
    """
    from neurodnn.rsa.source_searchlight import source_searchlight
    from neurodnn.rsa.spheres import SearchlightOptions

    options = SearchlightOptions(
        metric=metric, dtype=dtype, place="vertex", n_jobs=n_jobs, progress=progress
    )
    return source_searchlight(
        patterns, neighbors, references, comparison=comparison, residuals=residuals,
        nuisance=nuisance, semi=semi, options=options,
    )  # fmt: skip


def describe(parameters: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return a methods paragraph and the keys of its citations.

    Parameters
    ----------
    parameters : mapping
        ``metric``, ``comparison``, ``dtype``, ``radius`` (mm), ``n_sources``, ``n_stimuli``,
        ``n_times``, ``n_references``; ``width``, of the windows in s (0: single samples);
        ``method``, ``snr`` and ``orientation`` of the inverse solution, where it was made here;
        ``nuisance`` (names) and ``semi``.

    Examples
    --------
    >>> text, keys = describe({"metric": "correlation", "comparison": "spearman", "width": 0.02,
    ...                        "dtype": "float64", "radius": 20.0, "n_sources": 5124,
    ...                        "n_stimuli": 92, "n_times": 45, "n_references": 8,
    ...                        "method": "dSPM", "snr": 3.0, "orientation": "normal"})
    >>> keys
    ['dale2000', 'gramfort2013', 'kriegeskorte2008', 'su2012']
    """
    metric, comparison = str(parameters["metric"]), str(parameters["comparison"])
    width = float(parameters.get("width") or 0.0)
    of_what = f"windows of {1000 * width:g} ms" if width else "single samples"
    estimated, cited = _solution(parameters)
    text = (
        f"{estimated}A searchlight in space and time (Su et al., 2012) visited "
        f"{parameters['n_sources']} sources at {parameters['n_times']} times ({of_what}). Round "
        f"each, the patterns of {parameters['n_stimuli']} stimuli over all sources within "
        f"{parameters['radius']:g} mm (inclusive) along the cortex gave a representational "
        "dissimilarity matrix (Kriegeskorte et al., 2008), the dissimilarity of two stimuli being "
        f"the {_DISTANCES[metric]}. It was compared with {parameters['n_references']} reference "
        f"matrices by {COMPARISON_WORDS[comparison]}, in {parameters['dtype']} precision."
    )
    held = parameters.get("nuisance")
    if held:
        sides = "the references" if parameters.get("semi") else "both sides"
        text += f" {', '.join(map(str, held))} were held constant, taken out of {sides}."
    extra = {"crossnobis": "walther2016", "rho-a": "schuett2023", "corr_cov": "diedrichsen2021",
             "cosine_cov": "diedrichsen2021"}  # fmt: skip
    cited |= {extra[key] for key in (metric, comparison) if key in extra}
    return text, sorted({"kriegeskorte2008", "su2012"} | cited)


def _solution(parameters: Mapping[str, object]) -> tuple[str, set[str]]:
    """Return what a methods paragraph says of the inverse solution."""
    if not parameters.get("method"):
        return "", set()
    words, key = _METHODS[str(parameters["method"])]
    current = _CURRENTS[str(parameters.get("orientation") or "normal")]
    text = (
        f"The mean response to each stimulus was brought to the cortex by {words} with MNE-Python "
        f"(Gramfort et al., 2013), assuming a signal-to-noise ratio of {parameters['snr']:g}; "
        f"the estimate is {current}. "
    )
    return text, {key, "gramfort2013"}
