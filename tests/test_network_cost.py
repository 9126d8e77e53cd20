"""Logic of unrolled layers: the estimate against counting, and against yosys."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import needs_yosys

from actc.approx.slope_sets import digit_count
from actc.cost import FAMILIES
from actc.cost.network import (
    add_cells,
    matrix_cells,
    maximum_cells,
    product_cells,
    requantize_cells,
    unit_cells,
)
from actc.cost.network.sums import coefficients, matrix_rows, signed_digits
from actc.targets.fpga.synthesis import Source, synthesize_all

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from network_cost import errors, fit, layer_verilog, layers, measured  # noqa: E402


def test_signed_digits_are_the_fewest() -> None:
    values = np.arange(-300, 300).reshape(3, -1)
    found = signed_digits(values)
    assert found.tolist() == [[digit_count(int(v)) for v in row] for row in values]


def test_rows_of_a_matrix_by_hand() -> None:
    # 3 = 4 - 1 and 7 = 8 - 1 are two rows of 4 bits each, -2 is one
    rows = matrix_rows(np.array([[3, 7, -2]]), 4)
    width = (12 * 15).bit_length() + 1
    assert rows.adder_bits == width
    assert rows.compressor_bits == 5 * 4 - 2 * width
    assert rows.negative_rows == 1
    # one power of two is a wire
    assert matrix_cells(np.array([[0, 4, 0], [0, 0, 0]]), 8, "ecp5") == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_more_takes_more(family: str) -> None:
    codes = np.random.default_rng(0).integers(-7, 8, (4, 8))
    assert 0 < matrix_cells(codes, 4, family) < matrix_cells(codes, 8, family)
    assert matrix_cells(codes // 4, 8, family) < matrix_cells(codes, 8, family)
    assert 0 < requantize_cells(20, 4, family) < requantize_cells(20, 8, family)
    assert requantize_cells(16, 8, family) < requantize_cells(24, 8, family)
    assert 0 < add_cells([8, 8], family) < add_cells([8] * 9, family)
    assert add_cells([8], family) == 0
    assert 0 < product_cells(4, 4, family) < product_cells(8, 8, family)
    assert 0 < maximum_cells(4, family) < maximum_cells(8, family)


def test_the_unit_is_the_cheapest_form() -> None:
    x = np.linspace(-6, 6, 4096)
    sigmoid = np.round(255 / (1 + np.exp(-x))).astype(np.int64)
    wide, narrow = unit_cells(sigmoid, 8, "ecp5"), unit_cells(sigmoid[::64], 8, "ecp5")
    assert narrow.cells < wide.cells
    assert wide.form != "table"  # 4096 entries are no longer the best
    assert unit_cells(np.arange(256), 8, "ice40").cells <= 1  # wires


@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_holds_on_layers_that_no_fit_has_seen(family: str) -> None:
    rows = [row for row in measured() if row["family"] == family]
    train, test = ([r for r in rows if r["held_out"] is held] for held in (False, True))
    assert len(train) >= 16
    assert len(test) >= 8
    assert fit(train) == coefficients()[family]
    off = errors(test, coefficients()[family])
    assert 0.01 < statistics.median(off) < LIMITS[family]


LIMITS = dict.fromkeys(FAMILIES, 0.25)


def small() -> Iterator[tuple[np.ndarray[Any, Any], int]]:
    """The smallest of the layers that no fit has seen."""
    yield from (case for case in layers(held_out=True) if case[0].shape[1] == 6)


@needs_yosys
def test_small_layers_synthesize_to_what_was_measured() -> None:
    cases = list(small())[:3]
    sources = [
        Source(layer_verilog(f"layer{n}", codes, bits), f"layer{n}")
        for n, (codes, bits) in enumerate(cases)
    ]
    known = {
        json.dumps([row["codes"], row["input_bits"]]): row["logic_cells"]
        for row in measured()
        if row["family"] == "ice40"
    }
    for found, (codes, bits) in zip(synthesize_all(sources, "ice40"), cases, strict=True):
        before = known[json.dumps([codes.tolist(), bits])]
        assert found.logic_cells == pytest.approx(before, rel=0.1, abs=3)  # yosys versions differ
        estimated = matrix_cells(codes, bits, "ice40")
        assert estimated == pytest.approx(found.logic_cells, rel=0.6, abs=20)
