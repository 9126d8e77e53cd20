"""The client's numbers are golden's, and interface.json is checked member by member."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from board_cores import build, odd
from golden_models import Golden, outputs_of
from hypothesis import given
from hypothesis import strategies as st
from network_boards import MODELS, described, samples, shaped, softmax, unroll

from actc.device import bits, interface_of, interface_text, read_interface, write_interface
from actc.device.frames import Decoder, Frame, checksum, encode, longest
from actc.device.interface import InputFormat, OutputFormat
from actc.errors import UsageError
from actc.numerics import QuantizationParameters


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_host_computes_what_golden_computes(make: Callable[[], ir.Model], tmp_path: Path) -> None:
    """Through bits and back, as the wire has them, with the design evaluated between."""
    golden = make()
    network = unroll(golden)
    write_interface(tmp_path, described(network))
    interface = read_interface(tmp_path)
    feeds = samples(golden, 200)
    codes = {item.bus: item.codes(feeds[item.input]) for item in interface.inputs}
    for name, wanted in network.prologue(feeds).items():
        assert np.array_equal(codes[name], wanted.reshape(len(wanted), -1))
    packed = bits.pack([(codes[item.bus], item.width) for item in interface.inputs])
    layout = [(item.elements, item.width, item.signed) for item in interface.inputs]
    entered = bits.unpack(packed, layout)
    shapes = {bus.name: bus.shape for bus in network.design.inputs}
    found = network.design.evaluate(
        {
            item.bus: part.reshape(-1, *shapes[item.bus])
            for item, part in zip(interface.inputs, entered, strict=True)
        }
    )
    wires = interface.wires
    rows = bits.pack([(found[w.bus].reshape(200, -1).astype(np.int64), w.width) for w in wires])
    given_back = bits.unpack(rows, [(w.elements, w.width, w.signed) for w in wires])
    of_bus = dict(zip(interface.output_buses, given_back, strict=True))
    expected = outputs_of(golden, feeds)
    assert [item.output for item in interface.outputs] == list(expected)
    for item in interface.outputs:
        values = item.values(of_bus[item.bus])
        assert values.dtype == expected[item.output].dtype
        assert values.tobytes() == expected[item.output].tobytes(), item.output


@pytest.mark.parametrize("low", [0, 3])
@pytest.mark.parametrize(("width", "zero"), [(2, 1), (8, 0), (8, 117), (8, 255), (16, 30000)])
def test_codes_are_those_of_quantize_linear(width: int, zero: int, low: int) -> None:
    high = (1 << width) - 1
    if low > high:
        return
    reference = QuantizationParameters(0.037, zero, min(low, high), high, width)
    scale = reference.scale
    item = InputFormat(
        "x", "x", "float32", (), width, False, min(low, high), high, "quantize", scale, zero
    )
    generator = np.random.default_rng(0)
    halves = (np.arange(-300, 300) + 0.5) * np.float32(scale)
    x = np.concatenate(
        [halves, generator.standard_normal(2000) * 5, [0.0, -0.0, 3.4e38, -3.4e38, 1e-45]]
    ).astype(np.float32)
    assert np.array_equal(item.codes(x)[:, 0], reference.quantize(x))


def test_indices_and_flags() -> None:
    index = InputFormat("i", "i", "int64", (), 3, False, 0, 5, "index")
    assert index.codes(np.array([-1, 0, 4, 5, 99])).ravel().tolist() == [5, 0, 4, 5, 5]
    flag = InputFormat("f", "f", "bool", (), 1, False, 0, 1, "flags")
    assert flag.codes(np.array([True, False])).ravel().tolist() == [1, 0]


def log_softmax_tables() -> dict[str, tuple[int, ...]]:
    steps = np.arange(256)
    tables = {
        "table": np.maximum(1, 1 << np.maximum(20 - steps, 0)),
        "levels": steps * 512,
        "octaves": np.arange(31) * 700,
        "logarithms": np.round(np.log2(1 + np.arange(257) / 256) * 700).astype(int),
    }
    return {name: tuple(table.tolist()) for name, table in tables.items()}


LOG_SOFTMAX = OutputFormat(
    "y", "y", "float32", (6,), 8, False, "log_softmax", (0.003,), tables=log_softmax_tables()
)


def test_log_softmax() -> None:
    g = Golden()
    x = g.input("x", 6, dtype=np.uint8)
    tables = [g.const(np.array(table, np.int32)) for table in log_softmax_tables().values()]
    acc = g.actc("IntLogSoftmax", x, *tables, axis=1)
    golden = shaped(g.model(g.dequantize(acc, 0.003, np.int32(0))))
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 256, (500, 6))
    codes[:200] //= 16
    codes[:10] = 7
    (expected,) = outputs_of(golden, {"x": codes.astype(np.uint8)}).values()
    found = LOG_SOFTMAX.values(codes)
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


# --- bits and frames


@given(st.data())
def test_bits_are_packed_and_unpacked(data: st.DataObject) -> None:
    layout = data.draw(
        st.lists(
            st.tuples(st.integers(1, 4), st.integers(1, 62), st.booleans()), min_size=1, max_size=4
        )
    )
    count = data.draw(st.integers(0, 3))
    columns = []
    for elements, width, signed in layout:
        low = -(1 << width - 1) if signed else 0
        numbers = st.integers(low, low + (1 << width) - 1)
        row = st.lists(numbers, min_size=elements, max_size=elements)
        rows = data.draw(st.lists(row, min_size=count, max_size=count))
        columns.append(np.array(rows, np.int64).reshape(count, elements))
    packed = bits.pack([(c, width) for c, (_, width, _) in zip(columns, layout, strict=True)])
    total = sum(elements * width for elements, width, _ in layout)
    assert [len(row) for row in packed] == [-(-total // 8)] * count
    for column, found in zip(columns, bits.unpack(packed, layout), strict=True):
        assert np.array_equal(column, found)


def test_the_first_element_is_lowest() -> None:
    columns = [(np.array([[1, 2]]), 3), (np.array([[-1]]), 2)]
    assert bits.pack(columns) == [bytes([0b11_010_001])]


def test_the_check_is_that_of_the_standard() -> None:
    """The check value of CRC-16/X-25 in the catalogues of CRCs."""
    assert checksum(b"123456789") == 0x906E


@given(st.integers(0, 3), st.integers(0, 63), st.binary(max_size=40), st.integers(1, 9))
def test_frames_are_found(kind: int, sequence: int, payload: bytes, size: int) -> None:
    frame = Frame(kind, sequence, payload)
    wire = encode(frame)
    assert wire[1:-1].count(0x7E) == 0
    assert len(wire) <= longest(len(payload))
    decoder, found = Decoder(), []
    stream = b"noise" + wire + wire + b"\x7e\x7e" + wire
    for start in range(0, len(stream), size):
        found += decoder.feed(stream[start : start + size])
    assert found == [frame] * 3
    assert decoder.broken == 1


@given(st.binary(min_size=1, max_size=12), st.integers(min_value=0), st.integers(0, 7))
def test_a_wrong_bit_is_found(payload: bytes, place: int, bit: int) -> None:
    wire = bytearray(encode(Frame(0, 5, payload)))
    wire[1 + place % (len(wire) - 2)] ^= 1 << bit
    assert Frame(0, 5, payload) not in Decoder().feed(bytes(wire))


@given(st.binary(max_size=60))
def test_garbage_gives_no_error(garbage: bytes) -> None:
    wire = encode(Frame(1, 2, b"x"))
    found = Decoder().feed(garbage + b"\x7e" + wire)
    assert found[-1] == Frame(1, 2, b"x")


# --- interface.json


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made = described(unroll(softmax()))
    output = replace(LOG_SOFTMAX, bus=made.output_buses[0])
    found: dict[str, Any] = json.loads(interface_text(replace(made, outputs=(output,))))
    return found


Path_ = tuple[str | int, ...]
WRONG: list[tuple[Path_, Any]] = [
    (("format",), 2),
    (("name",), 3),
    (("kind",), "telegraph"),
    (("build",), "0123"),
    (("build",), "0123456789ABCDEF"),
    (("latency",), -1),
    (("latency",), 1.5),
    (("latency",), True),
    (("inputs",), []),
    (("inputs",), {}),
    (("inputs",), [3]),
    (("outputs",), []),
    (("output_buses",), []),
    (("output_buses",), ["other"]),
    (("clock_hz",), None),
    (("clock_hz",), "fast"),
    (("baud",), 0),
    (("simulation",), "sim"),
    (("simulation",), {"top": "t", "files": ["../x.v"], "clock_module": ""}),
    (("simulation",), {"top": "t", "files": ["/etc/passwd"], "clock_module": ""}),
    (("simulation",), {"top": "t;", "files": [], "clock_module": ""}),
    (("simulation",), {"top": "t", "files": [], "clock_module": "a b"}),
    (("inputs", 0, "shape"), [0]),
    (("inputs", 0, "shape"), [1 << 30]),
    (("inputs", 0, "shape"), ["n"]),
    (("inputs", 0, "width"), 0),
    (("inputs", 0, "width"), 63),
    (("inputs", 0, "signed"), 1),
    (("inputs", 0, "high"), 16),
    (("inputs", 0, "low"), -1),
    (("inputs", 0, "low"), 1 << 70),
    (("inputs", 0, "scale"), 0.0),
    (("inputs", 0, "scale"), -1),
    (("inputs", 0, "scale"), 1e39),
    (("inputs", 0, "scale"), float("nan")),
    (("inputs", 0, "scale"), None),
    (("inputs", 0, "dtype"), "object"),
    (("inputs", 0, "kind"), "codes"),
    (("inputs", 0, "kind"), "magic"),
    (("outputs", 0, "kind"), "magic"),
    (("outputs", 0, "kind"), "index"),
    (("outputs", 0, "kind"), "scores"),
    (("outputs", 0, "dtype"), "float64"),
    (("outputs", 0, "scale"), [1.0, 2.0]),
    (("outputs", 0, "scale"), []),
    (("outputs", 0, "offset"), [1, 2]),
    (("outputs", 0, "axis"), 5),
    (("outputs", 0, "axis"), 0),
    (("outputs", 0, "table"), [1, 2]),
    (("outputs", 0, "width"), 9),
    (("outputs", 0, "bus"), "other"),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda x: str(x)[:40])
def test_a_damaged_interface(
    path: Path_, value: Any, document: dict[str, Any], tmp_path: Path
) -> None:
    changed = copy.deepcopy(document)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    assert place.get(path[-1], object()) != value
    place[path[-1]] = value
    (tmp_path / "interface.json").write_text(json.dumps(changed))
    with pytest.raises(UsageError) as caught:
        read_interface(tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["ACT0590"]
    assert "damaged" in caught.value.diagnostics[0].message


def test_every_member_is_needed(document: dict[str, Any], tmp_path: Path) -> None:
    """Or has a default that the document does not depend on."""
    optional = {"simulation", "clock_hz", "baud", "scale", "zero_point", "axis", "offset"}
    optional |= {"multiplier"}
    places = [document, document["inputs"][0], document["outputs"][0]]
    for number, place in enumerate(places):
        for name in set(place) - optional:
            changed = copy.deepcopy(document)
            target = [changed, changed["inputs"][0], changed["outputs"][0]][number]
            del target[name]
            (tmp_path / "interface.json").write_text(json.dumps(changed))
            with pytest.raises(UsageError, match="ACT0590"):
                read_interface(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", "3", '"x"', "[" * 100_000, "\x00"])
def test_what_is_no_interface(content: str, tmp_path: Path) -> None:
    (tmp_path / "interface.json").write_text(content)
    with pytest.raises(UsageError) as caught:
        read_interface(tmp_path)
    assert caught.value.diagnostics[0].code == "ACT0590"


def test_no_interface(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="no such file") as caught:
            read_interface(directory)
        assert caught.value.diagnostics[0].code == "ACT0590"
        assert "actc compile" in caught.value.diagnostics[0].help
    (tmp_path / "interface.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="is not JSON"):
        read_interface(tmp_path)


def test_an_interface_is_written_as_it_is_read(tmp_path: Path) -> None:
    of_softmax = described(unroll(softmax()))
    output = replace(LOG_SOFTMAX, bus=of_softmax.output_buses[0])
    for made in (of_softmax, replace(of_softmax, outputs=(output,))):
        write_interface(tmp_path, made)
        assert asdict(read_interface(tmp_path)) == asdict(made)
        assert interface_text(made) == (tmp_path / "interface.json").read_text()


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    made = build(tmp_path, odd())
    with pytest.raises(ValueError, match="hexadecimal"):
        interface_text(replace(made, build="x"))
    with pytest.raises(ValueError, match="'inputs' of the description is no list"):
        interface_of(
            {"outputs": []}, name="n", kind="spi", build="0" * 16, latency=0, output_buses=[]
        )


def test_outputs_of_one_bus_have_its_bits(tmp_path: Path) -> None:
    made = build(tmp_path, odd())
    one, two, _ = made.outputs
    outputs = (one, replace(two, bus=one.bus), made.outputs[2])
    with pytest.raises(ValueError, match="one bus"):
        interface_text(replace(made, outputs=outputs, output_buses=("c", "e")))
