"""The buses through which codes enter."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from actc.targets.fpga.hdl import Bus
from actc.targets.fpga.network.builder import Builder
from actc.targets.fpga.network.elements import Element, Layer, Tensor, array_of
from actc.targets.fpga.network.interface import Entry


def enter(builder: Builder, entry: Entry, value: ir.Value) -> Bus:
    """A bus of the design's inputs; its wires belong to no layer."""
    wires = tuple(
        builder.graph.input(f"{entry.bus}_{index}", entry.range)
        for index in range(prod(entry.shape))
    )
    elements = array_of((Element(wire) for wire in wires), entry.shape)
    builder.tensors[value] = Tensor(elements, Layer("", "", []))
    return Bus(entry.bus, entry.shape, wires, entry.range.width, entry.range.signed)
