"""Weights of layers, and constants that operators read, as inputs of the simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.formats import parameters_of
from actc.ir.graph import add_constant, constant, is_op
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import QuantizedWeights, WeightFormat, largest_weights
from actc.passes.integer.linear import linear_bias
from actc.passes.linear_layers import layer_names
from actc.passes.recurrent import GATES
from actc.sensitivity.gates import Gate, graph_input, insert_behind

Array = np.ndarray[Any, Any]

_OPERANDS = ("Add", "Mul", "Sub")
_BITS = 8
"""Of weights that no pass chose and of constants that are multiplied; of those added at least."""


@dataclass(frozen=True, eq=False, slots=True)
class Constants:
    """Constants of one node that become inputs of the graph.

    Attributes:
        gate: its switch; its name is that of the layer (see `layer_names`) or the node.
        kind: "rows" (a Conv's weights), "columns" (a matrix), "recurrent" (W or R of all
            directions), "operand".
        arrays: input name -> float32 array.
        bits: of an operand.
        correction: name of the input that is added to the layer's output, "" for none,
            and the shape of that input.
    """

    gate: Gate
    kind: str
    arrays: Mapping[str, Array]
    bits: int = _BITS
    correction: str = ""
    shape: tuple[int, ...] = ()

    def feeds(self, on: bool, chosen: QuantizedWeights | None) -> dict[str, Array]:
        """What the graph is given: the arrays, rounded when `on`.

        Args:
            chosen: the layer's integer weights; None: 8 bits, rounded to nearest.
        """
        feeds = {name: self._array(array, on, chosen) for name, array in self.arrays.items()}
        if self.correction:
            added = np.zeros(self.shape, np.float32)
            if on and chosen is not None:
                added = chosen.correction.astype(np.float32).reshape(self.shape)
            feeds[self.correction] = added
        return feeds

    def _array(self, array: Array, on: bool, chosen: QuantizedWeights | None) -> Array:
        if not on:
            return array
        if self.kind == "operand":
            parameters = QuantizationParameters.from_range(
                float(array.min()), float(array.max()), bits=self.bits
            )
            return parameters.dequantize(parameters.quantize(array))
        rows = np.ascontiguousarray(array.T) if self.kind == "columns" else array
        rows = rows.reshape(-1, rows.shape[-1]) if self.kind == "recurrent" else rows
        real = (chosen or largest_weights(rows, WeightFormat(_BITS))).real().astype(np.float32)
        return np.ascontiguousarray(real.T) if self.kind == "columns" else real.reshape(array.shape)


def add_constants(
    model: ir.Model, positions: Mapping[ir.Node, int], corrected: set[str]
) -> list[Constants]:
    """Turn weights and constant operands of `model` into graph inputs.

    Args:
        positions: the nodes to look at, and where they stand.
        corrected: names of layers whose bias a choice of weights may correct.
    """
    kinds = [(node, *_constants_of(node)) for node in positions]  # before any of them changes
    found = []
    for node, kind, indices in kinds:
        writer = _Writer(model, node, positions[node])
        if kind == "recurrent":
            found += writer.write_recurrent(corrected)
        elif kind:
            found.append(writer.write(kind, indices, corrected))
    return found


def _constants_of(node: ir.Node) -> tuple[str, list[int]]:
    if is_op(node, *GATES):
        return "recurrent", [1, 2]
    if is_op(node, "Conv"):
        return ("rows", [1]) if constant(node.inputs[1]) is not None else ("", [])
    arrays = [constant(value) for value in node.inputs[:2]]
    if is_op(node, "MatMul") and arrays[1] is not None and arrays[1].ndim == 2:
        return "columns", [1]
    if is_op(node, "MatMul", *_OPERANDS) and not _is_bias(node):
        given = [i for i, array in enumerate(arrays) if array is not None and array.size > 1]
        return ("operand", given) if len(given) == 1 else ("", [])
    return "", []


def _is_bias(node: ir.Node) -> bool:
    return is_op(node, "Add") and linear_bias(node) is not None


def _operand_bits(node: ir.Node) -> int:
    """Bits of a constant operand: sums hold it in as many as their result has."""
    parameters = parameters_of(node.outputs[0])
    wide = parameters is not None and is_op(node, "Add", "Sub")
    return max(_BITS, parameters.bits) if wide and parameters is not None else _BITS


class _Writer:
    def __init__(self, model: ir.Model, node: ir.Node, position: int) -> None:
        self._model, self._node = model, node
        self._key, self._position = f"actc.constant{position}", 2 * position + 1

    def write(self, kind: str, indices: list[int], corrected: set[str]) -> Constants:
        """Replace the constants at `indices` by inputs."""
        node, arrays = self._node, {}
        for index in indices:
            array = constant(node.inputs[index])
            assert array is not None
            name = f"{self._key}.{index}"
            node.replace_input_with(
                index, graph_input(self._model, name, ir.DataType.FLOAT, list(array.shape))
            )
            arrays[name] = np.asarray(array, np.float32)
        bits = _operand_bits(node)
        what = "constant" if kind == "operand" else "weights"
        gate = Gate(what, str(node.name), self._key, self._position)
        if kind not in ("rows", "columns") or node.name not in corrected:
            return Constants(gate, kind, arrays, bits)
        (array,) = arrays.values()
        shape = (array.shape[-1],) if kind == "columns" else (1, -1, *([1] * (array.ndim - 2)))
        shape = shape if kind == "columns" else (1, len(array), *shape[2:])
        return Constants(gate, kind, arrays, bits, self._correct(shape), shape)

    def write_recurrent(self, corrected: set[str]) -> list[Constants]:
        """Replace W and R by inputs, a switch for each."""
        found = []
        for index, name in enumerate(layer_names(self._node), start=1):
            array, key = constant(self._node.inputs[index]), f"{self._key}.{index}"
            assert array is not None
            value = graph_input(self._model, key, ir.DataType.FLOAT, list(array.shape))
            self._node.replace_input_with(index, value)
            gate = Gate("weights", name, key, self._position)
            arrays = {key: np.asarray(array, np.float32)}
            shape = array.shape[:2] if name in corrected else ()
            correction = f"{key}.correction" if shape else ""
            found.append(Constants(gate, "recurrent", arrays, _BITS, correction, shape))
        if any(part.correction for part in found):
            self._correct_biases(found)
        return found

    def _correct_biases(self, parts: list[Constants]) -> None:
        """Add corrections, inputs of their own, to the biases [D, 2*G*H] of W and R."""
        node, name = self._node, f"{self._key}.biases"
        if len(node.inputs) < 4:
            node.resize_inputs(4)
        halves = []
        for part in parts:
            (array,) = part.arrays.values()
            if part.correction:
                shape = list(part.shape)
                halves.append(graph_input(self._model, part.correction, ir.DataType.FLOAT, shape))
            else:
                zeros = np.zeros(array.shape[:2], np.float32)
                halves.append(add_constant(self._model.graph, f"{part.gate.key}.none", zeros))
        joined = ir.node("Concat", halves, {"axis": 1}, name=f"{name}/Concat")
        last, nodes = joined.outputs[0], [joined]
        if node.inputs[3] is not None:
            nodes.append(ir.node("Add", [node.inputs[3], last], name=f"{name}/Add"))
            last = nodes[-1].outputs[0]
        self._model.graph.insert_before(node, nodes)
        node.replace_input_with(3, last)

    def _correct(self, shape: tuple[int, ...]) -> str:
        """Add a correction, an input of its own, to what the layer gives."""
        name, output = f"{self._key}.correction", self._node.outputs[0]
        added = graph_input(self._model, name, ir.DataType.FLOAT, list(shape))
        users = list(output.uses())
        node = ir.node("Add", [output, added], name=f"{self._key}/Add")
        result = insert_behind(self._model, output, node)
        for use in users:
            use.node.replace_input_with(use.idx, result)
        take_output(self._model, output, result)
        return name


def take_output(model: ir.Model, old: ir.Value, new: ir.Value) -> None:
    """Where `old` is an output of the graph, let `new` be it, under the same name."""
    for index, value in enumerate(model.graph.outputs):
        if value is old:
            model.graph.outputs[index] = new
    if new.is_graph_output():
        name = old.name
        old.name = f"{name}.unrounded"
        new.name = name
