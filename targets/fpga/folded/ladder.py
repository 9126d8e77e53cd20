"""The ladder of verification of a folded network: every form of it, compared with golden.

Program, Verilog, synthesized netlist, placed and routed netlist: each rung gets samples of the
data and random ones, word by word through the core's handshakes, and must give the integers
that golden gives. In Verilog samples follow each other through one machine, in netlists by
twos through copies of it (:mod:`~actc.targets.fpga.gates.lanes`), so that one is computed
while the next one comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.device.throughput import measure_throughput
from actc.targets.base import Progress, Rung
from actc.targets.fpga.assembly import RTL
from actc.targets.fpga.bitstream import TOP
from actc.targets.fpga.boards import device as boards
from actc.targets.fpga.flow import BITSTREAMS, CONFIGURATIONS
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.samples import Samples, compared, program_rung, samples_of
from actc.targets.fpga.folded.simulation import (
    element_bits,
    elements_of_bits,
    simulate_folded,
)
from actc.targets.fpga.gates import GateNetlist
from actc.targets.fpga.gates.core import CORE, Border, cut_core, find_border
from actc.targets.fpga.gates.lanes import LaneSimulation
from actc.targets.fpga.gates.netlist import MODELS
from actc.targets.fpga.ladder.netlists import configuration_rung, read_netlist

Array = npt.NDArray[Any]

MOST = 1000
"""Samples of the data that go up the ladder."""
RANDOM = 24
"""Random samples beside them."""
OVER_THE_WIRE = 3
"""Samples that go over the wire of the board: each takes hundreds of thousands of clocks."""
FOLLOWING = 2
"""Samples that follow each other through each copy of a netlist."""
_PATIENCE = 4
"""Times the estimated clocks after which a netlist is given up."""


def climb_folded(
    assembly: FoldedAssembly,
    device: boards.Device,
    golden: ir.Model,
    directory: Path,
    folder: str,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
    say: Progress,
) -> list[Rung]:
    """Compare every form with golden.

    Args:
        device: what the netlists and the bitstream are for.
        golden: the model.
        directory: the output; `folder` in it has netlists and configuration.
        feeds, outputs: the data and golden's outputs for it.

    Raises:
        ToolFailed: a tool failed, or a netlist cannot be evaluated.
    """
    say("verify: program and Verilog")
    samples = samples_of(assembly.network, golden, feeds, outputs, most=MOST, random=RANDOM)
    rungs = [program_rung(assembly.network, samples), verilog_rung(assembly, directory, samples)]
    say("verify: the board over its wire")
    rungs.append(board_rung(assembly, directory, samples))
    names = ("synthesized netlist", "routed netlist")
    if device.family not in MODELS:
        reason = f"cells of {device.family} have no models yet"
        return rungs + [Rung(name, "not run", reason) for name in (*names, "bitstream")]
    work = directory / folder
    synthesized, routed = read_netlist(work / "netlist.json"), read_netlist(work / "routed.json")
    border = find_border(
        synthesized, assembly.top, "core", assembly.input_ports, assembly.output_ports
    )
    places = ((names[0], synthesized, assembly.top), (names[1], routed, TOP))
    for name, document, top in places:
        say(f"verify: {name}")
        rungs.append(netlist_rung(name, assembly, document, top, border, device.family, samples))
    say("verify: bitstream")
    path = directory / f"{assembly.top}{BITSTREAMS[device.family]}"
    reason = "networks with memories that are written are not decompiled"
    asked = work / CONFIGURATIONS.get(device.family, "")
    rungs.append(configuration_rung("bitstream", device, path, asked, reason))
    return rungs


def verilog_rung(assembly: FoldedAssembly, directory: Path, samples: Samples) -> Rung:
    """The files as they were written, in a simulator, one sample after the other."""
    files = {name: (directory / RTL / name).read_text("ascii") for name in assembly.core_files}
    found = simulate_folded(assembly.design, samples.words, files=files)
    how = f"simulated, {found.interval:,.0f} clocks a sample; {samples.kind}"
    return compared("Verilog", found.outputs, samples, how)


def board_rung(assembly: FoldedAssembly, directory: Path, samples: Samples) -> Rung:
    """The whole board in simulation, asked over its wire by the host's own client."""
    name = "board, over its wire"
    if assembly.kind == "stream":
        return Rung(name, "not run", "a bare stream has no wire")
    feeds = {key: array[:OVER_THE_WIRE] for key, array in samples.feeds.items()}
    found = measure_throughput(directory, feeds)
    right = {key: array[:OVER_THE_WIRE] for key, array in samples.golden.items()}
    if not assembly.network.agrees(found.outputs, right).all():
        return Rung(name, "differs", "simulated, asked as by `actc run`", OVER_THE_WIRE)
    rate = f"{found.samples_per_second:,.0f} samples/s and {1e3 * found.latency_seconds:.3g} ms"
    how = f"simulated with its {assembly.kind}, asked as by `actc run`: {rate}, wire included"
    return Rung(name, "equal", how, OVER_THE_WIRE)


def netlist_rung(
    name: str,
    assembly: FoldedAssembly,
    document: Mapping[str, Any],
    top: str,
    border: Border,
    family: str,
    samples: Samples,
) -> Rung:
    """The network's cells in a netlist of the board."""
    netlist = GateNetlist.read(cut_core(document, top, border), CORE, family)
    design = assembly.design
    choice = assembly.choice
    limit = _PATIENCE * (round(choice.latency) + FOLLOWING * choice.interval + 1000)
    copies = -(-samples.count // FOLLOWING)
    # the first ones once more where the last copy would have too few
    every = np.resize(np.arange(samples.count), copies * FOLLOWING)
    words = element_bits(samples.words[every], design.input)
    words = words.reshape(copies, -1, design.input.bits)
    count = FOLLOWING * design.output_words
    output = design.program.stream(design.program.exits[0])
    rung = Rung(name, "not run", "there are no samples")
    # what nothing drives, as words that are read while they are written, may be anything
    for floating in (0, 1) if netlist.floating else (0,):
        simulation = LaneSimulation(netlist, copies, floating=floating)
        found = simulation.stream(words, count, design.output.bits, limit)
        bits = found.outputs.reshape(len(every), design.output_words, design.output.bits)
        values = elements_of_bits(bits[: samples.count], output, design.output)
        how = f"{sum(netlist.cells.values())} cells, {found.clocks:,} clocks; {samples.kind}"
        rung = compared(name, values, samples, how)
        if rung.result == "differs":
            return rung
    return rung
