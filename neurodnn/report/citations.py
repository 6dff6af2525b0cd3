"""Citations by key: the text that a page shows and the entry that a bibliography takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Citation:
    """One reference.

    Attributes
    ----------
    key : str
        Such as ``"kriegeskorte2008"``.
    text : str
        Authors (year). Title. Journal.
    identifier : str
        ``"doi:..."`` or ``"arXiv:..."``; empty where none is on file.
    url : str
        Where the identifier leads; empty without one.
    """

    key: str
    text: str
    identifier: str = ""
    url: str = ""


@cache
def _known() -> dict[str, dict[str, str]]:
    source = resources.files("neurodnn").joinpath("data", "citations.json")
    return json.loads(source.read_text(encoding="utf-8"))


def citations(keys: Iterable[str]) -> list[Citation]:
    """Return the references for `keys`, sorted by key, each once.

    Parameters
    ----------
    keys : iterable of str
        As the workflows' ``describe()`` give them. A key that is not in the list is shown as it
        is, so that nothing that was cited disappears.

    Examples
    --------
    >>> [citation.identifier for citation in citations(["nichols2002", "nichols2002"])]
    ['doi:10.1002/hbm.1058']
    """
    found = []
    for key in sorted({str(key) for key in keys}):
        entry = _known().get(key)
        if entry is None:
            found.append(Citation(key, f"{key} (no details on file)"))
        elif "DOI" in entry:
            doi = entry["DOI"]
            found.append(Citation(key, entry["Text"], f"doi:{doi}", f"https://doi.org/{doi}"))
        elif "arXiv" not in entry:
            found.append(Citation(key, entry["Text"]))
        else:
            number = entry["arXiv"]
            url = f"https://arxiv.org/abs/{number}"
            found.append(Citation(key, entry["Text"], f"arXiv:{number}", url))
    return found


def to_markdown(keys: Iterable[str]) -> str:
    """Return the references as a Markdown list, for ``logs/CITATION.md``.

    Examples
    --------
    >>> to_markdown(["krizhevsky2014"]).splitlines()[0].startswith("- Krizhevsky A. (2014).")
    True
    """
    lines = [f"- {each.text} {each.identifier}".rstrip() for each in citations(keys)]
    return "\n".join(lines) + "\n"


def to_bibtex(keys: Iterable[str]) -> str:
    """Return the references as BibTeX, for ``logs/CITATION.bib``.

    Keys without details are left out: an entry without title and year is refused by BibTeX.

    Examples
    --------
    >>> print(to_bibtex(["iandola2016"]).splitlines()[1])
      author = {Iandola, F. N. and others},
    """
    entries = []
    for each in citations(keys):
        parts = re.fullmatch(r"(.+?) \((\d{4})\)\. (.+?)\.(?: (.+?)\.?)?", each.text)
        if parts is None:
            continue
        authors, year, title, journal = parts.groups()
        fields = {"author": _authors(authors), "title": title, "year": year, "note": journal}
        kind, _, value = each.identifier.partition(":")
        if value:
            fields["doi" if kind == "doi" else "eprint"] = value
        body = ",\n".join(f"  {name} = {{{text}}}" for name, text in fields.items() if text)
        entries.append(f"@misc{{{each.key},\n{body}\n}}\n")
    return "\n".join(entries)


def _authors(text: str) -> str:
    others = text.endswith(" et al.")
    names = re.split(r", ", text.removesuffix(" et al."))
    # "Nichols T. E." would be read as first name Nichols: BibTeX wants "Nichols, T. E."
    names = [re.sub(r" (?=(?:[A-Z]\.[- ]?)+$)", ", ", name, count=1) for name in names]
    return " and ".join(names + (["others"] if others else []))
