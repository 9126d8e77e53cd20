"""Delays of operators, and operators that alone exceed a clock."""

from __future__ import annotations

import pytest
from fpga_pipelines import SLOW, delayed_outputs

from actc.errors import UsageError
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire
from actc.targets.fpga.pipeline import TIMINGS, Timing, pipeline, report
from actc.targets.fpga.pipeline.delays import delay


def wide_designs() -> dict[str, Design]:
    """One operator each that takes long."""
    graph = Graph()
    a, b = graph.input("a", Range(-900, 1000)), graph.input("b", Range(-70, 800))
    k = graph.input("k", Range(3, 30))
    options = [a, b, *(a.bits(n % 6, 5) for n in range(30))]
    found = {
        "sum": a + b,
        "difference": a - b,
        "negative": -a,
        "less": a < b,
        "not less": a >= b,
        "bounded": a >= 77,
        "clipped": a.saturate(Range(-21, 300)),
        "clipped above": a.saturate(Range(-1000, 33)),
        "chosen": graph.select(k, options),
        "table": graph.lookup(b.bits(0, 10), [n * n % 1021 - 500 for n in range(1024)]),
    }
    inputs = (
        Bus("a", (), (a,), 11, True), Bus("b", (), (b,), 11, True), Bus("k", (), (k,), 5, False)
    )  # fmt: skip
    return {
        name: Design("d", inputs, (Bus("y", (), (wire,), 13, True),))
        for name, wire in found.items()
    }


@pytest.mark.parametrize("name", wide_designs())
def test_what_exceeds_a_clock_is_split(name: str) -> None:
    design = wide_designs()[name]
    alone = max(delay(wire, SLOW) for wire in design.module().wires())
    for period in (3.2, 4.1):
        if name == "bounded" and period < 4:
            continue  # a comparison for equality is not split
        assert alone > period
        made = pipeline(design, SLOW, clock_mhz=1e3 / (period + SLOW.overhead))
        assert report(made, SLOW).critical.nanoseconds <= period + SLOW.overhead + 1e-9
        for seed in range(20):
            delayed_outputs(design, made, seed)


def test_what_cannot_be_split_is_named() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 4000))
    with graph.scope("fc1"):
        y = (x * x + 1).named("square")
    design = Design("d", (Bus("x", (), (x,), 12, False),), (Bus("y", (), (y,), 24, False),))
    with pytest.raises(UsageError) as caught:
        pipeline(design, SLOW, clock_mhz=150)
    assert "ACT0561" in str(caught.value)
    assert "product of fc1 (product of 24 bits) alone takes" in str(caught.value)
    most = int(str(caught.value).partition("at most ")[2].split()[0])
    assert report(pipeline(design, SLOW, clock_mhz=most), SLOW).clock_mhz >= most
    with pytest.raises(UsageError, match="ACT0561"):
        pipeline(design, SLOW, clock_mhz=most + 1)


@pytest.mark.parametrize("timing", TIMINGS.values(), ids=lambda timing: timing.name)
def test_delays_grow_with_width(timing: Timing) -> None:
    graph = Graph()

    def at(width: int) -> list[Wire]:
        a, b = (graph.input(f"{n}{width}", Range.unsigned(width)) for n in "ab")
        index = a.bits(0, width // 2)
        return [
            a + b, a - b, a * b, a < b, a.equals(b), a.reaches((1 << width) - 3), -a,
            a.saturate(Range(3, 1 << (width - 1))), graph.lookup(a, range(1 << width)),
            graph.select(index, [a + k for k in range(1 << (width // 2))]),
        ]  # fmt: skip

    for small, large in zip(at(3), at(10), strict=True):
        assert 0 < delay(small, timing) <= delay(large, timing)
    a = graph.input("c", Range.unsigned(8))
    for free in (a >> 2, a << 3, a.bits(1, 3), ~a, graph.concatenate((a, 9), (a, 8))):
        assert delay(free, timing) == 0
    # the low bits of a pass by
    assert delay(a + (a << 6), timing) == delay(a + graph.input("d", a.range), timing)
