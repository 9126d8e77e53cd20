"""For the tests of structured functions: errors in ulps, and searches for bad inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import Float64Array
from actc.approx.structured.decomposition import Decomposition

Errors = Callable[[Codes], Float64Array]


def errors(unit: Decomposition) -> Errors:
    """Largest error of each row of codes, in ulps."""

    def of(codes: Codes) -> Float64Array:
        got = unit.output.to_real(unit.evaluate(codes))
        return np.abs(got - unit.exact(codes)).max(axis=-1) / unit.output.ulp

    return of


def every_input(format: FixedPoint, length: int) -> Codes:
    """All rows of so many codes; int64 [count**length, length]."""
    return np.array(list(itertools.product(format.codes().tolist(), repeat=length)), np.int64)


def random_rows(format: FixedPoint, rows: int, length: int, seed: int) -> Codes:
    """Rows of many magnitudes, one-hot rows and equal rows among them."""
    rng = np.random.default_rng(seed)
    wide = rng.integers(format.low, format.high + 1, (rows, length))
    # narrow rows around a random centre, so that small differences occur too
    scale = rng.integers(1, format.count // 2, (rows, 1))
    centre = rng.integers(format.low, format.high + 1, (rows, 1))
    mixed = np.where(rng.random((rows, 1)) < 0.5, wide, centre + wide // scale)
    hot = rng.integers(format.low, format.high + 1, (rows, 1)) + np.zeros((1, length), np.int64)
    hot[:, 0] = rng.integers(format.low, format.high + 1, rows)
    mixed = np.where(rng.random((rows, 1)) < 0.2, hot, mixed)
    return np.clip(mixed, format.low, format.high)


def hill_climb(of: Errors, start: Codes, format: FixedPoint, steps: int, seed: int) -> float:
    """Largest error found by changing rows at random and keeping what is worse.

    A step changes one element or several at once to one value, by a random amount or
    to a random code.
    """
    rng = np.random.default_rng(seed)
    best, score = start.copy(), of(start)
    for _ in range(steps):
        rows, length = best.shape
        chosen = rng.random((rows, length)) < rng.choice([1.5 / length, 0.3, 0.9], (rows, 1))
        fresh = rng.integers(format.low, format.high + 1, (rows, 1))
        near = best + rng.integers(-2, 3, (rows, 1))
        moved = np.where(rng.random((rows, 1)) < 0.4, fresh, near)
        trial = np.clip(np.where(chosen, moved, best), format.low, format.high)
        found = of(trial)
        better = found > score
        best[better], score[better] = trial[better], found[better]
        # the worst quarter makes room for copies of the best
        order = np.argsort(score)
        quarter = rows // 4
        best[order[:quarter]], score[order[:quarter]] = (
            best[order[-quarter:]],
            score[order[-quarter:]],
        )
    return float(score.max())


def worst_found(unit: Decomposition, steps: int = 150, rows: int = 128, seed: int = 0) -> float:
    """The worst of random rows, improved by :func:`hill_climb`; in ulps."""
    of = errors(unit)
    start = random_rows(unit.input, rows * 20, unit.length, seed)
    start = start[np.argsort(of(start))[-rows:]]
    return hill_climb(of, start, unit.input, steps, seed)
