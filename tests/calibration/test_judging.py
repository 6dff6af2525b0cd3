"""Can a protocol fail? The bands, the judgement, the pieces of work, the page and the command."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest
from protocols.ceilings import expected_score
from protocols.counting import (
    Arm,
    Check,
    Measure,
    Protocol,
    accepted,
    band,
    clopper_pearson,
    count_rows,
    upper_bound,
)
from protocols.figure import draw_rates
from protocols.nulls import autocorrelated, generator, smooth_maps
from protocols.page import write_page
from protocols.registry import PROTOCOLS
from protocols.running import run_protocols
from scipy.stats import binom, binomtest, spearmanr


@pytest.mark.parametrize(
    ("n", "low", "high", "upper"),
    [(200, 2, 21, 21), (300, 4, 29, 28), (400, 7, 36, 35), (500, 11, 42, 41),
     (600, 14, 49, 48), (1000, 29, 74, 73), (2000, 69, 133, 131)],
)  # fmt: skip
def test_bands_are_those_of_the_table(n, low, high, upper):
    assert band(n) == (low, high)
    assert upper_bound(n) == upper


def test_a_band_catches_a_liberal_test_as_often_as_the_table_says():
    for n, rate, share in ((500, 0.08, 0.33), (500, 0.10, 0.87), (1000, 0.08, 0.74),
                           (1000, 0.10, 0.997), (2000, 0.08, 0.987)):  # fmt: skip
        assert binom.sf(band(n)[1], n, rate) == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize(("count", "n"), [(0, 40), (1, 40), (13, 300), (40, 40)])
def test_intervals_are_those_of_clopper_and_pearson(count, n):
    expected = binomtest(count, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(count, n) == pytest.approx((expected.low, expected.high), rel=1e-12)


def _protocol(rate: float, *measures: Measure, check=None, n: int = 1000) -> Protocol:
    """Studies that reject with a known probability."""

    def run(indices, seed):
        return {"p": [generator(seed, 999, i).random() < rate for i in indices]}

    arm = Arm("known", run, {"quick": n}, measures, check=check)
    return Protocol("A0", "Known", "Known?", "Draws.", "Nothing.", [arm])


@pytest.mark.parametrize(
    ("rate", "accept", "holds"),
    [
        (0.05, "band", True), (0.10, "band", False), (0.01, "band", False),
        (0.05, "at most", True), (0.0, "at most", True), (0.10, "at most", False),
        (0.03, "clusters", True), (0.0, "clusters", False), (0.10, "clusters", False),
        (0.20, "caught", True), (0.05, "caught", False), (0.0, "shown", True),
        (0.97, (0.95, 1.0), True), (0.90, (0.95, 1.0), False), (0.11, (0.0, 0.10), False),
    ],
)  # fmt: skip
def test_a_rate_is_judged_by_its_rule(rate, accept, holds):
    (outcome,) = run_protocols([_protocol(rate, Measure("p", "rejections", accept))], "quick")
    assert outcome.holds is holds
    assert (outcome.rows[0].verdict in ("OUTSIDE", "NOT CAUGHT")) is not holds
    assert outcome.rows[0].n == 1000


def test_a_failed_requirement_fails_the_protocol():
    measure = Measure("p", "rejections")
    for good in (True, False):
        protocol = _protocol(0.05, measure, check=lambda _, good=good: [Check("a", "b", "c", good)])
        assert run_protocols([protocol], "quick")[0].holds is good


def test_pieces_of_work_and_workers_change_nothing():
    protocol = next(p for p in PROTOCOLS if p.name == "A5")
    arm = dataclasses.replace(protocol.arms[0], n={"quick": 12})
    counts = []
    for block, jobs in ((12, 1), (5, 1), (1, 2)):
        one = dataclasses.replace(protocol, arms=[dataclasses.replace(arm, block=block)])
        outcome = run_protocols([one], "quick", [3], jobs)[0]
        counts.append([check.seen for check in outcome.checks] + outcome.rows)
    assert counts[0] == counts[1] == counts[2]


def test_seeds_are_pooled_and_differ():
    protocol = _protocol(0.5, Measure("p", "rejections", "shown"))
    one, two = (run_protocols([protocol], "quick", [s])[0].rows[0].count for s in (0, 1))
    both = run_protocols([protocol], "quick", [0, 1])[0].rows[0]
    assert (both.n, both.count) == (2000, one + two)
    assert one != two


def test_missing_values_count_nowhere_and_nothing_is_no_result():
    arm = Arm("a", lambda: None, {}, [Measure("p", "rejections", "shown")])
    row = count_rows(arm, {"p": np.array([1.0, np.nan, 0.0])})[0]
    assert (row.n, row.count) == (2, 1)
    with pytest.raises(ValueError, match="empty"):
        count_rows(arm, {"p": np.array([np.nan])})


def test_most_protocols_have_an_alternative_that_must_be_caught():
    without = {
        p.name for p in PROTOCOLS
        if not any(m.naive and m.accept != "shown" for arm in p.arms for m in arm.measures)
    }  # fmt: skip
    # A8 is about power; A11 and A12 compare with exact values; A13 catches in a requirement.
    assert without <= {"A8", "A11", "A12", "A13"}
    assert accepted("caught", 300)[0] == band(300)[1] + 1


def test_simulated_noise_is_what_it_says():
    rng = generator(0, 998, 0)
    maps = smooth_maps(rng, 200, (10, 10, 10))
    assert maps.std() == pytest.approx(1, abs=0.02)  # 200,000 values, smooth: some 1 % of error
    lagged = autocorrelated(rng, 0.5, (50, 200, 40))
    assert lagged.std() == pytest.approx(1, abs=0.01)  # 400,000 values
    assert np.mean(lagged[:, 1:] * lagged[:, :-1]) == pytest.approx(0.5, abs=0.01)  # the same


def test_closed_forms_of_the_ceiling_agree_with_a_plain_simulation():
    rng, n = np.random.default_rng(0), 20_000
    rho = 1 / np.sqrt(1 + 1.2**2)
    one = rng.standard_normal((n, 190))
    other = rho * one + np.sqrt(1 - rho**2) * rng.standard_normal((n, 190))
    error = 0.6 / np.sqrt(190 * n) * 4  # 4 standard errors of the mean over all data sets
    centred = [x - x.mean(axis=1, keepdims=True) for x in (one, other)]
    for name, (x, y) in (("pearson", centred), ("cosine", (one, other))):
        r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        assert expected_score(name) == pytest.approx(r.mean(), abs=error)
    few = [spearmanr(x, y).statistic for x, y in zip(one[:2000], other[:2000], strict=True)]
    error = 4 * np.std(few) / np.sqrt(len(few))
    assert expected_score("spearman") == pytest.approx(np.mean(few), abs=error)


def test_page_and_figure_tell_what_was_measured(tmp_path):
    protocol = _protocol(0.10, Measure("p", "rejec|tions"), Measure("p", "naive", "caught", True))
    outcomes = run_protocols([protocol], "quick")
    draw_rates(outcomes, tmp_path / "rates.png")
    page = write_page(outcomes, tier="quick", seeds=[0], command="python x", figure="rates.png",
                      date=None)  # fmt: skip
    count = outcomes[0].rows[0].count
    assert f"| known | rejec\\|tions | 1,000 | {count} |" in page
    assert "| 29 to 74 | **OUTSIDE** |" in page
    assert "| *naive* |" in page and "caught |" in page
    assert "**Outside: A0 (known).**" in page and "0 of 1 judged rates" in page
    assert "Date" not in page and "python x" in page
    assert (tmp_path / "rates.png").stat().st_size > 1000


def test_the_command_writes_the_same_page_twice_and_tells_failure(tmp_path, monkeypatch, capsys):
    command = runpy.run_path(str(Path(__file__).with_name("report.py")))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    names = command["main"].__globals__
    monkeypatch.setitem(names, "PROTOCOLS", (_protocol(0.05, Measure("p", "rejections")),))
    pages = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        out = tmp_path / name / "calibration.md"
        assert command["main"](["--tier", "quick", "--only", "A0", "--out", str(out)]) == 0
        pages.append((out.read_bytes(), out.with_suffix(".png").read_bytes()))
    assert pages[0] == pages[1]
    assert b"## A0. Known" in pages[0][0] and str(tmp_path).encode() not in pages[0][0]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert command["main"](["--tier", "quick"]) == 0
    assert "Date: 1970-01-02" in capsys.readouterr().out
    monkeypatch.setitem(names, "PROTOCOLS", (_protocol(0.5, Measure("p", "rejections")),))
    assert command["main"](["--tier", "quick"]) == 1
    assert "OUTSIDE" in capsys.readouterr().err
    assert command["main"](["--tier", "nightly"]) == 1  # nothing ran, so nothing was shown
