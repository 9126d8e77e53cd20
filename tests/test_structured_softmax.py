"""Softmax and log-softmax: proven bounds against exhaustive and adversarial searches."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from structured_units import errors, every_input, operands, random_rows, worst_found

from actc.approx.bipartite import fit_bipartite
from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import FixedFit, Gates
from actc.approx.structured.exponential import LOG2_E, Exponential
from actc.approx.structured.pieces import exp2_piece, log_piece, reciprocal_piece
from actc.approx.structured.softmax import LogSoftmax, Softmax, log_softmax, softmax
from actc.approx.thresholds import fit_thresholds
from actc.errors import UsageError

P = FixedPoint.parse
S8, U8 = P("s8.4"), P("u8.8")


def build(kind: str, length: int, source: str, ulp: float = 1.0) -> Softmax | LogSoftmax:
    if kind == "Softmax":
        return softmax(length, P(source), U8, ulp=ulp)
    return log_softmax(length, P(source), P("s12.6"), ulp=ulp)


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("length", "source"), [(1, "s8.4"), (2, "s8.4"), (2, "u6.2"), (3, "s5.1"), (4, "s4.0")]
)
def test_every_input_of_small_units(kind: str, length: int, source: str) -> None:
    unit = build(kind, length, source)
    worst = errors(unit)(every_input(unit.input, length)).max()
    assert worst <= unit.bound_ulp <= 1
    if length > 1:
        assert unit.bound_ulp <= 4 * worst


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(
    ("length", "ulp"),
    [
        (16, 1.0),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((16, 0.6), (16, 4.0), (128, 1.0))
        ),
    ],
)
def test_adversarial_search(kind: str, length: int, ulp: float) -> None:
    unit = build(kind, length, "s8.4", ulp)
    worst = worst_found(unit)
    assert worst <= unit.bound_ulp <= ulp
    assert unit.bound_ulp <= 4 * worst


def test_references() -> None:
    x = np.random.default_rng(0).normal(0, 4, (100, 7))
    small, logs = softmax(7, S8, U8), log_softmax(7, S8, P("s12.6"))
    np.testing.assert_allclose(small.reference(x), scipy.special.softmax(x, axis=-1), atol=1e-14)
    np.testing.assert_allclose(logs.reference(x), scipy.special.log_softmax(x, axis=-1), atol=1e-13)


@pytest.mark.parametrize("fraction", [-1, 0, 8, 12])
def test_other_input_scales(fraction: int) -> None:
    unit = softmax(8, FixedPoint(True, 12, fraction), P("u12.12"))
    worst = errors(unit)(random_rows(operands(unit), 5000, fraction + 1)).max()
    assert worst <= unit.bound_ulp <= 1


def test_wide_inputs_need_no_enumeration() -> None:
    unit = softmax(5, P("s24.16"), P("u13.13"))
    worst = errors(unit)(random_rows(operands(unit), 20000, 3)).max()
    assert 0.5 < worst <= unit.bound_ulp <= 1


@given(st.integers(1, 6), st.integers(3, 10), st.integers(-2, 10), st.data())
@settings(max_examples=10, deadline=None)
def test_bound_of_any_format(length: int, bits: int, fraction: int, data: st.DataObject) -> None:
    result = FixedPoint(data.draw(st.booleans()), data.draw(st.integers(4, 12)), fraction)
    source = FixedPoint(data.draw(st.booleans()), bits, data.draw(st.integers(-1, 8)))
    unit = softmax(length, source, result, ulp=data.draw(st.sampled_from([0.55, 1.0, 3.0])))
    rows = random_rows(operands(unit), 300, bits)
    assert errors(unit)(rows).max() <= unit.bound_ulp


@pytest.mark.parametrize("fitter", [fit_segment_tree, fit_thresholds, fit_bipartite])
def test_any_fitter(fitter: Any) -> None:
    unit = softmax(4, S8, U8, fitter=fitter)
    assert errors(unit)(random_rows(operands(unit), 3000, 1)).max() <= unit.bound_ulp <= 1


def reject(gates: Gates) -> FixedFit[Any]:
    raise AssertionError("the search needs no fit")


def test_search_fits_nothing_when_out_of_reach() -> None:
    with pytest.raises(UsageError, match=r"ACT0357") as caught:
        softmax(16, S8, P("u32.32"), ulp=0.51, fitter=reject)
    (diagnostic,) = caught.value.diagnostics
    reachable = float(diagnostic.notes[0].split()[0])
    assert softmax(16, S8, P("u32.32"), ulp=reachable).bound_ulp <= reachable
    with pytest.raises(UsageError, match=r"ACT0357"):
        softmax(16, S8, U8, ulp=0.5)


def test_wider_targets_cost_no_more() -> None:
    bits = [softmax(16, S8, U8, ulp=ulp).storage_bits for ulp in (0.52, 0.6, 1.0, 2.0, 8.0)]
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > bits[-1]


def python_softmax(described: dict[str, Any], unit: Softmax, x: list[int]) -> list[int]:
    """The datapath of docs/structured.md in Python integers."""
    w = described["widths"]
    exp2, reciprocal = unit.pieces["exp2"].form, unit.pieces["reciprocal"].form
    powers = []
    for code in x:
        product = (max(x) - code) * w["K"]
        e = (2 * product + 2 ** (w["g"] - w["w"])) // 2 ** (w["g"] - w["w"] + 1)
        mantissa = int(exp2.evaluate(np.array(e % 2 ** w["w"])))
        powers.append(math.floor(Fraction(mantissa, 2 ** (e // 2 ** w["w"])) + Fraction(1, 2)))
    total = sum(powers)
    place = total.bit_length() - 1
    factor = int(reciprocal.evaluate(np.array(total * 2 ** w["r"] // 2**place - 2 ** w["r"])))
    scale = Fraction(2**unit.output.fraction, 2 ** (w["q"] + place))
    found = [math.floor(power * factor * scale + Fraction(1, 2)) for power in powers]
    return [min(max(y, unit.output.low), unit.output.high) for y in found]


def test_datapath_in_python_integers() -> None:
    unit = softmax(5, S8, U8)
    described = json.loads(json.dumps(unit.to_json()))
    rows = random_rows(operands(unit), 300, 9)
    assert [python_softmax(described, unit, row) for row in rows.tolist()] == unit.evaluate(
        rows
    ).tolist()


def test_json() -> None:
    described = json.loads(json.dumps(softmax(16, S8, U8).to_json()))
    assert described["function"] == "Softmax[16]"
    assert described["form"] == "structured"
    assert set(described["pieces"]) == {"exp2", "reciprocal"}
    assert sum(described["terms"].values()) <= described["max_error"]
    assert described["max_error"] == pytest.approx(sum(described["terms"].values()), rel=1e-9)


@pytest.mark.parametrize(("index", "fraction"), [(4, 6), (8, 12), (11, 14)])
def test_exponential_envelope(index: int, fraction: int) -> None:
    """|N 2^-m - p| <= a p + b for all t, far beyond the last octave too."""
    stage = Exponential.of(LOG2_E / 16, index, fraction)
    piece = exp2_piece(index, fraction)
    fit = fit_bipartite(piece.gates)
    assert isinstance(fit, FixedFit)
    envelope = stage.envelope(piece.fitted(fit))
    t = np.arange(1 << 14)
    p = np.exp(-t / 16)
    off = np.abs(stage.evaluate(t, fit) / 2.0**fraction - p)
    assert np.all(off <= envelope.relative * p + envelope.shift)
    # and it is not loose: near 1 the relative part matters, in the tail the shift
    assert (off / (envelope.relative * p + envelope.shift)).max() > 0.5


@pytest.mark.parametrize("make", [reciprocal_piece, log_piece])
def test_octave_pieces_between_indices(make: Any) -> None:
    """Errors hold for all mantissas behind an index, not only for the fitted middle."""
    piece = make(6, 9)
    fit = fit_thresholds(piece.gates)
    v = 1 + np.arange(1 << 12) / (1 << 12)
    found = fit.form.evaluate(np.arange(1 << 12) >> 6) / 2.0**9
    off = np.abs(found * v - 1) if make is reciprocal_piece else np.abs(found - np.log(v))
    assert 0.9 * piece.fitted(fit) < off.max() <= piece.fitted(fit) <= piece.worst


@pytest.mark.parametrize("length", [0, 1 << 17])
def test_bad_length(length: int) -> None:
    with pytest.raises(UsageError, match="ACT0359"):
        softmax(length, S8, U8)


@pytest.mark.parametrize("source", ["s8.-64", "s8.64"])
def test_too_wide(source: str) -> None:
    with pytest.raises(UsageError, match="ACT0356"):
        softmax(16, P(source), P("u32.28"), ulp=1e6)


def test_bad_codes() -> None:
    unit = softmax(4, S8, U8)
    with pytest.raises(ValueError, match="takes 4 codes"):
        unit.evaluate(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match=r"codes of s8\.4"):
        unit.evaluate(np.full(4, 200))
    reals: Any = np.zeros(4)
    with pytest.raises(ValueError, match="integers"):
        unit.evaluate(reals)
