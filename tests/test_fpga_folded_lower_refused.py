"""Golden models as folded programs: what is refused, and in which order elements come."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from folded_lowering import check, refused
from golden_models import Golden
from network_operators import (
    CONVOLUTIONS,
    MODELS,
    codes,
    conv_model,
    matmul,
    out,
    random_feeds,
    sums,
)

from actc.errors import UsageError
from actc.ir import spec
from actc.targets.fpga.folded.lower import Order
from actc.targets.fpga.folded.network import build_folded


def test_all_that_cannot_be_folded_is_named() -> None:
    g = Golden(42)
    x = g.conv(codes(g, 2, 4, 4), 2, 2, (1, 1), zero=7)
    both = g.node("Concat", x, x, axis=1)
    numbers = (np.uint8(0), np.float64(1), np.ones(4, np.int32))
    norm = g.actc(
        "IntRmsNorm", x, g.const(numbers[0]), g.const(numbers[2]), g.const(numbers[1]), axis=3
    )
    pooled = g.node("MaxPool", x, kernel_shape=[2, 2], auto_pad="SAME_UPPER")
    mixed = matmul(g, g.node("Transpose", x, perm=[0, 1, 3, 2]), 4, 2)
    outputs = (g.dequantize(both), g.dequantize(sums(g, norm, 2**20)), g.dequantize(pooled))
    found = refused(g.model(*outputs, g.dequantize(mixed, 0.1, np.int32(0))))
    assert sorted(op for op, _ in found) == ["Concat", "IntMatMul", "IntRmsNorm", "MaxPool"]
    assert all("cannot be folded" in text for _, text in found)


REFUSED: dict[str, tuple[Callable[[], ir.Model], str]] = {
    "3d": (CONVOLUTIONS["3d"], "3 axes"),
    "two inputs": (MODELS["WideMul"], "takes one tensor"),
    "repeated along channels": (MODELS["IntAdd that broadcasts"], "channels"),
    "several per element": (MODELS["ChannelTable, several per element"], "several values"),
    "products of tensors": (MODELS["IntBatchMatMul by a constant"], "IntBatchMatMul"),
    "nothing": (MODELS["Squeeze"], "nothing"),
    "several channels": (MODELS["WideMaxPool"], "several channels together"),
    "flags": (MODELS["Where by a comparison"], "Where"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, reason = REFUSED[name]
    assert any(reason in text for _, text in refused(make()))


def test_two_outputs_are_refused() -> None:
    g = Golden(43)
    x = codes(g, 4)
    first, second = matmul(g, x, 4, 2), matmul(g, x, 4, 3)
    zero = np.int32(0)
    found = refused(g.model(g.dequantize(first, 0.1, zero), g.dequantize(second, 0.1, zero)))
    ((_, text),) = found
    assert "gives one tensor" in text


def test_orders_that_no_stream_has_are_refused() -> None:
    g = Golden(44)
    x = sums(g, matmul(g, codes(g, 6), 6, 12), 200)
    image = g.node("Reshape", x, g.const(np.array([-1, 3, 2, 2])))
    found = refused(out(g, g.conv(image, 3, 2, (1, 1))))
    ((op, text),) = found
    assert op == "IntConv"
    assert "position by position" in text


def test_hosts_permute_axes_only() -> None:
    g = Golden(47)
    flat = g.node("Flatten", g.conv(codes(g, 2, 3, 3), 2, 2, (2, 2), zero=7), axis=1)
    ((_, text),) = refused(out(g, flat))
    assert "order" in text
    g = Golden(48)
    image = g.node("Reshape", codes(g, 12), g.const(np.array([-1, 3, 2, 2])))
    ((op, _),) = refused(out(g, g.conv(image, 3, 2, (1, 1))))
    assert op == "IntConv"
    g = Golden(49)
    image = g.node("Reshape", codes(g, 12), g.const(np.array([-1, 1, 3, 4])))
    check(out(g, g.conv(image, 1, 2, (2, 2))))
    assert not Order((6, 4, 1), (1, 0, 2)).permutes((4, 6))


def test_feeds_are_checked() -> None:
    folded = build_folded(conv_model((2, 4, 5), 3, (3, 3)), "net")
    with pytest.raises(UsageError, match="ACT0553"):
        folded.run({"x": np.zeros((1, 2, 4, 4), np.float32)})


def test_the_interface_says_the_order() -> None:
    """A host that knows nothing but the description feeds and reads the streams."""
    model = conv_model((2, 4, 5), 3, (2, 2))
    folded = check(model)
    description = json.loads(json.dumps(folded.interface()))
    (entry,), (output,) = description["inputs"], description["outputs"]
    feeds = random_feeds(model)
    x = np.clip(np.rint(feeds["x"] / np.float32(0.5)) + 7, 0, 15).astype(np.int64)
    assert entry["stream"] == [4, 5, 2]
    shaped = x.reshape(-1, *entry["order"]["shape"])
    streamed = shaped.transpose(0, *(axis + 1 for axis in entry["order"]["axes"]))
    (given,) = folded.prologue(feeds)
    np.testing.assert_array_equal(streamed, given)
    (found,) = folded.program.evaluate([streamed])
    assert list(found.shape[1:]) == output["stream"]
    tensor = np.zeros((len(x), *output["order"]["shape"]), np.int64)
    tensor.transpose(0, *(axis + 1 for axis in output["order"]["axes"]))[:] = found
    y = (tensor.reshape(-1, *output["shape"]) - output["zero_point"]).astype(np.float32)
    golden = spec.run(ir.to_proto(model), feeds)[output["output"]]
    np.testing.assert_array_equal(y * np.float32(output["scale"]), golden)


def test_orders_undo_themselves() -> None:
    order = Order((3, 4, 5), (1, 2, 0))
    tensor = np.arange(120).reshape(2, 3, 4, 5)
    stream = order.to_stream(tensor)
    assert stream.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(order.to_tensor(stream, (3, 4, 5)), tensor)
    assert Order.of(order.places) == order
    assert Order.of(np.roll(np.arange(6), 1).reshape(1, 2, 3)) is None
