"""Sparsemax, top-k, sorted groups, CReLU, and structured functions by name."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from structured_units import errors, every_input, operands, random_rows

from actc.approx.fixed_point import FixedPoint
from actc.approx.structured import STRUCTURED, is_structured, parse_structured, structured
from actc.approx.structured.decomposition import leading_one, shift_right
from actc.approx.structured.exact import crelu, group_sort, sparsemax, top_k
from actc.errors import UsageError

P = FixedPoint.parse
S8, S4 = P("s8.4"), P("s4.2")


def projection(z: list[Fraction]) -> list[Fraction]:
    """Euclidean projection onto the simplex, by trying every support."""
    found = []
    for size in range(1, len(z) + 1):
        for support in itertools.combinations(range(len(z)), size):
            threshold = (sum(z[i] for i in support) - 1) / Fraction(size)
            p = [z[i] - threshold if i in support else Fraction(0) for i in range(len(z))]
            if min(p) >= 0:
                found.append((sum((a - b) ** 2 for a, b in zip(p, z, strict=True)), p))
    return min(found)[1]


@pytest.mark.parametrize(
    ("source", "target"), [("s4.2", "u4.4"), ("s4.0", "u6.5"), ("u4.3", "s4.1")]
)
def test_sparsemax_is_the_rounded_projection(source: str, target: str) -> None:
    """Every input: the exact projection in rational numbers, rounded half up."""
    unit = sparsemax(3, P(source), P(target))
    codes = every_input(unit.input, 3)[:: 3 if source != "s4.2" else 1]
    for row, found in zip(codes.tolist(), unit.evaluate(codes).tolist(), strict=True):
        exact = projection([Fraction(x, 2**unit.input.fraction) for x in row])
        rounded = [int(p * 2**unit.output.fraction + Fraction(1, 2)) for p in exact]
        assert found == [min(y, unit.output.high) for y in rounded]


@pytest.mark.parametrize("length", [1, 2, 7, 100])
@pytest.mark.parametrize(
    ("source", "target"), [("s8.4", "u8.8"), ("s8.-1", "u8.7"), ("s12.9", "s6.2")]
)
def test_sparsemax_by_search(length: int, source: str, target: str) -> None:
    unit = sparsemax(length, P(source), P(target))
    rows = random_rows(operands(unit), 3000, length)
    worst = errors(unit)(rows).max()
    assert worst <= unit.bound_ulp <= 0.5 + 1e-9
    # outputs sum to 1 but for the rounding of each
    totals = unit.reference(unit.input.to_real(rows)).sum(axis=-1)
    np.testing.assert_allclose(totals, 1, atol=1e-12)


@pytest.mark.parametrize("length", [3, 16, 1000])
def test_exact_reciprocals(length: int) -> None:
    """floor(A / k) for the dividends next to multiples of k, up to the largest."""
    unit = sparsemax(length, S8, P("u8.8"))
    k = np.arange(1, length + 1)
    rng = np.random.default_rng(0)
    quotients = rng.integers(0, unit.dividend // k, (200, length))
    quotients[0] = unit.dividend // k
    for off in (-1, 0, 1):
        dividend = np.clip(quotients * k + off, 0, unit.dividend)
        np.testing.assert_array_equal((dividend * unit.reciprocals()) >> unit.shift, dividend // k)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k(k: int) -> None:
    unit = top_k(4, k, S4, P("s5.2"))
    for row, found in zip(
        every_input(S4, 4)[::7].tolist(),
        unit.evaluate(every_input(S4, 4)[::7]).tolist(),
        strict=True,
    ):
        threshold = sorted(row)[-k]
        assert found == [x if x >= threshold else 0 for x in row]
    assert unit.bound == 0


def test_sorted_groups() -> None:
    codes = every_input(S4, 4)[::5]
    ascending, pairs = group_sort(4, 4, S4, S4), group_sort(4, 2, S4, S4, descending=True)
    expected = [sorted(row) for row in codes.tolist()]
    assert ascending.evaluate(codes).tolist() == expected
    expected = [[max(a, b), min(a, b), max(c, d), min(c, d)] for a, b, c, d in codes.tolist()]
    assert pairs.evaluate(codes).tolist() == expected
    assert (ascending.bound, pairs.bound) == (0, 0)


def test_crelu() -> None:
    unit = crelu(1, S4, P("u4.2"))
    assert unit.evaluate(every_input(S4, 1)).tolist() == [
        [max(x, 0), max(-x, 0)] for x in range(-8, 8)
    ]


@pytest.mark.parametrize("spelling", ["TopK[3,2]", "GroupSort[3,3]", "MaxMin[4]", "CReLU[3]"])
@pytest.mark.parametrize("target", ["s4.3", "s4.0", "u3.1", "s8.6"])
def test_moves_to_other_formats(spelling: str, target: str) -> None:
    unit = structured(spelling, S4, P(target))
    worst = errors(unit)(every_input(S4, unit.length)).max()
    assert worst <= unit.bound_ulp
    assert unit.bound_ulp == pytest.approx(0.5 if unit.output.fraction < 2 else 0.0)
    if unit.bound:
        assert worst == 0.5


SPELLINGS = {
    "n": "16",
    "n,k": "16,4",
    "n,group": "16,4",
    "n,d": "16,4",
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_every_name(name: str) -> None:
    entry = STRUCTURED[name]
    spelling = f"{name}[{SPELLINGS[','.join(entry.parameters)]}]"
    unit = structured(spelling, S8, P("s10.6"), ulp=2.0)
    described = json.loads(json.dumps(unit.to_json()))
    assert described["function"] == spelling == unit.name
    assert described["form"] == "structured"
    assert described["max_error_ulp"] <= 2
    assert sum(described["terms"].values()) <= described["max_error"]
    assert sum(piece["storage_bits"] for piece in described["pieces"].values()) <= unit.storage_bits
    rows = random_rows(operands(unit), 400, 0)
    assert errors(unit)(rows).max() <= unit.bound_ulp
    with pytest.raises(ValueError, match=r"takes (16|32|84) "):
        unit.evaluate(rows[:, :-1])


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("Softmax[16]", "Softmax", (16,)),
        ("top-k[16,4]", "TopK", (16, 4)),
        ("log_softmax[ 8 ]", "LogSoftmax", (8,)),
        ("SWIGLU[3]", "SwiGLU", (3,)),
        (" group sort[ 8, 2 ] ", "GroupSort", (8, 2)),
    ],
)
def test_spellings(text: str, name: str, parameters: tuple[int, ...]) -> None:
    assert is_structured(text)
    entry, found = parse_structured(text)
    assert (entry.name, found) == (name, parameters)


@pytest.mark.parametrize(
    "text", ["GELU", "Softmax", "x+1", "m.onnx:a1[3]", "Softmix[3]", "Softmax[3"]
)
def test_other_functions_are_not_structured(text: str) -> None:
    assert not is_structured(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Softmix[3]", "did you mean Softmax"),
        ("Nothing[3]", "choose one of them"),
        ("Softmax[3,4]", "write Softmax"),
        ("Softmax[x]", "write Softmax"),
        ("Softmax[-3]", "write Softmax"),
        ("Softmax", "write Softmax"),
        ("TopK[3]", r"write TopK\[16,4\]"),
    ],
)
def test_wrong_spellings(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"(?s)ACT0358.*{says}"):
        parse_structured(text)


@pytest.mark.parametrize(
    "text", ["Softmax[0]", "TopK[4,5]", "TopK[4,0]", "GroupSort[5,2]", "MaxMin[3]"]
)
def test_wrong_parameters(text: str) -> None:
    with pytest.raises(UsageError, match="ACT0359"):
        structured(text, S8, S8)


@pytest.mark.parametrize("text", ["Softmax[4]", "LayerNorm[4]", "GLU[4]", "ReGLU[4]", "CReLU[4]"])
def test_a_target_that_is_no_number(text: str) -> None:
    with pytest.raises(UsageError, match="ACT0357"):
        structured(text, S8, P("s6.2"), ulp=float("nan"))


def test_the_page_names_all() -> None:
    page = (Path(__file__).parent.parent / "docs" / "structured.md").read_text("utf-8")
    for entry in STRUCTURED.values():
        assert f"`{entry.spelling}`" in page


def test_targets_below_the_rounding() -> None:
    with pytest.raises(UsageError, match=r"ACT0357"):
        sparsemax(4, S8, P("u8.8"), ulp=0.4)
    assert structured("MaxMin[4]", S8, S8, ulp=0.0).bound == 0


def test_shifts_round_half_up() -> None:
    codes = np.arange(-20, 21)
    for by in (-2, 0, 1, 3):
        expected = np.floor(codes / 2.0**by + 0.5)
        np.testing.assert_array_equal(shift_right(codes, by), expected)
    np.testing.assert_array_equal(shift_right(codes[:2], np.array([1, -1])), [-10, -38])


def test_leading_one() -> None:
    for place in range(62):
        numbers = np.array([1 << place, (2 << place) - 1])
        np.testing.assert_array_equal(leading_one(numbers), place)
