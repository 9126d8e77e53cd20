"""Models of cells: each beside its vendor's, and those that vendors have none of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cell_cases import CASES
from installed import needs_iverilog, needs_yosys
from vendor_cells import Case, simulate_vendor

Bits = npt.NDArray[np.uint8]

RNG = np.random.default_rng
CLOCKS = 300


def stimuli(case: Case, rng: np.random.Generator) -> Bits:
    """All inputs of a small combinational cell, else random ones."""
    bits = case.input_bits
    if not case.clocks and bits <= 9:
        return (np.arange(1 << bits)[:, None] >> np.arange(max(bits, 1)) & 1).astype(np.uint8)
    return case.masked(rng.integers(0, 2, (CLOCKS, bits), np.uint8))


@needs_iverilog
@needs_yosys
@pytest.mark.parametrize("family", CASES)
def test_cells_equal_the_models_of_their_vendor(family: str, tmp_path: Path) -> None:
    import pyosys

    share = Path(str(pyosys.__file__)).parent / "share"
    rng = RNG(1)
    cases = list(CASES[family](rng))
    rows = [stimuli(case, rng) for case in cases]
    vendor = simulate_vendor(family, cases, rows, share, tmp_path)
    for case, applied, right in zip(cases, rows, vendor, strict=True):
        found = case.evaluate(family, applied[:, : case.input_bits])
        known = (right == "0") | (right == "1")
        assert known.mean() > case.known, case
        assert np.array_equal(found[known], (right == "1")[known]), case


# Cells that only placement makes

ALU_PORTS = {"I0": 1, "I1": 1, "I3": 1, "CIN": 1}
RAW_TABLES = {
    0: "0110000001101010",
    1: "1001000010011010",
    2: "0110000010011010",
    3: "1001000010011111",
    4: "1001000010011010",
    6: "1010000010100000",
    7: "0101000001011111",
    8: "1010111101011010",
}
"""Mode of an ALU of Gowin -> the look-up table that Project Apicula packs for it."""


def all_inputs(case: Case) -> Bits:
    bits = case.input_bits
    return (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(np.uint8)


@pytest.mark.parametrize("mode", RAW_TABLES)
def test_the_table_of_an_alu_does_what_its_mode_does(mode: int) -> None:
    outputs = {"SUM": 1, "COUT": 1}
    known = Case("ALU", {"ALU_MODE": (32, mode)}, ALU_PORTS, outputs)
    table = {"ALU_MODE": (32, 2), "RAW_ALU_LUT": (16, int(RAW_TABLES[mode], 2))}
    placed = Case("ALU", table, ALU_PORTS, outputs)
    rows = all_inputs(known)
    found, right = placed.evaluate("gowin", rows), known.evaluate("gowin", rows)
    assert np.array_equal(found, right)


@pytest.mark.parametrize(
    ("end", "total", "carry"), [("C2L", [0, 1], [0, 0]), ("ONE2C", [0, 1], [1, 1])]
)
def test_the_ends_of_a_carry_chain(end: str, total: list[int], carry: list[int]) -> None:
    case = Case("ALU", {"ALU_MODE": end}, {"CIN": 1}, {"SUM": 1, "COUT": 1})
    found = case.evaluate("gowin", all_inputs(case))
    assert found[:, 0].tolist() == total
    assert found[:, 1].tolist() == carry
