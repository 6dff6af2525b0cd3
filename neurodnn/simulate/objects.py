"""Objects with parts, each drawn at a place, in a size, in colours of the moment.

`x` is the middle, `y` the ground under the object, `s` its height, all in units of the
picture's side.
"""

from __future__ import annotations

import numpy as np

from neurodnn.simulate.canvas import Canvas, Fill

PAINT = ((196, 60, 52), (58, 104, 178), (236, 188, 62), (240, 236, 226), (70, 140, 92),
         (150, 90, 160), (226, 126, 60), (60, 64, 74), (232, 150, 176), (88, 168, 178))
WALLS = ((226, 208, 176), (206, 150, 120), (184, 196, 206), (232, 226, 210), (198, 178, 200),
         (176, 110, 88), (168, 186, 160))
WOODS = ((150, 104, 64), (118, 78, 48), (184, 136, 88), (96, 62, 42))
GLASS = Fill((168, 208, 226), "glass", shade=0.3)
DARK = Fill((38, 36, 40), "none")
METAL = Fill((170, 176, 184), "metal", shade=0.35)
SKIN = ((236, 196, 160), (196, 144, 104), (128, 86, 60))


def pick(rng: np.random.Generator, colours: tuple, spread: float = 0.08) -> tuple:
    """Return one of `colours`, a little brighter or darker and tinted."""
    colour = np.array(colours[int(rng.integers(len(colours)))], dtype=np.float64)
    colour = colour * (1 + spread * rng.standard_normal())
    colour = colour + 255 * spread / 4 * rng.standard_normal(3)
    return tuple(int(value) for value in np.clip(colour, 0, 255))


def cloth(rng: np.random.Generator, colour: tuple | None = None, chance: float = 0.6) -> Fill:
    """Return a fabric, often patterned."""
    kind = "none"
    if rng.random() < chance:
        kind = ("stripes", "dots", "checker", "waves")[int(rng.integers(4))]
    return Fill(colour or pick(rng, PAINT), "fabric", kind, pick(rng, ((245, 242, 232),)
                + PAINT), period=float(rng.uniform(0.05, 0.1)),
                angle=float(rng.choice([0, np.pi / 4, np.pi / 2])))


def house(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a house: wall, roof, windows, door, chimney."""
    w = s * rng.uniform(0.5, 0.65)
    eaves = y - s * 0.58
    wall = Fill(pick(rng, WALLS), "plaster")
    if rng.random() < 0.4:
        wall = Fill((176, 98, 76), "brick", "bricks", (214, 194, 176), period=0.06)
    roof = Fill(pick(rng, ((160, 70, 56), (96, 88, 92), (120, 84, 60))), "ceramic",
                "waves" if rng.random() < 0.5 else "none", (90, 50, 44), period=0.05)
    with canvas.drawing("house"):
        canvas.box(x + w * 0.45, y - s * 0.98, x + w * 0.65, y - s * 0.6,
                   Fill((150, 84, 70), "brick"), "chimney")
        canvas.box(x - w, eaves, x + w, y, wall, "wall")
        canvas.polygon([(x - w * 1.16, eaves), (x + w * 1.16, eaves), (x + w * 0.6, y - s),
                        (x - w * 0.6, y - s)], roof, "roof")
        canvas.box(x - w * 0.16, y - s * 0.36, x + w * 0.2, y, Fill(pick(rng, PAINT), "wood"),
                   "door")
        canvas.ellipse(x + w * 0.12, y - s * 0.17, s * 0.02, s * 0.02, METAL, "door", "handle")
        for side in (-0.62, 0.62):
            middle = x + side * w
            canvas.box(middle - w * 0.22, y - s * 0.44, middle + w * 0.22, y - s * 0.18,
                       Fill((246, 244, 236), "wood"), "window", "frame")
            canvas.box(middle - w * 0.17, y - s * 0.41, middle + w * 0.17, y - s * 0.21, GLASS,
                       "window", "pane")


def building(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float,
             w: float = 0.12) -> None:
    """Draw a tall building of half width `w` with rows of windows."""
    bricks = rng.random() < 0.45
    wall = Fill(pick(rng, WALLS), "brick" if bricks else "stone", "bricks" if bricks else "none",
                (206, 190, 174), period=0.06, grain=0.05)
    rows, columns = int(s / 0.13), int(w / 0.045)
    with canvas.drawing("building"):
        canvas.box(x - w, y - s, x + w, y, wall, "wall")
        canvas.box(x - w * 1.04, y - s - 0.02, x + w * 1.04, y - s + 0.01,
                   Fill((110, 100, 100), "stone"), "roof")
        pane = Fill((250, 226, 140), "glass") if rng.random() < 0.3 else GLASS
        for row in range(rows):
            for column in range(columns):
                wx = x - w + (column + 0.5) * 2 * w / columns
                wy = y - s + 0.075 + row * 0.13
                if wy < y - 0.1:
                    canvas.box(wx - 0.026, wy - 0.036, wx + 0.026, wy + 0.036, pane, "window",
                               "pane")
        canvas.box(x - 0.03, y - 0.09, x + 0.03, y, Fill(pick(rng, WOODS), "wood"), "door")


def tree(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a leafy tree: trunk and crown."""
    green = pick(rng, ((74, 136, 60), (104, 150, 58), (50, 108, 60), (206, 130, 50)))
    with canvas.drawing("tree"):
        canvas.polygon([(x - s * 0.06, y), (x + s * 0.06, y), (x + s * 0.035, y - s * 0.55),
                        (x - s * 0.035, y - s * 0.55)], Fill(pick(rng, WOODS), "wood"), "trunk")
        leaves = ((-0.17, 0.56, 0.18), (0.17, 0.58, 0.17), (0, 0.5, 0.17), (0, 0.76, 0.22))
        for dx, dy, r in leaves:
            jitter = rng.uniform(-0.03, 0.03, 2)
            canvas.ellipse(x + s * (dx + jitter[0]), y - s * (dy + jitter[1]), s * r, s * r,
                           Fill(green, "foliage", shade=0.4), "crown")


def pine(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a conifer: trunk and three tiers of crown."""
    green = pick(rng, ((40, 92, 66), (52, 108, 62), (34, 78, 62)))
    with canvas.drawing("pine"):
        canvas.box(x - s * 0.035, y - s * 0.2, x + s * 0.035, y, Fill((96, 66, 46), "wood"),
                   "trunk")
        for tier in range(3):
            low, half = y - s * (0.14 + 0.24 * tier), s * (0.26 - 0.06 * tier)
            canvas.polygon([(x - half, low), (x + half, low), (x, low - s * 0.38)],
                           Fill(green, "foliage", shade=0.5), "crown")


def palm(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a palm: a leaning trunk and a crown of six leaves."""
    lean = rng.uniform(-0.22, 0.22) * s
    bend, tip = (x + lean * 0.35, y - s * 0.45), (x + lean, y - s * 0.82)
    with canvas.drawing("palm"):
        canvas.line([(x, y), bend, tip], s * 0.06, Fill((146, 108, 70), "wood"), "trunk")
        for angle in np.linspace(np.pi * 1.02, np.pi * 1.98, 6) + rng.uniform(-0.1, 0.1):
            dx, dy = np.cos(angle) * s * 0.38, np.sin(angle) * s * 0.2
            end = (tip[0] + dx, tip[1] + dy + s * 0.13)
            canvas.polygon([tip, (tip[0] + dx * 0.5, tip[1] + dy * 1.1 - s * 0.03), end,
                            (tip[0] + dx * 0.5, tip[1] + dy * 0.6 + s * 0.05)],
                           Fill((66, 130, 62), "foliage"), "crown")


def bush(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a bush."""
    green = pick(rng, ((64, 118, 58), (94, 136, 62)))
    with canvas.drawing("bush"):
        for dx in (-0.45, 0.4, 0.0):
            canvas.ellipse(x + dx * s, y - s * 0.4, s * 0.5, s * 0.45,
                           Fill(green, "foliage", shade=0.35), "crown")


def flower(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a flower: stem, petals, yellow middle."""
    colour = pick(rng, ((226, 70, 80), (236, 160, 190), (250, 246, 240), (150, 90, 180)))
    with canvas.drawing("flower"):
        canvas.line([(x, y), (x, y - s * 0.7)], s * 0.1, Fill((70, 128, 60), "foliage"), "stem")
        for angle in np.arange(5) * 2 * np.pi / 5:
            canvas.ellipse(x + np.cos(angle) * s * 0.2, y - s * 0.75 + np.sin(angle) * s * 0.2,
                           s * 0.15, s * 0.15, Fill(colour, "foliage", grain=0.03), "petal")
        canvas.ellipse(x, y - s * 0.75, s * 0.11, s * 0.11, Fill((246, 206, 70), "foliage",
                                                                 grain=0.03), "petal")


def rock(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a rock."""
    angles = np.linspace(np.pi, 2 * np.pi, 6)
    radii = rng.uniform(0.8, 1.1, 6)
    with canvas.drawing("rock"):
        canvas.polygon([(x + np.cos(a) * r * s * 0.8, y + np.sin(a) * r * s)
                        for a, r in zip(angles, radii, strict=True)],
                       Fill(pick(rng, ((136, 130, 126), (110, 104, 100))), "stone", shade=0.5))


def fence(canvas: Canvas, rng: np.random.Generator, y: float, s: float) -> None:
    """Draw a fence across the picture: posts and two rails."""
    fill = Fill(pick(rng, ((240, 236, 224), *WOODS)), "wood")
    with canvas.drawing("fence"):
        for height in (0.35, 0.75):
            canvas.box(0, y - s * (height + 0.09), 1, y - s * (height - 0.09), fill, "rail")
        for x in np.arange(rng.uniform(0, 0.1), 1, 0.13):
            canvas.box(x, y - s, x + 0.03, y, fill, "post")


def car(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a car from the side: body, windows, wheels, headlight."""
    paint = Fill(pick(rng, PAINT), "metal", shade=0.3)
    way = 1 if rng.random() < 0.5 else -1
    w = s * 1.15
    with canvas.drawing("car"):
        canvas.polygon([(x - w * 0.62, y - s * 0.5), (x - w * 0.4, y - s), (x + w * 0.34, y - s),
                        (x + w * 0.62, y - s * 0.5)], paint, "body")
        canvas.polygon([(x - w, y - s * 0.18), (x - w * 0.96, y - s * 0.5),
                        (x - w * 0.6, y - s * 0.58), (x + w * 0.6, y - s * 0.58),
                        (x + w * 0.96, y - s * 0.46), (x + w, y - s * 0.18)], paint, "body")
        for x0, x1, top in ((-0.5, -0.06, -0.34), (0.02, 0.5, 0.28)):
            inner = (x0, top) if x0 < 0 else (x0, x0)
            outer = (x1, x1) if x0 < 0 else (x1, top)
            canvas.polygon([(x + w * inner[0], y - s * 0.56), (x + w * inner[1], y - s * 0.92),
                            (x + w * outer[1], y - s * 0.92), (x + w * outer[0], y - s * 0.56)],
                           GLASS, "window", "pane")
        canvas.ellipse(x + way * w * 0.93, y - s * 0.38, s * 0.07, s * 0.07,
                       Fill((252, 240, 180), "glass"), "headlight")
        for side in (-0.56, 0.56):
            canvas.ellipse(x + side * w, y - s * 0.17, s * 0.21, s * 0.21, DARK, "wheel")
            canvas.ellipse(x + side * w, y - s * 0.17, s * 0.09, s * 0.09, METAL, "wheel")


def boat(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a sailing boat: hull, mast, two sails."""
    with canvas.drawing("boat"):
        canvas.box(x - s * 0.02, y - s, x + s * 0.02, y - s * 0.2, Fill((110, 80, 56), "wood"),
                   "mast")
        canvas.polygon([(x + s * 0.04, y - s * 0.96), (x + s * 0.04, y - s * 0.28),
                        (x + s * 0.42, y - s * 0.28)], cloth(rng, (248, 246, 238), 0.5), "sail")
        canvas.polygon([(x - s * 0.04, y - s * 0.86), (x - s * 0.04, y - s * 0.28),
                        (x - s * 0.32, y - s * 0.28)], Fill((248, 246, 238), "fabric"), "sail")
        canvas.polygon([(x - s * 0.5, y - s * 0.22), (x + s * 0.55, y - s * 0.22),
                        (x + s * 0.36, y), (x - s * 0.36, y)],
                       Fill(pick(rng, PAINT), "wood"), "hull")


def person(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a standing person: head, hair, body, arms, hands, legs."""
    skin = Fill(pick(rng, SKIN, 0.04), "skin")
    shirt = cloth(rng, chance=0.5)
    trousers = Fill(pick(rng, ((54, 66, 110), (70, 66, 66), (150, 120, 84))), "fabric")
    hair = Fill(pick(rng, ((60, 42, 32), (28, 26, 28), (204, 160, 90), (150, 80, 44))), "fur")
    with canvas.drawing("person"):
        for side in (-1, 1):
            canvas.box(x + side * s * 0.065 - s * 0.05, y - s * 0.45,
                       x + side * s * 0.065 + s * 0.05, y, trousers, "leg")
            canvas.line([(x + side * s * 0.13, y - s * 0.76), (x + side * s * 0.21, y - s * 0.42)],
                        s * 0.08, shirt, "arm")
            canvas.ellipse(x + side * s * 0.215, y - s * 0.4, s * 0.045, s * 0.045, skin, "arm",
                           "hand")
        canvas.polygon([(x - s * 0.15, y - s * 0.78), (x + s * 0.15, y - s * 0.78),
                        (x + s * 0.12, y - s * 0.42), (x - s * 0.12, y - s * 0.42)], shirt, "body")
        canvas.ellipse(x, y - s * 0.9, s * 0.105, s * 0.11, hair, "head", "hair")
        canvas.ellipse(x, y - s * 0.875, s * 0.085, s * 0.085, skin, "head")
        for side in (-0.035, 0.035):
            canvas.ellipse(x + side * s, y - s * 0.885, s * 0.014, s * 0.018, DARK, "head", "eye")


def cat(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a cat from the side: tail, body, legs, head, ears, eyes."""
    base = pick(rng, ((70, 66, 66), (216, 142, 72), (232, 226, 214), (136, 116, 96)))
    striped = rng.random() < 0.4
    coat = Fill(base, "fur", "stripes" if striped else "none",
                tuple(int(v * 0.7) for v in base), period=0.05)
    way = 1 if rng.random() < 0.5 else -1
    with canvas.drawing("cat"):
        canvas.line([(x - way * s * 0.5, y - s * 0.42), (x - way * s * 0.78, y - s * 0.62),
                     (x - way * s * 0.76, y - s * 0.92)], s * 0.11, coat, "tail")
        for dx in (-0.4, -0.24, 0.2, 0.36):
            canvas.box(x + dx * s - s * 0.05, y - s * 0.35, x + dx * s + s * 0.05, y, coat, "leg")
        canvas.ellipse(x, y - s * 0.42, s * 0.52, s * 0.22, coat, "body")
        hx, hy = x + way * s * 0.5, y - s * 0.68
        for side in (-1, 1):
            canvas.polygon([(hx + side * s * 0.2, hy - s * 0.32),
                            (hx + side * s * 0.02, hy - s * 0.14),
                            (hx + side * s * 0.22, hy - s * 0.02)], coat, "head", "ear")
        canvas.ellipse(hx, hy, s * 0.24, s * 0.21, coat, "head")
        for side in (-0.09, 0.09):
            canvas.ellipse(hx + side * s, hy - s * 0.03, s * 0.04, s * 0.045,
                           Fill((190, 214, 90), "none"), "head", "eye")


def cow(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a spotted cow: body, legs, head, ears, tail."""
    coat = Fill((240, 234, 226), "fur", "dots", pick(rng, ((50, 44, 44), (140, 84, 54))),
                period=float(s * 0.45), angle=0.4)
    way = 1 if rng.random() < 0.5 else -1
    with canvas.drawing("cow"):
        canvas.line([(x - way * s * 0.72, y - s * 0.85), (x - way * s * 0.82, y - s * 0.4)],
                    s * 0.06, coat, "tail")
        for dx in (-0.6, -0.4, 0.36, 0.56):
            canvas.box(x + dx * s - s * 0.06, y - s * 0.5, x + dx * s + s * 0.06, y, coat, "leg")
        canvas.polygon([(x - s * 0.75, y - s * 0.95), (x + s * 0.7, y - s * 0.95),
                        (x + s * 0.66, y - s * 0.4), (x - s * 0.72, y - s * 0.4)], coat, "body")
        hx = x + way * s * 0.9
        canvas.ellipse(hx, y - s * 0.95, s * 0.2, s * 0.24, Fill((226, 190, 176), "fur"), "head")
        for side in (-1, 1):
            canvas.ellipse(hx + side * s * 0.2, y - s * 1.12, s * 0.1, s * 0.06, coat, "head",
                           "ear")


def bird(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a flying bird: body and two wings."""
    fill = Fill(pick(rng, ((50, 50, 58), (240, 240, 240))), "fur")
    with canvas.drawing("bird"):
        for side in (-1, 1):
            tip = (x + side * s, y - s * 0.1)
            canvas.polygon([(x, y), (x + side * s * 0.5, y - s * 0.45), tip,
                            (x + side * s * 0.45, y - s * 0.2)], fill, "wing")
        canvas.ellipse(x, y, s * 0.22, s * 0.13, fill, "body")


def umbrella(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a beach umbrella: pole and striped canopy."""
    with canvas.drawing("umbrella"):
        canvas.box(x - s * 0.02, y - s * 0.7, x + s * 0.02, y, Fill((230, 226, 216), "wood"),
                   "pole")
        angles = np.linspace(np.pi, 2 * np.pi, 9)
        canvas.polygon([(x + np.cos(a) * s * 0.55, y - s * 0.62 + np.sin(a) * s * 0.38)
                        for a in angles],
                       Fill(pick(rng, PAINT), "fabric", "stripes", (250, 246, 236),
                            period=float(s * 0.3)), "canopy")


def streetlight(canvas: Canvas, rng: np.random.Generator, x: float, y: float, s: float) -> None:
    """Draw a street light: pole and lamp head."""
    with canvas.drawing("streetlight"):
        canvas.box(x - s * 0.018, y - s, x + s * 0.018, y, Fill((80, 84, 92), "metal"), "pole")
        canvas.ellipse(x, y - s, s * 0.075, s * 0.06, Fill((252, 236, 170), "glass"), "head")
