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
    from actc.targets.tvm.program import Operand, Program

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
    symbols = sorted({call.kernel for call in program.calls})
    fields = {
        "MOST": str(max(len(call.operands) for call in program.calls)),
        "DECLARATIONS": "\n".join(f"Kernel __tvm_ffi_{name};" for name in symbols),
        "ARENA": str(max(program.arena, 1)),
        "SCRATCH": str(max(program.scratch, 1)),
        "CONSTANTS": "".join(_constant(i, array) for i, array in enumerate(program.constants)),
        "CALLS": _calls(program),
        "COPIES_IN": _copies(program, program.inputs, "  copy({}, inputs[{}], {});\n"),
        "COPIES_OUT": _copies(program, program.outputs, "  copy(outputs[{1}], {0}, {2});\n"),
    }
    inputs = [program.sizes[i] for i in program.inputs]
    outputs = [program.sizes[i] for i in program.outputs]
    header = {
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
    return {
        "constants": sum(array.nbytes for array in program.constants),
        "workspace": program.arena + program.scratch,
    }


def _filled(name: str, fields: Mapping[str, str]) -> str:
    text = template(name)
    for field, value in fields.items():
        text = text.replace(f"@{field}@", value)
    return text


def _constant(number: int, array: Array) -> str:
    """An array as C: its bytes, little-endian."""
    values = [str(byte) for byte in array.astype(array.dtype.newbyteorder("<")).tobytes()]
    lines = [
        ",".join(values[start : start + _PER_LINE]) for start in range(0, len(values), _PER_LINE)
    ]
    return f"static const ALIGNED uint8_t constant_{number}[] = {{\n" + ",\n".join(lines) + "};\n"


def _calls(program: Program) -> str:
    shapes = sorted({operand.shape for call in program.calls for operand in call.operands})
    names = {shape: f"shape_{number}" for number, shape in enumerate(shapes)}
    lines = [
        f"static const int64_t {names[shape]}[] = {{{', '.join(map(str, shape)) or '0'}}};"
        for shape in shapes
    ]
    for number, call in enumerate(program.calls):
        rows = ", ".join(_operand(operand, program, names) for operand in call.operands)
        lines.append(f"static const Operand operands_{number}[] = {{{rows}}};")
    lines.append("static const Call calls[] = {")
    for number, call in enumerate(program.calls):
        count = len(call.operands)
        lines.append(f"    {{__tvm_ffi_{call.kernel}, operands_{number}, {count}}},")
    return "\n".join([*lines, "};", ""])


def _operand(operand: Operand, program: Program, names: Mapping[tuple[int, ...], str]) -> str:
    constant = operand.constant >= 0
    place = f"constant_{operand.constant}" if constant else _place(program, operand.value)
    kind = operand.dtype.rstrip("0123456789")
    bits = 8 if kind == "bool" else int(operand.dtype[len(kind) :])
    return f"{{{place}, {names[operand.shape]}, {len(operand.shape)}, {_CODES[kind]}, {bits}}}"


def _place(program: Program, value: int) -> str:
    return f"arena + {program.offsets[value]}"


def _copies(program: Program, values: Sequence[int], form: str) -> str:
    return "".join(
        form.format(_place(program, value), number, program.sizes[value])
        for number, value in enumerate(values)
    )


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
