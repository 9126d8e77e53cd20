"""Networks with thresholds of the sample's own, spelled in many ways, and their exact bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

from actc.ir.execute import Session

Array = np.ndarray[Any, Any]

CHANNELS, OUTPUTS = 8, 4


@dataclass(frozen=True)
class Norm:
    """A batch norm, and the threshold a + b * mean(y^power) of what it gives.

    Attributes:
        gamma, beta, mean, variance, a, b: float32 [C].
        epsilon: of the batch norm.
    """

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    a: Array
    b: Array
    epsilon: float


def norm(seed: int, dyadic: Array) -> Norm:
    """Numbers of both signs, and a gamma of 0.

    Args:
        dyadic: bool [C], channels with numbers of a few bits; where there are some, epsilon is 0.
    """
    generator, channels = np.random.default_rng(seed), len(dyadic)

    def numbers(scale: float, step: float) -> Array:
        few = generator.integers(-2, 3, channels) * step
        found: Array = np.where(dyadic, few, generator.normal(0, scale, channels))
        return found.astype(np.float32)

    gamma = np.float32(np.where(dyadic, generator.choice([-1, 1], channels), numbers(1, 1)))
    gamma[channels // 4] = 0
    spread = np.where(
        dyadic, generator.choice([1, 4], channels), generator.uniform(2, 30, channels)
    )
    return Norm(
        gamma,
        numbers(1, 1),
        numbers(2, 1),
        np.float32(spread),
        numbers(0.5, 0.5),
        numbers(0.5, 0.5),
        0.0 if dyadic.any() else 1e-5,
    )


def tied(n: Norm, dyadic: Array, acc: Array, power: int) -> Norm:
    """The same with offsets `a` at which the margin of some element is exactly 0."""
    margins = exact_margins(acc, n, power)
    a = n.a.copy()
    for channel in np.flatnonzero(dyadic):
        own = np.atleast_1d(margins[channel % len(acc), channel]).reshape(-1)
        a[channel] = np.float32(float(own[len(own) // 2] + Fraction(float(a[channel]))))
    return replace(n, a=a)


def exact_margins(acc: Array, n: Norm, power: int, gain: Any = None) -> Array:
    """y - a - b * mean(y^power) in fractions, y the batch norm of sums [N, C, ...] times gain."""
    shape = (-1, *([1] * (acc.ndim - 2)))

    def of(numbers: Array) -> Array:
        return np.array([Fraction(float(v)) for v in numbers], object).reshape(shape)

    deviation = np.float32(np.sqrt(n.variance.astype(np.float64) + np.float32(n.epsilon).item()))
    whole = np.vectorize(Fraction, otypes=[object])(acc.astype(object))
    if gain is not None:
        whole = whole * of(np.asarray(gain))
    y = (whole - of(n.mean)) * of(n.gamma) / of(deviation) + of(n.beta)
    axes = tuple(range(2, acc.ndim)) or (1,)
    count = int(np.prod([acc.shape[axis] for axis in axes]))
    mean = (y**power).sum(axis=axes, keepdims=True) / count
    return np.asarray(y - of(n.a) - of(n.b) * mean)


CONV = {
    "mul, input axes": """
      y2 = Mul (y, y)  y3 = Mul (y2, y)  m = ReduceMean (y3, axes)
      s = Sub (y, a)  t = Mul (b, m)  z = Sub (s, t)
      c = GreaterOrEqual (z, zero)  w = Where (c, one, minus)""",
    "pow, sum, other side": """
      y3 = Pow (y, three)  total = ReduceSum (y3, axes)  m = Div (total, count)
      t = Mul (m, b)  threshold = Add (t, a)
      c = Less (y, threshold)  w = Where (c, minus, one)""",
    "global pool": """
      y2 = Mul (y, y)  y3 = Mul (y, y2)  m = GlobalAveragePool (y3)
      n = Neg (m)  t = Mul (n, b)  s = Sub (t, a)  z = Add (y, s)
      d = Neg (z)  c = LessOrEqual (d, zero)  w = Where (c, one, minus)""",
    "flat statistic": """
      y3 = Pow (y, three)  m = ReduceMean <keepdims = 0> (y3, axes)  t = Mul (m, b_flat)
      u = Add (t, a_flat)  threshold = Unsqueeze (u, axes)
      c = GreaterOrEqual (y, threshold)  f = Cast <to = 1> (c)  e = Mul (f, two)
      w = Sub (e, one)""",
    "sign of a sign": """
      y2 = Mul (y, y)  y3 = Mul (y2, y)  m = ReduceMean (y3, axes)  t = Mul (m, b)
      u = Sum (t, a)  z = Sub (y, u)  z2 = Mul (z, two)
      first = Sign (z2)  raised = Add (first, tenth)  w = Sign (raised)""",
}
"""From y to the sign w, the third power."""

DENSE = {
    "mean of features": """
      y2 = Mul (y, y)  y3 = Mul (y2, y)  m = ReduceMean (y3, axes)
      s = Sub (y, a)  t = Mul (b, m)  z = Sub (s, t)
      c = GreaterOrEqual (z, zero)  w = Where (c, one, minus)""",
    "flat sum": """
      y3 = Pow (y, three)  f = ReduceSum <keepdims = 0> (y3, axes)  m = Unsqueeze (f, axes)
      n = Div (m, count)  t = Mul (n, b)  u = Add (a, t)
      c = Less (y, u)  w = Where (c, minus, one)""",
}
NORMS = {
    "norm": "y = BatchNormalization <epsilon = {epsilon}> (x, gamma, beta, mean, variance)",
    "spelled": """p = Sub (x, mean_c)  q = Mul (p, gamma_c)  r = Div (q, deviation)
      y = Add (r, beta_c)""",
}


def network(
    middle: str,
    n: Norm,
    *,
    power: int = 3,
    dense: bool = False,
    spelled: bool = False,
    seed: int = 0,
) -> onnx.ModelProto:
    """Signs of the input, a layer of signs, the batch norm and sign, another layer of signs."""
    generator = np.random.default_rng(seed)
    channels = len(n.gamma)
    spatial = () if dense else (1, 1)
    side = "N, 9" if dense else "N, 2, 6, 6"
    layer, last = ("MatMul", "MatMul (w, w2)") if dense else (
        "Conv", "Conv <kernel_shape = [3, 3]> (w, w2)")  # fmt: skip
    if power == 1:
        middle = middle.replace("y3 = Mul (y2, y)", "y3 = Identity (y)")
        middle = middle.replace("y3 = Mul (y, y2)", "y3 = Identity (y)")
        middle = middle.replace("Pow (y, three)", "Identity (y)")
    batch = NORMS["spelled" if spelled else "norm"].format(epsilon=n.epsilon or "0.0")
    model = parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 20]>
        net (float[{side}] image) => (float[{"N, 4" if dense else "N, 4, 2, 2"}] scores) {{
          bright = GreaterOrEqual (image, half)
          x0 = Where (bright, one, minus)
          x = {layer} (x0, w1)
          {batch}
          {middle}
          scores = {last}
        }}"""
    )
    shape = (-1, *spatial)
    deviation = np.float32(np.sqrt(n.variance.astype(np.float64) + np.float32(n.epsilon).item()))
    first = (9, channels) if dense else (channels, 2, 3, 3)
    second = (channels, OUTPUTS) if dense else (OUTPUTS, channels, 3, 3)
    held: dict[str, Any] = {
        "half": 0.5, "one": 1.0, "minus": -1.0, "zero": 0.0, "two": 2.0, "three": 3.0,
        "tenth": 0.1, "count": float(channels if dense else 16),
        "w1": generator.choice([-1.0, 1.0], first), "w2": generator.choice([-1.0, 1.0], second),
        "a": n.a.reshape(shape), "b": n.b.reshape(shape), "a_flat": n.a, "b_flat": n.b,
        "gamma": n.gamma, "beta": n.beta, "mean": n.mean, "variance": n.variance,
        "gamma_c": n.gamma.reshape(shape), "beta_c": n.beta.reshape(shape),
        "mean_c": n.mean.reshape(shape), "deviation": deviation.reshape(shape),
    }  # fmt: skip
    used = {name for node in model.graph.node for name in node.input}
    for name, array in held.items():
        if name in used:
            model.graph.initializer.append(numpy_helper.from_array(np.float32(array), name))
    if "axes" in used:
        axes = np.array([1] if dense else [2, 3])
        model.graph.initializer.append(numpy_helper.from_array(axes, "axes"))
    onnx.checker.check_model(model, full_check=True)
    return model


def images(dense: bool, count: int = 40, seed: int = 0) -> Array:
    """Bytes / 255."""
    shape = (count, 9) if dense else (count, 2, 6, 6)
    codes: Array = np.random.default_rng(seed).integers(0, 256, shape)
    bright: Array = codes.astype(np.float32) / np.float32(255)
    return bright


def sums_and_codes(golden: onnx.ModelProto, x: Array) -> tuple[Array, Array]:
    """Accumulators that the golden model's first unit reads, and its codes."""
    node = next(node for node in golden.graph.node if node.op_type == "InstanceSteps")
    name = golden.graph.input[0].name
    found = Session(golden, [node.input[0], node.output[0]]).run({name: x})
    return found[node.input[0]], found[node.output[0]]
