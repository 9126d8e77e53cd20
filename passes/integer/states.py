"""States of recurrent layers in fixed point: exact wherever they are only moved.

A state that a caller keeps between two calls leaves golden as float32 and comes back
as the same integer, however it is sliced and stacked on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import attributes_of
from actc.ir.graph import constant, is_op
from actc.passes.integer.builder import Accumulator, Builder, MissingInput

Array = np.ndarray[Any, Any]

_MOVES = (
    "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip
_ONE = 2**24


@dataclass(frozen=True, slots=True)
class FixedPoint(Accumulator):
    """An int32 tensor of fractions of a power of two, exact as float32."""


def fixed_point(value: ir.Value, bits: int, bound: int) -> FixedPoint:
    """`value` as fractions of 2^bits, at most `bound` in magnitude."""
    return FixedPoint(value, np.array(2.0**-bits), 0, bound)


def follow(builder: Builder, node: ir.Node) -> None:
    """Where `node` only moves fixed-point numbers, say that its outputs are such numbers too."""
    if not is_op(node, *_MOVES):
        return
    data = node.inputs if node.op_type == "Concat" else node.inputs[:1]
    found = [None if value is None else builder.accumulator(value) for value in data]
    fixed = [part for part in found if isinstance(part, FixedPoint)]
    if len(fixed) != len(data) or len({float(part.scale) for part in fixed}) != 1:
        return
    extra = [] if node.op_type == "Concat" else node.inputs[1:]
    if any(value is not None and constant(value) is None for value in extra):
        return
    moved = _moved(builder, node, [part.value for part in fixed])
    for output, value in zip(node.outputs, moved, strict=True):
        builder.set_accumulator(output, FixedPoint(value, fixed[0].scale, 0, fixed[0].bound))


def _moved(builder: Builder, node: ir.Node, data: list[ir.Value]) -> list[ir.Value]:
    """The operator of `node` on integers."""
    name, first = f"{node.outputs[0].name}.fixed", node.outputs[0]
    arrays = [constant(value) for value in node.inputs[len(data) :]]
    extra = [None if a is None else builder.constant(name, a) for a in arrays]
    attributes = attributes_of(node)
    result = builder.emit(
        node.op_type, [*data, *extra], first, ir.DataType.INT32, name=name,
        attributes=attributes, domain="",
    )  # fmt: skip
    copy = result.producer()
    assert copy is not None
    copy.resize_outputs(len(node.outputs))
    for old, new in zip(node.outputs[1:], copy.outputs[1:], strict=True):
        new.name = builder.fresh(f"{old.name}.fixed")
        new.type, new.shape = ir.TensorType(ir.DataType.INT32), old.shape
    return list(copy.outputs)


def initial_state(builder: Builder, value: ir.Value | None, bits: int) -> ir.Value | None:
    """The state that a layer starts from as int32 fractions of 2^bits; None for zeros.

    Raises:
        MissingInput: nothing in the golden graph stands for it.
    """
    if value is None or _is_zero(builder, value):
        return None
    found = builder.accumulator(value)
    if isinstance(found, FixedPoint) and float(found.scale) == 2.0**-bits:
        return found.value
    fixed = constant(_unexpanded(builder, value))
    if fixed is not None:
        return builder.constant(f"{value.name}.fixed", _integers(fixed, bits))
    plain = builder.plain(value)
    if plain is not None:
        return _quantized(builder, value, plain, bits)
    producer = value.producer()
    if producer is not None and is_op(producer, *_MOVES) and producer.op_type != "Concat":
        return _moved_state(builder, producer, value, bits)
    return _from_codes(builder, value, bits)


def _is_zero(builder: Builder, value: ir.Value) -> bool:
    """Whether a state is zeros, whatever the size of the batch."""
    array, node = constant(value), value.producer()
    if array is not None:
        return not array.any()
    if node is None or node not in builder.on_shapes:
        return False
    if is_op(node, "ConstantOfShape"):
        given = node.attributes.get("value")
        return given is None or not given.as_tensor().numpy().any()
    source = node.inputs[0] if is_op(node, "Expand", *_MOVES) else None
    return source is not None and _is_zero(builder, source)


def _unexpanded(builder: Builder, value: ir.Value) -> ir.Value:
    """What is repeated for the batch, where `value` is such a thing: a state that was trained."""
    node = value.producer()
    if node is not None and node in builder.on_shapes and is_op(node, "Expand"):
        source = node.inputs[0]
        assert source is not None
        return source
    return value


def _integers(array: Array, bits: int) -> Array:
    scaled = np.rint(np.ldexp(array.astype(np.float64), bits))
    return np.clip(scaled, 1 - _ONE, _ONE - 1).astype(np.int32)


def _quantized(builder: Builder, value: ir.Value, plain: ir.Value, bits: int) -> ir.Value:
    """A float input of the model in fixed point."""
    for node in builder.nodes:
        if node.op_type == "FixedPoint" and node.inputs[0] is plain:
            return node.outputs[0]
    name = f"{value.name}.fixed"
    numbers = {"bits": bits, "low": 1 - _ONE, "high": _ONE - 1}
    inputs = [plain] + [
        builder.constant(f"{name}.{key}", np.array(number, np.int32))
        for key, number in numbers.items()
    ]
    return builder.emit("FixedPoint", inputs, value, ir.DataType.INT32, name=name)


def _moved_state(builder: Builder, node: ir.Node, value: ir.Value, bits: int) -> ir.Value | None:
    """A state that is cut out of another: the same cut in fixed point."""
    source = initial_state(builder, node.inputs[0], bits)
    if source is None:
        return None
    if any(v is not None and constant(v) is None for v in node.inputs[1:]):
        raise MissingInput(value, "is cut at places that are not constant")
    index = list(node.outputs).index(value)
    return _moved(builder, node, [source])[index]


def _from_codes(builder: Builder, value: ir.Value, bits: int) -> ir.Value:
    """A state that the network computes: its codes, looked up in fixed point."""
    codes = builder.codes(value)
    table = builder.constant(f"{value.name}.fixed", _integers(codes.parameters.values(), bits))
    return builder.emit(
        "Table", [codes.value, table], value, ir.DataType.INT32, name=f"{value.name}.fixed"
    )
