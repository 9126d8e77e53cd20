"""Gated linear units, LSTM and GRU steps, attention: proven bounds against searches."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from structured_units import errors, every_input, operands, random_rows, worst_found

from actc.approx.fixed_point import FixedPoint
from actc.approx.structured.attention import Attention, attention
from actc.approx.structured.glu import GATES, gated_unit
from actc.approx.structured.gru import GRU, gru
from actc.approx.structured.lstm import LSTM, lstm
from actc.errors import UsageError

P = FixedPoint.parse
S8, S6 = P("s8.4"), P("s6.3")
WITH_SLOW = [1.0, *(pytest.param(ulp, marks=pytest.mark.slow) for ulp in (0.7, 3.0))]


@pytest.mark.parametrize("title", GATES)
@pytest.mark.parametrize(
    ("source", "target"), [("s6.3", "s8.3"), ("u5.2", "s7.1"), ("s6.2", "s6.5")]
)
def test_every_input_of_gated_units(title: str, source: str, target: str) -> None:
    unit = gated_unit(title, 1, P(source), P(target))
    worst = errors(unit)(every_input(unit.input, 2)).max()
    assert worst <= unit.bound_ulp <= 1
    assert unit.bound_ulp <= 4 * worst or unit.bound == 0 == worst


@pytest.mark.parametrize("title", ["GLU", "SwiGLU", "GeGLU"])
@pytest.mark.parametrize("ulp", WITH_SLOW)
def test_gated_units_by_search(title: str, ulp: float) -> None:
    unit = gated_unit(title, 3, S8, P("s12.6"), ulp=ulp)
    worst = worst_found(unit, steps=40, rows=64)
    assert worst <= unit.bound_ulp <= ulp
    assert unit.bound_ulp <= 2 * worst


def test_exact_gated_units() -> None:
    codes = every_input(S6, 2)
    a, b = codes[:, 0], codes[:, 1]
    for title, phi in (("Bilinear", a), ("ReGLU", np.maximum(a, 0))):
        unit = gated_unit(title, 1, S6, P("s12.6"))
        assert (unit.bound, unit.storage_bits) == (0, 0)
        np.testing.assert_array_equal(unit.evaluate(codes)[:, 0], phi * b)


def test_references_of_gated_units() -> None:
    x = np.random.default_rng(0).normal(0, 3, (50, 4))
    a, b = x[:, :2], x[:, 2:]
    phi = {
        "GLU": scipy.special.expit(a),
        "SwiGLU": a * scipy.special.expit(a),
        "GeGLU": a * scipy.special.ndtr(a),
        "ReGLU": a * (a > 0),
        "Bilinear": a,
    }
    for title, values in phi.items():
        unit = gated_unit(title, 2, S8, P("s12.4"))
        np.testing.assert_allclose(unit.reference(x), values * b, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_steps_on_a_grid(kind: str) -> None:
    """Every sixth code of each of the five operands, and the ends."""
    unit: LSTM | GRU = gru(1, S6, P("s7.6"))
    if kind == "lstm":
        unit = lstm(1, S6, P("s7.6"), state=P("s10.7"))
    kinds = operands(unit)
    axes = [
        sorted({*range(low, high, (high - low) // 6), high})
        for low, high in zip(kinds.low.tolist(), kinds.high.tolist(), strict=True)
    ]
    codes = np.array(list(itertools.product(*axes)), np.int64)
    worst = errors(unit)(codes).max()
    assert 0.5 < worst <= unit.bound_ulp <= 1


@pytest.mark.parametrize("ulp", WITH_SLOW)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_steps_by_search(kind: str, ulp: float) -> None:
    make = lstm if kind == "lstm" else gru
    unit: LSTM | GRU = make(2, S8, P("s9.7"), ulp=ulp)
    worst = worst_found(unit, steps=60, rows=64)
    assert worst <= unit.bound_ulp <= ulp
    assert unit.bound_ulp <= 4 * worst


def test_cell_bound() -> None:
    unit = lstm(2, S8, P("s9.7"), state=P("s10.6"), ulp=2.0)
    codes = random_rows(operands(unit), 20000, 3)
    _, cell = unit.step(codes[:, :8], codes[:, 8:])
    _, exact = unit.exact_step(S8.to_real(codes[:, :8]), unit.state.to_real(codes[:, 8:]))
    off = np.abs(unit.state.to_real(cell) - exact).max()
    assert unit.cell_bound / 4 < off <= unit.cell_bound


def test_lstm_drift() -> None:
    """Closed loop: the pre-activations depend on h through recurrent weights."""
    unit = lstm(4, S8, P("s9.7"))
    rng = np.random.default_rng(5)
    weights = rng.integers(-64, 65, (16, 4)) / 512
    recurrent = float(np.abs(weights).sum(axis=1).max())
    rounding = S8.ulp / 2
    h_codes, c_codes = np.zeros((200, 4), np.int64), np.zeros((200, 4), np.int64)
    h, c = np.zeros((200, 4)), np.zeros((200, 4))
    for step in range(1, 13):
        x = rng.integers(-60, 61, (200, 16)) * S8.ulp
        h_codes, c_codes = unit.step(
            S8.quantize(x + unit.output.to_real(h_codes) @ weights.T), c_codes
        )
        h, c = unit.exact_step(x + h @ weights.T, c)
        drift = unit.drift(step, recurrent=recurrent, preactivation=rounding)
        assert np.abs(unit.output.to_real(h_codes) - h).max() <= drift.hidden
        assert np.abs(unit.state.to_real(c_codes) - c).max() <= drift.cell


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_drift_of_given_preactivations(kind: str) -> None:
    """The geometric bound, against sequences that hold the worst forget gate open."""
    make = lstm if kind == "lstm" else gru
    unit: LSTM | GRU = make(3, P("s6.4"), P("s9.7"), ulp=2.0)
    kinds = operands(unit)
    start = random_rows(kinds, 300, 8)
    start[:, 12:] = 0
    codes, real = start[:, 12:], np.zeros((300, 3))
    for step in range(1, 25):
        gates = random_rows(kinds, 300, step)[:, :12]
        gates[::2, 3:6] = 31  # f of the LSTM, z of the GRU: 0.88
        values = unit.input.to_real(gates)
        if isinstance(unit, LSTM):
            codes = unit.step(gates, codes)[1]
            real = unit.exact_step(values, real)[1]
            off, bound = np.abs(unit.state.to_real(codes) - real).max(), unit.drift(step).cell
        else:
            codes = unit.step(gates, codes)
            real = np.clip(
                unit.reference(np.concatenate([values, real], axis=1)),
                *unit.output.to_real(np.array([unit.output.low, unit.output.high])),
            )
            off, bound = np.abs(unit.output.to_real(codes) - real).max(), unit.drift(step).hidden
        assert off <= bound
    single = unit.cell_bound if isinstance(unit, LSTM) else unit.bound
    forget = 1 / (1 + math.exp(-31 / 16))
    last = unit.drift(1000)
    limit = last.cell if isinstance(unit, LSTM) else last.hidden
    assert limit == pytest.approx(single / (1 - forget), rel=1e-6)


@pytest.mark.slow  # torch
def test_references_of_steps() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, h, c = (torch.tensor(rng.normal(size=(5, 3))) for _ in range(3))
    cell = torch.nn.LSTMCell(3, 3, dtype=torch.float64)
    gates = x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
    unit = lstm(3, S8, S8)
    found = unit.exact_step(gates.detach().numpy(), c.numpy())
    for mine, theirs in zip(found, cell(x, (h, c)), strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=1e-12)
    cell = torch.nn.GRUCell(3, 3, dtype=torch.float64)
    own = (x @ cell.weight_ih.T + cell.bias_ih).detach().numpy()
    last = (h @ cell.weight_hh.T + cell.bias_hh).detach().numpy()
    parts = [own[:, :6] + last[:, :6], own[:, 6:], last[:, 6:], h.numpy()]
    np.testing.assert_allclose(
        gru(3, S8, S8).reference(np.concatenate(parts, axis=1)),
        cell(x, h).detach().numpy(),
        atol=1e-12,
    )


def test_every_input_of_small_attention() -> None:
    unit = attention(2, 1, P("s3.0"), P("s8.4"))
    worst = errors(unit)(every_input(unit.input, unit.operands)).max()
    assert worst <= unit.bound_ulp <= 1
    assert unit.bound_ulp <= 4 * worst


@pytest.mark.parametrize(("length", "depth"), [(1, 3), (4, 2), (8, 16), (3, 7)])
@pytest.mark.parametrize("ulp", [0.7, 1.0])
def test_attention_by_search(length: int, depth: int, ulp: float) -> None:
    unit = attention(length, depth, S8, P("s10.6"), ulp=ulp)
    worst = worst_found(unit, steps=40, rows=64)
    assert worst <= unit.bound_ulp <= ulp


def python_attention(unit: Attention, row: list[int]) -> int:
    """The datapath of docs/structured.md in Python integers."""
    w, d, n = json.loads(json.dumps(unit.to_json()))["widths"], unit.depth, unit.length
    query, values = row[:d], row[d + n * d :]
    keys = [row[d + j * d : d + j * d + d] for j in range(n)]
    scores = [sum(a * b for a, b in zip(query, key, strict=True)) for key in keys]
    powers = []
    for score in scores:
        e = math.floor(
            Fraction((max(scores) - score) * w["K"], 2 ** (w["g"] - w["w"])) + Fraction(1, 2)
        )
        mantissa = int(unit.pieces["exp2"].form.evaluate(np.array(e % 2 ** w["w"])))
        powers.append(math.floor(Fraction(mantissa, 2 ** (e // 2 ** w["w"])) + Fraction(1, 2)))
    place = sum(powers).bit_length() - 1
    index = sum(powers) * 2 ** w["r"] // 2**place - 2 ** w["r"]
    factor = int(unit.pieces["reciprocal"].form.evaluate(np.array(index)))
    total = sum(p * v for p, v in zip(powers, values, strict=True)) * factor
    power = unit.output.fraction - unit.input.fraction - w["q"] - place
    y: int = math.floor(total * Fraction(2) ** power + Fraction(1, 2))
    return min(max(y, unit.output.low), unit.output.high)


def test_attention_in_python_integers() -> None:
    unit = attention(3, 5, S8, P("s10.6"))
    rows = random_rows(operands(unit), 200, 1)
    assert [[python_attention(unit, row)] for row in rows.tolist()] == unit.evaluate(rows).tolist()


def test_attention_of_batches() -> None:
    """Shapes broadcast, and columns of values are independent."""
    unit = attention(6, 4, S8, P("s10.6"))
    rng = np.random.default_rng(2)
    query, keys, values = (rng.integers(-128, 128, s) for s in ((5, 4), (5, 6, 4), (5, 6, 3)))
    found = unit.attend(query, keys, values)
    for column in range(3):
        row = np.concatenate([query, keys.reshape(5, -1), values[..., column]], axis=1)
        np.testing.assert_array_equal(found[:, column], unit.evaluate(row)[:, 0])
    real = [S8.to_real(part) for part in (query, keys, values)]
    weights = scipy.special.softmax(np.einsum("bd,bnd->bn", real[0], real[1]) / 2, axis=-1)
    exact = np.einsum("bn,bne->be", weights, real[2])
    assert np.abs(unit.output.to_real(found) - exact).max() <= unit.bound


def test_wrong_shapes() -> None:
    unit = attention(6, 4, S8, P("s10.6"))
    good = np.zeros(4, np.int64), np.zeros((6, 4), np.int64), np.zeros((6, 1), np.int64)
    assert unit.attend(*good).shape == (1,)
    for place, shape in ((0, (3,)), (1, (5, 4)), (2, (5, 1))):
        bad = [np.zeros(shape, np.int64) if k == place else part for k, part in enumerate(good)]
        with pytest.raises(ValueError, match="takes"):
            unit.attend(*bad)
    step = lstm(2, S8, S8)
    with pytest.raises(ValueError, match="cells"):
        step.step(np.zeros(8, np.int64), np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="states"):
        gru(2, S8, S8).step(np.zeros(8, np.int64), np.zeros(3, np.int64))


@pytest.mark.slow
def test_what_is_reachable() -> None:
    for build in (
        lambda u: gated_unit("GLU", 2, S6, P("s32.30"), ulp=u),
        lambda u: gated_unit("Bilinear", 2, S8, S8, ulp=u),
        lambda u: attention(4, 4, S6, P("s32.26"), ulp=u),
        lambda u: lstm(2, S6, P("s15.14"), ulp=u, state=P("s12.8")),
        lambda u: gru(2, S6, P("s18.17"), ulp=u),
    ):
        with pytest.raises(UsageError, match="ACT0357") as caught:
            build(0.49)
        reachable = float(caught.value.diagnostics[0].notes[0].split()[0])
        assert build(reachable).bound_ulp <= reachable


def test_refusals() -> None:
    with pytest.raises(UsageError, match="ACT0311"):
        gated_unit("GLU", 2, P("s20.12"), S8)
    with pytest.raises(UsageError, match="ACT0359"):
        attention(4, 0, S8, S8)
    with pytest.raises(ValueError, match="no gated unit"):
        gated_unit("TanhGLU", 2, S8, S8)
