"""All protocols, in the order of the page."""

from __future__ import annotations

from protocols.ceilings import A5
from protocols.closed_form import A12
from protocols.generalising import A2, A3
from protocols.latency import A7
from protocols.layers import A9, A14
from protocols.maps import A1, A1B, A8
from protocols.order import A10
from protocols.shapes import A6, A11, A13
from protocols.whole_pipeline import A4

PROTOCOLS = (A1, A1B, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14)
