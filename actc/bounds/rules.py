"""Golden's operators on pairs of forms (:mod:`actc.bounds.integers`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds import affine, normalization, pooling, rules_norms, tensors
from actc.bounds.affine import SLACK, Form, Matrix
from actc.bounds.curve import Extremes, site_function
from actc.bounds.floating import MOVES
from actc.bounds.integers import (
    ROUNDING,
    WEIGHTS,
    Golden,
    Integers,
    Mate,
    Shares,
    scaled,
)
from actc.bounds.interval import HALF_ULP, SMALLEST
from actc.bounds.operators import NotEnclosed
from actc.bounds.transfer import Codes, difference
from actc.ir.dialect import DOMAIN
from actc.ir.graph import attribute_ints, constant, is_op

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Rule = Callable[[Golden, ir.Node], None]


def _constant(node: ir.Node, position: int) -> Array:
    array = constant(node.inputs[position]) if position < len(node.inputs) else None
    if array is None:
        raise NotEnclosed("a parameter of it is not constant")
    return array


def _number(node: ir.Node, position: int) -> float:
    return float(_constant(node, position).reshape(-1)[0])


def _quantize(golden: Golden, node: ir.Node) -> None:
    x, scale = golden.before(node.inputs[0]), _number(node, 1)
    zero = _constant(node, 2)
    found = scaled(x, 1 / scale, float(zero))
    # float32 division, then rounding to the nearest
    away = 0.5 + found.golden.magnitude() * 2 * HALF_ULP
    shares = dict(found.shares)
    golden.charge(shares, ROUNDING, away)
    rounded = affine.loosened(found.golden, away)
    ends = (0, int(np.iinfo(zero.dtype).max))
    golden.put(node.outputs[0], replace(found, golden=rounded, shares=shares, ends=ends))


def _requantize(golden: Golden, node: ir.Node) -> None:
    x = golden.after(node.inputs[0])
    multiplier, whole = _constant(node, 1).astype(np.int64), 2 ** int(_number(node, 2))
    factor, half = (
        np.broadcast_to(part, x.shape).reshape(-1)
        # a whole factor leaves nothing to round
        for part in (multiplier / whole, np.where(multiplier % whole == 0, 0.0, 0.5))
    )
    found = scaled(x, factor, _number(node, 3))
    ends = (int(_number(node, 4)), int(_number(node, 5)))
    rounded = affine.loosened(found.golden, half)
    found = replace(found, golden=rounded, shares=dict(found.shares), ends=ends, kind=x.kind)
    golden.put(node.outputs[0], found)
    golden.charge(golden.values[node.outputs[0]].shares, ROUNDING, half)


def _dequantize(golden: Golden, node: ir.Node) -> None:
    x, scale = golden.after(node.inputs[0]), _constant(node, 1).astype(np.float64)
    zero = _number(node, 2) if len(node.inputs) > 2 else 0.0
    if scale.size > 1:
        shape = [1] * len(x.shape)
        shape[node.attributes["axis"].as_int() if "axis" in node.attributes else 1] = -1
        scale = scale.reshape(shape)
    factor = np.broadcast_to(scale, x.shape).reshape(-1)
    found = scaled(x, factor, -factor * zero)
    # the integer in float32, and one product
    away = 3 * HALF_ULP * found.golden.magnitude() + SMALLEST
    found = replace(found, golden=affine.loosened(found.golden, away), kind=x.kind)
    golden.put(node.outputs[0], found, real=True)


def _layer(golden: Golden, node: ir.Node, matrix: Matrix, bias: Array, shape: Shape) -> None:
    x, zero = golden.after(node.inputs[0]), _number(node, 3)
    offset = bias - zero * (matrix @ np.ones(matrix.shape[1]))
    golden.put(node.outputs[0], _linear(golden, x, matrix, offset, shape, WEIGHTS))


def _linear(
    golden: Golden, x: Integers, matrix: Matrix, offset: Array | float, shape: Shape, kind: str
) -> Integers:
    size, labels = abs(matrix), list(x.shares)
    shares: Shares = {}
    if labels:
        stacked = size @ np.stack([x.shares[label] for label in labels], axis=1)
        shares = {label: stacked[:, i] for i, label in enumerate(labels)}
    forms = [affine.linear(golden.space, matrix, f, offset) for f in (x.golden, x.ideal)]
    return Integers(forms[0], forms[1], shares, shape, kind=kind)


def _conv(golden: Golden, node: ir.Node) -> None:
    weights, bias = _constant(node, 1).astype(np.float64), _constant(node, 2)
    window = {key: attribute_ints(node, key, []) for key in ("strides", "pads", "dilations")}
    group, shape = node.attributes["group"].as_int(), golden.after(node.inputs[0]).shape
    matrix, out = tensors.convolution(shape, weights, group, **window)
    offset = np.repeat(bias.reshape(-1).astype(np.float64), int(np.prod(out[2:])))
    _layer(golden, node, matrix, offset, out)


def _matmul(golden: Golden, node: ir.Node) -> None:
    shape = golden.after(node.inputs[0]).shape
    weights = _constant(node, 1).astype(np.float64)
    matrix, out = tensors.multiplication(shape, weights)
    _layer(golden, node, matrix, np.resize(_constant(node, 2), matrix.shape[0]), out)


def _reduce_sum(golden: Golden, node: ir.Node) -> None:
    x, zero = golden.after(node.inputs[0]), _number(node, 1)
    keeps = node.attributes["keepdims"].as_int() != 0
    matrix, shape = tensors.summation(x.shape, [int(a) for a in _constant(node, 2)], keeps)
    offset = -zero * (matrix @ np.ones(matrix.shape[1]))
    golden.put(node.outputs[0], _linear(golden, x, matrix, offset, shape, ROUNDING))


def _table(golden: Golden, node: ir.Node) -> None:
    table = _constant(node, 1).reshape(1, -1)
    x = golden.before(node.inputs[0])
    _look_up(golden, node, table, np.zeros(x.golden.size, int))


def _channel_table(golden: Golden, node: ir.Node) -> None:
    offset, shape = _constant(node, 2), golden.before(node.inputs[0]).shape
    table = _constant(node, 1).reshape(offset.size, -1)
    channel = np.broadcast_to(offset // table.shape[1], shape).reshape(-1)
    _look_up(golden, node, table, channel)


def _look_up(golden: Golden, node: ir.Node, table: Array, channel: Array) -> None:
    output = node.outputs[0]
    mates = golden.known_mates(output)
    paired = _site(golden, node, mates)
    if paired is None:
        golden.put(output, _straightened(golden, golden.after(node.inputs[0]), table, channel))
        return
    site, source, x = paired
    low, high = x.ends if x.ends is not None else (0, table.shape[1] - 1)
    codes = Codes(x.golden, source.scale, source.zero, low, high)
    target = mates[0]
    real = target.scale * (table[:, low : high + 1].astype(np.float64) - target.zero)
    floats = [golden.float_tensor(mate.name) for mate in (source, target)]
    assert floats[0] is not None
    assert floats[1] is not None
    function = site_function(site.function)
    found = difference(floats[0].form, floats[1].form, codes, function, channel, real)
    result = golden.replaced(x, source, floats[1].form, found, target, keep=mates)
    golden.values[output] = result


def _site(
    golden: Golden, node: ir.Node, mates: tuple[Mate, ...]
) -> tuple[Any, Mate, Integers] | None:
    """The activation that a table stands for, the mate that it reads and its integers."""
    value = golden.float_value(mates[0].name) if mates else None
    producer = None if value is None else value.producer()
    if producer is None or not is_op(producer, "Activation", domain=DOMAIN):
        return None
    x, wanted = golden.before(node.inputs[0]), producer.inputs[0]
    for position, mate in enumerate(x.mates):
        if wanted is not None and mate.name == wanted.name:
            integers = x if position == 0 else golden.after(node.inputs[0])
            return golden.floats.sites[producer.metadata_props["actc.site"]], mate, integers
    return None


def _straightened(golden: Golden, x: Integers, table: Array, channel: Array) -> Integers:
    """A table that stands for no activation: a line, and how far its entries are off."""
    form = x.golden
    last = table.shape[1] - 1
    codes = Codes(form, 1.0, 0.0, 0, last)
    first, end = codes.reachable()
    used = np.arange(int(first.min()), int(end.max()) + 1)
    entries = table[:, used].astype(np.float64)
    slope = 0.0
    if len(used) > 1:
        slope = float(np.polyfit(used.astype(np.float64), entries.mean(axis=0), 1)[0])
    off = table - slope * np.arange(last + 1)
    top = Extremes(off).largest(channel, first, end)
    bottom = -Extremes(-off).largest(channel, first, end)
    middle = bottom / 2 + top / 2
    found = scaled(x, slope, middle)
    radius = (top - bottom) / 2 + SLACK * (np.abs(top) + np.abs(bottom) + last * abs(slope))
    shares = dict(found.shares)
    golden.charge(shares, ROUNDING, radius)
    rounded = affine.promoted(golden.space, affine.loosened(found.golden, radius))
    return replace(found, golden=rounded, shares=shares)


def _broadcast(x: Integers, shape: Shape) -> Integers:
    index = np.broadcast_to(tensors.positions(x.shape), shape).reshape(-1)
    return _gathered(x, index, shape)


def _gathered(x: Integers, index: Array, shape: Shape) -> Integers:
    flat = index.reshape(-1)
    return replace(
        x,
        golden=affine.gathered(x.golden, flat),
        ideal=affine.gathered(x.ideal, flat),
        shares={label: np.where(flat < 0, 0.0, s[flat]) for label, s in x.shares.items()},
        shape=shape,
        mates=(),
    )


def _operands(golden: Golden, node: ir.Node) -> tuple[Integers, Integers, Shape]:
    a, b = golden.after(node.inputs[0]), golden.after(node.inputs[1])
    shape = np.broadcast_shapes(a.shape, b.shape)
    return _broadcast(a, shape), _broadcast(b, shape), shape


def _merged(a: Shares, b: Shares) -> Shares:
    return {
        label: sum((s[label] for s in (a, b) if label in s), np.zeros(1)) for label in {**a, **b}
    }


def _add(golden: Golden, node: ir.Node) -> None:
    a, b, shape = _operands(golden, node)
    a, b = scaled(a, _number(node, 2)), scaled(b, _number(node, 3), _number(node, 4))
    found = Integers(
        affine.total(a.golden, b.golden),
        affine.total(a.ideal, b.ideal),
        _merged(a.shares, b.shares),
        shape,
    )
    golden.put(node.outputs[0], found)


def _multiply(golden: Golden, node: ir.Node) -> None:
    a, b, shape = _operands(golden, node)
    a, b = scaled(a, 1.0, -_number(node, 2)), scaled(b, 1.0, -_number(node, 3))
    _put_product(golden, node, a, b, shape, affine.product)


def _batch_matmul(golden: Golden, node: ir.Node) -> None:
    a, b = golden.after(node.inputs[0]), golden.after(node.inputs[1])
    a, b = scaled(a, 1.0, -_number(node, 2)), scaled(b, 1.0, -_number(node, 3))

    def multiplied(x: Form, y: Form) -> Form:
        return normalization.products(golden.space, x, a.shape, y, b.shape)[0]

    shape = normalization.product_shape(a.shape, b.shape)
    _put_product(golden, node, a, b, shape, multiplied)


def _put_product(
    golden: Golden,
    node: ir.Node,
    a: Integers,
    b: Integers,
    shape: Shape,
    multiplied: Callable[[Form, Form], Form],
) -> None:
    """(A + p)(B + q) = AB + Aq + Bp + pq, with AB that of the float network where it is known."""
    apart = [affine.total(x.golden, x.ideal, -1.0) for x in (a, b)]
    ideal = _float_product(golden, node, [a, b]) or multiplied(a.ideal, b.ideal)
    parts = [multiplied(a.ideal, apart[1]), multiplied(apart[0], b.ideal)]
    parts.append(multiplied(*apart))
    form = ideal
    for part in parts:
        form = affine.total(form, part)
    shares = _product_shares(a, b, multiplied)
    form = affine.promoted(golden.space, form)
    golden.put(node.outputs[0], Integers(form, ideal, shares, shape))


def _float_product(golden: Golden, node: ir.Node, operands: Sequence[Integers]) -> Form | None:
    """The float product that golden's accumulator stands for, in its units."""
    scales = []
    for value in node.inputs[:2]:
        mates = golden.known_mates(value) if value is not None else ()
        if not mates:
            return None
        scales.append(mates[-1].scale)
    for mate in golden.behind(node.outputs[0]):
        value = golden.float_value(mate.name)
        producer = None if value is None else value.producer()
        tensor = golden.float_tensor(mate.name)
        if tensor is not None and is_op(producer, "Mul", "MatMul"):
            return affine.scaled(tensor.form, 1 / (scales[0] * scales[1]))
    return None


def _product_shares(a: Integers, b: Integers, multiplied: Callable[[Form, Form], Form]) -> Shares:
    sizes = [affine.exact(x.golden.magnitude()) for x in (a, b)]
    first = {k: multiplied(affine.exact(s), sizes[1]).center for k, s in a.shares.items()}
    second = {k: multiplied(sizes[0], affine.exact(s)).center for k, s in b.shares.items()}
    return _merged(first, second)


def _largest(golden: Golden, node: ir.Node) -> None:
    x = golden.after(node.inputs[0])
    index, shape = pooling.windows(node, x.shape)
    apart = pooling.largest_difference(x.ideal, affine.total(x.golden, x.ideal, -1.0), index)
    mates = golden.known_mates(node.outputs[0])
    ideal = _float_maximum(golden, node.outputs[0])
    if ideal is None:
        ideal = pooling.largest(golden.space, x.ideal, index)
    shares = {
        label: np.where(index < 0, 0.0, share[index]).max(axis=1)
        for label, share in x.shares.items()
    }
    form = affine.promoted(golden.space, affine.total(ideal, apart))
    golden.values[node.outputs[0]] = Integers(form, ideal, shares, shape, mates=mates)


def _float_maximum(golden: Golden, value: ir.Value) -> Form | None:
    """The float tensor behind a maximum, or behind mirrored codes: a minimum; in codes."""
    mates, sign, offset = golden.known_mates(value), 1.0, 0.0
    for use in () if mates else value.uses():
        table = constant(use.node.inputs[1]) if use.node.op_type == "Table" else None
        if table is not None and np.array_equal(table, np.arange(table.size)[::-1]):
            mates, sign, offset = golden.known_mates(use.node.outputs[0]), -1.0, table.size - 1.0
    tensor = golden.float_tensor(mates[0].name) if mates else None
    if tensor is None:
        return None
    factor = sign / mates[0].scale
    return affine.scaled(tensor.form, factor, offset + sign * mates[0].zero)


def _move(golden: Golden, node: ir.Node) -> None:
    sources = [v for v in dict.fromkeys(node.inputs) if v is not None and constant(v) is None]
    found = [golden.after(value) for value in sources]
    shapes = {value: x.shape for value, x in zip(sources, found, strict=True)}
    moved = tensors.moved(golden.model, node, shapes)
    joined = found[0] if len(found) == 1 else _joined(found)
    for output, index in zip(node.outputs, moved, strict=True):
        if index.max(initial=-1) >= joined.golden.size:
            raise NotEnclosed("it puts other numbers than those of its inputs")
        golden.put(output, _gathered(joined, index, index.shape))


def _joined(parts: Sequence[Integers]) -> Integers:
    labels = {label: None for part in parts for label in part.shares}
    shares = {
        label: np.concatenate([p.shares.get(label, np.zeros(p.golden.size)) for p in parts])
        for label in labels
    }
    return Integers(
        affine.joined([part.golden for part in parts]),
        affine.joined([part.ideal for part in parts]),
        shares,
        (),
    )


RULES: dict[tuple[str, str], Rule] = {
    ("", "DequantizeLinear"): _dequantize,
    ("", "MaxPool"): _largest,
    ("", "QuantizeLinear"): _quantize,
    ("", "ReduceMax"): _largest,
    (DOMAIN, "ChannelTable"): _channel_table,
    (DOMAIN, "IntAdd"): _add,
    (DOMAIN, "IntBatchMatMul"): _batch_matmul,
    (DOMAIN, "IntConv"): _conv,
    (DOMAIN, "IntLayerNorm"): rules_norms.layer_norm,
    (DOMAIN, "IntMatMul"): _matmul,
    (DOMAIN, "IntMul"): _multiply,
    (DOMAIN, "IntReduceSum"): _reduce_sum,
    (DOMAIN, "IntSoftmax"): rules_norms.softmax,
    (DOMAIN, "Requantize"): _requantize,
    (DOMAIN, "Table"): _table,
    (DOMAIN, "WideBatchMatMul"): _batch_matmul,
    (DOMAIN, "WideConv"): _conv,
    (DOMAIN, "WideMatMul"): _matmul,
    (DOMAIN, "WideMaxPool"): _largest,
    (DOMAIN, "WideMul"): _multiply,
    (DOMAIN, "WideReduceMax"): _largest,
    **{("", op): _move for op in MOVES},
}
"""Forms of each operator of golden that is covered."""
