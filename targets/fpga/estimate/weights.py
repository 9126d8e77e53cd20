"""How many cells synthesis takes for each one that plain rules count.

Fitted by ``python benchmarks/fpga_estimates.py --fit`` to what that script measured; a test
fits them again.
"""

from __future__ import annotations

from collections.abc import Mapping

from actc.targets.fpga.estimate.counts import KINDS, Kind

WEIGHTS: Mapping[str, Mapping[Kind, float]] = {
    "ecp5": {
        "sum": 0.97,
        "difference": 1.02,
        "table": 0.66,
        "choice": 1.38,
        "gate": 0.0,
        "compare": 2.4,
        "product": 1.0,
    },
    "ice40": {
        "sum": 0.85,
        "difference": 1.46,
        "table": 1.48,
        "choice": 0.56,
        "gate": 0.73,
        "compare": 3.89,
        "product": 1.0,
    },
    "gowin": {
        "sum": 0.98,
        "difference": 1.02,
        "table": 0.7,
        "choice": 1.35,
        "gate": 0.0,
        "compare": 1.44,
        "product": 1.0,
    },
    "xc7": dict.fromkeys(KINDS, 1.0),
}
"""By family and kind of wire."""
