"""Random netlists of ECP5 cells compute the same when other cells take inverters and tables in."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_fpga_techmap_netlists import carry, flip_flop, lut, types

from actc.targets.fpga.gates import GateNetlist, simulate
from actc.targets.fpga.techmap import absorb, improve, inverters

INPUTS = [30, 31, 32, 33]
NETLISTS = 150
CLOCKS = 80
FIRST, LATER = (0x0008, 0x000B), (0x600A, 0x900A)
"""Tables of a place that makes a carry, and of places that add or subtract."""
MODES = ("LSR_OVER_CE", "CE_OVER_LSR", "ASYNC")


class Grown:
    """A netlist without loops of logic; registers may feed back."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.nets = rng, list(INPUTS)
        self.cells: dict[str, Any] = {}
        for _ in range(rng.integers(4, 14)):
            [self._inverter, self._table, self._register, self._sum][rng.integers(4)]()
        for cell in self.cells.values():
            if cell["type"] == "TRELLIS_FF" and rng.random() < 0.4:
                cell["connections"]["DI"] = [self._net()]

    def document(self) -> dict[str, Any]:
        """What yosys would write."""
        made = self.nets[len(INPUTS) :]
        outputs = self.rng.choice(made, size=min(3, len(made)), replace=False).tolist()
        ports = {name: {"direction": "input", "bits": bits} for name, bits in
                 (("clk", [20]), ("en", [21]), ("rst", [22]), ("x", INPUTS))}  # fmt: skip
        ports["y"] = {"direction": "output", "bits": outputs}
        return {"modules": {"top": {"ports": ports, "cells": self.cells, "netnames": {}}}}

    def _net(self) -> int:
        return int(self.rng.choice(self.nets))

    def _pin(self) -> int | str:
        return self._net() if self.rng.random() < 0.85 else str(self.rng.integers(2))

    def _add(self, cell: dict[str, Any], *outputs: int) -> None:
        self.cells[f"cell{len(self.cells)}"] = cell
        self.nets += outputs

    def _next(self) -> int:
        return 100 + 10 * len(self.cells)

    def _inverter(self) -> None:
        pins: list[int | str] = [str(bit) for bit in self.rng.integers(0, 2, 4)]
        place = int(self.rng.integers(4))
        pins[place] = self._net()
        table = sum((index >> place & 1 ^ 1) << index for index in range(16))
        self._add(lut(table, pins, self._next()), self._next())

    def _table(self) -> None:
        used = int(self.rng.integers(2, 4))
        pins = [self._pin() if place < used else "0" for place in range(4)]
        self._add(lut(int(self.rng.integers(1 << 16)), pins, self._next()), self._next())

    def _register(self) -> None:
        held, mode = str(self.rng.choice(["SET", "RESET"])), str(self.rng.choice(MODES))
        self._add(flip_flop(self._net(), self._next(), held, mode), self._next())

    def _sum(self) -> None:
        """One cell of a chain, whose first place makes a carry or adds."""
        cell = carry(int(self.rng.choice(LATER)), [self._pin(), self._pin(), "1", "1"])
        makes_carry = self.rng.random() < 0.5
        init = int(self.rng.choice(FIRST if makes_carry else LATER))
        cell["parameters"]["INIT0"] = f"{init:016b}"
        low, high, out = (self._next() + place for place in range(3))
        cell["connections"] |= {"A0": [self._pin()], "B0": [self._pin()], "S0": [low],
                                "S1": [high], "COUT": [out]}  # fmt: skip
        if makes_carry:
            self._add(cell, high)
        else:
            cell["connections"]["CIN"] = ["0"]
            self._add(cell, low, high)


def outputs(document: dict[str, Any], seed: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    stimuli = {"en": rng.integers(0, 2, CLOCKS), "x": rng.integers(0, 16, CLOCKS),
               "rst": (rng.integers(0, 6, CLOCKS) == 0).astype(np.int64)}  # fmt: skip
    return simulate(GateNetlist.read(document, "top", "ecp5"), stimuli)["y"]


def changed() -> tuple[int, int]:
    """How many netlists compute something else behind `improve`, and how many tables went."""
    wrong = gone = 0
    for seed in range(NETLISTS):
        document = Grown(np.random.default_rng(seed)).document()
        before = copy.deepcopy(document)
        improve(document, "ecp5")
        wrong += not np.array_equal(outputs(document, seed), outputs(before, seed))
        gone += types(before)["LUT4"] - types(document)["LUT4"]
    return wrong, gone


def test_random_netlists_compute_the_same() -> None:
    wrong, gone = changed()
    assert wrong == 0
    assert gone > NETLISTS / 2


def test_a_wrong_table_or_register_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inverters, "_invert", lambda cell, port: None)
        assert changed()[0] > 0
    joined = absorb._joined
    with monkeypatch.context() as patch:
        patch.setattr(
            absorb,
            "_joined",
            lambda *given: None if (init := joined(*given)) is None else init ^ 0xF000,
        )
        assert changed()[0] > 0
