"""What a searchlight is: radius, distances, comparison; said once for every step that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from nibabel.nifti1 import Nifti1Image
    from scipy.sparse import csr_array

    from neurodnn.rsa.spheres import SearchlightOptions


@dataclass(frozen=True)
class SearchlightSettings:
    """How spheres are laid and what is compared in them; see `fmri_searchlight`.

    Attributes
    ----------
    radius : float
        Of the spheres in mm, centre to centre, inclusive.
    metric : {"correlation", "euclidean", "cosine", "mahalanobis", "crossnobis"}
        Distance between two patterns.
    comparison : {"spearman", "pearson", "cosine", "rho-a", "tau-a", "corr_cov", "cosine_cov"}
        How brain RDM and reference are compared.
    semi : bool
        Nuisance RDMs are taken out of the references alone.
    noise : {"pooled", "per-fold"}
        Noise covariance of crossnobis.
    dtype : {"float64", "float32"}
        Of the engine.
    min_share : float
        Share of a full sphere that must lie in the mask and hold usable values.
    """

    radius: float = 9.0
    metric: str = "correlation"
    comparison: str = "spearman"
    semi: bool = False
    noise: str = "pooled"
    dtype: str = "float64"
    min_share: float = 0.5

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> SearchlightSettings:
        """Return the settings that the options of a run, or a summary's parameters, name.

        Parameters
        ----------
        parameters : mapping
            ``radius, metric, compare, semi_partial, noise, dtype, min_share``; what is missing
            takes its default.

        Examples
        --------
        >>> SearchlightSettings.of({"radius": 6.0, "compare": "pearson"}).comparison
        'pearson'
        """
        names = {
            "radius": "radius", "metric": "metric", "compare": "comparison",
            "semi_partial": "semi", "noise": "noise", "dtype": "dtype", "min_share": "min_share",
        }  # fmt: skip
        return cls(**{ours: parameters[key] for key, ours in names.items() if key in parameters})

    def spheres(self, mask_img: Nifti1Image | str | Path) -> tuple[csr_array, int]:
        """Return the members of the sphere round each voxel, and the least number that counts.

        Parameters
        ----------
        mask_img : image or path
            The brain mask; its voxels in C order are centres and members.

        Examples
        --------
        >>> import nibabel, numpy as np
        >>> mask = nibabel.Nifti1Image(np.ones((9, 9, 9), np.uint8), np.diag([3.0, 3, 3, 1]))
        >>> neighbors, least = SearchlightSettings().spheres(mask)
        >>> int(neighbors.sum(axis=1).max()), least
        (123, 62)
        """
        from neurodnn.brain.fmri import read_mask, sphere_neighbors
        from neurodnn.numerics.neighbors import full_ball_size

        if not hasattr(mask_img, "affine"):
            mask_img = read_mask(mask_img)
        neighbors = sphere_neighbors(mask_img, self.radius, min_share=self.min_share)
        # Voxels without usable values are no better than voxels outside the mask.
        least = ceil(self.min_share * full_ball_size(mask_img.affine, self.radius) - 1e-9)
        return neighbors, max(least, 1)

    def options(
        self, min_features: int, *, n_jobs: int = 1, progress: bool = False
    ) -> SearchlightOptions:
        """Return the settings as the engine takes them.

        Parameters
        ----------
        min_features : int
            As `spheres` gave it.
        n_jobs : int
            Workers.
        progress : bool
            Show a bar on standard error.

        Examples
        --------
        >>> SearchlightSettings(metric="crossnobis").options(20).min_features
        20
        """
        from neurodnn.rsa.spheres import SearchlightOptions

        return SearchlightOptions(
            metric=self.metric, noise=self.noise, dtype=self.dtype, min_features=min_features,
            n_jobs=n_jobs, progress=progress,
        )  # fmt: skip
