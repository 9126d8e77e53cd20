"""The ladder of verification: every form that a network takes, compared with golden.

Description, Verilog, synthesized netlist, placed and routed netlist, bitstream: each rung
gets the same samples, those of the data and random ones over all codes, and must give the
integers that golden gives. The netlists are those of the whole board; the network is cut out
of them where its ports are. What lies around it, the port and its frames, is simulated with
a few samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.device.client import Device
from actc.errors import MissingTool, ToolFailed
from actc.ir import spec
from actc.targets.base import Progress, Rung
from actc.targets.fpga.assembly import RTL, Assembly
from actc.targets.fpga.bitstream import FAMILIES as DECOMPILED
from actc.targets.fpga.bitstream import TOP, decompiled_document, pads, register_nets
from actc.targets.fpga.flow import BITSTREAMS
from actc.targets.fpga.gates import GateNetlist, compare, compare_values
from actc.targets.fpga.gates.core import CORE, Border, cut_core, find_border, placed_border
from actc.targets.fpga.gates.netlist import MODELS
from actc.targets.fpga.network import Network
from actc.targets.fpga.rtl_simulation import simulate_design

Array = npt.NDArray[Any]

RANDOM = 1000
"""Random samples beside those of the data."""
MOST = 4000
"""Samples of the data that go up the ladder."""
UNREADABLE = "ACT0571"
"""A bitstream holds a part of the device that is not decompiled, as block memories of ECP5."""
OVER_THE_WIRE = 2
"""Samples that go over the wire of the board: each takes tens of thousands of clocks."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Samples for every rung.

    Attributes:
        feeds: the model's inputs.
        codes: what the network takes, by bus.
        golden: golden's outputs.
        expected: what the network must give, by bus.
        count: how many.
    """

    feeds: dict[str, Array]
    codes: dict[str, Array]
    golden: dict[str, Array]
    expected: dict[str, Array]
    count: int


def climb(
    assembly: Assembly,
    golden: ir.Model,
    directory: Path,
    folder: str,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
    say: Progress,
) -> list[Rung]:
    """Compare every form with golden.

    Args:
        golden: the model.
        directory: the output; `folder` in it has netlists and configuration.
        feeds, outputs: the data and golden's outputs for it.

    Raises:
        ToolFailed: a tool failed, or a netlist cannot be evaluated.
    """
    say("verify: description and Verilog")
    vectors = _vectors(assembly.network, golden, feeds, outputs)
    rungs = [_description(assembly, vectors), _verilog(assembly, directory, vectors)]
    say("verify: the board over its wire")
    rungs.append(_board(assembly, directory, vectors))
    assert assembly.board is not None
    family = assembly.board.device.family
    if family not in MODELS:
        reason = f"cells of {family} have no models yet"
        names = ("synthesized netlist", "routed netlist", "bitstream")
        return rungs + [Rung(name, "not run", reason) for name in names]
    work = directory / folder
    say("verify: netlists")
    synthesized, routed = _read(work / "netlist.json"), _read(work / "routed.json")
    border = _border(assembly, synthesized)
    for name, document, top in (
        ("synthesized netlist", synthesized, assembly.top),
        ("routed netlist", routed, TOP),
    ):
        rungs.append(_netlist(name, assembly, document, top, border, family, vectors))
    say("verify: bitstream")
    rungs.append(_bitstream(assembly, directory, routed, border, family, vectors))
    return rungs


def _vectors(
    network: Network, golden: ir.Model, feeds: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Vectors:
    """The first samples of the data, and random ones."""
    random = random_feeds(network, RANDOM)
    kept = {name: np.asarray(array)[:MOST] for name, array in feeds.items()}
    found = _specified(golden, random)
    all_feeds = {name: np.concatenate([kept[name], random[name]]) for name in kept}
    right = {name: np.concatenate([outputs[name][:MOST], found[name]]) for name in outputs}
    codes = network.prologue(all_feeds)
    expected = network.design.evaluate(codes)
    return Vectors(all_feeds, codes, right, expected, len(next(iter(all_feeds.values()))))


def _specified(golden: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Golden's outputs by the specification, in batches of the size that it has."""
    proto = ir.to_proto(golden)
    count = len(next(iter(feeds.values())))
    shape = golden.graph.inputs[0].shape
    batch = shape[0] if shape is not None and isinstance(shape[0], int) else count
    parts = []
    for start in range(0, count, batch):
        # the last batch is filled with the last sample
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        parts.append(spec.run(proto, {name: array[rows] for name, array in feeds.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def random_feeds(network: Network, count: int) -> dict[str, Array]:
    """Inputs whose codes are uniform over all that there are; the first are all least, all most.

    Returns:
        name of each of the model's inputs -> [count, ...] of its type.
    """
    generator = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for entry in network.entries:
        low, high = entry.range.low, entry.range.high
        codes = generator.integers(low, high + 1, (count, *entry.shape))
        codes[0], codes[1] = low, high
        if entry.kind == "quantize":
            found[entry.input] = ((codes - entry.zero_point) * entry.scale).astype(entry.dtype)
        else:
            found[entry.input] = codes.astype(entry.dtype)
    return found


def _description(assembly: Assembly, vectors: Vectors) -> Rung:
    """The hardware description, evaluated, against golden itself."""
    outputs = assembly.network.epilogue(vectors.expected)
    wrong = [
        name
        for name, array in vectors.golden.items()
        if not np.array_equal(outputs[name], array, equal_nan=True)
    ]
    name, how = "hardware description", "evaluated in exact integers"
    if wrong:
        return Rung(name, "differs", f"output {wrong[0]}", vectors.count)
    return Rung(name, "equal", f"{how}; {_counted(vectors)}", vectors.count)


def _verilog(assembly: Assembly, directory: Path, vectors: Vectors) -> Rung:
    """The files as they were written, in a simulator."""
    files = {name: (directory / RTL / name).read_text("ascii") for name in assembly.core_files}
    found = simulate_design(files, assembly.design, vectors.codes)
    difference = compare_values(found, vectors.expected)
    if difference is not None:
        return Rung("Verilog", "differs", str(difference), vectors.count)
    how = f"simulated, a sample every clock; {_counted(vectors)}"
    return Rung("Verilog", "equal", how, vectors.count)


def _border(assembly: Assembly, synthesized: Mapping[str, Any]) -> Border:
    inputs, outputs = assembly.input_ports, assembly.output_ports
    return find_border(synthesized, assembly.top, "core", inputs, outputs)


def _netlist(
    name: str,
    assembly: Assembly,
    document: Mapping[str, Any],
    top: str,
    border: Border,
    family: str,
    vectors: Vectors,
) -> Rung:
    """The network's cells in a netlist of the board."""
    netlist = GateNetlist.read(cut_core(document, top, border), CORE, family)
    difference = compare(netlist, assembly.design, vectors.codes, vectors.expected)
    if difference is not None:
        return Rung(name, "differs", str(difference), vectors.count)
    how = f"{sum(netlist.cells.values())} cells evaluated; {_counted(vectors)}"
    return Rung(name, "equal", how, vectors.count)


def _bitstream(
    assembly: Assembly,
    directory: Path,
    routed: Mapping[str, Any],
    border: Border,
    family: str,
    vectors: Vectors,
) -> Rung:
    """What the bits mean, found without the netlists: only the places of the ports are."""
    name = "bitstream"
    if family not in DECOMPILED:
        return Rung(name, "not run", f"bitstreams of {family} are not decompiled")
    path = directory / f"{assembly.top}{BITSTREAMS[family]}"
    try:
        document = decompiled_document(path, family, pads(routed))
    except MissingTool as problem:
        return Rung(name, "not run", problem.diagnostics[0].message)
    except ToolFailed as problem:
        if problem.diagnostics[0].code != UNREADABLE:
            raise
        return Rung(name, "not run", problem.diagnostics[0].message)
    placed = placed_border(border, routed, register_nets(routed, family))
    return _netlist(name, assembly, document, TOP, placed, family, vectors)


def _board(assembly: Assembly, directory: Path, vectors: Vectors) -> Rung:
    """The whole board in simulation, asked over its wire by the host's own client."""
    name = "board, over its wire"
    if assembly.kind == "stream":
        return Rung(name, "not run", "a bare stream has no wire")
    feeds = {key: array[-OVER_THE_WIRE:] for key, array in vectors.feeds.items()}
    with Device.open(directory, "sim") as device:
        outputs = device.run(feeds)
    for output, array in vectors.golden.items():
        if not np.array_equal(outputs[output], array[-OVER_THE_WIRE:], equal_nan=True):
            return Rung(name, "differs", f"output {output}", OVER_THE_WIRE)
    how = f"simulated with its {assembly.kind}, asked by `actc run` for {OVER_THE_WIRE} samples"
    return Rung(name, "equal", how, OVER_THE_WIRE)


def _counted(vectors: Vectors) -> str:
    return f"{vectors.count - RANDOM} samples of the data, {RANDOM} random ones"


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document
