"""Einsum of one or two operands -> Transpose, ReduceSum, Reshape and MatMul."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims
from actc.passes.rewriter import Rewriter

Extents = dict[str, int | None]


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels of an equation ``left,right->output``, by what becomes of them."""

    shared: str
    summed: str
    left: str
    right: str

    @classmethod
    def of(cls, left: str, right: str, output: str) -> _Labels | None:
        """None where a label is summed in one operand alone or stands out of nothing."""
        both = set(left) & set(right)
        summed = "".join(c for c in left if c in both and c not in output)
        if any(c not in output for c in set(left) ^ set(right)) or set(output) - set(left + right):
            return None
        return cls(
            "".join(c for c in output if c in both),
            summed,
            "".join(c for c in output if c in left and c not in both),
            "".join(c for c in output if c in right and c not in both),
        )


def einsum(model: ir.Model, node: ir.Node) -> None:
    """Write an Einsum out; one with repeated labels stays."""
    equation = node.attributes["equation"].as_string().replace(" ", "")
    inputs, arrow, output = _spelled(equation, node).partition("->")
    terms = inputs.split(",")
    plain = arrow and all(len(set(t)) == len(t) and (t + "a").isalpha() for t in (*terms, output))
    shapes = [dims(value) for value in node.inputs]
    extents: Extents = {}
    if not plain or any(s is None or len(s) != len(t) for s, t in zip(shapes, terms, strict=True)):
        return
    for shape, term in zip(shapes, terms, strict=True):
        extents |= {c: e for c, e in zip(term, shape or (), strict=True) if extents.get(c) is None}
    rewriter, values = Rewriter(model.graph, node), list(node.inputs)
    if len(terms) == 2 and constant(values[0]) is not None:
        terms, values = terms[::-1], values[::-1]  # the constant to the right of MatMul
    if len(terms) == 1 and not set(output) - set(terms[0]):
        _one(rewriter, node, terms[0], output)
    elif len(terms) == 2:
        labels = _Labels.of(terms[0], terms[1], output)
        if labels is not None and labels.summed:
            _two(rewriter, values, terms, output, labels, extents)
        elif labels is not None:
            _elementwise(rewriter, values, terms, output)


def _spelled(equation: str, node: ir.Node) -> str:
    """The equation with letters in the place of an ellipsis that all its terms have alike."""
    terms = equation.partition("->")[0].split(",")
    ranks = {
        len(dims(value) or ()) - len(term) + len("...")
        for term, value in zip(terms, node.inputs, strict=False)
        if "..." in term
    }
    free = [c for c in string.ascii_letters if c not in equation]
    if len(ranks) != 1 or not 0 <= min(ranks) <= len(free):
        return equation
    return equation.replace("...", "".join(free[: ranks.pop()]))


def _elementwise(
    rewriter: Rewriter, values: Sequence[ir.Value | None], terms: Sequence[str], output: str
) -> None:
    """Nothing is summed: Mul of both, their axes in the order of the output."""
    operands = []
    for value, term in zip(values, terms, strict=True):
        assert value is not None
        moved = _transposed(rewriter, value, term, "".join(c for c in output if c in term))
        missing = [axis for axis, c in enumerate(output) if c not in term]
        if missing:
            moved = rewriter.emit("Unsqueeze", [moved, rewriter.integers("axes", missing)])
        operands.append(moved)
    rewriter.finish(rewriter.emit("Mul", operands))


def _one(rewriter: Rewriter, node: ir.Node, term: str, output: str) -> None:
    x = node.inputs[0]
    assert x is not None
    axes = [k for k, c in enumerate(term) if c not in output]
    if axes:
        x = rewriter.emit("ReduceSum", [x, rewriter.integers("axes", axes)], {"keepdims": 0})
    kept = "".join(c for c in term if c in output)
    rewriter.finish(_transposed(rewriter, x, kept, output))


def _two(
    rewriter: Rewriter,
    values: Sequence[ir.Value | None],
    terms: Sequence[str],
    output: str,
    labels: _Labels,
    extents: Extents,
) -> None:
    """One MatMul: [shared, left, summed] @ [shared, summed, right]."""
    weights = constant(values[1])
    # by a matrix, the axes on the left may stay as they are
    matrix = weights is not None and not labels.shared
    orders = (
        (labels.shared + labels.left, labels.summed),
        (
            labels.shared + labels.summed,
            labels.right,
        ),
    )
    groups = (
        [*labels.shared, *([*labels.left] if matrix else [labels.left]), labels.summed],
        [*labels.shared, labels.summed, labels.right],
    )
    result = [*labels.shared, *([*labels.left] if matrix else [labels.left]), labels.right]
    if any(_unknown(group, extents) > 1 for group in (*groups, [*"".join(result)])):
        return
    operands = []
    for value, term, order, group in zip(values, terms, orders, groups, strict=True):
        assert value is not None
        array = constant(value)
        if array is not None:
            turned = array.transpose([term.index(c) for c in "".join(order)])
            sizes = [int(np.prod([extents[c] or 1 for c in g], dtype=int)) for g in group]
            operands.append(rewriter.constant("operand", turned.reshape(sizes)))
        else:
            moved = _transposed(rewriter, value, term, "".join(order))
            operands.append(_reshaped(rewriter, moved, group, extents))
    product = rewriter.emit("MatMul", operands)
    if [len(g) for g in result] != [1] * len(result):
        product = _reshaped(rewriter, product, [*"".join(result)], extents, always=True)
    rewriter.finish(_transposed(rewriter, product, "".join(result), output))


def _unknown(groups: Sequence[str], extents: Extents) -> int:
    """Groups whose size is not known; Reshape can leave one open."""
    return sum(any(extents[c] is None for c in group) for group in groups)


def _transposed(rewriter: Rewriter, x: ir.Value, term: str, wanted: str) -> ir.Value:
    if term == wanted:
        return x
    return rewriter.emit("Transpose", [x], {"perm": [term.index(c) for c in wanted]})


def _reshaped(
    rewriter: Rewriter, x: ir.Value, groups: Sequence[str], extents: Extents, always: bool = False
) -> ir.Value:
    if not always and all(len(group) == 1 for group in groups):
        return x
    sizes = []
    for group in groups:
        known = [extents[c] for c in group]
        sizes.append(-1 if None in known else int(np.prod([e or 0 for e in known], dtype=int)))
    return rewriter.emit("Reshape", [x, rewriter.integers("shape", sizes)])
