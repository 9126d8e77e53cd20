"""Certificates of fixed-point forms: genuine ones hold, false ones are rejected."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from fixed_certificates import FITTERS, OBJECTIVES, count, listed, of_function, plain
from fixed_point_units import unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction, check_certificate
from actc.approx.bipartite import BipartiteTable
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.compressed_table import CompressedTable
from actc.approx.dyadic import SegmentTree, fit_segment_tree
from actc.approx.fixed_certificate import certify_fixed, digest
from actc.approx.fixed_check_form import read_form, read_format
from actc.approx.fixed_check_gates import Objective, Target, gates
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.gates import FixedFit, make_gates, verified
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines
from actc.approx.thresholds import Thresholds, fit_thresholds

QUICK_AT_16_BITS = sorted(FITTERS.keys() - {"compressed", "bipartite", "lines of a grid"})


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
