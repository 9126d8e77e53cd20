"""The target `cpu`: machine code from Apache TVM and LLVM."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc import toolchain
from actc.cache import default
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.targets.base import BuildPlan, Capabilities, Progress, Target, Tool, quiet
from actc.targets.components import CPU, Component
from actc.targets.tvm import emulator, machine, objects, runtime
from actc.targets.tvm.files import cpp_example, python_example, signature
from actc.targets.tvm.host import (
    TVM_HELP,
    Cpu,
    host_arch,
    host_cpu,
    import_tvm,
    lacking,
    named_cpu,
)
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.linker import link, link_command, tools_of
from actc.targets.tvm.lower import INT8_RULES, examine, kernel_plan
from actc.targets.tvm.memory import memory, text
from actc.targets.tvm.objects import KERNELS, footprint, one_sample, sources
from actc.targets.tvm.plan import KernelPlan
from actc.targets.tvm.tuning.cache import Choices
from actc.targets.tvm.tuning.request import TUNING, Request, read_tuning

MODEL_FILES = {"int8": "golden.onnx", "float32": "approximated.onnx"}
_TUNED = {TUNING: "the schedules that were chosen by timing, and the times"}
Schedules = Mapping[Any, Schedule]
OBJECTS = "objects"
_LIBRARY_PRODUCTS = {
    runtime.LIBRARY: "the compiled model, complete with its constants",
    "run.py": "example: runs model.so without importing TVM",
    "run.cpp": "the same in C++",
}
_OBJECT_PRODUCTS = {
    KERNELS: "the kernels' machine code",
    "network.c": "calls the kernels in order; the constants",
    "network.h": "how to compile and call it",
    "main.c": "example of a program around it",
}
_PRODUCTS = {
    "kernels.txt": "the kernels in execution order",
    runtime.SIGNATURE: "names, types and shapes of inputs and outputs",
    machine.CPU_FILE: "the CPU that it was compiled for, and the memory that it takes",
}


@dataclass(frozen=True)
class CpuTarget(Target):
    """A shared library for a CPU, through Apache TVM and LLVM.

    Tools: apache-tvm (build and run), g++ (link), for another architecture its own.
    Options: the CPU's LLVM name (`cpu:znver4`), with its architecture in front or not
    (`cpu:aarch64:cortex-a76`); none means this machine. `objects` (`cpu:cortex-a76,objects`)
    makes object files and C that calls them, as do CPUs without an operating system
    (`cpu:cortex-m7`).
    Products: model.so; run.py, an example that runs it without importing TVM, and run.cpp,
    the same in C++; kernels.txt, the list of kernels; signature.json, names and shapes of inputs
    and outputs; cpu.json, what it was compiled for and the memory that it takes. As objects:
    kernels.o, network.c, network.h and the example main.c instead of the first three. Tuned:
    tuning.json, the schedules that were chosen.

    Attributes:
        mcpu: LLVM's name of the CPU, with its architecture in front or not; "" for this machine.
        objects: whether to make object files.
        request: how much to tune; None: schedules are those that are modelled to be best.
    """

    mcpu: str = ""
    objects: bool = False
    request: Request | None = None
    name: ClassVar[str] = "cpu"
    components: ClassVar[tuple[Component, ...]] = CPU

    @classmethod
    def parse(cls, option: str) -> CpuTarget:
        """The target behind `cpu` or `cpu:OPTION`.

        Raises:
            UsageError: TVM is installed and its LLVM has no such CPU, or there are more options
                than a CPU and `objects`.
        """
        words = [word for word in option.split(",") if word]
        names = [word for word in words if word != OBJECTS]
        if len(names) > 1 or words.count(OBJECTS) > 1:
            raise UsageError(
                Diagnostic(
                    "ACT0481",
                    f"target 'cpu' cannot take the options '{option}'",
                    help="give one CPU, and `objects` or not: cpu:cortex-a76,objects",
                )
            )
        mcpu = names[0] if names else ""
        bare = bool(mcpu) and _tvm_installed() and named_cpu(mcpu).bare
        return cls(mcpu, bare or OBJECTS in words)

    @property
    def spec(self) -> str:
        """`cpu:` and LLVM's name; plain `cpu` while TVM is not there to tell this machine's."""
        mcpu = self.mcpu or (self.cpu().mcpu if _tvm_installed() else "")
        words = [word for word in (mcpu, OBJECTS if self.objects else "") if word]
        return f"cpu:{','.join(words)}" if words else "cpu"

    def cpu(self) -> Cpu:
        """The CPU that code is generated for.

        Raises:
            MissingTool: TVM is not installed.
        """
        return _resolve(self.mcpu)

    def _arch(self) -> str:
        """The architecture; this machine's where TVM is not there to tell."""
        return self.cpu().arch if self.mcpu and _tvm_installed() else host_arch()

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        tools = tools_of(self._arch())
        linker = Tool("C++ compiler", "command", tools.cxx, tools.how)
        made = _OBJECT_PRODUCTS if self.objects else _LIBRARY_PRODUCTS
        return Capabilities(
            precisions=("int8", "float32"),
            forms=("table", "pwl"),
            operators=frozenset(INT8_RULES),
            tools=(
                Tool("Apache TVM", "package", "tvm", TVM_HELP),
                *(() if self.objects else (linker,)),
            ),
            widest=8,
            summary="shared library for a CPU, through Apache TVM and LLVM",
            products={**made, **_PRODUCTS, **({} if self.request is None else _TUNED)},
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be lowered."""
        found = examine(model, precision)[1]
        return found + (_not_one_sample(model) if self.objects else [])

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build.

        Raises:
            ModelError: the model cannot be lowered; all reasons at once.
        """
        kernels = kernel_plan(one_sample(model) if self.objects else model, precision)
        names = signature(kernels)
        proto = ir.serde.serialize_model(model)
        files = {
            MODEL_FILES[precision]: proto.SerializeToString(deterministic=True),
            "kernels.txt": (kernels.text() + text(memory(kernels))).encode(),
            runtime.SIGNATURE: (json.dumps(names, indent=2) + "\n").encode(),
        }
        if self.objects:
            return BuildPlan(self.spec, files)
        files |= {"run.py": python_example(names).encode(), "run.cpp": cpp_example(names).encode()}
        command = link_command(("lib0.o", "devc.o"), runtime.LIBRARY, self._arch())
        return BuildPlan(self.spec, files, (command,))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files and model.so, or kernels.o and its C.

        Raises:
            MissingTool: TVM or the C++ compiler is missing.
            ToolFailed: linking failed; the notes hold the linker's log.
        """
        import_tvm()
        if not self.objects:
            tools = tools_of(self._arch())
            toolchain.find(tools.cxx, tools.how)
        plan.write(directory)
        precision = next(p for p, name in MODEL_FILES.items() if name in plan.files)
        model = ir.load(directory / MODEL_FILES[precision])
        kernels = kernel_plan(one_sample(model) if self.objects else model, precision)
        schedules = {} if self.request is None else self._tune(kernels, directory, say)
        write = self._objects if self.objects else self._library
        taken = write(kernels, directory, schedules)
        (directory / machine.CPU_FILE).write_bytes(machine.description(self.cpu(), taken))

    def tuned(self, candidates: int, seconds: float) -> CpuTarget:
        """This target with schedules that are chosen by timing them on this machine.

        Raises:
            UsageError: ACT0491, it is another machine's CPU.
        """
        if self.mcpu and _tvm_installed():
            here, there = host_cpu(), self.cpu()
            missing = lacking(there.features) if here.arch == there.arch else []
            if (here.arch, here.mcpu) != (there.arch, there.mcpu) or missing:
                message = f"--tune times kernels on this machine, which is no {self.mcpu}"
                help = f"leave --tune out, or compile for this machine, {here.mcpu}: --target cpu"
                raise UsageError(Diagnostic("ACT0491", message, help=help))
        return replace(self, request=Request(candidates, seconds))

    def tuning(self, directory: Path) -> dict[str, Any] | None:
        """The schedules that were chosen, and the times."""
        return read_tuning(directory)

    def _tune(self, kernels: KernelPlan, directory: Path, say: Progress) -> Schedules:
        """Choose schedules, and write down which."""
        from actc.targets.tvm.tuning.tuner import tune

        assert self.request is not None
        found = tune(kernels, self.cpu(), self.request, Choices(default()), say)
        (directory / TUNING).write_bytes(found.document())
        listed = directory / "kernels.txt"
        listed.write_text(listed.read_text("utf-8") + found.text(), "utf-8")
        return found.schedules()

    def _library(
        self, kernels: KernelPlan, directory: Path, schedules: Schedules
    ) -> dict[str, int]:
        """Write model.so; the bytes that it takes."""
        from actc.targets.tvm import codegen

        arch = self._arch()
        executable = codegen.compile_plan(kernels, self.cpu(), schedules)
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            library = Path(folder) / runtime.LIBRARY
            codegen.export(executable, library, lambda objects, path: link(objects, path, arch))
            library.replace(directory / runtime.LIBRARY)
        return {"library": (directory / runtime.LIBRARY).stat().st_size, **memory(kernels)}

    def _objects(
        self, kernels: KernelPlan, directory: Path, schedules: Schedules
    ) -> dict[str, int]:
        """Write kernels.o and the C that calls it; the bytes that they take."""
        from actc.targets.tvm import codegen
        from actc.targets.tvm.program import program

        module = codegen.ModuleBuilder(kernels, self.cpu().features, schedules).module()
        found = program(module, kernels.outputs)
        executable = codegen.compile_plan(kernels, self.cpu(), schedules)
        codegen.export_kernels(executable, directory / KERNELS)
        for name, content in sources(found, self.cpu()).items():
            (directory / name).write_text(content, encoding="utf-8")
        return {"library": (directory / KERNELS).stat().st_size, **footprint(found)}

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Execute the artefact on one batch.

        Raises:
            UsageError: it was not built, this machine does not run it, or inputs of another
                name, type or shape.
            MissingTool: TVM's runtime is missing.
        """
        return self.load(directory)(feeds)

    def load(self, directory: Path) -> runtime.Runner:
        """The compiled model as a function.

        Raises:
            UsageError: there is no compiled model, or this machine does not run it.
            MissingTool: TVM's runtime is missing.
        """
        runtime.require(directory, KERNELS if self.objects else runtime.LIBRARY)
        reason = self.not_run(directory)
        if reason:
            raise UsageError(Diagnostic("ACT0480", f"the artefact does not run here: {reason}"))
        found = machine.describe(directory)
        arch, mcpu = found.get("architecture", host_arch()), found.get("cpu", "")
        if self.objects:
            return objects.load(directory, arch, mcpu)
        if machine.is_foreign(directory):
            return emulator.load(directory, arch, mcpu)
        return runtime.load(directory)

    def not_run(self, directory: Path) -> str:
        """Why this machine cannot run the artefact, not even emulated; "" where it can."""
        return machine.why_not_here(directory, needs_runtime=not self.objects)

    def footprint(self, directory: Path) -> dict[str, int] | None:
        """Bytes of the library, of constants, and of memory for one sample."""
        found: dict[str, int] | None = machine.describe(directory).get("bytes")
        return found

    def emulation(self, directory: Path) -> str:
        """Which emulator runs the artefact here; "" where this machine does."""
        return machine.emulation(directory) if machine.is_foreign(directory) else ""


@lru_cache(maxsize=8)
def _resolve(mcpu: str) -> Cpu:
    return named_cpu(mcpu) if mcpu else host_cpu()


def _tvm_installed() -> bool:
    return importlib.util.find_spec("tvm") is not None


def _not_one_sample(model: ir.Model) -> list[Diagnostic]:
    """Why a model cannot be called sample by sample."""
    return [
        Diagnostic(
            "ACT0484",
            f"'{value.name}' has no axis of samples, which object files are called by",
            place=Place(node=str(value.name)),
            help="leave `objects` out",
        )
        for value in (*model.graph.inputs, *model.graph.outputs)
        if value.shape is not None and len(value.shape) == 0
    ]
