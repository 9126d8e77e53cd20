"""Which layers become binary: measured one by one, then as many as a budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.data import Dataset
from actc.ir.context import Context, attach
from actc.ir.dialect import add_bodies
from actc.ir.execute import Session
from actc.numerics.compare import Outputs, top1
from actc.passes.binary.plan import Plan
from actc.passes.binary.rewrite import rewrite

Array = np.ndarray[Any, Any]
_BATCH = 64
_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network with some binary layers gives.

    Attributes:
        error: RMS difference of its float outputs from the float network's, over their RMS;
            0 where it has none.
        accuracy: on labelled data; None where there are no classes.
    """

    error: float
    accuracy: float | None


class Judge:
    """Runs variants of a network over samples, and compares them with the network itself.

    Attributes:
        accuracy: of the network itself; None without labels or classes.

    Args:
        model: the float network; not changed.
        dataset: samples to measure on.
    """

    def __init__(self, model: ir.Model, dataset: Dataset) -> None:
        self._model, self._dataset = model, dataset
        self._reference = self._run(model)
        self.accuracy = top1(self._reference, dataset.labels)

    def measure(self, plan: Plan) -> Measured:
        """The network with the plan carried out on a copy."""
        copy = ir.from_proto(ir.to_proto(self._model))
        attach(copy, Context())
        rewrite(copy, plan)
        outputs = self._run(copy)
        return Measured(self._error(outputs), top1(outputs, self._dataset.labels))

    def _run(self, model: ir.Model) -> Outputs:
        add_bodies(model)
        session = Session(ir.to_proto(model))
        parts: dict[str, list[Array]] = {}
        for feeds, real in self._dataset.batches(_BATCH):
            for name, array in session.run(feeds).items():
                moved = np.moveaxis(array, self._dataset.output_axes.get(name, 0), 0)
                parts.setdefault(name, []).append(moved[:real])
        return {name: _joined(arrays) for name, arrays in parts.items()}

    def _error(self, outputs: Outputs) -> float:
        squares = []
        for name, wanted in self._reference.items():
            if wanted.dtype.kind == "f" and wanted.size:
                power = float(np.mean(wanted.astype(np.float64) ** 2))
                noise = float(np.mean((outputs[name].astype(np.float64) - wanted) ** 2))
                squares.append(noise / max(power, 1e-30))
        return math.sqrt(sum(squares) / len(squares)) if squares else 0.0


def _joined(arrays: Sequence[Array]) -> Array:
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    return np.concatenate([array.reshape(-1) for array in arrays])


Fit = Callable[[Mapping[str, str]], Plan]


def select(
    candidates: Mapping[str, str],
    fit: Fit,
    judge: Judge,
    max_drop: float,
    say: Callable[[str], None],
) -> tuple[dict[str, str], dict[str, Measured]]:
    """As many layers as keep to a drop of accuracy, the least sensitive first.

    Args:
        candidates: name of a layer -> format of its weights.
        fit: makes a plan of some of them.
        judge: measures it; its network has an accuracy.
        max_drop: accuracy that may be lost.
        say: called with a line per step.

    Returns:
        the layers chosen, and what each of the candidates causes alone.
    """
    alone = {}
    for number, (name, bits) in enumerate(candidates.items()):
        say(f"binarize: layer {number + 1} of {len(candidates)} alone")
        alone[name] = judge.measure(fit({name: bits}))
    least = (judge.accuracy or 0.0) - max_drop - _TOLERANCE

    def keeps(measured: Measured) -> bool:
        return measured.accuracy is not None and measured.accuracy >= least

    chosen: dict[str, str] = {}
    for name in sorted(alone, key=lambda name: (alone[name].error, name)):
        if not keeps(alone[name]):
            continue
        tried = {n: candidates[n] for n in candidates if n in chosen or n == name}
        if chosen:
            say(f"binarize: {len(tried)} layers together")
        if keeps(judge.measure(fit(tried)) if chosen else alone[name]):
            chosen = tried
    return chosen, alone
