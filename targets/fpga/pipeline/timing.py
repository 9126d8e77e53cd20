"""How fast the families are: delays of their cells with typical wires, as data.

The numbers of families that nextpnr places are fitted to its timing reports (yowasp-nextpnr
0.11) by benchmarks/fpga_timing.py, see docs/pipelining.md; those of AMD are guesses in
proportion to them. They are estimates for scheduling, with some room for wires of designs that
take a tenth of the device: what a placed and routed design reaches, only its own report says.
"""

from __future__ import annotations

from dataclasses import dataclass

from actc.diagnostics import Diagnostic
from actc.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays of an FPGA family at a speed grade, ns.

    Attributes:
        name: as written by users.
        title: what it is.
        lut_inputs: inputs of a look-up table.
        wide_inputs: inputs of the widest one that dedicated multiplexers make of several.
        overhead: from the clock to a flip-flop's output, and set-up at the next one.
        level: through a look-up table, and the wire to it.
        mux: through a dedicated multiplexer.
        chain: into and out of a carry chain, beyond `level`.
        carry: along a carry chain, per bit.
        memory_setup: wire to the address of a block memory, and set-up there.
        memory_read: from the clock to the data of a block memory, beyond `overhead`.
        multiply: through a hard multiplier without registers, and the wires to it.
    """

    name: str
    title: str
    lut_inputs: int
    wide_inputs: int
    overhead: float
    level: float
    mux: float
    chain: float
    carry: float
    memory_setup: float
    memory_read: float
    multiply: float = 6.0


_TIMINGS = (
    Timing("ice40-hx", "Lattice iCE40 HX", 4, 4, 1.85, 1.25, 0.0, 0.43, 0.144, 1.25, 1.75, 16.0),
    Timing("ice40-up", "Lattice iCE40 UltraPlus", 4, 4, 5.3, 3.4, 0.0, 1.2, 0.33, 3.4, 0.5, 16.0),
    Timing("ecp5-6", "Lattice ECP5, speed 6", 4, 7, 1.4, 1.35, 0.25, 0.75, 0.036, 1.2, 5.1, 5.6),
    Timing("ecp5-7", "Lattice ECP5, speed 7", 4, 7, 1.25, 1.2, 0.22, 0.67, 0.032, 1.1, 4.5, 5.0),
    Timing("ecp5-8", "Lattice ECP5, speed 8", 4, 7, 1.15, 1.1, 0.20, 0.62, 0.029, 1.0, 4.1, 4.6),
    Timing("gowin-gw1n9", "Gowin GW1NR-9C C6/I5", 4, 8, 1.8, 1.9, 0.20, 1.0, 0.06, 1.5, 3.5),
    Timing("gowin-gw2a18", "Gowin GW2AR-18C C8/I7", 4, 8, 0.95, 1.0, 0.11, 0.54, 0.032, 0.8, 3.5),
    Timing("xc7", "AMD (Xilinx) 7 series", 6, 8, 1.0, 0.9, 0.25, 0.6, 0.03, 1.0, 2.0),
    Timing("xcup", "AMD (Xilinx) UltraScale+", 6, 9, 0.5, 0.5, 0.15, 0.3, 0.012, 0.6, 1.1),
)
TIMINGS: dict[str, Timing] = {timing.name: timing for timing in _TIMINGS}
"""The timings, by name."""


def find_timing(name: str) -> Timing:
    """The timing called `name`.

    Raises:
        UsageError: ACT0560, there is none.
    """
    found = TIMINGS.get(name)
    if found is None:
        raise UsageError(
            Diagnostic(
                "ACT0560",
                f"there is no timing {name!r}",
                help=f"write one of {', '.join(TIMINGS)}",
            )
        )
    return found
