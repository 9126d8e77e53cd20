"""What attention's kernels must compute: plain values, no TVM import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue

LogicKind = Literal["equal", "or", "and", "not", "convert", "hide"]


@dataclass(frozen=True, slots=True)
class Logic:
    """One step of arithmetic on integers and truth values; these are uint8, 0 or 1.

    "equal" compares two operands, "or" and "and" join two, "not" takes one; "convert" is
    ONNX's Cast to `dtype`, or to a truth value where `dtype` is "bool". "hide" gives a
    float32 number, or the lowest one where the second operand is not 0.
    """

    kind: LogicKind
    dtype: str = "bool"


@dataclass(frozen=True, slots=True)
class BatchMatMul:
    """int32: (a - a_zero) @ (b - b_zero), with what follows.

    `dims` are the outer loops, then rows, then columns; `a` and `b` have strides for them
    and for the summed loop of `depth` behind them; `inputs` (multiplier, offset) and `out`
    for `dims` only. PrimFunc buffers: a; b; multiplier if `requantize`; offset if `table`
    is "channel"; the table if there is one; out.
    """

    batch: int | None
    dims: tuple[int, ...]
    depth: int
    a: Operand
    b: Operand
    a_zero: int
    b_zero: int
    inputs: tuple[Operand, ...]
    out: Operand
    requantize: Epilogue | None = None
    table: Literal["none", "shared", "channel"] = "none"
    table_size: int = 0


@dataclass(frozen=True, slots=True)
class MaskedSoftmax:
    """IntMaskedSoftmax over the last of `dims`; see docs/internals.md.

    PrimFunc buffers: x uint8, hidden uint8, table int32 (256,), out float32.
    """

    batch: int | None
    dims: tuple[int, ...]
    x: Operand
    hidden: Operand
    out: Operand
    empty: int
