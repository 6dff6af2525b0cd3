"""A canvas that paints colour and meaning together: every stroke leaves its concept masks.

Shapes are rasterised once, at three times the resolution. The picture is the mean of 3 x 3
small pixels (antialiased); a mask takes the label at the centre of each pixel, so that every
pixel has exactly one label.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

OBJECTS = (
    "none", "sky", "cloud", "sun", "sea", "lake", "beach", "meadow", "hill", "mountain", "road",
    "pavement", "ground", "wall", "floor", "building", "house", "car", "tree", "pine", "palm",
    "bush", "flower", "rock", "fence", "person", "cat", "cow", "bird", "boat", "umbrella",
    "streetlight", "bed", "lamp", "table", "chair", "window", "curtain", "picture", "rug",
    "shelf", "computer", "stove", "fridge", "cabinet", "cup", "clock", "plant",
)
PARTS = (
    "none", "roof", "wall", "window", "door", "chimney", "wheel", "body", "headlight", "crown",
    "trunk", "head", "arm", "leg", "tail", "ear", "hull", "sail", "mast", "canopy", "pole",
    "mattress", "pillow", "blanket", "headboard", "shade", "base", "top", "seat", "back", "frame",
    "pane", "screen", "keyboard", "drawer", "knob", "handle", "oven", "snow", "petal", "stem",
    "marking", "post", "rail", "book", "pot", "hand", "eye", "hair", "wing",
)
MATERIALS = (
    "none", "wood", "metal", "fabric", "water", "grass", "foliage", "stone", "sand", "glass",
    "plaster", "brick", "snow", "asphalt", "skin", "fur", "soil", "ceramic", "paper",
)
TEXTURES = ("none", "stripes", "dots", "checker", "waves", "bricks")
COLOURS = (
    "none", "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple",
    "pink", "brown",
)
# Several prototypes of one name where a single one would misname its dark or pale shades.
_PROTOTYPES = (
    ("black", (20, 20, 24)), ("white", (245, 245, 245)), ("grey", (128, 128, 128)),
    ("grey", (180, 182, 186)), ("red", (200, 35, 40)), ("orange", (240, 140, 40)),
    ("yellow", (245, 215, 70)), ("yellow", (232, 212, 150)), ("green", (60, 140, 60)),
    ("green", (30, 70, 40)), ("green", (150, 190, 90)), ("blue", (50, 90, 180)),
    ("blue", (140, 190, 235)), ("blue", (30, 45, 90)), ("purple", (120, 60, 150)),
    ("pink", (240, 150, 180)), ("brown", (120, 75, 40)), ("brown", (165, 115, 70)),
)
_FINE = 3


@dataclasses.dataclass(frozen=True)
class Fill:
    """How a surface looks: colour, material, and a pattern in a second colour.

    `period` is the repeat of the pattern and `angle` its direction (radians); `shade` darkens
    towards the bottom (a fraction), `grain` is the strength of the material's own roughness.
    """

    colour: tuple[int, int, int]
    material: str = "none"
    texture: str = "none"
    second: tuple[int, int, int] = (255, 255, 255)
    period: float = 0.08
    angle: float = 0.0
    shade: float = 0.12
    grain: float | None = None


_GRAIN = {"grass": 0.16, "foliage": 0.22, "sand": 0.08, "stone": 0.14, "water": 0.08,
          "wood": 0.12, "fur": 0.10, "fabric": 0.05, "asphalt": 0.08, "soil": 0.14,
          "snow": 0.04, "brick": 0.07, "plaster": 0.03}


class Canvas:
    """A square picture in the making, with coordinates from 0 (left, top) to 1.

    Parameters
    ----------
    size : int
        Height and width of the finished picture in pixels.
    rng : numpy.random.Generator
        Draws the roughness of materials.
    """

    def __init__(self, size: int, rng: np.random.Generator):
        self.size = size
        self.rng = rng
        self.fine = size * _FINE
        self.picture = np.zeros((self.fine, self.fine, 3), dtype=np.float32)
        self.labels = {
            name: np.zeros((self.fine, self.fine), dtype=np.uint8)
            for name in ("object", "part", "detail", "material", "texture")
        }
        self._object = 0
        self._noise = _noise_fields(self.fine, rng)

    @contextlib.contextmanager
    def drawing(self, name: str):
        """Let all shapes inside the block belong to the object `name`."""
        before, self._object = self._object, OBJECTS.index(name)
        try:
            yield
        finally:
            self._object = before

    def polygon(self, points: Sequence[tuple[float, float]], fill: Fill, part: str = "none",
                detail: str = "none") -> None:
        """Paint a polygon."""
        scaled = [(x * self.fine, y * self.fine) for x, y in points]
        self._paint(scaled, "polygon", fill, part, detail)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Fill, part: str = "none",
            detail: str = "none") -> None:
        """Paint an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, part, detail)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Fill, part: str = "none",
                detail: str = "none") -> None:
        """Paint an upright ellipse around (x, y)."""
        corners = [((x - rx) * self.fine, (y - ry) * self.fine),
                   ((x + rx) * self.fine, (y + ry) * self.fine)]
        self._paint(corners, "ellipse", fill, part, detail)

    def line(self, points: Sequence[tuple[float, float]], width: float, fill: Fill,
             part: str = "none", detail: str = "none") -> None:
        """Paint a line of `width` through `points`, as one quadrilateral per piece."""
        for (x0, y0), (x1, y1) in zip(points[:-1], points[1:], strict=True):
            length = max(np.hypot(x1 - x0, y1 - y0), 1e-9)
            dx, dy = -(y1 - y0) / length * width / 2, (x1 - x0) / length * width / 2
            self.polygon([(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy),
                          (x0 - dx, y0 - dy)], fill, part, detail)

    def finish(self, light: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the picture (size, size, 3) uint8 under `light` (3 factors), and its masks."""
        parts = [self.picture[i::_FINE, j::_FINE] for i in range(_FINE) for j in range(_FINE)]
        mean = sum(parts) / len(parts) * light
        image = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        centre = _FINE // 2
        masks = {name: np.ascontiguousarray(values[centre::_FINE, centre::_FINE])
                 for name, values in self.labels.items()}
        masks["part"] = np.stack([masks["part"], masks.pop("detail")])
        masks["colour"] = name_colours(image)
        return image, masks

    def _paint(self, points: list, kind: str, fill: Fill, part: str, detail: str) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, top = max(int(min(xs)), 0), max(int(min(ys)), 0)
        right = min(int(np.ceil(max(xs))) + 1, self.fine)
        bottom = min(int(np.ceil(max(ys))) + 1, self.fine)
        if right <= left or bottom <= top:
            return
        sheet = Image.new("1", (right - left, bottom - top))
        getattr(ImageDraw.Draw(sheet), kind)([(x - left, y - top) for x, y in points], fill=1)
        inside = np.asarray(sheet)
        window = (slice(top, bottom), slice(left, right))
        look = self._render(fill, window, max(ys) - min(ys), min(ys))
        np.copyto(self.picture[window], look, where=inside[..., None])
        numbers = {"object": self._object, "part": PARTS.index(part),
                   "detail": PARTS.index(detail), "material": MATERIALS.index(fill.material),
                   "texture": TEXTURES.index(fill.texture)}
        for name, number in numbers.items():
            np.copyto(self.labels[name][window], number, where=inside)

    def _render(self, fill: Fill, window: tuple, height: float, top: float) -> np.ndarray:
        rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
        columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
        look = np.empty((rows.size, columns.size, 3), dtype=np.float32)
        look[:] = fill.colour
        if fill.texture != "none":
            pattern = _pattern(fill, columns / self.fine, rows / self.fine)
            look[pattern] = fill.second
        bright = 1 - fill.shade * ((rows - top) / max(height, 1.0) - 0.3)
        grain = _GRAIN.get(fill.material, 0.02) if fill.grain is None else fill.grain
        bright = bright + grain * self._noise[_rough(fill.material)][window]
        return look * bright[..., None]


def name_colours(image: np.ndarray) -> np.ndarray:
    """Return the number in `COLOURS` of each pixel of an RGB picture (height, width, 3) uint8.

    The nearest of eighteen prototypes in CIE L*a*b*, with lightness counting half.

    Examples
    --------
    >>> COLOURS[int(name_colours(np.full((1, 1, 3), (250, 140, 30), dtype=np.uint8))[0, 0])]
    'orange'
    """
    prototypes = _lab(np.array([value for _, value in _PROTOTYPES], dtype=np.float32))
    numbers = np.array([COLOURS.index(name) for name, _ in _PROTOTYPES], dtype=np.uint8)
    values = _lab(image.reshape(-1, 3).astype(np.float32))
    # |v - p|^2 without the v^2, which is the same for all prototypes of a pixel.
    distance = (prototypes**2).sum(axis=1) - 2 * values @ prototypes.T
    return numbers[distance.argmin(axis=1)].reshape(image.shape[:2])


def _lab(rgb: np.ndarray) -> np.ndarray:
    # All 256 levels once, instead of a power for each pixel.
    level = np.arange(256, dtype=np.float32) / 255
    curve = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    linear = curve[rgb.astype(np.intp)]
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722],
                       [0.0193, 0.1192, 0.9505]], dtype=np.float32)
    relative = linear @ matrix.T / np.array([0.9505, 1.0, 1.089], dtype=np.float32)
    root = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    lightness = 116 * root[:, 1] - 16
    return np.stack([lightness / 2, 500 * (root[:, 0] - root[:, 1]),
                     200 * (root[:, 1] - root[:, 2])], axis=1)


def _pattern(fill: Fill, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    along = (x * np.cos(fill.angle) + y * np.sin(fill.angle)) / fill.period
    across = (y * np.cos(fill.angle) - x * np.sin(fill.angle)) / fill.period
    if fill.texture == "stripes":
        return along % 1 < 0.5
    if fill.texture == "dots":
        shift = 0.5 * (np.floor(across) % 2)
        return ((along + shift) % 1 - 0.5) ** 2 + (across % 1 - 0.5) ** 2 < 0.09
    if fill.texture == "checker":
        return (np.floor(along) + np.floor(across)) % 2 == 0
    if fill.texture == "waves":
        return (across + 0.28 * np.sin(2 * np.pi * along * 0.6)) % 1 < 0.28
    shift = 0.5 * (np.floor(across * 1.6) % 2)
    return ((along * 0.8 + shift) % 1 < 0.12) | ((across * 1.6) % 1 < 0.2)


def _noise_fields(side: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return fields of unit scale: fine, blotchy, and drawn out along either axis."""
    small = side // 3
    white = rng.standard_normal((small, small), dtype=np.float32)

    def enlarge(values: np.ndarray, gain: float) -> np.ndarray:
        sheet = Image.fromarray(values).resize((side, side), Image.Resampling.BICUBIC)
        return np.asarray(sheet, dtype=np.float32) * gain

    return {
        "fine": enlarge(white, 0.8),
        "blotch": enlarge(white[::3, ::3], 0.9),
        "rows": enlarge(white[::2, ::8], 0.9),
        "columns": enlarge(white[::8, ::2], 0.9),
    }


def _rough(material: str) -> str:
    if material in ("water", "wood"):
        return "rows"
    if material in ("grass", "fur"):
        return "columns"
    return "blotch" if material in ("foliage", "stone", "snow", "soil") else "fine"
