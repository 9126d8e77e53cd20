"""Products of two activations in the target cpu against their definition, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.operand import Operand

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels.batch_matmul import batch_matmul_prim_func  # noqa: E402
from actc.targets.tvm.kernels.batch_matmul_vnni import takes  # noqa: E402

CPU = host_cpu()
VNNI = frozenset({"avx512vnni", "avx512vl"})
NO_VNNI = CPU.features - {"avx512vnni"}


def product(
    heads: int, rows: int, columns: int, depth: int, lanes: int, side_by_side: bool
) -> BatchMatMul:
    """A product whose left rows take `lanes` bytes, with columns of `b` side by side or not."""
    left = Operand("uint8", (heads, rows, lanes), True, (rows * lanes, lanes, 0, 1))
    if side_by_side:
        right = Operand("uint8", (heads, depth, columns), True, (depth * columns, 0, 1, columns))
    else:
        right = Operand("uint8", (heads, columns, lanes), True, (columns * lanes, 0, lanes, 1))
    out = Operand("int32", (heads, rows, columns), True, (rows * columns, columns, 1))
    return BatchMatMul(None, (heads, rows, columns), depth, left, right, 117, 201, (), out)


CASES = {
    "words": (product(3, 5, 49, 16, 16, False), True),
    "a rest of columns": (product(2, 4, 70, 8, 12, False), True),
    "many columns": (product(1, 3, 200, 20, 20, True), True),
    "a rest of terms": (product(4, 6, 16, 49, 52, True), True),
    "one term": (product(2, 3, 19, 1, 4, True), True),
    "few columns": (product(2, 3, 9, 8, 8, True), False),
    "rows that are no words": (product(2, 3, 20, 7, 7, True), False),
    "a rest down the sum": (product(2, 3, 20, 6, 8, False), False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("extreme", [False, True])
def test_product(name: str, extreme: bool) -> None:
    spec, by_words = CASES[name]
    assert takes(spec, VNNI) == by_words
    assert not takes(spec, NO_VNNI)
    heads, rows, columns = spec.dims
    rng = np.random.default_rng(len(name))
    low = 255 if extreme else 0
    a = rng.integers(low, 256, (3, *spec.a.shape)).astype(np.uint8)
    b = rng.integers(low, 256, (3, *spec.b.shape)).astype(np.uint8)
    function = batch_matmul_prim_func("product", spec, CPU.features)
    built = tvm.compile(tvm.IRModule({"product": function}), tvm.target.Target(CPU.target()))
    out = tvm.runtime.tensor(np.zeros((3, heads, rows, columns), np.int32))
    built.mod["product"](tvm.runtime.tensor(a), tvm.runtime.tensor(b), out)
    left = a[..., : spec.depth].astype(np.int64) - spec.a_zero
    right = b.astype(np.int64) - spec.b_zero
    if spec.b.strides[-1] == 1:
        right = right[..., : spec.depth].swapaxes(-1, -2)
    np.testing.assert_array_equal(out.numpy(), left @ right)
