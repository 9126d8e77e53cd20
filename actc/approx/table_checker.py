"""Independent verification of the certificates of tables over codes.

Part of :mod:`actc.approx.checker`: it shares no code with the fitters.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import (
    SLACK,
    TIGHT,
    Array,
    Evaluate,
    Malformed,
    any_amount,
    integer,
    listed,
    number,
    octets,
    require_keys,
)

_MOST_CHANNELS = 2**16
_KEYS = frozenset(
    {"kind", "version", "function", "input", "output", "digest", "max_error", "lower_bound"}
)
_OF_CHANNELS = frozenset({"channels", "tables", "table", "max_errors", "lower_bounds"})


class TableClaim:
    """The certificate of a table of one function."""

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        require_keys(certificate, _KEYS | {"values"}, "the certificate")
        _require_texts(certificate)
        self.data = octets(certificate["values"], "values")
        self.digest = certificate["digest"]
        self.input = _Format(certificate["input"])
        self.output = None if certificate["output"] is None else _Format(certificate["output"])
        dtype = np.dtype("<f4" if self.output is None else self.output.dtype)
        if len(self.data) % dtype.itemsize:
            raise Malformed("the values end within one")
        self.entries = np.frombuffer(self.data, dtype)
        self.max_error = any_amount(certificate["max_error"], "max_error")
        self.lower_bound = any_amount(certificate["lower_bound"], "lower_bound")

    def problems(self, evaluate: Evaluate) -> list[str]:
        """What is wrong; empty when everything holds."""
        if hashlib.sha256(self.data).hexdigest() != self.digest:
            return ["the digest is not that of the values"]
        if len(self.entries) != self.input.entries:
            return [f"{len(self.entries)} table entries instead of {self.input.entries}"]
        if self.output is not None and not self.output.holds(self.entries):
            return ["an entry is not a code of the output"]
        codes = range(self.input.low, self.input.high + 1)
        x = np.array([float(self.input.real(code)) for code in codes])
        y = np.broadcast_to(evaluate(x), x.shape)
        if np.isnan(y).any():
            return ["the function is not a number at a code"]
        error = max(
            _distance(value, self._real(code)) for code, value in zip(codes, y, strict=True)
        )
        floor = max(_distance(value, self._nearest(float(value))) for value in y)
        return self._claim_problems(
            float(error), float(floor), np.abs(y[np.isfinite(y)]).max(initial=0.0)
        )

    def _claim_problems(self, error: float, floor: float, largest: float) -> list[str]:
        slack, tight = float(SLACK) * largest, float(TIGHT)
        problems = []
        if not error <= self.max_error * tight + slack:
            problems.append(f"the error is {error:.9g}, above the claimed {self.max_error:.9g}")
        if not self.max_error <= error * tight + slack:
            problems.append(f"the error is only {error:.9g}, not the claimed {self.max_error:.9g}")
        if not self.lower_bound <= floor * tight + slack:
            problems.append(
                f"the rounding floor is {floor:.9g}, below the claimed {self.lower_bound:.9g}"
            )
        return problems

    def _real(self, code: int) -> Fraction | float:
        if self.output is not None:
            return self.output.real(int(self.entries[code]))
        entry = float(self.entries[code])
        return Fraction(entry) if math.isfinite(entry) else entry

    def _nearest(self, value: float) -> Fraction | float:
        """The number of the output format that is nearest to `value`."""
        if self.output is not None:
            return self.output.real(self.output.nearest(value))
        entry = float(np.float32(value))
        return Fraction(entry) if math.isfinite(entry) else entry


class ChannelTableClaim:
    """The certificate of a family: one table per channel, between the same formats.

    Everything is computed in float64. The rounding of a real value, a difference and a
    division is some 2**-51 of the values, well below the slack that claims about them
    have anyway.
    """

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        require_keys(certificate, _KEYS | _OF_CHANNELS, "the certificate")
        _require_texts(certificate)
        self.input, self.output = (_Format(certificate[key]) for key in ("input", "output"))
        self.channels = integer(certificate["channels"], 1, _MOST_CHANNELS, "channels")
        self.digest = certificate["digest"]
        self.rows = _rows(certificate, self.channels, self.input.entries, self.output.dtype)
        self.max_errors, self.lower_bounds = (
            _claims(certificate, f"{key}s", key, self.channels)
            for key in ("max_error", "lower_bound")
        )

    def problems(self, evaluate: Evaluate) -> list[str]:
        """What is wrong; empty when everything holds."""
        if hashlib.sha256(self.rows.tobytes()).hexdigest() != self.digest:
            return ["the digest is not that of the tables"]
        if not self.output.holds(self.rows):
            return ["an entry is not a code of the output"]
        codes = np.arange(self.input.low, self.input.high + 1)
        x = float(self.input.scale) * (codes - self.input.zero_point).astype(np.float64)
        y = np.asarray(evaluate(x), np.float64)
        if y.ndim == 1:  # one function for all channels
            y = y[:, None]
        if y.shape not in ((len(x), 1), (len(x), self.channels)):
            return [f"the function has {y.shape[-1]} channels, the certificate {self.channels}"]
        y = np.broadcast_to(y, (len(x), self.channels))
        if np.isnan(y).any():
            return ["the function is not a number at a code"]
        return self._claim_problems(y, self.rows[:, codes].T)

    def _claim_problems(self, y: Array, entries: Array) -> list[str]:
        low, high, zero = self.output.low, self.output.high, self.output.zero_point
        scale, tight = float(self.output.scale), float(TIGHT)
        slack = float(SLACK) * np.abs(np.where(np.isfinite(y), y, 0.0)).max(axis=0)
        nearest = np.clip(np.round(np.clip(y / scale, low - zero, high - zero)) + zero, low, high)
        floor = np.abs(y - scale * (nearest - zero)).max(axis=0)
        error = np.abs(y - scale * (entries.astype(np.float64) - zero)).max(axis=0)
        checks = (
            (~(error <= self.max_errors * tight + slack), "error is above"),
            (~(self.max_errors <= error * tight + slack), "error is below"),
            (~(self.lower_bounds <= floor * tight + slack), "rounding floor is below"),
        )
        return [
            f"the {what} the claimed one in {wrong.sum()} channels, "
            f"the first is {int(np.flatnonzero(wrong)[0])}"
            for wrong, what in checks
            if wrong.any()
        ]


def _rows(certificate: Mapping[str, Any], channels: int, entries: int, dtype: str) -> Array:
    """The table of each channel; codes [channels, entries]."""
    texts, which = (listed(certificate[key], key) for key in ("tables", "table"))
    if not 1 <= len(texts) <= channels:
        raise Malformed("there are not one to as many tables as channels")
    if len(which) != channels:
        raise Malformed("not every channel has a table")
    tables = [octets(text, "a table") for text in texts]
    size = entries * np.dtype(dtype).itemsize
    if any(len(table) != size for table in tables):
        raise Malformed(f"not every table has {entries} entries")
    for k in which:
        integer(k, 0, len(tables) - 1, "the table of a channel")
    held = np.frombuffer(b"".join(tables), dtype).reshape(-1, entries)
    return np.ascontiguousarray(held[which])


def _claims(certificate: Mapping[str, Any], key: str, largest: str, channels: int) -> Array:
    """The claim of each channel; the certificate's own is the largest of them."""
    texts = listed(certificate[key], key)
    if len(texts) != channels:
        raise Malformed(f"not every channel has one of the {key}")
    claims = np.array([any_amount(text, f"one of {key}") for text in texts])
    if not any_amount(certificate[largest], largest) == claims.max():
        raise Malformed(f"{largest} is not the largest of the {key}")
    return claims


def _require_texts(certificate: Mapping[str, Any]) -> None:
    if not all(isinstance(certificate[key], str) for key in ("function", "digest")):
        raise Malformed("the function or the digest is no text")


class _Format:
    def __init__(self, parameters: object) -> None:
        if not isinstance(parameters, dict):
            raise Malformed("a format is not an object")
        require_keys(parameters, {"scale", "zero_point", "low", "high"}, "a format", {"bits"})
        self.scale = number(parameters["scale"], "a scale")
        bits = integer(parameters.get("bits", 8), 2, 16, "the width of a format")
        self.low, self.high = (
            integer(parameters[key], 0, 2**bits - 1, f"the {key} code") for key in ("low", "high")
        )
        self.zero_point = integer(parameters["zero_point"], -(2**31), 2**31, "a zero point")
        if self.scale <= 0 or self.low > self.high:
            raise Malformed("a scale or a range of codes is impossible")
        self.entries = 2 ** max(bits, 8)
        self.dtype = "u1" if bits <= 8 else "<u2"

    def holds(self, codes: npt.NDArray[Any]) -> bool:
        """Whether all codes are in use."""
        return bool(((codes >= self.low) & (codes <= self.high)).all())

    def real(self, code: int) -> Fraction:
        return self.scale * (code - self.zero_point)

    def nearest(self, value: float) -> int:
        if math.isinf(value):
            return self.high if value > 0 else self.low
        code = round(Fraction(value) / self.scale) + self.zero_point
        return min(max(code, self.low), self.high)


def _distance(value: float, real: Fraction | float) -> Fraction | float:
    if math.isinf(value) or isinstance(real, float):
        return math.inf
    return abs(Fraction(float(value)) - real)
