"""Tables over rows longer than the caches: target cpu, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import Copy, Elementwise

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels import stream  # noqa: E402
from actc.targets.tvm.kernels.elementwise import elementwise_prim_func  # noqa: E402

CPU = host_cpu()
FEATURES = frozenset({"movdir64b", "avx512vbmi"})


def table_over(size: int, batch: int | None) -> Elementwise:
    row = Operand("uint8", (size,), True, (1,))
    return Elementwise(batch, (size,), (row,), row, Copy(), None, "shared", 256)


@pytest.mark.parametrize(
    ("size", "samples", "batch"),
    [(stream.LEAST, 1, 1), (stream.LEAST + 64 * 33, 2, None), (stream.LEAST + 77, 1, 1)],
)
def test_long_rows(size: int, samples: int, batch: int | None) -> None:
    spec = table_over(size, batch)
    assert stream.streams(spec, FEATURES)
    function = elementwise_prim_func("table", spec, CPU.features)
    built = tvm.compile(tvm.IRModule({"table": function}), tvm.target.Target(CPU.target()))
    rng = np.random.default_rng(size)
    codes = rng.integers(0, 256, (samples, size)).astype(np.uint8)
    table = rng.integers(0, 256, 256).astype(np.uint8)
    out = tvm.runtime.tensor(np.zeros_like(codes))
    built.mod["table"](tvm.runtime.tensor(codes), tvm.runtime.tensor(table), out)
    np.testing.assert_array_equal(out.numpy(), table[codes])


def test_what_does_not_end_with_a_line_is_stored_as_usual() -> None:
    assert not stream.streams(table_over(stream.LEAST + 77, None), FEATURES)
    assert not stream.streams(table_over(stream.LEAST - 64, 1), FEATURES)
    assert not stream.streams(table_over(stream.LEAST, 1), FEATURES - {"movdir64b"})
