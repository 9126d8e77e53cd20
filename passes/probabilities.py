"""Integers as the result of the softmax that ends a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, context_of
from actc.ir.graph import is_op
from actc.passes.base import Pass
from actc.passes.integer.normalization import SHARES


@dataclass(frozen=True, slots=True)
class Probabilities(Pass):
    """Rules:

    1. The softmax of every float output gives its shares in units of 2^-16, as codes of 16 bits
       that are dequantized behind it: no division in float is left.
    """

    name: ClassVar[str] = "probabilities"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Mark the softmax of every float output.

        Raises:
            ModelError: ACT0442, an output is not that of a softmax, or there is no float output.
        """
        context = context_of(model)
        floats = [v for v in model.graph.outputs if v.dtype in (ir.DataType.FLOAT, None)]
        problems = list(_problems(floats, context))
        if problems:
            raise ModelError(problems)
        for value in floats:
            node = value.producer()
            assert node is not None  # a softmax
            node.metadata_props[SHARES] = "yes"
        return ir.passes.PassResult(model, modified=True)


def _problems(floats: list[ir.Value], context: Context) -> Iterator[Diagnostic]:
    if not floats:
        yield _refused(context, "the model has no float output")
    for value in floats:
        node = value.producer()
        if node is None or not is_op(node, "Softmax"):
            what = "is an input" if node is None else f"comes from {node.op_type} '{node.name}'"
            yield _refused(context, f"output '{value.name}' {what}, not from a Softmax", node)
        elif value.uses():
            yield _refused(context, f"output '{value.name}' is read inside the network too", node)


def _refused(context: Context, message: str, node: ir.Node | None = None) -> Diagnostic:
    place = (
        Place(context.file) if node is None else Place(context.file, str(node.name), node.op_type)
    )
    return Diagnostic(
        "ACT0442",
        message,
        place=place,
        help="append a Softmax to the model, or leave --end probabilities out",
    )
