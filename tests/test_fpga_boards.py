"""Boards and devices: data files, constraint files, clocks, and what is wrong with them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from installed import needs_yosys

from actc.diagnostics import Diagnostic
from actc.errors import ActcError, UsageError
from actc.targets.fpga.boards import (
    ROLES,
    Board,
    board_names,
    device_names,
    devices,
    find_board,
    load,
    make_pll,
    write_constraints,
)
from actc.targets.fpga.synthesis import synthesize
from actc.targets.named import make_target

STABLE = (
    *("ecp5-25k", "ecp5-45k", "ecp5-85k", "ice40-hx8k", "ice40-up5k"),
    *("gowin-gw1n9", "gowin-gw2a18", "icebreaker", "tangnano9k", "tangnano20k"),
    *("ulx3s-25f", "ulx3s-45f", "ulx3s-85f"),
)
BOARD = """\
title = "My board"
device = "ecp5-25k"
clock_mhz = 16
standard = "LVCMOS33"

[pins]
clk = "A1"
led = { site = "B2", inverted = true, standard = "LVCMOS18", pull = "down" }
"""


DATA = Path(load.__file__).parent / "data"
DOCS = Path(__file__).resolve().parent.parent / "docs" / "boards.md"


def only(problem: ActcError) -> Diagnostic:
    assert len(problem.diagnostics) == 1
    return problem.diagnostics[0]


def test_names_that_users_rely_on() -> None:
    assert set(STABLE) <= {*board_names(), *device_names()}
    assert not set(board_names()) & set(device_names())


@pytest.mark.parametrize("name", [*board_names(), *device_names()])
def test_the_documentation_lists_it(name: str) -> None:
    title = find_board(name).title
    assert re.search(rf"^\| `{name}` \| {re.escape(title)} \|", DOCS.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", board_names())
def test_each_board_has_a_clock_a_uart_and_a_program(name: str) -> None:
    board = find_board(name)
    assert {"clk", "uart_rx", "uart_tx", "led"} <= set(board.pins) <= set(ROLES)
    sites = [pin.site for pin in board.pins.values()]
    assert len(set(sites)) == len(sites)
    assert not board.generic
    command = board.program_command("top.bit")
    assert command[-1] == "top.bit"
    assert "{bitstream}" not in " ".join(command)


@pytest.mark.parametrize("name", board_names())
def test_each_board_has_all_pins_and_says_where_they_are_from(name: str) -> None:
    assert set(find_board(name).pins) == set(ROLES)
    assert (DATA / f"{name}.toml").read_text().startswith("# Pins: ")


@pytest.mark.parametrize(
    "names",
    [("ulx3s-25f", "ulx3s-45f", "ulx3s-85f"), ("orangecrab-25f", "orangecrab-85f")],
)
def test_boards_that_differ_in_their_device_alone(names: tuple[str, ...]) -> None:
    boards = [find_board(name) for name in names]
    for board in boards[1:]:
        assert (board.pins, board.package, board.speed, board.clock_mhz, board.program) == (
            boards[0].pins, boards[0].package, boards[0].speed, boards[0].clock_mhz,
            boards[0].program,
        )  # fmt: skip
    assert len({board.device.name for board in boards}) == len(boards)


def test_a_board_file_is_a_target(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    target = make_target(f"{path}:clock=20")
    assert target.spec == "mine.toml:clock=20"
    assert make_target(target.spec, tmp_path).capabilities() == target.capabilities()
    assert "*.bit" in target.capabilities().products
    with pytest.raises(UsageError) as caught:
        make_target(str(tmp_path / "other.toml"))
    assert only(caught.value).code == "ACT0589"


@pytest.mark.parametrize("name", device_names())
def test_each_device_is_a_generic_board(name: str) -> None:
    board = find_board(name)
    assert board.generic
    assert board.device is devices()[name]
    # Gowin's placer wants every pin to be given
    assert bool(board.pins) == (board.device.family == "gowin")
    assert board.program == ()


def test_a_wrong_name_suggests_the_right_one() -> None:
    with pytest.raises(UsageError) as caught:
        find_board("ulx3s85")
    problem = only(caught.value)
    assert problem.code == "ACT0580"
    assert "did you mean 'ulx3s-85f'?" in problem.help
    with pytest.raises(UsageError) as caught:
        find_board("zzzz")
    assert "did you mean" not in only(caught.value).help
    assert "icebreaker" in only(caught.value).help


def test_a_board_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    board = find_board(str(path))
    assert (board.name, board.device.name, board.package, board.clock_mhz) == (
        *("mine", "ecp5-25k", "CABGA381"),
        16.0,
    )
    assert board.pins["led"].inverted
    assert write_constraints(board, {"clk": "clk", "led[0]": "led"}) == (
        'LOCATE COMP "clk" SITE "A1";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'
        'LOCATE COMP "led[0]" SITE "B2";\nIOBUF PORT "led[0]" IO_TYPE=LVCMOS18 PULLMODE=DOWN;\n'
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"ecp5-25k"', '"ecp5-99k"', ["'device'", "ecp5-25k"]),
        ("clock_mhz = 16", "clock_mhz = -1", ["'clock_mhz'"]),
        ("clock_mhz = 16", "clock_mhz = true", ["'clock_mhz'"]),
        ("clock_mhz = 16", "", ["'clock_mhz' is missing"]),
        ("clock_mhz = 16", "clock_mhz = 16\nclocks = 1", ["no field 'clocks'"]),
        ('clk = "A1"', 'clock = "A1"', ["'pins.clock'", "clk"]),
        ('clk = "A1"', 'clk = "A1\\nset_io x"', ["'pins.clk.site'"]),
        ('clk = "A1"', "clk = 7", ["'pins.clk'"]),
        ('pull = "down"', 'pull = "sideways"', ["'pins.led.pull'"]),
        ("inverted = true", "inverted = 1", ["'pins.led.inverted'"]),
        ('"LVCMOS18"', '"LVCMOS18;"', ["'pins.led.standard'"]),
        ('standard = "LVCMOS33"', 'standard = "LVCMOS33;"', ["'standard'"]),
        ('"My board"', '"My\\u0007board"', ["'title'"]),
        ("[pins]", "pins = 3\n[other]", ["'pins'"]),
        ("[pins]", "[pins", ["cannot read the board"]),
    ],
)
def test_a_wrong_board_file_is_refused(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    path = tmp_path / "wrong.toml"
    assert old in BOARD
    path.write_text(BOARD.replace(old, new))
    with pytest.raises(UsageError) as caught:
        find_board(str(path))
    problem = only(caught.value)
    assert problem.code == "ACT0589"
    assert problem.place.file == str(path)
    assert all(word in problem.message for word in words), problem.message


def test_a_missing_board_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_board(str(tmp_path / "none.toml"))
    assert only(caught.value).code == "ACT0589"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("icebreaker", "set_io clk 35\nset_io y 9\n"),
        (
            "ulx3s-25f",
            'LOCATE COMP "clk" SITE "G2";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'
            'LOCATE COMP "y" SITE "L4";\nIOBUF PORT "y" IO_TYPE=LVCMOS33;\n',
        ),
        (
            "tangnano9k",
            'IO_LOC "clk" 52;\nIO_PORT "clk" IO_TYPE=LVCMOS33;\n'
            'IO_LOC "y" 17;\nIO_PORT "y" IO_TYPE=LVCMOS33;\n',
        ),
        ("ecp5-25k", ""),
    ],
)
def test_constraint_files(name: str, text: str) -> None:
    assert write_constraints(find_board(name), {"clk": "clk", "y": "uart_tx"}) == text


def test_a_pin_that_a_board_lacks(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    with pytest.raises(UsageError) as caught:
        write_constraints(find_board(str(path)), {"rx": "uart_rx"})
    problem = only(caught.value)
    assert problem.code == "ACT0588"
    assert "uart_rx" in problem.message
    assert "clk, led" in problem.notes[0]


@pytest.mark.parametrize("port", ["a b", 'x";', "x\n", "1x", ""])
def test_a_port_cannot_break_out_of_a_constraint_file(port: str) -> None:
    with pytest.raises(ValueError, match="not a port"):
        write_constraints(find_board("icebreaker"), {port: "clk"})


def field(verilog: str, name: str) -> int:
    found = re.search(rf"\.{name}\((?:\d+'d)?(\d+)\)", verilog)
    assert found is not None, name
    return int(found[1])


def settings(board: Board, verilog: str) -> tuple[Fraction, Fraction, Fraction]:
    """Compared, oscillator's and output frequency, read from the Verilog alone."""
    source = Fraction(str(board.clock_mhz))
    match board.device.family:
        case "ice40":
            compare = source / (field(verilog, "DIVR") + 1)
            vco = compare * (field(verilog, "DIVF") + 1)
            return compare, vco, vco / 2 ** field(verilog, "DIVQ")
        case "ecp5":
            compare = source / field(verilog, "CLKI_DIV")
            output = compare * field(verilog, "CLKFB_DIV")
            return compare, output * field(verilog, "CLKOP_DIV"), output
        case _:
            compare = source / (field(verilog, "IDIV_SEL") + 1)
            output = compare * (field(verilog, "FBDIV_SEL") + 1)
            return compare, output * field(verilog, "ODIV_SEL"), output


@pytest.mark.parametrize(
    ("name", "target", "compare", "vco", "within"),
    [
        ("icebreaker", 48.0, (10, 133), (533, 1066), 0.0),
        ("ice40-hx8k", 101.0, (10, 133), (533, 1066), 1.5),
        ("ulx3s-85f", 120.0, (3.125, 400), (400, 800), 0.0),
        ("orangecrab-25f", 133.33, (3.125, 400), (400, 800), 0.5),
        ("tangnano9k", 100.0, (3, 400), (400, 1200), 1.5),
        ("tangnano20k", 148.5, (3, 500), (500, 1250), 0.0),
    ],
)
def test_clocks_keep_the_limits_of_their_plls(
    name: str,
    target: float,
    compare: tuple[float, float],
    vco: tuple[float, float],
    within: float,
) -> None:
    board = find_board(name)
    pll = make_pll(board, target, "clock")
    compared, oscillator, output = settings(board, pll.verilog)
    assert compare[0] <= compared <= compare[1]
    assert vco[0] <= oscillator <= vco[1]
    assert float(output) == pll.frequency_mhz
    assert target - within <= pll.frequency_mhz <= target
    assert pll.verilog.startswith("module clock (")


def test_the_clock_that_icepll_chooses() -> None:
    # icepll -i 12 -o 48 of Project IceStorm
    pll = make_pll(find_board("icebreaker"), 48.0)
    names = ("DIVR", "DIVF", "DIVQ", "FILTER_RANGE")
    assert tuple(field(pll.verilog, name) for name in names) == (0, 63, 4, 1)


def test_a_clock_at_the_pad_of_a_pll_is_taken_there() -> None:
    assert "SB_PLL40_PAD" in make_pll(find_board("icebreaker"), 30.0).verilog
    assert "SB_PLL40_CORE" in make_pll(find_board("ice40-hx8k-evn"), 30.0).verilog


@pytest.mark.parametrize("target", [1.0, 0.001])
def test_a_clock_out_of_reach(target: float) -> None:
    with pytest.raises(UsageError) as caught:
        make_pll(find_board("ulx3s-25f"), target)
    problem = only(caught.value)
    assert problem.code == "ACT0587"
    assert "3.125 to 400 MHz" in problem.notes[0]


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("icebreaker", "SB_PLL40_PAD"),
        ("ice40-hx8k", "SB_PLL40_CORE"),
        ("ulx3s-25f", "EHXPLLL"),
        ("tangnano9k", "rPLL"),
    ],
)
def test_the_synthesizer_takes_the_clock_as_no_logic(name: str, cell: str) -> None:
    board = find_board(name)
    found = synthesize(make_pll(board, 60.0).verilog, "pll", board.device.family)
    assert found.cells[cell] == 1
    # its output is fed back to it on ECP5: no loop of logic
    assert (found.depth, found.logic_cells) == (0, 0)


def test_no_clock_exceeds_what_the_pll_gives() -> None:
    assert make_pll(find_board("ulx3s-25f"), 5000.0).frequency_mhz == 400.0
