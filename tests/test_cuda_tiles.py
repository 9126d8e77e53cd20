"""Kernels of the target cuda that share what they load: depthwise, products, bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, outputs_of
from installed import needs_nvcc

from actc.targets.tvm.cuda import CudaTarget, runtime

Array = np.ndarray[Any, Any]


def built(model: ir.Model, folder: Path, target: str, precision: str = "int8") -> str:
    """Build, see that nothing spills, and give the kernels' own source."""
    made = CudaTarget.parse(target)
    made.build(made.plan(model, precision), folder)
    rows = json.loads((folder / "resources.json").read_text())["kernels"]
    assert rows
    assert all(row["spilled"] == 0 for row in rows)
    return (folder / "kernels.cu").read_text().split("#endif")[-1]


def assert_exact(model: ir.Model, folder: Path, feeds: dict[str, Array]) -> None:
    got = runtime.load(folder, emulate=True)(feeds)
    for name, wanted in outputs_of(model, feeds).items():
        assert np.unique(wanted).size > 2
        np.testing.assert_array_equal(got[name], wanted)


def depthwise() -> ir.Model:
    g = Golden(5)
    x = g.quantize(g.input("x", 6, 9, 13))
    # strips end within a row and behind it; windows leave the map on all sides
    a = g.conv(x, 6, 6, (3, 3), pads=[1] * 4, group=6)
    b = g.conv(a, 6, 6, (5, 5), pads=[2] * 4, group=6, stride=2, zero=120, finish="channel_table")
    c = g.conv(x, 6, 6, (2, 3), pads=[1, 2, 0, 0], group=6, dilation=2, finish="accumulator")
    return g.model(g.dequantize(b, zero=np.uint8(120)), c)


@needs_nvcc
def test_depthwise_convolutions_equal_golden(tmp_path: Path) -> None:
    model = depthwise()
    text = built(model, tmp_path, "sm_75")
    assert "uchar* __restrict__ x_ptr, int n" not in text
    x = (3 * np.random.default_rng(0).normal(size=(3, 6, 9, 13))).astype(np.float32)
    assert_exact(model, tmp_path, {"x": x})


FLOAT = """net (float[n, 5, 9, 13] x) => (float[n, 5, 9, 13] y, float[n, 5, 5, 7] z) {
  y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 5> (x, w, b)
  z = Conv <kernel_shape = [5, 5], pads = [2, 2, 2, 2], group = 5, strides = [2, 2]> (y, v, b)
}"""


@needs_nvcc
@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-6), ("float16", 2e-3)])
def test_depthwise_convolutions_of_floats(precision: str, near: float, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from test_target_cpu_float import make, random

    constants = {"w": random(5, 1, 3, 3), "v": random(5, 1, 5, 5, seed=1), "b": random(5, seed=2)}
    model = make(FLOAT, constants)
    built(model, tmp_path, "sm_80", precision)
    x = random(3, 5, 9, 13, seed=3)
    session = onnxruntime.InferenceSession(
        ir.serde.serialize_model(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    got = runtime.load(tmp_path, emulate=True)({"x": x})
    for name, wanted in zip("yz", session.run(["y", "z"], {"x": x}), strict=True):
        scale = float(np.sqrt(np.mean(np.square(wanted))))
        np.testing.assert_allclose(got[name], wanted, rtol=0, atol=4 * near * scale)


def products(rows: int, columns: int, depth: int) -> ir.Model:
    """Heads share an operand; one operand lies along the sum, the other one across."""
    g = Golden(7)
    a = g.quantize(g.input("a", 2, rows, depth), zero=131)
    b = g.quantize(g.input("b", 1, columns, depth), zero=90)
    turned = g.node("Transpose", b, perm=[0, 1, 3, 2])
    zeros = [g.const(np.uint8(z)) for z in (131, 90)]
    total = g.actc("IntBatchMatMul", a, turned, *zeros)
    codes = g.table(g.requantize(total, 3600.0 * depth**0.5))
    again = g.actc("IntBatchMatMul", codes, b, g.const(np.uint8(117)), zeros[1])
    return g.model(g.dequantize(codes, zero=np.uint8(120)), again)


@needs_nvcc
@pytest.mark.parametrize("target", ["sm_80", pytest.param("sm_75,dp4a", marks=pytest.mark.slow)])
def test_products_of_codes_equal_golden(target: str, tmp_path: Path) -> None:
    # ends of tiles in all three directions
    model = products(37, 70, 83)
    text = built(model, tmp_path, target)
    wanted = "actc_mma_u8s8(" if target == "sm_80" else "actc_dp4a("
    assert text.count("__syncthreads") >= 6
    assert wanted in text
    rng = np.random.default_rng(1)
    shapes = {"a": (3, 2, 37, 83), "b": (3, 1, 70, 83)}
    feeds = {k: (3 * rng.normal(size=s)).astype(np.float32) for k, s in shapes.items()}
    assert_exact(model, tmp_path, feeds)


PRODUCT = """net (float[n, 2, 37, 83] x) => (float[n, 2, 37, 37] y) {
  t = Transpose <perm = [0, 1, 3, 2]> (x)
  y = MatMul (x, t)
}"""


@needs_nvcc
@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-6), ("float16", 2e-3)])
def test_products_of_floats(precision: str, near: float, tmp_path: Path) -> None:
    from test_target_cpu_float import make, random

    model = make(PRODUCT, {})
    text = built(model, tmp_path, "sm_80", precision)
    assert "__syncthreads" in text
    x = random(2, 2, 37, 83)
    (got,) = runtime.load(tmp_path, emulate=True)({"x": x}).values()
    wanted = x.astype(np.float64) @ x.astype(np.float64).swapaxes(2, 3)
    scale = float(np.sqrt(np.mean(np.square(wanted))))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=4 * near * scale)


def test_occupancy_is_what_registers_shared_memory_and_slots_leave() -> None:
    from actc.targets.tvm.cuda.estimates import occupancy

    assert occupancy(32, 0, 256, "sm_80") == 1.0
    assert occupancy(64, 0, 256, "sm_80") == 0.5
    assert occupancy(65, 0, 256, "sm_80") == 3 * 8 / 64  # registers come in 256 a warp
    assert occupancy(40, 25600, 256, "sm_75") == 0.5  # two blocks in 64 KiB
    assert occupancy(16, 40_000, 64, "sm_90") == 5 * 2 / 64
    assert occupancy(16, 0, 32, "sm_86") == 16 / 48  # slots of blocks
    assert occupancy(16, 0, 32, "sm_121") is None


def test_intensity_counts_what_must_move() -> None:
    from actc.targets.tvm.cuda.estimates import work_of
    from actc.targets.tvm.cuda.lower import kernel_plan

    plan = kernel_plan(depthwise(), "int8")
    rows = [work_of(call, plan) for call in plan.calls]
    first = next(row for row in rows if row["multiply_adds"])
    assert first["multiply_adds"] == 9 * 13 * 6 * 9
    assert first["bytes"] == 2 * 9 * 13 * 8
    operations, moved = 2 * 64 * 9 * 13 * 6 * 9, 64 * first["bytes"] + first["fixed_bytes"]
    assert first["intensity"] == round(operations / moved, 1)
