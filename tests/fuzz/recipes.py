"""Recipes: few numbers that a case is made from, drawn by Hypothesis and shrunk by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto

import fuzz.rules_blocks
import fuzz.rules_elements
import fuzz.rules_layers
import fuzz.rules_quantized  # noqa: F401
from fuzz.graph import MOST_ELEMENTS, Choices, Graph, Value
from fuzz.oracles import Case
from fuzz.rules import RULES

Array = np.ndarray[Any, Any]

OPSETS = (21, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23)
SIZES = (3, 1, 2, 4, 5, 7, 8, 13)
STEP = 32
"""Bytes of a rule's choices."""
LATEST = 4
"""How far back a rule looks for a value that it fits, in values."""
_WEIGHTS = {
    **dict.fromkeys(("Conv", "Gemm", "MatMul", "Conv block", "Dense block", "QDQ"), 4),
    **dict.fromkeys(("ConvTranspose", "LSTM", "Attention", "Transformer block"), 2),
    **dict.fromkeys(("Quantized layer", "MatMul of two", "LayerNormalization", "Softmax"), 2),
    **dict.fromkeys(("Arithmetic of two", "Arithmetic with a constant", "Expression"), 2),
}
"""How often a rule is drawn in a random graph, if not once."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a case is made from; each byte string is read by `Choices`.

    Attributes:
        head: opset, inputs, batch.
        steps: names of rules, with the choices of each.
        tail: outputs.
        data: samples.
        options: of the compilation.
    """

    head: bytes
    steps: tuple[tuple[str, bytes], ...]
    tail: bytes
    data: bytes
    options: bytes


def random_graphs(most: int = 7) -> st.SearchStrategy[Recipe]:
    """Recipes of models of up to so many rules, any behind any."""
    names = [name for name in RULES for _ in range(_WEIGHTS.get(name, 1))]
    step = st.tuples(st.sampled_from(names), st.binary(min_size=STEP, max_size=STEP))
    short = st.binary(min_size=8, max_size=8)
    return st.builds(
        Recipe,
        head=st.binary(min_size=14, max_size=14),
        steps=st.lists(step, min_size=1, max_size=most).map(tuple),
        tail=short,
        data=short,
        options=st.binary(min_size=10, max_size=10),
    )


def case_of(recipe: Recipe) -> Case:
    """The case of a recipe; its model is valid."""
    model, infos, rules = build(recipe)
    choices = Choices(recipe.data)
    samples, seed = choices.pick((8, 9, 12, 16)), choices.seed()
    generator = np.random.default_rng(seed)
    data = {n: _samples(choices, generator, t, (samples, *s)) for n, t, s in infos}
    probe = {n: _probes(generator, t, (8, *s)) for n, t, s in infos}
    options = _options(Choices(recipe.options))
    return Case(model.SerializeToString(deterministic=True), data, probe, options, seed, rules)


Infos = Sequence[tuple[str, int, Sequence[int]]]


def build(recipe: Recipe) -> tuple[onnx.ModelProto, Infos, tuple[str, ...]]:
    """The model, its inputs (name, type, axes behind the batch) and the rules that made it."""
    head = Choices(recipe.head)
    graph = Graph(head.pick(OPSETS))
    infos = [_input(graph, head, k) for k in range(1 + head.once_in(4))]
    for name, choices in recipe.steps:
        _apply(graph, name, Choices(choices))
    tail = Choices(recipe.tail)
    loose = [v for v in graph.values if v.name not in graph.used]
    if not graph.nodes:
        loose = [graph.value(graph.node("Relu", [graph.values[-1].name]), graph.values[-1].shape)]
    loose = [v for v in loose if v.name not in {n for n, _, _ in infos}] or [graph.values[-1]]
    outputs = [v.name for v in loose[-tail.integer(1, 3) :]]
    if tail.once_in(6):
        inner = [v.name for v in graph.values if v.name in graph.used and v.name[0] == "v"]
        outputs += [n for n in inner[:1] if n not in outputs]
    batches: tuple[str | int, ...] = ("N", "N", "N", "batch_size", 1, 2)
    batch = head.pick(batches)
    proto = graph.proto(infos, batch, outputs, tail.once_in(8))
    onnx.checker.check_model(proto, full_check=True)
    return proto, infos, tuple(graph.rules)


def _input(graph: Graph, head: Choices, number: int) -> tuple[str, int, Sequence[int]]:
    name = "x" if not number else f"x{number}"
    shape = tuple(head.pick(SIZES) for _ in range(head.integer(1, 3)))
    kind = head.pick((*(TensorProto.FLOAT,) * 9, TensorProto.UINT8, TensorProto.INT32))
    if kind == TensorProto.FLOAT:
        graph.value(name, shape)
    else:
        graph.value(graph.node("Cast", [name], to=TensorProto.FLOAT), shape)
    return name, kind, shape


def _apply(graph: Graph, name: str, choices: Choices) -> Value | None:
    """Apply a rule to a late value that it fits; nothing where there is none."""
    rule = RULES[name]
    if rule.since > graph.opset:
        return None
    fitting = [v for v in reversed(graph.values) if rule.fits(v)][:LATEST]
    if not fitting:
        return None
    value = choices.pick((*fitting[:1] * 4, *fitting))
    kept = (len(graph.nodes), dict(graph.constants), len(graph.values), set(graph.used))
    made = rule.apply(graph, value, choices)
    if made is not None and 0 < max(v.size for v in graph.values) <= MOST_ELEMENTS:
        graph.rules.append(name)
        return made
    del graph.nodes[kept[0] :], graph.values[kept[2] :]
    graph.constants, graph.used = kept[1], kept[3]
    return None


def _samples(
    choices: Choices, generator: np.random.Generator, kind: int, shape: tuple[int, ...]
) -> Array:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if dtype.kind != "f":
        return generator.integers(0, 5 if choices.once_in(2) else 250, shape).astype(dtype)
    array = generator.standard_normal(shape)
    how = choices.pick(("normal", "normal", "normal", "positive", "scaled", "constant", "offset"))
    if how == "positive":
        array = np.abs(array)
    elif how == "scaled":
        array *= choices.pick((100.0, 1e-3, 1e4, 1e-20, 1e20))
    elif how == "constant":
        array = np.full(shape, choices.pick((0.0, 1.0, -2.5)))
    elif how == "offset":
        array += 50
    return array.astype(np.float32)


def _probes(generator: np.random.Generator, kind: int, shape: tuple[int, ...]) -> Array:
    """Samples unlike those of the calibration: four near, then zeros, far, very far, mixed."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if dtype.kind != "f":
        info = np.iinfo(dtype)
        whole = generator.integers(0, 200, shape)
        whole[5], whole[6] = info.min, info.max
        return whole.astype(dtype)
    array = generator.standard_normal(shape)
    array[4] = 0
    array[5] *= 1e4
    array[6] *= 1e30
    array[7] = np.where(generator.random(shape[1:]) < 0.3, 1e10, array[7])
    return array.astype(np.float32)


def _options(choices: Choices) -> dict[str, Any]:
    """Arguments of `actc.compile`; the simplest are the defaults."""
    bits = (*("auto",) * 6, *("8",) * 3, *("mixed",) * 2, *map(str, range(2, 17)))
    found: dict[str, Any] = {
        "activations": choices.pick(bits),
        "weights": choices.pick((*("8",) * 6, *"765432", "ternary", "binary")),
        "rounding": choices.pick(("auto", "auto", "nearest", "optimal", "sequential")),
        "approx": choices.pick(("auto", "auto", "auto", "exact", "pwl", "table")),
        "calibration": choices.pick(("minmax", "minmax", "percentile", "mse", "entropy")),
        "scales": choices.pick(("free", "free", "free", "power-of-two")),
    }
    if found["weights"] in "765432" and choices.once_in(4):
        found["groups"] = choices.pick((2, 3, 32))
    if choices.once_in(12) and found["scales"] == "free":
        found["binarize"] = "all"
    if found["weights"] == "binary" or "binarize" in found:
        found["scales"] = "free"
    defaults = {"activations": "auto", "weights": "8", "rounding": "auto", "approx": "auto",
                "calibration": "minmax", "scales": "free"}  # fmt: skip
    return {name: value for name, value in found.items() if defaults.get(name) != value}
