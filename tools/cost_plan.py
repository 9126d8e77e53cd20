"""Which units the cost model is fitted to and judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from actc.approx.candidates import Variant, candidates, variants
from actc.approx.catalogue import find
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import FixedForm, Gates, NoForm, Objective, make_gates
from actc.targets.fpga.hdl import Module
from actc.targets.fpga.units import UnitOptions, unit_module

TRAINING = (
    "GELU",
    "Tanh",
    "SiLU",
    "Exp",
    "ELU",
    "HardSwish",
    "Snake",
    "Gaussian",
    "Mish",
    "MexicanHat",
    "Sqrt",
    "Arctan",
    "Softplus",
    "Square",
    "SPDER",
    "BSplineKAN",
    "PAU",
    "Symlog",
    "Elephant",
    "CATS",
)
HELD_OUT = (
    "Sigmoid",
    "Serf",
    "Morlet",
    "RationalKAN",
    "HardSigmoid",
    "GrowingCosine",
    "Softclip",
    "BentIdentity",
    "FourierBasis",
    "Cosine",
    "Logish",
    "HermiteBasis",
)
"""Functions of all shapes; those held out are never fitted."""
FORMS = ("table", "compressed", "bipartite", "thresholds", "pwl", "tree", "polynomial")
"""Forms that are measured."""


@dataclass(frozen=True)
class Unit:
    """A form of a function, to be synthesized.

    Attributes:
        function: name in the catalogue.
        form: what to build.
        title: form and parameters, for people.
        options: how to build it.
        dsp: whether products may take hard multipliers.
    """

    function: str
    form: FixedForm
    title: str
    options: UnitOptions
    dsp: bool

    @property
    def held_out(self) -> bool:
        """Whether the fit must not see it."""
        return self.function in HELD_OUT

    def module(self, name: str = "unit") -> Module:
        """What is synthesized."""
        return unit_module(self.form, name, self.options)

    @cached_property
    def digest(self) -> str:
        """By which its measurements are found again: of its graph, whatever its Verilog."""
        module = self.module()
        wires = module.wires()
        place = {wire.index: number for number, wire in enumerate(wires)}
        lines = [
            f"{wire.operator!r} {[place[operand.index] for operand in wire.operands]}"
            for wire in wires
        ]
        lines += [f"{place[out.wire.index]} {out.width}" for out in module.outputs]
        text = "\n".join([*lines, str(self.dsp)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def formats(function: str, bits: int, output_bits: int) -> tuple[FixedPoint, FixedPoint]:
    """Inputs in [-8, 8), or [0, 16) where the function needs it; outputs that hold its values."""
    entry = find(function)
    source = FixedPoint(entry.domain[0] < 0, bits, bits - 4)
    values = np.clip(entry.function()(source.values()), -64, 64)
    signed = bool(values.min() < 0)
    whole = max(int(np.ceil(np.log2(max(-values.min(), values.max()) * 1.0001))), -4)
    return source, FixedPoint(signed, output_bits, output_bits - signed - whole)


@cache
def gates_of(function: str, bits: int, output_bits: int, objective: Objective) -> Gates:
    """Gates of a function in its :func:`formats`."""
    source, output = formats(function, bits, output_bits)
    return make_gates(find(function).function(), source, output, objective)


def plan(functions: Collection[str] = (*TRAINING, *HELD_OUT)) -> Iterator[Unit]:
    """The units to measure: every form at 8 bits, fewer of them at other widths.

    Args:
        functions: only units of these.
    """
    for number, function in enumerate((*TRAINING, *HELD_OUT)):
        if function not in functions:
            continue
        yield from _units(function, 8, 4, only=("table", "thresholds"))
        if function in HELD_OUT:
            yield from _units(function, 8, 8)
            yield from _units(function, 10, 10, some=(number, 1 if number % 8 == 4 else 8))
            yield from _units(function, 12, 12, some=(number, 12))
        else:
            yield from _units(function, 8, 8, some=(number, 2))
            yield from _units(function, 6, 6, some=(number, 3))
            yield from _units(function, 10, 10, some=(number, 6))
            yield from _units(function, 12, 12, some=(number, 20))
        if number % 3 == 0:
            yield from _multipliers(function, 8)
        elif number % 6 == 1:
            yield from _multipliers(function, 10)


def _units(
    function: str,
    bits: int,
    output_bits: int,
    *,
    only: Sequence[str] = (),
    some: tuple[int, int] = (0, 1),
) -> Iterator[Unit]:
    """Units of the forms called `only`, or of every n-th form: `some` = (offset, n)."""
    wanted = [v for v in variants() if v.form in (only or FORMS)]
    wanted = [v for place, v in enumerate(wanted) if (place + some[0]) % some[1] == 0]
    objective: Objective = "correctly_rounded" if only else "faithful"
    for title, form in _forms(function, bits, output_bits, objective, tuple(wanted)):
        yield Unit(function, form, f"{title}, {bits} to {output_bits} bits", UnitOptions(), False)


def _multipliers(function: str, bits: int) -> Iterator[Unit]:
    """A multiplier in look-up tables and a hard one."""
    options = UnitOptions(multiplier="multiply")
    for form in ("pwl", "tree"):
        for title, found in _forms(function, bits, bits, "faithful", (Variant(form),)):
            yield Unit(function, found, f"{title} (*), {bits} bits", options, False)
            if form == "tree":
                yield Unit(function, found, f"{title} (DSP), {bits} bits", options, True)


@cache
def _forms(
    function: str, bits: int, output_bits: int, objective: Objective, wanted: tuple[Variant, ...]
) -> list[tuple[str, FixedForm]]:
    found = candidates(gates_of(function, bits, output_bits, objective), wanted)
    return [
        (str(candidate.variant), candidate.found.form)
        for candidate in found
        if not isinstance(candidate.found, NoForm)
    ]
