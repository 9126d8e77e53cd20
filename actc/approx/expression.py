"""Scalar expressions of x, such as ``x*sigmoid(1.702*x)``: text to function.

A tokenizer and a Pratt parser (Pratt, "Top down operator precedence", POPL 1973):

    sum         a + b, a - b            joins from the left
    product     a * b, a / b            joins from the left
    sign        -a, +a                  -x^2 is -(x^2)
    power       a ^ b, a ** b           joins from the right; 2^-x is allowed
    atom        1.5e-3, x, pi, e, (a), f(a, ...), where(a < b, then, otherwise)

f is an elementary function (lower case) or one of the catalogue, whose parameters,
constants, follow its argument: ``ELU(x, 0.5)``. A text that is only such a function
leaves x out: ``GELU``, ``ELU(0.5)``. Nothing is evaluated as Python, and length and
depth are limited, so that any text is safe to read.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from actc.approx.catalogue import CATALOGUE, CatalogueEntry, find
from actc.approx.expression_tree import (
    BINDING,
    COMPARISONS,
    CONSTANTS,
    ELEMENTARY,
    POWER,
    SIGN,
    Binary,
    Call,
    Comparison,
    Constant,
    Elementary,
    Negate,
    Node,
    Number,
    Published,
    Variable,
    Where,
    children,
    depends_on_x,
    evaluate,
    text,
)
from actc.approx.function import Float64Array, ScalarFunction
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

MAX_LENGTH = 4096
"""Longest text, in characters."""
MAX_DEPTH = 100
"""Deepest nesting; every operator of a chain ``a + b + c`` counts."""

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>\*\*|<=|>=|==|!=|[-+*/^<>(),])",
    re.ASCII,
)
_END = "end"


@dataclass(frozen=True, slots=True)
class Expression:
    """A scalar function of x.

    Attributes:
        tree: its syntax tree.
    """

    tree: Node

    def __str__(self) -> str:
        return text(self.tree)

    def __call__(self, x: Float64Array) -> Float64Array:
        """Evaluate in float64; the shape of `x`."""
        return np.broadcast_to(evaluate(self.tree, x), np.shape(x))

    def function(self) -> ScalarFunction:
        """The function, named by the canonical text."""
        return ScalarFunction(str(self), self)


def parse_expression(source: str) -> Expression:
    """Read a scalar expression of x, or the name of a function.

    Raises:
        UsageError: ACT0330, not an expression of x (the notes point at the column);
            ACT0331, an unknown name; ACT0332, wrong arguments of a function.
    """
    parser = _Parser(source)
    tree = parser.whole()
    if not depends_on_x(tree):
        parser.fail("ACT0330", "the expression does not depend on x", 0, "write it in terms of x")
    return Expression(tree)


def parse_number(source: str) -> float:
    """Read a constant expression, such as ``-2*pi``.

    Raises:
        UsageError: as `parse_expression`; ACT0330, it depends on x or is not finite.
    """
    parser = _Parser(source)
    return parser.constant(parser.whole(), 0)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = self._read_tokens()
        self._position = 0
        self._nesting = 0

    # --- tokens

    def _read_tokens(self) -> list[_Token]:
        if len(self._source) > MAX_LENGTH:
            message = f"the expression has {len(self._source)} characters, over {MAX_LENGTH}"
            raise UsageError(Diagnostic("ACT0330", message, help="write a shorter one"))
        tokens, column = [], 0
        while column < len(self._source):
            if self._source[column].isspace():
                column += 1
                continue
            match = _TOKEN.match(self._source, column)
            if match is None or match.lastgroup is None:
                self.fail("ACT0330", f"'{self._source[column]}' has no meaning here", column)
            tokens.append(_Token(match.lastgroup, match.group(), column))
            column = match.end()
        return [*tokens, _Token(_END, "", len(self._source))]

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._next
        self._position += 1
        return token

    def _expect(self, wanted: str) -> None:
        if self._next.text != wanted:
            self._unexpected(f"'{wanted}' is expected")
        self._take()

    # --- grammar

    def whole(self) -> Node:
        """The tree of the whole text."""
        entry = _published(self._source.strip())
        if entry is not None and self._source.strip() not in ELEMENTARY:  # also "ACON-C"
            return Published(entry, Variable(), ())
        first = self._next
        alone = first.kind == "name" and self._tokens[1].kind == _END
        if alone and first.text not in {"x", "where", *CONSTANTS}:
            return self._function_alone(self._take())
        tree = self._sum(0)
        if self._next.kind != _END:
            self._unexpected("an operator is expected")
        self._limit_depth(tree)
        return tree

    def _function_alone(self, token: _Token) -> Node:
        return self._call(token, (Variable(),), in_full=False)

    def _sum(self, binding: int) -> Node:
        """An expression of operators that bind at least as tightly as `binding`."""
        self._nesting += 1
        if self._nesting > MAX_DEPTH:
            self.fail("ACT0330", f"nested deeper than {MAX_DEPTH}", self._next.column)
        left = self._prefix()
        while True:
            operator = "^" if self._next.text == "**" else self._next.text
            own = BINDING.get(operator, -1)
            if own < max(binding, 0):
                break
            self._take()
            # A power joins from the right: its right operand takes further powers.
            left = Binary(operator, left, self._sum(own if own == POWER else own + 1))
        self._nesting -= 1
        return left

    def _prefix(self) -> Node:
        token = self._take()
        if token.kind == "number":
            value = float(token.text)
            if math.isinf(value):
                self.fail("ACT0330", f"{token.text} is too large a number", token.column)
            return Number(value)
        if token.kind == "name":
            return self._named(token)
        if token.text == "-":
            return Negate(self._sum(SIGN))
        if token.text == "+":
            return self._sum(SIGN)
        if token.text == "(":
            inner = self._sum(0)
            self._expect(")")
            return inner
        self._position -= 1
        self._unexpected("a number, x or a function is expected")

    def _named(self, token: _Token) -> Node:
        called = self._next.text == "("
        if token.text == "x" or token.text in CONSTANTS:
            if called:
                message = f"'{token.text}' is not a function"
                self.fail("ACT0330", message, token.column, f"write {token.text}*(...)")
            return Variable() if token.text == "x" else Constant(token.text)
        if token.text == "where":
            return self._where()
        if not called:
            name = self._lookup(token).name
            message = f"the function '{token.text}' has no argument"
            self.fail("ACT0332", message, token.column, f"write {name}(x)")
        start = self._position - 1
        self._take()
        arguments = [self._sum(0)]
        while self._next.text == ",":
            self._take()
            arguments.append(self._sum(0))
        self._closing(token)
        whole = start == 0 and self._next.kind == _END
        return self._call(token, tuple(arguments), in_full=not whole)

    def _closing(self, function: _Token) -> None:
        if self._next.text in COMPARISONS:
            message = "a comparison stands only as the first argument of where"
            self.fail("ACT0330", message, self._next.column, "write where(x > 0, x, 0.1*x)")
        if self._next.kind == _END:
            self._unexpected(f"the parenthesis of {function.text} is open: ')' is expected")
        self._expect(")")

    def _where(self) -> Node:
        self._expect("(")
        left, operator = self._sum(0), self._next
        if operator.text not in COMPARISONS:
            self._unexpected("a comparison such as x > 0 is expected")
        self._take()
        condition = Comparison(operator.text, left, self._sum(0))
        self._expect(",")
        chosen = self._sum(0)
        self._expect(",")
        other = self._sum(0)
        self._expect(")")
        return Where(condition, chosen, other)

    # --- functions

    def _lookup(self, token: _Token) -> CatalogueEntry | Elementary:
        name = token.text
        if name in ELEMENTARY:
            return ELEMENTARY[name]
        entry = _published(name)
        if entry is not None:
            return entry
        known = ["x", *CONSTANTS, "where", *ELEMENTARY, *(entry.name for entry in CATALOGUE)]
        near = _nearest(name, known)
        help_text = f"did you mean {near}?" if near else "`x`, `pi`, `e` and functions are known"
        self.fail("ACT0331", f"unknown name '{name}'", token.column, help_text)

    def _call(self, token: _Token, arguments: tuple[Node, ...], in_full: bool) -> Node:
        """A function of `arguments`; unless `in_full`, those of the catalogue may lack x."""
        function = self._lookup(token)
        if isinstance(function, CatalogueEntry):
            return self._published(token, function, arguments, in_full)
        count = len(arguments)
        if count < function.least or (function.most is not None and count > function.most):
            most = "or more" if function.most is None else ""
            wanted = f"{function.least} {most}".strip()
            message = f"{function.name} takes {wanted} arguments, not {count}"
            self.fail("ACT0332", message, token.column)
        return Call(function, arguments)

    def _published(
        self, token: _Token, entry: CatalogueEntry, arguments: tuple[Node, ...], in_full: bool
    ) -> Node:
        names = [parameter.name for parameter in entry.parameters]
        if not in_full and not any(map(depends_on_x, arguments)):
            arguments = (Variable(), *arguments)  # x is left out, as in ELU(0.5)
        argument, parameters = arguments[0], arguments[1:]
        listed = ", ".join(["x", *names])
        if len(parameters) not in {0, len(names)}:
            message = f"{entry.name} takes {_count(names)} behind x, not {len(parameters)}"
            self.fail("ACT0332", message, token.column, f"write {entry.name}({listed})")
        for parameter, given in zip(entry.parameters, parameters, strict=False):
            title = f"parameter {parameter.name} of {entry.name}"
            if depends_on_x(given):
                message = f"{title} depends on x"
                self.fail("ACT0332", message, token.column, f"write {entry.name}({listed})")
            value = self.constant(given, token.column)
            if not parameter.low <= value <= parameter.high:
                message = f"{title} is {value:g}, outside [{parameter.low:g}, {parameter.high:g}]"
                self.fail("ACT0332", message, token.column, f"the usual one: {parameter.default:g}")
        return Published(entry, argument, parameters)

    # --- values and messages

    def constant(self, tree: Node, column: int) -> float:
        """The value of a constant expression."""
        if depends_on_x(tree):
            self.fail("ACT0330", "a number is expected, not an expression of x", column)
        self._limit_depth(tree)
        with np.errstate(all="ignore"):
            value = float(evaluate(tree, np.zeros(1)).reshape(-1)[0])
        if not math.isfinite(value):
            self.fail("ACT0330", f"{text(tree)} is not a finite number", column)
        return value

    def _limit_depth(self, tree: Node) -> None:
        """Refuse trees that recursion could not walk; chains nest without parentheses."""
        level: Sequence[Node | Comparison] = [tree]
        for _ in range(MAX_DEPTH):
            level = [child for node in level for child in children(node)]
            if not level:
                return
        self.fail(
            "ACT0330",
            f"the expression is nested deeper than {MAX_DEPTH}",
            0,
            "nest long sums in parentheses, or shorten it",
        )

    def _unexpected(self, wanted: str) -> NoReturn:
        token = self._next
        found = "the expression ends" if token.kind == _END else f"'{token.text}' stands here"
        if token.text in COMPARISONS:
            wanted = "a comparison stands only as the first argument of where"
        self.fail("ACT0330", f"{found}, but {wanted}", token.column)

    def fail(self, code: str, message: str, column: int, help_text: str = "") -> NoReturn:
        """Raise with a pointer at `column` of the text."""
        line = "".join(" " if c.isspace() else c for c in self._source)
        start = max(column - _SHOWN, 0)
        notes = (line[start : column + _SHOWN] or " ", " " * (column - start) + "^")
        where = f"{message} (column {column + 1})"
        raise UsageError(Diagnostic(code, where, notes=notes, help=help_text or _HELP))


_SHOWN = 60
_HELP = "write an expression such as x*sigmoid(1.702*x), or a name such as GELU"


def _count(names: Sequence[str]) -> str:
    if not names:
        return "no parameters"
    return f"{len(names)} parameter{'s' if len(names) > 1 else ''} ({', '.join(names)})"


def _published(name: str) -> CatalogueEntry | None:
    """The entry of the catalogue called `name`."""
    try:
        return find(name)
    except KeyError:
        return None


def _nearest(name: str, known: Sequence[str]) -> str:
    """Up to three names that `name` may stand for: "'GELU' or 'GoLU'"."""
    folded: dict[str, str] = {}
    for item in known:
        folded.setdefault(item.lower(), item)
    near = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    return " or ".join(f"'{folded[item]}'" for item in near)
