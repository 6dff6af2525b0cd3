"""p maps as pictures show them: -log10 p, and lines round what is below 0.05."""

from __future__ import annotations

import math
from typing import Any

import nibabel
import numpy as np

from neurodnn.report.maps import ReadMap

ALPHA = 0.05
THRESHOLD = -math.log10(ALPHA)
UNIT = "\N{MINUS SIGN}log10 p"


def below(each: ReadMap) -> Any:
    """Return an image that is 1 where p is below 0.05, 0 elsewhere."""
    inside = (np.nan_to_num(each.data, nan=1.0) < ALPHA).astype(np.float32)
    return nibabel.Nifti1Image(inside, each.image.affine)


def as_evidence(each: ReadMap) -> ReadMap:
    """Return a p map as -log10 p, so that strong places are large values."""
    data = -np.log10(np.clip(each.data, 1e-12, 1.0))
    data = np.where(np.isfinite(each.data), np.maximum(data, 0.0), np.nan).astype(np.float32)
    image = nibabel.Nifti1Image(data, each.image.affine)
    return ReadMap(each.name, each.path, image, data, each.peaks)
