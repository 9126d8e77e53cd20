"""Elements that repeat: what LLVM makes of remainders of loops' variables."""

from __future__ import annotations

import numpy as np
import pytest
from installed import needs_tvm

pytestmark = needs_tvm


@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
@pytest.mark.parametrize(
    ("shape", "repeats"),
    [((3, 4, 5), (6, 4, 2)), ((5, 4, 3), (2, 4, 2)), ((3, 2, 3), (2, 8, 1)), ((3, 8), (2, 4))],
)
def test_repeated_elements(dtype: str, shape: tuple[int, ...], repeats: tuple[int, ...]) -> None:
    """LLVM 22 gets the first two wrong with AVX-512 where it is told nothing."""
    import tvm
    from tvm.tirx.script.builder import ir as T

    from actc.targets.tvm.generic.kernel import nest
    from actc.targets.tvm.generic.places import remainder
    from actc.targets.tvm.host import host_cpu
    from actc.targets.tvm.kernels.tir import prim_func

    extents = [extent * times for extent, times in zip(shape, repeats, strict=True)]

    def body() -> None:
        x, out = (T.arg(name, T.buffer(s, dtype)) for name, s in (("x", shape), ("out", extents)))
        with nest(extents) as index:
            place = [remainder(i, extent) for i, extent in zip(index, shape, strict=True)]
            T.buffer_store(out, x[tuple(place)], index)

    target = tvm.target.Target(host_cpu().target())
    library = tvm.compile(tvm.IRModule({"repeat": prim_func("repeat", body)}), target=target)
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    result = tvm.runtime.tensor(np.zeros(extents, dtype))
    library["repeat"](tvm.runtime.tensor(data), result)
    np.testing.assert_array_equal(result.numpy(), np.tile(data, repeats))
