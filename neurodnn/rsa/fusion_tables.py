"""Three tables of scores that are to be of the same RDMs: refused where they are not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import xarray as xr

from neurodnn._checks import DataWarning, InputError, message
from neurodnn.rsa.names import shorten_list

VARIANCE = ("pearson", "spearman")  # comparisons whose square is a share of variance
SAME = ("comparison", "n_stimuli")


def check_tables(tables: Mapping[str, xr.DataArray]) -> None:
    """Refuse tables of scores that are no correlations, or not of the same RDMs.

    Parameters
    ----------
    tables : mapping
        ``fusion``, ``course`` and ``places``.

    Examples
    --------
    >>> check_tables({"fusion": xr.DataArray(0.5, attrs={"comparison": "cosine"})})
    Traceback (most recent call last):
    ...
    neurodnn._checks.InputError: fusion: shares of variance need a correlation ...
    """
    fusion = tables["fusion"]
    for name, table in tables.items():
        known = getattr(table, "attrs", {})
        if "comparison" not in known:
            raise InputError(message(name, "does not say how RDMs were compared", got=type(table)))
        if known["comparison"] not in VARIANCE:
            fault = "shares of variance need a correlation of values or of ranks"
            raise InputError(message(name, fault, got=known["comparison"],
                                     allowed=", ".join(VARIANCE)))  # fmt: skip
        if len(known.get("nuisance", [])):
            remedy = "Compare without nuisance RDMs."
            raise InputError(message(name, "is a partial correlation", remedy=remedy))
        if known.get("missing_distances"):
            fault = "leaves out missing distances, so that its scores are of other pairs"
            remedy = "Leave out the stimuli that have them, in all three tables."
            raise InputError(message(name, fault, got=known["missing_distances"], remedy=remedy))
        for key in SAME:
            if known.get(key) != fusion.attrs.get(key):
                fault = f"has another {key} than the fusion"
                got, allowed = known.get(key), str(fusion.attrs.get(key))
                raise InputError(message(name, fault, got=got, allowed=allowed))
    own, other = (tables[name].attrs.get("average") for name in ("fusion", "course"))
    if own != other:
        fault = "is not that of the movie in the fusion"
        remedy = "Score mean_movie(movies) with the models, with the same average."
        raise InputError(message("course", fault, got=f"average {other}",
                                 allowed=f"average {own}", remedy=remedy))  # fmt: skip
    _check_subjects(tables)
    metrics = [tables[name].attrs.get("metric") for name in ("fusion", "places")]
    if None not in metrics and len(set(metrics)) > 1:
        fault = f"RDMs of places are {metrics[1]} distances, in the fusion {metrics[0]}"
        raise InputError(message("places", fault, remedy="Take the same metric in both."))


def _check_subjects(tables: Mapping[str, xr.DataArray]) -> None:
    """Refuse a mean over subjects where each has an RDM of its own, which xarray would spread."""
    fusion = tables["fusion"]
    if "subject" not in fusion.dims:
        return
    meg = str(fusion.attrs.get("meg", ""))
    whom = {"places": True}
    if meg:
        whom["course"] = meg.startswith("paired")
    for name, wanted in whom.items():
        if ("subject" in tables[name].dims) != wanted:
            fault = "needs the scores of each subject, as the fusion has them" if wanted else \
                "has subjects, but the fusion is with one movie for all"
            raise InputError(message(name, fault, got=tables[name].dims))


def align_tables(*tables: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """Return the tables broadcast against one another; refuse other times, places or subjects.

    Examples
    --------
    >>> one = xr.DataArray([0.5], dims="time", coords={"time": [0.1]})
    >>> len(align_tables(one, one))
    2
    """
    plain = [table.reset_coords(drop=True) for table in tables]
    try:
        aligned = xr.broadcast(*xr.align(*plain, join="exact"))
    except ValueError as error:
        fault = "times, places or subjects of the three tables differ"
        raise InputError(message("fusion", fault, remedy=str(error).splitlines()[0])) from error
    if set(aligned[0].dims) != set(tables[0].dims):
        extra = sorted(set(map(str, aligned[0].dims)) - set(map(str, tables[0].dims)))
        fault = f"another table has the dimension {shorten_list(extra)}, which it lacks"
        raise InputError(message("fusion", fault, got=tables[0].dims))
    exceeding = sum(int((np.abs(each.values) > 1.0 + 1e-9).sum()) for each in aligned)
    if exceeding:
        fault = f"{exceeding} scores lie outside [-1, 1] and are no correlations"
        warnings.warn(message("fusion", fault), DataWarning, stacklevel=3)
    return aligned
