"""Random designs of several layers, for tests of what is done with designs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire


@st.composite
def random_designs(draw: st.DrawFn, *, registers: bool = False, operations: int = 14) -> Design:
    """Two input buses, one or two output buses, up to three layers in any order."""
    graph = Graph()
    low = draw(st.integers(-20, 5))
    x = [graph.input(f"x_{n}", Range(low, low + 9 + n)) for n in range(draw(st.integers(1, 3)))]
    z = graph.input("z", Range(0, 5))
    wires: list[Wire] = [*x, z]
    for _ in range(draw(st.integers(1, operations))):
        a, b = draw(st.sampled_from(wires)), draw(st.sampled_from(wires))
        with graph.scope(draw(st.sampled_from(["", "fc 1", "act", "fc.2"]))):
            made = draw(st.sampled_from(_results(graph, a, b)))
            if draw(st.integers(0, 4)) == 0:
                made = made.named("node")
            wires.append(made.register() if registers and draw(st.booleans()) else made)
    ends = [*draw(st.lists(st.sampled_from(wires), min_size=1, max_size=3)), wires[-1]]
    return Design(
        "random net",
        (
            Bus("x", (len(x),), tuple(x), max(w.width for w in x) + int(low < 0), low < 0),
            Bus("z", (), (z,), 3, False),
        ),
        (
            Bus("y", (len(ends),), tuple(ends), max(w.width for w in ends) + 1, True),
            Bus("last", (1, 1), (wires[-1],), wires[-1].width, wires[-1].signed),
        ),
    )


def _results(graph: Graph, a: Wire, b: Wire) -> list[Wire]:
    """Operators of every kind on two wires; none too wide."""
    bit, low = a.bits(1, 1), b.bits(0, 3)
    found = [
        a + b, a - b, -a, ~b, a + 5, 7 - b, a << 2, a >> 1, a < b, a >= b, a.equals(b),
        a.differs(b), a.bits(0, 2), a.bits(1, 4, signed=True), bit & (a < b), bit ^ (a < 3),
        low.reaches(5), graph.concatenate((bit, 2), (low, 3)), graph.select(bit, [a, b]),
        graph.select(low, [a, b, -7, a, 3, b, b, a]), a.saturate(Range(-5, 9)),
        graph.lookup(low, [3, -1, 4, -1, 5, -9, 2, 6]),
        graph.lookup(low, [3, 1, 4, 1, 5, 9, 2, 6], memory=True),
    ]  # fmt: skip
    if a.width + b.width < 24:
        found.append(a * b)
    return [wire for wire in found if wire.width < 24]


def random_samples(design: Design, count: int, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Samples of every input bus, each element within its own range."""
    random = np.random.default_rng(seed)
    return {
        bus.name: np.stack(
            [random.integers(w.range.low, w.range.high + 1, count) for w in bus.wires], axis=1
        ).reshape(count, *bus.shape)
        for bus in design.inputs
    }
