"""Files that all subjects of an output folder share; equal content is left alone.

Jobs of an array write them at the same time: each is written whole by whoever comes first.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from neurodnn import __version__
from neurodnn.bids import MODEL_ENTITY, write_atomic, write_description
from neurodnn.bids.serialize import to_bytes
from neurodnn.pipeline.provenance import Context
from neurodnn.pipeline.references import ReferenceSet


def write_shared(context: Context) -> None:
    """Write description, stimulus table, layer table, first stimulus and the user's options."""
    config, references = context.config, context.references
    out = config.output_dir
    write_description(out, context.links, version=__version__)
    if references.stimuli is not None:
        table = references.stimuli.drop(columns="stimulus_id", errors="ignore")
        table = table.rename(columns={"stimulus": "stimulus_id"})
        _write_if_new(out / "stimuli" / "stimuli.tsv", table)
    layers = references.layer_table()
    if layers is not None:
        _write_if_new(out / model_file(references, "layers.tsv"), layers)
    picture = first_stimulus(references)
    if picture is not None:
        _write_if_new(out / model_file(references, "input.png"), picture)
    if config.config_file is not None:
        text = config.config_file.read_text(encoding="utf-8-sig")
        _write_if_new(out / "code" / "config.toml", context.scrub(text))


def model_file(references: ReferenceSet, ending: str) -> Path:
    """Return where a file about the whole network stands, relative to the output folder."""
    label = f"{MODEL_ENTITY}-{references.identity['label']}"
    return Path("models") / label / f"{label}_{ending}"


def first_stimulus(references: ReferenceSet) -> bytes | None:
    """Return the first image as the network saw it, as PNG; None where that is not known."""
    images = references.images
    transform = getattr(images, "transform", None)
    if images is None or not hasattr(transform, "mean"):
        return None
    from PIL import Image

    values = np.asarray(images[0]).transpose(1, 2, 0)
    values = values * np.asarray(transform.std) + np.asarray(transform.mean)
    pixels = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, format="PNG")
    return packed.getvalue()


def _write_if_new(path: Path, obj: object) -> None:
    content = obj if isinstance(obj, bytes) else to_bytes(obj, path)
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)
