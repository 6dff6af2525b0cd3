"""The error rates of all tests at the size that every change can afford.

Every accepted range is a 99.9 % binomial interval, so that a right program fails about once in a
thousand rows and seeds. NEURODNN_CALIBRATION_SEED draws other ones.
"""

from __future__ import annotations

import pytest
from protocols.registry import PROTOCOLS
from protocols.running import run_protocols

QUICK = [protocol for protocol in PROTOCOLS if any("quick" in arm.n for arm in protocol.arms)]


@pytest.mark.parametrize("protocol", QUICK, ids=lambda protocol: protocol.name)
def test_rates_are_as_promised(protocol, calibration_seed):
    outcomes = run_protocols([protocol], "quick", [calibration_seed])
    failed = [str(outcome) for outcome in outcomes if not outcome.holds]
    assert not failed, "\n".join(failed)


def test_the_quick_tier_holds_what_every_change_must_pass():
    required = {"A1", "A2", "A3", "A5", "A7", "A9", "A11", "A12", "A13", "A14"}
    assert required <= {protocol.name for protocol in QUICK}
