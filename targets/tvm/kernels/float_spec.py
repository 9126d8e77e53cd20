"""What the float32 kernels must compute: plain values, no TVM import.

Float tensors lie in memory like the integer ones. Their padding lanes may hold
NaN, so no kernel reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import ConvSpec


@dataclass(frozen=True, slots=True)
class Value:
    """The result of an earlier step, or an operand: operands come first, then the steps."""

    index: int


@dataclass(frozen=True, slots=True)
class Step:
    """One elementwise ONNX operator, or a piecewise-linear function.

    Attributes:
        op: ONNX's name, for example "Mul", "Erf", "Where", "Clip"; PIECEWISE_LINEAR
            takes x, n - 1 breakpoints, n slopes and n intercepts.
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


PIECEWISE_LINEAR = "PiecewiseLinear"

# fmt: off
SCALAR_OPERATORS = frozenset(
    [
        "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil",
        "Celu", "Clip", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu",
        "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
        "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg",
        "Not", "Or", "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid",
        "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan",
        "Tanh", "ThresholdedRelu", "Where", "Xor",
    ]
)
# fmt: on
"""ONNX operators that a `Step` may name: those of `float_expression.RULES`."""


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
class FloatConv:
    """A convolution (or matrix product) over float32 and a scalar function of its result.

    PrimFunc buffers x, packed_weight, bias, residuals, out: those of :class:`ConvSpec`, all
    float32; a residual is another tensor of the shape of `out`.

    Attributes:
        conv: geometry, with the "accumulator" epilogue.
        function: of the sum and the residuals; None stores the sums.
    """

    conv: ConvSpec
    function: ScalarFunction | None = None

    @property
    def residuals(self) -> int:
        """Number of tensors that the function takes beside the sum."""
        return 0 if self.function is None else self.function.operands - 1


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
    """Maximum or average over windows of (n, in_h, in_w, lanes) float32; buffers x, out.

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
    """Layer normalization over the last of `dims`; buffers x, gamma, beta, out.

    RMS normalization where not `centred`: nothing is subtracted.
    """

    batch: int | None
    dims: tuple[int, ...]
    inputs: tuple[Operand, ...]
    out: Operand
    eps: float
    centred: bool = True


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
