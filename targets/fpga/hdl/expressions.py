"""Verilog text of operators.

Verilog's own width and sign rules never decide anything: every operand is cut or
extended to the width that the operator works in, sign bits are repeated by hand, and
$signed stands only around operands of equal width, of products and of comparisons
with negative values. Additions, subtractions, products and shifts work modulo two to
the power of the result's width, which is right because the result's range fits it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.graph import Wire


@dataclass(frozen=True)
class Text:
    """What the text of a wire may refer to.

    Attributes:
        names: index of a wire -> its identifier.
        tables: index of a lookup -> the identifier of its function or memory.
    """

    names: dict[int, str]
    tables: dict[int, str]

    def bits(self, wire: Wire, low: int, count: int) -> str:
        """`count` bits of a wire from bit `low` on, extended by its sign."""
        if wire.value is not None:
            return literal(wire.value >> low, count)
        inside = min(count, wire.width - low)
        if inside == count:
            return self._slice(wire, low, count)
        more = count - max(inside, 0)
        top = self._slice(wire, wire.width - 1, 1) if wire.signed else ""
        extension = _repeat(top, more) if wire.signed else literal(0, more)
        return f"{{{extension}, {self._slice(wire, low, inside)}}}" if inside > 0 else extension

    def _slice(self, wire: Wire, low: int, count: int) -> str:
        """Bits that the wire has, of what it is a part of if it has no name."""
        name = self.names.get(wire.index)
        if name is None:
            (operand,) = wire.operands
            return self.bits(operand, low + first_bit(wire.operator), count)
        if count == wire.width:
            return name
        return f"{name}[{low}]" if count == 1 else f"{name}[{low + count - 1}:{low}]"

    def fit(self, wire: Wire, width: int) -> str:
        """A wire cut or extended to `width` bits."""
        return self.bits(wire, 0, width)


def literal(value: int, width: int) -> str:
    """The two's complement of `value` in `width` bits, as an unsigned number."""
    return f"{width}'d{value & ((1 << width) - 1)}"


def first_bit(operator: op.Operator) -> int:
    """Which bit of its operand is the first one of a wire that is a part of it."""
    if isinstance(operator, op.Bits):
        return operator.low
    return operator.amount if isinstance(operator, op.ShiftRight) else 0


def _repeat(bit: str, count: int) -> str:
    return bit if count == 1 else f"{{{count}{{{bit}}}}}"


@singledispatch
def expression(operator: op.Operator, wire: Wire, text: Text) -> str:
    """The right-hand side that gives a wire its value, wire.width bits."""
    raise NotImplementedError(type(operator).__name__)


@expression.register
def _(operator: op.Constant, wire: Wire, text: Text) -> str:
    return literal(operator.value, wire.width)


@expression.register
def _(operator: op.Add, wire: Wire, text: Text) -> str:
    first, second = wire.operands
    if first.value is not None:
        first, second = second, first
    if second.value is not None and second.value < 0:
        return f"{text.fit(first, wire.width)} - {literal(-second.value, wire.width)}"
    return f"{text.fit(first, wire.width)} + {text.fit(second, wire.width)}"


@expression.register
def _(operator: op.Subtract, wire: Wire, text: Text) -> str:
    first, second = wire.operands
    return f"{text.fit(first, wire.width)} - {text.fit(second, wire.width)}"


@expression.register
def _(operator: op.Negate, wire: Wire, text: Text) -> str:
    return f"{literal(0, wire.width)} - {text.fit(wire.operands[0], wire.width)}"


@expression.register
def _(operator: op.Invert, wire: Wire, text: Text) -> str:
    return f"~{text.fit(wire.operands[0], wire.width)}"


@expression.register
def _(operator: op.Multiply, wire: Wire, text: Text) -> str:
    first, second = (text.fit(operand, wire.width) for operand in wire.operands)
    if any(operand.signed for operand in wire.operands):
        return f"$signed({first}) * $signed({second})"
    return f"{first} * {second}"


@expression.register
def _(operator: op.ShiftLeft, wire: Wire, text: Text) -> str:
    high = text.fit(wire.operands[0], wire.width - operator.amount)
    return f"{{{high}, {literal(0, operator.amount)}}}"


@expression.register
def _(operator: op.ShiftRight, wire: Wire, text: Text) -> str:
    return text.bits(wire.operands[0], operator.amount, wire.width)


@expression.register
def _(operator: op.Bits, wire: Wire, text: Text) -> str:
    return text.bits(wire.operands[0], operator.low, wire.width)


@expression.register
def _(operator: op.Concatenate, wire: Wire, text: Text) -> str:
    parts: list[str] = []
    left = wire.width  # less than all parts together where the first ones are always 0
    for part, width in zip(reversed(wire.operands), reversed(operator.widths), strict=True):
        if left > 0:
            parts.insert(0, text.fit(part, min(width, left)))
            left -= width
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


@expression.register
def _(operator: op.Compare, wire: Wire, text: Text) -> str:
    first, second = wire.operands
    common = first.range.hull(second.range)
    left, right = text.fit(first, common.width), text.fit(second, common.width)
    if common.signed and operator.kind in ("<", ">="):
        left, right = f"$signed({left})", f"$signed({right})"
    return f"{left} {operator.kind} {right}"


@expression.register
def _(operator: op.Reaches, wire: Wire, text: Text) -> str:
    (operand,) = wire.operands
    last = (operator.bound & -operator.bound).bit_length() - 1
    result, ored = text.bits(operand, last, 1), False
    for bit in range(last + 1, operand.width):
        kind = "&" if operator.bound >> bit & 1 else "|"
        # & binds tighter than | by itself, but linters and readers like parentheses
        result = f"({result})" if ored != (kind == "|") and " " in result else result
        result, ored = f"{text.bits(operand, bit, 1)} {kind} {result}", kind == "|"
    return result


@expression.register
def _(operator: op.Logic, wire: Wire, text: Text) -> str:
    first, second = wire.operands
    if operator.kind == "^" and second.value == 1:
        return f"~{text.fit(first, 1)}"
    return f"{text.fit(first, 1)} {operator.kind} {text.fit(second, 1)}"


@expression.register
def _(operator: op.Select, wire: Wire, text: Text) -> str:
    index, *options = wire.operands
    texts = [text.fit(option, wire.width) for option in options[: index.range.high + 1]]
    for bit in range(index.width):
        flag = text.bits(index, bit, 1)
        pairs = [texts[i : i + 2] for i in range(0, len(texts), 2)]
        texts = [pair[0] if len(set(pair)) == 1 else _choice(flag, *pair) for pair in pairs]
    return texts[0]


def _choice(flag: str, zero: str, one: str) -> str:
    options = (f"({text})" if "?" in text else text for text in (one, zero))
    return f"{flag} ? " + " : ".join(options)


@expression.register
def _(operator: op.Lookup, wire: Wire, text: Text) -> str:
    (address,) = wire.operands
    inner = text.fit(address, address.width)
    table = text.tables[wire.index]
    return f"{table}[{inner}]" if operator.memory else f"{table}({inner})"


@expression.register
def _(operator: op.Saturate, wire: Wire, text: Text) -> str:
    (operand,) = wire.operands
    whole, result = operand.range, text.fit(operand, wire.width)
    for bound, outside, kind in (
        (wire.range.high, operand.range.high, ">"),
        (wire.range.low, operand.range.low, "<"),
    ):
        if bound == outside:
            continue
        left, right = text.fit(operand, whole.width), literal(bound, whole.width)
        if whole.signed:
            left, right = f"$signed({left})", f"$signed({right})"
        result = f"{left} {kind} {right} ? {literal(bound, wire.width)} : {_nested(result)}"
    return result


def _nested(text: str) -> str:
    return f"({text})" if "?" in text else text


@expression.register
def _(operator: op.Narrow, wire: Wire, text: Text) -> str:
    return text.fit(wire.operands[0], wire.width)
