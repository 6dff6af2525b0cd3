"""Golden values of mne-rsa's NIfTI searchlight, for tests/rsa/test_searchlight.py.

Run once, by hand, in an environment of its own that holds mne-rsa (its graphical requirements
must not reach the tests): ``python tests/golden/make_mne_rsa.py``. It writes ``mne_rsa.npz``
(inputs and outputs, no pickle) and ``mne_rsa_versions.json`` beside itself.

The image is isotropic, because mne-rsa takes distances with a transposed affine (exact for
isotropic images only), and radii are compared with ``<``. Each radius is given in mm here and
in metres to mne-rsa.
"""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import mne_rsa
import nibabel
import numpy as np

HERE = Path(__file__).parent
RADII_MM = (4.5, 5.7)
MEASURES = (("correlation", "spearman"), ("correlation", "pearson"), ("sqeuclidean", "spearman"))


def main() -> None:
    rng = np.random.default_rng(20261124)
    n_conditions, shape = 9, (9, 10, 8)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -8.0, -9.0, -7.0
    data = rng.normal(size=(*shape, n_conditions))
    centre = (np.array(shape) - 1) / 2
    places = np.moveaxis(np.indices(shape), 0, -1)
    mask = (((places - centre) / (centre + 0.6)) ** 2).sum(axis=-1) <= 1
    models = rng.random(size=(3, n_conditions * (n_conditions - 1) // 2))
    results = {"data": data, "mask": mask, "affine": affine, "models": models}
    image = nibabel.Nifti1Image(data, affine)
    brain = nibabel.Nifti1Image(mask.astype(np.uint8), affine)
    for radius in RADII_MM:
        for metric, comparison in MEASURES:
            maps = mne_rsa.rsa_nifti(
                image,
                list(models),
                spatial_radius=radius / 1000,
                image_rdm_metric=metric,
                rsa_metric=comparison,
                brain_mask=brain,
                n_jobs=1,
            )
            values = np.stack([one.get_fdata()[mask] for one in maps])
            results[f"{metric}_{comparison}_{radius}"] = values
    np.savez_compressed(HERE / "mne_rsa.npz", **results)
    names = ("mne-rsa", "nibabel", "numpy", "scipy")
    versions = {name: version(name) for name in names} | {"python": platform.python_version()}
    (HERE / "mne_rsa_versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
