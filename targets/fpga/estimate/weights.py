"""How many cells synthesis takes for each one that plain rules count.

Fitted by ``python benchmarks/fpga_estimates.py --fit`` to what that script measured; a test
fits them again.
"""

from __future__ import annotations

from collections.abc import Mapping

from actc.targets.fpga.estimate.counts import KINDS, Kind

WEIGHTS: Mapping[str, Mapping[Kind, float]] = {
    "ecp5": {
        "sum": 0.86,
        "difference": 1.04,
        "table": 0.72,
        "choice": 0.75,
        "gate": 1.49,
        "compare": 4.82,
        "product": 1.0,
    },
    "ice40": {
        "sum": 0.89,
        "difference": 1.43,
        "table": 1.25,
        "choice": 0.38,
        "gate": 0.86,
        "compare": 4.14,
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
