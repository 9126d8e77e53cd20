"""Putting several nodes in the place of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, replace_node, unique_name

Array = np.ndarray[Any, Any]


class Rewriter:
    """Collects the nodes that will stand for a single-output node.

    Shapes and types of the values in between are left to shape inference.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self.graph = graph
        self.node = node
        self._nodes: list[ir.Node] = []
        self._taken: set[str] = set()

    def emit(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        attributes: dict[str, Any] | None = None,
        domain: str = "",
    ) -> ir.Value:
        """Add a node; returns its output."""
        name = self._fresh(f"{self.node.name}_{op}")
        node = ir.node(op, inputs, attributes or {}, domain=domain, name=name)
        node.outputs[0].name = name
        self._nodes.append(node)
        return node.outputs[0]

    def constant(self, what: str, array: Array) -> ir.Value:
        """Add an initializer."""
        return add_constant(self.graph, f"{self.node.name}_{what}", array)

    def integers(self, what: str, numbers: Sequence[int]) -> ir.Value:
        """Add a vector of int64: axes, bounds, a shape."""
        return self.constant(what, np.array(numbers, np.int64))

    def finish(self, result: ir.Value) -> None:
        """Replace the node; `result` stands for its output."""
        if result.is_graph_input() or result.is_graph_output() or result.is_initializer():
            result = self.emit("Identity", [result])  # its own name must stay
        replace_node(self.node, self._nodes, result)

    def _fresh(self, base: str) -> str:
        name, count = unique_name(self.graph, base), 1
        while name in self._taken:
            count += 1
            name = unique_name(self.graph, f"{base}_{count}")
        self._taken.add(name)
        return name


def take(rewriter: Rewriter, x: ir.Value, axis: int, indices: Sequence[int], size: int) -> ir.Value:
    """The elements `indices` of `x` along `axis`, which has `size`."""
    parts = [
        rewriter.emit(
            "Slice",
            [
                x,
                rewriter.integers("starts", [run[0]]),
                rewriter.integers("ends", [_end(run, size)]),
                rewriter.integers("axes", [axis]),
                rewriter.integers("steps", [run[1] - run[0] if len(run) > 1 else 1]),
            ],
        )
        for run in runs(indices)
    ]
    return parts[0] if len(parts) == 1 else rewriter.emit("Concat", parts, {"axis": axis})


def _end(run: Sequence[int], size: int) -> int:
    step = run[1] - run[0] if len(run) > 1 else 1
    end = run[-1] + (1 if step > 0 else -1)
    return end if end >= 0 else -(size + 1)  # -1 would mean the last element


def runs(indices: Sequence[int]) -> list[list[int]]:
    """Cut a sequence into arithmetic progressions of non-zero step, from left to right."""
    found: list[list[int]] = []
    for index in indices:
        run = found[-1] if found else None
        if run is not None and _continues(run, index):
            run.append(index)
        else:
            found.append([index])
    return found


def _continues(run: list[int], index: int) -> bool:
    return index != run[0] if len(run) == 1 else index - run[-1] == run[1] - run[0]


def repeat(rewriter: Rewriter, x: ir.Value, axis: int, factor: int, shape: list[int]) -> ir.Value:
    """Each element of `x` `factor` times along `axis`."""
    column = rewriter.emit("Unsqueeze", [x, rewriter.integers("axes", [axis + 1])])
    copies = rewriter.emit("Concat", [column] * factor, {"axis": axis + 1})
    target = [-1, *shape[1:]]
    target[axis] = shape[axis] * factor
    return rewriter.emit("Reshape", [copies, rewriter.integers("shape", target)])
