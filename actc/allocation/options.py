"""What each site may have: bits, the bytes that they take, the error that they cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from actc.ir.context import Context, attach, context_of
from actc.passes.approximate import Approximate
from actc.passes.calibrate import Calibrate
from actc.passes.quantize import Quantize
from actc.passes.weights import QuantizeWeights
from actc.pipeline import Instrument, Pipeline, pass_name
from actc.prepare import Prepared
from actc.sensitivity import ErrorSite, Reference, Setting, Simulation, choice_of, error_sites
from actc.sensitivity.setting import setting_of

TENSOR_BITS = (4, 6, 8, 12, 16)
WEIGHT_BITS = ("2", "3", "4", "6", "8")
SAMPLES = 64
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Option:
    """One choice for a site.

    Attributes:
        bits: as the user writes them; "" where there is no choice.
        setting: that has these bits at the site.
        bytes: of its codes: packed weights, or a tensor of one sample.
        error: mean square error of the outputs with this site alone, over their mean
            square.
    """

    bits: str
    setting: Setting
    bytes: int
    error: float


@dataclass(frozen=True, slots=True)
class Item:
    """A site and its options, fewest bits first."""

    site: ErrorSite
    options: tuple[Option, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """All sites of a network with their options.

    Attributes:
        simulation: of the network.
        reference: its float outputs on the samples that errors were measured on.
        items: in the order of the graph.
    """

    simulation: Simulation
    reference: Reference
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False, slots=True)
class _Settings:
    """Candidates: by bits of tensors, and by bits of weights."""

    tensors: Mapping[str, Setting]
    weights: Mapping[str, Setting]


def tabulate(
    prepared: Prepared,
    pipeline: Pipeline,
    overrides: Mapping[str, Mapping[str, Any]],
    progress: Progress,
    instruments: Sequence[Instrument] = (),
    *,
    tensors: bool,
    widest: int,
) -> Table:
    """Measure every option of every site.

    Args:
        prepared: the model with its data.
        pipeline: the passes of the compilation, actc's own.
        overrides: bits that the user gave: the only option of those sites.
        progress: called with a line per measurement.
        instruments: of the passes up to calibration.
        tensors: whether tensors have a choice; otherwise they have what `pipeline`
            and `overrides` give them.
        widest: most bits of a tensor.
    """
    steps = {pass_name(step): step for step in pipeline.passes}
    names = [pass_name(step) for step in pipeline.passes]
    calibrated = Pipeline(pipeline.passes[: names.index("calibrate") + 1]).run(
        prepared.model, instruments
    )
    maker = _Maker(calibrated, steps, overrides)
    candidates: dict[str, int | None] = {"": None}
    if tensors:
        candidates = {str(bits): bits for bits in TENSOR_BITS if bits <= widest}
    made = {}
    for text, bits in candidates.items():
        progress(f"formats of {text} bits" if text else "formats")
        made[text] = maker.formats(bits)
    model, context = made["8" if tensors else ""]
    weights = {}
    for text in dict.fromkeys([*WEIGHT_BITS, *overrides["weights"].values()]):
        progress(f"weights of {text} bits")
        weights[text] = maker.weights(model, context, text)
    settings = _Settings({text: setting_of(*pair) for text, pair in made.items()}, weights)
    simulation = Simulation(model, context, [*settings.tensors.values(), *weights.values()])
    base = setting_of(model, context)
    sites = error_sites(simulation, base, joined=True)
    reference = Reference(simulation, prepared.dataset.take(SAMPLES))
    counts = _elements(context, maker.samples)
    given = {n for g in simulation.groups if overrides["activations"].keys() & set(g) for n in g}
    items = []
    for number, site in enumerate(sites):
        progress(f"sensitivities: site {number + 1} of {len(sites)}")
        choices = _choices(site, settings, base, given, overrides["weights"])
        items.append(
            Item(
                site,
                tuple(
                    Option(
                        bits,
                        setting,
                        _bytes(site, setting, counts),
                        reference.error(choice_of([site], setting)),
                    )
                    for bits, setting in choices
                ),
            )
        )
    return Table(simulation, reference, tuple(items))


class _Maker:
    """Runs the passes that choose formats, on copies of a calibrated model."""

    def __init__(
        self,
        model: ir.Model,
        steps: Mapping[str, ir.passes.PassBase],
        overrides: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._model, self._context, self._overrides = model, context_of(model), overrides
        approximate, quantize, weights = (
            steps[name] for name in ("approximate", "quantize", "weights")
        )
        assert isinstance(approximate, Approximate)
        assert isinstance(quantize, Quantize)
        assert isinstance(weights, QuantizeWeights)
        self._approximate, self._quantize, self._weights = approximate, quantize, weights
        calibrate = steps["calibrate"]
        assert isinstance(calibrate, Calibrate)
        seen = self._context.dataset.samples
        self.samples = min(calibrate.samples or seen, seen)

    def formats(self, bits: int | None) -> tuple[ir.Model, Context]:
        """The model with `bits` for every value (None: as the passes choose)."""
        copy = ir.from_proto(ir.to_proto(self._model))
        context = dataclasses.replace(
            self._context,
            sites={
                name: dataclasses.replace(site, details=dict(site.details))
                for name, site in self._context.sites.items()
            },
            facts=dict(self._context.facts),
        )
        attach(copy, context)
        widths = {} if bits is None else dict.fromkeys(context.ranges, bits)
        context.facts["widths"] = {**widths, **self._overrides["activations"]}
        for step in (self._approximate, self._quantize):
            step(copy)
            attach(copy, context)
        return copy, context

    def weights(self, model: ir.Model, context: Context, bits: str) -> Setting:
        """All layers at `bits`."""
        attach(model, context)
        dataclasses.replace(self._weights, bits=bits, edges=0, layers="")(model)
        setting = setting_of(model, context)
        context.facts.pop("weights"), context.facts.pop("layers")
        return setting


def _choices(
    site: ErrorSite,
    settings: _Settings,
    base: Setting,
    given: Collection[str],
    layers: Mapping[str, str],
) -> Sequence[tuple[str, Setting]]:
    """Bits and settings; `given` and `layers` are the tensors and layers without a choice."""
    if site.kind == "tensor":
        if site.name in given or len(settings.tensors) == 1:
            return [("", base)]
        return list(settings.tensors.items())
    if site.kind == "weights" and site.name in next(iter(settings.weights.values())).weights:
        if site.name in layers:
            return [(layers[site.name], settings.weights[layers[site.name]])]
        return [(bits, settings.weights[bits]) for bits in WEIGHT_BITS]
    return [("", base)]


def _elements(context: Context, samples: int) -> dict[str, float]:
    """Elements of each value per sample."""
    return {name: seen.total / samples for name, seen in context.ranges.items()}


def _bytes(site: ErrorSite, setting: Setting, elements: Mapping[str, float]) -> int:
    if site.kind == "weights" and site.name in setting.weights:
        chosen = setting.weights[site.name]
        return chosen.packed_bytes
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
