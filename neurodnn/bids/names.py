"""BIDS names: entities to file names and back, and labels made of free text.

A name is ``key-label`` pairs in one fixed order, a suffix and an extension. Labels are letters
and digits only, so nothing that comes from a data set can climb out of the output folder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from .._checks import InputError, closest, message

#: Short entity keys plus ``suffix`` and ``extension``, such as
#: ``{"sub": "01", "task": "faces", "suffix": "bold", "extension": ".nii.gz"}``.
Entities = dict[str, str]

#: The words for network and layer stand here alone: drafts of BIDS want ``model-`` for other
#: things too (BEP039, BEP016), so that renaming must be one edit.
MODEL_ENTITY = "model"
LAYER_ENTITY = "layer"

#: The order of BIDS 1.11, then the words of derivatives; ``desc`` stands last.
ENTITY_ORDER = (
    "sub", "ses", "cohort", "sample", "task", "tracksys", "acq", "nuc", "voi", "ce", "trc",
    "stain", "rec", "dir", "run", "mod", "echo", "flip", "inv", "mt", "part", "proc", "hemi",
    "space", "split", "recording", "chunk", "seg", "scale", "res", "den", "label", "condition",
    "contrast", MODEL_ENTITY, LAYER_ENTITY, "stat", "desc",
)  # fmt: skip

#: Long names of fMRIPrep's and pybids' filter files.
LONG_NAMES = {
    "subject": "sub", "session": "ses", "acquisition": "acq", "ceagent": "ce",
    "reconstruction": "rec", "direction": "dir", "hemisphere": "hemi", "segmentation": "seg",
    "resolution": "res", "density": "den", "description": "desc", "model": MODEL_ENTITY,
    "layer": LAYER_ENTITY, "statistic": "stat",
}  # fmt: skip

#: Entities whose label is a number: ``run-1`` and ``run-01`` are the same run.
INDEX_ENTITIES = frozenset({"run", "echo", "split", "chunk"})

_LABEL = re.compile(r"[A-Za-z0-9+]+")
_KEY = re.compile(r"[a-z]+")


def check_label(key: str, label: object) -> str:
    """Return `label` if it may stand in a BIDS name; refuse it otherwise.

    Parameters
    ----------
    key : str
        The entity, for the message.
    label : object
        The label without its key.

    Raises
    ------
    InputError
        If the label holds anything but letters, digits and ``+``.

    Examples
    --------
    >>> check_label("space", "MNI152NLin2009cAsym")
    'MNI152NLin2009cAsym'
    """
    if isinstance(label, str) and _LABEL.fullmatch(label):
        return label
    allowed = "letters, digits and +"
    raise InputError(message(f"{key}-", "is not a valid BIDS label", got=label, allowed=allowed))


def bids_label(text: str) -> str:
    """Return the letters and digits of `text` as a BIDS label, words joined in camel case.

    Accents are dropped (``é`` becomes ``e``); the full text belongs in the sidecar.

    Parameters
    ----------
    text : str
        A layer name, network id, region name.

    Raises
    ------
    InputError
        If nothing is left.

    Examples
    --------
    >>> bids_label("torchvision:alexnet@IMAGENET1K_V1")
    'torchvisionAlexnetIMAGENET1KV1'
    >>> bids_label("features.2")
    'features2'
    """
    plain = unicodedata.normalize("NFKD", str(text))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.findall(r"[A-Za-z0-9]+", plain)
    if not words:
        fault = "has no letter or digit that BIDS allows in a file name"
        remedy = "Give it a name with letters a-z or digits."
        raise InputError(message("label", fault, got=text, remedy=remedy))
    return words[0] + "".join(word[0].upper() + word[1:] for word in words[1:])


def check_unique_labels(names: Iterable[str]) -> dict[str, str]:
    """Return the label of every name; refuse two names that would share one file.

    Labels that differ by case alone are refused too: on macOS and Windows they are one file.

    Parameters
    ----------
    names : iterable of str
        Layer or reference names; a repeated name counts once.

    Returns
    -------
    dict of str to str
        Name to label, in the order given.

    Raises
    ------
    InputError
        If two names have one label (``layer1.0`` and ``layer10``).

    Examples
    --------
    >>> check_unique_labels(["features.2", "classifier.5"])
    {'features.2': 'features2', 'classifier.5': 'classifier5'}
    """
    labels: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in dict.fromkeys(names):
        label = bids_label(name)
        other = owners.setdefault(label.casefold(), name)
        if other != name:
            fault = f"{other!r} and {name!r} would share the file label {label!r}"
            remedy = "Analyse one of them, or rename one."
            raise InputError(message("names", fault, remedy=remedy))
        labels[name] = label
    return labels


def parse_name(path: str | PurePath) -> Entities:
    """Return the entities of a BIDS file name, with ``suffix`` and ``extension``.

    The folder is not looked at. The extension begins at the first dot of the file name.

    Parameters
    ----------
    path : str or Path
        A file name or path.

    Returns
    -------
    dict of str to str
        Short keys in the order of the name; unknown keys are kept, since data sets invent some.

    Raises
    ------
    InputError
        If a part is not ``key-label``, a label is not allowed, or a key comes twice.

    Examples
    --------
    >>> parse_name("sub-01/func/sub-01_task-faces_run-1_bold.nii.gz")
    {'sub': '01', 'task': 'faces', 'run': '1', 'suffix': 'bold', 'extension': '.nii.gz'}
    """
    name = PurePath(path).name
    stem, dot, extension = name.partition(".")
    *pairs, suffix = stem.split("_")
    entities: Entities = {}
    for pair in pairs:
        key, dash, label = pair.partition("-")
        if not (dash and _KEY.fullmatch(key) and _LABEL.fullmatch(label)) or key in entities:
            fault = f"is not a BIDS name: the part {pair!r} is no key-label pair, or comes twice"
            allowed = "key-label pairs joined by _, then a suffix"
            raise InputError(message(name, fault, allowed=allowed))
        entities[key] = label
    entities["suffix"] = suffix
    entities["extension"] = dot + extension
    return entities


def build_name(entities: Mapping[str, str | None]) -> str:
    """Return the BIDS file name of `entities`, in the fixed order.

    Parameters
    ----------
    entities : mapping
        Short or long keys to labels; None leaves an entity out. ``suffix`` and ``extension``
        (with its dot) are needed.

    Raises
    ------
    InputError
        If a key is unknown, a label not allowed, or suffix or extension is missing.

    Examples
    --------
    >>> build_name({"desc": "searchlight", "sub": "01", "task": "T", "suffix": "statmap",
    ...             "extension": ".nii.gz"})
    'sub-01_task-T_desc-searchlight_statmap.nii.gz'
    """
    short = short_keys(entities)
    suffix, extension = short.pop("suffix", None), short.pop("extension", None)
    check_label("suffix", suffix)
    if not re.fullmatch(r"(\.[A-Za-z0-9]+)+", extension or ""):
        allowed = "letters and digits after each dot, such as .nii.gz"
        raise InputError(message("extension", "is not valid", got=extension, allowed=allowed))
    for key in short:
        if key not in ENTITY_ORDER:
            near = closest(key, ENTITY_ORDER)
            remedy = f"Did you mean {near}?" if near else None
            allowed = ", ".join(ENTITY_ORDER)
            fault = f"{key!r} is not known"
            raise InputError(message("entities", fault, allowed=allowed, remedy=remedy))
    pairs = [f"{key}-{check_label(key, short[key])}" for key in ENTITY_ORDER if key in short]
    return "_".join([*pairs, str(suffix)]) + str(extension)


def short_keys(entities: Mapping[str, str | None]) -> dict[str, str]:
    """Return `entities` with long names made short and the absent (None) left out.

    Parameters
    ----------
    entities : mapping
        Short or long keys to labels, or to None.

    Examples
    --------
    >>> short_keys({"subject": "01", "run": None})
    {'sub': '01'}
    """
    given = {key: label for key, label in entities.items() if label is not None}
    return {LONG_NAMES.get(key, key): label for key, label in given.items()}
