"""What the fuzzer asks of a model: an oracle runs a case and says what does not agree.

A case runs in a process of its own, which is killed at the oracle's limits. Whatever an oracle
lets through is judged there: a coded diagnostic is a refusal, which is counted; an internal error
or an uncoded exception is a finding, as are warnings of numpy, crashes and limits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnx

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A model with what it is compiled with.

    Attributes:
        model: the serialized ONNX model.
        data: calibration samples by input name, [samples, ...].
        probe: other samples, of the same shapes; some lie far outside of the calibrated ranges.
        options: arguments of `actc.compile` for int8, without target, precision, data and output.
        seed: what random choices behind the generator draw from.
        operators: names of the rules that made the model, for statistics.
    """

    model: bytes
    data: Mapping[str, Array]
    probe: Mapping[str, Array]
    options: Mapping[str, Any]
    seed: int
    operators: tuple[str, ...] = field(default=())

    @property
    def proto(self) -> onnx.ModelProto:
        """A new copy of the model."""
        return onnx.load_model_from_string(self.model)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for the case's contents."""
        found = hashlib.sha256(self.model)
        for arrays in (self.data, self.probe):
            for name, array in sorted(arrays.items()):
                found.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        found.update(json.dumps(dict(self.options), sort_keys=True).encode())
        return found.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two ways to compute the same that do not agree.

    Attributes:
        what: which two, and how, without figures or names: equal for what has the same cause.
        detail: figures and names.
    """

    what: str
    detail: str = ""


class Oracle(Protocol):
    """One comparison."""

    @property
    def name(self) -> str:
        """A word."""
        ...

    @property
    def every(self) -> int:
        """It runs on one in so many cases."""
        ...

    @property
    def seconds(self) -> float:
        """After which its process is killed; that is a finding."""
        ...

    def accepts(self, case: Case) -> bool:
        """Whether the oracle can say anything about the case; quick, compiles nothing."""
        ...

    def run(self, case: Case) -> list[Mismatch]:
        """Compile and compare; a temporary folder of `tempfile` is removed behind it.

        Raises:
            ActcError: the case is refused (fine, if it is no internal error and no
                difference that the compiler found itself).
        """
        ...
