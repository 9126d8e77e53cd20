"""Findings with the smallest model: what `actc debug reduce` leaves of a shrunk one."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
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
        finding = None if case is None else judge.judge(case, oracle).finding
        if case is None or finding is None or finding.key != found.finding.key:
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


def _with_model(case: Case, model: onnx.ModelProto) -> Case | None:
    """The case with another model; None where it has inputs that no samples can be drawn for."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    parts: tuple[dict[str, Array], dict[str, Array]] = ({}, {})
    for value in inputs:
        extents = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        for part, arrays in zip(parts, (case.data, case.probe), strict=True):
            array = arrays.get(value.name)
            if array is None:
                count = len(next(iter(arrays.values())))
                array = _drawn(value, (count, *extents), case.seed)
            if array is None:
                return None
            places = (slice(None), *(slice(extent or None) for extent in extents))
            part[value.name] = array[places]  # as long as its axes are
    content = model.SerializeToString(deterministic=True)
    return replace(case, model=content, data=parts[0], probe=parts[1])


def _drawn(value: onnx.ValueInfoProto, shape: tuple[int, ...], seed: int) -> Array | None:
    """Samples for what was an inner value; None where it is no float32 of known axes."""
    if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT or 0 in shape:
        return None
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
