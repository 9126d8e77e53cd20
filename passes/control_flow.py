"""Write out control flow whose course is known before the network runs.

An If on a constant is its branch; a Loop or Scan of a known number of steps is its body,
once per step. What depends on the data stays, with the reason on the node: the pass
`integerize` keeps it in float or refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import context_of
from actc.ir.execute import ExecutionError, run_nodes
from actc.ir.graph import attribute_ints, constant, dims, has_graphs, is_op
from actc.ir.subgraphs import detach, values_of, with_inner

Array = np.ndarray[Any, Any]

MOST_STEPS = 64
MOST_NODES = 4096
"""What all control flow of a model may become."""
REASON = "actc.control_flow"
"""Metadata of an If, Loop or Scan that stays: why."""
_SHOWN = 10


class _Stays(Exception):
    """The course of an operator is not known; the text says why."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Control flow that was written out: its operator, name, and what became of it."""

    op: str
    name: str
    text: str


class ControlFlow:
    """The control flow of a model's main graph."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._removed: list[Removed] = []
        self._room = MOST_NODES

    def write_out(self) -> bool:
        """Replace what has a known course by what is inside; whether there was any.

        Shapes must be inferred and constants folded as far as they can be. What is inside
        may hold control flow itself: call it again after the same for that.
        """
        before = len(self._removed)
        for node in list(self._model.graph):
            if is_op(node, *_WRITERS):
                self._write_out(node)
        return len(self._removed) > before

    def _write_out(self, node: ir.Node) -> None:
        piece = _Piece(self._model, str(node.name), self._room)
        try:
            text = _WRITERS[node.op_type](piece, node)
        except _Stays as problem:
            node.metadata_props[REASON] = str(problem)
            piece.discard()
            return
        self._removed.append(Removed(node.op_type, str(node.name), text))
        self._room = piece.room
        piece.put(node)

    def note(self) -> None:
        """Say what was written out (ACT0345)."""
        removed = self._removed
        if not removed:
            return
        context = context_of(self._model)
        notes = tuple(f"{one.op} '{one.name}': {one.text}" for one in removed[:_SHOWN])
        more = (f"and {len(removed) - _SHOWN} more",) if len(removed) > _SHOWN else ()
        many = f"{len(removed)} operators of control flow were"
        context.sink.add(
            Diagnostic(
                "ACT0345",
                f"{many if len(removed) > 1 else f'operator {removed[0].op} was'} written out",
                severity="note",
                place=Place(context.file, removed[0].name, removed[0].op),
                notes=notes + more,
            )
        )


@dataclass
class _Piece:
    """What takes the place of an operator; the graph changes only in `put`.

    Attributes:
        model: the model.
        name: of the operator, in front of all names inside; "" leaves them alone.
        room: how many nodes may still be added.
        nodes: in topological order.
        results: what stands for each output of the operator.
    """

    model: ir.Model
    name: str
    room: int
    nodes: list[ir.Node] = field(default_factory=list)
    results: list[ir.Value | None] = field(default_factory=list)
    _constants: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def copy(self, body: ir.Graph, given: list[ir.Value], prefix: str) -> list[ir.Value]:
        """Append a copy of a sub-graph whose inputs are `given`; its outputs."""
        copy = body.clone(allow_outer_scope_values=True)
        outputs = list(copy.outputs)
        copy.outputs.clear()
        moved: dict[ir.Value, ir.Value] = dict(zip(copy.inputs, given, strict=True))
        originals = body.initializers
        for name, value in list(copy.initializers.items()):
            moved[value] = self._constant(originals[name])
        for value in values_of(copy):
            if value.name and value not in moved:
                value.name = _under(prefix, str(value.name))
        for old, new in moved.items():
            ir.convenience.replace_all_uses_with(old, new)
        nodes = list(copy)
        for inner in with_inner(nodes):
            inner.name = _under(prefix, inner.name or inner.op_type)
        copy.remove(nodes)
        self.nodes += nodes
        self.room -= sum(1 for _ in with_inner(nodes))
        return [moved.get(value, value) for value in outputs]

    def emit(self, op: str, inputs: list[ir.Value], name: str, **attributes: Any) -> ir.Value:
        """Append an operator; its output."""
        node = ir.node(op, inputs, attributes, name=_under(self.name, name))
        node.outputs[0].name = node.name
        self.nodes.append(node)
        return node.outputs[0]

    def constant(self, array: Array, name: str) -> ir.Value:
        """A constant; only `put` adds it to the graph."""
        taken = {held.name for held in self._constants.values()}
        full = unique = _under(self.name, name)
        count = 1
        while unique in taken:
            count += 1
            unique = f"{full}_{count}"
        tensor = ir.tensor(np.asarray(array), name=unique)
        value = ir.Value(
            name=tensor.name,
            shape=ir.Shape(np.shape(array)),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self._constants[value] = value
        return value

    def _constant(self, original: ir.Value) -> ir.Value:
        """The one copy of a sub-graph's initializer for all steps."""
        if original not in self._constants:
            array = constant(original)
            assert array is not None
            self._constants[original] = self.constant(array, str(original.name))
        return self._constants[original]

    def stacked(self, parts: list[ir.Value], axis: int, name: str) -> ir.Value:
        """Values of all steps along a new axis."""
        axes = self.constant(np.array([axis], np.int64), f"{name}.axis")
        slices = [
            self.emit("Unsqueeze", [part, axes], f"{name}.{step}")
            for step, part in enumerate(parts)
        ]
        return self.emit("Concat", slices, name, axis=axis)

    def step(self, body: ir.Graph, given: list[ir.Value], number: int) -> list[ir.Value]:
        """Append a step of a Loop or Scan; its outputs."""
        outputs = self.copy(body, given, f"{self.name}.{number}")
        if self.room < 0:
            raise _Stays(f"written out, it and others would be more than {MOST_NODES} operators")
        return outputs

    def discard(self) -> None:
        """Let the nodes of a piece that is not put read nothing any more."""
        for node in with_inner(self.nodes):
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)

    def known(self, value: ir.Value) -> Array | None:
        """What `value` is if constants alone decide, else None."""
        made = {output: node for node in self.nodes for output in node.outputs}
        while is_op(made.get(value), "Identity"):
            source = made[value].inputs[0]
            assert source is not None
            value = source
        array = constant(value)
        needed = [] if array is not None else self._slice(value, made)
        if array is not None or needed is None:
            return array
        try:
            return run_nodes(self.model, needed, {}, [value])[0]
        except ExecutionError:  # ONNX does not say of what type it is, or it fails on these
            return None

    def _slice(self, value: ir.Value, made: Mapping[ir.Value, ir.Node]) -> list[ir.Node] | None:
        """The nodes that compute `value`, None where something else than constants enters."""
        needed: set[ir.Node] = set()
        open_values = [value]
        while open_values:
            source = open_values.pop()
            node = made.get(source)
            if node is None or has_graphs(node):
                return None
            if node not in needed:
                needed.add(node)
                inputs = (v for v in node.inputs if v is not None)
                open_values += [v for v in inputs if constant(v) is None]
        return [node for node in self.nodes if node in needed]

    def put(self, old: ir.Node) -> None:
        """Put the piece into the main graph, in the place of `old`."""
        graph = self.model.graph
        for value in dict.fromkeys(self._constants.values()):
            if value.uses() or value in self.results:
                graph.register_initializer(_renamed(graph, value))
        results = [self._result(old.outputs[i], value) for i, value in enumerate(self.results)]
        graph.insert_before(old, self.nodes)
        for output, result in zip(old.outputs, results, strict=True):
            if result is not None:
                name, is_output = output.name, output.is_graph_output()
                ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
                if is_output:
                    output.name, result.name = None, name
        detach(old)
        graph.remove(old, safe=True)

    def _result(self, output: ir.Value, result: ir.Value | None) -> ir.Value | None:
        """What replaces an output; one of the graph gets a value of its own."""
        if result is None or not (output.uses() or output.is_graph_output()):
            return None
        if output.is_graph_output():
            result = self.emit("Identity", [result], str(output.name))
        if result.type is None:
            result.type = output.type
        return result


def _under(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


def _renamed(graph: ir.Graph, value: ir.Value) -> ir.Value:
    name, count = str(value.name), 1
    while value.name in graph.initializers:
        count += 1
        value.name = f"{name}_{count}"
    return value


def _branch(piece: _Piece, node: ir.Node) -> str:
    """If: the branch that is always taken."""
    condition = constant(node.inputs[0])
    if condition is None or condition.size != 1:
        raise _Stays("its condition depends on the data")
    chosen = "then_branch" if condition.reshape(-1)[0] else "else_branch"
    room, piece.name = piece.room, ""  # there is one copy: names stay as they are
    piece.results = [*piece.copy(node.attributes[chosen].as_graph(), [], "")]
    piece.room = room
    return f"its {chosen.replace('_', ' ')}, as the condition is constant"


def _loop(piece: _Piece, node: ir.Node) -> str:
    """Loop: its body as often as constants say."""
    most, go = _trip_count(node), _first_condition(node)
    body = node.attributes["body"].as_graph()
    carried = [value for value in node.inputs[2:] if value is not None]
    stacks: list[list[ir.Value]] = [[] for _ in body.outputs[1 + len(carried) :]]
    steps, on = 0, piece.constant(np.array(True), "on")
    while go and (most is None or steps < most):
        if steps == MOST_STEPS:
            raise _Stays(f"it takes more than {MOST_STEPS} steps")
        number = np.array(steps, np.int64)
        if len(dims(body.inputs[0]) or ()) == 1:
            number = number.reshape(1)
        given = [piece.constant(number, f"step{steps}"), on]
        outputs = piece.step(body, [*given, *carried], steps)
        steps += 1
        carried = outputs[1 : 1 + len(carried)]
        for stack, value in zip(stacks, outputs[1 + len(carried) :], strict=True):
            stack.append(value)
        last = most is not None and steps == most
        go = last or _goes_on(piece, outputs[0])
    names = node.outputs[len(carried) :]
    piece.results = [*carried, *_stacks(piece, names, stacks, [(0, False)] * len(stacks))]
    return f"{steps} step{'s' if steps != 1 else ''}"


def _trip_count(node: ir.Node) -> int | None:
    """The most steps of a Loop, None for no limit."""
    if node.inputs[0] is None:
        return None
    count = constant(node.inputs[0])
    if count is None:
        raise _Stays("its trip count depends on the data")
    return max(int(count.reshape(-1)[0]), 0)


def _first_condition(node: ir.Node) -> bool:
    value = node.inputs[1] if len(node.inputs) > 1 else None
    condition = constant(value)
    if value is not None and condition is None:
        raise _Stays("whether it runs at all depends on the data")
    return condition is None or bool(condition.reshape(-1)[0])


def _goes_on(piece: _Piece, condition: ir.Value) -> bool:
    found = piece.known(condition)
    if found is None:
        raise _Stays("whether it goes on depends on the data")
    return bool(found.reshape(-1)[0])


def _scan(piece: _Piece, node: ir.Node) -> str:
    """Scan: its body for each slice of the inputs."""
    body = node.attributes["body"].as_graph()
    count = node.attributes["num_scan_inputs"].as_int()
    given = [value for value in node.inputs if value is not None]
    carried, scanned = given[: len(given) - count], given[len(given) - count :]
    axes = attribute_ints(node, "scan_input_axes", [0] * count)
    backwards = attribute_ints(node, "scan_input_directions", [0] * count)
    steps = _length(scanned, axes)
    stacks: list[list[ir.Value]] = [[] for _ in body.outputs[len(carried) :]]
    for step in range(steps):
        slices = [
            _slice(piece, value, axis, steps - 1 - step if back else step)
            for value, axis, back in zip(scanned, axes, backwards, strict=True)
        ]
        outputs = piece.step(body, [*carried, *slices], step)
        carried = outputs[: len(carried)]
        for stack, value in zip(stacks, outputs[len(carried) :], strict=True):
            stack.append(value)
    out_axes = attribute_ints(node, "scan_output_axes", [0] * len(stacks))
    out_back = attribute_ints(node, "scan_output_directions", [0] * len(stacks))
    places = [(axis, bool(back)) for axis, back in zip(out_axes, out_back, strict=True)]
    names = node.outputs[len(carried) :]
    piece.results = [*carried, *_stacks(piece, names, stacks, places)]
    return f"{steps} step{'s' if steps != 1 else ''}"


def _length(scanned: list[ir.Value], axes: list[int]) -> int:
    lengths = {
        None if shape is None else shape[axis]
        for shape, axis in zip(map(dims, scanned), axes, strict=True)
    }
    known = lengths - {None}
    if len(known) != 1:
        raise _Stays("its number of steps is the length of an axis that is not fixed")
    steps = next(length for length in known if length is not None)
    if steps > MOST_STEPS:
        raise _Stays(f"it takes {steps} steps, more than {MOST_STEPS}")
    return steps


def _slice(piece: _Piece, value: ir.Value, axis: int, index: int) -> ir.Value:
    position = piece.constant(np.array(index, np.int64), f"{value.name}.{index}")
    return piece.emit("Gather", [value, position], f"{value.name}.at{index}", axis=axis)


def _stacks(
    piece: _Piece,
    outputs: Sequence[ir.Value],
    stacks: list[list[ir.Value]],
    places: list[tuple[int, bool]],
) -> list[ir.Value | None]:
    """The results of all steps, one output of the operator each; None for unused ones."""
    found: list[ir.Value | None] = []
    for output, parts, (axis, back) in zip(outputs, stacks, places, strict=True):
        if not (output.uses() or output.is_graph_output()):
            found.append(None)
            continue
        if not parts:
            raise _Stays("it takes no step, and its results are empty")
        found.append(piece.stacked(parts[::-1] if back else parts, axis, str(output.name)))
    return found


_WRITERS: Mapping[str, Callable[[_Piece, ir.Node], str]] = {
    "If": _branch,
    "Loop": _loop,
    "Scan": _scan,
}
