"""Programs as ONNX models of standard operators, real numbers in and out.

x is scaled, rounded to the nearest even code and saturated in float32, which is exact
(the scale is a power of two, codes have at most 16 bits); the steps are int64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from actc.approx.fixed_point import Codes, FixedPoint
from actc.emitters.program import INPUT, Program, Step, range_of
from actc.emitters.text import Header, c_integer, comment
from actc.ir.dialect import GOLDEN_OPSET
from actc.ir.load import IR_VERSION

_MOST_COMPARISONS = 64
"""A rank among more thresholds is looked up instead of compared out."""


def write_onnx(program: Program, name: str, header: Header) -> bytes:
    """A model float32 x [n] -> y [n].

    Args:
        name: of the graph.
    """
    writer = _Writer(program)
    writer.quantize()
    for step in program.steps:
        writer.step(step)
    writer.dequantize()
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n"]) for end in "xy"]
    graph = helper.make_graph(writer.nodes, name, ends[:1], ends[1:], writer.initializers())
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", GOLDEN_OPSET)],
        ir_version=IR_VERSION,
        producer_name="actc",
    )
    facts = {
        "function": comment(header.function),
        "form": header.form,
        "input": str(program.input),
        "output": str(program.output),
        "max_error": repr(header.max_error),
    }
    helper.set_model_props(model, {f"actc.{key}": value for key, value in facts.items()})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _scale(format: FixedPoint, power: int) -> npt.NDArray[np.float32]:
    return np.array(2.0 ** (power * format.fraction), np.float32)


class _Writer:
    """Collects nodes and constants."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants: dict[str, npt.NDArray[np.generic]] = {}
        self.nodes: list[onnx.NodeProto] = []

    def initializers(self) -> list[onnx.TensorProto]:
        """The constants in the order of their first use."""
        return [numpy_helper.from_array(array, name) for name, array in self._constants.items()]

    def quantize(self) -> None:
        """From x to the input code; NaN becomes code 0, or the nearest, here."""
        form = self._program.input
        zero = self._constant("zero", np.array(0, np.float32))
        self._node("IsNaN", ["x"], "x_is_nan")
        self._node("Where", ["x_is_nan", zero, "x"], "x_number")
        scale = self._constant("input_scale", _scale(form, 1))
        self._node("Mul", ["x_number", scale], "x_scaled")
        self._node("Round", ["x_scaled"], "x_rounded")
        bounds = [
            self._constant(f"input_{end}", np.array(getattr(form, end), np.float32))
            for end in ("low", "high")
        ]
        self._node("Clip", ["x_rounded", *bounds], "x_clipped")
        self._node("Cast", ["x_clipped"], _code(INPUT), to=TensorProto.INT64)

    def dequantize(self) -> None:
        """From the output code to y; NaN stays NaN."""
        result = self._program.result
        if isinstance(result, int):
            value = float(self._program.output.to_real(np.array(result)))
            self._constants["y_constant"] = np.array(value, np.float32)
            self._node("Where", ["x_is_nan", "x", "y_constant"], "y")
            return
        self._node("Cast", [_code(result)], "y_code", to=TensorProto.FLOAT)
        scale = self._constant("output_scale", _scale(self._program.output, -1))
        self._node("Mul", ["y_code", scale], "y_number")
        self._node("Where", ["x_is_nan", "x", "y_number"], "y")

    def step(self, step: Step) -> None:
        """The nodes of a step."""
        output = _code(step.name)
        if step.operator == "lookup":
            self._lookup(
                str(step.right),
                self._program.tables[str(step.right)],
                _code(str(step.left)),
                output,
            )
        elif step.operator == "rank":
            self._rank(step)
        elif step.operator == "right":
            self._floor_shift(step)
        else:
            left, right = self._operand(step.left), step.right
            if step.operator == "left":
                right = 2 ** int(right)
            self._node(_OPERATORS[step.operator], [left, self._operand(right)], output)

    def _floor_shift(self, step: Step) -> None:
        """Division rounds towards zero, so a multiple of the divisor makes it positive."""
        value, output, divisor = _code(str(step.left)), _code(step.name), 2 ** int(step.right)
        bias = max(-(self._program.range(step.left).low // divisor), 0)
        if not bias:
            self._node("Div", [value, self._operand(divisor)], output)
            return
        self._node("Add", [value, self._operand(bias * divisor)], f"{output}_biased")
        self._node("Div", [f"{output}_biased", self._operand(divisor)], f"{output}_quotient")
        self._node("Sub", [f"{output}_quotient", self._operand(bias)], output)

    def _rank(self, step: Step) -> None:
        table, output = self._program.tables[str(step.right)], _code(step.name)
        if table.size > _MOST_COMPARISONS:
            self._looked_up_rank(step)
            return
        axis = self._constant("axis_1", np.array([1], np.int64))
        self._node("Unsqueeze", [_code(str(step.left)), axis], f"{output}_column")
        columns = [f"{output}_column", self._constant(str(step.right), table)]
        self._node("GreaterOrEqual", columns, f"{output}_reached")
        self._node("Cast", [f"{output}_reached"], f"{output}_counts", to=TensorProto.INT64)
        self._node("ReduceSum", [f"{output}_counts", axis], output, keepdims=0)

    def _looked_up_rank(self, step: Step) -> None:
        span = self._program.range(step.left)
        values = np.arange(span.low, span.high + 1, dtype=np.int64)
        ranks = np.searchsorted(self._program.tables[str(step.right)], values, side="right")
        index, output = _code(str(step.left)), _code(step.name)
        if span.low:
            self._node("Sub", [index, self._operand(span.low)], f"{output}_index")
            index = f"{output}_index"
        self._lookup(f"{step.right}_ranks", ranks, index, output)

    def _lookup(self, name: str, table: Codes, index: str, output: str) -> None:
        """An entry of a table, which is kept in its narrowest type."""
        kind = c_integer(range_of(table)).removesuffix("_t")
        self._node("Gather", [self._constant(name, table.astype(kind)), index], f"{output}_entry")
        self._node("Cast", [f"{output}_entry"], output, to=TensorProto.INT64)

    def _operand(self, operand: str | int) -> str:
        if isinstance(operand, str):
            return _code(operand)
        sign = "minus_" if operand < 0 else ""
        return self._constant(f"{sign}{abs(operand)}", np.array(operand, np.int64))

    def _constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        self._constants[name] = array
        return name

    def _node(self, op: str, inputs: list[str], output: str, **attributes: int) -> None:
        node = helper.make_node(op, inputs, [output], name=output)
        node.attribute.extend(helper.make_attribute(*item) for item in attributes.items())
        self.nodes.append(node)


_OPERATORS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "left": "Mul",
    "and": "BitwiseAnd",
}


def _code(value: str) -> str:
    """Name of the tensor of a value; x and y are real numbers."""
    return f"{value}_code"
