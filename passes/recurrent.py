"""Recurrent layers of a float model: what they are made of, and how far their cells reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.ir.context import Context
from actc.ir.execute import Session
from actc.ir.graph import constant, dims
from actc.passes.integer.hints import IN_FLOAT

Array = np.ndarray[Any, Any]

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
"""Recurrent operators and their gates: z, r, h; i, o, f, c; h."""
PARTS = (".W", ".R")
"""The two matrices of a recurrent layer, as they are called behind the node's name."""
_ACTIVATIONS = {
    "GRU": ["sigmoid", "tanh"],
    "LSTM": ["sigmoid", "tanh", "tanh"],
    "RNN": ["tanh"],
}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_SAMPLES, _BATCH = 64, 32
"""Of the calibration data, for the reach of the cells; at least four fixed batches."""


@dataclass(frozen=True, eq=False, slots=True)
class Direction:
    """One direction of a recurrent layer.

    Attributes:
        reverse: whether it starts at the last step.
        w: float64 [G*H, I], of the input.
        r: float64 [G*H, H], of the state.
        w_bias, r_bias: float64 [G*H].
    """

    reverse: bool
    w: Array
    r: Array
    w_bias: Array
    r_bias: Array


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """A recurrent layer.

    Attributes:
        kind: "GRU", "LSTM" or "RNN".
        hidden: units per direction.
        directions: one or two.
        reset_after: of a GRU: whether the reset gate multiplies what the matrix gives.
    """

    kind: str
    hidden: int
    directions: tuple[Direction, ...]
    reset_after: bool

    def biases(self, direction: Direction) -> tuple[Array, Array]:
        """What is added to W x, and to R h by itself: float64 [G*H] each.

        The latter is not zero for the last gate of a GRU with `reset_after` only, where
        the reset gate multiplies it too.
        """
        x_bias, h_bias = direction.w_bias + direction.r_bias, np.zeros_like(direction.r_bias)
        if self.kind == "GRU" and self.reset_after:
            last = slice(2 * self.hidden, None)
            x_bias[last], h_bias[last] = direction.w_bias[last], direction.r_bias[last]
        return x_bias, h_bias


def is_recurrent(node: ir.Node) -> bool:
    """Whether `node` is a GRU, an LSTM or an RNN of ONNX."""
    return node.domain == "" and node.op_type in GATES


def layer_of(node: ir.Node) -> Layer:
    """Read a recurrent node.

    Raises:
        ModelError: ACT0108, with everything about it that has no integer form.
    """
    problems = _problems(node)
    weights = [constant(value) for value in node.inputs[1:3]]
    bias_value = node.inputs[3] if len(node.inputs) > 3 else None
    bias = constant(bias_value)
    if any(array is None for array in weights) or (bias_value is not None and bias is None):
        problems.append("its weights are not constant")
    if problems:
        raise ModelError(
            Diagnostic(
                "ACT0108",
                f"this {node.op_type} has no integer form: {'; '.join(problems)}",
                help=f"export it with the framework's defaults, or {IN_FLOAT}",
            )
        )
    w, r = (array.astype(np.float64) for array in weights if array is not None)
    hidden = r.shape[2]
    zeros = np.zeros((len(w), 2 * w.shape[1]))
    halves = np.split(zeros if bias is None else bias.astype(np.float64), 2, axis=1)
    text = _text(node, "direction", "forward")
    directions = tuple(
        Direction(reverse, w[d], r[d], halves[0][d], halves[1][d])
        for d, reverse in enumerate(_DIRECTIONS[text])
    )
    return Layer(node.op_type, hidden, directions, _integer(node, "linear_before_reset") != 0)


def _problems(node: ir.Node) -> list[str]:
    """What actc's integer layers do not compute."""
    found = []
    if not _whole_sequences(node):
        found.append("it takes the length of each sequence (sequence_lens)")
    if _read(node, 7) is not None:
        found.append("it has peepholes")
    if "clip" in node.attributes:
        found.append("it clips its gates")
    if _integer(node, "input_forget"):
        found.append("its input and forget gates are coupled (input_forget)")
    if _integer(node, "layout"):
        found.append("its layout has the batch first (layout=1)")
    given = node.attributes.get("activations")
    names = [] if given is None else [name.lower() for name in given.as_strings()]
    expected = _ACTIVATIONS[node.op_type]
    unusual = sorted({name for i, name in enumerate(names) if name != expected[i % len(expected)]})
    if unusual:
        found.append(f"its activations are not {', '.join(expected)} ({', '.join(unusual)})")
    return found


def _whole_sequences(node: ir.Node) -> bool:
    """Whether every sequence is as long as the input."""
    given, shape = _read(node, 4), dims(node.inputs[0])
    lengths = constant(given)
    if given is None:
        return True
    return lengths is not None and shape is not None and bool(np.all(lengths == shape[0]))


def _integer(node: ir.Node, name: str) -> int:
    attribute = node.attributes.get(name)
    return 0 if attribute is None else attribute.as_int()


def _text(node: ir.Node, name: str, default: str) -> str:
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def cell_reach(model: ir.Model, context: Context, node: ir.Node) -> float:
    """The largest magnitude of an LSTM's cell on calibration data.

    ONNX gives the cell of the last step alone, so the layer is run again, in numpy, on
    what it reads.
    """
    reaches = context.facts.setdefault("cell_reach", {})
    if not reaches:
        reaches.update(_reaches(model, context))
    return float(reaches[str(node.name)])


def _reaches(model: ir.Model, context: Context) -> dict[str, float]:
    nodes = [node for node in model.graph if node.domain == "" and node.op_type == "LSTM"]
    layers = {str(node.name): layer_of(node) for node in nodes}
    read = [_read(node, position) for node in nodes for position in (0, 5, 6)]
    wanted = sorted({str(v.name) for v in read if v is not None and not v.is_graph_input()})
    session = Session(ir.to_proto(model), wanted) if wanted else None
    reaches = dict.fromkeys(layers, 0.0)
    dataset = context.dataset
    for feeds, _ in dataset.take(max(_SAMPLES, 4 * (dataset.batch or 0))).batches(_BATCH):
        found = {**feeds, **(session.run(feeds) if session is not None else {})}
        for node in nodes:
            x, h, c = (_array(_read(node, position), found) for position in (0, 5, 6))
            name = str(node.name)
            assert x is not None
            for d, direction in enumerate(layers[name].directions):
                first = [None if state is None else state[d] for state in (h, c)]
                reaches[name] = max(reaches[name], _reach(direction, x, first[0], first[1]))
    return reaches


def _read(node: ir.Node, position: int) -> ir.Value | None:
    return node.inputs[position] if len(node.inputs) > position else None


def _array(value: ir.Value | None, found: dict[str, Array]) -> Array | None:
    if value is None:
        return None
    fixed = constant(value)
    return found[str(value.name)] if fixed is None else fixed


def _reach(direction: Direction, x: Array, h: Array | None, c: Array | None) -> float:
    """Largest |c| of one direction of an LSTM over x [T, N, I]."""
    batch, hidden = x.shape[1], direction.r.shape[1]
    state = np.zeros((batch, hidden)) if h is None else h.astype(np.float64)
    cell = np.zeros((batch, hidden)) if c is None else c.astype(np.float64)
    fixed = x.astype(np.float64) @ direction.w.T + direction.w_bias + direction.r_bias
    largest = float(np.abs(cell).max(initial=0.0))
    for a in fixed[::-1] if direction.reverse else fixed:
        i, o, f, g = np.split(a + state @ direction.r.T, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        state = _sigmoid(o) * np.tanh(cell)
        largest = max(largest, float(np.abs(cell).max(initial=0.0)))
    return largest


def _sigmoid(x: Array) -> Array:
    return np.asarray((1 + np.tanh(x / 2)) / 2)
