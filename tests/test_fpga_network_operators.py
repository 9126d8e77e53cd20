"""Each operator unrolled alone, against the specification."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden
from network_operators import CONVOLUTIONS, MODELS, QUICK, added, check, conv_model, out

from actc.ir import spec
from actc.targets.fpga.functions import Requantization
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network import build_network
from actc.targets.fpga.network.joint import smaller_sum


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    model = CONVOLUTIONS[name]()
    network = check(model)
    assert [layer.head for layer in network.layers] == ["IntConv" if name != "wide" else "WideConv"]


def test_convolutions_count_their_products() -> None:
    network = check(conv_model((1, 3, 3), 1, (3, 3), pads=(1, 1, 1, 1)))
    (layer,) = network.layers
    assert layer.shape == (1, 3, 3)
    # of a kernel without zeros 4 weights are inside at the corners, 6 at the edges
    assert layer.weights <= 9
    assert layer.multiplications <= 4 * 4 + 4 * 6 + 9
    assert layer.multiplications > layer.weights


def test_a_constant_is_joined() -> None:
    """Only a batch of one can be joined with a constant."""
    g = Golden(19)
    scale, zero = g.const(np.float32(0.5)), g.const(np.uint8(7))
    x = str(g.node("QuantizeLinear", g.input("x", 2, batch=1), scale, zero))
    y = g.node("Concat", x, g.const(np.array([[9, 8, 7]], np.uint8)), axis=-1)
    model = out(g, y)
    feeds = {"x": np.array([[0.4, -2.0]], np.float32)}
    found = build_network(model, "net", QUICK).run(feeds)
    wanted = spec.run(ir.to_proto(model), feeds)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_sums_of_codes_have_small_factors() -> None:
    """7001 * a + 9003 * b is rounded to 4 bits: a few bits of the factors are enough."""
    network = check(added(7001, 9003))
    assert max(wire.width for wire in network.design.module().wires()) <= 10
    (layer,) = network.layers
    assert [name.split("_")[0] for name in layer.nodes] == ["IntAdd", "Requantize"]
    assert layer.shape == (2, 3)


@pytest.mark.parametrize("factors", [(7001, 9003), (-300, 9000), (5, 3), (12345, -12344)])
def test_smaller_factors_round_alike(factors: tuple[int, int]) -> None:
    stage = Requantization(2**18 // max(map(abs, factors)), 20, 5, 1, 14)
    first, second = Range(-3, 12), Range(0, 15)
    joint = smaller_sum(first, second, factors, 77, stage)
    assert joint is not None
    a, b = np.meshgrid(np.arange(-3, 13), np.arange(16))
    sums = factors[0] * a + factors[1] * b + 77
    wanted = [[stage.apply(int(x)) for x in row] for row in sums]
    found = joint.function.evaluate(joint.factors[0] * a + joint.factors[1] * b)
    np.testing.assert_array_equal(found, wanted)
    assert sum(map(abs, joint.factors)) <= sum(map(abs, factors))


@pytest.mark.parametrize("name", MODELS)
def test_operators(name: str) -> None:
    check(MODELS[name]())
