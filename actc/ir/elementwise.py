"""ONNX's elementwise operators, evaluated in float64.

A recognized activation is a sub-graph of these; :func:`evaluate` is its exact
mathematical function (the model's own constants, no float32 rounding between the
steps). Semantics follow the ONNX operator documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from scipy import special

from actc.ir.graph import constant

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, Any]
Evaluator = Callable[[list[Array | None], Attributes], Array]


def _unary(function: Callable[[Array], Array]) -> Evaluator:
    return lambda inputs, attributes: function(_given(inputs[0]))


def _binary(function: Callable[[Array, Array], Array]) -> Evaluator:
    return lambda inputs, attributes: function(_given(inputs[0]), _given(inputs[1]))


def _variadic(function: Callable[[Array, Array], Array]) -> Evaluator:
    def run(inputs: list[Array | None], attributes: Attributes) -> Array:
        result = _given(inputs[0])
        for other in inputs[1:]:
            result = function(result, _given(other))
        return result

    return run


def _given(array: Array | None) -> Array:
    if array is None:
        raise ValueError("a required input is absent")
    return array


def _scaled_exp(x: Array, alpha: float) -> Array:
    return alpha * np.expm1(np.minimum(x, 0.0))


def _celu(inputs: list[Array | None], attributes: Attributes) -> Array:
    x, alpha = _given(inputs[0]), attributes.get("alpha", 1.0)
    negative = np.minimum(0.0, alpha * np.expm1(np.minimum(x, 0.0) / alpha))
    return np.asarray(np.maximum(x, 0.0) + negative)


def _elu(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    return np.where(x > 0, x, _scaled_exp(x, attributes.get("alpha", 1.0)))


def _selu(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    alpha = attributes.get("alpha", 1.67326319217681884765625)
    gamma = attributes.get("gamma", 1.05070102214813232421875)
    return np.asarray(gamma * np.where(x > 0, x, _scaled_exp(x, alpha)))


def _gelu(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    if attributes.get("approximate", "none") == "tanh":
        inner = np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1.0 + np.tanh(inner)))
    return np.asarray(0.5 * x * (1.0 + special.erf(x / np.sqrt(2.0))))


def _clip(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    low = inputs[1] if len(inputs) > 1 else None
    high = inputs[2] if len(inputs) > 2 else None
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _shrink(inputs: list[Array | None], attributes: Attributes) -> Array:
    x, bias, lambd = _given(inputs[0]), attributes.get("bias", 0.0), attributes.get("lambd", 0.5)
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


def _leaky(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    return np.where(x < 0, attributes.get("alpha", 0.01) * x, x)


def _prelu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, slope * x, x)


def _hard_sigmoid(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    line = attributes.get("alpha", 0.2) * x + attributes.get("beta", 0.5)
    return np.asarray(np.clip(line, 0.0, 1.0))


def _thresholded(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    return np.where(x > attributes.get("alpha", 1.0), x, 0.0)


def _swish(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    return np.asarray(x * special.expit(attributes.get("alpha", 1.0) * x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _cast(inputs: list[Array | None], attributes: Attributes) -> Array:
    x, to = _given(inputs[0]), ir.DataType(attributes["to"])
    if to == ir.DataType.BOOL:
        return np.asarray(x != 0)
    if to.is_floating_point():
        return x.astype(np.float64)
    return np.trunc(x).astype(np.float64) if x.dtype != np.bool_ else x.astype(np.float64)


def _modulo(inputs: list[Array | None], attributes: Attributes) -> Array:
    x, y = _given(inputs[0]), _given(inputs[1])
    return np.fmod(x, y) if attributes.get("fmod", 0) else np.mod(x, y)


def _is_infinite(inputs: list[Array | None], attributes: Attributes) -> Array:
    x = _given(inputs[0])
    positive = attributes.get("detect_positive", 1) and np.isposinf(x)
    negative = attributes.get("detect_negative", 1) and np.isneginf(x)
    return np.asarray(np.logical_or(positive, negative))


EVALUATORS: dict[str, Evaluator] = {
    "Abs": _unary(np.abs),
    "Acos": _unary(np.arccos),
    "Acosh": _unary(np.arccosh),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Asin": _unary(np.arcsin),
    "Asinh": _unary(np.arcsinh),
    "Atan": _unary(np.arctan),
    "Atanh": _unary(np.arctanh),
    "Cast": _cast,
    "Ceil": _unary(np.ceil),
    "Celu": _celu,
    "Clip": _clip,
    "Cos": _unary(np.cos),
    "Cosh": _unary(np.cosh),
    "Div": _binary(np.divide),
    "Elu": _elu,
    "Equal": _binary(np.equal),
    "Erf": _unary(special.erf),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Gelu": _gelu,
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _unary(lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0)),
    "Identity": _unary(lambda x: x),
    "IsInf": _is_infinite,
    "IsNaN": _unary(np.isnan),
    "LeakyRelu": _leaky,
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "Max": _variadic(np.maximum),
    "Mean": lambda inputs, attributes: _variadic(np.add)(inputs, attributes) / len(inputs),
    "Min": _variadic(np.minimum),
    "Mish": _unary(lambda x: x * np.tanh(_softplus(x))),
    "Mod": _modulo,
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "PRelu": _binary(_prelu),
    "Pow": _binary(np.power),
    "Reciprocal": _unary(np.reciprocal),
    "Relu": _unary(lambda x: np.maximum(x, 0.0)),
    "Round": _unary(np.rint),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _unary(special.expit),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Sinh": _unary(np.sinh),
    "Softplus": _unary(_softplus),
    "Softsign": _unary(lambda x: x / (1.0 + np.abs(x))),
    "Sqrt": _unary(np.sqrt),
    "Sub": _binary(np.subtract),
    "Sum": _variadic(np.add),
    "Swish": _swish,
    "Tan": _unary(np.tan),
    "Tanh": _unary(np.tanh),
    "ThresholdedRelu": _thresholded,
    "Where": lambda inputs, attributes: np.where(
        _given(inputs[0]), _given(inputs[1]), _given(inputs[2])
    ),
    "Xor": _binary(np.logical_xor),
}
"""Operator type -> float64 evaluation of (inputs, attributes)."""


def is_elementwise(node: ir.Node) -> bool:
    """Whether `node` is an elementwise operator of ONNX's own domain, with one output."""
    return node.domain == "" and node.op_type in EVALUATORS and len(node.outputs) == 1


def attributes_of(node: ir.Node) -> dict[str, Any]:
    """The node's plain attributes by name."""
    return {name: a.value for name, a in node.attributes.items() if isinstance(a, ir.Attr)}


def evaluate(nodes: Iterable[ir.Node], known: Mapping[ir.Value, Array], output: ir.Value) -> Array:
    """Evaluate a sub-graph of elementwise nodes in float64.

    Args:
        nodes: in topological order; Constant nodes are allowed.
        known: arrays of the sub-graph's inputs.
        output: the wanted value.

    Returns:
        float64 (or bool) array; NaN and infinity where the function has them.
    """
    values: dict[ir.Value, Array] = dict(known)
    with np.errstate(all="ignore"):
        for node in nodes:
            if node.op_type == "Constant":
                array = constant(node.outputs[0])
                assert array is not None
                values[node.outputs[0]] = _promote(array)
                continue
            inputs = [None if v is None else _lookup(values, v) for v in node.inputs]
            values[node.outputs[0]] = EVALUATORS[node.op_type](inputs, attributes_of(node))
    return values[output]


def _lookup(values: Mapping[ir.Value, Array], value: ir.Value) -> Array:
    found = values.get(value)
    if found is not None:
        return found
    array = constant(value)
    if array is None:
        raise KeyError(f"value '{value.name}' is not part of the function")
    return _promote(array)


def _promote(array: Array) -> Array:
    return array if array.dtype == np.bool_ else array.astype(np.float64)
