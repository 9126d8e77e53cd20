"""Simulation of units by Icarus Verilog, for every input in one run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.toolchain import find, run

INSTALL = "apt-get install iverilog"
TIMEOUT = 120.0
"""Seconds that the compiler and the simulator have, each."""
MEMORY = 4 << 30
"""Bytes of address space that each may take."""

_BENCH = """\
module bench_of_{top};
  reg [{last_in}:0] stimuli [0:{last}];
  reg [{last_out}:0] responses [0:{last}];
  reg [{last_in}:0] x;
  wire [{last_out}:0] y;
  reg clk = 1'd0;
  integer step;
  {top} unit (.x(x), .y(y){clock});
  initial begin
    $readmemh("{top}.in", stimuli);
    for (step = 0; step < {count} + {latency}; step = step + 1) begin
      x = stimuli[step < {count} ? step : {last}];
      #1;
      if (step >= {latency}) responses[step - {latency}] = y;
      clk = 1'd1;
      #1 clk = 1'd0;
    end
    $writememh("{top}.out", responses);
  end
endmodule
"""


def simulate_unit(
    verilog: str,
    top: str,
    codes: Codes,
    input: FixedPoint,
    output: FixedPoint,
    *,
    latency: int = 0,
) -> Codes:
    """Output codes of a unit with ports x and y.

    Args:
        verilog: its source.
        top: its module.
        codes: input codes, int64 [n], n >= 1.
        input, output: the formats of x and y.
        latency: clocks until an input's output; above 0 the unit has a port clk.

    Returns:
        int64 [n].

    Raises:
        MissingTool: ACT0501, Icarus Verilog is not installed.
        ToolFailed: the source is wrong, a limit is exceeded, or ACT0523, an output has
            undefined bits.
    """
    return simulate_units(verilog, {top: (codes, input, output, latency)})[top]


def simulate_units(
    verilog: str, units: Mapping[str, tuple[Codes, FixedPoint, FixedPoint, int]]
) -> dict[str, Codes]:
    """Output codes of several units of one source, simulated in one run.

    Args:
        units: module -> codes, input format, output format and latency, as for
            :func:`simulate_unit`.

    Raises:
        As :func:`simulate_unit`.
    """
    compiler, simulator = find("iverilog", INSTALL), find("vvp", INSTALL)
    with tempfile.TemporaryDirectory(prefix="actc-") as name:
        directory = Path(name)
        (directory / "unit.v").write_text(verilog, "ascii")
        benches = []
        for top, (codes, input, output, latency) in units.items():
            benches.append(_bench(top, len(codes), input, output, latency))
            (directory / f"{top}.in").write_text(_hexadecimal(input.check(codes), input), "ascii")
        (directory / "bench.v").write_text("".join(benches), "ascii")
        roots = [argument for top in units for argument in ("-s", f"bench_of_{top}")]
        build = [str(compiler), "-g2005", "-o", "bench.vvp", *roots, "unit.v", "bench.v"]
        run(build, timeout=TIMEOUT, memory=MEMORY, cwd=directory)
        log = run(
            [str(simulator), "-n", "bench.vvp"], timeout=TIMEOUT, memory=MEMORY, cwd=directory
        )
        found = {}
        for top, (codes, _, output, _) in units.items():
            words = read_words(directory / f"{top}.out", len(codes), top, log.output)
            found[top] = _codes(words, output)
        return found


def _bench(top: str, count: int, input: FixedPoint, output: FixedPoint, latency: int) -> str:
    return _BENCH.format(
        top=top,
        count=count,
        last=count - 1,
        last_in=input.bits - 1,
        last_out=output.bits - 1,
        latency=latency,
        clock=", .clk(clk)" if latency else "",
    )


def _hexadecimal(codes: Codes, format: FixedPoint) -> str:
    return "\n".join(f"{code:x}" for code in (codes & (format.count - 1)).tolist()) + "\n"


def read_words(path: Path, count: int, name: str, log: str) -> list[str]:
    """The words that a simulation wrote with $writememh, hexadecimal.

    Args:
        count: how many there must be.
        name: what was simulated.
        log: of the simulator.

    Raises:
        ToolFailed: ACT0523, words are missing or have undefined bits.
    """
    text = path.read_text("ascii", errors="replace") if path.exists() else ""
    words = re.sub(r"//[^\n]*|@[0-9a-fA-F]+", "", text).split()
    undefined = sum(not re.fullmatch("[0-9a-f]+", word) for word in words)
    if len(words) != count or undefined:
        raise ToolFailed(
            Diagnostic(
                "ACT0523",
                f"the simulation of {name} gave {len(words)} of {count} outputs, "
                f"{undefined} of them undefined",
                notes=tuple(log.splitlines()[-20:]),
                help="this is an error of the design or of the simulator; please report it",
            )
        )
    return words


def _codes(words: list[str], output: FixedPoint) -> Codes:
    raw = np.array([int(word, 16) for word in words], np.int64)
    return raw - output.count * (raw > output.high)
