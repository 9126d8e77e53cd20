"""Observe every float tensor on the calibration data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import onnx_ir as ir

from actc.calibrate.collect import collect
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError
from actc.ir.context import context_of
from actc.ir.dialect import add_bodies
from actc.passes.base import Pass


@dataclass(frozen=True, slots=True)
class Calibrate(Pass):
    """Rules:

    1. Every float value of the main graph gets a histogram in the context.
    2. A value that is NaN or infinite on the data is an error, all at once; so are
       values without elements and reals that are not float32.
    3. At most `samples` samples are used (0: all), `batch` at a time.
    4. `any_real`, for a network that stays float: no value is an error. Only float32 values get a
       histogram, and one that is NaN or infinite on the data has no counts.
    """

    name: ClassVar[str] = "calibrate"
    preserves: ClassVar[str] = "function"

    samples: int = 512
    batch: int = 16
    any_real: bool = False

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fill the context's ranges; the model stays as it is."""
        context = context_of(model)
        dataset = context.dataset
        if dataset is None:
            raise UsageError(
                Diagnostic("ACT0222", "calibration needs data", help="pass --data DATA.npz")
            )
        if self.samples:
            dataset = dataset.take(self.samples)
        add_bodies(model)
        values = [v for v in model.graph.inputs if _is_float(v)]
        values += [v for node in model.graph for v in node.outputs if _is_float(v)]
        names = [str(value.name) for value in values]
        if not self.any_real:
            _require_float32(model, context.file)
        context.ranges = dict(collect(ir.to_proto(model), names, dataset, self.batch))
        if self.any_real:
            return ir.passes.PassResult(model, modified=False)
        _require_values(context.ranges, names, context.file)
        broken = [name for name in names if context.ranges[name].high == float("inf")]
        if broken:
            raise ModelError(
                Diagnostic(
                    "ACT0102",
                    f"value '{name}' is NaN or infinite on the data",
                    place=Place(context.file, name),
                    help="check the data's scale; the float model itself overflows here",
                )
                for name in broken
            )
        return ir.passes.PassResult(model, modified=False)


def _require_values(ranges: dict[str, Any], names: list[str], file: str) -> None:
    empty = [name for name in names if ranges[name].low > ranges[name].high]
    if empty:
        raise ModelError(
            Diagnostic(
                "ACT0015",
                f"value '{name}' has an axis of length 0",
                place=Place(file, name),
                help="check the shapes of the network and of the data",
            )
            for name in empty
        )


def _require_float32(model: ir.Model, file: str) -> None:
    """Sites and formats are float32; a model of other reals is reported once per type."""
    first: dict[ir.DataType, ir.Value] = {}
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    for value in values:
        dtype = value.dtype
        if dtype is not None and dtype.is_floating_point() and dtype != ir.DataType.FLOAT:
            first.setdefault(dtype, value)
    if first:
        raise ModelError(
            Diagnostic(
                "ACT0016",
                f"value '{value.name}' holds {dtype.name.lower()} numbers; actc reads float32",
                place=Place(file, str(value.name)),
                help="export the model in float32; actc itself makes the numbers smaller",
            )
            for dtype, value in first.items()
        )


def _is_float(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.FLOAT and bool(value.name)
