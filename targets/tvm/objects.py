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
from actc.targets.tvm.emulator import COMPILE_SECONDS, RUN_SECONDS, emulated_cpu
from actc.targets.tvm.files import template
from actc.targets.tvm.host import Cpu, host_arch
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
        "COMPILE": " ".join(_compile_command(tools_of(cpu.arch).cc, "program")),
        "INPUT_COUNT": str(len(inputs)),
        "OUTPUT_COUNT": str(len(outputs)),
        "INPUT_BYTES": ", ".join(map(str, inputs)),
        "OUTPUT_BYTES": ", ".join(map(str, outputs)),
        "LARGEST": str(max(inputs + outputs)),
    }
    return {
        "network.c": _filled("network.c.in", fields),
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


def _compile_command(compiler: str, program: str) -> tuple[str, ...]:
    return (compiler, "-std=c99", "-O1", *SOURCES, KERNELS, "-o", program)


def load(directory: Path, arch: str, mcpu: str) -> Runner:
    """The network in `directory` as a function of any number of samples.

    It is compiled with its example main.c, and run by QEMU where it is for another architecture.

    Raises:
        MissingTool: a tool is missing. ToolFailed: it failed.
    """
    tools = tools_of(arch)
    place = tempfile.mkdtemp(prefix="actc-")
    program = Path(place) / "network"
    compiler = toolchain.find(tools.cc, tools.how)
    command = (*_compile_command(str(compiler), str(program)), "-static")
    toolchain.run(command, timeout=COMPILE_SECONDS, cwd=directory)
    start = _start(tools, arch, mcpu)
    names = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        any_batch = [{**i, "shape": [None, *i["shape"][1:]]} for i in names["inputs"]]
        arrays = [prepared(feeds, item) for item in any_batch]
        calls = len(arrays[0]) // names["inputs"][0]["shape"][0]
        rows = [array.reshape(calls, -1).view(np.uint8) for array in arrays]
        with tempfile.TemporaryDirectory(dir=place) as folder:
            given, made = Path(folder) / "in.bin", Path(folder) / "out.bin"
            given.write_bytes(np.concatenate(rows, axis=1).tobytes())
            argv = [*start, str(program), str(given), str(made)]
            toolchain.run(argv, timeout=RUN_SECONDS)
            table = np.fromfile(made, np.uint8).reshape(calls, -1)
        return _split(table, names["outputs"])

    weakref.finalize(run, shutil.rmtree, place, ignore_errors=True)
    return run


def _start(tools: Tools, arch: str, mcpu: str) -> list[str]:
    """What stands in front of a program to run it here."""
    if arch == host_arch():
        return []
    emulator = toolchain.find(tools.emulator, "apt install qemu-user")
    return [str(emulator), "-cpu", emulated_cpu(tools, mcpu)]


def _split(table: Array, outputs: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """The outputs out of rows of bytes."""
    found, at = {}, 0
    for item in outputs:
        dtype, shape = np.dtype(item["dtype"]), item["shape"]
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        part = np.ascontiguousarray(table[:, at : at + size]).view(dtype)
        found[item["name"]] = part.reshape(-1, *shape[1:])
        at += size
    return found
