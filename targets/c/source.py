"""The C source: helpers, constants, a function per distinct kernel, and the run through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actc.targets.c.example import Example, Move, Slot
from actc.targets.c.form import C_TYPES, WIDTH, Form, index, wrapped
from actc.targets.c.kernels import form_of
from actc.targets.c.kernels.elementwise import bits_of
from actc.targets.c.library import used
from actc.targets.c.memory import Memory
from actc.targets.c.names import comment, identifier, identifiers
from actc.targets.c.ports import Port
from actc.targets.c.program import Program
from actc.targets.c.templates import filled
from actc.targets.tvm.plan import Call

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class _Constants:
    """Arrays of constants, equal ones once.

    Attributes:
        texts: definitions.
        size: bytes.
    """

    texts: list[str] = field(default_factory=list)
    size: int = 0
    _names: dict[tuple[str, bytes], str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def name(self, title: str, dtype: str, array: Array) -> str:
        """The name of an array; defined on first use."""
        flat = np.ascontiguousarray(array).reshape(-1)
        key = (C_TYPES[dtype], flat.tobytes())
        if key not in self._names:
            count = self._counts.get(title, 0)
            self._counts[title] = count + 1
            self._names[key] = f"{title}_{count}"
            self.texts.append(_definition(f"{title}_{count}", dtype, flat))
            self.size += flat.nbytes
        return self._names[key]


def _definition(name: str, dtype: str, flat: Array) -> str:
    lines, line = [], "   "
    for number in _numbers(dtype, flat):
        if len(line) + len(number) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {number},"
    lines.append(line)
    head = f"static const {C_TYPES[dtype]} {name}[{flat.size}] = {{"
    return "\n".join([head, *lines, "};", ""])


def _numbers(dtype: str, flat: Array) -> list[str]:
    if dtype in ("uint32", "float32"):
        return [f"0x{value:X}u" for value in flat.tolist()]
    if dtype == "int64":
        return [
            "(-INT64_C(9223372036854775807) - 1)" if v == -(2**63) else f"INT64_C({v})"
            for v in flat.tolist()
        ]
    return ["(-2147483647 - 1)" if v == -(2**31) else str(v) for v in flat.tolist()]


@dataclass(frozen=True, eq=False)
class Source:
    """The files of the C code.

    Attributes:
        files: name -> text.
        labels: names of all inputs, then of all outputs.
        constants: bytes of constants.
        stack: bytes of the largest kernel's arrays on the stack.
    """

    files: dict[str, str]
    labels: tuple[str, ...]
    constants: int
    stack: int


class Writer:
    """Writes the source of a program.

    Args:
        memory: of the program.
        name: prefix of the public names, and name of the files.
    """

    def __init__(self, memory: Memory, name: str) -> None:
        self.memory, self.program, self.name = memory, memory.program, name
        self.constants = _Constants()
        self.functions: dict[str, str] = {}
        self.helpers: set[str] = set()
        self.stack = 0
        named = [("in", port) for port in self.program.inputs]
        named += [("out", port) for port in self.program.outputs]
        # No name inside the source starts with these, and so none is hidden.
        names = identifiers(f"{kind}_{identifier(port.name)}" for kind, port in named)
        self.labels = {port: name for (_, port), name in zip(named, names, strict=True)}

    def source(self) -> Source:
        """All files."""
        order = self.memory.plan.layout.order
        calls = [self._call(self.program.calls[step]) for step in order]
        header, code = self._header(), self._code(calls)
        labels = tuple(self.labels.values())
        files = {f"{self.name}.h": header, f"{self.name}.c": code, "main.c": self._main()}
        return Source(files, labels, self.constants.size, self.stack)

    # ---- calls -------------------------------------------------------------------------

    def _call(self, call: Call) -> str:
        form = form_of(call, self.program)
        self.helpers |= form.helpers
        arguments = [
            self._pointer(argument.source)
            if isinstance(argument.source, str)
            else self.constants.name(argument.name, argument.dtype, argument.source)
            for argument in form.arguments
        ]
        arguments.append(self._pointer(call.output))
        kind = type(call.kernel).__name__.removesuffix("Spec").lower()
        function = self._function(kind, form)
        return f"    /* {comment(call.node)} */\n{wrapped(function, arguments, '    ')};"

    def _function(self, kind: str, form: Form) -> str:
        """The name of a function; equal ones are one."""
        body = form.text("@")
        if body not in self.functions:
            count = sum(name.startswith(f"{kind}_") for name in self.functions.values())
            self.functions[body] = f"{kind}_{count}"
            self.stack = max(self.stack, form.stack)
        return self.functions[body]

    def _pointer(self, name: str) -> str:
        """A buffer as an argument."""
        for port in (*self.program.inputs, *self.program.outputs):
            if port.buffer == name:
                return self.labels[port]
        if name in self.memory.wide:
            return f"wide_{self.memory.wide.index(name)}"
        kind = C_TYPES[self.program.buffers[name].dtype]
        place = f"&arena[{self.memory.offset(name) // 4}]"
        return place if kind == "uint32_t" else f"({kind} *){place}"

    # ---- files -------------------------------------------------------------------------

    def _head(self) -> str:
        """The head of the public function."""
        inputs = [f"const {C_TYPES[p.dtype]} *{self.labels[p]}" for p in self.program.inputs]
        outputs = [f"{C_TYPES[p.dtype]} *{self.labels[p]}" for p in self.program.outputs]
        return wrapped(f"int {self.name}_run", [*inputs, *outputs])

    def _header(self) -> str:
        upper = self.name.upper()
        macros, floats = [], []
        for port in (*self.program.inputs, *self.program.outputs):
            macros += self._macros(port)
            declared = self._float_head(port)
            floats += [f"{declared};"] if declared else []
        return filled(
            "model.h.in",
            UPPER=upper,
            NAME=self.name,
            MACROS="\n".join(macros),
            WORDS=str(self.memory.plan.layout.size),
            HEAD=self._head(),
            FLOATS="\n".join(floats),
        )

    def _macros(self, port: Port) -> list[str]:
        label = f"{self.name.upper()}_{self.labels[port].upper()}"
        shape = "x".join(map(str, port.shape)) or "1"
        what = "input" if port in self.program.inputs else "output"
        lines = [
            f"/* {what} {comment(port.name)}: {shape}, {_meaning(port)} */",
            f"#define {label}_COUNT {port.count}",
        ]
        known = port.quantizer or port.dequantizer
        if known is not None:
            scale = np.asarray(known.scale).reshape(-1)
            if scale.size == 1:
                lines.append(f"#define {label}_SCALE {_float(float(scale[0]))}")
            lines.append(f"#define {label}_ZERO {known.zero}")
        return lines

    def _float_head(self, port: Port) -> str | None:
        """The head of the function between codes and float."""
        label, kind = f"{self.name}_{self.labels[port]}", C_TYPES[port.dtype]
        if not port.real:
            return None
        if port in self.program.inputs:
            return f"void {label}_from_float(const float *values, {kind} *codes)"
        return f"void {label}_to_float(const {kind} *codes, float *values)"

    def _float_bodies(self) -> str:
        parts = []
        for port in (*self.program.inputs, *self.program.outputs):
            head = self._float_head(port)
            if head is not None:
                form = self._float_body(port)
                parts.append("\n".join([head, "{", *form.lines, "}", ""]))
        return "\n".join(parts)

    def _float_body(self, port: Port) -> Form:
        form = Form("float32")
        if port in self.program.inputs:
            with form.loop("i", port.count):
                bits = "bits_of_float(values[i])"
                if port.quantizer is not None:
                    scale = bits_of(port.quantizer.scale)
                    bits = f"quantize({bits}, {scale}, {port.quantizer.zero})"
                form.say(f"codes[i] = {bits};")
        elif port.dequantizer is None:
            with form.loop("i", port.count):
                form.say("values[i] = float_of_bits(codes[i]);")
        else:
            known = port.dequantizer
            scale = self.constants.name("scale", "float32", known.scale.view(np.uint32))
            with form.loops(known.kernel.dims) as variables:
                codes, unit = (index(o, variables) for o in known.kernel.inputs)
                bits = f"dequantize((int32_t)codes[{codes}], {known.zero}, {scale}[{unit}])"
                place = index(known.kernel.out, variables)
                form.say(f"values[{place}] = float_of_bits({bits});")
        return form

    def _code(self, calls: Sequence[str]) -> str:
        base = used(self.helpers)
        more = {"quantize" for p in self.program.inputs if p.quantizer is not None}
        more |= {"dequantize" for p in self.program.outputs if p.dequantizer is not None}
        have = {part.name for part in base}
        beside = [part for part in used(more) if part.name not in have]
        constants = list(self.constants.texts)
        floats = self._float_bodies()
        scales = self.constants.texts[len(constants) :]
        ports = (*self.program.inputs, *self.program.outputs)
        wide = [
            f"static int64_t wide_{number}[{self.program.buffers[name].count}];"
            for number, name in enumerate(self.memory.wide)
        ]
        return filled(
            "model.c.in",
            UPPER=self.name.upper(),
            NAME=self.name,
            HELPERS="\n".join(part.text for part in base),
            CONSTANTS="\n".join(constants),
            FUNCTIONS="\n".join(b.replace("@", n, 1) for b, n in self.functions.items()),
            ARENA=filled("arena.c.in", UPPER=self.name.upper()) if self.memory.names else "",
            WIDE="\n".join(wide),
            HEAD=self._head(),
            NULLS=" ||\n        ".join(f"({self.labels[port]} == NULL)" for port in ports),
            CALLS="\n".join(calls),
            FLOAT_HELPERS="\n".join(part.text for part in beside),
            FLOAT_CONSTANTS="\n".join(scales),
            FLOAT_PARTS=_float_parts(self.program),
            FLOATS=floats,
        )

    def _main(self) -> str:
        def moves(function: str, stream: str) -> Move:
            return lambda name: f"{function}({name}, 1U, sizeof {name}, {stream})"

        def leave(status: int) -> str:
            # what is in a buffer may not reach the disk
            behind = "((ferror(stdin) != 0) || (fflush(stdout) != 0)) ? 1 : 0"
            return f"return {status or behind};"

        found = self.example()
        body = found.body(moves("fread", "stdin"), moves("fwrite", "stdout"), leave)
        return filled("main.c.in", NAME=self.name, BUFFERS=found.buffers(), BODY=body)

    def example(self) -> Example:
        """What an example program needs to know."""
        inputs, outputs = (
            tuple(Slot(self.labels[port], port.dtype, port.real) for port in ports)
            for ports in (self.program.inputs, self.program.outputs)
        )
        return Example(self.name, inputs, outputs)


def _float_parts(program: Program) -> str:
    """The conversions that the functions on float need."""
    texts = []
    if any(port.real for port in program.inputs):
        texts.append(filled("from_float.c"))
    if any(port.real for port in program.outputs):
        texts.append(filled("to_float.c"))
    return "\n".join(texts)


def _meaning(port: Port) -> str:
    if port.quantizer is not None:
        return "real = scale * (code - zero)"
    if port.dequantizer is not None:
        single = np.asarray(port.dequantizer.scale).size == 1
        return "real = scale * (code - zero)" + ("" if single else ", a scale per channel")
    return "the bits of float32" if port.dtype == "float32" else "as in the model"


def _float(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"
