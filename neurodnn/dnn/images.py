"""Stimulus files to the tensors that a network sees, every encoding by one declared rule.

What the subject saw is the whole picture; what the network sees must be the same picture.
Rotation flags, transparency, palettes, 16 bits and print colours are therefore resolved here,
once, and anything that cannot be resolved is an error that names the file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from neurodnn._checks import InputError, message

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 50_000_000
MID_GREY = (128, 128, 128)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_log = logging.getLogger("neurodnn")
# Pillow's decoders answer damaged files with any of these.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error,
           zlib.error, OverflowError)


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
        content = _file_bytes(path)
        if hashlib.sha256(content).hexdigest() != self.sha256[index]:
            raise InputError(message(str(path), "is not the file that the stimulus table names: "
                                     "its sha256 differs", got=self.names[index],
                                     remedy="Restore the file, or make the table anew."))
        return self.transform(_decode(path, content, self.background))


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


def read_picture(
    path: str | Path, *, background: tuple[int, int, int] = MID_GREY
) -> Image.Image:
    """Return one picture as 8-bit RGB, upright, opaque.

    The camera's rotation flag is applied; transparency is laid on `background`; palettes, grey,
    16-bit grey (divided by 257), CMYK (by the plain formula, no colour profile) become RGB.
    Of a file with several frames the first is taken. Embedded colour profiles are not applied:
    values are taken as sRGB, as networks were trained.

    Parameters
    ----------
    path : str or Path
        PNG, JPEG, WebP, BMP or TIFF, told by content, of at most 50 million pixels.
    background : tuple of 3 int
        Colour behind transparent pixels, 0 to 255.

    Raises
    ------
    InputError
        If the file is missing, damaged, cut short, too large, or of another format.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "clear.png"
    >>> Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(path)
    >>> read_picture(path).getpixel((0, 0))
    (128, 128, 128)
    """
    path = Path(path)
    return _decode(path, _file_bytes(path), background)


def _inside(directory: Path, relative: str) -> Path:
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "\x00" in relative:
        raise InputError(message("stimuli", "a path leaves the folder of the stimuli",
                                 got=relative, allowed="paths relative to that folder"))
    return directory / parts


def _file_bytes(path: Path) -> bytes:
    if not path.is_file():
        linked = path.is_symlink()
        raise InputError(message(str(path), "is a link to content that is not here" if linked
                                 else "does not exist",
                                 remedy=f"Run: datalad get {path.name}" if linked else None))
    return path.read_bytes()


def _decode(path: Path, content: bytes, background: tuple[int, int, int]) -> Image.Image:
    _refuse_text(path, content)
    try:
        # Our own limit is lower than Pillow's, and a warning there would let the bomb through.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
        image.load()
        upright = ImageOps.exif_transpose(image)
        rgb = _to_rgb(path, upright, image.format, background)
    except Image.DecompressionBombError as error:
        raise InputError(message(str(path), "is too large to be a stimulus", got=str(error),
                                 allowed=f"at most {MAX_PIXELS} pixels")) from error
    except Image.UnidentifiedImageError as error:
        raise InputError(message(str(path), "is no image of an allowed format, or is damaged",
                                 allowed=", ".join(FORMATS))) from error
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(message(str(path), f"is a damaged or truncated image ({error})",
                                 remedy="Fetch it again.")) from error
    if image.mode != "RGB" or upright.size != image.size:
        _log.debug("%s: %s %s read as RGB", path.name, image.format, image.mode)
    return rgb


def _refuse_text(path: Path, content: bytes) -> None:
    start = content[:200].lstrip().lower()
    if not content:
        raise InputError(message(str(path), "is empty", remedy="Fetch it again."))
    if start.startswith((b"<!doctype html", b"<html")):
        raise InputError(message(str(path), "is a web page, not an image",
                                 remedy="Fetch it again; the server may ask for a login."))
    if b"/annex/objects/" in start:
        raise InputError(message(str(path), "is a git-annex pointer, the content is not here",
                                 remedy=f"Run: datalad get {path.name}"))


def _to_rgb(
    path: Path, image: Image.Image, kind: str | None, background: tuple[int, int, int]
) -> Image.Image:
    # Pillow before 11.3 opens a 16-bit PNG as mode I.
    if image.mode.startswith("I;16") or (image.mode == "I" and kind == "PNG"):
        # convert("RGB") would clip 16 bits at 255 and leave a white picture.
        values = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F", "LAB"):
        raise InputError(message(str(path), "has pixels without a declared range",
                                 got=f"mode {image.mode}", allowed="8 or 16 bits a channel",
                                 remedy="Save it as 8-bit RGB."))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, (*background, 255))
        return Image.alpha_composite(ground, clear).convert("RGB")
    return image.convert("RGB")


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
