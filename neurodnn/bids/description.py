"""What makes an output folder a BIDS derivative: description, README, what to ignore."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._checks import InputError
from .names import check_label
from .paths import relative_path, user_path
from .serialize import json_bytes
from .text import read_json
from .writing import write_atomic

BIDS_VERSION = "1.11.1"
_NAME = "neurodnn results"

#: BIDS has no words yet for RDMs and statistic maps, so the validator is told to pass them by.
#: ``figures`` without slashes: ``figures/`` does not match in bids-validator 3.0.2.
BIDSIGNORE = "\n".join(
    (
        "*.html", "figures", "group", "models", "*_statmap.*", "*_rdm.*", "*_timeseries.*",
        "*_unit.*", "*_ave.*", "*.stc", "*_scores.*", "*_clusters.*", "*_mesh.*", "",
    )
)  # fmt: skip

_README = """\
# Results of neurodnn {version}

Maps of how well the layers of a deep network, or other reference models, account for the
activity around each place of the brain.

- `index.html` and `sub-*.html`: reports, to be opened in any browser
- `sub-*/func/`: maps per subject and layer, and the patterns that were analysed (one volume per
  stimulus; see the JSON file); `sub-*/figures/`: pictures, viewers, summaries
- `sub-*/meg/` (or `eeg/`): dissimilarity matrices in time (`_rdm.h5`), time courses per model
  (`_timeseries.tsv`), sensor maps (`_ave.fif`) and source maps (`-lh.stc`, `-rh.stc`)
- `group/`: maps over subjects, corrected p of each test, tables of clusters
- `models/`: dissimilarity matrices of each network layer, with no subject in them
- `stimuli/`: the stimulus table that was used
- `logs/`: resolved options of each run, methods and citations

Each map has a JSON file of the same name: what it shows, what it was made from, its sha256.
Sources: {sources}.
"""


def dataset_description(
    output_dir: str | os.PathLike[str],
    links: Mapping[str, str | os.PathLike[str]],
    *,
    version: str,
) -> dict[str, Any]:
    """Return the content of ``dataset_description.json`` of an output folder.

    Parameters
    ----------
    output_dir : path
        The output folder.
    links : mapping
        Name of each source data set (letters and digits, such as ``raw``, ``fmriprep``) to its
        folder; paths are written relative to the output, so that both can be moved.
    version : str
        The version of neurodnn.

    Examples
    --------
    >>> content = dataset_description("data/derivatives/neurodnn", {"raw": "data"}, version="1")
    >>> content["DatasetLinks"]
    {'raw': '../..'}
    """
    relative = {
        check_label("dataset link", name): relative_path(folder, output_dir)
        for name, folder in links.items()
    }
    sources = []
    for name, folder in links.items():
        source = {"URL": relative[name]}
        source.update(_published(Path(folder)))
        sources.append(source)
    return {
        "Name": _NAME,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "neurodnn", "Version": version}],
        "SourceDatasets": sources,
        "DatasetLinks": relative,
    }


def _published(folder: Path) -> dict[str, str]:
    """DOI and version of a source, where its own description gives them."""
    try:
        theirs = read_json(folder / "dataset_description.json")
    except InputError:
        return {}  # derivatives of some programs have none
    doi = theirs.get("DatasetDOI")
    return {"DOI": doi} if isinstance(doi, str) else {}


def _earlier_links(output_dir: Path) -> dict[str, Path]:
    """The sources that a description of ours already names."""
    try:
        earlier = read_json(output_dir / "dataset_description.json")
    except InputError:
        return {}
    named = earlier.get("DatasetLinks")
    if earlier.get("Name") != _NAME or not isinstance(named, Mapping):
        return {}
    return {name: output_dir / folder for name, folder in named.items()}


def write_description(
    output_dir: str | os.PathLike[str],
    links: Mapping[str, str | os.PathLike[str]],
    *,
    version: str,
) -> None:
    """Write ``dataset_description.json``, ``README.md`` and ``.bidsignore`` where they differ.

    Array jobs share these files: each is written atomically by whoever comes first, and equal
    content is left alone. Links that an earlier run made stay, since its sidecars use them.

    Parameters
    ----------
    output_dir, links, version
        As of `dataset_description`.

    Raises
    ------
    WriteError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_description(folder, {"raw": folder}, version="1")
    ...     sorted(os.listdir(folder))
    ['.bidsignore', 'README.md', 'dataset_description.json']
    """
    output_dir = user_path(output_dir)
    links = {**_earlier_links(output_dir), **links}
    description = dataset_description(output_dir, links, version=version)
    sources = ", ".join(f"{name} ({path})" for name, path in description["DatasetLinks"].items())
    readme = _README.format(version=version, sources=sources or "none")
    contents = {
        "dataset_description.json": json_bytes(description),
        "README.md": readme.encode("utf-8"),
        ".bidsignore": BIDSIGNORE.encode("utf-8"),
    }
    for name, content in contents.items():
        path = output_dir / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)
