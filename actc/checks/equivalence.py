"""Checks that stop a compilation: passes keep the function, golden keeps its specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.checks.not_finite import require_finite
from actc.checks.roundings import close, close_numbers, explained
from actc.data import Dataset
from actc.diagnostics import Diagnostic
from actc.errors import InternalError
from actc.ir import islands, spec
from actc.ir.context import context_of
from actc.ir.dialect import add_bodies
from actc.ir.execute import Session
from actc.pipeline import Instrument, pass_name

Array = np.ndarray[Any, Any]

_SAMPLES = 4
SPECIFICATION_SAMPLES = 8
_KEPT = 1 << 28
"""Bytes of a model that is kept during the next pass: memory is dear with large ones."""


class FunctionKept(Instrument):
    """After each pass that says it preserves the function, compares outputs on data."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset.take(_SAMPLES)
        self._before: list[dict[str, Array]] | None = None
        self._reference: onnx.ModelProto | None = None

    def before(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Run the model, unless the outputs of the pass before still hold."""
        if getattr(step, "preserves", "") == "function" and self._before is None:
            self._before, self._reference = self._run(model)

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Compare with the outputs before the pass.

        Raises:
            InternalError: they differ.
            ModelError: ACT0102, they do only where the model before it leaves the numbers.
        """
        if getattr(step, "preserves", "") != "function":
            self._before = None
            return
        assert self._before is not None
        after, changed = self._run(model)
        for batch, (before_batch, after_batch) in enumerate(zip(self._before, after, strict=True)):
            for name, reference in before_batch.items():
                if not close(reference, after_batch[name]):
                    results, file = (reference, after_batch[name]), context_of(model).file
                    self._require_rounding(batch, name, results, pass_name(step), file)
        self._before, self._reference = after, changed

    def _run(self, model: ir.Model) -> tuple[list[dict[str, Array]], onnx.ModelProto | None]:
        """The outputs for each batch, and the model that gave them, where it is small."""
        add_bodies(model)
        proto = ir.to_proto(model)
        session = Session(proto)
        outputs = [session.run(feeds) for feeds, _ in self._dataset.batches(_SAMPLES)]
        return outputs, proto if proto.ByteSize() < _KEPT else None

    def _require_rounding(
        self, batch: int, name: str, results: tuple[Array, Array], step: str, file: str
    ) -> None:
        """What is not close must be roundings, or the model's own fault."""
        reference, other = results
        if self._reference is not None:
            feeds = [feeds for feeds, _ in self._dataset.batches(_SAMPLES)][batch]
            if close_numbers(reference, other):
                require_finite(self._reference, feeds, file)
            if explained(self._reference, feeds, name, other):
                return
        raise InternalError(
            Diagnostic(
                "ACT0903",
                f"pass '{step}' changed output '{name}'",
                help="please report this with the model, or leave the pass out",
            )
        )


def check_specification(golden: onnx.ModelProto, dataset: Dataset) -> None:
    """Golden in onnxruntime must equal the numpy specification on every bit.

    Raises:
        InternalError: it does not.
    """
    session = islands.session(golden)
    for feeds, _ in dataset.take(SPECIFICATION_SAMPLES).batches(SPECIFICATION_SAMPLES):
        expected, got = spec.run(golden, feeds), session.run(feeds)
        for name, array in expected.items():
            if array.dtype != got[name].dtype or array.tobytes() != got[name].tobytes():
                raise InternalError(
                    Diagnostic(
                        "ACT0904",
                        f"golden.onnx in onnxruntime differs from its specification in '{name}'",
                        help="please report this with the model and the version of onnxruntime",
                    )
                )
