"""Rules: what an operator takes, and the shape that it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz.graph import Choices, Graph, Value

Fits = Callable[[Value], bool]
Apply = Callable[[Graph, Value, Choices], "Value | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """An operator, or a group of them.

    Attributes:
        name: of the operator, or of the group.
        since: the first version of ONNX's operators that has it.
        fits: precondition on the value that it is applied to.
        apply: appends the nodes and gives the value; None where the choices do not fit.
    """

    name: str
    since: int
    fits: Fits
    apply: Apply


RULES: dict[str, Rule] = {}


def any_value(value: Value) -> bool:
    """No precondition."""
    return True


def rank(*ranks: int) -> Fits:
    """The value has one of these ranks, with the batch."""
    return lambda value: value.rank in ranks


def rule(name: str, fits: Fits = any_value, since: int = 13) -> Callable[[Apply], Apply]:
    """Register a function as a rule."""

    def register(apply: Apply) -> Apply:
        assert name not in RULES, name
        RULES[name] = Rule(name, since, fits, apply)
        return apply

    return register


def partner(graph: Graph, value: Value, choices: Choices) -> Value:
    """Another value of the same shape, or the value itself."""
    alike = [v for v in reversed(graph.values) if v.shape == value.shape and v != value]
    return choices.pick(alike[:3]) if alike else value
