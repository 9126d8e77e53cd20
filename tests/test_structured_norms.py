"""LayerNorm, InstanceNorm and RMSNorm: proven bounds against searches."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structured_units import errors, every_input, operands, random_rows, worst_found

from actc.approx.fixed_point import FixedPoint
from actc.approx.structured.norms import Affine, Norm, norm
from actc.approx.structured.pieces import rsqrt_piece
from actc.approx.thresholds import fit_thresholds
from actc.errors import UsageError

P = FixedPoint.parse
S8 = P("s8.4")
TITLES = ["LayerNorm", "RMSNorm"]


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("epsilon", [0.0, 1e-5, 0.5])
@pytest.mark.parametrize(("length", "source"), [(1, "s8.4"), (2, "s8.4"), (3, "s5.1"), (4, "u4.0")])
def test_every_input_of_small_units(title: str, epsilon: float, length: int, source: str) -> None:
    unit = norm(title, length, P(source), P("s10.6"), epsilon=epsilon)
    worst = errors(unit)(every_input(unit.input, length)).max()
    assert worst <= unit.bound_ulp <= 1
    # one or two centred elements are 0 or +-1 but for epsilon: the bound knows less
    if length > 2:
        assert unit.bound_ulp <= 4 * worst


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize(("length", "target"), [(16, "s10.6"), (15, "s8.4"), (96, "s9.5")])
@pytest.mark.parametrize(
    "ulp", [1.0, *(pytest.param(u, marks=pytest.mark.slow) for u in (0.6, 4.0))]
)
def test_adversarial_search(title: str, length: int, target: str, ulp: float) -> None:
    unit = norm(title, length, S8, P(target), ulp=ulp)
    worst = worst_found(unit, steps=60, rows=64)
    assert worst <= unit.bound_ulp <= ulp
    assert unit.bound_ulp <= 4 * worst


def affine(length: int, channels: bool = False) -> Affine:
    rng = np.random.default_rng(length)
    shape = (3, 1) if channels else (length,)
    gamma = rng.integers(-128, 128, shape)
    gamma[0] = -128
    return Affine(gamma, P("s8.6"), rng.integers(-128, 128, shape), P("s8.5"))


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("ulp", [0.7, 1.0])
def test_gamma_and_beta(title: str, ulp: float) -> None:
    unit = norm(title, 12, S8, P("s12.6"), affine=affine(12), ulp=ulp)
    worst = worst_found(unit, steps=60, rows=64)
    assert worst <= unit.bound_ulp <= ulp
    assert unit.bound_ulp <= 4 * worst
    x = np.array([[3.0] * 12])
    assert affine(12).steepest == 2
    expected = affine(12).beta_format.to_real(affine(12).beta)
    if title == "LayerNorm":
        np.testing.assert_array_equal(unit.reference(x)[0], expected)


def test_instance_norm_per_channel() -> None:
    unit = norm("InstanceNorm", 9, S8, P("s12.6"), affine=affine(9, channels=True))
    codes = random_rows(operands(unit), 3000, 0).reshape(1000, 3, 9)
    assert unit.name == "InstanceNorm[9]"
    assert errors(unit)(codes).max() <= unit.bound_ulp <= 1
    plain = norm("LayerNorm", 9, S8, P("s12.6"))
    same = norm("InstanceNorm", 9, S8, P("s12.6"))
    np.testing.assert_array_equal(plain.evaluate(codes), same.evaluate(codes))


@given(st.integers(1, 6), st.integers(3, 9), st.integers(-2, 8), st.data())
@settings(max_examples=8, deadline=None)
def test_bound_of_any_format(length: int, bits: int, fraction: int, data: st.DataObject) -> None:
    source = FixedPoint(data.draw(st.booleans()), bits, data.draw(st.integers(-3, 8)))
    result = FixedPoint(True, data.draw(st.integers(4, 12)), fraction)
    epsilon = data.draw(st.sampled_from([0.0, 1e-5, 1e-2, 3.0]))
    ulp = data.draw(st.sampled_from([0.6, 1.0, 3.0]))
    unit = norm(
        data.draw(st.sampled_from(TITLES)), length, source, result, epsilon=epsilon, ulp=ulp
    )
    assert errors(unit)(random_rows(operands(unit), 300, bits)).max() <= unit.bound_ulp <= ulp


def test_saturating_output() -> None:
    """One-hot rows of 64 reach 7.9, beyond s8.5: errors there are still bounded."""
    unit = norm("LayerNorm", 64, S8, P("s8.5"))
    hot = np.zeros((255, 64), np.int64)
    hot[:, 5] = np.arange(-127, 128)
    assert errors(unit)(hot).max() <= unit.bound_ulp <= 1
    assert unit.evaluate(hot).max() == 127
    assert unit.largest == 4.0


def python_norm(unit: Norm, x: list[int]) -> list[int]:
    """The datapath of docs/structured.md in Python integers."""
    w, n = json.loads(json.dumps(unit.to_json()))["widths"], unit.length
    if unit.title == "RMSNorm":
        d, v, a = x, sum(e * e for e in x), int(math.log2(n) // 2)
    else:
        d, v, a = [n * e - sum(x) for e in x], n * sum(e * e for e in x) - sum(x) ** 2, 0
    total = max(v * 2 ** w["z"] + w["E"], 1)
    place = total.bit_length() - 1
    index = total * 2 ** w["r"] // 2**place - 2 ** w["r"] + (place % 2) * 2 ** w["r"]
    factor = int(unit.pieces["rsqrt"].form.evaluate(np.array(index)))
    power = unit.output.fraction + a + w["z"] // 2 - w["q"] - place // 2
    found = [math.floor(e * factor * Fraction(2) ** power + Fraction(1, 2)) for e in d]
    return [min(max(y, unit.output.low), unit.output.high) for y in found]


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("length", [5, 17])
def test_datapath_in_python_integers(title: str, length: int) -> None:
    unit = norm(title, length, S8, P("s10.6"))
    rows = random_rows(operands(unit), 300, 4)
    assert [python_norm(unit, row) for row in rows.tolist()] == unit.evaluate(rows).tolist()


def test_references() -> None:
    x = np.random.default_rng(0).normal(1, 2, (50, 6))
    expected = (x - x.mean(1)[:, None]) / np.sqrt(x.var(1)[:, None] + 1e-5)
    unit = norm("LayerNorm", 6, S8, P("s10.6"))
    np.testing.assert_allclose(unit.reference(x), expected, atol=1e-13)
    expected = x / np.sqrt(np.mean(x**2, axis=1) + 1e-5)[:, None]
    unit = norm("RMSNorm", 6, S8, P("s10.6"))
    np.testing.assert_allclose(unit.reference(x), expected, atol=1e-13)


@pytest.mark.parametrize("numerator", [1.0, 2.5])
def test_rsqrt_piece_between_indices(numerator: float) -> None:
    piece = rsqrt_piece(5, 9, numerator)
    fit = fit_thresholds(piece.gates)
    fine = np.arange(1 << 12) / (1 << 12)
    worst = 0.0
    for parity in (0, 1):
        v = (1 + fine) * 2**parity
        found = fit.form.evaluate((np.arange(1 << 12) >> 7) + 32 * parity) / 2.0**9
        worst = max(worst, float(np.abs(found * np.sqrt(v / numerator) - 1).max()))
    assert 0.9 * piece.fitted(fit) < worst <= piece.fitted(fit) <= piece.worst


def test_wider_targets_cost_no_more() -> None:
    bits = [norm("LayerNorm", 16, S8, P("s10.6"), ulp=u).storage_bits for u in (0.52, 0.7, 1, 2, 9)]
    assert bits == sorted(bits, reverse=True)
    assert bits[0] > bits[-1]


def test_out_of_reach() -> None:
    with pytest.raises(UsageError, match="ACT0357") as caught:
        norm("LayerNorm", 64, S8, P("s32.24"))
    reachable = float(caught.value.diagnostics[0].notes[0].split()[0])
    assert norm("LayerNorm", 64, S8, P("s32.24"), ulp=reachable).bound_ulp <= reachable


def test_too_wide() -> None:
    with pytest.raises(UsageError, match="ACT0356"):
        norm("LayerNorm", 4096, P("s24.16"), P("s10.6"))


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="ACT0359"):
        norm("RMSNorm", 0, S8, S8)
    with pytest.raises(ValueError, match="no norm"):
        norm("BatchNorm", 4, S8, S8)
    with pytest.raises(ValueError, match="epsilon"):
        norm("RMSNorm", 4, S8, S8, epsilon=-1.0)
    with pytest.raises(ValueError, match=r"codes of s8\.6"):
        Affine(np.array([200]), P("s8.6"), np.array([0]), P("s8.6"))
