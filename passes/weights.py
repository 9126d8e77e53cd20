"""Choose the integer weights of every linear layer."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import onnx_ir as ir

from actc.calibrate.cascade import Cascade
from actc.calibrate.moments import collect_moments
from actc.data import Dataset
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.context import Context, context_of
from actc.ir.dialect import add_bodies
from actc.numerics.weights import (
    DAMPING,
    GRANULARITIES,
    Granularity,
    Moments,
    PairedMoments,
    QuantizedWeights,
    WeightFormat,
    bias_floor,
    largest_weights,
    nearest_weights,
    optimal_weights,
    output_error,
    paired_output_error,
    sequential_weights,
    weight_error,
)
from actc.passes.base import Pass
from actc.passes.linear_layers import (
    LinearLayer,
    depthwise,
    first_and_last,
    linear_layers,
    name_states,
)
from actc.passes.recurrent import GATES
from actc.passes.substitutes import substitute

ROUNDINGS = ("auto", "nearest", "optimal", "sequential")
WIDEST = 6144
"""Longest vector whose matrix of second moments is factored: 300 MB."""

Result = tuple[QuantizedWeights, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class QuantizeWeights(Pass):
    """Rules:

    1. Weights get `bits` ("8" ... "2", "ternary"), symmetric, one scale per output
       channel (or tensor; powers of two on demand). With `groups`, runs of that many
       inputs (of a Conv: input channels) share an integer factor below it.
    2. The first and last layers, and depthwise convolutions, whose sums are too short
       for errors to cancel, keep at least `edges` bits (0: no exception); neither of the
       two groups does when it holds more than half of all weights.
       `layers` overrides single ones: "NODE=BITS;NODE=BITS"; so does
       ``facts["weight_bits"]`` of the context, by node.
    3. "nearest" rounding: at 8 bits the largest weight of a channel has the largest
       code; below, the scale has the least square error.
    4. "optimal" rounding: codes, scales and bias have the least error in the layer's
       output on the data, see `optimal_weights`. A layer that reads more than 6144 values
       per output is rounded to nearest. "sequential" (what "auto" means where any
       layer has less than 8 bits or is recurrent, so that its errors come back at every
       step) is the same layer by layer, for inputs as the integers
       of the layers before leave them, see `sequential_weights`; a layer's own states are
       the float network's.

    5. Weights that the model gives as integers (``facts["given"]``) stay as they are.

    The results stay in the context, by node: ``facts["weights"]`` for `integerize`,
    ``facts["layers"]`` for the report.
    """

    name: ClassVar[str] = "weights"

    bits: str = "8"
    rounding: str = "auto"
    granularity: str = "channel"
    power_of_two: bool = False
    groups: int = 0
    edges: int = 8
    layers: str = ""
    correct_bias: bool = True
    damping: float = DAMPING
    samples: int = 512
    batch: int = 16

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fill the context's weights; the model stays as it is.

        Raises:
            UsageError: ACT0224 or ACT0226, an option has no such value; ACT0227, an
                override names no layer; ACT0222, optimal rounding without data.
        """
        context = context_of(model)
        found = linear_layers(model)
        formats = self._formats(model, found)
        given = context.facts.get("given", {})
        binary = context.facts.get("binarized", {}).get("layers", {})
        chosen = [layer for layer in found if layer.name not in given]
        wanted = self._wants_data(found, formats)
        optimal = [x for x in chosen if wanted and self._is_optimal(x, formats, context)]
        results: dict[str, Result] = {}
        for layer in found:
            if layer.name in given:
                origin = "binarized" if layer.name in binary else "given"
                results[layer.name] = given[layer.name], _row(layer, given[layer.name], origin)
            elif layer not in optimal:
                results[layer.name] = self._nearest(layer, formats[layer.name])
        in_order = self.rounding in ("auto", "sequential")
        later = [layer for layer in optimal if in_order and not _own(layer)]
        at_once = [layer for layer in optimal if layer not in later]
        for layer, moments in self._moments(model, at_once, context):
            results[layer.name] = self._optimal(layer, formats[layer.name], moments)
        if later:
            self._in_sequence(model, chosen, formats, results, context)
        names = [layer.name for layer in found]
        context.facts["weights"] = {name: results[name][0] for name in names}
        context.facts["layers"] = {name: results[name][1] for name in names}
        return ir.passes.PassResult(model, modified=False)

    def alone(self, bits: str) -> QuantizeWeights:
        """The pass that gives every layer `bits` whatever the others have.

        So no layer makes up for errors of others, which may get other bits.
        """
        rounding = self.rounding
        if rounding in ("auto", "sequential"):
            nearest = rounding == "auto" and self._parse(bits).bits == 8
            rounding = "nearest" if nearest else "optimal"
        return dataclasses.replace(self, bits=bits, rounding=rounding, edges=0, layers="")

    def _formats(self, model: ir.Model, layers: list[LinearLayer]) -> dict[str, WeightFormat]:
        """The format of each layer, by name."""
        _one_of("rounding", self.rounding, ROUNDINGS)
        _one_of("granularity", self.granularity, GRANULARITIES)
        check_groups(self.groups)
        given = self._parse(self.bits)
        formats = {layer.name: given for layer in layers}
        if self.edges > given.bits:
            widest = self._parse(str(self.edges))
            for kept in (first_and_last(model, layers), depthwise(layers)):
                held = sum(layer.rows.size for layer in layers if layer.name in set(kept))
                if 2 * held <= sum(layer.rows.size for layer in layers):
                    formats.update(dict.fromkeys(kept, widest))
        chosen = context_of(model).facts.get("weight_bits", {})
        for name, bits in [*_overrides(self.layers), *chosen.items()]:
            if name not in formats:
                raise _no_such_layer(name, list(formats))
            formats[name] = self._parse(bits)
        if not self.groups:
            return formats
        return {
            layer.name: dataclasses.replace(formats[layer.name], group=self.groups * layer.window)
            for layer in layers
        }

    def _parse(self, bits: str) -> WeightFormat:
        granularity: Granularity = "tensor" if self.granularity == "tensor" else "channel"
        return WeightFormat.parse(bits, granularity, self.power_of_two)

    def _wants_data(self, layers: list[LinearLayer], formats: dict[str, WeightFormat]) -> bool:
        """Whether rounding looks at what layers read."""
        if self.rounding == "auto":
            few = any(form.bits < 8 for form in formats.values())
            return few or any(layer.node.op_type in GATES for layer in layers)
        return self.rounding != "nearest"

    def _is_optimal(
        self, layer: LinearLayer, formats: dict[str, WeightFormat], context: Context
    ) -> bool:
        few = formats[layer.name].bits < 8
        if layer.reading is None:
            return False
        if layer.size > WIDEST and (few or self.rounding != "auto"):
            message = f"{layer.size} values per output are too many for optimal rounding"
            context.sink.add(
                Diagnostic(
                    "ACT0228",
                    f"{message}: the layer's weights are rounded to nearest",
                    severity="warning",
                    place=Place(context.file, layer.name, layer.node.op_type),
                    help="give this layer more bits, with weights{layers=NODE=8}",
                )
            )
        return layer.size <= WIDEST

    def _nearest(self, layer: LinearLayer, form: WeightFormat) -> Result:
        floor = bias_floor(layer.bias, layer.x_scale)
        rounded = largest_weights if form.bits == 8 else nearest_weights
        quantized = rounded(layer.rows, form, floor)
        return quantized, _row(layer, quantized, "nearest")

    def _optimal(self, layer: LinearLayer, form: WeightFormat, moments: Moments) -> Result:
        floor = bias_floor(layer.bias, layer.x_scale)
        quantized = optimal_weights(
            layer.rows,
            moments,
            form,
            floor,
            damping=self.damping,
            correct_bias=self.correct_bias,
        )
        nearest, _ = self._nearest(layer, form)
        row = _row(layer, quantized, "optimal")
        row["output_error"] = output_error(layer.rows, quantized, moments)
        row["output_error_nearest"] = output_error(layer.rows, nearest, moments)
        return quantized, row

    def _paired(self, layer: LinearLayer, form: WeightFormat, moments: PairedMoments) -> Result:
        floor = bias_floor(layer.bias, layer.x_scale)
        quantized = sequential_weights(
            layer.rows,
            moments,
            form,
            floor,
            damping=self.damping,
            correct_bias=self.correct_bias,
        )
        nearest, _ = self._nearest(layer, form)
        row = _row(layer, quantized, "sequential")
        row["output_error"] = paired_output_error(layer.rows, quantized, moments)
        row["output_error_nearest"] = paired_output_error(layer.rows, nearest, moments)
        return quantized, row

    def _in_sequence(
        self,
        model: ir.Model,
        layers: list[LinearLayer],
        formats: dict[str, WeightFormat],
        results: dict[str, Result],
        context: Context,
    ) -> None:
        """Fill `results` for the layers that it lacks, those before them first."""
        by_node: dict[str, list[LinearLayer]] = {}
        for layer in layers:
            by_node.setdefault(str(layer.node.name), []).append(layer)
        add_bodies(model)
        proto = ir.to_proto(model)
        nodes = {node.name: node for node in proto.graph.node}
        cascade = Cascade(proto, list(by_node), self._dataset(context), self.batch)
        say = context.facts.get("progress", {}).get("say", lambda text: None)
        while names := cascade.advance():
            say(f"weights: layers {', '.join(names[:2])}{' ...' if len(names) > 2 else ''}")
            level = [layer for name in names for layer in by_node[name]]
            open_ = [layer for layer in level if layer.name not in results]
            readings = [layer.reading for layer in open_ if layer.reading is not None]
            for reading, moments in cascade.moments(readings):
                for layer in open_:
                    if layer.reading == reading:
                        found = self._paired(layer, formats[layer.name], moments)
                        results[layer.name] = found
            for name in names:
                chosen = {layer.name: results[layer.name][0] for layer in by_node[name]}
                cascade.substitute(name, substitute(nodes[name], by_node[name], chosen))

    def _moments(
        self, model: ir.Model, layers: list[LinearLayer], context: Context
    ) -> Iterator[tuple[LinearLayer, Moments]]:
        if not layers:
            return
        dataset = self._dataset(context)
        add_bodies(model)
        readings = [layer.reading for layer in layers if layer.reading is not None]
        proto = ir.to_proto(model)
        name_states(proto)
        for reading, moments in collect_moments(proto, readings, dataset, self.batch):
            for layer in layers:
                if layer.reading == reading:
                    yield layer, moments

    def _dataset(self, context: Context) -> Dataset:
        if context.dataset is None:
            message = "optimal rounding of weights needs data"
            raise UsageError(Diagnostic("ACT0222", message, help="pass --data DATA.npz"))
        found: Dataset = context.dataset
        return found.take(self.samples) if self.samples else found


def _own(layer: LinearLayer) -> bool:
    """Whether a layer reads its own states."""
    return layer.reading is not None and layer.reading.states is not None


def _row(layer: LinearLayer, quantized: QuantizedWeights, rounding: str) -> dict[str, Any]:
    """What the report says of a layer; errors are relative RMS, None where not measured."""
    count = int(quantized.codes.size)
    return {
        "node": layer.name,
        "op": layer.node.op_type,
        "bits": str(quantized.form),
        "rounding": rounding,
        "weights": count,
        "groups": 0 if quantized.factors is None else quantized.form.group // layer.window,
        "bytes": quantized.packed_bytes,
        "weight_error": weight_error(layer.rows, quantized),
        "output_error": None,
        "output_error_nearest": None,
    }


def check_groups(groups: int) -> None:
    """Refuse a number of inputs that no group can have.

    Raises:
        UsageError: ACT0244.
    """
    if groups < 0:
        message = f"groups of {groups} inputs cannot share a factor"
        help_text = "give the inputs per group, 16 or 32 say, or 0 for one scale per channel"
        raise UsageError(Diagnostic("ACT0244", message, help=help_text))


def _overrides(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of "NODE=BITS;NODE=BITS"; a node's name may hold "="."""
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, _, bits = item.rpartition("=")
        yield name.strip(), bits.strip()


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        help_text = f"choose one of: {', '.join(known)}"
        message = f"option '{option}' of pass 'weights' cannot be '{value}'"
        raise UsageError(Diagnostic("ACT0224", message, help=help_text))


def _no_such_layer(name: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return UsageError(
        Diagnostic(
            "ACT0227",
            f"no linear layer is called '{name}'",
            help=f"{hint}the layers: {shown or 'none'}",
        )
    )
