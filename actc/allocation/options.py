"""What each site may have: bits, the bytes that they take, the error that they cause."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actc.allocation.candidates import (
    MEASURED_WEIGHTS,
    WEIGHT_BITS,
    Candidates,
    Overrides,
    Progress,
)
from actc.allocation.law import interpolated
from actc.data import Dataset
from actc.sensitivity import ErrorSite, Reference, Setting, Simulation, choice_of, error_sites
from actc.sensitivity.gates import Gate

FEWEST_SAMPLES, ENOUGH_SAMPLES, MOST_SAMPLES = 16, 64, 512
"""Samples that errors of single sites are measured on."""
STANDARD_ERROR = 0.05
"""Of the measured relative RMS error: up to 64 samples are taken to make it as small."""
WORK = 2**24
"""Elements of all tensors together up to which more samples are taken all the same: with
few of them the errors of different sites seem correlated that are not, and do not add up."""
_NAMED_BITS = {"ternary": math.log2(3), "binary": 1.0}
Choice = Sequence[int]


@dataclass(frozen=True, slots=True)
class Option:
    """One choice for a site.

    Attributes:
        bits: as the user writes them; "" where there is no choice.
        bytes: of its codes: packed weights, or a tensor of one sample.
        error: mean square error of the outputs with this site alone, over their mean
            square; measured, or by the law of `interpolated` from two that were.
        measured: whether it was measured.
    """

    bits: str
    bytes: int
    error: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Item:
    """A site and its options, fewest bits first."""

    site: ErrorSite
    options: tuple[Option, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """All sites of a network with their options.

    Attributes:
        candidates: makes formats and weights.
        simulation: of the network.
        reference: its float outputs on the samples that errors were measured on.
        standard_error: of a relative RMS error over these samples.
        items: in the order of the graph.
    """

    candidates: Candidates
    simulation: Simulation
    reference: Reference
    standard_error: float
    items: tuple[Item, ...]

    def switches(self, chosen: Choice) -> dict[Gate, Setting]:
        """The switches of a choice, all on."""
        return {gate: s for place in enumerate(chosen) for gate, s in self._of(*place).items()}

    def changed(self, base: Mapping[Gate, Setting], item: int, option: int) -> dict[Gate, Setting]:
        """The switches of a choice with another option of one item."""
        return {**base, **self._of(item, option)}

    def prepare(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Make the weights of (item, option), those of the same bits together."""
        self.candidates.weights(
            (self.items[i].site.name, self.items[i].options[o].bits)
            for i, o in wanted
            if self.items[i].site.kind == "weights" and self.items[i].options[o].bits
        )

    def _of(self, item: int, option: int) -> dict[Gate, Setting]:
        found = self.items[item]
        setting = setting_for(self.candidates, found.site, found.options[option].bits)
        return choice_of([found.site], setting)


def setting_for(candidates: Candidates, site: ErrorSite, bits: str) -> Setting:
    """The formats and weights of a site at some of its options."""
    if site.kind == "tensor":
        return candidates.setting(bits or candidates.base, {})
    layers = {site.name: bits} if bits else candidates.only(site.name)
    return candidates.setting(candidates.base, layers)


def tabulate(
    candidates: Candidates, overrides: Overrides, dataset: Dataset, say: Progress
) -> Table:
    """Measure the sites, each alone.

    Tensors are measured at the fewest bits, at 8, and, where a narrow format makes an
    exception of the law, at the most; weights at 4 and 8. The other options follow from
    the law of `interpolated`.

    Args:
        candidates: of the network.
        overrides: bits that the user gave: the only option of those sites.
        dataset: samples to take some of.
        say: called with a line per measurement.
    """
    settings = [candidates.setting(bits, {}) for bits in candidates.formats]
    layers = candidates.layers
    given = overrides["weights"]
    candidates.weights((n, given.get(n, MEASURED_WEIGHTS)) for n in layers)
    corrected = [
        candidates.setting(candidates.base, {n: given.get(n, bits) for n in layers})
        for bits in (MEASURED_WEIGHTS, WEIGHT_BITS[-1])
    ]
    simulation = Simulation(candidates.model, candidates.context, [*settings, *corrected])
    base = candidates.setting(candidates.base, {n: given.get(n, "8") for n in layers})
    sites = error_sites(simulation, base, joined=True)
    elements = sum(candidates.elements.values())
    everything = choice_of(sites, base)
    reference, standard_error = _reference(simulation, dataset, everything, elements)
    fixed = overrides["activations"].keys()
    held = {n for group in simulation.groups if fixed & set(group) for n in group}
    measuring = _Measuring(candidates, reference, held, given)
    items = []
    for number, site in enumerate(sites):
        say(f"sensitivities: site {number + 1} of {len(sites)}")
        items.append(measuring.item(site))
    return Table(candidates, simulation, reference, standard_error, tuple(items))


def _reference(
    simulation: Simulation,
    dataset: Dataset,
    everything: Mapping[Gate, Setting],
    elements: float,
) -> tuple[Reference, float]:
    """As many samples as pay, and the standard error with them."""
    pilot = Reference(simulation, dataset.take(ENOUGH_SAMPLES))
    squares = pilot.by_sample(everything)
    spread = float(np.std(squares) / max(np.mean(squares), 1e-30)) / 2  # of the root: half
    needed = min(math.ceil((spread / STANDARD_ERROR) ** 2), ENOUGH_SAMPLES)
    affordable = min(int(WORK / max(elements, 1.0)), MOST_SAMPLES)
    count = min(dataset.samples, max(FEWEST_SAMPLES, needed, affordable))
    return Reference(simulation, dataset.take(count)), spread / math.sqrt(count)


class _Measuring:
    def __init__(
        self,
        candidates: Candidates,
        reference: Reference,
        held: Collection[str],
        layers: Mapping[str, str],
    ) -> None:
        self._candidates, self._reference = candidates, reference
        self._held, self._layers = held, layers

    def item(self, site: ErrorSite) -> Item:
        """A site with its options."""
        bits = self._bits(site)
        known = {_number(b): self._error(site, b) for b in self._measured(site, bits)}
        options = [
            Option(
                b,
                self._bytes(site, b),
                interpolated(_number(b), known),
                _number(b) in known,
            )
            for b in bits
        ]
        return Item(site, tuple(options))

    def _bits(self, site: ErrorSite) -> Sequence[str]:
        if site.kind == "tensor":
            free = site.name not in self._held and len(self._candidates.formats) > 1
            return list(self._candidates.formats) if free else [""]
        if site.kind == "weights" and site.name in self._layers:
            return [self._layers[site.name]]
        free = site.kind == "weights" and site.name in self._candidates.layers
        return self._candidates.weight_bits if free else [""]

    def _measured(self, site: ErrorSite, bits: Sequence[str]) -> Sequence[str]:
        if len(bits) == 1:
            return bits
        if site.kind == "weights":
            return [MEASURED_WEIGHTS, WEIGHT_BITS[-1]]
        ends = [bits[0], self._candidates.base]
        narrow = any(
            self._candidates.formats[bits[-1]][gate.name].narrow is not None for gate in site.gates
        )
        return [*ends, bits[-1]] if narrow else ends

    def _error(self, site: ErrorSite, bits: str) -> float:
        setting = setting_for(self._candidates, site, bits)
        return self._reference.error(choice_of([site], setting))

    def _bytes(self, site: ErrorSite, bits: str) -> int:
        if site.kind == "weights" and site.name in self._candidates.layers:
            return self._candidates.bytes_of(site.name, bits)
        setting = setting_for(self._candidates, site, bits)
        if site.kind == "weights" and site.name in setting.weights:
            return setting.weights[site.name].packed_bytes
        return _tensor_bytes(site, setting, self._candidates.elements)


def _tensor_bytes(site: ErrorSite, setting: Setting, elements: Mapping[str, float]) -> int:
    total = 0.0
    if site.kind == "tensor":
        for gate in site.gates:
            formats = setting.formats[gate.name]
            if gate.kind == "linear" and formats.narrow is not None:
                total += elements[gate.name] * formats.narrow.bits / 8
            elif gate.kind == "wide" or not any(
                other.kind == "wide" and other.name == gate.name for other in site.gates
            ):
                total += elements[gate.name] * formats.wide.bits / 8
    return round(total)


def _number(bits: str) -> float:
    """Bits as a number; a site without a choice has one option, whatever its bits."""
    if bits in _NAMED_BITS:
        return _NAMED_BITS[bits]
    return float(bits or 0)
