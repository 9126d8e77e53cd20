"""The syntax tree of a scalar expression of x: evaluated in float64, printed canonically."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from actc.approx.catalogue import CatalogueEntry
from actc.approx.function import Float64Array

SUM, PRODUCT, SIGN, POWER, ATOM = 10, 20, 30, 40, 50
"""How tightly an operator binds."""

BINDING = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "^": POWER}
CONSTANTS = {"pi": math.pi, "e": math.e}

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "^": np.power,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")


@dataclass(frozen=True, slots=True)
class Elementary:
    """A function that an expression can call by its lower-case name.

    Attributes:
        name: its canonical name.
        evaluate: float64 arrays that broadcast -> float64 array.
        least, most: number of arguments; most None: any number.
    """

    name: str
    evaluate: Callable[..., Any]
    least: int = 1
    most: int | None = 1


def _fold(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def folded(first: Any, *others: Any) -> Any:
        for other in others:
            first = function(first, other)
        return first

    return folded


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


_ELEMENTARY = (
    Elementary("exp", np.exp),
    Elementary("exp2", np.exp2),
    Elementary("expm1", np.expm1),
    Elementary("log", np.log),
    Elementary("log2", np.log2),
    Elementary("log10", np.log10),
    Elementary("log1p", np.log1p),
    Elementary("sqrt", np.sqrt),
    Elementary("cbrt", np.cbrt),
    Elementary("abs", np.abs),
    Elementary("sign", np.sign),
    Elementary("floor", np.floor),
    Elementary("ceil", np.ceil),
    Elementary("round", np.rint),
    Elementary("sin", np.sin),
    Elementary("cos", np.cos),
    Elementary("tan", np.tan),
    Elementary("arcsin", np.arcsin),
    Elementary("arccos", np.arccos),
    Elementary("arctan", np.arctan),
    Elementary("sinh", np.sinh),
    Elementary("cosh", np.cosh),
    Elementary("tanh", np.tanh),
    Elementary("arcsinh", np.arcsinh),
    Elementary("arccosh", np.arccosh),
    Elementary("arctanh", np.arctanh),
    Elementary("erf", special.erf),
    Elementary("erfc", special.erfc),
    Elementary("sigmoid", special.expit),
    Elementary("softplus", lambda x: np.logaddexp(0.0, x)),
    Elementary("relu", lambda x: np.maximum(x, 0.0)),
    Elementary("min", _fold(np.minimum), 2, None),
    Elementary("max", _fold(np.maximum), 2, None),
    Elementary("clip", _clip, 3, 3),
)
ELEMENTARY = {function.name: function for function in _ELEMENTARY}
ELEMENTARY.update(
    {
        alias: ELEMENTARY[name]
        for alias, name in (
            ("ln", "log"),
            ("asin", "arcsin"),
            ("acos", "arccos"),
            ("atan", "arctan"),
            ("asinh", "arcsinh"),
            ("acosh", "arccosh"),
            ("atanh", "arctanh"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, finite and not negative."""

    value: float


@dataclass(frozen=True, slots=True)
class Constant:
    """pi or e."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """x."""


@dataclass(frozen=True, slots=True)
class Negate:
    """-operand."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Left operator right; the operator is a key of :data:`BINDING`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """Left operator right; the operator is one of :data:`COMPARISONS`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Where:
    """`chosen` where the condition holds, `other` elsewhere."""

    condition: Comparison
    chosen: Node
    other: Node


@dataclass(frozen=True, slots=True)
class Call:
    """An elementary function of its arguments."""

    function: Elementary
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A function of the catalogue; `parameters` are constants, one each, or none (the usual)."""

    entry: CatalogueEntry
    argument: Node
    parameters: tuple[Node, ...]


Node = Number | Constant | Variable | Negate | Binary | Where | Call | Published


def children(node: Node | Comparison) -> tuple[Node | Comparison, ...]:
    """The parts of a node, left to right."""
    if isinstance(node, (Binary, Comparison)):
        return node.left, node.right
    if isinstance(node, Negate):
        return (node.operand,)
    if isinstance(node, Where):
        return node.condition, node.chosen, node.other
    if isinstance(node, Call):
        return node.arguments
    return (node.argument, *node.parameters) if isinstance(node, Published) else ()


def depends_on_x(node: Node | Comparison) -> bool:
    """Whether x occurs in `node`, however deep that is."""
    rest = [node]
    while rest:
        part = rest.pop()
        if isinstance(part, Variable):
            return True
        rest += children(part)
    return False


def evaluate(node: Node, x: Float64Array) -> Float64Array:
    """The value at `x`, float64, of a shape that broadcasts to that of `x`.

    What is undefined is NaN; warnings about it are the caller's to silence.
    """
    return np.asarray(_value(node, x), np.float64)


def _value(node: Node | Comparison, x: Float64Array) -> Any:
    if isinstance(node, Variable):
        return x
    if isinstance(node, Number):
        return np.float64(node.value)
    if isinstance(node, Constant):
        return np.float64(CONSTANTS[node.name])
    if isinstance(node, Negate):
        return -_value(node.operand, x)
    parts = [_value(child, x) for child in children(node)]
    if isinstance(node, (Binary, Comparison)):
        return _BINARY[node.operator](*parts)
    if isinstance(node, Where):
        return np.where(*parts)
    if isinstance(node, Call):
        return node.function.evaluate(*parts)
    given = parts[1:] or node.entry.defaults
    return node.entry.evaluate(parts[0], *given)


def text(node: Node) -> str:
    """The canonical text: parsing it gives an equal tree."""
    if isinstance(node, Published) and isinstance(node.argument, Variable):
        return node.entry.name + (_list(node.parameters) if node.parameters else "")
    return _text(node)


def _text(node: Node | Comparison) -> str:
    if isinstance(node, Number):
        return _digits(node.value)
    if isinstance(node, Variable):
        return "x"
    if isinstance(node, Constant):
        return node.name
    if isinstance(node, Negate):
        return "-" + _inside(node.operand, SIGN)
    if isinstance(node, Binary):
        return _binary(node)
    if isinstance(node, Comparison):
        return f"{_text(node.left)} {node.operator} {_text(node.right)}"
    if isinstance(node, Where):
        return "where" + _list(children(node))
    name = node.function.name if isinstance(node, Call) else node.entry.name
    return name + _list(children(node))


def _list(nodes: tuple[Node | Comparison, ...]) -> str:
    return f"({', '.join(map(_text, nodes))})"


def _digits(value: float) -> str:
    whole = value.is_integer() and value < 1e15
    return str(int(value)) if whole else repr(value)


def _binary(node: Binary) -> str:
    binding = BINDING[node.operator]
    space = " " if binding == SUM else ""
    if binding == POWER:  # joins from the right, and takes a sign there
        left, right = _inside(node.left, ATOM), _inside(node.right, SIGN)
    else:
        left, right = _inside(node.left, binding), _inside(node.right, binding + 1)
    return f"{left}{space}{node.operator}{space}{right}"


def _inside(node: Node, binding: int) -> str:
    """The text of an operand, in parentheses unless it binds at least as tightly."""
    own = ATOM
    if isinstance(node, Binary):
        own = BINDING[node.operator]
    elif isinstance(node, Negate):
        own = SIGN
    return _text(node) if own >= binding else f"({_text(node)})"
