"""Pictures of places that the project draws itself, with a mask for every concept in them.

They are the offline stimuli of the demo, the training set of the embedded network, and, because
each pixel's object, part, material, texture and colour are known, a ground truth for dissection.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import numpy as np
from PIL import Image

from neurodnn._checks import check_choice, check_number
from neurodnn.simulate.canvas import COLOURS, MATERIALS, OBJECTS, PARTS, TEXTURES, Canvas
from neurodnn.simulate.scenes import SCENES

SCENE_NAMES = tuple(SCENES)
CONCEPTS = MappingProxyType({
    "scene": ("none", *SCENE_NAMES),
    "object": OBJECTS,
    "part": PARTS,
    "material": MATERIALS,
    "texture": TEXTURES,
    "colour": COLOURS,
})
"""Names of the labels of each category; a mask's number is the place in this list, 0 is none."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A picture and what is where in it.

    Attributes
    ----------
    name : str
        Such as ``beach_003``.
    category : str
        The scene.
    image : numpy.ndarray
        (size, size, 3) uint8, sRGB.
    masks : dict of str to numpy.ndarray
        For each category of `CONCEPTS` a (size, size) uint8 map of label numbers; ``part`` is
        (2, size, size), because a pane belongs to a window that belongs to a house.
    """

    name: str
    category: str
    image: np.ndarray
    masks: dict[str, np.ndarray]

    def picture(self) -> Image.Image:
        """Return the image as a PIL picture."""
        return Image.fromarray(self.image)

    def concepts(self, category: str, *, min_pixels: int = 1) -> list[str]:
        """Return the names of the labels of `category` that cover at least `min_pixels`."""
        names = CONCEPTS[check_choice("category", category, CONCEPTS)]
        counts = np.bincount(self.masks[category].ravel(), minlength=len(names))
        return [name for name, count in zip(names[1:], counts[1:], strict=True)
                if count >= min_pixels]

    def mask(self, category: str, name: str) -> np.ndarray:
        """Return the (size, size) bool mask of one concept."""
        names = CONCEPTS[check_choice("category", category, CONCEPTS)]
        number = names.index(check_choice("name", name, names))
        found = self.masks[category] == number
        return found.any(axis=0) if found.ndim == 3 else found


def draw_scene(
    seed: int | np.random.SeedSequence, category: str, *, size: int = 96, name: str | None = None
) -> Drawing:
    """Return one drawing, the same for the same arguments.

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        Draws the composition.
    category : str
        One of `SCENE_NAMES`: beach, bedroom, field, forest, kitchen, mountain, office, street.
    size : int
        Height and width in pixels, 32 to 512. The composition is nearly the same at any size;
        the roughness of materials is not.
    name : str, optional
        Default: category and seed.

    Returns
    -------
    Drawing

    Examples
    --------
    >>> drawing = draw_scene(1, "beach", size=48)
    >>> drawing.image.shape, drawing.masks["object"].shape, "sea" in drawing.concepts("object")
    ((48, 48, 3), (48, 48), True)
    """
    check_choice("category", category, SCENES)
    size = int(check_number("size", size, minimum=32, maximum=512, unit="pixels"))
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    composition, roughness = (np.random.default_rng([*_words(sequence), stage])
                              for stage in (0, 1))
    canvas = Canvas(size, roughness)
    # The light first: it must not depend on how many things a scene holds.
    light = composition.uniform(0.78, 1.12) * (1 + composition.uniform(-0.06, 0.06, 3))
    SCENES[category](canvas, composition)
    image, masks = canvas.finish(light.astype(np.float32))
    masks["scene"] = np.full((size, size), 1 + SCENE_NAMES.index(category), dtype=np.uint8)
    return Drawing(name or f"{category}_{_words(sequence)[0]:03d}", category, image,
                   {key: masks[key] for key in CONCEPTS})


def draw_stimulus_set(n: int, seed: int = 0, *, size: int = 96) -> list[Drawing]:
    """Return `n` drawings with the categories in turn, named ``beach_001`` and so on.

    Parameters
    ----------
    n : int
        Number of drawings. Of the eight categories each comes ``n / 8`` times, rounded up for
        the first in the alphabet.
    seed : int
        Different seeds give disjoint sets.
    size : int
        Height and width in pixels.

    Examples
    --------
    >>> [drawing.name for drawing in draw_stimulus_set(9, size=32)][::4]
    ['beach_001', 'kitchen_001', 'beach_002']
    """
    n = int(check_number("n", n, minimum=1))
    drawings = []
    for index in range(n):
        category = SCENE_NAMES[index % len(SCENE_NAMES)]
        name = f"{category}_{index // len(SCENE_NAMES) + 1:03d}"
        sequence = np.random.SeedSequence([int(seed), index])
        drawings.append(draw_scene(sequence, category, size=size, name=name))
    return drawings


def _words(sequence: np.random.SeedSequence) -> list[int]:
    entropy = sequence.entropy
    words = [int(entropy)] if isinstance(entropy, int) else [int(word) for word in entropy]
    return [*words, *map(int, sequence.spawn_key)]
