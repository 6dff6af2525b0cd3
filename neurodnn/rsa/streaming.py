"""The RDM of a layer from activations that arrive in batches and never stand in memory together.

What concerns one image alone (its mean, its length, its ranks) is settled when the image arrives;
the rest is a Gram matrix, added up in float64 over blocks of units once all images are there. No
step sees where a batch ended, so the batch size changes no bit.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from neurodnn._checks import DataWarning, InputError, check_choice, check_number, message
from neurodnn.numerics.dissimilarity import ZERO_FACTOR, distances_of_gram, feature_eps
from neurodnn.numerics.ranks import average_ranks
from neurodnn.rsa.names import shorten_list

METRICS = ("correlation", "euclidean", "spearman")
_UNITS_PER_BLOCK = 8192
# Ranks are halves of whole numbers, which float32 holds exactly up to here.
_EXACT_RANKS = 2**23


class StreamedRDM:
    """One RDM over batches of activations: ``add`` every batch, then ``read``.

    All units count, constant ones too: a unit that answers alike to all images has been
    measured, unlike a dead voxel.

    Parameters
    ----------
    n_stimuli : int
        How many images there will be.
    metric : {"correlation", "euclidean", "spearman"}
        1 - Pearson r over units; squared Euclidean distance per unit; 1 - Spearman rho over
        units.
    memory_mb : float
        Above this size the activations lie in a temporary file instead of in memory.
    scratch_dir : str or Path, optional
        Where that file is; by default the system's temporary folder. It vanishes with the object,
        and also when the process is killed.
    label : str
        What messages call the activations: the name of the layer.

    Raises
    ------
    InputError
        If an argument is unknown or out of range.

    References
    ----------
    Kriegeskorte, N., Mur, M., & Bandettini, P. (2008). Representational similarity analysis.
    Frontiers in Systems Neuroscience, 2, 4.

    Examples
    --------
    >>> stream = StreamedRDM(3)
    >>> stream.add([[1, 2, 3], [2, 4, 6]])
    >>> stream.add([[3, 2, 1]])
    >>> stream.read()
    array([0., 2., 2.])
    """

    def __init__(
        self,
        n_stimuli: int,
        *,
        metric: str = "correlation",
        memory_mb: float = 256,
        scratch_dir: str | Path | None = None,
        label: str = "activations",
    ) -> None:
        self._n = int(check_number("n_stimuli", n_stimuli, minimum=2))
        self._metric = check_choice("metric", metric, METRICS)
        self._bytes = check_number("memory_mb", memory_mb, minimum=0, unit="MB") * 2**20
        self._scratch = scratch_dir
        self._label = label
        self._rows: np.ndarray | None = None
        self._names: list[str] = []
        # z = (row - shift) / scale; a scale of NaN marks a constant pattern.
        self._shift = np.zeros(self._n)
        self._scale = np.ones(self._n)

    def add(self, batch: ArrayLike, names: Sequence[str] | None = None) -> None:
        """Take in the activations of further images.

        Parameters
        ----------
        batch : array (images x units)
            float32 and float64 are kept as they are; anything else becomes one of them.
        names : sequence of str, optional
            Names of the images, for messages.

        Raises
        ------
        InputError
            If a value is not finite (the image is named), the shape does not fit the batches
            before, there are more images than announced, or the scratch folder is full.
        """
        batch = np.asarray(batch)
        if batch.ndim != 2 or batch.shape[1] == 0:
            raise InputError(message(self._label, "must be images x units", got=batch.shape))
        done = len(self._names)
        if done + len(batch) > self._n:
            got = done + len(batch)
            raise InputError(message(self._label, "more images than announced", got=got,
                                     allowed=f"n_stimuli = {self._n}"))  # fmt: skip
        if self._rows is None:
            self._rows = self._allocate(batch)
        if batch.shape[1] != self._rows.shape[1]:
            allowed = str(self._rows.shape[1])
            fault = "the number of units changes between batches"
            raise InputError(message(self._label, fault, got=batch.shape[1], allowed=allowed))
        if names is None:
            names = [f"number {done + i + 1}" for i in range(len(batch))]
        for name, row in zip(names, batch, strict=True):
            self._take(row, str(name))

    def read(self) -> np.ndarray:
        """Return the RDM of all images.

        Returns
        -------
        array of float64 (pairs,)
            In the order of ``numpy.triu_indices(n_stimuli, 1)``. Distances of an image whose
            activations are all equal are NaN with the two correlations, under a warning.

        Raises
        ------
        InputError
            If images are missing.
        """
        if len(self._names) < self._n or self._rows is None:
            fault = f"{len(self._names)} of {self._n} images have arrived"
            raise InputError(message(self._label, fault, remedy="Add the others first."))
        n_units = self._rows.shape[1]
        gram = np.zeros((self._n, self._n))
        for block in self._blocks():
            gram += block @ block.T
        if self._metric == "euclidean":
            return distances_of_gram(gram, np.diag(gram), n_units, signed=False)
        flat = [name for name, scale in zip(self._names, self._scale, strict=True)
                if np.isnan(scale)]  # fmt: skip
        if flat:
            fault = f"all activations are equal for {shorten_list(flat)}"
            remedy = "Their distances are undefined and become NaN."
            warnings.warn(message(self._label, fault, remedy=remedy), DataWarning, stacklevel=2)
        distances = 1.0 - gram[np.triu_indices(self._n, 1)]
        # Identical patterns differ by rounding alone, which must not be ranked.
        noise = ZERO_FACTOR * np.finfo(np.float64).eps * n_units
        distances[np.abs(distances) <= noise] = 0.0
        return np.clip(distances, 0.0, 2.0)

    def _take(self, row: np.ndarray, name: str) -> None:
        """Check one image, settle what concerns it alone, and lay it down."""
        # One contiguous copy per image: sums must not feel how the batch was laid out.
        values = np.ascontiguousarray(row, dtype=np.float64)
        if not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            fault = f"{count} activations of stimulus {name} are not finite"
            remedy = "Check the weights and the image."
            raise InputError(message(self._label, fault, remedy=remedy))
        place = len(self._names)
        if self._metric == "spearman":
            row = values = average_ranks(row)
        self._rows[place] = row
        if self._metric != "euclidean":
            self._shift[place] = values.mean()
            spread, largest = np.ptp(values), np.abs(values).max()
            flat = spread <= ZERO_FACTOR * feature_eps(self._rows.dtype) * largest
            centred = values - self._shift[place]
            self._scale[place] = np.nan if flat else np.sqrt(centred @ centred)
        self._names.append(name)

    def _blocks(self) -> Iterator[np.ndarray]:
        """Yield centred, scaled activations in float64, all images x some units."""
        shift, scale = self._shift[:, np.newaxis], self._scale[:, np.newaxis]
        for start in range(0, self._rows.shape[1], _UNITS_PER_BLOCK):
            block = self._rows[:, start : start + _UNITS_PER_BLOCK].astype(np.float64)
            if self._metric == "euclidean":
                block -= block.mean(axis=0)  # distances do not feel it, the Gram form does
            else:
                block -= shift
                block /= scale
            yield block

    def _allocate(self, batch: np.ndarray) -> np.ndarray:
        """Return room for all images: in memory, or in a file that has no name any more."""
        n_units = batch.shape[1]
        if self._metric == "spearman":
            dtype = np.float32 if n_units < _EXACT_RANKS else np.float64
        else:
            dtype = np.float32 if batch.dtype in (np.float16, np.float32) else np.float64
        size = self._n * n_units * np.dtype(dtype).itemsize
        if size <= self._bytes:
            return np.empty((self._n, n_units), dtype=dtype)
        folder = None if self._scratch is None else str(self._scratch)
        try:
            file = tempfile.TemporaryFile(dir=folder)
            # Claims the space now: a full disk would otherwise kill the process at a later write.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            fault = f"{size / 2**20:.0f} MB of activations cannot be laid down: {error.strerror}"
            remedy = "Free space there, or choose another folder."
            where = f"scratch_dir {folder or tempfile.gettempdir()}"
            raise InputError(message(where, fault, remedy=remedy)) from error
        return np.memmap(file, dtype=dtype, mode="r+", shape=(self._n, n_units))
