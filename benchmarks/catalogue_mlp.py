"""Small MLPs with functions of the catalogue between quantizers, whose formats are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from catalogue_onnx import OPSET, Graph, Traced, write_function
from onnx import TensorProto, helper

from actc.approx.catalogue import CatalogueEntry
from actc.approx.fixed_point import FixedPoint

Array = np.ndarray[Any, Any]
WIDTH = 4
"""Inputs of an MLP, and activations of each of its functions."""
OUTPUTS = 2
"""Of an MLP with several functions."""
_DOMAIN = "qonnx.custom_op.general"
_LARGEST_POWER = 6
"""Outputs saturate at 64: wider formats would leave few bits of fraction."""


def formats(entry: CatalogueEntry, bits: int) -> tuple[FixedPoint, FixedPoint]:
    """Formats of a function's inputs and outputs.

    Inputs are in [-8, 8), or [0, 8) where the function is defined for positive numbers only;
    outputs have the fewest integer bits that hold the function there, up to 64.
    """
    positive = entry.domain[0] >= 0
    source = FixedPoint(not positive, bits, bits - (3 if positive else 4))
    values = reference(entry, source)
    largest = float(np.abs(values[np.isfinite(values)]).max())
    power = next(k for k in range(_LARGEST_POWER + 1) if largest <= 2**k or k == _LARGEST_POWER)
    signed = bool(np.any(values < 0))
    return source, FixedPoint(signed, bits, bits - power - signed)


def reference(entry: CatalogueEntry, source: FixedPoint) -> Array:
    """The function in float64, at every code of a format."""
    with np.errstate(all="ignore"):
        return np.asarray(entry.function()(np.clip(source.values(), *entry.domain)))


def groups(entries: Sequence[CatalogueEntry], bits: int, most: int) -> list[list[CatalogueEntry]]:
    """The functions in groups that one MLP takes, of up to `most`; singular ones are alone."""
    alike: dict[str, list[CatalogueEntry]] = {}
    for entry in entries:
        key = entry.name if is_singular(entry, bits) else str(formats(entry, bits)[0])
        alike.setdefault(key, []).append(entry)
    return [
        every[first : first + most]
        for every in alike.values()
        for first in range(0, len(every), most)
    ]


def is_singular(entry: CatalogueEntry, bits: int) -> bool:
    """Whether the function is infinite at one of its codes."""
    return not np.isfinite(reference(entry, formats(entry, bits)[0])).all()


@dataclass(frozen=True)
class Mlp:
    """A network, and of each of its functions the name of the layer in front."""

    model: onnx.ModelProto
    layers: tuple[str, ...]


def mlp(entries: Sequence[CatalogueEntry], bits: int) -> Mlp:
    """x [N, 4] -> for each function: MatMul, Quant, function, Quant, MatMul, Quant -> their sum.

    Of a single function the last product leaves the activations as they are.

    Args:
        entries: functions of one group.
    """
    graph = Graph()
    source, _ = formats(entries[0], bits)
    # golden's inputs have 8 or 16 bits; of others it would quantize twice
    given = source if bits == 8 else FixedPoint(True, 16, source.fraction)
    x = quantized(graph, Traced(graph, "x"), given)
    total, layers = None, []
    for entry in entries:
        own, target = formats(entry, bits)
        assert own == source
        first = product(graph, x, first_weights(entry, bits))
        layers.append(first.name)
        hidden = quantized(graph, first, source)
        activations = quantized(graph, write_function(graph, entry, hidden), target)
        if len(entries) == 1:
            total = quantized(graph, product(graph, activations, np.eye(WIDTH)), target)
            break
        whole = FixedPoint(True, bits, 0)
        branch = quantized(graph, product(graph, activations, last_weights()), whole)
        total = branch if total is None else quantized(graph, total + branch, whole)
    assert total is not None
    graph.nodes[-1].output[0] = "y"
    kind = TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes, "mlp",
        [helper.make_tensor_value_info("x", kind, ["N", WIDTH])],
        [helper.make_tensor_value_info("y", kind, ["N", WIDTH if len(entries) == 1 else OUTPUTS])],
        graph.constants,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_DOMAIN, 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=10)
    return Mlp(model, tuple(layers))


def samples(entry: CatalogueEntry, bits: int) -> Array:
    """Inputs of an MLP with which each activation gets every code; float32 [n, 4].

    But for those at which its function is infinite, since the float model has no value there.
    """
    source, _ = formats(entry, bits)
    values = source.values()[np.isfinite(reference(entry, source))]
    base = 1.0 if is_singular(entry, bits) else 0.0
    alone = np.full((WIDTH, values.size, WIDTH), base)
    alone[np.arange(WIDTH), :, np.arange(WIDTH)] = values
    mixed = np.random.default_rng(1).choice(values, (64, WIDTH))
    return np.concatenate([alone.reshape(-1, WIDTH), mixed]).astype(np.float32)


def first_weights(entry: CatalogueEntry, bits: int) -> Array:
    """Each activation gets one input, less its neighbour where differences may be zero."""
    own = np.eye(WIDTH)
    return own if is_singular(entry, bits) else np.asarray(own - np.roll(own, 1, axis=0))


def last_weights() -> Array:
    """Sums and differences."""
    signs = np.ones((WIDTH, OUTPUTS))
    signs[1::2, 1] = -1
    return signs


def product(graph: Graph, x: Traced, weights: Array) -> Traced:
    """The matrix product with whole numbers."""
    name = Traced(graph, graph.constant(weights))
    return graph.node("MatMul", x, quantized(graph, name, FixedPoint(True, 3, 0)))


def quantized(graph: Graph, x: Traced, target: FixedPoint) -> Traced:
    """QONNX's quantizer to a format."""
    return graph.node(
        "Quant", x, target.ulp, 0.0, float(target.bits), domain=_DOMAIN, narrow=0,
        rounding_mode="ROUND", signed=int(target.signed),
    )  # fmt: skip
