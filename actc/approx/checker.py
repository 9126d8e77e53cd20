"""Independent verification of certificates, in exact rational arithmetic.

Shares no code with the fitters: it evaluates the function itself, at the points that
the certificate names, and recomputes every claim from the float64 values it gets.
Float64 arithmetic with a rounding bound only serves to pass over samples that are
clearly inside a claimed error; the others are decided with
:class:`fractions.Fraction`.

Two runs of a mathematical library may differ in the last bits, so that claims about
the function have a slack of 2**-44 of its largest value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from actc.approx.check_numbers import (
    SLACK,
    TIGHT,
    Array,
    Evaluate,
    Malformed,
    amount,
    integer,
    listed,
    numbers,
    require_keys,
)
from actc.approx.check_samples import MOST_POINTS, CheckSamples
from actc.approx.fixed_checker import FixedPointClaim
from actc.approx.table_checker import ChannelTableClaim, TableClaim

_LINES = frozenset(
    {
        "kind", "version", "function", "lo", "hi", "points", "precision", "segments",
        "breakpoints", "slopes", "intercepts", "max_error", "lower_bound", "triples",
    }
)  # fmt: skip
_MORE = frozenset({"tails", "fewest", "steps"})


def check_certificate(certificate: Mapping[str, Any], evaluate: Evaluate) -> list[str]:
    """Verify `certificate` for the function `evaluate`.

    Args:
        certificate: as made by :mod:`actc.approx.certificate`, or read from JSON.
        evaluate: float64 array -> float64 array, elementwise.

    Returns:
        what is wrong, one sentence each; empty when everything holds.
    """
    kind, version = certificate.get("kind"), certificate.get("version")
    known = isinstance(kind, str) and kind in _CLAIMS and type(version) is int and version == 1
    if not known:
        return [f"unknown certificate: kind {_shown(kind)}, version {_shown(version)}"]
    try:
        claim = _CLAIMS[kind](certificate)
    except Malformed as error:
        return [f"the certificate is malformed: {error}"]
    with np.errstate(all="ignore"):
        return claim.problems(evaluate)


def _shown(value: object) -> str:
    """A short text, also of values that are too large or too deep to print."""
    if isinstance(value, str):
        return repr(value[:40])
    small = isinstance(value, int) and abs(value) < 10**9
    return repr(value) if small or value is None else f"of type {type(value).__name__}"


class _Claim(Protocol):
    def problems(self, evaluate: Evaluate) -> list[str]: ...


@dataclass(frozen=True)
class _Bound:
    """That no form of `segments` segments has a smaller error."""

    error: Fraction
    segments: int
    triples: list[list[Fraction]]

    def problems(self, evaluate: Evaluate, samples: CheckSamples, slack: Fraction) -> list[str]:
        """Check by pigeonhole.

        A form of n segments has n - 1 breakpoints. The intervals (first, last] of n
        triples that do not overlap are disjoint, so that one of them has no breakpoint
        and its triple lies in one segment. Of three values a line misses one by at
        least half the middle one's distance from the chord of the outer two. What does
        not count at the three samples takes no more than its weighted sum from that.
        """
        if self.error <= 0:
            return []
        if len(self.triples) < self.segments:
            return [f"{len(self.triples)} triples cannot bound {self.segments} segments"]
        if any(len(t) != 3 or not t[0] < t[1] < t[2] for t in self.triples):
            return ["a triple is not three increasing points"]
        problems = []
        if any(one[2] > other[0] for one, other in pairwise(self.triples)):
            problems.append("the triples overlap")
        flat = np.array([float(value) for triple in self.triples for value in triple])
        if not np.isin(flat, samples.x).all():
            problems.append("a triple has a point that is not a sample")
        values = evaluate(flat)
        if not np.isfinite(values).all():
            return [*problems, "the function is not finite at a triple"]
        y = [Fraction(float(value)) for value in values]
        allowed = [Fraction(float(value)) for value in samples.allowance(flat, values)]
        for index, (x0, x1, x2) in enumerate(self.triples):
            y0, y1, y2 = y[3 * index : 3 * index + 3]
            a0, a1, a2 = allowed[3 * index : 3 * index + 3]
            part = (x1 - x0) / (x2 - x0)
            apart = abs(y1 - (y0 + (y2 - y0) * part))
            reached = (apart - a1 - (a0 * (1 - part) + a2 * part)) / 2
            if reached + slack < self.error:
                problems.append(
                    f"triple {index} bounds the error by {float(reached):.9g} only, "
                    f"not by {float(self.error):.9g}"
                )
        return problems


def _triples(told: object) -> list[list[Fraction]]:
    return [numbers(triple, "a triple") for triple in listed(told, "the triples")]


class _PiecewiseLinearClaim:
    def __init__(self, certificate: Mapping[str, Any]) -> None:
        require_keys(certificate, _LINES, "the certificate", _MORE)
        if not isinstance(certificate["function"], str):
            raise Malformed("the function is not named")
        self.breakpoints, self.slopes, self.intercepts = (
            numbers(certificate[key], key) for key in ("breakpoints", "slopes", "intercepts")
        )
        self.max_error = amount(certificate["max_error"], "max_error")
        self.lower = _Bound(
            amount(certificate["lower_bound"], "lower_bound"),
            integer(certificate["segments"], 1, MOST_POINTS, "segments"),
            _triples(certificate["triples"]),
        )
        self.fewest: _Bound | None = None
        if "fewest" in certificate:
            fewest = certificate["fewest"]
            if not isinstance(fewest, dict):
                raise Malformed("what the segments were counted for is not an object")
            require_keys(fewest, {"error", "triples"}, "what the segments were counted for")
            triples = _triples(fewest["triples"])
            self.fewest = _Bound(amount(fewest["error"], "its error"), len(triples), triples)
        self.samples = CheckSamples(certificate)
        self.x = self.samples.x

    def problems(self, evaluate: Evaluate) -> list[str]:
        count = len(self.slopes)
        if not count == len(self.intercepts) == len(self.breakpoints) + 1:
            return ["the numbers of breakpoints, slopes and intercepts do not match"]
        if any(left >= right for left, right in pairwise(self.breakpoints)):
            return ["the breakpoints do not increase"]
        y = np.broadcast_to(evaluate(self.x), self.x.shape)
        if not np.isfinite(y).all():
            return ["the function is not finite at a sample"]
        slack = SLACK * Fraction(float(np.abs(y[self.samples.in_core(self.x)]).max()))
        problems = self._error_problems(y, slack)
        if count > self.lower.segments:
            problems.append(f"{count} segments, but the bound is for {self.lower.segments}")
        problems += self.lower.problems(evaluate, self.samples, slack)
        if self.fewest is not None:
            problems += self.fewest.problems(evaluate, self.samples, slack)
            if self.max_error > self.fewest.error + slack:
                problems.append("the error exceeds the one that the segments were counted for")
        return problems

    def _error_problems(self, y: Array, slack: Fraction) -> list[str]:
        slopes, intercepts, edges = (
            np.array([float(value) for value in values])
            for values in (self.slopes, self.intercepts, self.breakpoints)
        )
        which = np.searchsorted(edges, self.x, side="right")
        product = slopes[which] * self.x
        allowed = self.samples.allowance(self.x, y)
        deviation = np.abs(product + intercepts[which] - y) - allowed
        rounding = 2.0**-50 * (np.abs(product) + np.abs(intercepts[which]) + np.abs(y))

        def exact(i: int) -> Fraction:
            slope, intercept = self.slopes[which[i]], self.intercepts[which[i]]
            value = slope * Fraction(float(self.x[i])) + intercept
            distance: Fraction = abs(value - Fraction(float(y[i])))
            return distance - Fraction(float(allowed[i]))

        worst, claimed = exact(int(np.argmax(deviation))), float(self.max_error)
        if worst > self.max_error + slack:
            return [f"the error is {float(worst):.9g}, above the claimed {claimed:.9g}"]
        if self.max_error > worst * TIGHT + slack:
            return [f"the error is only {float(worst):.9g}, not the claimed {claimed:.9g}"]
        limit = math.nextafter(float(self.max_error + slack), -math.inf)
        doubtful = np.flatnonzero(deviation + rounding >= limit).tolist()
        if any(exact(i) > self.max_error + slack for i in doubtful):
            return [f"the error is above the claimed {claimed:.9g}"]
        return []


_CLAIMS: dict[Any, Callable[[Mapping[str, Any]], _Claim]] = {
    "piecewise-linear": _PiecewiseLinearClaim,
    "table": TableClaim,
    "channel-table": ChannelTableClaim,
    "fixed-point": FixedPointClaim,
}
