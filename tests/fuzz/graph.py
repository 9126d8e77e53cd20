"""A model under construction: values, nodes and constants, and the choices that shape them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, Any]
T = TypeVar("T")

FLOAT = TensorProto.FLOAT
MOST_ELEMENTS = 3000
"""Of a tensor, per sample."""


class Choices:
    """Decisions, one byte each; a zero, or none that is left, is the simplest choice.

    Hypothesis shrinks bytes towards zero and steps away, so a failing model gets simpler.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte."""
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, of which the first is the simplest."""
        return options[self.byte() % len(options)]

    def integer(self, low: int, high: int) -> int:
        """An integer in low..high."""
        return low + self.byte() % (high - low + 1)

    def once_in(self, times: int) -> bool:
        """True once in so many times."""
        return self.byte() % times == times - 1

    def seed(self) -> int:
        """A seed for a generator of numbers."""
        return self.byte()


@dataclass(frozen=True, slots=True)
class Value:
    """A float tensor; its first axis is the batch.

    Attributes:
        name: its name.
        shape: the axes behind the batch.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of axes, with the batch."""
        return len(self.shape) + 1

    @property
    def size(self) -> int:
        """Elements of a sample."""
        return int(np.prod(self.shape, dtype=np.int64))


KINDS = (
    *("normal",) * 8,
    *("zeros", "ones", "repeated", "sparse", "one channel", "outlier", "large", "tiny"),
    *("denormal", "huge", "integers", "signs"),
)
"""Kinds of constants; the first is the simplest."""


def numbers(choices: Choices, shape: Sequence[int], fan: int = 1) -> Array:
    """Constants of a drawn kind, float32.

    Args:
        choices: of the kind and the seed.
        shape: of the array.
        fan: how many of them are summed up: normal numbers are divided by its root.
    """
    kind = choices.pick(KINDS)
    generator = np.random.default_rng(choices.seed())
    array = generator.standard_normal(tuple(shape)) / np.sqrt(max(fan, 1))
    flat = array.reshape(-1)
    if kind == "zeros":
        array = np.zeros_like(array)
    elif kind == "ones":
        array = np.ones_like(array)
    elif kind == "repeated":
        array = np.round(array * 2) / 2
    elif kind == "sparse":
        array = np.where(generator.random(array.shape) < 0.8, 0, array)
    elif kind == "one channel" and array.ndim:
        array = np.where(np.arange(len(array)).reshape(-1, *[1] * (array.ndim - 1)) == 0, array, 0)
    elif kind == "outlier" and flat.size:
        flat[0] *= 1000
    elif kind in ("large", "tiny", "denormal", "huge"):
        array *= {"large": 1e4, "tiny": 1e-7, "denormal": 1e-40, "huge": 1e30}[kind]
    elif kind == "integers":
        array = np.round(array * 10)
    elif kind == "signs":
        array = np.where(array < 0, -1.0, 1.0)
    return np.asarray(array, np.float32)


@dataclass(slots=True)
class Graph:
    """A model under construction.

    Attributes:
        opset: version of ONNX's operators.
        values: float tensors so far, the latest last.
        nodes: in order.
        constants: initializers by name.
        used: names that a node reads.
        rules: names of the rules that were applied.
    """

    opset: int
    values: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    rules: list[str] = field(default_factory=list)
    number: int = 0

    def name(self, prefix: str = "v") -> str:
        """A new name."""
        self.number += 1
        return f"{prefix}{self.number}"

    def constant(self, array: Array, prefix: str = "c") -> str:
        """The name of a new initializer."""
        name = self.name(prefix)
        self.constants[name] = np.asarray(array)
        return name

    def integers(self, *numbers: int) -> str:
        """The name of a new initializer of type int64 with one axis."""
        return self.constant(np.array(numbers, np.int64), "i")

    def node(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        """Append a node; the name of its first output (the others are that and a letter)."""
        name = self.name()
        names = [name, *(f"{name}{letter}" for letter in "bcdef"[: outputs - 1])]
        self.used.update(i for i in inputs if i)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n_{name}", **attributes))
        return name

    def value(self, name: str, shape: Sequence[int]) -> Value:
        """Note a float tensor that later rules may read."""
        made = Value(name, tuple(int(n) for n in shape))
        self.values.append(made)
        return made

    def proto(self, inputs: Sequence[tuple[str, int, Sequence[int]]], batch: str | int,
              outputs: Sequence[str], listed: bool) -> onnx.ModelProto:  # fmt: skip
        """The finished model.

        Args:
            inputs: name, type and axes behind the batch.
            batch: the first axis.
            outputs: names of values.
            listed: whether the initializers are inputs too.
        """
        given = [helper.make_tensor_value_info(n, t, [batch, *s]) for n, t, s in inputs]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        if listed:
            given += [
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors
            ]
        shapes = {value.name: value.shape for value in self.values}
        made = [helper.make_tensor_value_info(n, FLOAT, [batch, *shapes[n]]) for n in outputs]
        graph = helper.make_graph(self.nodes, "fuzzed", given, made, tensors)
        domains = [helper.make_opsetid("", self.opset)]
        return helper.make_model(
            graph, opset_imports=domains, ir_version=8 if self.opset < 19 else 10
        )
