"""A project's network behind AXI4 streams, as a board's DMA has them: C++, scripts and the host.

The wrapper is compiled with g++ and run with the testbench that the vendor's tool runs, too.
"""

from __future__ import annotations

import json
import tempfile
from math import prod
from pathlib import Path

import numpy as np

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.base import Progress, Rung
from actc.targets.fpga.folded.samples import Samples, compared
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml import files
from actc.targets.hls4ml.assembly import Assembly
from actc.targets.hls4ml.document import LEAST_RESULT
from actc.targets.hls4ml.layers import HlsNetwork, Integers
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import RUN_SECONDS, compile_flags, run_compiler
from actc.targets.hls4ml.worker import PROJECT
from actc.targets.vendor import files as vendor
from actc.targets.vendor.boards import Board
from actc.targets.vendor.scripts import BOARD_SCRIPT, AxiDesign, board_tcl, ip_tcl
from actc.targets.vendor.words import WORD, Border, format_of, pack, together, unpack

HOST = "host"
PROGRAM = "axi/testbench"
"""In the build folder; apart from the C simulation, each with its own digest."""
SCRIPT = "build_axi.tcl"
_SAMPLES = 16
"""Random samples that come with the testbench."""
_MOST = 1000
"""Samples that go through the wrapper: all that it adds is the order of elements."""
_SETUP = (  # as hls4ml's own script has them
    "catch {config_array_partition -maximum_size 4096}",
    "config_compile -name_max_length 80",
)


def axi_design(network: HlsNetwork, options: Options) -> AxiDesign:
    """What the vendor's tools build for a board."""
    name = f"{network.name}_axi"
    return AxiDesign(
        name,
        "hls4ml",
        options.backend == "Vitis",
        options.device,
        options.clock_mhz,
        SCRIPT,
        (f"firmware/{network.name}.cpp", f"{name}.cpp"),
        ("firmware/weights",),
        "-std=c++0x",
        _SETUP,
    )


def borders(network: HlsNetwork) -> tuple[Border, Border]:
    """Where samples come, and where they go."""
    last = network.output
    return _border(network.shape, network.range), _border(last.shape, last.result)


def _border(shape: tuple[int, ...], range: Range) -> Border:
    return Border(prod(shape), range, max(range.width, LEAST_RESULT), "ACT0432")


def board_files(assembly: Assembly, board: Board) -> dict[str, bytes]:
    """Relative path -> content of what a board needs beside hls4ml's project."""
    network, options = assembly.network, assembly.options
    design = axi_design(network, options)
    texts = {**_sources(network, options, design.name), f"{PROJECT}/{SCRIPT}": ip_tcl(design)}
    texts[f"{PROJECT}/{BOARD_SCRIPT}"] = board_tcl(design, board)
    taken, given = borders(network)
    format = format_of(design.name, assembly.folded.interface(), taken, given)
    texts[f"{HOST}/format.json"] = json.dumps(format, indent=1) + "\n"
    texts[f"{HOST}/driver.py"] = vendor.filled("driver.py.in", NAME=design.name)
    found = {name: text.encode() for name, text in texts.items()}
    samples, expected = _samples(assembly)
    found[f"{PROJECT}/data/inputs.txt"] = pack(taken, samples)
    found[f"{PROJECT}/data/expected.txt"] = pack(given, expected)
    return found


def _sources(network: HlsNetwork, options: Options, name: str) -> dict[str, str]:
    taken, given = borders(network)
    values = {"NAME": name, "NETWORK": network.name, "GUARD": name.upper()}
    ports = {
        "IN": _numbers(taken, network.shape, options.io),
        "OUT": _numbers(given, network.output.shape, options.io),
        "IN_SIZE": str(taken.size),
        "OUT_SIZE": str(given.size),
    }
    kind = "streams" if options.io == "stream" else "arrays"
    words = {"TAKEN": str(taken.words), "GIVEN": str(given.words)}
    texts = {
        f"{name}.h": files.filled("axi.h.in", **values, **words),
        f"{name}.cpp": files.filled(f"axi_{kind}.cpp.in", **values, **ports),
        "actc_axi.h": files.library("axi/actc_axi.h"),
        vendor.WORD_HEADER: vendor.word_header(),
        "testbench.cpp": vendor.filled("testbench.cpp.in", NAME=name, GUARD=values["GUARD"]),
        f"simulation/{vendor.AXI_HEADER}": vendor.axi_header(),
    }
    return {f"{PROJECT}/{key}": text for key, text in texts.items()}


def _numbers(border: Border, shape: tuple[int, ...], io: str) -> str:
    """Size of a sample, bits of a slot, and elements that are moved at a time."""
    unit = shape[-1] if io == "stream" else border.size
    return f"{border.size}, {WORD // border.slots}, {together(unit, border.bits)}"


def _samples(assembly: Assembly) -> tuple[Integers, Integers]:
    """Random samples over all codes, and what the program makes of them."""
    program = assembly.folded.program
    stream = program.entries[0]
    shape = (_SAMPLES, *stream.shape)
    rng = np.random.default_rng(0)
    given = rng.integers(stream.range.low, stream.range.high, shape, endpoint=True)
    return given, program.evaluate([given])[0]


def axi_command(network: HlsNetwork, options: Options, program: str) -> tuple[str, ...]:
    """What makes the testbench of the wrapper, run in the folder of the project."""
    wrapper = ("-include", f"{network.name}_axi.cpp", "testbench.cpp")
    return (*compile_flags(network, options), "-Isimulation", *wrapper, "-o", program)


def compile_axi(network: HlsNetwork, options: Options, project: Path, program: Path) -> None:
    """Make the testbench of the wrapper.

    Raises:
        MissingTool, ToolFailed: of g++.
    """
    run_compiler(axi_command(network, options, str(program.resolve())), project)


def axi_rung(
    assembly: Assembly, project: Path, program: Path, samples: Samples, say: Progress
) -> Rung:
    """The words of the wrapper, against golden's.

    Args:
        project: folder of hls4ml's project.
        program: the compiled testbench.

    Raises:
        ToolFailed: the program failed; ACT0432, words are missing.
    """
    name = "AXI wrapper"
    say(f"verify: {name}")
    taken, given = borders(assembly.network)
    words = samples.words[:_MOST]
    try:  # with what comes with it, which it compares itself
        _run(project, program, "data/inputs.txt", "data/expected.txt")
    except ToolFailed as problem:
        (found,) = problem.diagnostics
        return Rung(name, "differs", found.notes[0] if found.notes else found.message, _SAMPLES)
    with tempfile.TemporaryDirectory(prefix="actc-hls4ml-") as work:
        inputs, results = (Path(work).resolve() / file for file in ("inputs.txt", "results.txt"))
        inputs.write_bytes(pack(taken, words))
        _run(project, program, str(inputs), "-", str(results))
        made = unpack(given, results.read_bytes(), len(words))
    how = f"the testbench that the vendor's tool runs, compiled with g++; {len(words)} samples"
    return compared(name, made, samples, how)


def _run(project: Path, program: Path, *arguments: str) -> None:
    toolchain.run([str(program.resolve()), *arguments], timeout=RUN_SECONDS, cwd=project)
