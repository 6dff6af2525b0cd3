"""The settings of the general linear model, and the sentence that reports them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from neurodnn._checks import InputError, check_choice, check_number, message
from neurodnn.brain.design import DRIFT_MODELS, HRF_MODELS


@dataclass(frozen=True)
class GLMSettings:
    """How responses are estimated; every field is stated in the methods text.

    Attributes
    ----------
    hrf : str
        Response function: ``"glover"`` (default) or ``"spm"``, each alone or with
        ``" + derivative"`` or ``" + derivative + dispersion"``.
    drift : {"cosine", "polynomial", "none"}
        Slow drift.
    high_pass : float
        Cut-off of the cosine drift in Hz; 1/128, as in fMRIPrep's own filters.
    noise_model : str
        ``"ar1"`` (default) whitens each voxel by its own autocorrelation of order 1;
        ``"ar2"`` and so on; ``"ols"`` does not whiten.
    scaling : {"grand-mean", "voxel", "none"}
        ``"grand-mean"`` (default) divides a run by its mean over voxels and volumes and
        multiplies by 100: estimates are percent of the run's mean signal, runs become
        comparable, and the proportions between voxels stay. ``"voxel"`` divides each voxel by
        its own mean, which inflates dark voxels.
    estimate : {"beta", "t"}
        Regression weights, or weights divided by their standard error (univariate noise
        normalisation; residuals are then scaled alike).
    slice_time_ref : float
        The moment of a volume that the data stand for, as a share of the TR: 0 for data
        without slice timing correction, 0.5 for fMRIPrep's default.
    keep_residuals : bool
        Whether residuals are returned; they are needed for noise normalisation only.
    """

    hrf: str = "glover"
    drift: str = "cosine"
    high_pass: float = 1 / 128
    noise_model: str = "ar1"
    scaling: str = "grand-mean"
    estimate: str = "beta"
    slice_time_ref: float = 0.0
    keep_residuals: bool = True

    def __post_init__(self) -> None:
        check_choice("hrf", self.hrf, HRF_MODELS)
        check_choice("drift", self.drift, DRIFT_MODELS)
        check_choice("scaling", self.scaling, ["grand-mean", "voxel", "none"])
        check_choice("estimate", self.estimate, ["beta", "t"])
        check_number("high_pass", self.high_pass, minimum=0, strict=True, unit="Hz")
        check_number("slice_time_ref", self.slice_time_ref, minimum=0, maximum=1)
        if not re.fullmatch(r"ols|ar[1-9]", str(self.noise_model)):
            allowed = "ols, ar1, ar2, ..., ar9"
            got = self.noise_model
            raise InputError(message("noise_model", "is not known", got=got, allowed=allowed))


def describe_glm(settings: GLMSettings | None = None) -> str:
    """Return the sentence that a methods paragraph needs about the estimates.

    Examples
    --------
    >>> describe_glm().startswith("Responses were estimated per run")
    True
    """
    settings = settings or GLMSettings()
    drift = {
        "cosine": f"cosine drift (high-pass {settings.high_pass:.4g} Hz)",
        "polynomial": "linear drift",
        "none": "no drift term",
    }[settings.drift]
    unit = {
        "grand-mean": "percent of the run's mean signal",
        "voxel": "percent of the voxel's mean signal",
        "none": "units of the image",
    }[settings.scaling]
    if settings.noise_model == "ols":
        noise = "ordinary least squares; residuals are not whitened in time"
    else:
        order = settings.noise_model.removeprefix("ar")
        noise = f"autoregressive noise of order {order}; residuals are whitened in time"
    kind = f"weights in {unit}" if settings.estimate == "beta" else "t values"
    return (
        f"Responses were estimated per run with a general linear model (nilearn): one regressor "
        f"per stimulus convolved with the {settings.hrf} response function, {drift}, {noise}. "
        f"Estimates are {kind}."
    )
