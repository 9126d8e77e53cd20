"""Which operators have generic kernels, where those are, and how a node becomes calls.

Pure Python; the kernels' modules are imported when code is generated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from actc.targets.tvm.generic import rules
from actc.targets.tvm.generic import rules_data as data
from actc.targets.tvm.generic.request import Request

Plan: TypeAlias = Callable[[Request], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """How an operator is lowered.

    Attributes:
        module: of `actc.targets.tvm.generic`, whose `KERNELS` has the operator.
        plan: emits the calls of a node.
    """

    module: str
    plan: Plan


def _family(module: str, *operators: str, plan: Plan = rules.direct) -> dict[str, Rule]:
    return {operator: Rule(module, plan) for operator in operators}


# fmt: off
RULES: dict[str, Rule] = {
    **_family(
        "elementwise",
        "Abs", "Acos", "Acosh", "Add", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip",
        "Cos", "Cosh", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg",
        "PRelu", "Pow", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
        "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh",
        "ThresholdedRelu", "Where",
        plan=rules.broadcasting,
    ),
    **_family(
        "logic",
        "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Equal",
        "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor",
        plan=rules.broadcasting,
    ),
    **_family(
        "reductions",
        "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
        "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
        plan=rules.reduction,
    ),
    **_family("reductions", "ArgMax", "ArgMin", plan=rules.along_axis(0)),
    **_family("reductions", "CumProd", "CumSum", plan=rules.cumulative),
    **_family(
        "moves",
        "CenterCropPad", "Concat", "DepthToSpace", "Expand", "Flatten", "Pad", "Reshape",
        "ReverseSequence", "Slice", "SpaceToDepth", "Squeeze", "Tile", "Transpose", "Trilu",
        "Unsqueeze",
    ),
    **_family("moves", "Split", plan=data.split),
    **_family(
        "gather",
        "BitCast", "Col2Im", "EyeLike", "Gather", "GatherElements", "GatherND", "OneHot", "Range",
        "Scatter", "ScatterElements", "ScatterND", "TensorScatter",
    ),
    **_family("gather", "ConstantOfShape", plan=data.constant_of_shape),
    **_family("elementwise", "Shape", "Size", plan=data.shape),
    **_family("selection", "Compress", "NonMaxSuppression", "NonZero", "TopK", "Unique"),
    **_family("products", "Gemm", "MatMul"),
    **_family("products", "Einsum", plan=rules.einsum),
    **_family(
        "normalizations",
        "Hardmax", "LayerNormalization", "LogSoftmax", "LpNormalization", "Softmax",
        plan=rules.along_axis(-1),
    ),
    **_family("normalizations", "BatchNormalization", plan=rules.batch_normalization),
    **_family("normalizations", "InstanceNormalization", "LRN"),
    **_family(
        "pools",
        "AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool",
    ),
    **_family("pools", "MaxUnpool", plan=data.max_unpool),
    **_family("convolutions", "Conv", "ConvInteger", "ConvTranspose", "DeformConv", "QLinearConv"),
    **_family(
        "quantizing", "DequantizeLinear", "MatMulInteger", "QLinearMatMul", "QuantizeLinear"
    ),
    **_family("recurrent", "GRU", "LSTM", "RNN"),
    **_family("resampling", "AffineGrid", "GridSample", "Resize"),
    **_family("regions", "RoiAlign"),
    **_family(
        "spectra",
        "BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT",
    ),
    **_family("counting", "Det", "TfIdfVectorizer"),
    **_family("elementwise", "Constant", plan=data.constant),
    **_family("elementwise", "Dropout", plan=data.dropout),
    **_family("cast", "Cast", "CastLike", plan=rules.cast),
}
# fmt: on
"""ONNX operator -> how it is lowered. Names that are no operators are parts of other plans."""
