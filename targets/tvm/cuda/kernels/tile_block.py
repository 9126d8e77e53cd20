"""A block of threads that multiplies two operands tile by tile in shared memory.

While it multiplies what lies in one half of its shared memory, the words of the next step are on
their way into registers and then into the other half; one barrier per step suffices. In the end
the sums are in shared memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import int32, mod, when
from actc.targets.tvm.cuda.kernels.tile_products import LaneProducts, WarpProducts
from actc.targets.tvm.cuda.tiling import ROW, Tiling


class TileBlock(ABC):
    """Writes the code of a block of threads.

    Args:
        tiling: sizes of the tiles, and how they are multiplied.
        total: type of the sums.
    """

    def __init__(self, tiling: Tiling, total: str) -> None:
        self._tiling, self._sum = tiling, total
        self._word = "float32" if tiling.method == "fma" else "int32"
        self._stage = (tiling.pixels + tiling.channels) * ROW

    def _begin(self, thread: Any) -> None:
        """Take the shared memory: of two steps, later of the sums."""
        self._thread = thread
        size = max(2 * self._stage, self._tiling.pixels * (self._tiling.channels + 1))
        self._shared = T.alloc_buffer((size,), self._word, scope="shared")

    def _multiply(self) -> None:
        """All steps; then the sums of products are in shared memory."""
        lanes = self._tiling.method in ("dp4a", "fma")
        products: Any = LaneProducts(self) if lanes else WarpProducts(self)
        self._load(int32(0))
        self._commit(int32(0))
        _barrier()
        with T.serial(0, self._tiling.steps) as step:
            half = T.Bind(mod(step, 2) * (self._stage // 4))
            other = T.Bind(int32(self._stage // 4) - half)
            more = step + 1 < self._tiling.steps
            with when(more):
                self._load(step + 1)
            products.step(half)
            with when(more):
                self._commit(other)
            _barrier()
        products.store()
        self._keep_more()
        _barrier()

    @abstractmethod
    def _load(self, step: Any) -> None:
        """Bring the words of a step into registers."""

    @abstractmethod
    def _commit(self, half: Any) -> None:
        """Put them into the half of the shared memory that begins at group `half`."""

    def _keep_more(self) -> None:
        """Put what belongs to the sums into shared memory, beside them."""
        return

    def keep_sum(self, row: Any, column: Any, total: Any) -> None:
        """Put a sum where whoever finishes finds it."""
        if self._sum != self._word:
            total = T.reinterpret(self._word, total)
        at = row * (self._tiling.channels + 1) + column
        T.buffer_store(self._shared, total, [at])

    @property
    def parts(self) -> tuple[Any, Tiling, Any, str, str]:
        """Thread, tiling, shared memory, type of words, type of sums."""
        return self._thread, self._tiling, self._shared, self._word, self._sum


def _barrier() -> None:
    T.evaluate(tirx.call_intrin("int32", "tirx.tvm_storage_sync", "shared"))
