"""Small golden models, unrolled, and the boards that they run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from board_cores import BUILD
from golden_models import Golden

from actc.device import Interface, Simulation, interface_of, write_interface
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design
from actc.targets.fpga.interfaces import (
    CoreInfo,
    CorePort,
    Kind,
    interface_files,
    interface_top,
)
from actc.targets.fpga.network import Network, NetworkOptions, build_network

Array = np.ndarray[Any, Any]
FEATURES, CLASSES = 5, 4


def unroll(golden: ir.Model) -> Network:
    return build_network(golden, "net", NetworkOptions(adders=AdderOptions(effort=0)))


def described(network: Network, kind: Kind = "uart") -> Interface:
    """The interface of a network, without files."""
    return interface_of(
        network.interface(),
        name="net",
        kind=kind,
        build=BUILD,
        latency=0,
        output_buses=[bus.name for bus in network.design.outputs],
        clock_hz=12e6,
        baud=1_000_000,
    )


def build(directory: Path, golden: ir.Model, kind: Kind = "uart") -> Network:
    """Write what a compilation for a board writes, but for the bitstream."""
    network = unroll(golden)
    design = network.design
    written = hierarchy(design)
    core = CoreInfo(
        written.top,
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.inputs),
        tuple(CorePort(written.ports[bus.name], bus.bits) for bus in design.outputs),
        0,
        written.clocked,
    )
    around = interface_files(kind, core, clock_hz=12e6, baud=1_000_000, build_id=BUILD)
    files = {**write_design(design), **around}
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, "ascii")
    interface = interface_of(
        network.interface(),
        name="net",
        kind=kind,
        build=BUILD,
        latency=0,
        output_buses=[bus.name for bus in design.outputs],
        clock_hz=12e6,
        baud=1_000_000,
        simulation=Simulation(interface_top(kind, core), tuple(files)),
    )
    write_interface(directory, interface)
    ir.save(golden, directory / "golden.onnx")
    return network


def small_codes(g: Golden, name: str = "x") -> str:
    """Codes 0..15 of a float input."""
    q = g.quantize(g.input(name, FEATURES), 0.5, 7)
    numbers = (np.int32(2), np.int32(1), np.uint8(0), np.uint8(0), np.uint8(15))
    return g.actc("Requantize", q, *map(g.const, numbers))


def scores(g: Golden, x: str) -> str:
    """Accumulators of a dense layer."""
    weight = g.rng.integers(-4, 5, (FEATURES, CLASSES)).astype(np.int8)
    bias = g.rng.integers(-30, 30, CLASSES).astype(np.int32)
    return g.actc("IntMatMul", x, *map(g.const, (weight, bias, np.uint8(7))))


def narrow(g: Golden, acc: str) -> str:
    """The same in codes of 4 bits."""
    numbers = (np.int32(60000), np.int32(20), np.uint8(7), np.uint8(1), np.uint8(14))
    return g.actc("Requantize", acc, *map(g.const, numbers))


def accumulators(scale: Any = 0.03, offset: bool = False) -> ir.Model:
    g = Golden()
    acc = scores(g, small_codes(g))
    if offset:
        acc = g.node("Mul", acc, g.const(np.int32(5)))
        acc = g.node("Add", acc, g.const(np.arange(CLASSES, dtype=np.int32) * 7 - 11))
    zero = np.zeros(np.shape(scale), np.int32)
    return g.model(g.dequantize(acc, scale, zero, **({"axis": 1} if np.ndim(scale) else {})))


def plain_codes() -> ir.Model:
    g = Golden()
    return g.model(g.dequantize(narrow(g, scores(g, small_codes(g))), 0.07, np.uint8(3)))


def shaped(model: ir.Model) -> ir.Model:
    """With the shapes that inference does not find through softmax."""
    for value in [*model.graph.outputs, *(out for node in model.graph for out in node.outputs)]:
        if value.shape is None:
            value.shape = ir.Shape(["n", CLASSES])
    return model


def softmax() -> ir.Model:
    g = Golden()
    table = np.maximum(1, (30000 * np.exp(-np.arange(256) / 3))).astype(np.int32)
    y = narrow(g, scores(g, small_codes(g)))
    return shaped(g.model(g.actc("IntSoftmax", y, g.const(table), axis=1)))


def two_outputs() -> ir.Model:
    """One tensor read by two outputs, and another one."""
    g = Golden()
    acc = scores(g, small_codes(g))
    codes = narrow(g, acc)
    outputs = (
        g.dequantize(codes, 0.1, np.uint8(3)),
        g.dequantize(acc, 0.03, np.int32(0)),
        g.dequantize(codes, 0.2, np.uint8(5)),
    )
    return g.model(*outputs)


def integer_input() -> ir.Model:
    """Codes as they stand."""
    g = Golden()
    x = g.input("x", FEATURES, dtype=np.uint8)
    return g.model(g.dequantize(scores(g, x), 0.03, np.int32(0)))


MODELS: dict[str, Callable[[], ir.Model]] = {
    "accumulators": accumulators,
    "accumulators, a scale per class": lambda: accumulators(np.linspace(0.01, 0.02, CLASSES)),
    "accumulators, multiplied and moved": lambda: accumulators(offset=True),
    "codes": plain_codes,
    "softmax": softmax,
    "two outputs of one tensor": two_outputs,
    "integers in": integer_input,
}


def samples(golden: ir.Model, count: int, seed: int = 0) -> dict[str, Array]:
    """Inputs, beyond what their codes hold too."""
    generator = np.random.default_rng(seed)
    dtype = golden.graph.inputs[0].dtype
    assert dtype is not None
    if dtype.numpy().kind == "u":
        return {"x": generator.integers(0, 256, (count, FEATURES)).astype(np.uint8)}
    values = generator.standard_normal((count, FEATURES)) * 4
    # halves lie between two codes
    values = np.where(generator.random(values.shape) < 0.3, np.rint(values * 4) / 4, values)
    return {"x": values.astype(np.float32)}
