"""Measure the error rates of all tests and write the calibration page.

    python tests/calibration/report.py --tier nightly --jobs 2 --out docs/calibration.md
    python tests/calibration/report.py --tier quick
    python tests/calibration/report.py --tier nightly --only A2 A9 --seeds 1 2 3

A scheduler takes another seed every night: --seeds $(date +%Y%m%d). A release takes --tier release
and three seeds. Without --out the page goes to standard output; with it a figure is written beside
the page. The exit code is 1 where anything is outside its band, so that a scheduler notices.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

# The name of the folder's package is found from anywhere, in workers too.
sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("NEURODNN_OFFLINE", "1")

from protocols.counting import TIERS
from protocols.page import write_page
from protocols.registry import PROTOCOLS
from protocols.running import run_protocols


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 0 if everything holds and 1 otherwise."""
    given = _parser().parse_args(words)
    chosen = [protocol for protocol in PROTOCOLS if not given.only or protocol.name in given.only]
    outcomes = []
    for protocol in chosen:
        start = time.perf_counter()
        mine = run_protocols([protocol], given.tier, given.seeds, given.jobs)
        if not mine:
            continue
        for outcome in mine:
            print(outcome, file=sys.stderr)
        print(f"{protocol.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        outcomes += mine
    _write(outcomes, given)
    return 0 if outcomes and all(outcome.holds for outcome in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [protocol.name for protocol in PROTOCOLS]
    parser.add_argument("--tier", choices=TIERS, default="quick", help="how many studies")
    parser.add_argument("--only", nargs="+", choices=names, metavar="A1", help="these protocols")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N",
                        help="several are pooled; release takes three")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--out", type=Path, metavar="FILE", help="page to write (Markdown)")
    return parser


def _write(outcomes: list, given: argparse.Namespace) -> None:
    command = f"python tests/calibration/report.py --tier {given.tier}"
    if given.only:
        command += f" --only {' '.join(given.only)}"
    if given.seeds != [0]:
        command += f" --seeds {' '.join(map(str, given.seeds))}"
    figure = None
    if given.out:
        from protocols.figure import draw_rates

        # Paths in the page are the same wherever the repository lies.
        command += f" --out {given.out.name if given.out.is_absolute() else given.out.as_posix()}"
        figure = given.out.with_suffix(".png")
        figure = figure if draw_rates(outcomes, figure) else None
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.fromtimestamp(int(epoch), UTC).date().isoformat() if epoch else None
    page = write_page(
        outcomes, tier=given.tier, seeds=given.seeds, command=command,
        figure=figure.name if figure else None, date=date,
    )  # fmt: skip
    if given.out:
        given.out.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    sys.exit(main())
