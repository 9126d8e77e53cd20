"""IntGru and IntLstm: the rule that makes a stage of them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.targets.fpga.folded.lower.tracked import REORDERED, Integers, Lowering, Tracked
from actc.targets.fpga.folded.program import RecurrentStage, Stream
from actc.targets.fpga.folded.recurrent.cells import ONE, Cell, GruCell, LstmCell
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import scope_of

_STEPS = 1
"""Axis of the samples in what a recurrent layer reads: behind the steps."""
_MOST_UNITS = 512


def recurrent(lowering: Lowering, node: ir.Node) -> None:
    """A forward layer of constant initial states.

    Raises:
        Unsupported: it is another one, or its cell state is read.
    """
    x = lowering.tracked(node)
    if attribute_ints(node, "directions", [0]) != [0]:
        raise Unsupported("it goes from the last step to the first", "use a forward layer")
    cell = _lstm(lowering, node) if node.op_type == "IntLstm" else _gru(lowering, node)
    input = _input(lowering, node, x, cell)
    read = [bool(value.uses()) or value.is_graph_output() for value in node.outputs]
    if any(read[2:]):
        raise Unsupported("its cell state is read", "read its states")
    steps, units = input.positions, cell.units
    for place, last in ((0, False), (1, True)):
        if len(read) > place and read[place]:
            output = Stream(1, 1 if last else steps, units, Range(0, 0))
            name = lowering.name(scope_of(node))
            stage = RecurrentStage(name, (), (), input, output, cell=cell, last=last)
            made = lowering.draft(stage, node, [x], [cell.result] * units)
            index = np.arange(output.size).reshape((units,) if last else (steps, units))
            lowering.values[node.outputs[place]] = Tracked(made, index)
    lowering.batches[node.outputs[0]] = _STEPS


def _input(lowering: Lowering, node: ir.Node, x: Tracked, cell: Cell) -> Stream:
    """What is read, one position for each step.

    Raises:
        Unsupported: it does not come step by step.
    """
    value = node.inputs[0]
    axis = 0 if value is None else lowering.batches.get(value, 0)
    if axis != _STEPS or len(x.shape) != 2:
        raise Unsupported(
            "its steps are not those of one sample", "give the layer batches of samples"
        )
    if not np.array_equal(x.index, np.arange(x.size).reshape(-1, cell.outputs)):
        raise Unsupported("what it reads does not come step by step", REORDERED)
    return Stream(1, len(x.index), cell.outputs, x.range)


def _gru(lowering: Lowering, node: ir.Node) -> GruCell:
    h0, r, h_bias, x, h, shift, gates, cells, step = _constants(lowering, node, 1)
    cell = GruCell(
        r, x, h, int(shift), gates, cells, int(step), _state(h0), h_bias.reshape(-1)
    )  # fmt: skip
    return _checked(cell)


def _lstm(lowering: Lowering, node: ir.Node) -> LstmCell:
    h0, c0, r, x, h, shift, gates, cells, step, bits, out = _constants(lowering, node, 1)
    cell = LstmCell(
        r, x, h, int(shift), gates, cells, int(step), _state(h0), _state(c0), int(bits), int(out)
    )
    return _checked(cell)


T = TypeVar("T", GruCell, LstmCell)


def _checked(cell: T) -> T:
    if cell.gate_table.min() < 0 or cell.gate_table.max() > 1 << ONE:
        raise Unsupported("a gate is not between 0 and 1")
    if len(cell.gate_table) != len(cell.cell_table):
        raise Unsupported("its tables have different lengths")
    if cell.units < 2 or cell.units > _MOST_UNITS:
        raise Unsupported(f"it has {cell.units} units, not 2 to {_MOST_UNITS}")
    return cell


def _constants(lowering: Lowering, node: ir.Node, first: int) -> list[Integers]:
    """Inputs from one on.

    Raises:
        Unsupported: one is computed.
    """
    names = "the first state", "the first state", "a weight"
    return [
        lowering.functions.constant(node, place, (*names, *["a number"] * 20)[place - first])
        .astype(np.int64)
        for place in range(first, len(node.inputs))
    ]  # fmt: skip


def _state(given: Integers) -> Integers:
    """The first state of all samples.

    Raises:
        Unsupported: samples begin with different ones.
    """
    rows = given.reshape(-1, given.shape[-1])
    if np.any(rows != rows[0]):
        raise Unsupported("samples begin with different states", "begin all with the same")
    return np.asarray(rows[0])
