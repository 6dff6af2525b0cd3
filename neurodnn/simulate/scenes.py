"""Eight kinds of places, composed anew each time from the same objects.

Colours of sky and walls, the light, the number of things and where they stand all vary, and
many objects occur in several places: no single pixel tells the category.
"""

from __future__ import annotations

import numpy as np

from neurodnn.simulate import furniture, objects
from neurodnn.simulate.canvas import Canvas, Fill
from neurodnn.simulate.objects import pick

_SKIES = ((126, 182, 232), (160, 204, 238), (238, 190, 150), (200, 206, 214), (96, 140, 204))
_ROOM_WALLS = ((232, 220, 196), (206, 222, 216), (226, 200, 196), (204, 212, 232),
               (240, 236, 226), (214, 206, 168))


def street(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose buildings, pavement and a road with cars and people."""
    ground = rng.uniform(0.6, 0.7)
    _sky(canvas, rng, ground)
    x = rng.uniform(-0.1, 0.05)
    while x < 1:
        w = rng.uniform(0.11, 0.17)
        objects.building(canvas, rng, x + w, ground, rng.uniform(0.32, 0.62), w)
        x += 2 * w + rng.choice([0.0, 0.03])
    with canvas.drawing("pavement"):
        canvas.box(0, ground, 1, ground + 0.09, Fill((186, 180, 172), "stone"))
    with canvas.drawing("road"):
        canvas.box(0, ground + 0.09, 1, 1, Fill((86, 88, 96), "asphalt"))
        for left in np.arange(rng.uniform(-0.1, 0.05), 1, 0.2):
            canvas.box(left, ground + 0.22, left + 0.1, ground + 0.242,
                       Fill((240, 236, 220), "asphalt"), "marking")
    if rng.random() < 0.7:
        objects.streetlight(canvas, rng, rng.uniform(0.1, 0.9), ground + 0.06, 0.42)
    if rng.random() < 0.6:
        objects.tree(canvas, rng, rng.uniform(0.1, 0.9), ground + 0.07, rng.uniform(0.28, 0.38))
    for x in _spots(rng, int(rng.integers(0, 3)), 0.08, 0.92):
        objects.person(canvas, rng, x, ground + 0.09, rng.uniform(0.2, 0.26))
    for x in _spots(rng, int(rng.integers(1, 3)), 0.15, 0.85):
        objects.car(canvas, rng, x, rng.uniform(ground + 0.2, 0.97), rng.uniform(0.15, 0.2))


def beach(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose sea and sand with boats, palms, umbrellas."""
    horizon, shore = rng.uniform(0.34, 0.46), rng.uniform(0.58, 0.7)
    _sky(canvas, rng, horizon)
    with canvas.drawing("sea"):
        blue = pick(rng, ((60, 130, 180), (70, 160, 180), (50, 104, 150)))
        canvas.box(0, horizon, 1, shore + 0.1,
                   Fill(blue, "water", "waves", tuple(min(v + 28, 255) for v in blue),
                        period=0.07))
    with canvas.drawing("beach"):
        lean = rng.uniform(-0.06, 0.06)
        canvas.polygon([(0, shore - lean), (0.5, shore + 0.02), (1, shore + lean), (1, 1), (0, 1)],
                       Fill(pick(rng, ((234, 208, 150), (224, 196, 148), (242, 224, 180))),
                            "sand"))
    for x in _spots(rng, int(rng.integers(0, 3)), 0.12, 0.88):
        objects.boat(canvas, rng, x, rng.uniform(horizon + 0.05, shore - 0.04),
                     rng.uniform(0.14, 0.24))
    if rng.random() < 0.3:
        objects.rock(canvas, rng, rng.uniform(0.1, 0.9), rng.uniform(0.8, 0.95), 0.1)
    for x in _spots(rng, int(rng.integers(0, 3)), 0.1, 0.9):
        objects.palm(canvas, rng, x, rng.uniform(shore + 0.1, 0.96), rng.uniform(0.45, 0.65))
    for x in _spots(rng, int(rng.integers(0, 3)), 0.15, 0.85):
        objects.umbrella(canvas, rng, x, rng.uniform(shore + 0.18, 0.97), rng.uniform(0.26, 0.36))
    if rng.random() < 0.5:
        objects.person(canvas, rng, rng.uniform(0.1, 0.9), rng.uniform(0.85, 0.97),
                       rng.uniform(0.26, 0.36))


def forest(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose trees behind trees on a dark ground."""
    ground = rng.uniform(0.55, 0.68)
    _sky(canvas, rng, ground, clouds=False)
    make = (objects.tree, objects.pine)[int(rng.integers(2))]
    for depth in range(3):
        low = ground + 0.13 * depth
        with canvas.drawing("ground"):
            canvas.box(0, low - 0.03, 1, 1, Fill(pick(rng, ((84, 100, 56), (104, 86, 58),
                                                            (70, 88, 54))), "soil"))
        for x in _spots(rng, 4, -0.02, 1.02):
            kind = make if rng.random() < 0.75 else objects.pine
            kind(canvas, rng, x, low + rng.uniform(-0.02, 0.04), 0.42 + 0.14 * depth)
    for x in _spots(rng, int(rng.integers(0, 3)), 0.1, 0.9):
        objects.bush(canvas, rng, x, rng.uniform(0.88, 1.0), rng.uniform(0.08, 0.13))
    _visitor(canvas, rng, 0.4)


def mountain(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose peaks with snow, a lake or a meadow, conifers, a hut."""
    foot = rng.uniform(0.6, 0.7)
    _sky(canvas, rng, foot)
    rocky = pick(rng, ((120, 118, 132), (140, 122, 110), (96, 108, 126)))
    with canvas.drawing("mountain"):
        for x in _spots(rng, 3, 0.05, 0.95):
            top, half = foot - rng.uniform(0.28, 0.5), rng.uniform(0.26, 0.4)
            canvas.polygon([(x - half, foot), (x, top), (x + half, foot)],
                           Fill(rocky, "stone", shade=0.35))
            cut = rng.uniform(0.28, 0.42)
            cx, cy = half * cut, top + (foot - top) * cut
            canvas.polygon([(x, top), (x + cx, cy), (x + cx * 0.4, cy - 0.03), (x, cy + 0.02),
                            (x - cx * 0.5, cy - 0.03), (x - cx, cy)],
                           Fill((246, 248, 252), "snow"), "snow")
    if rng.random() < 0.5:
        _land(canvas, rng, "lake", foot, Fill((86, 140, 170), "water", "waves", (120, 170, 194),
                                              period=0.09))
        _land(canvas, rng, "meadow", rng.uniform(0.84, 0.9), Fill((98, 138, 78), "grass"))
    else:
        _land(canvas, rng, "meadow", foot, Fill(pick(rng, ((104, 144, 80), (128, 140, 84))),
                                                "grass"))
    if rng.random() < 0.4:
        objects.house(canvas, rng, rng.uniform(0.2, 0.8), rng.uniform(0.82, 0.92), 0.2)
    for x in _spots(rng, int(rng.integers(1, 5)), 0.03, 0.97):
        objects.pine(canvas, rng, x, rng.uniform(0.86, 0.99), rng.uniform(0.22, 0.36))
    _visitor(canvas, rng, 0.3)


def field(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose hills and meadows with a fence, cows, flowers, a farm."""
    horizon = rng.uniform(0.42, 0.55)
    _sky(canvas, rng, horizon + 0.06)
    green = pick(rng, ((124, 168, 78), (104, 156, 84), (196, 180, 92)))
    with canvas.drawing("hill"):
        for x in _spots(rng, 2, 0.1, 0.9):
            canvas.ellipse(x, horizon + 0.16, rng.uniform(0.4, 0.6), rng.uniform(0.14, 0.22),
                           Fill(tuple(int(v * 0.88) for v in green), "grass"))
    furrows = "stripes" if rng.random() < 0.4 else "none"
    _land(canvas, rng, "meadow", horizon + 0.08,
          Fill(green, "grass", furrows, tuple(int(v * 0.82) for v in green), period=0.12,
               angle=float(rng.uniform(0.3, 1.2))))
    if rng.random() < 0.5:
        objects.house(canvas, rng, rng.uniform(0.15, 0.85), horizon + 0.14,
                      rng.uniform(0.18, 0.28))
    for x in _spots(rng, int(rng.integers(0, 3)), 0.05, 0.95):
        objects.tree(canvas, rng, x, horizon + rng.uniform(0.1, 0.2), rng.uniform(0.24, 0.36))
    if rng.random() < 0.5:
        objects.fence(canvas, rng, rng.uniform(0.72, 0.86), 0.13)
    for x in _spots(rng, int(rng.integers(0, 3)), 0.15, 0.85):
        objects.cow(canvas, rng, x, rng.uniform(0.76, 0.94), rng.uniform(0.14, 0.19))
    for x in _spots(rng, int(rng.integers(0, 8)), 0.03, 0.97):
        objects.flower(canvas, rng, x, rng.uniform(0.84, 1.0), rng.uniform(0.09, 0.14))
    _visitor(canvas, rng, 0.3)


def kitchen(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose cupboards, stove, fridge, a window and a table with cups."""
    floor = rng.uniform(0.74, 0.8)
    tiles = "checker" if rng.random() < 0.6 else "none"
    _room(canvas, rng, floor, tiles, Fill(pick(rng, ((196, 188, 176), (168, 120, 90))), "ceramic",
                                          "checker", pick(rng, ((120, 112, 108), (236, 232, 224))),
                                          period=0.12))
    way = rng.random() < 0.5

    def at(x: float) -> float:
        return x if way else 1 - x

    if rng.random() < 0.7:
        furniture.window(canvas, rng, at(rng.uniform(0.5, 0.62)), 0.44, rng.uniform(0.26, 0.32),
                         _outside(rng))
    furniture.cabinets(canvas, rng, at(0.2), 0.3, 0.2, 0.17)
    furniture.cabinets(canvas, rng, at(0.26), floor + 0.02, 0.26, 0.26, 4)
    furniture.stove(canvas, rng, at(rng.uniform(0.6, 0.66)), floor + 0.02, 0.27)
    furniture.fridge(canvas, rng, at(0.89), floor + 0.03, rng.uniform(0.5, 0.6))
    for x in _spots(rng, int(rng.integers(0, 3)), 0.08, 0.45):
        furniture.cup(canvas, rng, at(x), floor - 0.24, 0.07)
    if rng.random() < 0.55:
        x = rng.uniform(0.3, 0.7)
        furniture.table(canvas, rng, x, 0.98, 0.2, 0.2)
        furniture.cup(canvas, rng, x + rng.uniform(-0.12, 0.12), 0.78, 0.08)
    if rng.random() < 0.4:
        furniture.clock(canvas, rng, at(0.78), 0.14, 0.13)
    _visitor(canvas, rng, 0.4)


def bedroom(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose a bed with a lamp, a picture, a window with curtains, a rug."""
    floor = rng.uniform(0.68, 0.76)
    paper = ("none", "stripes", "dots")[int(rng.integers(3))]
    _room(canvas, rng, floor, paper, Fill(pick(rng, ((176, 130, 90), (140, 98, 66))), "wood"))
    x = rng.uniform(0.36, 0.64)
    if rng.random() < 0.7:
        spot = rng.choice([0.26, 0.74])
        height = rng.uniform(0.28, 0.34)
        furniture.window(canvas, rng, spot, 0.46, height, _outside(rng))
        furniture.curtains(canvas, rng, spot, 0.46, height)
        furniture.picture(canvas, rng, 1 - spot, 0.36, rng.uniform(0.14, 0.2))
    else:
        for spot in _spots(rng, 2, 0.2, 0.8):
            furniture.picture(canvas, rng, spot, 0.36, rng.uniform(0.14, 0.2))
    if rng.random() < 0.6:
        furniture.rug(canvas, rng, rng.uniform(0.3, 0.7), 0.93, rng.uniform(0.25, 0.36))
    if rng.random() < 0.8:
        side = x + rng.choice([-0.4, 0.4])
        furniture.table(canvas, rng, side, floor + 0.08, 0.16, 0.07)
        furniture.lamp(canvas, rng, side, floor - 0.08, rng.uniform(0.2, 0.26))
    furniture.bed(canvas, rng, x, rng.uniform(0.84, 0.92), rng.uniform(0.26, 0.32))
    if rng.random() < 0.3:
        objects.cat(canvas, rng, rng.uniform(0.2, 0.8), 0.98, 0.13)


def office(canvas: Canvas, rng: np.random.Generator) -> None:
    """Compose a desk with a computer, a chair, shelves, a window with blinds."""
    floor = rng.uniform(0.72, 0.8)
    _room(canvas, rng, floor, "none", Fill(pick(rng, ((110, 120, 136), (130, 124, 116),
                                                      (90, 110, 104))), "fabric"))
    way = rng.random() < 0.5

    def at(x: float) -> float:
        return x if way else 1 - x

    if rng.random() < 0.6:
        blinds = Fill((178, 206, 222), "glass", "stripes", (240, 240, 236), period=0.035,
                      angle=np.pi / 2)
        furniture.window(canvas, rng, at(0.3), 0.44, rng.uniform(0.28, 0.34), blinds)
    else:
        furniture.picture(canvas, rng, at(0.3), 0.36, 0.18)
    if rng.random() < 0.8:
        furniture.shelf(canvas, rng, at(rng.uniform(0.78, 0.86)), floor + 0.03,
                        rng.uniform(0.44, 0.58))
    if rng.random() < 0.5:
        furniture.clock(canvas, rng, at(0.58), 0.16, 0.13)
    x, low = at(rng.uniform(0.34, 0.46)), rng.uniform(0.9, 0.97)
    furniture.table(canvas, rng, x, low, 0.26, 0.28)
    furniture.computer(canvas, rng, x + rng.uniform(-0.1, 0.1), low - 0.26,
                       rng.uniform(0.19, 0.24))
    if rng.random() < 0.5:
        furniture.cup(canvas, rng, x + rng.choice([-0.23, 0.23]), low - 0.26, 0.07)
    if rng.random() < 0.3:
        furniture.lamp(canvas, rng, x + rng.choice([-0.22, 0.22]), low - 0.26, 0.2)
    if rng.random() < 0.5:
        furniture.plant(canvas, rng, at(0.93), 0.95, rng.uniform(0.24, 0.34))
    furniture.chair(canvas, rng, x + rng.uniform(-0.1, 0.3), 0.99, rng.uniform(0.3, 0.36))
    _visitor(canvas, rng, 0.25)


SCENES = {
    "beach": beach, "bedroom": bedroom, "field": field, "forest": forest, "kitchen": kitchen,
    "mountain": mountain, "office": office, "street": street,
}


def _spots(rng: np.random.Generator, count: int, low: float, high: float) -> list[float]:
    """Return `count` places between `low` and `high`, spread out, in random order."""
    if not count:
        return []
    step = (high - low) / count
    places = low + step * (np.arange(count) + rng.uniform(0.15, 0.85, count))
    return [float(value) for value in rng.permutation(places)]


def _sky(canvas: Canvas, rng: np.random.Generator, horizon: float, clouds: bool = True) -> None:
    with canvas.drawing("sky"):
        canvas.box(0, 0, 1, horizon + 0.12, Fill(pick(rng, _SKIES, 0.05), shade=-0.2))
    if rng.random() < 0.45:
        with canvas.drawing("sun"):
            canvas.ellipse(rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2), 0.055, 0.055,
                           Fill((254, 232, 130), shade=0.0))
    for x in _spots(rng, int(rng.integers(0, 3)) if clouds else 0, 0.1, 0.9):
        y, s = rng.uniform(0.06, 0.2), rng.uniform(0.06, 0.09)
        with canvas.drawing("cloud"):
            for dx, dy, r in ((-1, 0.1, 0.6), (0.9, 0.15, 0.55), (0, -0.15, 0.8)):
                canvas.ellipse(x + dx * s, y + dy * s, s * r * 1.3, s * r * 0.75,
                               Fill((246, 246, 250), shade=0.1))
    if clouds and rng.random() < 0.25:
        objects.bird(canvas, rng, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.25), 0.05)


def _land(canvas: Canvas, rng: np.random.Generator, name: str, top: float, fill: Fill) -> None:
    lean = rng.uniform(-0.03, 0.03)
    with canvas.drawing(name):
        canvas.polygon([(0, top - lean), (1, top + lean), (1, 1), (0, 1)], fill)


def _room(
    canvas: Canvas, rng: np.random.Generator, floor: float, paper: str, ground: Fill
) -> None:
    colour = pick(rng, _ROOM_WALLS, 0.05)
    with canvas.drawing("wall"):
        canvas.box(0, 0, 1, floor, Fill(colour, "plaster", paper,
                                        tuple(int(v * 0.88) for v in colour),
                                        period=float(rng.uniform(0.07, 0.11))))
    with canvas.drawing("floor"):
        canvas.box(0, floor, 1, 1, ground)


def _outside(rng: np.random.Generator) -> Fill:
    return Fill(pick(rng, (*_SKIES, (60, 76, 120))), "glass", shade=-0.2)


def _visitor(canvas: Canvas, rng: np.random.Generator, chance: float) -> None:
    """Let someone pass by, so that living things do not tell the place."""
    if rng.random() < chance:
        x, y = rng.uniform(0.12, 0.88), rng.uniform(0.93, 0.99)
        if rng.random() < 0.5:
            objects.person(canvas, rng, x, y, rng.uniform(0.28, 0.4))
        else:
            objects.cat(canvas, rng, x, y, rng.uniform(0.13, 0.18))
