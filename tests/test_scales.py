"""Scales that are powers of two: rescaling is a shift."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest
from integer_models import compiled, golden_of
from integerize_cases import FRONT, FRONT_WEIGHTS, HANDLER_CASES, IMAGE
from models import network, normal, random_data

import actc
from actc.errors import UsageError
from actc.ir.formats import parameters_of
from actc.ir.graph import constant
from actc.numerics.quantization import QuantizationParameters


def is_power(number: float) -> bool:
    return math.frexp(number)[0] == 0.5


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_range_is_covered_by_the_least_power(bits: int) -> None:
    rng = np.random.default_rng(bits)
    for low, high in rng.normal(0, 10, (200, 2)) * 10.0 ** rng.integers(-6, 6, (200, 1)):
        ends = sorted((min(low, 0.0), max(high, 0.0)))
        free = QuantizationParameters.from_range(*ends, bits=bits)
        found = QuantizationParameters.from_range(*ends, bits=bits, power_of_two=True)
        assert is_power(found.scale)
        assert free.scale <= found.scale < 2 * free.scale
    exact = QuantizationParameters.from_range(0.0, 255 / 64, power_of_two=True)
    assert exact.scale == 1 / 64


@pytest.mark.parametrize("activations", ["8", "mixed"])
@pytest.mark.parametrize("name", HANDLER_CASES)
def test_every_operator(name: str, activations: str) -> None:
    signature, body, weights, _ = HANDLER_CASES[name]
    model = network(signature, FRONT + body, {**FRONT_WEIGHTS, **weights})
    golden = ir.from_proto(
        compiled(model, activations=activations, scales="power-of-two", noise=0.06)
    )
    for node in golden.graph:
        for value in node.outputs:
            parameters = parameters_of(value)
            # a pixel is a code as it stands, and a scale of one
            assert parameters is None or is_power(parameters.scale), value.name


def test_rescaling_is_a_shift() -> None:
    """Also of sums and norms."""
    body = FRONT + (
        "s = Sigmoid (h)\n m = Mul (s, h)\n g = Conv (m, v)\n a = Add (g, h)\n"
        "n = LayerNormalization (a, gain, shift)\n y = MatMul (n, w2)"
    )
    weights = {
        **FRONT_WEIGHTS,
        "v": normal(6, 6, 1, 1),
        "gain": normal(8),
        "shift": normal(8, seed=1),
        "w2": normal(8, 3),
    }
    model = network(IMAGE, body, weights)
    for scales, expected in (("power-of-two", True), ("free", False)):
        golden = ir.from_proto(golden_of(model, random_data(model, 32), scales=scales))
        found = [node for node in golden.graph if node.op_type == "Requantize"]
        assert len(found) >= 4
        multipliers = [constant(node.inputs[1]) for node in found]
        shifts = all(is_power(float(m)) for array in multipliers for m in np.ravel(array) if m)
        assert shifts == expected


def test_wrong_scales() -> None:
    model = network("float[N,4] x => float[N,3] y", "y = MatMul (x, w)", {"w": normal(4, 3)})
    with pytest.raises(UsageError, match="--scales cannot be 'pow2'"):
        actc.compile(model, "onnx", scales="pow2")
    with pytest.raises(UsageError, match="--scales has no meaning"):
        actc.compile(model, "onnx", scales="power-of-two", precision="float32")
