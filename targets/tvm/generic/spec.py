"""What a generic kernel computes: plain values, no TVM import."""

from __future__ import annotations

import math
from dataclasses import dataclass

from actc.targets.tvm.layout import Shape

Scalar = int | float | str
Attribute = Scalar | tuple[Scalar, ...]

# fmt: off
DTYPES = frozenset(
    [
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "bfloat16", "float32", "float64",
    ]
)
# fmt: on
"""Element types that generic kernels take."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type and shape of a row-major tensor; an extent None is the symbolic batch."""

    dtype: str
    shape: Shape

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements; those of one sample where the batch is symbolic."""
        return math.prod(1 if extent is None else extent for extent in self.shape)


@dataclass(frozen=True, slots=True)
class Generic:
    """One call of a generic kernel; buffers are the inputs that are there, then the output.

    Attributes:
        op: name in `registry.RULES`.
        inputs: types, None for an optional input that is absent.
        output: type of what it writes.
        attributes: sorted by name; what the node has, and what the rule adds.
        index: which of the operator's outputs it computes.
    """

    op: str
    inputs: tuple[TensorType | None, ...]
    output: TensorType
    attributes: tuple[tuple[str, Attribute], ...] = ()
    index: int = 0
