"""The ladder of verification: every form that a network takes, compared with golden."""

from __future__ import annotations

from actc.targets.fpga.ladder.ladder import climb
from actc.targets.fpga.ladder.netlists import border_of, netlist_rung, read_netlist
from actc.targets.fpga.ladder.proofs import netlist_proof_rung, units_rung
from actc.targets.fpga.ladder.source import description_rung, verilog_rung
from actc.targets.fpga.ladder.vectors import Vectors, random_feeds, vectors_of

__all__ = [
    "Vectors",
    "border_of",
    "climb",
    "description_rung",
    "netlist_proof_rung",
    "netlist_rung",
    "random_feeds",
    "read_netlist",
    "units_rung",
    "vectors_of",
    "verilog_rung",
]
