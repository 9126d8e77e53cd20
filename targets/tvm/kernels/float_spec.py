"""What the float32 kernels must compute: plain values, no TVM import.

Float tensors are channels-last like the integer ones, but never padded: a padding
lane could hold a NaN, which no zero weight removes.

`float_ops.py` implements this file:

- ``float_conv_prim_func(spec, features, name)``: the PrimFunc of a `FloatConvSpec`;
- ``pack_float_weight(weight, spec, features)``: float32 (O, C/g, kh, kw) to the
  one-dimensional array that it reads;
- ``apply_function(function, values)``: a `ScalarFunction` as a TIR expression, on
  scalars or vectors of float32, accurate to a few ulp and without library calls;
- ``exp(x)``: the same for the exponential alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actc.targets.tvm.kernels.operand import Operand


@dataclass(frozen=True, slots=True)
class FloatConvSpec:
    """A 2-D convolution (or matrix product) over float32; zeros lie outside the map.

    PrimFunc buffers, in this order:

    ==============  =======  ============================================
    x               float32  (n, in_h, in_w, in_c)
    packed_weight   float32  the shape of what `pack_float_weight` returned
    bias            float32  (out_c,)
    out             float32  (n, out_h, out_w, out_c)
    ==============  =======  ============================================

    The attributes mean what they mean in :class:`~actc.targets.tvm.kernels.spec.ConvSpec`.
    """

    batch: int | None
    in_h: int
    in_w: int
    in_c: int
    out_c: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    group: int

    @property
    def out_h(self) -> int:
        """Height of the output map."""
        extent = self.dilations[0] * (self.kernel[0] - 1) + 1
        return (self.in_h + self.pads[0] + self.pads[2] - extent) // self.strides[0] + 1

    @property
    def out_w(self) -> int:
        """Width of the output map."""
        extent = self.dilations[1] * (self.kernel[1] - 1) + 1
        return (self.in_w + self.pads[1] + self.pads[3] - extent) // self.strides[1] + 1

    @property
    def pointwise(self) -> bool:
        """Whether every output pixel depends on the one input pixel at its place."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads)

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.group == self.in_c == self.out_c and self.group > 1


@dataclass(frozen=True, slots=True)
class Value:
    """The result of an earlier step, or an operand: operands come first, then the steps."""

    index: int


@dataclass(frozen=True, slots=True)
class Step:
    """One elementwise ONNX operator.

    Attributes:
        op: ONNX's name, for example "Mul", "Erf", "Where", "Clip".
        inputs: values, numbers, or None for an optional input that is absent.
        attributes: name -> number or text, as ONNX defines them, defaults left out.
    """

    op: str
    inputs: tuple[Value | float | None, ...]
    attributes: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True, slots=True)
class ScalarFunction:
    """A straight-line program over float32 scalars; the last value is the result.

    Comparisons give booleans, which And, Or, Not, Xor and Where take.

    Attributes:
        operands: how many values it takes.
        steps: in order; `Value(k)` is operand k or the result of step ``k - operands``.
    """

    operands: int
    steps: tuple[Step, ...]


# fmt: off
SCALAR_OPERATORS = frozenset(
    [
        "Abs", "Add", "And", "Atan", "Cast", "Ceil", "Celu", "Clip", "Cos", "Div", "Elu",
        "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid",
        "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Min",
        "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round",
        "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish",
        "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
    ]
)
# fmt: on
"""ONNX operators that a `Step` may name; `apply_function` implements all of them."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Elementwise operation: a scalar function of the inputs."""

    function: ScalarFunction


@dataclass(frozen=True, slots=True)
class FloatTable:
    """Elementwise operation: values[QuantizeLinear(x)]; the 256 values are the second input."""

    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class FloatReduce:
    """Sum, mean, maximum or minimum of float32; as :class:`Reduce`, buffers x, out."""

    batch: int | None
    dims: tuple[int, ...]
    over: tuple[int, ...]
    kind: Literal["sum", "mean", "max", "min"]
    x: Operand
    out: Operand


@dataclass(frozen=True, slots=True)
class FloatPool:
    """Maximum or average over windows of (n, in_h, in_w, channels) float32; buffers x, out.

    Attributes:
        pads: (top, left).
        whole: whether an average divides by all taps, those outside counting as zeros.
    """

    batch: int | None
    in_h: int
    in_w: int
    lanes: int
    out_h: int
    out_w: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int]
    dilations: tuple[int, int]
    kind: Literal["max", "average"]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class FloatSoftmax:
    """Softmax (or its logarithm) over the last of `dims`; buffers x, out."""

    batch: int | None
    dims: tuple[int, ...]
    x: Operand
    out: Operand
    log: bool = False


@dataclass(frozen=True, slots=True)
class FloatLayerNorm:
    """Layer normalization over the last of `dims`; buffers x, gamma, beta, out."""

    batch: int | None
    dims: tuple[int, ...]
    inputs: tuple[Operand, ...]
    out: Operand
    eps: float


@dataclass(frozen=True, slots=True)
class FloatMatMul:
    """Product of two activations; buffers a, b, out.

    `dims` are the outer loops, then rows, then columns; `a` and `b` have strides for
    them and for the summed loop of `depth` behind them, `out` for `dims` only.
    """

    batch: int | None
    dims: tuple[int, ...]
    depth: int
    a: Operand
    b: Operand
    out: Operand
