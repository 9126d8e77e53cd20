"""Binary networks on the cpu target: on packed bits, equal to golden on every bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from binary_networks import KINDS, golden_of, random_network
from golden_models import Golden, outputs_of
from installed import needs_tvm

from actc.ir import spec
from actc.targets.tvm import CpuTarget, rules_binary
from actc.targets.tvm.kernels.binary_spec import BinaryConv, Pack, Unpack
from actc.targets.tvm.kernels.strided import MaxPool
from actc.targets.tvm.lower import kernel_plan
from actc.targets.tvm.plan import KernelPlan

Array = np.ndarray[Any, Any]


def equal(model: ir.Model, feeds: dict[str, Array], folder: Path, target: CpuTarget) -> None:
    target.build(target.plan(model, "int8"), folder)
    for batch in (1, 2, 5):
        some = {name: array[-batch:] for name, array in feeds.items()}
        got = target.run(folder, some)
        specified = spec.run(ir.serde.serialize_model(model), some)
        for name, array in specified.items():
            np.testing.assert_array_equal(got[name], array)
    got, wanted = target.run(folder, feeds), outputs_of(model, feeds)
    for name, array in wanted.items():
        np.testing.assert_array_equal(got[name], array)


def kinds(plan: KernelPlan) -> list[str]:
    """Names of the kernels, in their order."""
    return [type(call.kernel).__name__ for call in plan.calls]


@needs_tvm
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_equal_golden(
    kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules_binary, "LEAST_CHANNELS", 1)
    network, feeds = random_network(np.random.default_rng(100 + seed), kind)
    golden = ir.from_proto(golden_of(network, feeds))
    equal(golden, feeds, tmp_path, CpuTarget())


def signs(g: Golden, x: str, cut: int = 120) -> str:
    """Codes 0 and 2 of uint8 codes."""
    return g.actc("Table", x, g.const((np.arange(256) > cut).astype(np.uint8) * 2))


def weights(g: Golden, *shape: int, kinds: tuple[int, ...] = (-1, 1)) -> Array:
    found: Array = g.rng.choice(kinds, shape).astype(np.int8)
    return found


def conv(g: Golden, x: str, shape: tuple[int, int, int, int], zero: int = 1, **given: Any) -> str:
    """IntConv of signs with weights of this shape."""
    kinds = given.pop("kinds", (-1, 1))
    bias = g.rng.integers(-9, 10, (1, shape[0], 1, 1)).astype(np.int32)
    constants = (weights(g, *shape, kinds=kinds), bias, np.uint8(zero))
    window = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    return g.actc(
        "IntConv", x, *map(g.const, constants), kernel_shape=list(shape[2:]), **window | given
    )


def dense(g: Golden, x: str, depth: int, width: int, zero: int = 1, **given: Any) -> str:
    bias = g.rng.integers(-9, 10, width).astype(np.int32)
    constants = (weights(g, depth, width, **given), bias, np.uint8(zero))
    return g.actc("IntMatMul", x, *map(g.const, constants))


def steps(
    g: Golden, acc: str, channels: int, *, rank: int = 2, spread: int = 8, square: bool = False
) -> str:
    """A threshold per channel, rising or falling, constant in the first two; or a square wave."""
    points = np.full((channels, 256), 2**31 - 1, np.int64)
    codes = np.zeros((channels, 256), np.int64)
    for channel in range(channels):
        first = int(g.rng.integers(-spread, spread + 1))
        points[channel, :255] = first
        low, high = (0, 2) if g.rng.random() < 0.5 else (2, 0)
        codes[channel] = high
        codes[channel, 0] = low
        if square:
            points[channel, 1:255] = first + 5
            codes[channel, 2:] = low
        if channel < 2:
            codes[channel] = 2 * channel
    offset = (256 * np.arange(channels, dtype=np.int32)).reshape(1, -1, *[1] * (rank - 2))
    arrays = (points.astype(np.int32).reshape(-1), codes.astype(np.uint8).reshape(-1), offset)
    return g.actc("Steps", acc, *map(g.const, arrays))


def feeds_of(*shape: int) -> dict[str, Array]:
    rng = np.random.default_rng(2)
    return {"x": (rng.normal(size=shape) * 4).astype(np.float32)}


def convolutions(zero: int, ternary: bool) -> ir.Model:
    """Padding whose code is neither, the lower or the higher of the two; pooling; a flat end."""
    g = Golden(zero)
    given = {"kinds": (-1, 0, 1)} if ternary else {}
    x = signs(g, g.quantize(g.input("x", 20, 9, 8)))
    a = steps(g, conv(g, x, (40, 20, 3, 3), zero, pads=[1, 1, 1, 1], **given), 40, rank=4)
    pooled = g.node("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    b = conv(g, pooled, (33, 40, 3, 2), zero, pads=[0, 1, 2, 1], dilations=[1, 2], **given)
    c = steps(g, b, 33, rank=4, spread=20)
    flat = g.node("Flatten", c, axis=1)
    scores = dense(g, flat, 33 * 4 * 4, 10, zero, **given)
    return g.model(g.dequantize(scores, 0.01, np.int32(0)))


@needs_tvm
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("zero", [0, 1, 2, 7])
def test_padding_of_any_code_is_exact(zero: int, ternary: bool, tmp_path: Path) -> None:
    model = convolutions(zero, ternary)
    assert kinds(kernel_plan(model, "int8"))[1:] == [
        "Pack", "BinaryConv", "MaxPool", "BinaryConv", "BinaryConv", "Elementwise",
    ]  # fmt: skip
    equal(model, feeds_of(6, 20, 9, 8), tmp_path, CpuTarget())


def test_bits_stay_packed_between_layers() -> None:
    plan = kernel_plan(convolutions(1, False), "int8")
    between = [call.kernel for call in plan.calls if isinstance(call.kernel, BinaryConv)]
    assert [kernel.result for kernel in between] == ["bits", "bits", "sums"]
    assert [call.kernel.dtype for call in plan.calls if isinstance(call.kernel, MaxPool)] == [
        "uint32"
    ]


@needs_tvm
def test_codes_that_others_read_are_unpacked_and_packed(tmp_path: Path) -> None:
    g = Golden()
    x = signs(g, g.quantize(g.input("x", 48)))
    a = steps(g, dense(g, x, 48, 40), 40)
    wave = steps(g, dense(g, a, 40, 32), 32, square=True)
    mixed = dense(g, a, 40, 12, kinds=(-1, 3))  # no signs: it reads codes
    last = dense(g, wave, 32, 7)
    both = g.node("Concat", a, wave, axis=1)
    joined = dense(g, both, 72, 5)
    model = g.model(*(g.dequantize(acc, 0.1, np.int32(0)) for acc in (mixed, last, joined)), a)
    plan = kernel_plan(model, "int8")
    assert {"Pack", "Unpack", "BinaryConv", "ConvSpec"} <= set(kinds(plan))
    assert sum(isinstance(call.kernel, Unpack) for call in plan.calls) == 1
    assert sum(isinstance(call.kernel, Pack) for call in plan.calls) == 3
    equal(model, feeds_of(6, 48), tmp_path, CpuTarget())


@needs_tvm
def test_rows_of_a_sequence_and_sums_of_bytes_in_front(tmp_path: Path) -> None:
    g = Golden()
    x = g.quantize(g.input("x", 5, 30))
    acc = g.matmul(x, 30, 40)
    flat = g.node("Transpose", acc, perm=[0, 2, 1])
    wide = steps(g, flat, 40, rank=3, spread=60_000)
    bits = g.node("Transpose", wide, perm=[0, 2, 1])
    y = dense(g, bits, 40, 21)
    equal(g.model(g.dequantize(y, 0.1, np.int32(0))), feeds_of(6, 5, 30), tmp_path, CpuTarget())


@needs_tvm
def test_convolutions_over_time(tmp_path: Path) -> None:
    g = Golden()
    x = signs(g, g.quantize(g.input("x", 24, 21)))
    bias = g.rng.integers(-9, 10, (1, 36, 1)).astype(np.int32)
    constants = (weights(g, 36, 24, 5), bias, np.uint8(1))
    acc = g.actc(
        "IntConv", x, *map(g.const, constants), kernel_shape=[5], strides=[2], pads=[2, 1],
        dilations=[1], group=1,
    )  # fmt: skip
    pooled = g.node("MaxPool", steps(g, acc, 36, rank=3), kernel_shape=[3])
    y = dense(g, g.node("Flatten", pooled), 36 * 8, 10)
    equal(g.model(g.dequantize(y, 0.1, np.int32(0))), feeds_of(6, 24, 21), tmp_path, CpuTarget())


@needs_tvm
def test_a_wrong_threshold_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: one limit that is off by one changes an output."""
    real = rules_binary.limits

    def wrong(*given: Any) -> tuple[Array, Array]:
        found, turned = real(*given)
        return found + (np.arange(found.shape[1]) == 5), turned

    monkeypatch.setattr(rules_binary, "limits", wrong)
    with pytest.raises(AssertionError):
        equal(convolutions(1, False), feeds_of(6, 20, 9, 8), tmp_path, CpuTarget())


def test_few_channels_and_groups_are_multiplied() -> None:
    g = Golden()
    x = signs(g, g.quantize(g.input("x", 15, 6, 6)))
    few = conv(g, x, (32, 15, 3, 3))
    y = conv(g, steps(g, few, 32, rank=4), (32, 16, 3, 3), group=2)
    found = kinds(kernel_plan(g.model(y), "int8"))
    assert "BinaryConv" not in found
    assert found.count("ConvSpec") == 2
