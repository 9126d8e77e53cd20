"""Checks that stop a compilation: passes keep the function, golden keeps its specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.checks.not_finite import require_finite
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
_TOLERANCE = 1e-3
"""Relative to the largest output: float32 sums in another order, not another function."""
_SMALLEST = 1e-2
"""Outputs below this are compared with its tolerance: they may come from larger values."""
SPECIFICATION_SAMPLES = 8
_SHAKES = 4
_ROUNDINGS = 8
"""Roundings of a pass, in units of the most that other last digits of the inputs do."""
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
                if not _close(reference, after_batch[name]):
                    if _close(*_numbers(reference, after_batch[name])):
                        self._require_finite(batch, context_of(model).file)
                    if self._is_rounding(batch, name, after_batch[name]):
                        continue
                    raise InternalError(
                        Diagnostic(
                            "ACT0903",
                            f"pass '{pass_name(step)}' changed output '{name}'",
                            help="please report this with the model, or leave the pass out",
                        )
                    )
        self._before, self._reference = after, changed

    def _run(self, model: ir.Model) -> tuple[list[dict[str, Array]], onnx.ModelProto | None]:
        """The outputs for each batch, and the model that gave them, where it is small."""
        add_bodies(model)
        proto = ir.to_proto(model)
        session = Session(proto)
        outputs = [session.run(feeds) for feeds, _ in self._dataset.batches(_SAMPLES)]
        return outputs, proto if proto.ByteSize() < _KEPT else None

    def _require_finite(self, batch: int, file: str) -> None:
        """The model before the pass must keep to numbers on a batch of the data."""
        if self._reference is None:
            return
        feeds = [feeds for feeds, _ in self._dataset.batches(_SAMPLES)][batch]
        require_finite(self._reference, feeds, file)

    def _is_rounding(self, batch: int, name: str, other: Array) -> bool:
        """Whether an output differs no more than where the inputs change in their last digits.

        A norm of what is constant, say, divides roundings by the root of its epsilon.
        """
        if self._reference is None or other.dtype.kind != "f":
            return False
        feeds = [feeds for feeds, _ in self._dataset.batches(_SAMPLES)][batch]
        session = Session(self._reference)
        reference = session.run(feeds)[name]
        generator = np.random.default_rng(0)
        changed = [session.run(_shaken(feeds, generator))[name] for _ in range(_SHAKES)]
        if reference.shape != other.shape or not np.isfinite([reference, other, *changed]).all():
            return False
        spread = np.abs(np.stack(changed) - reference).max(axis=0)
        return bool((np.abs(other - reference) <= _ROUNDINGS * spread).all())


def _shaken(feeds: Mapping[str, Array], generator: np.random.Generator) -> dict[str, Array]:
    """Inputs whose last binary digit is another, up or down."""
    changed = dict(feeds)
    for name, array in feeds.items():
        if array.dtype == np.float32:
            towards = generator.choice([-np.inf, np.inf], array.shape).astype(np.float32)
            changed[name] = np.nextafter(array, towards)
    return changed


def _numbers(reference: Array, other: Array) -> tuple[Array, Array]:
    """Both, with zeros where either is NaN or infinite."""
    if reference.shape != other.shape or reference.dtype.kind != "f":
        return reference, other
    both = np.isfinite(reference) & np.isfinite(other)
    return np.where(both, reference, 0), np.where(both, other, 0)


def _close(reference: Array, other: Array) -> bool:
    if reference.shape != other.shape:
        return False
    if reference.dtype.kind != "f":
        return reference.dtype == other.dtype and reference.tobytes() == other.tobytes()
    finite = reference[np.isfinite(reference)]
    scale = float(np.abs(finite).max(initial=_SMALLEST))
    # Quotients by zero: onnxruntime's Relu leaves zeros of either sign, as their place has it.
    both = np.isinf(reference) & np.isinf(other)
    reference, other = np.where(both, 0, reference), np.where(both, 0, other)
    return bool(np.allclose(other, reference, rtol=0, atol=_TOLERANCE * scale, equal_nan=True))


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
