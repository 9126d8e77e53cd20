"""Recipes of what circuits are made for: layers with activations between them, few bits."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.recipes import Recipe
from fuzz.rules import RULES

_STEP = 12
"""Bytes of a rule's choices."""
_FUNCTIONS = (
    *("Relu", "Expression", "Clip", "PRelu", "Where", "BatchNormalization", "QDQ", "Pow"),
    *("Arithmetic with a constant", "Tanh", "Sigmoid", "Exp", "Erf", "Softplus", "Softsign"),
    *("Sin", "Cos", "Atan", "Floor", "Round", "Sign", "Abs", "Neg", "Sqrt", "Reciprocal"),
    *("HardSwish", "Mish", "Gelu", "Elu", "Celu", "Selu", "LeakyRelu", "HardSigmoid"),
    "ThresholdedRelu",
)
"""What stands behind a layer."""
_DENSE = ("Gemm", "Gemm", "MatMul", "Binary layer")
_WINDOWS = ("Conv", "Conv", "Conv", "MaxPool", "AveragePool", "GlobalAveragePool")
_JOINTS = ("Arithmetic of two", "Arithmetic of two", "Concat", "Pad", "Resize", "Slice")
_END = ("Flatten", "Flatten", "Reshape", "Softmax")

Step = tuple[str, bytes]


def _steps(*names: str) -> st.SearchStrategy[Step]:
    assert all(name in RULES for name in names)
    return st.tuples(st.sampled_from(names), st.binary(min_size=_STEP, max_size=_STEP))


def _joined(*parts: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[tuple[Step, ...]]:
    return st.tuples(*parts).map(lambda found: tuple(step for part in found for step in part))


def _repeated(
    block: st.SearchStrategy[tuple[Step, ...]], least: int, most: int
) -> st.SearchStrategy[tuple[Step, ...]]:
    blocks = st.lists(block, min_size=least, max_size=most)
    return blocks.map(lambda found: tuple(step for part in found for step in part))


def _head(ranks: tuple[int, ...]) -> st.SearchStrategy[bytes]:
    """One float input of so many axes behind the batch."""

    def made(drawn: tuple[int, int, bytes]) -> bytes:
        opset, rank, rest = drawn
        sizes, batch = rest[:rank], rest[3:]
        return bytes([opset, 0, rank - 1, *sizes, 0]) + batch

    small = st.integers(0, 255)
    parts = st.tuples(small, st.sampled_from(ranks), st.binary(min_size=6, max_size=6))
    return parts.map(made)


def recipes() -> st.SearchStrategy[Recipe]:
    """Recipes of vectors and of images, with one output as a rule."""
    functions = st.lists(_steps(*_FUNCTIONS), max_size=2).map(tuple)
    dense = _joined(_steps(*_DENSE).map(lambda s: (s,)), functions)
    window = _joined(_steps(*_WINDOWS).map(lambda s: (s,)), functions)
    joint = st.lists(_steps(*_JOINTS), max_size=1).map(tuple)
    images = _joined(_repeated(_joined(window, joint), 1, 3),
                     _steps(*_END).map(lambda s: (s,)), _repeated(dense, 0, 2))  # fmt: skip
    vectors = _repeated(_joined(dense, joint), 1, 4)
    return st.one_of(_made(_head((1,)), vectors), _made(_head((3, 3, 2)), images))


def _made(
    head: st.SearchStrategy[bytes], steps: st.SearchStrategy[tuple[Step, ...]]
) -> st.SearchStrategy[Recipe]:
    eight = st.binary(min_size=8, max_size=8)
    tail = st.sampled_from((bytes(8), bytes(8), bytes(8), bytes([1]) + bytes(7)))
    return st.builds(
        Recipe, head=head, steps=steps, tail=tail, data=eight,
        options=st.binary(min_size=10, max_size=10),
    )  # fmt: skip
