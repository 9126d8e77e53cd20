"""Places where the file itself puts the channels last, so that onnxruntime need not.

Its integer convolutions take and give channels last, its float ones blocks of channels;
between the two it changes layouts in nodes of their own. A Transpose in the file is joined
with such a node, or cancels it. Two Transposes with nothing but elementwise operators between
would first cancel each other; Gather, and Reshape to the same shape, stop that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import add_constant, attribute_ints, dims, is_op, only_user, replace_node
from actc.targets.onnx.spelling import SILU

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
BLOCK = 16
"""Channels in one block of onnxruntime's float convolutions."""
MOST_REPEATED = 4096
"""Weights that merging a mean may add; more take longer to read than the merging saves."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """An activation of dequantized codes, a pooling, the mean over the image, a product.

    Attributes:
        window: height and width of the pooling's windows, which do not overlap.
        image: channels, height and width in front of the pooling.
        positions: height and width behind it.
    """

    activation: ir.Node
    pool: ir.Node
    mean: ir.Node
    flat: ir.Node
    product: ir.Node
    window: tuple[int, int]
    image: tuple[int, int, int]

    @property
    def positions(self) -> tuple[int, int]:
        return self.image[1] // self.window[0], self.image[2] // self.window[1]


def pool_channels_last(graph: ir.Graph, coded: Collection[ir.Value]) -> None:
    """Pool an image behind an integer convolution as that gives it, and leave the mean to Gemm.

    SILU, MaxPool, GlobalAveragePool and Gemm would change the layout three times. Instead
    Gather cuts the image, its channels last, into rows of windows, which a pooling of three
    dimensions reduces; Gemm gets its weights once for each position, divided by their number.
    Gather also stands for the copy that keeps SILU together (`spelling.expand_silu`).

    Args:
        coded: values that are dequantized codes.
    """
    for node in list(graph):
        tail = _tail(node)
        if tail is not None and _is_convolved(tail, coded):
            _write_tail(graph, tail)


def can_pool_channels_last(pool: ir.Node) -> bool:
    """Whether :func:`pool_channels_last` pools so, if the convolution in front runs on codes."""
    return _tail(pool) is not None


def quantize_channels_last(graph: ir.Graph) -> None:
    """Quantize a float convolution's SILU with the channels last, for an integer convolution.

    The Transpose behind the convolution is the one that leads out of the blocks anyway, and the
    one in front of the quantizer cancels that which onnxruntime puts behind it.
    """
    for node in list(graph):
        if not is_op(node, "QuantizeLinear") or not _feeds_convolutions(node):
            continue
        activation = _in_front(node, SILU, DOMAIN)
        convolution = None if activation is None else _in_front(activation, "Conv")
        shape = None if convolution is None else dims(convolution.outputs[0])
        if activation is None or convolution is None or shape is None or len(shape) != 4:
            continue
        if _has_integer_weights(convolution) or (shape[1] or 1) % BLOCK:
            continue
        last = _transposed(graph, activation, convolution.outputs[0], LAST)
        same = add_constant(graph, f"{last.name}_shape", np.zeros(4, np.int64))
        _insert(graph, activation, ir.node("Reshape", [last, same], name=f"{last.name}_kept"))
        activation.outputs[0].shape = ir.Shape([shape[0], *shape[2:], shape[1]])
        _transposed(graph, node, activation.outputs[0], FIRST)


def _tail(pool: ir.Node) -> _Tail | None:
    """The parts behind and in front of a pooling, None if any is not as it must be."""
    activation, window, image = _in_front(pool, SILU, DOMAIN), _window(pool), _image(pool)
    if activation is None or window is None or image is None:
        return None
    mean = _behind(pool, "GlobalAveragePool")
    flat = None if mean is None else _behind(mean, "Flatten")
    product = None if flat is None else _behind(flat, "Gemm")
    if mean is None or flat is None or product is None or not _takes_rows(product, flat):
        return None
    tail = _Tail(activation, pool, mean, flat, product, window, image)
    return tail if 0 <= _repeated(tail) <= MOST_REPEATED else None


def _repeated(tail: _Tail) -> int:
    """Number of weights that the product gets in addition."""
    shape, (height, width) = dims(tail.product.outputs[0]), tail.positions
    outputs = shape[-1] if shape else None
    return -1 if outputs is None else (height * width - 1) * tail.image[0] * outputs


def _write_tail(graph: ir.Graph, tail: _Tail) -> None:
    name, (channels, _, width) = str(tail.pool.name), tail.image
    (rows, columns), (tall, wide) = tail.positions, tail.window
    source = tail.activation.inputs[0]
    assert source is not None
    last = _transposed(graph, tail.activation, source, LAST)
    rows_of = np.arange(rows * tall, dtype=np.int64).reshape(rows, tall)
    windows = [last, add_constant(graph, f"{name}_rows", rows_of)]
    _insert(graph, tail.activation, ir.node("Gather", windows, {"axis": 1}, name=f"{name}_windows"))
    batch = (dims(tail.pool.inputs[0]) or (None,))[0]
    tail.activation.outputs[0].shape = ir.Shape([batch, rows, tall, width, channels])
    sizes = {"kernel_shape": [tall, wide, 1], "strides": [tall, wide, 1]}
    pool = ir.node("MaxPool", [tail.activation.outputs[0]], sizes, name=name)
    flat = ir.node("Flatten", [pool.outputs[0]], name=tail.flat.name)
    pool.outputs[0].name = f"{name}_max"
    _insert_mean_weights(graph, tail, rows * columns)
    replace_node(tail.flat, [pool, flat], flat.outputs[0])
    flat.outputs[0].shape = ir.Shape([batch, rows * columns * channels])
    for node in (tail.mean, tail.pool):
        graph.remove(node, safe=True)


def _insert_mean_weights(graph: ir.Graph, tail: _Tail, count: int) -> None:
    """Weights for all positions of which the product takes the mean, computed at loading."""
    weights, name = tail.product.inputs[1], str(tail.product.name)
    repeats = add_constant(graph, f"{name}_repeats", np.array([count, 1], np.int64))
    share = add_constant(graph, f"{name}_share", np.array(1 / count, np.float32))
    tile = ir.node("Tile", [weights, repeats], name=f"{name}_w_repeated")
    tile.outputs[0].name = tile.name
    product = ir.node("Mul", [tile.outputs[0], share], name=f"{name}_w_mean")
    product.outputs[0].name = product.name
    graph.insert_before(tail.product, [tile, product])
    tail.product.replace_input_with(1, product.outputs[0])


def _transposed(
    graph: ir.Graph, reader: ir.Node, value: ir.Value, order: tuple[int, ...]
) -> ir.Value:
    """Give `reader` its first input, `value`, in another order of axes."""
    name = f"{value.name}_{'last' if order == LAST else 'first'}"
    return _insert(graph, reader, ir.node("Transpose", [value], {"perm": order}, name=name))


def _insert(graph: ir.Graph, reader: ir.Node, node: ir.Node) -> ir.Value:
    """Put a node in front of the first input of `reader`."""
    result = node.outputs[0]
    result.name = node.name
    graph.insert_before(reader, node)
    reader.replace_input_with(0, result)
    return result


def _in_front(node: ir.Node, op_type: str, domain: str = "") -> ir.Node | None:
    """The operator that makes the first input, if it is such a one and makes it for no other."""
    source = node.inputs[0] if node.inputs else None
    producer = None if source is None else source.producer()
    found = is_op(producer, op_type, domain=domain) and only_user(source) is node
    return producer if found else None


def _behind(node: ir.Node, op_type: str) -> ir.Node | None:
    """The only reader of the output, if it is such an operator."""
    user = only_user(node.outputs[0])
    return user if is_op(user, op_type) else None


def _window(pool: ir.Node) -> tuple[int, int] | None:
    """Height and width of a maximum's windows that lie side by side, without padding."""
    kernel = attribute_ints(pool, "kernel_shape", ())
    sides = attribute_ints(pool, "strides", ()) == kernel and len(kernel) == 2
    plain = not any(attribute_ints(pool, "pads", ())) and set(
        attribute_ints(pool, "dilations", (1,))
    ) == {1}
    known = {"kernel_shape", "strides", "pads", "dilations", "ceil_mode", "storage_order"}
    zero = [pool.attributes[n].as_int() for n in ("ceil_mode", "storage_order") if n in
            pool.attributes]  # fmt: skip
    if not is_op(pool, "MaxPool") or not (sides and plain) or any(zero):
        return None
    if len(pool.outputs) > 1 or not set(pool.attributes) <= known:
        return None
    return kernel[0], kernel[1]


def _image(pool: ir.Node) -> tuple[int, int, int] | None:
    """Channels, height and width of the first input, None where one is unknown."""
    shape = dims(pool.inputs[0]) if pool.inputs else None
    if shape is None or len(shape) != 4:
        return None
    channels, height, width = shape[1:]
    known = channels is not None and height is not None and width is not None
    return (channels or 0, height or 0, width or 0) if known else None


def _takes_rows(product: ir.Node, flat: ir.Node) -> bool:
    """Whether Gemm multiplies rows by float weights as they stand."""
    weights = product.inputs[1]
    straight = product.inputs[0] is flat.outputs[0] and not {"transA", "transB", "alpha"} & set(
        product.attributes
    )
    straight &= flat.attributes.get_int("axis", 1) in (1, -3)
    return straight and weights is not None and not _has_integer_weights(product)


def _has_integer_weights(node: ir.Node) -> bool:
    weights = node.inputs[1]
    return weights is not None and is_op(weights.producer(), "DequantizeLinear")


def _is_convolved(tail: _Tail, coded: Collection[ir.Value]) -> bool:
    """Whether the activation reads codes that an integer convolution gives, for no other."""
    node = _in_front(tail.activation, "DequantizeLinear")
    if node is None or node.outputs[0] not in coded:
        return False
    quantizer = _in_front(node, "QuantizeLinear")
    convolution = None if quantizer is None else _in_front(quantizer, "Conv")
    return convolution is not None and _has_integer_weights(convolution)


def _feeds_convolutions(quantizer: ir.Node) -> bool:
    """Whether all that reads the codes are integer convolutions."""
    dequantizer = _behind(quantizer, "DequantizeLinear")
    users = [] if dequantizer is None else [use.node for use in dequantizer.outputs[0].uses()]
    return bool(users) and all(is_op(u, "Conv") and _has_integer_weights(u) for u in users)
