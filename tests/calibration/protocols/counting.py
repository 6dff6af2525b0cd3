"""What a protocol is, and when a count is accepted.

A run of `n` null data sets gives columns with one value per data set. A `Measure` counts the
true values of one column and says which counts are accepted; a `Check` holds anything else that
must be so (means in order, errors that fall).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.stats import beta, binom

ALPHA = 0.05  # the nominal rate of every test
CONFIDENCE = 0.999  # a right program leaves its band once in a thousand runs
FLOOR = 0.01  # of tests on sizes of clusters, which are discrete and may be conservative
TIERS = ("quick", "nightly", "release")

Columns = Mapping[str, np.ndarray]


class Check(NamedTuple):
    """One requirement that is not a rate: what was asked, what was seen, whether it holds."""

    label: str
    required: str
    seen: str
    holds: bool


@dataclass(frozen=True)
class Measure:
    """A rate to be counted and the rule by which it is accepted.

    Parameters
    ----------
    column : str
        Column of the run whose true values are counted.
    label : str
        What is counted, for the reader of the page.
    accept : str or (float, float)
        ``"band"``: two-sided 99.9 % binomial band of .05. ``"at most"``: its one-sided upper
        bound. ``"clusters"``: the same and a floor of 1 %. ``"caught"``: a naive alternative
        that must be seen *above* the band, else the protocol could not have told it from a
        right test. ``"shown"``: told, not judged. A pair: rates, both included.
    naive : bool
        Whether it is an alternative to what the package does.
    null : bool
        Whether it is a rate of errors, nominally .05; only those belong in the figure.
    """

    column: str
    label: str
    accept: str | tuple[float, float] = "band"
    naive: bool = False
    null: bool = True


@dataclass(frozen=True)
class Arm:
    """One setting of a protocol, with the number of data sets in each tier (absent: not run).

    ``run(indices, seed, **settings)`` returns columns; data set ``i`` hangs on `seed` and ``i``
    alone, so that work can be cut anywhere.
    """

    label: str
    run: Callable[..., Columns]
    n: Mapping[str, int]
    measures: Sequence[Measure] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    check: Callable[[Columns], list[Check]] | None = None
    block: int = 25  # data sets per piece of work


@dataclass(frozen=True)
class Protocol:
    """One question about the package's inference, and how it is answered.

    Parameters
    ----------
    name : str
        Such as ``"A1"``.
    title, question : str
        Plain words.
    method : str
        How the data were made and which function was asked, for a methods section.
    reading : str
        What the alternatives beside ours teach.
    arms : sequence of Arm
    """

    name: str
    title: str
    question: str
    method: str
    reading: str
    arms: Sequence[Arm]


class Row(NamedTuple):
    """A measured rate, ready to be judged and shown."""

    label: str
    naive: bool
    n: int
    count: int
    low: int
    high: int
    accept: str | tuple[float, float]
    null: bool

    @property
    def rate(self) -> float:
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return clopper_pearson(self.count, self.n)

    @property
    def holds(self) -> bool:
        return self.low <= self.count <= self.high

    @property
    def verdict(self) -> str:
        """One or two words: inside, OUTSIDE, caught, NOT CAUGHT, shown."""
        if self.accept == "shown":
            return "shown"
        if self.accept == "caught":
            return "caught" if self.holds else "NOT CAUGHT"
        return "inside" if self.holds else "OUTSIDE"


def band(n: int, rate: float = ALPHA) -> tuple[int, int]:
    """Return the two-sided 99.9 % interval of a binomial count."""
    low, high = binom.interval(CONFIDENCE, n, rate)
    return int(low), int(high)


def upper_bound(n: int, rate: float = ALPHA) -> int:
    """Return the one-sided 99.9 % bound of a binomial count."""
    return int(binom.ppf(CONFIDENCE, n, rate))


def accepted(accept: str | tuple[float, float], n: int) -> tuple[int, int]:
    """Return the smallest and the largest count that a rule accepts."""
    if isinstance(accept, tuple):
        low, high = accept
        return int(np.ceil(low * n - 1e-9)), int(np.floor(high * n + 1e-9))
    rules = {
        "band": band(n),
        "at most": (0, upper_bound(n)),
        "clusters": (int(np.ceil(FLOOR * n - 1e-9)), upper_bound(n)),
        "caught": (band(n)[1] + 1, n),
        "shown": (0, n),
    }
    return rules[accept]


def clopper_pearson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate of which `count` of `n` were seen."""
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, count, n - count + 1) if count else 0.0
    high = beta.ppf(1 - tail, count + 1, n - count) if count < n else 1.0
    return float(low), float(high)


def count_rows(arm: Arm, columns: Columns) -> list[Row]:
    """Return the judged rates of an arm; a value that is missing (NaN) counts nowhere."""
    rows = []
    for measure in arm.measures:
        values = np.asarray(columns[measure.column], dtype=float)
        values = values[~np.isnan(values)]
        if not values.size:
            raise ValueError(f"{arm.label}: column {measure.column} is empty")
        low, high = accepted(measure.accept, values.size)
        rows.append(Row(measure.label, measure.naive, values.size, int(values.sum()), low, high,
                        measure.accept, measure.null))  # fmt: skip
    return rows
