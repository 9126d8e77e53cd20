"""Verilog around cores: what tools say to it, what it takes, and the bare stream simulated."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_cores import BUILD, PLL, Core, bytes_out, odd, sums, wide
from installed import needs_iverilog, needs_verilator

from actc.errors import UsageError
from actc.targets.fpga.interfaces import (
    KINDS,
    RESERVED,
    ClockModule,
    CoreInfo,
    CorePort,
    Kind,
    interface_files,
    interface_top,
    uart_divisor,
)
from actc.targets.fpga.synthesis import Resources, synthesize
from actc.toolchain import run

CORES = {
    "combinational": sums(),
    "odd widths": odd(),
    "wide": wide(),
    "16 bytes out": bytes_out(16),
    "17 bytes out": bytes_out(17, 100),
}
PLL_TEXT = """\
module actc_pll (input reference, output clk, output locked);
  assign clk = reference;
  assign locked = 1'b1;
endmodule
"""


def files(kind: Kind, core: Core, clock: ClockModule | None = None) -> dict[str, str]:
    made = interface_files(kind, core.info, clock_hz=12e6, baud=115200, build_id=BUILD, clock=clock)
    return {**made, f"{core.name}.v": core.verilog}


def write(directory: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        (directory / name).write_text(text, "ascii")
    return list(texts)


def resources(kind: Kind, core: Core, family: str) -> Resources:
    text = "\n".join(files(kind, core).values())
    return synthesize(text, interface_top(kind, core.info), family)


# --- what tools say


@needs_verilator
@pytest.mark.parametrize("core", CORES.values(), ids=CORES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_verilator_has_nothing_to_say(kind: Kind, core: Core, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, core))
    top = interface_top(kind, core.info)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@needs_verilator
def test_verilator_takes_a_clock_module(tmp_path: Path) -> None:
    clock = ClockModule("actc_pll", {"actc_pll.v": PLL_TEXT})
    names = write(tmp_path, files("uart", sums(), clock))
    assert "actc_pll.v" in names
    command = ["verilator", "--lint-only", "-Wall", "--top-module", "sums_uart", *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""


@needs_iverilog
@pytest.mark.parametrize("kind", KINDS)
def test_icarus_reads_it_as_verilog_2005(kind: Kind, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, odd()))
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", "out.vvp", *names]
    done = run(command, timeout=60, cwd=tmp_path)
    assert done.output == ""


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ice40", "ecp5"])
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_a_wrapper_is_small(kind: Kind, family: str) -> None:
    """Beside one flip-flop per bit in and out it takes a fixed, small number of cells."""
    core = bytes_out(1, 0)
    found = synthesize(
        "\n".join(files(kind, core).values()), interface_top(kind, core.info), family
    )
    assert found.brams == found.dsps == 0
    assert found.luts <= (265 if family == "ice40" else 420)
    assert found.ffs <= 170 + core.info.input_bits + core.info.output_bits


@pytest.mark.slow
def test_a_wrapper_grows_by_its_bits_only() -> None:
    small = synthesize(
        "\n".join(files("uart", bytes_out(1, 0)).values()), "bytes_out_uart", "ice40"
    )
    large = synthesize(
        "\n".join(files("uart", bytes_out(9, 0)).values()), "bytes_out_uart", "ice40"
    )
    assert large.ffs - small.ffs == 64
    assert large.luts - small.luts <= 80


@pytest.mark.slow
def test_a_stream_costs_its_valid_bits() -> None:
    core = odd(7)
    alone = synthesize(core.verilog, core.name, "ice40")
    assert resources("stream", core, "ice40").ffs == alone.ffs + 7


# --- the bare stream


STREAM_BENCH = """\
module bench;
  reg clk = 1'b0;
  reg in_valid = 1'b0;
  reg [{a}:0] in_a;
  reg [{b}:0] in_b;
  wire out_valid;
  wire [10:0] out_c;
  wire out_d;
  wire [14:0] out_e;
  integer step;
  reg [{a}:0] as [0:{last}];
  reg [{b}:0] bs [0:{last}];
  odd_stream stream (
    .clk(clk), .in_valid(in_valid), .in_a(in_a), .in_b(in_b),
    .out_valid(out_valid), .out_c(out_c), .out_d(out_d), .out_e(out_e)
  );
  initial begin
    $readmemh("a.hex", as);
    $readmemh("b.hex", bs);
    for (step = 0; step <= {last} + 20; step = step + 1) begin
      in_valid = step <= {last} && step % 3 != 1;
      in_a = as[step];
      in_b = bs[step];
      #1;
      if (out_valid) $display("%0d %0d %0d %0d", step, out_c, out_d, out_e);
      clk = 1'b1;
      #1 clk = 1'b0;
    end
    $finish;
  end
endmodule
"""


@needs_iverilog
@pytest.mark.parametrize("latency", [0, 1, 7])
def test_a_stream_says_when_its_outputs_count(latency: int, tmp_path: Path) -> None:
    core, count = odd(latency), 30
    feeds = core.samples(count)
    place = np.arange(5) * 3
    a = (feeds["a"] << place).sum(axis=1)
    (tmp_path / "a.hex").write_text("\n".join(f"{v:x}" for v in a))
    (tmp_path / "b.hex").write_text("\n".join(f"{v:x}" for v in feeds["b"][:, 0]))
    names = write(tmp_path, files("stream", core))
    (tmp_path / "bench.v").write_text(STREAM_BENCH.format(a=14, b=10, last=count - 1))
    command = ["iverilog", "-g2005", "-s", "bench", "-o", "out.vvp", "bench.v", *names]
    run(command, timeout=60, cwd=tmp_path)
    output = run(["vvp", "-n", "out.vvp"], timeout=60, cwd=tmp_path).output
    expected = core.expected(feeds)
    e = (expected["e"] << place).sum(axis=1)
    wanted = [
        f"{step + latency} {expected['c'][step, 0]} {expected['d'][step, 0]} {e[step]}"
        for step in range(count)
        if step % 3 != 1
    ]
    assert output.splitlines() == wanted


# --- what is written


@pytest.mark.parametrize("kind", KINDS)
def test_equal_cores_give_equal_files(kind: Kind) -> None:
    made = files(kind, odd())
    assert made == files(kind, odd())
    assert next(iter(made)) == f"{interface_top(kind, odd().info)}.v"
    assert all(text.isascii() and "\t" not in text for text in made.values())


def test_the_modules_that_are_reserved_are_those_that_are_written() -> None:
    made = {name for kind in KINDS for name in files(kind, sums())}
    own = {f"{interface_top(kind, sums().info)}.v" for kind in KINDS} | {"sums.v"}
    assert made - own == {f"{name}.v" for name in RESERVED}
    for name, text in files("uart", sums()).items():
        assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [name.removesuffix(".v")]


def test_the_build_stands_in_the_design() -> None:
    one = files("uart", sums())["sums_uart.v"]
    other = interface_files(
        "uart", sums().info, clock_hz=12e6, baud=115200, build_id="0123456789abcdee"
    )["sums_uart.v"]
    assert one != other
    assert "0123456789abcdef01" in one  # version 1, then the build, lowest byte first


# --- wrong arguments


@pytest.mark.parametrize("name", ["1x", "a b", "module", "", "x;y", "logic", "a$b"])
def test_names_must_be_plain(name: str) -> None:
    port = CorePort("x", 1)
    with pytest.raises(UsageError) as caught:
        CoreInfo(name, (port,), (CorePort("y", 1),), 0, False)
    assert caught.value.diagnostics[0].code == "ACT0531"
    with pytest.raises(UsageError):
        ClockModule(name)


def test_cores_must_make_sense() -> None:
    x, y = (CorePort("x", 1),), (CorePort("y", 1),)
    for wrong in (
        ("c", (), y, 0, False),
        ("c", x, (), 0, False),
        ("c", x, x, 0, False),
        ("c", x, (CorePort("clk", 1),), 0, True),
        ("c", x, (CorePort("y", 0),), 0, False),
        ("c", x, y, -1, True),
        ("c", x, y, 3, False),
        ("c", (CorePort("x", 1 << 24),), y, 0, False),
    ):
        with pytest.raises(ValueError, match="c "):
            CoreInfo(*wrong)


def test_arguments_must_make_sense() -> None:
    info = sums().info
    with pytest.raises(ValueError, match="frequency"):
        interface_files("uart", info, build_id=BUILD)
    for build in ("", "xyz", "0123456789abcde", "0123456789 abcdef"):
        with pytest.raises(ValueError, match="hexa"):
            interface_files("spi", info, build_id=build)
    with pytest.raises(ValueError, match="clock from outside"):
        interface_files("stream", info, clock=PLL)
    for name in ("actc_receiver", "sums_uart", "sums"):
        with pytest.raises(ValueError, match="parts of the interface"):
            interface_files(
                "uart", info, clock_hz=12e6, baud=9600, build_id=BUILD, clock=ClockModule(name)
            )
    with pytest.raises(ValueError, match="parts of the interface"):
        interface_files("spi", replace(info, name="actc_spi"), build_id=BUILD)


@pytest.mark.parametrize(
    ("clock_hz", "baud", "divisor"),
    [(12e6, 1_000_000, 12), (12e6, 115200, 104), (57.3e6, 1_000_000, 57)],
)
def test_baud_rates_that_can_be_made(clock_hz: float, baud: int, divisor: int) -> None:
    assert uart_divisor(clock_hz, baud) == divisor


@pytest.mark.parametrize(
    ("clock_hz", "baud", "message"),
    [
        (12e6, 2_000_000, "need a faster clock"),
        (12e6, 0, "need a faster clock"),
        (12e6, -5, "need a faster clock"),
        (12e6, 1_150_000, "gives 1200000 baud"),
        (25e6, 3_000_000, "gives 3125000 baud"),
    ],
)
def test_baud_rates_that_cannot_be_made(clock_hz: float, baud: int, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        uart_divisor(clock_hz, baud)
    assert caught.value.diagnostics[0].code == "ACT0596"


def test_the_help_of_a_baud_rate_helps() -> None:
    for clock_hz, baud in ((12e6, 1_150_000), (12e6, 2_000_000), (25e6, 3_000_000)):
        with pytest.raises(UsageError) as caught:
            uart_divisor(clock_hz, baud)
        found = re.search(r"(\d+) baud", caught.value.diagnostics[0].help)
        assert found is not None
        uart_divisor(clock_hz, int(found[1]))
