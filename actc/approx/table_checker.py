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

from actc.approx.check_numbers import SLACK, TIGHT, Array, Evaluate, number

_MOST_CHANNELS = 2**16


class TableClaim:
    """The certificate of a table of one function."""

    def __init__(self, certificate: Mapping[str, Any]) -> None:
        self.data = bytes.fromhex(certificate["values"])
        self.digest = str(certificate["digest"])
        self.input = _Format(certificate["input"])
        self.output = None if certificate["output"] is None else _Format(certificate["output"])
        self.entries = np.frombuffer(self.data, "<f4" if self.output is None else self.output.dtype)
        self.max_error = float.fromhex(certificate["max_error"])
        self.lower_bound = float.fromhex(certificate["lower_bound"])

    def problems(self, evaluate: Evaluate) -> list[str]:
        """What is wrong; empty when everything holds."""
        if hashlib.sha256(self.data).hexdigest() != self.digest:
            return ["the digest is not that of the values"]
        if len(self.entries) != self.input.entries:
            return [f"{len(self.entries)} table entries instead of {self.input.entries}"]
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
        self.input, self.output = (_Format(certificate[key]) for key in ("input", "output"))
        self.channels = int(certificate["channels"])
        if not 1 <= self.channels <= _MOST_CHANNELS:
            raise ValueError(f"the channels are not 1..{_MOST_CHANNELS}")
        self.digest = str(certificate["digest"])
        self.rows = _rows(certificate, self.channels, self.input.entries, self.output.dtype)
        self.max_errors, self.lower_bounds = (
            _claims(certificate, f"{key}s", key, self.channels)
            for key in ("max_error", "lower_bound")
        )

    def problems(self, evaluate: Evaluate) -> list[str]:
        """What is wrong; empty when everything holds."""
        if hashlib.sha256(self.rows.tobytes()).hexdigest() != self.digest:
            return ["the digest is not that of the tables"]
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
    tables = [bytes.fromhex(text) for text in certificate["tables"][: channels + 1]]
    which = certificate["table"]
    size = entries * np.dtype(dtype).itemsize
    if not 1 <= len(tables) <= channels or any(len(table) != size for table in tables):
        raise ValueError(
            f"there are not one to as many tables as channels, of {entries} entries each"
        )
    if len(which) != channels or any(type(k) is not int for k in which):
        raise ValueError("not every channel has a table")
    if min(which) < 0 or max(which) >= len(tables):
        raise ValueError("a channel has a table that is not there")
    held = np.frombuffer(b"".join(tables), dtype).reshape(-1, entries)
    return np.ascontiguousarray(held[which])


def _claims(certificate: Mapping[str, Any], key: str, largest: str, channels: int) -> Array:
    """The claim of each channel; the certificate's own is the largest of them."""
    texts = certificate[key]
    if not isinstance(texts, list) or len(texts) != channels:
        raise ValueError(f"not every channel has one of the {key}")
    claims = np.array([float.fromhex(text) for text in texts])
    if not float.fromhex(certificate[largest]) == claims.max():
        raise ValueError(f"{largest} is not the largest of the {key}")
    return claims


class _Format:
    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.scale = number(parameters["scale"])
        self.zero_point, self.low, self.high = (
            int(parameters[key]) for key in ("zero_point", "low", "high")
        )
        bits = int(parameters.get("bits", 8))
        if not 2 <= bits <= 16:
            raise ValueError("the width of a format is not 2..16 bits")
        if self.scale <= 0 or not 0 <= self.low <= self.high < 2**bits:
            raise ValueError("a scale or a range of codes is impossible")
        self.entries = 2 ** max(bits, 8)
        self.dtype = "u1" if bits <= 8 else "<u2"

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
