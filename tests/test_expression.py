"""Scalar expressions: what they mean, how they print, and what hostile text does."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from actc.approx import expression, expression_tree
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.expression import MAX_DEPTH, MAX_LENGTH, parse_expression, parse_number
from actc.approx.expression_tree import (
    BINDING,
    COMPARISONS,
    ELEMENTARY,
    Binary,
    Call,
    Comparison,
    Constant,
    Negate,
    Node,
    Number,
    Published,
    Variable,
    Where,
)
from actc.errors import UsageError

X = np.linspace(-4, 4, 257)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x*sigmoid(1.702*x)", X * special.expit(1.702 * X)),
        ("x + sin(x)^2", X + np.sin(X) ** 2),
        ("max(0, x)", np.maximum(X, 0)),
        ("min(max(x, -1), 1, 0.5)", np.minimum(np.clip(X, -1, 1), 0.5)),
        ("where(x>0, x, 0.1*x)", np.where(X > 0, X, 0.1 * X)),
        ("where(x <= -1, -1, where(x >= 1, 1, x))", np.clip(X, -1, 1)),
        ("where(x == 0, 1, 0*x)", (X == 0).astype(float)),
        ("where(x != 0, 1, 0)", (X != 0).astype(float)),
        ("where(x < 0, log(-x + 1), log(x + 1))", np.log1p(np.abs(X))),
        ("-x^2", -(X**2)),
        ("(-x)**2", X**2),
        ("2^-x", 2.0**-X),
        ("2^3^x", 2.0 ** (3.0**X)),
        ("2 ** 3 ** x", 2.0 ** (3.0**X)),
        ("8/4/2*x", X),
        ("10-4-3+x", 3 + X),
        ("--x", X),
        ("+x - -x", 2 * X),
        ("2*-x*3", -6 * X),
        ("pi*x + e", np.pi * X + np.e),
        (".5e1*x+1.e-1", 5 * X + 0.1),
        ("ln(exp(x))", np.log(np.exp(X))),
        ("clip(x, -1, 2)", np.clip(X, -1, 2)),
        ("erfc(-x)*0.5", 0.5 * special.erfc(-X)),
        ("softplus(x)", np.logaddexp(0, X)),
        ("gelu(x)", find("GELU").function()(X)),
        ("2*GELU(0.5*x) + 1", 2 * find("GELU").function()(0.5 * X) + 1),
        ("ELU(2*x, 0.5)", find("ELU").function(0.5)(2 * X)),
        ("GELU", find("GELU").function()(X)),
        ("elu(0.5)", find("ELU").function(0.5)(X)),
        ("ELU", find("ELU").function()(X)),
        ("HardSigmoid(1/4, 0.5)", find("HardSigmoid").function(0.25, 0.5)(X)),
        ("LeakyReLU(-0.1)", find("LeakyReLU").function(-0.1)(X)),
        ("x", X),
        ("tanh", np.tanh(X)),
    ],
)
def test_meaning(source: str, expected: np.ndarray[Any, Any]) -> None:
    parsed = parse_expression(source)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(parsed(X), parse_expression(str(parsed))(X))
        found = parsed(X)
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=0)
    assert (found.shape, found.dtype) == (X.shape, np.float64)


@pytest.mark.parametrize(
    ("source", "canonical"),
    [
        ("x * sigmoid( 1.702*x )", "x*sigmoid(1.702*x)"),
        ("x**2", "x^2"),
        ("((x))+((1))", "x + 1"),
        ("x-(1-x)", "x - (1 - x)"),
        ("(x-1)-x", "x - 1 - x"),
        ("x/(2*x)", "x/(2*x)"),
        ("(x^2)^3", "(x^2)^3"),
        ("x^(2^3)", "x^2^3"),
        ("-(x+1)", "-(x + 1)"),
        ("(-x)^2", "(-x)^2"),
        ("-(x^2)", "-x^2"),
        ("2^(-x)", "2^-x"),
        ("0.5e-3*x", "0.0005*x"),
        ("1e300*x", "1e+300*x"),
        ("where(x>0,x,1)", "where(x > 0, x, 1)"),
        ("gelu", "GELU"),
        ("gelu(x)", "GELU"),
        ("elu(0.5)", "ELU(0.5)"),
        ("elu(x, 0.5)", "ELU(0.5)"),
        ("elu(0.1+0.2)", "ELU(0.1 + 0.2)"),
        ("1+elu(x,0.5)", "1 + ELU(x, 0.5)"),
        ("arctan(x)", "arctan(x)"),
        ("atan", "arctan(x)"),
    ],
)
def test_canonical_text(source: str, canonical: str) -> None:
    assert str(parse_expression(source)) == canonical
    assert str(parse_expression(canonical)) == canonical


NUMBERS = st.floats(0, 1e300, allow_nan=False).map(Number)
ATOMS = NUMBERS | st.sampled_from([Variable(), Constant("pi"), Constant("e")])
OPERATORS = st.sampled_from(sorted(BINDING))


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    unary = st.sampled_from([f for f in ELEMENTARY.values() if f.most == 1])
    pairs = st.tuples(inner, inner)
    return st.one_of(
        inner.map(Negate),
        st.builds(Binary, OPERATORS, inner, inner),
        st.builds(Call, unary, inner.map(lambda node: (node,))),
        st.builds(Call, st.just(ELEMENTARY["max"]), pairs),
        st.builds(
            Where, st.builds(Comparison, st.sampled_from(COMPARISONS), inner, inner), inner, inner
        ),
        st.builds(
            Published,
            st.just(find("ELU")),
            inner,
            st.just(()) | st.floats(-9, 9).map(lambda v: (_signed(v),)),
        ),
    )


def _signed(value: float) -> Node:
    return Number(value) if math.copysign(1, value) > 0 else Negate(Number(-value))


@settings(max_examples=200, deadline=None)
@given(st.recursive(ATOMS, _grown, max_leaves=12))
def test_text_gives_the_same_tree(tree: Node) -> None:
    whole = Binary("+", Variable(), tree)  # so that x occurs
    printed = expression_tree.text(whole)
    assert parse_expression(printed).tree == whole


def refusal(source: str) -> Any:
    with pytest.raises(UsageError) as caught:
        parse_expression(source)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("source", "code", "column", "says"),
    [
        ("", "ACT0330", 1, "the expression ends"),
        ("   ", "ACT0330", 4, "the expression ends"),
        ("x +", "ACT0330", 4, "the expression ends"),
        ("2x", "ACT0330", 2, "'x' stands here, but an operator is expected"),
        ("x )", "ACT0330", 3, "')' stands here"),
        ("(x", "ACT0330", 3, "')' is expected"),
        ("sin(x", "ACT0330", 6, "parenthesis of sin"),
        ("sin()", "ACT0330", 5, "a number, x or a function is expected"),
        ("x $ 2", "ACT0330", 3, "'$'"),
        ("x = 2", "ACT0330", 3, "'='"),
        ("x > 0", "ACT0330", 3, "only as the first argument of where"),
        ("sin(x > 0)", "ACT0330", 7, "only as the first argument of where"),
        ("where(x, 1, 2)", "ACT0330", 8, "a comparison such as x > 0"),
        ("where(0 < x < 1, 1, 2)", "ACT0330", 13, "only as the first argument of where"),
        ("where(x > 0, 1)", "ACT0330", 15, "',' is expected"),
        ("where", "ACT0330", 6, "'(' is expected"),
        ("1 + 2", "ACT0330", 1, "does not depend on x"),
        ("pi", "ACT0330", 1, "does not depend on x"),
        ("x(2)", "ACT0330", 1, "'x' is not a function"),
        ("1e999*x", "ACT0330", 1, "too large"),
        ("x.real", "ACT0330", 2, "'.'"),
        ("x + y", "ACT0331", 5, "unknown name 'y'"),
        ("x*sigmiod(x)", "ACT0331", 3, "unknown name 'sigmiod'"),
        ("__import__('os')", "ACT0330", 12, "'''"),
        ("__import__(x)", "ACT0331", 1, "unknown name '__import__'"),
        ("x + sin", "ACT0332", 5, "the function 'sin' has no argument"),
        ("sin(x, 2)", "ACT0332", 1, "sin takes 1 arguments, not 2"),
        ("max(x)", "ACT0332", 1, "max takes 2 or more arguments, not 1"),
        ("clip", "ACT0332", 1, "clip takes 3 arguments, not 1"),
        ("GELU(x, 2)", "ACT0332", 1, "GELU takes no parameters behind x, not 1"),
        ("ELU(x, 1, 2)", "ACT0332", 1, "ELU takes 1 parameter (alpha) behind x, not 2"),
        ("ELU(x, x)", "ACT0332", 1, "parameter alpha of ELU depends on x"),
        ("ELU(1/0)", "ACT0330", 1, "1/0 is not a finite number"),
        ("x\u200b+1", "ACT0330", 2, ""),
    ],
)
def test_errors_point_at_the_column(source: str, code: str, column: int, says: str) -> None:
    found = refusal(source)
    assert found.code == code
    assert says in found.message
    assert found.message.endswith(f"(column {column})")
    shown, caret = found.notes
    assert caret == " " * (column - 1) + "^"
    assert shown.strip() == source.strip().replace("\t", " ")
    assert found.help


@pytest.mark.parametrize(
    ("source", "near"),
    [("gleu", "GELU"), ("x*sigmiod(x)", "sigmoid"), ("X", "x"), ("softpluss(x)", "softplus")],
)
def test_unknown_names_get_a_suggestion(source: str, near: str) -> None:
    help_text = refusal(source).help
    assert help_text.startswith("did you mean '")
    assert f"'{near}'" in help_text


@pytest.mark.parametrize(
    "source",
    [
        "x" + "+x" * (MAX_LENGTH // 2),
        "(" * 2000 + "x" + ")" * 2000,
        "-" * 4000 + "x",
        "sin(" * 900 + "x",
        "x" + "^x" * 2000,
        "x" + "+1" * 2000,
        "ELU(x, 1" + "+1" * 2000 + ")",
        "where(x>0, " * 300,
        "x+" * (MAX_DEPTH + 1) + "x",
    ],
    ids=lambda source: source[:12],
)
def test_hostile_text_is_refused_at_once(source: str) -> None:
    found = refusal(source)
    assert found.code == "ACT0330"
    assert all(len(note) < 200 for note in found.notes)


def test_long_sums_within_the_limit_are_fine() -> None:
    parsed = parse_expression("+".join(["x"] * MAX_DEPTH))
    np.testing.assert_allclose(parsed(X), MAX_DEPTH * X, rtol=1e-13)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.text("x01.+-*/^()<>=, sinwheregelu", max_size=60))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        parsed = parse_expression(source)
    except UsageError:
        assert refusal(source).code in {"ACT0330", "ACT0331", "ACT0332"}
    else:
        assert parse_expression(str(parsed)).tree == parsed.tree


def test_numbers() -> None:
    assert parse_number("-2*pi") == -2 * math.pi
    assert parse_number("1e-3") == 1e-3
    for source in ("x", "1/0", "0/0", "nan", "1,2"):
        with pytest.raises(UsageError):
            parse_number(source)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_published_function_is_known(entry: Any) -> None:
    parsed = parse_expression(entry.name)
    x = np.linspace(0.125, 2, 9)
    with np.errstate(all="ignore"):
        expected = np.broadcast_to(entry.evaluate(x, *entry.defaults), x.shape)
        inner = parse_expression(f"0 + {entry.name}(x)")(x)
        np.testing.assert_array_equal(parsed(x), expected)
        if entry.name.lower() not in ELEMENTARY:
            np.testing.assert_array_equal(inner, expected)


def test_other_names_of_the_catalogue() -> None:
    entry = next(entry for entry in CATALOGUE if any("-" in alias for alias in entry.aliases))
    alias = next(alias for alias in entry.aliases if "-" in alias)
    assert str(parse_expression(alias)) == entry.name
    assert str(parse_expression(alias.replace("-", "_") + "(2*x)")) == f"{entry.name}(2*x)"


def test_parameters_out_of_range_are_refused() -> None:
    entry = next(e for e in CATALOGUE if len(e.parameters) == 1 and e.parameters[0].low > 0)
    found = refusal(f"{entry.name}(0)")
    assert (found.code, "outside [" in found.message) == ("ACT0332", True)


def test_nothing_is_evaluated_as_python() -> None:
    for module in (expression, expression_tree):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called & {"eval", "exec", "compile", "__import__", "getattr"} == set()
