"""Enclosures of scalar functions: values, slopes and float32 error, against evaluation."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from bound_networks import plain
from hypothesis import given, settings
from hypothesis import strategies as st
from models import network, transformed

from actc.bounds.curve import Curve, site_function
from actc.bounds.operators import RULES, NotEnclosed
from actc.ir.context import context_of
from actc.passes.normalize import Normalize
from actc.passes.recognize import Recognize

Array = np.ndarray[Any, Any]

FUNCTIONS = {
    "Abs(x)": (-3, 3),
    "Atan(x)": (-9, 9),
    "Celu<alpha = 0.7>(x)": (-4, 4),
    "Cos(x)": (-9, 9),
    "Elu<alpha = 1.3>(x)": (-4, 4),
    "Erf(x)": (-4, 4),
    "Exp(x)": (-4, 4),
    "Gelu(x)": (-6, 6),
    'Gelu<approximate = "tanh">(x)': (-6, 6),
    "HardSigmoid(x)": (-4, 4),
    "HardSwish(x)": (-5, 5),
    "LeakyRelu<alpha = 0.1>(x)": (-3, 3),
    "Log(x)": (0.01, 5),
    "Mish(x)": (-6, 6),
    "Neg(x)": (-3, 3),
    "Reciprocal(x)": (0.1, 4),
    "Relu(x)": (-3, 3),
    "Round(x)": (-4, 4),
    "Ceil(x)": (-4, 4),
    "Floor(x)": (-4, 4),
    "Selu(x)": (-4, 4),
    "Shrink<lambd = 0.7, bias = 0.2>(x)": (-3, 3),
    "Sigmoid(x)": (-9, 9),
    "Sign(x)": (-2, 2),
    "Sin(x)": (-9, 9),
    "Softplus(x)": (-9, 9),
    "Softsign(x)": (-9, 9),
    "Sqrt(x)": (0.01, 4),
    "Tanh(x)": (-5, 5),
    "ThresholdedRelu<alpha = 0.5>(x)": (-3, 3),
    "Clip(x, low, high)": (-3, 3),
    "Pow(x, two)": (-3, 3),
    "Pow(x, three)": (-3, 3),
    "Pow(x, minus)": (0.2, 3),
    "Pow(x, odd)": (0.2, 3),
}
"""Expressions of x and the range that they are tried on."""
CONSTANTS = {
    "low": np.array(-1.5, np.float32),
    "high": np.array(0.75, np.float32),
    "two": np.array(2, np.float32),
    "three": np.array(3, np.float32),
    "minus": np.array(-2, np.float32),
    "odd": np.array(1.7, np.float32),
}
COMPOSED = {
    "s = Sigmoid(x) y = Mul(x, s)": (-9, 9),
    "c = Less(x, low) e = Exp(x) y = Where(c, e, x)": (-3, 3),
    "c = GreaterOrEqual(x, low) n = Not(c) f = Cast<to = 1>(n) y = Add(f, x)": (-3, 3),
    "a = Abs(x) d = Add(a, two) y = Div(x, d)": (-5, 5),
    "m = Max(x, low) y = Min(m, high)": (-3, 3),
    "c = Greater(x, low) e = LessOrEqual(x, high) b = And(c, e) y = Where(b, x, two)": (-3, 3),
    "c = Less(x, low) e = Greater(x, high) b = Or(c, e) y = Where(b, x, two)": (-3, 3),
    "q = Mul(x, x) s = Sin(q) y = Sub(x, s)": (-3, 3),
    "t = Tanh(x) p = Softplus(t) y = Sum(t, p, x)": (-4, 4),
    "c = Equal(x, two) y = Where(c, low, x)": (-3, 3),
    "h = PRelu(x, high) y = Identity(h)": (-3, 3),
    "s = Mul(x, two) g = Sigmoid(s) y = Mul(x, g)": (-4, 4),
}
CASES = {**{f"y = {text}": ends for text, ends in FUNCTIONS.items()}, **COMPOSED}


def _model(text: str) -> Any:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    weights = {name: array for name, array in CONSTANTS.items() if name in words}
    return network("float[N,1] x => float[N,1] y", text, weights)


@functools.cache
def _site(text: str) -> Any:
    model = transformed(_model(text), Normalize(), Recognize())
    (site,) = context_of(model).sites.values()
    return site


@pytest.mark.parametrize("text", CASES)
def test_values_slopes_and_float32_stay_within_their_enclosures(text: str) -> None:
    low, high = CASES[text]
    function = _site(text).function
    enclosed = site_function(function)
    generator = np.random.default_rng(0)
    start = generator.uniform(low, high, 400)
    width = 10.0 ** generator.uniform(-5, -0.5, 400)
    ends = start, np.minimum(start + width, high)
    span = enclosed.enclose(*ends)
    x = np.linspace(ends[0], ends[1], 17).astype(np.float32).astype(np.float64)
    x = np.clip(x, *ends)
    y = function.evaluate(x)
    assert np.all(y >= span.low)
    assert np.all(y <= span.high)
    rise, run = y[1:] - y[:1], x[1:] - x[:1]
    tiny = 1e-13 * (1 + np.abs(y[1:]))  # of the evaluation itself
    for end, sign in zip(span.steep, (1, -1), strict=True):
        assert np.all(sign * (rise - end * run) >= -span.jump - tiny)
    single = x.astype(np.float32)
    inside = (single >= ends[0]) & (single <= ends[1])
    computed = plain(_model(text), single.reshape(-1, 1)).reshape(x.shape)
    error = np.abs(computed - function.evaluate(single.astype(np.float64)))
    assert np.all((error <= span.error) | ~inside)


def test_every_rule_is_tried() -> None:
    tried = {word.split("<")[0] for text in CASES for word in text.replace("(", " ").split()}
    assert set(RULES) - tried == {"Swish"}  # an operator of opset 24, which no model here has


def test_enclosures_are_tight_on_small_cells() -> None:
    for text in ("y = Gelu(x)", "y = Tanh(x)", "s = Sigmoid(x) y = Mul(x, s)"):
        function = _site(text).function
        ends = np.linspace(-4, 4, 4001)
        span = site_function(function).enclose(ends[:-1], ends[1:])
        slope = np.diff(function.evaluate(ends)) / np.diff(ends)
        assert np.max(span.steep[1] - slope) < 0.02
        assert np.max(slope - span.steep[0]) < 0.02


@settings(max_examples=60, deadline=None)
@given(
    text=st.sampled_from(sorted(CASES)),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    slope=st.floats(-2, 2),
)
def test_curves_hold_on_any_part_of_their_range(text: str, ends: list[float], slope: float) -> None:
    bottom, top = CASES[text]
    function = _site(text).function
    curve = Curve.of(site_function(function), bottom, top)
    low, high = (np.array([bottom + (top - bottom) * end]) for end in ends)
    channel = np.zeros(1, int)
    x = np.linspace(low[0], high[0], 257)
    y = function.evaluate(x)
    for found, values in (
        (curve.range(channel, low, high), y),
        (curve.residual(channel, low, high, np.array([slope])), y - slope * x),
    ):
        assert found[0][0] <= values.min() + 1e-12
        assert found[1][0] >= values.max() - 1e-12
    flattest, steepest, jumps = curve.slopes(channel, low, high)
    rise, run = y[1:] - y[0], x[1:] - x[0]
    assert np.all(rise <= np.nextafter(steepest * run, np.inf) + jumps + 1e-12)
    assert np.all(rise >= np.nextafter(flattest * run, -np.inf) - jumps - 1e-12)


def test_a_function_without_a_bound_is_refused() -> None:
    with pytest.raises(NotEnclosed, match="not bounded on"):
        Curve.of(site_function(_site("y = Reciprocal(x)").function), -1.0, 1.0)
