"""Cells of a whole design, layer by layer: what synthesis will take, from the graph alone.

Plain counts (:mod:`~actc.targets.fpga.estimate.counts`) are weighed by family and kind of
wire; the weights are fitted to synthesized networks by ``benchmarks/fpga_estimates.py``.
docs/cost.md says how good that is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from actc.cost.demand import read_bits
from actc.cost.model import blocks
from actc.targets.fpga.estimate.counts import KINDS, Count, Kind, count, trailing_zeros
from actc.targets.fpga.estimate.weights import WEIGHTS
from actc.targets.fpga.families import FAMILIES, SYNTHESIZED, Family, find_family
from actc.targets.fpga.hdl import Design, Wire
from actc.targets.fpga.hdl import operators as op


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """What a layer takes.

    Attributes:
        luts, carries: look-up tables of any size, carry cells.
        logic_cells: sites of look-up tables that both take together.
        ffs: flip-flops.
        brams: block memories.
    """

    luts: float = 0.0
    carries: float = 0.0
    logic_cells: float = 0.0
    ffs: int = 0
    brams: int = 0

    def __add__(self, other: LayerEstimate) -> LayerEstimate:
        return LayerEstimate(
            self.luts + other.luts,
            self.carries + other.carries,
            self.logic_cells + other.logic_cells,
            self.ffs + other.ffs,
            self.brams + other.brams,
        )


@dataclass(frozen=True)
class Estimate:
    """What a design takes.

    Attributes:
        family: the FPGA family.
        layers: scope of the graph -> what its wires take; "" for what is in no layer, as
            the registers behind the inputs.
    """

    family: str
    layers: Mapping[str, LayerEstimate]

    @property
    def total(self) -> LayerEstimate:
        """The whole design."""
        return sum(self.layers.values(), LayerEstimate())


def estimate_design(design: Design, family: str) -> Estimate:
    """Estimate what a design takes, with or without registers.

    Args:
        family: a name of :data:`actc.targets.fpga.families.SYNTHESIZED`.

    Raises:
        UsageError: ACT0530, there is no such family.
    """
    kind = _counted_as(family)
    weights = WEIGHTS[kind.name]
    layers: dict[str, LayerEstimate] = defaultdict(LayerEstimate)
    for scope, wire, bits, low, zeros in _wires(design):
        found = count(wire, bits, low, zeros, kind)
        weighed = _weighed(found, weights[found.kind], kind)
        layers[scope] += weighed + _kept(wire, bits, zeros, kind)
    return Estimate(family, dict(layers))


def count_design(design: Design, family: str) -> dict[str, dict[Kind, float]]:
    """Logic cells by layer and kind of wire, not weighed: what the weights are fitted to.

    Raises:
        UsageError: ACT0530, there is no such family.
    """
    kind = _counted_as(family)
    found: dict[str, dict[Kind, float]] = {}
    for scope, wire, bits, low, zeros in _wires(design):
        one = count(wire, bits, low, zeros, kind)
        row = found.setdefault(scope, dict.fromkeys(KINDS, 0.0))
        row[one.kind] += one.luts + one.carries * _sites(kind)
    return found


def _wires(design: Design) -> Iterator[tuple[str, Wire, int, bool, Mapping[int, int]]]:
    """Layer, wire, how many of its lowest bits anything reads, whether the lowest one; zeros."""
    module = design.module()
    read, wires = read_bits(module), module.wires()
    lowest = {out.wire.index for out in module.outputs}
    for wire in wires:
        if not _cuts_low(wire.operator):
            lowest |= {operand.index for operand in wire.operands}
    zeros: dict[int, int] = {}
    for wire in wires:
        zeros[wire.index] = trailing_zeros(wire, zeros)
        scope = design.graph.scopes[wire.index]
        yield scope, wire, read[wire.index], wire.index in lowest, zeros


def _cuts_low(operator: op.Operator) -> bool:
    """Whether an operator does not read the lowest bit."""
    if isinstance(operator, op.ShiftRight):
        return operator.amount > 0
    return isinstance(operator, op.Bits) and operator.low > 0


def _counted_as(family: str) -> Family:
    """The family whose rules count: UltraScale+ has the look-up tables of 7 series."""
    found = find_family(family, SYNTHESIZED)
    return FAMILIES.get(found.name, FAMILIES["xc7"])


def _weighed(found: Count, weight: float, family: Family) -> LayerEstimate:
    luts, carries = weight * found.luts, weight * found.carries
    return LayerEstimate(luts, carries, luts + carries * _sites(family))


def _kept(wire: Wire, bits: int, zeros: Mapping[int, int], family: Family) -> LayerEstimate:
    """Flip-flops and block memories of a wire."""
    if isinstance(wire.operator, op.Lookup) and wire.operator.memory:
        sizes = (wire.operands[0].width, bits)
        return LayerEstimate(brams=blocks(sizes, family))
    if not isinstance(wire.operator, op.Register):
        return LayerEstimate()
    (source,) = wire.operands
    inside = isinstance(source.operator, op.Lookup) and source.operator.memory
    # zeros at the end are constants, and memories have registers of their own
    return LayerEstimate(ffs=0 if inside else max(bits - zeros[wire.index], 0))


def _sites(family: Family) -> int:
    """Sites of look-up tables that a carry cell takes."""
    return max(kind.sites for kind in family.cells if kind.role == "carry")
