"""Stimulus files to the tensors that a network sees.

What the subject saw is the whole picture; what the network sees must be the same picture, in
an order that does not depend on how the table happens to be sorted.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from neurodnn._checks import InputError, message
from neurodnn.dnn.pictures import MID_GREY, decode_picture, file_bytes

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class ImageTransform:
    """Turn a picture into the (3, height, width) float32 tensor that a network expects.

    Parameters
    ----------
    size : int
        Height and width of the tensor in pixels.
    resize : int, optional
        None (default): the whole picture is resized to `size` x `size`, so that nothing of
        what the subject saw is cut off. A number: the shorter side is resized to it and the
        central `size` x `size` pixels are kept, as most training scripts do; this discards up
        to 23 % of a square picture.
    mean, std : tuple of 3 floats
        Of the channels red, green, blue in the range 0 to 1; those of the weights.
    interpolation : {"bilinear", "bicubic"}
        Always antialiased.

    Examples
    --------
    >>> transform = ImageTransform(size=64)
    >>> tuple(transform(Image.new("RGB", (300, 200))).shape)
    (3, 64, 64)
    """

    size: int = 224
    resize: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __call__(self, image: Image.Image):
        """Return the tensor of one RGB picture."""
        import torch

        method = Image.Resampling[self.interpolation.upper()]
        if self.resize is None:
            image = image.resize((self.size, self.size), method)
        else:
            image = _resize_and_crop(image, self.resize, self.size, method)
        values = np.asarray(image, dtype=np.float32) / np.float32(255)
        values = (values - np.float32(self.mean)) / np.float32(self.std)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


class ImageFolder(Sequence):
    """Pictures on disk as a lazy sequence of tensors, sorted by stimulus name.

    Made by :func:`open_images`. Nothing is decoded before an item is asked for.

    Attributes
    ----------
    names : list of str
        Stimulus keys, sorted: the same set gives the same batches whatever the table's order.
    paths : list of Path
        The files, in the order of `names`.
    sha256 : list of str
        Hash of each file's bytes, in the order of `names`.
    transform : callable
        RGB picture to tensor.
    background : tuple of int
        Colour behind transparent pixels.
    """

    def __init__(self, names: list[str], paths: list[Path], sha256: list[str],
                 transform: Callable, background: tuple[int, int, int] = MID_GREY):
        self.names = names
        self.paths = paths
        self.sha256 = sha256
        self.transform = transform
        self.background = background

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.names)

    def __getitem__(self, index: int):
        """Return the tensor of one picture; a slice gives the smaller sequence."""
        if isinstance(index, slice):
            return ImageFolder(self.names[index], self.paths[index], self.sha256[index],
                               self.transform, self.background)
        path = self.paths[index]
        content = file_bytes(path)
        if hashlib.sha256(content).hexdigest() != self.sha256[index]:
            raise InputError(message(str(path), "is not the file that the stimulus table names: "
                                     "its sha256 differs", got=self.names[index],
                                     remedy="Restore the file, or make the table anew."))
        return self.transform(decode_picture(path, content, self.background))


def open_images(
    stimuli: pd.DataFrame,
    directory: str | Path,
    *,
    transform: Callable | None = None,
    background: tuple[int, int, int] = MID_GREY,
) -> ImageFolder:
    """Return the pictures of a stimulus table as a lazy sequence of tensors.

    Parameters
    ----------
    stimuli : pandas.DataFrame
        Columns ``stimulus`` (unique key), ``path`` (relative to `directory`) and, if there is
        one, ``sha256``: a file whose content differs from it is refused when it is read.
    directory : str or Path
        The folder of the stimuli.
    transform : callable, optional
        Picture to tensor, as returned by :func:`~neurodnn.dnn.networks.load_network`.
        Default: the whole picture at 224 x 224 pixels with the mean and standard deviation of
        ImageNet.
    background : tuple of 3 int
        Red, green, blue (0 to 255) behind transparent pixels; mid-grey by default, the usual
        background of an experiment.

    Returns
    -------
    ImageFolder
        Sorted by name; ``names``, ``paths`` and ``sha256`` are in the order of the items.

    Raises
    ------
    InputError
        If a column or a file is missing, a key appears twice, or a path leaves `directory`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (8, 8), "red").save(folder / "a.png")
    >>> table = pd.DataFrame({"stimulus": ["a"], "path": ["a.png"]})
    >>> images = open_images(table, folder, transform=ImageTransform(size=4))
    >>> images.names, tuple(images[0].shape)
    (['a'], (3, 4, 4))
    """
    directory = Path(directory)
    missing = [column for column in ("stimulus", "path") if column not in stimuli.columns]
    if missing:
        raise InputError(message("stimuli", f"lacks the column {', '.join(missing)}",
                                 got=", ".join(map(str, stimuli.columns))))
    twice = stimuli["stimulus"][stimuli["stimulus"].duplicated()].astype(str).tolist()
    if twice:
        raise InputError(message("stimuli", f"names {len(twice)} stimuli twice",
                                 got=", ".join(twice[:5]),
                                 remedy="Use the key rule 'path' if file names repeat."))
    table = stimuli.assign(stimulus=stimuli["stimulus"].astype(str)).sort_values("stimulus")
    paths = [_inside(directory, str(path)) for path in table["path"]]
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        linked = any(Path(path).is_symlink() for path in absent)
        raise InputError(message(absent[0], f"is not here ({len(absent)} of {len(paths)} images "
                                 "are missing)", remedy="Run: datalad get" if linked else None))
    known = table["sha256"] if "sha256" in table else pd.Series([None] * len(table))
    digests = [
        digest.lower() if isinstance(digest, str) and digest
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for digest, path in zip(known, paths, strict=True)
    ]
    if transform is None:
        transform = ImageTransform()
    return ImageFolder(table["stimulus"].tolist(), paths, digests, transform, background)


def _inside(directory: Path, relative: str) -> Path:
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "\x00" in relative:
        raise InputError(message("stimuli", "a path leaves the folder of the stimuli",
                                 got=relative, allowed="paths relative to that folder"))
    return directory / parts


def _resize_and_crop(image: Image.Image, shorter: int, size: int, method: int) -> Image.Image:
    width, height = image.size
    # Integer truncation of the longer side and rounding of the corner: as torchvision does.
    if width <= height:
        image = image.resize((shorter, int(shorter * height / width)), method)
    else:
        image = image.resize((int(shorter * width / height), shorter), method)
    left = int(round((image.width - size) / 2.0))
    top = int(round((image.height - size) / 2.0))
    return image.crop((left, top, left + size, top + size))
