"""Piecewise polynomials in fixed point."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial

S4, WIDE = FixedPoint(True, 4, 0), FixedPoint(True, 32, 0)


def form(**changes: Any) -> IntegerPolynomial:
    fields: dict[str, Any] = {
        "input": S4,
        "output": WIDE,
        "depths": [1, 2, 2],
        "coefficients": [[1, 2, 3], [4, -5, 6], [-7, 8, -9]],
        "truncations": (1,),
        "shift": 2,
    }
    return IntegerPolynomial(**(fields | changes))


@given(st.data())
def test_evaluation_of_described_leaves(data: st.DataObject) -> None:
    truncations = data.draw(
        st.tuples(st.integers(0, 8)) | st.tuples(st.integers(0, 8), st.integers(0, 12))
    )
    degree = len(truncations) + 1
    row = st.lists(st.integers(-99, 99), min_size=degree + 1, max_size=degree + 1)
    depths = data.draw(st.sampled_from([[0], [1, 2, 2], [2, 3, 3, 1], [1, 2, 3, 4, 4]]))
    rows = data.draw(st.lists(row, min_size=len(depths), max_size=len(depths)))
    polynomial = form(
        depths=depths,
        coefficients=rows,
        truncations=truncations,
        shift=data.draw(st.integers(0, 9)),
    )
    described = json.loads(json.dumps(polynomial.to_json()))
    outputs = []
    for depth, (c, a1, *rest) in zip(described["depths"], described["coefficients"], strict=True):
        for t in range(16 >> depth):
            total = c + a1 * t
            for k, (a, cut) in enumerate(zip(rest, described["truncations"], strict=True), 2):
                total += a * (t**k // 2**cut)
            outputs.append(total // 2 ** described["shift"])
    assert polynomial.evaluate(S4.codes()).tolist() == outputs
    assert polynomial.segments == len(depths)
    assert polynomial.degree == degree == described["degree"]


def test_sizes() -> None:
    polynomial = form(coefficients=[[8, 0, 3], [-16, 2, 0], [0, -4, 0]])
    # c: -16..8 in steps of 8; a_1: -4..2 in steps of 2; a_2: 0..3
    assert polynomial.widths == (2, 2, 3)
    # the largest leaf has 8 inputs: t <= 7, t**2 >> 1 <= 24
    assert polynomial.power_widths == (3, 5)
    assert polynomial.storage_bits == 3 * 7 + 5
    assert polynomial.product_bits == 2 * 3 + 3 * 5 + 3 * 4 // 2
    cubic = form(depths=[0], coefficients=[[1, 1, 1, 0]], truncations=(0, 4))
    assert cubic.widths == (2, 2, 2, 0)
    assert cubic.power_widths == (4, 8, 8)
    assert cubic.product_bits == 2 * 4 + 2 * 8 + 0 + 10 + 4 * 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": [1, 1, 2]}, "tree"),
        ({"depths": [2, 1, 2]}, "tree"),
        ({"depths": [1, 2, 5]}, "depths are"),
        ({"depths": [1, 2]}, "n leaves"),
        ({"depths": []}, "n leaves"),
        ({"truncations": (1, 1)}, "n leaves"),
        ({"truncations": ()}, "degree"),
        ({"truncations": (1, 1, 1)}, "degree"),
        ({"truncations": (9,)}, "cut off"),
        ({"truncations": (-1,)}, "cut off"),
        ({"shift": -1}, "shift"),
        ({"shift": 62}, "shift"),
        ({"coefficients": [[1, 2, 3], [4, 5, 6], [7, 8, 1 << 60]]}, "62 bits"),
        ({"input": FixedPoint(True, 32, 0), "depths": [0], "coefficients": [[0, 0, 0]]}, "62 bits"),
    ],
)
def test_refuses_what_is_no_form(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        form(**changes)


def test_largest_exact_sizes() -> None:
    # t <= 7 and u_2 = t**2 >> 1 <= 24 in the first leaf
    largest = ((1 << 62) - 1) // 24
    polynomial = form(coefficients=[[0, 0, largest], [0, 0, 0], [0, 0, 0]], shift=0)
    assert polynomial.evaluate(np.array([-1]))[0] == 24 * largest
    with pytest.raises(ValueError, match="62 bits"):
        form(coefficients=[[24, 0, largest], [0, 0, 0], [0, 0, 0]])
