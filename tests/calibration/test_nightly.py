"""The error rates of all tests at the size of the table on the calibration page: minutes."""

from __future__ import annotations

import pytest
from protocols.registry import PROTOCOLS
from protocols.running import run_protocols


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_rates_are_as_promised(protocol, calibration_seed):
    outcomes = run_protocols([protocol], "nightly", [calibration_seed])
    failed = [str(outcome) for outcome in outcomes if not outcome.holds]
    assert not failed, "\n".join(failed)


def test_every_protocol_is_there_and_runs_at_night():
    names = [protocol.name for protocol in PROTOCOLS]
    assert names == ["A1", "A1b", *(f"A{number}" for number in range(2, 15))]
    assert all(any("nightly" in arm.n for arm in protocol.arms) for protocol in PROTOCOLS)
