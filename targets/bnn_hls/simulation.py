"""Compiling the C++ with g++ and this package's headers, and running it on samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy.typing as npt

from actc import tool_results, toolchain
from actc.targets.bnn_hls import files
from actc.targets.bnn_hls.cpp import call, write_cpp
from actc.targets.bnn_hls.dataflow import dataflow
from actc.targets.bnn_hls.design import Design, border_of
from actc.targets.bnn_hls.layers import Integers, Port
from actc.targets.vendor import files as vendor
from actc.targets.vendor import words

COMPILER_HELP = "apt-get install g++"
SIMULATION = "simulation"
"""Folder of the headers that stand for the vendor's."""
TESTBENCH = "testbench.cpp"
_COMPILE_SECONDS = 600.0
_RUN_SECONDS = 1200.0
_DEADLOCK_SECONDS = 120.0
_MEMORY = 4 << 30
_FLAGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")


def sources(design: Design) -> dict[str, str]:
    """Relative path -> text of all C++: the network, its library, the testbench, the headers."""
    name = design.network.name
    bench = vendor.filled("testbench.cpp.in", NAME=name, GUARD=name.upper())
    headers = {f"{SIMULATION}/{key}": text for key, text in files.simulation_headers().items()}
    return {**write_cpp(design), **files.library(), TESTBENCH: bench, **headers}


def threaded(design: Design) -> str:
    """A program that runs the processes as threads, with queues of their depths."""
    flow, name = dataflow(design.network, design.choice), design.network.name
    queues = "".join(
        f'  hls::stream<ap_uint<{q.bits}> > {q.name}("{q.name}");\n'
        f"  {q.name}.set_depth({q.depth});\n"
        for q in flow.queues
    )
    threads = "".join(
        "  threads.push_back(std::thread([&] {\n"
        f"    for (int i = 0; i < samples; i++) {call(design, process)}\n"
        "  }));\n"
        for process in flow.processes
    )
    return files.filled(
        "threads.cpp.in", NAME=name, GUARD=name.upper(), QUEUES=queues, THREADS=threads
    )


def compile_command(name: str, program: str) -> tuple[str, ...]:
    """The command that makes the testbench, run in the folder of the C++."""
    # one translation unit: the library is compiled once
    whole = ("-include", f"{name}.cpp", TESTBENCH)
    return ("g++", "-O1", *_FLAGS, f"-I{SIMULATION}", "-I.", *whole, "-o", program)


def compile_testbench(folder: Path, name: str, program: Path, options: Sequence[str] = ()) -> None:
    """Make the testbench of a network.

    Args:
        folder: of the C++.
        program: what is made.
        options: more for the compiler.

    Raises:
        MissingTool: there is no g++. ToolFailed: it failed, or took too long.
    """
    _compile((*compile_command(name, str(program.resolve())), *options), folder)


def compile_threaded(folder: Path, source: Path, program: Path) -> None:
    """Make the program of :func:`threaded`."""
    paths = [str(path.resolve()) for path in (source, program)]
    _compile(
        ("g++", "-O1", *_FLAGS, "-pthread", f"-I{SIMULATION}", "-I.", paths[0], "-o", paths[1]),
        folder,
    )


def _compile(command: tuple[str, ...], folder: Path) -> None:
    compiler = toolchain.find("g++", COMPILER_HELP)
    argv = [str(compiler), *command[1:]]
    toolchain.run(argv, timeout=_COMPILE_SECONDS, memory=_MEMORY, cwd=folder)


def run_testbench(design: Design, program: Path, samples: Integers, work: Path) -> Integers:
    """What the network gives for samples.

    Args:
        program: the testbench.
        samples: codes, int64 [samples, rows, columns, channels].
        work: folder for the files.

    Returns:
        codes, int64 [samples, rows, columns, channels].

    Raises:
        ToolFailed: the program failed; ACT0423, words are missing.
    """
    (work / "inputs.txt").write_bytes(pack(design.network.entry, samples))
    # absolute, as the program may lie anywhere
    argv = [str(program.resolve()), "inputs.txt", "-", "results.txt"]
    toolchain.run(argv, timeout=_RUN_SECONDS, memory=_MEMORY, cwd=work)
    found = tool_results.content(work / "results.txt", program.name)
    return unpack(design.network.output, found, len(samples))


def run_threaded(
    design: Design,
    program: Path,
    samples: Integers,
    work: Path,
    seconds: float = _DEADLOCK_SECONDS,
) -> Integers:
    """The same of the threaded program.

    Args:
        seconds: after which it is held to be in a deadlock: a ToolFailed, too.
    """
    (work / "inputs.txt").write_bytes(pack(design.network.entry, samples))
    argv = [str(program.resolve()), "inputs.txt", "results.txt"]
    toolchain.run(argv, timeout=seconds, cwd=work)
    found = tool_results.content(work / "results.txt", program.name)
    return unpack(design.network.output, found, len(samples))


def pack(port: Port, codes: npt.ArrayLike) -> bytes:
    """Words of the border, hexadecimal, one in each line.

    Args:
        codes: integers [samples, ...], in the order of the stream.

    Raises:
        ToolFailed: ACT0423, an integer is out of range.
    """
    return words.pack(border_of(port), codes)


def unpack(port: Port, text: bytes, samples: int) -> Integers:
    """Codes of words: int64 [samples, rows, columns, channels].

    Raises:
        ToolFailed: ACT0423, words are missing.
    """
    found = words.unpack(border_of(port), text, samples)
    shaped: Integers = found.reshape(samples, port.rows, port.columns, port.channels)
    return shaped


def write_sources(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files into a folder."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
