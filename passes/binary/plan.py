"""Binary layers fitted to what the float network gives, in the order of the graph.

Every layer reads what the binary layers before it leave, and is fitted to give what the
float network gives: cuts and levels of its input by least squares, then its weights and
bias (`actc.numerics.weights.sequential_weights`). Layers behind that stay real are fitted
too, which needs no more than a system of linear equations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.calibrate.cascade import Cascade, Substitute
from actc.data import Dataset
from actc.ir.dialect import add_bodies
from actc.numerics.levels import TwoLevels, best_cuts, two_levels
from actc.numerics.weights import (
    MOST_WINDOW,
    PairedMoments,
    QuantizedWeights,
    WeightFormat,
    bias_floor,
    fitted_weights,
    nearest_weights,
    paired_output_error,
    sequential_weights,
    snapped_weights,
)
from actc.passes.binary.inputs import BinaryInput, binary_input
from actc.passes.linear_layers import LinearLayer, float_layers
from actc.passes.substitutes import with_weights

Array = np.ndarray[Any, Any]
KEEP = "keep"
"""In place of a format: the weights stay real, fitted to binary inputs."""
MOST_INPUTS = 6144
"""Longest vector whose matrix of second moments is factored, as in pass `weights`."""


@dataclass(frozen=True, eq=False, slots=True)
class FittedLayer:
    """A layer as it will be.

    Attributes:
        rows: float64 [O, ...], its weights.
        correction: float64 [O], to be added to its bias.
        weights: their codes; None: they stay real.
        codebook: figures of the few kernels that its kernels were made; None: of any.
    """

    rows: Array
    correction: Array
    weights: QuantizedWeights | None = None
    codebook: dict[str, Any] | None = None


@dataclass(eq=False, slots=True)
class Plan:
    """What becomes of a network.

    Attributes:
        inputs: value name -> the tensor that binary layers read, and its levels.
        layers: node name -> the layer.
        chosen: node name -> format of the weights of the layers that were chosen.
        codebook: kernels that a binary convolution may have; 0: any.
    """

    inputs: dict[str, tuple[BinaryInput, TwoLevels]] = field(default_factory=dict)
    layers: dict[str, FittedLayer] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    codebook: int = 0


@dataclass(frozen=True, slots=True)
class Fitting:
    """How layers are fitted.

    Attributes:
        dataset: calibration samples.
        batch: samples per run.
        activations: whether what binary layers read becomes binary.
        say: called with a line per level.
        codebook: kernels that a binary convolution may have; 0: any.
    """

    dataset: Dataset
    batch: int
    activations: bool
    say: Callable[[str], None]
    codebook: int = 0


def fit(model: ir.Model, chosen: Mapping[str, str], how: Fitting) -> Plan:
    """Fit the chosen layers, and those behind them.

    Args:
        model: the float model; not changed.
        chosen: name of a layer -> "binary", "ternary" or "keep".
        how: on what data.
    """
    layers = {layer.name: layer for layer in float_layers(model)}
    add_bodies(model)
    proto = ir.to_proto(model)
    nodes = {node.name: node for node in proto.graph.node}
    plan = Plan(chosen=chosen, codebook=how.codebook)
    tensors = _inputs(layers, chosen) if how.activations else {}
    open_ = [name for name in _behind(model, chosen) if name in layers]
    cascade = Cascade(proto, open_, how.dataset, how.batch)
    while names := cascade.advance():
        how.say(f"binarize: fitting {', '.join(names[:2])}{' ...' if len(names) > 2 else ''}")
        level = [layers[name] for name in names]
        for layer in level:
            value = _read(layer)
            if layer.name in chosen and value in tensors and value not in plan.inputs:
                plan.inputs[value] = tensors[value], _levels(cascade, tensors[value])
        for binary in (True, False):
            _fit_level([x for x in level if (x.name in chosen) is binary], plan, cascade)
        for layer in level:
            cascade.substitute(layer.name, _substitute(nodes[layer.name], layer, plan))
    return plan


def _fit_level(layers: list[LinearLayer], plan: Plan, cascade: Cascade) -> None:
    """Fit layers of one level, which are all chosen or all not."""
    changed = {}
    for layer in layers:
        if layer.name in plan.chosen and layer.reading is not None:
            step = _step(plan, layer)
            if step is not None:
                changed[layer.reading.value] = step
    narrow = [x for x in layers if x.size <= MOST_INPUTS and x.reading is not None]
    readings = [x.reading for x in narrow if x.reading is not None]
    for reading, moments in cascade.moments(readings, changed):
        for layer in narrow:
            if layer.reading == reading:
                plan.layers[layer.name] = _fitted(layer, plan, moments)
    for layer in layers:
        if layer not in narrow:
            plan.layers[layer.name] = _unfitted(layer, plan)


def _fitted(layer: LinearLayer, plan: Plan, moments: PairedMoments) -> FittedLayer:
    bits = plan.chosen.get(layer.name, KEEP)
    if bits == KEEP:
        return FittedLayer(*fitted_weights(layer.rows, moments))
    floor = bias_floor(layer.bias, _scale(layer, plan))
    found = sequential_weights(layer.rows, moments, WeightFormat.parse(bits), floor)
    if not plan.codebook or not found.form.binary or not 1 < layer.window <= MOST_WINDOW:
        return _coded(found)
    snapped, book = snapped_weights(layer.rows, found, moments, plan.codebook, floor)
    channels = layer.rows.shape[0] * layer.rows.shape[1]
    figures = {
        "entries": len(book.entries),
        "kernels": book.distinct,
        "changed": book.changed / layer.rows.size,
        "bytes": book.packed_bytes,
        "bytes_before": found.packed_bytes,
        "computed": book.computed,
        "computed_before": channels,
        "error": paired_output_error(layer.rows, snapped, moments),
        "error_before": paired_output_error(layer.rows, found, moments),
    }
    return dataclasses.replace(_coded(snapped), codebook=figures)


def _unfitted(layer: LinearLayer, plan: Plan) -> FittedLayer:
    """A layer that reads too many values to be fitted: its own weights, or their signs."""
    bits = plan.chosen.get(layer.name, KEEP)
    if bits == KEEP:
        return FittedLayer(layer.rows.astype(np.float64), np.zeros(len(layer.rows)))
    floor = bias_floor(layer.bias, _scale(layer, plan))
    return _coded(nearest_weights(layer.rows, WeightFormat.parse(bits), floor))


def _coded(found: QuantizedWeights) -> FittedLayer:
    """Codes whose correction goes to the layer's own bias."""
    plain = dataclasses.replace(found, correction=np.zeros_like(found.correction))
    return FittedLayer(found.real(), found.correction, plain)


def _read(layer: LinearLayer) -> str:
    """The name of the tensor that a layer reads."""
    value = layer.node.inputs[0]
    assert value is not None, "a layer reads something"
    return str(value.name)


def _scale(layer: LinearLayer, plan: Plan) -> float:
    """Scale of the codes that a layer will read; a small one where these have many bits."""
    found = plan.inputs.get(_read(layer))
    return 2.0**-12 if found is None else found[1].high


def _levels(cascade: Cascade, tensor: BinaryInput) -> TwoLevels:
    values = tensor.by_channel(cascade.values(str(tensor.value.name)))
    return two_levels(values, best_cuts(values), padded=tensor.padded)


def _step(plan: Plan, layer: LinearLayer) -> Callable[[Array], Array] | None:
    found = plan.inputs.get(_read(layer))
    if found is None:
        return None
    tensor, levels = found
    return lambda x: levels(x, tensor.channels)


def _inputs(layers: Mapping[str, LinearLayer], chosen: Mapping[str, str]) -> dict[str, BinaryInput]:
    """The tensors that chosen layers read, but for inputs of the network."""
    readers: dict[ir.Value, list[ir.Node]] = {}
    for name in chosen:
        value = layers[name].node.inputs[0]
        if value is not None and value.producer() is not None:
            readers.setdefault(value, []).append(layers[name].node)
    return {str(value.name): binary_input(nodes, value) for value, nodes in readers.items()}


def _behind(model: ir.Model, chosen: Mapping[str, str]) -> list[str]:
    """Names of the nodes that are chosen, or that something chosen leads to."""
    touched: set[ir.Value | None] = set()
    names = []
    for node in model.graph:
        if node.name in chosen or any(value in touched for value in node.inputs):
            names.append(str(node.name))
            touched.update(node.outputs)
    return names


def _substitute(node: onnx.NodeProto, layer: LinearLayer, plan: Plan) -> Substitute:
    """The fitted layer behind the step that cuts what it reads."""
    fitted = plan.layers[layer.name]
    found = with_weights(node, fitted.rows, fitted.correction)
    given = plan.inputs.get(node.input[0]) if layer.name in plan.chosen else None
    if given is None:
        return found
    tensor, levels = given
    names = [f"{node.name}.step{n}" for n in range(6)]
    constants = {
        names[0]: levels.cuts[tensor.channels],
        names[1]: np.array(levels.high - levels.low, np.float32),
        names[2]: np.array(levels.low, np.float32),
    }
    made = onnx.helper.make_node
    nodes = [
        made("GreaterOrEqual", [node.input[0], names[0]], [names[3]]),
        made("Cast", [names[3]], [names[4]], to=onnx.TensorProto.FLOAT),
        made("Mul", [names[4], names[1]], [names[5]]),
        made("Add", [names[5], names[2]], [f"{node.name}.step"]),
    ]
    found.nodes[0].input[0] = f"{node.name}.step"
    return Substitute([*nodes, *found.nodes], {**found.constants, **constants})
