"""Switches in a float graph: each rounds one tensor, or passes it on as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import parser

from actc.ir.dialect import DOMAIN
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]

# The arithmetic of QuantizationParameters.quantize and dequantize, in float32: a
# quotient, saturation, rounding half to even, a product.
_BODY = """(x, on, scale, low, high) => (y) {
  y = If (on) <
    then_branch = rounded () => (real) {
      steps = Div (x, scale)
      above = Max (steps, low)
      within = Min (above, high)
      code = Round (within)
      real = Mul (code, scale)
    },
    else_branch = kept () => (same) { same = Identity (x) }
  >
}"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A switch of the simulation.

    Attributes:
        kind: "wide" (a value in its own format), "linear" (as linear operators take
            it), "weights" (of a layer), "constant" (an operand), "activation" (what
            replaces a function).
        name: name of the value, node or activation site.
        key: prefix of the graph inputs that set it.
        position: where it stands in the graph: even numbers for what nodes give, odd
            ones for what they hold.
    """

    kind: str
    name: str
    key: str
    position: int


def add_gate_body(model: ir.Model) -> None:
    """Give `model` the function actc::Gate."""
    opset = model.opset_imports[""]
    text = f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>\nGate {_BODY}'
    function = ir.serde.deserialize_function(parser.parse_function(text))
    model.functions[DOMAIN, "Gate", ""] = function
    model.opset_imports[DOMAIN] = 1


def graph_input(model: ir.Model, name: str, dtype: ir.DataType, shape: list[Any]) -> ir.Value:
    """A new input of the main graph."""
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    model.graph.inputs.append(value)
    return value


def insert_gate(model: ir.Model, value: ir.Value, key: str) -> ir.Value:
    """A node actc::Gate that reads `value`; nothing reads it yet."""
    settings = [graph_input(model, f"{key}.on", ir.DataType.BOOL, [])]
    for what in ("scale", "low", "high"):
        settings.append(graph_input(model, f"{key}.{what}", ir.DataType.FLOAT, []))
    node = ir.node("Gate", [value, *settings], domain=DOMAIN, name=f"{key}/Gate")
    return insert_behind(model, value, node)


def insert_behind(model: ir.Model, value: ir.Value, node: ir.Node) -> ir.Value:
    """Put `node` behind what gives `value`; its one output takes the type of `value`."""
    producer = value.producer()
    if producer is not None:
        model.graph.insert_after(producer, node)
    else:
        first = next(iter(model.graph), None)
        if first is None:
            model.graph.append(node)
        else:
            model.graph.insert_before(first, node)
    output = node.outputs[0]
    output.name = f"{node.name}.y"
    output.type, output.shape = value.type, value.shape
    return output


def gate_feeds(key: str, parameters: QuantizationParameters | None) -> dict[str, Array]:
    """What sets a gate of a tensor; None turns it off."""
    if parameters is None:
        scale, low, high = 1.0, 0, 0
    else:
        scale = parameters.scale
        low = parameters.low - parameters.zero_point
        high = parameters.high - parameters.zero_point
    return {
        f"{key}.on": np.array(parameters is not None),
        f"{key}.scale": np.array(scale, np.float32),
        f"{key}.low": np.array(low, np.float32),
        f"{key}.high": np.array(high, np.float32),
    }
