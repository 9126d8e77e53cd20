"""Helpers to write loop nests with TVM's TIR builder.

Everything works on scalars and on vectors alike: the number of lanes is taken
from the operand. Importing this module imports TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels.spec import Epilogue

TABLE_BLOCK = 64
"""Bytes of one table look-up step: a 512-bit register."""

_REGISTER_SCOPE: ContextVar[str] = ContextVar("register_scope", default="global")


def register_scope() -> str:
    """Storage scope of small buffers that the compiler turns into registers."""
    return _REGISTER_SCOPE.get()


@contextmanager
def device_code() -> Iterator[None]:
    """What is written inside runs in a GPU's thread, where such buffers are the thread's own."""
    token = _REGISTER_SCOPE.set("local")
    try:
        yield
    finally:
        _REGISTER_SCOPE.reset(token)


_PAIRED = 8
"""Lanes from which on even and odd ones are requantized apart."""


def prim_func(name: str, body: Callable[[], None]) -> Any:
    """A PrimFunc whose arguments and statements `body` emits; buffers do not alias."""
    with IRBuilder() as builder, T.prim_func():
        T.func_name(name)
        T.func_attr({"tirx.noalias": True, "global_symbol": name})
        body()
    return builder.get()


def batch_var(batch: int | None) -> Any:
    """Extent of the batch axis: a number or a fresh int64 variable."""
    return tirx.Var("n", "int64") if batch is None else batch


def lanes_of(value: Any) -> int:
    """Number of lanes of an expression."""
    return int(value.ty.dtype.lanes)


def vector(dtype: str, lanes: int) -> str:
    """Name of a scalar or vector type, e.g. ("int32", 16) -> "int32x16"."""
    return dtype if lanes == 1 else f"{dtype}x{lanes}"


def cast(dtype: str, value: Any) -> Any:
    """`value` converted lane by lane to the scalar type `dtype`."""
    return tirx.Cast(vector(dtype, lanes_of(value)), value)


def const(number: float, dtype: str, like: Any) -> Any:
    """`number` as `dtype`, in as many lanes as `like` has."""
    value, lanes = tirx.const(number, dtype), lanes_of(like)
    return value if lanes == 1 else tirx.Broadcast(value, lanes)


def span(start: Any, lanes: int) -> Any:
    """Index of `lanes` consecutive elements from `start`."""
    return start if lanes == 1 else tirx.Ramp(start, 1, lanes)


def flat(buffer: Any, size: Any) -> Any:
    """One-dimensional view of a compact buffer of `size` elements."""
    return T.decl_buffer((size,), buffer.dtype, data=buffer.data)


def requantize(acc: Any, multiplier: Any, epilogue: Epilogue) -> Any:
    """uint8 from int32: the golden dialect's Requantize, exact in int64.

    The zero point joins the rounding constant (``2**46 * 255 + 2**53 < 2**63``), and
    the clamp comes after, so this is the definition with fewer steps.
    """
    if lanes_of(acc) >= _PAIRED:
        return _requantize_pairs(acc, multiplier, epilogue)
    product = cast("int64", acc) * cast("int64", multiplier)
    offset = (1 << (epilogue.shift - 1)) + (epilogue.zero << epilogue.shift)
    moved = tirx.shift_right(
        product + const(offset, "int64", acc), const(epilogue.shift, "int64", acc)
    )
    low, high = const(epilogue.low, "int64", acc), const(epilogue.high, "int64", acc)
    return cast("uint8", tirx.Min(tirx.Max(moved, low), high))


def _requantize_pairs(acc: Any, multiplier: Any, epilogue: Epilogue) -> Any:
    """`requantize` of many lanes: even and odd ones apart, so that products are vpmuldq."""
    lanes = lanes_of(acc)
    half = vector("int64", lanes // 2)

    def word(number: int) -> Any:
        return tirx.Broadcast(tirx.const(number, "int64"), lanes // 2)

    def halves(value: Any) -> tuple[Any, Any]:
        # codes that a layer without sums passes on are bytes
        pairs = T.Bind(T.reinterpret(half, cast("int32", value)))
        return tirx.shift_right(tirx.shift_left(pairs, word(32)), word(32)), tirx.shift_right(
            pairs, word(32)
        )

    rounding = (1 << (epilogue.shift - 1)) + (epilogue.zero << epilogue.shift)
    moved = [
        tirx.shift_right(a * b + word(rounding), word(epilogue.shift))
        for a, b in zip(halves(acc), halves(multiplier), strict=True)
    ]
    even, odd = (
        tirx.Min(tirx.Max(value, word(epilogue.low)), word(epilogue.high)) for value in moved
    )
    joined = tirx.bitwise_or(even, tirx.shift_left(odd, word(32)))
    return cast("uint8", T.reinterpret(vector("int32", lanes), joined))


def has_byte_permute(features: frozenset[str]) -> bool:
    """Whether the CPU looks 64 bytes up at once (AVX512-VBMI's vpermi2b)."""
    return "avx512vbmi" in features


def lookup64(table: Any, codes: Any, base: Any = 0) -> Any:
    """``table[base + codes]`` for 64 codes at once, with AVX512-VBMI.

    Two vpermi2b look up the low and the high half of the 256 bytes from `base`;
    the code's top bit chooses.
    """
    quarter = [table[tirx.Ramp(base + 64 * k, 1, 64)] for k in range(4)]
    name = "llvm.x86.avx512.vpermi2var.qi.512"
    low = tirx.call_llvm_pure_intrin("uint8x64", name, quarter[0], codes, quarter[1])
    high = tirx.call_llvm_pure_intrin("uint8x64", name, quarter[2], codes, quarter[3])
    return tirx.Select(codes < const(128, "uint8", codes), low, high)


def lookup16(table: Any, codes: Any) -> Any:
    """``table[codes]`` for 16 codes at once, with 64-bit Arm's tbl.

    It looks up in 64 bytes; codes beyond them leave what the step before found.
    """
    name = "llvm.aarch64.neon.{}.v16i8"
    found: tuple[Any, ...] = ()
    for quarter in range(4):
        part = [table[tirx.Ramp(64 * quarter + 16 * k, 1, 16)] for k in range(4)]
        within = codes - const(64 * quarter, "uint8", codes) if quarter else codes
        kind = name.format("tbx4" if found else "tbl4")
        found = (tirx.call_llvm_pure_intrin("uint8x16", kind, *found, *part, within),)
    return found[0]


def table_block(features: frozenset[str]) -> int:
    """Bytes that the CPU looks up at once; 0 where it has no instruction for that."""
    if has_byte_permute(features):
        return TABLE_BLOCK
    return 16 if {"neon", "fp-armv8"} <= features and "aclass" not in features else 0


def lookup(table: Any, code: Any, base: Any = 0) -> Any:
    """``table[base + code]``, one element or vector by gathering."""
    return table[cast("int32", code) + base]


def table_in_place(data: Any, start: Any, count: int, table: Any, features: frozenset[str]) -> None:
    """Emit ``data[start : start + count] = table[...]`` on a flat uint8 buffer."""
    size = table_block(features)
    blocks = count // size if size else 0
    find = lookup64 if size == TABLE_BLOCK else lookup16
    if blocks:
        with T.serial(0, blocks) as block:
            at = span(start + block * size, size)
            codes = T.Bind(data[at])
            T.buffer_store(data, find(table, codes), [at])
    rest = count - blocks * size
    if rest and has_byte_permute(features):
        at = span(start + blocks * TABLE_BLOCK, TABLE_BLOCK)
        mask = tirx.Ramp(0, 1, TABLE_BLOCK) < tirx.Broadcast(rest, TABLE_BLOCK)
        codes = T.Bind(T.masked_load("uint8x64", data, at, mask))
        T.evaluate(T.masked_store(data, lookup64(table, codes), at, mask))
    elif rest:
        with T.serial(0, rest) as i:
            at = start + blocks * size + i
            T.buffer_store(data, lookup(table, data[at]), [at])
