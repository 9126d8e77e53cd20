"""Take a golden model as it stands, to compile it for another target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN, OPERATORS, add_bodies
from actc.ir.execute import Session
from actc.ir.golden import is_golden, problems
from actc.passes.base import Pass

_HELP = "compile the float model again; a golden file is not meant to be edited"
_TRIED = 3


@dataclass(frozen=True, slots=True)
class TakeGolden(Pass):
    """Rules:

    1. The inputs of every integer operator have the types, sizes and ranges that
       docs/internals.md states.
    2. The file's bodies of actc's operators are replaced by actc's own.
    3. Every tensor has the type and shape that the file says, which a run on data shows.

    Nothing else changes: codes, tables and formats are those of the file.
    """

    name: ClassVar[str] = "take_golden"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Check the model.

        Raises:
            ModelError: ACT0120, with everything that is wrong.
        """
        context = context_of(model)
        found = [_problem(context, text, node) for node, text in problems(model)]
        if not is_golden(model):
            found = [_problem(context, "the model has no integer operator of actc")]
        if found:
            raise ModelError(found)
        for key in [key for key in model.functions if key[0] == DOMAIN and key[1] in OPERATORS]:
            del model.functions[key]
        add_bodies(model)
        wrong = list(_mistyped(model, context))
        if wrong:
            raise ModelError(wrong)
        context.sink.add(
            Diagnostic(
                "ACT0121",
                "the model is golden already: it is taken as it is",
                severity="note",
                place=Place(context.file),
                notes=("'float' in the report stands for this model as it came",),
            )
        )
        return ir.passes.PassResult(model, modified=True)


def _problem(context: Context, text: str, node: ir.Node | None = None) -> Diagnostic:
    place = Place(context.file) if node is None else _place(context, node)
    return Diagnostic("ACT0120", f"this is not a golden model: {text}", place=place, help=_HELP)


def _place(context: Context, node: ir.Node) -> Place:
    return Place(context.file, str(node.name), node.op_type)


def _mistyped(model: ir.Model, context: Context) -> list[Diagnostic]:
    """The values whose type or shape is another than the file says."""
    if context.dataset is None:
        return []
    inner = {str(v.name): v for node in model.graph for v in node.outputs if v.name}
    feeds, _ = next(context.dataset.take(_TRIED).batches())
    arrays = Session(ir.to_proto(model), sorted(inner)).run(feeds)
    found = []
    for name, value in inner.items():
        node = value.producer()
        assert node is not None
        if value.dtype is None or value.shape is None:
            found.append(_problem(context, f"'{name}' has no type or shape", node))
        elif not _fits(value, arrays[name]):
            actual = f"{arrays[name].dtype} {list(arrays[name].shape)}"
            said = f"{value.dtype.name} {list(value.shape)}"
            found.append(_problem(context, f"'{name}' is {actual}, not {said}", node))
    return found


def _fits(value: ir.Value, array: np.ndarray) -> bool:
    assert value.dtype is not None
    assert value.shape is not None
    said = [d if isinstance(d, int) else None for d in value.shape]
    same = len(said) == array.ndim and all(
        d is None or d == n for d, n in zip(said, array.shape, strict=True)
    )
    return same and value.dtype.numpy() == array.dtype
