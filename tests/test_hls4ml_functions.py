"""Functions as layers of target hls4ml: the form that costs least, at every input, also in C++."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hls4ml_networks import needs_hls4ml, simulated
from installed import needs_gxx

from actc.targets.fpga.functions import Requantization, StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.evaluate import evaluate, evaluate_layer
from actc.targets.hls4ml.fitted import LEAST_SAVED, check, fitted_forms
from actc.targets.hls4ml.forms import MOST_TABLED, Form, plain_forms
from actc.targets.hls4ml.functions import Chain, function_layers, ways
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import run_bench
from actc.targets.hls4ml.worker import PROJECT

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]
_ELEMENTS = 64
"""Of a tensor."""
_CHANGES = {
    "limits": 64, "slopes": 1, "digits": 1, "offsets": 1 << 12, "initial": 64, "offset": 1,
    "levels": 1,
}  # fmt: skip
"""Bits to change of each kind of constant, in the layer that has most: no shift hides them."""


def gelu(x: Array) -> Array:
    return np.asarray(x / 2 * (1 + np.tanh(0.8 * (x + 0.0447 * x**3))))


def tanh(x: Array) -> Array:
    return np.asarray(np.tanh(x))


def wave(x: Array) -> Array:
    return np.asarray(np.sin(40 * x))


def noise(x: Array) -> Array:
    return np.random.default_rng(0).normal(size=x.size)


def stairs(x: Array) -> Array:
    return np.asarray(np.floor(4 * x) / 4)


def in_lines(function: Function) -> Function:
    """The function between 17 points, as `--approx pwl` leaves it."""

    def found(x: Array) -> Array:
        points = np.linspace(x[0], x[-1], 17)
        return np.interp(x, points, function(points))

    return found


def steps_of(function: Function, bits: int, *, signed: bool = True) -> StepFunction:
    """From -8 to 8, in as many bits of results."""
    low = -(1 << (bits - 1)) if signed else 0
    x = np.arange(1 << bits) + low
    y = function(x * (16 / (1 << bits)))
    return StepFunction.of(
        Range(int(x[0]), int(x[-1])), np.rint(y / np.abs(y).max() * (x[-1] // 2)).astype(np.int64)
    )


def leaky(bits: int) -> StepFunction:
    """Slopes of one digit, rounded down."""
    return StepFunction.of(
        Range(-(1 << (bits - 1)), (1 << (bits - 1)) - 1), lambda x: np.where(x < 0, x >> 3, x)
    )


# --- the choice


@pytest.mark.parametrize(
    ("steps", "op"),
    [
        (steps_of(gelu, 8), "ActcTable"),
        (steps_of(stairs, 6), "ActcTable"),
        (steps_of(np.sign, 12), "ActcThresholds"),
        (steps_of(gelu, 10), "ActcBipartite"),
        (steps_of(in_lines(gelu), 12), "ActcBipartite"),
        (steps_of(tanh, 12), "ActcPiecewiseLinear"),
        (steps_of(in_lines(gelu), 16), "ActcPiecewiseLinear"),
        (steps_of(in_lines(tanh), 16, signed=False), "ActcPiecewiseLinear"),
        (steps_of(noise, 12), "ActcTable"),
        (steps_of(stairs, 16), "ActcSearch"),
        (leaky(16), "ActcShiftedLines"),
    ],
)
def test_the_form_of_a_function(steps: StepFunction, op: str) -> None:
    (layer,) = layers_of(Chain((steps,)), steps.range)
    assert layer.op == op
    every = inputs_of(steps)
    np.testing.assert_array_equal(evaluate_layer(layer, every), steps.evaluate(every))
    assert layer.result == steps.hull


def layers_of(chain: Chain, range: Range) -> list[HlsLayer]:
    return function_layers(chain, range, "f", "x", (1,), lambda name: name)


def inputs_of(steps: StepFunction) -> Array:
    return np.arange(steps.range.low, steps.range.high + 1)


def test_sums_of_many_values_are_requantized() -> None:
    """And the function behind that has the form of its own."""
    codes, sums = Range(-2048, 2047), Range(-(1 << 20), 1 << 20)
    scaling = Requantization(9000, 22, 0, codes.low, codes.high)
    rest = steps_of(tanh, 12)
    whole = scaling(sums).then(rest)
    chain = Chain.of([whole], [(scaling, rest.cut)], [(1, 0)])
    layers = layers_of(chain, sums)
    assert [layer.op for layer in layers] == ["ActcRequantize", "ActcPiecewiseLinear"]
    given = np.concatenate([whole.starts, whole.starts[1:] - 1])
    found = given
    for layer in layers:
        found = evaluate_layer(layer, found)
    np.testing.assert_array_equal(found, whole.evaluate(given))


def test_channels_that_differ_share_no_fit() -> None:
    rows = (steps_of(gelu, 12), steps_of(tanh, 12))
    (layer,) = function_layers(Chain(rows), rows[0].range, "f", "x", (2,), lambda name: name)
    assert layer.op == "ActcSearch"  # tables of both have more entries than a layer may
    found = evaluate_layer(layer, np.stack([inputs_of(rows[0])] * 2, axis=1))
    for channel, steps in enumerate(rows):
        np.testing.assert_array_equal(found[:, channel], steps.evaluate(inputs_of(steps)))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("function", [gelu, tanh, wave, noise, stairs])
def test_every_form_is_the_function(function: Function, bits: int) -> None:
    """The range of codes need not be of all their bits."""
    whole = steps_of(function, bits)
    low, high = whole.range.low + 3, whole.range.high - 300
    for steps in (whole, whole.cut(Range(low, high))):
        every = inputs_of(steps)
        for (form,) in ways(Chain((steps,)), steps.range):
            found = evaluate_layer(form.layer("f", "x", (1,)), every)
            np.testing.assert_array_equal(found, steps.evaluate(every), form.name)


def test_two_tables_are_small() -> None:
    steps = steps_of(gelu, 12)
    pairs = [form for form in fitted_forms(steps) if form.op == "ActcBipartite"]
    assert pairs
    for form in pairs:
        bits = sum(array(form, name).size * form.types[name].width for name in form.types)
        assert LEAST_SAVED * bits <= 4096 * steps.hull.width


def test_functions_of_few_or_many_inputs_are_not_fitted() -> None:
    assert not fitted_forms(steps_of(gelu, 9))
    wide = Range(-(1 << 16), (1 << 16) - 1)
    assert not fitted_forms(StepFunction.of(wide, lambda x: x // 3))
    assert not fitted_forms(StepFunction.of(Range(0, 1023), lambda x: x << 15))


@pytest.mark.parametrize("name", ["limits", "slopes", "digits", "offsets", "initial", "offset"])
def test_a_wrong_constant_is_found(name: str) -> None:
    """By the check that each fit goes through."""
    steps = leaky(10) if name == "digits" else steps_of(gelu, 10)
    (form,) = [form for form in fitted_forms(steps) if name in form.attributes][:1]
    changed = array(form, name).copy()
    changed.flat[0] += 1 if name in ("limits", "slopes", "digits") else 32  # with guard bits
    check(form, steps)
    with pytest.raises(ValueError, match=form.name):
        check(replace(form, attributes={**form.attributes, name: changed}), steps)


def array(form: Form, name: str) -> Array:
    found = form.attributes[name]
    assert isinstance(found, np.ndarray)
    return found


# --- the C++


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("backend", "io"), [("Vitis", "parallel"), ("Vitis", "stream"), ("Quartus", "stream")]
)
def test_cpp_of_all_forms(backend: str, io: str, tmp_path: Path) -> None:
    network, given, expected = of_all_forms(12)
    assert {layer.op for layer in network.layers} >= {
        "ActcBipartite", "ActcPiecewiseLinear", "ActcShiftedLines", "ActcSearch", "ActcTable",
    }  # fmt: skip
    np.testing.assert_array_equal(evaluate(network, given).ravel(), expected)
    found = simulated(network, Options(backend, io), given, tmp_path)
    np.testing.assert_array_equal(found.ravel(), expected)
    if backend == "Vitis":  # which reads its constants as it runs
        changed_constants_are_found(network, given, expected, tmp_path)


def changed_constants_are_found(
    network: HlsNetwork, given: Array, expected: Array, folder: Path
) -> None:
    for name, change in _CHANGES.items():
        files = (folder / PROJECT / "firmware/weights").glob(f"{name}[0-9]*.txt")
        file = max(files, key=lambda path: path.stat().st_size)
        text = file.read_text("utf-8")
        first, *rest = text.split(",")
        file.write_text(",".join([str(int(first) ^ change), *rest]), "utf-8")
        found = run_bench(network, folder / PROJECT, folder / "bench", given, folder)
        assert not np.array_equal(found.ravel(), expected), name
        file.write_text(text, "utf-8")


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize(("backend", "bits"), [*((name, 10) for name in BACKENDS), ("Vitis", 16)])
def test_more_cpp_of_all_forms(backend: str, bits: int, io: str, tmp_path: Path) -> None:
    network, given, expected = of_all_forms(bits)
    found = simulated(network, Options(backend, io), given, tmp_path)
    np.testing.assert_array_equal(found.ravel(), expected)


def of_all_forms(bits: int) -> tuple[HlsNetwork, Array, Array]:
    """A network of forms, added up with factors; all inputs, and its outputs."""
    smooth, pieces, bent = steps_of(gelu, bits), steps_of(in_lines(tanh), bits), leaky(bits)
    forms = [(pieces, form) for form in fitted_forms(pieces) if form.op != "ActcShiftedLines"][:2]
    forms += [(smooth, form) for form in fitted_forms(smooth) if form.op == "ActcPiecewiseLinear"]
    if bits <= MOST_TABLED.bit_length():  # g++ takes minutes for larger ones
        forms += [(pieces, form) for form in plain_forms((pieces,), pieces.range)]
        forms += [(smooth, fitted_forms(smooth)[-1])]  # a table and its compression
    forms += [(bent, form) for form in fitted_forms(bent) if form.op == "ActcShiftedLines"]
    every = inputs_of(pieces)
    network = network_of([form for _, form in forms], pieces.range, _ELEMENTS)
    outputs = added([steps.evaluate(every) for steps, _ in forms])
    return network, every.reshape(-1, _ELEMENTS), outputs


def added(values: Sequence[Array]) -> Array:
    total = values[0]
    for number, value in enumerate(values[1:], 2):
        total = total + number * value
    return total


def network_of(forms: Sequence[Form], range: Range, count: int) -> HlsNetwork:
    shape = (count,)
    read = [form.layer(f"unit{k}", "net_in", shape) for k, form in enumerate(forms)]
    layers, last = [read[0]], read[0]
    for number, unit in enumerate(read[1:], 2):
        result = last.result + unit.result * Range(number, number)
        inputs = (last.name, unit.name)
        attributes = {"first": 1, "second": number}
        last = HlsLayer(f"sum{number}", "ActcSum", inputs, shape, result, attributes)
        layers += [unit, last]
    return HlsNetwork("net", "net_in", shape, range, tuple(layers))
