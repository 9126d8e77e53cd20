"""Fold what surrounds a convolution or matrix product into its weights and bias.

All folding is done in float64 and rounded once to float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.context import context_of
from actc.ir.elementwise import is_elementwise
from actc.ir.graph import (
    add_constant,
    channel_vector,
    constant,
    dims,
    is_op,
    only_user,
    rank,
    replace_node,
)

Array = np.ndarray[Any, Any]

LINEAR = ("Conv", "MatMul", "ConvTranspose")


def channel_axis(node: ir.Node) -> int:
    """The axis of the output channels of a Conv (1) or MatMul (the last)."""
    if node.op_type == "MatMul":
        output_rank = rank(node.outputs[0])
        return (output_rank or 2) - 1
    return 1


def linear_producer(value: ir.Value | None) -> ir.Node | None:
    """The Conv, or MatMul by a constant matrix, that alone produces `value` for one user."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, *LINEAR) or constant(node.inputs[1]) is None:
        return None
    weight = constant(node.inputs[1])
    return None if node.op_type == "MatMul" and weight is not None and weight.ndim != 2 else node


def gemm_to_matmul(model: ir.Model) -> None:
    """Gemm -> MatMul + Add, transposition and factors moved into constants."""
    graph = model.graph
    for node in list(graph):
        if not is_op(node, "Gemm"):
            continue
        weight, bias = constant(node.inputs[1]), None
        source = node.inputs[0]
        if weight is None or source is None or _flag(node, "transA"):
            continue
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            bias = constant(node.inputs[2])
            if bias is None:
                continue
        matrix = weight.T if _flag(node, "transB") else weight
        matrix = (matrix.astype(np.float64) * _number(node, "alpha")).astype(weight.dtype)
        name = node.inputs[1].name if node.inputs[1] is not None else "w"
        product = ir.node(
            "MatMul",
            [source, add_constant(graph, f"{name}_matrix", np.ascontiguousarray(matrix))],
            name=node.name,
        )
        if bias is None:
            replace_node(node, [product], product.outputs[0])
            continue
        term = (bias.astype(np.float64) * _number(node, "beta")).astype(weight.dtype)
        _like(product.outputs[0], node.outputs[0])
        product.outputs[0].name = f"{node.outputs[0].name}_product"
        added = ir.node(
            "Add",
            [product.outputs[0], add_constant(graph, f"{name}_bias", term)],
            name=f"{node.name}_bias",
        )
        replace_node(node, [product, added], added.outputs[0])


def _flag(node: ir.Node, name: str) -> bool:
    attribute = node.attributes.get(name)
    return attribute is not None and attribute.as_int() != 0


def _number(node: ir.Node, name: str) -> float:
    attribute = node.attributes.get(name)
    return 1.0 if attribute is None else attribute.as_float()


def _like(value: ir.Value, other: ir.Value) -> None:
    value.type = other.type
    value.shape = other.shape


def fold_batch_norm(model: ir.Model) -> None:
    """BatchNormalization -> Mul and Add per channel (then folded by `fold_affine`)."""
    graph = model.graph
    for node in list(graph):
        if not is_op(node, "BatchNormalization"):
            continue
        arrays = [constant(value) for value in node.inputs[1:5]]
        value_rank = rank(node.outputs[0])
        if (
            any(array is None for array in arrays)
            or value_rank is None
            or _flag(node, "training_mode")
        ):
            continue
        gamma, beta, mean, variance = (a.astype(np.float64) for a in arrays if a is not None)
        epsilon = node.attributes.get("epsilon")
        factor = gamma / np.sqrt(variance + (1e-5 if epsilon is None else epsilon.as_float()))
        offset = beta - mean * factor
        shape = [1, -1] + [1] * (value_rank - 2)
        name = node.name or "batch_norm"
        constants = [
            add_constant(graph, f"{name}_{what}", array.reshape(shape).astype(np.float32))
            for what, array in (("factor", factor), ("offset", offset))
        ]
        scaled = ir.node("Mul", [node.inputs[0], constants[0]], name=f"{name}_mul")
        scaled.outputs[0].name = f"{node.outputs[0].name}_scaled"
        _like(scaled.outputs[0], node.outputs[0])
        moved = ir.node("Add", [scaled.outputs[0], constants[1]], name=f"{name}_add")
        replace_node(node, [scaled, moved], moved.outputs[0])


def lift_over_squeeze(model: ir.Model) -> None:
    """Squeeze(linear) then Add/Mul with a constant -> the Add/Mul first, then Squeeze."""
    graph = model.graph
    changed = True
    while changed:
        changed = False
        for node in list(graph):
            if is_op(node, "Add", "Sub", "Mul", "Div") and _lift(graph, node):
                changed = True


def _lift(graph: ir.Graph, node: ir.Node) -> bool:
    data, factor = _operands(node)
    if data is None or factor is None:
        return False
    mover = data.producer()
    if not is_op(mover, "Squeeze", "Unsqueeze") or only_user(data) is not node:
        return False
    assert mover is not None
    inner = mover.inputs[0]
    axes = constant(mover.inputs[1]) if len(mover.inputs) > 1 else None
    outer_rank = rank(data)
    if inner is None or axes is None or outer_rank is None or factor.ndim > outer_rank:
        return False
    if not _chain_starts_linear(inner):
        return False
    full = factor.reshape((1,) * (outer_rank - factor.ndim) + factor.shape)
    moved = _move_axes(mover, full, [int(a) for a in axes], inner, outer_rank)
    if moved is None:
        return False
    term = add_constant(graph, f"{node.name}_lifted", moved)
    inputs = [inner, term] if node.inputs[0] is data else [term, inner]
    lifted = ir.node(node.op_type, inputs, name=node.name)
    lifted.outputs[0].name = f"{inner.name}_lifted"
    _like(lifted.outputs[0], inner)
    again = ir.node(mover.op_type, [lifted.outputs[0], mover.inputs[1]], name=f"{mover.name}_after")
    replace_node(node, [lifted, again], again.outputs[0])
    graph.remove(mover, safe=True)
    return True


def _chain_starts_linear(value: ir.Value) -> bool:
    """Whether `value` comes from a linear operator through single-use affine steps."""
    current: ir.Value | None = value
    while current is not None and only_user(current) is not None:
        if linear_producer(current) is not None:
            return True
        node = current.producer()
        if node is not None and is_op(node, "Squeeze", "Unsqueeze"):
            current = node.inputs[0]
        elif node is not None and is_op(node, "Add", "Sub", "Mul", "Div"):
            current = _operands(node)[0]
        else:
            return False
    return False


def _move_axes(
    mover: ir.Node, full: Array, axes: list[int], inner: ir.Value, outer_rank: int
) -> Array | None:
    inner_rank = rank(inner)
    if inner_rank is None:
        return None
    if mover.op_type == "Squeeze":
        return np.expand_dims(full, tuple(a % inner_rank for a in axes))
    places = tuple(a % outer_rank for a in axes)
    return np.squeeze(full, places) if all(full.shape[p] == 1 for p in places) else None


def _operands(node: ir.Node) -> tuple[ir.Value | None, Array | None]:
    """The data operand and the constant operand of an Add, Sub, Mul or Div."""
    first, second = node.inputs[0], node.inputs[1]
    array = constant(second)
    if array is not None and constant(first) is None:
        return first, array
    array = constant(first)
    if array is not None and node.op_type != "Div" and constant(second) is None:
        return second, array
    return None, None


def fold_affine(model: ir.Model) -> None:
    """Fold Add, Sub, Mul, Div per channel behind a Conv or MatMul into it.

    Scalars stay: they are part of an activation's formula (the 3 of a decomposed
    hard sigmoid) more often than of the linear operator. Afterwards a MatMul has
    at most one bias Add behind it, a Conv none.

    A layer whose integers the model gives (``facts["given"]``) keeps them: nothing is
    folded into it when a quantizer follows; else its scales change (scalars too).
    """
    graph, given = model.graph, context_of(model).facts.get("given", {})
    changed = True
    while changed:
        changed = False
        for node in list(graph):
            if is_op(node, "Add", "Sub", "Mul", "Div") and node.graph is not None:
                changed |= _fold_into_linear(graph, node, given)


def _fold_into_linear(graph: ir.Graph, node: ir.Node, given: dict[str, Any]) -> bool:
    data, factor = _operands(node)
    if data is None or factor is None or only_user(data) is not node:
        return False
    linear, bias_add = _linear_behind(data)
    if linear is None:
        return False
    own = given.get(str(linear.name))
    vector = _along_channels(linear, factor, own is not None)
    if vector is None or (node.op_type == "Div" and not np.all(vector)):
        return False
    scale, offset = _scale_and_offset(node, vector.astype(np.float64), data)
    if own is not None and (leads_to_quantizer(node.outputs[0]) or np.any(scale <= 0)):
        return False
    if linear.op_type == "MatMul" and bias_add is None and node.op_type in ("Add", "Sub"):
        # An Add is the one bias that a MatMul keeps behind it; a Sub becomes one.
        if node.op_type == "Sub":
            _apply(graph, linear, None, scale, np.zeros_like(offset))
        if node.op_type == "Sub" or factor.size != len(offset):
            _put_bias(graph, node, data, offset)
            return True
        return False
    if own is not None:
        given[str(linear.name)] = own.scaled(scale)
    _apply(graph, linear, bias_add, scale, offset)
    ir.convenience.replace_all_uses_with(node.outputs[0], data, replace_graph_outputs=True)
    name = node.outputs[0].name
    graph.remove(node, safe=True)
    node.outputs[0].name = None
    data.name = name
    return True


def _along_channels(linear: ir.Node, factor: Array, scalars: bool) -> Array | None:
    """`factor` as a vector over the output channels; a number only with `scalars`."""
    axis, shape = channel_axis(linear), dims(linear.outputs[0])
    extent = None if shape is None else shape[axis]
    if shape is None:
        return None
    if scalars and factor.size == 1 and extent is not None:
        return np.repeat(factor.reshape(-1), extent)
    return channel_vector(factor, len(shape), axis, extent)


def leads_to_quantizer(value: ir.Value) -> bool:
    """Whether the one thing that becomes of `value`, elementwise, is codes that the model chose."""
    user = only_user(value)
    while user is not None and is_elementwise(user):
        user = only_user(user.outputs[0])
    return is_op(user, "QuantizeLinear")


def _put_bias(graph: ir.Graph, node: ir.Node, data: ir.Value, bias: Array) -> None:
    """Replace `node` by the addition of `bias` to `data`."""
    name = node.name or node.op_type
    added = ir.node(
        "Add", [data, add_constant(graph, f"{name}_bias", bias.astype(np.float32))], name=name
    )
    replace_node(node, [added], added.outputs[0])


def _linear_behind(value: ir.Value) -> tuple[ir.Node | None, ir.Node | None]:
    linear = linear_producer(value)
    if linear is not None:
        return linear, None
    node = value.producer()
    if is_op(node, "Add"):
        assert node is not None
        inner, bias = _operands(node)
        product = linear_producer(inner)
        if (
            product is not None
            and product.op_type == "MatMul"
            and bias is not None
            and inner is not None
        ):
            shape = dims(value)
            vector = channel_vector(
                bias, len(shape or ()), len(shape or ()) - 1, (shape or (None,))[-1]
            )
            if only_user(inner) is node and vector is not None:
                return product, node
    return None, None


def _scale_and_offset(node: ir.Node, vector: Array, data: ir.Value) -> tuple[Array, Array]:
    one, zero = np.ones_like(vector), np.zeros_like(vector)
    constant_first = node.inputs[1] is data
    if node.op_type == "Add":
        return one, vector
    if node.op_type == "Sub":
        return (-one, vector) if constant_first else (one, -vector)
    if node.op_type == "Mul":
        return vector, zero
    return 1.0 / vector, zero


def _apply(
    graph: ir.Graph, linear: ir.Node, bias_add: ir.Node | None, scale: Array, offset: Array
) -> None:
    weight = constant(linear.inputs[1])
    assert weight is not None
    base = linear.name or linear.op_type
    if linear.op_type == "MatMul":
        matrix = weight.astype(np.float64) * scale
        linear.replace_input_with(1, add_constant(graph, f"{base}_w", matrix.astype(np.float32)))
        if bias_add is None:
            return
        position = 1 if constant(bias_add.inputs[1]) is not None else 0
        bias = constant(bias_add.inputs[position])
        assert bias is not None
        total = bias.astype(np.float64).reshape(-1) * scale + offset
        bias_add.replace_input_with(
            position, add_constant(graph, f"{base}_b", total.astype(np.float32))
        )
        return
    _apply_to_conv(graph, linear, weight, scale, offset)


def _apply_to_conv(
    graph: ir.Graph, conv: ir.Node, weight: Array, scale: Array, offset: Array
) -> None:
    base = conv.name or conv.op_type
    if conv.op_type == "Conv":
        shaped = scale.reshape(-1, *([1] * (weight.ndim - 1)))
    else:  # ConvTranspose: [C, O/group, ...], output channels group by group
        group_attribute = conv.attributes.get("group")
        group = 1 if group_attribute is None else group_attribute.as_int()
        per_group = scale.reshape(group, weight.shape[1])
        rows = np.repeat(per_group, weight.shape[0] // group, axis=0)
        shaped = rows.reshape(*weight.shape[:2], *([1] * (weight.ndim - 2)))
    old = constant(conv.inputs[2]) if len(conv.inputs) > 2 else None
    bias = (np.zeros_like(scale) if old is None else old.astype(np.float64)) * scale + offset
    conv.replace_input_with(
        1, add_constant(graph, f"{base}_w", (weight.astype(np.float64) * shaped).astype(np.float32))
    )
    term = add_constant(graph, f"{base}_b", bias.astype(np.float32))
    if len(conv.inputs) > 2:
        conv.replace_input_with(2, term)
    else:
        conv.resize_inputs(3)
        conv.replace_input_with(2, term)
