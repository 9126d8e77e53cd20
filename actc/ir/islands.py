"""Float islands of a golden model: how they are marked, and how such a model runs.

The bits of an island are those that onnxruntime computes on the CPU for the file as it
stands: no rewriting of the graph, one thread (docs/decisions/0010-float-islands.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from actc.ir.execute import Session

KEY = "actc.island"
"""Metadata of the operators of an island: its number, from 1."""


def is_island(node: onnx.NodeProto) -> bool:
    """Whether a node of a golden model computes in float on purpose."""
    return any(entry.key == KEY for entry in node.metadata_props)


def has_islands(model: onnx.ModelProto) -> bool:
    """Whether a model holds float islands."""
    return any(is_island(node) for node in model.graph.node)


def session(
    model: onnx.ModelProto, outputs: Sequence[str] | None = None, *, optimize: bool = True
) -> Session:
    """A session in which golden's islands have the bits that define them.

    Args:
        model: any model; one without islands runs as `optimize` says, on all cores.
        outputs: names of values to return; None: the model's outputs.
        optimize: whether onnxruntime may rewrite a model without islands.

    Raises:
        ExecutionError: onnxruntime refuses the model.
    """
    if has_islands(model):
        return Session(model, outputs, threads=1, optimize=False)
    return Session(model, outputs, optimize=optimize)
