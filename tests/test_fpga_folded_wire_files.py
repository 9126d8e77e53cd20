"""Serial ports around cores that take words: what is written, and what tools say to it."""

from __future__ import annotations

import copy
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_cores import BUILD, PLL, odd
from board_cores import build as unrolled
from folded_wire import CORES, GroupSums, board, build, files, write
from installed import needs_iverilog, needs_verilator, needs_yosys

from actc.device import Device, interface_text, read_interface
from actc.errors import UsageError
from actc.targets.fpga.interfaces import (
    KINDS,
    STREAM_RESERVED,
    Kind,
    StreamCore,
    in_flight,
    interface_files,
    interface_top,
    memory_bytes,
)
from actc.targets.fpga.synthesis import synthesize
from actc.toolchain import run

# --- what tools say


@needs_verilator
@pytest.mark.parametrize("core", CORES.values(), ids=CORES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_verilator_has_nothing_to_say(kind: Kind, core: GroupSums, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, core))
    top = interface_top(kind, core.info)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@needs_iverilog
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["bits", "12 to 64", "one word"])
def test_icarus_reads_it_as_verilog_2005(kind: Kind, name: str, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, CORES[name]))
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", "out.vvp", *names]
    assert run(command, timeout=60, cwd=tmp_path).output == ""


# --- interface.json


@needs_iverilog
def test_axes_are_permuted_on_the_wire(tmp_path: Path) -> None:
    """The model has channels, rows, columns; the wire rows, columns, channels."""
    core = GroupSums(4, 7, 2, 12)  # sums of the two channels of 3 x 4 positions
    x_format = {"shape": [2, 3, 4], "axes": [1, 2, 0]}
    y_format = {"shape": [4, 3], "axes": [1, 0]}  # columns, rows in the model
    build(tmp_path, core, x=x_format, y=y_format)
    interface = read_interface(tmp_path)
    x = core.samples(5).reshape(5, 2, 3, 4)
    with Device(interface, board(tmp_path, interface)) as device:
        found = device.run({"x": x})["y"]
    assert np.array_equal(found, x.sum(axis=1).transpose(0, 2, 1))


def test_the_new_members_are_read_again_and_checked(tmp_path: Path) -> None:
    made = build(tmp_path, CORES["bits"], x={"shape": [13, 3], "axes": [1, 0]})
    path = tmp_path / "interface.json"
    document = json.loads(path.read_text())
    assert read_interface(tmp_path) == made
    assert (document["in_flight"], document["inputs"][0]["axes"]) == (16, [1, 0])
    assert "axes" not in document["outputs"][0]
    wrong: list[tuple[str, object]] = [
        *(("in_flight", value) for value in (0, -1, 33, 1 << 70, "2", 2.0, True, [2])),
        *(("axes", value) for value in ([0], [0, 0], [1, 2], [0, 1, 2], "01", [0.0, 1.0], {})),
    ]
    for key, value in wrong:
        changed = copy.deepcopy(document)
        (changed if key == "in_flight" else changed["inputs"][0])[key] = value
        path.write_text(json.dumps(changed))
        with pytest.raises(UsageError) as caught:
            read_interface(tmp_path)
        assert [d.code for d in caught.value.diagnostics] == ["ACT0590"], (key, value)


def test_boards_that_keep_one_request_have_the_old_file(tmp_path: Path) -> None:
    text = interface_text(unrolled(tmp_path, odd()))
    assert "in_flight" not in text
    assert "axes" not in text


# --- what is written


def test_requests_under_way() -> None:
    for core in CORES.values():
        size = -(-core.info.input_bits // 8) + 1
        for samples in (1, 2, 5):
            room, answers = memory_bytes(core.info, samples)
            count = in_flight(core.info, samples)
            assert samples <= count <= 16
            assert count * size <= room
            assert count == 16 or (count + 1) * size > room
            assert answers >= -(-core.info.output_bits // 8)
    mnist = StreamCore("mnist", 8, 784, 16, 10)
    assert (in_flight(mnist), memory_bytes(mnist)) == (2, (2048, 32))
    assert (in_flight(mnist, 3), memory_bytes(mnist, 3)) == (5, (4096, 32))
    for samples in (0, 17):
        with pytest.raises(ValueError, match="room for 1 to 16"):
            in_flight(mnist, samples)


def test_a_stream_has_registers_around_the_core() -> None:
    info = CORES["bits"].info
    top = interface_top("stream", info)
    assert list(interface_files("stream", info)) == [f"{top}.v", "actc_frame_slice.v"]
    with pytest.raises(ValueError, match="clock from outside"):
        interface_files("stream", info, clock=PLL)


@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_equal_cores_give_equal_files(kind: Kind) -> None:
    made = files(kind, CORES["20 to 33"])
    assert made == files(kind, CORES["20 to 33"])
    assert next(iter(made)) == f"group_sums_{kind}.v"
    assert all(text.isascii() and "\t" not in text for text in made.values())


def test_the_modules_that_are_reserved_are_those_that_are_written() -> None:
    made = {name for kind in KINDS for name in files(kind, CORES["bits"])}
    own = {f"group_sums{kind}.v" for kind in ("", "_uart", "_spi", "_stream")}
    assert made - own == {f"{name}.v" for name in STREAM_RESERVED}
    for name in STREAM_RESERVED:
        info = replace(CORES["bits"].info, name=name)
        with pytest.raises(ValueError, match="parts of the interface"):
            interface_files("spi", info, build_id=BUILD)


def test_cores_must_make_sense() -> None:
    with pytest.raises(UsageError) as caught:
        StreamCore("1x", 1, 1, 1, 1)
    assert caught.value.diagnostics[0].code == "ACT0531"
    for wrong in (
        (0, 1, 1, 1),
        (1, 0, 1, 1),
        (1, 1, 0, 1),
        (1, 1, 1, -1),
        (1 << 12, 1 << 12, 1, 1),
    ):
        with pytest.raises(ValueError, match="c has"):
            StreamCore("c", *wrong)


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(("family", "brams", "luts"), [("ice40", 6, 720), ("ecp5", 2, 580)])
def test_requests_and_answers_are_in_block_memories(family: str, brams: int, luts: int) -> None:
    """2,048 and 1,024 bytes, of 512 or 2,048 each; and few cells besides."""
    core = """\
module wire_only (
  input clk, input reset, input in_valid, output in_ready, input [7:0] in_data,
  output out_valid, input out_ready, output [7:0] out_data
);
  assign {out_valid, in_ready, out_data} = {in_valid, out_ready, in_data};
endmodule
"""
    info = StreamCore("wire_only", 8, 784, 8, 784)
    made = interface_files("uart", info, clock_hz=12e6, baud=1_000_000, build_id=BUILD)
    found = synthesize("\n".join([*made.values(), core]), "wire_only_uart", family)
    assert found.brams == brams
    assert found.luts <= luts
    assert found.ffs <= 480
