"""Recipes of models shaped like real ones, beside random graphs: what the hunt draws from."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from fuzz import recipes_hardware
from fuzz.recipes import STEP, Recipe, random_graphs
from fuzz.rules import RULES

_ACTIVATIONS = ("Relu", "Gelu", "HardSwish", "LeakyRelu", "PRelu", "Expression", "Clip")
_IMAGES = (
    *("Conv block",) * 5, *("Residual block",) * 3, *("Separable block",) * 2, "Conv",
    "Squeeze and excite", "MaxPool", "AveragePool", "ConvTranspose", "Resize", "Concat",
    "BatchNormalization", "InstanceNormalization", "GroupNormalization", "Pad", *_ACTIVATIONS,
)  # fmt: skip
_ENDS = ("GlobalAveragePool", "Flatten", "Flatten", "Reduce")
_VECTORS = (
    *("Dense block",) * 5, *("Residual MLP",) * 2, "Gemm", "Gemm", "MatMul", "Gated block",
    "LayerNormalization", "RMSNormalization", "BatchNormalization", "Concat", "Split",
    "Arithmetic of two", "Arithmetic with a constant", *_ACTIVATIONS,
)  # fmt: skip
_SPLINES = ("KAN layer", "KAN layer", "KAN layer", "LayerNormalization", "Gemm")
_SEQUENCES = (
    *("Transformer block",) * 4, *("LSTM",) * 3, *("Attention",) * 2, *("MatMul of two",) * 2,
    *("Dense block",) * 2, "Gated block", "Conv block", "Residual MLP", "LayerNormalization",
    "Softmax", "Slice", "Transpose", "Gather", "MaxPool", "Arithmetic of two", *_ACTIVATIONS,
)  # fmt: skip
_QUANTIZED = (
    *("Quantized layer",) * 6, *("Quantized sum",) * 2, *("QOperator layer",) * 2, "QDQ",
    "MaxPool", "AveragePool", "Flatten", "Concat", "Relu", "Sigmoid", "GlobalAveragePool",
)  # fmt: skip
_BINARY = (*("Binary block",) * 5, "Binary layer", "MaxPool", "Flatten", "Gemm", "Conv block")
_CLASSES = ("Gemm", "Gemm", "Dense block", "Softmax", "Arithmetic with a constant")

Step = tuple[str, bytes]


def all_recipes() -> st.SearchStrategy[Recipe]:
    """Recipes of every kind; the first is what others are shrunk to."""
    return st.one_of(
        random_graphs(),
        random_graphs(),
        network((3,), _IMAGES, _ENDS, _CLASSES, most=4),
        network((2,), _IMAGES, (), (), most=3),
        network((1,), _VECTORS, (), _CLASSES, most=6),
        network((1,), _SPLINES, (), (), most=3),
        network((2,), _SEQUENCES, ("Reduce", "Flatten", "Slice"), _CLASSES, most=3),
        network((1, 2, 3), _QUANTIZED, (), (), most=5),
        network((1, 3), _BINARY, ("Flatten",), _CLASSES, most=4),
        recipes_hardware.recipes(),
    )


def network(
    axes: Sequence[int], body: Sequence[str], joint: Sequence[str], end: Sequence[str], *, most: int
) -> st.SearchStrategy[Recipe]:
    """Recipes of networks.

    Args:
        axes: of the input, behind the batch; one of these numbers.
        body: rules of the layers.
        joint: rules of which one makes vectors of what the layers give, or none.
        end: rules of the last layers, or none.
        most: layers of the body.
    """
    parts = [_steps(body, 1, most), _steps(joint, 0, 1), _steps(end, 0, 2)]
    return st.builds(
        Recipe,
        head=_heads(axes),
        steps=st.tuples(*parts).map(lambda found: tuple(s for part in found for s in part)),
        tail=st.binary(min_size=8, max_size=8),
        data=st.binary(min_size=8, max_size=8),
        options=st.binary(min_size=10, max_size=10),
    )


def _steps(
    names: Sequence[str], least: int, most: int
) -> st.SearchStrategy[list[tuple[str, bytes]]]:
    assert all(name in RULES for name in names), set(names) - set(RULES)
    if not names:
        return st.just([])
    step = st.tuples(st.sampled_from(names), st.binary(min_size=STEP, max_size=STEP))
    return st.lists(step, min_size=least, max_size=most)


def _heads(axes: Sequence[int]) -> st.SearchStrategy[bytes]:
    """Any opset, and one float input of so many axes."""

    def made(drawn: tuple[int, int, bytes]) -> bytes:
        opset, count, rest = drawn
        return bytes([opset, 0, count - 1]) + rest[:count] + bytes([0]) + rest[count:]

    parts = st.integers(0, 255), st.sampled_from(axes), st.binary(min_size=8, max_size=8)
    return st.tuples(*parts).map(made)
