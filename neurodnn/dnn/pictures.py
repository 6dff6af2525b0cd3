"""One image file to one picture: 8-bit RGB, upright, opaque, by one declared rule.

Rotation flags, transparency, palettes, 16 bits and print colours are resolved here, once;
anything that cannot be resolved is an error that names the file.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from neurodnn._checks import InputError, message

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = 50_000_000
MID_GREY = (128, 128, 128)

_log = logging.getLogger("neurodnn")
# Pillow's decoders answer damaged files with any of these.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error,
           zlib.error, OverflowError)


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
    return decode_picture(path, file_bytes(path), background)


def file_bytes(path: Path) -> bytes:
    """Return the content of a file, or say that it is missing or only a link."""
    if not path.is_file():
        linked = path.is_symlink()
        raise InputError(message(str(path), "is a link to content that is not here" if linked
                                 else "does not exist",
                                 remedy=f"Run: datalad get {path.name}" if linked else None))
    return path.read_bytes()


def decode_picture(
    path: Path, content: bytes, background: tuple[int, int, int] = MID_GREY
) -> Image.Image:
    """Return the picture in `content`; `path` is for messages. See :func:`read_picture`."""
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
