"""A proven bound of |float - golden| at the outputs of a compiled model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.bounds import affine
from actc.bounds.affine import Form, Space, TooLarge
from actc.bounds.floating import FloatNetwork, Tensor
from actc.bounds.integers import Golden, Integers, Mate, Shares
from actc.bounds.rules import RULES
from actc.bounds.rules_norms import NO_COUNTERPART
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.graph import dims
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]
Box = tuple[Array, Array]

_HELP = "`actc check DIR --data D.npz --sites` measures what each rounding costs"


@dataclass(frozen=True, eq=False, slots=True)
class Network:
    """A compiled model as the analysis reads it.

    Attributes:
        floats: the recognized float graph.
        sites: its activation sites.
        golden: the integer model.
        mates: golden value name -> the float values that it stands for, in order.
        inputs: shape of one sample of each input, [1, ...].
        formats: quantizer of each float input.
        place: where diagnostics say it is.
    """

    floats: ir.Model
    sites: Mapping[str, Site]
    golden: ir.Model
    mates: Mapping[str, tuple[Mate, ...]]
    inputs: Mapping[str, tuple[int, ...]]
    formats: Mapping[str, QuantizationParameters]
    place: str


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """What is proven of one output.

    Attributes:
        name: of the output.
        shape: of one sample.
        low, high: golden less float lies within, [n].
        shares: (layer, kind) -> [n], contributions by interval arithmetic.
    """

    name: str
    shape: tuple[int, ...]
    low: Array
    high: Array
    shares: Shares

    @property
    def largest(self) -> Array:
        """Bound of the absolute difference of each number, [n]."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


@dataclass(frozen=True, eq=False, slots=True)
class Proof:
    """The bounds of all outputs.

    Attributes:
        bounds: one per output.
        symbols: noise symbols that it took.
        seconds: time that it took.
    """

    bounds: tuple[Bound, ...]
    symbols: int
    seconds: float


def format_box(parameters: QuantizationParameters, shape: tuple[int, ...]) -> Box:
    """What a quantizer represents: from its lowest to its highest code, float32 [n] each."""
    codes = np.array([parameters.low, parameters.high])
    low, high = parameters.dequantize(codes)
    size = int(np.prod(shape))
    return np.full(size, low), np.full(size, high)


def data_box(samples: Array) -> Box:
    """The least box around samples [N, ...]: [n] each."""
    return samples.min(axis=0).reshape(-1), samples.max(axis=0).reshape(-1)


def prove(network: Network, boxes: Mapping[str, Box], space: Space | None = None) -> Proof:
    """Bound |float(x) - golden(x)| for every x in a box.

    Args:
        network: the compiled model.
        boxes: input name -> lowest and highest number of each element.

    Raises:
        UsageError: ACT0366, operators that are not covered, all at once; ACT0367, the
            network is too large.
    """
    start = time.perf_counter()
    _require_known_inputs(network)
    space = space or Space()
    golden_inputs = {str(v.name): v for v in network.golden.graph.inputs}
    tensors, values = {}, {}
    try:
        for value in network.floats.graph.inputs:
            name = str(value.name)
            shape = tuple(network.inputs[name])
            form = affine.box(space, *boxes[name])
            tensors[value] = Tensor(form, shape)
            if name in golden_inputs:
                values[golden_inputs[name]] = Integers(form, form, {}, shape)
        floats = FloatNetwork(network.floats, dict(network.sites), space, tensors)
        golden = Golden(network.golden, floats, dict(network.mates), values)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            floats.run()
            golden.run(RULES)
    except TooLarge as problem:
        raise _too_large(network, problem) from problem
    problems = _uncovered(network, floats, golden)
    if problems:
        raise UsageError(problems)
    with np.errstate(over="ignore", invalid="ignore"):
        bounds = tuple(_bound(golden, value) for value in network.golden.graph.outputs)
    _require_finite(network, bounds)
    return Proof(bounds, space.count, time.perf_counter() - start)


def _bound(golden: Golden, value: ir.Value) -> Bound:
    found = golden.values[value]
    tensor = golden.float_tensor(str(value.name))
    assert tensor is not None
    apart: Form = affine.total(found.golden, tensor.form, -1.0)
    return Bound(str(value.name), found.shape, *apart.range(), found.shares)


def _uncovered(network: Network, floats: FloatNetwork, golden: Golden) -> list[Diagnostic]:
    """One diagnostic with every operator that is not covered."""
    rows = []
    for model, left in (("the float model", floats.left), ("golden", golden.left)):
        for node, reason in left:
            if floats.left and reason == NO_COUNTERPART:
                continue  # a consequence
            why = f": {reason}" if reason else ""
            rows.append(f"{model}: node '{node.name}' ({node.op_type}){why}")
    names = {str(value.name) for value in network.golden.graph.outputs}
    known = {str(v.name) for v in floats.tensors} & {str(v.name) for v in golden.values}
    missing = sorted(names - known)
    if not rows and not missing:
        return []
    rows += [f"output '{name}' has no bound" for name in missing if not rows]
    count = f"{len(rows)} operators are" if len(rows) > 1 else "an operator is"
    return [
        Diagnostic(
            "ACT0366",
            f"no bound: {count} not covered",
            place=Place(network.place),
            notes=tuple(rows),
            help=_HELP,
        )
    ]


def _require_known_inputs(network: Network) -> None:
    """Float inputs of one shape, which golden quantizes."""
    problems = []
    for value in network.floats.graph.inputs:
        name = str(value.name)
        if value.dtype != ir.DataType.FLOAT or name not in network.formats:
            problems.append(f"golden does not quantize the input '{name}'")
        elif None in (dims(value) or (None, None))[1:]:
            problems.append(f"the input '{name}' has axes of open length")
    if problems:
        raise UsageError(
            Diagnostic(
                "ACT0366",
                f"no bound: {problems[0]}",
                place=Place(network.place),
                notes=(*problems[1:], "a bound holds for a box of float32 numbers"),
                help=_HELP,
            )
        )


def _too_large(network: Network, problem: TooLarge) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0367",
            f"no bound: the network is too large, a tensor would take {problem}",
            place=Place(network.place),
            help=_HELP,
        )
    )


def _require_finite(network: Network, bounds: tuple[Bound, ...]) -> None:
    bad = [bound.name for bound in bounds if not np.isfinite(bound.largest).all()]
    if bad:
        raise UsageError(
            Diagnostic(
                "ACT0366",
                f"no bound: nothing finite holds for the output '{bad[0]}'",
                place=Place(network.place),
                notes=("some function is too steep on the range that the inputs may take",),
                help="take the box of the data: --bound data",
            )
        )


def network_of(
    floats: ir.Model,
    sites: Mapping[str, Site],
    golden: onnx.ModelProto,
    mates: Mapping[str, tuple[str, QuantizationParameters]],
    place: str | Path = "",
) -> Network:
    """A compiled model.

    Args:
        floats: the float graph with formats, as `actc.sensitivity.record.rebuild` gives it.
        sites: its activation sites.
        golden: the integer model.
        mates: float value name -> golden value name and format.
    """
    of_golden: dict[str, list[Mate]] = {}
    for name, (code, p) in mates.items():
        of_golden.setdefault(code, []).append(Mate(name, p.scale, float(p.zero_point)))
    formats, shapes = {}, {}
    for value in floats.graph.inputs:
        name = str(value.name)
        shapes[name] = (1, *(extent or 1 for extent in (dims(value) or (1,))[1:]))
        if name in mates:
            formats[name] = mates[name][1]
    return Network(
        floats,
        sites,
        ir.from_proto(golden),
        {name: tuple(found) for name, found in of_golden.items()},
        shapes,
        formats,
        str(place),
    )
