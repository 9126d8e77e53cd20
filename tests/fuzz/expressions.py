"""Random activations: expressions of one input, as graphs of elementwise operators."""

from __future__ import annotations

import numpy as np

from fuzz.graph import Choices, Graph

UNARY = ("Abs", "Neg", "Tanh", "Sigmoid", "Relu", "Sin", "Erf", "Softsign", "Atan", "Identity")
BINARY = ("Add", "Sub", "Mul", "Min", "Max", "Where")
CONSTANTS = (0.5, -1.25, 2.0, 1.0)


def expression(graph: Graph, name: str, choices: Choices) -> str:
    """Append a random expression of the tensor `name`; the name of its value."""
    names = [name]
    constants = [graph.constant(np.float32(c)) for c in CONSTANTS]
    for _ in range(choices.integer(1, 4)):
        op, first, second = choices.pick((*UNARY, *BINARY)), choices.byte(), choices.byte()
        operands = [names[-1 - first % min(3, len(names))]]
        if op in BINARY:
            other = names[-1 - second % min(3, len(names))]
            operands.append(constants[second % 4] if second % 3 == 2 else other)
        if op == "Where":
            operands.insert(0, graph.node("Greater", [names[-1], constants[0]]))
        names.append(graph.node(op, operands))
    return names[-1]
