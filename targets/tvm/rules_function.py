"""Rules for elementwise float32 operators: chains of them become one scalar function."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.kernels.float_spec import (
    PIECEWISE_LINEAR,
    SCALAR_OPERATORS,
    Apply,
    FloatTable,
    ScalarFunction,
    Step,
    Value,
)
from actc.targets.tvm.layout import Shape, Tensor, like
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Source, Tail, broadcast, emit_nest, with_constants

BOOLEAN = frozenset(
    ["And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"]
)
_MOST_STEPS = 2000
_CAST_TO = (ir.DataType.FLOAT, ir.DataType.BOOL, ir.DataType.INT32, ir.DataType.INT64)
"""What a step may cast to: whole numbers stay float32, anything narrower would not be rounded."""


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a step, before the number of operands is known."""

    step: int


_Argument = _Result | Value | float | None


@dataclass(eq=False)
class _Program:
    """A scalar function in the making.

    Attributes:
        planner: where tensors and constants are.
        sources: the operands.
        steps: operators with their arguments.
        values: model values -> what they are in the program.
    """

    planner: Planner
    sources: list[Source] = field(default_factory=list)
    steps: list[tuple[str, tuple[_Argument, ...], tuple[tuple[str, float | str], ...]]] = field(
        default_factory=list
    )
    values: dict[ir.Value, _Argument] = field(default_factory=dict)

    def argument(self, value: ir.Value | None) -> _Argument:
        """What an input of a node is: a number, an operand or an earlier result."""
        if value is None:
            return None
        if value not in self.values:
            array = self.planner.constant(value)
            self.values[value] = (
                self.operand(value) if array is None else self.number(str(value.name), array)
            )
        return self.values[value]

    def number(self, name: str, array: Array) -> _Argument:
        """A constant: its number if it has one element, else an operand."""
        if array.size == 1:
            return float(array.reshape(()))
        return self._add(Source(name, array.astype(np.float32)))

    def operand(self, value: ir.Value) -> Value:
        """An activation as an operand.

        Raises:
            Unsupported: it is not float32.
        """
        tensor = self.planner.tensors[str(value.name)]
        if tensor.dtype != "float32":
            raise Unsupported(f"an elementwise operator on {tensor.dtype}")
        return self._add(Source(tensor.name, tensor))

    def _add(self, source: Source) -> Value:
        self.sources.append(source)
        return Value(len(self.sources) - 1)

    def step(
        self, op: str, *inputs: _Argument, attributes: tuple[tuple[str, float | str], ...] = ()
    ) -> _Result:
        """Add one operator.

        Raises:
            Unsupported: there is no scalar kernel for it, or there are too many steps.
        """
        if op not in SCALAR_OPERATORS and op != PIECEWISE_LINEAR:
            raise Unsupported(f"the function contains {op}, which has no float32 kernel")
        target = ir.DataType(int(dict(attributes).get("to", 1))) if op == "Cast" else None
        if target is not None and target not in _CAST_TO:
            raise Unsupported(f"a function of float32 that casts to {target.name}")
        if len(self.steps) >= _MOST_STEPS:
            raise Unsupported(f"the function has more than {_MOST_STEPS} steps")
        self.steps.append((op, inputs, attributes))
        return _Result(len(self.steps) - 1)

    def node(self, node: ir.Node) -> None:
        """Add a node of the model: an operator, an Activation or a PiecewiseLinear."""
        if node.domain == "actc" and node.op_type == "Activation":
            self._body(node)
        elif node.domain == "actc":
            self._piecewise_linear(node)
        else:
            inputs = [self.argument(value) for value in node.inputs]
            result = self.step(node.op_type, *inputs, attributes=_attributes(node))
            self.values[node.outputs[0]] = result

    def _body(self, node: ir.Node) -> None:
        """Add the model-local function that an Activation calls."""
        function = self.planner.model.functions.get(node.op_identifier())
        if function is None:
            raise Unsupported("the model has no body for this activation")
        for inner, outer in zip(function.inputs, node.inputs, strict=True):
            self.values[inner] = self.argument(outer)
        for step in function:
            if step.op_type == "Constant":
                array = _constant(step)
                name = f"{node.outputs[0].name}.{step.outputs[0].name}"
                self.values[step.outputs[0]] = self.number(name, array)
            else:
                inputs = [None if v is None else self.values[v] for v in step.inputs]
                result = self.step(step.op_type, *inputs, attributes=_attributes(step))
                self.values[step.outputs[0]] = result
        self.values[node.outputs[0]] = self.values[function.outputs[0]]

    def _piecewise_linear(self, node: ir.Node) -> None:
        """Add a piecewise-linear function as one step."""
        x = self.argument(node.inputs[0])
        breakpoints, slopes, intercepts = (
            self.planner.need_constant(node, i, "a parameter").reshape(-1).tolist()
            for i in (1, 2, 3)
        )
        numbers = [*breakpoints, *slopes, *intercepts]
        self.values[node.outputs[0]] = self.step(PIECEWISE_LINEAR, x, *numbers)

    def shape(self) -> Shape:
        """Shape of the result."""
        tensors = [s.data.shape for s in self.sources if isinstance(s.data, Tensor)]
        return with_constants(broadcast(tensors), self.sources)

    def function(self) -> ScalarFunction:
        """The finished function."""
        count = len(self.sources)

        def place(argument: _Argument) -> Value | float | None:
            return Value(count + argument.step) if isinstance(argument, _Result) else argument

        steps = tuple(
            Step(op, tuple(place(a) for a in inputs), attributes)
            for op, inputs, attributes in self.steps
        )
        return ScalarFunction(count, steps)


def _attributes(node: ir.Node) -> tuple[tuple[str, float | str], ...]:
    found: list[tuple[str, float | str]] = []
    for name, attribute in sorted(node.attributes.items()):
        value = attribute.value
        if not isinstance(value, (int, float, str)):
            raise Unsupported(f"attribute {name} of {node.op_type}")
        found.append((name, value))
    return tuple(found)


def _constant(node: ir.Node) -> Array:
    """The array of a Constant node."""
    for name, attribute in node.attributes.items():
        if name == "value":
            return attribute.as_tensor().numpy()
        if name in ("value_float", "value_int"):
            return np.asarray(attribute.value)
        if name in ("value_floats", "value_ints"):
            return np.asarray(list(attribute.value))
    raise Unsupported("a constant of another kind than numbers")


def is_elementwise(node: ir.Node) -> bool:
    """Whether a node can be part of a scalar function."""
    if node.domain == "actc":
        return node.op_type in ("Activation", "PiecewiseLinear")
    return node.domain == "" and node.op_type in SCALAR_OPERATORS


def elementwise(planner: Planner, node: ir.Node) -> None:
    """An elementwise operator with those behind it that read nothing unknown."""
    program = _Program(planner)
    program.node(node)
    last = node
    shape = program.shape()
    while (follower := _follower(planner, last, shape)) is not None:
        program.node(follower)
        planner.fuse(follower)
        last = follower
    if last.op_type in BOOLEAN:
        raise Unsupported(f"{last.op_type} whose result is not used by the next operator alone")
    tensors = [s.data for s in program.sources if isinstance(s.data, Tensor)]
    widest = max(tensors, key=operator.attrgetter("size"))
    out = like(widest, str(last.outputs[0].name), "float32", shape)
    emit_nest(planner, out, program.sources, Apply(program.function()), Tail(last.outputs[0]))


def function_behind(planner: Planner, value: ir.Value) -> tuple[ir.Value, ScalarFunction | None]:
    """The scalar functions that alone read `value`, one after the other, as one function.

    Returns:
        what they give, and the function; `value` and None if there is none.
    """
    program = _Program(planner)
    program.values[value] = Value(0)
    program.sources.append(Source(str(value.name), np.zeros(0, np.float32)))
    last = value
    while (reader := planner.only_reader(last)) is not None and _is_scalar(planner, reader, last):
        program.node(reader)
        planner.fuse(reader)
        last = reader.outputs[0]
    return last, None if last is value else program.function()


def _is_scalar(planner: Planner, node: ir.Node, value: ir.Value) -> bool:
    """Whether a node is a function of `value` and of single numbers alone."""
    if not is_elementwise(node) or node.op_type in BOOLEAN:
        return False
    if node.op_type == PIECEWISE_LINEAR:
        return True
    trial = _Program(planner)
    trial.values[value] = Value(0)
    try:
        trial.node(node)
    except (Unsupported, KeyError):
        return False
    return not trial.sources


def _follower(planner: Planner, node: ir.Node, shape: Shape) -> ir.Node | None:
    """The only reader of `node`'s result, if it is elementwise, its other inputs are known and
    none of them widens `shape` (it would be computed more often than needed)."""
    reader = planner.only_reader(node.outputs[0])
    if reader is None or not is_elementwise(reader) or not _computed_in_float(reader):
        return None
    for value in reader.inputs:
        if value is None or value is node.outputs[0]:
            continue
        array, tensor = planner.constant(value), planner.tensors.get(str(value.name))
        if array is None and tensor is None:
            return None
        if tensor is not None and (len(tensor.shape), tensor.batch) != (len(shape), shape[0]):
            return None
        other = array.shape if array is not None else tensor.shape if tensor is not None else ()
        if len(other) > len(shape) or any(
            extent not in (1, own) for extent, own in zip(other[::-1], shape[::-1], strict=False)
        ):
            return _parameters(reader)
    return reader


def _computed_in_float(node: ir.Node) -> bool:
    """Whether what a node gives is float32 or a truth value, as all steps of a program are."""
    kinds = (None, ir.DataType.FLOAT, ir.DataType.BOOL)
    return all(value.dtype in kinds for value in node.outputs)


def _parameters(node: ir.Node) -> ir.Node | None:
    """The node if its constants are parameters rather than operands."""
    return node if node.op_type == "PiecewiseLinear" else None


def quantized_table(planner: Planner, node: ir.Node) -> None:
    """QuantizedTable: quantize, then look a float32 up."""
    x = planner.tensor(node, 0)
    scale = float(planner.scalar(node, 1, "the scale"))
    zero = int(planner.scalar(node, 2, "the zero point"))
    values = planner.need_constant(node, 3, "the values").astype(np.float32)
    value = node.outputs[0]
    out = like(x, str(value.name), "float32", x.shape)
    table = Source(f"{value.name}.values", values, looked_up=True)
    emit_nest(planner, out, [Source(x.name, x), table], FloatTable(scale, zero), Tail(value))
