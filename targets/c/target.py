"""The target `c`: freestanding C of integers for microcontrollers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.base import BuildPlan, Capabilities, ConfiguredTarget, Progress, Rung, Tool, quiet
from actc.targets.c import emulator, host
from actc.targets.c.memory import as_json, as_text, described, memory_of, proof_text
from actc.targets.c.options import DESCRIBED, Options, parse
from actc.targets.c.ports import Port
from actc.targets.c.program import Program, examine, program_of
from actc.targets.c.source import Writer
from actc.targets.components import C, Component
from actc.targets.tvm.lower import INT8_RULES
from actc.targets.tvm.plan import KernelPlan

GOLDEN = "golden.onnx"
MEMORY = "memory.json"


@dataclass(frozen=True)
class CTarget(ConfiguredTarget):
    """C99 of integers with one static arena, for microcontrollers and anything else.

    Tools: gcc, which compiles and runs it here to compare it with golden.
    Options: see :class:`~actc.targets.c.options.Options`.
    Products: model.c and model.h; main.c, an example; memory.txt and memory.json, what it takes;
    signature.json, names, types and shapes of inputs and outputs.

    Attributes:
        settings: how it is written.
    """

    settings: Options = field(default_factory=Options)
    name: ClassVar[str] = "c"
    components: ClassVar[tuple[Component, ...]] = C
    options: ClassVar[Mapping[str, str]] = DESCRIBED

    @classmethod
    def parse(cls, option: str) -> CTarget:
        """The target behind ``c`` or ``c:name=keywords``.

        Raises:
            UsageError: ACT0473, options are wrong.
        """
        return cls(parse(option))

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=("int8",),
            forms=("table", "pwl"),
            operators=frozenset(INT8_RULES),
            tools=(Tool("C compiler", "command", "gcc", host.COMPILER_HELP),),
            widest=8,
            summary="freestanding C of integers for microcontrollers, one static arena",
            products={
                f"{self.settings.name}.c": "the network: kernels, weights, one function",
                f"{self.settings.name}.h": "the function, sizes, scales and zero points",
                "main.c": "example: samples from a file",
                "memory.txt": "arena, constants and where each buffer lies",
                MEMORY: "the same for programs",
                host.SIGNATURE: "names, types and shapes of inputs and outputs",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be lowered."""
        return examine(model)[1]

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build: all files.

        Raises:
            ModelError: the model cannot be lowered; all reasons at once.
        """
        kernels, diagnostics = examine(model)
        if diagnostics:
            raise ModelError(diagnostics)
        program = program_of(kernels)
        memory = memory_of(program, self.settings.seconds)
        source = Writer(memory, self.settings.name).source()
        facts = described(memory, source.constants, source.stack)
        texts = {
            **source.files,
            "memory.txt": as_text(memory, facts),
            host.SIGNATURE: _signature(kernels, program, source.labels, self.settings.name),
        }
        golden = ir.to_proto(model).SerializeToString(deterministic=True)
        files = {GOLDEN: golden, **{name: text.encode() for name, text in texts.items()}}
        files[MEMORY] = as_json({**facts, "arena_proof_text": proof_text(memory)})
        command = host.compile_command(self.settings.name, self.settings.name)
        return BuildPlan(self.spec, files, (command,))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the files, and compile them for this machine.

        Raises:
            MissingTool, ToolFailed: of gcc.
        """
        toolchain.find("gcc", host.COMPILER_HELP)
        plan.write(directory)
        say("gcc: the network for this machine")
        host.load(directory)

    def load(self, directory: Path) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
        """The C code as a function; compiled again where it was changed."""
        return host.load(directory)

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Compare a few samples on emulated cores, where compiler and emulator are there."""
        return emulator.rungs(directory, feeds, golden, say)

    def footprint(self, directory: Path) -> dict[str, int] | None:
        """Bytes of constants and of the arena."""
        facts = _memory(directory)
        workspace = facts["arena_bytes"] + facts["wide_bytes"]
        return {"constants": facts["constant_bytes"], "workspace": workspace}

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What a device must have, for the report."""
        facts = _memory(directory)
        rows = (
            ("arena", "arena_bytes"),
            ("greedy arena", "arena_greedy_bytes"),
            ("unshared arena", "arena_without_sharing_bytes"),
            ("inputs", "input_bytes"),
            ("outputs", "output_bytes"),
            ("constants", "constant_bytes"),
        )
        return {
            "device": "any with a C99 compiler",
            "resources": [{"name": name, "used": facts[key]} for name, key in rows],
            "notes": [f"the arena is {facts['arena_proof_text']}", "resources are bytes"],
        }


def _memory(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / MEMORY).read_text(encoding="utf-8"))
    return found


def _signature(kernels: KernelPlan, program: Program, labels: Sequence[str], name: str) -> str:
    """Inputs and outputs of the model, and how they lie in the caller's memory."""
    sources = {**kernels.inputs}
    sources |= {output: kernels.buffers[buffer] for output, buffer in kernels.outputs.items()}

    def entry(port: Port, label: str) -> dict[str, Any]:
        known = port.quantizer or port.dequantizer
        found: dict[str, Any] = {
            "name": port.name,
            "dtype": "float32" if port.real else port.dtype,
            "shape": [sources[port.name].batch, *port.shape],
            "argument": label,
            "codes": "uint32" if port.dtype == "float32" else port.dtype,
        }
        if known is not None:
            found["scale"] = np.asarray(known.scale, np.float32).reshape(-1).tolist()
            found["zero_point"] = known.zero
        return found

    ports = (*program.inputs, *program.outputs)
    entries = [entry(port, label) for port, label in zip(ports, labels, strict=True)]
    count = len(program.inputs)
    facts = {"name": name, "inputs": entries[:count], "outputs": entries[count:]}
    return json.dumps(facts, indent=2) + "\n"
