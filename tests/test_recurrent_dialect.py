"""Recurrent operators of the dialect: their ONNX bodies equal the numpy specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import parser

from actc.ir import dialect, spec

Array = np.ndarray[Any, Any]

TYPES = {
    np.float32: "float",
    np.uint16: "uint16",
    np.int8: "int8",
    np.int16: "int16",
    np.int32: "int32",
}
GATES = {"IntLstm": 4, "IntGru": 3, "IntGruResetBefore": 3, "IntRnn": 1}
SIZES = [(1, 1, 1), (20, 3, 17)]
"""Steps, batch, hidden units."""


def _scalar(value: int) -> Array:
    return np.array(value, np.int32)


def _tables(rng: np.random.Generator, entries: int, smooth: bool) -> tuple[Array, Array]:
    if not smooth:  # any numbers: the interpolation may not depend on what a sigmoid looks like
        gate = rng.integers(0, 2**15 + 1, entries + 1)
        cell = rng.integers(-(2**15) + 1, 2**15, entries + 1)
    else:
        x = np.linspace(-8, 8, entries + 1)
        gate, cell = np.rint(2**15 / (1 + np.exp(-2 * x))), np.rint((2**15 - 1) * np.tanh(x))
    return gate.astype(np.uint16), cell.astype(np.int16)


def arguments(name: str, size: tuple[int, int, int], seed: int, smooth: bool) -> dict[str, Array]:
    """Random inputs of an operator; multipliers and sums fill the range that is exact."""
    steps, batch, hidden = size
    rng, width = np.random.default_rng(seed), GATES[name] * hidden
    gate, cell = _tables(rng, 2 ** int(rng.integers(2, 9)), smooth)
    step_bits = int(rng.integers(0, 8))
    shift = int(rng.integers(20, 43))
    # Pre-activations that fill the tables, or (seed 2) products that fill the exact range.
    steps_in_table = (len(gate) - 1) << step_bits
    most = 2**24 if seed == 2 else int(np.clip(steps_in_table * 2.0 ** (shift - 26), 1, 2**22))
    fine = 2**23 if "Gru" in name else 2**15 - 1
    found = {
        "acc": rng.integers(-(2**26), 2**26, (steps, batch, width)).astype(np.int32),
        "h0": rng.integers(-fine, fine + 1, (int(rng.choice([1, batch])), hidden)),
        "c0": rng.integers(1 - 2**24, 2**24, (batch, hidden)),
        "r": rng.integers(-128, 128, (hidden, width)).astype(np.int8),
        "h_bias": rng.integers(-(2**26), 2**26, hidden),
        "x_multiplier": rng.integers(0, most + 1, width),
        "h_multiplier": rng.integers(0, most + 1, width),
        "shift": _scalar(shift),
        "gate_table": gate,
        "cell_table": cell,
        "step_bits": _scalar(step_bits),
        "cell_bits": _scalar(int(rng.integers(15, 25))),
        "cell_shift": _scalar(int(rng.integers(0, 12))),
    }
    kept = INPUTS[name]
    return {
        key: found[key].astype(np.int32) if found[key].dtype == np.int64 else found[key]
        for key in kept
    }


_TAIL = ("x_multiplier", "h_multiplier", "shift")
INPUTS = {
    "IntLstm": (
        "acc", "h0", "c0", "r", *_TAIL, "gate_table", "cell_table", "step_bits", "cell_bits",
        "cell_shift",
    ),
    "IntGru": ("acc", "h0", "r", "h_bias", *_TAIL, "gate_table", "cell_table", "step_bits"),
    "IntRnn": ("acc", "h0", "r", *_TAIL, "cell_table", "step_bits"),
}  # fmt: skip
INPUTS["IntGruResetBefore"] = INPUTS["IntGru"]


def model_of(
    name: str, arrays: dict[str, Array], outputs: list[str], attributes: str
) -> onnx.ModelProto:
    inputs = ", ".join(
        f"{TYPES[a.dtype.type]}{list(a.shape) if a.ndim else ''} {key}" for key, a in arrays.items()
    )
    ranks = {"y": "[t,n,h]", "h": "[n,h]", "c": "[n,h]"}
    results = ", ".join(f"int32{ranks[o]} {o}" for o in outputs)
    # Names in the call differ from those in the body, as in a file that actc writes.
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21, "actc" : 1]>\n'
        f"g ({inputs}) => ({results})"
        f" {{ {', '.join(outputs)} = actc.{name} {attributes} ({', '.join(arrays)}) }}"
    )
    model.functions.append(dialect.function_proto(name))
    onnx.checker.check_model(model, full_check=True)
    return model


def both(model: onnx.ModelProto, feeds: dict[str, Array]) -> dict[str, Array]:
    """The outputs, which onnxruntime and the specification must agree on."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = spec.run(model, feeds)
    got = dict(zip(expected, session.run(list(expected), feeds), strict=True))
    for key, array in expected.items():
        assert got[key].dtype == array.dtype == np.int32
        np.testing.assert_array_equal(got[key], array)
    return got


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", GATES)
def test_body_equals_reference(name: str, size: tuple[int, int, int], reverse: int) -> None:
    outputs = ["y", "h", "c"] if name == "IntLstm" else ["y", "h"]
    for seed in range(3):
        arrays = arguments(name, size, seed, smooth=seed == 0)
        model = model_of(name, arrays, outputs, f"<directions = [{reverse}]>")
        got = both(model, arrays)
        last = got["y"][0 if reverse else -1]
        np.testing.assert_array_equal(got["h"], last)
        inside = np.abs(got["y"]) < np.abs(got["y"]).max()
        assert seed == 2 or got["y"].size == 1 or inside.mean() > 0.5


def test_fixed_point_saturates_and_takes_every_float() -> None:
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3e38, -3e38, 0.5, 1.5, -0.5, 8388607.5]
    x = np.array([*special, *np.linspace(-40, 40, 999)], np.float32)
    arrays = {"x": x, "bits": _scalar(0), "low": _scalar(-30), "high": _scalar(2**24 - 1)}
    for bits in (0, 15, 19, 24):
        arrays["bits"] = _scalar(bits)
        model = parser.parse_model(
            '<ir_version: 10, opset_import: ["" : 21, "actc" : 1]>\n'
            f"g (float[{len(x)}] x, int32 bits, int32 low, int32 high) => (int32[n] y)"
            " { y = actc.FixedPoint (x, bits, low, high) }"
        )
        model.functions.append(dialect.function_proto("FixedPoint"))
        feeds = dict(arrays)
        got = both(model, feeds)["y"]
        np.testing.assert_array_equal(got[:5], [0, 0, 2**24 - 1, -30, 0])
    exact = np.arange(-30, 30) / np.float32(2**19)
    np.testing.assert_array_equal(
        spec.recurrent.fixed_point(
            exact.astype(np.float32), _scalar(19), _scalar(-30), _scalar(30)
        ),
        np.arange(-30, 30),
    )
