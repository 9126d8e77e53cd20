"""Findings with the smallest model: what `actc debug reduce` leaves of a shrunk one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import onnx

import actc
from actc.errors import ActcError
from fuzz.judged import Finding, Verdict
from fuzz.oracles import Array, Case, Oracle

_TESTS = 300
"""Models that are judged at most."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with the case that shows it, as small as it could be made."""

    finding: Finding
    case: Case


class Judge(Protocol):
    """Whatever gives verdicts on cases."""

    def judge(self, case: Case, oracle: Oracle) -> Verdict:
        """The verdict on a case."""
        ...


def reduced(found: Found, judge: Judge, oracle: Oracle, seconds: float) -> Found:
    """The finding with a smaller model, on the same samples, as far as they fit.

    Args:
        found: what Hypothesis shrank.
        judge: of cases.
        oracle: that found it.
        seconds: after which no model is tried any more.
    """
    end = time.monotonic() + seconds
    least = [found]

    def check(model: onnx.ModelProto) -> bool:
        if time.monotonic() > end:
            return False
        case = _with_model(found.case, model)
        finding = judge.judge(case, oracle).finding
        if finding is None or finding.key != found.finding.key:
            return False
        least.append(Found(finding, case))
        return True

    try:
        actc.reduce(found.case.proto, check, tests=_TESTS)
    except ActcError:  # the finding does not repeat, or not in time
        return found
    return min(least, key=_size)


def _size(found: Found) -> tuple[int, int]:
    return len(found.case.proto.graph.node), len(found.case.model)


def _with_model(case: Case, model: onnx.ModelProto) -> Case:
    """The case with another model, and what is left of the samples."""
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    content = model.SerializeToString(deterministic=True)
    return replace(
        case, model=content, data=_cut(case.data, shapes), probe=_cut(case.probe, shapes)
    )


def _cut(arrays: Mapping[str, Array], shapes: Mapping[str, list[int]]) -> dict[str, Array]:
    """Samples of the inputs that are left, as long as their axes are."""
    kept = {name: array for name, array in arrays.items() if name in shapes}
    for name, extents in shapes.items():
        inner = (slice(None), *(slice(extent or None) for extent in extents[1:]))
        kept[name] = kept[name][inner]
    return kept
