"""For the tests of structured functions: errors in ulps, and searches for bad inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured import Decomposition
from actc.approx.structured.attention import Attention
from actc.approx.structured.glu import GatedUnit
from actc.approx.structured.gru import GRU
from actc.approx.structured.lstm import LSTM

Errors = Callable[[Codes], Float64Array]


def errors(unit: Decomposition) -> Errors:
    """Largest error of each row of codes, in ulps."""

    def of(codes: Codes) -> Float64Array:
        got = unit.output.to_real(unit.evaluate(codes))
        off: Float64Array = np.abs(got - unit.exact(codes)).max(axis=-1) / unit.output.ulp
        return off

    return of


def every_input(format: FixedPoint, length: int) -> Codes:
    """All rows of so many codes; int64 [count**length, length]."""
    return np.array(list(itertools.product(format.codes().tolist(), repeat=length)), np.int64)


class Operands(NamedTuple):
    """First and last code of each operand of a unit; int64 [k] each."""

    low: Codes
    high: Codes

    @classmethod
    def of(cls, *parts: tuple[FixedPoint, int]) -> Operands:
        """So many codes of each format, one after the other."""
        low = [np.full(count, format.low) for format, count in parts]
        high = [np.full(count, format.high) for format, count in parts]
        return cls(np.concatenate(low), np.concatenate(high))


def operands(unit: Decomposition) -> Operands:
    """Of :meth:`~actc.approx.structured.Decomposition.evaluate`."""
    if isinstance(unit, (LSTM, GRU)):
        last = unit.state if isinstance(unit, LSTM) else unit.output
        return Operands.of((unit.input, 4 * unit.length), (last, unit.length))
    if isinstance(unit, GatedUnit):
        return Operands.of((unit.input, 2 * unit.length))
    count = unit.operands if isinstance(unit, Attention) else unit.length
    return Operands.of((unit.input, count))


def random_rows(kinds: Operands, rows: int, seed: int) -> Codes:
    """Rows of many magnitudes, one-hot rows and nearly constant rows among them."""
    rng = np.random.default_rng(seed)
    low, high = kinds
    wide = rng.integers(low, high + 1, (rows, low.size))
    # narrow rows around a random centre, so that small differences occur too
    centre = (low + (high - low) * rng.random((rows, 1))).astype(np.int64)
    spread = rng.integers(1, max(int((high - low).min()) // 2, 2), (rows, 1))
    mixed = np.where(rng.random((rows, 1)) < 0.5, wide, centre + wide // spread)
    hot = centre.copy() + np.zeros_like(wide)
    hot[:, 0] = wide[:, 0]
    mixed = np.where(rng.random((rows, 1)) < 0.2, hot, mixed)
    return np.clip(mixed, low, high)


def hill_climb(of: Errors, start: Codes, kinds: Operands, steps: int, seed: int) -> float:
    """Largest error found by changing rows at random and keeping what is worse.

    A step changes one element or several to one part of their range, or by a little.
    """
    rng = np.random.default_rng(seed)
    low, high = kinds
    best, score = start.copy(), of(start)
    rows, length = best.shape
    for _ in range(steps):
        share = rng.choice([1.5 / length, 0.3, 0.9], (rows, 1))
        chosen = rng.random((rows, length)) < share
        fresh = (low + (high + 1 - low) * rng.random((rows, 1))).astype(np.int64)
        near = best + rng.integers(-2, 3, (rows, 1))
        moved = np.where(rng.random((rows, 1)) < 0.4, fresh, near)
        trial = np.clip(np.where(chosen, moved, best), low, high)
        found = of(trial)
        better = found > score
        best[better], score[better] = trial[better], found[better]
        # the mildest quarter makes room for copies of the worst
        order = np.argsort(score)
        mild, bad = order[: rows // 4], order[-(rows // 4) :]
        best[mild], score[mild] = best[bad], score[bad]
    return float(score.max())


def worst_found(unit: Decomposition, steps: int = 150, rows: int = 128, seed: int = 0) -> float:
    """The worst of random rows, improved by :func:`hill_climb`; in ulps."""
    of, kinds = errors(unit), operands(unit)
    start = random_rows(kinds, rows * 20, seed)
    start = start[np.argsort(of(start))[-rows:]]
    return hill_climb(of, start, kinds, steps, seed)
