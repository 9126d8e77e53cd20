"""The catalogue's functions as ONNX operators, and small networks of them with given formats.

The float64 definitions of the catalogue are run on a :class:`Traced` value, which notes what
numpy and scipy are asked for and writes the ONNX operators for it. Constants are float32, as in
any exported model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from scipy import special

from actc.approx.catalogue import CatalogueEntry

Array = np.ndarray[Any, Any]
OPSET = 21


class Graph:
    """Nodes and constants of a graph that is being written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, kind: Any = np.float32) -> str:
        """A constant's name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(self, op: str, *inputs: Any, **attributes: Any) -> Traced:
        """The result of an operator; numbers among the inputs become constants."""
        names = [x.name if isinstance(x, Traced) else self.constant(x) for x in inputs]
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [name], name=f"{op}{name}", **attributes))
        return Traced(self, name)


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A value of a graph, which numpy takes for an array."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc.__name__ not in UFUNCS:
            return NotImplemented
        return UFUNCS[ufunc.__name__](self.graph, *inputs)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if options or function.__name__ not in FUNCTIONS:
            return NotImplemented
        return FUNCTIONS[function.__name__](self.graph, *inputs)


Emit = Callable[..., Any]


def _plain(op: str) -> Emit:
    return lambda g, *inputs: g.node(op, *inputs)


def _logaddexp(g: Graph, a: Any, b: Any) -> Any:
    if not isinstance(a, Traced) and a == 0.0:
        return g.node("Softplus", b)
    return np.maximum(a, b) + np.log(1.0 + np.exp(-np.abs(a - b)))


def _maximum(g: Graph, a: Any, b: Any) -> Any:
    return g.node("Relu", a) if not isinstance(b, Traced) and b == 0.0 else g.node("Max", a, b)


def _power(g: Graph, x: Any, y: Any) -> Any:
    return x * x if not isinstance(y, Traced) and y == 2 else g.node("Pow", x, y)


def _arctan2(g: Graph, y: Any, x: Any) -> Any:
    if isinstance(y, Traced) or y <= 0:
        return NotImplemented
    return 0.5 * np.pi - g.node("Atan", x / y)


def _erfcx(g: Graph, x: Any) -> Any:
    """exp(x^2) erfc(x); from 2 on its continued fraction, as erfc vanishes there."""
    near, far = np.minimum(x, 2.0), np.maximum(x, 2.0)
    fraction = far
    for k in range(40, 0, -1):
        fraction = far + 0.5 * k / fraction
    small = np.exp(near * near) * (1.0 - g.node("Erf", near))
    return np.where(x > 2.0, 1.0 / (math.sqrt(math.pi) * fraction), small)


def _sinc(g: Graph, x: Any) -> Any:
    zero = x == 0.0
    turn = np.pi * np.where(zero, 1.0, x)
    return np.where(zero, 1.0, np.sin(turn) / turn)


UFUNCS: dict[str, Emit] = {
    **{
        name: _plain(op)
        for name, op in (
            ("add", "Add"), ("subtract", "Sub"), ("multiply", "Mul"), ("divide", "Div"),
            ("negative", "Neg"), ("absolute", "Abs"), ("minimum", "Min"),
            ("exp", "Exp"), ("log", "Log"), ("tanh", "Tanh"), ("sin", "Sin"), ("cos", "Cos"),
            ("tan", "Tan"), ("sqrt", "Sqrt"), ("sign", "Sign"), ("rint", "Round"),
            ("floor", "Floor"), ("ceil", "Ceil"), ("sinh", "Sinh"), ("cosh", "Cosh"),
            ("arctan", "Atan"), ("arcsin", "Asin"), ("arcsinh", "Asinh"),
            ("erf", "Erf"), ("expit", "Sigmoid"), ("greater", "Greater"), ("less", "Less"),
            ("greater_equal", "GreaterOrEqual"), ("less_equal", "LessOrEqual"),
            ("equal", "Equal"), ("bitwise_and", "And"), ("logical_and", "And"),
        )
    },
    "expm1": lambda g, x: np.exp(x) - 1.0,
    "log1p": lambda g, x: np.log(1.0 + x),
    "exp2": lambda g, x: g.node("Pow", 2.0, x),
    "square": lambda g, x: x * x,
    "reciprocal": lambda g, x: 1.0 / x,
    "power": _power,
    "maximum": _maximum,
    "hypot": lambda g, a, b: np.sqrt(a * a + b * b),
    "copysign": lambda g, a, b: np.abs(a) * np.sign(b),
    "arctan2": _arctan2,
    "logaddexp": _logaddexp,
    "erfc": lambda g, x: 1.0 - special.erf(x),
    "erfcx": _erfcx,
    "ndtr": lambda g, x: 0.5 * (1.0 + special.erf(x / math.sqrt(2.0))),
}  # fmt: skip
"""numpy's or scipy's name -> what writes it."""

FUNCTIONS: dict[str, Emit] = {
    "where": _plain("Where"),
    "clip": lambda g, x, low, high: g.node("Clip", x, low, high),
    "sinc": _sinc,
}
"""The same of functions that are no ufuncs."""


NATIVE: dict[str, tuple[str, dict[str, float]]] = {
    "ReLU": ("Relu", {}), "HeLU": ("Relu", {}), "LeakyReLU": ("LeakyRelu", {"alpha": 0.01}),
    "PReLU": ("LeakyRelu", {"alpha": 0.25}), "RReLU": ("LeakyRelu", {"alpha": 11 / 48}),
    "ELU": ("Elu", {"alpha": 1.0}), "CELU": ("Elu", {"alpha": 1.0}), "SELU": ("Selu", {}),
    "Softsign": ("Softsign", {}), "JumpReLU": ("ThresholdedRelu", {"alpha": 0.5}),
    "ThresholdedReLU": ("ThresholdedRelu", {"alpha": 1.0}),
}  # fmt: skip
"""Functions that are one operator of ONNX, though their definitions say it with others."""


def write_function(
    graph: Graph, entry: CatalogueEntry, x: Traced, *, native: bool = False
) -> Traced:
    """The function with its usual parameters, as operators.

    Args:
        native: as one operator, where ONNX has it.
    """
    if native and entry.name in NATIVE:
        op, attributes = NATIVE[entry.name]
        return graph.node(op, x, **attributes)
    evaluate: Callable[..., Any] = entry.evaluate
    found: Traced = evaluate(x, *entry.defaults)
    return found
