"""Pipelining: the same outputs some clocks later, with the fewest register bits."""

from __future__ import annotations

from math import inf

import pytest
from fpga_designs import random_designs, random_samples
from fpga_pipelines import ECP5, SLOW, delayed_outputs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from installed import needs_iverilog, needs_yosys

from actc.errors import UsageError
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, write_design
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.pipeline import TIMINGS, find_timing, pipeline, report
from actc.targets.fpga.pipeline.delays import delay, is_memory
from actc.targets.fpga.rtl_simulation import simulate_design
from actc.targets.fpga.synthesis import synthesize


def register_bits(design: Design) -> int:
    return sum(w.width for w in design.module().wires() if isinstance(w.operator, op.Register))


def memories_in_a_row(design: Design) -> int:
    """Memories on the path with most of them: each takes a clock."""
    counts: dict[int, int] = {}
    for wire in design.module().wires():
        before = max((counts[operand.index] for operand in wire.operands), default=0)
        counts[wire.index] = before + is_memory(wire)
    return max(counts.values())


@given(random_designs(), st.sampled_from(sorted(TIMINGS)), st.integers(2, 9), st.booleans())
@settings(max_examples=60, deadline=None)
def test_outputs_are_the_same_later(
    design: Design, name: str, latency: int, input_register: bool
) -> None:
    timing = TIMINGS[name]
    latency = max(latency, 1 + input_register + memories_in_a_row(design))
    made = pipeline(design, timing, latency=latency, input_register=input_register)
    ends = [wire for bus in design.outputs for wire in bus.wires]
    assert made.latency == (0 if all(wire.value is not None for wire in ends) else latency)
    delayed_outputs(design, made)
    if input_register and made.latency:
        before = report(made, timing).stages[0]
        assert before.nanoseconds == timing.overhead
    assert [bus.name for bus in made.inputs] == [bus.name for bus in design.inputs]
    assert write_design(made) == write_design(
        pipeline(design, timing, latency=latency, input_register=input_register)
    )


@given(random_designs(), st.sampled_from([40.0, 90.0, 140.0]))
@settings(max_examples=40, deadline=None)
def test_clocks_are_reached(design: Design, clock_mhz: float) -> None:
    slowest = max(delay(wire, ECP5) for wire in design.module().wires())
    if slowest + ECP5.overhead > 1e3 / clock_mhz:
        with pytest.raises(UsageError, match=r"ACT0561(.|\n)*alone takes"):
            pipeline(design, ECP5, clock_mhz=clock_mhz)
        return
    made = pipeline(design, ECP5, clock_mhz=clock_mhz)
    delayed_outputs(design, made)
    found = report(made, ECP5)
    assert found.clock_mhz >= clock_mhz - 1e-6
    # one stage less does not do
    if found.latency > 1:
        with pytest.raises(UsageError, match="ACT0562"):
            pipeline(design, ECP5, clock_mhz=clock_mhz, latency=found.latency - 1)


def dot_product(bits: int = 4) -> Design:
    graph = Graph()
    x = [graph.input(f"x_{n}", Range.unsigned(bits)) for n in range(4)]
    with graph.scope("fc1"):
        total = ((x[0] + x[1]) + (x[2] + x[3])).named("total")
    with graph.scope("act"):
        y = graph.lookup(total, [k % 3 for k in range(4 << bits)]).named("rest")
    return Design("dot", (Bus("x", (4,), tuple(x), bits, False),), (Bus("y", (), (y,), 2, False),))


def test_a_shorter_period_takes_more_stages() -> None:
    found = []
    for latency in (2, 3, 4):
        made = pipeline(dot_product(), ECP5, latency=latency)
        found.append(report(made, ECP5))
        assert made.latency == latency
    periods = [each.critical.nanoseconds for each in found]
    assert periods[0] > periods[1] > periods[2]
    # where it begins and three operators; the first one apart from two; each for itself
    assert [[len(stage.path) for stage in each.stages] for each in found] == [
        [1, 4, 1], [1, 2, 3, 1], [1, 2, 2, 2, 1],
    ]  # fmt: skip
    last = found[1]
    assert [stage.register_bits for stage in last.stages] == [16, 10, 2, 0]
    assert last.register_bits == 28
    assert last.critical.path[1:] == (("fc1", "total"), ("act", "rest"))
    assert last.clock_mhz == 1e3 / last.critical.nanoseconds


def test_registers_are_where_wires_are_narrow() -> None:
    graph = Graph()
    x = graph.input("x", Range(-128, 127))
    narrow = x.saturate(Range(-2, 1))
    wide = narrow * 77
    design = Design("d", (Bus("x", (), (x,), 8, True),), (Bus("y", (), (wide,), 9, True),))
    made = pipeline(design, ECP5, latency=6)
    # x and the product once each, where they must be, 4 times the 2 bits between
    assert register_bits(made) == 8 + 4 * 2 + wide.width


def test_readers_share_registers() -> None:
    graph = Graph()
    x = graph.input("x", Range.unsigned(8))
    ends = [x + 1, x + 2, x + 3]
    design = Design("d", (Bus("x", (), (x,), 8, False),), (Bus("y", (3,), tuple(ends), 9, False),))
    made = pipeline(design, ECP5, latency=5)
    assert register_bits(made) == 4 * 8 + 3 * 9


def test_memories_are_read_into_registers() -> None:
    graph = Graph()
    x = graph.input("x", Range.unsigned(6))
    entry = graph.lookup(x, [k * k % 61 for k in range(64)], memory=True)
    both = entry + graph.lookup(x, [5 * k % 7 for k in range(64)])
    design = Design(
        "d", (Bus("x", (), (x,), 6, False),), (Bus("y", (2,), (both, entry), 8, False),)
    )
    for kwargs in ({"latency": 4}, {"clock_mhz": 80.0}, {"latency": 3, "input_register": False}):
        made = pipeline(design, ECP5, **kwargs)
        delayed_outputs(design, made)
        (table,) = [
            w
            for w in made.module().wires()
            if isinstance(w.operator, op.Lookup) and w.operator.memory
        ]
        readers = [w for w in made.module().wires() if table in w.operands]
        assert [type(w.operator) for w in readers] == [op.Register]
        text = "".join(write_design(made).values())
        # what begins with given bits does not fit into a block memory
        assert text.count("initial") == 1
        assert text.count("posedge") > 2


def test_claims_hold_from_the_first_clock_on() -> None:
    graph = Graph()
    x = graph.input("x", Range(3, 9))
    down = 12 - x
    both = (down + x).narrow(Range(12, 12), "opposite terms")
    late = (both * x).narrow(Range(36, 108), "twelve times x")
    design = Design("d", (Bus("x", (), (x,), 4, False),), (Bus("y", (), (late,), 7, False),))
    delayed_outputs(design, pipeline(design, ECP5, latency=6))


def test_wires_without_logic_are_delayed() -> None:
    graph = Graph()
    x = graph.input("x", Range.unsigned(4))
    unused = graph.input("unused", Range.unsigned(4))
    design = Design(
        "d",
        (Bus("x", (), (x,), 4, False), Bus("unused", (), (unused,), 4, False)),
        (Bus("y", (3,), (x, x.bits(1, 2), graph.constant(7)), 4, False),),
    )
    made = pipeline(design, ECP5, latency=3)
    assert (made.latency, register_bits(made)) == (3, 3 * 4)
    delayed_outputs(design, made)
    assert pipeline(design, ECP5, clock_mhz=500.0).latency == 1
    with pytest.raises(UsageError, match=r"ACT0561(.|\n)*registers alone take"):
        pipeline(design, ECP5, clock_mhz=1000.0)


def test_wide_wires_are_pipelined() -> None:
    graph = Graph()
    x = graph.input("x", Range.unsigned(40))
    design = Design(
        "d", (Bus("x", (), (x,), 40, False),), (Bus("y", (), (x * x * x + 1,), 121, False),)
    )
    delayed_outputs(design, pipeline(design, ECP5, latency=4))


@needs_iverilog
@given(st.data())
@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
def test_the_written_files_mean_the_same(data: st.DataObject) -> None:
    design = data.draw(random_designs())
    timing = data.draw(st.sampled_from([ECP5, SLOW]))
    latency = 2 + memories_in_a_row(design) + data.draw(st.integers(0, 3))
    made = pipeline(design, timing, latency=latency)
    inputs = random_samples(design, 40, seed=5)
    found = simulate_design(write_design(made), made, inputs, simulator="icarus")
    expected = design.evaluate(inputs)
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in expected.items()}


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(("timing", "brams"), [("ecp5-6", 1), ("ice40-hx", 2)])
def test_memories_become_block_memories(timing: str, brams: int) -> None:
    graph = Graph()
    x, z = (graph.input(name, Range.unsigned(10)) for name in "xz")
    y = graph.lookup(x, [k * k * 7 % 253 for k in range(1024)], memory=True) + z
    buses = Bus("x", (), (x,), 10, False), Bus("z", (), (z,), 10, False)
    design = Design("d", buses, (Bus("y", (), (y,), 11, False),))
    made = pipeline(design, find_timing(timing), latency=3)
    found = synthesize("".join(write_design(made).values()), "d", timing.partition("-")[0])
    # x once, z twice, y once; what is read is in the memory's own register
    assert (found.brams, found.ffs) == (brams, 10 + 2 * 10 + 11)
    assert report(made, find_timing(timing)).register_bits == found.ffs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "ACT0563.*neither a clock nor a latency"),
        ({"latency": 0}, "ACT0563.*latency of 0 clocks"),
        ({"clock_mhz": 0.0}, "ACT0563.*clock of 0 MHz"),
        ({"clock_mhz": inf}, "ACT0563.*clock of inf MHz"),
        ({"clock_mhz": float("nan")}, "ACT0563.*clock of nan MHz"),
        ({"latency": 1}, r"ACT0562.*dot takes at least 2 clocks, not 1"),
        ({"latency": 2, "clock_mhz": 150.0}, r"ACT0562.*takes \d clocks at 150 MHz.*not 2"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        pipeline(dot_product(), ECP5, **options)  # type: ignore[arg-type]


def test_the_help_for_a_short_latency_is_right() -> None:
    with pytest.raises(UsageError) as caught:
        pipeline(dot_product(), ECP5, latency=2, clock_mhz=150.0)
    help_line = str(caught.value).partition("help: ")[2]
    clocks, mhz = (int(word) for word in help_line.split() if word.isdigit())
    assert pipeline(dot_product(), ECP5, latency=clocks, clock_mhz=150.0).latency == clocks
    assert pipeline(dot_product(), ECP5, latency=2, clock_mhz=float(mhz)).latency == 2
    with pytest.raises(UsageError, match="ACT0562"):
        pipeline(dot_product(), ECP5, latency=2, clock_mhz=mhz + 1.0)


def test_pipelined_designs_are_not_pipelined_again() -> None:
    made = pipeline(dot_product(), ECP5, latency=2)
    with pytest.raises(ValueError, match="has registers already"):
        pipeline(made, ECP5, latency=2)


def test_uneven_designs_have_no_report() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 3))
    y = x + x.register()
    design = Design("d", (Bus("x", (), (x,), 2, False),), (Bus("y", (), (y,), 3, False),))
    with pytest.raises(ValueError, match="differ in latency"):
        report(design, ECP5)


def test_unknown_timings_are_named() -> None:
    with pytest.raises(UsageError, match=r"ACT0560.*'spartan'(.|\n)*ecp5-6"):
        find_timing("spartan")


def test_long_latencies_are_reported() -> None:
    made = pipeline(dot_product(), ECP5, latency=1000)
    assert made.latency == 1000
    assert report(made, ECP5).clock_mhz > 0
