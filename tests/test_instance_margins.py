"""Fractional biases, and margins that are compared both ways: every bit is that of fractions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from instance_networks import (
    CHANNELS,
    CONV,
    DENSE,
    exact_margins,
    images,
    network,
    norm,
    sums_and_codes,
    tied,
)
from onnx import numpy_helper

import actc
from actc.ir.execute import Session


def with_bias(model: onnx.ModelProto, bias: np.ndarray[Any, Any], gemm: bool) -> onnx.ModelProto:
    """The first layer with a bias."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    for node in found.graph.node:
        if node.output[0] == "x":
            node.input.append("bias")
            if gemm:
                node.op_type = "Gemm"
    found.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), "bias"))
    onnx.checker.check_model(found, full_check=True)
    return found


@pytest.mark.parametrize("power", [1, 3])
@pytest.mark.parametrize("name", ["mul, input axes", "mean of features"])
def test_fractional_biases_are_exact(name: str, power: int, tmp_path: Path) -> None:
    dense, few = name in DENSE, np.zeros(CHANNELS, bool)
    numbers, x = norm(3, few), images(dense)
    plain = network({**CONV, **DENSE}[name], numbers, power=power, dense=dense, seed=4)
    (sums,) = Session(plain, ["x"]).run({"image": x}).values()
    # halves and thirds: what the integer bias leaves out is up to half a sum
    bias = np.float32(np.random.default_rng(1).choice([0.5, -1.25, 1 / 3, 2.7], CHANNELS))
    model = with_bias(plain, bias, dense)
    actc.compile(model, "onnx", data={"image": x}, output=tmp_path, max_drop=1.0)
    golden = onnx.load(tmp_path / "golden.onnx")
    _, bits = sums_and_codes(golden, x)
    # (x + bias - mean) = x - (mean - bias), in float64 exactly
    moved = replace(numbers, mean=numbers.mean.astype(np.float64) - bias.astype(np.float64))
    margins = exact_margins(sums, moved, power)
    np.testing.assert_array_equal(bits, np.where(margins >= 0, 2, 0))
    assert np.any(bits != np.where(exact_margins(sums, numbers, power) >= 0, 2, 0))


def test_a_margin_is_compared_both_ways(tmp_path: Path) -> None:
    begin = CONV["mul, input axes"].split("c = ")[0]
    middle = f"""{begin}
      n = Neg (z)  above = Greater (z, zero)  below = Greater (n, zero)
      inner = Where (below, minus, zero)  w = Where (above, one, inner)"""
    few = np.arange(CHANNELS) % 2 == 0
    numbers, x = norm(8, few), images(False)
    (sums,) = Session(network(middle, numbers, power=1, seed=8), ["x"]).run({"image": x}).values()
    numbers = tied(numbers, few, sums, 1)
    model = network(middle, numbers, power=1, seed=8)
    actc.compile(model, "onnx", data={"image": x}, output=tmp_path, max_drop=1.0)
    acc, codes = sums_and_codes(onnx.load(tmp_path / "golden.onnx"), x)
    margins = exact_margins(acc, numbers, 1)
    signs = np.sign((margins > 0).astype(int) - (margins < 0).astype(int))
    np.testing.assert_array_equal(codes, signs + 1)
    assert set(np.unique(codes)) == {0, 1, 2}


def test_a_deviation_is_the_number_of_float32(tmp_path: Path) -> None:
    """gamma = deviation: their ratio is 1, and margins meet 0, if roots round as float32's."""
    few = np.ones(CHANNELS, bool)
    variance = np.float32([2, 3, 5, 6, 7, 8, 10, 11])
    root = np.float32(np.sqrt(variance.astype(np.float64)))
    numbers = replace(norm(9, few), variance=variance, gamma=root * np.float32([1, -1] * 4))
    middle, x = CONV["mul, input axes"], images(False)
    (sums,) = Session(network(middle, numbers, power=1, seed=9), ["x"]).run({"image": x}).values()
    numbers = tied(numbers, few, sums, 1)
    model = network(middle, numbers, power=1, seed=9)
    actc.compile(model, "onnx", data={"image": x}, output=tmp_path, max_drop=1.0)
    acc, bits = sums_and_codes(onnx.load(tmp_path / "golden.onnx"), x)
    margins = exact_margins(acc, numbers, 1)
    assert np.all((margins == 0).any(axis=(0, 2, 3)))
    np.testing.assert_array_equal(bits, np.where(margins >= 0, 2, 0))
