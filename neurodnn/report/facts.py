"""Summaries as rows of tables and short facts: words and numbers, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurodnn.report.citations import citations
from neurodnn.report.peaks import Peak
from neurodnn.report.tree import Summary

UNITS = {
    "rho": "Spearman rho", "spearman": "Spearman rho", "r": "Pearson r", "pearson": "Pearson r",
    "cosine": "cosine similarity", "rhoa": "rho-a", "rho-a": "rho-a", "tau-a": "Kendall tau-a",
    "corr_cov": "whitened correlation", "cosine_cov": "whitened cosine",
    "t": "t", "mean": "mean score",
}  # fmt: skip
_MINUS = "\N{MINUS SIGN}"


def score(value: object, digits: int = 3) -> str:
    """A number for a table: fixed digits, a true minus sign, a dash where there is none.

    Examples
    --------
    >>> score(-0.12345), score(None), score(float("nan"))
    ('−0.123', '–', '–')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return "–"
    return f"{value:.{digits}f}".replace("-", _MINUS)


def mm(value: object) -> str:
    """A coordinate in mm, with a decimal only where it is no whole number.

    Examples
    --------
    >>> mm(-12.0), mm(4.5)
    ('−12', '4.5')
    """
    if not isinstance(value, (int, float)) or value != value:
        return "–"
    whole = abs(value - round(value)) < 0.05
    return score(float(value) + 0.0, 0 if whole else 1)


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Content of a table; the first letter of a column's name says how its cells are set.

    ``#`` numbers, ``~`` code, ``=`` code that is never broken.
    """
    kinds = {"#": "number", "~": "mono", "=": "mono whole"}
    described = [
        {"name": name[1:] if name[:1] in kinds else name, "style": kinds.get(name[:1], "")}
        for name in columns
    ]
    return {"caption": caption, "columns": described, "rows": [list(row) for row in rows]}


def fact(name: str, value: object, note: object = "") -> dict[str, str]:
    """One tile of the head of a section."""
    return {"name": name, "value": str(value), "note": str(note)}


def parameter(summary: Summary, *names: str) -> Any:
    """The first of several spellings of a parameter, or None."""
    known = {_folded(key): value for key, value in summary.mapping("Parameters").items()}
    return next((known[_folded(name)] for name in names if _folded(name) in known), None)


def _folded(key: str) -> str:
    return "".join(letter for letter in str(key).lower() if letter.isalnum())


def in_words(value: Any) -> str:
    """A parameter's value as text: lists with commas, yes and no, nothing as a dash."""
    if value is None or value == [] or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {in_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(in_words(item) for item in value)
    return str(value)


def comparison_unit(summary: Summary) -> str:
    """What a score of this study is, such as ``Spearman rho``."""
    name = str(parameter(summary, "compare", "comparison") or "")
    unit = UNITS.get(name, name or "score")
    if not (parameter(summary, "nuisance_rdms") or parameter(summary, "nuisance_order")):
        return unit
    return f"semi-partial {unit}" if parameter(summary, "semi_partial") else f"partial {unit}"


def sentences(values: Sequence[Any]) -> list[str]:
    """Warnings or failures as sentences, each once, in their order."""
    texts = [
        f"{value['Subject']}: {in_words({k: v for k, v in value.items() if k != 'Subject'})}"
        if isinstance(value, Mapping) and "Subject" in value
        else in_words(value)
        for value in values
    ]
    return list(dict.fromkeys(texts))


def key_facts(summary: Summary) -> list[dict[str, str]]:
    """The tiles of one study of a subject."""
    stimuli = summary.mapping("Stimuli")
    left_out = summary.mapping("NotComputed")
    skipped = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    radius = parameter(summary, "radius", "RadiusMM")
    facts = [
        fact("Stimuli compared", stimuli.get("Compared", stimuli.get("Matched", "–")),
             f"of {stimuli['InEvents']} in the data" if "InEvents" in stimuli else ""),
        fact("References", len(summary.list_of("References")) or "–",
             "layers" if summary.content.get("Network") else "RDMs that were brought along"),
        fact("Searchlight centres", in_words(summary.content.get("Centres")),
             f"not computed: {skipped}" if skipped else ""),
        fact("Sphere radius", "–" if radius is None else f"{in_words(radius)} mm"),
        fact("Score", comparison_unit(summary),
             f"brain distance: {in_words(parameter(summary, 'metric'))}"),
    ]  # fmt: skip
    return facts


def stimuli_note(summary: Summary) -> str:
    """How stimuli of data and table met: column, rule and counts."""
    stimuli = summary.mapping("Stimuli")
    if not stimuli:
        return "How the stimuli were matched is not on file."
    rules = {
        "name": "by file name without folder and ending", "path": "by path",
        "id": "by stimulus_id",
    }  # fmt: skip
    rule = str(stimuli.get("KeyRule", ""))
    text = (
        f"Stimuli were read from the column “{stimuli.get('Column', '–')}” and matched "
        f"{rules.get(rule, rule or 'by a rule that is not on file')}: "
        f"{stimuli.get('Matched', '–')} matched, {stimuli.get('InEvents', '–')} in the data, "
        f"{stimuli.get('InTable', '–')} in the stimulus table."
    )
    return text


def inputs_table(summary: Summary) -> dict[str, Any]:
    """What was read, with the beginning of each file's sha256; what was missing, said so."""
    rows = []
    for each in summary.list_of("Inputs"):
        if isinstance(each, Mapping):
            digest = str(each.get("SHA256") or "")
            missing = each.get("Missing") or each.get("Found") is False
            rows.append((each.get("Kind", "–"), each.get("Path", "–"),
                         "missing" if missing else digest[:12] or "–"))  # fmt: skip
    return table("Input files", ("Kind", "~File", "=SHA256"), [map(str, row) for row in rows])


def network_table(summary: Summary) -> dict[str, Any]:
    """The network's identity, one property a row."""
    rows = [
        (_spaced(key), in_words(value)) for key, value in summary.mapping("Network").items()
        if value not in (None, "")
    ]  # fmt: skip
    return table("Network", ("Network", "Identity"), rows)


def _spaced(key: str) -> str:
    return str(key).replace("_", " ")


def parameters_table(summary: Summary) -> dict[str, Any]:
    """Every option of the run."""
    rows = [(key, in_words(value)) for key, value in summary.mapping("Parameters").items()]
    return table("Parameters", ("Parameter", "~Value"), rows)


def versions_table(summary: Summary) -> dict[str, Any]:
    """Software and versions."""
    rows = [(key, in_words(v)) for key, v in summary.mapping("SoftwareVersions").items()]
    return table("Software versions", ("Software", "~Version"), rows)


def peak_sentence(peaks: Sequence[Peak]) -> str:
    """Peaks in one line for a caption."""
    if not peaks:
        return "No voxel has a value."
    texts = [f"{score(p.value)} at ({mm(p.x)}, {mm(p.y)}, {mm(p.z)}) {p.side}" for p in peaks]
    return f"Highest, at least 20 mm apart: {'; '.join(texts)}."


def common(summary: Summary, anchor: str) -> dict[str, Any]:
    """What the section of a subject's study and of a group level share."""
    return {
        "anchor": anchor,
        "methods": summary.text("Methods"),
        "references": citations(summary.list_of("Citations")),
        "warnings": sentences([*summary.list_of("Warnings"), *summary.problems]),
        "failures": sentences(summary.list_of("Failures")),
    }
