"""Conv and MatMul by constants: int8 weights per channel, int32 bias and accumulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, channel_vector, constant, dims, only_user
from actc.numerics.quantization import accumulator_bound, largest_code
from actc.numerics.weights import bias_codes, quantize_weights
from actc.passes.integer.builder import Accumulator, Builder, Codes, NoIntegerForm
from actc.passes.linear import linear_producer

Array = np.ndarray[Any, Any]

_FLOAT32_ROUNDING = 2.0**-22
"""Of a product of two scales, and of that times an integer."""


def conv(builder: Builder, node: ir.Node) -> None:
    """Conv -> actc::IntConv."""
    weights = constant(node.inputs[1])
    if weights is None:
        raise NoIntegerForm("its weights are not constant")
    if "auto_pad" in node.attributes:
        raise NoIntegerForm("its extents are not known, so auto_pad is not either")
    bias_value = node.inputs[2] if len(node.inputs) > 2 else None
    bias = constant(bias_value)
    if bias_value is not None and bias is None:
        raise NoIntegerForm("its bias is not constant")
    spatial = weights.ndim - 2
    attributes = {
        "strides": attribute_ints(node, "strides", [1] * spatial),
        "pads": attribute_ints(node, "pads", [0] * (2 * spatial)),
        "dilations": attribute_ints(node, "dilations", [1] * spatial),
        "group": node.attributes["group"].as_int() if "group" in node.attributes else 1,
        "kernel_shape": list(weights.shape[2:]),
    }
    x, output = builder.narrow_codes(node.inputs[0]), node.outputs[0]
    offset = np.zeros(len(weights)) if bias is None else bias
    codes, biases, scales = layer_weights(builder, node, weights, offset, x)
    residual = _residual(builder, node, offset, biases, scales * x.parameters.scale)
    name = str(output.name)
    inputs = [
        x.value,
        builder.constant(f"{name}.w", codes),
        builder.constant(f"{name}.b", biases.reshape(1, -1, *([1] * spatial))),
        builder.zero(x, name),
    ]
    accumulator = linear_operator(builder, "Conv", x, inputs, output, attributes)
    bound = _bound(codes, x, biases)
    scale = scales * x.parameters.scale
    builder.set_accumulator(output, Accumulator(accumulator, scale, 1, bound, residual))


def matmul(builder: Builder, node: ir.Node) -> None:
    """MatMul by a constant matrix -> actc::IntMatMul; its bias Add comes along."""
    output = node.outputs[0]
    user = only_user(output)
    if user is not None and user.op_type == "Add" and linear_bias(user) is not None:
        return  # lowered with its bias
    _matmul(builder, node, output, None)


def biased_matmul(builder: Builder, node: ir.Node) -> bool:
    """The bias Add of a MatMul: lower both. False when `node` is no such Add."""
    found = linear_bias(node)
    if found is None:
        return False
    product, bias = found
    _matmul(builder, product, node.outputs[0], bias)
    return True


def linear_bias(node: ir.Node) -> tuple[ir.Node, Array] | None:
    """(MatMul, bias vector) when `node` adds a MatMul's bias."""
    for data, other in ((0, 1), (1, 0)):
        value, bias = node.inputs[data], constant(node.inputs[other])
        product = linear_producer(value)
        if value is None or bias is None or product is None or product.op_type != "MatMul":
            continue
        shape = dims(value)
        if shape is None or only_user(value) is not node:
            continue
        vector = channel_vector(bias, len(shape), len(shape) - 1, shape[-1])
        if vector is not None:
            return product, vector
    return None


def _matmul(builder: Builder, node: ir.Node, output: ir.Value, bias: Array | None) -> None:
    matrix = constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2:
        raise NoIntegerForm("it multiplies two tensors, or by more than one matrix")
    x = builder.narrow_codes(node.inputs[0])
    offset = np.zeros(matrix.shape[1]) if bias is None else bias
    codes, biases, scales = layer_weights(builder, node, matrix.T, offset, x)
    residual = _residual(builder, node, offset, biases, scales * x.parameters.scale)
    name = str(output.name)
    inputs = [
        x.value,
        builder.constant(f"{name}.w", np.ascontiguousarray(codes.T)),
        builder.constant(f"{name}.b", biases),
        builder.zero(x, name),
    ]
    accumulator = linear_operator(builder, "MatMul", x, inputs, output)
    axis = len(output.shape) - 1 if output.shape is not None else 1
    scale = scales * x.parameters.scale
    bound = _bound(codes, x, biases)
    builder.set_accumulator(output, Accumulator(accumulator, scale, axis, bound, residual))


def layer_weights(
    builder: Builder, node: ir.Node, rows: Array, bias: Array, x: Codes
) -> tuple[Array, Array, Array]:
    """Codes, int32 bias and scales of a layer: those that pass `weights` chose, or the model.

    Args:
        rows: its float weights [O, ...].
        bias: [O].
        x: what it reads.
    """
    facts, key = builder.context.facts, str(node.name)
    chosen = facts.get("weights", {}).get(key) or facts.get("given", {}).get(key)
    if chosen is None:
        return quantize_weights(rows, bias, x.parameters.scale)
    offset = bias_codes(bias + chosen.correction, chosen.scales, x.parameters.scale)
    return chosen.codes, offset, chosen.scales


def _residual(
    builder: Builder, node: ir.Node, bias: Array, codes: Array, scales: Array
) -> Array | None:
    """What the integer bias leaves out of a layer whose integers the model gives.

    A bias that is a whole number of steps, but for the rounding of float32, is that number.
    """
    if str(node.name) not in builder.context.facts.get("given", {}):
        return None
    exact = bias.astype(np.float64)
    left = exact - codes.astype(np.float64) * scales
    if np.any(np.abs(left) > scales):
        raise NoIntegerForm("its bias is too large for the scale that the model gives")
    left = np.where(np.abs(left) <= _FLOAT32_ROUNDING * np.abs(exact), 0.0, left)
    return left if np.any(left) else None


def linear_operator(
    builder: Builder,
    kind: str,
    x: Codes,
    inputs: list[ir.Value],
    output: ir.Value,
    attributes: dict[str, Any] | None = None,
) -> ir.Value:
    """The accumulator of actc::IntConv or IntMatMul; of their Wide forms for wide codes."""
    operator = f"Wide{kind}" if x.wide else f"Int{kind}"
    dtype = ir.DataType.INT64 if x.wide else ir.DataType.INT32
    return builder.emit(
        operator, inputs, output, dtype, name=str(output.name), attributes=attributes
    )


def _bound(weights: Array, x: Codes, bias: Array) -> int:
    p = x.parameters
    return accumulator_bound(weights, 0, largest_code(p.bits), p.zero_point, bias)
