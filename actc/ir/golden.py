"""What makes a model golden, and what is wrong with one that claims to be.

A golden file may come from anywhere. Targets turn its operators into code that trusts
the shapes and sizes of constants, so these are checked first; what each operator takes is
stated in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant
from actc.numerics.limbs import LIMB_BITS, MOST_LIMBS

Array = np.ndarray[Any, Any]

_TYPES = {
    "code": (ir.DataType.UINT8, ir.DataType.UINT16),
    "any": (ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.INT32),
    "sum": (ir.DataType.INT32, ir.DataType.INT64),
    # Codes too: QuantizeLinear saturates to its type, and fewer bits are clamped behind it.
    "scaled": (ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.INT32, ir.DataType.INT64),
    "u8": (ir.DataType.UINT8,),
    "u16": (ir.DataType.UINT16,),
    "i8": (ir.DataType.INT8,),
    "i16": (ir.DataType.INT16,),
    "i32": (ir.DataType.INT32,),
    "i64": (ir.DataType.INT64,),
    "f32": (ir.DataType.FLOAT,),
    "f64": (ir.DataType.DOUBLE,),
}

_LINEAR = "w:i8! bias:sum! x_zero:"
_MOVED = "a_zero:{0}. b_zero:{0}."
_SIGNATURES = {
    "IntConv": f"x:u8 {_LINEAR}u8.",
    "IntMatMul": f"x:u8 {_LINEAR}u8.",
    "WideConv": f"x:u16 {_LINEAR}u16.",
    "WideMatMul": f"x:u16 {_LINEAR}u16.",
    "Requantize": "acc:scaled multiplier:i32! shift:i32. zero:code. low:code. high:code.",
    "Table": "x:code table:code!",
    "ChannelTable": "x:code table:code! offset:i32!",
    "Steps": "acc:sum breakpoints:sum! values:code! offset:i32!",
    "IntAdd": "a:code b:code a_mul:sum. b_mul:sum. bias:sum!",
    "IntMul": f"a:code b:code {_MOVED.format('code')}",
    "WideMul": f"a:code b:code {_MOVED.format('code')}",
    "WideMaxPool": "x:u16",
    "WideReduceMax": "x:u16 axes:i64!",
    "InstanceSteps": "acc:sum powers:i64! weights:i64! factor:i64! slope:i64! offset:i64! "
    "values:code!",
    "IntHypot": f"a:code b:code {_MOVED.format('code')} eps:f64.",
    "IntDivide": "a:any b:any a_zero:any. b_zero:any. least:i32. unit:i64.",
    "IntReduceMean": "x:code x_zero:code. axes:i64!",
    "IntReduceSum": "x:code x_zero:code. axes:i64!",
    "IntSoftmax": "x:code table:i32!",
    "IntProbabilities": "x:code table:i32!",
    "IntMaskedSoftmax": "x:code hidden:u8 table:i32!",
    "IntBatchMatMul": f"a:u8 b:u8 {_MOVED.format('u8')}",
    "WideBatchMatMul": f"a:code b:code {_MOVED.format('code')}",
    "IntLogSoftmax": "x:code table:i32! levels:i32! octaves:i32! logarithms:i32!",
    "IntRmsNorm": "x:code x_zero:code. gamma:i32! eps:f64.",
    "IntLayerNorm": "x:code gamma:i32! beta:i32! eps:f64.",
    "IntEmbed": "i:i32 table:code!",
    "FixedPoint": "x:f32 bits:i32. low:i32. high:i32.",
    "IntRnn": "acc:sum h0:i32 r:i8! x_multiplier:i32! h_multiplier:i32! shift:i32. "
    "cell_table:i16! step_bits:i32.",
    "IntLstm": "acc:sum h0:i32 c0:i32 r:i8! x_multiplier:i32! h_multiplier:i32! shift:i32. "
    "gate_table:u16! cell_table:i16! step_bits:i32. cell_bits:i32. cell_shift:i32.",
    **dict.fromkeys(
        ("IntGru", "IntGruResetBefore"),
        "acc:sum h0:i32 r:i8! h_bias:i32! x_multiplier:i32! h_multiplier:i32! shift:i32. "
        "gate_table:u16! cell_table:i16! step_bits:i32.",
    ),
}
"""Operator -> its inputs, NAME:TYPE; "!" follows a constant, "." one of a single element."""

INTEGER_OPERATORS = frozenset(_SIGNATURES)
"""Operators of the domain `actc` that only golden models hold."""

_ENDS = {
    "shift": (1, 62),
    "step_bits": (0, 30),
    "bits": (0, 30),
    "cell_bits": (15, 24),
    "cell_shift": (1, 62),
    "multiplier": (0, 2**31 - 1),
    "x_multiplier": (0, 2**31 - 1),
    "h_multiplier": (0, 2**31 - 1),
    "eps": (0.0, 2.0**53),
}
"""Constant -> smallest and largest value, where not every value of the type has a meaning."""

_BYTES = 256


def is_golden(model: ir.Model) -> bool:
    """Whether a model holds operators that only integer models of actc hold."""
    return any(_is_integer(node) for node in model.graph)


def _is_integer(node: ir.Node) -> bool:
    return node.domain == DOMAIN and node.op_type in INTEGER_OPERATORS


def problems(model: ir.Model) -> Iterator[tuple[ir.Node, str]]:
    """The nodes of a golden model whose inputs are not what their operator takes, and why."""
    for node in model.graph:
        if _is_integer(node):
            yield from ((node, text) for text in _inputs(node))


def _inputs(node: ir.Node) -> Iterator[str]:
    wanted = [item.partition(":")[::2] for item in _SIGNATURES[node.op_type].split()]
    given = [value for value in node.inputs if value is not None]
    if len(node.inputs) != len(wanted) or len(given) < len(wanted):
        names = ", ".join(name for name, _ in wanted)
        yield f"it has {len(node.inputs)} inputs; {node.op_type} takes {names}"
        return
    values = {name: value for (name, _), value in zip(wanted, given, strict=True)}
    found = [text for name, kind in wanted for text in _operand(name, kind, values[name])]
    yield from found
    if node.op_type == "IntProbabilities" and not 9 <= node.attributes.get_int("bits", 0) <= 16:
        yield "its attribute 'bits' is not within 9 and 16"
    if not found and node.op_type in _SIZES:
        yield from _SIZES[node.op_type](values)


def _operand(name: str, kind: str, value: ir.Value) -> Iterator[str]:
    allowed = _TYPES[kind.rstrip("!.")]
    if value.dtype not in allowed:
        shown = "no type" if value.dtype is None else f"type {value.dtype.name}"
        yield f"input '{name}' has {shown}, not {' or '.join(t.name for t in allowed)}"
        return
    if kind[-1] not in "!.":
        return
    array = constant(value)
    if array is None:
        yield f"input '{name}' must be a constant"
    elif kind.endswith(".") and array.size != 1:
        yield f"input '{name}' has {array.size} elements; it takes one"
    elif array.size == 0:
        yield f"input '{name}' has no elements"
    elif name in _ENDS and not np.all((array >= _ENDS[name][0]) & (array <= _ENDS[name][1])):
        low, high = _ENDS[name]
        yield f"input '{name}' is not within {low} and {high}"


Values = dict[str, ir.Value]


def _size(values: Values, name: str) -> int:
    array = constant(values[name])
    assert array is not None
    return int(array.size)


def _table(values: Values) -> Iterator[str]:
    size = _size(values, "table")
    wide = values["x"].dtype == ir.DataType.UINT16
    if size != _BYTES and not (wide and size in (2**bits for bits in range(9, 17))):
        yield f"its table has {size} entries, not one per code"


def _channels(values: Values, table: str, size: int) -> Iterator[str]:
    """Each channel has a whole part of the table."""
    offset = constant(values["offset"])
    assert offset is not None
    if offset.min() < 0 or offset.max() + size > _size(values, table):
        yield f"a channel's offset leaves less than {size} entries of '{table}'"


def _channel_table(values: Values) -> Iterator[str]:
    wide = values["x"].dtype == ir.DataType.UINT16
    channels = _size(values, "offset")
    entries = _size(values, "table") // channels if wide else _BYTES
    yield from _channels(values, "table", max(entries, _BYTES))


def _steps(values: Values) -> Iterator[str]:
    if _size(values, "breakpoints") != _size(values, "values"):
        yield "'breakpoints' and 'values' differ in size"
    yield from _channels(values, "values", _BYTES)


def _exponentials(values: Values) -> Iterator[str]:
    table = constant(values["table"])
    assert table is not None
    if "hidden" not in values:
        yield from _table(values)
    if table.min() < 0 or table[0] <= 0:
        yield "its table of exponentials is not positive"


def _recurrent(values: Values) -> Iterator[str]:
    for name in ("gate_table", "cell_table"):
        cells = _size(values, name) - 1 if name in values else 1
        if cells < 1 or cells & (cells - 1):
            yield f"'{name}' does not have 2^k + 1 entries"


_LIMB = 2**20
"""Base of the limbs of many-bit numbers; limbs are below it."""
_MOST_LIMBS = 48


def _instances(values: Values) -> Iterator[str]:
    """Weights [1, C, 1..., P, 3, J], factor [J, L or C * L], slope and offset [1, C, 1..., L]."""
    arrays = {name: constant(values[name]) for name in _INSTANCES}
    powers, weights, factor, slope, offset, codes = (np.asarray(a) for a in arrays.values())
    shape = values["acc"].shape
    rank = offset.ndim - 1 if shape is None else len(shape)
    channels, limbs = offset.shape[1] if offset.ndim > 1 else 0, offset.shape[-1]
    middle = (1,) * (rank - 2)
    wanted = (
        ("powers", powers, (powers.size,)),
        ("weights", weights, (1, channels, *middle, powers.size, 3, len(factor))),
        ("slope", slope, (1, channels, *middle, limbs)),
        ("offset", offset, (1, channels, *middle, limbs)),
        ("values", codes, (3,)),
    )
    for name, array, sizes in wanted:
        if array.shape != sizes:
            yield f"input '{name}' has the shape {list(array.shape)}, not {list(sizes)}"
    if factor.ndim != 2 or factor.shape[1] not in (limbs, channels * limbs):
        yield "'factor' does not have the limbs of one number, or of one per channel"
    if max(limbs, len(factor)) > MOST_LIMBS:
        yield f"its numbers have more than {MOST_LIMBS} limbs"
    if powers.min() < 1 or powers.max() > 3:
        yield "'powers' are not within 1 and 3"
    if any(np.any(np.abs(a) > 2 ** (LIMB_BITS - 1)) for a in (weights, factor, slope, offset)):
        yield f"a limb is beyond 2^{LIMB_BITS - 1}"


_INSTANCES = ("powers", "weights", "factor", "slope", "offset", "values")

_SIZES: dict[str, Callable[[Values], Iterator[str]]] = {
    "Table": _table,
    "ChannelTable": _channel_table,
    "Steps": _steps,
    "InstanceSteps": _instances,
    "IntSoftmax": _exponentials,
    "IntMaskedSoftmax": _exponentials,
    "IntProbabilities": _exponentials,
    **dict.fromkeys(("IntRnn", "IntLstm", "IntGru", "IntGruResetBefore"), _recurrent),
}
