"""Shapes, weights and attributes that ask for more than there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hostile.case import Case
from hostile.networks import Spoil, constant, nodes, spoiled

_HUGE = 1 << 62
_FLOAT = TensorProto.FLOAT


def _input(*dims: int | str) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        del model.graph.input[:]
        model.graph.input.append(helper.make_tensor_value_info("x", _FLOAT, dims))

    return spoil


def _declared(*dims: int) -> Spoil:
    """Other dims of the weights than they have."""

    def spoil(model: onnx.ModelProto) -> None:
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)

    return spoil


def _weight(value: float) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        array = numpy_helper.to_array(tensor).copy()
        array[0, 0] = value
        tensor.CopyFrom(numpy_helper.from_array(array, "w"))

    return spoil


def _type(number: int) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].data_type = number

    return spoil


def _input_type(number: int) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = number

    return spoil


def _operator(
    op: str,
    values: dict[str, Sequence[int]],
    shape: Sequence[int | str] = ("a", "b"),
    **attributes: object,
) -> Spoil:
    """An operator on 'y' and on integer constants."""

    def spoil(model: onnx.ModelProto) -> None:
        for name, array in values.items():
            constant(model, name, array)
        node = helper.make_node(op, ["y", *values], ["z"], name="bomb", **attributes)
        nodes(node, shape=shape)(model)

    return spoil


def _constant_bomb(*dims: int) -> Spoil:
    """A constant of a few bytes that says how large it becomes."""

    def spoil(model: onnx.ModelProto) -> None:
        constant(model, "dims", dims)
        ones = helper.make_node("ConstantOfShape", ["dims"], ["ones"], name="ones")
        add = helper.make_node("ReduceSum", ["ones"], ["sum"], name="sum", keepdims=0)
        nodes(ones, add, helper.make_node("Add", ["y", "sum"], ["z"], name="add"))(model)

    return spoil


def _range(model: onnx.ModelProto) -> None:
    for name, value in (("start", 0), ("limit", _HUGE), ("delta", 1)):
        constant(model, name, value)
    numbers = helper.make_node("Range", ["start", "limit", "delta"], ["numbers"], name="range")
    add = helper.make_node("ReduceMax", ["numbers"], ["max"], name="max", keepdims=0)
    cast = helper.make_node("Cast", ["max"], ["real"], name="cast", to=_FLOAT)
    nodes(numbers, add, cast, helper.make_node("Add", ["y", "real"], ["z"], name="add"))(model)


def _doubling(times: int) -> Spoil:
    """Concat of a value with itself, again and again."""

    def spoil(model: onnx.ModelProto) -> None:
        names = ["y", *(f"c{k}" for k in range(times))]
        nodes(
            *(helper.make_node("Concat", [a, a], [b], name=b, axis=1) for a, b in pairwise(names)),
            shape=("batch", "many"),
        )(model)

    return spoil


def _convolution(**attributes: Sequence[int] | int) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        constant(model, "four", [-1, 1, 1, 3])
        model.graph.initializer.append(
            numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "kernel")
        )
        reshape = helper.make_node("Reshape", ["y", "four"], ["image"], name="reshape")
        conv = helper.make_node("Conv", ["image", "kernel"], ["z"], name="conv", **attributes)
        nodes(reshape, conv, shape=("batch", 1, "h", "w"))(model)

    return spoil


def _pooled(**attributes: Sequence[int]) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        constant(model, "four", [-1, 1, 1, 3])
        reshape = helper.make_node("Reshape", ["y", "four"], ["image"], name="reshape")
        pool = helper.make_node("MaxPool", ["image"], ["z"], name="pool", **attributes)
        nodes(reshape, pool, shape=("batch", 1, "h", "w"))(model)

    return spoil


_LEAKY = helper.make_node("LeakyRelu", ["y"], ["z"], alpha=float("nan"))


def _case(
    name: str,
    title: str,
    spoil: Callable[[onnx.ModelProto], object],
    status: int,
    *codes: str,
    says: str = "",
) -> Case:
    return Case(name, title, spoiled(spoil), status, codes, says)


CASES = (
    _case("input-2^62", "an input of 2^62 values", _input("batch", _HUGE), 3, "ACT0007"),
    _case(
        "input-overflow",
        "an input whose size overflows 64 bits",
        _input("batch", 1 << 40, 1 << 40),
        3,
        "ACT0007",
    ),
    _case("input-batch", "a batch of 2^40 samples", _input(1 << 40, 6), 3, "ACT0060"),
    _case(
        "input-negative", "an input with an axis of length -1", _input("batch", -1), 3, "ACT0007"
    ),
    _case("input-zero", "an input with an axis of length 0", _input("batch", 0), 3, "ACT0007"),
    _case("input-rank", "an input of 5000 axes", _input("batch", *[1] * 5000), 3, "ACT0007"),
    _case("weight-2^62", "a weight declared with 2^62 values", _declared(_HUGE), 3, "ACT0004"),
    _case(
        "weight-overflow",
        "a weight whose size overflows to what is there",
        _declared(_HUGE, 4, 18),
        3,
        "ACT0004",
    ),
    _case(
        "weight-negative", "a weight with an axis of length -18", _declared(-18, -1), 3, "ACT0004"
    ),
    _case("weight-minus-one", "a weight with an axis of length -1", _declared(-1, 3), 3, "ACT0007"),
    _case("weight-zero", "a weight declared empty", _declared(0, 3), 3, "ACT0004"),
    _case("weight-nan", "a NaN in a weight", _weight(np.nan), 3, "ACT0006"),
    _case("slope-nan", "a slope that is NaN", nodes(_LEAKY), 3, "ACT0006"),
    _case("weight-infinite", "an infinity in a weight", _weight(np.inf), 3, "ACT0006"),
    _case("weight-largest", "a weight of 3e38", _weight(3e38), 3, "ACT0102"),
    _case("weight-type", "a weight of a type that does not exist", _type(200), 3, "ACT0004"),
    _case("weight-type-negative", "a weight of type -1", _type(-1), 3, "ACT0004"),
    _case(
        "weight-string", "weights that say they are texts", _type(TensorProto.STRING), 3, "ACT0004"
    ),
    _case("input-type", "an input of a type that does not exist", _input_type(200), 3, "ACT0007"),
    _case("input-string", "an input of texts", _input_type(TensorProto.STRING), 3, "ACT0007"),
    _case(
        "constant-bomb",
        "a constant of 2^40 ones in 16 bytes",
        _constant_bomb(1 << 20, 1 << 20),
        3,
        "ACT0060",
    ),
    _case("constant-2^62", "a constant of 2^62 ones", _constant_bomb(_HUGE), 3, "ACT0060"),
    _case(
        "constant-overflow",
        "a constant whose size overflows",
        _constant_bomb(1 << 40, 1 << 40),
        3,
        "ACT0060",
    ),
    _case("range-bomb", "a Range of 2^62 numbers", _range, 3, "ACT0060"),
    _case(
        "expand-bomb",
        "an Expand to 2^40 values",
        _operator("Expand", {"to": [1 << 20, 1 << 20, 1, 3]}, ("a", "b", "c", "d")),
        3,
        "ACT0060",
    ),
    _case(
        "tile-bomb",
        "a Tile to 2^40 values",
        _operator("Tile", {"times": [1 << 20, 1 << 20]}),
        3,
        "ACT0060",
    ),
    _case(
        "pad-bomb",
        "a Pad of 2^40 zeros",
        _operator("Pad", {"pads": [0, 1 << 40, 0, 0]}),
        3,
        "ACT0060",
    ),
    _case(
        "pad-overflow",
        "a Pad of 2^62 zeros on each side",
        _operator("Pad", {"pads": [_HUGE] * 4}),
        3,
        "ACT0007",
    ),
    _case("concat-bomb", "60 Concats, each twice as long", _doubling(60), 3, "ACT0060"),
    _case(
        "reshape-lies",
        "a Reshape to 2^40 values",
        _operator("Reshape", {"to": [1 << 20, 1 << 20]}),
        3,
        "ACT0060",
    ),
    _case(
        "conv-stride-zero", "a convolution of stride 0", _convolution(strides=[0, 0]), 3, "ACT0007"
    ),
    _case(
        "conv-stride-negative",
        "a convolution of stride -1",
        _convolution(strides=[-1, -1]),
        3,
        "ACT0007",
    ),
    _case("conv-group-zero", "a convolution of 0 groups", _convolution(group=0), 3, "ACT0011"),
    _case(
        "conv-pads", "a convolution padded by 2^40", _convolution(pads=[1 << 40] * 4), 3, "ACT0060"
    ),
    _case(
        "conv-dilation", "a convolution of dilation 0", _convolution(dilations=[0, 0]), 3, "ACT0007"
    ),
    _case(
        "pool-kernel", "a pool of 2^62 values", _pooled(kernel_shape=[_HUGE, _HUGE]), 3, "ACT0011"
    ),
    _case("pool-kernel-zero", "a pool of no values", _pooled(kernel_shape=[0, 0]), 3, "ACT0007"),
    _case(
        "gather-outside",
        "a Gather far outside",
        _operator("Gather", {"index": [_HUGE]}, axis=1),
        3,
        "ACT0011",
    ),
    _case(
        "transpose-twice",
        "a Transpose that names an axis twice",
        _operator("Transpose", {}, perm=[0, 0]),
        3,
        "ACT0007",
    ),
    _case(
        "slice-step-zero",
        "a Slice of step 0",
        _operator("Slice", {"s": [0], "e": [1], "a": [1], "t": [0]}),
        3,
        "ACT0007",
    ),
    _case(
        "softmax-axis",
        "a Softmax along axis 2^62",
        _operator("Softmax", {}, axis=_HUGE),
        3,
        "ACT0007",
    ),
)
