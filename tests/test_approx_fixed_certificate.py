"""Certificates of fixed-point forms: genuine ones hold, false ones are rejected."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fixed_point_units import fewest_windows, random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction, check_certificate
from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.compressed_table import CompressedTable, fit_compressed_table
from actc.approx.dyadic import SegmentTree, fit_leaves, fit_segment_tree
from actc.approx.fixed_certificate import certify_fixed, digest
from actc.approx.fixed_check_bounds import Bound, Slopes
from actc.approx.fixed_check_form import Form, Format, read_form, read_format
from actc.approx.fixed_check_gates import Objective, Target, gates
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.fixed_witness import line_witnesses, step_witnesses, tree_witnesses
from actc.approx.gates import FixedFit, FixedForm, Gates, least_error, make_gates, verified
from actc.approx.signed_digits import (
    Grid,
    IntegerLines,
    IntegerPiecewiseLinear,
    digit_count,
    fit_integer_lines,
    fit_segments,
    slope_set,
)
from actc.approx.thresholds import Thresholds, fit_thresholds

Certificate = dict[str, Any]
Fitter = Callable[..., Any]

FITTERS: dict[str, tuple[Fitter, dict[str, int]]] = {
    "table": (fit_fixed_table, {}),
    "compressed": (fit_compressed_table, {}),
    "bipartite": (fit_bipartite, {}),
    "thresholds": (fit_thresholds, {}),
    "lines": (fit_integer_lines, {}),
    "lines of a grid": (functools.partial(fit_integer_lines, grid=3), {"grid": 3}),
    "lines of two digits": (functools.partial(fit_integer_lines, digits=2), {"digits": 2}),
    "tree": (fit_segment_tree, {}),
    "tree of one digit": (functools.partial(fit_segment_tree, digits=1), {"digits": 1}),
}
QUICK_AT_16_BITS = sorted(FITTERS.keys() - {"compressed", "bipartite", "lines of a grid"})
OBJECTIVES = ("correctly_rounded", "faithful", 0.1)


def plain(certificate: Certificate) -> Certificate:
    """As read from a file."""
    return dict(json.loads(json.dumps(certificate)))


def of_function(name: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    return find(name).function()


def count(form: FixedForm) -> int:
    return form.levels.size if isinstance(form, Thresholds) else form.segments  # type: ignore[attr-defined]


# --- genuine certificates


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", FITTERS)
@pytest.mark.parametrize("name", ["GELU", "Tanh", "Sigmoid"])
def test_genuine_certificates_hold(name: str, kind: str, objective: Any) -> None:
    fitter, options = FITTERS[kind]
    fit = fitter(unit(name, 8, objective))
    if not isinstance(fit, FixedFit):
        pytest.skip("there is no such table")
    certificate = plain(certify_fixed(fit, **options))
    assert check_certificate(certificate, of_function(name)) == []
    assert float.fromhex(certificate["max_error"]) == fit.max_error
    assert certificate["form"] == fit.form.to_json()
    if "fewest" in certificate:
        assert certificate["fewest"]["pieces"] == count(fit.form)
    else:
        assert not isinstance(fit.form, (Thresholds, IntegerPiecewiseLinear, SegmentTree))


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("Exp", "s8.4", "u8.4"),  # saturates
        ("Reciprocal", "s6.3", "s8.2"),  # infinite at zero
        ("ReLU", "s8.4", "s4.0"),  # ties at every other input
        ("Sigmoid", "s10.3", "u8.8"),  # so near to 1 that float64 is 1
        ("SiLU", "u6.-2", "s12.-4"),
        ("Sign", "u1.0", "s2.0"),
    ],
)
def test_unusual_formats(name: str, source: str, target: str) -> None:
    f = find(name).function()
    for objective in ("correctly_rounded", "faithful", 3 * FixedPoint.parse(target).ulp):
        found = make_gates(f, FixedPoint.parse(source), FixedPoint.parse(target), objective)
        for fitter in (fit_fixed_table, fit_thresholds, fit_integer_lines, fit_segment_tree):
            certificate = plain(certify_fixed(fitter(found)))
            assert check_certificate(certificate, f) == []


def test_polynomials_claim_their_error() -> None:
    f = ScalarFunction("square", lambda x: x * x / 16)
    source, target = FixedPoint.parse("u6.2"), FixedPoint.parse("u8.3")
    form = IntegerPolynomial(
        source, target, np.array([1, 1]), np.array([[16, 0, 2], [1040, 64, 2]]), (1,), 5
    )
    exact = make_gates(f, source, target, 100.0)
    fit = verified(form, exact)
    certificate = plain(certify_fixed(fit))
    assert check_certificate(certificate, f) == []
    assert "fewest" not in certificate
    certificate["form"]["coefficients"][1][2] += 1
    certificate["digest"] = digest(certificate)
    assert "the error is" in check_certificate(certificate, f)[0]


@pytest.mark.parametrize(
    ("rounding", "objective"),
    [
        ("half_even", "correctly_rounded"),
        ("half_away", "correctly_rounded"),
        ("floor", "rounded_down"),
    ],
)
def test_roundings(rounding: Any, objective: str) -> None:
    f = ScalarFunction("quarter", lambda x: x / 4)
    source = FixedPoint.parse("s6.0")
    found = make_gates(f, source, source, "correctly_rounded", rounding)
    certificate = plain(certify_fixed(fit_thresholds(found)))
    assert certificate["objective"] == objective
    assert check_certificate(certificate, f) == []


def test_generous_objectives_do_not_loosen_the_claims() -> None:
    gelu = find("GELU").function()
    s8_4 = FixedPoint.parse("s8.4")
    certificate = plain(certify_fixed(fit_fixed_table(make_gates(gelu, s8_4, s8_4, 1e300))))
    assert check_certificate(certificate, gelu) == []
    for key in ("max_error", "max_error_ulp"):
        certificate[key] = (float.fromhex(certificate[key]) * (1 - 2.0**-30)).hex()
    certificate["digest"] = digest(certificate)
    assert "above the claimed" in check_certificate(certificate, gelu)[0]


def test_certificates_are_deterministic_and_compact() -> None:
    first, second = (
        json.dumps(certify_fixed(fit_integer_lines(unit("GELU", 12, "faithful")))) for _ in range(2)
    )
    assert first == second
    assert len(first) < 8000


@pytest.mark.slow
@pytest.mark.parametrize("kind", QUICK_AT_16_BITS)
def test_sixteen_bits(kind: str) -> None:
    fitter, options = FITTERS[kind]
    fit = fitter(unit("GELU", 16, "faithful"))
    certificate = plain(certify_fixed(fit, **options))
    start = time.process_time()
    assert check_certificate(certificate, of_function("GELU")) == []
    assert time.process_time() - start < 10


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["correctly_rounded", "faithful", 0.3])
def test_whole_catalogue_is_certified(objective: Any) -> None:
    source, target = FixedPoint.parse("u8.5"), FixedPoint.parse("s9.4")
    for entry in CATALOGUE:
        f = entry.function()
        for kind in ("table", "thresholds", "lines of two digits", "tree"):
            fitter, options = FITTERS[kind]
            fit = fitter(make_gates(f, source, target, objective))
            certificate = plain(certify_fixed(fit, **options))
            assert check_certificate(certificate, f) == [], (entry.name, kind)
            if kind != "table":
                assert certificate["fewest"]["pieces"] == count(fit.form), (entry.name, kind)


# --- values close to a rounding boundary


def near(offset: float, step: float) -> ScalarFunction:
    """Values that lie `offset` units beside a boundary at every input, on either side."""

    def values(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        side = np.where(x.astype(int) % 3 == 0, 1, -1)
        return np.asarray(np.floor(x / 2) + step + offset * side)

    return ScalarFunction("near", values)


@pytest.mark.parametrize("kind", ["thresholds", "lines", "tree", "table"])
@pytest.mark.parametrize(
    ("objective", "step"), [("correctly_rounded", 0.5), ("faithful", 0.0), (1.25, 0.25)]
)
def test_close_values_are_decided_by_the_certificate(
    kind: str, objective: Any, step: float
) -> None:
    source = FixedPoint.parse("s4.0")
    tiny = 2.0**-46
    fitter, options = FITTERS[kind]
    fit = fitter(make_gates(near(tiny, step), source, FixedPoint.parse("s6.0"), objective))
    certificate = plain(certify_fixed(fit, **options))
    assert certificate["close"]
    # another library may see these values elsewhere, on the boundary or beyond it
    for offset in (tiny, 0.0, -tiny):
        assert check_certificate(certificate, near(offset, step)) == []
    assert check_certificate(certificate, near(-(2.0**-40), step))
    impossible = {**certificate, "close": [*certificate["close"], [7, 7, 31, 31]]}
    impossible["digest"] = digest(impossible)
    (problem,) = check_certificate(impossible, near(tiny, step))
    assert "overlap" in problem or "not near" in problem


def test_close_gates_must_be_possible() -> None:
    f = ScalarFunction("half", lambda x: x / 2)
    source = FixedPoint.parse("s4.0")
    certificate = plain(certify_fixed(fit_fixed_table(make_gates(f, source, source, "faithful"))))
    for run, fits in (
        ([0, 0, 0, 0], True),
        ([0, 0, 0, 1], True),
        ([0, 0, -1, 0], True),
        ([0, 0, -1, 1], False),
        ([0, 0, 1, 2], False),
        ([0, 0, 1, 1], False),
        ([1, 1, 0, 1], True),
        ([1, 1, 0, 0], False),
        ([0, 1, 0, 1], True),
        ([0, 2, 0, 1], True),
        ([0, 3, 0, 1], False),
    ):
        changed = {**certificate, "close": [run]}
        changed["digest"] = digest(changed)
        assert (check_certificate(changed, f) == []) == fits, run


# --- no false bound can be proven: every witness, on tiny formats

TINY = Format(False, 3, 0)


def best_provable(
    form: Form, low: list[int], high: list[int], slopes: Slopes | None, shift: int
) -> int:
    """The most pieces that any set of witnesses proves, over all sets."""
    bounds = np.array(low), np.array(high)

    def proven(witnesses: list[list[int]]) -> int:
        try:
            return Bound(1, slopes, shift, witnesses).proven(form, *bounds, TINY)
        except ValueError:
            return 0

    single = [
        list(witness)
        for size in (2, 3, 4)
        for witness in itertools.combinations(range(8), size)
        if proven([list(witness)])
    ]
    if form.name == "segment_tree":
        return proven(single)
    chosen: list[list[int]] = []  # those that end first: the most that do not overlap
    for witness in sorted(single, key=lambda w: (w[-1], -w[0])):
        if not chosen or chosen[-1][-1] <= witness[0]:
            chosen.append(witness)
    return proven(chosen)


def serving(low: list[int], high: list[int], slopes: list[int], shift: int) -> list[list[bool]]:
    """Whether one line serves the inputs from the first index to the second."""
    table = [[False] * 8 for _ in range(8)]
    for start, end in itertools.combinations(range(9), 2):
        x = np.arange(start, end)
        first = (np.array(low[start:end]) << shift) - np.outer(slopes, x)
        last = ((np.array(high[start:end]) + 1) << shift) - 1 - np.outer(slopes, x)
        table[start][end - 1] = bool(np.any(first.max(axis=1) <= last.min(axis=1)))
    return table


def fewest_leaves(serves: list[list[bool]], start: int = 0, end: int = 8) -> int:
    if serves[start][end - 1]:
        return 1
    middle = (start + end) // 2
    return fewest_leaves(serves, start, middle) + fewest_leaves(serves, middle, end)


@given(
    st.lists(st.integers(-6, 6), min_size=8, max_size=8),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.integers(0, 2),
    st.sampled_from([(1, 0), (2, 0), (3, 0), (0, 1), (0, 2)]),
)
@settings(max_examples=60, deadline=None)
def test_witnesses_prove_the_truth_and_nothing_else(
    low: list[int], extra: list[int], shift: int, kind: tuple[int, int]
) -> None:
    high = [a + b for a, b in zip(low, extra, strict=True)]
    grid, digits = kind
    top = shift + 4
    every = range(-(16 << shift), (16 << shift) + 1)
    members = [s for s in every if (s % grid == 0 if grid else digit_count(s) <= digits)]
    outputs = np.zeros(8, np.int64)
    steps = best_provable(Form("thresholds", outputs, 1), low, high, None, 0)
    assert steps == fewest_windows(8, serving(low, high, [0], 0))
    serves = serving(low, high, members, shift)
    slopes = Slopes(grid, digits, top)
    lines = Form("integer_piecewise_linear", outputs, 1)
    assert best_provable(lines, low, high, slopes, shift) == fewest_windows(8, serves)
    tree = Form("segment_tree", outputs, 1)
    assert best_provable(tree, low, high, slopes, shift) == fewest_leaves(serves)


@given(random_gates(), st.integers(0, 4), st.sampled_from([(None, 1), (None, 3), (1, 1), (2, 1)]))
@settings(max_examples=150, deadline=None)
def test_producers_prove_what_the_fitters_find(
    found: Gates, shift: int, kind: tuple[int | None, int]
) -> None:
    digits, grid = kind
    source = Format(found.input.signed, found.input.bits, 0)
    chosen = slope_set(found, shift, digits, grid)
    lines, low = IntegerLines(found, shift), found.input.low
    told = (
        Slopes(grid) if isinstance(chosen, Grid) else Slopes(0, chosen.digits, chosen.top)  # type: ignore[attr-defined]
    )
    for name, witnesses, fit in (
        ("thresholds", step_witnesses(found.low, found.high, 16), fit_thresholds(found)),
        (
            "integer_piecewise_linear",
            line_witnesses(lines, chosen, 16),
            fit_integer_lines(found, digits=digits, grid=grid, shift=shift),
        ),
        (
            "segment_tree",
            tree_witnesses(lines, chosen, 16),
            fit_segment_tree(found, digits=digits, grid=grid, shift=shift),
        ),
    ):
        codes = [[index + low for index in witness] for witness in witnesses]
        slopes = None if name == "thresholds" else told
        bound = Bound(1, slopes, shift if slopes else 0, codes)
        form = Form(name, found.low, 1)
        assert bound.proven(form, found.low, found.high, source) == count(fit.form)


@given(st.integers(0, 3), st.integers(0, 5), st.integers(-80, 80), st.integers(0, 30))
@settings(max_examples=200)
def test_sets_of_slopes(digits: int, top: int, low: int, width: int) -> None:
    terms = [0, *(s << i for i in range(top + 1) for s in (1, -1))]
    sums = {sum(chosen) for chosen in itertools.product(terms, repeat=digits)}
    inside = any(low <= value <= low + width for value in sums)
    assert Slopes(0, digits, top).meet(low, low + width) == inside
    grid = top + 1
    inside = any(value % grid == 0 for value in range(low, low + width + 1))
    assert Slopes(grid).meet(low, low + width) == inside
    assert not Slopes(grid).meet(low + 1, low)


# --- least errors


def listed(values: list[float]) -> ScalarFunction:
    held = np.array(values)
    return ScalarFunction("listed", lambda x: held[x.astype(int)], (0, len(values) - 1))


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_least_errors_are_proven_and_no_larger_bound_is(
    eighths: list[int], most: int, tree: bool
) -> None:
    f = listed([value / 8 for value in eighths])
    source, target = FixedPoint.parse("u3.0"), FixedPoint.parse("u3.0")
    fit: FixedFit[Any] = (fit_leaves if tree else fit_segments)(f, source, target, most, shift=2)
    certificate = plain(certify_fixed(fit, pieces=most, shift=2))
    assert check_certificate(certificate, f) == []
    assert certificate["lower_bound"] == certificate["max_error"]
    assert certificate["least"]["pieces"] == most
    # the form itself refutes that smaller errors than one a bit larger need more pieces
    name = "segment_tree" if tree else "integer_piecewise_linear"
    output = read_format("u3.0", 32)
    aim = Target.of(f(source.values()), output, Objective("faithful"))
    low, high = (bound.tolist() for bound in aim.nearer_than(fit.max_error_ulp + 2.0**-10))
    form = Form(name, np.zeros(8, np.int64), 1)
    assert best_provable(form, low, high, Slopes(1), 2) <= most


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_least_error_of_steps(eighths: list[int], most: int) -> None:
    f = listed([value / 8 for value in eighths])
    source, target = FixedPoint.parse("u3.0"), FixedPoint.parse("u3.0")

    def attempt(found: Gates) -> FixedFit[Thresholds] | None:
        fit = fit_thresholds(found)
        return fit if count(fit.form) <= most else None

    certificate = plain(certify_fixed(least_error(f, source, target, attempt), pieces=most))
    assert check_certificate(certificate, f) == []
    assert certificate["lower_bound"] == certificate["max_error"]


@given(
    st.lists(st.integers(-70, 70), min_size=16, max_size=16),
    st.sampled_from(["correctly_rounded", "faithful", 0.5, 0.8125, 3.0]),
    st.sampled_from(sorted(FITTERS)),
)
@settings(max_examples=200, deadline=None)
def test_certificates_of_any_function_hold(eighths: list[int], objective: Any, kind: str) -> None:
    """Ties, saturation and jumps included."""
    held = np.array(eighths) / 8
    f = ScalarFunction("listed", lambda x: held[(x + 8).astype(int)])
    fitter, options = FITTERS[kind]
    fit = fitter(make_gates(f, FixedPoint.parse("s4.0"), FixedPoint.parse("s4.0"), objective))
    if isinstance(fit, FixedFit):
        certificate = plain(certify_fixed(fit, **options))
        assert check_certificate(certificate, f) == []
        if "fewest" in certificate:
            assert certificate["fewest"]["pieces"] == count(fit.form)


@pytest.mark.parametrize("digits", [None, 2])
def test_least_error_of_a_known_function(digits: int | None) -> None:
    gelu = find("GELU").function()
    source = FixedPoint.parse("s12.8")
    for fitter in (fit_segments, fit_leaves):
        fit = fitter(gelu, source, source, 8, digits=digits)
        certificate = plain(certify_fixed(fit, digits=digits, pieces=8))
        assert check_certificate(certificate, gelu) == []
        # a little more is not the truth
        for key in ("lower_bound", "max_error", "max_error_ulp"):
            certificate[key] = (float.fromhex(certificate[key]) * (1 + 2**-12)).hex()
        certificate["digest"] = digest(certificate)
        assert "is only" in check_certificate(certificate, gelu)[0]


def test_what_is_not_least_is_not_certified() -> None:
    fit = fit_integer_lines(unit("GELU", 8, 0.1))
    with pytest.raises(ValueError, match="smaller error is possible"):
        certify_fixed(fit, pieces=40)
    # nor fewest where fewer would do: the bound stays below the form's own number
    form = SegmentTree(
        FixedPoint.parse("s8.4"),
        FixedPoint.parse("s8.4"),
        np.full(4, 2),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
        0,
    )
    zero = ScalarFunction("zero", lambda x: 0 * x)
    wasteful = verified(form, make_gates(zero, form.input, form.output, "faithful"))
    certificate = plain(certify_fixed(wasteful))
    assert certificate["fewest"]["pieces"] == 1
    assert check_certificate(certificate, zero) == []
    certificate["fewest"]["pieces"] = 4
    certificate["digest"] = digest(certificate)
    assert "1 pieces are proven" in check_certificate(certificate, zero)[0]


# --- forms are evaluated alike


def test_the_checker_evaluates_every_form_alike() -> None:
    generator = np.random.default_rng(5)
    source, target = FixedPoint.parse("s6.2"), FixedPoint.parse("s20.0")
    depths = np.array([2, 3, 4, 4, 1])

    def draw(low: int, high: int, *shape: int) -> np.ndarray[Any, Any]:
        return generator.integers(low, high, shape)

    wide = 2**35
    forms: list[Any] = [
        FixedTable(source, target, draw(-99, 99, 64)),
        CompressedTable(source, target, 3, 2, -7, draw(0, 50, 8), draw(0, 9, 64)),
        BipartiteTable(source, target, (2, 3, 1), 3, -50, draw(0, 900, 32), draw(0, 40, 8)),
        Thresholds(source, target, np.array([-30, 2, 9]), np.array([5, -3, 8, 7])),
        *(
            form
            for size in (90, wide, 2**50)
            for form in (
                IntegerPiecewiseLinear(
                    source, target, np.array([-9, 20]), draw(-size, size, 3), draw(-9, 9, 3), 5
                ),
                SegmentTree(source, target, depths, draw(-size, size, 5), draw(-9, 9, 5), 4),
            )
        ),
        IntegerPolynomial(source, target, depths, draw(-90, 90, 5, 3), (3,), 4),
        IntegerPolynomial(source, target, depths, draw(-90, 90, 5, 4), (3, 7), 6),
    ]
    own = read_format("s6.2", 16), read_format("s20.0", 32)
    for form in forms:
        found = read_form(plain(form.to_json()), *own).outputs
        expected = np.clip(form.evaluate(source.codes()), -(2**40), 2**40)
        assert np.array_equal(found, expected), form


def test_products_beyond_64_bits_are_exact() -> None:
    slope, constant = 2**61 + 3, -(2**61)
    described = {
        "form": "integer_piecewise_linear",
        "segments": 1,
        "digits": 3,
        "shift": 62,
        "breakpoints": [],
        "slopes": [slope],
        "constants": [constant],
    }
    found = read_form(described, read_format("s6.0", 16), read_format("s20.0", 32)).outputs
    assert found.tolist() == [(slope * x + constant) >> 62 for x in range(-32, 32)]


@given(st.lists(st.floats(-20, 20), min_size=8, max_size=8), st.floats(0.5, 4))
@settings(max_examples=100, deadline=None)
def test_gates_of_the_checker(values: list[float], error: float) -> None:
    f = listed(values)
    source, target = FixedPoint.parse("u3.0"), FixedPoint.parse("s5.1")
    output = read_format("s5.1", 32)
    for wanted in ("correctly_rounded", "faithful", error):
        expected = make_gates(f, source, target, wanted)
        objective = Objective.read(wanted if isinstance(wanted, str) else wanted.hex(), output)
        low, high = gates(objective, Target.of(f(source.values()), output, objective))
        certificate = certify_fixed(fit_fixed_table(expected))
        for first, last, least, most in certificate["close"]:
            low[first : last + 1], high[first : last + 1] = least, most
        assert np.array_equal(low, expected.low)
        assert np.array_equal(high, expected.high)


# --- tampering


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all numbers and texts; of long lists some."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        shown = range(len(value)) if len(value) < 12 else sorted({0, 1, 5, len(value) - 1})
        for index in shown:
            yield from leaves(value[index], (*path, index))
    else:
        yield path


def changes(value: Any) -> list[Any]:
    """Other values of the same and of other types."""
    wrong: list[Any] = [None, True, [], {}, "x", 10**300, -1.5, [value], math.nan]
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1, 2 * value + 2, *wrong, str(value)]
    if value.startswith("0x"):
        number = float.fromhex(value)
        scaled = [number * 0.999, number * 1.001, -number - 1.0, 1e300]
        return [*(v.hex() for v in scaled), "inf", "nan", "0x1p9999", "0x" + "1" * 10**6, *wrong]
    return ["s8.5", "u8.4", "s16.4", "s8.60", "s80.4", "s8.4 ", value + "x", *wrong]


def changed(certificate: Certificate, path: tuple[Any, ...], value: Any) -> Certificate:
    other = copy.deepcopy(certificate)
    place: Any = other
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return other


def redigested(certificate: Certificate) -> Certificate:
    return {**certificate, "digest": digest(certificate)}


@pytest.fixture(scope="module")
def genuine() -> dict[str, Certificate]:
    """Of each kind one, on formats and with shifts small enough to know the truth."""
    gelu = find("GELU").function()
    source, target = FixedPoint.parse("s5.2"), FixedPoint.parse("s6.3")
    faithful = make_gates(gelu, source, target, "faithful")
    found = {}
    for kind, (fitter, options) in FITTERS.items():
        shift = {"shift": 3} if kind.startswith(("lines", "tree")) else {}
        fit = fitter(faithful, **shift)
        found[kind] = plain(certify_fixed(fit, **options, **shift))
    best = fit_segments(gelu, source, target, 2, shift=3)
    found["least"] = plain(certify_fixed(best, pieces=2, shift=3))
    return found


KINDS = (*FITTERS, "least")


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_noticed(kind: str, genuine: dict[str, Certificate]) -> None:
    gelu = of_function("GELU")
    certificate = genuine[kind]
    assert check_certificate(certificate, gelu) == []
    for path in leaves(certificate):
        place: Any = certificate
        for key in path:
            place = place[key]
        for value in changes(place):
            problems = check_certificate(changed(certificate, path, value), gelu)
            assert problems, (path, value)
            assert all(isinstance(problem, str) and len(problem) < 300 for problem in problems)
    for key in certificate:
        assert check_certificate({k: v for k, v in certificate.items() if k != key}, gelu)
    assert check_certificate({**certificate, "more": 1}, gelu)


def truth(certificate: Certificate) -> bool:
    """Whether all that a certificate of the function GELU claims is true, found otherwise."""
    gelu = find("GELU").function()
    source, target = (FixedPoint.parse(certificate[key]) for key in ("input", "output"))
    objective = certificate["objective"]
    objective = float.fromhex(objective) if objective.startswith("0x") else objective
    found = make_gates(gelu, source, target, objective)
    own = read_format(certificate["input"], 16), read_format(certificate["output"], 32)
    form = read_form(certificate["form"], *own)
    error = float(np.abs(form.outputs - found.target).max())
    holds = found.admit(form.outputs)
    holds &= math.isclose(error, float.fromhex(certificate["max_error_ulp"]), rel_tol=1e-9)
    holds &= certificate["max_error"] == (error * target.ulp).hex()
    for key in ("fewest", "least"):
        if key in certificate:
            claim = certificate[key]
            bound = found
            if key == "least":
                limit = float.fromhex(certificate["lower_bound"]) * (1 - 1e-12)
                bound = make_gates(gelu, source, target, limit)
            few = _fewest(form.name, bound, claim)
            holds &= few > claim["pieces"] if key == "least" else few >= claim["pieces"]
    if "least" not in certificate:
        floor = float(np.abs(np.rint(found.target) - found.target).max()) * target.ulp
        holds &= math.isclose(floor, float.fromhex(certificate["lower_bound"]), rel_tol=1e-9)
    return bool(holds)


def _fewest(name: str, found: Gates, claim: Certificate) -> int:
    """Fewest pieces, by dynamic programming over all windows and all slopes."""
    if name == "thresholds":
        return count(fit_thresholds(found).form)
    slopes, shift = claim["slopes"], claim["shift"]
    steepest = 64 << shift
    if "grid" in slopes:
        members = list(range(0, steepest, slopes["grid"]))
    else:
        terms = [0, *(s << i for i in range(slopes["top"] + 1) for s in (1, -1))]
        sums = {0}
        for _ in range(slopes["digits"]):
            sums = {a + b for a in sums for b in terms}
        members = [s for s in sums if abs(s) <= steepest]
    every = np.array(sorted({*members, *(-s for s in members)}))
    size = len(found)
    serves = [[False] * size for _ in range(size)]
    for start in range(size):
        for end in range(start + 1, size + 1):
            x = np.arange(start, end)
            first = (found.low[start:end] << shift) - np.outer(every, x)
            last = ((found.high[start:end] + 1) << shift) - 1 - np.outer(every, x)
            if not np.any(first.max(axis=1) <= last.min(axis=1)):
                break
            serves[start][end - 1] = True
    if name == "segment_tree":
        return _fewest_tree(serves, 0, size)
    return fewest_windows(size, serves)


def _fewest_tree(serves: list[list[bool]], start: int, end: int) -> int:
    if serves[start][end - 1]:
        return 1
    middle = (start + end) // 2
    return _fewest_tree(serves, start, middle) + _fewest_tree(serves, middle, end)


UNKNOWN = {("fewest", "shift"), ("least", "shift")}
"""What the truth of a change is takes too long to find: slopes would be too many."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_accepted_is_true(kind: str, genuine: dict[str, Certificate]) -> None:
    """Changes with a new digest: rejected, or as true as before."""
    gelu = of_function("GELU")
    certificate = genuine[kind]
    assert truth(certificate)
    rejected = 0
    for path in leaves(certificate):
        if path[0] in ("digest", "function") or path in UNKNOWN:
            continue
        place: Any = certificate
        for key in path:
            place = place[key]
        for value in changes(place):
            try:
                other = redigested(changed(certificate, path, value))
            except (TypeError, ValueError):  # pragma: no cover
                continue
            if check_certificate(other, gelu):
                rejected += 1
            else:
                assert truth(other), (path, value)
    assert rejected > 100


FALSE: dict[str, tuple[str, Callable[[Certificate], object], str]] = {
    "output": ("table", lambda c: c["form"]["values"].__setitem__(3, 9), "outputs do not keep"),
    "level": ("thresholds", lambda c: c["form"]["levels"].__setitem__(0, 3), "do not keep"),
    "step left out": (
        "thresholds",
        lambda c: (c["form"]["thresholds"].pop(), c["form"]["levels"].pop()),
        "do not keep",
    ),
    "slope": ("lines", lambda c: c["form"]["slopes"].__setitem__(0, 99), ""),
    "depth": ("tree", lambda c: c["form"]["depths"].__setitem__(0, 0), "binary tree"),
    "segments": ("lines", lambda c: c["form"].update(segments=1), "segments of the form"),
    "digits": ("lines of two digits", lambda c: c["form"].update(digits=1), "digits of the form"),
    "width": ("bipartite", lambda c: c["form"].update(offset_width=9), "offset_width"),
    "objective": ("lines", lambda c: c.update(objective="correctly_rounded"), "do not keep"),
    "error": ("tree", lambda c: c.update(max_error=(0.01).hex()), "units of the output"),
    "floor": ("tree", lambda c: c.update(lower_bound=c["max_error"]), "rounding floor"),
    "one piece more": ("lines", lambda c: c["fewest"].update(pieces=4), "proven to be needed"),
    "one step more": ("thresholds", lambda c: c["fewest"].update(pieces=99), "not a whole"),
    "no witness": ("lines", lambda c: c["fewest"]["witnesses"].pop(), "are proven"),
    "witness twice": (
        "thresholds",
        lambda c: c["fewest"]["witnesses"].append(c["fewest"]["witnesses"][-1]),
        "overlap",
    ),
    "nothing refuted": (
        "lines",
        lambda c: c["fewest"]["witnesses"].__setitem__(0, [-16, -15]),
        "may serve",
    ),
    "witness outside": (
        "tree",
        lambda c: c["fewest"]["witnesses"].__setitem__(0, [-16, 99]),
        "not a whole number",
    ),
    "witness reversed": ("tree", lambda c: c["fewest"]["witnesses"][0].reverse(), "increase"),
    "fewer slopes": (
        "tree of one digit",
        lambda c: c["fewest"].update(slopes={"digits": 0, "top": 9}),
        "does not speak of",
    ),
    "coarser grid": ("lines", lambda c: c["fewest"].update(slopes={"grid": 10**6}), "speak of"),
    "less shift": ("lines", lambda c: c["fewest"].update(shift=0), "shift is not"),
    "bound of a table": ("table", lambda c: c.update(fewest={"pieces": 1}), "no pieces"),
    "least of fewer": ("least", lambda c: c["least"].update(pieces=1), "more pieces"),
    "least of more": ("least", lambda c: c["least"].update(pieces=3), "proven for less than"),
    "least without proof": ("least", lambda c: c["least"].update(witnesses=[]), "proven for"),
    "least above": (
        "least",
        lambda c: c.update(lower_bound=(2 * float.fromhex(c["lower_bound"])).hex()),
        "above the error",
    ),
}


@pytest.mark.parametrize("change", FALSE)
def test_false_claims(change: str, genuine: dict[str, Certificate]) -> None:
    kind, tamper, why = FALSE[change]
    certificate = copy.deepcopy(genuine[kind])
    tamper(certificate)
    problems = check_certificate(redigested(certificate), of_function("GELU"))
    assert problems
    assert why in problems[0]


@pytest.mark.parametrize("kind", KINDS)
def test_another_function_is_rejected(kind: str, genuine: dict[str, Certificate]) -> None:
    gelu = find("GELU").function()
    for other in (find("SiLU").function(), ScalarFunction("GELU", lambda x: gelu(x) * 1.001)):
        assert check_certificate(genuine[kind], other)
    nowhere = check_certificate(genuine[kind], lambda x: np.where(x > 0, np.nan, x))
    assert nowhere == ["the function is not a number at an input"]


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[Certificate], object]] = {
    "long list": lambda c: c["form"].update(slopes=[1] * 10**6),
    "long breakpoints": lambda c: c["form"].update(breakpoints=list(range(10**6))),
    "long witnesses": lambda c: c["fewest"].update(witnesses=[[0, 1]] * 10**6),
    "long witness": lambda c: c["fewest"]["witnesses"].__setitem__(0, list(range(10**6))),
    "long close": lambda c: c.update(close=[[0, 0, 0, 0]] * 10**6),
    "huge slope": lambda c: c["form"]["slopes"].__setitem__(0, 10**100_000),
    "huge shift": lambda c: c["form"].update(shift=10**9),
    "huge claimed shift": lambda c: c["fewest"].update(shift=10**9),
    "huge top": lambda c: c["fewest"].update(slopes={"digits": 4, "top": 10**9}),
    "many digits": lambda c: c["fewest"].update(slopes={"digits": 10**9, "top": 9}),
    "many bits": lambda c: c.update(input="s1000000000.0"),
    "wide input": lambda c: c.update(input="s32.0"),
    "huge fraction": lambda c: c.update(output="s8.99"),
    "deep form": lambda c: c["form"].update(slopes=nested(10**5)),
    "deep close": lambda c: c.update(close=nested(10**5)),
    "deep witness": lambda c: c["fewest"].update(witnesses=nested(10**5)),
    "deep objective": lambda c: c.update(objective=nested(10**5)),
    "deep format": lambda c: c.update(input=nested(10**5)),
    "form in a form": lambda c: c["form"].update(form=c["form"]),
    "long text": lambda c: c.update(max_error="0x" + "0" * 10**7),
    "unicode digits": lambda c: c.update(input="s\u0668.\u0664"),
    "version": lambda c: c.update(version=2),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_certificates_cost_nothing(change: str, genuine: dict[str, Certificate]) -> None:
    certificate = copy.deepcopy(genuine["lines"])
    HOSTILE[change](certificate)
    start = time.process_time()
    problems = check_certificate(certificate, of_function("GELU"))
    assert len(problems) == 1
    assert len(problems[0]) < 300
    assert time.process_time() - start < 4


def test_the_worst_honest_shape_is_quick() -> None:
    """As many witnesses as inputs, each with a search among sums of four digits."""
    chosen = random.Random(0)
    slopes = Slopes(0, 4, 62)  # as many digits and bits as are allowed
    start = time.process_time()
    for _ in range(500):
        low = chosen.randrange(2**40, 2**60)
        slopes.meet(low, low + chosen.randrange(2**20))
    assert time.process_time() - start < 5
