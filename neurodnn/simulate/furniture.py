"""Things of rooms, with their parts; coordinates as in :mod:`neurodnn.simulate.objects`."""

from __future__ import annotations

import numpy as np

from neurodnn.simulate.canvas import Canvas, Fill
from neurodnn.simulate.objects import DARK, GLASS, METAL, PAINT, WOODS, cloth, pick


def bed(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a bed from the side: headboard, legs, mattress, pillow, blanket."""
    wood, way = Fill(pick(rng, WOODS), "wood"), 1 if rng.random() < 0.5 else -1
    w = s * 1.15

    def span(a: float, b: float) -> tuple[float, float]:
        return (x + a * w, x + b * w) if way > 0 else (x - b * w, x - a * w)

    with canvas.drawing("bed"):
        for a, b in ((-0.98, -0.88), (0.88, 0.98)):
            left, right = span(a, b)
            canvas.box(left, y - s * 0.3, right, y, wood, "leg")
        left, right = span(-1.06, -0.92)
        canvas.box(left, y - s, right, y - s * 0.2, wood, "headboard")
        left, right = span(-0.95, 1.0)
        canvas.box(left, y - s * 0.58, right, y - s * 0.24, Fill((244, 240, 232), "fabric"),
                   "mattress")
        left, right = span(-0.45, 1.02)
        canvas.box(left, y - s * 0.66, right, y - s * 0.2, cloth(rng), "blanket")
        left, right = span(-0.9, -0.42)
        canvas.ellipse((left + right) / 2, y - s * 0.66, (right - left) / 2, s * 0.13,
                       Fill((250, 248, 244), "fabric"), "pillow")


def lamp(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a lamp: base, pole, shade."""
    with canvas.drawing("lamp"):
        canvas.ellipse(x, y - s * 0.03, s * 0.2, s * 0.06, METAL, "base")
        canvas.box(x - s * 0.025, y - s * 0.65, x + s * 0.025, y - s * 0.03, METAL, "pole")
        canvas.polygon([(x - s * 0.16, y - s), (x + s * 0.16, y - s), (x + s * 0.3, y - s * 0.6),
                        (x - s * 0.3, y - s * 0.6)],
                       Fill(pick(rng, ((252, 228, 150), (240, 170, 130), (250, 240, 214))),
                            "fabric", shade=-0.2), "shade")


def table(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float,
          w: float = 0.2) -> None:
    """Draw a table of half width `w`: legs and top."""
    wood = Fill(pick(rng, WOODS), "wood")
    with canvas.drawing("table"):
        for side in (-1, 1):
            middle = x + side * w * 0.86
            canvas.box(middle - 0.015, y - s, middle + 0.015, y, wood, "leg")
        canvas.box(x - w, y - s, x + w, y - s + 0.04, wood, "top")


def chair(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a chair from the side: legs, seat, back."""
    wood, way = Fill(pick(rng, WOODS), "wood"), 1 if rng.random() < 0.5 else -1
    with canvas.drawing("chair"):
        for side in (-1, 1):
            middle = x + side * s * 0.22
            canvas.box(middle - s * 0.03, y - s * 0.45, middle + s * 0.03, y, wood, "leg")
        canvas.box(x - way * s * 0.25 - s * 0.045, y - s, x - way * s * 0.25 + s * 0.045,
                   y - s * 0.42, wood, "back")
        canvas.box(x - s * 0.28, y - s * 0.52, x + s * 0.28, y - s * 0.42, cloth(rng), "seat")


def window(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float,
           outside: Fill = GLASS) -> None:
    """Draw a window in a wall: frame and four panes."""
    w = s * 0.42
    with canvas.drawing("window"):
        canvas.box(x - w, y - s, x + w, y, Fill((248, 246, 240), "wood"), "frame")
        for cx in (-0.47, 0.47):
            for cy in (0.28, 0.73):
                canvas.box(x + cx * w - w * 0.4, y - s * (cy + 0.19), x + cx * w + w * 0.4,
                           y - s * (cy - 0.19), outside, "pane")


def curtains(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a curtain on either side of a window of height `s`."""
    fill = cloth(rng, chance=0.7)
    with canvas.drawing("curtain"):
        for side in (-1, 1):
            a, b = x + side * s * 0.34, x + side * s * 0.62
            canvas.box(min(a, b), y - s * 1.06, max(a, b), y + s * 0.12, fill)


def picture(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a picture in a frame."""
    with canvas.drawing("picture"):
        canvas.box(x - s * 0.6, y - s, x + s * 0.6, y, Fill(pick(rng, WOODS), "wood"), "frame")
        canvas.box(x - s * 0.48, y - s * 0.88, x + s * 0.48, y - s * 0.12,
                   Fill(pick(rng, PAINT), "paper", "waves" if rng.random() < 0.5 else "none",
                        pick(rng, PAINT), period=0.07))


def rug(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a rug on the floor."""
    with canvas.drawing("rug"):
        canvas.ellipse(x, y, s, s * 0.26, cloth(rng, chance=0.9))


def shelf(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a shelf: frame and rows of books."""
    w = s * 0.36
    with canvas.drawing("shelf"):
        canvas.box(x - w, y - s, x + w, y, Fill(pick(rng, WOODS), "wood"), "frame")
        for row in range(3):
            low = y - s * (0.06 + 0.32 * row)
            canvas.box(x - w * 0.88, low - s * 0.26, x + w * 0.88, low, Fill((64, 50, 44), "wood"))
            at = x - w * 0.86
            while at < x + w * 0.7:
                wide, high = rng.uniform(0.018, 0.035), s * rng.uniform(0.16, 0.24)
                canvas.box(at, low - high, at + wide, low, Fill(pick(rng, PAINT), "paper"), "book")
                at += wide + 0.004


def computer(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a computer on a table: foot, screen, keyboard."""
    with canvas.drawing("computer"):
        canvas.box(x - s * 0.07, y - s * 0.3, x + s * 0.07, y, METAL, "base")
        canvas.box(x - s * 0.62, y - s, x + s * 0.62, y - s * 0.18, DARK, "frame")
        canvas.box(x - s * 0.55, y - s * 0.94, x + s * 0.55, y - s * 0.26,
                   Fill(pick(rng, ((80, 140, 210), (120, 190, 200), (236, 240, 246))), "glass"),
                   "screen")
        canvas.box(x - s * 0.5, y - s * 0.06, x + s * 0.5, y + s * 0.03,
                   Fill((206, 206, 210), "metal", "checker", (150, 150, 156), period=0.025),
                   "keyboard")


def stove(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a stove: body, top, oven door, knobs."""
    w = s * 0.44
    with canvas.drawing("stove"):
        canvas.box(x - w, y - s, x + w, y, Fill(pick(rng, ((236, 234, 230), (90, 92, 98))),
                                                "metal"), "body")
        canvas.box(x - w * 1.04, y - s * 1.06, x + w * 1.04, y - s * 0.97, DARK, "top")
        canvas.box(x - w * 0.75, y - s * 0.66, x + w * 0.75, y - s * 0.14, DARK, "oven")
        canvas.box(x - w * 0.6, y - s * 0.58, x + w * 0.6, y - s * 0.24,
                   Fill((150, 90, 50), "glass"), "oven", "window")
        for dx in (-0.6, -0.2, 0.2, 0.6):
            canvas.ellipse(x + dx * w, y - s * 0.82, w * 0.1, w * 0.1,
                           Fill((200, 60, 50), "metal"), "knob")


def fridge(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a fridge: two doors with handles."""
    w = s * 0.24
    fill = Fill(pick(rng, ((200, 206, 212), (238, 238, 234), (170, 206, 200))), "metal", shade=0.3)
    with canvas.drawing("fridge"):
        canvas.box(x - w, y - s, x + w, y - s * 0.66, fill, "door")
        canvas.box(x - w, y - s * 0.64, x + w, y, fill, "door")
        for low, high in ((0.7, 0.9), (0.38, 0.6)):
            canvas.box(x + w * 0.66, y - s * high, x + w * 0.8, y - s * low, DARK, "door",
                       "handle")


def cabinets(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float,
             w: float, count: int = 3) -> None:
    """Draw a row of `count` cupboards of half width `w` altogether: doors with knobs."""
    fill = Fill(pick(rng, (*WOODS, (226, 222, 210), (120, 160, 170))), "wood")
    with canvas.drawing("cabinet"):
        canvas.box(x - w, y - s, x + w, y, Fill(tuple(int(v * 0.7) for v in fill.colour), "wood"))
        for i in range(count):
            left = x - w + i * 2 * w / count
            canvas.box(left + 0.008, y - s + 0.012, left + 2 * w / count - 0.008, y - 0.012, fill,
                       "door")
            canvas.ellipse(left + 1.7 * w / count, y - s * 0.5, 0.011, 0.011, METAL, "door",
                           "knob")


def cup(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a cup: handle and body."""
    fill = Fill(pick(rng, PAINT), "ceramic", "stripes" if rng.random() < 0.3 else "none",
                period=0.03, angle=np.pi / 2)
    with canvas.drawing("cup"):
        canvas.ellipse(x + s * 0.42, y - s * 0.5, s * 0.24, s * 0.28, fill, "handle")
        canvas.polygon([(x - s * 0.42, y - s), (x + s * 0.42, y - s), (x + s * 0.32, y),
                        (x - s * 0.32, y)], fill, "body")


def clock(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a wall clock with two hands."""
    with canvas.drawing("clock"):
        canvas.ellipse(x, y, s * 0.5, s * 0.5, Fill(pick(rng, PAINT), "metal"), "frame")
        canvas.ellipse(x, y, s * 0.41, s * 0.41, Fill((250, 248, 242), "paper"))
        for angle, length in zip(rng.uniform(0, 2 * np.pi, 2), (0.34, 0.22), strict=True):
            canvas.line([(x, y), (x + np.cos(angle) * s * length, y + np.sin(angle) * s * length)],
                        s * 0.07, DARK, "hand")


def plant(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a plant in a pot: leaves and pot."""
    with canvas.drawing("plant"):
        for angle in np.linspace(-2.5, -0.64, 5) + rng.uniform(-0.15, 0.15, 5):
            tip = (x + np.cos(angle) * s * 0.42, y - s * 0.34 + np.sin(angle) * s * 0.66)
            canvas.polygon([(x - s * 0.06, y - s * 0.3), (x + (tip[0] - x) * 0.4 - s * 0.1,
                            (y - s * 0.3 + tip[1]) / 2), tip, (x + s * 0.06, y - s * 0.3)],
                           Fill((70, 130, 70), "foliage"), "crown")
        canvas.polygon([(x - s * 0.2, y - s * 0.34), (x + s * 0.2, y - s * 0.34),
                        (x + s * 0.14, y), (x - s * 0.14, y)],
                       Fill(pick(rng, ((190, 100, 66), (230, 226, 216))), "ceramic"), "pot")
