"""Formal equivalence: units and their tables, networks and their netlists, proved by SAT."""

from __future__ import annotations

from actc.targets.fpga.proof.equivalence import (
    Counterexample,
    Proof,
    Side,
    prove_equal,
    prove_unit,
)

__all__ = ["Counterexample", "Proof", "Side", "prove_equal", "prove_unit"]
