"""What all figures share: text that cannot turn into mathematics, sizes, colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

PAGE_WIDTH = 7.2  # inches, two columns of a printed page (183 mm)
TEXT, SMALL = 8.0, 6.5  # points
INK, FAINT = "#1d2733", "#7b8794"

# Okabe & Ito's palette without its yellow, which is too faint on white
CATEGORIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# Anchors of the map colours. Lightness falls evenly from the centre to both ends, and the two
# sides differ in blue against orange, which every common colour blindness keeps apart.
_NEGATIVE = ("#0a2a5e", "#1f5fa8", "#4f98d3", "#a5cdea")
_POSITIVE = ("#ffd58a", "#f2913a", "#cb3f1f", "#6d0f1c")
_CENTRE = "#f4f1ee"


@cache
def diverging_map() -> LinearSegmentedColormap:
    """Blue, neutral, orange-red: for scores, whose zero has a meaning."""
    return LinearSegmentedColormap.from_list(
        "neurodnn_scores", [*_NEGATIVE, _CENTRE, *_POSITIVE], N=511
    )


@cache
def sequential_map() -> LinearSegmentedColormap:
    """The positive half of `diverging_map`: for scores or evidence that cannot be negative."""
    return LinearSegmentedColormap.from_list("neurodnn_evidence", [_CENTRE, *_POSITIVE], N=256)


@cache
def _known_glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def plain(text: object, limit: int = 40) -> str:
    """Return `text` as one short line that matplotlib draws letter by letter.

    A dollar sign would start mathematics (``$x_^$`` raises while drawing), a line feed would
    move the layout, and a letter that the font lacks would warn at every drawing.

    Parameters
    ----------
    text : object
        Whatever a layer, a region or a stimulus is called.
    limit : int
        Number of characters kept; a longer text loses its middle.

    Examples
    --------
    >>> plain("$x_^$")
    '\\\\$x_^\\\\$'
    >>> plain("features.0.a_long_name", limit=11)
    'featu…_name'
    """
    line = " ".join(unicodedata.normalize("NFC", str(text)).split())
    known = _known_glyphs()
    unknown = "\N{REPLACEMENT CHARACTER}"
    line = "".join(letter if ord(letter) in known else unknown for letter in line)
    if len(line) > limit:
        half = (limit - 1) // 2
        line = f"{line[: limit - 1 - half]}…{line[len(line) - half :]}"
    return line.replace("$", r"\$")


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure in inches, made without pyplot: no window, no global state."""
    return Figure(figsize=(width, height), facecolor="white")


def figure_title(figure: Figure, title: str | None, *, space: float) -> None:
    """Write `title` at the upper left; `space` is the room kept above the axes, in inches."""
    if title is None:
        return
    height = figure.get_figheight()
    figure.text(
        0.012, 1 - 0.35 * space / height, plain(title, 100),
        fontsize=TEXT + 2, fontweight="bold", color=INK, va="center",
    )  # fmt: skip


def quiet_axes(axes) -> None:
    """Leave the lower and left lines only, in grey: the data speak."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.6)
    axes.tick_params(color=FAINT, labelcolor=INK, width=0.6, length=2.5, labelsize=SMALL)


def score_limit(arrays: Iterable[np.ndarray]) -> float:
    """Return a colour limit for scores around zero, > 0.

    The 99.9th percentile of all absolute finite values, so that one odd voxel does not wash out
    a map, but at least 0.75 of the largest, so that a small strong place keeps its shape. The
    pointed ends of the colour bar show that values beyond exist.
    """
    values = [np.abs(array[np.isfinite(array)]).ravel() for array in arrays]
    pooled = np.concatenate([*values, np.zeros(1)])
    limit = max(float(np.percentile(pooled, 99.9)), 0.75 * float(pooled.max()))
    return limit if limit > 0 else 1.0


def score_colours(values: np.ndarray, limit: float, signed: bool) -> np.ndarray:
    """Return RGB (0 to 1, last axis) for values: `diverging_map` if signed, else the other."""
    if signed:
        return diverging_map()(np.clip(values / (2 * limit) + 0.5, 0, 1))[..., :3]
    return sequential_map()(np.clip(values / limit, 0, 1))[..., :3]
