"""Fixed-point units for the tests: formats of known functions, and random gates."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from hypothesis import strategies as st

from actc.approx.catalogue import find
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import Gates, Objective, make_gates


def formats(name: str, bits: int) -> tuple[FixedPoint, FixedPoint]:
    """Inputs in [-8, 8); outputs wide enough that nothing saturates (1.0 included)."""
    source = FixedPoint(True, bits, bits - 4)
    if name == "Tanh":
        return source, FixedPoint(True, bits + 1, bits - 1)
    if name == "Sigmoid":
        return source, FixedPoint(False, bits, bits - 1)
    return source, source


@lru_cache(maxsize=64)
def unit(name: str, bits: int, objective: Objective) -> Gates:
    """Gates of a catalogue function in its :func:`formats`."""
    return make_gates(find(name).function(), *formats(name, bits), objective)


@st.composite
def random_gates(draw: st.DrawFn, bits: int = 4, height: int = 12, width: int = 3) -> Gates:
    """Gates of no function in particular, often smooth enough for long segments."""
    source = FixedPoint(draw(st.booleans()), bits, 0)
    count = source.count
    if draw(st.booleans()):
        low = draw(st.lists(st.integers(-height, height), min_size=count, max_size=count))
    else:
        steps = draw(st.lists(st.integers(-2, 2), min_size=count, max_size=count))
        low = np.clip(np.cumsum(steps), -height, height).tolist()
    extra = draw(st.lists(st.integers(0, width), min_size=count, max_size=count))
    first = np.array(low, np.int64)
    last = first + np.array(extra)
    middle = (first + last) / 2
    return Gates("random", source, FixedPoint(True, 6, 0), width / 2, middle, first, last)


def fewest_windows(count: int, serves: list[list[bool]]) -> int:
    """Fewest windows [a, b) with serves[a][b - 1] that cover all points, by dynamic programming."""
    fewest = [0] + [count + 1] * count
    for end in range(1, count + 1):
        for start in range(end):
            if serves[start][end - 1]:
                fewest[end] = min(fewest[end], fewest[start] + 1)
    return fewest[count]
