"""Multiples, clamps, maxima, products and the integers of softmax, on every input."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from function_cases import inputs, on_all

from actc.targets.fpga.functions import argmax, maximum, multiply, softmax_terms
from actc.targets.fpga.functions.clamp import clamp
from actc.targets.fpga.functions.multiples import MAX_ADDERS, multiple, multiple_plus, multiples
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate


@pytest.mark.parametrize("adders", range(MAX_ADDERS + 1))
def test_multiples_take_as_many_adders_as_they_say(adders: int) -> None:
    known = multiples(adders)
    rng = np.random.default_rng(adders)
    for constant in rng.choice(known, min(len(known), 40), replace=False).tolist():
        y, found = on_all(Range(-9, 20), partial(multiple, constant=constant))
        np.testing.assert_array_equal(found, inputs(Range(-9, 20)) * constant)
        sums = [w for w in y.graph.wires if w.operator.noun in ("sum", "difference")]
        assert len(sums) == adders
        assert y.range == Range(-9, 20) * Range(constant, constant)


@pytest.mark.parametrize("constant", [1, 3, 7, 11, 45, 89, 683, 2989, 1234567])
@pytest.mark.parametrize("more", [0, 1, 2, 5, 64, -3, -96, 1000])
def test_multiples_plus_a_constant(constant: int, more: int) -> None:
    _, found = on_all(Range(-9, 20), lambda x: multiple_plus(x, constant, more))
    np.testing.assert_array_equal(found, inputs(Range(-9, 20)) * constant + more)


@pytest.mark.parametrize("range", [Range(-20, 30), Range(0, 40), Range(5, 9), Range(-9, 1)])
@pytest.mark.parametrize("target", [(0, 7), (0, 5), (0, 0), (-8, 7), (-3, 6), (1, 4), (6, 8)])
def test_clamps(range: Range, target: tuple[int, int]) -> None:
    if range.high < target[0] or range.low > target[1]:
        with pytest.raises(ValueError, match="does not meet"):
            on_all(range, lambda x: clamp(x, Range(*target)))
        return
    y, found = on_all(range, lambda x: clamp(x, Range(*target)))
    np.testing.assert_array_equal(found, np.clip(inputs(range), *target))
    assert y.range == Range.of(found.tolist())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_maximum_and_argmax(count: int) -> None:
    graph = Graph()
    rng = np.random.default_rng(count)
    lows = rng.integers(-9, 4, count)
    wires = [graph.input(f"x_{k}", Range(int(low), int(low) + 9 + k)) for k, low in enumerate(lows)]
    largest, place = maximum(wires), argmax(wires)
    values = np.stack([rng.integers(w.range.low, w.range.high + 1, 3000) for w in wires])
    module = Module(
        "largest",
        tuple(wires),
        (Output("value", largest, largest.width), Output("place", place, place.width)),
    )
    found = evaluate(module, {f"x_{k}": row for k, row in enumerate(values)})
    np.testing.assert_array_equal(found["value"], values.max(axis=0))
    np.testing.assert_array_equal(found["place"], values.argmax(axis=0))


def test_nothing_has_no_maximum() -> None:
    with pytest.raises(ValueError, match="nothing"):
        argmax([])


FACTORS = [Range(0, 1), Range(-1, 0), Range(-4, 3), Range(0, 13), Range(-100, 90), Range(3, 3)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        *itertools.combinations(FACTORS, 2),
        (Range(-8, 7), Range(-8, 7)),
        (Range(-5, 5), Range(-12, -12)),
    ],
    ids=str,
)
def test_products(a: Range, b: Range) -> None:
    graph = Graph()
    first, second = (
        graph.constant(r.low) if r.single else graph.input(name, r)
        for name, r in (("a", a), ("b", b))
    )
    y = multiply(first, second)
    pairs = np.array(list(itertools.product(inputs(a).tolist(), inputs(b).tolist())))
    wires = tuple(wire for wire in (first, second) if wire.value is None)
    columns = {
        n: c for n, c, w in zip("ab", pairs.T, (first, second), strict=True) if w.value is None
    }
    found = evaluate(Module("product", wires, (Output("y", y, y.width),)), columns)["y"]
    np.testing.assert_array_equal(found, pairs[:, 0] * pairs[:, 1])
    assert y.range == a * b
    assert all(wire.operator.noun != "product" for wire in graph.wires)


def test_a_square() -> None:
    _, found = on_all(Range(0, 100), lambda x: multiply(x, x))
    np.testing.assert_array_equal(found, inputs(Range(0, 100)) ** 2)


def test_softmax_terms_are_those_of_the_specification() -> None:
    graph = Graph()
    wires = [graph.input(f"x_{k}", Range(0, 15)) for k in range(5)]
    table = np.rint(1000 * np.exp(-np.arange(16) / 3)).astype(np.int64)
    terms, total = softmax_terms(wires, table.tolist())
    rows = np.random.default_rng(2).integers(0, 16, (4000, 5))
    outputs = [Output(f"e_{k}", e, e.width) for k, e in enumerate(terms)]
    module = Module("softmax", tuple(wires), (*outputs, Output("sum", total, total.width)))
    found = evaluate(module, {f"x_{k}": rows[:, k] for k in range(5)})
    expected = table[rows.max(axis=1, keepdims=True) - rows]
    np.testing.assert_array_equal(np.stack([found[f"e_{k}"] for k in range(5)], 1), expected)
    np.testing.assert_array_equal(found["sum"], expected.sum(axis=1))
