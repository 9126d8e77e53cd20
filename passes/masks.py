"""Keep masks apart from the scores that they hide.

An attention mask reaches softmax as a number that is added to the scores (0, or
something below -100) or as a Where that puts such a number in their place. Either
would ruin the range of the scores. Here the softmax becomes actc::MaskedSoftmax,
whose mask is made of integers and booleans alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.elementwise import EVALUATORS, attributes_of, is_elementwise
from actc.ir.graph import add_constant, constant, dims, is_op, only_user, unique_name

Array = np.ndarray[Any, Any]

HIDES = -100.0
"""Scores that are lowered by this much have no weight: exp(-100) is 0 beside any other."""
_FORGETS = -1e6
"""In float32 a score that is lowered by this much is lost, so that a row in which everything is
hidden becomes uniform; above, such a row is what it would be without the mask."""
_UNIFORM, _UNMASKED, _ZEROS = 0, 1, 2
"""Values of MaskedSoftmax's attribute `empty`: what a row gives in which everything is hidden."""

_MOVES = ("Unsqueeze", "Squeeze", "Reshape", "Transpose")


@dataclass(frozen=True, slots=True)
class _Mask:
    """What an operand hides.

    Attributes:
        hidden: bool, True where a score has no weight.
        lowest: the number that hides.
        rest: what the operand adds where it does not hide, None for nothing.
    """

    hidden: ir.Value
    lowest: float
    rest: Array | None = None


def mask_softmaxes(model: ir.Model) -> None:
    """Softmax of masked scores -> actc::MaskedSoftmax of scores and mask."""
    masks = _Masks(model)
    for node in list(model.graph):
        if is_op(node, "Softmax") and node.graph is not None:
            _mask(masks, node)


def _mask(masks: _Masks, node: ir.Node) -> None:
    source, found = node.inputs[0], []
    masks.before = node
    while source is not None:
        step = _step(masks, source)
        if step is None:
            break
        scores, mask = step
        if dims(scores) != dims(node.outputs[0]):
            break  # the mask widens them
        found.append(mask)
        if mask.rest is not None:
            scores = masks.emit("Add", [scores, masks.constant(mask.rest)], ir.DataType.FLOAT)
            scores.shape = source.shape
        source = scores
    if not found or source is None:
        return
    hidden = masks.any_of([mask.hidden for mask in found])
    guard = _nan_guard(node.outputs[0])
    lowest = max(mask.lowest for mask in found)
    empty = _UNIFORM if lowest <= _FORGETS else _UNMASKED
    if guard is not None and np.isneginf(lowest):
        empty = _ZEROS
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    attributes = {"axis": axis % len(dims(source) or (1,)), "empty": empty}
    inputs = [source, masks.as_uint8(hidden)]
    result = masks.emit("MaskedSoftmax", inputs, ir.DataType.FLOAT, attributes, DOMAIN)
    result.shape = node.outputs[0].shape
    masks.model.opset_imports[DOMAIN] = VERSION
    for old in (node.outputs[0], *([] if guard is None else [guard])):
        ir.convenience.replace_all_uses_with(old, result, replace_graph_outputs=True)


def _nan_guard(weights: ir.Value) -> ir.Value | None:
    """Where(IsNaN(weights), 0, weights), as exporters write it behind a softmax."""
    for use in weights.uses():
        user = use.node
        condition = user.inputs[0] if is_op(user, "Where") else None
        test = condition.producer() if condition is not None else None
        if test is None or not is_op(test, "IsNaN"):
            continue
        zero = constant(user.inputs[1])
        same = test.inputs[0] is weights and user.inputs[2] is weights
        if same and zero is not None and not zero.any():
            return user.outputs[0]
    return None


def _step(masks: _Masks, value: ir.Value) -> tuple[ir.Value, _Mask] | None:
    """The scores and the mask that `value` joins, None when it does nothing of the kind."""
    node = value.producer()
    if node is None or only_user(value) is None:
        return None
    if is_op(node, "Add"):
        for data, other in ((0, 1), (1, 0)):
            scores, added = node.inputs[data], node.inputs[other]
            mask = masks.of(added) if scores is not None and constant(scores) is None else None
            if scores is not None and mask is not None:
                return scores, mask
    if is_op(node, "Where"):
        for data, other, flag in ((1, 2, False), (2, 1, True)):
            scores, fill = node.inputs[data], constant(node.inputs[other])
            if scores is None or fill is None or constant(scores) is not None or fill.size != 1:
                continue
            hidden = masks.where(node.inputs[0], flag) if float(fill.item()) <= HIDES else None
            if hidden is not None:
                return scores, _Mask(hidden, min(float(fill.item()), _FORGETS))
    return None


@dataclass(slots=True)
class _Masks:
    """Finds masks, and writes them as integers and booleans, each once.

    Attributes:
        model: what is rewritten.
        before: new nodes are put in front of this one.
    """

    model: ir.Model
    before: ir.Node | None = None
    _known: dict[ir.Value, _Mask | None] = field(default_factory=dict)
    _flags: dict[tuple[ir.Value, bool], ir.Value | None] = field(default_factory=dict)
    _bytes: dict[ir.Value, ir.Value] = field(default_factory=dict)
    _joined: dict[tuple[ir.Value, ...], ir.Value] = field(default_factory=dict)

    def of(self, value: ir.Value | None) -> _Mask | None:
        """The mask that adding `value` to scores is, None when it is none."""
        if value is None:
            return None
        if value not in self._known:
            self._known[value] = self._find(_unexpanded(value))
        return self._known[value]

    def where(self, condition: ir.Value | None, flag: bool) -> ir.Value | None:
        """A bool that is True where `condition`, free of float inputs, equals `flag`."""
        if condition is None:
            return None
        key = (condition, flag)
        if key not in self._flags:
            array = constant(condition)
            if array is not None:
                self._flags[key] = self.constant(array if flag else ~array)
            else:
                self._flags[key] = self._hidden(_unexpanded(condition), lambda x: x == flag)
        return self._flags[key]

    def emit(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        dtype: ir.DataType,
        attributes: dict[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Insert a node; its output has no shape yet."""
        assert self.before is not None
        graph = self.model.graph
        name = unique_name(graph, f"{self.before.name}_{op}")
        node = ir.node(op, inputs, attributes or {}, domain=domain, name=name)
        output = node.outputs[0]
        output.name, output.type = name, ir.TensorType(dtype)
        graph.insert_before(self.before, node)
        return output

    def constant(self, array: Array) -> ir.Value:
        """Add an initializer."""
        assert self.before is not None
        return add_constant(self.model.graph, f"{self.before.name}_mask", array)

    def any_of(self, flags: Sequence[ir.Value]) -> ir.Value:
        """Several bools joined by Or."""
        key = tuple(flags)
        if key not in self._joined:
            joined = flags[0]
            for other in flags[1:]:
                joined = self.emit("Or", [joined, other], ir.DataType.BOOL)
            self._joined[key] = joined
        return self._joined[key]

    def as_uint8(self, hidden: ir.Value) -> ir.Value:
        """A bool as 0 and 1."""
        if hidden not in self._bytes:
            array, to = constant(hidden), {"to": int(ir.DataType.UINT8)}
            if array is not None:
                self._bytes[hidden] = self.constant(array.astype(np.uint8))
            else:
                self._bytes[hidden] = self.emit("Cast", [hidden], ir.DataType.UINT8, to)
                self._bytes[hidden].shape = hidden.shape
        return self._bytes[hidden]

    def _find(self, value: ir.Value) -> _Mask | None:
        array = constant(value)
        if array is not None:
            return self._constant_mask(array)
        node = value.producer()
        if is_op(node, "Add"):
            assert node is not None
            parts = [self.of(v) for v in node.inputs]
            if all(part is not None for part in parts):
                return self._sum([part for part in parts if part is not None])
        lowest: list[float] = []

        def hides(numbers: Array) -> Array | None:
            hidden = numbers <= HIDES
            lowest.extend(numbers[hidden].tolist())
            return hidden if not numbers[~hidden].any() else None

        hidden = self._hidden(value, hides)
        return None if hidden is None else _Mask(hidden, max(lowest))

    def _constant_mask(self, array: Array) -> _Mask | None:
        hidden = array <= HIDES
        if array.dtype != np.float32 or not hidden.any():
            return None
        rest = np.where(hidden, np.float32(0), array)
        lowest = float(array[hidden].max())
        return _Mask(self.constant(hidden), lowest, rest if rest.any() else None)

    def _sum(self, parts: list[_Mask]) -> _Mask | None:
        rests = [part.rest for part in parts if part.rest is not None]
        if len(rests) > 1:
            return None
        hidden = self.any_of([part.hidden for part in parts])
        return _Mask(hidden, max(part.lowest for part in parts), rests[0] if rests else None)

    def _hidden(self, value: ir.Value, test: Callable[[Array], Array | None]) -> ir.Value | None:
        """Where `test` holds for what `value` computes from one tensor of zeros and ones."""
        try:
            origin, moves = _origin(_unexpanded(value))
        except _NoMask:
            return None
        if not _is_binary(self.model, origin):
            return None
        is_bool = origin.dtype == ir.DataType.BOOL
        ends = np.array([False, True]) if is_bool else np.array([0.0, 1.0])
        with np.errstate(all="ignore"):
            flags = test(np.broadcast_to(_evaluate(value, origin, ends), (2,)))
        if flags is None or flags[0] == flags[1]:
            return None
        hidden = self._equal(origin, bool(flags[1]))
        for move in moves:
            others = [hidden if v is move.inputs[0] else v for v in move.inputs]
            hidden = self.emit(move.op_type, others, ir.DataType.BOOL, dict(move.attributes))
            hidden.shape = move.outputs[0].shape
        return hidden

    def _equal(self, origin: ir.Value, wanted: bool) -> ir.Value:
        """A bool that is True where a tensor of zeros and ones is `wanted`."""
        if origin.dtype == ir.DataType.BOOL:
            if wanted:
                return origin
            result = self.emit("Not", [origin], ir.DataType.BOOL)
        else:
            assert origin.dtype is not None
            number = self.constant(np.array(int(wanted), origin.dtype.numpy()))
            result = self.emit("Equal", [origin, number], ir.DataType.BOOL)
        result.shape = origin.shape
        return result


class _NoMask(Exception):
    """A value is not computed from one tensor of integers or booleans."""


def _unexpanded(value: ir.Value) -> ir.Value:
    """`value` before it is repeated along axes of length 1, where broadcasting does the same."""
    node = value.producer()
    while node is not None and _repeats(node):
        source = node.inputs[0]
        assert source is not None
        value, node = source, source.producer()
    return value


def _repeats(node: ir.Node) -> bool:
    if is_op(node, "Expand"):
        return True
    if not is_op(node, "Concat") or len(set(node.inputs)) != 1:
        return False
    shape = dims(node.inputs[0])
    return shape is not None and shape[node.attributes["axis"].as_int()] == 1


def _origin(value: ir.Value) -> tuple[ir.Value, tuple[ir.Node, ...]]:
    """The integers or booleans that `value` is computed from, element by element, and how they
    are moved on the way.

    Raises:
        _NoMask: they are several, or it is computed from real numbers.
    """
    node = value.producer()
    real = value.dtype is None or value.dtype.is_floating_point()
    if not real and not _reads_reals(node):
        return value, ()
    if node is None:
        raise _NoMask
    if _repeats(node) or is_op(node, *_MOVES):
        source = node.inputs[0]
        assert source is not None
        origin, moves = _origin(source)
        return origin, (*moves, node)
    if not is_elementwise(node):
        raise _NoMask
    found = {_origin(v) for v in node.inputs if v is not None and _is_variable(v)}
    if len(found) != 1:
        raise _NoMask
    return found.pop()


def _is_variable(value: ir.Value) -> bool:
    array = constant(value)
    if array is not None and (array.size == 0 or np.any(array != array.flat[0])):
        raise _NoMask
    return array is None


def _reads_reals(node: ir.Node | None) -> bool:
    values = () if node is None else node.inputs
    return any(v is not None and (v.dtype is None or v.dtype.is_floating_point()) for v in values)


def _evaluate(value: ir.Value, origin: ir.Value, ends: Array) -> Array:
    """What `value` is where `origin` is each of `ends`."""
    if value is origin:
        return ends
    array = constant(value)
    if array is not None:
        number = array.reshape(-1)[:1]
        return number if number.dtype == np.bool_ else number.astype(np.float64)
    node = value.producer()
    assert node is not None
    first = node.inputs[0]
    if not is_elementwise(node):
        assert first is not None
        return _evaluate(first, origin, ends)
    inputs = [None if v is None else _evaluate(v, origin, ends) for v in node.inputs]
    return EVALUATORS[node.op_type](inputs, attributes_of(node))


def _is_binary(model: ir.Model, value: ir.Value) -> bool:
    """Whether a tensor holds nothing but zeros and ones, as far as the data shows."""
    while value.dtype != ir.DataType.BOOL:
        node = value.producer()
        if node is None:
            dataset = context_of(model).dataset
            array = None if dataset is None else dataset.inputs.get(str(value.name))
            return array is not None and bool(np.isin(array, (0, 1)).all())
        if not (is_op(node, *_MOVES, "Slice", "Cast", "Identity") or _repeats(node)):
            return False
        source = node.inputs[0]
        assert source is not None
        value = source
    return True
