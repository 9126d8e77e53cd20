"""Formal equivalence: functions and their tables, networks and their netlists, for every input."""

from __future__ import annotations

from actc.targets.fpga.proof.circuit import Circuit, read_circuits
from actc.targets.fpga.proof.equivalence import (
    Counterexample,
    Proof,
    prove_equal,
    prove_unit,
)
from actc.targets.fpga.proof.pipelines import prove_pipelines
from actc.targets.fpga.proof.sides import PROVABLE, Side
from actc.targets.fpga.proof.units import UnitProofs, prove_units

__all__ = [
    "PROVABLE",
    "Circuit",
    "Counterexample",
    "Proof",
    "Side",
    "UnitProofs",
    "prove_equal",
    "prove_pipelines",
    "prove_unit",
    "prove_units",
    "read_circuits",
]
