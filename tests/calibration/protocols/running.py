"""Protocols -> judged rows, in pieces that do not depend on the number of workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from neurodnn._checks import DataWarning
from protocols.counting import Arm, Check, Columns, Protocol, Row, count_rows


class Outcome(NamedTuple):
    """What one arm of one protocol gave."""

    protocol: Protocol
    arm: Arm
    rows: list[Row]
    checks: list[Check]

    @property
    def holds(self) -> bool:
        return all(row.holds for row in self.rows) and all(check.holds for check in self.checks)

    def __str__(self) -> str:
        rows = [f"{row.label}: {row.count} of {row.n} ({row.rate:.3f}), accepted {row.low} to "
                f"{row.high}: {row.verdict}" for row in self.rows]  # fmt: skip
        checks = [f"{check.label}: {check.seen}, required {check.required}: "
                  + ("holds" if check.holds else "FAILS") for check in self.checks]  # fmt: skip
        return "\n  ".join([f"{self.protocol.name}, {self.arm.label}", *rows, *checks])


def run_protocols(
    chosen: Iterable[Protocol], tier: str, seeds: Sequence[int] = (0,), n_jobs: int = 1
) -> list[Outcome]:
    """Return the outcomes of all arms that have a number of data sets in `tier`.

    Several seeds are pooled: each gives as many data sets as the tier says.
    """
    arms = [(protocol, arm) for protocol in chosen for arm in protocol.arms if tier in arm.n]
    tasks = [
        (number, seed, range(start, min(start + arm.block, arm.n[tier])))
        for number, (_, arm) in enumerate(arms)
        for seed in seeds
        for start in range(0, arm.n[tier], arm.block)
    ]
    pieces = Parallel(n_jobs=n_jobs)(
        delayed(run_piece)(arms[number][1].run, indices, seed, dict(arms[number][1].settings))
        for number, seed, indices in tasks
    )
    outcomes = []
    for number, (protocol, arm) in enumerate(arms):
        mine = [piece for piece, task in zip(pieces, tasks, strict=True) if task[0] == number]
        columns = {name: np.concatenate([piece[name] for piece in mine]) for name in mine[0]}
        checks = arm.check(columns) if arm.check else []
        outcomes.append(Outcome(protocol, arm, count_rows(arm, columns), checks))
    return outcomes


def run_piece(run, indices: range, seed: int, settings: dict) -> Columns:
    """Run some data sets of one arm, on one core."""
    with threadpool_limits(1), warnings.catch_warnings():
        # Random data are skewed and tied by chance; a protocol about a warning asks for it.
        warnings.simplefilter("ignore", DataWarning)
        columns = run(indices, seed, **settings)
    return {name: np.atleast_1d(np.asarray(values)) for name, values in columns.items()}
