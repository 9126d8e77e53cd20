"""Fits of structured functions: softmax, norms, gates, as integers around scalar fits."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from actc.approx.candidates import candidates, variants
from actc.approx.fixed_point import FixedPoint
from actc.approx.function import Float64Array
from actc.approx.gates import FixedFit, Gates
from actc.approx.structured import Decomposition, parse_structured, structured
from actc.diagnostics import Diagnostic
from actc.errors import Problems, UsageError
from actc.fit_options import Options
from actc.fit_result import FitResult
from actc.fixed_options import read_device, read_formats
from actc.fixed_result import Option, cheapest

_SPELLING = re.compile(r"\s*[A-Za-z][\w -]*\[[^\[\]]*\]\s*")


@dataclass(frozen=True, slots=True)
class StructuredRequest:
    """A structured function that is wanted, such as ``Softmax[16]``, between two formats."""

    function: str
    input: FixedPoint
    output: FixedPoint
    ulp: float
    device: str


def names_structured(function: object) -> bool:
    """Whether `function` is written like a structured function: a name and brackets."""
    return isinstance(function, str) and _SPELLING.fullmatch(function) is not None


def read_structured(
    problems: Problems, options: Options, function: str
) -> StructuredRequest | None:
    """The request that the options say; None when problems were noted."""
    problems.attempt(parse_structured, function)
    problems.attempt(_require_no_scalar_options, options)
    source, target = read_formats(problems, options, None)
    ulp = problems.attempt(_read_ulp, options)
    device = problems.attempt(read_device, options)
    if problems.found or not (source and target and ulp and device):
        return None
    return StructuredRequest(function, source, target, ulp, device)


def _require_no_scalar_options(options: Options) -> None:
    given = {
        "--form": None if options.form == "auto" else options.form,
        "--segments": options.segments,
        "--max-error": options.max_error,
        "--digits": options.digits,
        "--degree": options.degree,
        "--objective": options.objective,
        "--weights": options.weights,
        "--plot": options.plot,
        "--emit": options.emit,
    }
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise _not_for_structured(", ".join(names))


def _not_for_structured(options: str) -> UsageError:
    message = f"structured functions, which are several fits, know no {options}"
    help_text = "give --input, --output, --ulp and --device only"
    return UsageError(Diagnostic("ACT0364", message, help=help_text))


def _read_ulp(options: Options) -> float:
    ulp = 1.0 if options.ulp is None else options.ulp
    if not 0 < ulp < math.inf:
        message = f"--ulp {ulp:g} is not a positive number"
        raise UsageError(Diagnostic("ACT0364", message, help="1 is a good start"))
    return ulp


@dataclass(frozen=True, eq=False)
class StructuredFitResult(FitResult):
    """A structured function as an integer datapath around fitted scalar pieces.

    Attributes:
        function: canonical spelling.
        form: "structured".
        segments: number of scalar pieces.
        max_error: bound of the error of every output at every input, proven term by
            term; not measured.
        lower_bound: 0: nothing is claimed.
        certificate: empty: the bound has no certificate that can be checked again.
        unit: the datapath, with the terms of its bound.
        device: family of devices whose costs decided.
        chosen: the candidate that each piece took, by its role.
    """

    unit: Decomposition
    device: str
    chosen: dict[str, Option]

    @property
    def certified(self) -> bool:
        """False: the bound has no certificate that can be checked again."""
        return False

    @property
    def bounds(self) -> str:
        """Nothing: there is no lower bound."""
        return ""

    @property
    def emitted(self) -> tuple[str, ...]:
        """Nothing: only scalar pieces can be written."""
        return ()

    def __call__(self, x: npt.ArrayLike) -> Float64Array:
        """Round real numbers to input codes (saturating) and evaluate along the last axis."""
        codes = self.unit.evaluate(self.unit.input.quantize(x))
        return self.unit.output.to_real(codes)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values with stable keys."""
        described = self.unit.to_json()
        return {
            **{key: described[key] for key in ("function", "form", "input", "output")},
            "segments": self.segments,
            "max_error": self.max_error,
            "max_error_ulp": self.unit.bound_ulp,
            "lower_bound": None,
            "bounds": None,
            "certified": self.certified,
            "seconds": self.seconds,
            "device": self.device,
            "cost": None,
            "storage_bits": self.unit.storage_bits,
            "terms": described["terms"],
            "widths": described["widths"],
            "pieces": {role: self._piece(role) for role in self.unit.pieces},
            "alternatives": [],
            "certificate": None,
            "diagnostics": [],
        }

    def _piece(self, role: str) -> dict[str, Any]:
        fit = self.unit.pieces[role]
        row = self.chosen[role].to_json()
        for key in ("reason", "seconds"):
            del row[key]
        return {**row, "approximation": fit.to_json()}

    def emit(self, kind: str) -> bytes:
        """Refuse: only scalar pieces can be written."""
        raise _not_for_structured("--emit")

    def plot(self, kind: str) -> bytes:
        """Refuse: there is no curve of several inputs."""
        raise _not_for_structured("--plot")


def fit_structured(request: StructuredRequest) -> StructuredFitResult:
    """The decomposition that is proven within the error, its pieces the cheapest on the device.

    Raises:
        UsageError: ACT0356..ACT0359, the function cannot be built so.
    """
    start = time.perf_counter()
    taken: dict[FixedFit[Any], Option] = {}

    def fitter(gates: Gates) -> FixedFit[Any]:
        tried = (Option.of(c, request.device) for c in candidates(gates, variants()))
        best = cheapest([option for option in tried if not option.reason])
        taken[best.fit] = best
        return best.fit

    unit = structured(
        request.function, request.input, request.output, ulp=request.ulp, fitter=fitter
    )
    return StructuredFitResult(
        function=unit.name,
        form="structured",
        segments=len(unit.pieces),
        max_error=unit.bound,
        lower_bound=0.0,
        certificate={},
        problems=(),
        seconds=time.perf_counter() - start,
        unit=unit,
        device=request.device,
        chosen={role: taken[fit] for role, fit in unit.pieces.items()},
    )
