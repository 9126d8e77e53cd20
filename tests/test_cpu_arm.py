"""Kernels for other CPUs: 64-bit Arm's run by QEMU, x86's by their instructions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, conv_net, outputs_of
from installed import needs_aarch64, needs_arm, needs_tvm

from actc.targets.tvm import CpuTarget, objects

Array = np.ndarray[Any, Any]
ARMS = {"cortex-a53": "smlal", "cortex-a76": "sdot", "neoverse-v1": "usdot"}
"""A CPU of each instruction set, and its multiplication."""


VECTORS = re.compile(r"\bz\d+\.[bhsd]\b")
"""A register of SVE in a disassembly."""


def disassembly(directory: Path) -> str:
    command = ["aarch64-linux-gnu-objdump", "-d", str(directory / "kernels.o")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def build(model: ir.Model, mcpu: str, directory: Path) -> CpuTarget:
    target = CpuTarget.parse(f"{mcpu},objects")
    target.build(target.plan(model, "int8"), directory)
    return target


def check(model: ir.Model, mcpu: str, directory: Path, feeds: dict[str, Array]) -> None:
    target = build(model, mcpu, directory)
    assert target.not_run(directory) == ""
    got = target.run(directory, feeds)
    for name, array in outputs_of(model, feeds).items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


def image(batch: int, shape: tuple[int, ...]) -> dict[str, Array]:
    rng = np.random.default_rng(batch)
    return {"image": (rng.normal(size=(batch, *shape)) * 3).astype(np.float32)}


def shapes() -> ir.Model:
    """Convolutions whose channels fill no vector, strided, dilated, in groups, with borders."""
    g = Golden(5)
    x = g.quantize(g.input("image", 5, 9, 11), zero=201)
    a = g.conv(x, 5, 7, (3, 2), stride=2, pads=[1, 0, 2, 1], zero=201)
    b = g.conv(a, 7, 21, (3, 3), dilation=2, pads=[2, 2, 2, 2], group=7, finish="requantize")
    c = g.conv(b, 21, 33, (1, 1), zero=120, finish="channel_table")
    d = g.node("MaxPool", c, kernel_shape=[2, 2], strides=[1, 1])
    flat = g.node("Reshape", d, g.const(np.array([-1, 33 * 4 * 5])))
    e = g.requantize(g.matmul(flat, 33 * 20, 19, 131), 73 * 73 * 25.0)
    return g.model(g.dequantize(g.table(e), zero=np.uint8(120)), e)


def extremes(zero: int, group: int) -> ir.Model:
    """The largest products there are, summed: nothing may saturate on the way."""
    g = Golden()
    x = g.quantize(g.input("image", 16, 4, 4), 1.0, zero)
    acc = g.conv(x, 16, 16, (3, 3), pads=[1, 1, 1, 1], zero=zero, group=group, finish="accumulator")
    for name, tensor in g.constants.items():
        if tensor.data_type == 3:  # int8 weights
            signs = np.where(np.arange(tensor.dims[0]) % 2, 127, -128).astype(np.int8)
            weight = np.broadcast_to(signs[:, None, None, None], tuple(tensor.dims))
            tensor.raw_data = np.ascontiguousarray(weight).tobytes()
            assert name
    return g.model(g.dequantize(acc, 1.0, np.int32(0)))


@needs_tvm
@needs_aarch64
@pytest.mark.parametrize("mcpu", ARMS)
def test_networks_on_arm_equal_golden(mcpu: str, tmp_path: Path) -> None:
    check(conv_net(), mcpu, tmp_path / "a", image(5, (3, 17, 18)))
    check(shapes(), mcpu, tmp_path / "b", image(3, (5, 9, 11)))
    found = set(re.findall(r"\t(\w+)\t", disassembly(tmp_path / "b")))
    assert {ARMS[mcpu], "tbl", "tbx"} <= found
    assert not found & (set(ARMS.values()) - {ARMS[mcpu], "smlal"})


@needs_tvm
@needs_aarch64
@pytest.mark.parametrize("mcpu", ["neoverse-v1", "a64fx"])
def test_vectors_of_any_length_equal_golden(
    mcpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LLVM writes SVE for some loops; one object runs on vectors of 128 to 2048 bits."""
    target, feeds = build(shapes(), mcpu, tmp_path), image(3, (5, 9, 11))
    assert VECTORS.search(disassembly(tmp_path))
    wanted = outputs_of(shapes(), feeds)
    for size in (16, 32, 64, 256):
        model = f"max,sve-default-vector-length={size}"
        monkeypatch.setattr(objects, "emulated_cpu", lambda tools, mcpu, model=model: model)
        for name, array in target.run(tmp_path, feeds).items():
            np.testing.assert_array_equal(array, wanted[name])


@needs_tvm
@needs_arm
@pytest.mark.parametrize("mcpu", ["cortex-a7", pytest.param("cortex-a53", marks=pytest.mark.slow)])
def test_networks_on_arm_of_32_bits_equal_golden(mcpu: str, tmp_path: Path) -> None:
    check(conv_net(), f"arm:{mcpu}", tmp_path / "a", image(5, (3, 17, 18)))
    check(shapes(), f"arm:{mcpu}", tmp_path / "b", image(3, (5, 9, 11)))


@needs_tvm
@needs_aarch64
@pytest.mark.parametrize("mcpu", ARMS)
@pytest.mark.parametrize("group", [1, 16])
def test_extreme_products_do_not_saturate_on_arm(group: int, mcpu: str, tmp_path: Path) -> None:
    for zero in (0, 255):
        feeds = {"image": np.full((1, 16, 4, 4), 300 if zero == 0 else -300, np.float32)}
        check(extremes(zero, group), mcpu, tmp_path / str(zero), feeds)


@needs_tvm
@needs_aarch64
def test_float_networks_on_arm(tmp_path: Path) -> None:
    g = Golden(2)
    x = g.input("image", 8, 6, 6)
    weight = g.const(g.rng.normal(size=(12, 8, 3, 3)).astype(np.float32))
    a = g.node("Conv", x, weight, pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    model = g.model(g.node("Relu", a))
    target = CpuTarget.parse("cortex-a72,objects")
    target.build(target.plan(model, "float32"), tmp_path)
    feeds = image(2, (8, 6, 6))
    got, wanted = target.run(tmp_path, feeds), outputs_of(model, feeds)
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-5)


@needs_tvm
@pytest.mark.parametrize(
    ("mcpu", "instruction"),
    [
        ("haswell", r"vpmaddwd.*%ymm"),
        ("skylake-avx512", r"vpmaddwd.*%zmm"),
        ("cascadelake", r"vpdpbusd.*%zmm"),
        ("alderlake", r"\{vex\} vpdpbusd.*%ymm"),
        ("x86-64", r"\tpmaddwd.*%xmm"),
    ],
)
def test_x86_cpus_by_name_use_their_instruction(
    mcpu: str, instruction: str, tmp_path: Path
) -> None:
    g = Golden(1)
    x = g.quantize(g.input("image", 32, 6, 6))
    build(g.model(g.conv(x, 32, 32, (1, 1))), mcpu, tmp_path)
    text = subprocess.run(
        ["objdump", "-d", str(tmp_path / "kernels.o")], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(instruction, text)
