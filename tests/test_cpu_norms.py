"""Normalizations of codes in the target cpu against their definition, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.strided import LayerNorm

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels.layer_norm import layer_norm_prim_func  # noqa: E402

Array = npt.NDArray[Any]
CPU = host_cpu()


def normalized(x: Array, eps: float, zero: int | None) -> Array:
    """floor of the quotient, along the last axis."""
    wide = x.astype(np.int64)
    count = x.shape[-1]
    if zero is None:
        total = wide.sum(-1, keepdims=True)
        variance = count * (wide**2).sum(-1, keepdims=True) - total**2
        moved = (wide * count - total) << 12
    else:
        variance = ((wide - zero) ** 2).sum(-1, keepdims=True)
        moved = (wide - zero) << 17
    root = np.sqrt(variance.astype(np.float64) + eps)
    return np.floor(moved.astype(np.float64) / root).astype(np.int64)


def run(
    x: Array, eps: float, zero: int | None, across: bool, fine: bool = False
) -> tuple[Array, Array]:
    """(got, wanted) of samples [n, rows, count], stored row by row or column by column.

    With `fine` a code is a unit of the quotient, 120 is 4096.
    """
    _, rows, count = x.shape
    rng = np.random.default_rng(count)
    gamma = rng.integers(-9000, 9000, count).astype(np.int32)
    beta = rng.integers(-(2**20), 2**20, count).astype(np.int32)
    factor, shift = 7_000_000, 42
    if fine:
        gamma[:], beta[:], factor, shift = 1, -4096, 1 << 20, 20
    multiplier = np.array([factor], np.int32)
    strides = (1, rows) if across else (count, 1)
    shape = (count, rows) if across else (rows, count)
    activation = Operand("uint8", shape, True, strides)
    scale = Operand("int32", (count,), False, (0, 1))
    one = Operand("int32", (1,), False, (0, 0))
    spec = LayerNorm(
        None, (rows, count), (activation, scale, scale, one), activation, eps,
        Epilogue("requantize", shift, 120, 3, 250), zero=zero,
    )  # fmt: skip
    function = layer_norm_prim_func("norm", spec, CPU.features)
    built = tvm.compile(tvm.IRModule({"norm": function}), target=tvm.target.Target(CPU.target()))
    stored = np.ascontiguousarray(x.transpose(0, 2, 1)) if across else x
    tensors = [tvm.runtime.tensor(a) for a in (stored, gamma, beta, multiplier)]
    out = tvm.runtime.tensor(np.zeros_like(stored))
    built.mod["norm"](*tensors, out)
    got = out.numpy().transpose(0, 2, 1) if across else out.numpy()
    acc = normalized(x, eps, zero) * gamma + beta
    acc = acc.astype(np.int32).astype(np.int64)
    code = ((acc * factor + (1 << (shift - 1))) >> shift) + 120
    return got, np.clip(code, 3, 250).astype(np.uint8)


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(
    ("rows", "count", "zero"), [(5, 64, None), (37, 21, None), (3, 2100, None), (18, 40, 117)]
)
def test_random_rows(rows: int, count: int, zero: int | None, across: bool) -> None:
    rng = np.random.default_rng(rows)
    x = rng.integers(0, 256, (3, rows, count)).astype(np.uint8)
    x[0, 0] = x[0, 0, 0]  # no variance
    got, wanted = run(x, 300.0, zero, across)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("across", [False, True])
def test_quotients_that_are_whole(across: bool) -> None:
    """Halves of a and b have quotients of -4096 and 4096, which products only come close to."""
    rng = np.random.default_rng(1)
    x = np.empty((200, 17, 22), np.uint8)
    x[..., :11] = rng.integers(0, 128, (200, 17, 1))
    x[..., 11:] = rng.integers(128, 256, (200, 17, 1))
    x = rng.permuted(x, axis=-1)
    got, wanted = run(x, 0.0, None, across, fine=True)
    np.testing.assert_array_equal(got, wanted)
