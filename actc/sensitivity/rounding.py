"""Where the integer network rounds: which readers of a value see which format of it.

This mirrors what `actc.passes.integerize` does. Float islands read sums unrounded and
give exact values. A value is either held exactly (an
accumulator, a graph input, the result of a softmax), so that each of its two formats
is rounded from the exact value, or it is made as codes, and its narrow format is
rounded from these. Operators that only move codes round nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from actc.ir.context import Context
from actc.ir.dialect import DOMAIN
from actc.ir.formats import parameters_of
from actc.ir.graph import constant, is_op
from actc.ir.subgraphs import nodes_inside
from actc.passes.integer.attention import positive_factor
from actc.passes.integer.islands import kept_nodes
from actc.passes.integer.linear import linear_bias
from actc.passes.recurrent import GATES
from actc.passes.widths import MOVEMENT

Use = tuple[ir.Node, int]

_CODES = frozenset({"Gather", "Max", "Min"})
"""Operators beside activations that give codes, not sums."""
_PLAIN = frozenset({"Softmax", "LogSoftmax", "MaskedSoftmax"})
"""Operators whose result stays real until it is rounded."""


@dataclass(slots=True)
class Rounding:
    """How a value is rounded.

    Attributes:
        value: a float value that has a format.
        exact: it is held exactly, so that outputs of the network and `exact` readers
            see it unrounded, and the narrow format is rounded from it.
        moved: it holds codes that another value was rounded to.
        wide: readers in its own format.
        linear: readers that multiply it, in the narrow format where it has one.
    """

    value: ir.Value
    exact: bool
    moved: bool
    wide: list[Use] = field(default_factory=list)
    linear: list[Use] = field(default_factory=list)


def roundings(model: ir.Model, context: Context) -> list[Rounding]:
    """All values that the integer network rounds or holds as codes, in the graph's order."""
    return list(_Reader(model, context).read())


class _Reader:
    def __init__(self, model: ir.Model, context: Context) -> None:
        self._model, self._context = model, context
        self._kept = kept_nodes(context)
        self._fixed = _fixed_point(model, self._kept)
        self._owners = {inner: node for node in model.graph for inner in nodes_inside(node)}

    def read(self) -> Iterator[Rounding]:
        """One entry per value with a format."""
        for value in [
            *self._model.graph.inputs,
            *(v for n in self._model.graph for v in n.outputs),
        ]:
            if parameters_of(value) is None or constant(value) is not None:
                continue
            moved = self._is_moved(value)
            rounding = Rounding(value, not moved and self._is_exact(value), moved)
            for use in value.uses():
                self._place(rounding, (use.node, use.idx))
            yield rounding

    def _place(self, rounding: Rounding, use: Use) -> None:
        node, index = use
        if self._owners.get(node, node).name in self._kept:  # islands take sums unrounded
            if not rounding.exact:
                rounding.wide.append(use)
        elif is_op(node, *GATES):
            if index == 0:
                rounding.linear.append(use)
        elif is_op(node, "Conv", "MatMul", "Gemm"):
            rounding.linear.append(use)
        elif not (rounding.exact and self._takes_exact(node, rounding.value)):
            rounding.wide.append(use)

    def _takes_exact(self, node: ir.Node, value: ir.Value) -> bool:
        """Whether `node` works on the accumulator of `value`."""
        found = linear_bias(node) if is_op(node, "Add") else None
        if found is not None and found[0] is value.producer():
            return True
        if value in self._fixed and any(v in self._fixed for v in node.outputs):
            return True
        return self._rescales(node) and value.producer() is not None and not _is_plain(value)

    def _rescales(self, node: ir.Node) -> bool:
        """Whether `node` multiplies by a positive number, which changes only the scale."""
        if not is_op(node, "Activation", domain=DOMAIN):
            return False
        site = self._context.sites[node.metadata_props["actc.site"]]
        return bool(
            site.affine and site.form == "table" and positive_factor(site.function.body) is not None
        )

    def _is_exact(self, value: ir.Value) -> bool:
        node = value.producer()
        if node is None or value in self._fixed or node.name in self._kept:
            return True
        if self._rescales(node):
            source = node.inputs[0]
            return source is not None and self._is_exact(source) and not _is_plain(source)
        coded = is_op(node, "Activation", domain=DOMAIN) or is_op(node, *_CODES)
        return not (coded or is_op(node, *MOVEMENT))

    def _is_moved(self, value: ir.Value) -> bool:
        node = value.producer()
        if node is None or value in self._fixed or node.name in self._kept:
            return False
        if is_op(node, *MOVEMENT):
            return True
        if not is_op(node, "Activation", domain=DOMAIN):
            return False
        site = self._context.sites[node.metadata_props["actc.site"]]
        return site.form == "clamp" or (self._rescales(node) and not self._is_exact(value))


def _is_plain(value: ir.Value) -> bool:
    node = value.producer()
    return node is None or node.op_type in _PLAIN


def _fixed_point(model: ir.Model, kept: Collection[str]) -> set[ir.Value]:
    """States of recurrent layers, and what only moves them."""
    found: set[ir.Value] = set()
    for node in model.graph:
        source = node.inputs[0] if node.inputs else None
        if node.name in kept:
            continue
        if is_op(node, *GATES) or (source in found and is_op(node, *_MOVES)):
            found.update(node.outputs)
    return found


_MOVES = (
    "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
