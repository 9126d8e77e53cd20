"""The catalogue against independent definitions, and labels."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from actc.approx.catalogue import CATALOGUE, find
from actc.approx.function import Float64Array
from actc.approx.label import CUSTOM, label

POINTS = np.concatenate([np.linspace(-7.93, 8.11, 401), [0.0, 3.0, -3.0, 6.0, 1.0, -1.0]])


def _float32(value: float) -> float:
    return float(np.float32(value))


def _onnx_unary(op: str, x: Float64Array, attributes: dict[str, Any]) -> Float64Array:
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, ["x"], ["y"], **attributes)],
        "g",
        [onnx.helper.make_tensor_value_info("x", kind, ["n"])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n"])],
    )
    opset = [onnx.helper.make_opsetid("", 22)]
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=opset)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.astype(np.float32)})
    return np.asarray(y, np.float64)


@pytest.mark.parametrize(
    ("name", "parameters", "op", "attributes"),
    [
        ("ReLU", (), "Relu", {}),
        ("LeakyReLU", (0.3,), "LeakyRelu", {"alpha": 0.3}),
        ("ThresholdedReLU", (1.25,), "ThresholdedRelu", {"alpha": 1.25}),
        ("ELU", (0.7,), "Elu", {"alpha": 0.7}),
        ("SELU", (), "Selu", {}),
        ("CELU", (1.5,), "Celu", {"alpha": 1.5}),
        ("GELU", (), "Gelu", {}),
        ("TanhGELU", (), "Gelu", {"approximate": "tanh"}),
        ("Mish", (), "Mish", {}),
        ("HardSwish", (), "HardSwish", {}),
        ("HardSigmoid", (0.2, 0.5), "HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
        ("Softplus", (), "Softplus", {}),
        ("Softsign", (), "Softsign", {}),
        ("Softshrink", (0.5,), "Shrink", {"lambd": 0.5, "bias": 0.5}),
        ("Hardshrink", (0.5,), "Shrink", {"lambd": 0.5, "bias": 0.0}),
        ("Erf", (), "Erf", {}),
        ("Tanh", (), "Tanh", {}),
        ("Sigmoid", (), "Sigmoid", {}),
        ("Exp", (), "Exp", {}),
        ("Abs", (), "Abs", {}),
        ("Sign", (), "Sign", {}),
        ("Sine", (), "Sin", {}),
        ("Cosine", (), "Cos", {}),
        ("Round", (), "Round", {}),
    ],
)
def test_definition_equals_the_onnx_operator(
    name: str, parameters: tuple[float, ...], op: str, attributes: dict[str, Any]
) -> None:
    x = POINTS.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(
        find(name).function(*parameters)(x), _onnx_unary(op, x, attributes), rtol=2e-5, atol=2e-6
    )


def _sig(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _elish(x: float) -> float:
    return x * _sig(x) if x >= 0 else (math.exp(x) - 1) * _sig(x)


def _smelu(x: float) -> float:
    return 0.0 if x <= -1 else x if x >= 1 else (x + 1) ** 2 / 4


SCALAR: dict[str, Callable[[float], float]] = {
    "ReLU6": lambda x: min(max(x, 0), 6),
    "SquaredReLU": lambda x: x * x if x > 0 else 0.0,
    "HardTanh": lambda x: -1.0 if x < -1 else 1.0 if x > 1 else x,
    "HardMish": lambda x: x / 2 * min(2, max(0, x + 2)),
    "SmeLU": _smelu,
    "PReLU": lambda x: x if x >= 0 else x / 4,
    "Threshold": lambda x: x if x > 0 else 0.0,
    "Maximum": lambda x: x if x > -1 else -1.0,
    "Minimum": lambda x: x if x < 1 else 1.0,
    "Clip": lambda x: -1.0 if x < -1 else 1.0 if x > 1 else x,
    "LogSigmoid": lambda x: math.log(_sig(x)),
    "TanhShrink": lambda x: x - math.tanh(x),
    "Squareplus": lambda x: (x + math.sqrt(x**2 + 4)) / 2,
    "BentIdentity": lambda x: (math.sqrt(x**2 + 1) - 1) / 2 + x,
    "ISRU": lambda x: x / math.hypot(1, x),
    "ISRLU": lambda x: x if x >= 0 else x / math.hypot(1, x),
    "LeCunTanh": lambda x: 1.7159 * math.tanh(2 / 3 * x),
    "QuickGELU": lambda x: x * _sig(1.702 * x),
    "SiLU": lambda x: x / (1 + math.exp(-x)),
    "Swish": lambda x: x / (1 + math.exp(-x)),
    "GoLU": lambda x: x * math.exp(-math.exp(-x)),
    "TanhExp": lambda x: x * math.tanh(math.exp(x)),
    "LiSHT": lambda x: x * math.tanh(x),
    "ELiSH": _elish,
    "Logish": lambda x: x * math.log(1 + _sig(x)),
    "Smish": lambda x: x * math.tanh(math.log(1 + _sig(x))),
    "Serf": lambda x: x * math.erf(math.log(1 + math.exp(x))),
    "Phish": lambda x: x * math.tanh(x / 2 * (1 + math.erf(x / math.sqrt(2)))),
    "CoLU": lambda x: x / (1 - x * math.exp(-(x + math.exp(x)))),
    "Snake": lambda x: x + (1 - math.cos(2 * x)) / 2,
    "GrowingCosine": lambda x: x * math.cos(x),
    "SPDER": lambda x: math.sin(x) * math.sqrt(abs(x)),
    "SinLU": lambda x: (x + math.sin(x)) * _sig(x),
    "Elephant": lambda x: 1 / (1 + x**4),
    "Gaussian": lambda x: math.exp(-(x**2)),
    "Identity": lambda x: x,
    "Step": lambda x: float(x > 0),
    "Square": lambda x: x**2,
    "Cube": lambda x: x**3,
    "Exp2": lambda x: 2**x,
    "Tan": math.tan,
    "Sinh": math.sinh,
    "Cosh": math.cosh,
    "Arctan": math.atan,
    "Arcsinh": math.asinh,
    "Floor": math.floor,
    "Ceil": math.ceil,
}


@pytest.mark.parametrize("name", SCALAR)
def test_definition_equals_the_formula(name: str) -> None:
    expected = [SCALAR[name](float(x)) for x in POINTS]
    np.testing.assert_allclose(find(name).function()(POINTS), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "scalar"),
    [
        ("Sqrt", math.sqrt),
        ("Rsqrt", lambda x: x**-0.5),
        ("Reciprocal", lambda x: x**-1.0),
        ("Log", math.log),
        ("Log1p", math.log1p),
    ],
)
def test_definition_on_positive_numbers(name: str, scalar: Callable[[float], float]) -> None:
    x = np.geomspace(1e-3, 50, 100)
    np.testing.assert_allclose(find(name).function()(x), [scalar(v) for v in x], rtol=1e-14)


def test_names_are_unique_and_far_values_are_numbers() -> None:
    assert len({entry.name.lower() for entry in CATALOGUE}) == len(CATALOGUE)
    positive_only = {"Sqrt", "Rsqrt", "Log", "Log1p"}
    for entry in CATALOGUE:
        x = np.array([1e-3, 40.0, 700.0])
        x = x if entry.name in positive_only else np.concatenate([-x, x])
        assert np.isfinite(entry.function()(np.array([0.37]))).all()
        assert not np.isnan(entry.function()(x)).any(), entry.name


def test_wrong_number_of_parameters() -> None:
    with pytest.raises(ValueError, match="LeakyReLU takes 1 parameters"):
        find("leakyrelu").function(0.1, 0.2)


def test_every_entry_is_recognized() -> None:
    # the same function under its usual parameters
    same = {"Threshold": "ReLU", "Clip": "HardTanh", "CELU": "ELU", "Swish": "SiLU"}
    same |= {"HeLU": "ReLU", "dReLU": "ReLU", "ShiftedReLU": "Maximum", "FReLU": "ReLU-0.5"}
    same |= {"PELU": "ELU", "MPELU": "ELU", "SuperGaussianUnit": "Gaussian"}
    same |= {"StarReLU": "0.8944*SquaredReLU-0.4472", "ShiftedSoftplus": "Softplus-0.693147"}
    same |= {"ESwish": "1.375*SiLU", "Elliott": "0.5*Softsign+0.5"}
    same |= {"BipolarSigmoid": "2*Sigmoid-1", "DyT": "2*Sigmoid-1"}
    for entry in CATALOGUE:
        expected = same.get(entry.name, entry.name)
        assert label(entry.function().elementwise, []) == expected


ROOT2, ROOT2PI = _float32(math.sqrt(2)), _float32(math.sqrt(2 / math.pi))


@pytest.mark.parametrize(
    ("f", "constants", "expected"),
    [
        (lambda x: x * 0.5 * (1 + special.erf(x / ROOT2)), [0.5, 1.0, ROOT2], "GELU"),
        (
            lambda x: 0.5 * x * (1 + np.tanh(ROOT2PI * (x + _float32(0.044715) * x * x * x))),
            [0.5, 1.0, ROOT2PI, _float32(0.044715)],
            "TanhGELU",
        ),
        (lambda x: x / (1 + np.exp(-x)), [1.0], "SiLU"),
        (lambda x: x * special.expit(_float32(1.3) * x), [_float32(1.3)], "Swish(1.3)"),
        (lambda x: x * special.expit(_float32(1.702) * x), [_float32(1.702)], "QuickGELU"),
        (lambda x: x * np.tanh(np.log(1 + np.exp(x))), [1.0], "Mish"),
        (lambda x: x * np.clip(x + 3, 0, 6) / 6, [3.0, 0.0, 6.0], "HardSwish"),
        (
            lambda x: np.clip(_float32(0.2) * x + 0.5, 0, 1),
            [_float32(0.2), 0.5],
            "HardSigmoid(0.2, 0.5)",
        ),
        (lambda x: np.where(x > 0, x, 0.1 * x), [_float32(0.1)], "LeakyReLU(0.1)"),
        (lambda x: x + np.sin(0.7 * x) ** 2 / 0.7, [_float32(1 / 0.7), 2.0], "Snake(0.7)"),
        (lambda x: 0.5 * np.log1p(np.exp(2 * x)), [2.0, 0.5], "Softplus(2)"),
        (lambda x: np.clip(x, 0, 4), [0.0, 4.0], "Clip(0, 4)"),
        (lambda x: 0.5 * special.expit(x), [0.5], "0.5*Sigmoid"),
        (lambda x: 3 * special.erf(x / ROOT2) - 1, [ROOT2, 3.0], "3*Erf(0.707107*x)-1"),
        (lambda x: 2 * x + 1, [2.0, 1.0], "2*x+1"),
        (lambda x: np.full_like(x, 2.0), [], "Constant"),
        (np.log, [], "Log"),
        (lambda x: np.nan * x, [], CUSTOM),
        (lambda x: (x + 0.3 * x**3) / (1 + 0.2 * x * x), [0.3, 0.2, 1.0, 3.0], CUSTOM),
        (lambda x: x * special.expit(0.7 * x) + 0.3 * np.sin(x), [0.7, 0.3], CUSTOM),
        # close to GELU, but not it
        (lambda x: x * special.expit(1.7 * x), [], CUSTOM),
    ],
)
def test_labels(
    f: Callable[[Float64Array], Float64Array], constants: list[float], expected: str
) -> None:
    assert label(f, constants) == expected


@given(st.floats(0.05, 5.0), st.lists(st.floats(-100, 100), max_size=10))
def test_parameters_are_found_among_other_constants(a: float, others: list[float]) -> None:
    a = _float32(a) if abs(a - 1) > 1e-3 else 1.0
    found = label(lambda x: x + np.sin(a * x) ** 2 / a, [*others[:5], a, *others[5:]])
    name, _, parameter = found.rstrip(")").partition("(")
    # a constant within float32 noise of the parameter may stand for it
    assert name == "Snake"
    assert float(parameter or 1.0) == pytest.approx(a, rel=1e-5)


def test_a_label_takes_milliseconds() -> None:
    constants = list(np.linspace(0.1, 9, 30))
    label(np.tanh, constants)
    times = []
    for _ in range(5):
        start = time.process_time()
        assert label(lambda x: x * x - 0.1 * np.sin(3 * x) + special.expit(x) ** 2, constants)
        times.append(time.process_time() - start)
    assert min(times) < 0.02
