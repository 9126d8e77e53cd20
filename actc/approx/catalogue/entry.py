"""What the catalogue says of a function: formula, parameters, source, definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actc.approx.function import Float64Array, ScalarFunction

REALS = (-math.inf, math.inf)
TINY = 1e-3
"""The least value of parameters that the function divides by or scales with."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a function: its usual value and the closed range of its values.

    The usual value is the paper's initial or recommended one where it states one, and
    a representative one otherwise.
    """

    name: str
    default: float
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"{self.name}: {self.default} is not in [{self.low}, {self.high}]")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a function was published; `authors` is "" for elementary functions."""

    authors: str
    title: str
    venue: str
    year: int

    def __str__(self) -> str:
        if not self.authors:
            return self.title
        return f"{self.authors}, {self.title}, {self.venue}, {self.year}"


ELEMENTARY = Source("", "elementary", "", 0)


def arxiv(authors: str, title: str, number: str) -> Source:
    """A paper on arXiv; the first two digits of its number are the year."""
    return Source(authors, title, f"arXiv {number}", 2000 + int(number[:2]))


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A published scalar function.

    Attributes:
        name: the field's usual name.
        formula: plain text, x the variable.
        parameters: in the order in which `evaluate` takes them.
        evaluate: ``evaluate(x, *parameters)``; float64 arrays that broadcast.
        source: paper, or `ELEMENTARY`.
        domain: closed interval on which the function is defined; at its finite ends
            and at 0 it may be infinite.
        searched: whether a label may also name scaled forms and several parameters
            of this function (:mod:`actc.approx.label`).
        aliases: other names.
    """

    name: str
    formula: str
    parameters: tuple[Parameter, ...]
    evaluate: Callable[..., Float64Array]
    source: Source
    domain: tuple[float, float] = REALS
    searched: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def defaults(self) -> tuple[float, ...]:
        """The usual value of each parameter."""
        return tuple(parameter.default for parameter in self.parameters)

    def function(self, *parameters: float) -> ScalarFunction:
        """The function with `parameters` (none: the defaults) filled in.

        Raises:
            ValueError: wrong number of parameters, or one is out of its range.
        """
        values = parameters or self.defaults
        if len(values) != len(self.parameters):
            raise ValueError(f"{self.name} takes {len(self.parameters)} parameters")
        for parameter, value in zip(self.parameters, values, strict=True):
            if not parameter.low <= value <= parameter.high:
                raise ValueError(
                    f"{self.name}: {parameter.name} must be in "
                    f"[{parameter.low:g}, {parameter.high:g}], not {value:g}"
                )
        return ScalarFunction(self.title(*values), lambda x: self.evaluate(x, *values))

    def title(self, *values: float) -> str:
        """Name with the parameters that differ from the usual ones: "LeakyReLU(0.1)"."""
        if all(abs(v - d) <= 1e-6 * abs(d) for v, d in zip(values, self.defaults, strict=True)):
            return self.name
        return f"{self.name}({', '.join(f'{value:.6g}' for value in values)})"


def entry(
    name: str,
    formula: str,
    evaluate: Callable[..., Any],
    source: Source,
    *parameters: Parameter,
    domain: tuple[float, float] = REALS,
    searched: bool = False,
    aliases: tuple[str, ...] = (),
) -> CatalogueEntry:
    """A :class:`CatalogueEntry` in the order in which the tables are best read."""
    return CatalogueEntry(name, formula, parameters, evaluate, source, domain, searched, aliases)
