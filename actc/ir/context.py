"""What passes share beside the model: data, findings, diagnostics.

The context rides in `ir.Model.meta`, so that a pass stays a value made of its
options and any onnx_ir pass can stand between two of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from actc.diagnostics import DiagnosticSink

_KEY = "actc.context"


@dataclass(slots=True)
class Context:
    """Shared state of one compilation.

    Attributes:
        file: the model's file name, for diagnostics.
        dataset: an `actc.data.Dataset`, None before data is known.
        sink: diagnostics so far.
        forms: activation forms that the target takes, preferred first.
        ranges: value name -> calibration statistics (written by `calibrate`).
        sites: site id -> record of a recognized activation (by `recognize`,
            completed by later passes).
        left: operators that stay float: node name -> (operator, reason).
        run_batches: how float models are executed (set by the compiler).
    """

    file: str = "<model>"
    dataset: Any = None
    sink: DiagnosticSink = field(default_factory=DiagnosticSink)
    forms: tuple[str, ...] = ("table", "pwl", "exact")
    ranges: dict[str, Any] = field(default_factory=dict)
    sites: dict[str, Any] = field(default_factory=dict)
    left: dict[str, tuple[str, str]] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


def attach(model: ir.Model, context: Context) -> None:
    """Make `context` the context of `model`."""
    model.meta[_KEY] = context


def context_of(model: ir.Model) -> Context:
    """The context of `model`; a fresh one is attached when it has none."""
    context = model.meta.get(_KEY)
    if not isinstance(context, Context):
        context = Context()
        attach(model, context)
    return context


def is_whole(model: ir.Model) -> bool:
    """Whether a sample is all that the model takes at once, so that there is no batch axis."""
    dataset = context_of(model).dataset
    return dataset is not None and bool(dataset.whole)
