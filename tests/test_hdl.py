"""The hardware description: exact ranges, graphs and their evaluation."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.errors import InternalError
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate
from actc.targets.fpga.hdl.names import KEYWORDS, Names, identifier

# -- ranges ------------------------------------------------------------------------------

small = st.integers(-9, 9)
ranges = st.builds(lambda a, b: Range(min(a, b), max(a, b)), small, small)


@given(ranges)
def test_width_holds_all_members_and_no_less(range_: Range) -> None:
    def holds(width: int) -> bool:
        if range_.low < 0:
            return -(1 << (width - 1)) <= range_.low and range_.high < 1 << (width - 1)
        return range_.high < 1 << width

    assert holds(range_.width)
    assert range_.width == 1 or not holds(range_.width - 1)


def members(range_: Range) -> range:
    return range(range_.low, range_.high + 1)


@given(ranges, st.integers(0, 4), st.integers(1, 5), st.booleans())
def test_bits_are_exact(range_: Range, low: int, count: int, signed: bool) -> None:
    def value(number: int) -> int:
        field = (number >> low) & ((1 << count) - 1)
        return field - (1 << count) if signed and field >> (count - 1) else field

    reached = [value(number) for number in members(range_)]
    assert range_.bits(low, count, signed) == Range(min(reached), max(reached))


# Every operator on fresh inputs: the range must be reached at both ends, and the
# evaluator must agree with Python integers.
BINARY = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "less": (lambda a, b: a < b, lambda a, b: int(a < b)),
    "at least": (lambda a, b: a >= b, lambda a, b: int(a >= b)),
    "greater": (lambda a, b: a > b, lambda a, b: int(a > b)),
    "at most": (lambda a, b: a <= b, lambda a, b: int(a <= b)),
    "equal": (lambda a, b: a.equals(b), lambda a, b: int(a == b)),
    "unequal": (lambda a, b: a.differs(b), lambda a, b: int(a != b)),
}
UNARY = {
    "negate": (lambda a: -a, lambda a: -a),
    "invert": (lambda a: ~a, lambda a: ~a),
    "left": (lambda a: a << 3, lambda a: a << 3),
    "right": (lambda a: a >> 2, lambda a: a >> 2),
    "times 8": (lambda a: a * 8, lambda a: a * 8),
    "times -4": (lambda a: -4 * a, lambda a: -4 * a),
    "from 7": (lambda a: 7 - a, lambda a: 7 - a),
    "saturate": (lambda a: a.saturate(Range(-3, 5)), lambda a: min(max(a, -3), 5)),
    "bits": (lambda a: a.bits(1, 3), lambda a: (a >> 1) & 7),
    "far bits": (lambda a: a.bits(3, 6), lambda a: (a >> 3) & 63),
    "signed bits": (lambda a: a.bits(0, 3, signed=True), lambda a: (a & 7 ^ 4) - 4),
}


@pytest.mark.parametrize("name", BINARY)
@given(a=ranges, b=ranges)
@settings(max_examples=40, deadline=None)
def test_operators_of_two(name: str, a: Range, b: Range) -> None:
    build, mean = BINARY[name]
    graph = Graph()
    wire = build(graph.input("a", a), graph.input("b", b))
    pairs = list(itertools.product(members(a), members(b)))
    expected = [mean(*pair) for pair in pairs]
    assert wire.range == Range(min(expected), max(expected))
    module = Module("m", tuple(graph.wires[:2]), (Output("y", wire, 12),))
    first, second = np.array(pairs).T
    assert evaluate(module, {"a": first, "b": second})["y"].tolist() == expected


@pytest.mark.parametrize("name", UNARY)
@given(a=ranges)
@settings(max_examples=40, deadline=None)
def test_operators_of_one(name: str, a: Range) -> None:
    build, mean = UNARY[name]
    graph = Graph()
    wire = build(graph.input("a", a))
    expected = [mean(value) for value in members(a)]
    assert wire.range == Range(min(expected), max(expected))
    module = Module("m", (graph.wires[0],), (Output("y", wire, 12),))
    assert evaluate(module, {"a": list(members(a))})["y"].tolist() == expected


def test_select_lookup_concatenate_and_logic() -> None:
    graph = Graph()
    index, flag = graph.input("k", Range(1, 3)), graph.input("f", Range(0, 1))
    # entries and options that cannot be reached do not count
    picked = graph.select(index, [99, 5, flag, -7])
    entry = graph.lookup(index, [99, 3, 4, 8, 77])
    word = graph.concatenate((flag, 2), (index, 2))
    bound = index.reaches(2)
    logic = (flag & bound) | (flag ^ bound)
    assert [w.range for w in (picked, entry, word, bound, logic)] == [
        Range(-7, 5), Range(3, 8), Range(1, 7), Range(0, 1), Range(0, 1),
    ]  # fmt: skip
    outputs = tuple(
        Output(f"y{n}", w, 8) for n, w in enumerate((picked, entry, word, bound, logic))
    )
    k, f = np.array(list(itertools.product([1, 2, 3], [0, 1]))).T
    found = evaluate(Module("m", (index, flag), outputs), {"k": k, "f": f})
    assert found["y0"].tolist() == [5, 5, 0, 1, -7, -7]
    assert found["y1"].tolist() == [3, 3, 4, 4, 8, 8]
    assert found["y2"].tolist() == [1, 5, 2, 6, 3, 7]
    assert found["y3"].tolist() == [0, 0, 1, 1, 1, 1]
    assert found["y4"].tolist() == [0, 1, 1, 1, 1, 1]


@given(st.integers(1, 40), st.integers(0, 20), st.integers(0, 20))
def test_reaches(bound: int, low: int, more: int) -> None:
    graph = Graph()
    wire = graph.input("a", Range(low, low + more)).reaches(bound)
    expected = [int(a >= bound) for a in range(low, low + more + 1)]
    assert wire.range == Range(min(expected), max(expected))


# -- graphs ------------------------------------------------------------------------------


def test_what_is_computed_twice_is_one_wire() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 255))
    assert (x + 3) is (x + 3)
    assert (x * 4) is (x << 2)
    assert x.bits(0, 8) is x
    assert (x + 0) is x
    assert (x - 0) is x
    assert graph.select(x.bits(0, 1), [x, x]) is x
    assert (x >> 8) is graph.constant(0)
    assert x.saturate(Range(-1, 300)) is x
    assert x.narrow(Range(0, 255), "as declared") is x
    assert (x < 256).value == 1
    bit = x.bits(0, 1)
    one, zero = graph.constant(1), graph.constant(0)
    assert (bit & 1) is (one & bit) is (bit | 0) is (zero | bit) is (bit ^ 0) is (zero ^ bit) is bit
    assert graph.select(bit, [0, 1]) is bit
    assert graph.select(bit, [1, 0]) is (bit ^ 1)
    assert (3 - graph.constant(1)).value == 2


def test_wires_cannot_be_mixed_or_misused() -> None:
    x, other = Graph().input("x", Range(0, 3)), Graph().input("x", Range(0, 3))
    graph = x.graph
    with pytest.raises(ValueError, match="different graphs"):
        x + other
    with pytest.raises(TypeError, match="no value while the hardware is built"):
        bool(x < 2)
    with pytest.raises(ValueError, match=r"0\.\.3 selects from 3"):
        graph.select(x, [1, 2, 3])
    with pytest.raises(ValueError, match="table of 3 entries"):
        graph.lookup(x, [1, 2, 3])
    with pytest.raises(ValueError, match="1 bits cannot hold"):
        graph.concatenate((x, 1), (x, 2))
    with pytest.raises(ValueError, match="single bits"):
        x & 1
    with pytest.raises(ValueError, match="no bits"):
        x.bits(0, 0)
    with pytest.raises(ValueError, match="shift by -1"):
        x << -1
    with pytest.raises(ValueError, match="unsigned"):
        (x - 1).reaches(0)
    with pytest.raises(ValueError, match="no integer"):
        x.narrow(Range(5, 6), "a claim that cannot hold")


def test_modules_check_their_ports() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 3))
    with pytest.raises(ValueError, match="has outputs"):
        Module("m", (x,), ())
    with pytest.raises(ValueError, match="same name"):
        Module("m", (x,), (Output("x", x, 2),))
    with pytest.raises(ValueError, match=r"y has 1 bits, not 0\.\.3"):
        Module("m", (x,), (Output("y", x, 1),))
    with pytest.raises(ValueError, match="no port"):
        Module("m", (), (Output("y", x, 2),))
    with pytest.raises(ValueError, match="different graphs"):
        Module("m", (Graph().input("x", Range(0, 1)),), (Output("y", x, 2),))
    with pytest.raises(ValueError, match="only inputs"):
        Module("m", (x + 1,), (Output("y", x, 2),))
    # an output that is wide enough for the values, but not for their sign
    with pytest.raises(ValueError, match="has 2 bits"):
        Module("m", (x,), (Output("y", x - 1, 2),))


# -- evaluation --------------------------------------------------------------------------


def test_a_wrong_claim_is_found() -> None:
    graph = Graph()
    x = graph.input("x", Range(-8, 7))
    square = x * x
    assert square.range == Range(-56, 64)  # intervals do not see that both are the same
    right = square.narrow(Range(0, 64), "a square")
    assert evaluate(Module("m", (x,), (Output("y", right, 7),)), {"x": [-8, 7]})["y"][0] == 64
    wrong = square.narrow(Range(0, 63), "a square of -7..7")
    module = Module("m", (x,), (Output("y", wrong, 7),))
    assert evaluate(module, {"x": np.arange(-7, 8)})["y"].max() == 49
    with pytest.raises(InternalError, match=r"ACT0520.*64\.\.64, not 0\.\.63(.|\n)*of -7\.\.7"):
        evaluate(module, {"x": [-8]})


def test_wrong_inputs_are_refused() -> None:
    graph = Graph()
    x, y = graph.input("x", Range(0, 3)), graph.input("y", Range(0, 3))
    module = Module("m", (x, y), (Output("z", x + y, 3),))
    for wrong, words in (
        ({"x": [1]}, "has the inputs"),
        ({"x": [1], "y": [4]}, r"y takes 0\.\.3"),
        ({"x": [1], "y": [0.5]}, "integers"),
        ({"x": [1], "y": [1, 2]}, "same shape"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(module, wrong)


def test_wide_wires_are_exact() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, (1 << 40) - 1))
    module = Module("m", (x,), (Output("y", x * x * x, 120),))
    largest = (1 << 40) - 1
    assert evaluate(module, {"x": [largest, 3]})["y"].tolist() == [largest**3, 27]


def test_constant_outputs_have_the_shape_of_the_inputs() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 3))
    module = Module("m", (x,), (Output("y", graph.constant(-2), 3),))
    assert evaluate(module, {"x": np.zeros((2, 3), int)})["y"].tolist() == [[-2] * 3] * 2
    assert module.latency == 0


def test_registers_delay_along_the_first_axis() -> None:
    graph = Graph()
    x = graph.input("x", Range(3, 9))
    once = x.register()
    module = Module("m", (x,), (Output("y", once.register(5), 4),))
    assert evaluate(module, {"x": [6, 7, 8, 9]})["y"].tolist() == [5, 3, 6, 7]
    assert (module.latency, module.clocked) == (2, True)
    unequal = Module("m", (x,), (Output("y", once + x, 5),))
    assert unequal.latency is None
    assert Module("m", (x,), (Output("y", x, 4), Output("z", once, 4))).latency is None


def test_a_register_of_a_constant_begins_with_its_own_value() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 9))
    late = graph.constant(7).register(2)
    module = Module("m", (x,), (Output("y", late, 3), Output("z", late.register(1) + x, 5)))
    found = evaluate(module, {"x": [0, 0, 0, 5]})
    assert found["y"].tolist() == [2, 7, 7, 7]
    assert found["z"].tolist() == [1, 2, 7, 12]
    assert evaluate(module, {"x": np.zeros((2, 3), int)})["y"].tolist() == [[2] * 3, [7] * 3]


def test_registers_need_an_axis_for_their_time() -> None:
    x = Graph().input("x", Range(0, 9))
    module = Module("m", (x,), (Output("y", x.register(), 4),))
    with pytest.raises(ValueError, match="first axis of its inputs is time"):
        evaluate(module, {"x": 3})


# -- identifiers -------------------------------------------------------------------------


@given(st.lists(st.text(max_size=8) | st.sampled_from(["reg", "x", "X", "x_2", "é"]), max_size=9))
def test_names_are_legal_and_distinct(hints: list[str]) -> None:
    names = Names()
    found = [names.new(hint) for hint in hints]
    assert len({name.lower() for name in found}) == len(found)
    for name in found:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name)
        assert name.lower() not in KEYWORDS


def test_names_that_need_care() -> None:
    assert identifier("always") == "always_n"
    assert identifier("/model/act.1/Gelu") == "model_act_1_Gelu"
    assert identifier("9x") == "n9x"
    assert identifier("") == "n"
    assert identifier("x; endmodule //") == "x_endmodule"
    assert len(identifier("a" * 1000)) == 64
