"""Formats and weights of all candidate bits, each made when it is first asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from actc.ir.context import Context, attach, context_of
from actc.numerics.weights import QuantizedWeights, WeightFormat
from actc.passes.approximate import Approximate
from actc.passes.calibrate import Calibrate
from actc.passes.quantize import Quantize
from actc.passes.weights import QuantizeWeights
from actc.pipeline import Instrument, Pipeline, pass_name
from actc.prepare import Prepared
from actc.sensitivity import Formats, Setting
from actc.sensitivity.setting import setting_of

TENSOR_BITS = (4, 6, 8, 12, 16)
WEIGHT_BITS = ("2", "3", "4", "6", "8")
SPARSE_WEIGHT_BITS = ("ternary", "3", "4", "6", "8")
"""For logic: codes of 2 bits are never 0, ternary ones often, and a 0 takes nothing."""
MEASURED_WEIGHTS = "4"
"""Bits of weights that are measured beside 8, which cost nothing to make."""
Progress = Callable[[str], None]
Overrides = Mapping[str, Mapping[str, Any]]


class Candidates:
    """What the passes make of tensors and weights at any of the candidate bits.

    Attributes:
        formats: bits of tensors, as the user writes them -> value name -> formats; the
            key "" alone where tensors have no choice.
        base: the key of those that the model has.
        model: the calibrated float graph with these formats, and `context` its context.
        weight_bits: candidate bits of weights.
        layers: names of the layers whose weights have a choice of bits.
        made: (layer, bits) -> the weights that were made so far.
        elements: of each value, per sample.

    Args:
        prepared: the model with its data.
        pipeline: the passes of the compilation, actc's own.
        overrides: bits that the user gave.
        say: called with a line per step.
        instruments: of the passes up to calibration.
        tensors: whether tensors have a choice.
        widest: most bits of a tensor.
        weight_bits: candidate bits of weights, fewest first.
    """

    def __init__(
        self,
        prepared: Prepared,
        pipeline: Pipeline,
        overrides: Overrides,
        say: Progress,
        instruments: Sequence[Instrument],
        *,
        tensors: bool,
        widest: int,
        weight_bits: Sequence[str] = WEIGHT_BITS,
    ) -> None:
        self.weight_bits = weight_bits
        self._say, self._overrides = say, overrides
        names = [pass_name(step) for step in pipeline.passes]
        steps = dict(zip(names, pipeline.passes, strict=True))
        approximate, quantize, weights, calibrate = (
            steps[name] for name in ("approximate", "quantize", "weights", "calibrate")
        )
        assert isinstance(approximate, Approximate)
        assert isinstance(quantize, Quantize)
        assert isinstance(weights, QuantizeWeights)
        assert isinstance(calibrate, Calibrate)
        self._approximate, self._quantize, self._weights = approximate, quantize, weights
        say("ranges")
        self._calibrated = Pipeline(pipeline.passes[: names.index("calibrate") + 1]).run(
            prepared.model, instruments
        )
        seen = context_of(self._calibrated)
        samples = min(calibrate.samples or seen.dataset.samples, seen.dataset.samples)
        self.elements = {name: found.total / samples for name, found in seen.ranges.items()}
        self.formats: dict[str, Mapping[str, Formats]] = {}
        wanted = [bits for bits in TENSOR_BITS if bits <= widest] if tensors else [None]
        self.base = "8" if tensors else ""
        for bits in wanted:
            say(f"formats of {bits} bits" if bits else "formats")
            model, context = self._with_formats(bits)
            key = "" if bits is None else str(bits)
            self.formats[key] = setting_of(model, context).formats
            if key == self.base:
                self.model, self.context = model, context
        self._given = dict(self.context.facts.get("given", {}))
        self.made: dict[tuple[str, str], QuantizedWeights] = {}
        self._make(WEIGHT_BITS[-1], None)
        self.layers = [name for name, _ in self.made if name not in self._given]

    def weights(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Make the weights of (layer, bits), those of the same bits in one run."""
        missing: dict[str, list[str]] = {}
        for layer, bits in dict.fromkeys(wanted):
            if (layer, bits) not in self.made:
                missing.setdefault(bits, []).append(layer)
        for bits, layers in missing.items():
            count = f"{len(layers)} layer{'s' if len(layers) > 1 else ''}"
            self._say(f"weights of {bits} bits: {count}")
            self._make(bits, layers)

    def weights_of(self, layer: str, bits: str) -> QuantizedWeights:
        """The weights of a layer."""
        self.weights([(layer, bits)])
        return self.made[layer, bits]

    def only(self, layer: str) -> dict[str, str]:
        """The bits of a layer whose integers the model gives; of others none."""
        return {layer: WEIGHT_BITS[-1]} if layer in self._given else {}

    def bytes_of(self, layer: str, bits: str) -> int:
        """What the weights of a layer take, packed."""
        like = self.made[layer, WEIGHT_BITS[-1]]
        form = WeightFormat.parse(bits, like.form.granularity, like.form.power_of_two)
        form = dataclasses.replace(form, group=like.form.group)
        codes = form.packed_bytes(like.codes.size)
        rows = len(like.codes)
        groups = form.groups_of(like.codes.size // rows) if rows else 1
        factors = rows * groups if groups > 1 else 0
        return codes + -(-factors * form.factor_bits // 8)

    def setting(self, tensors: str, layers: Mapping[str, str]) -> Setting:
        """Formats of so many bits, and weights of the given ones."""
        self.weights(layers.items())
        made = {name: self.made[name, bits] for name, bits in layers.items()}
        return Setting(self.formats[tensors], made)

    def _with_formats(self, bits: int | None) -> tuple[ir.Model, Context]:
        """A copy of the model with `bits` for every value (None: as the passes choose)."""
        calibrated = context_of(self._calibrated)
        copy = ir.from_proto(ir.to_proto(self._calibrated))
        context = dataclasses.replace(
            calibrated,
            sites={
                name: dataclasses.replace(site, details=dict(site.details))
                for name, site in calibrated.sites.items()
            },
            facts=dict(calibrated.facts),
        )
        attach(copy, context)
        widths = {} if bits is None else dict.fromkeys(context.ranges, bits)
        context.facts["widths"] = {**widths, **self._overrides["activations"]}
        for step in (self._approximate, self._quantize):
            step(copy)
            attach(copy, context)
        return copy, context

    def _make(self, bits: str, layers: Collection[str] | None) -> None:
        """Run pass `weights` for some layers; None: all. What it gets as given costs nothing."""
        attach(self.model, self.context)
        facts = self.context.facts
        if layers is not None:
            eight = WEIGHT_BITS[-1]
            others = {n: w for (n, b), w in self.made.items() if b == eight and n not in layers}
            facts["given"] = {**others, **self._given}
        self._weights.alone(bits)(self.model)
        made = facts.pop("weights")
        facts.pop("layers"), facts.pop("given", None)
        if self._given:
            facts["given"] = self._given
        for name, weights in made.items():
            if layers is None or name in layers:
                self.made[name, bits] = weights
