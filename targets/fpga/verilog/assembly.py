"""A network as a core for a design of the user's: Verilog with a header, and its clock."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import onnx_ir as ir

from actc.targets.fpga.assembly import Assembly, assemble, core_name
from actc.targets.fpga.network import build_network
from actc.targets.fpga.options import VerilogOptions
from actc.targets.fpga.pipeline import report
from actc.targets.fpga.tables import check_tables, pipelined
from actc.targets.fpga.verilog.devices import (
    constraint_suffix,
    family_device,
    family_timing,
    network_options,
)
from actc.targets.fpga.verilog.header import header

_CLOCK = """\
# The clock that the pipeline was planned for: {mhz:g} MHz.
create_clock -name clk -period {period:.3f} [get_ports clk]
"""


def assemble_core(golden: ir.Model, name: str, options: VerilogOptions) -> Assembly:
    """Build the hardware of a golden model, with bare ports.

    Args:
        name: of the network; its modules are called after it.

    Raises:
        ModelError: ACT0550..0552, the model cannot be unrolled.
        UsageError: the clock or the latency cannot be had; ACT0556, tables in block memories
            cannot.
    """
    device, timing = family_device(options.device), family_timing(options.device)
    check_tables(options.tables, device)
    unrolling = network_options(options.device, options.effort)
    network = build_network(golden, core_name(name), unrolling)
    tables = options.tables, device, timing, unrolling.functions
    if options.latency is None:
        clock_mhz = options.clock or device.clock_mhz
        network, design = pipelined(network, *tables, {"clock_mhz": clock_mhz})
    else:
        network, design = pipelined(network, *tables, {"latency": options.latency})
        clock_mhz = float(floor(report(design, timing).clock_mhz))
    bare = assemble(
        network, design, timing, kind="stream", clock_mhz=clock_mhz, place=options.device
    )
    top = f"{bare.top}.v"
    text = header(bare, device.title) + bare.files[top].partition("\n")[2]
    return replace(bare, files={**bare.files, top: text})


def clock_constraint(assembly: Assembly, family: str) -> tuple[str, str]:
    """Name and text of the file that tells the tools the clock."""
    mhz = assembly.clock_mhz
    text = _CLOCK.format(mhz=mhz, period=1e3 / mhz)
    return f"{assembly.top}{constraint_suffix(family)}", text
