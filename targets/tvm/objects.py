"""Object files of a network: machine code of the kernels, and C that calls them in order.

For CPUs without an operating system, and for programs that want neither Python nor TVM's
runtime. One call takes one sample; memory is one static arena.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from actc import toolchain
from actc.targets.executed import execute
from actc.targets.tvm import microcontroller
from actc.targets.tvm.emulator import COMPILE_SECONDS, RUN_SECONDS, emulated_cpu
from actc.targets.tvm.files import template
from actc.targets.tvm.host import BARE, Cpu, host_arch
from actc.targets.tvm.linker import Tools, tools_of
from actc.targets.tvm.runtime import SIGNATURE, Runner, prepared

if TYPE_CHECKING:  # it imports TVM
    from actc.targets.tvm.program import Program

Array = np.ndarray[Any, Any]

KERNELS = "kernels.o"
SOURCES = ("network.c", "main.c")
_CODES = {"int": 0, "uint": 1, "float": 2, "bfloat": 4, "bool": 6}
"""DLPack's numbers of the kinds of types."""
_PER_LINE = 24


def one_sample(model: ir.Model) -> ir.Model:
    """A copy of a model that takes one sample at a time where its batch is free."""
    copy = ir.from_proto(ir.to_proto(model))
    for value in copy.graph.inputs:
        if value.shape is not None and len(value.shape) and not isinstance(value.shape[0], int):
            value.shape = ir.Shape([1, *list(value.shape)[1:]])
    return copy


def sources(program: Program, cpu: Cpu) -> dict[str, str]:
    """network.c, network.h and the example main.c."""
    results = range(len(program.results))
    fields = {
        "SYMBOL": program.symbol,
        "SCRATCH": str(max(program.scratch, 1)),
        "RESULT_COUNT": str(len(program.results)),
        "RESULTS": "".join(
            f"static ALIGNED uint8_t result_{i}[{max(program.results[i].size, 1)}];\n"
            for i in results
        ),
        "RESULT_NAMES": ", ".join(f"result_{i}" for i in results),
        "CONSTANTS": _bytes(program.constants),
        "KINDS": _kinds(program),
        "COPIES": "".join(
            f"  copy(outputs[{i}], result_{number}, {program.results[number].size});\n"
            for i, number in enumerate(program.outputs)
        ),
    }
    inputs = [operand.size for operand in program.inputs]
    outputs = [program.results[number].size for number in program.outputs]
    header = {
        "SYMBOL": program.symbol,
        "COMPILE": " ".join(_compile_command(tools_of(cpu.arch).cc, "program", _machine(cpu))),
        "INPUT_COUNT": str(len(inputs)),
        "OUTPUT_COUNT": str(len(outputs)),
        "INPUT_BYTES": ", ".join(map(str, inputs)),
        "OUTPUT_BYTES": ", ".join(map(str, outputs)),
        "LARGEST": str(max(inputs + outputs)),
    }
    return {
        "network.c": _filled("network.c.in", fields)
        + ("" if _rounds(cpu) else template("math.c.in")),
        "network.h": _filled("network.h.in", header),
        "main.c": template("main.c.in"),
    }


def footprint(program: Program) -> dict[str, int]:
    """Bytes of constants and of memory for values."""
    results = sum(operand.size for operand in program.results)
    return {"constants": program.constants.nbytes, "workspace": program.scratch + results}


def _filled(name: str, fields: Mapping[str, str]) -> str:
    text = template(name)
    for field, value in fields.items():
        text = text.replace(f"@{field}@", value)
    return text


def _bytes(array: Array) -> str:
    """Bytes as C."""
    values = [str(byte) for byte in array.tobytes()]
    rows = range(0, len(values), _PER_LINE)
    return ",\n".join(",".join(values[start : start + _PER_LINE]) for start in rows)


def _kinds(program: Program) -> str:
    """Types and shapes of all operands."""
    block = (str(program.constants.dtype), program.constants.shape)
    operands = [(o.dtype, o.shape) for o in (*program.inputs, *program.results)]
    operands.insert(len(program.inputs), block)
    lines, rows = [], []
    for number, (dtype, shape) in enumerate(operands):
        kind = dtype.rstrip("0123456789")
        bits = 8 if kind == "bool" else int(dtype[len(kind) :])
        extents = ", ".join(map(str, shape)) or "0"
        lines.append(f"static const int64_t shape_{number}[] = {{{extents}}};")
        rows.append(f"    {{shape_{number}, {len(shape)}, {_CODES[kind]}, {bits}}},")
    return "\n".join([*lines, "static const Kind kinds[] = {", *rows, "};", ""])


def _compile_command(compiler: str, program: str, flags: Sequence[str] = ()) -> tuple[str, ...]:
    return (compiler, "-std=c99", "-O1", *flags, *SOURCES, KERNELS, "-o", program)


def _rounds(cpu: Cpu) -> bool:
    """Whether a CPU has instructions that round to whole numbers, and roots, of all floats."""
    return cpu.arch == "aarch64" or "sse4.1" in cpu.features


def _machine(cpu: Cpu) -> tuple[str, ...]:
    """The compiler's flags for a CPU, where it would take another by itself."""
    return ("-mthumb", f"-mcpu={cpu.mcpu}") if cpu.bare else ()


def load(directory: Path, arch: str, mcpu: str) -> Runner:
    """The network in `directory` as a function of any number of samples.

    It is compiled with its example main.c, and run by QEMU where it is for another architecture:
    on a board of QEMU's where it is for a microcontroller.

    Raises:
        MissingTool: a tool is missing. ToolFailed: it failed.
    """
    place = Path(tempfile.mkdtemp(prefix="actc-"))
    bare = arch == BARE
    command = (
        microcontroller.command(directory, mcpu, place)
        if bare
        else _program_command(directory, tools_of(arch), arch, mcpu, place / "network")
    )
    names = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        any_batch = [{**i, "shape": [None, *i["shape"][1:]]} for i in names["inputs"]]
        arrays = [prepared(feeds, item) for item in any_batch]
        calls = len(arrays[0]) // names["inputs"][0]["shape"][0]
        return execute(
            command, arrays, names["outputs"], calls, named=not bare, seconds=RUN_SECONDS
        )

    weakref.finalize(run, shutil.rmtree, place, ignore_errors=True)
    return run


def _program_command(
    directory: Path, tools: Tools, arch: str, mcpu: str, program: Path
) -> tuple[str, ...]:
    """Compile the example around the network; the command that runs it."""
    compiler = toolchain.find(tools.cc, tools.how)
    command = (*_compile_command(str(compiler), str(program)), "-static")
    toolchain.run(command, timeout=COMPILE_SECONDS, cwd=directory)
    return (*_start(tools, arch, mcpu), str(program))


def _start(tools: Tools, arch: str, mcpu: str) -> list[str]:
    """What stands in front of a program to run it here."""
    if arch == host_arch():
        return []
    emulator = toolchain.find(tools.emulator, "apt install qemu-user")
    return [str(emulator), "-cpu", emulated_cpu(tools, mcpu)]
