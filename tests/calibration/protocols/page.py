"""Outcomes -> the calibration page, in words and tables that a neuroscientist reads."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from itertools import groupby

from protocols.counting import Protocol, Row
from protocols.running import Outcome

_SHOWN_VERSIONS = (
    "neurodnn", "numpy", "scipy", "numba", "xarray", "rsatoolbox", "nibabel", "scikit-learn",
)  # fmt: skip

_INTRODUCTION = """\
# How often are the tests wrong?

A test with p <= .05 promises to find something in at most one of twenty studies in which nothing
is there. This page measures whether the tests of neurodnn keep that promise. Each protocol makes
hundreds or thousands of simulated studies in which the truth is known, hands them to the same
functions that analyse real data, and counts. Beside ours stand the alternatives that a hurried
analysis might use, on the same simulated studies, so that one can see what each correction is for.

**How to read the tables.** *Rate* is the share of simulated studies with p <= .05 (or whatever the
row says), with its exact 95 % interval (Clopper and Pearson). *Accepted* are the counts that a test
with a true rate of .05 gives in 99.9 % of such runs; a row outside it would mean that the test
does not keep its promise: *inside* is good. Tests on the size of clusters may be more careful than
.05 (sizes are whole numbers), so only the upper end counts for them, and a floor of 1 %. Rows in
*italics* are alternatives. *Caught* means that the protocol saw the alternative fail, which shows
that the protocol can tell a wrong test from a right one; *shown* rows are not judged.

A rate inside its band does not prove that a test is exact; it bounds how wrong it can be. With
1,000 studies a test whose true rate is .10 would be caught in 99.7 % of runs."""


def write_page(
    outcomes: Sequence[Outcome], *, tier: str, seeds: Sequence[int], command: str,
    figure: str | None, date: str | None,
) -> str:  # fmt: skip
    """Return the page as Markdown.

    Parameters
    ----------
    outcomes : sequence of Outcome
        In the order of the page; neighbours of one protocol share a section.
    tier : str
    seeds : sequence of int
    command : str
        What makes this page again.
    figure : str, optional
        Path of the figure, relative to the page.
    date : str, optional
        Given only where it is known from elsewhere, so that the same run gives the same page.
    """
    parts = [_INTRODUCTION, *_overview(outcomes)]
    if figure:
        parts.append(
            f"![Measured rates of errors with intervals]({figure})\n\n*Rates of errors that should "
            "be .05 (dotted), with 95 % intervals; a line for each setting, in the order of the "
            "tables. Circles: neurodnn. Crosses: alternatives on the same studies. Grey: what a "
            "right test gives in 99.9 % of runs.*"
        )
    for _, group in groupby(outcomes, key=lambda outcome: outcome.protocol.name):
        mine = list(group)
        parts += _section(mine[0].protocol, mine)
    parts += _provenance(tier, seeds, command, date)
    return "\n\n".join(parts) + "\n"


def _overview(outcomes: Sequence[Outcome]) -> list[str]:
    ours = [row for outcome in outcomes for row in outcome.rows if row.accept not in
            ("shown", "caught")]  # fmt: skip
    controls = [row for outcome in outcomes for row in outcome.rows if row.accept == "caught"]
    checks = [check for outcome in outcomes for check in outcome.checks]
    failed = [f"{outcome.protocol.name} ({outcome.arm.label})" for outcome in outcomes
              if not outcome.holds]  # fmt: skip
    text = (
        f"**Result.** {sum(row.holds for row in ours)} of {len(ours)} judged rates lie inside "
        f"their bands, {sum(check.holds for check in checks)} of {len(checks)} further "
        f"requirements hold, and {sum(row.holds for row in controls)} of {len(controls)} "
        "alternatives that should fail were caught."
    )
    if failed:
        text += f" **Outside: {', '.join(failed)}.**"
    return ["## In one paragraph", text]


def _section(protocol: Protocol, outcomes: Sequence[Outcome]) -> list[str]:
    parts = [f"## {protocol.name}. {protocol.title}", f"**{protocol.question}**", protocol.method]
    rows = [(outcome.arm.label, row) for outcome in outcomes for row in outcome.rows]
    if rows:
        head = ["Setting", "What was counted", "Studies", "Count", "Rate", "95 % interval",
                "Accepted", "Verdict"]  # fmt: skip
        parts.append(_table(head, [_cells(label, row) for label, row in rows], "llrrrrrl"))
    checks = [(outcome.arm.label, check) for outcome in outcomes for check in outcome.checks]
    if checks:
        head = ["Setting", "Requirement", "Required", "Seen", "Verdict"]
        lines = [[label, check.label, check.required, check.seen,
                  "holds" if check.holds else "**FAILS**"] for label, check in checks]  # fmt: skip
        parts.append(_table(head, lines, "lllll"))
    return [*parts, protocol.reading]


def _cells(label: str, row: Row) -> list[str]:
    low, high = row.interval
    accepted = "" if row.accept in ("shown", "caught") else f"{row.low} to {row.high}"
    verdict = row.verdict if row.holds else f"**{row.verdict}**"
    name = f"*{row.label}*" if row.naive else row.label
    return [label, name, f"{row.n:,}", f"{row.count:,}", _rate(row.rate),
            f"{_rate(low)} to {_rate(high)}", accepted, verdict]  # fmt: skip


def _rate(value: float) -> str:
    """Three digits without the leading zero, as statistics are printed in the field."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], sides: str) -> str:
    rule = [("---:" if side == "r" else "---") for side in sides]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *escaped))


def _provenance(
    tier: str, seeds: Sequence[int], command: str, date: str | None
) -> list[str]:  # fmt: skip
    versions = ", ".join(f"{name} {version(name)}" for name in _SHOWN_VERSIONS)
    lines = [
        f"- Tier: {tier}. Seeds: {', '.join(map(str, seeds))}. Each simulated study hangs on the "
        "seed, the protocol and its own number alone.",
        f"- Versions: Python {platform.python_version()}, {versions}.",
    ]
    if date:
        lines.append(f"- Date: {date}.")
    lines += [
        "- Other seeds give other counts inside the same bands; a right program leaves a two-sided "
        "band once in a thousand rows.",
    ]
    return ["## How this page was made", f"    {command}", "\n".join(lines)]
