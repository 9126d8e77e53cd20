"""A case as hardware: what a target writes before its tools run, and what the oracles compare."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

import actc
from actc.errors import ModelError, UsageError
from actc.ir import islands
from actc.targets.base import Rung, Target
from fuzz.compared import Array, Outputs, batches, differing
from fuzz.oracles import Case, Mismatch

MOST_ELEMENTS = 512
"""Of all inputs of a sample, so that a case takes seconds."""


def small(case: Case, most: int = MOST_ELEMENTS) -> bool:
    """Whether a case's inputs have at most so many elements a sample."""
    return sum(int(array[0].size) for array in case.probe.values()) <= most


@dataclass(frozen=True)
class Planned:
    """A case, compiled for a target up to what is written before any tool runs.

    Attributes:
        case: what was compiled.
        machine: the target.
        path: a temporary folder with the plan's files.
        probe: the case's samples in whole batches of the model.
        golden: golden's outputs for them.
    """

    case: Case
    machine: Target
    path: Path
    probe: dict[str, Array]
    golden: dict[str, Array]

    @cached_property
    def model(self) -> ir.Model:
        """golden.onnx."""
        return ir.load(self.path / "golden.onnx")

    def wrong(self, run: Callable[[dict[str, Array]], Outputs]) -> list[Mismatch]:
        """Where a function of the probe is not golden, on any bit."""
        wrong = differing(run(self.probe), self.golden)
        return [Mismatch(f"{self.machine.name} and golden", f"{self.machine.spec}: {wrong}")] * (
            wrong != ""
        )

    def asked(self, compare: Callable[[], list[Mismatch]]) -> list[Mismatch]:
        """What a comparison says; what is refused only now, behind the plan, is a finding too."""
        try:
            return compare()
        except (UsageError, ModelError) as error:
            what = f"{self.machine.name}: {error.diagnostics[0].code} behind the plan"
            return [Mismatch(what, f"{self.machine.spec}: {error}")]

    def fallen(self, rungs: Iterable[Rung]) -> list[Mismatch]:
        """The first rung of a ladder that differs."""
        for rung in rungs:
            if rung.result == "differs":
                detail = f"{self.machine.spec}: {rung.detail}"
                return [Mismatch(f"{self.machine.name}: {rung.name}", detail)]
        return []


def planned(case: Case, spec: str) -> Planned:
    """Compile a case, without tools.

    Args:
        spec: of a target with its options; its plan holds golden.onnx.

    Raises:
        ActcError: the case is refused.
    """
    data = {name: np.array(array) for name, array in case.data.items()}
    artifact = actc.compile(case.proto, spec, data=data, dry_run=True, **case.options)
    assert artifact.plan is not None
    folder = Path(tempfile.mkdtemp())
    artifact.plan.write(folder)
    golden = islands.session(onnx.load(folder / "golden.onnx"))
    feeds = batches(case, case.probe)
    outputs = [golden.run(part) for part in feeds]
    return Planned(case, artifact.target, folder, joined(feeds), joined(outputs))


def joined(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """Batches as one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
