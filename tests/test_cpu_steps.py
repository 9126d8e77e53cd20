"""actc::Steps and integer Add and Mul on the cpu target, bit for bit as golden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, outputs_of
from installed import needs_tvm

from actc.ir import spec
from actc.targets.tvm import CpuTarget

Array = np.ndarray[Any, Any]


def staircase(
    g: Golden, acc: str, channels: int, steps: int, *, axis: int = 1, rank: int = 2
) -> str:
    """Steps with `steps` points a channel, ascending or not in its codes, with repeated points."""
    rng = g.rng
    points = np.full((channels, 256), 2**31 - 1, np.int64)
    values = rng.integers(0, 256, (channels, 256))
    for channel in range(channels):
        some = np.sort(rng.integers(-150_000, 150_000, steps))
        some[: steps // 3] = some[0] if steps else 0  # repeated: the last of them counts
        points[channel, :steps] = some
        values[channel, steps:] = values[channel, steps]
    if channels > 2:
        points[0], values[0] = 2**31 - 1, 7  # constant
        points[1, 0] = -(2**31)  # passed by every accumulator
    offset = np.arange(channels, dtype=np.int32) * 256
    shape = [1] * rank
    shape[axis] = channels
    arrays = (points.astype(np.int32).reshape(-1), values.astype(np.uint8).reshape(-1))
    return g.actc("Steps", acc, *map(g.const, arrays), g.const(offset.reshape(shape)))


def check(model: Any, feeds: dict[str, Array], folder: Path) -> None:
    target = CpuTarget()
    target.build(target.plan(model, "int8"), folder)
    got, wanted = target.run(folder, feeds), outputs_of(model, feeds)
    specified = spec.run(ir.serde.serialize_model(model), feeds)
    for name, array in wanted.items():
        assert np.unique(array).size > 1
        np.testing.assert_array_equal(got[name], specified[name])
        np.testing.assert_array_equal(got[name], array)


def feeds_of(*shape: int) -> dict[str, Array]:
    rng = np.random.default_rng(3)
    return {"x": (rng.normal(size=shape) * 4).astype(np.float32)}


@needs_tvm
@pytest.mark.parametrize("steps", [1, 3, 12, 13, 60, 255])
def test_any_number_of_steps_a_channel(steps: int, tmp_path: Path) -> None:
    g = Golden(steps)
    acc = g.matmul(g.quantize(g.input("x", 30)), 30, 21)
    check(g.model(staircase(g, acc, 21, steps)), feeds_of(5, 30), tmp_path)


@needs_tvm
@pytest.mark.parametrize("steps", [2, 40])
def test_channels_of_a_map_and_one_staircase_for_all(steps: int, tmp_path: Path) -> None:
    g = Golden(steps)
    x = g.quantize(g.input("x", 3, 6, 7))
    acc = g.conv(x, 3, 10, (3, 3), pads=[1, 1, 1, 1], finish="accumulator")
    each = staircase(g, acc, 10, steps, rank=4)
    same = staircase(g, acc, 1, steps, rank=4)
    check(g.model(g.table(each), same), feeds_of(3, 3, 6, 7), tmp_path)


@needs_tvm
@pytest.mark.parametrize("steps", [2, 40])
def test_channels_along_the_last_axis(steps: int, tmp_path: Path) -> None:
    g = Golden(steps)
    acc = g.matmul(g.quantize(g.input("x", 4, 30)), 30, 18)
    check(g.model(staircase(g, acc, 18, steps, axis=2, rank=3)), feeds_of(3, 4, 30), tmp_path)


@needs_tvm
def test_sums_are_multiplied_and_added_before_the_output(tmp_path: Path) -> None:
    g = Golden()
    acc = g.matmul(g.quantize(g.input("x", 30)), 30, 10)
    finer = g.node("Mul", acc, g.const(np.int32(4096)))
    moved = g.node("Add", finer, g.const(np.arange(-5, 5, dtype=np.int32).reshape(1, 10)))
    y = g.dequantize(moved, 1e-6, np.int32(0))
    check(g.model(y), feeds_of(4, 30), tmp_path)


@needs_tvm
@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_the_kernel_at_the_ends_of_the_accumulator(dtype: str, searched: bool) -> None:
    import tvm

    from actc.targets.tvm.host import host_cpu
    from actc.targets.tvm.kernels.elementwise import elementwise_prim_func
    from actc.targets.tvm.kernels.operand import Operand
    from actc.targets.tvm.kernels.strided import Count, Elementwise, Search

    info = np.iinfo(dtype)
    points = np.array([info.min, -9, 0, info.max], dtype)
    codes = np.array([200, 3, 255, 0, 9], np.uint8)
    acc = np.array([info.min, info.min + 1, -10, -9, -8, -1, 0, 1, info.max - 1, info.max] * 11)
    x = Operand(dtype, (acc.size,), True, (1,))
    out = Operand("uint8", (acc.size,), True, (1,))

    def one(kind: str, size: int = 1) -> Operand:
        return Operand(kind, (size,), False, (0,))

    arrays: list[Array]
    inputs: tuple[Operand, ...]
    if searched:
        inputs = (x, one("int32"), one(dtype, 8), one("uint8", 8))
        arrays = [
            np.zeros(1, np.int32),
            np.append(points, [info.max] * 4),
            np.append(codes, [9] * 3),
        ]
        operation: Any = Search(3)
    else:
        rises = np.diff(codes.astype(np.int32))
        inputs = (x, one("int32"), *[one(dtype), one("int32")] * 4)
        pairs = zip(points, rises, strict=True)
        arrays = [codes[:1].astype(np.int32)] + [np.array([n]) for pair in pairs for n in pair]
        operation = Count(4)
    function = elementwise_prim_func(
        "k", Elementwise(1, (acc.size,), inputs, out, operation), host_cpu().features
    )
    module = tvm.compile(
        tvm.IRModule({"k": function}), target=tvm.target.Target(host_cpu().target())
    )
    result = tvm.runtime.tensor(np.zeros((1, acc.size), np.uint8))
    given = [
        acc.astype(dtype)[None],
        *(a.astype(o.dtype) for a, o in zip(arrays, inputs[1:], strict=True)),
    ]
    module["k"](*(tvm.runtime.tensor(array) for array in given), result)
    wanted = codes[np.searchsorted(points, acc.astype(dtype), side="right")]
    np.testing.assert_array_equal(result.numpy()[0], wanted)
