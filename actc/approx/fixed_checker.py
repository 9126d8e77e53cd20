"""Independent verification of the certificates of fixed-point forms.

What a certificate says is described in :mod:`actc.approx.fixed_certificate`, with which
this shares no code, nor with the fitters or the forms: formats are read, forms
evaluated, gates computed and witnesses counted anew, from the certificate and float64
values of the function.

- :mod:`actc.approx.fixed_check_form` reads and evaluates the form;
- :mod:`actc.approx.fixed_check_gates` computes what the objective admits;
- :mod:`actc.approx.fixed_check_bounds` counts what the witnesses prove.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from actc.approx.check_numbers import Malformed, amount, require_keys
from actc.approx.fixed_check_bounds import Bound
from actc.approx.fixed_check_form import MOST_BITS, read_form, read_format
from actc.approx.fixed_check_gates import (
    Array,
    Bounds,
    Objective,
    Target,
    decide,
    read_close,
)

_KEYS = {
    "kind",
    "version",
    "function",
    "input",
    "output",
    "objective",
    "close",
    "form",
    "max_error",
    "max_error_ulp",
    "lower_bound",
    "digest",
}
_OPTIONAL = {"fewest", "least"}
_WIDEST = 32


class FixedPointClaim:
    """What the certificate of a fixed-point form claims.

    Args:
        certificate: JSON values.

    Raises:
        ValueError: it cannot be read; a sentence.
    """

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        require_keys(certificate, _KEYS, "the certificate", _OPTIONAL)
        if not isinstance(certificate["function"], str):
            raise Malformed("the function is not named")
        self.input = read_format(certificate["input"], MOST_BITS)
        self.output = read_format(certificate["output"], _WIDEST)
        self.objective = Objective.read(certificate["objective"], self.output)
        self.form = read_form(certificate["form"], self.input, self.output)
        self.max_error = amount(certificate["max_error"], "max_error")
        self.ulps = amount(certificate["max_error_ulp"], "max_error_ulp")
        self.lower_bound = amount(certificate["lower_bound"], "lower_bound")
        self.fewest, self.least = (
            Bound.read(certificate[key], self.form, self.input) if key in certificate else None
            for key in ("fewest", "least")
        )
        self.close = read_close(certificate["close"], self.input)
        if certificate["digest"] != _digest(certificate):
            raise Malformed("the digest is not that of the certificate")

    def problems(self, evaluate: Callable[[Array], Array]) -> list[str]:
        """What is wrong, one sentence each; empty when everything holds."""
        x = np.ldexp(self.input.codes().astype(np.float64), -self.input.fraction)
        y = np.broadcast_to(np.asarray(evaluate(x), np.float64), x.shape)
        if np.isnan(y).any():
            return ["the function is not a number at an input"]
        target = Target.of(y, self.output, self.objective)
        try:
            gates = decide(self.close, self.objective, target, self.input)
            return (
                self._output_problems(gates)
                or self._error_problems(target)
                or self._fewest_problems(gates)
                or self._least_problems(target)
            )
        except Malformed as problem:
            return [str(problem)]

    def _output_problems(self, gates: Bounds) -> list[str]:
        outputs = self.form.outputs
        wrong = np.flatnonzero((outputs < gates[0]) | (outputs > gates[1]))
        if not wrong.size:
            return []
        code = int(wrong[0]) + self.input.low
        return [
            f"{wrong.size} outputs do not keep to the objective, the first at input code {code}: "
            f"{outputs[wrong[0]]} is not in {gates[0][wrong[0]]}..{gates[1][wrong[0]]}"
        ]

    def _error_problems(self, target: Target) -> list[str]:
        unit = Fraction(2) ** -self.output.fraction
        if self.max_error != self.ulps * unit:
            return ["max_error is not max_error_ulp units of the output"]
        found, claimed = float(target.errors(self.form.outputs).max()), float(self.ulps)
        slack = Fraction(target.slack)
        if Fraction(found) > self.ulps + slack:
            return [f"the error is {found:.9g} units, above the claimed {claimed:.9g}"]
        if Fraction(found) < self.ulps - slack:
            return [f"the error is only {found:.9g} units, not the claimed {claimed:.9g}"]
        return []

    def _fewest_problems(self, gates: Bounds) -> list[str]:
        if self.fewest is None:
            return []
        proven = self.fewest.proven(self.form, *gates, self.input)
        if self.fewest.pieces != proven:
            return [f"{proven} pieces are proven to be needed, not {self.fewest.pieces}"]
        return []

    def _least_problems(self, target: Target) -> list[str]:
        unit, slack = Fraction(2) ** self.output.fraction, Fraction(target.slack)
        bound, floor = self.lower_bound * unit, Fraction(target.floor())
        if bound > self.ulps:
            return ["the lower bound is above the error"]
        if self.least is None:
            if abs(bound - floor) > slack:
                return [f"the rounding floor is {float(floor):.9g} units, not {float(bound):.9g}"]
            return []
        assert self.form.pieces is not None
        if self.form.pieces > self.least.pieces:
            return ["the form has more pieces than the bound is for"]
        proven = self.least.proven(self.form, *target.nearer_than(float(bound)), self.input)
        if bound > floor + slack and proven <= self.least.pieces:
            return [f"the lower bound is proven for less than {proven} pieces only"]
        return []


def _digest(certificate: Mapping[str, Any]) -> str:
    told = {key: value for key, value in certificate.items() if key != "digest"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
