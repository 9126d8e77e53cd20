"""Fits in fixed point: tables, all candidates, selection, results."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from fixed_point_units import random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import actc
from actc.approx import ScalarFunction
from actc.approx.candidates import (
    FIXED_FORMS,
    SIZED_FORMS,
    Candidate,
    Variant,
    candidates,
    candidates_of_size,
    pieces,
    variants,
)
from actc.approx.catalogue import find
from actc.approx.checker import check_certificate
from actc.approx.dyadic import fit_leaves
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.gates import FixedFit, Gates, NoForm, make_gates
from actc.approx.signed_digits import fit_segments
from actc.approx.slope_sets import digit_count
from actc.approx.structured import STRUCTURED
from actc.errors import UsageError
from actc.fixed_result import FixedFitResult, module_name

S8_4 = FixedPoint.parse("s8.4")


# --- plain tables


@given(random_gates())
@settings(max_examples=100, deadline=None)
def test_no_table_is_better(gates: Gates) -> None:
    fit = fit_fixed_table(gates)
    for index, value in enumerate(fit.form.values.tolist()):
        allowed = range(int(gates.low[index]), int(gates.high[index]) + 1)
        off = {code: abs(code - float(gates.target[index])) for code in allowed}
        assert off[value] == min(off.values())
    assert fit.max_error_ulp == max(
        abs(float(v) - float(t)) for v, t in zip(fit.form.values, gates.target, strict=True)
    )


def test_a_table_is_indexed_by_code() -> None:
    form = FixedTable(FixedPoint.parse("s2.0"), FixedPoint.parse("u4.0"), np.array([1, 2, 3, 4]))
    assert form.evaluate(np.array([[-2, 1], [0, -1]])).tolist() == [[1, 4], [3, 2]]
    assert form.storage_bits == 16
    assert json.loads(json.dumps(form.to_json())) == {"form": "fixed_table", "values": [1, 2, 3, 4]}
    with pytest.raises(ValueError, match="read-only"):
        form.values[0] = 0


@pytest.mark.parametrize("values", [[1, 2, 3], [1, 2, 3, 16], [1, 2, 3, -1]])
def test_tables_refuse_nonsense(values: list[int]) -> None:
    with pytest.raises(ValueError, match=r"4 entries|codes of u4.0"):
        FixedTable(FixedPoint.parse("u2.0"), FixedPoint.parse("u4.0"), np.array(values))


# --- the least error of so many lines


def window_error(
    eighths: np.ndarray[Any, Any], start: int, end: int, shift: int, high: int, slopes: list[int]
) -> float:
    """Least error of one line on inputs [start, end), over all slopes and constants."""
    part, x = eighths[start:end], np.arange(start, end)
    best = math.inf
    for slope in slopes:
        product = slope * x
        constants = np.arange(-int(product.max()), ((high + 1) << shift) - int(product.min()))
        outputs = (product + constants[:, None]) >> shift
        inside = np.all((outputs >= 0) & (outputs <= high), axis=1)
        best = min(best, float(np.abs(outputs - part).max(axis=1)[inside].min(initial=math.inf)))
    return best


@given(
    st.lists(st.integers(0, 24), min_size=8, max_size=8),
    st.integers(1, 3),
    st.sampled_from([None, 1]),
)
@settings(max_examples=40, deadline=None)
def test_least_error_of_few_segments(listed: list[int], segments: int, digits: int | None) -> None:
    values = np.array(listed) / 8
    f = ScalarFunction("listed", lambda x: values[x.astype(int)])
    source, output = FixedPoint(False, 3, 0), FixedPoint(False, 2, 0)
    slopes = [s for s in range(-8, 9) if digits is None or digit_count(s) <= digits]
    windows = {
        (start, end): window_error(values, start, end, 1, 3, slopes)
        for start, end in combinations(range(9), 2)
    }
    best = min(
        max(windows[ends] for ends in zip((0, *cuts), (*cuts, 8), strict=True))
        for count in range(segments)
        for cuts in combinations(range(1, 8), count)
    )
    fit = fit_segments(f, source, output, segments, digits=digits, shift=1)
    assert fit.form.segments <= segments
    assert fit.max_error == best


def test_at_least_one_piece() -> None:
    for wanted in (Variant("thresholds"), Variant("pwl"), Variant("tree")):
        with pytest.raises(ValueError, match="at least one"):
            list(candidates_of_size(find("GELU").function(), S8_4, S8_4, 0, [wanted]))


# --- candidates


@pytest.mark.parametrize("objective", ["faithful", "correctly_rounded", 0.2])
def test_every_form_is_tried(objective: Any) -> None:
    gates = unit("GELU", 8, objective)
    tried = list(candidates(gates, variants()))
    assert {c.variant.form for c in tried} == set(FIXED_FORMS)
    assert [c.variant for c in tried] == list(variants())
    for candidate in tried:
        found = candidate.found
        assert isinstance(found, FixedFit)
        assert gates.admit(found.form.evaluate(gates.input.codes()))
        assert candidate.seconds > 0
        if candidate.variant.digits is not None:
            assert found.form.digits <= candidate.variant.digits


def test_candidates_are_fitted_when_asked_for() -> None:
    assert isinstance(next(candidates(unit("GELU", 8, "faithful"), variants())), Candidate)
    # the second one would be refused
    with pytest.raises(KeyError):
        list(candidates(unit("GELU", 8, "faithful"), [Variant("table"), Variant("spline")]))


@pytest.mark.parametrize("most", [1, 5, 16])
def test_candidates_of_a_size(most: int) -> None:
    f = find("Tanh").function()
    for candidate in candidates_of_size(f, S8_4, FixedPoint.parse("s8.6"), most, variants()):
        if candidate.variant.form in SIZED_FORMS:
            assert isinstance(candidate.found, FixedFit)
            assert pieces(candidate.found.form) <= most
        else:
            assert isinstance(candidate.found, NoForm)


def test_the_least_shift_keeps_the_least_error() -> None:
    f, wide = find("GELU").function(), FixedPoint.parse("s12.8")
    (found,) = candidates_of_size(f, wide, wide, 8, [Variant("pwl")])
    assert isinstance(found.found, FixedFit)
    least = fit_segments(f, wide, wide, 8)
    assert found.found.max_error == least.max_error
    assert found.found.form.shift < least.form.shift


SIZED = [variant for variant in variants(digits=2, degree=2) if variant.form in SIZED_FORMS]


@pytest.mark.parametrize("variant", SIZED, ids=str)
def test_least_errors_have_gates_of_their_own(variant: Variant) -> None:
    f = find("GELU").function()
    (candidate,) = candidates_of_size(f, S8_4, S8_4, 5, [variant])
    fit = candidate.found
    assert isinstance(fit, FixedFit)
    assert isinstance(fit.gates.objective, float)
    assert fit.gates.objective == pytest.approx(fit.max_error, rel=1e-12)
    assert fit.gates.objective >= fit.max_error
    assert fit.gates.admit(fit.form.evaluate(S8_4.codes()))


@pytest.mark.parametrize("fitter", [fit_segments, fit_leaves])
def test_least_error_fits_have_gates_of_their_own(fitter: Any) -> None:
    f, small = find("Snake").function(), FixedPoint.parse("s6.3")
    for most in range(1, 12):
        fit = fitter(f, small, small, most, digits=1)
        assert fit.gates.objective == pytest.approx(fit.max_error, rel=1e-12)


def test_the_bound_of_polynomials_is_that_of_the_formats() -> None:
    polynomial = fitted("GELU", "s8.4", "s8.4", segments=2, form="polynomial")
    lines = fitted("GELU", "s8.4", "s8.4", segments=2, form="pwl")
    assert (polynomial.bounds, lines.bounds) == ("formats", "pieces")
    target = polynomial.fit.gates.target
    assert polynomial.lower_bound == np.abs(np.rint(target) - target).max() * S8_4.ulp
    assert polynomial.lower_bound < polynomial.max_error
    assert lines.lower_bound == lines.max_error


@pytest.mark.slow
def test_digits_are_not_tried_in_vain() -> None:
    rough = ScalarFunction("rough", lambda x: np.sin(1000 * x))
    wide = FixedPoint.parse("s13.9")
    gates = make_gates(rough, wide, FixedPoint.parse("s8.6"), "faithful")
    free, limited = (
        c.found for c in candidates(gates, [Variant("tree"), Variant("tree", digits=1)])
    )
    assert isinstance(free, FixedFit)
    assert isinstance(limited, NoForm)
    assert f"needs {free.form.segments} segments" in limited.reason
    # what is said is true: fewer digits never need fewer leaves
    (alone,) = candidates(gates, [Variant("tree", digits=1)])
    assert isinstance(alone.found, FixedFit)
    assert alone.found.form.segments >= free.form.segments


# --- results


@lru_cache
def fitted(name: str, input: str, output: str, **options: Any) -> FixedFitResult:
    found: FixedFitResult = actc.fit(name, input=input, output=output, **options)
    return found


def test_the_cheapest_is_taken() -> None:
    for device in ("ice40", "xc7"):
        found = actc.fit("GELU", input="s8.4", output="s8.4", device=device)
        assert found.device == device
        assert all(
            found.cost.total <= other.cost.total for other in found.others if not other.reason
        )
        assert len(found.others) == len(variants()) - 1


def test_the_least_error_is_taken() -> None:
    found = actc.fit("GELU", input="s8.4", output="s8.4", segments=5)
    assert found.segments <= 5
    rivals = [other for other in found.others if not other.reason]
    assert {other.candidate.variant.form for other in rivals} == set(SIZED_FORMS)
    assert all(found.max_error <= other.fit.max_error for other in rivals)
    assert found.lower_bound == found.max_error
    assert found.certified


@pytest.mark.parametrize("form", FIXED_FORMS)
@pytest.mark.parametrize("ulp", [0.5, 1])
def test_every_form_is_certified(form: str, ulp: float) -> None:
    found = fitted("SiLU", "s8.4", "s8.4", form=form, ulp=ulp)
    assert found.form == form
    assert found.certified, found.problems
    assert check_certificate(found.certificate, find("SiLU").function()) == []
    assert found.lower_bound <= found.max_error <= ulp / 16
    assert found.max_error == found.max_error_ulp / 16
    x = S8_4.values()
    exact = np.clip(find("SiLU").function()(x), -8, 127 / 16)
    assert np.abs(found(x) - exact).max() == pytest.approx(found.max_error, abs=1e-12)
    if ulp == 0.5:
        np.testing.assert_array_equal(found(x), np.rint(exact * 16) / 16)


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("form", ["pwl", "tree"])
def test_digits(form: str, digits: int) -> None:
    found = fitted("Tanh", "s8.4", "s8.6", form=form, digits=digits)
    assert found.chosen.candidate.variant == Variant(form, digits)
    assert max(map(digit_count, found.fit.form.slopes.tolist())) <= digits
    assert found.certified


def test_real_numbers_are_rounded_and_saturate() -> None:
    found = fitted("ReLU", "s8.4", "s8.4", ulp=0.5)
    assert found([[0.03, 0.04], [-1e9, 1e9]]).tolist() == [[0.0, 0.0625], [0.0, 7.9375]]


def test_an_error_is_kept_to() -> None:
    found = fitted("GELU", "s8.4", "s8.4", form="pwl", max_error=0.3)
    assert 0.0625 < found.max_error <= 0.3
    assert found.to_json()["objective"] == 0.3
    assert found.segments < fitted("GELU", "s8.4", "s8.4", form="pwl").segments


def test_document() -> None:
    found = fitted("GELU", "s8.4", "s8.4")
    document = json.loads(json.dumps(found.to_json()))
    assert set(document) >= {
        *("function", "form", "segments", "max_error", "lower_bound", "certified", "seconds"),
        *("cost", "alternatives", "input", "output", "objective", "max_error_ulp"),
        *("storage_bits", "certificate", "diagnostics", "device", "digits", "variant"),
    }
    assert document["certificate"]["form"]["form"] == found.fit.form.to_json()["form"]
    assert {row["form"] for row in document["alternatives"]} | {found.form} == set(FIXED_FORMS)


def test_what_leaves_the_output_is_told() -> None:
    (told,) = fitted("exp", "s8.4", "u8.4").to_json()["diagnostics"]
    assert (told["code"], told["severity"]) == ("ACT0362", "warning")
    over = int(np.count_nonzero(np.exp(S8_4.values()) > 255.5 / 16))
    assert f"at {over} of 256 inputs" in told["message"]
    assert fitted("GELU", "s8.4", "s8.4").to_json()["diagnostics"] == []


def test_a_form_that_there_is_not() -> None:
    with pytest.raises(UsageError, match=r"ACT0363.*no bipartite form") as caught:
        actc.fit("x*sin(40*x)", input="s6.2", output="s12.8", form="bipartite")
    assert "from s6.2 to s12.8" in str(caught.value)
    found = actc.fit("x*sin(40*x)", input="s6.2", output="s12.8")
    (row,) = (o.to_json() for o in found.others if o.candidate.variant.form == "bipartite")
    assert row["cost"] is None
    assert row["segments"] is None
    assert "plain table" in row["reason"]


def test_progress_is_told_of_long_fits_only(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    actc.fit("GELU", input="s4.2", output="s4.2", progress=told.append)
    assert told == []
    monkeypatch.setattr("actc.fixed_fitting._QUIET_SECONDS", 0.0)
    found = actc.fit("GELU", input="s4.2", output="s4.2", progress=told.append)
    fitting = [f"fitting {variant}" for variant in variants()]
    assert told == [*fitting, "estimating costs", f"certifying {found.chosen.candidate.variant}"]


def test_a_callable() -> None:
    found = actc.fit(np.tanh, input="s8.4", output="s8.6", ulp=1)
    assert found.function == "tanh"
    assert found.certified


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("GELU", "act_gelu"),
        ("x*sigmoid(1.702*x)", "act_x_sigmoid_1_702_x"),
        ("model.onnx:a1", "act_model_onnx_a1"),
        ("endmodule", "act_endmodule"),
        ("\N{GREEK SMALL LETTER ALPHA}", "act_function"),
        ("x+" * 50 + "x", "act_" + "x_" * 19 + "x"),
    ],
)
def test_names_of_generated_code(function: str, name: str) -> None:
    assert module_name(function) == name
    assert module_name(function).isidentifier()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GELU", "Tanh", "Snake"])
def test_sixteen_bits(name: str) -> None:
    found = actc.fit(name, input="s16.12", output="s16.12", ulp=1)
    assert found.certified
    assert found.max_error_ulp < 1
    tried = [found.chosen, *found.others]
    assert sum(option.candidate.seconds for option in tried) < 60


@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_functions_are_found_by_name(name: str) -> None:
    parameters = ",".join(("4", "2")[: len(STRUCTURED[name].parameters)])
    found = actc.fit(f"{name}[{parameters}]", input="s6.3", output="s6.3", ulp=2)
    assert found.form == "structured"
    assert found.max_error <= 2 / 8
    document = json.loads(json.dumps(found.to_json()))
    assert document["segments"] == len(document["pieces"])
    assert document["function"].startswith(name)
    with pytest.raises(UsageError, match="ACT0364"):
        found.save(plot="f.png")
    with pytest.raises(UsageError, match="ACT0364"):
        found.emit("c")
    with pytest.raises(UsageError, match="nothing to choose from"):
        found.save(emit="c", output="f.c")
