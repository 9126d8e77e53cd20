"""Signs of numbers that golden rounds: where a binary network is not exact, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context
from actc.ir.elementwise import is_elementwise
from actc.ir.graph import constant, is_op
from actc.passes.quantized.instances import is_instance
from actc.passes.quantized.spelled_pair import pair_of

_LAYERS = ("Conv", "Gemm", "MatMul")
_MOVES = (
    "BatchNormalization", "Dropout", "Flatten", "Identity", "Pad", "Reshape", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip
_SHOWN = 10
_FEW = 16


def report_rounded(graph: ir.Graph, context: Context, off_grid: Collection[str]) -> None:
    """Say which signs depend on numbers that are rounded (ACT0118).

    Args:
        off_grid: inputs whose data lie on no grid.
    """
    reasons: dict[str, None] = {}
    for node in graph:
        pair = pair_of(node)
        if pair is not None and pair[1].high - pair[1].low <= _FEW:
            for reason in _reasons(node.inputs[0], context, off_grid):
                reasons[reason] = None
    if not reasons:
        return
    more = len(reasons) - _SHOWN
    context.sink.add(
        Diagnostic(
            "ACT0118",
            f"signs or steps depend on numbers that are rounded, in {len(reasons)} places",
            severity="warning",
            place=Place(context.file),
            notes=(*list(reasons)[:_SHOWN], *([f"and {more} more"] if more > 0 else [])),
            help="for a network that is exact throughout, quantize these in training",
        )
    )


def _reasons(value: ir.Value | None, context: Context, off_grid: Collection[str]) -> Iterator[str]:
    """What the numbers in front of a quantizer come from that golden does not hold exactly."""
    seen: set[ir.Value] = set()
    rest, starts, inner = [value], list[ir.Value](), list[ir.Node]()
    while rest:
        current = rest.pop()
        if current is None or current in seen or constant(current) is not None:
            continue
        seen.add(current)
        node = current.producer()
        if node is None:
            if current.name in off_grid:
                yield f"input '{current.name}': its data are no multiples of one number"
        elif is_elementwise(node):
            rest += list(node.inputs)
            inner.append(node)
            continue
        elif is_op(node, *_MOVES) or is_instance(node):
            rest.append(node.inputs[0])
            inner.append(node)
            continue
        elif not is_op(node, "DequantizeLinear"):
            yield from _of_operator(node, context, off_grid)
        starts.append(current)
    if len(starts) > 1 and value is not None and not _sum_of_codes(starts, inner):
        yield f"'{value.name}': it is computed of several tensors"


def _sum_of_codes(starts: Sequence[ir.Value], inner: Collection[ir.Node]) -> bool:
    """Whether it is a function of the sum of two tensors of codes: all their pairs are tried then.

    Args:
        starts: what it is computed of.
        inner: the nodes that compute it.
    """
    if len(starts) != 2 or not all(is_op(v.producer(), "DequantizeLinear") for v in starts):
        return False
    sources = {start: frozenset((start,)) for start in starts}
    joins = [node for node in inner if len(_sources(node, sources)) > 1]
    return len(joins) == 1 and is_op(joins[0], "Add", "Sub")


def _sources(node: ir.Node, known: dict[ir.Value, frozenset[ir.Value]]) -> set[frozenset[ir.Value]]:
    """What the operands of a node are computed of, each; constants left out.

    Args:
        known: the same of values; is added to.
    """
    found = set()
    for value in node.inputs:
        if value is None or constant(value) is not None:
            continue
        if value not in known:
            producer = value.producer()
            parts = _sources(producer, known) if producer is not None else set()
            known[value] = frozenset().union(*parts)
        found.add(known[value])
    return found


def _of_operator(node: ir.Node, context: Context, off_grid: Collection[str]) -> Iterator[str]:
    if is_op(node, "MaxPool"):
        if not _exact_input(node.inputs[0], off_grid):
            yield f"'{node.name}': a maximum of sums, of which no rising function is taken"
        return
    if not is_op(node, *_LAYERS):
        yield f"'{node.name}': operator {node.op_type}"
        return
    if str(node.name) not in context.facts.get("given", {}) and not _integers(node):
        yield f"layer '{node.name}': its weights are no integers times a scale"
    if not _exact_input(node.inputs[0], off_grid):
        yield f"layer '{node.name}': what it reads has no quantizer"


def _integers(layer: ir.Node) -> bool:
    """Whether a layer's weights are dequantized."""
    value = layer.inputs[1]
    node = None if value is None else value.producer()
    while is_op(node, "Transpose", "Reshape") and node is not None:
        value = node.inputs[0]
        node = None if value is None else value.producer()
    return is_op(node, "DequantizeLinear")


def _exact_input(value: ir.Value | None, off_grid: Collection[str]) -> bool:
    """Whether codes stand exactly for what a layer reads."""
    node = None if value is None else value.producer()
    while node is not None and is_op(node, "MaxPool", *_MOVES[1:]):
        value = node.inputs[0]
        node = None if value is None else value.producer()
    if node is None:
        return value is not None and value.name not in off_grid
    return is_op(node, "DequantizeLinear")
